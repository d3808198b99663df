"""Moving hot rows into chunks, and parts of a span into one: read, encode beside the loop, then one short transaction.

What a transaction puts in was read before it began. It takes out exactly what was read, and where that is not there any more (another
was faster, the node was removed) nothing of it is kept: so it may be repeated, raced and killed at any moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from groundcontrol.adapters.sqlite import chunks, hot_packs
from groundcontrol.adapters.sqlite.chunks import ChunkBody
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.hot_packs import PackPosition
from groundcontrol.core.errors import StoreDamaged, StoreError
from groundcontrol.samples.chunks import compaction
from groundcontrol.samples.chunks.compaction import Made
from groundcontrol.samples.chunks.row_table import RowChunk
from groundcontrol.samples.model import Due, HotHour, LayoutRow, Moved, StoredRow
from groundcontrol.samples.tiers import SECONDS, TIERS, Tier

BATCH_PACKS: Final = 1000
"""Most packs that go into chunks at once: an hour in packs of ten seconds, or a quarter of one that is watched."""
PAGE_PACKS: Final = 50


class MemoryBudget(NamedTuple):
    """What one move or merge may hold."""

    batch_bytes: int = 8 * 1024 * 1024
    """Packs that are read at the same time are no longer than this, and one page."""
    values: int = 2_000_000
    """Values that are moved or merged together: an hour of 550 series a second. Each takes up to fifty bytes then, and a few kilobytes of a
    pack may hold a quarter of a million: what one node says is not to take the memory of all."""


MEMORY: Final = MemoryBudget()

SLOW_S: Final = 60
"""Rhythms from which on a family is slow."""
LEAST_MERGED: Final = 12

_FIRST: Final = "SELECT node, first_ms FROM hot WHERE hour = ? AND node > ? ORDER BY node, boot, stream, seq LIMIT 1"
_LAST: Final = "SELECT boot, stream, seq FROM hot WHERE hour = ? AND node = ? ORDER BY boot DESC, stream DESC, seq DESC LIMIT 1"


class _Batch(NamedTuple):
    """Packs of one node and hour, as they were found."""

    layouts: dict[bytes, LayoutRow]
    packs: list[sqlite3.Row]
    known: dict[str, list[bytes]]
    next: PackPosition | None
    """Where there may be more."""


class LostRace(Exception):
    """Somebody else has moved this meanwhile."""


async def hot_hours(reader: Reader, writer: Writer) -> list[HotHour]:
    """Which hours of which nodes have rows that are in no chunk, of the newest `hot.MOST_HOURS`. Two seeks each: packs lie in the table's own pages."""
    if await reader.one("SELECT 1 FROM arrived LIMIT 1") is not None:
        await writer.run(hot_packs.settle)

    def query(rows: Rows) -> list[HotHour]:
        found = []
        for hour in hot_packs.newest_hours(rows, hot_packs.MOST_HOURS):
            node = -1
            while first := rows.one(_FIRST, hour, node):
                node = first["node"]
                last = rows.all(_LAST, hour, node)[0]
                found.append(HotHour(node, hour, first["first_ms"], (last["boot"], last["stream"], last["seq"])))
        return found

    return await reader.run(query)


async def compact(reader: Reader, writer: Writer, no: int, hour: int, *, slow: bool, memory: MemoryBudget = MEMORY) -> Moved:
    """Move what the hot table has of this node and hour into chunks.

    Args: slow: also families of which there are few rows in an hour.
    """
    sound, made, aside = await _sound_packs(reader, no, hour, slow=slow, memory=memory)
    if not sound and await reader.run(lambda rows: hot_packs.has_arrived(rows, no, hour)):  # since somebody asked for `hot_hours`
        await writer.run(hot_packs.settle)
        sound, made, aside = await _sound_packs(reader, no, hour, slow=slow, memory=memory)
    if not sound:
        return Moved(0, aside)
    try:
        await writer.run(lambda tx: _move(tx, no, hour, sound, made))
    except LostRace:
        return Moved(0, 0)
    except chunks.SpanFull:
        return Moved(0, aside, full=True)
    return Moved(len(sound), aside)


async def _sound_packs(
    reader: Reader, no: int, hour: int, *, slow: bool, memory: MemoryBudget
) -> tuple[list[sqlite3.Row], list[Made], int]:
    """Returns: packs that go at once, the chunks of their rows, and how many before and among them cannot be read."""
    place: PackPosition | None = hot_packs.START
    sound: list[sqlite3.Row] = []
    made: list[Made] = []
    aside = 0
    while place is not None and not sound:  # as many damaged ones as a batch holds are not the end of an hour
        batch = await reader.run(partial(_read, no=no, hour=hour, slow=slow, after=place, most_bytes=memory.batch_bytes))
        sound, damaged, made = await asyncio.to_thread(_encode, batch, memory.values)
        aside += damaged
        place = batch.next
    return sound, made, aside


def _read(rows: Rows, *, no: int, hour: int, slow: bool, after: PackPosition, most_bytes: int) -> _Batch:
    found: list[sqlite3.Row] = []
    more: PackPosition | None = after
    size = 0
    while more is not None and len(found) < BATCH_PACKS and size < most_bytes:
        page = hot_packs.settled(rows, no, hour, more, PAGE_PACKS)
        more = PackPosition(*(page[-1][name] for name in PackPosition._fields)) if len(page) == PAGE_PACKS else None
        size += sum(len(pack["body"]) for pack in page)
        found += page
    known_layouts = hot_packs.layouts(rows, no)
    if not slow:
        found = [pack for pack in found if (layout := known_layouts.get(pack["layout"])) is None or layout.rhythm_s < SLOW_S]
    used = {pack["layout"] for pack in found}
    layouts = {key: layout for key, layout in known_layouts.items() if key in used}
    wanted = chunks.families(rows, compaction.needs_neighbours(layouts.values()))
    known: dict[str, list[bytes]] = {}
    for chunk in chunks.walk(rows, SECONDS, no, max(0, hour - 1), hour + 1, list(wanted)):
        known.setdefault(wanted[chunk.family], []).append(chunk.body)
    return _Batch(layouts, found, known, more)


