"""Runs the collectors of each family at its interval and passes on the samples.

A family (a group of metrics with one interval, such as `pulse`) is sampled at wall clock seconds that are `interval_s` apart. Each node has its
own offset within the second: so the samples of a fleet do not all arrive at the same moment. Waiting is monotonic and never longer than one
interval. So a clock that is set moves the next sample by at most one interval. A missed moment (suspended or busy machine) is skipped, and the
history shows a gap.
"""

import asyncio
import hashlib
import logging
import math
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

from spider.clock import Clock
from spider.logs import event
from spider.sampling.collectors.base import Collector
from spider.threads import ThreadUnavailable, run_in_thread
from spider.timeouts import run_until_first_error
from spider.wire.frames import MAX_ITEMS
from spider.wire.metrics import INTERVAL_S
from spider.wire.sample_messages import Layout, Row

SHORTEST_S = 0.2
"""Shortest time between the baseline of a counter and its first difference. A difference over a shorter time is noise."""
EARLY_S = 0.05
"""Timers may fire slightly early. A timer that fires this much before a second counts for that second."""
BLOCKING_LIMIT_S = 10.0
"""Longest time that a row waits for collectors that run in threads. The row never waits longer than half the interval of its family."""
SEEN_GAP_S = 5
"""A gap of this length or longer is logged."""

Sink = Callable[[Layout, Row], None]
CollectedValues = Tuple[List[str], List[Optional[int]]]
"""Series and their values."""

log = logging.getLogger(__name__)


def layout_of(family: str, interval_s: int, series: Sequence[str]) -> Layout:
    """Make the layout of these series. The layout's id depends on its content only.

    The id is the first 8 bytes of SHA-256 over the family and the series in UTF-8. A newline, which no name contains, follows each of them.
    `cpu.total` and `load.1` of `pulse` have `SHA-256("pulse\\ncpu.total\\nload.1\\n")[:8]`.
    """
    digest = hashlib.sha256("".join(text + "\n" for text in (family, *series)).encode("utf-8")).digest()
    return Layout(digest[:8], family, interval_s, list(series))


def phase_ms_of(node: bytes) -> int:
    """Offset of a node's samples after the whole second, in milliseconds: constant, and as random as the node's id."""
    return int.from_bytes(node[-2:], "big") * 1000 >> 16


def nulls_for(result: CollectedValues) -> CollectedValues:
    """The same series with null values."""
    return result[0], [None] * len(result[0])


class TickSchedule:
    """The schedule of a family. Callers pass the time (Unix seconds)."""

    def __init__(self, interval_s: int, first_s: int) -> None:
        self._interval_s = interval_s
        self._phase = first_s % interval_s
        self._last: Optional[int] = None

    def _tick(self, now: float) -> int:
        return math.floor((now + EARLY_S - self._phase) / self._interval_s)

    def wait_s(self, now: float) -> float:
        """Seconds until the next sample is due."""
        return (self._tick(now) + 1) * self._interval_s + self._phase - now

    def take(self, now: float) -> Tuple[Optional[int], int]:
        """Take the sample that is due now. Call this method when a timer fires.

        Returns: the whole second of the sample, and the number of samples missed before it. None: this sample was taken already, because the
        timer fired too early.
        """
        tick, last = self._tick(now), self._last
        if tick == last:
            return None, 0
        self._last = tick
        missed = tick - last - 1 if last is not None else 0
        return math.floor(now + EARLY_S), max(0, missed)


