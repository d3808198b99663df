"""Rows of a node, down-sampled to what a chart can show. Pure: gaps stay gaps, nothing is interpolated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from groundcontrol.domain.history import Buckets, LayoutRow, StoredRow, Window
from groundcontrol.errors import BadRequest
from spider.wire.metrics import RHYTHM_S, parse_series

MOST_POINTS: Final = 10_000
MOST_SERIES: Final = 200
STEPS_S: Final = (
    *(1, 2, 5, 10, 15, 20, 30),
    *(60, 120, 180, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 10800, 14400, 21600, 43200, 86400),
)
"""Widths of a bucket; longer ones are whole days."""
_LATEST: Final = 253_402_300_800.0
"""The year 10000: a time beyond is a mistake of units."""


def choose_step(start: float, end: float, points: int, rhythm_s: int = 1) -> int:
    """The narrowest step of whole seconds, not finer than the rhythm, that needs at most `points` buckets.

    Raises: BadRequest: the range is empty or absurd, or `points` is out of bounds.
    """
    if not (math.isfinite(start) and math.isfinite(end) and 0.0 <= start < end <= _LATEST):
        raise BadRequest("the time range is empty or out of bounds", field="from")
    if not 1 <= points <= MOST_POINTS:
        raise BadRequest(f"points must be between 1 and {MOST_POINTS}", field="points")
    for step in STEPS_S:
        if step >= rhythm_s and _count(start, end, step) <= points:
            return step
    days = 2
    while _count(start, end, days * 86400) > max(points, 2):  # two buckets may share even a short range
        days *= 2
    return days * 86400


def _count(start: float, end: float, step_s: int) -> int:
    return math.ceil(end / step_s) - math.floor(start / step_s)


class WindowBuilder:
    """Takes rows in any order and slices; `finish` gives the window.

    Bucket i covers [first + i * step, first + (i + 1) * step), with `first` a multiple of the step in Unix time.
    """

    def __init__(self, series: Sequence[str], start: float, end: float, points: int) -> None:
        """Raises: BadRequest: a series is not of the catalogue, too many are asked for, or as `choose_step` says."""
        if not 1 <= len(set(series)) <= MOST_SERIES:
            raise BadRequest(f"between 1 and {MOST_SERIES} metrics must be asked for", field="metric")
        self._columns: dict[str, _Column] = {}
        families: set[str] = set()
        for name in series:
            try:
                metric, _ = parse_series(name)
            except ValueError as exc:
                raise BadRequest(str(exc), field="metric") from None
            families.add(metric.family)
            self._columns[name] = _Column(metric.scale)
        self.families: tuple[str, ...] = tuple(sorted(families))
        """Which families of rows hold these series."""
        self.step_s = choose_step(start, end, points, min(RHYTHM_S[family] for family in families))
        self._first = math.floor(start / self.step_s) * self.step_s
        self._length = _count(start, end, self.step_s)
        self.start, self.end = start, end
        for column in self._columns.values():
            column.grow(self._length)

    def add(self, layout: LayoutRow, rows: Sequence[StoredRow]) -> None:
        """Count these rows in; what lies outside the range is left out."""
        wanted = [(self._columns[name], at) for at, name in enumerate(layout.series) if name in self._columns]
        if not wanted or not rows:
            return
        first_ms, step_ms, length = self._first * 1000, self.step_s * 1000, self._length
        start_ms, end_ms = self.start * 1000, self.end * 1000
        times = [row.taken_at_ms for row in rows]
        if min(times) < start_ms or max(times) >= end_ms:
            rows = [row for row in rows if start_ms <= row.taken_at_ms < end_ms]
            times = [row.taken_at_ms for row in rows]
        places = [(time - first_ms) // step_ms for time in times]
        runs = _runs(places, length)
        for column, at in wanted:
            column.add([row.values[at] for row in rows], runs)

    def finish(self) -> Window:
        """The window as it stands."""
        times = [float(self._first + at * self.step_s) for at in range(self._length)]
        return Window(self.step_s, "1s", times, {name: column.finish() for name, column in self._columns.items()})


def _runs(places: list[int], length: int) -> list[tuple[int, int, int]]:
    """Neighbouring rows of one bucket, as (bucket, from, to): rows come nearly in order, so runs are long."""
    runs = []
    at, end = 0, len(places)
    while at < end:
        place, to = places[at], at + 1
        while to < end and places[to] == place:
            to += 1
        if 0 <= place < length:
            runs.append((place, at, to))
        at = to
    return runs


class _Column:
    """Sum, count, least and greatest of each bucket of one series, as scaled integers."""

    __slots__ = ("_counts", "_greatest", "_least", "_scale", "_sums")

    def __init__(self, scale: int) -> None:
        self._scale = scale
        self._sums: list[int] = []
        self._counts: list[int] = []
        self._least: list[int | None] = []
        self._greatest: list[int | None] = []

    def grow(self, length: int) -> None:
        self._sums, self._counts = [0] * length, [0] * length
        self._least, self._greatest = [None] * length, [None] * length

    def add(self, values: list[int | None], runs: list[tuple[int, int, int]]) -> None:
        sums, counts, least, greatest = self._sums, self._counts, self._least, self._greatest
        for place, start, end in runs:
            found = [value for value in values[start:end] if value is not None]
            if not found:
                continue
            low, high = min(found), max(found)
            before_low, before_high = least[place], greatest[place]
            sums[place] += sum(found)
            counts[place] += len(found)
            least[place] = low if before_low is None or low < before_low else before_low
            greatest[place] = high if before_high is None or high > before_high else before_high

    def finish(self) -> Buckets:
        scale = self._scale
        return Buckets(
            avg=[total / count / scale if count else None for total, count in zip(self._sums, self._counts, strict=True)],
            min=[None if value is None else value / scale for value in self._least],
            max=[None if value is None else value / scale for value in self._greatest],
        )
