"""The administration of users: roles, grants, lists of sessions, and the rule about second factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.access.model import TOTP_RULES, AuthState, LoginSession, Membership, Person, TotpRule, User, password_expired
from groundcontrol.access.oidc.model import source_of
from groundcontrol.access.store import ListedSession, UserAdminStore
from groundcontrol.adapters.sqlite.audit import Chain, has_several
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import place
from groundcontrol.adapters.sqlite.engine.reader import CommitCache, Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.rights import grants_to_json, shown_grants, to_grants, write_for_user
from groundcontrol.adapters.sqlite.users import (
    IN_ORG,
    LOGIN,
    MEMBER,
    SESSION,
    check_manages,
    check_session,
    initialised_at,
    insert_account,
    is_live,
    manages,
    revoke,
    to_session,
    to_user,
)
from groundcontrol.core.errors import Conflict, Forbidden, LastAdmin, NotFound
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import NO_ORG, Grants, Role, Scope
from groundcontrol.core.text import fold
from spider.clock import Clock

_PERSON: Final = (
    f"SELECT account.*, {MEMBER}, membership.source, membership.until, membership.reason,"  # noqa: S608 - built from constants only
    " (SELECT max(last_seen_at) FROM login WHERE login.account = account.no) AS seen, account.instance_admin = 0 AND NOT EXISTS"
    " (SELECT 1 FROM membership AS other WHERE other.account = account.no AND other.org <> membership.org) AS whole"
    " FROM account JOIN membership ON membership.account = account.no WHERE membership.org = ?"
)
MEMBERSHIP: Final = (
    "membership.source, membership.until, organisation.slug, organisation.name AS org_name, organisation.state AS org_state,"
    " organisation.require_totp AS rule"
)
"""The columns that `to_membership` reads besides `MEMBER`."""
_STANDING: Final = (
    f"SELECT account.*, {SESSION}, {MEMBER}, {MEMBERSHIP} FROM login JOIN account ON account.no = login.account"  # noqa: S608 - built from constants only
    " LEFT JOIN membership ON membership.account = account.no LEFT JOIN organisation ON organisation.no = membership.org"
    " WHERE login.id = ? ORDER BY membership.org"
)
"""One statement for everything that the check of a request needs: a row for each membership."""
_LISTED: Final = (
    f"SELECT login.no, {SESSION}, account.username FROM login JOIN account ON account.no = login.account"  # noqa: S608 - built from constants only
    " WHERE login.revoked_at IS NULL AND login.expires_at > ? AND (CAST(? AS TEXT) IS NULL OR account.id = ?) AND (account.id = ?"
    " OR (EXISTS (SELECT 1 FROM membership WHERE membership.account = account.no AND membership.org = ?) AND (? = 1"
    " OR (account.instance_admin = 0"
    " AND NOT EXISTS (SELECT 1 FROM membership WHERE membership.account = account.no AND membership.org <> ?)))))"
    " AND login.no < ? ORDER BY login.no DESC LIMIT ?"
)
"""The caller's own sessions, and those of accounts that `manages` allows."""
_ANY_ORG: Final = "SELECT account.*, NULL AS member_org, NULL AS role, NULL AS grants FROM account"
_INSTANCE_ADMINS: Final = (
    "SELECT account.*, NULL AS member_org, NULL AS role, NULL AS grants,"
    " (SELECT max(last_seen_at) FROM login WHERE login.account = account.no) AS seen"
    " FROM account WHERE instance_admin = 1 AND no > ? ORDER BY no LIMIT ?"
)


