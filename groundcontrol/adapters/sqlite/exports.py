"""Export of all stored data of a node, in pieces. Few values are in memory at a time, and each query is short.

A thread decodes each piece only after the client took the previous one. Locks (`range_locks.py`) keep related data consistent: the rows
of an hour, and the aggregates of a step.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar

from groundcontrol.adapters.sqlite import chunks as sqlite_chunks
from groundcontrol.adapters.sqlite import hot_packs, windows
from groundcontrol.adapters.sqlite.chunks import ChunkBody
from groundcontrol.adapters.sqlite.engine.methods import query
from groundcontrol.adapters.sqlite.engine.range_locks import RangeLocks
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows
from groundcontrol.adapters.sqlite.hot_packs import PackGroup, PackPosition, SchemaTable
from groundcontrol.core.errors import StoreBusy, StoreDamaged
from groundcontrol.samples.chunks import compaction, rollup
from groundcontrol.samples.chunks.counter_rates import FARTHEST, is_counter
from groundcontrol.samples.chunks.rollup import StatChunk, StatTable
from groundcontrol.samples.chunks.row_table import RowChunk, RowTable, encode_rows, table_of
from groundcontrol.samples.model import Damage
from groundcontrol.samples.tiers import HOUR_MS, HOUR_S, MINUTES, SECONDS, Tier

T = TypeVar("T")
Miss = Callable[[Damage], None]

PIECE_VALUES: Final = 100_000
"""The number of values after which a piece of rows ends. A piece may exceed it by the values of one pack."""
PAGE_PACKS: Final = 20
MAX_AGGREGATES: Final = 500_000
"""About the most aggregates that are summed at the same time. If a span has more, it is summed in parts: of less time, then of fewer
series."""
LONGEST_S: Final = 600.0
"""How long a range stays locked for a slow client. Meanwhile the rows of the range are not compacted."""


class Export:
    def __init__(self, reader: Reader, range_locks: RangeLocks, no: int, families: Sequence[str], miss: Miss | None) -> None:
        """Args: no: the number of the node. miss: is called with each damaged range, which is left out; None: damage raises StoreDamaged."""
        self._reader = reader
        self._range_locks = range_locks
        self._no = no
        self._families = families
        self._miss = miss

    # -- rows ------------------------------------------------------------------------------------

    async def rows(self, start_ms: int, end_ms: int) -> AsyncGenerator[PackGroup]:
        """Every row in [start_ms, end_ms), hour by hour. The rows of an hour are not sorted, since that would need all of them in memory. Within
        an hour, the rows in chunks come first."""
        first, last = max(0, start_ms // HOUR_MS - 1), (end_ms - 1) // HOUR_MS
        while (hour := await self._reader.run(partial(windows.next_hour, no=self._no, first=first, last=last))) is not None:
            async with self._range_locked(hour, hour) as check_time, contextlib.aclosing(self._rows_of(hour, start_ms, end_ms)) as pieces:
                async for piece in pieces:
                    yield piece
                    check_time()
            first = hour + 1

    async def _rows_of(self, hour: int, start_ms: int, end_ms: int) -> AsyncGenerator[PackGroup]:
        for key, family in await self._chunks(SECONDS, hour) if hour >= 0 else ():
            body = await self._body(SECONDS, key)
            with self._skip_damaged(SECONDS, hour):
                async for piece in _made_on_thread(_cut_rows(body, family, start_ms, end_ms)):
                    yield piece
        async with contextlib.aclosing(self._hot(hour, start_ms, end_ms)) as pieces:  # last: these are mostly the newest rows
            async for piece in pieces:
                yield piece

    async def _hot(self, hour: int, start_ms: int, end_ms: int) -> AsyncGenerator[PackGroup]:
        """Rows of an hour that are not in chunks yet."""
        known, seen, after = SchemaTable(), frozenset[bytes](), hot_packs.START
        while True:
            page, known = await self._reader.run(partial(self._page, hour, after, known, seen))
            if not page:
                return
            seen |= {pack["layout"] for pack in page}
            after = PackPosition(*(page[-1][name] for name in PackPosition._fields))
            missed: list[bool] = []
            miss = None if self._miss is None else partial(missed.append, True)
            async for piece in _made_on_thread(hot_packs.row_groups(page, known, start_ms, end_ms, miss, most=PIECE_VALUES)):
                yield piece
            if missed:
                self._report_damage(SECONDS, hour)

    def _page(
        self, hour: int, after: PackPosition, known: SchemaTable, seen: frozenset[bytes], rows: Rows
    ) -> tuple[list[Row], SchemaTable]:
        """The next packs, and the schemas, which are read again if a pack has a new schema."""
        page = hot_packs.packs(rows, self._no, hour, after, PAGE_PACKS)
        new = {pack["layout"] for pack in page} - seen
        return page, hot_packs.schemas(rows, self._no, self._families) if new else known

    # -- aggregates ------------------------------------------------------------------------------

    async def rollups(self, tier: Tier, start: float, end: float) -> AsyncGenerator[tuple[str, StatTable]]:
        """Every aggregate of a coarser tier in the spans that [start, end) touches (Unix seconds), span by span, and family by family.

        Yields: a family, and whole steps of some of its series.
        """
        span, last = max(0, int(start // tier.span_s)), int(-(-end // tier.span_s)) - 1
        while (found := await self._reader.run(partial(windows.next_span, no=self._no, tier=tier, first=span, last=last))) is not None:
            for family, names in (await self._names(tier, found)).items():
                for steps in _by_steps(tier, found, len(names)):
                    async with contextlib.aclosing(self._rollups_of(tier, steps, family, names)) as tables:
                        async for table in tables:
                            yield family, table
            span = found + 1

    async def _rollups_of(self, tier: Tier, steps: range, family: str, names: Sequence[str]) -> AsyncGenerator[StatTable]:
        hours = range(steps.start * tier.step_s // HOUR_S, steps.stop * tier.step_s // HOUR_S)
        at_once = max(1, MAX_AGGREGATES // (4 * len(steps)))
        async with self._range_locked(hours.start - 1, hours.stop - 1) as check_time:
            for first in range(0, len(names), at_once):
                table = await self._sum(tier, steps, hours, family, frozenset(names[first : first + at_once]))
                if table is not None:
                    yield table
                    check_time()

    async def _sum(self, tier: Tier, steps: range, hours: range, family: str, names: frozenset[str]) -> StatTable | None:
        """The aggregates of these series and steps, summed over all parts; None: there are none."""
        total = _Sum(steps, names)
        span = steps.start * tier.step_s // tier.span_s
        for key, of in await self._chunks(tier, span):
            if of == family:
                body = await self._body(tier, key)
                with self._skip_damaged(tier, span):
                    await asyncio.to_thread(total.add_chunk, body)
        # A rate has the time of the later of two samples. So the first rate of an hour needs the last rows of the hour before.
        before: list[RowChunk] = []
        for hour in await self._reader.run(lambda rows: list(hot_packs.hours(rows, hours.start - 1, hours.stop - 1))):
            known = [*before, *(RowChunk(body) for body in await self._neighbours(hour, family, names))]
            known_count = len(known)
            async with contextlib.aclosing(self._hot(hour, -hot_packs.HIGHEST, hot_packs.HIGHEST)) as pieces:
                async for schema, taken in pieces:
                    if schema.family == family and not names.isdisjoint(schema.series):
                        await asyncio.to_thread(total.add_rows, tier, table_of(schema, taken), known)
            before = await asyncio.to_thread(_last_rows, known[known_count:], (hour + 1) * HOUR_MS)
        return await asyncio.to_thread(total.table)

    async def _names(self, tier: Tier, span: int) -> dict[str, list[str]]:
        """Family -> the names of its series that may have aggregates in a span."""
        found: dict[str, dict[str, None]] = {}
        for key, family in await self._chunks(tier, span):
            body = await self._body(tier, key)
            with self._skip_damaged(tier, span):
                found.setdefault(family, {}).update(dict.fromkeys((await asyncio.to_thread(StatChunk, body)).names if body else ()))
        hours = tier.span_s // HOUR_S
        if (
            await self._reader.run(partial(hot_packs.next_hour, no=self._no, first=span * hours - 1, last=(span + 1) * hours - 1))
            is not None
        ):
            for schema in (await self._reader.run(lambda rows: hot_packs.schemas(rows, self._no, self._families))).values():
                found.setdefault(schema.family, {}).update(dict.fromkeys(schema.series))
        return {family: list(names) for family, names in found.items()}

    async def _neighbours(self, hour: int, family: str, names: frozenset[str]) -> list[bytes]:
        """The readable chunks of an hour and of the hours beside it, if one of the series is a counter: a rate needs
        the sample before it. Else: none."""
        if not any(map(is_counter, names)):
            return []
        found = []
        for beside in range(max(0, hour - 1), hour + 2):
            for key, of in await self._chunks(SECONDS, beside):
                if of == family and (body := await self._body(SECONDS, key)) and await asyncio.to_thread(_is_readable, body):
                    found.append(body)
        return found

    # -- chunks and locks ------------------------------------------------------------------------

    @query
    def _chunks(self, rows: Rows, tier: Tier, span: int) -> list[tuple[int, str]]:
        """The keys of a span's chunks, each with its family."""
        names = sqlite_chunks.families(rows, self._families)
        sql = f"SELECT place FROM {sqlite_chunks.TABLES[tier.no]} WHERE place >= ? AND place < ? ORDER BY place"  # noqa: S608 - built from constants only
        found = rows.fetch_all(sql, sqlite_chunks.chunk_key(self._no, span), sqlite_chunks.after_span(self._no, span))
        return [(row["place"], names[family]) for row in found if (family := ChunkBody(row["place"], b"").family) in names]

    async def _body(self, tier: Tier, key: int) -> bytes | None:
        """The body of a chunk; None: it has expired since."""
        found = await self._reader.fetch_one(f"SELECT body FROM {sqlite_chunks.TABLES[tier.no]} WHERE place = ?", key)  # noqa: S608 - built from constants only
        return None if found is None else bytes(found["body"])

    @contextlib.contextmanager
    def _skip_damaged(self, tier: Tier, span: int) -> Iterator[None]:
        """Skip damaged data and report it.

        Raises: StoreDamaged: the data is damaged, and `miss` is None.
        """
        try:
            yield
        except ValueError as exc:
            if self._miss is None:
                raise StoreDamaged("a stored chunk cannot be read") from exc
            self._report_damage(tier, span)

    def _report_damage(self, tier: Tier, span: int) -> None:
        if self._miss is not None:
            self._miss(Damage(tier.name, float(span * tier.span_s), float((span + 1) * tier.span_s)))

    @contextlib.asynccontextmanager
    async def _range_locked(self, first: int, last: int) -> AsyncIterator[Callable[[], None]]:
        """Lock these hours against compaction. The caller must call the yielded function after each piece.

        Raises: StoreBusy: the client took too long, or a compaction of these hours did not end.
        """
        until = asyncio.get_running_loop().time() + LONGEST_S

        def check_time() -> None:
            if asyncio.get_running_loop().time() > until:
                raise StoreBusy("the client read the export too slowly")

        async with self._range_locks.reading(self._no, first, last):
            yield check_time


