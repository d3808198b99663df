"""Turns bodies into patch policies and windows, and these into answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from groundcontrol.core.errors import BadRequest, Conflict
from groundcontrol.core.ids import NodeId
from groundcontrol.core.text import checked_reason
from groundcontrol.nodes.model import Node
from groundcontrol.policies.calendar import (
    MOMENT_S,
    OF_NODE,
    EveryWeeks,
    Monthly,
    Times,
    When,
    ZoneUnknown,
    check_times,
    current,
    range_words,
    span_on,
    spans,
)
from groundcontrol.policies.model import (
    ActionStep,
    MinAge,
    NeedsEvent,
    OccurrenceState,
    Order,
    PatchPolicy,
    PolicyId,
    PolicySelect,
    Probe,
)
from groundcontrol.policies.views import (
    ActionBody,
    AgeBody,
    EveryWeeksBody,
    MonthlyBody,
    NeedsEventBody,
    NotSelect,
    NowBody,
    OrderBody,
    PatchPolicyBody,
    PatchPolicyPatch,
    PatchPolicyView,
    PatchSelect,
    ProbeBody,
    WhenBody,
    WindowBody,
    WindowPatch,
    WindowView,
)
from groundcontrol.policies.windows import PatchWindow, WindowId
from groundcontrol.schedules.model import Selector
from groundcontrol.schedules.selecting import VisibleNodes
from groundcontrol.schedules.wall_clock import ordered_days

MOST_OPEN_S: Final = 86_400


def select_of(body: PatchSelect) -> PolicySelect:
    nodes = tuple(NodeId(one) for one in dict.fromkeys(body.nodes))
    without = body.without
    return PolicySelect(
        Selector(body.all, tuple(dict.fromkeys(body.tags)), nodes),
        tuple(dict.fromkeys(without.tags)),
        tuple(NodeId(one) for one in dict.fromkeys(without.nodes)),
    )


def select_view(one: PolicySelect) -> PatchSelect:
    select = one.select
    return PatchSelect(
        all=select.all, tags=list(select.tags), nodes=list(select.nodes), without=NotSelect(list(one.not_tags), list(one.not_nodes))
    )


def visible_select(visible: VisibleNodes, select: PolicySelect) -> PatchSelect | None:
    """The part of a selection that the caller may see; None: nothing of it."""
    view = visible.view(select.select)
    if view is None or not visible.any_of(select.selects):
        return None
    whole = select_view(select)
    without = visible.view(select.select._replace(all=False, tags=select.not_tags, nodes=select.not_nodes))
    whole.all, whole.tags, whole.nodes = view.all, view.tags, view.nodes
    whole.without.tags, whole.without.nodes = ([], []) if without is None else (without.tags, without.nodes)
    return whole


def when_of(body: WhenBody) -> When:
    """Raises: BadRequest: a list of days is empty."""
    return When(
        weekly=() if body.weekly is None else ordered_days(body.weekly, "weekly"),
        monthly=None if body.monthly is None else Monthly(body.monthly.nth, body.monthly.day),
        every_weeks=None
        if body.every_weeks is None
        else EveryWeeks(body.every_weeks.weeks, ordered_days(body.every_weeks.days, "every_weeks.days"), body.every_weeks.since),
        once=body.once or "",
    )


def when_view(when: When) -> WhenBody:
    every = when.every_weeks
    return WhenBody(
        weekly=list(when.weekly) or None,
        monthly=None if when.monthly is None else MonthlyBody(when.monthly.nth, when.monthly.day),
        every_weeks=None if every is None else EveryWeeksBody(every.weeks, list(every.days), every.since),
        once=when.once or None,
    )


def policy_of(body: PatchPolicyBody, policy_id: PolicyId, org: int) -> PatchPolicy:
    """A policy without an owner. Raises: BadRequest."""
    need = body.needs_event
    return PatchPolicy(
        id=policy_id,
        org=org,
        name=body.name.strip(),
        select=select_of(body.select),
        times=Times(when_of(body.when), body.start, body.length_s, body.zone),
        enabled=body.enabled,
        what=body.what,
        leave_out=tuple(dict.fromkeys(body.leave_out)),
        only=tuple(dict.fromkeys(body.only)),
        kernel=body.kernel,
        min_age=MinAge(body.min_age_days.security, body.min_age_days.other),
        order=Order(body.order.canary, body.order.percent, body.order.at_once, tuple(body.order.groups)),
        max_failed=body.max_failed,
        role_tags=tuple(dict.fromkeys(body.role_tags)),
        before=tuple(ActionStep(one.name, one.timeout_s, one.must_succeed) for one in body.before),
        after=tuple(ActionStep(one.name, one.timeout_s, one.must_succeed) for one in body.after),
        needs_event=None if need is None else NeedsEvent(need.type, need.within_s),
        probes=tuple(Probe(one.kind, one.target) for one in body.probes),
        gates=body.gates,
        watch_s=body.watch_s,
        reboot=body.reboot,
        max_per_role=body.max_per_role,
        approval=body.approval,
        notice_h=body.notice_h,
        report=tuple(dict.fromkeys(body.report)),
        hub_missed=body.hub_missed,
        node_missed=body.node_missed,
    )


def body_of(one: PatchPolicy) -> PatchPolicyBody:
    """The body that makes an equal policy."""
    need, order = one.needs_event, one.order
    return PatchPolicyBody(
        name=one.name,
        select=select_view(one.select),
        when=when_view(one.times.when),
        start=one.times.start,
        length_s=one.times.length_s,
        zone=one.times.zone,
        enabled=one.enabled,
        what=one.what,
        leave_out=list(one.leave_out),
        only=list(one.only),
        kernel=one.kernel,
        min_age_days=AgeBody(one.min_age.security, one.min_age.other),
        order=OrderBody(order.canary, order.percent, order.at_once, list(order.groups)),
        max_failed=one.max_failed,
        role_tags=list(one.role_tags),
        before=[ActionBody(*step) for step in one.before],
        after=[ActionBody(*step) for step in one.after],
        needs_event=None if need is None else NeedsEventBody(need.type, need.within_s),
        probes=[ProbeBody(*probe) for probe in one.probes],
        gates=one.gates,
        watch_s=one.watch_s,
        reboot=one.reboot,
        max_per_role=one.max_per_role,
        approval=one.approval,
        notice_h=one.notice_h,
        report=list(one.report),
        hub_missed=one.hub_missed,
        node_missed=one.node_missed,
    )


def with_fields(before: PatchPolicy, fields: Mapping[str, object]) -> PatchPolicyBody:
    """The body of a policy with some fields replaced, as JSON values.

    Raises: BadRequest: a field is unknown or does not fit.
    """
    merged = {**msgspec.to_builtins(body_of(before)), **fields}
    try:
        return msgspec.convert(merged, PatchPolicyBody)
    except msgspec.ValidationError as exc:
        raise BadRequest(f"it does not fit: {exc}") from None


def patched(before: PatchPolicy, patch: PatchPolicyPatch) -> PatchPolicyBody:
    """Raises: BadRequest."""
    fields: dict[str, object] = msgspec.to_builtins(patch)
    return with_fields(before, {name: value for name, value in fields.items() if name not in ("version", "take_over")})


NEAR_S: Final = 3 * 86_400.0
"""Stored occurrences that began longer ago begin for no node any more, whatever its zone."""
Decided = Mapping[PolicyId, Mapping[float, OccurrenceState]]
"""Policy -> time of an occurrence -> its state, as far as it is stored."""


class NextTimes:
    """When the next occurrences of patch policies begin that nobody has skipped."""

    def __init__(self, now: float, decided: Decided) -> None:
        self._now, self._decided = now, decided
        self._found: dict[tuple[PolicyId, str | None], float | None] = {}
        """Of a policy and a zone of nodes: a fleet has few zones, and many nodes in each."""

    def of_policy(self, one: PatchPolicy, node_zone: str | None = None) -> float | None:
        """The next one of a policy; None: never, or nobody knows.

        Args:
            node_zone: for times in the zone of the node: that zone. None: the first zone on Earth in which the date begins.
        """
        key = one.id, node_zone if one.times.zone == OF_NODE else None
        if key not in self._found:
            self._found[key] = self._next(one, key[1])
        return self._found[key]

    def of_node(self, policies: Iterable[PatchPolicy], node: Node) -> float | None:
        """When the first of these policies touches a node; None: none does."""
        if node.never_why:
            return None
        found = (self.of_policy(one, node.identity.timezone) for one in policies)
        return min((at for at in found if at is not None), default=None)

    def why_none(self, policies: Iterable[PatchPolicy], node: Node) -> str:
        """Why `of_node` finds no time: a reason for each of these policies. Empty: the node itself bars schedules."""
        if node.never_why:
            return ""
        return "; ".join(f"{one.name} {self._why_none(one, node.identity.timezone)}" for one in policies)

    def _why_none(self, one: PatchPolicy, node_zone: str | None) -> str:
        if one.paused:
            return "is paused"
        try:
            next(spans(one.times, self._now, node_zone), None)
        except ZoneUnknown:
            return f"has a time zone that is not known{': that of the server' if one.times.zone == OF_NODE else ''}"
        return "has no date left"

    def _next(self, one: PatchPolicy, node_zone: str | None) -> float | None:
        if not one.fires:
            return None
        states = self._decided.get(one.id, {})
        try:
            for span in spans(one.times, self._now, node_zone):
                due = span.from_at if node_zone is None else span_on(one.times, span.date).from_at
                state = states.get(due, "planned")
                if state == "started" or (due > one.considered_at and state in ("planned", "waiting_approval")):
                    return span.from_at
        except ZoneUnknown:
            return None
        return None


def policy_view(one: PatchPolicy, select: PatchSelect, times: NextTimes, *, whole: bool = True) -> PatchPolicyView:
    """Args: select: the part of the selection that the caller may see. whole: whether their rights cover all of it."""
    fields = msgspec.structs.asdict(body_of(one)) | {"select": select}
    return PatchPolicyView(
        id=one.id, owner=one.owner, paused=one.paused, next_at=times.of_policy(one), whole=whole, version=one.version, **fields
    )


def window_of(body: WindowBody, window_id: WindowId, org: int) -> PatchWindow:
    """Raises: BadRequest."""
    when = when_of(WhenBody(body.weekly, body.monthly, body.every_weeks, body.once))
    select = select_of(body.select)
    if select.not_tags or select.not_nodes:
        raise BadRequest("select.not: a window has none; name the nodes that it is for", field="select")
    return PatchWindow(window_id, org, body.name.strip(), body.kind, select.select, Times(when, body.start, body.length_s, body.zone))


def window_body(one: PatchWindow) -> WindowBody:
    """The body that makes an equal window. Raises: Conflict: a person began it now, so it has no times to edit."""
    if one.kind == "open" or one.times.when.at:
        raise Conflict("a person began this for now, so it has no times to change: end it, and begin another")
    when = when_view(one.times.when)
    return WindowBody(
        name=one.name, kind=one.kind, select=select_view(PolicySelect(one.select)), start=one.times.start, length_s=one.times.length_s,
        zone=one.times.zone, weekly=when.weekly, monthly=when.monthly, every_weeks=when.every_weeks, once=when.once,
    )  # fmt: skip


_KINDS = ("weekly", "monthly", "every_weeks", "once")


def patched_window(before: PatchWindow, patch: WindowPatch) -> PatchWindow:
    """Raises: BadRequest."""
    fields: dict[str, object] = msgspec.to_builtins(patch)
    del fields["version"]
    whole = msgspec.to_builtins(window_body(before))
    if any(name in fields for name in _KINDS):
        whole |= dict.fromkeys(_KINDS)
    try:
        body = msgspec.convert({**whole, **fields}, WindowBody)
    except msgspec.ValidationError as exc:
        raise BadRequest(f"it does not fit: {exc}") from None
    return window_of(body, before.id, before.org)._replace(version=before.version)


def now_window_of(body: NowBody, window_id: WindowId, org: int, by: str, now: float) -> PatchWindow:
    """What a person begins now. Raises: BadRequest."""
    reason = checked_reason(body.reason)
    select = select_of(body.select)
    if select.not_tags or select.not_nodes:
        raise BadRequest("select.not: name the nodes that it is for", field="select")
    times = Times(When(at=now), "", body.length_s, "")
    check_times(times, shortest_s=MOMENT_S)
    if body.kind == "open" and not 0 < body.length_s <= MOST_OPEN_S:
        raise BadRequest(f"length_s: {range_words(MOMENT_S, MOST_OPEN_S)}: what is opened by hand closes by itself", field="length_s")
    word = "freeze" if body.kind == "freeze" else "opened"
    name = f"{word} by {by[:40]} {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return PatchWindow(window_id, org, name, body.kind, select.select, times, reason, by)


def window_view(one: PatchWindow, select: PatchSelect, now: float) -> WindowView:
    try:
        is_open = current(one.times, now) is not None
        upcoming = next(spans(one.times, now), None)
    except ZoneUnknown:  # this machine no longer has the zone
        is_open, upcoming = one.kind == "freeze", None
    when, began_at, length_s = when_view(one.times.when), one.times.when.at or None, one.times.length_s
    return WindowView(
        id=one.id, name=one.name, kind=one.kind, select=select, start=one.times.start, length_s=length_s, zone=one.times.zone, weekly=when.weekly,
        monthly=when.monthly, every_weeks=when.every_weeks, once=when.once, open=is_open, next_at=None if upcoming is None else upcoming.from_at,
        began_at=began_at, until_at=began_at + length_s if began_at and length_s else None, by=one.by, reason=one.reason, version=one.version,
    )  # fmt: skip