@serves("user_admin", UserAdminStore, urgent=True)
class SqliteUserAdmin(ControlStore):
    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock) -> None:
        super().__init__(writer, reader, chain, clock)
        self._fresh = CommitCache[AuthState](writer, reader, clock, _STANDING, _to_auth_state)

    async def auth_state(self, session: SessionId) -> AuthState | None:
        now = self._clock.now()
        found = await self._fresh.get(session)
        if found is None or found.user.disabled or found.session.revoked_at is not None or found.session.expires_at <= now:
            return None
        return found

    @command
    def create_user(self, tx: Tx, scope: Scope, user: User) -> User:
        known = tx.fetch_one(IN_ORG + " WHERE account.id = ?", scope.org, user.id)
        if known is not None:
            if to_user(known)._replace(instance_admin=user.instance_admin) != user:
                raise Conflict("this user id was used before")
            return to_user(known)
        if not scope.actor.instance_admin and has_several(tx):  # before it looks for the name, which others may have
            raise Forbidden("an admin of this hub makes accounts: offer a membership to a user who has one", action="instance.manage")
        if tx.fetch_one("SELECT 1 FROM account WHERE username_key = ?", fold(user.username)) is not None:
            where = "" if not scope.actor.instance_admin else ": if it is of another organisation, offer the user a membership"
            raise Conflict(f"there is a user named {user.username} already{where}", field="username")
        insert_account(tx, user._replace(org=scope.org, instance_admin=_instance_admin(tx, scope, user)))
        detail = {"username": user.username, "role": user.role, "grants": shown_grants(user.grants)}
        self._chain.write(tx, scope, "user.create", user.id, detail)
        return to_user(tx.fetch_all(IN_ORG + " WHERE account.id = ?", scope.org, user.id)[0])

    @query
    def person(self, rows: Rows, scope: Scope, username: str) -> Person:
        row = rows.fetch_one(_PERSON + " AND account.username_key = ?", scope.org, fold(username))
        if row is None:
            raise NotFound(_why_no_member(rows, scope, username))
        return _to_person(scope, row)

    @query
    def users(self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None) -> Page[Person]:
        at = place("users", scope.org, limit, cursor, 0)
        found = rows.fetch_all(_PERSON + " AND account.no > ? ORDER BY account.no LIMIT ?", scope.org, at.start, at.most)
        return at.page(found, lambda row: _to_person(scope, row))

    @query
    def instance_admins(self, rows: Rows, limit: int, cursor: str | None = None) -> Page[Person]:
        at = place("instance_admins", NO_ORG, limit, cursor, 0)
        return at.page(rows.fetch_all(_INSTANCE_ADMINS, at.start, at.most), lambda row: Person(to_user(row), row["seen"]))

    @command
    def edit_user(
        self,
        tx: Tx,
        scope: Scope,
        user: UserId,
        *,
        role: Role | None,
        disabled: bool | None,
        grants: Grants | None,
        all_nodes: bool = False,
    ) -> User:
        row = tx.fetch_one(IN_ORG + " WHERE account.id = ?", scope.org, user)
        if row is None or row["member_org"] is None:
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
        if after.role != before.role:
            after = after._replace(instance_admin=_instance_admin(tx, scope, after))
        if after.disabled != before.disabled:
            check_manages(tx, scope, row)
        if _rules(before) and not _rules(after) and not another_admin(tx, scope.org, before.id):
            raise LastAdmin("this is the last admin that can log in: make another admin first")
        if after.disabled and not before.disabled:
            _check_others_have_admins(tx, row["no"], before.id, scope.org)
        check_instance_admin_left(tx, before, after)
        kept = tx.fetch_one("SELECT 1 FROM organisation WHERE sso_only = 1 AND local_admin = ?", before.id)
        if kept is not None and _rules(before) and not _rules(after):
            raise LastAdmin("this admin alone may log in with a password: name another one under single sign-on first")
        tx.execute("UPDATE account SET disabled = ?, instance_admin = ? WHERE no = ?", after.disabled, after.instance_admin, row["no"])
        tx.execute(
            "UPDATE membership SET role = ?, grants = ? WHERE org = ? AND account = ?",
            *(after.role, grants_to_json(after.grants), scope.org, row["no"]),
        )
        if after.disabled:
            tx.execute("UPDATE login SET revoked_at = ? WHERE account = ? AND revoked_at IS NULL", tx.now, row["no"])
        detail = {"username": after.username, "role": after.role, "disabled": after.disabled, "grants": shown_grants(after.grants)}
        self._chain.write(tx, scope, "user.edit", user, detail)
        return after

    @query
    def listed_sessions(
        self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None, user: UserId | None = None
    ) -> Page[ListedSession]:
        at = place(f"sessions:{user or ''}", scope.org, limit, cursor)
        around = (scope.actor.id, scope.org, scope.actor.instance_admin, scope.org)
        found = rows.fetch_all(_LISTED, self._clock.now(), user, user, *around, at.start, at.most)
        return at.page(found, lambda row: ListedSession(to_session(row), row["username"]))

    @query
    def listed_session(self, rows: Rows, scope: Scope, session: SessionId) -> LoginSession:
        now = self._clock.now()
        row = rows.fetch_one(LOGIN, session)
        own = row is not None and row["user_id"] == scope.actor.id
        may = own or manages(rows, scope, 0 if row is None else row["account"])  # as in `revoke_session`
        if row is None or not is_live(row, now) or not may:
            raise NotFound("there is no such session")
        return to_session(row)

    @command
    def revoke_others(self, tx: Tx, by: Scope, user: UserId, keep: SessionId) -> int:
        check_session(tx, keep, user)
        others = tx.fetch_all(
            "SELECT login.no, login.id FROM login JOIN account ON account.no = login.account WHERE account.id = ?"
            " AND login.id <> ? AND login.revoked_at IS NULL AND login.expires_at > ?",
            *(user, keep, tx.now),
        )
        for row in others:
            revoke(tx, row)
        if others:
            write_for_user(self._chain, tx, by, user, "auth.session_end", user, {"sessions": len(others)})
        return len(others)

    async def totp_rule(self, scope: Scope) -> TotpRule:
        row = await self._reader.run(lambda rows: rows.fetch_one("SELECT require_totp FROM organisation WHERE no = ?", scope.org))
        if row is None:
            raise NotFound("there is no such organisation")
        return to_rule(row["require_totp"])

    @command
    def save_totp_rule(self, tx: Tx, scope: Scope, rule: TotpRule) -> None:
        if tx.execute(
            "UPDATE organisation SET require_totp = ?, version = version + 1 WHERE no = ? AND require_totp <> ?", rule, scope.org, rule
        ):
            self._chain.write(tx, scope, "settings.edit", "settings", {"second_factor": rule})


