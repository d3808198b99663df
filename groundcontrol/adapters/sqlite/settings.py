"""Single values in the table `fact`: the retention of samples, the state of the recovery key, the preferences of users."""

from __future__ import annotations

from typing import Final

import msgspec

from groundcontrol.access.model import Preferences, PreferencesEdit
from groundcontrol.access.store import PreferenceStore
from groundcontrol.adapters.sqlite.audit import scope_of_hub
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.facts import ADOPT_UNTIL, save_fact, setting, time_of, time_setting
from groundcontrol.adapters.sqlite.engine.json_codec import decoded, to_json
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.rights import write_for_user
from groundcontrol.core.errors import BadRequest, NotFound, StoreError
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import NO_ORG, Scope
from groundcontrol.nodes.store import RecoveryStore
from groundcontrol.samples.model import MAX_RETENTION_S, Retention, RetentionChange, fault_of
from groundcontrol.samples.store import RetentionStore

_NAME = "retention"


@serves("retention", RetentionStore)
class SqliteRetention(ControlStore):
    async def retention(self) -> Retention | None:
        return await self._reader.run(_read)

    @command
    def save_retention(self, tx: Tx, by: Scope, change: RetentionChange, otherwise: Retention) -> Retention:
        retention = change.of(_read(tx) or otherwise)
        if fault := fault_of(retention):
            raise BadRequest(fault, field="retention")
        body = msgspec.json.encode(retention)
        if setting(tx, _NAME) != body:
            save_fact(tx, _NAME, body)
            self._chain.write(tx, scope_of_hub(tx, by), "settings.edit", "settings", {"retention": retention._asdict()})
        return retention


_LONGEST: Final = Retention(MAX_RETENTION_S, MAX_RETENTION_S, MAX_RETENTION_S)
_RETENTION: Final = msgspec.json.Decoder(Retention)


def _read(rows: Rows) -> Retention | None:
    """The stored retention. Damaged, it is the longest one, so that no samples are removed until an admin sets it again."""
    found = setting(rows, _NAME)
    try:
        return None if found is None else decoded(_RETENTION, found)
    except StoreError:
        return _LONGEST


_PRINTED: Final = "recovery_printed_at"


@serves("recovery", RecoveryStore)
class SqliteRecovery(ControlStore):
    @command
    def note_recovery_print(self, tx: Tx, scope: Scope, *, again: bool) -> float | None:
        before = time_of(tx, _PRINTED)
        if before and not again:
            return before
        save_fact(tx, _PRINTED, time_setting(tx.now))
        self._chain.write(tx, scope, "recovery.print", "recovery", {"again": bool(before)})
        return None

    async def adopt_until(self) -> float:
        return await self._reader.run(lambda rows: time_of(rows, ADOPT_UNTIL))

    @command
    def end_adoption(self, tx: Tx, scope: Scope) -> None:
        if tx.execute("DELETE FROM fact WHERE name = ?", ADOPT_UNTIL):
            self._chain.write(tx, scope, "recovery.end", "recovery", {})


@serves("preferences", PreferenceStore)
class SqlitePreferences(ControlStore):
    async def preferences(self, scope: Scope, user: UserId) -> Preferences:
        return await self._reader.run(lambda rows: _preferences(rows, scope, user))

    @command
    def edit_preferences(self, tx: Tx, by: Scope, user: UserId, edit: PreferencesEdit) -> Preferences:
        after = edit.applied_to(_preferences(tx, by, user))
        stored = setting(tx, _name(user))
        if (to_json(Preferences()).encode() if stored is None else stored) == (body := to_json(after).encode()):
            return after
        save_fact(tx, _name(user), body)
        detail = {
            "views": [view.name for view in after.views],
            "single_keys": after.single_keys,
            "network_bits": after.network_bits,
            "columns": list(after.columns),
        }
        write_for_user(self._chain, tx, by, user, "preferences.edit", user, detail)
        return after


def _name(user: UserId) -> str:
    return f"preferences:{user}"


_PREFERENCES: Final = msgspec.json.Decoder(Preferences)


def _preferences(rows: Rows, scope: Scope, user: UserId) -> Preferences:
    """The user's preferences. Damaged ones are the defaults, until the user changes something."""
    sql = "SELECT membership.org FROM account LEFT JOIN membership ON membership.account = account.no AND membership.org = ? WHERE account.id = ?"
    row = rows.fetch_one(sql, scope.org, user)
    if row is None or (row["org"] is None and scope.org != NO_ORG):
        raise NotFound("there is no such user")
    found = setting(rows, _name(user))
    try:
        return Preferences() if found is None else decoded(_PREFERENCES, found)
    except StoreError:
        return Preferences()
