"""Old rows of the audit log are packed, and the whole log stays provable."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.admin.backup import make, unpack
from groundcontrol.adapters.sqlite.admin.offline_reader import Inspection
from groundcontrol.adapters.sqlite.audit_archive import PACK_ROWS
from groundcontrol.core.audit import AuditHead, AuditRow
from groundcontrol.core.ids import NodeId
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, audited, new_node
from tests.support.some import some
from tests.support.store_backend import AUDIT_KEY, Backend

DAY_S = 86_400.0
CHAINS, ROWS = 3, 12


async def filled(backend: Backend) -> list[AuditRow]:
    """A log of some chains, each a day after the one before. Returns its rows."""
    for chain in range(CHAINS):
        for row in range(ROWS):
            await backend.store.nodes.create_node(SCOPE, new_node(f"n{chain}x{row}"))
            backend.clock.advance(60.0)
        backend.clock.advance(DAY_S)
        await backend.reopen()
    return await every_row(backend)


async def every_row(backend: Backend) -> list[AuditRow]:
    async with await Inspection.open(backend.database._control.path) as inspection:
        return [row async for row in inspection.audit_rows()]


async def archive_all(backend: Backend, before: float, most_rows: int = 1_000_000) -> int:
    packed = 0
    while moved := await backend.store.log.archive_audit(before, most_rows):
        packed += moved
    return packed


def table_rows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "data" / "stardust.db")) as db:
        return int(db.execute("SELECT count(*) FROM audit").fetchone()[0])


@pytest.mark.holds("SAFETY-70", "S-34")
async def test_an_archived_log_holds_and_lists_every_row(backend: Backend, tmp_path: Path) -> None:
    before = await filled(backend)
    cut_at = backend.clock.now() - DAY_S - 60.0 * ROWS
    assert await archive_all(backend, cut_at) == 2 * (ROWS - 1) + sum(row.at < cut_at for row in before[2 * (ROWS + 1) :])
    assert await every_row(backend) == before
    assert await backend.store.log.verify_audit() is None
    assert len({row.chain for row in before}) == CHAINS
    await backend.store.nodes.create_node(SCOPE, new_node("later"))
    await backend.reopen()
    await backend.store.nodes.create_node(SCOPE, new_node("in the next chain"))
    assert await backend.store.log.verify_audit() is None
    assert [target for target, *_ in await audited(backend.store)], "the newest rows are listed"
    assert table_rows(tmp_path) < len(before)


async def test_a_log_of_too_many_rows_is_archived_before_its_time(backend: Backend, tmp_path: Path) -> None:
    before = await filled(backend)
    assert await archive_all(backend, 0.0, most_rows=20) == len(before) - 20
    assert table_rows(tmp_path) == 20
    assert await backend.store.log.verify_audit() is None
    assert await archive_all(backend, 0.0, most_rows=0) == 20 - 2 * CHAINS, "the first and the last row of each chain stay"
    assert await backend.store.log.verify_audit() is None
    assert await every_row(backend) == before


async def test_a_long_chain_is_packed_in_portions_and_shrinks(backend: Backend, tmp_path: Path) -> None:
    node = await backend.store.nodes.create_node(SCOPE, new_node())
    for _ in range(PACK_ROWS // 20 + 1):
        await asyncio.gather(*(backend.store.nodes.audit_journal(SCOPE, NodeId(node.id), f"unit{n}.service") for n in range(22)))
    before = await every_row(backend)
    assert len(before) > PACK_ROWS
    await backend.store.log.archive_audit(backend.clock.now() + 1.0, 1_000_000)
    await archive_all(backend, backend.clock.now() + 1.0)
    assert await every_row(backend) == before
    assert await backend.store.log.verify_audit() is None
    async with await Inspection.open(backend.database._control.path) as inspection:
        size = await inspection.audit_size()
    assert (size.rows, size.archived_rows) == (2, len(before) - 2)
    assert size.archived_bytes < 100 * size.archived_rows, "a packed row takes less than a hundred bytes"


def repacked(body: bytes, old: bytes, new: bytes) -> bytes:
    plain = zlib.decompress(body)
    assert old in plain
    return zlib.compress(plain.replace(old, new))


TAMPERINGS = {
    "a pack that is gone": "DELETE FROM audit_pack WHERE rowid = 1",
    "every pack gone": "DELETE FROM audit_pack",
    "a chain whose rows are gone": "DELETE FROM audit_pack WHERE rowid = 1; DELETE FROM audit WHERE chain = (SELECT min(chain) FROM audit)",
    "a chain without its first row": "DELETE FROM audit WHERE n = 0 AND chain = (SELECT min(chain) FROM audit)",
    "a chain in the archive alone": "DELETE FROM audit WHERE chain = (SELECT min(chain) FROM audit)",
    "an edited row in a pack": "UPDATE audit_pack SET body = repacked(body, 'n0x3', 'n0x4')",
    "another hash before a pack": "UPDATE audit_pack SET prev = zeroblob(32)",
    "a pack with other numbers": "UPDATE audit_pack SET first_n = first_n + 1",
    "a pack that cannot be read": "UPDATE audit_pack SET body = zeroblob(40)",
    "a row that is stored twice": "INSERT INTO audit SELECT chain, 3, org, at, actor_id, actor, address, action, 'me', result, detail, prev, hash FROM audit WHERE n = 0",
}


@pytest.mark.holds("SAFETY-70", "S-34")
@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_a_changed_archive_does_not_verify(backend: Backend, tmp_path: Path, tampering: str) -> None:
    await filled(backend)
    await archive_all(backend, backend.clock.now() - DAY_S)
    assert await backend.store.log.verify_audit() is None
    with closing(sqlite3.connect(tmp_path / "data" / "stardust.db")) as db, db:
        db.create_function(
            "repacked", 3, lambda body, old, new: repacked(body, old.encode(), new.encode()) if b"n0x3" in zlib.decompress(body) else body
        )
        db.executescript(TAMPERINGS[tampering])
    verdict = some(await backend.store.log.verify_audit())
    assert verdict.startswith("chain ")


@pytest.mark.holds("SAFETY-71", "S-34")
async def test_a_head_that_was_seen_is_found_in_the_archive(backend: Backend) -> None:
    seen = [AuditHead(row.chain, row.n, row.hash.hex()) for row in await filled(backend)]
    await archive_all(backend, backend.clock.now())
    async with await Inspection.open(backend.database._control.path) as inspection:
        anonymous = [head._replace(chain="") for head in seen]
        assert await inspection.verify_audit((AUDIT_KEY,), [*seen, *anonymous]) is None
        wrong = seen[ROWS // 2]._replace(hash="0" * 64)
        assert "was seen as its end" in str(await inspection.verify_audit((AUDIT_KEY,), [wrong]))


async def test_a_backup_and_a_copy_have_the_archive(backend: Backend, tmp_path: Path) -> None:
    before = await filled(backend)
    await archive_all(backend, backend.clock.now())
    (tmp_path / "unpacked").mkdir()
    make(tmp_path / "data" / "stardust.db", tmp_path / "backup", "1", lambda _: None)
    manifest = unpack(tmp_path / "backup", tmp_path / "unpacked", lambda _: None)
    async with await Inspection.open(tmp_path / "unpacked" / "control.db") as inspection:
        assert await inspection.verify_audit((AUDIT_KEY,), manifest.audit_heads) is None
        assert [row async for row in inspection.audit_rows()] == before


async def test_a_clock_that_was_accepted_is_known_after_its_row_is_packed(backend: Backend) -> None:
    """Rows of a clock that was a year ahead do not count, although the row of the acceptance is in the archive."""
    backend.clock.jump(365 * DAY_S)
    await backend.store.nodes.create_node(SCOPE, new_node("from the future"))
    backend.clock.jump(-365 * DAY_S)
    await backend.reopen()
    await backend.store.log.accept_clock(SCOPE, 365 * DAY_S)
    for no in range(3):
        await backend.store.nodes.create_node(SCOPE, new_node(f"now{no}"))
    await archive_all(backend, backend.clock.now() + 1.0)
    assert await backend.store.log.last_audit_at() == backend.clock.now()


async def test_a_kill_between_two_packs_loses_nothing(backend: Backend, tmp_path: Path, clock: ManualClock) -> None:
    before = await filled(backend)
    await backend.store.log.archive_audit(clock.now(), 1_000_000)
    await asyncio.to_thread(shutil.copytree, tmp_path / "data", tmp_path / "killed", ignore=shutil.ignore_patterns("*-shm", "*.lock"))
    async with await Inspection.open(tmp_path / "killed" / "stardust.db") as inspection:
        assert await inspection.verify_audit((AUDIT_KEY,)) is None
        assert [row async for row in inspection.audit_rows()] == before
