"""The outbox: nothing sent twice, nothing missing, and a bounded size."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.hub.outbox import BACKFILL_WINDOW, KEEP_S, LIVE_WINDOW, MAX_ANNOUNCED, Outbox
from spider.wire.errors import ProtocolError
from spider.wire.frames import Welcome
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LIVE, Ack, Gap, Late, Layout, Pack, Row, Watch
from tests.support.clock import ManualClock
from tests.support.wire import unpack_rows

PULSE = Layout(b"pulse--1", "pulse", 1, ["cpu.total", "load.1"])
BREATHE = Layout(b"breathe1", "breathe", 60, ["temperature{sensor=a}"])
NOW_MS = 1_800_000_000_000


def welcome(live: int = -1, backfill: int = -1, pack_s: int = 10) -> Welcome:
    return Welcome(1, NOW_MS, pack_s, live, backfill, [], [], [])


class Bench:
    """An outbox, its clock and a row each second."""

    def __init__(self, dice: random.Random | None = None) -> None:
        self.clock = ManualClock(NOW_MS / 1000)
        self.outbox = Outbox(self.clock, dice=dice)
        self.second = 0

    def sample(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.outbox.add(PULSE, Row(NOW_MS + self.second * 1000, [self.second, None]))
            self.second += 1
            self.clock.advance(1)

    def packs(self) -> list[Pack]:
        return [message for message in self.sent() if isinstance(message, Pack)]

    def sent(self) -> list[Layout | Pack | Late | Gap]:
        found: list[Layout | Pack | Late | Gap] = []
        while (message := self.outbox.take()) is not None:
            found.append(message)
        return found


def seconds_of(packs: list[Pack]) -> list[int | None]:
    return [row.values[0] for pack in packs for row in unpack_rows(pack.coding, pack.body)]


def test_unwatched_rows_are_sent_ten_at_a_time() -> None:
    bench = Bench()
    bench.outbox.resume(welcome())
    bench.sample(9)
    assert bench.sent() == []
    bench.sample(21)
    sent = bench.sent()
    assert sent[0] == PULSE
    packs = [message for message in sent if isinstance(message, Pack)]
    assert [(pack.stream, pack.seq) for pack in packs] == [(STREAM_LIVE, 0), (STREAM_LIVE, 1), (STREAM_LIVE, 2)]
    assert seconds_of(packs) == list(range(30))


def test_a_slow_family_does_not_wait_for_ten_rows() -> None:
    bench = Bench()
    bench.outbox.resume(welcome())
    bench.outbox.add(BREATHE, Row(NOW_MS, [1]))
    assert [type(message).__name__ for message in bench.sent()] == ["Layout", "Pack"]


def test_the_hub_says_how_long_a_pack_is() -> None:
    bench = Bench()
    bench.outbox.resume(welcome(pack_s=3))
    bench.sample(6)
    assert [len(unpack_rows(pack.coding, pack.body)) for pack in bench.packs()] == [3, 3]


def test_watched_rows_are_sent_one_by_one_until_the_lease_ends() -> None:
    bench = Bench()
    bench.outbox.resume(welcome())
    bench.sample(4)
    bench.outbox.watch(Watch(["pulse"], 1, 15))
    assert seconds_of(bench.packs()) == [0, 1, 2, 3]
    for second in range(4, 19):
        bench.sample()
        assert seconds_of(bench.packs()) == [second]
    bench.sample(20)
    packs = bench.packs()
    assert seconds_of(packs)[:10] == list(range(19, 29))
    assert len(packs) <= 3, "rows travel together again"


def test_nodes_watched_together_spread_their_packs_again() -> None:
    fleet = [Bench(random.Random(seed)) for seed in range(300)]
    first: Counter[int] = Counter()
    for bench in fleet:
        bench.outbox.resume(welcome())
        bench.outbox.watch(Watch(["pulse"], 1, 15))
        bench.sample(15)
        bench.packs()
        for second in range(10):
            bench.sample()
            if bench.packs():
                first[second] += 1
                bench.sample(30 - second - 1)
                lengths = [len(unpack_rows(pack.coding, pack.body)) for pack in bench.packs()]
                assert lengths in ([10, 10], [10]), "only the first is shorter"
                break
    assert first.total() == len(fleet)
    assert min(first[second] for second in range(10)) > 10
    assert max(first.values()) < 60


def test_a_watch_can_be_ended_and_does_not_outlive_its_session() -> None:
    bench = Bench()
    bench.outbox.resume(welcome())
    bench.outbox.watch(Watch(["pulse"], 1, 3600))
    bench.outbox.watch(Watch(["pulse"], 1, 0))
    assert not bench.outbox.watched("pulse")
    bench.outbox.watch(Watch(["pulse"], 1, 3600))
    bench.outbox.resume(welcome())
    assert not bench.outbox.watched("pulse")


def test_a_new_layout_closes_the_pack_and_is_named_before_it_is_used() -> None:
    bench = Bench()
    bench.outbox.resume(welcome())
    bench.sample(3)
    other = PULSE._replace(layout=b"pulse--2", series=["cpu.total"])
    bench.outbox.add(other, Row(NOW_MS + 3000, [3]))
    bench.outbox.watch(Watch(["pulse"], 1, 1))
    kinds = [message if isinstance(message, Layout) else message.layout for message in bench.sent() if isinstance(message, (Layout, Pack))]
    assert kinds == [PULSE, PULSE.layout, other, other.layout]


def test_layouts_are_sent_again_before_the_hub_may_have_forgotten_them() -> None:
    bench = Bench()
    bench.outbox.resume(welcome())
    bench.outbox.watch(Watch(["pulse"], 1, 3600))
    layouts = [PULSE._replace(layout=b"layout%02d" % number) for number in range(MAX_ANNOUNCED + 1)]
    told: list[bytes] = []
    for layout in [*layouts, layouts[0]]:
        bench.outbox.add(layout, Row(NOW_MS, [1, 2]))
        told += [message.layout for message in bench.sent() if isinstance(message, Layout)]
    assert told == [layout.layout for layout in [*layouts, layouts[0]]]


def test_a_clock_set_back_begins_a_new_pack() -> None:
    bench = Bench()
    bench.outbox.resume(welcome())
    bench.sample(3)
    bench.outbox.add(PULSE, Row(NOW_MS - 60_000, [99, 0]))
    bench.outbox.watch(Watch(["pulse"], 1, 1))
    assert [seconds_of([pack]) for pack in bench.packs()] == [[0, 1, 2], [99]]


def test_acknowledged_packs_are_forgotten_and_unknown_acknowledgements_refused() -> None:
    bench = Bench()
    bench.outbox.resume(welcome())
    bench.sample(20)
    bench.packs()
    bench.outbox.acked(Ack(STREAM_LIVE, 0))
    assert bench.outbox.pending()[0] == 10
    bench.outbox.acked(Ack(STREAM_LIVE, 1))
    assert bench.outbox.pending() == (0, 0)
    for wrong in (Ack(STREAM_LIVE, 2), Ack(STREAM_BACKFILL, 0), Ack(7, 0)):
        with pytest.raises(ProtocolError):
            bench.outbox.acked(wrong)


def test_rows_stored_before_the_cut_are_not_resent_and_the_rest_is_backfilled() -> None:
    bench = Bench()
    bench.outbox.resume(welcome())
    bench.sample(30)
    assert len(bench.packs()) == 3
    bench.sample(30)
    bench.outbox.resume(welcome(live=0))
    bench.sample(10)
    packs = bench.packs()
    live = [pack for pack in packs if pack.stream == STREAM_LIVE]
    old = [pack for pack in packs if pack.stream == STREAM_BACKFILL]
    assert packs[: len(live)] == live
    assert [pack.seq for pack in live] == [1, 2]
    assert seconds_of(live) == list(range(50, 70))
    assert [pack.seq for pack in old] == list(range(len(old)))
    assert seconds_of(old) == list(range(10, 50))


def test_rows_measured_just_before_the_first_session_are_live() -> None:
    bench = Bench()
    bench.outbox.add(BREATHE, Row(NOW_MS, [1]))
    bench.clock.advance(2)
    bench.outbox.resume(welcome(live=41))
    assert [(pack.stream, pack.seq) for pack in bench.packs()] == [(STREAM_LIVE, 42)]


def test_unacknowledged_packs_are_limited() -> None:
    bench = Bench()
    bench.sample(500)
    bench.outbox.resume(welcome(pack_s=1))
    assert len([pack for pack in bench.packs() if pack.stream == STREAM_BACKFILL]) == BACKFILL_WINDOW
    bench.sample(LIVE_WINDOW + 20)
    assert len(bench.packs()) == LIVE_WINDOW - 1  # one was live from before


def test_after_ten_minutes_without_a_hub_the_oldest_rows_go_and_are_counted() -> None:
    bench = Bench()
    bench.sample(2000)
    rows, size = bench.outbox.pending()
    assert KEEP_S <= rows <= KEEP_S + 10
    assert rows + bench.outbox.dropped_rows == 2000
    bench.outbox.resume(welcome())
    seen: list[int | None] = []
    while True:
        packs = bench.packs()
        if not packs:
            break
        for pack in packs:
            seen += seconds_of([pack])
            bench.outbox.acked(Ack(pack.stream, pack.seq))
    assert sorted(value for value in seen if value is not None) == list(range(bench.outbox.dropped_rows, 2000))
    assert size > 0
    assert bench.outbox.pending() == (0, 0)


@pytest.mark.holds("SAFETY-93")
def test_the_outbox_has_a_memory_limit() -> None:
    bench = Bench()
    wide = Layout(b"wide----", "pulse", 1, [f"disk.read{{device=d{number}}}" for number in range(2000)])
    for second in range(400):
        bench.outbox.add(wide, Row(NOW_MS + second * 1000, [1 << 50] * 2000))
        bench.clock.advance(0.5)
    assert bench.outbox.pending()[1] < 5 * 1024 * 1024
    assert bench.outbox.dropped_rows > 0


@pytest.mark.parametrize(
    ("layout", "row"),
    [
        (PULSE, Row(NOW_MS, [1])),
        (PULSE, Row(NOW_MS, [1, 1 << 63])),
        (PULSE, Row(0, [1, 2])),
        (PULSE, Row(NOW_MS * 10, [1, 2])),
        (PULSE._replace(series=[]), Row(NOW_MS, [])),
        (PULSE._replace(series=["x" * 200] * 4096), Row(NOW_MS, [1] * 4096)),
        (PULSE._replace(series=["x"] * 4097), Row(NOW_MS, [1] * 4097)),
    ],
)
def test_rows_that_the_hub_would_refuse_are_counted_and_not_sent(layout: Layout, row: Row) -> None:
    bench = Bench()
    bench.outbox.resume(welcome(pack_s=1))
    bench.outbox.add(layout, row)
    assert bench.sent() == []
    assert bench.outbox.dropped_rows == 1
    bench.sample()
    assert len(bench.packs()) == 1


class Store:
    """A hub's memory of one boot: gap-free marks, rows once."""

    def __init__(self) -> None:
        self.marks = {STREAM_LIVE: -1, STREAM_BACKFILL: -1}
        self.rows: list[int | None] = []

    def append(self, pack: Pack) -> None:
        if pack.seq <= self.marks[pack.stream]:
            return
        assert pack.seq == self.marks[pack.stream] + 1, "a hole in a stream"
        self.marks[pack.stream] = pack.seq
        self.rows += seconds_of([pack])


