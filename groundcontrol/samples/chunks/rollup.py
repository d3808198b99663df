"""Rollups for the tiers of minutes and hours: count, minimum, maximum and sum of each series and step.

Every aggregate is an integer and nothing is rounded, so two tables of the same step can be joined in any order. An average over any number
of steps is weighted by the number of samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import add, itemgetter, le, mul
from typing import Final, NamedTuple, cast

from groundcontrol.samples.chunks import chunk_codec
from groundcontrol.samples.chunks.chunk_codec import Chunk, Part
from groundcontrol.samples.chunks.row_table import Values, runs

_PER_SERIES: Final = 4
_SAME: Final = Part([9, 0, 1, 0], b"")
"""Marks a series whose counts equal those of the rows: no value is missing."""


class SeriesRollup(NamedTuple):
    """The aggregates of one series, one for each step of its table. If a count is 0, the other aggregates of the step are meaningless."""

    counts: Sequence[int]
    least: Sequence[int]
    greatest: Sequence[int]
    sums: Sequence[int]


class StatTable(NamedTuple):
    """The aggregates of the steps that have samples, ascending."""

    interval_s: int
    """The time between two samples, not the length of a step."""
    step_numbers: Sequence[int]
    """The numbers of the steps since 1970."""
    lines: dict[str, SeriesRollup]
    """Series -> its aggregates, one for each step."""

    @property
    def samples(self) -> int:
        """The number of aggregates of all series."""
        return sum(len(line.counts) - line.counts.count(0) for line in self.lines.values())


def roll(interval_s: int, times: Sequence[int], columns: Mapping[str, Values], step_ms: int) -> StatTable:
    """Aggregate rows by steps; the times must ascend."""
    found = runs(times, step_ms)
    return StatTable(
        interval_s, [step_number for step_number, _, _ in found], {name: line_of(column, found) for name, column in columns.items()}
    )


def line_of(column: Values, found: Sequence[tuple[int, int, int]]) -> SeriesRollup:
    """The aggregates of one column. Args: found: the runs of its rows (`row_table.runs`)."""
    if column and column[0] is not None and column.count(column[0]) == len(column):
        same = column[0]
        lengths = [end - start for _, start, end in found]
        return SeriesRollup(lengths, [same] * len(found), [same] * len(found), [same * length for length in lengths])
    counts: list[int] = []
    least: list[int] = []
    greatest: list[int] = []
    sums: list[int] = []
    full = None not in column
    for _, start, end in found:
        part = column[start:end]
        if not full:
            part = [value for value in part if value is not None]
        values = cast("Sequence[int]", part)
        counts.append(len(values))
        least.append(min(values, default=0))
        greatest.append(max(values, default=0))
        sums.append(sum(values))
    return SeriesRollup(counts, least, greatest, sums)


def coarser(table: StatTable, times: int) -> StatTable:
    """The same aggregates by steps that are `times` as long."""
    return _folded(table._replace(step_numbers=[step_number // times for step_number in table.step_numbers]))


def join(tables: Sequence[StatTable]) -> StatTable:
    """Join tables: aggregates of the same step and series are combined."""
    if len(tables) == 1:
        return tables[0]
    step_numbers = [step_number for table in tables for step_number in table.step_numbers]
    lines = {}
    for name in dict.fromkeys(name for table in tables for name in table.lines):
        whole: tuple[list[int], ...] = ([], [], [], [])
        for table in tables:
            line = table.lines.get(name)
            for aggregates, more in zip(whole, [[0] * len(table.step_numbers)] * 4 if line is None else line, strict=True):
                aggregates.extend(more)
        lines[name] = SeriesRollup(*whole)
    if not all(map(le, step_numbers, step_numbers[1:])):
        pick = itemgetter(*sorted(range(len(step_numbers)), key=step_numbers.__getitem__))
        step_numbers = list(pick(step_numbers))
        lines = {name: SeriesRollup(*map(pick, line)) for name, line in lines.items()}
    return _folded(StatTable(min(table.interval_s for table in tables), step_numbers, lines))


def steps(step_numbers: Sequence[int], width: int) -> list[tuple[int, int, int]]:
    """As `runs`, for ascending numbers without duplicates. If no number is missing, the ends are computed instead of searched."""
    count = len(step_numbers)
    if not count or step_numbers[-1] - step_numbers[0] != count - 1:
        return runs(step_numbers, width)
    first = step_numbers[0]
    return [((first + at) // width, max(0, at), min(count, at + width)) for at in range(-(first % width), count, width)]


def _folded(table: StatTable) -> StatTable:
    """Joins consecutive entries of the same step into one."""
    found = runs(table.step_numbers, 1)
    if len(found) == len(table.step_numbers):
        return table
    return StatTable(
        table.interval_s,
        [step_number for step_number, _, _ in found],
        {name: fold(line, found) for name, line in table.lines.items()},
    )


def fold(line: SeriesRollup, found: Sequence[tuple[int, int, int]]) -> SeriesRollup:
    """Combine the aggregates of each run (number, from, to) into one."""
    counts, least, greatest, sums = line
    if 0 in counts:
        there = [[at for at in range(start, end) if counts[at]] for _, start, end in found]
        return SeriesRollup(
            [sum([counts[at] for at in step_numbers]) for step_numbers in there],
            [min([least[at] for at in step_numbers], default=0) for step_numbers in there],
            [max([greatest[at] for at in step_numbers], default=0) for step_numbers in there],
            [sum([sums[at] for at in step_numbers]) for step_numbers in there],
        )
    return SeriesRollup(
        [sum(counts[start:end]) for _, start, end in found],
        [min(least[start:end]) for _, start, end in found],
        [max(greatest[start:end]) for _, start, end in found],
        [sum(sums[start:end]) for _, start, end in found],
    )


def encode_stats(table: StatTable) -> bytes:
    """Encode a table as a chunk.

    It stores small numbers: the minimum, the maximum minus the minimum, and the sum minus `count * minimum`.
    """
    most = [max(counts) for counts in zip(*(line.counts for line in table.lines.values()), strict=True)]
    layer = chunk_codec.layer(len(table.step_numbers), quick=False)
    parts = [layer.part(table.step_numbers), layer.part(most)]
    for counts, least, greatest, sums in table.lines.values():
        if list(counts) == most and 0 not in most:
            parts.append(_SAME)
            least_stored, greatest_stored, sums_stored = least, greatest, sums
            stored_counts = most
        else:
            parts.append(layer.part(counts))
            there = [at for at, count in enumerate(counts) if count]
            stored_counts = [counts[at] for at in there]
            least_stored, greatest_stored, sums_stored = ([aggregates[at] for at in there] for aggregates in (least, greatest, sums))
        parts += (
            layer.part(least_stored),
            layer.part([high - low for high, low in zip(greatest_stored, least_stored, strict=True)]),
            layer.part([total - count * low for total, count, low in zip(sums_stored, stored_counts, least_stored, strict=True)]),
        )
    return chunk_codec.build(chunk_codec.STATS, layer, table.interval_s, len(table.step_numbers), list(table.lines), parts)


class StatChunk:
    """A chunk of aggregates that reads one series at a time."""

    def __init__(self, body: bytes) -> None:
        """Raises: ValueError: the bytes are not a chunk of aggregates."""
        self._chunk = Chunk(body)
        if self._chunk.kind != chunk_codec.STATS or self._chunk.width != 2 + _PER_SERIES * len(self._chunk.names):
            raise ValueError("not a chunk of aggregates")
        self.interval_s = self._chunk.interval_s
        self.names = self._chunk.names
        self.step_numbers = self._chunk.column(0, self._chunk.rows)
        self._most = self._chunk.column(1, self._chunk.rows)

    def line(self, series: int, start: int = 0, end: int | None = None) -> SeriesRollup:
        """The aggregates of the series at this position of `names`: those from `start` to before `end`, or all."""
        at = 2 + _PER_SERIES * series
        read = self._chunk.column
        if self._chunk.shape(at) == _SAME.shape:
            whole = self._most
            low, high, there = start, len(whole) if end is None else end, len(whole)
        else:
            whole = read(at, len(self.step_numbers))
            # A step without samples has a count of 0, and stores no other aggregates.
            low, high, there = (len(part) - part.count(0) for part in (whole[:start], whole[:end], whole))
        counts = whole[start:end]
        least, above, more = (read(at + aggregate, there, low, high) for aggregate in (1, 2, 3))
        stored_counts = counts if len(counts) == len(least) else [count for count in counts if count]
        greatest = list(map(add, least, above))
        sums = list(map(add, more, map(mul, stored_counts, least)))
        if stored_counts is counts:
            return SeriesRollup(counts, least, greatest, sums)
        spread = (iter(least), iter(greatest), iter(sums))
        return SeriesRollup(counts, *([next(aggregates) if count else 0 for count in counts] for aggregates in spread))

    def table(self) -> StatTable:
        """The whole content as a table."""
        return StatTable(self.interval_s, self.step_numbers, {name: self.line(at) for at, name in enumerate(self.names)})
