"""Shredded secrets are in no file of the data folder any more."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.core.secrets import SealedRecord
from spider.clock import SystemClock
from tests.support.factories import SCOPE, new_node

CLOCK = SystemClock()


@pytest.mark.holds("SAFETY-67", "S-57")
async def test_shredded_credentials_are_in_no_file(tmp_path: Path) -> None:
    """The sealed bytes are gone from the database and from its log, while the hub runs."""
    database = await open_database(tmp_path / "data", clock=CLOCK)
    try:
        store = await database.store(audit_key=bytes(32), chain="c")
        nodes = [await store.nodes.create_node(SCOPE, new_node(f"n{at}")) for at in range(3)]
        canaries = [f"canary-{at}-".encode() * 40 for at in range(3)]
        for node, canary in zip(nodes, canaries, strict=True):
            await store.secrets.save_credentials(SCOPE, node.id, [SealedRecord("credential", node.id, "private_key", 1, canary)])
        assert all(found(tmp_path, canary) for canary in canaries)
        await store.secrets.shred_credentials(SCOPE, nodes[0].id)
        await store.secrets.save_credentials(SCOPE, nodes[1].id, [SealedRecord("credential", nodes[1].id, "password", 2, b"new")])
        await store.nodes.delete_node(SCOPE, nodes[2].id)
        assert not any(found(tmp_path, canary[:20]) for canary in canaries)
    finally:
        await database.close()


@pytest.mark.holds("S-57")
async def test_shredded_rows_are_in_no_file_after_the_next_start(tmp_path: Path) -> None:
    """Also where the hub was killed before it could fold its log in."""
    database = await open_database(tmp_path / "data", clock=CLOCK)
    try:
        store = await database.store(audit_key=bytes(32), chain="c")
        node = await store.nodes.create_node(SCOPE, new_node())
        await store.secrets.save_credentials(SCOPE, node.id, [SealedRecord("credential", node.id, "private_key", 1, b"canary-" * 40)])
        with closing(sqlite3.connect(tmp_path / "data" / "stardust.db", isolation_level=None)) as stranger:
            stranger.execute("BEGIN")
            stranger.execute("SELECT * FROM node").fetchall()
            await store.secrets.shred_credentials(SCOPE, node.id)
            shutil.copytree(tmp_path / "data", tmp_path / "killed", ignore=shutil.ignore_patterns("*-shm"))
    finally:
        await database.close()
    assert found(tmp_path / "killed", b"canary-")
    database = await open_database(tmp_path / "killed", clock=CLOCK)
    try:
        assert not found(tmp_path / "killed", b"canary-")
    finally:
        await database.close()


def found(folder: Path, canary: bytes) -> bool:
    return any(canary in file.read_bytes() for file in folder.rglob("*") if file.is_file())
