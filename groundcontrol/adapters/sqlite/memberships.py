"""Memberships of organisations, and offers of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.access.model import Offer
from groundcontrol.access.store import MembershipStore
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.tx import Row, Tx
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.rights import grants_to_json, shown_grants, to_grants
from groundcontrol.adapters.sqlite.users import IN_ORG, insert_membership, to_user
from groundcontrol.adapters.sqlite.users_admin import another_admin, check_instance_admin_left
from groundcontrol.core.errors import Conflict, LastAdmin, NotFound
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import NO_ORG, Grants, Role, Scope, hub_scope
from groundcontrol.core.text import fold
from groundcontrol.events.making import new_event

MOST_OFFERS: Final = 200
"""The most open offers of one organisation."""
_OFFERS: Final = (
    "SELECT membership_offer.*, organisation.slug, organisation.name FROM membership_offer"
    " JOIN organisation ON organisation.no = membership_offer.org"
)

_OFFERS_TO: Final = (
    f"{_OFFERS} JOIN account ON account.username_key = membership_offer.username_key"
    " WHERE account.id = ? AND organisation.state = 'active' ORDER BY organisation.slug"
)
_BELONGS: Final = (
    "SELECT 1 FROM membership JOIN account ON account.no = membership.account JOIN organisation ON organisation.no = membership.org"
    " WHERE account.id = ? AND organisation.slug = ?"
)


@serves("memberships", MembershipStore, urgent=True)
class SqliteMemberships(ControlStore):
    async def offers(self, scope: Scope) -> Sequence[Offer]:
        sql = _OFFERS + " WHERE membership_offer.org = ? ORDER BY membership_offer.username_key"
        return [_OFFER.read(row) for row in await self._reader.run(lambda rows: rows.fetch_all(sql, scope.org))]

    async def offers_to(self, user: UserId) -> Sequence[Offer]:
        return [_OFFER.read(row) for row in await self._reader.run(lambda rows: rows.fetch_all(_OFFERS_TO, user))]

    @command
    def offer(self, tx: Tx, scope: Scope, username: str, role: Role, grants: Grants | None, issuer: str = "") -> None:
        key = _key(username, issuer)
        row = tx.fetch_one(IN_ORG + " WHERE account.username_key = ?", scope.org, key)
        if row is not None and row["member_org"] is not None:
            raise Conflict(f"{username} is a member already", field="username")
        if tx.fetch_all("SELECT count(*) AS n FROM membership_offer WHERE org = ?", scope.org)[0]["n"] >= MOST_OFFERS:
            raise Conflict(f"an organisation has at most {MOST_OFFERS} open offers: withdraw one first")
        given = (role, grants_to_json(grants), scope.actor.name)
        known = tx.fetch_one("SELECT * FROM membership_offer WHERE org = ? AND username_key = ?", scope.org, key)
        if known is not None and (known["role"], known["grants"], known["made_by"]) == given:
            return
        tx.execute(
            "INSERT INTO membership_offer (org, username_key, username, role, grants, made_by, made_at, issuer)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (org, username_key) DO UPDATE SET role = excluded.role, grants = excluded.grants, made_by = excluded.made_by,"
            " made_at = excluded.made_at",
            *(scope.org, key, username, *given, tx.now, issuer),
        )
        detail = {"role": role, "grants": shown_grants(grants), **({"issuer": issuer} if issuer else {})}
        self._chain.write(tx, scope, "member.offer", f"user:{username}", detail)

    async def is_offered(self, issuer: str, address: str) -> bool:
        sql = _OFFERS + " WHERE membership_offer.username_key = ? AND organisation.state = 'active' LIMIT 1"
        return await self._reader.run(lambda rows: rows.fetch_one(sql, _key(address, issuer))) is not None

    @command
    def claim_offers(self, tx: Tx, by: Scope, user: UserId, issuer: str, address: str) -> None:
        account = tx.fetch_one("SELECT no, username, username_key FROM account WHERE id = ?", user)
        if account is None:
            raise NotFound("there is no such user")
        for row in tx.fetch_all("SELECT * FROM membership_offer WHERE username_key = ? ORDER BY org", _key(address, issuer)):
            named = (row["org"], account["username_key"])
            if (
                _membership(tx, row["org"], account["no"]) is not None
                or tx.fetch_one("SELECT 1 FROM membership_offer WHERE org = ? AND username_key = ?", *named) is not None
            ):
                tx.execute("DELETE FROM membership_offer WHERE org = ? AND username_key = ?", row["org"], row["username_key"])
            else:
                tx.execute(
                    "UPDATE membership_offer SET username_key = ?, username = ?, issuer = '' WHERE org = ? AND username_key = ?",
                    *(account["username_key"], account["username"], row["org"], row["username_key"]),
                )
            detail = {"username": account["username"], "address": row["username"], "issuer": issuer}
            self._chain.write(tx, by._replace(org=row["org"]), "member.claim", user, detail)

    @command
    def answer_offer(self, tx: Tx, by: Scope, user: UserId, slug: str, *, accept: bool) -> None:
        sql = (
            "SELECT membership_offer.*, account.no AS account FROM membership_offer"
            " JOIN account ON account.username_key = membership_offer.username_key"
            " JOIN organisation ON organisation.no = membership_offer.org"
            " WHERE account.id = ? AND organisation.slug = ? AND organisation.state = 'active'"
        )
        row = tx.fetch_one(sql, user, slug)
        if row is None:
            if accept and not _belongs(tx, user, slug):
                raise NotFound("there is no such offer")
            return
        tx.execute("DELETE FROM membership_offer WHERE org = ? AND username_key = ?", row["org"], row["username_key"])
        there = by._replace(org=row["org"])
        if accept:
            known = _membership(tx, row["org"], row["account"])
            if known is not None and known["until"] is not None:  # of break-glass: the offered one takes its place, and has no end
                tx.execute("DELETE FROM membership WHERE org = ? AND account = ?", row["org"], row["account"])
                known = None
            if known is None:
                insert_membership(tx, row["org"], row["account"], row["role"], to_grants(row["grants"]), "local", tx.now)
            self._chain.write(tx, there, "member.join", user, {"role": row["role"], "offered_by": row["made_by"]})
        else:
            self._chain.write(tx, there, "member.decline", f"user:{row['username']}")

    @command
    def remove_member(self, tx: Tx, scope: Scope, username: str, issuer: str = "") -> UserId | None:
        key = _key(username, issuer)
        if tx.execute("DELETE FROM membership_offer WHERE org = ? AND username_key = ?", scope.org, key):
            self._chain.write(tx, scope, "member.withdraw", f"user:{username}")
            return None
        row = tx.fetch_one(IN_ORG + " WHERE account.username_key = ?", scope.org, key)
        if row is None or row["member_org"] is None:
            return None
        user = to_user(row)
        if user.role == "admin" and not user.disabled and not another_admin(tx, scope.org, user.id):
            raise LastAdmin("this is the last admin of the organisation that can log in: make another one first")
        if tx.fetch_one("SELECT 1 FROM organisation WHERE no = ? AND sso_only = 1 AND local_admin = ?", scope.org, user.id) is not None:
            raise Conflict("this admin keeps a password while all others log in through a provider: name another one first")
        self._end(tx, scope.org, row["no"])
        self._chain.write(tx, scope, "member.remove", user.id, {"username": user.username, "role": user.role})
        return user.id

    @command
    def join(
        self, tx: Tx, by: Scope, user: UserId, role: Role, grants: Grants | None = None, *, until: float | None = None, reason: str = ""
    ) -> None:
        row = tx.fetch_one(IN_ORG + " WHERE account.id = ?", by.org, user)
        if row is None or tx.fetch_one("SELECT 1 FROM organisation WHERE no = ?", by.org) is None:
            raise NotFound("there is no such user or organisation")
        if row["member_org"] is not None:
            known = _membership(tx, by.org, row["no"])
            if known is not None and (known["role"], known["until"], known["reason"]) == (role, until, reason):
                return
            raise Conflict(f"{row['username']} is a member already")
        insert_membership(tx, by.org, row["no"], role, grants, "local", tx.now, until=until, reason=reason)
        if until is None:
            self._chain.write(tx, by, "member.join", user, {"username": row["username"], "role": role})
            return
        for org in (by.org, NO_ORG):
            detail = {"username": row["username"], "role": role, "until": until, "reason": reason}
            self._chain.write(tx, by._replace(org=org), "member.break_glass", user, detail)
        facts: dict[str, object] = {"user": row["username"], "minutes": round((until - tx.now) / 60), "reason": reason}
        record_event(tx, new_event("break_glass", tx.now, facts, org=by.org))

    @command
    def set_instance_admin(self, tx: Tx, by: Scope, username: str, *, admin: bool) -> UserId:
        row = tx.fetch_one(IN_ORG + " WHERE account.username_key = ?", by.org, fold(username))
        if row is None:
            raise NotFound("there is no user of this name")
        user = to_user(row)
        if user.instance_admin != admin:
            check_instance_admin_left(tx, user, user._replace(instance_admin=admin))
            tx.execute("UPDATE account SET instance_admin = ? WHERE no = ?", admin, row["no"])
            self._chain.write(
                tx, by._replace(org=NO_ORG), "user.instance_admin", user.id, {"username": user.username, "instance_admin": admin}
            )
        return user.id

    async def end_memberships(self) -> Sequence[UserId]:
        sql = (
            "SELECT membership.org, account.no AS account, account.id, account.username FROM membership"
            " JOIN account ON account.no = membership.account WHERE membership.until <= ?"
        )
        if not await self._reader.run(lambda rows: rows.fetch_all(sql, self._clock.now())):
            return []

        def command(tx: Tx) -> list[UserId]:
            over = tx.fetch_all(sql, tx.now)
            for row in over:
                self._end(tx, row["org"], row["account"])
                self._chain.write(tx, hub_scope(row["org"]), "member.break_glass_end", row["id"], {"username": row["username"]})
                record_event(tx, new_event("break_glass_ended", tx.now, {"user": row["username"]}, org=row["org"]))
            return [UserId(row["id"]) for row in over]

        return await self._writer.run(command)

    def _end(self, tx: Tx, org: int, account: int) -> None:
        tx.execute("DELETE FROM membership WHERE org = ? AND account = ?", org, account)
        tx.execute("UPDATE api_token SET revoked_at = ? WHERE org = ? AND account = ? AND revoked_at IS NULL", tx.now, org, account)


def _key(name: str, issuer: str) -> str:
    """How an offer is found: by a user name, or by an address at a provider. A user name has no space."""
    return f"{issuer} {fold(name)}" if issuer else fold(name)


def _membership(tx: Tx, org: int, account: int) -> Row | None:
    return tx.fetch_one("SELECT * FROM membership WHERE org = ? AND account = ?", org, account)


def _belongs(tx: Tx, user: UserId, slug: str) -> bool:
    return tx.fetch_one(_BELONGS, user, slug) is not None


_OFFER: Final = Columns(Offer, "membership_offer", damaged={"grants": Grants()})
