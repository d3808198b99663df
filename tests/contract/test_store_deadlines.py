"""Deadlines and silence on a real store: judged once by the true time of events, across restarts and clock changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import pytest

from groundcontrol.adapters.sqlite.expectations import SqliteExpectations
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.agents.store import HubInfo
from groundcontrol.core.errors import StoreDown
from groundcontrol.core.ids import BootId, EventId, NodeId
from groundcontrol.events import making
from groundcontrol.events.model import Event
from groundcontrol.schedules.dead_man import LOOK_S, DeadMan
from groundcontrol.schedules.deadline_checker import EVERY_S, STEADY_S, DeadlineChecker
from groundcontrol.schedules.deadlines import AWAY_S, Expectation, ExpectationId, Report
from groundcontrol.schedules.model import Selector
from groundcontrol.schedules.silence import START_S
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.factories import BOOT, HUB, SCOPE, STRANGER, connect, new_node
from tests.support.race_cases_alerts import an_expectation
from tests.support.some import some
from tests.support.store_backend import Backend

DAY_S = 86_400.0
HUB_FACTS = HubInfo(HUB, "wss://hub.example/ws", "0")
MISSED = "expected_backup_missed"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Trial:
    """An expectation of a backup by 05:00 UTC, some nodes, and a checker that has run for longer than its first 90 seconds."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.away: set[NodeId] = set()
        self.checker = self.new_checker()
        self.expectation = ExpectationId("")

    def new_checker(self) -> DeadlineChecker:
        return DeadlineChecker(self.store.expectations, self.store.silence, self.clock, lambda node: node in self.away)

    async def begin(self) -> NodeId:
        self.clock.advance(at("2026-11-18 12:00") - self.clock.now())
        node = await self.store.nodes.create_node(SCOPE, new_node())
        self.checker = self.new_checker()
        made = an_expectation(self.clock.now(), name="backup")
        self.expectation = (await self.store.expectations.create(SCOPE, made)).id
        return node.id

    async def check_at(self, text: str) -> None:
        self.clock.advance(at(text) - self.clock.now())
        await self.checker.check()

    async def backup(self, node: NodeId, made_at: str, kind: str = "backup_completed") -> None:
        made = Event(EventId(new_time_id(self.clock.now())), 1, kind, "info", "agent", at(made_at), node, "", {})
        await self.store.log.add_event(made)

    async def states(self) -> dict[int, str]:
        days = await self.store.expectations.judged_days(SCOPE, self.expectation, date(2026, 11, 1), date(2026, 12, 31))
        return {day.date.day: day.state for day in days}

    async def misses(self) -> int:
        return len([event for event in (await self.store.log.events(SCOPE, 100)).items if event.type == MISSED])


@pytest.fixture
def trial(store: Store, clock: ManualClock) -> Trial:
    return Trial(store, clock)


async def test_a_deadline_is_met_or_missed_and_reported_once(trial: Trial) -> None:
    node = await trial.begin()
    await trial.check_at("2026-11-19 05:15")
    await trial.backup(node, "2026-11-20 04:59")
    await trial.backup(node, "2026-11-21 03:00", "backup_failed")
    await trial.check_at("2026-11-20 05:15")
    await trial.check_at("2026-11-21 05:14")
    assert await trial.states() == {19: "missed", 20: "met"}
    before = await trial.misses()
    checkers = [trial.new_checker() for _ in range(2)]  # two hubs, or one that was restarted
    trial.clock.advance(START_S)
    for checker in checkers:
        await checker.check()
    assert (await trial.states())[21] == "missed"
    assert await trial.misses() == before + 1
    assert [(name, one.level, one.event) for name, one in (checkers[0].unmet(node) or {}).items()] == [
        ("backup", "critical", "backup_completed")
    ]
    assert checkers[0].names() == {"backup"}

    await trial.backup(node, "2026-11-22 04:00")
    await trial.check_at("2026-11-22 05:15")
    assert (trial.checker.unmet(node)) == {}


