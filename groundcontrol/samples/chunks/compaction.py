"""Compaction: rows become chunks of all tiers, and several parts of a span become one. Pure.

Every row goes exactly once into each tier. So the aggregates of all chunks add up, whatever the number and order of their parts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from groundcontrol.samples.chunks import rollup, row_table
from groundcontrol.samples.chunks.counter_rates import Point, is_counter, rates
from groundcontrol.samples.chunks.rollup import StatChunk, StatTable
from groundcontrol.samples.chunks.row_table import RowChunk, RowTable, Values
from groundcontrol.samples.model import SeriesSchema, StoredRow
from groundcontrol.samples.tiers import HOURS, MINUTES, SECONDS, Tier


class Made(NamedTuple):
    """A new chunk of one family."""

    tier: Tier
    span: int
    """The number of the span since 1970: of its hour in the tier of seconds, of its day in that of minutes."""
    family: str
    samples: int
    """The number of its values or aggregates."""
    body: bytes


def needs_neighbours(schemas: Iterable[SeriesSchema]) -> set[str]:
    """The families with counters. Their rates also need the rows just before and after the new ones."""
    return {schema.family for schema in schemas if any(map(is_counter, schema.series))}


def make_chunks(groups: Sequence[tuple[SeriesSchema, Sequence[StoredRow]]], known: Mapping[str, Sequence[RowChunk]]) -> list[Made]:
    """Make chunks of all tiers from rows that are in none yet.

    Args: known: family -> the chunks of seconds of these hours and those beside them. They hold the neighbours of counters.
    """
    by_family: dict[str, list[RowTable]] = {}
    for schema, found in groups:
        if found:
            by_family.setdefault(schema.family, []).append(row_table.table_of(schema, found))
    made = []
    for family, tables in by_family.items():
        table = row_table.join_tables(tables)
        made += [
            Made(SECONDS, span, family, part.samples, row_table.encode_rows(part, quick=True))
            for span, part in _spans_of_rows(table, SECONDS.span_s * 1000)
        ]
        minutes = roll(table, known.get(family, ()))
        for tier, aggregates in ((MINUTES, minutes), (HOURS, rollup.coarser(minutes, HOURS.step_s // MINUTES.step_s))):
            made += [
                Made(tier, span, family, part.samples, rollup.encode_stats(part))
                for span, part in _spans_of_stats(aggregates, tier.span_s // tier.step_s)
            ]
    return made


def size(tier: Tier, body: bytes) -> int:
    """The number of values or aggregates that a chunk decodes to.

    Raises: ValueError: the chunk is damaged.
    """
    if tier is SECONDS:
        rows_of = RowChunk(body)
        return len(rows_of.times) * len(rows_of.names)
    aggregates = StatChunk(body)
    return 4 * len(aggregates.step_numbers) * len(aggregates.names)


def merge(tier: Tier, bodies: Sequence[bytes]) -> tuple[int, bytes]:
    """Merge several chunks into one.

    Returns: how many values or aggregates are in it, and the chunk.
    Raises:  ValueError: one of them is damaged.
    """
    if tier is SECONDS:
        table = row_table.join_chunks([RowChunk(body) for body in bodies])
        return table.samples, row_table.encode_rows(table)
    aggregates = rollup.join([StatChunk(body).table() for body in bodies])
    return aggregates.samples, rollup.encode_stats(aggregates)


def roll(table: RowTable, known: Sequence[RowChunk]) -> StatTable:
    """The aggregates by minute of rows that are in no chunk yet. Counters become rates. Args: known: as in `make_chunks`."""
    gauges = {name: column for name, column in table.columns.items() if not is_counter(name)}
    found = [rollup.roll(table.interval_s, table.times, gauges, MINUTES.step_ms)]
    grown: dict[tuple[int, ...], dict[str, Values]] = {}
    for name in table.columns.keys() - gauges.keys():
        pairs = rates([*_points(table.times, table.columns[name], fresh=True), *_neighbours(known, name)], table.interval_s)
        grown.setdefault(tuple(time for time, _ in pairs), {})[name] = [rate for _, rate in pairs]
    found += [rollup.roll(table.interval_s, times, columns, MINUTES.step_ms) for times, columns in grown.items() if times]
    return rollup.join(found)


def _points(times: Sequence[int], column: Values, *, fresh: bool) -> list[Point]:
    return [Point(time, value, fresh) for time, value in zip(times, column, strict=True) if value is not None]


def _neighbours(known: Sequence[RowChunk], name: str) -> list[Point]:
    return [
        point
        for chunk in known
        if name in chunk.names
        for point in _points(chunk.times, chunk.column(chunk.names.index(name)), fresh=False)
    ]


def _spans_of_rows(table: RowTable, span_ms: int) -> list[tuple[int, RowTable]]:
    found = row_table.runs(table.times, span_ms)
    if len(found) == 1:
        return [(found[0][0], table)]
    return [(span, part_of(table, start, end)) for span, start, end in found]


def part_of(table: RowTable, start: int, end: int) -> RowTable:
    """The rows from `start` to before `end`. A series without values there is left out."""
    states = {name: state[start:end] for name, state in table.states.items()}
    return RowTable(
        table.interval_s,
        table.times[start:end],
        {name: column[start:end] for name, column in table.columns.items() if name not in states or any(states[name])},
        {name: state for name, state in states.items() if any(state) and state.count(row_table.VALUE) < len(state)},
    )


def _spans_of_stats(table: StatTable, steps_per_span: int) -> list[tuple[int, StatTable]]:
    if not table.step_numbers:
        return []
    first, last = table.step_numbers[0] // steps_per_span, table.step_numbers[-1] // steps_per_span
    if first == last:
        return [(first, table)]
    found = []
    for span in sorted({step_number // steps_per_span for step_number in table.step_numbers}):
        low, high = bisect_left(table.step_numbers, span * steps_per_span), bisect_left(table.step_numbers, (span + 1) * steps_per_span)
        lines = {name: rollup.SeriesRollup(*(aggregates[low:high] for aggregates in line)) for name, line in table.lines.items()}
        found.append((span, StatTable(table.interval_s, table.step_numbers[low:high], lines)))
    return found
