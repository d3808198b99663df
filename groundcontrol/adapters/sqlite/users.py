"""Users, their log-in sessions, and rate limits."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from groundcontrol.access.model import LoginSession, User
from groundcontrol.access.store import ADDRESS_LIFETIME_S, MAX_ADDRESSES, Bucket, LoginLookup, SetUp, UserStore
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.facts import setting
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.rights import grants_to_json, to_grants, write_for_user
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.scope import DEFAULT_ORG, NO_ORG, Actor, Grants, Role, Scope
from groundcontrol.core.text import fold

_RETENTION_S: Final = 30 * 86400.0
"""How long the row of a session stays stored after the session has expired."""
SESSION: Final = (
    "login.id AS session_id, account.id AS user_id, login.password_version AS session_version, login.created_at AS opened_at,"
    " login.csrf_token, login.refresh_hash, login.authenticated_at, login.last_seen_at, login.expires_at, login.address, login.user_agent,"
    " login.revoked_at, login.second_factor, login.provider"
)
"""The columns that `to_session` reads, under names that differ from the columns of `account`."""
LOGIN: Final = f"SELECT login.*, {SESSION}, account.username FROM login JOIN account ON account.no = login.account WHERE login.id = ?"  # noqa: S608 - built from constants only

MEMBER: Final = "membership.org AS member_org, membership.role, membership.grants"
"""The columns that `to_user` reads besides those of `account`."""
IN_ORG: Final = f"SELECT account.*, {MEMBER} FROM account LEFT JOIN membership ON membership.account = account.no AND membership.org = ?"  # noqa: S608 - built from constants only
"""Accounts with their rights in one organisation."""
IN_FIRST: Final = (
    f"SELECT account.*, {MEMBER} FROM account LEFT JOIN membership ON membership.account = account.no"  # noqa: S608 - built from constants only
    " AND membership.org = (SELECT min(org) FROM membership AS first WHERE first.account = account.no)"
)
"""Accounts with their rights in their first organisation."""

_END_TOKENS: Final = "UPDATE api_token SET revoked_at = ? WHERE account = ? AND revoked_at IS NULL AND expires_at > ?"
_LOGIN_LOOKUP: Final = (
    "WITH who AS (SELECT max(no) AS no, max(id) AS id, max(password_version) AS password_version"
    " FROM (SELECT no, id, password_version FROM account WHERE username_key = ? ORDER BY no LIMIT 1) AS named)"
    " SELECT id, password_version, EXISTS (SELECT 1 FROM place WHERE account = who.no AND hash = ?"
    " AND (seen_at > ? OR seen_at = (SELECT max(seen_at) FROM place WHERE account = who.no))) AS known FROM who"
)
"""This query returns exactly one row, even if no user has the name."""


@serves("users", UserStore, urgent=True)
class SqliteUsers(ControlStore):
    @query
    def set_up(self, rows: Rows) -> SetUp:
        has_users = rows.fetch_one("SELECT 1 FROM account LIMIT 1") is not None
        return SetUp(initialised_at(rows), setting(rows, "setup_code_hash"), has_users)

    @command
    def create_first_admin(self, tx: Tx, user: User, setup_code_hash: bytes, at: float) -> None:
        done = setting(tx, "first_admin")
        if done == user.id.encode():
            return
        if done is not None or tx.fetch_one("SELECT 1 FROM account") is not None:
            raise Conflict("the first administrator was created before")
        insert_account(tx, user)
        for name, value in (
            ("first_admin", user.id.encode()),
            ("initialised_at", struct.pack("<d", at)),
            ("setup_code_hash", setup_code_hash),
        ):
            tx.execute("INSERT INTO fact VALUES (?, ?)", name, value)
        system = Scope(Actor("system", "system", "system", "admin"), user.org)
        self._chain.write(tx, system, "user.create", user.id, {"username": user.username, "role": user.role})

    async def user(self, user: UserId) -> User | None:
        row = await self._reader.run(lambda rows: rows.fetch_one(IN_FIRST + " WHERE account.id = ?", user))
        return None if row is None else to_user(row)

    async def user_by_name(self, username: str) -> User | None:
        row = await self._reader.run(
            lambda rows: rows.fetch_one(IN_FIRST + " WHERE account.username_key = ? ORDER BY account.no", fold(username))
        )
        return None if row is None else to_user(row)

    async def lookup_login(self, username: str, address: bytes) -> LoginLookup:
        since = self._clock.now() - ADDRESS_LIFETIME_S
        row = await self._reader.run(lambda rows: rows.fetch_one(_LOGIN_LOOKUP, fold(username), address, since))
        if row is None or row["id"] is None:
            return LoginLookup(None, known=False)
        return LoginLookup(UserId(row["id"]), bool(row["known"]), row["password_version"])

    @command
    def save_password(self, tx: Tx, by: Scope, user: UserId, password_hash: str, keep: SessionId | None, *, must_change: bool) -> User:
        """A password that need not be changed also ends the setup code. `keep` None means that an admin sets the password. Somebody else may
        have used the account before, so the user's tokens end and earlier orders become invalid."""
        row = tx.fetch_one(IN_ORG + " WHERE account.id = ?", by.org, user)
        if row is None:
            raise NotFound(f"there is no user {user}")
        if keep is None:
            check_manages(tx, by, row)
        if (row["password_hash"], bool(row["must_change_password"])) == (password_hash, must_change):
            return to_user(row)
        if keep is not None:
            check_session(tx, keep, user)
        version = row["password_version"] + 1
        tx.execute(
            "UPDATE account SET password_hash = ?, password_version = ?, must_change_password = ?, password_at = ? WHERE no = ?",
            *(password_hash, version, must_change, tx.now if must_change else None, row["no"]),
        )
        tx.execute("UPDATE login SET revoked_at = ? WHERE account = ? AND revoked_at IS NULL AND id <> ?", tx.now, row["no"], keep or "")
        tx.execute("UPDATE login SET password_version = ? WHERE account = ? AND revoked_at IS NULL", version, row["no"])
        detail: dict[str, object] = {"must_change": must_change}
        if keep is None:
            tx.execute("UPDATE account SET reset_at = ? WHERE no = ?", tx.now, row["no"])
            ended = tx.execute(_END_TOKENS, tx.now, row["no"], tx.now)
            detail |= {"programs_ended": ended} if ended else {}
        if not must_change:
            tx.execute("DELETE FROM fact WHERE name = 'setup_code_hash'")
        write_for_user(self._chain, tx, by, user, "auth.password", user, detail)
        return to_user(tx.fetch_all(IN_ORG + " WHERE account.no = ?", by.org, row["no"])[0])

    async def open_session(self, session: LoginSession, audit: AuditEntry, address: bytes) -> None:
        await self._writer.run(lambda tx: open_login(tx, self._chain, session, audit, address))

    async def refresh_session(self, session: SessionId, spent: bytes, fresh: bytes, at: float, expires_at: float) -> LoginSession:
        def command(tx: Tx) -> LoginSession | None:
            row = tx.fetch_one(LOGIN, session)
            if row is None or not is_live(row, tx.now):
                return None
            if hmac.compare_digest(row["refresh_hash"], fresh) and row["spent_hash"] == spent:
                return to_session(row)
            if not hmac.compare_digest(row["refresh_hash"], spent):
                revoke(tx, row)
                actor = Actor("user", row["user_id"], row["username"], "viewer")
                write_for_user(self._chain, tx, Scope(actor, NO_ORG), row["user_id"], "auth.refresh_reused", session, result="refused")
                return None  # the error is raised after the commit, since an error here would roll back the revocation
            tx.execute(
                "UPDATE login SET refresh_hash = ?, spent_hash = ?, last_seen_at = ?, expires_at = ? WHERE no = ?",
                *(fresh, spent, at, expires_at, row["no"]),
            )
            return to_session(tx.fetch_all(LOGIN, session)[0])

        after = await self._writer.run(command)
        if after is None:
            raise Conflict("this session is over")
        return after

    @command
    def step_up(self, tx: Tx, session: SessionId, at: float) -> None:
        row = tx.fetch_one(LOGIN, session)
        if row is None or not is_live(row, tx.now):
            raise NotFound("this session is over")
        if row["authenticated_at"] >= at:
            return
        tx.execute(
            "UPDATE login SET authenticated_at = ?, last_seen_at = CASE WHEN last_seen_at > ? THEN last_seen_at ELSE ? END WHERE no = ?",
            at,
            at,
            at,
            row["no"],
        )
        actor = Actor("user", row["user_id"], row["username"], "viewer", row["address"])
        write_for_user(self._chain, tx, Scope(actor, NO_ORG), row["user_id"], "auth.step_up", session)

    @command
    def revoke_session(self, tx: Tx, by: Scope, session: SessionId) -> None:
        row = tx.fetch_one(LOGIN, session)
        own = row is not None and row["user_id"] == by.actor.id
        may = own or manages(tx, by, 0 if row is None else row["account"])  # asked of an absent one too: it costs the same time
        if row is None or not may:
            raise NotFound("there is no such session")
        if row["revoked_at"] is None:
            revoke(tx, row)
            write_for_user(
                self._chain, tx, by, row["user_id"], "auth.logout" if own else "auth.session_end", session, {"user": row["username"]}
            )

    async def reserve_attempt(self, buckets: Mapping[str, Bucket], at: float) -> float:
        return await self._writer.run(lambda tx: reserve(tx, buckets, at))

    @command
    def clear_attempts(self, tx: Tx, buckets: Sequence[str], beginnings: Sequence[str] = ()) -> None:
        for bucket in buckets:
            tx.execute("DELETE FROM attempt WHERE bucket = ?", bucket)
        for beginning in beginnings:
            tx.execute("DELETE FROM attempt WHERE bucket >= ? AND bucket < ?", beginning, beginning[:-1] + chr(ord(beginning[-1]) + 1))