def _encode(batch: _Batch, most_values: int) -> tuple[list[sqlite3.Row], int, list[Made]]:
    """Returns: packs that can be read, as many as go at once; how many could not; and the chunks of their rows."""
    sound: list[sqlite3.Row] = []
    groups: dict[bytes, list[StoredRow]] = {}
    damaged = values = 0
    for pack in batch.packs:
        layout = batch.layouts.get(pack["layout"])
        try:
            taken = None if layout is None else hot_packs.read_pack(pack, layout)
        except StoreError:
            taken = None
        if layout is None or taken is None:
            damaged += 1
            continue
        sound.append(pack)
        groups.setdefault(pack["layout"], []).extend(taken)
        values += len(taken) * len(layout.series)
        if values >= most_values:
            break
    known = {family: _sound(bodies) for family, bodies in batch.known.items()}
    return sound, damaged, compaction.make_chunks([(batch.layouts[key], taken) for key, taken in groups.items()], known)


def _sound(bodies: Sequence[bytes]) -> list[RowChunk]:
    """Neighbours that can be read: without the others a rate is missing, and nothing has to wait for ever."""
    found = []
    for body in bodies:
        with contextlib.suppress(ValueError):
            found.append(RowChunk(body))
    return found


def _move(tx: Tx, no: int, hour: int, packs: Sequence[sqlite3.Row], made: Sequence[Made]) -> None:
    for pack in packs:
        gone = tx.do(
            "DELETE FROM hot WHERE hour = ? AND node = ? AND boot = ? AND stream = ? AND seq = ?",
            *(hour, no, pack["boot"], pack["stream"], pack["seq"]),
        )
        if gone != 1:
            raise LostRace
    for chunk in made:
        chunks.add_part(tx, chunk.tier, no, chunk.span, chunks.family_no(tx, chunk.family), chunk.samples, chunk.body)


async def dues(reader: Reader) -> list[Due]:
    """Spans that lie in several parts, the oldest first."""
    found = await reader.run(lambda rows: rows.all("SELECT tier, node, span, family, parts, since FROM due ORDER BY since"))
    return [Due(*row) for row in found]


async def merge(reader: Reader, writer: Writer, due: Due, *, everything: bool, memory: MemoryBudget = MEMORY) -> bool:
    """Make one chunk of the parts of a span.

    Args:    everything: for a span that is over. Else what is already as long as all shorter parts together stays as it is, so
             that a part that grows is not written anew each time. What is too much for one chunk stays in several.
    Returns: whether there were several, and now are fewer.
    Raises:  StoreDamaged: one of them is; nothing was changed.
    """
    tier = TIERS[due.tier]
    found = await reader.run(lambda rows: chunks.parts(rows, tier, due.no, due.span, due.family))
    if len(found) < 2:
        await writer.run(lambda tx: _settle(tx, due))
        return False
    if not everything:
        found = _short(found)
    found, samples, body = await asyncio.to_thread(_merge, due, found, memory.values)
    if len(found) < 2:
        await writer.run(lambda tx: _leave(tx, due))
        return False

    def command(tx: Tx) -> None:
        if not chunks.replace_parts(tx, tier, due.no, due.span, due.family, [part.place for part in found], samples, body):
            raise LostRace

    try:
        await writer.run(command)
    except LostRace:
        return False
    return True


def _short(parts: list[ChunkBody]) -> list[ChunkBody]:
    """Those that are not worth to stand for themselves yet; all, where these are few."""
    taken: list[ChunkBody] = []
    for part in sorted(parts, key=lambda part: len(part.body)):
        if len(taken) >= LEAST_MERGED and len(part.body) > sum(len(short.body) for short in taken):
            break
        taken.append(part)
    return sorted(taken)


def _settle(tx: Tx, due: Due) -> None:
    """A due of a span that was removed, or merged by another."""
    if len(chunks.parts(tx, TIERS[due.tier], due.no, due.span, due.family)) < 2:
        tx.do("DELETE FROM due WHERE tier = ? AND node = ? AND span = ? AND family = ?", due.tier, due.no, due.span, due.family)


def _leave(tx: Tx, due: Due) -> None:
    """A span stays as it is until it gets another part."""
    sql = "DELETE FROM due WHERE tier = ? AND node = ? AND span = ? AND family = ? AND parts = ?"
    tx.do(sql, due.tier, due.no, due.span, due.family, due.parts)


def _merge(due: Due, found: Sequence[ChunkBody], most_values: int) -> tuple[list[ChunkBody], int, bytes]:
    """Returns: the parts that go into one chunk, its samples, and the chunk."""
    tier = TIERS[due.tier]
    try:
        taken = _at_once(tier, found, most_values)
        return (taken, *compaction.merge(tier, [part.body for part in taken])) if len(taken) > 1 else (taken, 0, b"")
    except ValueError as exc:
        raise StoreDamaged("a stored chunk cannot be read") from exc


def _at_once(tier: Tier, found: Sequence[ChunkBody], most_values: int) -> list[ChunkBody]:
    """The smallest of them, as many as can be held."""
    taken: list[ChunkBody] = []
    values = 0
    for size, part in sorted((compaction.size(tier, part.body), part) for part in found):
        values += size
        if values > most_values:
            break
        taken.append(part)
    return sorted(taken)
