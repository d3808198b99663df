"""Log-outs that go on at a provider, and those that begin there."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.oidc.model import HINT, HINT_TABLE
from groundcontrol.access.oidc.providers import Providers
from groundcontrol.access.oidc.remote import Remote
from groundcontrol.access.oidc.store import Ended, OidcStore
from groundcontrol.access.oidc.tokens import LogoutToken, TokenRefused, UnknownKey, read_logout_token
from groundcontrol.access.rate_limits import check_limit
from groundcontrol.access.sessions import Caller
from groundcontrol.access.store import Bucket, UserStore
from groundcontrol.core.bus import Bus, Revoked
from groundcontrol.core.errors import BadRequest, HubError
from groundcontrol.core.scope import Actor
from groundcontrol.core.secrets import SecretStore
from groundcontrol.vault import Vault
from groundcontrol.web.services import Services
from spider.logs import event

log = logging.getLogger(__name__)

SIGNED_OUT_PATH: Final = "/signed-out"
LOGOUT_WAIT_S: Final = 3.0
REPLAY_S: Final = 3600.0
"""How long the id of a log-out token is known. Such a token is valid for about ten minutes."""
LOGOUTS: Final = Bucket(120, 60.0)
"""The limit for one address. It is the provider's own, so that log-ins cannot use it up."""


class ProviderLogOuts:
    """Log-outs here and at the providers of one hub."""

    def __init__(self, services: Services) -> None:
        self._oidc = services[OidcStore]
        self._secrets = services[SecretStore]
        self._users = services[UserStore]
        self._providers = services[Providers]
        self._auth = services.auth
        self._bus = services.bus
        self._clock = services.clock
        self._refusals = services.refusals
        self._sealer = services[Vault]
        self._origin = services.config.origin

    async def logout(self, caller: Caller) -> str | None:
        """End a session. Returns: the provider's URL at which the browser ends its session there too; None: there is none."""
        if caller.session is None:
            raise BadRequest("this belongs to a log-in session; a token or the local socket has none")
        at_provider = await self._oidc.session_at_provider(caller.session.id)
        hint = None if at_provider is None else await self._secrets.secret(HINT_TABLE, caller.session.id, HINT)
        await self._auth.logout(caller)
        if at_provider is None:
            return None
        try:
            provider = await self._providers.provider(at_provider.provider)
            async with asyncio.timeout(LOGOUT_WAIT_S):
                description = await (await self._providers.remote(provider)).description()
        except (HubError, TimeoutError):
            return None  # the session here is over, whatever the provider says
        if not description.end_session:
            return None
        query = {"client_id": provider.client_id, "post_logout_redirect_uri": self._origin + SIGNED_OUT_PATH}
        if hint is not None:
            query["id_token_hint"] = (await asyncio.to_thread(self._sealer.open, hint)).decode()
        joint = "&" if urlsplit(description.end_session).query else "?"
        return f"{description.end_session}{joint}{urlencode(query)}"

    async def back_channel(self, name: str, raw: str, address: str) -> int:
        """End the sessions that a log-out token of the provider names.

        Returns: how many ended.
        Raises:  BadRequest: the token is not valid, or was used before; NotFound; OidcUnavailable; TooManyRequests.
        """
        await check_limit(self._users, self._clock, "oidc-backchannel", address, LOGOUTS)
        provider = await self._providers.provider(name)
        remote = await self._providers.remote(provider)
        try:
            token = await self._read_logout(remote, raw)
        except TokenRefused as exc:
            if await self._refusals.note(
                Actor("user", "", "unknown", "viewer", address), "auth.sso_logout", "token", target=f"provider:{name}",
                address_key=rate_limit_key(address),
            ):  # fmt: skip
                event(log, "sso_logout_refused", logging.WARNING, provider=name, why=str(exc), address=address)
            raise BadRequest(f"the log-out token is not valid: {exc}") from exc
        once = f"oidc-logout:{hashlib.sha256(f'{provider.issuer} {token.id}'.encode()).hexdigest()}"
        if await self._users.reserve_attempt({once: Bucket(1, REPLAY_S)}, self._clock.now()):
            raise BadRequest("this log-out token was used before")
        actor = Actor("system", provider.id, f"provider:{name}", "viewer", address)
        ended = await self._oidc.end_sessions(actor, provider.issuer, token.subject, token.session)
        announce(self._bus, ended)
        event(log, "sso_logged_out", provider=name, sessions=len(ended))
        return len(ended)

    async def _read_logout(self, remote: Remote, raw: str) -> LogoutToken:
        now = self._clock.now()
        try:
            return read_logout_token(raw, await remote.keys(), remote.provider.party, now=now)
        except UnknownKey:
            return read_logout_token(raw, await remote.keys(again=True), remote.provider.party, now=now)


def announce(bus: Bus, ended: Sequence[Ended]) -> None:
    """Close the sockets of ended sessions."""
    for one in ended:
        bus.publish(Revoked(one.session, one.user))
