"""Lines of nodes' system logs, and the journal cursor after the last stored line. Both change in one transaction."""

from __future__ import annotations

from typing import Final

from groundcontrol.adapters.sqlite.engine.pagination import check_limit, make_cursor, read_cursor
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import Fenced
from groundcontrol.core.paging import Page
from groundcontrol.nodes.model import LogBatch, LogLine, Session

MAX_STORED_LINES: Final = 10_000
"""The most stored lines of each node. The oldest are removed first."""
_LIST: Final = "log_lines"


class SqliteNodeLogs:
    """`NodeLogStore`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def add_lines(self, session: Session, batch: LogBatch) -> str:
        def command(tx: Tx) -> str:
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
                "DELETE FROM log_line WHERE node = ?1 AND no <="
                " (SELECT no FROM log_line WHERE node = ?1 ORDER BY no DESC LIMIT 1 OFFSET ?2)",
                *(session.no, MAX_STORED_LINES),
            )
            return batch.cursor

        return await self._writer.run(command)

    async def lines(self, no: int, limit: int, cursor: str | None = None) -> Page[LogLine]:
        limit = check_limit(limit)
        before: str | int | float = (1 << 63) - 1
        if cursor is not None:
            [before] = read_cursor(cursor, _LIST, no, int)
        rows = await self._reader.run(
            lambda reader: reader.fetch_all(
                "SELECT * FROM log_line WHERE node = ? AND no < ? ORDER BY no DESC LIMIT ?", no, before, limit + 1
            )
        )
        items = [LogLine(row["at_ms"], row["priority"], row["source"], row["text"], row["left_out"]) for row in rows[:limit]]
        return Page(items, make_cursor(_LIST, no, rows[limit - 1]["no"]) if len(rows) > limit else None)


def drop_lines(tx: Tx, no: int) -> None:
    """Remove all lines of a removed node."""
    tx.execute("DELETE FROM log_line WHERE node = ?", no)
    tx.execute("DELETE FROM log_cursor WHERE node = ?", no)
