"""The administration of users: roles, grants, lists of sessions, and the rule about second factors."""

from __future__ import annotations

from typing import Final

from groundcontrol.access.model import TOTP_RULES, AuthState, LoginSession, Person, TotpRule, User, password_expired
from groundcontrol.access.store import ListedSession
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.facts import save_fact, setting
from groundcontrol.adapters.sqlite.engine.json_codec import record_to_json
from groundcontrol.adapters.sqlite.engine.pagination import check_limit, make_cursor, read_cursor
from groundcontrol.adapters.sqlite.engine.reader import CommitCache, Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.users import LOGIN, SESSION, check_session, initialised_at, is_live, revoke, to_session, to_user
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Grants, Role, Scope
from groundcontrol.core.text import fold
from spider.clock import Clock

_PERSON: Final = "SELECT account.*, (SELECT max(last_seen_at) FROM login WHERE login.account = account.no) AS seen FROM account"
RULE: Final = "(SELECT value FROM fact WHERE name = 'require_totp') AS rule"
_STANDING: Final = f"SELECT account.*, {SESSION}, {RULE} FROM login JOIN account ON account.no = login.account WHERE login.id = ?"  # noqa: S608 - built from constants only
"""One statement for everything that the check of a request needs."""
_LISTED: Final = (
    f"SELECT login.no, {SESSION}, account.username FROM login JOIN account ON account.no = login.account"  # noqa: S608 - built from constants only
    " WHERE login.org = ? AND login.revoked_at IS NULL AND login.expires_at > ? AND (CAST(? AS TEXT) IS NULL OR account.id = ?)"
    " AND login.no < ? ORDER BY login.no DESC LIMIT ?"
)
_LAST: Final = (1 << 63) - 1


