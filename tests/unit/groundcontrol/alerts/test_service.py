"""The service of alerts on a real store, with a simulated fleet and a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.alerts.incidents import Fleet
from groundcontrol.alerts.model import Alert, Rule, RuleId, Threshold, Transition
from groundcontrol.alerts.service import MOST_BUS_MESSAGES, ROUND_TICKS
from groundcontrol.alerts.states import HubInfo
from groundcontrol.core.bus import Changed, EventStored, Topic
from groundcontrol.core.errors import Conflict, StoreDown, StoreFull
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM, Scope
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event, EventFilter
from groundcontrol.nodes.model import Node
from groundcontrol.notifications.channels.kind import Outcome, Permanent, Sent, Transient
from groundcontrol.notifications.messages import Message
from groundcontrol.notifications.model import Channel, QuietHours
from groundcontrol.notifications.service import ChannelEdit
from groundcontrol.samples.model import StoredPack
from groundcontrol.schedules.maintenance import Window
from groundcontrol.schedules.model import MaintenanceId, Selector
from tests.support.alert_samples import samples_of
from tests.support.alert_trial import STARTED_S, AlertTrial, alert_trial, fires
from tests.support.clock import ManualClock
from tests.support.deployment_desk import Hanging
from tests.support.eventually import eventually
from tests.support.factories import SCOPE, connect, pack_body

HOUR_S = 3600.0
LONGEST_RETRY_S = 1800.0
MOST_MESSAGES_A_DAY = 18
"""Of one instance that changes all day: two episodes with their ends, and one of each quiet time. Seven begin: of 30 min, 1, 2, 4 and 8 h."""


def a_window(trial: AlertTrial, seconds: float) -> Window:
    now = trial.clock.now()
    return Window(MaintenanceId("0" * 26), 1, Selector(all=True), now, now + seconds, "work", "user", "admin", now)


# -- one message for one story ------------------------------------------------------------------------------


async def test_an_alert_is_notified_once_and_so_is_its_end(trial: AlertTrial) -> None:
    await fires(trial, trial.nodes[0], 1.0, 600.0)
    assert trial.told() == ["firing"]
    assert trial.service.counts() == {("warning", "firing"): 1}
    trial.fleet.levels.clear()
    await trial.pass_s(60)
    assert trial.told() == ["firing", "resolved"]
    assert trial.outbox.ended == {("sent", "ready"): 2}


@pytest.mark.parametrize(("nodes", "lost", "messages"), [(100, 100, 1), (100, 30, 1), (100, 4, 4)])
async def test_many_nodes_lost_together_are_one_message(tmp_path: Path, nodes: int, lost: int, messages: int) -> None:
    async with alert_trial(tmp_path, nodes) as trial:
        trial.fleet.connected -= set(trial.nodes[:lost])
        await trial.pass_s(180)
        assert len(await trial.firing()) == lost
        assert trial.told() == ["firing"] * messages
        assert len(await trial.deliveries()) == messages, "an episode that joins another incident leaves no decision behind"
        events = await trial.backend.store.log.events(SCOPE, 500, only=EventFilter(types=("mass_offline",)))
        assert [one.details["count"] for one in events.items] == ([lost] if messages == 1 else [])


async def test_a_warning_that_becomes_critical_before_its_message_is_notified_once(trial: AlertTrial) -> None:
    [node] = trial.nodes
    await fires(trial, node, 1.0, ROUND_TICKS)
    assert trial.told() == []
    await fires(trial, node, 2.0, 600.0)
    assert trial.told() == ["firing"]


async def test_a_transition_that_cannot_be_stored_does_not_hold_back_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with alert_trial(tmp_path, 2) as trial:
        faulty, sound = trial.nodes
        event_of = trial.service._event_of

        def fails(transition: Transition, alert: Alert) -> Event:
            if alert.node_id == faulty:
                raise RuntimeError("a bug")
            return event_of(transition, alert)

        monkeypatch.setattr(trial.service, "_event_of", fails)
        trial.fleet.levels = {node: {"backup": 2.0} for node in trial.nodes}
        trial.hold_all()
        await trial.pass_s(60)
        assert [alert.node_id for alert in await trial.firing()] == [sound]
        assert trial.told() == ["firing"]


@pytest.mark.slow
async def test_a_flapping_alert_is_notified_a_few_times_and_stored_exactly(trial: AlertTrial) -> None:
    [node] = trial.nodes
    for _ in range(240):
        trial.fleet.levels = {node: {"backup": 2.0}}
        await trial.pass_s(180, step_s=60)
        trial.fleet.levels = {}
        await trial.pass_s(180, step_s=60)
    episodes = await trial.ended()
    assert len(episodes) == 240
    assert {round(alert.resolved_at - alert.fired_at) for alert in episodes if alert.resolved_at is not None} == {180}
    assert 8 <= len(trial.told()) <= MOST_MESSAGES_A_DAY


async def test_flapping_is_reported_once_in_each_quiet_time_and_once_it_is_over(trial: AlertTrial) -> None:
    [node] = trial.nodes
    for _ in range(3):
        await fires(trial, node, 2.0)
        trial.fleet.levels.clear()
        await trial.pass_s(60)
    assert trial.told() == ["firing", "resolved"] * 3
    alert = await fires(trial, node, 2.0)
    assert alert.flapping
    assert await trial.reasons(alert) == ["flapping"]
    await trial.pass_s(1400)
    assert trial.told() == ["firing", "resolved"] * 3
    await trial.pass_s(360)
    assert trial.told() == [*["firing", "resolved"] * 3, "firing"]


# -- restarts and faults ---------------------------------------------------------------------------------------


async def test_a_restart_with_60_of_200_nodes_offline_sends_no_new_message(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 200) as trial:
        away, there = trial.nodes[:60], trial.nodes[60:]
        trial.fleet.connected -= set(away)
        await trial.pass_s(180)
        trial.fleet.levels = {node: {"backup": 1.0} for node in away[:20]}
        await trial.pass_s(60)
        assert trial.told() == ["firing"]

        await trial.restart(120.0, back=there)
        for at in range(0, 140, 2):  # they come back within 70 s
            trial.fleet.connected |= set(there[at : at + 2])
            await trial.pass_s(1)
        await trial.pass_s(STARTED_S)
        trial.fleet.awaited.clear()
        await trial.pass_s(120)
        firing = await trial.firing()
        assert trial.told() == ["firing"]
        assert sorted(alert.suppressed_by for alert in firing) == [""] * 60 + ["node.offline"] * 20

        trial.fleet.connected |= set(away)
        await trial.pass_s(55)
        assert trial.told() == ["firing", "resolved"]
        await trial.pass_s(60)
        assert sorted(trial.told()) == ["firing", "firing", "resolved"], "the fleet is back, and what their silence hid is one story"
        assert {alert.suppressed_by for alert in await trial.firing()} == {""}


async def test_an_alert_hidden_by_an_offline_node_is_notified_a_minute_after_its_return(trial: AlertTrial) -> None:
    [node] = trial.nodes
    trial.fleet.connected.clear()
    await trial.pass_s(150)
    trial.fleet.levels = {node: {"passing": 1.0, "lasting": 1.0}}
    await trial.pass_s(60)
    trial.fleet.connected.add(node)
    await trial.pass_s(15)
    trial.fleet.levels = {node: {"lasting": 1.0}}
    await trial.pass_s(40)
    assert {alert.suppressed_by for alert in await trial.firing()} == {"node.offline"}
    await trial.pass_s(60)
    assert {alert.suppressed_by for alert in await trial.firing()} == {""}
    await trial.pass_s(300)
    assert trial.told() == ["firing", "changed"]
    shown = [one.alert for one in trial.receivers.told[-1].message.content.alerts]
    assert [(alert.rule_id, alert.object, alert.state) for alert in shown] == [
        ("expectation.missed", "lasting", "firing"),
        ("node.offline", "", "resolved"),
    ]
    assert [alert.object for alert in await trial.ended() if alert.suppressed_by] == ["passing"]


async def test_alerts_during_a_full_store_are_notified_once_they_are_stored(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 100) as trial:
        thread = trial.backend.database._control.writer._thread
        await thread.run(lambda db: db.execute("VACUUM"))  # an earlier test has left free pages
        pages = await thread.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        await thread.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        with pytest.raises(StoreFull):  # noqa: PT012  the page of events has room for some
            for _ in range(1000):
                await trial.backend.store.log.add_event(new_event("hub_started", trial.clock.now(), org=1))
        trial.fleet.levels = {node: {"backup": 2.0} for node in trial.nodes}
        await trial.pass_s(90)
        assert trial.refused > 60
        assert trial.told() == []
        began_at = trial.clock.now() - 90
        await thread.run(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
        await trial.pass_s(60)
        assert len(await trial.firing()) == 100
        assert trial.told() == ["firing"]
        assert {alert.since_at - began_at < 15 for alert in await trial.firing()} == {True}, "it began when it began"


@asynccontextmanager
async def following(trial: AlertTrial) -> AsyncIterator[None]:
    """The service reads the changes that the bus announces."""
    async with trial.service._subscribed() as changes:
        task = asyncio.create_task(trial.service._follow_nodes(changes))
        try:
            yield
        finally:
            task.cancel()


async def test_events_and_removals_whose_bus_messages_were_dropped_are_read_from_the_store(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 2) as trial, following(trial):
        reporting, removed = trial.nodes
        trial.fleet.connected.discard(removed)
        await trial.pass_s(60)
        assert trial.facts.fleet == Fleet(2, 1)
        await trial.backend.store.nodes.delete_node(SCOPE, removed)
        await trial.backend.store.log.add_event(
            new_event("backup_failed", trial.clock.now(), node=reporting, name="web-0", source="api", org=1)
        )
        for number in range(MOST_BUS_MESSAGES + 1):
            trial.service._bus.publish(Changed("deployment", str(number), 0, 1))
        await eventually(lambda: trial.facts.fleet == Fleet(1, 0))
        async with asyncio.timeout(60):
            while not (firing := await trial.firing()):  # what was missed is read beside the evaluations
                await trial.pass_s(15)
        assert [alert.rule_id for alert in firing] == ["backup.failed"]


@pytest.mark.parametrize("dropped", [False, True])
async def test_an_event_of_a_node_that_was_just_added_fires(trial: AlertTrial, dropped: bool) -> None:
    """Each node has its turn every ten seconds. An event before its first turn was lost for ever."""
    async with following(trial):
        [node] = await trial.add_nodes(1)
        reported = new_event("backup_failed", trial.clock.now(), node=node, name="web-1", source="api", org=1)
        await trial.backend.store.log.add_event(reported)
        trial.service._bus.publish(Changed("node", node, 0, 1))
        if dropped:
            for number in range(MOST_BUS_MESSAGES + 1):
                trial.service._bus.publish(Changed("deployment", str(number), 0, 1))
        else:
            trial.service._bus.publish(EventStored(reported.id, 1, reported.type, node, "", reported.at, 1, reported.severity))
        await eventually(lambda: trial.engine.knows(node))
    await trial.pass_s(15)
    assert [(alert.rule_id, alert.node_id) for alert in await trial.firing()] == [("backup.failed", node)]


async def test_a_node_that_could_not_be_read_is_read_again_within_a_minute(trial: AlertTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    [node] = trial.nodes
    refused: list[NodeId] = []

    async def refuse(_scope: Scope, asked: NodeId) -> Node:
        refused.append(asked)
        raise StoreDown("the database does not answer")

    await trial.backend.store.nodes.edit_node(SCOPE, node, name="db-1", tags=None)
    monkeypatch.setattr(trial.backend.store.nodes, "node", refuse)
    async with following(trial):
        trial.service._bus.publish(Changed("node", node, 0, 1))
        await eventually(lambda: refused)
    await trial.pass_s(60)
    assert trial.facts.name(node) == "db-1"


async def test_late_samples_are_replayed_a_minute_after_the_store_could_not_be_read(
    trial: AlertTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    [node] = trial.nodes
    samples = samples_of({"cpu.total": 5}, 300, began=int(trial.clock.now()) - 300)
    for _ in range(2):
        trial.engine.add_rows(node, samples[0].layout, [one.row for one in samples])
    reads: list[object] = []
    read = trial.backend.store.metrics.read

    def refuse_once(*asked: Any) -> Any:
        reads.append(asked)
        if len(reads) == 1:
            raise StoreDown("the database does not answer")
        return read(*asked)

    monkeypatch.setattr(trial.backend.store.metrics, "read", refuse_once)
    await trial.pass_s(260)
    assert len(reads) == 2
    assert reads[0] == reads[1]


@pytest.mark.parametrize("skew_s", [0, 7200, -7200])
async def test_an_episode_in_samples_that_came_late_is_stored_once_and_not_sent(
    trial: AlertTrial, monkeypatch: pytest.MonkeyPatch, skew_s: int
) -> None:
    [node] = trial.nodes
    monkeypatch.setattr(trial.fleet, "skew", lambda _node: float(skew_s))
    await trial.pass_s(10)
    metrics, began = trial.backend.store.metrics, int(trial.clock.now()) - 1200
    busy = Rule(RuleId("busy"), "busy", "avg(cpu.total, 1m)", Selector(all=True), warn=Threshold(90, 80), version=0)
    await trial.service.save_rules(SCOPE, [busy])
    samples = samples_of({"cpu.total": lambda at: 100 if 300 <= at < 600 else 5}, 900, began=began + skew_s)
    schema, rows = samples[0].layout, [one.row for one in samples]
    times = rows[0].taken_at_ms, rows[-1].taken_at_ms
    session = await connect(trial.backend.store, node)
    await metrics.save_schema(session, schema)
    await metrics.append([StoredPack(session, 1, 0, schema.schema_id, *times, 1, pack_body(rows))])
    for _ in range(2):
        trial.service.note_late(node, *times)
        await trial.pass_s(190)
    [alert] = await trial.ended()
    assert (alert.rule_id, alert.retro) == (busy.id, True)
    assert began + 300 < alert.fired_at < began + 400
    assert not [title for title in trial.titles() if "busy" in title]


async def test_a_node_whose_late_samples_cannot_be_replayed_stops_nothing_else(trial: AlertTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    async def fails(*given: object) -> None:
        asked.append(given)
        raise RuntimeError("a bug")

    monkeypatch.setattr(trial.service._retro, "find", fails)
    trial.service.note_late(trial.nodes[0], *(round(1000 * (trial.clock.now() - age_s)) for age_s in (600, 60)))
    trial.engine.set_hub(HubInfo())
    await trial.pass_s(260)
    assert len(asked) == 1
    assert trial.engine._hub.disk_free_bytes, "the rest of the minute is done"


async def test_a_rule_that_is_saved_during_the_load_applies(trial: AlertTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    late = Hanging(trial.backend.store.rules, "all", done_first=True)
    monkeypatch.setattr(trial.service, "_rule_store", late)
    loading = asyncio.create_task(trial.service.load())
    async with asyncio.timeout(60):
        await late.reached.wait()
    rule = Rule(RuleId("new"), "New", "avg(cpu.total, 1m)", Selector(all=True), warn=Threshold(90, 80), version=0)
    saving = asyncio.create_task(trial.service.save_rules(SCOPE, [rule]))
    await asyncio.wait([saving], timeout=0.2)
    late.answers.set()
    await asyncio.gather(loading, saving)
    assert trial.rules.get(rule.id) is not None


async def test_a_change_of_a_node_during_the_load_is_read(trial: AlertTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    [node], store = trial.nodes, trial.backend.store
    late = Hanging(store.alerts, "engine")
    monkeypatch.setattr(trial.service, "_store", late)
    running = asyncio.create_task(trial.service.run())
    async with asyncio.timeout(60):
        await late.reached.wait()
    await store.nodes.edit_node(SCOPE, node, name="db-1", tags=None)
    trial.service._bus.publish(Changed("node", node, 0, 1))
    late.answers.set()
    await eventually(lambda: trial.facts.name(node) == "db-1")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_snooze_is_announced_although_its_messages_could_not_be_stored(trial: AlertTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = await fires(trial, trial.nodes[0], 1.0)

    async def refuse(_incidents: object) -> None:
        raise StoreDown("the database does not answer")

    monkeypatch.setattr(trial.intents, "_reminders", refuse)
    async with trial.service._bus.subscribe(Topic("changed"), limit=10, policy="ordered") as changes:
        with pytest.raises(StoreDown):
            await trial.service.snooze(SCOPE, alert.id, trial.clock.now() + HOUR_S)
        async with asyncio.timeout(60):
            assert await anext(changes) == Changed("alert", alert.id, 0, 1)


async def test_rules_that_are_saved_at_the_same_time_all_apply(trial: AlertTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Rule(RuleId(name), name, "avg(cpu.total, 1m)", Selector(all=True), warn=Threshold(90, 80), version=0) for name in "ab"]

    async def refuse(_scope: Scope) -> None:
        raise StoreDown("the database does not answer")

    monkeypatch.setattr(trial.backend.store.rules, "all", refuse)  # a stored rule applies even if no rule can be read then
    await asyncio.gather(*(trial.service.save_rules(SCOPE, [one]) for one in made))
    assert {"a", "b"} <= {rule.rule.id for rule in trial.service.effective(trial.nodes[0])}
    await trial.service.delete_rule(SCOPE, RuleId("a"))
    assert [rule.id for rule in trial.rules.all() if rule.id in "ab"] == ["b"]


async def test_of_two_rules_that_get_one_name_at_the_same_time_one_is_refused(trial: AlertTrial) -> None:
    made = [Rule(RuleId(name), "Busy", "avg(cpu.total, 1m)", Selector(all=True), warn=Threshold(90, 80), version=0) for name in "ab"]
    saved = await asyncio.gather(*(trial.service.save_rules(SCOPE, [rule]) for rule in made), return_exceptions=True)
    assert [type(one) for one in saved] == [list, Conflict]
    assert sum(rule.name == "Busy" for rule in trial.rules.all()) == 1


async def test_a_stored_rule_that_this_hub_cannot_parse_has_no_unit(trial: AlertTrial) -> None:
    rule = Rule(RuleId("old"), "Old", "avg(cpu.abolished, 1m)", Selector(all=True), warn=Threshold(90, 80), version=0)
    await trial.service.save_rules(SCOPE, [rule])
    assert [trial.rules.unit(one) for one in trial.rules.all() if one.id == rule.id] == [""]


async def test_after_an_hour_without_network_only_current_alerts_are_sent(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 3) as trial:
        warned, late, lasting = trial.nodes
        trial.receivers.outcome = Transient("connect")
        trial.fleet.levels = {warned: {"backup": 1.0}, late: {"backup": 2.0}, lasting: {"backup": 2.0}}
        await trial.pass_s(1200)
        del trial.fleet.levels[warned], trial.fleet.levels[late]
        await trial.pass_s(60)
        await trial.pass_s(2340, step_s=10)
        assert 3 <= trial.receivers.attempts < 60
        trial.receivers.outcome = Sent()
        await trial.pass_s(LONGEST_RETRY_S + 60, step_s=10)
        assert sorted(trial.told()) == ["firing", "resolved"]
        told = {one.kind: one.message.content for one in trial.receivers.told}
        assert [one.alert.node_id for one in told["firing"].alerts] == [lasting]
        assert [one.alert.node_id for one in told["resolved"].alerts] == [late], "it was critical for longer than ten minutes, and untold"


# -- what holds messages back ----------------------------------------------------------------------------------


async def test_a_maintenance_window_shows_alerts_and_notifies_lasting_ones_at_its_end(trial: AlertTrial) -> None:
    [node] = trial.nodes
    window = a_window(trial, HOUR_S)
    trial.windows.replace([window])
    await fires(trial, node, 2.0)
    trial.fleet.levels.clear()
    await trial.pass_s(60)
    alert = await fires(trial, node, 2.0)
    assert alert.maintenance == window.id
    assert await trial.reasons(alert) == ["maintenance"]
    trial.clock.advance(HOUR_S - 300)
    await trial.pass_s(60)
    assert trial.told() == []
    await trial.pass_s(180)
    assert trial.told() == ["firing"]
    assert [alert.maintenance for alert in await trial.firing()] == [None]


async def test_a_window_that_ends_early_notifies_alerts_that_still_fire(trial: AlertTrial) -> None:
    trial.windows.replace([a_window(trial, 2 * HOUR_S)])
    await fires(trial, trial.nodes[0], 2.0)
    trial.windows.replace([])
    await trial.pass_s(70)
    assert trial.told() == ["firing"]


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        pytest.param("Europe/Budapest", "2026-03-28 21:00", "2026-03-29 05:00", marks=pytest.mark.slow),
        ("Europe/Budapest", "2026-10-24 20:00", "2026-10-25 06:00"),
        pytest.param("America/New_York", "2026-03-08 03:00", "2026-03-08 11:00", marks=pytest.mark.slow),
        pytest.param("America/New_York", "2026-11-01 02:00", "2026-11-01 12:00", marks=pytest.mark.slow),
        pytest.param("Australia/Lord_Howe", "2026-04-04 11:00", "2026-04-04 20:30", marks=pytest.mark.slow),
        ("Australia/Lord_Howe", "2026-10-03 11:30", "2026-10-03 20:00"),
    ],
)
async def test_quiet_hours_pass_critical_alerts_and_summarize_others_at_their_end(tmp_path: Path, zone: str, start: str, end: str) -> None:
    starts_at, ends_at = (datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() for at in (start, end))
    async with alert_trial(tmp_path, 6, ManualClock(starts_at - 600)) as trial:
        before, lasting, other, brief, handled, broken = trial.nodes
        await trial.channel("night", quiet_hours=QuietHours("22:00", "07:00", zone), change_quiet_hours=True)
        await fires(trial, before, 1.0)
        trial.clock.advance(starts_at - trial.clock.now())
        for node, level in ((lasting, 1.0), (other, 1.0), (brief, 1.0), (broken, 2.0)):
            alert = await fires(trial, node, level, 130.0)
            assert await trial.reasons(alert) == ["quiet_hours" if level == 1.0 else "ready", "ready"]
        await trial.service.acknowledge(SCOPE, (await fires(trial, handled, 1.0)).id)
        await trial.service.acknowledge(SCOPE, alert.id)
        assert trial.told("night") == ["firing", "firing"], "the one before the night, and the critical one"
        [line] = trial.receivers.told[0].message.lines
        assert line.startswith("web-0: Expected event is missing (backup), backup did not arrive by "), "such a state has no number"
        assert " level" not in line
        del trial.fleet.levels[before], trial.fleet.levels[brief]
        await trial.pass_s(60)
        trial.clock.advance(ends_at - trial.clock.now() - 20)
        await trial.pass_s(19)
        assert trial.told("night") == ["firing", "firing"]
        await trial.pass_s(10)
        assert trial.told("night") == ["firing", "firing", "digest"]
        summary = trial.receivers.told[-1].message
        assert summary.title == "2 still firing, 1 came and went, 1 over"
        assert [line.partition(":")[0] for line in summary.lines] == ["web-1", "web-2", "over", "over"], "each is named"
        reasons = {one.node_id: (await trial.reasons(one))[0] for one in await trial.firing()}
        assert reasons == {lasting: "summary", other: "summary", broken: "ready", handled: "acknowledged"}
        del trial.fleet.levels[lasting], trial.fleet.levels[handled]
        await trial.pass_s(60)
        assert trial.told("night")[3:] == ["resolved"], "of what the summary named"


async def test_deferred_messages_follow_a_change_of_the_quiet_hours(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 10, 24, 20, 5, tzinfo=UTC).timestamp())
    async with alert_trial(tmp_path, 1, clock) as trial:
        night = QuietHours("22:00", "07:00", "Europe/Budapest")
        channel = await trial.channel("night", quiet_hours=night, change_quiet_hours=True)
        await fires(trial, trial.nodes[0], 1.0)
        for hours, next_at in ((night._replace(end="06:00"), "05:00"), (night._replace(end="09:00"), "08:00")):
            await trial.receivers.edit(SYSTEM, channel.id, None, ChannelEdit(quiet_hours=hours, change_quiet_hours=True))
            [held] = [one for one in await trial.deliveries() if one.channel_id == channel.id]
            assert held.next_at == datetime.fromisoformat(f"2026-10-25 {next_at}").replace(tzinfo=UTC).timestamp()
        await trial.receivers.edit(SYSTEM, channel.id, None, ChannelEdit(change_quiet_hours=True))
        await trial.send()
        assert trial.told("night") == ["firing"]


async def test_an_alert_that_ends_during_its_summary_is_sent_as_resolved(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 10, 24, 20, 5, tzinfo=UTC).timestamp())
    async with alert_trial(tmp_path, 2, clock) as trial:
        await trial.channel("night", quiet_hours=QuietHours("22:00", "07:00", "Europe/Budapest"), change_quiet_hours=True)
        for node in trial.nodes:
            await fires(trial, node, 1.0)
        send = trial.receivers.send

        async def slowly(channel: Channel, message: Message) -> Outcome:
            if message.kind == "digest":
                trial.fleet.levels.clear()
                for turn in range(ROUND_TICKS):
                    clock.advance(5)
                    await trial.service.tick(turn)
            return await send(channel, message)

        trial.receivers.send = slowly  # type: ignore[method-assign]
        clock.advance(datetime(2026, 10, 25, 6, 0, tzinfo=UTC).timestamp() - clock.now())
        await trial.pass_s(60)
        assert trial.told("night") == ["digest", "resolved", "resolved"]


async def test_a_refused_summary_ends_all_deliveries_in_it(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 10, 24, 20, 5, tzinfo=UTC).timestamp())
    async with alert_trial(tmp_path, 2, clock) as trial:
        night = await trial.channel("night", quiet_hours=QuietHours("22:00", "07:00", "Europe/Budapest"), change_quiet_hours=True)
        for node in trial.nodes:
            await fires(trial, node, 1.0)
        trial.receivers.outcome = Transient("connect")
        clock.advance(datetime(2026, 10, 25, 6, 0, tzinfo=UTC).timestamp() - clock.now())
        await trial.pass_s(60)
        trial.receivers.outcome = Permanent("http:410")
        await trial.pass_s(120)
        made = [one for one in await trial.deliveries() if one.channel_id == night.id and one.kind != "event"]
        assert [(one.state, one.reason) for one in made if one.kind == "digest"] == [("failed", "http:410")]
        ended = [one for one in made if one.kind == "firing" and one.reason != "channel_retry"]  # that one is about the broken channel
        assert [one.state for one in ended] == ["failed", "failed"]
        assert trial.told("night") == []


# -- what users do -----------------------------------------------------------------------------------------------


async def test_an_acknowledged_alert_is_not_repeated_and_another_is(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 2) as trial:
        handled, left = trial.nodes
        alert = await fires(trial, handled, 2.0)
        await fires(trial, left, 2.0)
        await trial.service.acknowledge(SCOPE, alert.id, "on it")
        trial.clock.advance(4 * HOUR_S)
        await trial.pass_s(120)
        assert trial.told() == ["firing", "firing", "repeat"]
        assert "web-1" in trial.titles()[-1]


async def test_a_rise_in_severity_ends_acknowledgement_and_snooze(trial: AlertTrial) -> None:
    [node] = trial.nodes
    alert = await fires(trial, node, 1.0)
    await trial.service.acknowledge(SCOPE, alert.id)
    await trial.service.snooze(SCOPE, alert.id, trial.clock.now() + HOUR_S)
    risen = await fires(trial, node, 2.0)
    assert trial.told() == ["firing", "changed"]
    assert (risen.id, risen.level, risen.acknowledged_at, risen.snoozed_until) == (alert.id, "critical", None, None)


async def test_a_snooze_ends_with_a_message_that_it_still_fires(trial: AlertTrial) -> None:
    [node] = trial.nodes
    alert = await fires(trial, node, 1.0)
    await trial.service.snooze(SCOPE, alert.id, trial.clock.now() + HOUR_S)
    trial.clock.advance(HOUR_S - 10)
    await trial.pass_s(5)
    assert trial.told() == ["firing"]
    await trial.pass_s(30)
    assert trial.told() == ["firing", "repeat"]
    await trial.pass_s(120)
    assert trial.told() == ["firing", "repeat"]


async def test_a_snooze_longer_than_its_alert_ends_silently(trial: AlertTrial) -> None:
    [node] = trial.nodes
    alert = await fires(trial, node, 1.0)
    await trial.service.snooze(SCOPE, alert.id, trial.clock.now() + HOUR_S)
    trial.fleet.levels.clear()
    await trial.pass_s(60)
    trial.clock.advance(HOUR_S)
    await trial.pass_s(30)
    assert trial.told() == ["firing", "resolved"]


async def test_a_new_alert_of_a_snoozed_node_is_notified_before_the_snooze_ends(trial: AlertTrial) -> None:
    [node] = trial.nodes
    alert = await fires(trial, node, 1.0)
    await trial.service.snooze(SCOPE, alert.id, trial.clock.now() + 8 * HOUR_S)
    trial.fleet.failed[node] = ("backup.service",)
    await trial.pass_s(600)
    assert len(trial.told()) == 2


# -- what channels are notified of, and what explain says ---------------------------------------------------------


async def test_a_calm_organisation_is_evaluated_in_the_turns_of_its_nodes_alone(trial: AlertTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    """So what an organisation costs follows from its nodes. While a condition is present, each second counts."""
    ticks: list[float] = []
    tick = trial.engine.tick

    def counted(now: float) -> list[Transition]:
        ticks.append(now)
        return tick(now)

    monkeypatch.setattr(trial.engine, "tick", counted)
    await trial.pass_s(6 * ROUND_TICKS)
    assert len(ticks) == 6
    await fires(trial, trial.nodes[0], 1.0)
    ticks.clear()
    await trial.pass_s(ROUND_TICKS)
    assert len(ticks) == ROUND_TICKS
