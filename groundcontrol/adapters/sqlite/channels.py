"""The store of channels. Targets of channels are sealed in the table of secrets, and are written and shredded with their channels."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json, record_to_json
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.quiet_summaries import reschedule
from groundcontrol.adapters.sqlite.secrets import insert, shred
from groundcontrol.alerts.channel_store import MOST_CHANNELS, SEALED_TABLE, TARGET
from groundcontrol.alerts.model import Caps, Channel, ChannelId, QuietHours
from groundcontrol.core.errors import Conflict, NotFound, StoreError
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.core.text import fold


class SqliteChannels:
    """`ChannelStore`."""

    def __init__(self, writer: Writer, reader: Reader, chain: Chain) -> None:
        self._writer = writer
        self._reader = reader
        self._chain = chain

    async def channels(self, org: int) -> Sequence[Channel]:
        return await self._reader.run(
            lambda rows: [to_channel(row) for row in rows.fetch_all("SELECT * FROM channel WHERE org = ? ORDER BY name_key", org)]
        )

    async def channel(self, scope: Scope, channel: ChannelId) -> Channel:
        return await self._reader.run(lambda rows: load_channel(rows, scope.org, channel))

    async def create_channel(self, scope: Scope, channel: Channel, target: SealedRecord) -> Channel:
        def command(tx: Tx) -> Channel:
            if tx.fetch_one("SELECT 1 FROM channel WHERE org = ? AND id = ?", scope.org, channel.id) is not None:
                return load_channel(tx, scope.org, channel.id)
            if tx.fetch_all("SELECT count(*) AS n FROM channel WHERE org = ?", scope.org)[0]["n"] >= MOST_CHANNELS:
                raise Conflict(f"there are {MOST_CHANNELS} channels: delete some first")
            _check_name(tx, scope, channel)
            tx.execute(
                "INSERT INTO channel VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'ok', '', ?, 0, 0, NULL, ?, 1)",
                *(scope.org, channel.id, channel.kind, channel.name, fold(channel.name), channel.enabled, channel.min_severity),
                *(_hours_to_json(channel.quiet_hours), channel.caps.per_hour, channel.caps.critical_per_hour, channel.target_masked),
                *(target.version, tx.now, tx.now),
            )
            insert(tx, scope.org, target)
            self._chain.write(tx, scope, "channel.create", channel.id, _audited(channel))
            return load_channel(tx, scope.org, channel.id)

        return await self._writer.run(command)

    async def save_channel(
        self, scope: Scope, channel: Channel, target: SealedRecord | None, *, old_target_notified: bool | None
    ) -> Channel:
        def command(tx: Tx) -> Channel:
            before = load_channel(tx, scope.org, channel.id)
            if _settings_of(before) == _settings_of(channel) and (target is None or _sealed(tx, channel.id) == target):
                return before
            if before.version != channel.version:
                raise Conflict("the channel has changed meanwhile; load it again")
            _check_name(tx, scope, channel)
            tx.execute(
                "UPDATE channel SET name = ?, name_key = ?, enabled = ?, min_severity = ?, quiet_hours = ?, per_hour = ?,"
                " critical_per_hour = ?, version = version + 1 WHERE org = ? AND id = ?",
                *(channel.name, fold(channel.name), channel.enabled, channel.min_severity, _hours_to_json(channel.quiet_hours)),
                *(channel.caps.per_hour, channel.caps.critical_per_hour, scope.org, channel.id),
            )
            if before.quiet_hours != channel.quiet_hours:
                reschedule(tx, channel)
            detail = _audited(channel)
            if target is not None:
                _replace_target(tx, scope, channel, target)
                detail |= {"target_before": before.target_masked, "old_target_told": old_target_notified}
            self._chain.write(tx, scope, "channel.edit", channel.id, detail)
            return load_channel(tx, scope.org, channel.id)

        return await self._writer.run(command)

    async def delete_channel(self, scope: Scope, channel: ChannelId, *, old_target_notified: bool) -> None:
        def command(tx: Tx) -> None:
            if tx.fetch_one("SELECT 1 FROM channel WHERE org = ? AND id = ?", scope.org, channel) is None:
                return
            before = load_channel(tx, scope.org, channel)
            tx.execute("DELETE FROM channel WHERE org = ? AND id = ?", scope.org, channel)
            shred(tx, scope.org, SEALED_TABLE, channel)
            tx.execute(
                "UPDATE delivery SET state = 'skipped', reason = 'channel_disabled', next_at = NULL"
                " WHERE org = ? AND channel_id = ? AND (next_at IS NOT NULL OR state = 'deferred')",
                *(scope.org, channel),
            )
            self._chain.write(tx, scope, "channel.delete", channel, {**_audited(before), "old_target_told": old_target_notified})

        await self._writer.run(command)

    async def target(self, channel: ChannelId) -> SealedRecord | None:
        return await self._reader.run(lambda rows: _sealed(rows, channel))


def _sealed(rows: Rows, channel: ChannelId) -> SealedRecord | None:
    row = rows.fetch_one("SELECT * FROM secret WHERE kind = ? AND record = ? AND field = ?", SEALED_TABLE, channel, TARGET)
    return None if row is None else SealedRecord(row["kind"], row["record"], row["field"], row["version"], row["sealed"])


def _settings_of(channel: Channel) -> tuple[object, ...]:
    """The fields that a user sets."""
    return channel.name, channel.enabled, channel.min_severity, channel.quiet_hours, channel.caps


def _check_name(tx: Tx, scope: Scope, channel: Channel) -> None:
    if (
        tx.fetch_one("SELECT 1 FROM channel WHERE org = ? AND name_key = ? AND id <> ?", scope.org, fold(channel.name), channel.id)
        is not None
    ):
        raise Conflict(f"there is a channel {channel.name} already", field="name")


def _replace_target(tx: Tx, scope: Scope, channel: Channel, target: SealedRecord) -> None:
    """Write the new target, and reset the state of the channel, which described the old target."""
    shred(tx, scope.org, SEALED_TABLE, channel.id)
    insert(tx, scope.org, target)
    tx.execute(
        "UPDATE channel SET target_masked = ?, target_version = ?, state = 'ok', state_reason = '', state_since_at = ?, failures = 0,"
        " probe_at = 0, tested_at = NULL WHERE org = ? AND id = ?",
        *(channel.target_masked, target.version, tx.now, scope.org, channel.id),
    )


def _audited(channel: Channel) -> dict[str, object]:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "target": channel.target_masked,
        "enabled": channel.enabled,
        "min_severity": channel.min_severity,
        "quiet_hours": None if channel.quiet_hours is None else msgspec.to_builtins(channel.quiet_hours._asdict()),
        "caps": list(channel.caps),
    }


def load_channel(rows: Rows, org: int, channel: ChannelId) -> Channel:
    """Read a channel.

    Raises: NotFound.
    """
    row = rows.fetch_one("SELECT * FROM channel WHERE org = ? AND id = ?", org, channel)
    if row is None:
        raise NotFound("there is no such channel")
    return to_channel(row)


def to_channel(row: sqlite3.Row) -> Channel:
    return Channel(
        id=ChannelId(row["id"]),
        org=row["org"],
        kind=row["kind"],
        name=row["name"],
        enabled=bool(row["enabled"]),
        min_severity=row["min_severity"],
        quiet_hours=_hours_from_json(row["quiet_hours"]),
        caps=Caps(row["per_hour"], row["critical_per_hour"]),
        target_masked=row["target_masked"],
        state=row["state"],
        state_reason=row["state_reason"],
        state_since_at=row["state_since_at"],
        tested_at=row["tested_at"],
        version=row["version"],
        probe_at=row["probe_at"],
    )


def _hours_from_json(text: str | None) -> QuietHours | None:
    """Read the column `quiet_hours`. Damaged quiet hours count as none, so that the channel can still be read; the doctor reports them."""
    try:
        return None if text is None else record_from_json(QuietHours, text)
    except StoreError:
        return None


def _hours_to_json(hours: QuietHours | None) -> str | None:
    return None if hours is None else record_to_json(hours)