def open_login(tx: Tx, chain: Chain, session: LoginSession, audit: AuditEntry, address: bytes) -> bool:
    """`UserStore.open_session` within a transaction. Returns: False: a repeated call, which changes nothing."""
    user = tx.fetch_one("SELECT * FROM account WHERE id = ?", session.user_id)
    if user is None:
        raise NotFound(f"there is no user {session.user_id}")
    known = tx.fetch_one(LOGIN, session.id)
    if known is not None:
        if to_session(known) != session:
            raise Conflict("this session id was used before")
        return False
    proven = user["password_version"] == session.password_version and (user["totp_since"] is None or session.second_factor)
    if user["disabled"] or not proven:
        raise Conflict("the account was changed while its password was checked")
    tx.execute("DELETE FROM login WHERE expires_at < ?", tx.now - _RETENTION_S)
    tx.execute(
        "INSERT INTO login (org, id, account, password_version, csrf_token, refresh_hash, created_at, authenticated_at,"
        " last_seen_at, expires_at, address, user_agent, revoked_at, second_factor, provider)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(user["org"], session.id, user["no"], session.password_version, session.csrf_token, session.refresh_hash),
        *(session.created_at, session.authenticated_at, session.last_seen_at, session.expires_at),
        *(session.address, session.user_agent, session.revoked_at, session.second_factor, session.provider),
    )
    _remember(tx, user, address, session.created_at)
    write_for_user(chain, tx, Scope(audit.actor, NO_ORG), session.user_id, audit.action, audit.target, audit.detail, audit.result)
    return True


