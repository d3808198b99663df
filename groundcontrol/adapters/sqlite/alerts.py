"""The store of alerts, incidents and rules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.json_codec import to_json
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import BEHIND_ALL, check_limit, make_cursor, read_cursor
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx, Value
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.records import Form, SqliteRecords
from groundcontrol.adapters.sqlite.rights import grant_values, of_granted
from groundcontrol.alerts.interfaces import Decisions
from groundcontrol.alerts.model import RULES, Alert, AlertId, Incident, IncidentId, Rule
from groundcontrol.alerts.snapshot import Snapshot
from groundcontrol.alerts.store import AlertChange, AlertFilter, AlertStore, Handling, RuleStore, alert_text
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.events.making import new_event

MOST_OF_NODE: Final = 20_000
"""The most stored alerts of one node. Beyond it the node's own oldest ones that have ended are removed."""
_EXPIRE_ROWS: Final = 100
_snapshot: Final = msgspec.msgpack.Decoder(Snapshot)
_ALERT_COLUMNS: Final = (
    "org, id, rule, node_id, object, level, state, since_at, fired_at, resolved_at, reason, value, threshold, incident,"
    " acknowledged_at, acknowledged_by, note, snoozed_until, suppressed_by, maintenance, stale, flapping, retro"
)
_SAVE_ALERT: Final = (
    f"INSERT INTO alert ({_ALERT_COLUMNS}) VALUES ({', '.join('?' * 23)}) ON CONFLICT (org, id) DO UPDATE SET"  # noqa: S608 - built from constants only
    " level = excluded.level, state = excluded.state, resolved_at = excluded.resolved_at, reason = excluded.reason, value = excluded.value,"
    " threshold = excluded.threshold, incident = excluded.incident, suppressed_by = excluded.suppressed_by,"
    " maintenance = excluded.maintenance, stale = excluded.stale, flapping = excluded.flapping,"
    " acknowledged_at = CASE WHEN excluded.level = 'critical' AND alert.level = 'warning' THEN NULL ELSE alert.acknowledged_at END,"
    " snoozed_until = CASE WHEN excluded.level = 'critical' AND alert.level = 'warning' THEN NULL ELSE alert.snoozed_until END"
)
_SAVE_ENGINE: Final = "INSERT INTO alert_engine VALUES (?, ?, ?) ON CONFLICT (org) DO UPDATE SET at = excluded.at, body = excluded.body"
_SAVE_INCIDENT: Final = (
    "INSERT INTO incident (org, id, level, state, title, since_at, resolved_at, grouped, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (org, id) DO UPDATE SET level = excluded.level, state = excluded.state, title = excluded.title,"
    " resolved_at = excluded.resolved_at, revision = excluded.revision"
)


WriteDecisions = Callable[[Tx, Decisions], None]


@serves("rules", RuleStore)
class SqliteRules(SqliteRecords[Rule]):
    form = Form(RULES)


