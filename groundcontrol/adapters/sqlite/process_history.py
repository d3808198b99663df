"""The process history of nodes. A row has the readings of a quarter of an hour, since similar readings compress well together."""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.json_codec import inflated, to_json
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import Fenced, StoreError
from groundcontrol.nodes.model import Session
from groundcontrol.nodes.processes import ProcessReading, with_reading
from groundcontrol.nodes.store import ProcessHistoryStore

SPAN_S: Final = 900
MAX_SPAN_BYTES: Final = 8192
"""A reading that would make a row larger is not stored."""
MAX_SPANS: Final = 112
"""The most rows of a node; a day has 96. The oldest are removed first. With `MAX_SPAN_BYTES` a node fills at most 0.9 MB."""
_STEP_ROWS: Final = 2000
_readings: Final = msgspec.json.Decoder(list[ProcessReading])


@serves("process_history", ProcessHistoryStore)
class SqliteProcessHistory:
    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def save_reading(self, session: Session, reading: ProcessReading) -> None:
        await self._writer.run(lambda tx: _save(tx, session, reading))

    async def reading(self, no: int, at: float) -> ProcessReading | None:
        at_ms = int(at * 1000)
        found = await self._reader.run(
            lambda rows: rows.fetch_all(
                "SELECT readings FROM process_span WHERE node = ? AND span <= ? ORDER BY span DESC LIMIT 2", no, int(at // SPAN_S)
            )
        )
        for row in found:
            before = [reading for reading in inflated(_readings, row["readings"]) if reading.at_ms <= at_ms]
            if before:
                return before[-1]
        return None

    async def expire_readings(self, before: float) -> int:
        return await self._writer.run(
            lambda tx: tx.execute(
                "DELETE FROM process_span WHERE rowid IN (SELECT rowid FROM process_span WHERE span < ? LIMIT ?)",
                *(int(before // SPAN_S), _STEP_ROWS),
            )
        )


def _save(tx: Tx, session: Session, reading: ProcessReading) -> None:
    fence = tx.fetch_one("SELECT epoch FROM fence WHERE node = ?", session.no)
    if fence is None or fence["epoch"] != session.epoch:
        raise Fenced(f"session {session.epoch} of node {session.node} is over")
    span = reading.at_ms // (SPAN_S * 1000)
    row = tx.fetch_one("SELECT readings FROM process_span WHERE node = ? AND span = ?", session.no, span)
    try:
        stored = [] if row is None else inflated(_readings, row["readings"])
    except StoreError:  # replace the damaged quarter of an hour
        stored = []
    readings = with_reading(stored, reading)
    body = zlib.compress(to_json(readings).encode())
    if readings == stored or len(body) > MAX_SPAN_BYTES:
        return
    tx.execute("INSERT OR REPLACE INTO process_span VALUES (?, ?, ?)", session.no, span, body)
    if row is None:
        tx.execute(
            "DELETE FROM process_span WHERE node = ?1 AND span <="
            " (SELECT span FROM process_span WHERE node = ?1 ORDER BY span DESC LIMIT 1 OFFSET ?2)",
            *(session.no, MAX_SPANS),
        )


def drop_readings(tx: Tx, no: int) -> None:
    """Remove the process history of a removed node."""
    tx.execute("DELETE FROM process_span WHERE node = ?", no)
