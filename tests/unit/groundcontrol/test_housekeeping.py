"""Rows expire by a trustworthy clock only."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.agents.store import HubInfo
from groundcontrol.core.errors import StoreBusy, StoreError, StoreFull
from groundcontrol.core.forward_clock import ForwardClock
from groundcontrol.core.ids import EventId, HubId
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.core.steady_clock import STEADY_S, SteadyClock
from groundcontrol.core.stores import Stores
from groundcontrol.events.model import Event
from groundcontrol.housekeeping import (
    BEAT_S,
    EXPIRE_EVERY_S,
    HEADS_EVERY_S,
    SHRINK_EVERY_S,
    Housekeeping,
    bounds_of,
)
from groundcontrol.samples.model import Retention
from groundcontrol.samples.tiers import AHEAD_S
from groundcontrol.slices import EXPIRES
from groundcontrol.web.declare import KEEP_S, Expiry
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.eventually import ask_until, eventually
from tests.support.factories import SCOPE, connect, layout_row, new_deployment, new_event, new_node, pack
from tests.support.store_files import open_new

DAY_S = 86_400


async def opened(tmp_path: Path, clock: ManualClock) -> tuple[Database, Store]:
    database = await open_new(tmp_path / "data", clock=clock)
    return database, await database.store(audit_key=bytes(32), chain=new_time_id(clock.now()))


@asynccontextmanager
async def rounds(database: Database, store: Store, clock: ManualClock, **more: Any) -> AsyncIterator[None]:
    """A janitor goes round; then it ends, and the database is closed. `more`: what else it is given."""
    given = {"broken": lambda: False, "trouble": lambda: None, "probe": database.probe, "expires": EXPIRES, **more}
    going = asyncio.create_task(Housekeeping(store, clock, HubInfo(HubId("hub"), "127.0.0.1:1", "1"), retention=Retention(), **given).run())
    try:
        yield
    finally:
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        await database.close()


def test_a_steadily_running_clock_is_trusted() -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    steady.start(clock.now() - 30)
    assert steady.believed()
    clock.advance(5000)
    assert steady.believed()


@pytest.mark.holds("SAFETY-84")
def test_after_a_jump_the_clock_is_not_trusted_for_an_hour() -> None:
    for jump in (10 * 365 * DAY_S, -DAY_S):
        clock = ManualClock()
        steady = SteadyClock(clock)
        clock.jump(jump)
        assert not steady.believed()
        clock.advance(STEADY_S - 1)
        assert not steady.believed()
        clock.jump(-jump)
        clock.advance(2)
        assert not steady.believed(), "setting it right is a jump as well"
        clock.advance(STEADY_S)
        assert steady.believed()


def test_a_start_far_from_the_last_time_is_a_jump_too() -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    steady.start(clock.now() - 30 * DAY_S)
    assert not steady.believed()
    clock.advance(STEADY_S)
    assert steady.believed()


def test_the_largest_clock_jump_of_the_last_hour_is_known_without_corrections() -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    for jump, worst in ((29.0, 0.0), (31.0, 31.0), (-40.0, 40.0), (0.0, 40.0)):
        clock.jump(jump)
        clock.advance(5)
        assert steady.believed(), "less than a minute removes nothing too early"
        assert round(steady.worst_jump_s) == worst
    clock.advance(3601)
    assert steady.worst_jump_s == 0


async def test_a_jump_of_the_clock_is_recorded_once_also_when_the_store_fails_at_first(tmp_path: Path) -> None:
    clock = ManualClock()
    database, store = await opened(tmp_path, clock)
    add, fail = store.log.add_event, [StoreBusy("busy")]

    async def add_event(made: Event) -> EventId | None:
        if fail:
            raise fail.pop()
        return await add(made)

    store.log.add_event = add_event  # type: ignore[method-assign, assignment]
    async with rounds(database, store, clock):
        await clock.elapse(BEAT_S)
        clock.jump(-DAY_S)

        async def recorded() -> list[object]:
            await clock.elapse(BEAT_S)
            return [one.details for one in (await store.log.events(SCOPE, 9)).items if one.type == "hub_clock_jumped"]

        assert await ask_until(recorded) == [{"seconds": -DAY_S}]
        assert len(await recorded()) == 1


def test_the_clock_is_trusted_at_the_first_start() -> None:
    steady = SteadyClock(ManualClock())
    steady.start(None)
    assert steady.believed()


def test_each_tier_has_its_bound_and_the_future_one() -> None:
    bounds = bounds_of(Retention(DAY_S, 30 * DAY_S, 400 * DAY_S), 1e9)
    assert 1e9 - bounds.seconds == DAY_S + 7200
    assert 1e9 - bounds.hours == 400 * DAY_S + 7200
    assert bounds.future == 1e9 + AHEAD_S


async def advance_until(clock: ManualClock, reached: Callable[[], bool], step_s: float = BEAT_S) -> None:
    """Let one round after the other begin."""

    async def look() -> bool:
        if clock._sleepers:  # it has gone round
            clock.advance(step_s)
        return reached()

    await ask_until(look, poll_s=0.005)


@pytest.mark.holds("SAFETY-71", "S-34")
async def test_the_heads_of_the_audit_chains_are_logged_at_the_start_and_daily(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The recorded value outlives a database that is truncated or replaced by an old copy."""
    clock, probes = ManualClock(), list[float]()
    database, store = await opened(tmp_path, clock)
    await store.user_admin.save_totp_rule(Scope(Actor("user", "0" * 26, "ada", "admin"), 1), "admins")

    async def probe() -> None:
        probes.append(clock.now())

    caplog.set_level(logging.INFO)

    def told() -> list[object]:
        return [getattr(record, "facts", {}).get("n") for record in caplog.records if record.getMessage() == "audit_head"]

    async def a_quarter_day() -> None:
        clock.advance(HEADS_EVERY_S / 4)
        before = len(probes)
        await advance_until(clock, lambda: len(probes) > before)

    async with rounds(database, store, clock, probe=probe):
        await eventually(lambda: told() == [1])
        for _ in range(3):
            await a_quarter_day()
        assert told() == [1]
        await a_quarter_day()
        await eventually(lambda: told() == [1, 1])