def _remember(tx: Tx, user: Row, address: bytes, at: float) -> None:
    tx.execute(
        "INSERT INTO place VALUES (?, ?, ?, ?) ON CONFLICT (org, account, hash) DO UPDATE"
        " SET seen_at = CASE WHEN place.seen_at > excluded.seen_at THEN place.seen_at ELSE excluded.seen_at END",
        *(user["org"], user["no"], address, at),
    )
    tx.execute(
        "DELETE FROM place WHERE account = ? AND hash <> ? AND (seen_at <= ? OR hash NOT IN"
        " (SELECT hash FROM place WHERE account = ? ORDER BY seen_at DESC, hash LIMIT ?))",
        *(user["no"], address, at - ADDRESS_LIFETIME_S, user["no"], MAX_ADDRESSES),
    )


def insert_account(tx: Tx, user: User) -> None:
    """Store an account, and its membership of `user.org`; `NO_ORG`: none."""
    account = tx.fetch_all(
        "INSERT INTO account (org, id, username, username_key, password_hash, password_version, must_change_password, disabled,"
        " created_at, password_at, instance_admin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING no",
        *(DEFAULT_ORG, user.id, user.username, fold(user.username), user.password_hash, user.password_version),
        *(user.must_change_password, user.disabled, user.created_at, user.password_at, user.instance_admin),
    )[0]["no"]
    if user.org != NO_ORG:
        insert_membership(tx, user.org, account, user.role, user.grants, "local", user.created_at)


def insert_membership(
    tx: Tx,
    org: int,
    account: int,
    role: Role,
    grants: Grants | None,
    source: str,
    at: float,
    *,
    until: float | None = None,
    reason: str = "",
) -> None:
    tx.execute(
        "INSERT INTO membership (org, account, role, grants, source, until, reason, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        *(org, account, role, grants_to_json(grants), source, until, reason, at),
    )


def manages(rows: Rows, scope: Scope, account: int) -> bool:
    """Whether an admin of this organisation may manage an account, which belongs to the instance: only if it is wholly in the organisation."""
    orgs = [row["org"] for row in rows.fetch_all("SELECT org FROM membership WHERE account = ?", account)]
    if scope.org not in orgs:
        return False
    if scope.actor.instance_admin:
        return True
    return orgs == [scope.org] and rows.fetch_one("SELECT 1 FROM account WHERE no = ? AND instance_admin = 0", account) is not None


