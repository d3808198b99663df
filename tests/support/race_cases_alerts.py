"""Commands about alerts: preconditions, call and result of each (`race_cases.py`)."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId, Rule, RuleId, Threshold
from groundcontrol.alerts.snapshot import Snapshot
from groundcontrol.alerts.store import AlertChange, Handling
from groundcontrol.core.errors import Conflict
from groundcontrol.core.ids import NodeId
from groundcontrol.events.making import new_event
from groundcontrol.schedules.deadlines import Expectation, ExpectationId, JudgedDay
from groundcontrol.schedules.maintenance import MOST_WINDOWS, Window
from groundcontrol.schedules.model import MaintenanceId, Selector
from groundcontrol.schedules.silence import KnownNode
from groundcontrol.schedules.wall_clock import DAYS
from spider.wire.ids import new_time_id
from tests.support.factories import SCOPE, connect, running_job
from tests.support.race_cases import CALLERS, Cases, Ground, Race, Rivals

CASES = Cases()


def a_window(now: float, select: Selector | None = None, reason: str = "") -> Window:
    return Window(MaintenanceId(new_time_id(now)), 1, select or Selector(all=True), now, now + 3600, reason, "user", "local:1000", now)


def an_expectation(now: float, select: Selector | None = None, name: str = "") -> Expectation:
    """A backup of each day by 05:00 UTC; windows that begin before `now` are not judged."""
    made = ExpectationId(new_time_id(now))
    return Expectation(made, 1, name or made, select or Selector(all=True), "backup_completed", "05:00", "UTC", DAYS, valid_from=now)


def an_alert(now: float, node: NodeId | None, **fields: Any) -> tuple[Alert, Incident]:
    """A firing episode, and its incident."""
    incident = Incident(IncidentId(new_time_id(now)), 1, "warning", "open", "web-3: CPU", now, None, f"node:{node}", 1)
    alert = Alert(
        AlertId(new_time_id(now)), 1, RuleId("cpu.load"), node, "", "warning", "firing", now, now, None, None, 5.0, 4.0, incident.id
    )
    return alert._replace(**fields), incident


def a_rule(now: float, name: str = "") -> Rule:
    made = RuleId(new_time_id(now))
    return Rule(made, name or made, "avg(cpu.total, 10m)", Selector(all=True), warn=Threshold(90, 80), kind="rule", version=0)


# -- alerts ------------------------------------------------------------------------------------------------


async def _firing(ground: Ground) -> Alert:
    alert, incident = an_alert(ground.now, (await ground.node()).id)
    await ground.store.alerts.commit(AlertChange([alert], [incident]))
    return alert


async def _events_of(ground: Ground) -> list[str]:
    return sorted(event.type for event in (await ground.store.log.events(SCOPE, 50)).items if event.type.startswith("alert_"))


@CASES.of("alerts.commit")
async def _commit(ground: Ground) -> Race:
    """State, event and incident together, once."""
    alert, incident = an_alert(ground.now, (await ground.node()).id)
    fired = new_event("alert_firing", ground.now, {"alert": alert.id, "rule": "cpu.load"}, node=alert.node_id, name="web-3", org=1)

    async def held() -> object:
        return (*map(list, await ground.store.alerts.open_alerts(1)), await _events_of(ground))

    return Race(
        lambda: ground.store.alerts.commit(AlertChange([alert], [incident], [fired])), held, ([alert], [incident], ["alert_firing"])
    )


@CASES.of("alerts.handle")
async def _handle(ground: Ground) -> Race:
    store, alert = ground.store.alerts, await _firing(ground)

    async def held() -> object:
        stored = await store.alert(SCOPE, alert.id)
        return stored.acknowledged_by, stored.note, await _events_of(ground)

    return Race(
        lambda: store.handle(SCOPE, [alert.id], Handling(acknowledge=True, note="mine")),
        held,
        (SCOPE.actor.name, "mine", ["alert_acknowledged"]),
        ("alert.acknowledge",),
    )


@CASES.of("alerts.save_engine")
async def _save_engine(ground: Ground) -> Race:
    store, snapshot = ground.store.alerts, Snapshot(ground.now)
    return Race(lambda: store.save_engine(1, snapshot), lambda: store.engine(1), snapshot)


CASES.of_record("rules", "rule", a_rule, lambda rule, at: rule._replace(for_s=float(at + 1)), ("create", "change", "delete"))


@CASES.of("alerts.expire_alerts")
async def _expire_alerts(ground: Ground) -> Race:
    store, alert = ground.store.alerts, await _firing(ground)
    incident = await store.incident(SCOPE, alert.incident_id)
    ended = alert._replace(state="resolved", resolved_at=ground.now, reason="cleared")
    await store.commit(AlertChange([ended], [incident._replace(state="resolved", resolved_at=ground.now)]))

    async def held() -> object:
        return list((await store.alerts(SCOPE, 10)).items), list((await store.incidents(SCOPE, 10)).items)

    return Race(lambda: store.expire_alerts(ground.now + 1), held, ([], []), alone=(1, 0))


# -- maintenance -------------------------------------------------------------------------------------------


@CASES.of("maintenance.create_window")
async def _create_window(ground: Ground) -> Race:
    """Twenty want the last window that there is room for."""
    store, made = ground.store.maintenance, a_window(ground.now)
    await asyncio.gather(*(store.create_window(SCOPE, a_window(ground.now)) for _ in range(MOST_WINDOWS - 1)))
    rivals = [a_window(ground.now, reason=f"{at}") for at in range(CALLERS)]

    async def held() -> object:
        return {window for window in await store.windows(SCOPE) if window in (made, *rivals)}

    return Race(
        lambda: store.create_window(SCOPE, made),
        held,
        {made},
        ("maintenance.create",),
        rivals=Rivals("one", lambda at: store.create_window(SCOPE, rivals[at]), lambda at: {rivals[at]}, Conflict),
    )


@CASES.of("maintenance.end_window")
async def _end_window(ground: Ground) -> Race:
    store = ground.store.maintenance
    window = await store.create_window(SCOPE, a_window(ground.now))

    async def held() -> object:
        return (await store.window(SCOPE, window.id)).closed_at, await store.open_windows()

    return Race(lambda: store.end_window(SCOPE, window.id), held, (ground.now, []), ("maintenance.end",))


@CASES.of("maintenance.end_automatic")
async def _end_automatic(ground: Ground) -> Race:
    store = ground.store.maintenance
    await running_job(ground.store, ground.now)
    (one,) = await store.automatic()

    async def held() -> object:
        events = await ground.store.log.events(SCOPE, 10)
        return await store.automatic(), [event.type for event in events.items if event.type == "maintenance_overran"]

    return Race(
        lambda: store.end_automatic(1, one.window.id, ended_at=None, overran=True),
        held,
        ([], ["maintenance_overran"]),
        alone=(True, False),
    )


async def _recorded(ground: Ground) -> list[str]:
    return [one.type for one in (await ground.store.log.events(SCOPE, 10)).items if one.type.startswith("maintenance_")]


@CASES.of("maintenance.record_begin")
async def _record_begin(ground: Ground) -> Race:
    store = ground.store.maintenance
    window = await store.create_window(SCOPE, a_window(ground.now))
    return Race(lambda: store.record_begin(window, ground.now, ground.now + 3600), lambda: _recorded(ground), ["maintenance_opened"])


@CASES.of("maintenance.record_ends")
async def _record_ends(ground: Ground) -> Race:
    store = ground.store.maintenance
    window = await store.create_window(SCOPE, a_window(ground.now - 3600))
    await store.record_begin(window, window.from_at, ground.now)
    return Race(store.record_ends, lambda: _recorded(ground), ["maintenance_closed", "maintenance_opened"])


# -- expectations ------------------------------------------------------------------------------------------


CASES.of_record(
    "expectations", "expectation", lambda now, name: an_expectation(now, name=name), lambda one, at: one._replace(by=f"{at:02}:00")
)


@CASES.of("expectations.save_judgements")
async def _save_judgements(ground: Ground) -> Race:
    store, node = ground.store.expectations, await ground.node()
    one = await store.create(SCOPE, an_expectation(ground.now, name="backup"))
    missed = JudgedDay(one.id, node.id, date(2026, 11, 20), "missed", ground.now, ground.now, ground.now)

    async def held() -> object:
        days = await store.judged_days(SCOPE, one.id, missed.date, missed.date)
        return list(days), [event.type for event in (await ground.store.log.events(SCOPE, 50)).items if event.type.startswith("expected_")]

    return Race(lambda: store.save_judgements(one, [missed]), held, ([missed], ["expected_backup_missed"]), alone=(1, 0))


@CASES.of("expectations.expire_days")
async def _expire_days(ground: Ground) -> Race:
    store, node = ground.store.expectations, await ground.node()
    one = await store.create(SCOPE, an_expectation(ground.now, name="backup"))
    met = JudgedDay(one.id, node.id, date(2026, 11, 20), "met", ground.now, ground.now, ground.now)
    await store.save_judgements(one, [met])

    async def held() -> object:
        return list(await store.judged_days(SCOPE, one.id, met.date, met.date))

    return Race(lambda: store.expire_days(date(2026, 11, 21)), held, [], alone=(1, 0))


# -- silence -----------------------------------------------------------------------------------------------


async def _silent(ground: Ground) -> KnownNode:
    await ground.session()
    (node,) = await ground.store.silence.known_nodes()
    return node


async def _stages(ground: Ground) -> tuple[object, ...]:
    (node,) = await ground.store.silence.known_nodes()
    types = [event.type for event in (await ground.store.log.events(SCOPE, 50)).items]
    return node.stage, sorted(kind for kind in types if kind in ("node_stale", "node_down", "node_recovered"))


@CASES.of("silence.save_stage")
async def _save_stage(ground: Ground) -> Race:
    node = await _silent(ground)
    return Race(
        lambda: ground.store.silence.save_stage(node, "stale", 1800.0),
        lambda: _stages(ground),
        ("stale", ["node_stale"]),
        alone=(True, False),
    )


@CASES.of("silence.save_recovery")
async def _save_recovery(ground: Ground) -> Race:
    node = await _silent(ground)
    await ground.store.silence.save_stage(node, "down", 3600.0)
    await connect(ground.store, node.id)
    return Race(
        lambda: ground.store.silence.save_recovery(node),
        lambda: _stages(ground),
        (None, ["node_down", "node_recovered"]),
        alone=(True, False),
    )
