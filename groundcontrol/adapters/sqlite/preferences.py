"""The preferences of users for their own page: one small record each, among the single values (an account is never deleted)."""

from __future__ import annotations

import msgspec

from groundcontrol.access.preferences import Preferences
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.json_codec import to_json
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.users import fact
from groundcontrol.core.errors import NotFound, StoreError
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import Scope


class SqlitePreferences:
    """`PreferenceStore`."""

    def __init__(self, writer: Writer, reader: Reader, chain: Chain) -> None:
        self._writer = writer
        self._reader = reader
        self._chain = chain

    async def preferences(self, scope: Scope, user: UserId) -> Preferences:
        return await self._reader.run(lambda rows: _read(rows, scope, user))

    async def save_preferences(self, scope: Scope, user: UserId, preferences: Preferences) -> None:
        body = to_json(preferences).encode()

        def command(tx: Tx) -> None:
            before = _read(tx, scope, user)
            if before == preferences:
                return
            tx.do("INSERT OR REPLACE INTO fact VALUES (?, ?)", _name(user), body)
            detail = {
                "views": [view.name for view in preferences.views],
                "single_keys": preferences.single_keys,
                "network_bits": preferences.network_bits,
            }
            self._chain.write(tx, scope, "preferences.edit", user, detail)

        await self._writer.run(command)


def _name(user: UserId) -> str:
    return f"preferences:{user}"


def _read(rows: Rows, scope: Scope, user: UserId) -> Preferences:
    if rows.one("SELECT 1 FROM account WHERE org = ? AND id = ?", scope.org, user) is None:
        raise NotFound("there is no such user")
    found = fact(rows, _name(user))
    try:
        return Preferences() if found is None else msgspec.json.decode(found, type=Preferences)
    except msgspec.MsgspecError as exc:
        raise StoreError("the preferences in the database are none that this program knows") from exc
