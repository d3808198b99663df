"""API tokens, which authenticate programs. A program sends its token in the Authorization header."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
import secrets
from typing import Final, NamedTuple

from groundcontrol.access.clock_guard import ClockGuard
from groundcontrol.access.model import ApiToken, NoOrganisation, TokenAuthState, TotpRule, User, choose, must_enrol, stricter
from groundcontrol.access.sessions import Caller
from groundcontrol.access.store import ApiTokenStore
from groundcontrol.core.bus import Bus, Revoked
from groundcontrol.core.errors import BadRequest, Forbidden, StoreError, Unauthenticated
from groundcontrol.core.ids import TokenId
from groundcontrol.core.scope import NO_ORG, RANK, Actor, Grants, Role, Scope, min_role
from groundcontrol.core.text import checked_name
from spider.clock import Clock
from spider.logs import event
from spider.wire.ids import new_random_id

PREFIX: Final = "sdp_"
MAX_DAYS: Final = 365
MAX_NAME_CHARS: Final = 64
TOUCH_EVERY_S: Final = 60.0
TOUCH_LIMIT_S: Final = 0.5
"""The longest wait of a request for the store to record the use of its token."""
_FORM: Final = re.compile(r"sdp_[A-Za-z0-9_-]{43}\Z")

log = logging.getLogger(__name__)


class NewToken(NamedTuple):
    """A new token in plain text, shown once."""

    text: str
    token: ApiToken


class ApiTokens:
    """Creates, revokes and authenticates API tokens."""

    def __init__(self, *, tokens: ApiTokenStore, bus: Bus, clock_guard: ClockGuard, clock: Clock, least_totp: TotpRule) -> None:
        self._tokens = tokens
        self._bus = bus
        self._clock_guard = clock_guard
        self._clock = clock
        self._least_totp = least_totp

    async def create(
        self, scope: Scope, owner: User, *, name: str, role: Role, days: int, grants: Grants | None, sensitive: bool
    ) -> NewToken:
        """Create a token of `owner`.

        Raises: BadRequest; Forbidden: it would have more rights than its owner; Conflict: the user has too many tokens, or the password has changed meanwhile.
        """
        label = checked_name(name, MAX_NAME_CHARS)
        if not 1 <= days <= MAX_DAYS:
            raise BadRequest(f"a token lives 1 to {MAX_DAYS} days", field="days")
        if RANK[role] > RANK[owner.role]:
            raise Forbidden(f"the user {owner.username} is {owner.role}: a token cannot be {role}")
        text = PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        now = self._clock.now()
        token = ApiToken(
            id=TokenId(new_random_id()),
            org=owner.org,
            user_id=owner.id,
            username=owner.username,
            name=label,
            hash=_digest(text),
            role=role,
            grants=grants,
            sensitive=sensitive,
            created_at=now,
            expires_at=now + days * 86_400.0,
        )
        return NewToken(text, await self._tokens.create_token(scope, token, owner.password_version))

    async def revoke(self, scope: Scope, token: ApiToken) -> None:
        """End the token and its open connections."""
        await self._tokens.revoke_token(scope, token.id)
        self._bus.publish(Revoked("", token.user_id))

    async def authenticate(self, text: str, address: str, slug: str | None = None) -> Caller:
        """The caller that this token authenticates, with the present rights of its owner.

        Args:   slug: the organisation that the request names. A token works in its own only.
        Raises: Unauthenticated.
        """
        if not _FORM.match(text):
            raise Unauthenticated("log in first")
        caller = await self._caller(_digest(text), address, slug)
        token, now = caller.token, self._clock.now()
        if token is not None and not 0 <= now - (token.last_used_at or 0.0) < TOUCH_EVERY_S:
            try:
                async with asyncio.timeout(TOUCH_LIMIT_S):
                    await self._tokens.touch_token(token.id, now, address)
            except (StoreError, TimeoutError) as exc:  # programs that only read keep their access while the disk is full or hangs
                code = exc.code if isinstance(exc, StoreError) else "timeout"
                event(log, "token_use_not_noted", logging.WARNING, token=token.id, code=code)
        return caller

    async def reload_caller(self, token: ApiToken, address: str) -> Caller:
        """The caller of a token with the rights that the store has now.

        Raises: Unauthenticated.
        """
        return await self._caller(token.hash, address)

    async def _caller(self, digest: bytes, address: str, slug: str | None = None) -> Caller:
        found = await self._tokens.token_auth_state(digest)
        if found is None or found.token.expires_at <= self._clock_guard.latest:
            raise Unauthenticated("this token is not valid, or not any more")
        return _as_caller(found, address, self._least_totp, self._clock.now(), slug)


def _as_caller(found: TokenAuthState, address: str, least: TotpRule, now: float, slug: str | None) -> Caller:
    token, user = found.token, found.user
    actor = Actor("token", token.id, f"{user.username}/{token.name}", min_role(token.role, user.role), address)
    member = choose([] if found.membership is None else [found.membership], slug, now)
    if isinstance(member, NoOrganisation):
        return Caller(Scope(actor, NO_ORG), user, None, token, no_org=member)
    grants = tuple(grant for grant in (user.grants, token.grants) if grant is not None)
    return Caller(
        Scope(actor, token.org, grants), user, None, token, must_enrol(user, stricter(member.require_totp, least)), until=member.until
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
