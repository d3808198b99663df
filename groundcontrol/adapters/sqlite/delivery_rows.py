"""Rows of deliveries, and the functions with which other stores write them in their own transactions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.tx import Row, Tx
from groundcontrol.alerts.interfaces import Decisions
from groundcontrol.notifications.model import Delivery
from groundcontrol.notifications.store import Decided

CRITICAL_GIVE_UP_S: Final = 24 * 3600.0
GIVE_UP_S: Final = 6 * 3600.0
"""How long the hub tries to send a message from its due time on; `CRITICAL_GIVE_UP_S` for a critical message."""
_INSERT: Final = (
    "INSERT INTO delivery (org, id, channel_id, kind, incident_id, event_id, revision, state, reason, at, next_at, until_at, attempts, sent_at, critical)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, ?) ON CONFLICT DO NOTHING"
)
_OPEN: Final = ("due", "deferred")


def add_deliveries(tx: Tx, rows: Iterable[Delivery]) -> int:
    """Store deliveries in the transaction of their cause. A second row with the same incident, revision, kind and channel is left out.

    Args:    rows: a `due` or `deferred` delivery is sent from `next_at` on (None: from `at`); a `skipped` or `failed` one is final.
    Returns: the number of new rows.
    """
    count = 0
    for row in rows:
        due_at = None if row.state not in _OPEN else row.at if row.next_at is None else row.next_at
        until_at = (row.at if due_at is None else due_at) + give_up_s(critical=row.critical)
        count += tx.execute(
            _INSERT,
            *(row.org, row.id, row.channel_id, row.kind, row.incident_id, row.event_id, row.revision, row.state, row.reason, row.at),
            *(due_at, until_at, row.critical),
        )
    return count


def write_decisions(tx: Tx, decisions: Decisions) -> None:
    """Store the decisions of `Intents` in the transaction of their cause."""
    if not isinstance(decisions, Decided):
        raise TypeError(f"no decisions about deliveries: {type(decisions).__name__}")
    add_deliveries(tx, decisions.new)
    for row in decisions.sooner:
        tx.execute(
            "UPDATE delivery SET next_at = ?, reason = ? WHERE org = ? AND id = ? AND state = 'deferred' AND next_at > ?",
            *(row.next_at, row.reason, row.org, row.id, row.next_at),
        )
    for row in decisions.again:
        due_at = row.next_at if row.state in _OPEN else None
        tx.execute(
            "UPDATE delivery SET state = ?, reason = ?, next_at = ?, until_at = ?, critical = ? WHERE org = ? AND id = ?"
            " AND state IN ('failed', 'skipped')",
            *(row.state, row.reason, due_at, (due_at or tx.now) + give_up_s(critical=row.critical), row.critical, row.org, row.id),
        )


def give_up_s(*, critical: bool) -> float:
    """How long the hub tries to send a message, in seconds."""
    return CRITICAL_GIVE_UP_S if critical else GIVE_UP_S


DELIVERIES: Final = Columns(Delivery, "delivery")


def to_delivery(row: Row) -> Delivery:
    return DELIVERIES.read(row, lease_until=row["next_at"] if row["state"] == "sending" else None)