async def test_a_late_report_states_whether_the_backup_was_late(trial: Trial) -> None:
    node = await trial.begin()
    for day in ("19", "20"):
        await trial.check_at(f"2026-11-{day} 05:15")
    assert [(await trial.states())[day] for day in (19, 20)] == ["missed", "missed"]
    assert list(trial.checker.unmet(node) or ()) == ["backup"]
    trial.clock.advance(4 * 3600)
    await trial.backup(node, "2026-11-19 06:20")
    await trial.backup(node, "2026-11-20 04:12")
    await trial.checker.check()
    assert [(await trial.states())[day] for day in (19, 20)] == ["late", "arrived_late"]
    judged = await trial.store.expectations.judged_days(SCOPE, trial.expectation, date(2026, 11, 20), date(2026, 11, 20))
    assert [one.report and one.report.received_at for one in judged] == [trial.clock.now()]
    assert (trial.checker.unmet(node)) == {}
    assert await trial.misses() == 2


async def test_a_node_that_is_away_is_judged_when_it_is_back_or_after_an_hour(trial: Trial) -> None:
    node = await trial.begin()
    trial.away.add(node)
    await trial.check_at("2026-11-20 05:15")
    assert 20 not in await trial.states()
    await trial.backup(node, "2026-11-20 04:00")  # handed in later
    trial.away.discard(node)
    await trial.checker.check()
    assert (await trial.states())[20] == "met"
    trial.away.add(node)
    await trial.check_at("2026-11-21 05:15")
    trial.clock.advance(AWAY_S)
    await trial.checker.check()
    assert (await trial.states())[21] == "missed"