class _Sum:
    """Aggregates of some series and steps, summed part by part. One thread calls it at a time."""

    def __init__(self, steps: range, names: frozenset[str]) -> None:
        self._steps = steps
        self._names = names
        self._tables: list[StatTable] = []
        self._aggregates = 0

    def add_chunk(self, body: bytes | None) -> None:
        """Add a chunk; None: nothing.

        Raises: ValueError: the chunk is damaged.
        """
        if body is None:
            return
        chunk = StatChunk(body)
        low, high = bisect_left(chunk.step_numbers, self._steps.start), bisect_left(chunk.step_numbers, self._steps.stop)
        if low < high:
            lines = {name: chunk.line(at, low, high) for at, name in enumerate(chunk.names) if name in self._names}
            self._add(StatTable(chunk.interval_s, chunk.step_numbers[low:high], lines))

    def add_rows(self, tier: Tier, rows: RowTable, known: list[RowChunk]) -> None:
        """Add rows that are not in chunks yet. Their counters are appended to `known`, as neighbours of later rows."""
        columns = {name: column for name, column in rows.columns.items() if name in self._names}
        states = {name: state for name, state in rows.states.items() if name in self._names}
        found = compaction.roll(rows._replace(columns=columns, states=states), known)
        counters = {name: column for name, column in columns.items() if is_counter(name)}
        if counters:
            counter_rows = RowTable(
                rows.interval_s, rows.times, counters, {name: state for name, state in states.items() if name in counters}
            )
            known.append(RowChunk(encode_rows(counter_rows, quick=True)))
        table = found if tier is MINUTES else rollup.coarser(found, tier.step_s // MINUTES.step_s)
        low, high = bisect_left(table.step_numbers, self._steps.start), bisect_left(table.step_numbers, self._steps.stop)
        if low < high:
            lines = {name: rollup.SeriesRollup(*(rollups[low:high] for rollups in line)) for name, line in table.lines.items()}
            self._add(StatTable(table.interval_s, table.step_numbers[low:high], lines))

    def _add(self, table: StatTable) -> None:
        self._tables.append(table)
        self._aggregates += 4 * len(table.step_numbers) * len(table.lines)
        if self._aggregates > MAX_AGGREGATES and len(self._tables) > 1:
            self._tables = [rollup.join(self._tables)]
            self._aggregates = 0  # from here on it counts only what is added to this sum

    def table(self) -> StatTable | None:
        """The whole table; None: it is empty."""
        return rollup.join(self._tables) if self._tables else None


def _by_steps(tier: Tier, span: int, series_count: int) -> Iterator[range]:
    """Divide a span into ranges of steps. Each covers whole hours, as many as `MAX_AGGREGATES` allows for this number of series, but at least
    one hour and one step."""
    whole, hour = tier.span_s // tier.step_s, max(1, HOUR_S // tier.step_s)
    width = min(whole, max(hour, MAX_AGGREGATES // (4 * max(1, series_count)) // hour * hour))
    for first in range(0, whole, width):
        yield range(span * whole + first, span * whole + min(first + width, whole))


def _cut_rows(body: bytes | None, family: str, start_ms: int, end_ms: int) -> Iterator[PackGroup]:
    """The rows of a chunk in [start_ms, end_ms), a few at a time. `body` None: no rows.

    Raises: ValueError: the chunk is damaged.
    """
    if body is None:
        return
    chunk = RowChunk(body)
    first, end = bisect_left(chunk.times, start_ms), bisect_left(chunk.times, end_ms)
    at_once = max(1, PIECE_VALUES // max(1, len(chunk.names)))
    for low in range(first, end, at_once):
        yield from windows.groups_of(chunk, family, low, min(low + at_once, end))


def _last_rows(chunks: Sequence[RowChunk], end_ms: int) -> list[RowChunk]:
    """Rows that may be neighbours of samples from `end_ms` on."""
    found = []
    for chunk in chunks:
        first = bisect_left(chunk.times, end_ms - int(chunk.interval_s * 1000 * FARTHEST))
        if first < len(chunk.times):
            found.append(RowChunk(encode_rows(compaction.part_of(chunk.table(), first, len(chunk.times)), quick=True)))
    return found


def _is_readable(body: bytes) -> bool:
    try:
        RowChunk(body)
    except ValueError:
        return False
    return True


async def _made_on_thread(pieces: Iterator[T]) -> AsyncIterator[T]:
    """Make each piece on a thread, after the client took the previous one."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


__all__ = ["Export", "Miss"]
