"""When samples are moved into chunks and parts are merged: by the store's contents, at a limited pace."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from groundcontrol.core.errors import StoreBusy, StoreDamaged, StoreError, StoreFull
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.compactor import MERGE_AFTER_S, MOST_PARTS, PIECE_S, ROUND_LIMIT_S, ROUND_S, SETTLE_S, Compactor
from groundcontrol.samples.model import Due, HotHour, Moved
from tests.support.background import in_background
from tests.support.clock import ManualClock


class Shelf:
    """Notes what it is asked to do; the store itself is tested with the store."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.hours: list[HotHour] = []
        self.parts: list[Due] = []
        self.done: list[tuple[object, ...]] = []
        self.fails: Exception | None = None
        self.full: set[int] = set()
        """Nodes with a span that is full."""
        self.moves = Moved(1, 0)

    async def hot_hours(self) -> Sequence[HotHour]:
        return self.hours

    async def compact(self, no: int, hour: int, *, include_slow: bool = True) -> Moved:
        if self.fails is not None:
            raise self.fails
        if no in self.full:
            return Moved(0, 0, full=True)
        self.done.append(("compact", no, hour, include_slow))
        return self.moves

    async def pending_merges(self) -> Sequence[Due]:
        return self.parts

    async def merge(self, due: Due, *, everything: bool = True) -> bool:
        if self.fails is not None:
            raise self.fails
        self.done.append(("merge", due.no, due.span, everything))
        return True

    def hot(self, no: int, hours_ago: int, age_s: float, last: int = 1) -> HotHour:
        now = self.clock.now()
        made = HotHour(no, int(now // 3600) - hours_ago, int((now - age_s) * 1000), (1, 0, last))
        self.hours.append(made)
        return made

    def taken(self) -> list[tuple[object, ...]]:
        done, self.done = self.done, []
        return done


async def always() -> bool:
    return True


async def id_by_number(no: int) -> NodeId | None:
    if no > 8:
        raise StoreBusy("the database is locked")
    return None if no == 8 else NodeId(f"node-{no}")


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    """What was logged, and of which node."""
    return [(record.message, vars(record)["facts"]["node"]) for record in caplog.records]


def made() -> tuple[ManualClock, Shelf, Compactor]:
    clock = ManualClock(1_790_000_000.0 // 3600 * 3600 + 1800)
    shelf = Shelf(clock)
    return clock, shelf, Compactor(shelf, clock, always, id_by_number)


async def test_the_current_hour_is_compacted_in_pieces() -> None:
    clock, shelf, compactor = made()
    old, _young = shelf.hot(1, 0, PIECE_S), shelf.hot(2, 0, PIECE_S - 1)
    await compactor.round()
    assert shelf.taken() == [("compact", 1, old.hour, False)]
    await compactor.round()
    assert shelf.taken() == []
    clock.advance(PIECE_S)
    await compactor.round()
    assert ("compact", 1, old.hour, False) in shelf.taken(), "slow families stay, and the next piece comes in its time"


async def test_a_past_hour_is_compacted_once_it_is_settled() -> None:
    clock, shelf, compactor = made()
    over = shelf.hot(1, 1, 4000)
    await compactor.round()
    assert shelf.taken() == []
    clock.advance(SETTLE_S - 1)
    shelf.hours = [over._replace(last=(1, 0, 2))]
    await compactor.round()
    clock.advance(SETTLE_S - 1)
    await compactor.round()
    assert shelf.taken() == []
    clock.advance(1)
    await compactor.round()
    assert shelf.taken() == [("compact", 1, over.hour, True)]


async def test_a_node_with_a_long_backlog_does_not_block_others() -> None:
    clock, shelf, compactor = made()
    for hours_ago in range(5, 0, -1):
        shelf.hot(1, hours_ago, 7200)
    shelf.hot(2, 1, 7200)
    shelf.hot(3, 0, PIECE_S)
    await compactor.round()
    clock.advance(SETTLE_S)
    shelf.taken()
    await compactor.round()
    now = int(clock.now() // 3600)
    assert shelf.taken() == [("compact", no, now - ago, True) for no, ago in ((1, 1), (2, 1), (1, 2), (1, 3), (1, 4), (1, 5))]


async def test_late_samples_do_not_delay_compaction_forever() -> None:
    clock, shelf, compactor = made()
    late = shelf.hot(1, 50, 180_000)
    for at in range(int(PIECE_S / 30) + 1):
        shelf.hours = [late._replace(last=(1, 1, at))]
        await compactor.round()
        if shelf.done:
            break
        clock.advance(30)
    assert shelf.taken() == [("compact", 1, late.hour, True)]


async def test_parts_are_merged_when_they_are_many_or_their_span_is_over() -> None:
    clock, shelf, compactor = made()
    hour = int(clock.now() // 3600)
    shelf.parts = [
        Due(0, 1, hour, 1, MOST_PARTS, clock.now()),
        Due(0, 2, hour, 1, 2, clock.now()),
        Due(0, 3, hour - 1, 1, 2, clock.now() - MERGE_AFTER_S),
        Due(0, 4, hour - 1, 1, 2, clock.now()),
        Due(0, 5, hour - 1, 1, 2, clock.now() + 1e6),
    ]
    await compactor.round()
    assert shelf.taken() == [("merge", 1, hour, False), ("merge", 3, hour - 1, True), ("merge", 5, hour - 1, True)]


async def test_a_span_with_damaged_parts_is_logged_once_and_skipped(caplog: pytest.LogCaptureFixture) -> None:
    _clock, shelf, compactor = made()
    shelf.parts = [Due(0, 1, 5, 1, MOST_PARTS, 0.0)]
    shelf.fails = StoreDamaged("a stored chunk cannot be read")
    await compactor.round()
    shelf.fails = None
    await compactor.round()
    assert shelf.taken() == []
    assert told(caplog) == [("samples_damaged", "node-1")]


@pytest.mark.parametrize("error", [StoreError("the database samples refused a statement", sqlite="SQLITE_ERROR"), ValueError("a bug")])
async def test_a_failed_compaction_is_logged_once_and_retried_after_a_pause(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    clock, shelf, compactor = made()
    over = shelf.hot(1, 1, 4000)
    shelf.parts = [Due(0, 1, 5, 1, MOST_PARTS, 0.0)]
    shelf.fails = error
    await compactor.round()
    clock.advance(SETTLE_S)
    await compactor.round()
    shelf.fails, refused = None, shelf.fails
    await compactor.round()
    assert shelf.taken() == [], "not at once"
    shelf.fails = refused
    clock.advance(PIECE_S)
    await compactor.round()
    shelf.fails = None
    clock.advance(PIECE_S)
    await compactor.round()
    assert shelf.taken() == [("compact", 1, over.hour, True), ("merge", 1, 5, True)]
    assert told(caplog) == [("compaction_failed", "node-1")] * 2, "once for each"
    shelf.fails = refused
    await compactor.round()
    assert len(told(caplog)) == 4, "it had been done meanwhile"


async def test_failed_and_damaged_spans_are_forgotten_when_they_are_gone() -> None:
    _clock, shelf, compactor = made()
    shelf.parts = parts = [Due(0, 1, 5, 1, MOST_PARTS, 0.0)]
    for failure in (StoreError("the database samples refused a statement"), StoreDamaged("a stored chunk cannot be read")):
        shelf.fails = failure
        await compactor.round()
        shelf.fails, shelf.parts = None, []
        await compactor.round()
        shelf.parts = parts
        await compactor.round()
        assert shelf.taken() == [("merge", 1, 5, True)]


async def test_a_list_that_the_database_refuses_does_not_end_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, shelf, compactor = made()
    asked = []

    async def refuse() -> Sequence[HotHour]:
        asked.append(clock.monotonic())
        raise StoreError("the database samples refused a statement")

    monkeypatch.setattr(shelf, "hot_hours", refuse)
    async with in_background(compactor.run()):
        async with asyncio.timeout(60):
            while len(asked) < 3:
                await asyncio.sleep(0)
                clock.advance(ROUND_S)


async def test_damage_of_an_unknown_node_is_logged_by_number(caplog: pytest.LogCaptureFixture) -> None:
    _clock, shelf, compactor = made()
    shelf.parts = [Due(0, no, 5, 1, MOST_PARTS, 0.0) for no in (7, 8, 9)]
    shelf.fails = StoreDamaged("a stored chunk cannot be read")
    await compactor.round()
    assert told(caplog) == [("samples_damaged", "node-7"), ("samples_damaged", 8), ("samples_damaged", 9)]
    assert {vars(record)["facts"]["place"] for record in caplog.records} == {(5, 0, 1)}


async def test_quarantined_packs_are_counted_logged_once_and_retried_seldom(caplog: pytest.LogCaptureFixture) -> None:
    clock, shelf, compactor = made()
    over = shelf.hot(1, 1, 4000)
    await compactor.round()
    clock.advance(SETTLE_S)
    shelf.moves = Moved(7, 2)
    await compactor.round()
    assert (compactor.packs, compactor.quarantined, compactor.backlog) == (7, 2, 1)
    shelf.moves = Moved(0, 2)
    await compactor.round()
    assert len(shelf.taken()) == 2, "the rest of its hour goes on at once"
    for _ in range(20):
        clock.advance(PIECE_S / 25)
        await compactor.round()
    assert (shelf.taken(), compactor.backlog) == ([], 0)
    clock.advance(PIECE_S)
    await compactor.round()
    assert shelf.taken() == [("compact", 1, over.hour, True)], "something may have come that is not the last"
    clock.advance(SETTLE_S)
    shelf.hours = [over._replace(last=(9, 9, 9))]
    await compactor.round()
    clock.advance(SETTLE_S)
    await compactor.round()
    assert shelf.taken() == [("compact", 1, over.hour, True)], "what came since goes at its own time"
    shelf.hours = []
    await compactor.round()
    assert compactor.quarantined == 0, "it is gone with its time"
    assert told(caplog) == [("samples_damaged", "node-1")]


async def test_a_full_disk_ends_only_the_round() -> None:
    _clock, shelf, compactor = made()
    shelf.hot(1, 0, PIECE_S)
    shelf.fails = StoreFull("no space")
    try:
        await compactor.round()
    except StoreFull:
        shelf.fails = None
    else:
        raise AssertionError("it went on")
    assert compactor.packs == 0


async def test_a_full_span_waits_for_its_merge_and_blocks_no_other(caplog: pytest.LogCaptureFixture) -> None:
    clock, shelf, compactor = made()
    full, other = shelf.hot(1, 1, 4000), shelf.hot(2, 1, 4000)
    shelf.parts = [Due(0, 1, full.hour, 1, 4096, 0.0)]
    shelf.full = {1}
    await compactor.round()
    shelf.taken()
    clock.advance(SETTLE_S)
    await compactor.round()
    assert shelf.taken() == [("compact", 2, other.hour, True), ("merge", 1, full.hour, True)]
    shelf.hours = [full]
    shelf.parts = []
    await compactor.round()
    clock.advance(PIECE_S)
    await compactor.round()
    assert told(caplog) == [("span_full", "node-1")], "told once"
    shelf.full = set()
    await compactor.round()
    assert shelf.taken() == [], "it is not tried again and again"
    clock.advance(PIECE_S)
    await compactor.round()
    assert shelf.taken() == [("compact", 1, full.hour, True)]


class SlowShelf(Shelf):
    """Each step takes half a second."""

    async def compact(self, no: int, hour: int, *, include_slow: bool = True) -> Moved:
        self.clock.advance(0.5)
        return await super().compact(no, hour, include_slow=include_slow)


class JumpingClock(ManualClock):
    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


async def test_a_round_of_many_steps_keeps_its_time_limit() -> None:
    clock = JumpingClock(1_790_000_000.0)
    shelf = SlowShelf(clock)
    for no in range(1, 201):
        shelf.hot(no, 0, PIECE_S)
    began = clock.monotonic()
    assert await Compactor(shelf, clock, always, id_by_number).round() == 200
    assert ROUND_LIMIT_S * 0.99 <= clock.monotonic() - began <= ROUND_LIMIT_S * 1.01
