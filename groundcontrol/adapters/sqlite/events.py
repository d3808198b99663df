"""The store of events and refusals, and the reading side of the audit log."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain, heads, last_at, listed, mark_clock, plain, to_audit_row, verify
from groundcontrol.adapters.sqlite.engine.json_codec import digest, object_or_damage, to_json
from groundcontrol.adapters.sqlite.engine.pagination import BEHIND_ALL, check_limit, first_id, make_cursor, of_old, read_cursor
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx, Value
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.rights import grant_values, of_granted
from groundcontrol.core.audit import AuditHead, AuditRow
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import DEFAULT_ORG, SYSTEM, Scope
from groundcontrol.events.model import Event, EventFilter, Refusal

_EVENT: Final = "SELECT * FROM event "
_EXPIRE_BATCH: Final = 1000
MOST_REFUSALS: Final = 100_000
"""Only the newest refusals are stored: a client that causes many must not fill the disk."""


class SqliteLog:
    """`LogStore`."""

    def __init__(
        self, writer: Writer, reader: Reader, chain: Chain, audit_keys: Sequence[bytes], most_refusals: int = MOST_REFUSALS
    ) -> None:
        """`audit_keys`: the current key, then the earlier ones."""
        self._writer = writer
        self._reader = reader
        self._chain = chain
        self._audit_keys = audit_keys
        self._most_refusals = most_refusals

    async def add_event(self, event: Event) -> None:
        await self._writer.run(lambda tx: record_event(tx, event))

    async def events(
        self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: EventFilter | None = None
    ) -> Page[Event]:
        size = check_limit(limit)
        kind = f"events:{node or ''}" + ("" if only is None else f":{digest(only).hex()}")
        before = BEHIND_ALL if cursor is None else read_cursor(cursor, kind, scope.org, int)[0]
        chosen, wanted = _chosen(only)

        def query(rows: Rows) -> list[sqlite3.Row]:
            granted, values = _granted(scope)
            end = chosen + granted + " ORDER BY no DESC LIMIT ?"
            if node is None:
                return rows.all(_EVENT + "WHERE org = ? AND no < ?" + end, scope.org, before, *wanted, *values, size + 1)
            where = "WHERE org = ? AND node_id = ? AND no < ?" + end
            return rows.all(_EVENT + where, scope.org, node, before, *wanted, *values, size + 1)

        found = await self._reader.run(query)
        items = [to_event(row) for row in found[:size]]
        return Page(items, make_cursor(kind, scope.org, found[size - 1]["no"]) if len(found) > size else None)

    async def expire_events(self, before: float) -> int:
        sql = f"DELETE FROM event WHERE no IN ({of_old('event')} LIMIT ?)"  # noqa: S608  words of our own
        return await self._writer.run(lambda tx: tx.do(sql, first_id(before), _EXPIRE_BATCH))

    async def save_refusals(self, refusals: Sequence[Refusal]) -> None:
        def command(tx: Tx) -> None:
            newest = tx.all("SELECT max(rowid) AS newest FROM audit")[0]["newest"] or 0
            for one in refusals:
                tx.do(
                    "INSERT INTO refusal (org, id, after_audit, at, last_at, count, summed, actor_id, actor, address, node_id, action, why, target)"
                    " VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (org, id) DO UPDATE SET count = max(count, excluded.count), last_at = max(last_at, excluded.last_at)",
                    *(DEFAULT_ORG, one.id, newest, one.at, one.last_at, one.times),
                    *(plain(one.actor.id), plain(one.actor.name), plain(one.actor.address)),
                    one.actor.id if one.actor.kind == "node" and one.actor.id else None,
                    *(one.action, plain(one.why), plain(one.target)),
                )
            tx.do("DELETE FROM refusal WHERE no <= (SELECT max(no) FROM refusal) - ?", self._most_refusals)

        await self._writer.run(command)

    async def sum_refusals(self) -> None:
        def command(tx: Tx) -> None:
            new = "FROM refusal WHERE count > summed"
            kinds = tx.all(f"SELECT action, sum(count - summed) AS count, min(at) AS first, max(last_at) AS last {new} GROUP BY action")
            if not kinds:
                return
            detail: dict[str, object] = {row["action"]: row["count"] for row in kinds}
            detail |= {"since_at": min(row["first"] for row in kinds), "until_at": max(row["last"] for row in kinds)}
            self._chain.write(tx, SYSTEM, "refusal.summary", "hub", detail)
            tx.do("UPDATE refusal SET summed = count WHERE count > summed")

        await self._writer.run(command)

    async def expire_refusals(self, before: float) -> int:
        sql = f"DELETE FROM refusal WHERE no IN ({of_old('refusal')} LIMIT ?)"  # noqa: S608  words of our own
        return await self._writer.run(lambda tx: tx.do(sql, first_id(before), _EXPIRE_BATCH))

    async def audit(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[AuditRow]:
        size = check_limit(limit)
        position, no = (BEHIND_ALL, 0) if cursor is None else map(int, read_cursor(cursor, "audit", scope.org, int, int))
        found = await self._reader.run(lambda rows: listed(rows, size + 1, (position, no), scope.org))
        items = [to_audit_row(row) for row in found[:size]]
        more = make_cursor("audit", scope.org, found[size - 1]["place"], found[size - 1]["no"]) if len(found) > size else None
        return Page(items, more)

    async def last_audit_at(self) -> float | None:
        return await self._reader.run(last_at)

    async def accept_clock(self, scope: Scope, behind_s: float) -> None:
        def command(tx: Tx) -> None:
            self._chain.write(tx, scope, "clock.accept", "hub", {"behind_s": round(behind_s)})
            mark_clock(tx)

        await self._writer.run(command)

    async def verify_audit(self) -> str | None:
        return await self._reader.run(lambda rows: verify(rows, self._audit_keys))

    async def audit_heads(self) -> Sequence[AuditHead]:
        return await self._reader.run(heads)


def record_event(tx: Tx, event: Event) -> None:
    """Write an event in the transaction of its cause."""
    tx.do(
        "INSERT INTO event (org, id, type, severity, source, at, node_id, message, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (org, id) DO NOTHING",
        *(event.org, event.id, event.type, event.severity, event.source, event.at, event.node_id, event.message),
        to_json(event.details),
    )


def _granted(scope: Scope) -> tuple[str, list[Value]]:
    """A user with grants sees the events of the granted nodes, and no event of the fleet as a whole."""
    if not scope.grants:
        return "", []
    return " AND " + of_granted(scope, "event.node_id"), grant_values(scope)


def _chosen(only: EventFilter | None) -> tuple[str, list[Value]]:
    if only is None:
        return "", []
    return (
        " AND (? = '[]' OR severity IN (SELECT value FROM json_each(?))) AND (? = '' OR type = ? OR substr(type, 1, length(?) + 1) = ? || '.')"
        " AND instr(lower(message), lower(?)) > 0",
        [*([to_json(only.severities)] * 2), *([only.type] * 4), only.search],
    )


def to_event(row: sqlite3.Row) -> Event:
    return Event(
        id=EventId(row["id"]),
        org=row["org"],
        type=row["type"],
        severity=row["severity"],
        source=row["source"],
        at=row["at"],
        node_id=None if row["node_id"] is None else NodeId(row["node_id"]),
        message=row["message"],
        details=object_or_damage(row["details"]),
    )
