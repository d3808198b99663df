"""Compaction moves packs (rows as nodes sent them) into chunks, and merges the chunks of a span of time.

It reads, encodes on a thread, then runs one short transaction, which replaces exactly the data that was read. If some of that data is
missing (another compaction was faster, or the node was removed), the transaction is rolled back. So compaction may be repeated, killed, or
run twice at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from groundcontrol.adapters.sqlite import chunks, hot_packs
from groundcontrol.adapters.sqlite.chunks import ChunkBody
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.hot_packs import PackPosition
from groundcontrol.core.errors import StoreDamaged, StoreError
from groundcontrol.samples.chunks import compaction
from groundcontrol.samples.chunks.compaction import Made
from groundcontrol.samples.chunks.row_table import RowChunk
from groundcontrol.samples.model import Due, HotHour, Moved, SeriesSchema, StoredRow
from groundcontrol.samples.tiers import SECONDS, TIERS, Tier

BATCH_PACKS: Final = 1000
"""The number of packs after which a batch ends. A node sends as many in about an hour, but in a quarter of an hour while it is watched."""
PAGE_PACKS: Final = 50


class MemoryBudget(NamedTuple):
    """The memory that one move or merge may use."""

    batch_bytes: int = 8 * 1024 * 1024
    """Bytes of packs after which a batch ends. It may exceed them by one page (`PAGE_PACKS`)."""
    values: int = 2_000_000
    """The most values that are merged together; a move may exceed it by one pack. An hour of 550 series a second has as many. Each value
    takes up to fifty bytes, and a pack of a few kilobytes may contain a quarter of a million values."""


MEMORY: Final = MemoryBudget()

SLOW_S: Final = 60
"""Interval in seconds from which a family counts as slow."""
LEAST_MERGED: Final = 12
"""A merge takes at least this many parts, even if the largest is longer than the others together."""

_FIRST: Final = "SELECT node, first_ms FROM hot WHERE hour = ? AND node > ? ORDER BY node, boot, stream, seq LIMIT 1"
_LAST: Final = "SELECT boot, stream, seq FROM hot WHERE hour = ? AND node = ? ORDER BY boot DESC, stream DESC, seq DESC LIMIT 1"


class _Batch(NamedTuple):
    """Packs of one node and hour, as stored."""

    schemas: dict[bytes, SeriesSchema]
    packs: list[Row]
    known: dict[str, list[bytes]]
    """Family -> its stored chunks of this hour and of the hours beside it, from which rates at the edges are computed."""
    next: PackPosition | None
    """The position after which more packs may follow; None: there are no more."""


class LostRace(Exception):
    """Some of the data that was read is gone: another compaction moved it, or it was removed."""


async def hot_hours(reader: Reader, writer: Writer) -> list[HotHour]:
    """The hours of nodes with rows that are not in chunks, within the newest `hot_packs.MOST_HOURS`. Each costs two queries."""
    if await reader.fetch_one("SELECT 1 FROM arrived LIMIT 1") is not None:
        await writer.run(hot_packs.move_arrived_to_hot)

    def query(rows: Rows) -> list[HotHour]:
        found = []
        for hour in hot_packs.newest_hours(rows, hot_packs.MOST_HOURS):
            node = -1
            while first := rows.fetch_one(_FIRST, hour, node):
                node = first["node"]
                last = rows.fetch_all(_LAST, hour, node)[0]
                found.append(HotHour(node, hour, first["first_ms"], (last["boot"], last["stream"], last["seq"])))
        return found

    return await reader.run(query)


async def compact(reader: Reader, writer: Writer, no: int, hour: int, *, include_slow: bool, memory: MemoryBudget = MEMORY) -> Moved:
    """Move the hot rows of this node and hour into chunks.

    One call moves one batch (`BATCH_PACKS`, `memory`); further packs need further calls.

    Args:    include_slow: also move families with an interval of `SLOW_S` or more.
    Returns: the numbers of moved and of unreadable packs, and whether a span has no room for another part.
    """
    sound, made, quarantined = await _sound_packs(reader, no, hour, include_slow=include_slow, memory=memory)
    if not sound and await reader.run(lambda rows: hot_packs.has_arrived(rows, no, hour)):  # packs arrived after the call of `hot_hours`
        await writer.run(hot_packs.move_arrived_to_hot)
        sound, made, quarantined = await _sound_packs(reader, no, hour, include_slow=include_slow, memory=memory)
    if not sound:
        return Moved(0, quarantined)
    try:
        await writer.run(lambda tx: _move(tx, no, hour, sound, made))
    except LostRace:
        return Moved(0, 0)
    except chunks.SpanFull:
        return Moved(0, quarantined, full=True)
    return Moved(len(sound), quarantined)


async def _sound_packs(
    reader: Reader, no: int, hour: int, *, include_slow: bool, memory: MemoryBudget
) -> tuple[list[Row], list[Made], int]:
    """Returns: the packs to move, the chunks of their rows, and the number of unreadable packs that were found on the way."""
    position: PackPosition | None = hot_packs.START
    sound: list[Row] = []
    made: list[Made] = []
    quarantined = 0
    while position is not None and not sound:  # after a batch of damaged packs, the next batch may have sound packs
        batch = await reader.run(partial(_read, no=no, hour=hour, include_slow=include_slow, after=position, most_bytes=memory.batch_bytes))
        sound, damaged, made = await asyncio.to_thread(_encode, batch, memory.values)
        quarantined += damaged
        position = batch.next
    return sound, made, quarantined


def _read(rows: Rows, *, no: int, hour: int, include_slow: bool, after: PackPosition, most_bytes: int) -> _Batch:
    found: list[Row] = []
    more: PackPosition | None = after
    size = 0
    while more is not None and len(found) < BATCH_PACKS and size < most_bytes:
        page = hot_packs.packs_in_hot(rows, no, hour, more, PAGE_PACKS)
        more = PackPosition(*(page[-1][name] for name in PackPosition._fields)) if len(page) == PAGE_PACKS else None
        size += sum(len(pack["body"]) for pack in page)
        found += page
    known_schemas = hot_packs.schemas(rows, no)
    if not include_slow:
        found = [pack for pack in found if (schema := known_schemas.get(pack["layout"])) is None or schema.interval_s < SLOW_S]
    used = {pack["layout"] for pack in found}
    schemas = {key: schema for key, schema in known_schemas.items() if key in used}
    wanted = chunks.families(rows, compaction.needs_neighbours(schemas.values()))
    known: dict[str, list[bytes]] = {}
    for chunk in chunks.walk(rows, SECONDS, no, max(0, hour - 1), hour + 1, list(wanted)):
        known.setdefault(wanted[chunk.family], []).append(chunk.body)
    return _Batch(schemas, found, known, more)


def _encode(batch: _Batch, most_values: int) -> tuple[list[Row], int, list[Made]]:
    """Returns: the first readable packs, up to the one that reaches the limit; the number of unreadable packs before that one; and the
    chunks of the rows."""
    sound: list[Row] = []
    groups: dict[bytes, list[StoredRow]] = {}
    damaged = values = 0
    for pack in batch.packs:
        schema = batch.schemas.get(pack["layout"])
        try:
            taken = None if schema is None else hot_packs.read_pack(pack, schema)
        except StoreError:
            taken = None
        if schema is None or taken is None:
            damaged += 1
            continue
        sound.append(pack)
        groups.setdefault(pack["layout"], []).extend(taken)
        values += len(taken) * len(schema.series)
        if values >= most_values:
            break
    known = {family: _readable_chunks(bodies) for family, bodies in batch.known.items()}
    return sound, damaged, compaction.make_chunks([(batch.schemas[key], taken) for key, taken in groups.items()], known)


def _readable_chunks(bodies: Sequence[bytes]) -> list[RowChunk]:
    """The readable chunks. Without a damaged neighbour one rate is missing, but compaction can continue."""
    found = []
    for body in bodies:
        with contextlib.suppress(ValueError):
            found.append(RowChunk(body))
    return found


def _move(tx: Tx, no: int, hour: int, packs: Sequence[Row], made: Sequence[Made]) -> None:
    for pack in packs:
        gone = tx.execute(
            "DELETE FROM hot WHERE hour = ? AND node = ? AND boot = ? AND stream = ? AND seq = ?",
            *(hour, no, pack["boot"], pack["stream"], pack["seq"]),
        )
        if gone != 1:
            raise LostRace
    for chunk in made:
        chunks.add_part(tx, chunk.tier, no, chunk.span, chunks.family_no(tx, chunk.family), chunk.samples, chunk.body)


async def pending_merges(reader: Reader) -> list[Due]:
    """Spans with several parts, oldest first."""
    found = await reader.run(lambda rows: rows.fetch_all("SELECT tier, node, span, family, parts, since FROM due ORDER BY since"))
    return [Due(*row) for row in found]


async def merge(reader: Reader, writer: Writer, due: Due, *, everything: bool, memory: MemoryBudget = MEMORY) -> bool:
    """Merge the parts of a span into one chunk. Data that is too large for one chunk stays in several.

    Args:    everything: merge all parts, since the span has ended. Otherwise a part that is longer than all shorter parts together stays, so
                 that a large part is not written again each time.
    Returns: whether the number of parts has dropped.
    Raises:  StoreDamaged: a part is damaged; nothing was changed.
    """
    tier = TIERS[due.tier]
    found = await reader.run(lambda rows: chunks.parts(rows, tier, due.no, due.span, due.family))
    if len(found) < 2:
        await writer.run(lambda tx: _forget_if_merged(tx, due))
        return False
    if not everything:
        found = _short(found)
    found, samples, body = await asyncio.to_thread(_merge, due, found, memory.values)
    if len(found) < 2:
        await writer.run(lambda tx: _forget_unless_grown(tx, due))
        return False

    def command(tx: Tx) -> None:
        if not chunks.replace_parts(tx, tier, due.no, due.span, due.family, [part.key for part in found], samples, body):
            raise LostRace

    try:
        await writer.run(command)
    except LostRace:
        return False
    return True


def _short(parts: list[ChunkBody]) -> list[ChunkBody]:
    """The shortest parts: the `LEAST_MERGED` shortest, and each further part that is no longer than all shorter parts together."""
    taken: list[ChunkBody] = []
    for part in sorted(parts, key=lambda part: len(part.body)):
        if len(taken) >= LEAST_MERGED and len(part.body) > sum(len(short.body) for short in taken):
            break
        taken.append(part)
    return sorted(taken)


def _forget_if_merged(tx: Tx, due: Due) -> None:
    """Delete the pending merge of a span with less than two parts: they were removed, or another compaction merged them."""
    if len(chunks.parts(tx, TIERS[due.tier], due.no, due.span, due.family)) < 2:
        tx.execute("DELETE FROM due WHERE tier = ? AND node = ? AND span = ? AND family = ?", due.tier, due.no, due.span, due.family)


def _forget_unless_grown(tx: Tx, due: Due) -> None:
    """Delete the pending merge of a span, unless it has got another part meanwhile."""
    sql = "DELETE FROM due WHERE tier = ? AND node = ? AND span = ? AND family = ? AND parts = ?"
    tx.execute(sql, due.tier, due.no, due.span, due.family, due.parts)


def _merge(due: Due, found: Sequence[ChunkBody], most_values: int) -> tuple[list[ChunkBody], int, bytes]:
    """Returns: the parts that fit into one chunk, the number of samples in that chunk, and the chunk. If less than two parts fit, the number
    is 0, and the chunk is empty."""
    tier = TIERS[due.tier]
    try:
        taken = _that_fit(tier, found, most_values)
        return (taken, *compaction.merge(tier, [part.body for part in taken])) if len(taken) > 1 else (taken, 0, b"")
    except ValueError as exc:
        raise StoreDamaged("a stored chunk cannot be read") from exc


def _that_fit(tier: Tier, found: Sequence[ChunkBody], most_values: int) -> list[ChunkBody]:
    """The smallest parts whose values fit the limit, in the order of their keys."""
    taken: list[ChunkBody] = []
    values = 0
    for size, part in sorted((compaction.size(tier, part.body), part) for part in found):
        values += size
        if values > most_values:
            break
        taken.append(part)
    return sorted(taken)