def check_manages(rows: Rows, scope: Scope, account: Row) -> None:
    """The owner of the data folder manages every account. Raises: NotFound: the account is no member. Conflict: the account is not wholly
    in this organisation."""
    if scope.actor.kind == "local":
        return
    if account["member_org"] is None:
        raise NotFound("there is no such user")
    if not manages(rows, scope, account["no"]):
        raise Conflict("this account does not belong to this organisation alone: you can only remove it from the organisation")


def is_live(login: Row, now: float) -> bool:
    """Whether a row of `login` is a valid session. `now`: Unix seconds."""
    return login["revoked_at"] is None and login["expires_at"] > now


def check_session(tx: Tx, session: SessionId, user: UserId) -> None:
    """Check that this is a valid session of the user.

    Raises: NotFound.
    """
    login = tx.fetch_one(LOGIN, session)
    if login is None or login["user_id"] != user or not is_live(login, tx.now):
        raise NotFound("this session is over")


def initialised_at(rows: Rows) -> float | None:
    """When the first admin was created, Unix seconds; None: unknown."""
    found = setting(rows, "initialised_at")
    return None if found is None else struct.unpack("<d", found)[0]


def revoke(tx: Tx, login: Row) -> None:
    """End one session."""
    tx.execute("UPDATE login SET revoked_at = ? WHERE no = ?", tx.now, login["no"])


def to_user(row: Row) -> User:
    return User(
        id=UserId(row["id"]),
        org=NO_ORG if row["member_org"] is None else row["member_org"],
        username=row["username"],
        role=row["role"] or "viewer",
        password_hash=row["password_hash"],
        password_version=row["password_version"],
        must_change_password=bool(row["must_change_password"]),
        disabled=bool(row["disabled"]),
        created_at=row["created_at"],
        grants=to_grants(row["grants"]),
        password_at=row["password_at"],
        totp_version=row["totp_version"],
        totp_since=row["totp_since"],
        instance_admin=bool(row["instance_admin"]),
    )


def to_session(row: Row) -> LoginSession:
    """Read the columns `SESSION` of a row."""
    return LoginSession(
        id=SessionId(row["session_id"]),
        user_id=UserId(row["user_id"]),
        password_version=row["session_version"],
        csrf_token=row["csrf_token"],
        refresh_hash=row["refresh_hash"],
        created_at=row["opened_at"],
        authenticated_at=row["authenticated_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
        address=row["address"],
        user_agent=row["user_agent"],
        revoked_at=row["revoked_at"],
        second_factor=bool(row["second_factor"]),
        provider=row["provider"],
    )


def reserve(tx: Tx, buckets: Mapping[str, Bucket], at: float) -> float:
    """Count one attempt in every bucket, or in none if one is full. The window slides.

    Args:    buckets: name -> limit; at: Unix seconds.
    Returns: 0.0: the attempt was counted; else the seconds until every bucket admits it, at most a window, even if the clock was set back.
    """
    tx.execute("DELETE FROM attempt WHERE until <= ?", at)
    wait, counted = 0.0, {}
    for bucket, rule in buckets.items():
        row = tx.fetch_one("SELECT times FROM attempt WHERE bucket = ?", bucket)
        known = () if row is None else struct.unpack(f"<{len(row['times']) // 8}d", row["times"])
        times = [time for time in (min(time, at) for time in known) if time > at - rule.window_s]
        if known and known[-1] > at:  # the clock has jumped back: store the corrected times although this attempt may be refused
            _save_attempts(tx, bucket, times, at + rule.window_s)
        if len(times) >= rule.limit:
            room = times[len(times) - rule.limit] + rule.window_s - at
            wait = max(wait, room if rule.every_s is None else min(room, times[-1] + rule.every_s - at))
        counted[bucket] = [*times, at]
    if wait > 0.0:
        return wait
    for bucket, times in counted.items():
        _save_attempts(tx, bucket, times, at + buckets[bucket].window_s)
    return 0.0


def _save_attempts(tx: Tx, bucket: str, times: Sequence[float], until: float) -> None:
    tx.execute(
        "INSERT INTO attempt VALUES (?, ?, ?) ON CONFLICT (bucket) DO UPDATE SET times = excluded.times, until = excluded.until",
        bucket,
        struct.pack(f"<{len(times)}d", *times),
        until,
    )
