"""Windows in which patching is allowed, and freezes in which nothing is upgraded or rebooted. Pure.

Allowed = the occurrence of the policy, within the allow windows of the node, outside its freezes. A node without an allow window is
allowed at every time. A window that a person opens now adds to the allow windows, and binds nothing once it is over. Windows bind
roll-outs; a freeze also binds planned verbs and reboots that a person orders.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple, NewType

from groundcontrol.core.ids import NodeId
from groundcontrol.core.records import Record
from groundcontrol.policies.calendar import OF_NODE, Times, ZoneUnknown, current, spans
from groundcontrol.schedules.model import Selector

WindowId = NewType("WindowId", str)
Kind = Literal["allow", "freeze", "open"]
"""`open`: for a limited time a person opened it now, in addition to the allow windows of the nodes."""


class PatchWindow(NamedTuple):
    """One window or freeze."""

    id: WindowId
    org: int
    name: str
    kind: Kind
    select: Selector
    times: Times
    reason: str = ""
    by: str = ""
    """Who began it now; empty: it has times of its own."""
    version: int = 1


PATCH_WINDOWS: Final = Record(
    model=PatchWindow,
    table="patch_window",
    noun="patch_window",
    edited=("name", "kind", "select", "times", "reason"),
    audited={"name": "name", "kind": "kind", "reason": "reason"},
    body="spec",
    columns={"name": "name"},
    unique="name",
    order="name",
    most=500,
    changed="patch_window",
    complete=True,  # without a damaged freeze, nodes would be touched that must not be
)


class Place(NamedTuple):
    """What decides which windows and times apply to a node."""

    node: NodeId
    tags: tuple[str, ...]
    zone: str
    """The time zone of the node; empty: not known."""


class Open(NamedTuple):
    """A node may be touched now."""

    until_at: float | None
    """None: no end is in sight."""


class Shut(NamedTuple):
    """A node may not be touched now."""

    why: Literal["frozen", "window", "zone_unknown"]
    name: str
    """Of the freeze, or of the next allow window; empty: there is none."""
    until_at: float | None
    """When that ends, as far as it is known."""


def frozen(windows: Iterable[PatchWindow], place: Place, now: float) -> Shut | None:
    """The freeze that lasts longest; None: the node is not frozen. Where a freeze cannot be computed, the node counts as frozen."""
    found: Shut | None = None
    for one in _of(windows, place, "freeze"):
        try:
            span = current(one.times, now, _zone(one, place))
        except ZoneUnknown:
            return Shut("zone_unknown", one.name, None)
        if span is not None and (found is None or (found.until_at is not None and span.until_at > found.until_at)):
            found = Shut("frozen", one.name, None if span.until_at == math.inf else span.until_at)
    return found


def allowed(windows: Sequence[PatchWindow], place: Place, now: float) -> Open | Shut:
    """Whether windows and freezes let this node be touched now, and until when."""
    freeze = frozen(windows, place, now)
    if freeze is not None:
        return freeze
    allows = list(_of(windows, place, "allow"))
    try:
        opens = _of(windows, place, "open") if allows else ()
        ends = [span.until_at for one in (*allows, *opens) if (span := current(one.times, now, _zone(one, place))) is not None]
        if allows and not ends:
            nexts = [
                (span.from_at, one.name) for one in allows if (span := next(spans(one.times, now, _zone(one, place)), None)) is not None
            ]
            at, name = min(nexts, default=(None, allows[0].name))
            return Shut("window", name, at)
        freezes = [span.from_at for one in _of(windows, place, "freeze") if (span := next(spans(one.times, now, _zone(one, place)), None))]
    except ZoneUnknown:
        return Shut("zone_unknown", "", None)
    until = min([*([max(ends)] if ends else []), *freezes], default=None)
    return Open(until)


def _of(windows: Iterable[PatchWindow], place: Place, kind: Kind) -> Iterable[PatchWindow]:
    return (one for one in windows if one.kind == kind and one.select.selects(place.node, place.tags))


def _zone(one: PatchWindow, place: Place) -> str | None:
    return place.zone if one.times.zone == OF_NODE else None