async def test_a_node_that_was_away_is_judged_although_the_store_failed_once(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.away.add(await trial.begin())
    await trial.check_at("2026-11-20 05:15")
    trial.away.clear()
    with monkeypatch.context() as patch:
        patch.setattr(trial.store.expectations, "first_reports", _refuse)
        with pytest.raises(StoreDown):
            await trial.checker.check()
    await trial.checker.check()
    assert (await trial.states())[20] == "missed"


async def _refuse(*_asked: object) -> None:
    raise StoreDown("the database does not answer")


async def test_a_hub_that_was_away_over_a_deadline_judges_it_after_its_start(backend: Backend, clock: ManualClock) -> None:
    trial = Trial(backend.store, clock)
    node = await trial.begin()
    await backend.store.hubs.beat(HUB, HUB_FACTS, 20.0)
    clock.advance(at("2026-11-20 09:00") - clock.now())
    trial.store = await backend.reopen()
    checker = trial.new_checker()
    await checker.check()
    assert await trial.states() == {}
    await trial.backup(node, "2026-11-20 04:00")
    clock.advance(START_S)
    await checker.check()
    assert await trial.states() == {19: "missed", 20: "met"}


async def test_a_node_is_not_judged_for_days_before_its_selection(trial: Trial) -> None:
    node = await trial.begin()
    store = trial.store.expectations
    one = await store.get(SCOPE, trial.expectation)
    await store.save(SCOPE, one._replace(select=Selector(tags=("backup",))))
    await trial.check_at("2026-11-20 05:15")
    await trial.store.nodes.edit_node(SCOPE, node, name=None, tags=("backup",))
    await trial.check_at("2026-11-20 05:30")
    assert await trial.states() == {}
    await trial.check_at("2026-11-21 05:15")
    assert await trial.states() == {21: "missed"}


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
async def test_a_corrected_clock_jump_misses_no_deadline(trial: Trial, jump_s: float) -> None:
    node = await trial.begin()
    await trial.backup(node, "2026-11-20 04:00")
    await trial.check_at("2026-11-20 05:15")
    before = await trial.states()
    trial.clock.jump(jump_s)
    for _ in range(3):
        await trial.checker.check()
        trial.clock.advance(EVERY_S)
    trial.clock.jump(-jump_s)
    await trial.checker.check()
    trial.clock.advance(STEADY_S)
    await trial.checker.check()
    assert await trial.states() == before


async def test_expectations_of_another_organisation_do_not_exist(trial: Trial) -> None:
    await trial.begin()
    store = trial.store.expectations
    assert list(await store.all(STRANGER)) == []
    await store.delete(STRANGER, trial.expectation)
    assert [one.id for one in await store.all(SCOPE)] == [trial.expectation]


async def test_a_custom_event_is_expected_by_its_name(trial: Trial) -> None:
    node = await trial.begin()
    made = an_expectation(trial.clock.now(), name="report")._replace(event="weekly-report")
    expectation = await trial.store.expectations.create(SCOPE, made)
    for name in ("weekly-report", "other"):
        custom = Event(EventId(new_time_id()), 1, "custom", "info", "api", at("2026-11-20 04:00"), node, "", {"name": name})
        await trial.store.log.add_event(custom)
    found = await trial.store.expectations.first_reports(expectation, [node], at("2026-11-20 00:00"), at("2026-11-20 05:00"))
    assert [report.at for report in found.values()] == [at("2026-11-20 04:00")]


async def report_at(trial: Trial, node: NodeId, *made_at: float) -> None:
    """The node reports equal events, now."""
    for one in made_at:
        event = making.new_event("backup_completed", one, node=node, source="agent", received_at=trial.clock.now(), org=1)
        await trial.store.log.add_event(event)


async def test_equal_reports_that_share_a_row_meet_every_deadline_that_they_reach(trial: Trial) -> None:
    node = await trial.begin()
    trial.clock.advance(at("2026-11-18 22:00") - trial.clock.now())
    while trial.clock.now() < at("2026-11-20 05:15"):
        await report_at(trial, node, trial.clock.now())
        trial.clock.advance(500)
        if trial.clock.now() - at("2026-11-19 05:15") < 500 <= trial.clock.now() - at("2026-11-19 05:15") + 500:
            await trial.checker.check()
    await trial.checker.check()
    assert await trial.states() == {19: "met", 20: "met"}


async def test_a_report_counted_in_a_row_from_before_the_window_is_in_the_window(trial: Trial) -> None:
    node = await trial.begin()
    expectation = await trial.store.expectations.get(SCOPE, trial.expectation)
    first, second = (at(f"2026-11-{day}") for day in ("19 23:58", "20 00:03"))
    trial.clock.advance(second - trial.clock.now())
    await report_at(trial, node, first, second)
    found = await trial.store.expectations.first_reports(expectation, [node], at("2026-11-20 00:00"), at("2026-11-20 05:00"))
    assert [(one.at, one.received_at) for one in found.values()] == [(second, second)]
    assert not await trial.store.expectations.first_reports(expectation, [node], second + 1, at("2026-11-20 05:00"))
    await trial.check_at("2026-11-20 05:15")
    assert (await trial.states())[20] == "met"


async def test_reports_that_arrive_together_do_not_hide_a_missing_one_between_them(trial: Trial) -> None:
    node = await trial.begin()
    for day in ("19", "20"):
        await trial.check_at(f"2026-11-{day} 05:15")
    trial.clock.advance(at("2026-11-21 04:55") - trial.clock.now())
    await report_at(trial, node, *(at(f"2026-11-{day} 04:00") for day in ("19", "21")))
    await trial.check_at("2026-11-21 05:15")
    assert await trial.states() == {19: "arrived_late", 20: "missed", 21: "met"}


async def test_many_reports_of_a_node_do_not_hide_the_report_of_another(trial: Trial) -> None:
    chatty, quiet = await trial.begin(), (await trial.store.nodes.create_node(SCOPE, new_node("web-2"))).id
    sql = (
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)"
        " INSERT INTO event (org, id, type, severity, source, at, node_id, message, details, last_at)"
        " SELECT 1, 'e' || n, 'backup_completed', 'info', 'agent', ?1 + n, ?2, '', '{}', ?1 + n FROM n"
    )
    expectations = trial.store.expectations
    assert isinstance(expectations, SqliteExpectations)
    await expectations._writer.run(lambda tx: tx.execute(sql, at("2026-11-20 01:00"), chatty))
    await trial.backup(quiet, "2026-11-20 04:30")
    expectation = await expectations.get(SCOPE, trial.expectation)
    found = await expectations.first_reports(expectation, [chatty, quiet], at("2026-11-20 00:00"), at("2026-11-20 05:00"))
    assert {node: one.at for node, one in found.items()} == {chatty: at("2026-11-20 01:00") + 1, quiet: at("2026-11-20 04:30")}


# -- silence -----------------------------------------------------------------------------------------------


