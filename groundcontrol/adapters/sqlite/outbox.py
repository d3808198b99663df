"""Sending of deliveries (one message for one channel). A sender claims due deliveries and returns the result of each.

The results also decide the state of the channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from groundcontrol.adapters.sqlite.channels import FORM
from groundcontrol.adapters.sqlite.delivery_rows import add_deliveries, give_up_s, to_delivery
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.pagination import first_id
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.events import correct_event_times, record_event
from groundcontrol.adapters.sqlite.quiet_summaries import deliver_parts, end_parts, parts_of, release_parts, sum_up
from groundcontrol.adapters.sqlite.silence import correct_absences
from groundcontrol.alerts.model import Incident
from groundcontrol.core.ids import EventId
from groundcontrol.events.making import new_event
from groundcontrol.notifications.deciding import UPDATE_EVERY_S, Usage
from groundcontrol.notifications.model import EXPIRED, Channel, ChannelId, Delivery, DeliveryId
from groundcontrol.notifications.retry_delays import LONGEST_RETRY_AFTER_S, channel_pause_s, refused_pause_s
from groundcontrol.notifications.store import SUMMARY, Claim, Delivered, Failed, NotSent, Result, Retry
from spider.wire.ids import new_time_id

LEASE_S: Final = 60.0
"""A claimed delivery without a result after this time may be claimed again, and is then sent again with the same id."""
MOST_OF_CHANNEL: Final = 2
"""The most concurrent claims of a channel."""
HOUR_S: Final = 3600.0
_MOST_HANDLED: Final = 100
"""The most deliveries of a channel that one round handles. The round claims few of them, and may end the others without sending."""
AHEAD_S: Final = 60.0
"""A time of the past may be this far in the future, if the clock was corrected meanwhile."""
_FURTHEST: Final[tuple[tuple[str, tuple[str, ...], float], ...]] = (
    ("sending", (), LEASE_S),
    ("due", (), LONGEST_RETRY_AFTER_S),
    ("deferred", ("settling", "grouping", "update_interval"), UPDATE_EVERY_S),
    ("deferred", ("cool_down", "cap", "channel_retry"), LONGEST_RETRY_AFTER_S),
    ("deferred", ("quiet_hours",), 25 * HOUR_S),
)
"""State and reasons of a waiting message (empty: all) -> how many seconds it waits at most. What a person set may be later: a snooze, a
maintenance window."""
_CHANNELS: Final = (
    "SELECT c.*, min(d.next_at) AS due_at,"
    " (SELECT count(*) FROM delivery s WHERE s.org = c.org AND s.channel_id = c.id AND s.next_at > ?1 AND s.state = 'sending') AS under_way"
    " FROM channel c JOIN delivery d ON d.org = c.org AND d.channel_id = c.id AND d.next_at <= ?1"
    " GROUP BY c.org, c.id ORDER BY due_at"
)
_USAGE: Final = (
    "SELECT d.sent_at, d.critical, d.kind, coalesce(i.grouped, '') AS grouped FROM delivery d LEFT JOIN incident i ON i.org = d.org"  # noqa: S608 - built from constants only
    f" AND i.id = d.incident_id WHERE d.org = ? AND d.channel_id = ? AND d.reason <> '{SUMMARY}' AND "
)
_SENT_NOW: Final = _USAGE + "d.sent_at > ? AND d.sent_at <= ?"
_UNDER_WAY: Final = _USAGE + "d.next_at > ? AND d.state = 'sending' AND d.id < ?"
_DUE: Final = (
    "SELECT min(CASE WHEN c.probe_at > d.at THEN c.probe_at ELSE d.at END) AS at"
    " FROM (SELECT org, channel_id, min(next_at) AS at FROM delivery WHERE next_at IS NOT NULL GROUP BY org, channel_id) d"
    " LEFT JOIN channel c ON c.org = d.org AND c.id = d.channel_id"
)
_NEXT: Final = (
    "SELECT d.* FROM delivery d WHERE d.org = ? AND d.channel_id = ? AND d.next_at <= ? AND (d.incident_id IS NULL OR NOT EXISTS ("
    "SELECT 1 FROM delivery e WHERE e.org = d.org AND e.incident_id = d.incident_id AND e.channel_id = d.channel_id"
    " AND e.next_at IS NOT NULL AND (e.next_at <= d.next_at OR e.attempts > 0) AND (e.revision, e.id) < (d.revision, d.id)))"
    " ORDER BY d.critical DESC, d.next_at, d.id LIMIT 1"
)
"""The next message of a channel. A message waits for an earlier message about the same incident that is due, being sent, or tried again. It
does not wait for a message that is held until later."""
_ORPHANS: Final = (
    "UPDATE delivery SET state = 'skipped', reason = 'channel_disabled', next_at = NULL WHERE next_at <= ?"
    " AND NOT EXISTS (SELECT 1 FROM channel c WHERE c.org = delivery.org AND c.id = delivery.channel_id)"
)
_OF_SUSPENDED: Final = (
    "UPDATE delivery SET state = 'skipped', reason = 'suspended', next_at = NULL WHERE next_at IS NOT NULL"
    " AND state <> 'sending' AND EXISTS (SELECT 1 FROM organisation WHERE organisation.no = delivery.org AND organisation.state = 'suspended')"
)
"""Nobody is told anything of a suspended organisation, also not when it is resumed."""
_LAST_ID: Final = "~"
"""A text that sorts after every id."""
_END_OF_REST: Final = (
    "UPDATE delivery SET next_at = ? WHERE org = ? AND channel_id = ? AND state = 'deferred' AND reason = 'channel_retry' AND next_at > ?"
    " AND EXISTS (SELECT 1 FROM channel c WHERE c.org = delivery.org AND c.id = delivery.channel_id AND c.probe_at = 0)"
)
"""Makes messages due that waited for the rest of a channel to end. A user may have ended it."""
BREAKS_AFTER: Final = 3
"""A channel is broken after so many different messages were refused in a row."""
REFUSED_WITHIN_S: Final = 86_400.0
WRONG_TARGET: Final = frozenset({"http:410", "no_target", "target_unreadable", "url"})
"""Codes of refusals that a later message cannot avoid."""
_REFUSED: Final = (
    "SELECT count(*) AS n FROM delivery d WHERE d.org = ? AND d.channel_id = ? AND d.id >= ? AND d.state = 'failed'"
    " AND (SELECT max(a.at) FROM delivery_attempt a WHERE a.org = d.org AND a.delivery_id = d.id)"
    " >= coalesce((SELECT max(s.sent_at) FROM delivery s WHERE s.org = ? AND s.channel_id = ?), 0)"
)
"""Counts the failed messages since the last one that was sent."""
_END: Final = "UPDATE delivery SET state = ?, reason = ?, next_at = NULL WHERE org = ? AND id = ?"


class SqliteOutbox:
    """Claims of deliveries, and their results."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def next_due(self) -> float | None:
        found = await self._reader.run(lambda rows: rows.fetch_all(_DUE))
        return None if found[0]["at"] is None else float(found[0]["at"])

    async def claim(self, most: int) -> Sequence[Claim]:
        return await self._writer.run(lambda tx: _Claims(tx, most).take())

    @command
    def correct_times(self, tx: Tx) -> None:
        for channel in tx.fetch_all("SELECT org, id FROM channel"):
            place = (channel["org"], channel["id"])
            for state, reasons, most_s in _FURTHEST:
                tx.execute(
                    "UPDATE delivery SET next_at = ? WHERE org = ? AND channel_id = ? AND next_at > ? AND state = ?"  # noqa: S608 - constants
                    + (f" AND reason IN ({', '.join('?' * len(reasons))})" if reasons else ""),
                    *(tx.now, *place, tx.now + most_s, state, *reasons),
                )
            tx.execute(_END_OF_REST, tx.now, *place, tx.now)
            tx.execute("UPDATE delivery SET sent_at = ? WHERE org = ? AND channel_id = ? AND sent_at > ?", tx.now, *place, tx.now + AHEAD_S)
        tx.execute("UPDATE channel SET probe_at = 0 WHERE probe_at > ?", tx.now + LONGEST_RETRY_AFTER_S)
        correct_event_times(tx, AHEAD_S)
        correct_absences(tx, AHEAD_S)

    async def parts(self, summary: Delivery) -> Sequence[Delivery]:
        return await self._reader.run(lambda rows: parts_of(rows, summary))

    async def usage(
        self, channels: Sequence[Channel], incident: Incident, now: float, before: DeliveryId | None = None
    ) -> Mapping[ChannelId, Usage]:
        def read(rows: Rows, channel: Channel) -> Usage:
            place = (channel.org, channel.id)
            sent = rows.fetch_all(_SENT_NOW, *place, now - HOUR_S, now)
            sent += rows.fetch_all(_UNDER_WAY, *place, now, before or _LAST_ID)
            own = [row for row in sent if row["grouped"] == incident.group]
            return Usage(
                len(sent),
                len(own),
                sum(1 for row in own if row["critical"] and row["kind"] != "resolved"),
                min((row["sent_at"] or now for row in sent), default=now),
                min((row["sent_at"] or now for row in own), default=now),
            )

        return await self._reader.run(lambda rows: {channel.id: read(rows, channel) for channel in channels})

    async def extend(self, claim: Claim) -> bool:
        held = claim.delivery
        return bool(
            await self._writer.run(
                lambda tx: tx.execute(
                    "UPDATE delivery SET next_at = ? WHERE org = ? AND id = ? AND state = 'sending' AND attempts = ?",
                    *(tx.now + LEASE_S, held.org, held.id, held.attempts),
                )
            )
        )

    async def present_channel(self, org: int, channel: ChannelId) -> Channel | None:
        sql = (
            "SELECT c.* FROM channel c JOIN organisation ON organisation.no = c.org AND organisation.state = 'active'"
            " WHERE c.org = ? AND c.id = ? AND c.enabled = 1"
        )
        found = await self._reader.run(lambda rows: rows.fetch_one(sql, org, channel))
        return None if found is None else FORM.read(found)

    @command
    def note_repetition(self, tx: Tx, claim: Claim, code: str, lacking: str) -> None:
        held = claim.delivery
        place = (held.org, held.id)
        if tx.fetch_one("SELECT 1 FROM delivery WHERE org = ? AND id = ?", *place) is None:
            return
        last = tx.fetch_all("SELECT coalesce(max(number), 0) AS n FROM delivery_attempt WHERE org = ? AND delivery_id = ?", *place)[0]["n"]
        tx.execute("INSERT INTO delivery_attempt VALUES (?, ?, ?, ?, ?, ?)", *place, last + 1, tx.now, tx.now, code)
        _recover(tx, held, lacking)

    async def finish(self, claim: Claim, result: Result) -> bool:
        return await self._writer.run(lambda tx: _finish(tx, claim.delivery, result))


