"""Passkeys of users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.access.passkeys import MOST_PASSKEYS, Passkey, PasskeyStore
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.rights import write_for_user
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import Scope

_LIST: Final = "SELECT passkey.*, account.id AS user_id FROM passkey JOIN account ON account.no = passkey.account"


@serves("passkeys", PasskeyStore)
class SqlitePasskeys(ControlStore):
    async def passkeys(self, user: UserId) -> Sequence[Passkey]:
        rows = await self._reader.run(lambda rows: rows.fetch_all(_LIST + " WHERE account.id = ? ORDER BY passkey.no", user))
        return [_PASSKEYS.read(row) for row in rows]

    @command
    def add_passkey(self, tx: Tx, by: Scope, passkey: Passkey) -> Passkey:
        account = tx.fetch_one("SELECT * FROM account WHERE id = ?", passkey.user)
        if account is None:
            raise NotFound("there is no such user")
        known = tx.fetch_one(_LIST + " WHERE passkey.org = ? AND credential = ?", account["org"], passkey.credential)
        if known is not None:
            if _PASSKEYS.read(known) != passkey:
                raise Conflict("this passkey is known already")
            return passkey
        if account["totp_since"] is None:
            raise Conflict("set up the codes of an app first: they and the recovery codes remain when the hub gets another address")
        if tx.fetch_all("SELECT count(*) AS n FROM passkey WHERE account = ?", account["no"])[0]["n"] >= MOST_PASSKEYS:
            raise Conflict(f"there are {MOST_PASSKEYS} passkeys: remove one first")
        tx.execute(
            "INSERT INTO passkey (org, id, account, name, host, credential, public_key, uses, created_at, used_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(account["org"], passkey.id, account["no"], passkey.name, passkey.host, passkey.credential, passkey.public_key),
            *(passkey.uses, passkey.created_at, passkey.used_at),
        )
        write_for_user(self._chain, tx, by, passkey.user, "auth.passkey_add", passkey.user, {"name": passkey.name, "host": passkey.host})
        return passkey

    @command
    def remove_passkey(self, tx: Tx, by: Scope, user: UserId, passkey: str) -> None:
        row = tx.fetch_one(_LIST + " WHERE account.id = ? AND passkey.id = ?", user, passkey)
        if row is not None:
            tx.execute("DELETE FROM passkey WHERE no = ?", row["no"])
            write_for_user(self._chain, tx, by, user, "auth.passkey_remove", user, {"name": row["name"]})

    async def use_passkey(self, passkey: str, before: int, uses: int, at: float) -> bool:
        sql = "UPDATE passkey SET uses = ?, used_at = ? WHERE id = ? AND uses = ?"
        return await self._writer.run(lambda tx: tx.execute(sql, uses, at, passkey, before)) == 1


_PASSKEYS: Final = Columns(Passkey, "passkey", {"user": "user_id"})
