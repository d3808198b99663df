"""What a deleted organisation may have left in the hub's data folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

TOMBSTONES = {"node_grave", "job_grave", "fence"}
"""Ids and numbers that were used once and never come back."""


def number_of(folder: Path, node: str) -> int:
    """The number by which samples are filed under a node."""
    with closing(sqlite3.connect(folder / "stardust.db")) as db:
        (number,) = db.execute("SELECT no FROM node WHERE id = ?", (node,)).fetchone()
    return int(number)


def sample_tables(folder: Path, number: int) -> list[str]:
    """The tables of samples with a row of this node."""
    return _tables_with(folder / "stardust-samples.db", "node", number)


def owned_tables(folder: Path, org: int) -> list[str]:
    """The tables with a row of an organisation."""
    return _tables_with(folder / "stardust.db", "org", org)


def files_with(folder: Path, words: Collection[str]) -> list[str]:
    """The files whose name or bytes have one of these words, also in pages that a database has freed: `FILE: WORD`."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    bytes_of = {path: path.read_bytes() for path in files}
    return sorted(f"{path.name}: {word}" for path in files for word in words if word in path.name or word.encode() in bytes_of[path])


def _tables_with(file: Path, column: str, value: int) -> list[str]:
    with closing(sqlite3.connect(file)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
        return [
            table
            for table in names
            if table not in TOMBSTONES
            and column in {name for (_, name, *_) in db.execute(f"PRAGMA table_info({table})")}
            and db.execute(f"SELECT 1 FROM {table} WHERE {column} = ? LIMIT 1", (value,)).fetchone()
        ]
