"""What is read of a node's samples: windows, rows, the newest values. Each answer is of one moment: no row is seen twice or missed
because it moves from the hot table into a chunk meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from groundcontrol.domain.history import LayoutRow, StoredRow
from groundcontrol.errors import StoreError
from groundcontrol.history import stats
from groundcontrol.history.compaction import needs_neighbours, roll
from groundcontrol.history.rows import ABSENT, RowChunk, RowTable, Values, join, table_of
from groundcontrol.history.stats import StatChunk, StatTable, coarser
from groundcontrol.history.tiers import HOUR_MS, MINUTES, SECONDS, TIERS, Tier
from groundcontrol.history.window import WindowBuilder
from groundcontrol.store.sqlite import hot, places
from groundcontrol.store.sqlite.hot import Group
from groundcontrol.store.sqlite.places import Body
from groundcontrol.store.sqlite.tx import Rows

_BEYOND: Final = 1
"""Hours beside the range that may hold the neighbours of its counters."""


def fill(rows: Rows, no: int, builder: WindowBuilder) -> None:
    """Give a window everything that there is of a node, and tell it of what is damaged."""
    families = places.families(rows, builder.families)
    while not _reaches(rows, no, builder, list(families)):
        builder.coarsen(TIERS[builder.tier.no + 1])
    more = _BEYOND if builder.has_counters else 0
    first, last = builder.start_ms // HOUR_MS - more, (builder.end_ms - 1) // HOUR_MS + more
    layouts = hot.layouts(rows, no, builder.families)
    fresh_hours: set[int] = set()
    for hour in hot.hours(rows, max(0, first) - 1, last):
        if hot.packs(rows, no, hour, limit=1):
            fresh_hours |= {hour - 1, hour, hour + 1}
        low, high = (-hot.HIGHEST, hot.HIGHEST) if more else (builder.start_ms, builder.end_ms)
        for layout, taken in hot.pieces(hot.paged(rows, no, hour), layouts, low, high, partial(builder.miss, SECONDS, hour)):
            builder.add(layout, taken)
    tier = builder.tier
    span_ms = tier.span_s * 1000
    if tier is SECONDS:
        for chunk in places.walk(rows, tier, no, max(0, first), last, list(families)):
            with _told(builder, tier, chunk):
                builder.add_rows(RowChunk(chunk.body))
        return
    for chunk in places.walk(rows, tier, no, builder.start_ms // span_ms, (builder.end_ms - 1) // span_ms, list(families)):
        with _told(builder, tier, chunk):
            builder.add_stats(StatChunk(chunk.body))
    for hour in sorted(fresh_hours) if more else ():
        for chunk in places.walk(rows, SECONDS, no, max(0, hour), hour, list(families)):
            with _told(builder, SECONDS, chunk):
                builder.add_rows(RowChunk(chunk.body), fresh=False)


@contextlib.contextmanager
def _told(builder: WindowBuilder, tier: Tier, chunk: Body) -> Iterator[None]:
    """Go on without a chunk that is damaged."""
    try:
        yield
    except ValueError:
        builder.miss(tier, chunk.span)


def _reaches(rows: Rows, no: int, builder: WindowBuilder, families: Sequence[int]) -> bool:
    """Whether the builder's tier goes as far back as the next one: not where it was kept for a shorter time before than it is now."""
    tier = builder.tier
    if tier is TIERS[-1]:
        return True
    span_ms = tier.span_s * 1000
    first, last = builder.start_ms // span_ms, (builder.end_ms - 1) // span_ms
    found = places.next_span(rows, tier, no, first, last)
    if found == first:
        return True
    until_ms = builder.end_ms if found is None else found * span_ms
    beyond = TIERS[tier.no + 1]
    span_ms, step_ms = beyond.span_s * 1000, beyond.step_ms
    for chunk in places.walk(rows, beyond, no, builder.start_ms // span_ms, (until_ms - 1) // span_ms, families):
        with contextlib.suppress(ValueError):  # of a damaged one nobody knows how far back it goes
            if any(builder.start_ms <= place * step_ms < until_ms for place in StatChunk(chunk.body).places):
                return False
    return True


def next_hour(rows: Rows, no: int, first: int, last: int) -> int | None:
    """The first hour in [first, last] of which the node may have rows."""
    chunk = places.next_span(rows, SECONDS, no, max(0, first), last) if last >= 0 else None
    fresh = hot.next_hour(rows, no, first, last if chunk is None else min(last, chunk))
    return fresh if fresh is not None else chunk


def rows_of_hour(rows: Rows, no: int, hour: int, start_ms: int, end_ms: int, families: Sequence[str]) -> list[Group]:
    """Every row of an hour, each group with its layout; those of chunks have no id."""
    found = hot.groups(hot.packs(rows, no, hour), hot.layouts(rows, no, families), start_ms, end_ms)
    names = places.families(rows, families)
    for chunk in places.walk(rows, SECONDS, no, hour, hour, list(names)) if hour >= 0 else ():
        try:
            found += _groups(RowChunk(chunk.body), names[chunk.family], start_ms, end_ms)
        except ValueError as exc:
            raise StoreError("a stored chunk cannot be read") from exc
    return found


def _groups(chunk: RowChunk, family: str, start_ms: int, end_ms: int) -> list[Group]:
    """The rows of a chunk; those of one group had the same series."""
    columns: list[Values] = [chunk.column(at) for at in range(len(chunk.names))]
    states = [(at, state) for at in range(len(chunk.names)) if (state := chunk.states(at)) is not None and ABSENT in state]
    gathered: dict[bytes, list[int]] = {}
    for at, time in enumerate(chunk.times):
        if start_ms <= time < end_ms:
            gathered.setdefault(bytes(state[at] for _, state in states), []).append(at)
    found: list[Group] = []
    for pattern, there in gathered.items():
        missing = {at for (at, _), state in zip(states, pattern, strict=True) if state == ABSENT}
        kept = [at for at in range(len(chunk.names)) if at not in missing]
        layout = LayoutRow(b"", family, chunk.rhythm_s, tuple(chunk.names[at] for at in kept))
        lines = zip(*(columns[at] for at in kept), strict=True)
        if len(there) < len(chunk.times):
            wanted = set(there)
            lines = (line for at, line in enumerate(lines) if at in wanted)  # type: ignore[assignment]
        found.append((layout, [StoredRow(chunk.times[at], line) for at, line in zip(there, lines, strict=True)]))
    return found


def next_span(rows: Rows, no: int, tier: Tier, first: int, last: int) -> int | None:
    """The first span in [first, last] of which the node may have figures."""
    hours = tier.span_s // SECONDS.span_s
    chunk = places.next_span(rows, tier, no, first, last)
    fresh = hot.next_hour(rows, no, first * hours, (last + 1) * hours - 1)
    return min((span for span in (chunk, None if fresh is None else fresh // hours) if span is not None), default=None)


def figures_of_span(rows: Rows, no: int, tier: Tier, span: int, families: Sequence[str]) -> list[tuple[str, StatTable]]:
    """Every figure of a span of a coarser tier, by family."""
    names = places.families(rows, families)
    found: dict[str, list[StatTable]] = {}
    try:
        for chunk in places.walk(rows, tier, no, span, span, list(names)):
            found.setdefault(names[chunk.family], []).append(StatChunk(chunk.body).table())
        hours = tier.span_s // SECONDS.span_s
        layouts = hot.layouts(rows, no, families)
        numbers = {name: number for number, name in names.items()}
        for hour in hot.hours(rows, span * hours, (span + 1) * hours - 1):
            by_family: dict[str, list[RowTable]] = {}
            for layout, taken in hot.groups(hot.packs(rows, no, hour), layouts, -hot.HIGHEST, hot.HIGHEST):
                by_family.setdefault(layout.family, []).append(table_of(layout, taken))
            for family, tables in by_family.items():
                beside = [numbers[family]] if family in numbers and needs_neighbours(layouts.values()) & {family} else []
                known = [RowChunk(chunk.body) for chunk in places.walk(rows, SECONDS, no, max(0, hour - 1), hour + 1, beside)]
                fresh = roll(join(tables), known)
                found.setdefault(family, []).append(fresh if tier is MINUTES else coarser(fresh, tier.step_s // MINUTES.step_s))
    except ValueError as exc:
        raise StoreError("a stored chunk cannot be read") from exc
    return [(family, stats.join(tables)) for family, tables in found.items()]


def latest(rows: Rows, no: int) -> dict[str, tuple[LayoutRow, StoredRow]]:
    """The newest row of each family."""
    newest = hot.heads(rows, no, hot.layouts(rows, no))
    for row in rows.all("SELECT no, name FROM family"):
        last = places.newest(rows, no, row["no"])
        for chunk in last:
            try:
                read = RowChunk(chunk.body)
                if row["name"] in newest and newest[row["name"]][1].taken_at_ms >= read.times[-1]:
                    continue
                found = _groups(read, row["name"], read.times[-1], read.times[-1] + 1)
            except ValueError:  # the node will report anew; a damaged chunk must not hide what others said
                continue
            layout, taken = found[-1]
            newest[row["name"]] = layout, taken[-1]
    return newest
