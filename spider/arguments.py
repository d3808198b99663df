"""What an order may say besides its verb: a closed set for each verb, shapes only; the runner compares names with what is there."""

import re
from typing import Any, Dict, FrozenSet, Mapping

from spider.policy import NAMING_VERBS, PLANNED_VERBS
from spider.upkeep import REKEY, UNINSTALL, UPDATE, good_upkeep

MAX_PACKAGES = 512
STOP = "stop"
"""The verb of an order that ends a job; not one of the policy."""
PACKAGE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9@._+-]{0,126}[A-Za-z0-9@._+])?(?::[a-z0-9-]{1,30})?\Z")
"""Shape only: no option, path, pattern, version or suite has it."""
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def _good_names(verb: str, packages: Any) -> bool:
    if type(packages) is not list or len(packages) > MAX_PACKAGES:
        return False
    if not all(type(name) is str and PACKAGE_NAME.match(name) for name in packages) or len(set(packages)) != len(packages):
        return False
    if verb in NAMING_VERBS:
        return bool(packages)
    return verb == "upgrade" or not packages


def good_arguments(verb: str, args: Mapping[str, Any]) -> bool:
    """Whether these are arguments that the verb can have.

    `packages`: needed by install, remove, hold and unhold, allowed for upgrade. `plan`: the digest of the plan that a person saw,
    for verbs that have one. `for`: the verb that `plan` plans. `reboot` may be said, but only as false. A stop may have `force`.
    """
    if verb == STOP:
        return set(args) <= {"force"} and type(args.get("force", False)) is bool
    if verb in (UPDATE, REKEY, UNINSTALL):
        return good_upkeep(verb, args)
    wanted = args.get("for", "upgrade") if verb == "plan" else verb
    allowed: Dict[bool, FrozenSet[str]] = {True: frozenset({"packages", "reboot", "for"}), False: frozenset({"packages", "reboot", "plan"})}
    return (
        set(args) <= allowed[verb == "plan"]
        and args.get("reboot", False) is False
        and type(wanted) is str
        and (verb != "plan" or wanted in PLANNED_VERBS)
        and ("plan" not in args or (verb in PLANNED_VERBS and type(args["plan"]) is str and _DIGEST.match(args["plan"]) is not None))
        and _good_names(wanted, args.get("packages", []))
    )
