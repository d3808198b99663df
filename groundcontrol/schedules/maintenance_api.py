"""`/api/v1/maintenance`: windows in which alerts are shown but not sent."""

from __future__ import annotations

from typing import Final

from groundcontrol.core.errors import BadRequest, Forbidden, NotFound
from groundcontrol.core.text import is_visible
from groundcontrol.nodes.store import NodeStore
from groundcontrol.schedules.deadlines_views import MaintenanceBody, MaintenancesView, MaintenanceView, SelectView, WeeklyView
from groundcontrol.schedules.maintenance import Weekly, Window, occurrence, open_s
from groundcontrol.schedules.maintenance_store import MaintenanceStore
from groundcontrol.schedules.model import MaintenanceId
from groundcontrol.schedules.selecting import VisibleNodes, check_select, checked_select
from groundcontrol.schedules.wall_clock import ordered_days, time_of, zone_of
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import Route
from spider.wire.ids import is_id, new_time_id

MAX_REASON_CHARS: Final = 200
LONGEST_S: Final = 90 * 86_400.0
"""The limit of a single window, so that a forgotten one does not silence a node for ever."""
LONGEST_OF_ALL_S: Final = 7 * 86_400.0
"""The limit of a single window that selects all servers."""
FARTHEST_S: Final = 366 * 86_400.0
"""How far ahead a window may begin, and the limit of a weekly window."""
MOST_OF_WEEK_S: Final = 84 * 3600.0
"""How long a weekly window may be open in a week: half of it."""
TOKEN_S: Final = 86_400.0
"""The latest end of a window of an API token, from now on. So windows of a stolen token silence nothing for more than a day."""


async def list_maintenance(call: ApiRequest) -> MaintenancesView:
    """Future and open windows, and those of the last week. Windows of jobs and deployments are included."""
    call.query()
    windows = await call.services[MaintenanceStore].windows(call.scope)
    visible = await VisibleNodes.of(call.services[NodeStore], call.scope)
    now = call.services.clock.now()
    seen = ((window, visible.view(window.select)) for window in windows)
    return MaintenancesView(maintenance=[_view(window, select, now) for window, select in seen if select is not None])


async def create_maintenance(call: ApiRequest, body: MaintenanceBody) -> MaintenanceView:
    """Plan a window, or open one now."""
    now = call.services.clock.now()
    reason = body.reason.strip()
    if len(reason) > MAX_REASON_CHARS or not is_visible(reason):
        raise BadRequest(f"reason: at most {MAX_REASON_CHARS} visible characters", field="reason")
    weekly, zone = _weekly(body)
    from_at = now if body.from_at is None else body.from_at
    until_at = max(from_at, now) + FARTHEST_S if body.until_at is None and weekly is not None else body.until_at
    _check_times(from_at, until_at, now, FARTHEST_S if weekly is not None else LONGEST_OF_ALL_S if body.select.all else LONGEST_S)
    if call.scope.actor.kind == "token":
        _check_token(body, until_at, now)
    select = await checked_select(call.services[NodeStore], call.scope, body.select)
    window = Window(
        MaintenanceId(new_time_id(now)), call.scope.org, select, from_at, until_at, reason, "user", call.scope.actor.name, now,
        weekly, zone,
    )  # fmt: skip
    if occurrence(window, now) is None:
        raise BadRequest("weekly: no such time comes before until_at", field="weekly")
    made = await call.services[MaintenanceStore].create_window(call.scope, window)
    return _view(made, SelectView(all=select.all, tags=list(select.tags), nodes=list(select.nodes)), now)


async def end_maintenance(call: ApiRequest) -> None:
    """End an open window, or cancel a future one."""
    store, nodes = call.services[MaintenanceStore], call.services[NodeStore]
    name = call.request.match_info["id"]
    if not is_id(name):
        raise NotFound("there is no such maintenance window")
    window = await store.window(call.scope, MaintenanceId(name))
    if (await VisibleNodes.of(nodes, call.scope)).view(window.select) is None:
        raise NotFound("there is no such maintenance window")
    if call.scope.grants:
        await check_select(nodes, call.scope, window.select)
    await store.end_window(call.scope, window.id)


def _check_times(from_at: float, until_at: float | None, now: float, longest_s: float) -> None:
    """Check the times of a window. Raises: BadRequest."""
    if abs(from_at - now) > FARTHEST_S:
        raise BadRequest("from_at: Unix seconds of a time within a year", field="from_at")
    if until_at is None:
        raise BadRequest("until_at: say when the window ends, or give weekly", field="until_at")
    if until_at <= max(from_at, now):
        raise BadRequest("until_at: the end must be after the start, and still to come", field="until_at")
    if until_at - max(from_at, now) > longest_s:
        shorter = "; for longer name tags or nodes" if longest_s == LONGEST_OF_ALL_S else ""
        raise BadRequest(f"until_at: at most {longest_s / 86_400:.0f} days after the start{shorter}", field="until_at")


def _check_token(body: MaintenanceBody, until_at: float | None, now: float) -> None:
    """Raises: Forbidden: an API token may not open this window."""
    if body.select.all or body.weekly is not None or until_at is None or until_at > now + TOKEN_S:
        raise Forbidden(
            "an API token opens single windows that end within 24 hours, for tags or nodes: log in to the page for every server,"
            " for weekly windows and for longer ones"
        )


def _weekly(body: MaintenanceBody) -> tuple[Weekly | None, str]:
    """The weekly times and the zone of a window; (None, "") for a single window. Raises: BadRequest."""
    if body.weekly is None:
        if body.zone is not None:
            raise BadRequest("zone: only a weekly window has a zone", field="zone")
        return None, ""
    if body.zone is None:
        raise BadRequest("zone: say in which time zone the weekly times are, such as Europe/Budapest", field="zone")
    zone_of(body.zone)
    weekly = Weekly(ordered_days(body.weekly.days, "weekly.days"), body.weekly.start, body.weekly.end)
    time_of(weekly.start, "weekly.start")
    time_of(weekly.end, "weekly.end")
    if weekly.start == weekly.end:
        raise BadRequest("weekly.end: a window must end at another time than it starts", field="weekly.end")
    if open_s(weekly) > MOST_OF_WEEK_S:
        raise BadRequest(f"weekly: open for at most {MOST_OF_WEEK_S / 3600:.0f} hours of a week: name fewer days or hours", field="weekly")
    return weekly, body.zone


def _view(window: Window, select: SelectView, now: float) -> MaintenanceView:
    times = occurrence(window, now)
    weekly = window.weekly
    return MaintenanceView(
        id=window.id,
        select=select,
        from_at=window.from_at,
        until_at=window.until_at,
        reason=window.reason,
        weekly=None if weekly is None else WeeklyView(days=list(weekly.days), start=weekly.start, end=weekly.end),
        zone=window.zone or None,
        origin=window.origin,
        created_by=window.created_by,
        created_at=window.created_at,
        closed_at=window.closed_at,
        active=times is not None and times[0] <= now,
        next_from_at=None if times is None else times[0],
        next_until_at=None if times is None else times[1],
    )


MAINTENANCE_ROUTES: Final = (
    Route("GET", "/maintenance", "alert.read", list_maintenance, cost="page"),
    Route("POST", "/maintenance", "maintenance.manage", create_maintenance, status=201, cost="scan"),
    Route("DELETE", "/maintenance/{id}", "maintenance.manage", end_maintenance, status=204),
)