def _to_auth_state(rows: Sequence[Row]) -> AuthState:
    session = to_session(rows[0])
    counting = ("local", source_of(session.provider))
    found = tuple(to_membership(row) for row in rows if row["member_org"] is not None and row["source"] in counting)
    return AuthState(session, to_user(rows[0]), found)


def _to_person(scope: Scope, row: Row) -> Person:
    whole = bool(row["whole"]) or scope.actor.instance_admin
    return Person(to_user(row), row["seen"], row["source"], row["until"], row["reason"], whole)


def _why_no_member(rows: Rows, scope: Scope, username: str) -> str:
    """Why a user cannot be found in an organisation. Only the owner of the hub's machine is told of accounts elsewhere."""
    absent = "there is no user of this name"
    if scope.actor.kind != "local" or rows.fetch_one("SELECT 1 FROM account WHERE username_key = ?", fold(username)) is None:
        return absent
    slug = rows.fetch_all("SELECT slug FROM organisation WHERE no = ?", scope.org)[0]["slug"]
    known = f"the user {username} is of this hub, but no member of {slug}"
    if rows.fetch_one("SELECT 1 FROM membership_offer WHERE org = ? AND username_key = ?", scope.org, fold(username)) is not None:
        return f"{known}: the membership is offered, and the user must accept it first, in the page under Account"
    return f"{known}: name the user's own organisation, or offer a membership with `stardust member add {username} --org {slug}`"


def to_membership(row: Row) -> Membership:
    return Membership(
        org=row["member_org"],
        slug=row["slug"],
        name=row["org_name"],
        state=row["org_state"],
        role=row["role"],
        grants=to_grants(row["grants"]),
        require_totp=to_rule(row["rule"]),
        source=row["source"],
        until=row["until"],
    )


def to_rule(found: str) -> TotpRule:
    """Read a stored rule about second factors. A damaged rule is the strictest one, until an admin sets it again.

    Everybody can still log in, but without a second factor only set one up.
    """
    return next((rule for rule in TOTP_RULES if found == rule), TOTP_RULES[-1])


def _instance_admin(tx: Tx, scope: Scope, user: User) -> bool:
    """Whether this user administers the instance. While there is one organisation, its admins do, if an admin of the instance makes them."""
    if has_several(tx):
        return user.instance_admin
    return user.role == "admin" and (user.instance_admin or scope.actor.instance_admin)


def check_instance_admin_left(tx: Tx, before: User, after: User | None) -> None:
    """Raises: LastAdmin: after this change nobody administers the instance. `after` None: the account goes."""
    stays = after is not None and after.instance_admin and not after.disabled
    if not before.instance_admin or before.disabled or stays:
        return
    found = tx.fetch_all(_ANY_ORG + " WHERE account.instance_admin = 1 AND account.disabled = 0 AND account.id <> ?" + _LOCAL, before.id)
    first_at = initialised_at(tx)
    if all(password_expired(to_user(row), first_at, tx.now) for row in found):
        raise LastAdmin("this is the last admin of the hub that can log in: make another one first")


def _rules(user: User) -> bool:
    return user.role == "admin" and not user.disabled


_LOCAL: Final = " AND account.password_hash <> ''"
"""Accounts with a password. An admin whom only a provider can prove is not enough: the provider may go away."""
_OF_ADMIN: Final = " AND membership.source = 'local'"
"""Memberships that an admin gave. One of a provider may end at the next log-in."""


def _check_others_have_admins(tx: Tx, account: int, user: UserId, org: int) -> None:
    """Check that a disabled account leaves an admin to each of its other organisations. Raises: LastAdmin."""
    sql = (
        "SELECT membership.org, organisation.slug FROM membership JOIN organisation ON organisation.no = membership.org"
        " WHERE membership.account = ? AND membership.org <> ? AND membership.role = 'admin' AND membership.until IS NULL"
    )
    for row in tx.fetch_all(sql, account, org):
        if not another_admin(tx, row["org"], user):
            raise LastAdmin(f"this is the last admin of {row['slug']} that can log in: make another admin there first")


def another_admin(tx: Tx, org: int, but: UserId) -> bool:
    """Whether another admin of this organisation can log in."""
    found = tx.fetch_all(
        IN_ORG
        + " WHERE membership.role = 'admin' AND membership.until IS NULL AND account.disabled = 0 AND account.id <> ?"
        + _LOCAL
        + _OF_ADMIN,
        org,
        but,
    )
    first_at = initialised_at(tx)
    return any(not password_expired(to_user(row), first_at, tx.now) for row in found)