class _Claims:
    """One round over the channels with due deliveries. The channel with the delivery that is due longest comes first."""

    def __init__(self, tx: Tx, most: int) -> None:
        self._tx = tx
        self._most = most
        self._taken: list[Claim] = []

    def take(self) -> list[Claim]:
        self._tx.execute(_ORPHANS, self._tx.now)
        self._tx.execute(_OF_SUSPENDED)
        channels = self._tx.fetch_all(_CHANNELS, self._tx.now)
        for channel in channels:
            self._take_of(channel)
        return self._taken

    def _take_of(self, channel: Row) -> None:
        """Claim messages of one channel. After a failure a channel gets one message at a time; after several failures it rests."""
        if channel["probe_at"] > self._tx.now:
            return
        free = (1 if channel["failures"] else MOST_OF_CHANNEL) - channel["under_way"]
        for _ in range(_MOST_HANDLED):
            if free <= 0 or len(self._taken) >= self._most:
                return
            row = self._tx.fetch_one(_NEXT, channel["org"], channel["id"], self._tx.now)
            if row is None:
                return
            if sum_up(self._tx, channel, row) or self._has_expired(row):
                continue
            self._lease(channel, row)
            free -= 1

    def _has_expired(self, row: Row) -> bool:
        """End a delivery that was tried for too long. Returns whether it has ended."""
        if row["until_at"] <= self._tx.now and row["attempts"]:
            self._tx.execute(_END, "failed", EXPIRED, row["org"], row["id"])
            end_parts(self._tx, to_delivery(row), "failed", EXPIRED)
            _mark_broken(self._tx, to_delivery(row), EXPIRED)
            return True
        return False

    def _lease(self, channel: Row, row: Row) -> None:
        now = self._tx.now
        self._tx.execute(
            "UPDATE delivery SET state = 'sending', attempts = attempts + 1, next_at = ? WHERE org = ? AND id = ?",
            *(now + LEASE_S, row["org"], row["id"]),
        )
        self._tx.execute("INSERT INTO delivery_attempt VALUES (?, ?, ?, ?, NULL, '')", row["org"], row["id"], row["attempts"] + 1, now)
        taken = to_delivery(row)._replace(state="sending", attempts=row["attempts"] + 1, next_at=now + LEASE_S, lease_until=now + LEASE_S)
        self._taken.append(Claim(taken, FORM.read(channel)))


