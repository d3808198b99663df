"""Opened databases that the tests hand on have nothing of an earlier test."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.database import CONTROL_NAME, Database, open_database
from tests.support import kept_stores
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, layout_row, new_node, pack
from tests.support.store_files import open_new


def rows_in(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """The rows of both files."""
    found = {}
    for path in (folder / CONTROL_NAME, samples_beside(folder / CONTROL_NAME)):
        with closing(sqlite3.connect(path)) as db:
            for [table] in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                found[table] = db.execute(f"SELECT * FROM {table}").fetchall()
    return found


def connections(database: Database) -> object:
    return database._control.writer._thread


async def test_a_later_test_gets_the_connections_and_the_rows_of_a_new_database(tmp_path: Path) -> None:
    used = await open_new(tmp_path / "used", clock=ManualClock())
    store = await used.store(audit_key=bytes(32), chain="x")
    node = await store.nodes.create_node(SCOPE, new_node("web-1"))
    session = await connect(store, node.id)
    await store.metrics.save_schema(session, layout_row())
    await store.metrics.append([pack(session, 1, layout_row(), 1_000_000)])
    await used.close()
    assert {"node", "audit", "sqlite_sequence"} <= {table for table, rows in rows_in(tmp_path / "used").items() if rows}

    later = await open_new(tmp_path / "later", clock=ManualClock())
    assert connections(later) is connections(used)
    await later.close()

    kept_stores.put_new_files(tmp_path / "new")
    await (await open_database(tmp_path / "new", clock=ManualClock())).close()
    assert rows_in(tmp_path / "later") == rows_in(tmp_path / "new")


@pytest.mark.parametrize("change", ["CREATE TABLE more (x)", "PRAGMA max_page_count = 500"])
async def test_a_changed_connection_is_not_handed_on(tmp_path: Path, change: str) -> None:
    changed = await open_new(tmp_path / "changed", clock=ManualClock())
    await changed._control.writer._thread.run(lambda db: db.execute(change).fetchall())
    await changed.close()
    later = await open_new(tmp_path / "later", clock=ManualClock())
    assert connections(later) is not connections(changed)
    await later.close()