class SqliteUserAdmin:
    """`UserAdminStore`."""

    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._fresh = CommitCache[AuthState](writer, reader, clock, _STANDING, _to_auth_state)
        self._chain = chain
        self._clock = clock

    async def auth_state(self, session: SessionId) -> AuthState | None:
        now = self._clock.now()
        found = await self._fresh.get(session)
        if found is None or found.user.disabled or found.session.revoked_at is not None or found.session.expires_at <= now:
            return None
        return found

    async def create_user(self, scope: Scope, user: User) -> User:
        def command(tx: Tx) -> User:
            known = tx.fetch_one("SELECT * FROM account WHERE id = ?", user.id)
            if known is not None:
                if to_user(known) != user:
                    raise Conflict("this user id was used before")
                return user
            if tx.fetch_one("SELECT 1 FROM account WHERE username_key = ?", fold(user.username)) is not None:
                raise Conflict(f"there is a user named {user.username} already", field="username")
            tx.execute(
                "INSERT INTO account (org, id, username, username_key, role, password_hash, password_version, must_change_password,"
                " disabled, created_at, grants, password_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(scope.org, user.id, user.username, fold(user.username), user.role, user.password_hash, user.password_version),
                *(user.must_change_password, user.disabled, user.created_at, _grants(user.grants), user.password_at),
            )
            detail = {"username": user.username, "role": user.role, "grants": _shown(user.grants)}
            self._chain.write(tx, scope, "user.create", user.id, detail)
            return to_user(tx.fetch_all("SELECT * FROM account WHERE id = ?", user.id)[0])

        return await self._writer.run(command)

    async def person(self, scope: Scope, username: str) -> Person:
        row = await self._reader.run(
            lambda rows: rows.fetch_one(_PERSON + " WHERE account.org = ? AND account.username_key = ?", scope.org, fold(username))
        )
        if row is None:
            raise NotFound("there is no user of this name")
        return Person(to_user(row), row["seen"])

    async def users(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Person]:
        size = check_limit(limit)
        after = 0 if cursor is None else read_cursor(cursor, "users", scope.org, int)[0]
        found = await self._reader.run(
            lambda rows: rows.fetch_all(
                _PERSON + " WHERE account.org = ? AND account.no > ? ORDER BY account.no LIMIT ?", scope.org, after, size + 1
            )
        )
        items = [Person(to_user(row), row["seen"]) for row in found[:size]]
        return Page(items, make_cursor("users", scope.org, found[size - 1]["no"]) if len(found) > size else None)

    async def edit_user(
        self, scope: Scope, user: UserId, *, role: Role | None, disabled: bool | None, grants: Grants | None, all_nodes: bool = False
    ) -> User:
        def command(tx: Tx) -> User:
            row = tx.fetch_one("SELECT * FROM account WHERE org = ? AND id = ?", scope.org, user)
            if row is None:
                raise NotFound("there is no such user")
            before = to_user(row)
            after = before._replace(
                role=before.role if role is None else role,
                disabled=before.disabled if disabled is None else disabled,
                grants=None if all_nodes else before.grants if grants is None else grants,
            )
            if after.role == "admin" and after.grants is not None:
                raise Conflict("an admin sees every node: also remove the limit to some nodes", field="grants")
            if after == before:
                return before
            if _rules(before) and not _rules(after) and not _another_admin(tx, scope.org, before.id):
                raise Conflict("this is the last admin that can log in: make another admin first")
            tx.execute(
                "UPDATE account SET role = ?, disabled = ?, grants = ? WHERE no = ?",
                *(after.role, after.disabled, _grants(after.grants), row["no"]),
            )
            if after.disabled:
                tx.execute("UPDATE login SET revoked_at = ? WHERE account = ? AND revoked_at IS NULL", tx.now, row["no"])
            detail = {"username": after.username, "role": after.role, "disabled": after.disabled, "grants": _shown(after.grants)}
            self._chain.write(tx, scope, "user.edit", user, detail)
            return after

        return await self._writer.run(command)

    async def listed_sessions(self, scope: Scope, limit: int, cursor: str | None = None, user: UserId | None = None) -> Page[ListedSession]:
        size = check_limit(limit)
        kind = f"sessions:{user or ''}"
        before = _LAST if cursor is None else read_cursor(cursor, kind, scope.org, int)[0]
        now = self._clock.now()
        found = await self._reader.run(lambda rows: rows.fetch_all(_LISTED, scope.org, now, user, user, before, size + 1))
        items = [ListedSession(to_session(row), row["username"]) for row in found[:size]]
        return Page(items, make_cursor(kind, scope.org, found[size - 1]["no"]) if len(found) > size else None)

    async def listed_session(self, scope: Scope, session: SessionId) -> LoginSession:
        now = self._clock.now()
        row = await self._reader.run(lambda rows: rows.fetch_one(LOGIN, session))
        if row is None or row["org"] != scope.org or not is_live(row, now):
            raise NotFound("there is no such session")
        return to_session(row)

    async def revoke_others(self, scope: Scope, user: UserId, keep: SessionId) -> int:
        def command(tx: Tx) -> int:
            check_session(tx, keep, user)
            others = tx.fetch_all(
                "SELECT login.no, login.id FROM login JOIN account ON account.no = login.account WHERE account.org = ? AND account.id = ?"
                " AND login.id <> ? AND login.revoked_at IS NULL AND login.expires_at > ?",
                *(scope.org, user, keep, tx.now),
            )
            for row in others:
                revoke(tx, row)
            if others:
                self._chain.write(tx, scope, "auth.session_end", user, {"sessions": len(others)})
            return len(others)

        return await self._writer.run(command)

    async def totp_rule(self) -> TotpRule:
        return await self._reader.run(rule_of)

    async def save_totp_rule(self, scope: Scope, rule: TotpRule) -> None:
        def command(tx: Tx) -> None:
            stored = setting(tx, "require_totp")
            if (b"none" if stored is None else stored) != rule.encode():
                save_fact(tx, "require_totp", rule.encode())
                self._chain.write(tx, scope, "settings.edit", "settings", {"second_factor": rule})

        await self._writer.run(command)


def _to_auth_state(row: Row) -> AuthState:
    return AuthState(to_session(row), to_user(row), to_rule(row["rule"]))


def rule_of(rows: Rows) -> TotpRule:
    """The stored rule about second factors."""
    return to_rule(setting(rows, "require_totp"))


def to_rule(found: object) -> TotpRule:
    """Read a stored rule; None: nobody has set one. A damaged rule is the strictest one, until an admin sets it again.

    Everybody can still log in, but without a second factor only set one up.
    """
    if found is None:
        return "none"
    return next((rule for rule in TOTP_RULES if found == rule.encode()), TOTP_RULES[-1])


def _grants(grants: Grants | None) -> str | None:
    return None if grants is None else record_to_json(grants)


def _shown(grants: Grants | None) -> object:
    return "every node" if grants is None else grants._asdict()


def _rules(user: User) -> bool:
    return user.role == "admin" and not user.disabled


def _another_admin(tx: Tx, org: int, but: UserId) -> bool:
    """Whether another admin can log in."""
    found = tx.fetch_all("SELECT * FROM account WHERE org = ? AND role = 'admin' AND disabled = 0 AND id <> ?", org, but)
    first_at = initialised_at(tx)
    return any(not password_expired(to_user(row), first_at, tx.now) for row in found)