def _finish(tx: Tx, claimed: Delivery, result: Result) -> bool:
    place = (claimed.org, claimed.id)
    row = tx.fetch_one("SELECT * FROM delivery WHERE org = ? AND id = ? AND state = 'sending' AND attempts = ?", *place, claimed.attempts)
    if row is None:
        return False
    match result:
        case Delivered(reason, code, shown, named, is_whole):
            tx.execute(
                "UPDATE delivery SET state = 'sent', reason = ?, sent_at = ?, shown = ?, next_at = NULL WHERE org = ? AND id = ?",
                *(reason, tx.now, shown, *place),
            )
            deliver_parts(tx, claimed, named)
            _end_attempt(tx, claimed, code)
            _recover(tx, claimed, "" if is_whole else code)
        case Retry(code, after_s, pause):
            tx.execute(
                "UPDATE delivery SET state = 'due', reason = ?, next_at = ? WHERE org = ? AND id = ?", code, tx.now + after_s, *place
            )
            _end_attempt(tx, claimed, code)
            _count_failure(tx, claimed, code, after_s if pause else 0.0)
        case Failed(code):
            tx.execute(_END, "failed", code, *place)
            end_parts(tx, claimed, "failed", code)
            _end_attempt(tx, claimed, code)
            _count_refusal(tx, claimed, code)
        case NotSent(reason, until):
            _put_back(tx, row, reason, until)
            release_parts(tx, claimed)
    return True


