"""A database with one table, its writer, and commands for both."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import StoreError


def put(body: str) -> Callable[[Tx], str]:
    def command(tx: Tx) -> str:
        tx.execute("INSERT INTO item (body) VALUES (?)", body)
        return body

    return command


def trouble_of(writer: Writer) -> type[StoreError] | None:
    return type(writer.trouble) if writer.trouble else None


def bodies(path: Path) -> list[str]:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [row[0] for row in db.execute("SELECT body FROM item ORDER BY no")]
    finally:
        db.close()


def shred(tx: Tx) -> str:
    tx.shredding = True
    return put("shred")(tx)


def log_bytes(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size
