"""The store of events and refusals. It also reads the audit log, and writes rows about refusals and the clock into it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain, chain_heads, last_at, listed, mark_clock, plain, to_audit_row, verify
from groundcontrol.adapters.sqlite.audit_archive import next_portion, pack
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.connection import FOLD
from groundcontrol.adapters.sqlite.engine.json_codec import digest, object_or_damage, to_json
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import BEHIND_ALL, check_limit, first_id, make_cursor, old_rows_sql, place, read_cursor
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx, Value
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.rights import grant_values, of_granted
from groundcontrol.core.audit import AuditHead, AuditRow
from groundcontrol.core.bus import EventStored
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import DEFAULT_ORG, SYSTEM, Scope
from groundcontrol.core.text import fold
from groundcontrol.events.catalogue import KEEP_S, MOST_SPAN_S, WINDOW_S, group_of
from groundcontrol.events.making import AHEAD_S, new_event, same_as
from groundcontrol.events.model import Event, EventFilter, Refusal, Severity, Summary
from groundcontrol.events.store import LogStore
from spider.clock import Clock

_EVENT: Final = "SELECT * FROM event "
_EXPIRE_BATCH: Final = 100
"""The most rows that one transaction deletes, so that other writes do not wait: 500 rows took up to 93 ms."""
MOST_EVENTS: Final = 2_000_000
MOST_A_MINUTE: Final = 60
"""The most events that one sender (a node, a user or a token) may report about one node in a minute. The hub's own events have no limit."""
MOST_OF_NODE_A_MINUTE: Final = 120
"""The most events that the hub makes about one node in a minute, because of what the node says: of the groups `_FROM_NODE`."""
MOST_OF_NODE: Final = 50_000
"""The most stored events of one node. Beyond it the node's own oldest events are removed."""
_FROM_NODE: Final = frozenset({"node", "host", "packages", "alert"})
KEEP_REPORTED_S: Final = 30 * 86_400.0
"""How long the hub stores the ids that senders gave their events."""
_HOUR_S: Final = 3600.0
_DAY_HOURS: Final = 24
_REFUSAL_BATCH: Final = 1000
MOST_REFUSALS: Final = 100_000
"""The most stored refusals, so that a client cannot fill the disk. The oldest are removed first."""


