"""Validates the shapes of an order's arguments. Each verb has a closed set of arguments.

Whether packages, units and containers of these names exist is checked by the runner.
"""

import re
from typing import Any, Callable, Dict, Mapping

from spider.wire.arg_kinds import ACTION, MAX_ACTION_S, PACKAGES, ArgKind
from spider.wire.verbs import DIGEST, GENERATION, KEYS, PLAN, STOP, VERBS

TIMEOUT = "timeout_s"
"""The time limit of a named action, in seconds. Without it the action has an hour."""


def _hex(digits: int) -> Callable[[Any], bool]:
    pattern = re.compile(rf"[0-9a-f]{{{digits}}}\Z")
    return lambda value: type(value) is str and pattern.match(value) is not None


_SHAPES: Dict[str, Callable[[Any], bool]] = {
    DIGEST: _hex(64),
    GENERATION: lambda value: type(value) is int and 1 < value < 1 << 32,
    KEYS: _hex(128),
}


def _good_names(kind: ArgKind, args: Mapping[str, Any], *, optional: bool) -> bool:
    """Whether the names of these arguments are valid. An empty list is the same as none."""
    value = args.get(kind.name, [])
    return optional if value == [] and not kind.single else bool(kind.from_order(value))


def validate_args(verb: str, args: Mapping[str, Any]) -> bool:
    """Whether the verb accepts these arguments.

    A stop may have `force`. Selfcare verbs have the arguments of their row in the catalogue. Verbs whose names the policy must list have
    only these names, and a named action its time limit. Other verbs may have:

    - the names of their row's kind.
    - `packages`, an empty list: verbs without a kind.
    - `plan`: the digest of the plan that a user approved. Only for verbs that have a plan.
    - `for`: the verb to plan. Only for the verb `plan`.
    - `reboot`: always false.
    """
    if verb == STOP:
        return set(args) <= {"force"} and type(args.get("force", False)) is bool
    row = VERBS.get(verb)
    if row is not None and row.selfcare:
        return set(args) == {name for name, _ in row.args} and all(_SHAPES[shape](args[name]) for name, shape in row.args)
    if row is not None and row.kind is not None and row.kind.line:
        names = {name: value for name, value in args.items() if name != TIMEOUT or row.kind is not ACTION}
        limit_s = args.get(TIMEOUT, 1)
        in_time = type(limit_s) is int and 1 <= limit_s <= MAX_ACTION_S
        return set(names) == {row.kind.name} and in_time and _good_names(row.kind, args, optional=row.optional)
    wanted = args.get("for", "upgrade") if verb == PLAN else verb
    target = VERBS.get(wanted) if type(wanted) is str else None
    return (
        target is not None
        and (verb != PLAN or target.planned)
        and set(args) <= {PACKAGES.name, "reboot", "for" if verb == PLAN else "plan"}
        and args.get("reboot", False) is False
        and ("plan" not in args or (target.planned and _SHAPES[DIGEST](args["plan"])))
        and (args.get(PACKAGES.name, []) == [] if target.kind is None else _good_names(target.kind, args, optional=target.optional))
    )
