"""The store of channels. Targets of channels are sealed in the table of secrets, and are written and shredded with their channels."""

from __future__ import annotations

from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.quiet_summaries import reschedule
from groundcontrol.adapters.sqlite.records import Form, SqliteRecords
from groundcontrol.adapters.sqlite.secrets import insert, shred
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.notifications.model import CHANNELS, Channel, ChannelId
from groundcontrol.notifications.store import SEALED_TABLE, TARGET, ChannelStore

FORM = Form(CHANNELS)


@serves("channels", ChannelStore)
class SqliteChannels(SqliteRecords[Channel]):
    form = FORM

    async def create_channel(self, scope: Scope, channel: Channel, target: SealedRecord) -> Channel:
        return await self.create(scope, channel, lambda tx, _: insert(tx, scope.org, target))

    async def save_channel(
        self, scope: Scope, channel: Channel, target: SealedRecord | None, *, old_target_notified: bool | None
    ) -> Channel:
        def also(tx: Tx, before: Channel | None) -> dict[str, object]:
            if before is not None and before.quiet_hours != channel.quiet_hours:
                reschedule(tx, channel)
            if target is None or _sealed(tx, channel.id) == target:
                return {}
            _replace_target(tx, scope, channel, target)
            return {"target_before": None if before is None else before.target_masked, "old_target_told": old_target_notified}

        return await self.save(scope, channel, also)

    async def delete_channel(self, scope: Scope, channel: ChannelId, *, old_target_notified: bool) -> None:
        def also(tx: Tx, _: Channel | None) -> dict[str, object]:
            shred(tx, scope.org, SEALED_TABLE, channel)
            tx.execute(
                "UPDATE delivery SET state = 'skipped', reason = 'channel_disabled', next_at = NULL"
                " WHERE org = ? AND channel_id = ? AND (next_at IS NOT NULL OR state = 'deferred')",
                *(scope.org, channel),
            )
            return {"old_target_told": old_target_notified}

        await self.delete(scope, channel, also)

    async def target(self, channel: ChannelId) -> SealedRecord | None:
        return await self._reader.run(lambda rows: _sealed(rows, channel))


def _sealed(rows: Rows, channel: ChannelId) -> SealedRecord | None:
    row = rows.fetch_one("SELECT * FROM secret WHERE kind = ? AND record = ? AND field = ?", SEALED_TABLE, channel, TARGET)
    return None if row is None else SealedRecord(row["kind"], row["record"], row["field"], row["version"], row["sealed"])


def _replace_target(tx: Tx, scope: Scope, channel: Channel, target: SealedRecord) -> None:
    """Write the new target, and reset the state of the channel, which described the old target."""
    shred(tx, scope.org, SEALED_TABLE, channel.id)
    insert(tx, scope.org, target)
    tx.execute(
        "UPDATE channel SET target_masked = ?, state = 'ok', state_reason = '', state_since_at = ?, failures = 0,"
        " probe_at = 0, tested_at = NULL WHERE org = ? AND id = ?",
        *(channel.target_masked, tx.now, scope.org, channel.id),
    )