class Fleet:
    """One node, and a hub that looks after it every five seconds."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.clock = backend, backend.clock
        self.connected: set[NodeId] = set()
        self.node = NodeId("")
        self.dead_man = self.new_hub()

    def new_hub(self) -> DeadMan:
        return DeadMan(self.backend.store.silence, self.clock, lambda node: node in self.connected)

    async def begin(self) -> None:
        self.node = (await self.backend.store.nodes.create_node(SCOPE, new_node())).id
        await self.connect()
        await self.pass_s(300)

    async def connect(self, boot: BootId = BOOT) -> None:
        await connect(self.backend.store, self.node, boot=boot)
        self.connected.add(self.node)

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, as a running hub does: it looks, stores when nodes were heard and gives signs of life."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.clock.advance(min(LOOK_S * 12, end - self.clock.monotonic()))
            await self.alive()

    async def alive(self) -> None:
        if self.connected:
            await self.backend.store.nodes.save_seen({self.node: self.clock.now()})
        await self.backend.store.hubs.beat(HUB, HUB_FACTS, 20.0)
        await self.dead_man.look()

    async def restart(self, away_s: float) -> None:
        await self.backend.database.close()
        self.connected.clear()
        self.clock.advance(away_s)
        await self.backend.open()
        self.dead_man = self.new_hub()
        await self.dead_man.look()

    async def told(self) -> list[str]:
        events = reversed((await self.backend.store.log.events(SCOPE, 100)).items)
        return [event.type for event in events if event.type in ("node_stale", "node_down", "node_recovered")]


@pytest.fixture
async def fleet(backend: Backend) -> Fleet:
    fleet = Fleet(backend)
    await fleet.begin()
    return fleet


async def test_a_silent_node_is_stale_down_and_recovered_once_each(fleet: Fleet) -> None:
    fleet.connected.clear()
    await fleet.pass_s(29 * 60)
    assert await fleet.told() == []
    await fleet.pass_s(180)
    assert await fleet.told() == ["node_stale"]
    await fleet.restart(60)
    await fleet.pass_s(27 * 60)
    assert await fleet.told() == ["node_stale"]
    await fleet.pass_s(6 * 60)
    assert await fleet.told() == ["node_stale", "node_down"]
    silent_s = some(fleet.dead_man.silent_s(fleet.node))
    assert 60 * 60 < silent_s < 68 * 60
    await fleet.connect(BootId("1f" * 16))
    await fleet.pass_s(300)
    assert await fleet.told() == ["node_stale", "node_down", "node_recovered"]
    assert (await fleet.backend.store.log.events(SCOPE, 1)).items[0].details["why"] == "reboot"


@pytest.mark.parametrize("jump_s", [0.0, DAY_S, -DAY_S])
async def test_no_node_is_stale_after_the_hub_was_away_for_40_minutes(fleet: Fleet, jump_s: float) -> None:
    fleet.clock.jump(jump_s / 2)
    await fleet.restart(40 * 60)
    fleet.clock.jump(jump_s / 2)
    await fleet.pass_s(START_S)
    await fleet.connect()
    await fleet.pass_s(300)
    assert await fleet.told() == []
    fleet.connected.clear()
    await fleet.pass_s(1700)
    assert await fleet.told() == []


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
async def test_a_jump_of_the_clock_changes_no_silence(fleet: Fleet, jump_s: float) -> None:
    fleet.connected.clear()
    await fleet.pass_s(600)
    fleet.clock.jump(jump_s)
    await fleet.pass_s(1000)
    assert await fleet.told() == []
    await fleet.pass_s(400)
    assert await fleet.told() == ["node_stale"]


async def test_an_expectation_that_cannot_be_judged_is_judged_later_and_stops_no_other(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await trial.begin()
    other = an_expectation(trial.clock.now(), name="a backup")
    await trial.store.expectations.create(SCOPE, other)
    first_reports = trial.store.expectations.first_reports

    async def fails(expectation: Expectation, nodes: Sequence[NodeId], start_at: float, until_at: float) -> Mapping[NodeId, Report]:
        if expectation.id == other.id:
            raise RuntimeError("a bug")
        return await first_reports(expectation, nodes, start_at, until_at)

    await trial.check_at("2026-11-19 00:00")
    with monkeypatch.context() as patch:
        patch.setattr(trial.store.expectations, "first_reports", fails)
        await trial.check_at("2026-11-19 05:16")
        assert list(trial.checker.unmet(node) or ()) == ["backup"]
    await trial.check_at("2026-11-19 05:17")
    assert sorted(trial.checker.unmet(node) or ()) == ["a backup", "backup"]