@given(st.integers(0, 1 << 32))
def test_every_row_arrives_exactly_once_over_random_cuts_and_losses(seed: int) -> None:
    dice = random.Random(seed)
    bench, store = Bench(), Store()
    for _ in range(dice.randrange(1, 8)):
        bench.outbox.resume(welcome(store.marks[STREAM_LIVE], store.marks[STREAM_BACKFILL], dice.choice([1, 3, 10])))
        for _ in range(dice.randrange(6)):
            if dice.random() < 0.2:
                bench.outbox.watch(Watch(["pulse"], 1, dice.choice([0, 5])))
            bench.sample(dice.randrange(12))
            arriving, cut = bench.packs(), dice.random() < 0.3
            for pack in arriving[: dice.randrange(len(arriving) + 1)] if cut else arriving:
                store.append(pack)
                if dice.random() < 0.7:
                    bench.outbox.acked(Ack(pack.stream, pack.seq))
            if cut:
                break
        bench.sample(dice.randrange(20))
    for _ in range(60):
        bench.outbox.resume(welcome(store.marks[STREAM_LIVE], store.marks[STREAM_BACKFILL], 1))
        bench.sample()
        for pack in bench.packs():
            store.append(pack)
    bench.outbox.watch(Watch(["pulse"], 1, 1))
    for pack in bench.packs():
        store.append(pack)
    assert sorted(value for value in store.rows if value is not None) == list(range(bench.second))
    assert bench.outbox.dropped_rows == 0