async def test_memory_is_released_every_minute_despite_a_failing_database(tmp_path: Path) -> None:
    clock, given, beats = ManualClock(), list[float](), list[float]()
    database, store = await opened(tmp_path, clock)

    async def shrink() -> None:
        given.append(clock.monotonic())
        raise StoreBusy("it is locked")

    async def probe() -> None:
        beats.append(clock.monotonic())

    began = clock.monotonic()
    async with rounds(database, store, clock, probe=probe, shrink=shrink):
        await advance_until(clock, lambda: len(given) == 11, SHRINK_EVERY_S / 2)
        assert [(at - began) / SHRINK_EVERY_S for at in given] == list(range(1, 12))
        assert len(beats) == 11  # the rest of the rounds went on


async def test_a_fault_found_by_a_probe_is_logged_at_its_begin_and_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a database knows of itself it tells itself."""
    caplog.set_level(logging.INFO)
    clock, probed = ManualClock(), 0
    database, store = await opened(tmp_path, clock)
    full, busy = StoreFull("no space is left"), StoreBusy("too many wait")
    probes: list[tuple[StoreError | None, StoreError | None]] = [
        (None, None), (busy, None), (busy, None), (full, full), (full, full), (None, None), (busy, None), (None, None), (None, None),
    ]  # fmt: skip

    async def probe() -> StoreError | None:
        nonlocal probed
        probed += 1
        return probes[min(probed, len(probes)) - 1][0]

    async with rounds(database, store, clock, trouble=lambda: probes[min(max(probed, 1), len(probes)) - 1][1], probe=probe):
        await advance_until(clock, lambda: probed > len(probes))
    told = [(record.getMessage(), vars(record)["facts"]) for record in caplog.records if record.getMessage().startswith("database_")]
    began = ("database_in_trouble", {"code": "store.busy", "reason": "too many wait"})
    assert told == [began, began, ("database_recovered", {})]


async def test_leftover_samples_of_deleted_nodes_are_removed(tmp_path: Path) -> None:
    clock = ManualClock()
    database, store = await opened(tmp_path, clock)
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node())).id)
    await store.metrics.append([pack(session, 0, layout_row(), int(clock.now() * 1000))])
    await store.nodes.delete_node(SCOPE, session.node)
    other = sqlite3.connect(tmp_path / "data" / "stardust-samples.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy):
        await store.nodes.sweep()
    other.close()
    assert await store.metrics.latest(session.no)
    async with rounds(database, store, clock):

        async def gone() -> bool:
            return not await store.metrics.latest(session.no)

        await ask_until(gone)


@pytest.mark.parametrize(
    ("jump", "outvoted"),
    [(10 * 365 * DAY_S, True), (10 * 365 * DAY_S, None), (10 * 365 * DAY_S, False), (-1_700_000_000, False), (-1_700_000_000, None)],
)
async def test_a_lasting_wrong_clock_deletes_nothing_if_contradicted(tmp_path: Path, jump: float, outvoted: bool | None) -> None:
    clock = ManualClock()
    database, store = await opened(tmp_path, clock)
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node())).id)
    await store.metrics.append([pack(session, 0, layout_row(), int(clock.now() * 1000))])
    asked = []

    def vote() -> bool | None:
        asked.append(clock.monotonic())
        return outvoted

    async with rounds(database, store, clock, clock_disagrees=vote, forward_clock=ForwardClock(clock).now):
        clock.jump(jump)
        await advance_until(clock, lambda: len(asked) >= 3, EXPIRE_EVERY_S / 2)
        assert asked[-1] - asked[0] >= EXPIRE_EVERY_S
        assert bool(await store.metrics.latest(session.no)) is (outvoted is not False or jump < 0)


async def test_events_and_deployments_go_with_the_jobs_of_their_time(tmp_path: Path) -> None:
    clock = ManualClock()
    database, store = await opened(tmp_path, clock)
    old, young = clock.now() - KEEP_S - 10, clock.now() - KEEP_S + DAY_S
    await asyncio.gather(*(store.log.add_event(new_event(old + number / 1000)) for number in range(1001)))  # more than go in one round
    await store.log.add_event(kept := new_event(young)._replace(severity="error"))
    for at in (old, young):
        await store.deployments.create_deployment(SCOPE, new_deployment(at)._replace(state="failed", ended_at=at + 1))
    async with rounds(database, store, clock):

        async def told() -> bool:
            clock.advance(BEAT_S)
            left = [one.created_at for one in (await store.deployments.deployments(SCOPE, 10)).items]
            events = (await store.log.events(SCOPE, 10)).items
            return left == [young] and [one for one in events if one.type != "hub_started"] == [kept]

        await ask_until(told, poll_s=0.005)


async def test_a_clock_that_jumps_during_an_expiry_does_not_change_its_bounds(tmp_path: Path) -> None:
    clock, bounds = ManualClock(), list[float]()
    database, store = await opened(tmp_path, clock)

    async def expire(_stores: Stores, before: float) -> int:
        bounds.append(before)
        clock.jump(365 * DAY_S)
        return int(len(bounds) < 3)

    started_at = clock.now()
    async with rounds(database, store, clock, expires=[Expiry("things", DAY_S, expire)]):
        await advance_until(clock, lambda: len(bounds) == 3)
    assert len(set(bounds)) == 1
    assert bounds[0] < started_at
