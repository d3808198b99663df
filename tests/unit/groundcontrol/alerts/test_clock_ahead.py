"""A clock that was ahead and was corrected: no time that a rule computed by it holds anything back. What a person set stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.outbox import SqliteOutbox
from groundcontrol.alerts.defaults import DEFAULT_RULES
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.states import NodeFacts
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.events.making import new_event
from groundcontrol.schedules.maintenance import AutomaticWindow, Window, occurrence, verdict
from groundcontrol.schedules.model import MaintenanceId, Selector
from tests.support.alert_trial import alert_trial, fires
from tests.support.clock import ManualClock

NODE = NodeId("web-1")
DAY = 86_400.0
AHEAD_S = {"minutes": 600.0, "hours": 3 * 3600.0, "a year": 365 * DAY}


@pytest.mark.parametrize("ahead_s", AHEAD_S.values(), ids=AHEAD_S.keys())
async def test_a_critical_alert_is_sent_after_a_clock_that_was_ahead_at_the_start(tmp_path: Path, ahead_s: float) -> None:
    clock = ManualClock()
    clock.jump(ahead_s)
    async with alert_trial(tmp_path, nodes=2, clock=clock) as trial:
        await fires(trial, trial.nodes[0], 1.0)
        assert trial.told() == ["firing"]
        clock.jump(-ahead_s)
        trial.fleet.levels[trial.nodes[1]] = {"backup": 2.0}
        await trial.pass_s(200)
        assert trial.titles()[1:] == ["Critical: web-1: Expected event is missing (backup)"]
        trial.fleet.levels.clear()
        await trial.pass_s(200)
        assert trial.told().count("resolved") == 2


@pytest.mark.parametrize("ahead_s", AHEAD_S.values(), ids=AHEAD_S.keys())
async def test_waiting_messages_and_probes_follow_the_corrected_clock_and_a_snooze_stays(tmp_path: Path, ahead_s: float) -> None:
    async with alert_trial(tmp_path, nodes=2) as trial:
        clock, deliveries = trial.clock, trial.backend.store.deliveries
        snoozed, waits = await fires(trial, trial.nodes[0], 2.0), await fires(trial, trial.nodes[1], 2.0)
        until_at = clock.now() + ahead_s + 8 * 3600
        await trial.service.snooze(SYSTEM, snoozed.id, until_at)
        now = clock.now()

        def put_ahead(tx: Tx) -> None:
            tx.execute("UPDATE delivery SET sent_at = sent_at + ? WHERE sent_at IS NOT NULL", ahead_s)
            tx.execute("UPDATE channel SET probe_at = ?", now + max(ahead_s, 3700))
            for number, (state, reason) in enumerate(
                (("due", "http:503"), ("deferred", "settling"), ("deferred", "update_interval"), ("sending", "ready"))
            ):
                tx.execute(
                    "INSERT INTO delivery SELECT org, ?, channel_id, kind, incident_id, event_id, revision + ?, ?, ?, at, ?, until_at, 1, NULL, critical, shown"
                    " FROM delivery WHERE incident_id = ? LIMIT 1",
                    *(f"{number:032d}", 100 + number, state, reason, now + max(ahead_s, 3700) + 1, waits.incident_id),
                )

        assert isinstance(deliveries, SqliteOutbox)
        await deliveries._writer.run(put_ahead)
        await deliveries.correct_times()
        rows = [one for one in await trial.deliveries() if one.id.startswith("0000000000")]
        assert {one.next_at for one in rows} == {clock.now()}
        assert {one.sent_at for one in await trial.deliveries() if one.state == "sent" and (one.sent_at or 0) > now + 60} == set()
        assert [one.probe_at for one in await trial.backend.store.channels.all(SYSTEM)] == [0.0]
        held = [one for one in await trial.deliveries() if one.reason == "snoozed"]
        assert {one.next_at for one in held} == {until_at}


@pytest.mark.holds("SAFETY-84", "F-14")
@pytest.mark.parametrize("ahead_s", AHEAD_S.values(), ids=AHEAD_S.keys())
async def test_what_a_start_stored_while_the_clock_was_ahead_is_dated_now_and_says_nothing_untrue(tmp_path: Path, ahead_s: float) -> None:
    async with alert_trial(tmp_path) as trial:
        await trial.restart(ahead_s + 20, back=trial.nodes)
        clock, store = trial.clock, trial.backend.store
        await store.log.add_event(new_event("hub_started", clock.now(), {"version": "1"}, org=1))
        assert {one.type for one in (await store.log.events(SYSTEM, 50)).items} >= {"hub_started", "hub_was_away"}
        clock.jump(-ahead_s)
        await store.deliveries.correct_times()
        stored = (await store.log.events(SYSTEM, 50)).items
        assert {one.type for one in stored if one.type.startswith("hub_")} == {"hub_started"}, "how long it was away is not known"
        assert max(time_at for one in stored for time_at in (one.at, one.received_at, one.last_at)) <= clock.now()
        assert (await store.log.count_events(SYSTEM, clock.now())).info >= 1
        assert max(one.until_at for one in await store.silence.absences()) <= clock.now()


def test_alerts_by_the_age_of_something_end_when_the_clock_is_corrected() -> None:
    began = 1_800_000_000.0
    for restarts in (False, True):
        engine = Engine()
        engine.set_rules(DEFAULT_RULES)
        facts = NodeFacts(NODE, updates_security=3, security_since_at=began - DAY, lists_checked_at=began - 3600)
        engine.set_node(facts)
        fired = [one for at in range(30) for one in engine.tick(began + 365 * DAY + at)]
        assert {one.key.rule for one in fired} == {"updates.security", "updates.stale"}
        if restarts:
            stored, engine = engine.snapshot(), Engine()
            engine.set_rules(DEFAULT_RULES)
            engine.set_node(facts)
            engine.restore((), stored)
        ended = [one for at in range(30) for one in engine.tick(began + 60 + at)]
        assert restarts or {(one.key.rule, one.kind) for one in ended} == {("updates.security", "resolved"), ("updates.stale", "resolved")}
        assert not [one for at in range(3600) for one in engine.tick(began + 90 + at) if one.kind == "fired"]


def test_after_a_jump_nothing_fires_by_the_age_of_something() -> None:
    engine = Engine()
    engine.set_rules(DEFAULT_RULES)
    engine.set_node(NodeFacts(NODE, updates_security=3, security_since_at=1_800_000_000.0, lists_checked_at=1_800_000_000.0))
    engine.is_clock_steady = False
    assert not [one for at in range(60) for one in engine.tick(1_840_000_000.0 + at)]


def test_the_window_of_a_job_that_began_while_the_clock_was_ahead_covers_it_now_and_ends() -> None:
    now = 1_800_000_000.0
    ahead = now + 365 * DAY
    made = Window(MaintenanceId("m"), 1, Selector(nodes=(NODE,)), ahead, ahead + 8100, "upgrade", "job", "ada", ahead)
    assert occurrence(made, now) == (now, now + 8100)
    running, ended = AutomaticWindow(made, NODE, False, None), AutomaticWindow(made, NODE, False, ahead + 60)
    assert [verdict(running, 600.0, now, seen_s) for seen_s in (0.0, 8099.0, 8100.0)] == ["open", "open", "overran"]
    assert [verdict(ended, 600.0, now, seen_s) for seen_s in (0.0, 119.0, 120.0)] == ["open", "open", "closed"]
    of_user = made._replace(origin="user")
    assert occurrence(of_user, now) == (ahead, ahead + 8100), "what a person set stays"
