"""People, their log-in sessions, and rate limits."""

from __future__ import annotations

import hmac
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from groundcontrol.domain.ids import SessionId, UserId
from groundcontrol.domain.scope import Actor, Scope
from groundcontrol.domain.users import LoginSession, User
from groundcontrol.errors import Conflict, NotFound
from groundcontrol.store.base import AuditEntry
from groundcontrol.store.sqlite import attempts
from groundcontrol.store.sqlite.audit import Chain
from groundcontrol.store.sqlite.nodes import fold
from groundcontrol.store.sqlite.reader import Reader
from groundcontrol.store.sqlite.tx import Rows, Tx
from groundcontrol.store.sqlite.writer import Writer
from spider.clock import Clock

_KEEP_S: Final = 30 * 86400.0
"""How long sessions that are over stay listed."""
_LOGIN: Final = (
    "SELECT login.*, account.id AS user_id, account.username, account.role FROM login JOIN account ON account.no = login.account"
    " WHERE login.id = ?"
)


class SqliteUsers:
    """`UserStore`."""

    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._chain = chain
        self._clock = clock

    async def count_users(self) -> int:
        row = await self._reader.run(lambda rows: rows.all("SELECT count(*) AS n FROM account")[0])
        return int(row["n"])

    async def initialised_at(self) -> float | None:
        found = await self._reader.run(lambda rows: _fact(rows, "initialised_at"))
        return None if found is None else struct.unpack("<d", found)[0]

    async def create_first_admin(self, user: User, setup_code_hash: bytes, at: float) -> None:
        def command(tx: Tx) -> None:
            done = _fact(tx, "first_admin")
            if done == user.id.encode():
                return
            if done is not None or tx.one("SELECT 1 FROM account") is not None:
                raise Conflict("the first administrator was created before")
            tx.do(
                "INSERT INTO account (org, id, username, username_key, role, password_hash, password_version, must_change_password,"
                " disabled, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(user.org, user.id, user.username, fold(user.username), user.role, user.password_hash, user.password_version),
                *(user.must_change_password, user.disabled, user.created_at),
            )
            for name, value in (
                ("first_admin", user.id.encode()),
                ("initialised_at", struct.pack("<d", at)),
                ("setup_code_hash", setup_code_hash),
            ):
                tx.do("INSERT INTO fact VALUES (?, ?)", name, value)
            system = Scope(Actor("system", "system", "system", "admin"), user.org)
            self._chain.write(tx, system, "user.create", user.id, {"username": user.username, "role": user.role})

        await self._writer.run(command)

    async def setup_code_hash(self) -> bytes | None:
        return await self._reader.run(lambda rows: _fact(rows, "setup_code_hash"))

    async def user(self, user: UserId) -> User | None:
        row = await self._reader.run(lambda rows: rows.one("SELECT * FROM account WHERE id = ?", user))
        return None if row is None else _to_user(row)

    async def user_by_name(self, username: str) -> User | None:
        row = await self._reader.run(lambda rows: rows.one("SELECT * FROM account WHERE username_key = ? ORDER BY no", fold(username)))
        return None if row is None else _to_user(row)

    async def save_password(self, scope: Scope, user: UserId, password_hash: str, keep: SessionId | None, *, must_change: bool) -> User:
        """A password that need not be changed also ends the setup code."""

        def command(tx: Tx) -> User:
            row = tx.one("SELECT * FROM account WHERE org = ? AND id = ?", scope.org, user)
            if row is None:
                raise NotFound(f"there is no user {user}")
            if (row["password_hash"], bool(row["must_change_password"])) == (password_hash, must_change):
                return _to_user(row)
            version = row["password_version"] + 1
            tx.do(
                "UPDATE account SET password_hash = ?, password_version = ?, must_change_password = ? WHERE no = ?",
                *(password_hash, version, must_change, row["no"]),
            )
            tx.do("UPDATE login SET revoked_at = ? WHERE account = ? AND revoked_at IS NULL AND id <> ?", tx.now, row["no"], keep or "")
            tx.do("UPDATE login SET password_version = ? WHERE account = ? AND revoked_at IS NULL", version, row["no"])
            if not must_change:
                tx.do("DELETE FROM fact WHERE name = 'setup_code_hash'")
            self._chain.write(tx, scope, "auth.password", user, {"must_change": must_change})
            return _to_user(tx.all("SELECT * FROM account WHERE no = ?", row["no"])[0])

        return await self._writer.run(command)

    async def open_session(self, session: LoginSession, audit: AuditEntry) -> None:
        def command(tx: Tx) -> None:
            user = tx.one("SELECT no, org FROM account WHERE id = ?", session.user_id)
            if user is None:
                raise NotFound(f"there is no user {session.user_id}")
            known = tx.one(_LOGIN, session.id)
            if known is not None:
                if _to_session(known) != session:
                    raise Conflict("this session id was used before")
                return
            tx.do("DELETE FROM login WHERE expires_at < ?", tx.now - _KEEP_S)
            tx.do(
                "INSERT INTO login (org, id, account, password_version, csrf_token, refresh_hash, created_at, authenticated_at,"
                " last_seen_at, expires_at, address, user_agent, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(user["org"], session.id, user["no"], session.password_version, session.csrf_token, session.refresh_hash),
                *(session.created_at, session.authenticated_at, session.last_seen_at, session.expires_at),
                *(session.address, session.user_agent, session.revoked_at),
            )
            self._chain.write(tx, Scope(audit.actor, user["org"]), audit.action, audit.target, audit.detail, audit.result)

        await self._writer.run(command)

    async def login_session(self, session: SessionId) -> tuple[LoginSession, User] | None:
        """A session that has expired by the store's clock is over as well."""
        now = self._clock.now()

        def query(rows: Rows) -> tuple[LoginSession, User] | None:
            login = rows.one(_LOGIN, session)
            if login is None or not _is_live(login, now):
                return None
            user = _to_user(rows.all("SELECT * FROM account WHERE no = ?", login["account"])[0])
            return None if user.disabled else (_to_session(login), user)

        return await self._reader.run(query)

    async def refresh_session(self, session: SessionId, spent: bytes, fresh: bytes, at: float, expires_at: float) -> LoginSession:
        def command(tx: Tx) -> LoginSession | None:
            row = tx.one(_LOGIN, session)
            if row is None or not _is_live(row, tx.now):
                return None
            if hmac.compare_digest(row["refresh_hash"], fresh) and row["spent_hash"] == spent:
                return _to_session(row)
            if not hmac.compare_digest(row["refresh_hash"], spent):
                _revoke(tx, row)
                actor = Actor("user", row["user_id"], row["username"], row["role"])
                self._chain.write(tx, Scope(actor, row["org"]), "auth.refresh_reused", session, result="refused")
                return None  # what was found out must be kept: the refusal is raised after the commit
            tx.do(
                "UPDATE login SET refresh_hash = ?, spent_hash = ?, last_seen_at = ?, expires_at = ? WHERE no = ?",
                *(fresh, spent, at, expires_at, row["no"]),
            )
            return _to_session(tx.all(_LOGIN, session)[0])

        after = await self._writer.run(command)
        if after is None:
            raise Conflict("this session is over")
        return after

    async def step_up(self, session: SessionId, at: float) -> None:
        def command(tx: Tx) -> None:
            row = tx.one(_LOGIN, session)
            if row is None or not _is_live(row, tx.now):
                raise NotFound("this session is over")
            if row["authenticated_at"] >= at:
                return
            tx.do("UPDATE login SET authenticated_at = ?, last_seen_at = max(last_seen_at, ?) WHERE no = ?", at, at, row["no"])
            actor = Actor("user", row["user_id"], row["username"], row["role"], row["address"])
            self._chain.write(tx, Scope(actor, row["org"]), "auth.step_up", session)

        await self._writer.run(command)

    async def revoke_session(self, scope: Scope, session: SessionId) -> None:
        def command(tx: Tx) -> None:
            row = tx.one(_LOGIN, session)
            if row is None or row["org"] != scope.org:
                raise NotFound("there is no such session")
            if row["revoked_at"] is None:
                _revoke(tx, row)
                own = row["user_id"] == scope.actor.id
                self._chain.write(tx, scope, "auth.logout" if own else "auth.session_end", session, {"user": row["username"]})

        await self._writer.run(command)

    async def sessions_of(self, user: UserId) -> Sequence[LoginSession]:
        """Those that are live, the newest first."""
        now = self._clock.now()
        found = await self._reader.run(
            lambda rows: rows.all(
                "SELECT login.*, account.id AS user_id FROM login JOIN account ON account.no = login.account"
                " WHERE account.id = ? ORDER BY login.created_at DESC, login.id",
                user,
            )
        )
        return [_to_session(row) for row in found if _is_live(row, now)]

    async def reserve_attempt(self, buckets: Mapping[str, tuple[int, float]], at: float) -> float:
        return await self._writer.run(lambda tx: attempts.reserve(tx, buckets, at))

    async def clear_attempts(self, buckets: Sequence[str]) -> None:
        def command(tx: Tx) -> None:
            for bucket in buckets:
                tx.do("DELETE FROM attempt WHERE bucket = ?", bucket)

        await self._writer.run(command)


