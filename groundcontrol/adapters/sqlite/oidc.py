"""Providers of single sign-on, links of accounts, and the sessions that providers opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.access.model import LoginSession, User
from groundcontrol.access.oidc.errors import OidcLinked
from groundcontrol.access.oidc.model import HINT_TABLE, MOST_PROVIDERS, SEALED_TABLE, Link, Provider, SsoRule, SsoSession, source_of
from groundcontrol.access.oidc.store import Ended, Granted, OidcStore
from groundcontrol.adapters.sqlite.audit import scope_of_hub
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json, record_to_json
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.rights import grants_to_json, write_for_user
from groundcontrol.adapters.sqlite.secrets import insert, shred
from groundcontrol.adapters.sqlite.users import IN_FIRST, open_login, revoke, to_user
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.errors import Conflict, NotFound, StoreError
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.scope import DEFAULT_ORG, NO_ORG, Actor, Scope
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.core.text import fold

_LINK: Final = "SELECT oidc_link.*, account.id AS user_id, account.username FROM oidc_link JOIN account ON account.no = oidc_link.account"
_LIVE: Final = (
    "SELECT login.no, login.org, login.id AS session_id, account.id AS user_id, account.username FROM login JOIN account ON account.no = login.account"
    " JOIN oidc_session ON oidc_session.login = login.no WHERE login.revoked_at IS NULL AND login.expires_at > ?"
)


_LOCAL_ADMIN: Final = (
    "SELECT 1 FROM membership JOIN account ON account.no = membership.account WHERE account.id = ? AND membership.org = ?"
    " AND membership.role = 'admin' AND membership.source = 'local' AND membership.until IS NULL AND account.disabled = 0"
    " AND account.password_hash <> '' AND account.must_change_password = 0"
)
_OF_MEMBERS: Final = (
    "SELECT login.no, login.id AS session_id, account.id AS user_id FROM login JOIN account ON account.no = login.account"
    " JOIN membership ON membership.account = account.no AND membership.org = ?"
    " WHERE login.provider = '' AND account.id <> ? AND login.revoked_at IS NULL AND login.expires_at > ?"
)
"""The live sessions of members of an organisation that were opened with a password, but those of one user."""
_NEEDS_PROVIDER: Final = (
    "SELECT 1 FROM membership JOIN account ON account.no = membership.account JOIN organisation ON organisation.no = membership.org"
    " WHERE account.id = ? AND organisation.sso_only = 1 AND membership.until IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM organisation AS kept WHERE kept.sso_only = 1 AND kept.local_admin = account.id) LIMIT 1"
)
"""The one local admin of an organisation logs in with a password whatever other organisations ask for: that is the way back."""
_BELONGS: Final = (
    "SELECT 1 FROM membership JOIN account ON account.no = membership.account WHERE account.id = ?"
    " AND (membership.until IS NULL OR membership.until > ?) AND membership.source IN ('local', ?) LIMIT 1"
)
_ACCOUNT: Final = "SELECT * FROM account WHERE no = ?"


@serves("oidc", OidcStore, urgent=True)
class SqliteOidc(ControlStore):
    # -- providers -----------------------------------------------------------------------

    async def providers(self) -> Sequence[Provider]:
        rows = await self._reader.run(lambda rows: rows.fetch_all("SELECT * FROM oidc_provider ORDER BY name"))
        return [provider for row in rows if (provider := _readable(row)) is not None]

    @command
    def create_provider(self, tx: Tx, by: Scope, provider: Provider, secret: SealedRecord | None) -> Provider:
        known = _row(tx, provider.id)
        if known is not None:
            if _to_provider(known) != provider:
                raise Conflict("this id of a provider was used before")
            return provider
        if tx.fetch_all("SELECT count(*) AS n FROM oidc_provider")[0]["n"] >= MOST_PROVIDERS:
            raise Conflict(f"there are {MOST_PROVIDERS} providers: delete some first")
        _check_name(tx, provider)
        tx.execute("INSERT INTO oidc_provider VALUES (?, ?, ?, ?)", provider.id, provider.version, provider.name, record_to_json(provider))
        _replace_secret(tx, provider, secret)
        self._chain.write(tx, scope_of_hub(tx, by), "oidc_provider.create", provider.id, _detail(provider))
        return provider

    @command
    def save_provider(
        self, tx: Tx, by: Scope, provider: Provider, secret: SealedRecord | None, *, end_sessions: bool
    ) -> tuple[Provider, Sequence[Ended]]:
        row = _row(tx, provider.id)
        if row is None:
            raise NotFound("there is no such provider")
        before, after = _readable(row), provider._replace(version=provider.version + 1)
        if before is not None and before == after:
            return after, []  # a repeated call
        _check_name(tx, after)
        changed = tx.execute(
            "UPDATE oidc_provider SET version = ?, name = ?, body = ? WHERE id = ? AND version = ?",
            *(after.version, after.name, record_to_json(after), after.id, provider.version),
        )
        if not changed:
            raise Conflict("this provider has changed meanwhile: load it again", version=row["version"])
        _replace_secret(tx, after, secret)
        if before is not None and before.name != after.name:
            tx.execute("UPDATE oidc_link SET provider = ? WHERE provider = ?", after.name, before.name)
            tx.execute("UPDATE login SET provider = ? WHERE provider = ?", after.name, before.name)
            tx.execute("UPDATE membership SET source = ? WHERE source = ?", source_of(after.name), source_of(before.name))
        ended = self._end_of_provider(tx, after.name) if end_sessions else []
        detail = {**_detail(after), "secret_changed": secret is not None, "sessions_ended": len(ended)}
        self._chain.write(tx, scope_of_hub(tx, by), "oidc_provider.edit", after.id, detail)
        return after, ended

    @command
    def delete_provider(self, tx: Tx, by: Scope, provider: str) -> Sequence[Ended]:
        row = _row(tx, provider)
        if row is None:
            return []
        tx.execute("DELETE FROM oidc_provider WHERE id = ?", provider)
        _shred_secret(tx, provider)
        ended = self._end_of_provider(tx, row["name"])
        for one in tx.fetch_all("SELECT DISTINCT account FROM membership WHERE source = ?", source_of(row["name"])):
            self._replace_memberships(tx, by.actor, tx.fetch_all(_ACCOUNT, one["account"])[0], row["name"], ())
        self._chain.write(tx, scope_of_hub(tx, by), "oidc_provider.delete", provider, {"name": row["name"], "sessions_ended": len(ended)})
        return ended

    def _end_of_provider(self, tx: Tx, name: str) -> list[Ended]:
        return _end(tx, tx.fetch_all(_LIVE + " AND login.provider = ?", tx.now, name))

    # -- links ---------------------------------------------------------------------------

    @query
    def account_of(self, rows: Rows, issuer: str, subject: str) -> tuple[Link, User] | None:
        row = rows.fetch_one(_LINK + " WHERE issuer = ? AND subject = ?", issuer, subject)
        if row is None:
            return None
        return _LINKS.read(row), to_user(rows.fetch_all(IN_FIRST + " WHERE account.no = ?", row["account"])[0])

    async def links(self, user: UserId) -> Sequence[Link]:
        rows = await self._reader.run(lambda rows: rows.fetch_all(_LINK + " WHERE account.id = ? ORDER BY oidc_link.no", user))
        return [_LINKS.read(row) for row in rows]

    @command
    def create_account(self, tx: Tx, actor: Actor, user: User, link: Link, granted: Sequence[Granted]) -> tuple[Link, User]:
        known = tx.fetch_one(_LINK + " WHERE issuer = ? AND subject = ?", link.issuer, link.subject)
        if known is None:
            name = _free_name(tx, user.username)
            tx.execute(
                "INSERT INTO account (org, id, username, username_key, password_hash, password_version, must_change_password,"
                " disabled, created_at, instance_admin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(DEFAULT_ORG, user.id, name, fold(name), user.password_hash, user.password_version, user.must_change_password),
                *(user.disabled, user.created_at, 0),
            )
            account = tx.fetch_all("SELECT * FROM account WHERE id = ?", user.id)[0]
            self._replace_memberships(tx, actor, account, link.provider, granted)
            write_for_user(
                self._chain, tx, Scope(actor, NO_ORG), user.id, "user.create", user.id, {"username": name, "provider": link.provider}
            )
            self._insert_link(tx, Scope(actor, NO_ORG), account, link)
            known = tx.fetch_all(_LINK + " WHERE issuer = ? AND subject = ?", link.issuer, link.subject)[0]
        return _LINKS.read(known), to_user(tx.fetch_all(IN_FIRST + " WHERE account.no = ?", known["account"])[0])

    @command
    def replace_memberships(self, tx: Tx, actor: Actor, user: UserId, provider: str, granted: Sequence[Granted]) -> bool:
        account = tx.fetch_one("SELECT * FROM account WHERE id = ?", user)
        if account is None:
            raise NotFound("there is no such user")
        return self._replace_memberships(tx, actor, account, provider, granted)

    def _replace_memberships(self, tx: Tx, actor: Actor, account: Row, provider: str, granted: Sequence[Granted]) -> bool:
        source, changed = source_of(provider), False
        orgs = {row["slug"]: row["no"] for row in tx.fetch_all("SELECT slug, no FROM organisation")}
        wanted = {orgs[one.organisation]: (one.role, grants_to_json(one.grants)) for one in granted if one.organisation in orgs}
        held = {row["org"]: row for row in tx.fetch_all("SELECT * FROM membership WHERE account = ?", account["no"])}
        for org in sorted({*wanted, *(org for org, row in held.items() if row["source"] == source)}):
            row, want = held.get(org), wanted.get(org)
            if row is not None and (row["source"] != source or want == (row["role"], row["grants"])):
                continue
            if want is None:
                tx.execute("DELETE FROM membership WHERE org = ? AND account = ? AND source = ?", org, account["no"], source)
            else:
                tx.execute(
                    "INSERT INTO membership (org, account, role, grants, source, until, reason, created_at)"
                    " VALUES (?, ?, ?, ?, ?, NULL, '', ?) ON CONFLICT (org, account) DO UPDATE"
                    " SET role = excluded.role, grants = excluded.grants",
                    *(org, account["no"], *want, source, tx.now),
                )
            detail = {"username": account["username"], "source": source, "role": None if want is None else want[0]}
            self._chain.write(tx, Scope(actor, org), "member.remove" if want is None else "member.grant", account["id"], detail)
            changed = True
        return changed

    async def belongs_somewhere(self, user: UserId, provider: str) -> bool:
        now = self._clock.now()
        return await self._reader.run(lambda rows: rows.fetch_one(_BELONGS, user, now, source_of(provider))) is not None

    # -- password or provider ------------------------------------------------------------

    async def sso_rule(self, scope: Scope) -> SsoRule:
        return await self._reader.run(lambda rows: _rule(rows, scope.org))

    @command
    def save_sso_rule(self, tx: Tx, scope: Scope, local_admin: UserId | None) -> tuple[SsoRule, Sequence[Ended]]:
        if local_admin is not None and tx.fetch_one(_LOCAL_ADMIN, local_admin, scope.org) is None:
            raise Conflict("this user is no admin of the organisation with a password of their own", field="local_admin")
        changed = tx.execute(
            "UPDATE organisation SET sso_only = ?, local_admin = ?, version = version + 1 WHERE no = ? AND NOT (sso_only = ? AND local_admin = ?)",
            *(local_admin is not None, local_admin or "", scope.org, local_admin is not None, local_admin or ""),
        )
        after, ended = _rule(tx, scope.org), list[Ended]()
        if changed and local_admin is not None:
            ended = _end(tx, tx.fetch_all(_OF_MEMBERS, scope.org, local_admin, tx.now))
        if changed:
            self._chain.write(tx, scope, "settings.edit", "settings", {**after._asdict(), "sessions_ended": len(ended)})
        return after, ended

    async def needs_provider(self, user: UserId) -> bool:
        return await self._reader.run(lambda rows: rows.fetch_one(_NEEDS_PROVIDER, user)) is not None

    @command
    def keep_local_admin(self, tx: Tx, by: Scope, user: UserId) -> None:
        for row in tx.fetch_all("SELECT no FROM organisation WHERE sso_only = 1 AND local_admin <> ? ORDER BY no", user):
            if tx.fetch_one(_LOCAL_ADMIN, user, row["no"]) is not None:
                tx.execute("UPDATE organisation SET local_admin = ?, version = version + 1 WHERE no = ?", user, row["no"])
                after = _rule(tx, row["no"])
                self._chain.write(tx, by._replace(org=row["no"]), "settings.edit", "settings", after._asdict())

    @command
    def add_link(self, tx: Tx, by: Scope, link: Link) -> Link:
        account = tx.fetch_one("SELECT * FROM account WHERE id = ?", link.user)
        if account is None:
            raise NotFound("there is no such user")
        known = tx.fetch_one(_LINK + " WHERE issuer = ? AND subject = ?", link.issuer, link.subject)
        if known is not None:
            if known["user_id"] != link.user:
                raise OidcLinked("this account of the provider belongs to another user of this hub")
            return _LINKS.read(known)
        self._insert_link(tx, by, account, link)
        return link

    def _insert_link(self, tx: Tx, scope: Scope, account: Row, link: Link) -> None:
        tx.execute(
            "INSERT INTO oidc_link (org, id, account, provider, issuer, subject, shown, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(account["org"], link.id, account["no"], link.provider, link.issuer, link.subject, link.shown, link.created_at, link.used_at),
        )
        detail = {"provider": link.provider, "issuer": link.issuer, "subject": link.subject}
        write_for_user(self._chain, tx, scope, link.user, "auth.link", link.user, detail)

    @command
    def remove_link(self, tx: Tx, by: Scope, user: UserId, link: str, keep: SessionId) -> Sequence[Ended]:
        rows = tx.fetch_all(_LINK + " WHERE account.id = ?", user)
        found = next((row for row in rows if row["id"] == link), None)
        if found is None:
            return []
        has_password = tx.fetch_all("SELECT password_hash FROM account WHERE no = ?", found["account"])[0]["password_hash"] != ""
        if not has_password and len(rows) == 1:
            raise Conflict("this is the only way to log in to the account: ask an admin for a password first")
        tx.execute("DELETE FROM oidc_link WHERE no = ?", found["no"])
        detail = {"provider": found["provider"], "issuer": found["issuer"], "subject": found["subject"]}
        write_for_user(self._chain, tx, by, user, "auth.unlink", user, detail)
        if all(row["provider"] != found["provider"] for row in rows if row["no"] != found["no"]):
            self._replace_memberships(tx, by.actor, tx.fetch_all(_ACCOUNT, found["account"])[0], found["provider"], ())
        opened = " AND oidc_session.issuer = ? AND oidc_session.subject = ? AND login.id <> ?"
        return _end(tx, tx.fetch_all(_LIVE + opened, tx.now, found["issuer"], found["subject"], keep))

    # -- sessions ------------------------------------------------------------------------

    @command
    def open_session(
        self,
        tx: Tx,
        session: LoginSession,
        audit: AuditEntry,
        address: bytes,
        at_provider: SsoSession,
        link: str,
        shown: str,
        hint: SealedRecord | None,
    ) -> None:
        if not open_login(tx, self._chain, session, audit, address):
            return
        row = tx.fetch_all("SELECT no, org FROM login WHERE id = ?", session.id)[0]
        if not tx.execute(
            "UPDATE oidc_link SET used_at = ?, shown = ? WHERE id = ? AND issuer = ? AND subject = ?",
            *(session.created_at, shown, link, at_provider.issuer, at_provider.subject),
        ):
            raise NotFound("the link was removed meanwhile")
        tx.execute(
            "INSERT INTO oidc_session VALUES (?, ?, ?, ?, ?)",
            *(row["no"], row["org"], at_provider.issuer, at_provider.subject, at_provider.sid),
        )
        over = "NOT IN (SELECT id FROM login WHERE revoked_at IS NULL AND expires_at > ?)"
        if tx.execute(f"DELETE FROM secret WHERE kind = ? AND record {over}", HINT_TABLE, tx.now):  # noqa: S608 - built from constants only
            tx.shredding = True
        if hint is not None:
            insert(tx, row["org"], hint)

    async def session_at_provider(self, session: SessionId) -> SsoSession | None:
        row = await self._reader.run(
            lambda rows: rows.fetch_one(
                "SELECT oidc_session.*, login.provider FROM oidc_session JOIN login ON login.no = oidc_session.login WHERE login.id = ?",
                session,
            )
        )
        return None if row is None else SsoSession(session, row["provider"], row["issuer"], row["subject"], row["sid"])

    @command
    def end_sessions(self, tx: Tx, actor: Actor, issuer: str, subject: str, sid: str) -> Sequence[Ended]:
        wanted = " AND oidc_session.issuer = ? AND (? = '' OR oidc_session.subject = ?) AND (? = '' OR oidc_session.sid = ?)"
        rows = tx.fetch_all(_LIVE + wanted, tx.now, issuer, subject, subject, sid, sid)
        for row in rows:
            detail = {"user": row["username"], "by": "provider"}
            write_for_user(self._chain, tx, Scope(actor, NO_ORG), row["user_id"], "auth.session_end", row["session_id"], detail)
        return _end(tx, rows)


def _end(tx: Tx, rows: Sequence[Row]) -> list[Ended]:
    for row in rows:
        revoke(tx, row)
    return [Ended(SessionId(row["session_id"]), UserId(row["user_id"])) for row in rows]


def _row(rows: Rows, provider: str) -> Row | None:
    return rows.fetch_one("SELECT * FROM oidc_provider WHERE id = ?", provider)


def _to_provider(row: Row) -> Provider:
    return record_from_json(Provider, row["body"])


def _readable(row: Row) -> Provider | None:
    """None: the record is damaged. It must not hide the others; the doctor reports it."""
    try:
        return _to_provider(row)
    except StoreError:
        return None


def _check_name(tx: Tx, provider: Provider) -> None:
    if tx.fetch_one("SELECT 1 FROM oidc_provider WHERE name = ? AND id <> ?", provider.name, provider.id) is not None:
        raise Conflict(f"there is a provider named {provider.name} already", field="name")


def _replace_secret(tx: Tx, provider: Provider, secret: SealedRecord | None) -> None:
    if secret is not None:
        _shred_secret(tx, provider.id)
        insert(tx, NO_ORG, secret)  # as the provider, it belongs to no organisation
    elif provider.secret_version == 0:
        _shred_secret(tx, provider.id)


def _shred_secret(tx: Tx, provider: str) -> None:
    for row in tx.fetch_all("SELECT org FROM secret WHERE kind = ? AND record = ?", SEALED_TABLE, provider):
        shred(tx, row["org"], SEALED_TABLE, provider)


def rename_in_groups(tx: Tx, slug: str, new: str | None) -> None:
    """Let the rows of all providers name an organisation by its new short name, or with None drop those that name it.

    Otherwise the next organisation with the old name would get its members.
    """
    for row in tx.fetch_all("SELECT * FROM oidc_provider ORDER BY id"):
        before = _readable(row)
        if before is None or all(one.organisation != slug for one in before.groups):
            continue
        groups = tuple(
            one._replace(organisation=new or "") if one.organisation == slug else one
            for one in before.groups
            if new is not None or one.organisation != slug
        )
        after = before._replace(version=before.version + 1, groups=groups, create_accounts=before.create_accounts and bool(groups))
        tx.execute("UPDATE oidc_provider SET version = ?, body = ? WHERE id = ?", after.version, record_to_json(after), after.id)


def _detail(provider: Provider) -> dict[str, object]:
    return {
        "name": provider.name, "issuer": provider.issuer, "client_id": provider.client_id, "enabled": provider.enabled,
        "create_accounts": provider.create_accounts, "groups": len(provider.groups),
    }  # fmt: skip


_LINKS: Final = Columns(Link, "oidc_link", {"user": "user_id"})


def _free_name(tx: Tx, wanted: str) -> str:
    """The wanted user name, or with a number at its end if another user has it, or a membership is offered to it: an offer is for a user
    whom its maker knows by that name, and a provider's users may choose theirs."""
    taken = "SELECT 1 FROM account WHERE username_key = ? UNION ALL SELECT 1 FROM membership_offer WHERE username_key = ?"
    name, number = wanted, 1
    while tx.fetch_one(taken, fold(name), fold(name)) is not None:
        number += 1
        name = f"{wanted[:56]}-{number}"
    return name


def _rule(rows: Rows, org: int) -> SsoRule:
    row = rows.fetch_one(
        "SELECT organisation.sso_only, account.username FROM organisation LEFT JOIN account ON account.id = organisation.local_admin"
        " WHERE organisation.no = ?",
        org,
    )
    if row is None:
        raise NotFound("there is no such organisation")
    return SsoRule(bool(row["sso_only"]), row["username"] or "")
