"""The tables of expectations (on some days, nodes report an event by some time) and of their deadlines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.tx import Row, Tx, Value
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.records import Form, SqliteRecords
from groundcontrol.adapters.sqlite.rights import admitted, grant_values, tags_of
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.events.catalogue import MOST_SPAN_S, WINDOW_S
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Severity
from groundcontrol.schedules.deadlines import (
    EXPECTATIONS,
    DeadlineNode,
    Expectation,
    ExpectationId,
    JudgedDay,
    Report,
    Unmet,
    missed_type,
)
from groundcontrol.schedules.deadlines_store import ExpectationStore
from groundcontrol.schedules.wall_clock import zone_of

_EXPIRE_AT_ONCE: Final = 1000
# A row stands for equal events between `at` and `last_at`, each less than ?7 after the one before. So if the row began before the window,
# its first event in the window is at most ?7 after the start. Without the plus, SQLite would read all events of each node.
_FIRST_REPORTS: Final = (
    "SELECT node_id, id, first_at, CASE WHEN at < ?3 AND received_at < first_at THEN first_at ELSE received_at END AS received_at FROM"
    " (SELECT reported.*, row_number() OVER (PARTITION BY node_id ORDER BY first_at) AS place FROM"
    " (SELECT node_id, id, at, received_at, CASE WHEN at >= ?3 THEN at WHEN last_at < ?3 + ?7 THEN last_at ELSE ?3 + ?7 END AS first_at"
    " FROM event WHERE org = ?1 AND type IN (?2, 'custom') AND at BETWEEN ?3 - ?6 AND ?4 AND last_at >= ?3"
    " AND (type <> 'custom' OR json_valid(details) AND json_extract(details, '$.name') = ?2)"
    " AND +node_id IN (SELECT value FROM json_each(?5))) AS reported) AS placed WHERE place = 1"
)
_DAYS: Final = "SELECT deadline.*, node.id AS node_id FROM deadline JOIN node ON node.no = deadline.node "
_UNMET: Final = (
    "SELECT node.id AS node_id, e.name, e.level, e.event, e.zone, d.by_at FROM deadline AS d JOIN node ON node.no = d.node"
    " JOIN expectation AS e ON e.org = d.org AND e.id = d.expectation WHERE d.state = 'missed' AND d.date >= ? AND NOT EXISTS (SELECT 1 FROM deadline AS later"
    " WHERE (later.org, later.expectation, later.node) = (d.org, d.expectation, d.node) AND later.date > d.date AND later.state <> 'not_judged')"
)


@serves("expectations", ExpectationStore)
class SqliteExpectations(SqliteRecords[Expectation]):
    form = Form(EXPECTATIONS)

    async def was_reported(self, scope: Scope, name: str) -> bool:
        sql = (
            "SELECT 1 FROM event WHERE org = ? AND type = 'custom' AND json_valid(details) AND json_extract(details, '$.name') = ? LIMIT 1"
        )
        return await self._reader.run(lambda rows: rows.fetch_one(sql, scope.org, name)) is not None

    async def judged_days(
        self, scope: Scope, expectation: ExpectationId, first: date, last: date, node: NodeId | None = None
    ) -> Sequence[JudgedDay]:
        where = (
            "WHERE deadline.org = ? AND expectation = ? AND date BETWEEN ? AND ? AND (CAST(? AS TEXT) IS NULL OR node.id = ?)"
            + admitted(scope)
        )
        values: list[Value] = [scope.org, expectation, first.isoformat(), last.isoformat(), node, node, *grant_values(scope)]
        return [
            _to_day(row) for row in await self._reader.run(lambda rows: rows.fetch_all(_DAYS + where + " ORDER BY date, node.no", *values))
        ]

    async def undecided(self, expectation: Expectation, day: date) -> Sequence[DeadlineNode]:
        found = await self._reader.run(
            lambda rows: rows.fetch_all(
                "SELECT id, name, tags, created_at FROM node WHERE org = ?1 AND waiting = 0 AND NOT EXISTS"
                " (SELECT 1 FROM deadline WHERE org = ?1 AND expectation = ?2 AND node = node.no AND date = ?3)",
                *(expectation.org, expectation.id, day.isoformat()),
            )
        )
        return [DeadlineNode(NodeId(row["id"]), tags_of(row["tags"]), row["created_at"], row["name"]) for row in found]

    async def first_reports(
        self, expectation: Expectation, nodes: Sequence[NodeId], start_at: float, until_at: float
    ) -> Mapping[NodeId, Report]:
        values: list[Value] = [expectation.org, expectation.event, start_at, until_at, json.dumps(list(nodes)), MOST_SPAN_S, WINDOW_S]
        found = await self._reader.run(lambda rows: rows.fetch_all(_FIRST_REPORTS, *values))
        return {NodeId(row["node_id"]): Report(EventId(row["id"]), row["first_at"], row["received_at"]) for row in found}

    async def missed_days(self, since: date) -> Sequence[JudgedDay]:
        where = "WHERE deadline.state = 'missed' AND date >= ?"
        return [_to_day(row) for row in await self._reader.run(lambda rows: rows.fetch_all(_DAYS + where, since.isoformat()))]

    async def save_judgements(self, expectation: Expectation, days: Sequence[JudgedDay]) -> int:
        def command(tx: Tx) -> int:
            if self.row(tx, expectation.org, expectation.id) is None:
                return 0  # the expectation was deleted meanwhile
            return sum(_save(tx, expectation, day) for day in days)

        return await self._writer.run(command) if days else 0

    async def unmet(self, since: date) -> Mapping[NodeId, Mapping[str, Unmet]]:
        found: dict[NodeId, dict[str, Unmet]] = {}
        for row in await self._reader.run(lambda rows: rows.fetch_all(_UNMET, since.isoformat())):
            found.setdefault(NodeId(row["node_id"]), {})[row["name"]] = Unmet(row["level"], row["by_at"], row["event"], row["zone"])
        return found

    async def expire_days(self, before: date) -> int:
        sql = (
            "DELETE FROM deadline WHERE (org, expectation, node, date) IN"
            " (SELECT org, expectation, node, date FROM deadline WHERE date < ? LIMIT ?)"
        )
        return await self._writer.run(lambda tx: tx.execute(sql, before.isoformat(), _EXPIRE_AT_ONCE))


def _save(tx: Tx, expectation: Expectation, day: JudgedDay) -> int:
    """Store one judgement. Returns 1; or 0 if it is stored already, or its node was removed."""
    node = tx.fetch_one("SELECT no, name FROM node WHERE org = ? AND id = ?", expectation.org, day.node)
    if node is None:
        return 0
    key = (expectation.org, expectation.id, node["no"], day.date.isoformat())
    report: tuple[Value, ...] = (None, None, None) if day.report is None else day.report
    if day.state in ("arrived_late", "late"):
        return tx.execute(
            "UPDATE deadline SET state = ?, judged_at = ?, event_id = ?, event_at = ?, received_at = ?"
            " WHERE org = ? AND expectation = ? AND node = ? AND date = ? AND state = 'missed'",
            *(day.state, day.judged_at, *report, *key),
        )
    stored = tx.execute(
        "INSERT INTO deadline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        *(*key, day.state, day.by_at, day.due_at, day.judged_at, *report),
    )
    if stored and day.state == "missed":
        _record_missed(tx, expectation, day, node["name"])
    return stored


def _record_missed(tx: Tx, expectation: Expectation, day: JudgedDay, name: str) -> None:
    by = f"{datetime.fromtimestamp(day.by_at, zone_of(expectation.zone)):%Y-%m-%d %H:%M} ({expectation.zone})"
    details: dict[str, object] = {
        "expectation": expectation.name, "event": expectation.event, "due": by, "due_at": day.due_at, "date": day.date.isoformat(),
        "name": name,
    }  # fmt: skip
    severity: Severity = "error" if expectation.level == "critical" else "warning"
    made = new_event(
        missed_type(expectation),
        day.judged_at,
        details,
        node=day.node,
        name=name,
        org=expectation.org,
        severity=severity,
        received_at=tx.now,
    )
    record_event(tx, made)


def _to_day(row: Row) -> JudgedDay:
    report = None if row["event_id"] is None else Report(EventId(row["event_id"]), row["event_at"], row["received_at"])
    return JudgedDay(
        ExpectationId(row["expectation"]), NodeId(row["node_id"]), date.fromisoformat(row["date"]), row["state"], row["by_at"], row["due_at"],
        row["judged_at"], report,
    )  # fmt: skip
