"""Metric families at their intervals, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.linux import linux_collectors
from spider.sampling.sampler import EARLY_S, Sampler, TickSchedule, layout_of, phase_ms_of
from spider.threads import Threads, ThreadUnavailable
from spider.wire.frames import MAX_ITEMS
from spider.wire.metrics import INTERVAL_S
from spider.wire.sample_messages import Layout, Row
from tests.support.clock import ManualClock, settle
from tests.support.eventually import eventually
from tests.support.thread_shortage import no_more_threads

START = 1_000_000.0


class Gauge(Collector):
    """A collector whose values the test sets."""

    def __init__(self, family: str = "pulse", names: tuple[str, ...] = ("load.1",), value: Callable[[], int] = lambda: 7) -> None:
        super().__init__()
        self.family = family
        self.names = list(names)
        self.value = value
        self.read_at: list[float] = []
        self.closed = False

    def series(self) -> list[str]:
        return self.names

    def read(self, now: float) -> list[int | None]:
        self.read_at.append(now)
        return [self.value() for _ in self.names]

    def close(self) -> None:
        self.closed = True


class Counter(Gauge):
    counts = True


class Aside(Gauge):
    blocking = True


class Rows:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.rows: list[tuple[Layout, Row]] = []

    def __call__(self, layout: Layout, row: Row) -> None:
        self.rows.append((layout, row))

    def seconds(self, family: str = "pulse") -> list[int]:
        assert all(row.taken_at_ms % 1000 == 0 for _, row in self.rows)
        return [row.taken_at_ms // 1000 - int(START) for layout, row in self.rows if layout.family == family]


@asynccontextmanager
async def running(clock: ManualClock, sink: Rows, *collectors: Collector, phase_ms: int = 0) -> AsyncIterator[Sampler]:
    sampler = Sampler(collectors, clock, sink, phase_ms)
    task = asyncio.create_task(sampler.run())
    await settle()
    try:
        yield sampler
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_first_pulse_comes_within_the_first_second_or_so() -> None:
    for start, first in ((START, 1), (START + 0.5, 1), (START + 0.79, 1), (START + 0.9, 2)):
        clock, rows = ManualClock(start), Rows()
        async with running(clock, rows, Counter()):
            await clock.elapse(1.25)
            assert rows.seconds()[0] == first


async def test_samples_are_taken_on_whole_seconds_without_drift() -> None:
    clock, rows = ManualClock(START + 0.37), Rows()
    async with running(clock, rows, Counter()):
        await clock.elapse(600, late=0.004)
        assert rows.seconds() == list(range(1, 601))


async def test_a_node_measures_at_its_own_moment_of_the_second_and_says_so() -> None:
    for start, first in ((START, 0), (START + 0.5, 0), (START + 0.6, 1)):
        clock, rows, gauge, counter = ManualClock(start), Rows(), Gauge(), Counter("breathe", ("temperature{sensor=a}",))
        began = clock.monotonic()
        async with running(clock, rows, gauge, counter, phase_ms=735):
            await clock.elapse(120, late=0.004)
        pulses = [row.taken_at_ms for layout, row in rows.rows if layout.family == "pulse"]
        assert pulses[1:] == [(int(START) + second) * 1000 + 735 for second in range(len(pulses) - 1)]
        assert len(pulses) in (120, 121), "the one before the first moment, and each since"
        for read_at, taken_at_ms in zip(gauge.read_at[1:], pulses[1:], strict=True):
            assert abs(start + read_at - began - taken_at_ms / 1000) < 0.01, "it was measured when it says"
        breaths = [row.taken_at_ms for layout, row in rows.rows if layout.family == "breathe"]
        assert breaths == [(int(START) + first + second) * 1000 + 735 for second in (0, 60)]


async def test_a_clock_that_is_set_leaves_a_node_its_moment() -> None:
    clock, rows = ManualClock(START + 0.2), Rows()
    async with running(clock, rows, Gauge(), phase_ms=300):
        await clock.elapse(3)
        clock.jump(START - 1000.5 - clock.now())
        await clock.elapse(3)
        clock.jump(START + 5000.1 - clock.now())
        await clock.elapse(3)
    times = [row.taken_at_ms for _, row in rows.rows]
    assert len(times) >= 9
    assert {taken_at_ms % 1000 for taken_at_ms in times} == {300}
    assert len(set(times)) == len(times)


def test_sampling_times_of_a_fleet_are_spread_over_the_second() -> None:
    moments = [phase_ms_of(hashlib.sha256(b"%d" % number).digest()[:16]) for number in range(1000)]
    assert all(0 <= moment < 1000 for moment in moments)
    tenths = [sum(moment // 100 == tenth for moment in moments) for tenth in range(10)]
    assert all(60 < count < 140 for count in tenths), tenths
    assert phase_ms_of(bytes(16)) == 0
    assert phase_ms_of(b"\xff" * 16) == 999


async def test_a_gauge_is_measured_immediately() -> None:
    clock, rows = ManualClock(START + 0.37), Rows()
    async with running(clock, rows, Gauge("breathe", ("temperature{sensor=a}",))):
        assert rows.seconds("breathe") == [0]
        await clock.elapse(130)
        assert rows.seconds("breathe") == [0, 60, 120]


async def test_a_suspended_machine_leaves_a_gap_and_no_burst(caplog: pytest.LogCaptureFixture) -> None:
    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Gauge()) as sampler:
        await clock.elapse(2.5)
        clock.jump(3600)
        with caplog.at_level(logging.INFO):
            await clock.elapse(3)
        assert rows.seconds() == [0, 1, 2, 3603, 3604, 3605]
        assert sampler.missed == {"pulse": 3600}
        assert [record.getMessage() for record in caplog.records] == ["samples_missed"]


async def test_a_delayed_loop_skips_missed_samples() -> None:
    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Gauge()):
        await clock.elapse(4.9, late=1.6)
        assert rows.seconds() == [0, 2, 4]


async def test_a_clock_that_is_set_back_or_forward_stops_nothing() -> None:
    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Gauge(), Gauge("breathe", ("temperature{sensor=a}",))):
        await clock.elapse(2.5)
        clock.jump(START - 1000.25 - clock.now())
        await clock.elapse(3)
        assert rows.seconds()[3:] == [-1000, -999, -998]
        clock.jump(START + 5000.75 - clock.now())
        await clock.elapse(120)
        assert rows.seconds()[6:] == list(range(5001, 5121))
        assert len(rows.seconds("breathe")) in (2, 3, 4)


async def test_series_that_change_make_a_new_layout() -> None:
    clock, rows, gauge = ManualClock(START), Rows(), Gauge(names=("load.1", "load.5"))
    async with running(clock, rows, gauge, Gauge(names=("load.15",))):
        await clock.elapse(1)
        gauge.names = ["load.1"]
        await clock.elapse(1)
        gauge.names = ["load.1", "load.5"]
        await clock.elapse(1)
    layouts = [layout for layout, _ in rows.rows]
    assert [layout.series for layout in layouts] == [["load.1", "load.5", "load.15"]] * 2 + [
        ["load.1", "load.15"],
        ["load.1", "load.5", "load.15"],
    ]
    assert layouts[0] is layouts[1]
    assert layouts[0] == layouts[3] != layouts[2]
    assert all(len(layout.series) == len(row.values) for layout, row in rows.rows)


async def test_a_collector_that_fails_gives_nulls_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    failing = False

    def value() -> int:
        if failing:
            raise OSError(5, "Input/output error")
        return 1

    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Gauge(value=value), Gauge(names=("load.5",))):
        await clock.elapse(1)
        failing = True
        await clock.elapse(3)
        failing = False
        await clock.elapse(1)
    assert [row.values for _, row in rows.rows] == [[1, 7], [1, 7], [None, 7], [None, 7], [None, 7], [1, 7]]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == ["collector_failed"]
    assert caplog.records[0].facts == {"collector": "Gauge", "why": "OSError: [Errno 5] Input/output error"}  # type: ignore[attr-defined]


async def test_a_fault_of_a_collector_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Gauge(value=lambda: 1 // 0), Gauge(names=("load.5",))):
        await clock.elapse(1)
    assert [row.values for _, row in rows.rows] == [[7], [7]]
    assert caplog.records[0].exc_info is not None


async def test_values_that_do_not_match_their_series_are_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(Gauge):
        def read(self, now: float) -> list[int | None]:
            return [1, 2]

    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Wrong(), Gauge(names=("load.5",))):
        await clock.elapse(1)
    assert [row.values for _, row in rows.rows] == [[7], [7]]
    assert [record.getMessage() for record in caplog.records] == ["collector_failed"]


async def test_a_family_without_series_sends_nothing() -> None:
    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Gauge("breathe", ())):
        await clock.elapse(120)
    assert rows.rows == []


async def test_a_blocking_collector_runs_in_its_own_thread() -> None:
    threads: list[str] = []

    def value() -> int:
        threads.append(threading.current_thread().name)
        return 5

    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Aside("breathe", ("temperature{sensor=a}",), value)):
        await eventually(lambda: bool(rows.rows))
    assert threads == ["Aside"]
    assert rows.rows[0][1].values == [5]


async def test_a_collector_that_hangs_delays_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    held, hangs = threading.Event(), False

    def value() -> int:
        if hangs:
            held.wait(30)
        return 5

    slow = Aside("breathe", ("temperature{sensor=a}",), value)
    quick = Gauge("breathe", ("temperature{sensor=b}",))
    clock, rows = ManualClock(START), Rows()
    try:
        async with running(clock, rows, slow, quick, Gauge()):
            await eventually(lambda: bool(rows.seconds("breathe")))
            hangs = True
            await clock.elapse(190)
            breathes = [row.values for layout, row in rows.rows if layout.family == "breathe"]
            assert breathes == [[5, 7], [None, 7], [None, 7], [None, 7]]
            assert rows.seconds() == list(range(191)), "the pulse does not notice"
            assert len(slow.read_at) == 2, "it is not asked again while it is out"
            assert [record.getMessage() for record in caplog.records] == ["collector_late"]
            hangs = False
            held.set()
            await eventually(lambda: not any(thread.name == "Aside" for thread in threading.enumerate()))
            await clock.elapse(51)
            await eventually(lambda: len(rows.seconds("breathe")) == 5)
            assert [row.values for layout, row in rows.rows if layout.family == "breathe"][-1] == [5, 7]
    finally:
        held.set()


async def test_without_threads_nothing_is_measured_and_old_values_are_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Aside("breathe", ("temperature{sensor=a}",)), Gauge("breathe", ("temperature{sensor=b}",))):
        await eventually(lambda: len(rows.rows) == 1)
        with no_more_threads():
            await clock.elapse(121)
        await clock.elapse(60)
        await eventually(lambda: len(rows.rows) == 4)
    assert [row.values for _, row in rows.rows] == [[7, 7], [None, 7], [None, 7], [7, 7]]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == ["collector_failed"]
    assert caplog.records[0].facts == {"collector": "Aside", "why": "[Errno 11] no thread can be started"}  # type: ignore[attr-defined]


async def test_without_a_new_thread_short_work_waits_for_a_free_one_or_fails() -> None:
    pool = Threads(max_workers=2)
    loop = asyncio.get_running_loop()
    try:
        with no_more_threads(), pytest.raises(ThreadUnavailable):
            await loop.run_in_executor(pool, time.monotonic)
        busy = threading.Event()
        first = loop.run_in_executor(pool, busy.wait, 20)
        with no_more_threads():
            second = loop.run_in_executor(pool, lambda: 5)
        busy.set()
        assert (await first, await second) == (True, 5)
    finally:
        await asyncio.to_thread(pool.shutdown)


async def test_a_stopped_sampler_closes_its_collectors() -> None:
    clock, gauge = ManualClock(START), Gauge()
    async with running(clock, Rows(), gauge):
        await clock.elapse(1)
    assert gauge.closed


async def test_a_failing_sink_ends_the_sampler_with_its_error() -> None:
    def sink(layout: Layout, row: Row) -> None:
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        await Sampler([Gauge(), Gauge("breathe", ("temperature{sensor=a}",))], ManualClock(START), sink).run()


async def test_a_series_named_twice_or_too_many_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    many = tuple(f"cpu.core{{core={number}}}" for number in range(MAX_ITEMS))
    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, Gauge(names=("load.1", "load.5")), Gauge(names=("load.1",), value=lambda: 8), Gauge(names=many)):
        await clock.elapse(2)
    layout, row = rows.rows[-1]
    assert layout.series[:3] == ["load.1", "load.5", "cpu.core{core=0}"]
    assert len(layout.series) == len(row.values) == MAX_ITEMS
    assert row.values[:2] == [7, 7]
    assert [record.getMessage() for record in caplog.records] == ["series_left_out"]


async def test_this_machine_gives_a_pulse_and_a_breath() -> None:
    clock, rows = ManualClock(START), Rows()
    async with running(clock, rows, *linux_collectors()), asyncio.timeout(60):
        while not {layout.family for layout, _ in rows.rows} >= {"pulse", "breathe", "cycle"}:
            await clock.elapse(0.05)
            await asyncio.sleep(0.005)  # a first reading beside the loop takes its own time, and the clock has gone on by then
    for layout, row in rows.rows:
        assert len(layout.series) == len(row.values)
        assert layout == layout_of(layout.family, INTERVAL_S[layout.family], layout.series)


def test_a_layout_is_named_by_its_content() -> None:
    layout = layout_of("pulse", 1, ["cpu.total", "load.1"])
    assert layout.layout == hashlib.sha256(b"pulse\ncpu.total\nload.1\n").digest()[:8]
    assert layout.layout.hex() == "d00aece4d19d1176"
    assert layout_of("pulse", 1, ["load.1", "cpu.total"]).layout != layout.layout
    assert layout_of("breathe", 1, ["cpu.total", "load.1"]).layout != layout.layout


@given(st.sampled_from([1, 5, 60]), st.integers(0, 10_000), st.lists(st.floats(0, 200), max_size=30))
def test_sample_times_only_increase_under_any_delays(rhythm_s: int, first_s: int, delays: list[float]) -> None:
    rhythm, now, taken = TickSchedule(rhythm_s, first_s), float(first_s), []
    for delay in delays:
        second, missed = rhythm.take(now)
        assert missed >= 0
        if second is not None:
            taken.append(second)
        wait_s = rhythm.wait_s(now)
        assert 0 < wait_s <= rhythm_s + EARLY_S
        now += wait_s + delay
    assert taken == sorted(set(taken))
    assert all(second >= first_s for second in taken)
