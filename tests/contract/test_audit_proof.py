"""Audit chains after a secret rotation, and what an externally stored head can prove."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from groundcontrol.adapters.sqlite.admin.offline_reader import Inspection
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.audit import AuditHead
from groundcontrol.vault import Vault
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, STRANGER, new_node, new_user
from tests.support.keys import first_vault, rotate
from tests.support.some import some
from tests.support.store_backend import Backend


async def act(backend: Backend, vault: Vault, *names: str) -> Store:
    """A hub starts, makes these nodes, and stops."""
    store = await backend.database.store(
        audit_key=vault.audit_key, chain=new_time_id(backend.clock.now()), earlier_audit_keys=vault.earlier_audit_keys
    )
    for name in names:
        await store.nodes.create_node(SCOPE, new_node(name))
    backend.clock.advance(60.0)
    return store


async def rotated(backend: Backend) -> tuple[Vault, Vault]:
    """Two chains under the old secret, one that changes it, one under the new."""
    old = await first_vault(backend.database, "old")
    await act(backend, old, "a", "b")
    await act(backend, old, "c", "d")
    new = await rotate(backend.database, old, "new", SCOPE, new_time_id(backend.clock.now()))
    backend.clock.advance(60.0)
    return old, new


def forge(path: Path, chain: str, n: int, key: bytes, prev: bytes, target: str) -> bytes:
    """Write or replace a row as an attacker who learned a key."""
    with closing(sqlite3.connect(path)) as db, db:
        like = db.execute("SELECT org, at, actor_id, actor, address, action, target, result, detail FROM audit WHERE n = 1").fetchone()
        row = (chain, n, *like[:6], target, like[7], "{}" if n == 0 else like[8])
        made = hmac.digest(key, prev + msgspec.msgpack.encode(row), hashlib.sha256)
        db.execute("INSERT OR REPLACE INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, prev, made))
        return made


def end_of(path: Path, place: str) -> tuple[str, int, bytes, bytes]:
    """(chain, n, prev, hash) of the last row of the chain that `place` (min or max) picks."""
    with closing(sqlite3.connect(path)) as db:
        chain = db.execute(f"SELECT {place}(chain) FROM audit").fetchone()[0]
        found = db.execute("SELECT chain, n, prev, hash FROM audit WHERE chain = ? ORDER BY n DESC LIMIT 1", (chain,)).fetchone()
        return found[0], found[1], bytes(found[2]), bytes(found[3])


@pytest.mark.holds("F-29")
async def test_rows_before_a_rotation_verify_with_their_old_key(backend: Backend) -> None:
    old, new = await rotated(backend)
    store = await act(backend, new, "e", "f")
    assert await store.log.verify_audit() is None
    rows = (await store.log.audit(SCOPE, 100)).items
    assert [row.actor for row in rows if row.action == "keyring.rotate"] == ["local:1000"]
    without = await backend.database.store(audit_key=new.audit_key, chain="later")
    assert "was altered" in (await without.log.verify_audit() or "")
    with_old_only = await backend.database.store(audit_key=old.audit_key, chain="later")
    assert await with_old_only.log.verify_audit() is not None


async def test_the_old_secret_cannot_change_extend_or_add_an_audit_chain(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "data" / "stardust.db"
    old, new = await rotated(backend)
    store = await act(backend, new, "e")
    with closing(sqlite3.connect(path)) as db:
        kept = db.execute("SELECT * FROM audit").fetchall()
    first_chain, n, prev, last = end_of(path, "min")
    forgeries = (
        (first_chain, n, prev, "somebody else"),
        (first_chain, n + 1, last, "one more"),
        ("0forged", 0, bytes(32), "an earlier chain of my own"),
        ("zforged", 0, bytes(32), "a later chain of my own"),
    )
    for chain, at, before, target in forgeries:
        forge(path, chain, at, old.audit_key, before, target)
        verdict = some(await store.log.verify_audit())
        assert verdict.startswith("chain ")
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("DELETE FROM audit")
            db.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kept)
        assert await store.log.verify_audit() is None


@pytest.mark.holds("S-34")
async def test_a_truncated_chain_is_detected_by_a_known_head(backend: Backend, tmp_path: Path) -> None:
    """The one thing that nothing inside the database can show."""
    vault = await first_vault(backend.database, "old")
    store = await act(backend, vault, "a", "b", "c")
    (head,) = await store.log.audit_heads()
    assert head.n == 3
    await store.nodes.create_node(SCOPE, new_node("d"))
    path = tmp_path / "data" / "stardust.db"

    async def verdict(*known: AuditHead) -> str | None:
        async with await Inspection.open(path) as inspection:
            return await inspection.verify_audit((vault.audit_key,), known)

    assert await verdict(head, head._replace(chain="")) is None
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM audit WHERE n > 2")
    assert await verdict() is None
    for known in (head, head._replace(chain="")):
        assert "row 3" in (await verdict(known) or "")
    assert await verdict(head._replace(n=2)) is not None
    assert await verdict(head._replace(chain="another")) is not None


async def test_the_head_of_a_new_chain_covers_all_earlier_rows(backend: Backend) -> None:
    vault = await first_vault(backend.database, "old")
    before = await act(backend, vault, "a")
    (old_end,) = await before.log.audit_heads()
    store = await act(backend, vault)
    assert await store.log.audit_heads() == [old_end]
    await store.nodes.create_node(SCOPE, new_node("b"))
    (end,) = await store.log.audit_heads()
    assert end.chain != old_end.chain


@pytest.mark.holds("S-34")
@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        ("DROP TABLE audit", "the table of audit rows is missing"),
        ("DELETE FROM audit", "there is no audit row, although this hub was set up"),
        ("ALTER TABLE audit RENAME TO other", "the table of audit rows is missing"),
    ],
)
async def test_a_deleted_audit_log_does_not_verify(backend: Backend, tmp_path: Path, harm: str, fault: str) -> None:
    await backend.store.users.create_first_admin(new_user(), b"h", backend.clock.now())
    with closing(sqlite3.connect(tmp_path / "data" / "stardust.db")) as db, db:
        db.execute(harm)
    assert await backend.store.log.verify_audit() == fault


async def test_rows_are_read_in_the_order_they_were_written_in_whole_or_the_newest(
    backend: Backend, clock: ManualClock, tmp_path: Path
) -> None:
    vault = await first_vault(backend.database, "old")
    for turn in range(3):
        await act(backend, vault, *(f"{turn}-{at}" for at in range(4)))
        clock.jump(3600.0 if turn == 0 else -7200.0)
    async with await Inspection.open(tmp_path / "data" / "stardust.db") as inspection:
        everything = [row async for row in inspection.audit_rows()]
        assert len(everything) == 15
        assert [row.detail["name"] for row in everything if row.action == "node.create"] == [
            f"{turn}-{at}" for turn in range(3) for at in range(4)
        ]
        for newest in (1, 4, 15, 99):
            assert await inspection.newest_audit(newest) == everything[-newest:]


@pytest.mark.holds("SAFETY-9", "SAFETY-108")
async def test_the_chains_of_two_organisations_are_numbered_apart_and_survive_a_rotation(backend: Backend) -> None:
    """Each organisation has numbers of its own. A rotation records the ends of all chains, although only one organisation acts then."""
    old = await first_vault(backend.database, "old")
    store = await act(backend, old, "a")
    for name in ("b", "c", "d"):
        await store.nodes.create_node(STRANGER, new_node(name))
    numbers = {
        scope.org: [row.n for row in (await store.log.audit(scope, 100)).items if row.action == "node.create"]
        for scope in (SCOPE, STRANGER)
    }
    assert numbers == {1: [1], 2: [3, 2, 1]}
    backend.clock.advance(60.0)
    new = await rotate(backend.database, old, "new", SCOPE, new_time_id(backend.clock.now()))
    backend.clock.advance(60.0)
    store = await act(backend, new, "e")
    assert await store.log.verify_audit() is None, "the second organisation has not acted since"
    store = await act(backend, new)
    await store.nodes.create_node(STRANGER, new_node("f"))
    assert await store.log.verify_audit() is None
