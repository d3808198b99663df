"""Compares a file of rules with those of the hub: which it adds and which it changes. An invalid rule refuses the whole file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeVar

import msgspec

from groundcontrol.alerts.model import Rule, RuleId
from groundcontrol.alerts.rules import checked_rule
from groundcontrol.alerts.views import RuleBody, RuleFields, patched, rule_of
from groundcontrol.core.errors import BadRequest
from spider.wire.ids import is_id

MOST_SHOWN: Final = 20
"""How many faults the error text names. `facts.faults` of the answer has all of them."""
B = TypeVar("B", bound=msgspec.Struct)


class Planned(NamedTuple):
    """One rule of a file."""

    before: Rule | None
    """The rule of the hub; None: the hub does not have it."""
    after: Rule

    @property
    def act(self) -> Literal["add", "change", "keep"]:
        return "add" if self.before is None else "change" if self.after != self.before else "keep"


def planned(rules: Sequence[Rule], given: Sequence[Mapping[str, object]], new_id: Callable[[], RuleId]) -> list[Planned]:
    """The rules of a file, each with the rule of the hub that it changes. It is found by its id, or else by its name.

    Fields that the file leaves out keep their values.

    Raises: BadRequest: some rules are invalid. Its detail `faults` names each of them, with what to change.
    """
    known = _Known({rule.id: rule for rule in rules}, _by_name(rules))
    found: list[Planned] = []
    faults: list[dict[str, object]] = []
    taken: set[str] = set()
    for number, fields in enumerate(given, 1):
        try:
            one = _planned(known, fields, new_id)
            name = one.after.name if one.before is None else one.before.id
            if name in taken:
                raise BadRequest("the file holds this rule twice: leave one of them out")
            taken.add(name)
            found.append(one)
        except BadRequest as exc:
            faults.append({"number": number, "rule": str(fields.get("id") or fields.get("name") or "")[:100], "fault": exc.message})
    if faults:
        raise BadRequest(_summed_up(faults, len(given)), faults=faults)
    return found


class _Known(NamedTuple):
    """The rules of the hub."""

    by_id: Mapping[object, Rule]
    by_name: Mapping[object, Sequence[Rule]]

    def find(self, rule_id: object, name: object) -> Rule | None:
        if isinstance(rule_id, str) and rule_id in self.by_id:
            return self.by_id[rule_id]
        if rule_id and not (isinstance(rule_id, str) and is_id(rule_id)):
            raise BadRequest("this hub has no rule of this id: leave the id out to make a new rule", field="id")
        named = self.by_name.get(name, ()) if isinstance(name, str) else ()
        if len(named) > 1:
            raise BadRequest(f"{len(named)} rules of the hub have this name: give the id of one", field="name")
        return named[0] if named else None


def _by_name(rules: Sequence[Rule]) -> Mapping[object, Sequence[Rule]]:
    found: dict[object, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.name, []).append(rule)
    return found


def _planned(known: _Known, fields: Mapping[str, object], new_id: Callable[[], RuleId]) -> Planned:
    before = known.find(fields.get("id", ""), fields.get("name", ""))
    body = {name: value for name, value in fields.items() if name != "id"}
    if before is None:
        return Planned(None, checked_rule(rule_of(_read(body, RuleBody), new_id())))
    return Planned(before, checked_rule(patched(before, _read(body, RuleFields))))


def _read(body: Mapping[str, object], kind: type[B]) -> B:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as exc:
        raise BadRequest(f"it does not fit: {exc}") from None


def _summed_up(faults: Sequence[Mapping[str, object]], of: int) -> str:
    shown = [f"rule {fault['number']} ({fault['rule']}): {fault['fault']}" for fault in faults[:MOST_SHOWN]]
    more = f"; and {len(faults) - MOST_SHOWN} more" if len(faults) > MOST_SHOWN else ""
    return f"nothing was changed, since {len(faults)} of {of} rules cannot be taken: {'; '.join(shown)}{more}"