def _put_back(tx: Tx, row: Row, reason: str, until: float | None) -> None:
    """End the claim of a delivery that was not sent, and remove its attempt. `until`: the new due time; None: the delivery is skipped."""
    tx.execute("DELETE FROM delivery_attempt WHERE org = ? AND delivery_id = ? AND number = ?", row["org"], row["id"], row["attempts"])
    state = "skipped" if until is None else "deferred"
    until_at = row["until_at"] if until is None else until + give_up_s(critical=bool(row["critical"]))
    tx.execute(
        "UPDATE delivery SET state = ?, reason = ?, next_at = ?, until_at = ?, attempts = attempts - 1 WHERE org = ? AND id = ?",
        *(state, reason, until, until_at, row["org"], row["id"]),
    )


def _end_attempt(tx: Tx, claimed: Delivery, code: str) -> None:
    tx.execute(
        "UPDATE delivery_attempt SET ended_at = ?, code = ? WHERE org = ? AND delivery_id = ? AND number = ?",
        *(tx.now, code, claimed.org, claimed.id, claimed.attempts),
    )


def _recover(tx: Tx, claimed: Delivery, lacking: str) -> None:
    """Record that the channel works, and make its messages that wait for another attempt due now.

    Args: lacking: which recipients it does not reach; empty: it reaches all.
    """
    place = (claimed.org, claimed.channel_id)
    before = tx.fetch_one("SELECT * FROM channel WHERE org = ? AND id = ?", *place)
    if before is None:
        return
    tested_at = tx.now if claimed.kind == "test" else before["tested_at"]
    tx.execute("UPDATE channel SET failures = 0, probe_at = 0, tested_at = ? WHERE org = ? AND id = ?", tested_at, *place)
    if before["failures"]:
        tx.execute(
            "UPDATE delivery SET next_at = ? WHERE org = ? AND channel_id = ? AND next_at > ?"
            " AND (state = 'due' AND attempts > 0 OR state = 'deferred' AND reason = 'channel_retry')",
            tx.now,
            *place,
            tx.now,
        )
    if (before["state"], before["state_reason"]) != ("ok", lacking):
        _set_state(tx, claimed, "ok", lacking)
    if before["state"] == "broken":
        _record(tx, claimed, "channel_recovered", before["name"], "")
    if lacking and lacking != before["state_reason"]:
        _record(tx, claimed, "channel_partly_refused", before["name"], lacking)


