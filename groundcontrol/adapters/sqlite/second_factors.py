"""Second factors: sealed seeds, used time steps, and recovery codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.access.model import User
from groundcontrol.access.store import FactorStore
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.rights import write_for_user
from groundcontrol.adapters.sqlite.secrets import insert, shred
from groundcontrol.adapters.sqlite.users import IN_ORG, check_manages, check_session, to_user
from groundcontrol.core.errors import BadRequest, Conflict, NotFound
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.scope import NO_ORG, Actor, Scope
from groundcontrol.core.secrets import SealedRecord

TOTP: Final = "totp"
SEED: Final = "seed"
_STORED_SQL: Final = "SELECT version, sealed FROM secret WHERE org = ? AND kind = ? AND record = ? AND field = ?"


@serves("factors", FactorStore)
class SqliteFactors(ControlStore):
    @command
    def begin_totp(self, tx: Tx, by: Scope, user: UserId, record: SealedRecord) -> None:
        if (record.table, record.id, record.column) != (TOTP, user, SEED):
            raise BadRequest(f"the seed is not of user {user}")
        row = _account(tx, by, user)
        if row["totp_version"] == record.version and _is_stored(tx, row["org"], record):
            return
        if row["totp_since"] is not None:
            raise Conflict("there is a second factor already: switch it off first")
        if row["totp_version"] != record.version - 1:
            raise Conflict("the set-up of another second factor has begun meanwhile")
        shred(tx, row["org"], TOTP, user)
        insert(tx, row["org"], record)
        tx.execute("UPDATE account SET totp_version = ? WHERE no = ?", record.version, row["no"])
        write_for_user(self._chain, tx, by, user, "auth.second_factor_begin", user)

    @command
    def confirm_totp(
        self,
        tx: Tx,
        by: Scope,
        user: UserId,
        version: int,
        step: int,
        codes: Sequence[bytes],
        keep: SessionId,
        at: float,
        expires_at: float,
    ) -> User:
        row = _account(tx, by, user)
        if row["totp_version"] != version:
            raise Conflict("this second factor was replaced by another one: begin again")
        if row["totp_since"] is not None:
            if _codes(tx, row["no"]) == sorted(codes):
                return to_user(row)
            raise Conflict("the second factor is confirmed already")
        check_session(tx, keep, user)
        tx.execute(
            "UPDATE account SET totp_since = ?, totp_step = CASE WHEN totp_step > ? THEN totp_step ELSE ? END WHERE no = ?",
            at,
            step,
            step,
            row["no"],
        )
        _replace_codes(tx, row, codes)
        _end_sessions(tx, row["no"], keep)
        tx.execute(
            "UPDATE login SET second_factor = 1, authenticated_at = CASE WHEN authenticated_at > ?1 THEN authenticated_at ELSE ?1 END,"
            " expires_at = CASE WHEN expires_at < ?2 THEN expires_at ELSE ?2 END WHERE account = ?3 AND id = ?4",
            *(at, expires_at, row["no"], keep),
        )
        write_for_user(self._chain, tx, by, user, "auth.second_factor_on", user)
        return to_user(_account(tx, by, user))

    async def use_step(self, user: UserId, step: int) -> bool:
        return await self._writer.run(
            lambda tx: (
                tx.execute("UPDATE account SET totp_step = ? WHERE id = ? AND totp_since IS NOT NULL AND totp_step < ?", step, user, step)
                == 1
            )
        )

    @command
    def use_recovery_code(self, tx: Tx, user: UserId, code: bytes, address: str) -> int | None:
        row = tx.fetch_one("SELECT * FROM account WHERE id = ? AND totp_since IS NOT NULL", user)
        if row is None or tx.execute("DELETE FROM recovery_code WHERE account = ? AND hash = ?", row["no"], code) != 1:
            return None
        left = len(_codes(tx, row["no"]))
        write_for_user(
            self._chain,
            tx,
            Scope(Actor("user", user, row["username"], "viewer", address), NO_ORG),
            user,
            "auth.recovery_code",
            user,
            {"left": left},
        )
        return left

    @command
    def save_recovery_codes(self, tx: Tx, by: Scope, user: UserId, codes: Sequence[bytes]) -> None:
        row = _account(tx, by, user)
        if row["totp_since"] is None:
            raise Conflict("there is no second factor that the codes could replace")
        if _codes(tx, row["no"]) != sorted(codes):
            _replace_codes(tx, row, codes)
            write_for_user(self._chain, tx, by, user, "auth.recovery_codes", user)

    @command
    def stop_totp(self, tx: Tx, by: Scope, user: UserId, keep: SessionId | None) -> User:
        row = _account(tx, by, user)
        if row["totp_since"] is None and tx.fetch_one(_STORED_SQL, row["org"], TOTP, user, SEED) is None:
            return to_user(row)
        if keep is None:
            check_manages(tx, by, row)
        else:
            check_session(tx, keep, user)
        shred(tx, row["org"], TOTP, user)
        _replace_codes(tx, row, ())
        tx.execute("UPDATE account SET totp_since = NULL WHERE no = ?", row["no"])
        tx.execute("DELETE FROM passkey WHERE account = ?", row["no"])
        _end_sessions(tx, row["no"], keep)
        tx.execute("UPDATE login SET second_factor = 0 WHERE account = ?", row["no"])
        write_for_user(self._chain, tx, by, user, "auth.second_factor_off", user)
        return to_user(_account(tx, by, user))


def _account(rows: Rows, scope: Scope, user: UserId) -> Row:
    row = rows.fetch_one(IN_ORG + " WHERE account.id = ?", scope.org, user)
    if row is None or (row["member_org"] is None and scope.org != NO_ORG):
        raise NotFound("there is no such user")
    return row


def _is_stored(rows: Rows, org: int, record: SealedRecord) -> bool:
    """Whether this seed with this version is stored."""
    row = rows.fetch_one(_STORED_SQL, org, record.table, record.id, record.column)
    return row is not None and (row["version"], row["sealed"]) == (record.version, record.sealed)


def _codes(rows: Rows, account: int) -> list[bytes]:
    return [row["hash"] for row in rows.fetch_all("SELECT hash FROM recovery_code WHERE account = ? ORDER BY hash", account)]


def _replace_codes(tx: Tx, account: Row, codes: Sequence[bytes]) -> None:
    tx.execute("DELETE FROM recovery_code WHERE account = ?", account["no"])
    tx.execute_many("INSERT INTO recovery_code VALUES (?, ?, ?)", [(account["org"], account["no"], code) for code in codes])


def _end_sessions(tx: Tx, account: int, keep: SessionId | None) -> None:
    tx.execute("UPDATE login SET revoked_at = ? WHERE account = ? AND revoked_at IS NULL AND id <> ?", tx.now, account, keep or "")