@serves("log", LogStore)
class SqliteLog(ControlStore):
    _most_refusals = MOST_REFUSALS
    _most_events = MOST_EVENTS
    _most_of_node = MOST_OF_NODE

    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock, audit_keys: Sequence[bytes]) -> None:
        """`audit_keys`: the current key, then the earlier ones."""
        super().__init__(writer, reader, chain, clock)
        self._audit_keys = audit_keys

    async def add_event(self, event: Event) -> EventId | None:
        return await self._writer.run(lambda tx: record_event(tx, event))

    async def find_event(self, scope: Scope, event: EventId) -> Event | None:
        granted, values = _granted(scope)
        row = await self._reader.run(lambda rows: rows.fetch_one(_EVENT + "WHERE org = ? AND id = ?" + granted, scope.org, event, *values))
        return None if row is None else to_event(row)

    async def count_events(self, scope: Scope, now: float, node: NodeId | None = None) -> Summary:
        first = int(now / _HOUR_S) - _DAY_HOURS + 1
        where = "WHERE org = ? AND hour >= ?" + ("" if node is None else " AND node_id = ?")
        granted, values = ("", []) if not scope.grants else (" AND " + of_granted(scope, "event_hour.node_id"), grant_values(scope))
        sql = f"SELECT severity, sum(count) AS count FROM event_hour {where}{granted} GROUP BY severity"  # noqa: S608 - built from constants only
        found = await self._reader.run(lambda rows: rows.fetch_all(sql, scope.org, first, *([] if node is None else [node]), *values))
        counts = {row["severity"]: row["count"] for row in found}
        return Summary(first * _HOUR_S, *(counts.get(severity, 0) for severity in KEEP_S))

    @query
    def events(
        self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: EventFilter | None = None
    ) -> Page[Event]:
        at = place(f"events:{node or ''}" + ("" if only is None else f":{digest(only).hex()}"), scope.org, limit, cursor)
        chosen, wanted = _chosen(only)
        granted, values = _granted(scope)
        of, named = ("", ()) if node is None else (" AND node_id = ?", (node,))
        where = f"WHERE org = ?{of} AND no < ?{chosen}{granted} ORDER BY no DESC LIMIT ?"
        return at.page(rows.fetch_all(_EVENT + where, scope.org, *named, at.start, *wanted, *values, at.most), to_event)

    @query
    def events_of(
        self,
        rows: Rows,
        scope: Scope,
        nodes: Collection[NodeId],
        span: tuple[float, float],
        limit: int,
        *,
        without: Collection[str],
        fleet: bool,
        types: Collection[str] = (),
    ) -> Sequence[Event]:
        granted, values = _granted(scope)
        chosen = " AND type IN (SELECT value FROM json_each(?))" if types else ""
        # The time of an event may be up to `AHEAD_S` later than the time of its storage, because its sender's clock may be ahead. So rows up
        # to the last one stored more than `AHEAD_S` before the span began cannot hold an event of the span, and are skipped. Without the plus,
        # SQLite would read the events of all nodes in their order.
        sql = (
            "SELECT * FROM event WHERE org = ? AND {}"  # noqa: S608 - built from constants only
            " AND no > coalesce((SELECT no FROM event WHERE org = ? AND id < ? ORDER BY id DESC LIMIT 1), 0) AND at >= ? AND at <= ?"
            " AND type NOT IN (SELECT value FROM json_each(?))" + chosen + granted + " ORDER BY +no DESC LIMIT ?"
        )
        rest = (
            scope.org,
            first_id(span[0] - AHEAD_S),
            *span,
            to_json(sorted(without)),
            *([to_json(sorted(types))] if types else []),
            *values,
            check_limit(limit),
        )
        of_nodes = sql.format("node_id IN (SELECT value FROM json_each(?))")
        found = rows.fetch_all(of_nodes, scope.org, to_json(sorted(nodes)), *rest) if nodes else []
        of_fleet = rows.fetch_all(sql.format("node_id IS NULL"), scope.org, *rest) if fleet else []
        return [to_event(row) for row in sorted([*found, *of_fleet], key=lambda row: int(row["no"]), reverse=True)[:limit]]

    async def expire_events(self, now: float) -> int:
        removed = sum([await self._writer.run(partial(_expire_severity, severity, now - keep_s)) for severity, keep_s in KEEP_S.items()])
        if removed == 0 and (found := await self._reader.run(self._find_excess)) is not None:
            removed = await self._writer.run(partial(_expire_oldest, *found))
        if removed == 0:
            await self._writer.run(partial(_expire_bookkeeping, now))
        return removed

    def _find_excess(self, rows: Rows) -> tuple[int, str | None, int] | None:
        """The node with the most events, if it has more than `MOST_OF_NODE`, or if all nodes together have too many. Its own oldest go first.

        Counting is slow, so it is skipped if the highest row number minus the lowest already shows that there are few.
        Returns: organisation, node (None: events of no node), and how many to remove; None: there are not too many.
        """
        span = rows.fetch_all("SELECT coalesce(max(no) - min(no) + 1, 0) AS span FROM event")[0]["span"]
        if span <= min(self._most_of_node, self._most_events):
            return None
        counts = rows.fetch_all("SELECT org, node_id, count(*) AS n FROM event GROUP BY org, node_id ORDER BY n DESC")
        most, total = counts[0], sum(row["n"] for row in counts)
        excess = max(most["n"] - self._most_of_node, total - self._most_events)
        return None if excess <= 0 else (most["org"], most["node_id"], min(excess, _EXPIRE_BATCH))

    @command
    def save_refusals(self, tx: Tx, refusals: Sequence[Refusal]) -> None:
        newest = tx.fetch_all("SELECT max(rowid) AS newest FROM audit")[0]["newest"] or 0
        for one in refusals:
            tx.execute(
                "INSERT INTO refusal (org, id, after_audit, at, last_at, count, summed, actor_id, actor, address, node_id, action, why, target)"
                " VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (org, id) DO UPDATE SET"
                " count = CASE WHEN refusal.count > excluded.count THEN refusal.count ELSE excluded.count END,"
                " last_at = CASE WHEN refusal.last_at > excluded.last_at THEN refusal.last_at ELSE excluded.last_at END",
                *(DEFAULT_ORG, one.id, newest, one.at, one.last_at, one.times),
                *(plain(one.actor.id), plain(one.actor.name), plain(one.actor.address)),
                one.actor.id if one.actor.kind == "node" and one.actor.id else None,
                *(one.action, plain(one.why), plain(one.target)),
            )
        tx.execute("DELETE FROM refusal WHERE no <= (SELECT max(no) FROM refusal) - ?", self._most_refusals)

    @command
    def write_refusal_summary(self, tx: Tx) -> None:
        new = "FROM refusal WHERE count > summed"
        kinds = tx.fetch_all(f"SELECT action, sum(count - summed) AS count, min(at) AS first, max(last_at) AS last {new} GROUP BY action")
        if not kinds:
            return
        detail: dict[str, object] = {row["action"]: row["count"] for row in kinds}
        detail |= {"since_at": min(row["first"] for row in kinds), "until_at": max(row["last"] for row in kinds)}
        self._chain.write(tx, SYSTEM, "refusal.summary", "hub", detail)
        tx.execute("UPDATE refusal SET summed = count WHERE count > summed")

    async def expire_refusals(self, before: float) -> int:
        sql = f"DELETE FROM refusal WHERE no IN ({old_rows_sql('refusal')} LIMIT ?)"  # noqa: S608 - built from constants only
        return await self._writer.run(lambda tx: tx.execute(sql, first_id(before), _REFUSAL_BATCH))

    async def audit(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[AuditRow]:
        size = check_limit(limit)
        position, no = (BEHIND_ALL, 0) if cursor is None else map(int, read_cursor(cursor, "audit", scope.org, int, int))
        found = await self._reader.run(lambda rows: listed(rows, size + 1, (position, no), scope.org))
        items = [to_audit_row(row) for row in found[:size]]
        more = make_cursor("audit", scope.org, found[size - 1]["place"], found[size - 1]["no"]) if len(found) > size else None
        return Page(items, more)

    async def last_audit_at(self) -> float | None:
        return await self._reader.run(last_at)

    @command
    def accept_clock(self, tx: Tx, scope: Scope, behind_s: float) -> None:
        self._chain.write(tx, scope, "clock.accept", "hub", {"behind_s": round(behind_s)})
        mark_clock(tx)

    async def verify_audit(self) -> str | None:
        return await self._reader.run(lambda rows: verify(rows, self._audit_keys))

    async def archive_audit(self, before: float, most_rows: int) -> int:
        portion = await self._reader.run(lambda rows: next_portion(rows, before, most_rows))
        return 0 if portion is None else await self._writer.run(lambda tx: pack(tx, portion))

    async def audit_heads(self) -> Sequence[AuditHead]:
        return await self._reader.run(chain_heads)


def record_event(tx: Tx, event: Event) -> EventId | None:
    """Store an event in the transaction of its cause, and publish it after the commit.

    An equal event that follows within `window_s` is only counted, in the row of the first. An event that its sender repeats (with the same
    `reported_as`) is stored once.
    Returns: the id of the event's row; None: it is not stored, since its sender reports too many events.
    """
    event = event._replace(received_at=event.received_at or tx.now, last_at=event.last_at or event.at)
    if event.reported_as:
        known = tx.fetch_one("SELECT id FROM event_reported WHERE org = ? AND reported_as = ?", event.org, event.reported_as)
        if known is not None:
            return EventId(known["id"])
        if not _count_in_rate(tx, event, event.reported_as.rpartition("/")[0], MOST_A_MINUTE):
            return None
    elif group_of(event.type) in _FROM_NODE and event.node_id is not None:
        sender = event.node_id
        if not _count_in_rate(tx, event, sender, MOST_OF_NODE_A_MINUTE, "hub:"):
            return None
    stored = _count_again(tx, event) or _insert(tx, event)
    if event.reported_as:
        tx.execute("INSERT INTO event_reported VALUES (?, ?, ?, ?)", event.org, event.reported_as, stored.id, event.received_at)
    tx.publish(EventStored(stored.id, stored.org, stored.type, stored.node_id, stored.object, event.at, stored.times, stored.severity))
    return stored.id


def correct_event_times(tx: Tx, ahead_s: float) -> None:
    """Give the present time to events that the hub stored by a clock that was ahead of the present one, and count them in this hour.

    For how long the hub was away before such a start is not known, so the event about it is deleted.
    Args: ahead_s: how far ahead is no fault.
    """
    severities, now, limit = to_json(sorted(KEEP_S)), tx.now, tx.now + ahead_s
    of_severities = "severity IN (SELECT value FROM json_each(?)) AND received_at > ?"
    tx.execute(f"DELETE FROM event WHERE {of_severities} AND type = 'hub_was_away'", severities, limit)  # noqa: S608 - a constant
    tx.execute(
        "UPDATE event SET received_at = ?, at = CASE WHEN at > ? THEN ? ELSE at END, last_at = CASE WHEN last_at > ? THEN ? ELSE last_at END"  # noqa: S608 - a constant
        f" WHERE {of_severities}",
        *(now, now, now, now, now, severities, limit),
    )
    tx.execute(
        "INSERT INTO event_hour SELECT org, ?, node_id, severity, sum(count) FROM event_hour WHERE hour > ? GROUP BY org, node_id, severity"
        " ON CONFLICT (org, hour, node_id, severity) DO UPDATE SET count = event_hour.count + excluded.count",
        *(int(now / _HOUR_S), int(limit / _HOUR_S)),
    )
    tx.execute("DELETE FROM event_hour WHERE hour > ?", int(limit / _HOUR_S))


def _count_in_rate(tx: Tx, event: Event, sender: str, most: int, of: str = "") -> bool:
    """Count an event of a sender. Returns whether it is within the limit; if not, the event `events_throttled` is recorded."""
    minute = int(event.received_at / 60)
    budget = f"{of}{sender}/{event.node_id or ''}"  # a sender that reports about many nodes, such as a backup server, has a budget for each
    count = tx.fetch_all(
        "INSERT INTO event_rate VALUES (?, ?, ?, 1) ON CONFLICT (org, sender) DO UPDATE SET minute = excluded.minute,"
        " count = CASE WHEN event_rate.minute = excluded.minute THEN event_rate.count + 1 ELSE 1 END RETURNING count",
        *(event.org, budget, minute),
    )[0]["count"]
    if count <= most:
        return True
    node = event.node_id if event.node_id == sender else None  # blame the node only if it reported about itself
    found = tx.fetch_one("SELECT name FROM node WHERE id = ?", node)
    name = "a program" if found is None else found["name"]
    record_event(tx, new_event("events_throttled", event.received_at, {"limit": most}, node=node, name=name, org=event.org))
    return False


def _count_again(tx: Tx, event: Event) -> Event | None:
    """Count an event in the row of an equal event, and return the event of that row; None: there is none within the window."""
    if not event.window_s:
        return None
    key = (event.org, event.node_id or "", event.type, same_as(event))
    recent = tx.fetch_one("SELECT id, last_at FROM event_recent WHERE org = ? AND node_id = ? AND type = ? AND same_as = ?", *key)
    first = None
    if recent is not None and abs(event.received_at - recent["last_at"]) < event.window_s:
        # Compare the times of the events too: late events arrive together, and one row must not hide a gap between them.
        near = " AND ? BETWEEN at - ? AND last_at + ? AND at >= ?"
        reach = (event.at, event.window_s, event.window_s, event.at - MOST_SPAN_S)
        first = tx.fetch_one(_EVENT + "WHERE org = ? AND id = ?" + near, event.org, recent["id"], *reach)
    tx.execute(
        "INSERT INTO event_recent VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (org, node_id, type, same_as) DO UPDATE SET id = excluded.id, last_at = excluded.last_at",
        *(*key, event.id if first is None else first["id"], event.received_at),
    )
    if first is None:
        return None
    if first["id"] == event.id:  # a repeated command: the event is stored already, and is not counted a second time
        return to_event(first)
    tx.execute(
        "UPDATE event SET count = count + 1, last_at = CASE WHEN last_at > ? THEN last_at ELSE ? END WHERE no = ?",
        event.last_at,
        event.last_at,
        first["no"],
    )
    return to_event(tx.fetch_all(_EVENT + "WHERE no = ?", first["no"])[0])


def _insert(tx: Tx, event: Event) -> Event:
    new = tx.execute(EVENTS.insertion() + " ON CONFLICT (org, id) DO NOTHING", *EVENTS.values(event))
    if new:
        tx.execute(
            "INSERT INTO event_hour VALUES (?, ?, ?, ?, 1) ON CONFLICT (org, hour, node_id, severity) DO UPDATE SET count = event_hour.count + 1",
            *(event.org, int(event.received_at / _HOUR_S), event.node_id or "", event.severity),
        )
    return event


def _expire_severity(severity: Severity, before: float, tx: Tx) -> int:
    return tx.execute(
        "DELETE FROM event WHERE no IN (SELECT no FROM event WHERE severity = ? AND received_at < ? ORDER BY received_at LIMIT ?)",
        *(severity, before, _EXPIRE_BATCH),
    )


def _expire_oldest(org: int, node: str | None, most: int, tx: Tx) -> int:
    """Delete the oldest events of one node; None: those of no node."""
    of = "node_id IS NULL" if node is None else "node_id = ?"
    chosen = [org] if node is None else [org, node]
    return tx.execute(f"DELETE FROM event WHERE no IN (SELECT no FROM event WHERE org = ? AND {of} ORDER BY no LIMIT ?)", *chosen, most)  # noqa: S608  one of the two above


def _expire_bookkeeping(now: float, tx: Tx) -> None:
    """Delete old rows of the tables by which repeated events are recognised and events are counted."""
    tx.execute("DELETE FROM event_recent WHERE last_at < ?", now - WINDOW_S)
    tx.execute("DELETE FROM event_rate WHERE minute < ?", int(now / 60) - 1)
    tx.execute("DELETE FROM event_hour WHERE hour < ?", int(now / _HOUR_S) - 2 * _DAY_HOURS)
    tx.execute(
        "DELETE FROM event_reported WHERE (org, reported_as) IN"
        " (SELECT org, reported_as FROM event_reported WHERE received_at < ? ORDER BY received_at LIMIT 1000)",
        now - KEEP_REPORTED_S,
    )


def _granted(scope: Scope) -> tuple[str, list[Value]]:
    """The condition for events that a caller may see, and its values. With grants, these are the events of granted nodes."""
    if not scope.grants:
        return "", []
    return " AND " + of_granted(scope, "event.node_id"), grant_values(scope)


def _chosen(only: EventFilter | None) -> tuple[str, list[Value]]:
    if only is None:
        return "", []
    chosen = (
        " AND (? = '[]' OR severity IN (SELECT value FROM json_each(?))) AND (? = '[]' OR type IN (SELECT value FROM json_each(?)))"
        " AND last_at >= ? AND (? = 0 OR at < ?)"
    )
    values: list[Value] = [*([to_json(only.severities)] * 2), *([to_json(only.types)] * 2), only.from_at, *([only.to_at] * 2)]
    if only.search:
        chosen += f" AND instr({FOLD}(message), ?) > 0"
        values.append(fold(only.search))
    return chosen, values


EVENTS: Final = Columns(Event, "event", {"times": "count"}, apart=("window_s", "reported_as"), node="coalesce(node_id, '')")


def to_event(row: Row) -> Event:
    return EVENTS.read(row, details=object_or_damage(row["details"]))
