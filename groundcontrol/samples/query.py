"""Windows: a node's rows, down-sampled to the resolution of a chart. Gaps stay gaps, nothing is interpolated. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Final

from groundcontrol.core.errors import BadRequest
from groundcontrol.samples.chunks.counter_rates import Point, rates, scale_of
from groundcontrol.samples.chunks.rollup import SeriesRollup, StatChunk, steps
from groundcontrol.samples.chunks.row_table import RowChunk, Values, runs
from groundcontrol.samples.model import Buckets, Damage, Retention, SeriesSchema, StoredRow, Window
from groundcontrol.samples.tiers import SECONDS, Tier, choose_tier, finest_tier
from spider.wire.metrics import INTERVAL_S, parse_series

MOST_POINTS: Final = 10_000
MOST_SERIES: Final = 200
STEPS_S: Final = (
    *(1, 2, 5, 10, 15, 20, 30),
    *(60, 120, 180, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 10800, 14400, 21600, 43200, 86400),
)
"""The widths of a bucket. Wider buckets have 2, 4, 8 … days."""
_LATEST: Final = 253_402_300_800.0
"""The year 10000. A later time has the wrong unit."""


def choose_step(start: float, end: float, points: int, interval_s: int = 1) -> int:
    """The width of a bucket in seconds: the narrowest that needs at most `points` buckets, and at least the sample interval.

    Even if `points` is 1, there may be two buckets of two days or more: the range may cross the border between them.

    Args:   start, end: Unix seconds.
    Raises: BadRequest: the range is empty or out of bounds, or `points` is.
    """
    if not (math.isfinite(start) and math.isfinite(end) and 0.0 <= start < end <= _LATEST):
        raise BadRequest("the time range is empty or out of bounds", field="from")
    if not 1 <= points <= MOST_POINTS:
        raise BadRequest(f"points must be between 1 and {MOST_POINTS}", field="points")
    for step in STEPS_S:
        if step >= interval_s and _count(start, end, step) <= points:
            return step
    days = 2
    while _count(start, end, days * 86400) > max(points, 2):  # even a short range may cross the border of two buckets
        days *= 2
    return days * 86400


def _count(start: float, end: float, step_s: int) -> int:
    return math.ceil(end / step_s) - math.floor(start / step_s)


class WindowBuilder:
    """Takes rows, chunks of rows and chunks of aggregates in any order; `finish` returns the window.

    Bucket i covers [first + i * step, first + (i + 1) * step). `first` is a multiple of the step, in Unix time. In the tier of seconds the
    range is exact; in the other tiers it extends to whole minutes or hours.
    """

    def __init__(
        self, series: Sequence[str], start: float, end: float, points: int, *, now: float = 0.0, retention: Retention | None = None
    ) -> None:
        """Args: now, retention: they decide which tiers still reach back to `start`; without a retention all tiers do.

        Raises: BadRequest: a series is not in the catalogue, there are too many series, or the cases of `choose_step`.
        """
        if not 1 <= len(set(series)) <= MOST_SERIES:
            raise BadRequest(f"ask for 1 to {MOST_SERIES} metrics", field="metric")
        self._columns: dict[str, _Column] = {}
        self._counters: dict[str, tuple[int, list[Point]]] = {}
        families: set[str] = set()
        for name in series:
            try:
                metric, _ = parse_series(name)
            except ValueError as exc:
                raise BadRequest(str(exc), field="metric") from None
            families.add(metric.family)
            self._columns[name] = _Column(scale_of(metric))
            if metric.kind == "counter":
                self._counters[name] = (INTERVAL_S[metric.family], [])
        self.families: tuple[str, ...] = tuple(sorted(families))
        """The families of rows that hold these series."""
        self._damaged: set[Damage] = set()
        self._range = start, end, points
        self._interval_s = min(INTERVAL_S[family] for family in families)
        self.coarsen(SECONDS if retention is None else finest_tier(start, now, retention))

    def coarsen(self, least: Tier) -> None:
        """Answer from this tier or a coarser one. Call it before anything is added."""
        start, end, points = self._range
        self.step_s = choose_step(start, end, points, max(least.step_s, self._interval_s))
        self.tier: Tier = choose_tier(self.step_s)
        """The tier whose chunks answer this request."""
        self._first = math.floor(start / self.step_s)
        self._length = _count(start, end, self.step_s)
        self.start_ms, self.end_ms = _edges(start, end, self.tier)
        for column in self._columns.values():
            column.reset(self._length)

    @property
    def has_counters(self) -> bool:
        """Whether the window has counters. Their rates also need the samples just before and after the range."""
        return bool(self._counters)

    def add(self, schema: SeriesSchema, rows: Sequence[StoredRow]) -> None:
        """Add rows that are in no chunk yet. Rows outside of the range count only as neighbours for the rates of counters."""
        wanted = [(name, at) for at, name in enumerate(schema.series) if name in self._columns]
        if wanted and rows:
            rows = sorted(rows, key=_taken_at)
            self._take([row.taken_at_ms for row in rows], {name: [row.values[at] for row in rows] for name, at in wanted}, fresh=True)

    def add_rows(self, chunk: RowChunk, *, fresh: bool = True) -> None:
        """Add a chunk of the tier of seconds.

        Args: fresh: False: its samples are in the window already. Its counters serve as neighbours of others, for their rates.
        """
        wanted = self._columns if fresh else self._counters
        columns = {name: chunk.column(at) for at, name in enumerate(chunk.names) if name in wanted}
        if columns:
            self._take(chunk.times, columns, fresh=fresh)

    def add_stats(self, chunk: StatChunk) -> None:
        """Add a chunk of this window's tier of minutes or hours."""
        wanted = [(name, at) for at, name in enumerate(chunk.names) if name in self._columns]
        if not wanted:
            return
        step = self.tier.step_ms
        low, high = bisect_left(chunk.step_numbers, self.start_ms // step), bisect_left(chunk.step_numbers, self.end_ms // step)
        if low == high:
            return
        found = self._inside(steps(chunk.step_numbers[low:high], self.step_s // self.tier.step_s), 0)
        steady = _steady(found)
        for name, at in wanted:
            self._columns[name].add_line(chunk.line(at, low, high), found, steady)

    def miss(self, tier: Tier, span: int) -> None:
        """Record that something of this span cannot be read. It stays a gap."""
        self._damaged.add(Damage(tier.name, float(span * tier.span_s), float((span + 1) * tier.span_s)))

    def _take(self, times: Sequence[int], columns: dict[str, Values], *, fresh: bool) -> None:
        low, high = bisect_left(times, self.start_ms), bisect_left(times, self.end_ms)
        found = self._inside(runs(times[low:high], self.step_s * 1000), low)
        for name, column in columns.items():
            counter = self._counters.get(name)
            if counter is None:
                self._columns[name].add(column, found)
            else:
                counter[1].extend(Point(time, value, fresh) for time, value in zip(times, column, strict=True) if value is not None)

    def _inside(self, found: list[tuple[int, int, int]], low: int) -> list[tuple[int, int, int]]:
        """The runs (bucket, from, to) that lie in this window; from and to are positions in the whole column."""
        return [(step - self._first, low + start, low + end) for step, start, end in found if 0 <= step - self._first < self._length]

    def finish(self) -> Window:
        """The finished window. Call this once."""
        for name, (interval_s, points) in self._counters.items():
            grown = rates(points, interval_s)
            times = [time for time, _ in grown]
            low, high = bisect_left(times, self.start_ms), bisect_left(times, self.end_ms)
            found = self._inside(runs(times[low:high], self.step_s * 1000), low)
            self._columns[name].add([rate for _, rate in grown], found)
        times_s = [float((self._first + at) * self.step_s) for at in range(self._length)]
        columns = {name: column.finish() for name, column in self._columns.items()}
        return Window(self.step_s, self.tier.name, times_s, columns, sorted(self._damaged, key=lambda one: one.start))


def _added(some: Sequence[int], others: Sequence[int]) -> Sequence[int]:
    return list(map(add, some, others))


# Calling min() for each bucket takes three times as long.
def _lower(some: Sequence[int], others: Sequence[int]) -> Sequence[int]:
    return [one if one < other else other for one, other in zip(some, others, strict=True)]  # noqa: FURB136


def _higher(some: Sequence[int], others: Sequence[int]) -> Sequence[int]:
    return [one if one > other else other for one, other in zip(some, others, strict=True)]  # noqa: FURB136


def _taken_at(row: StoredRow) -> int:
    return row.taken_at_ms


def _edges(start: float, end: float, tier: Tier) -> tuple[int, int]:
    """The range that a tier can serve, in Unix milliseconds."""
    if tier is SECONDS:
        return math.ceil(start * 1000), math.ceil(end * 1000)
    step = tier.step_s
    return math.floor(start / step) * step * 1000, math.ceil(end / step) * step * 1000


def _steady(found: Sequence[tuple[int, int, int]]) -> tuple[int, int, int] | None:
    """The range and width of the inner runs, if all have the same width and no hole lies between them.

    Returns: from, to and width; None: the runs are not regular.
    """
    if len(found) < 4 or found[-1][0] - found[0][0] != len(found) - 1:
        return None
    start, end, width = found[1][1], found[-1][1], found[1][2] - found[1][1]
    inner = found[1:-1]
    return (start, end, width) if all(run[2] - run[1] == width for run in inner) and end - start == width * len(inner) else None


class _Column:
    """Sum, count, minimum and maximum of each bucket of one series, as scaled integers."""

    __slots__ = ("_counts", "_greatest", "_least", "_scale", "_sums")

    def __init__(self, scale: int) -> None:
        self._scale = scale
        self._sums: list[int] = []
        self._counts: list[int] = []
        self._least: list[int | None] = []
        self._greatest: list[int | None] = []

    def reset(self, length: int) -> None:
        self._sums, self._counts = [0] * length, [0] * length
        self._least, self._greatest = [None] * length, [None] * length

    def add(self, values: Values, found: Sequence[tuple[int, int, int]]) -> None:
        """Add values by runs (bucket, from, to)."""
        full = None not in values
        for step, start, end in found:
            part = values[start:end]
            if not full:
                part = [value for value in part if value is not None]
            if part:
                self._put(step, len(part), min(part), max(part), sum(part))  # type: ignore[type-var, arg-type]  # None is filtered out

    def add_line(self, line: SeriesRollup, found: Sequence[tuple[int, int, int]], steady: tuple[int, int, int] | None) -> None:
        """Add aggregates by runs (bucket, from, to); `steady` is the result of `_steady` for these runs."""
        counts, least, greatest, sums = line
        full = 0 not in counts
        if full and steady is not None and not any(self._counts[found[1][0] : found[-1][0]]):
            self._add_steady(line, found[1][0], *steady)
            found = (found[0], found[-1])
        put = self._put
        for step, start, end in found:
            if full:
                put(step, sum(counts[start:end]), min(least[start:end]), max(greatest[start:end]), sum(sums[start:end]))
                continue
            there = [at for at in range(start, end) if counts[at]]
            if there:
                put(
                    step,
                    sum([counts[at] for at in there]),
                    min([least[at] for at in there]),
                    max([greatest[at] for at in there]),
                    sum([sums[at] for at in there]),
                )

    def _add_steady(self, line: SeriesRollup, step: int, start: int, end: int, width: int) -> None:
        """Add runs of one width without a hole to empty buckets: one pass over the whole column for each aggregate."""

        def strides(aggregates: Sequence[int]) -> list[Sequence[int]]:
            return [aggregates[start + at : end : width] for at in range(width)]

        counts, sums = reduce(_added, strides(line.counts)), reduce(_added, strides(line.sums))
        low, high = reduce(_lower, strides(line.least)), reduce(_higher, strides(line.greatest))
        to = slice(step, step + len(counts))
        self._counts[to], self._sums[to], self._least[to], self._greatest[to] = counts, sums, low, high

    def _put(self, step: int, count: int, low: int, high: int, total: int) -> None:
        before_low, before_high = self._least[step], self._greatest[step]
        self._counts[step] += count
        self._sums[step] += total
        self._least[step] = low if before_low is None or low < before_low else before_low
        self._greatest[step] = high if before_high is None or high > before_high else before_high

    def finish(self) -> Buckets:
        scale = self._scale
        return Buckets(
            avg=[total / count / scale if count else None for total, count in zip(self._sums, self._counts, strict=True)],
            min=[None if value is None else value / scale for value in self._least],
            max=[None if value is None else value / scale for value in self._greatest],
        )
