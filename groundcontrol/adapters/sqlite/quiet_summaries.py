"""Messages that quiet hours or the limit of a channel hold back, and the digest that replaces them.

The messages of a digest stay `deferred` with the reason `SUMMARY` and without a due time, until the digest has ended.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from groundcontrol.adapters.sqlite.delivery_rows import GIVE_UP_S, add_deliveries, to_delivery
from groundcontrol.adapters.sqlite.engine.pagination import first_id
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx, Value
from groundcontrol.alerts.model import IncidentId
from groundcontrol.notifications.deciding import quiet_until
from groundcontrol.notifications.model import Channel, ChannelId, Delivery, DeliveryId, is_summary
from groundcontrol.notifications.store import SUMMARY
from spider.wire.ids import new_time_id

_OLDEST_S: Final = 4 * 86_400.0
"""The greatest age of a message in a summary. Quiet hours hold a message for less than a day, and the hub tries a summary for a day."""
_KEEPS_INCIDENTS: Final = ("pagerduty",)
"""Kinds of channels whose receiver needs a separate message for the start and the end of each incident."""
_HELD: Final = "org = ? AND channel_id = ? AND state = 'deferred' AND reason IN ('quiet_hours', 'cap') AND next_at <= ? AND incident_id IS NOT NULL AND attempts = 0"
_SEND_END: Final = (
    "UPDATE delivery SET state = 'due', reason = 'ready', next_at = ? WHERE org = ? AND incident_id = ? AND channel_id = ?"
    " AND kind = 'resolved' AND state = 'skipped' AND reason = 'never_told_firing'"
)
_PARTS: Final = f"org = ? AND channel_id = ? AND id >= ? AND state = 'deferred' AND reason = '{SUMMARY}'"


def sum_up(tx: Tx, channel: Row, row: Row) -> bool:
    """Make a digest if quiet hours or the limit of the channel held this message and others until now.

    Returns: whether the message is part of a summary.
    """
    if row["reason"] not in ("quiet_hours", "cap") or channel["kind"] in _KEEPS_INCIDENTS:
        return False
    held = (row["org"], row["channel_id"], tx.now)
    [found] = tx.fetch_all(f"SELECT count(*) AS n, max(critical) AS critical FROM delivery WHERE {_HELD}", *held)  # noqa: S608 - built from constants only
    if found["n"] < 2:
        return False
    tx.execute(f"UPDATE delivery SET reason = '{SUMMARY}', next_at = NULL WHERE {_HELD}", *held)  # noqa: S608 - built from constants only
    summary = Delivery(
        DeliveryId(new_time_id(tx.now)), row["org"], ChannelId(row["channel_id"]), "digest", None, None, 0, "due", "ready", tx.now, tx.now,
        critical=bool(found["critical"]),
    )  # fmt: skip
    add_deliveries(tx, [summary])
    return True


def reschedule(tx: Tx, channel: Channel) -> None:
    """Give the messages that quiet hours hold new due times, after the quiet hours of a channel were changed."""
    hours = channel.quiet_hours
    ends_at = (None if hours is None else quiet_until(hours, tx.now)) or tx.now
    critical_at = ends_at if hours is not None and hours.critical_too else tx.now
    tx.execute(
        "UPDATE delivery SET next_at = CASE WHEN critical = 1 THEN CAST(?1 AS DOUBLE PRECISION) ELSE ?2 END, until_at = CASE WHEN until_at > ?3 THEN until_at ELSE ?3 END"
        " WHERE org = ?4 AND channel_id = ?5 AND state = 'deferred' AND reason = 'quiet_hours' AND next_at IS NOT NULL",
        *(critical_at, ends_at, ends_at + GIVE_UP_S, channel.org, channel.id),
    )


def parts_of(rows: Rows, summary: Delivery) -> list[Delivery]:
    """The messages of a summary, oldest first. Any other delivery has none."""
    if not is_summary(summary):
        return []
    return [to_delivery(row) for row in rows.fetch_all(f"SELECT * FROM delivery WHERE {_PARTS} ORDER BY id", *_place(summary))]  # noqa: S608 - built from constants only


def deliver_parts(tx: Tx, summary: Delivery, named: Collection[IncidentId]) -> None:
    """Settle the messages of a summary that was sent.

    A message counts as sent if it is about an end, or if the summary names its incident (`named`). Another message is skipped if its
    incident has ended; else it becomes due.
    """
    for part in parts_of(tx, summary):
        incident = tx.fetch_one("SELECT state FROM incident WHERE org = ? AND id = ?", part.org, part.incident_id)
        is_over = incident is None or incident["state"] == "resolved"
        if part.incident_id in named or part.kind == "resolved":
            values: tuple[Value, ...] = ("sent", SUMMARY, None, tx.now)
        elif is_over:
            values = ("skipped", SUMMARY, None, None)
        else:
            values = ("due", "ready", tx.now, None)
        tx.execute(
            "UPDATE delivery SET state = ?, reason = ?, next_at = ?, sent_at = ? WHERE org = ? AND id = ?", *values, part.org, part.id
        )
        if part.incident_id in named and is_over:  # it ended while the summary was being sent, and its end was skipped then
            tx.execute(_SEND_END, tx.now, part.org, part.incident_id, part.channel_id)


def end_parts(tx: Tx, summary: Delivery, state: str, reason: str) -> None:
    """Give this state and reason to the messages of a summary that will not be sent."""
    if is_summary(summary):
        tx.execute(f"UPDATE delivery SET state = ?, reason = ? WHERE {_PARTS}", state, reason, *_place(summary))  # noqa: S608 - built from constants only


def release_parts(tx: Tx, summary: Delivery) -> None:
    """Make the messages of a summary due, each by itself. The summary was not sent."""
    if is_summary(summary):
        tx.execute(f"UPDATE delivery SET state = 'due', reason = 'ready', next_at = ? WHERE {_PARTS}", tx.now, *_place(summary))  # noqa: S608 - built from constants only


def _place(summary: Delivery) -> tuple[Value, ...]:
    return summary.org, summary.channel_id, first_id(summary.at - _OLDEST_S)
