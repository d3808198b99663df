"""The process history of all nodes is written in one transaction, and waits while the store fails."""

from __future__ import annotations

from typing import TypeVar, cast

import pytest

from groundcontrol.agents.process_history import MAX_WAITING, ProcessHistoryWriter
from groundcontrol.core.errors import Fenced, StoreError, StoreFull
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.nodes.model import Session
from groundcontrol.nodes.processes import ProcessReading
from tests.support.clock import ManualClock

T = TypeVar("T")
MINUTE_MS = 60_000


class RefusingHistory:
    """A store of the process history that refuses what a test names."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.ended: set[int] = set()
        self.held: list[tuple[int, int]] = []

    def __getitem__(self, _kind: type[T]) -> T:
        return cast("T", self)

    async def save_reading(self, session: Session, reading: ProcessReading) -> None:
        if self.fails is not None:
            raise self.fails
        if session.no in self.ended:
            raise Fenced("over")
        self.held.append((session.no, reading.at_ms))


def session(no: int) -> Session:
    return Session(NodeId(f"node-{no}"), no, 1, HubId("hub"), BootId("boot"), 1)


async def test_the_last_reading_of_each_minute_is_written_once() -> None:
    store, clock = RefusingHistory(), ManualClock()
    writer = ProcessHistoryWriter(store, clock)
    for no, at_ms in ((1, 0), (1, 5000), (2, 7000), (1, MINUTE_MS)):
        writer.add(session(no), ProcessReading(at_ms, []))
    await writer.flush()
    await writer.flush()
    assert sorted(store.held) == [(1, 5000), (1, MINUTE_MS), (2, 7000)]


async def test_readings_wait_for_a_full_disk_and_those_of_ended_sessions_are_dropped() -> None:
    store, clock = RefusingHistory(), ManualClock()
    writer = ProcessHistoryWriter(store, clock)
    store.fails, store.ended = StoreFull("no space"), {1}
    for no in (1, 2):
        writer.add(session(no), ProcessReading(0, []))
    await writer.flush()
    writer.add(session(2), ProcessReading(9000, []))
    store.fails = None
    await writer.flush()
    assert store.held == [(2, 9000)]


@pytest.mark.parametrize("error", [StoreError("a damaged page"), ValueError("a fault of this program")])
async def test_a_permanently_refused_reading_is_dropped(error: Exception) -> None:
    store, clock = RefusingHistory(), ManualClock()
    writer = ProcessHistoryWriter(store, clock)
    store.fails = error
    writer.add(session(1), ProcessReading(0, []))
    await writer.flush()
    store.fails = None
    await writer.flush()
    assert store.held == []


async def test_above_the_limit_the_oldest_readings_are_dropped() -> None:
    store, clock = RefusingHistory(), ManualClock()
    writer = ProcessHistoryWriter(store, clock)
    for minute in range(MAX_WAITING + 1):
        writer.add(session(1), ProcessReading(minute * MINUTE_MS, []))
    await writer.flush()
    assert [held[1] // MINUTE_MS for held in store.held[:: MAX_WAITING - 1]] == [1, MAX_WAITING]
