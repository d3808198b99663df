"""Queries of a node's samples: windows, rows and the newest values.

Each query reads in one transaction. So it neither repeats nor misses a row that compaction moves from the hot table into a chunk.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from groundcontrol.adapters.sqlite import chunks, hot_packs
from groundcontrol.adapters.sqlite.chunks import ChunkBody
from groundcontrol.adapters.sqlite.engine.tx import Rows
from groundcontrol.adapters.sqlite.hot_packs import PackGroup
from groundcontrol.samples.chunks.rollup import StatChunk
from groundcontrol.samples.chunks.row_table import ABSENT, RowChunk, Values
from groundcontrol.samples.model import SeriesSchema, StoredRow
from groundcontrol.samples.query import WindowBuilder
from groundcontrol.samples.tiers import HOUR_MS, SECONDS, TIERS, Tier

_BEYOND: Final = 1
"""The number of hours before and after a window that are also read. They may have the neighbours of counter values at its edges."""


def fill(rows: Rows, no: int, builder: WindowBuilder) -> None:
    """Add all samples of a node in the builder's window to the builder, and report damage to the builder. If the builder's tier does not
    reach back far enough, the builder gets a coarser one."""
    families = chunks.families(rows, builder.families)
    while not _reaches(rows, no, builder, list(families)):
        builder.coarsen(TIERS[builder.tier.no + 1])
    more = _BEYOND if builder.has_counters else 0
    first, last = builder.start_ms // HOUR_MS - more, (builder.end_ms - 1) // HOUR_MS + more
    schemas = hot_packs.schemas(rows, no, builder.families)
    fresh_hours: set[int] = set()
    for hour in hot_packs.hours(rows, max(0, first) - 1, last):
        if hot_packs.packs(rows, no, hour, limit=1):
            fresh_hours |= {hour - 1, hour, hour + 1}
        low, high = (-hot_packs.HIGHEST, hot_packs.HIGHEST) if more else (builder.start_ms, builder.end_ms)
        for schema, taken in hot_packs.row_groups(
            hot_packs.paged_packs(rows, no, hour), schemas, low, high, partial(builder.miss, SECONDS, hour)
        ):
            builder.add(schema, taken)
    tier = builder.tier
    span_ms = tier.span_s * 1000
    if tier is SECONDS:
        for chunk in chunks.walk(rows, tier, no, max(0, first), last, list(families)):
            with _skip_damaged(builder, tier, chunk):
                builder.add_rows(RowChunk(chunk.body))
        return
    for chunk in chunks.walk(rows, tier, no, builder.start_ms // span_ms, (builder.end_ms - 1) // span_ms, list(families)):
        with _skip_damaged(builder, tier, chunk):
            builder.add_stats(StatChunk(chunk.body))
    for hour in sorted(fresh_hours) if more else ():
        for chunk in chunks.walk(rows, SECONDS, no, max(0, hour), hour, list(families)):
            with _skip_damaged(builder, SECONDS, chunk):
                builder.add_rows(RowChunk(chunk.body), fresh=False)


@contextlib.contextmanager
def _skip_damaged(builder: WindowBuilder, tier: Tier, chunk: ChunkBody) -> Iterator[None]:
    """Skip a damaged chunk, and report it to the builder."""
    try:
        yield
    except ValueError:
        builder.miss(tier, chunk.span)


def _reaches(rows: Rows, no: int, builder: WindowBuilder, families: Sequence[int]) -> bool:
    """Whether the builder's tier has samples of the window from as early as the next coarser tier. Samples of a finer tier expire earlier."""
    tier = builder.tier
    if tier is TIERS[-1]:
        return True
    span_ms = tier.span_s * 1000
    first, last = builder.start_ms // span_ms, (builder.end_ms - 1) // span_ms
    found = chunks.next_span(rows, tier, no, first, last)
    if found == first:
        return True
    until_ms = builder.end_ms if found is None else found * span_ms
    beyond = TIERS[tier.no + 1]
    span_ms, step_ms = beyond.span_s * 1000, beyond.step_ms
    for chunk in chunks.walk(rows, beyond, no, builder.start_ms // span_ms, (until_ms - 1) // span_ms, families):
        with contextlib.suppress(ValueError):  # the time range of a damaged chunk is unknown
            if any(builder.start_ms <= step * step_ms < until_ms for step in StatChunk(chunk.body).step_numbers):
                return False
    return True


def next_hour(rows: Rows, no: int, first: int, last: int) -> int | None:
    """The first hour in [first, last] in which the node may have rows; None: there is none."""
    chunk = chunks.next_span(rows, SECONDS, no, max(0, first), last) if last >= 0 else None
    fresh = hot_packs.next_hour(rows, no, first, last if chunk is None else min(last, chunk))
    return fresh if fresh is not None else chunk


def groups_of(chunk: RowChunk, family: str, first: int, end: int) -> list[PackGroup]:
    """The rows of a chunk with the numbers [first, end), grouped by the series that they have.

    Raises: ValueError: the chunk is damaged.
    """
    times = chunk.times[first:end]
    columns: list[Values] = [chunk.column(at, first, end) for at in range(len(chunk.names))]
    states = [
        (at, state[first:end]) for at in range(len(chunk.names)) if (state := chunk.states(at)) is not None and ABSENT in state[first:end]
    ]
    gathered: dict[bytes, list[int]] = {}
    for at in range(len(times)):
        gathered.setdefault(bytes(state[at] == ABSENT for _, state in states), []).append(at)
    found: list[PackGroup] = []
    for pattern, there in gathered.items():
        missing = {at for (at, _), absent in zip(states, pattern, strict=True) if absent}
        present = [at for at in range(len(chunk.names)) if at not in missing]
        schema = SeriesSchema(b"", family, chunk.interval_s, tuple(chunk.names[at] for at in present))
        if len(there) == len(times):
            lines = zip(*(columns[step] for step in present), strict=True)
        else:
            lines = zip(*([columns[step][at] for at in there] for step in present), strict=True)
        found.append((schema, [StoredRow(times[at], line) for at, line in zip(there, lines, strict=True)]))
    return found


def next_span(rows: Rows, no: int, tier: Tier, first: int, last: int) -> int | None:
    """The first span in [first, last] in which the node may have aggregates; None: there is none."""
    hours = tier.span_s // SECONDS.span_s
    chunk = chunks.next_span(rows, tier, no, first, last)
    fresh = hot_packs.next_hour(rows, no, first * hours, (last + 1) * hours - 1)
    return min((span for span in (chunk, None if fresh is None else fresh // hours) if span is not None), default=None)


def latest(rows: Rows, no: int) -> dict[str, tuple[SeriesSchema, StoredRow]]:
    """Family -> its newest row, with the schema of that row. Damaged packs and chunks are skipped, and families without a row are absent."""
    newest = hot_packs.newest_rows(rows, no, hot_packs.schemas(rows, no))
    for row in rows.fetch_all("SELECT no, name FROM family"):
        last = chunks.newest_parts(rows, no, row["no"])
        for chunk in last:
            try:
                read = RowChunk(chunk.body)
                if row["name"] in newest and newest[row["name"]][1].taken_at_ms >= read.times[-1]:
                    continue
                found = groups_of(read, row["name"], bisect_left(read.times, read.times[-1]), len(read.times))
            except ValueError:  # a damaged chunk must not hide other families; the node sends its values again soon
                continue
            schema, taken = found[-1]
            newest[row["name"]] = schema, taken[-1]
    return newest
