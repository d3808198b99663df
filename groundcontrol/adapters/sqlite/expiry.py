"""Expiry of samples, in short steps: rows older than their tier's retention, rows from the future, unused schemas, and all data of a
removed node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from groundcontrol.adapters.sqlite import chunks as sqlite_chunks
from groundcontrol.adapters.sqlite import hot_packs
from groundcontrol.adapters.sqlite.backfill import drop_late
from groundcontrol.adapters.sqlite.engine.json_codec import texts_from_json
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import StoreError
from groundcontrol.samples.model import Bounds, TierSize
from groundcontrol.samples.tiers import HOUR_S, MINUTES, TIERS, Tier

STEP_NODES: Final = 32
"""The most nodes that one transaction reads."""
STEP_CHUNKS: Final = 64
"""The most chunks that one transaction removes. The removal of a chunk visits each of its pages."""
STEP_PACKS: Final = 2000
"""The most packs that one transaction removes."""
MAX_STORED_SCHEMAS: Final = 64
"""The most schemas of a live session that stay without rows: twice as many as a session may use."""
SAMPLED_NODES: Final = 50
"""The most nodes whose chunks are measured."""
SAMPLED_CHUNKS: Final = 40
"""The most chunks of a node that are measured."""
LEAST_SAMPLES: Final = 1000
"""If the measured chunks of a tier have fewer values on average, they are not used: such chunks consist mostly of the names of series."""


async def expire(writer: Writer, bounds: Bounds) -> int:
    """Remove all samples out of bounds. Returns the number of removed chunks and packs."""
    removed = 0
    node = 0
    while (step := await writer.run(_expire_step(node, bounds))) is not None:
        node, count = step
        removed += count
    while count := await writer.run(lambda tx: _expire_hot(tx, bounds)):
        removed += count
    return removed


def _expire_step(after: int, bounds: Bounds) -> Callable[[Tx], tuple[int, int] | None]:
    """A command that expires the next few nodes after `after`. It returns the last finished node and the number of removals; None: no node
    is left."""

    def command(tx: Tx) -> tuple[int, int] | None:
        done, removed = after, 0
        for row in tx.fetch_all("SELECT node, epoch FROM fence WHERE node > ? ORDER BY node LIMIT ?", after, STEP_NODES):
            for tier, before in zip(TIERS, (bounds.seconds, bounds.minutes, bounds.hours), strict=True):
                removed += _expire_tier(tx, tier, row["node"], before, bounds.future, STEP_CHUNKS - removed)
            if removed >= STEP_CHUNKS:
                return done, removed  # this node is not finished yet
            done = row["node"]
            tx.execute("DELETE FROM gap WHERE node = ? AND last_ms < ?", done, int(bounds.hours * 1000))
            _remove_schemas(tx, done, row["epoch"])
        return None if done == after else (done, removed)

    return command


def _expire_tier(tx: Tx, tier: Tier, no: int, before: float, future: float, most: int) -> int:
    if most <= 0:
        return 0
    limit, beyond = int(before // tier.span_s), int(future // tier.span_s) + 1
    removed = sqlite_chunks.remove(tx, tier, no, None, limit, most)
    removed += sqlite_chunks.remove(tx, tier, no, beyond, None, most - removed)
    if removed:
        tx.execute("DELETE FROM due WHERE tier = ? AND node = ? AND (span < ? OR span >= ?)", tier.no, no, limit, beyond)
    return removed


def _expire_hot(tx: Tx, bounds: Bounds) -> int:
    """Remove some packs (at most `STEP_PACKS`) that are older than every tier's retention, or in the future. Returns their number."""
    hot_packs.move_arrived_to_hot(tx)
    return tx.execute(
        "DELETE FROM hot WHERE (hour, node, boot, stream, seq) IN"
        " (SELECT hour, node, boot, stream, seq FROM hot WHERE hour < ? UNION ALL"
        " SELECT hour, node, boot, stream, seq FROM hot WHERE hour > ? LIMIT ?)",
        *(int(bounds.hours // HOUR_S), int(bounds.future // HOUR_S), STEP_PACKS),
    )


def _remove_schemas(tx: Tx, no: int, epoch: int) -> None:
    """Remove schemas that no hot row and no live session can use any more. Chunks contain the names of their series."""
    dead = {
        row["layout"]
        for row in tx.fetch_all(
            "SELECT layout FROM layout WHERE node = ? AND (epoch < ? OR told <= (SELECT max(told) FROM layout WHERE node = ?) - ?)",
            *(no, epoch, no, MAX_STORED_SCHEMAS),
        )
    }
    if not dead:
        return
    hot_packs.move_arrived_to_hot(tx)
    for looked, hour in enumerate(hot_packs.hours(tx, -hot_packs.HIGHEST, hot_packs.HIGHEST)):
        dead -= {row["layout"] for row in tx.fetch_all("SELECT DISTINCT layout FROM hot WHERE hour = ? AND node = ?", hour, no)}
        if not dead or looked >= hot_packs.MOST_HOURS:  # with so many hours, a later pass removes the schemas
            return
    for schema in dead:
        tx.execute("DELETE FROM layout WHERE node = ? AND layout = ?", no, schema)


def _has_samples_since(rows: Rows, no: int, since: float) -> bool:
    """Whether the node has samples from `since` on (Unix seconds). `since` is rounded down: for packs to an hour, for chunks to a span of
    the minute tier."""
    if hot_packs.next_hour(rows, no, int(since // HOUR_S), hot_packs.HIGHEST) is not None:
        return True
    return sqlite_chunks.next_span(rows, MINUTES, no, int(since // MINUTES.span_s), sqlite_chunks.LAST_SPAN) is not None


async def drop_node(writer: Writer, no: int) -> None:
    """Stop all writes of the node, then remove all its data."""
    await writer.run(lambda tx: tx.execute("INSERT OR REPLACE INTO fence VALUES (?, ?)", no, hot_packs.HIGHEST))
    while await writer.run(lambda tx: _drop_step(tx, no)):
        pass
    await writer.run(lambda tx: _drop_rest(tx, no))


def _drop_step(tx: Tx, no: int) -> int:
    for tier in TIERS:
        removed = sqlite_chunks.remove(tx, tier, no, None, None, STEP_CHUNKS)
        if removed:
            return removed
    removed = 0
    hot_packs.move_arrived_to_hot(tx)
    for hour in hot_packs.hours(tx, -hot_packs.HIGHEST, hot_packs.HIGHEST):
        removed += tx.execute(
            "DELETE FROM hot WHERE (hour, node, boot, stream, seq) IN"
            " (SELECT hour, node, boot, stream, seq FROM hot WHERE hour = ? AND node = ? LIMIT ?)",
            *(hour, no, STEP_PACKS - removed),
        )
        if removed >= STEP_PACKS:
            break
    return removed


def _drop_rest(tx: Tx, no: int) -> None:
    for table in ("due", "layout", "boot"):
        tx.execute(f"DELETE FROM {table} WHERE node = ?", no)  # noqa: S608 - built from constants only
    drop_late(tx, no)


def sizes(rows: Rows, since: float) -> list[TierSize]:
    """The size of each tier, measured on the newest chunks of the first `SAMPLED_NODES` nodes with chunks.

    Args: since: a node without samples since this time (Unix seconds) does not count in the samples per day.
    """
    per_day = [0.0, 0.0, 0.0]
    newest = rows.fetch_all("SELECT node, rhythm_s, series, max(told) FROM layout GROUP BY node, family")
    sending = {no for no in {row["node"] for row in newest} if _has_samples_since(rows, no, since)}
    for row in newest:
        if row["node"] not in sending:
            continue
        try:
            series = len(texts_from_json(row["series"]))
        except StoreError:
            continue
        for tier in TIERS:
            per_day[tier.no] += series * 86_400 / max(tier.step_s, row["rhythm_s"])
    found = []
    for tier in TIERS:
        chunks = [chunk for no in _sampled(rows, tier) for chunk in sqlite_chunks.newest_sizes(rows, tier, no, SAMPLED_CHUNKS)]
        samples = sum(count for _, count in chunks)
        if samples < LEAST_SAMPLES * len(chunks):
            chunks, samples = [], 0
        found.append(TierSize(tier.name, sum(length for length, _ in chunks), samples, per_day[tier.no]))
    return found


def _sampled(rows: Rows, tier: Tier) -> Iterator[int]:
    """The numbers of the first nodes with chunks, found by one seek each."""
    no = 0
    for _ in range(SAMPLED_NODES):
        sql = f"SELECT min(place) AS place FROM {sqlite_chunks.TABLES[tier.no]} WHERE place >= ?"  # noqa: S608 - built from constants only
        first = rows.fetch_all(sql, sqlite_chunks.chunk_key(no + 1, 0))[0]["place"]
        if first is None:
            return
        no = sqlite_chunks.ChunkBody(first, b"").no
        yield no