@serves("alerts", AlertStore)
class SqliteAlerts:
    def __init__(
        self, writer: Writer, reader: Reader, chain: Chain, write_decisions: WriteDecisions, most_of_node: int = MOST_OF_NODE
    ) -> None:
        """Args: write_decisions: writes what `AlertChange.decisions` says."""
        self._writer = writer
        self._reader = reader
        self._chain = chain
        self._write_decisions = write_decisions
        self._most_of_node = most_of_node

    # -- for the engine ----------------------------------------------------------------------------

    @command
    def commit(self, tx: Tx, change: AlertChange) -> None:
        for incident in change.incidents:
            tx.execute(_SAVE_INCIDENT, *_incident_values(incident))
        for alert in change.alerts:
            tx.execute(_SAVE_ALERT, *_alert_values(alert))
        for one in change.events:
            record_event(tx, one)
        if change.decisions is not None:
            self._write_decisions(tx, change.decisions)

    @query
    def open_alerts(self, rows: Rows, org: int) -> tuple[Sequence[Alert], Sequence[Incident]]:
        alerts = rows.fetch_all("SELECT * FROM alert WHERE org = ? AND state = 'firing' ORDER BY no", org)
        incidents = rows.fetch_all("SELECT * FROM incident WHERE org = ? AND state = 'open' ORDER BY no", org)
        return [_ALERTS.read(row) for row in alerts], [_INCIDENTS.read(row) for row in incidents]

    async def ended_since(self, org: int, at: float) -> Sequence[Alert]:
        sql = "SELECT * FROM alert WHERE org = ? AND state = 'resolved' AND resolved_at >= ? ORDER BY no"
        return [_ALERTS.read(row) for row in await self._reader.run(lambda rows: rows.fetch_all(sql, org, at))]

    async def save_engine(self, org: int, snapshot: Snapshot) -> None:
        body = msgspec.msgpack.encode(snapshot)
        await self._writer.run(lambda tx: tx.execute(_SAVE_ENGINE, org, snapshot.at, body))

    async def engine(self, org: int) -> Snapshot | None:
        row = await self._reader.run(lambda rows: rows.fetch_one("SELECT body FROM alert_engine WHERE org = ?", org))
        try:
            return None if row is None else _snapshot.decode(row["body"])
        except (msgspec.MsgspecError, ValueError):  # a ValueError: a text is not UTF-8
            return None  # of another version, or damaged: the engine starts from samples and alerts alone

    # -- lists -------------------------------------------------------------------------------------

    async def alerts(self, scope: Scope, limit: int, cursor: str | None = None, only: AlertFilter | None = None) -> Page[Alert]:
        size = check_limit(limit)
        chosen, wanted = _chosen(only or AlertFilter())
        before = BEHIND_ALL if cursor is None else read_cursor(cursor, "alerts", scope.org, int)[0]
        sql = "SELECT * FROM alert WHERE org = ? AND no < ?" + chosen + _granted(scope) + " ORDER BY no DESC LIMIT ?"  # noqa: S608 - built from constants only
        found = await self._reader.run(lambda rows: rows.fetch_all(sql, scope.org, before, *wanted, *grant_values(scope), size + 1))
        items = [_ALERTS.read(row) for row in found[:size]]
        return Page(items, make_cursor("alerts", scope.org, found[size - 1]["no"]) if len(found) > size else None)

    async def alert(self, scope: Scope, alert: AlertId) -> Alert:
        return _ALERTS.read(await self._reader.run(lambda rows: _load(rows, scope, alert)))

    async def alerts_of(self, scope: Scope, incidents: Collection[IncidentId], most: int) -> dict[IncidentId, list[Alert]]:
        sql = (
            "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY incident ORDER BY no DESC) AS place FROM alert"  # noqa: S608 - built from constants only
            f" WHERE org = ? AND incident IN (SELECT value FROM json_each(?)){_granted(scope)}) AS placed WHERE place <= ? ORDER BY no DESC"
        )
        values = (scope.org, to_json(sorted(incidents)), *grant_values(scope), most)
        found: dict[IncidentId, list[Alert]] = {}
        for row in await self._reader.run(lambda rows: rows.fetch_all(sql, *values)):
            found.setdefault(IncidentId(row["incident"]), []).append(_ALERTS.read(row))
        return found

    async def incidents(self, scope: Scope, limit: int, cursor: str | None = None, state: str = "") -> Page[Incident]:
        size = check_limit(limit)
        before = BEHIND_ALL if cursor is None else read_cursor(cursor, "incidents", scope.org, int)[0]
        chosen, wanted = (" AND state = ?", [state]) if state else ("", [])
        sql = f"SELECT * FROM incident WHERE org = ? AND no < ?{chosen}{_shown(scope)} ORDER BY no DESC LIMIT ?"  # noqa: S608 - built from constants only
        found = await self._reader.run(lambda rows: rows.fetch_all(sql, scope.org, before, *wanted, *grant_values(scope), size + 1))
        items = [_INCIDENTS.read(row) for row in found[:size]]
        return Page(items, make_cursor("incidents", scope.org, found[size - 1]["no"]) if len(found) > size else None)

    async def incident(self, scope: Scope, incident: IncidentId) -> Incident:
        sql = "SELECT * FROM incident WHERE org = ? AND id = ?" + _shown(scope)  # noqa: S608 - built from constants only
        row = await self._reader.run(lambda rows: rows.fetch_one(sql, scope.org, incident, *grant_values(scope)))
        if row is None:
            raise NotFound(f"there is no incident {incident}")
        return _INCIDENTS.read(row)

    # -- changes by users ----------------------------------------------------------------------------

    @command
    def handle(self, tx: Tx, scope: Scope, alerts: Collection[AlertId], handling: Handling) -> Sequence[Alert]:
        return [self._handle(tx, scope, _ALERTS.read(_load(tx, scope, alert)), handling) for alert in dict.fromkeys(alerts)]

    def _handle(self, tx: Tx, scope: Scope, alert: Alert, handling: Handling) -> Alert:
        if alert.state != "firing":
            raise Conflict(f"the alert {alert.id} has ended", alert=alert.id)
        handled = handling.apply(alert, scope.actor.name, tx.now)
        if handled != alert:
            tx.execute(
                "UPDATE alert SET acknowledged_at = ?, acknowledged_by = ?, note = ?, snoozed_until = ? WHERE org = ? AND id = ?",
                *(handled.acknowledged_at, handled.acknowledged_by, handled.note, handled.snoozed_until, scope.org, alert.id),
            )
            self._chain.write(tx, scope, handling.action, alert.id, {"rule": alert.rule_id, "node": alert.node_id or ""})
            if handling.event:
                what = alert_text(alert, handling.names.get(alert.rule_id, alert.rule_id))
                details: dict[str, object] = {"alert": alert.id, "rule": what, "object": alert.object, "by": scope.actor.name}
                name = _name(tx, alert.node_id)
                record_event(tx, new_event(handling.event, tx.now, details, node=alert.node_id, name=name, org=scope.org))
        return handled

    async def expire_alerts(self, before: float) -> int:
        def command(tx: Tx) -> int:
            count = tx.execute(
                "DELETE FROM alert WHERE no IN (SELECT no FROM alert WHERE state = 'resolved' AND resolved_at < ? LIMIT ?)",
                before,
                _EXPIRE_ROWS,
            )
            tx.execute(
                "DELETE FROM incident WHERE no IN (SELECT no FROM incident WHERE state = 'resolved' AND resolved_at < ?"
                " AND NOT EXISTS (SELECT 1 FROM alert WHERE alert.org = incident.org AND alert.incident = incident.id) LIMIT ?)",
                *(before, _EXPIRE_ROWS),
            )
            return count

        return await self._writer.run(command) or await self._expire_excess()

    async def _expire_excess(self) -> int:
        """Delete the oldest ended alerts of the node that has the most, if it has more than `most_of_node`."""
        sql = "SELECT org, node_id, count(*) AS n FROM alert WHERE node_id IS NOT NULL GROUP BY org, node_id ORDER BY n DESC LIMIT 1"
        found = await self._reader.run(lambda rows: rows.fetch_one(sql))
        if found is None or found["n"] <= self._most_of_node:
            return 0
        most = min(found["n"] - self._most_of_node, _EXPIRE_ROWS)

        def command(tx: Tx) -> int:
            return tx.execute(
                "DELETE FROM alert WHERE no IN"
                " (SELECT no FROM alert WHERE org = ? AND node_id = ? AND state = 'resolved' ORDER BY no LIMIT ?)",
                *(found["org"], found["node_id"], most),
            )

        return await self._writer.run(command)