def _count_failure(tx: Tx, claimed: Delivery, code: str, pause_s: float) -> None:
    place = (claimed.org, claimed.channel_id)
    tx.execute("UPDATE channel SET failures = failures + 1 WHERE org = ? AND id = ?", *place)
    row = tx.fetch_one("SELECT state, failures FROM channel WHERE org = ? AND id = ?", *place)
    if row is None:
        return
    wait_s = max(pause_s, channel_pause_s(row["failures"]))
    tx.execute("UPDATE channel SET probe_at = ? WHERE org = ? AND id = ?", tx.now + wait_s if wait_s else 0.0, *place)
    if row["state"] != "broken":
        _set_state(tx, claimed, "retrying", code)


def _count_refusal(tx: Tx, claimed: Delivery, code: str) -> None:
    """Record that the receiver refused a message. Other messages are still tried, one at a time and with pauses.

    The channel is broken when several different messages were refused in a row, or at once if its target cannot be right.
    """
    place = (claimed.org, claimed.channel_id)
    row = tx.fetch_one("SELECT * FROM channel WHERE org = ? AND id = ?", *place)
    if row is None:
        return
    [refused] = tx.fetch_all(_REFUSED, *place, first_id(tx.now - REFUSED_WITHIN_S), *place)
    is_wrong = code in WRONG_TARGET or claimed.kind == "test"
    broken = is_wrong or row["state"] == "broken" or refused["n"] >= BREAKS_AFTER
    tx.execute(
        "UPDATE channel SET failures = failures + 1, probe_at = ? WHERE org = ? AND id = ?",
        tx.now + refused_pause_s(row["failures"] + 1, is_wrong=is_wrong, is_broken=broken),
        *place,
    )
    if broken:
        _mark_broken(tx, claimed, code)
    else:
        _set_state(tx, claimed, "retrying", code)


def _mark_broken(tx: Tx, claimed: Delivery, code: str) -> None:
    """Record that the channel refuses messages. If that is new, and the message was no test, also report it through the other channels."""
    row = tx.fetch_one("SELECT * FROM channel WHERE org = ? AND id = ?", claimed.org, claimed.channel_id)
    if row is None:
        return
    known = row["state"] == "broken"
    _set_state(tx, claimed, "broken", code)
    if known or claimed.kind == "test":
        return
    event = _record(tx, claimed, "channel_failed", row["name"], code)
    others = tx.fetch_all("SELECT id FROM channel WHERE org = ? AND id <> ? AND enabled = 1", claimed.org, claimed.channel_id)
    add_deliveries(
        tx,
        [
            Delivery(
                DeliveryId(new_time_id(tx.now)), claimed.org, ChannelId(other["id"]), "event", None, event, 0, "due", "ready", tx.now, None,
                critical=True,
            )
            for other in others
        ],
    )  # fmt: skip


def _set_state(tx: Tx, claimed: Delivery, state: str, reason: str) -> None:
    tx.execute(
        "UPDATE channel SET state_since_at = CASE WHEN state = ?1 THEN state_since_at ELSE ?2 END, state = ?1, state_reason = ?3"
        " WHERE org = ?4 AND id = ?5",
        *(state, tx.now, reason, claimed.org, claimed.channel_id),
    )


def _record(tx: Tx, claimed: Delivery, kind: str, name: str, why: str) -> EventId:
    details: dict[str, object] = {"channel": name, "channel_id": claimed.channel_id, **({"why": why} if why else {})}
    event = new_event(kind, tx.now, details, org=claimed.org)
    return record_event(tx, event) or event.id
