"""Validates the arguments of an order. Each verb has a closed set. Only shapes are checked here; the runner compares names with the
host."""

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

    `packages`: as the verb's row says. `plan`: digest of the plan that a user approved, for verbs that have one. `for`: the verb that
    `plan` plans. `reboot` may be given, but only as false. A stop may have `force`. Selfcare verbs have exactly the arguments of their row.
    Verbs of units have `units`, those of containers `container`, and nothing else.
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
