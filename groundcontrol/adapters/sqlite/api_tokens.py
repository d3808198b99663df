"""API tokens. Only the hash of a token is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.access.model import ApiToken, TokenAuthState
from groundcontrol.access.store import ApiTokenStore
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import place
from groundcontrol.adapters.sqlite.engine.reader import CommitCache, Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.rights import grants_to_json, to_grants
from groundcontrol.adapters.sqlite.users import IN_ORG, MEMBER, to_user
from groundcontrol.adapters.sqlite.users_admin import MEMBERSHIP, to_membership
from groundcontrol.core.errors import BadRequest, Conflict, NotFound
from groundcontrol.core.ids import TokenId, UserId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from spider.clock import Clock

MOST_LIVE: Final = 100
"""The most valid tokens of one user."""
_RETENTION_S: Final = 30 * 86400.0
_COLUMNS: Final = (
    "api_token.id AS token_id, api_token.org AS token_org, account.id AS user_id, account.username, api_token.name, api_token.hash,"
    " api_token.role AS token_role, api_token.grants AS token_grants, api_token.sensitive, api_token.created_at AS token_made_at,"
    " api_token.expires_at, api_token.last_used_at, api_token.last_address, api_token.revoked_at"
)
"""The columns that `_to_token` reads, under names that differ from the other columns of `account`."""
_TOKEN: Final = f"SELECT api_token.no, {_COLUMNS} FROM api_token JOIN account ON account.no = api_token.account "  # noqa: S608 - built from constants only
_STANDING: Final = (
    f"SELECT account.*, {_COLUMNS}, {MEMBER}, {MEMBERSHIP} FROM api_token JOIN account ON account.no = api_token.account"  # noqa: S608 - built from constants only
    " LEFT JOIN membership ON membership.account = account.no AND membership.org = api_token.org"
    " LEFT JOIN organisation ON organisation.no = membership.org WHERE api_token.hash = ?"
)
"""One statement for everything that the check of a request needs."""

GROUP_TOKEN_S: Final = 30 * 86400.0
"""The longest life of a token whose owner's rights come from a group: nobody reads the groups when a token is used."""


@serves("tokens", ApiTokenStore, urgent=True)
class SqliteApiTokens(ControlStore):
    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock) -> None:
        super().__init__(writer, reader, chain, clock)
        self._fresh = CommitCache[TokenAuthState](writer, reader, clock, _STANDING, _to_auth_state)

    @command
    def create_token(self, tx: Tx, scope: Scope, token: ApiToken, password_version: int | None = None) -> ApiToken:
        known = tx.fetch_one(_TOKEN + "WHERE api_token.id = ?", token.id)
        if known is not None:
            if known["hash"] != token.hash:
                raise Conflict("this token id was used before")
            return _to_token(known)
        owner = tx.fetch_one(IN_ORG + " WHERE account.id = ?", scope.org, token.user_id)
        if owner is None or owner["member_org"] is None:
            raise NotFound("there is no such user")
        if password_version not in (None, owner["password_version"]):  # a reset has ended the owner's tokens: none may come after it
            raise Conflict("the password has changed meanwhile: log in again")
        member = tx.fetch_all("SELECT source, until FROM membership WHERE org = ? AND account = ?", scope.org, owner["no"])[0]
        expires_at = token.expires_at if member["until"] is None else min(token.expires_at, member["until"])
        if member["source"] != "local" and token.expires_at - token.created_at > GROUP_TOKEN_S:
            days = f"{GROUP_TOKEN_S / 86400.0:.0f}"
            raise BadRequest(f"a token whose owner's rights come from a group lives at most {days} days", field="days")
        before = tx.now - _RETENTION_S
        tx.execute("DELETE FROM api_token WHERE org = ? AND (expires_at < ? OR revoked_at < ?)", scope.org, before, before)
        live = tx.fetch_all("SELECT 1 FROM api_token WHERE account = ? AND revoked_at IS NULL AND expires_at > ?", owner["no"], tx.now)
        if len(live) >= MOST_LIVE:
            raise Conflict(f"a user may have at most {MOST_LIVE} tokens: revoke one first")
        tx.execute(
            "INSERT INTO api_token (org, id, account, name, hash, role, grants, sensitive, created_at, expires_at, last_address)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
            *(scope.org, token.id, owner["no"], token.name, token.hash, token.role),
            *(grants_to_json(token.grants), token.sensitive, token.created_at, expires_at),
        )
        detail = {"name": token.name, "user": token.user_id, "role": token.role, "expires_at": expires_at}
        limits = {"sensitive": token.sensitive, "grants": None if token.grants is None else token.grants._asdict()}
        self._chain.write(tx, scope, "token.create", token.id, {**detail, **limits})
        return _to_token(tx.fetch_all(_TOKEN + "WHERE api_token.id = ?", token.id)[0])

    @query
    def tokens(self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None, user: UserId | None = None) -> Page[ApiToken]:
        at = place(f"tokens:{user or ''}", scope.org, limit, cursor)
        found = rows.fetch_all(
            _TOKEN + "WHERE api_token.org = ? AND (CAST(? AS TEXT) IS NULL OR account.id = ?) AND api_token.revoked_at IS NULL"
            " AND api_token.expires_at > ? AND api_token.no < ? ORDER BY api_token.no DESC LIMIT ?",
            *(scope.org, user, user, self._clock.now(), at.start, at.most),
        )
        return at.page(found, _to_token)

    async def token(self, scope: Scope, token: TokenId) -> ApiToken:
        now = self._clock.now()
        row = await self._reader.run(lambda rows: rows.fetch_one(_TOKEN + "WHERE api_token.org = ? AND api_token.id = ?", scope.org, token))
        if row is None or row["revoked_at"] is not None or row["expires_at"] <= now:
            raise NotFound("there is no such token")
        return _to_token(row)

    async def token_auth_state(self, digest: bytes) -> TokenAuthState | None:
        now = self._clock.now()
        found = await self._fresh.get(digest)
        if found is None or found.user.disabled or found.token.expires_at <= now:
            return None
        return found

    @command
    def revoke_token(self, tx: Tx, scope: Scope, token: TokenId) -> None:
        row = tx.fetch_one(_TOKEN + "WHERE api_token.org = ? AND api_token.id = ?", scope.org, token)
        if row is None:
            raise NotFound("there is no such token")
        if row["revoked_at"] is None:
            tx.execute("UPDATE api_token SET revoked_at = ? WHERE no = ?", tx.now, row["no"])
            self._chain.write(tx, scope, "token.revoke", token, {"name": row["name"], "user": row["user_id"]})

    @command
    def touch_token(self, tx: Tx, token: TokenId, at: float, address: str) -> None:
        tx.execute(
            "UPDATE api_token SET last_used_at = ?, last_address = ? WHERE id = ? AND coalesce(last_used_at, 0) < ?",
            *(at, address, token, at),
        )


def _to_auth_state(rows: Sequence[Row]) -> TokenAuthState | None:
    row = rows[0]
    if row["revoked_at"] is not None:
        return None
    return TokenAuthState(_to_token(row), to_user(row), None if row["member_org"] is None else to_membership(row))


def _to_token(row: Row) -> ApiToken:
    return ApiToken(
        id=TokenId(row["token_id"]),
        org=row["token_org"],
        user_id=UserId(row["user_id"]),
        username=row["username"],
        name=row["name"],
        hash=row["hash"],
        role=row["token_role"],
        grants=to_grants(row["token_grants"]),
        sensitive=bool(row["sensitive"]),
        created_at=row["token_made_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        last_address=row["last_address"],
    )
