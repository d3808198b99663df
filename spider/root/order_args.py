"""Validates the shapes of an order's arguments. Each verb has a closed set of arguments.

Whether packages, units and containers of these names exist is checked by the runner.
"""

import re
from typing import Any, Callable, Dict, Mapping

from spider.wire.containers import is_container_name
from spider.wire.units import MAX_UNITS, is_unit_name
from spider.wire.verbs import DIGEST, GENERATION, KEYS, MAX_PACKAGES, NEEDED, NONE, PACKAGE_NAME, PLAN, STOP, VERBS, Verb

_PACKAGE_NAME = re.compile(PACKAGE_NAME + r"\Z")


def _hex(digits: int) -> Callable[[Any], bool]:
    pattern = re.compile(rf"[0-9a-f]{{{digits}}}\Z")
    return lambda value: type(value) is str and pattern.match(value) is not None


_SHAPES: Dict[str, Callable[[Any], bool]] = {
    DIGEST: _hex(64),
    GENERATION: lambda value: type(value) is int and 1 < value < 1 << 32,
    KEYS: _hex(128),
}


def _good_names(verb: Verb, packages: Any) -> bool:
    if type(packages) is not list or len(packages) > MAX_PACKAGES:
        return False
    if not all(type(name) is str and _PACKAGE_NAME.match(name) for name in packages) or len(set(packages)) != len(packages):
        return False
    return verb.packages != NONE if packages else verb.packages != NEEDED


def _good_units(units: Any) -> bool:
    return type(units) is list and 0 < len(units) <= MAX_UNITS and all(map(is_unit_name, units)) and len(set(units)) == len(units)


def validate_args(verb: str, args: Mapping[str, Any]) -> bool:
    """Whether the verb accepts these arguments.

    A stop may have `force`. Selfcare verbs have the arguments of their row in the catalogue. Verbs of units have only `units`, and verbs of
    containers only `container`. Other verbs may have:

    - `packages`: as the verb's row allows.
    - `plan`: the digest of the plan that a user approved. Only for verbs that have a plan.
    - `for`: the verb to plan. Only for the verb `plan`.
    - `reboot`: always false.
    """
    if verb == STOP:
        return set(args) <= {"force"} and type(args.get("force", False)) is bool
    row = VERBS.get(verb)
    if row is not None and row.selfcare:
        return set(args) == {name for name, _ in row.args} and all(_SHAPES[shape](args[name]) for name, shape in row.args)
    if row is not None and row.units:
        return set(args) == {"units"} and _good_units(args["units"])
    if row is not None and row.container:
        return set(args) == {"container"} and is_container_name(args["container"])
    wanted = args.get("for", "upgrade") if verb == PLAN else verb
    target = VERBS.get(wanted) if type(wanted) is str else None
    return (
        target is not None
        and (verb != PLAN or target.planned)
        and set(args) <= {"packages", "reboot", "for" if verb == PLAN else "plan"}
        and args.get("reboot", False) is False
        and ("plan" not in args or (target.planned and _SHAPES[DIGEST](args["plan"])))
        and _good_names(target, args.get("packages", []))
    )