def _fact(rows: Rows, name: str) -> bytes | None:
    row = rows.one("SELECT value FROM fact WHERE name = ?", name)
    return None if row is None else bytes(row["value"])


def _is_live(login: sqlite3.Row, now: float) -> bool:
    return login["revoked_at"] is None and login["expires_at"] > now


def _revoke(tx: Tx, login: sqlite3.Row) -> None:
    tx.do("UPDATE login SET revoked_at = ? WHERE no = ?", tx.now, login["no"])


def _to_user(row: sqlite3.Row) -> User:
    return User(
        id=UserId(row["id"]),
        org=row["org"],
        username=row["username"],
        role=row["role"],
        password_hash=row["password_hash"],
        password_version=row["password_version"],
        must_change_password=bool(row["must_change_password"]),
        disabled=bool(row["disabled"]),
        created_at=row["created_at"],
    )


def _to_session(row: sqlite3.Row) -> LoginSession:
    return LoginSession(
        id=SessionId(row["id"]),
        user_id=UserId(row["user_id"]),
        password_version=row["password_version"],
        csrf_token=row["csrf_token"],
        refresh_hash=row["refresh_hash"],
        created_at=row["created_at"],
        authenticated_at=row["authenticated_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
        address=row["address"],
        user_agent=row["user_agent"],
        revoked_at=row["revoked_at"],
    )
