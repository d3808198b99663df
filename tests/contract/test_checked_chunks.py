"""Flipped bits in stored samples are found by the hub itself, before somebody looks at that time."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.agents.node_events import CorruptionReporter, NodeEvents
from groundcontrol.core.errors import StoreBusy
from groundcontrol.samples.checker import PIECE_CHUNKS, ChunkChecker, reporter
from groundcontrol.samples.compactor import SETTLE_S, Compactor
from groundcontrol.samples.model import CheckedPiece, ChunkPosition, Damage, StoredPack
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, pack
from tests.support.history_packs import LAYOUT, compact_all, session_of
from tests.support.history_rows import AT_MS, HOUR_MS
from tests.support.store_backend import Backend

FLIPS = 40


class QuickClock(ManualClock):
    """Time that passes by waiting alone."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


class FailingTwice:
    """A store whose first two checks fail."""

    def __init__(self, backend: Backend) -> None:
        self._metrics = backend.store.metrics
        self.fails = 2

    async def check_chunks(self, start: ChunkPosition, most: int) -> CheckedPiece:
        if self.fails:
            self.fails -= 1
            raise StoreBusy("it is locked")
        return await self._metrics.check_chunks(start, most)


async def damage_events(backend: Backend) -> list[tuple[str | None, str, float]]:
    found = (await backend.store.log.events(SCOPE, 100)).items
    return sorted(
        (one.node_id, str(one.details["tier"]), float(str(one.details["start"]))) for one in found if one.type == "history_damaged"
    )


def report_to(backend: Backend, clock: ManualClock) -> CorruptionReporter:
    return CorruptionReporter(NodeEvents(backend.store, clock))


@pytest.mark.holds("F-34")
async def test_a_flipped_bit_anywhere_in_a_chunk_is_found_once_in_a_round(backend: Backend, tmp_path: Path, clock: ManualClock) -> None:
    sessions = [await session_of(backend.store, name) for name in ("whole", "harmed")]
    for session in sessions:
        for hour in range(FLIPS):
            await backend.store.metrics.append([pack(session, hour, LAYOUT, AT_MS + hour * HOUR_MS, rows=60)])
    await compact_all(backend.store)
    chance = random.Random(4)
    with closing(sqlite3.connect(tmp_path / "data" / "stardust-samples.db")) as db, db:
        places = [place for (place,) in db.execute("SELECT place FROM chunk_1s WHERE place >> 40 = ? ORDER BY place", (sessions[1].no,))]
        assert len(places) >= FLIPS
        for place in places[:FLIPS]:
            [body] = db.execute("SELECT body FROM chunk_1s WHERE place = ?", (place,)).fetchone()
            flipped = bytearray(body)
            flipped[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            db.execute("UPDATE chunk_1s SET body = ? WHERE place = ?", (bytes(flipped), place))
    reports = report_to(backend, clock)
    checker = ChunkChecker(backend.store.metrics, QuickClock(), reporter(backend.store.nodes, reports))
    chunks = await checker.round()
    assert chunks > PIECE_CHUNKS * 3, "each tier takes more than one piece"
    expected = [(sessions[1].node, "1s", AT_MS / 1000 + hour * 3600.0) for hour in range(FLIPS)]
    assert await damage_events(backend) == sorted(expected)
    assert await checker.round() == chunks
    assert len(await damage_events(backend)) == FLIPS


async def test_a_failing_store_delays_a_check_and_skips_nothing(backend: Backend) -> None:
    session = await session_of(backend.store)
    await backend.store.metrics.append([pack(session, 0, LAYOUT, AT_MS)])
    await compact_all(backend.store)
    reports: list[tuple[int, Sequence[Damage]]] = []

    async def report(no: int, found: Sequence[Damage]) -> None:
        reports.append((no, found))

    store = FailingTwice(backend)
    assert await ChunkChecker(store, QuickClock(), report).round() == 3
    assert (store.fails, reports) == (0, [])


@pytest.mark.holds("F-34")
async def test_a_damaged_pack_is_reported_when_its_hour_is_compacted(backend: Backend, clock: ManualClock) -> None:
    session = await session_of(backend.store)
    await backend.store.metrics.append([StoredPack(session, 0, 0, LAYOUT.schema_id, AT_MS, AT_MS, 1, b"no zlib")])
    clock.advance(2 * 3600.0)

    async def always() -> bool:
        return True

    nodes = backend.store.nodes
    quick = QuickClock(clock.now())
    compactor = Compactor(backend.store.metrics, quick, always, nodes.id_by_number, report=reporter(nodes, report_to(backend, clock)))
    await compactor.round()
    quick.advance(SETTLE_S)
    await compactor.round()
    assert compactor.quarantined == 1
    assert await damage_events(backend) == [(session.node, "1s", AT_MS / 1000)]