class _Source:
    """One collector and its state."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.name = type(collector).__name__
        self.result: CollectedValues = ([], [])
        self._failing = False
        self._late = False
        self._out: Optional[asyncio.Future[None]] = None

    def measure(self, now: float) -> None:
        """Read in this thread and store the result. A failure makes all values null, and is logged once until the next success."""
        try:
            values, series = self.collector.read(now), self.collector.series()
        except Exception as error:  # an error of one collector must not lose the values of the others
            self._fail(f"{type(error).__name__}: {error}", expected=isinstance(error, (OSError, ValueError)))
            return
        if len(values) != len(series):
            self._fail(f"{len(values)} values for {len(series)} series", expected=False)
            return
        self.result = (series, values)
        if self._failing:
            self._failing = False
            event(log, "collector_recovered", collector=self.name)

    def _fail(self, why: str, expected: bool) -> None:
        self.result = nulls_for(self.result)
        if not self._failing:
            event(log, "collector_failed", logging.WARNING, exc_info=not expected, collector=self.name, why=why)
        self._failing = True

    def for_row(self, in_time: bool) -> CollectedValues:
        """The values for this row. Without a reading in time they are null, and the first such row in a sequence is logged."""
        if not in_time and not self._late:
            event(log, "collector_late", logging.WARNING, collector=self.name)
        self._late = not in_time
        return self.result if in_time else nulls_for(self.result)

    def start_in_thread(self, now: float) -> "Optional[asyncio.Future[None]]":
        """Start a reading in another thread. Returns: the future of its end; None: not started, because the last reading still runs."""
        if self._out is not None and not self._out.done():
            return None
        self._out = asyncio.ensure_future(self._in_thread(now))
        return self._out

    async def _in_thread(self, now: float) -> None:
        try:
            await run_in_thread(lambda: self.measure(now), self.name)
        except ThreadUnavailable as error:  # nothing was measured, and the previous values must not be repeated
            self._fail(str(error), expected=True)

    def stop(self) -> None:
        """Stop waiting for a reading, and close the collector."""
        if self._out is not None:
            self._out.cancel()
        self.collector.close()


class _Family:
    """The collectors of one family, and the layout of its row."""

    def __init__(self, name: str, interval_s: int) -> None:
        self.name = name
        self.interval_s = interval_s
        self.sources: List[_Source] = []
        self._parts: List[List[str]] = []
        """The series of each collector in the last row."""
        self._layout = layout_of(name, interval_s, [])
        self._indices: Optional[List[int]] = None
        """Positions of the values that are sent, if some series are left out; None: all are sent."""

    def row(self, results: List[CollectedValues], taken_at_ms: int) -> Tuple[Layout, Row]:
        """Join the values of all collectors. If the series have changed, the layout is new. Repeated series and those beyond `MAX_ITEMS` are
        left out."""
        parts = [series for series, _ in results]
        values = [value for _, part in results for value in part]
        if parts != self._parts:
            self._parts = parts
            self._indices = None
            series = [name for part in parts for name in part]
            unique = {name: index for index, name in reversed(list(enumerate(series)))}
            if len(unique) < len(series) or len(series) > MAX_ITEMS:
                self._indices = sorted(unique.values())[:MAX_ITEMS]
                event(log, "series_left_out", logging.WARNING, family=self.name, series=len(series), kept=len(self._indices))
                series = [series[index] for index in self._indices]
            self._layout = layout_of(self.name, self.interval_s, series)
        if self._indices is not None:
            values = [values[index] for index in self._indices]
        return self._layout, Row(taken_at_ms, values)


class Sampler:
    """Owns the collectors; `run` it as one task and cancel it to stop.

    Each sample goes to `sink` with its layout. If the host's series change, the layout differs from the last one of the family. The sink
    must not wait.
    """

    def __init__(self, collectors: Sequence[Collector], clock: Clock, sink: Sink, phase_ms: int = 0) -> None:
        """Args: phase_ms: offset of all samples after the whole second."""
        self._clock = clock
        self._sink = sink
        self._phase_ms = phase_ms
        self._families: Dict[str, _Family] = {}
        self.missed: Dict[str, int] = {}
        """Number of missed samples by family since the start."""
        for collector in collectors:
            interval_s = INTERVAL_S[collector.family]
            family = self._families.setdefault(collector.family, _Family(collector.family, interval_s))
            family.sources.append(_Source(collector))
            self.missed[collector.family] = 0

    async def run(self) -> None:
        """Sample until cancelled."""
        try:
            await run_until_first_error(*(self._run(family) for family in self._families.values()))
        finally:
            for family in self._families.values():
                for source in family.sources:
                    source.stop()

    def _now(self) -> float:
        """The wall clock minus this node's offset. By this time, samples are due at whole seconds."""
        return self._clock.now() - self._phase_ms / 1000

    async def _run(self, family: _Family) -> None:
        now = self._now()
        first_s = math.floor(now)
        counting = [source for source in family.sources if source.collector.counts]
        marks = [source.start_in_thread(self._clock.monotonic()) for source in counting if source.collector.blocking]
        for source in counting:
            if not source.collector.blocking:
                source.measure(self._clock.monotonic())
        if marks:
            await self._unfinished({mark for mark in marks if mark is not None}, BLOCKING_LIMIT_S)
            now = self._now()
        if counting:
            first_s = math.ceil(now + SHORTEST_S)
            await self._clock.sleep(first_s - now)
        schedule = TickSchedule(family.interval_s, first_s)
        while True:
            taken_at_s, missed = schedule.take(self._now())
            if taken_at_s is not None:
                self._count(family, missed)
                await self._sample(family, taken_at_s * 1000 + self._phase_ms)
            await self._clock.sleep(schedule.wait_s(self._now()))

    def _count(self, family: _Family, missed: int) -> None:
        self.missed[family.name] += missed
        if missed * family.interval_s >= SEEN_GAP_S:
            event(log, "samples_missed", family=family.name, samples=missed)

    async def _sample(self, family: _Family, taken_at_ms: int) -> None:
        out: Dict[asyncio.Future[None], _Source] = {}
        late: List[_Source] = []
        for source in family.sources:
            if not source.collector.blocking:
                source.measure(self._clock.monotonic())
                continue
            done = source.start_in_thread(self._clock.monotonic())
            if done is None:
                late.append(source)
            else:
                out[done] = source
        late += [out[left] for left in await self._unfinished(set(out), family.interval_s / 2)]
        layout, row = family.row([source.for_row(source not in late) for source in family.sources], taken_at_ms)
        if layout.series:
            self._sink(layout, row)

    async def _unfinished(self, out: "Set[asyncio.Future[None]]", limit_s: float) -> "Set[asyncio.Future[None]]":
        """Wait for all these readings, up to a limit. Returns: the readings that still run."""
        if not out:
            return out
        limit: asyncio.Future[None] = asyncio.ensure_future(self._clock.sleep(min(limit_s, BLOCKING_LIMIT_S)))
        left = set(out)
        try:
            while left and not limit.done():
                done, _ = await asyncio.wait({*left, limit}, return_when=asyncio.FIRST_COMPLETED)
                left -= done
        finally:
            limit.cancel()
            await asyncio.gather(limit, return_exceptions=True)
        return left
