"""Lines of nodes' system logs, and the journal cursor after the last stored line. Both change in one transaction."""

from __future__ import annotations

from typing import Final

from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import place
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import Fenced
from groundcontrol.core.paging import Page
from groundcontrol.nodes.model import LogBatch, LogLine, Session
from groundcontrol.nodes.store import NodeLogStore

MAX_STORED_LINES: Final = 10_000
"""The most stored lines of each node. The oldest are removed first."""


@serves("node_logs", NodeLogStore)
class SqliteNodeLogs:
    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    @command
    def add_lines(self, tx: Tx, session: Session, batch: LogBatch) -> str:
        fence = tx.fetch_one("SELECT epoch FROM fence WHERE node = ?", session.no)
        if fence is None or fence["epoch"] != session.epoch:
            raise Fenced(f"session {session.epoch} of node {session.node} is over")
        row = tx.fetch_one("SELECT cursor FROM log_cursor WHERE node = ?", session.no)
        cursor = "" if row is None else str(row["cursor"])
        if batch.after != cursor or batch.cursor == cursor:
            return cursor
        tx.execute_many(
            "INSERT INTO log_line (node, at_ms, priority, source, text, left_out) VALUES (?, ?, ?, ?, ?, ?)",
            [(session.no, *line) for line in batch.lines],
        )
        tx.execute("INSERT OR REPLACE INTO log_cursor VALUES (?, ?)", session.no, batch.cursor)
        tx.execute(
            "DELETE FROM log_line WHERE node = ?1 AND no <= (SELECT no FROM log_line WHERE node = ?1 ORDER BY no DESC LIMIT 1 OFFSET ?2)",
            *(session.no, MAX_STORED_LINES),
        )
        return batch.cursor

    @query
    def lines(self, rows: Rows, no: int, limit: int, cursor: str | None = None) -> Page[LogLine]:
        at = place("log_lines", no, limit, cursor)
        found = rows.fetch_all("SELECT * FROM log_line WHERE node = ? AND no < ? ORDER BY no DESC LIMIT ?", no, at.start, at.most)
        return at.page(found, lambda row: LogLine(row["at_ms"], row["priority"], row["source"], row["text"], row["left_out"]))


def drop_lines(tx: Tx, no: int) -> None:
    """Remove all lines of a removed node."""
    tx.execute("DELETE FROM log_line WHERE node = ?", no)
    tx.execute("DELETE FROM log_cursor WHERE node = ?", no)