def _granted(scope: Scope) -> str:
    """The condition for alerts that a caller may see. With grants, these are the alerts of granted nodes, and none of the hub itself."""
    return " AND " + of_granted(scope, "alert.node_id") if scope.grants else ""


def _shown(scope: Scope) -> str:
    """The condition for incidents that a caller may see. With grants, at least one alert of the incident must be visible."""
    if not scope.grants:
        return ""
    return f" AND EXISTS (SELECT 1 FROM alert WHERE alert.org = incident.org AND alert.incident = incident.id{_granted(scope)})"  # noqa: S608 - built from constants only


def _chosen(only: AlertFilter) -> tuple[str, list[Value]]:
    wanted: dict[str, Value] = {"state": only.state, "node_id": only.node, "rule": only.rule, "incident": only.incident}
    given = {column: value for column, value in wanted.items() if value}
    return "".join(f" AND {column} = ?" for column in given), list(given.values())


def _load(rows: Rows, scope: Scope, alert: AlertId) -> Row:
    sql = "SELECT * FROM alert WHERE org = ? AND id = ?" + _granted(scope)  # noqa: S608 - built from constants only
    row = rows.fetch_one(sql, scope.org, alert, *grant_values(scope))
    if row is None:
        raise NotFound(f"there is no alert {alert}")
    return row


def _name(rows: Rows, node: NodeId | None) -> str:
    row = None if node is None else rows.fetch_one("SELECT name FROM node WHERE id = ?", node)
    return "Ground Control" if row is None else row["name"]


def _alert_values(alert: Alert) -> tuple[Value, ...]:
    return (
        *(alert.org, alert.id, alert.rule_id, alert.node_id, alert.object, alert.level, alert.state, alert.since_at, alert.fired_at),
        *(alert.resolved_at, alert.reason, alert.value, alert.threshold, alert.incident_id, alert.acknowledged_at, alert.acknowledged_by),
        *(alert.note, alert.snoozed_until, alert.suppressed_by, alert.maintenance, alert.stale, alert.flapping, alert.retro),
    )


def _incident_values(incident: Incident) -> tuple[Value, ...]:
    return (
        *(incident.org, incident.id, incident.level, incident.state, incident.title, incident.since_at, incident.resolved_at),
        *(incident.group, incident.revision),
    )


_ALERTS: Final = Columns(Alert, "alert", {"rule_id": "rule", "incident_id": "incident"})
_INCIDENTS: Final = Columns(Incident, "incident", {"group": "grouped"})
