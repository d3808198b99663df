"""`/api/v1/expectations`: events that nodes should report by a time, and whether they did."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Final, TypeVar

import msgspec

from groundcontrol.core.errors import BadRequest, NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.text import checked_name
from groundcontrol.events.catalogue import ROWS, event_type
from groundcontrol.nodes.store import NodeStore
from groundcontrol.schedules.deadlines import Deadline, Expectation, ExpectationId, JudgedDay, deadline
from groundcontrol.schedules.deadlines_store import ExpectationStore
from groundcontrol.schedules.deadlines_views import (
    DaysView,
    DayView,
    ExpectationBody,
    ExpectationPatch,
    ExpectationsView,
    ExpectationView,
    NodeDayView,
    SelectView,
)
from groundcontrol.schedules.selecting import VisibleNodes, checked_select
from groundcontrol.schedules.wall_clock import DAYS, local_date, ordered_days, time_of, zone_of
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import Parameter, Route
from spider.wire.events import CUSTOM
from spider.wire.ids import is_id, new_time_id

MAX_NAME_CHARS: Final = 80
MAX_GRACE_S: Final = 12 * 3600.0
MAX_DAYS: Final = 62
DAYS_SHOWN: Final = 28
MAX_NODES_OF_A_DAY: Final = 50
"""How many nodes a day lists. Its counts include all nodes."""
OF_SERVERS: Final = frozenset({"node", "host", "packages", "job", "deployment", "report"})
"""Groups of events that a server may cause."""
NEAR: Final = 0.8
"""A name with at least this similarity to a type (0 to 1) looks like a typing mistake."""
_EVENT: Final = re.compile(r"[a-z0-9_.-]{1,64}\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_UNMET: Final = ("missed", "late", "arrived_late")
"""The states whose nodes a day lists, worst first."""
T = TypeVar("T")


async def list_expectations(call: ApiRequest) -> ExpectationsView:
    """All expectations, by name."""
    call.query()
    visible = await VisibleNodes.of(call.services[NodeStore], call.scope)
    found = await call.services[ExpectationStore].all(call.scope)
    seen = ((one, visible.view(one.select)) for one in found)
    return ExpectationsView(expectations=[_view(one, select) for one, select in seen if select is not None])


async def create_expectation(call: ApiRequest, body: ExpectationBody) -> ExpectationView:
    """Expect an event of each selected node by a time of day. Deadlines count from the next window that begins."""
    now = call.services.clock.now()
    select = await checked_select(call.services[NodeStore], call.scope, body.select)
    made = Expectation(
        ExpectationId(new_time_id(now)), call.scope.org, checked_name(body.name, MAX_NAME_CHARS), select, body.event, body.by, body.zone,
        DAYS if body.days is None else ordered_days(body.days, "days"), body.start, body.grace_s, body.severity, now,
    )  # fmt: skip
    _check(made)
    await _check_event(call, made.event)
    return _whole_view(await call.services[ExpectationStore].create(call.scope, made))


async def edit_expectation(call: ApiRequest, body: ExpectationPatch) -> ExpectationView:
    """Change an expectation. After a change of its times, deadlines count from the next window that begins."""
    store = call.services[ExpectationStore]
    before = await store.get(call.scope, _id(call))
    after = before._replace(
        name=checked_name(_or(body.name, before.name), MAX_NAME_CHARS, before=before.name),
        select=before.select if body.select is msgspec.UNSET else await checked_select(call.services[NodeStore], call.scope, body.select),
        event=_or(body.event, before.event),
        start=_or(body.start, before.start),
        by=_or(body.by, before.by),
        zone=_or(body.zone, before.zone),
        days=before.days if body.days is msgspec.UNSET else ordered_days(body.days, "days"),
        grace_s=_or(body.grace_s, before.grace_s),
        level=_or(body.severity, before.level),
    )
    _check(after)
    if after == before:
        return _whole_view(before)
    if after.event != before.event:
        await _check_event(call, after.event)
    if _times(after) != _times(before):
        after = after._replace(valid_from=call.services.clock.now())
    return _whole_view(await store.save(call.scope, after))


async def delete_expectation(call: ApiRequest) -> None:
    """Delete an expectation with its calendar."""
    store = call.services[ExpectationStore]
    await store.delete(call.scope, (await store.get(call.scope, _id(call))).id)


async def list_days(call: ApiRequest) -> DaysView:
    """The calendar of an expectation: the judgement of each deadline, newest first."""
    query = call.query("from", "to", "node")
    scope, store = call.scope, call.services[ExpectationStore]
    one = await store.get(scope, _id(call))
    if (await VisibleNodes.of(call.services[NodeStore], scope)).view(one.select) is None:
        raise NotFound("there is no such expectation")
    node = query.get("node")
    if node is not None and not is_id(node):
        raise BadRequest("the parameter node is not an id")
    last = _date(query.get("to"), "to") or local_date(zone_of(one.zone), call.services.clock.now())
    first = _date(query.get("from"), "from") or last - timedelta(days=DAYS_SHOWN - 1)
    if not 0 <= (last - first).days < MAX_DAYS:
        raise BadRequest(f"the parameters from and to span 1 to {MAX_DAYS} days")
    judged: dict[date, list[JudgedDay]] = {}
    for day in await store.judged_days(scope, one.id, first, last, None if node is None else NodeId(node)):
        judged.setdefault(day.date, []).append(day)
    dates = (last - timedelta(days=back) for back in range((last - first).days + 1))
    days = ((_deadline_of(one, when, judged.get(when, [])), judged.get(when, [])) for when in dates)
    return DaysView(days=[_day_view(due, rows, whole=node is not None) for due, rows in days if due is not None])


def _deadline_of(one: Expectation, when: date, judged: Sequence[JudgedDay]) -> Deadline | None:
    """The judged deadline of a date, or without a judgement the present one; None: there is none.

    The start of a window is not stored, so it is derived from the present times.
    """
    present = deadline(one, when)
    if not judged:
        return present
    last = max(judged, key=lambda day: day.judged_at)
    daily = present or deadline(one._replace(days=DAYS), when)
    start_at = last.by_at if daily is None else min(daily.start_at, last.by_at)
    return Deadline(when, start_at, last.by_at, last.due_at)


def _id(call: ApiRequest) -> ExpectationId:
    text = call.request.match_info["id"]
    if not is_id(text):
        raise NotFound("there is no such expectation")
    return ExpectationId(text)


def _or(value: T | msgspec.UnsetType, before: T) -> T:
    return before if isinstance(value, msgspec.UnsetType) else value


def _date(text: str | None, name: str) -> date | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text if _DATE.match(text) else "")
    except ValueError:
        raise BadRequest(f"the parameter {name} is not a date such as 2026-11-20") from None
    if not 1980 <= found.year <= 2200:
        raise BadRequest(f"the parameter {name} is a date from 1980 to 2200")
    return found


def _check(one: Expectation) -> None:
    """Check the fields of an expectation but its name, event and nodes. Raises: BadRequest."""
    if not _EVENT.match(one.event):
        raise BadRequest("event: a type of event, or the name of a custom one: 1 to 64 of a-z, 0-9, _ . -", field="event")
    zone_of(one.zone)
    time_of(one.by, "by")
    time_of(one.start, "from")
    if not 0 <= one.grace_s <= MAX_GRACE_S:
        raise BadRequest(f"grace_s: 0 to {MAX_GRACE_S:.0f} seconds", field="grace_s")


async def _check_event(call: ApiRequest, name: str) -> None:
    """Check that servers may report this event. Another name is that of a custom event, unless it looks like a typing mistake.

    Raises: BadRequest.
    """
    if (row := event_type(name)) is not None:
        if row.group not in OF_SERVERS or name == CUSTOM:
            hint = "give the name of the custom event itself" if name == CUSTOM else "choose one that a server or a program on it causes"
            raise BadRequest(f"event: no server reports {name}; {hint}", field="event")
        return
    known = [row.name for row in ROWS if row.group in OF_SERVERS]
    near = get_close_matches(name, known, 1, NEAR)
    if near and not await call.services[ExpectationStore].was_reported(call.scope, name):
        raise BadRequest(
            f"event: there is no event {name}; did you mean {near[0]}? If it is the name of a custom event, report it once first",
            field="event",
        )


def _times(one: Expectation) -> tuple[object, ...]:
    return one.event, one.start, one.by, one.zone, one.days, one.grace_s


def _whole_view(one: Expectation) -> ExpectationView:
    return _view(one, SelectView(all=one.select.all, tags=list(one.select.tags), nodes=list(one.select.nodes)))


def _view(one: Expectation, select: SelectView) -> ExpectationView:
    return ExpectationView(
        id=one.id, name=one.name, select=select, event=one.event, start=one.start, by=one.by, zone=one.zone, days=list(one.days),
        grace_s=one.grace_s, severity=one.level,
    )  # fmt: skip


def _day_view(due: Deadline, judged: list[JudgedDay], *, whole: bool) -> DayView:
    states = [one.state for one in judged]
    named = judged if whole else sorted((one for one in judged if one.state in _UNMET), key=lambda one: _UNMET.index(one.state))
    return DayView(
        date=due.date.isoformat(),
        start_at=due.start_at,
        by_at=due.by_at,
        due_at=due.due_at,
        met=states.count("met"),
        arrived_late=states.count("arrived_late"),
        late=states.count("late"),
        missed=states.count("missed"),
        not_judged=states.count("not_judged"),
        nodes=[_node_view(one) for one in named[:MAX_NODES_OF_A_DAY]],
    )


def _node_view(one: JudgedDay) -> NodeDayView:
    report = one.report
    return NodeDayView(
        node_id=one.node,
        state=one.state,
        at=None if report is None else report.at,
        received_at=None if report is None else report.received_at,
        late_s=None if report is None else max(0.0, report.at - one.by_at),
    )


EXPECTATION_ROUTES: Final = (
    Route("GET", "/expectations", "alert.read", list_expectations, cost="page"),
    Route("POST", "/expectations", "alert.manage", create_expectation, status=201, step_up=True, cost="scan"),
    Route("PATCH", "/expectations/{id}", "alert.manage", edit_expectation, step_up=True, cost="scan"),
    Route("DELETE", "/expectations/{id}", "alert.manage", delete_expectation, status=204, step_up=True),
    Route(
        "GET", "/expectations/{id}/days", "alert.read", list_days, cost="scan",
        query=(
            Parameter("from", "the first date, such as 2026-11-01; without it 27 days before `to`"),
            Parameter("to", "the last date; without it today, in the zone of the expectation"),
            Parameter("node", "only this node, including deadlines that it met"),
        ),
    ),
)  # fmt: skip
