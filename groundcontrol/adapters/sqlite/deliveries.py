"""The store of deliveries: one row for each decision about a channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.delivery_rows import add_deliveries, give_up_s, to_delivery, write_decisions
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.pagination import check_limit, first_id, make_cursor, read_cursor
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx, Value
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.events import to_event
from groundcontrol.adapters.sqlite.outbox import SqliteOutbox
from groundcontrol.alerts.model import IncidentId, RuleId
from groundcontrol.core.errors import Conflict, NotFound, TooManyRequests
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.events.model import Event
from groundcontrol.notifications.model import ChannelId, Delivery, DeliveryId
from groundcontrol.notifications.store import Attempt, Decided, DeliveryFilter, DeliveryStore, Missing, Summary

__all__ = ["SqliteDeliveries", "add_deliveries"]

MOST_TESTS: Final = 10
"""The most test messages of a channel in an hour."""
HOUR_S: Final = 3600.0
_EXPIRE_BATCH: Final = 100
_LAST: Final = "~"
"""A text that sorts after every id."""
MOST_REFUSED: Final = 10
"""How often a refused message is tried."""
_TRIED_AT: Final = "(SELECT max(a.at) FROM delivery_attempt a WHERE a.org = d.org AND a.delivery_id = d.id)"
_LOST: Final = (
    "(d.state = 'skipped' AND d.reason IN ('channel_disabled', 'channel_broken') OR d.state = 'failed' AND (d.reason = 'expired'"
    f" OR d.attempts < {MOST_REFUSED} AND (c.state = 'ok' AND c.state_since_at > {_TRIED_AT} OR {_TRIED_AT} < ? - 300 * d.attempts)))"
)
"""A refused message is tried again when its channel has recovered, or after minutes: 5, 10, 15 …"""
_WORKS: Final = "c.enabled = 1 AND c.state <> 'broken'"
_MISSING: Final = (
    "SELECT i.id AS incident, c.id AS channel, d.* FROM incident i JOIN channel c ON c.org = i.org LEFT JOIN delivery d ON d.org = i.org"  # noqa: S608  words of our own
    " AND d.id = (SELECT e.id FROM delivery e WHERE e.org = i.org AND e.incident_id = i.id AND e.channel_id = c.id"
    " ORDER BY e.revision DESC, e.id DESC LIMIT 1)"
    f" WHERE i.org = ? AND i.state = 'open' AND c.enabled = 1 AND (d.id IS NULL OR {_WORKS} AND {_LOST})"
)
"""The pairs of an open incident and a channel without a message. Each pair costs one search in the index of deliveries by incident."""
_LOST_ENDS: Final = (
    "SELECT d.incident_id AS incident, d.channel_id AS channel, d.* FROM delivery d JOIN channel c ON c.org = d.org AND c.id = d.channel_id"  # noqa: S608  words of our own
    f" WHERE d.org = ? AND d.id >= ? AND d.kind = 'resolved' AND {_WORKS} AND {_LOST}"
)


@serves("deliveries", DeliveryStore)
class SqliteDeliveries(SqliteOutbox):
    def __init__(self, writer: Writer, reader: Reader, chain: Chain) -> None:
        super().__init__(writer, reader)
        self._chain = chain

    async def decide(self, decided: Decided) -> None:
        await self._writer.run(lambda tx: write_decisions(tx, decided))

    async def last_notified(self, org: int, rule: RuleId, node: NodeId | None, since: float) -> dict[ChannelId, float]:
        sql = (
            "SELECT delivery.channel_id AS channel, max(delivery.sent_at) AS sent_at FROM alert JOIN delivery"
            " ON delivery.org = alert.org AND delivery.incident_id = alert.incident"
            " WHERE alert.org = ? AND alert.rule = ? AND (alert.node_id = ? OR (alert.node_id IS NULL AND CAST(? AS TEXT) IS NULL)) AND delivery.state = 'sent' AND delivery.sent_at >= ?"
            " AND delivery.kind <> 'resolved'"
            " GROUP BY delivery.channel_id"
        )
        rows = await self._reader.run(lambda rows: rows.fetch_all(sql, org, rule, node, node, since))
        return {ChannelId(row["channel"]): row["sent_at"] for row in rows}

    @command
    def add_test(self, tx: Tx, scope: Scope, channel: ChannelId, delivery: DeliveryId) -> Delivery:
        if tx.fetch_one("SELECT 1 FROM channel WHERE org = ? AND id = ?", scope.org, channel) is None:
            raise NotFound("there is no such channel")
        if tx.fetch_one("SELECT 1 FROM delivery WHERE org = ? AND id = ?", scope.org, delivery) is not None:
            return _load(tx, scope, delivery)
        recent = "SELECT count(*) AS n FROM delivery WHERE org = ? AND channel_id = ? AND id > ? AND id < ? AND kind = 'test'"
        if tx.fetch_all(recent, scope.org, channel, first_id(tx.now - HOUR_S), first_id(tx.now + HOUR_S))[0]["n"] >= MOST_TESTS:
            raise TooManyRequests(f"this channel had {MOST_TESTS} tests in the last hour; try again later", retry_after_s=int(HOUR_S))
        add_deliveries(tx, [Delivery(delivery, scope.org, channel, "test", None, None, 0, "due", "ready", tx.now, None)])
        tx.execute("UPDATE channel SET probe_at = 0 WHERE org = ? AND id = ?", scope.org, channel)
        self._chain.write(tx, scope, "channel.test", channel, {"delivery": delivery})
        return _load(tx, scope, delivery)

    @command
    def retry(self, tx: Tx, scope: Scope, delivery: DeliveryId) -> Delivery:
        known = _load(tx, scope, delivery)
        if known.state not in ("failed", "due"):
            raise Conflict(f"only a failed or a waiting message can be tried again; this one is {known.state}")
        if known.state == "due" and known.next_at is not None and known.next_at <= tx.now:
            return known
        tx.execute(
            "UPDATE delivery SET state = 'due', reason = 'ready', next_at = ?, until_at = ? WHERE org = ? AND id = ?",
            *(tx.now, tx.now + give_up_s(critical=known.critical), scope.org, delivery),
        )
        tx.execute("UPDATE channel SET probe_at = 0 WHERE org = ? AND id = ?", scope.org, known.channel_id)
        self._chain.write(tx, scope, "delivery.retry", delivery, {"channel": known.channel_id, "was": known.state})
        return _load(tx, scope, delivery)

    async def delivery(self, scope: Scope, delivery: DeliveryId) -> Delivery:
        return await self._reader.run(lambda rows: _load(rows, scope, delivery))

    async def deliveries(self, scope: Scope, limit: int, cursor: str | None = None, only: DeliveryFilter | None = None) -> Page[Delivery]:
        size = check_limit(limit)
        wanted = only or DeliveryFilter()
        before = _LAST if cursor is None else str(read_cursor(cursor, "deliveries", scope.org, str)[0])
        where, values = _where(wanted)
        sql = f"SELECT * FROM delivery WHERE org = ? AND id < ?{where} ORDER BY id DESC LIMIT ?"  # noqa: S608  words of our own
        found = await self._reader.run(lambda rows: rows.fetch_all(sql, scope.org, before, *values, size + 1))
        more = make_cursor("deliveries", scope.org, found[size - 1]["id"]) if len(found) > size else None
        return Page([to_delivery(row) for row in found[:size]], more)

    async def history(self, org: int, incident: IncidentId) -> Sequence[Delivery]:
        found = await self._reader.run(
            lambda rows: rows.fetch_all("SELECT * FROM delivery WHERE org = ? AND incident_id = ? ORDER BY revision, id", org, incident)
        )
        return [to_delivery(row) for row in found]

    async def held(self, org: int, reason: str) -> Sequence[IncidentId]:
        sql = (
            "SELECT DISTINCT incident_id FROM delivery WHERE org = ? AND next_at IS NOT NULL AND state = 'deferred' AND reason = ?"
            " AND incident_id IS NOT NULL"
        )
        found = await self._reader.run(lambda rows: rows.fetch_all(sql, org, reason))
        return [IncidentId(row["incident_id"]) for row in found]

    async def missing(self, org: int, since: float, now: float) -> Sequence[Missing]:
        found = await self._reader.run(
            lambda rows: [*rows.fetch_all(_MISSING, org, now), *rows.fetch_all(_LOST_ENDS, org, first_id(since), now)]
        )
        return [
            Missing(IncidentId(row["incident"]), ChannelId(row["channel"]), None if row["id"] is None else to_delivery(row))
            for row in found
        ]

    async def attempts(self, scope: Scope, deliveries: Sequence[DeliveryId]) -> Mapping[DeliveryId, Sequence[Attempt]]:
        sql = "SELECT * FROM delivery_attempt WHERE org = ? AND delivery_id = ? ORDER BY number"
        found = await self._reader.run(lambda rows: {one: rows.fetch_all(sql, scope.org, one) for one in deliveries})
        return {one: [Attempt(row["number"], row["at"], row["ended_at"], row["code"]) for row in rows] for one, rows in found.items()}

    async def summary(self, scope: Scope, since: float, now: float) -> Summary:
        counts = await self._reader.run(
            lambda rows: rows.fetch_all(
                "SELECT state, reason, count(*) AS n FROM delivery WHERE org = ? AND id >= ? GROUP BY state, reason",
                scope.org,
                first_id(since),
            )
        )
        oldest = await self._reader.run(
            lambda rows: rows.fetch_all(
                "SELECT min(CASE attempts WHEN 0 THEN next_at ELSE (SELECT min(a.at) FROM delivery_attempt a WHERE a.org = d.org"
                " AND a.delivery_id = d.id) END) AS at FROM delivery d WHERE org = ? AND next_at IS NOT NULL"
                " AND (state = 'sending' OR state = 'due' AND (attempts > 0 OR next_at <= ?))",
                *(scope.org, now),
            )
        )
        return Summary({(row["state"], row["reason"]): row["n"] for row in counts}, oldest[0]["at"])

    async def event_to_send(self, org: int, event: EventId) -> tuple[Event, str] | None:
        sql = "SELECT e.*, n.name AS node_name FROM event e LEFT JOIN node n ON n.id = e.node_id WHERE e.org = ? AND e.id = ?"
        row = await self._reader.run(lambda rows: rows.fetch_one(sql, org, event))
        return None if row is None else (to_event(row), row["node_name"] or "")

    @command
    def expire_deliveries(self, tx: Tx, before: float) -> int:
        old = tx.fetch_all("SELECT org, id FROM delivery WHERE id < ? AND next_at IS NULL LIMIT ?", first_id(before), _EXPIRE_BATCH)
        for row in old:
            tx.execute("DELETE FROM delivery_attempt WHERE org = ? AND delivery_id = ?", row["org"], row["id"])
            tx.execute("DELETE FROM delivery WHERE org = ? AND id = ?", row["org"], row["id"])
        return len(old)


def _where(wanted: DeliveryFilter) -> tuple[str, list[Value]]:
    parts: list[tuple[str, Value]] = []
    if wanted.state:
        parts.append((" AND state = ?", wanted.state))
    if wanted.channel is not None:
        parts.append((" AND channel_id = ?", wanted.channel))
    if wanted.incident is not None:
        parts.append((" AND incident_id = ?", wanted.incident))
    if wanted.since:
        parts.append((" AND id >= ?", first_id(wanted.since)))
    return "".join(part for part, _ in parts), [value for _, value in parts]


def _load(rows: Rows, scope: Scope, delivery: DeliveryId) -> Delivery:
    """Read a delivery.

    Raises: NotFound.
    """
    row = rows.fetch_one("SELECT * FROM delivery WHERE org = ? AND id = ?", scope.org, delivery)
    if row is None:
        raise NotFound("there is no such delivery")
    return to_delivery(row)
