"""Requests to a provider. Nothing is asked before somebody logs in with it, and a provider that is away costs only its own log-ins."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

import aiohttp
import msgspec

from groundcontrol.access.oidc.discovery import Discovered, read_description
from groundcontrol.access.oidc.errors import OidcRefused, OidcUnavailable
from groundcontrol.access.oidc.keys import Key, read_keys
from groundcontrol.access.oidc.model import Provider, tls_context
from groundcontrol.core.addresses import is_forbidden
from groundcontrol.core.errors import HubError
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

MOST_ANSWER_BYTES: Final = 256 << 10
TOTAL_S: Final = 10.0
CONNECT_S: Final = 5.0
FRESH_S: Final = 3600.0
"""How long a description and keys are used before they are fetched again."""
RETRY_S: Final = 5.0
"""After a failure nothing is asked again for this long, so that a crowd at the button does not become a crowd at the provider."""
KEYS_AGAIN_S: Final = 30.0
"""How often a token with an unknown key may cause the keys to be fetched again."""
WELL_KNOWN: Final = "/.well-known/openid-configuration"


class Remote:
    """One provider, as it is configured now. A changed provider gets a new object."""

    def __init__(self, provider: Provider, clock: Clock, *, loopback_allowed: bool) -> None:
        self.provider = provider
        self._clock = clock
        self._loopback_allowed = loopback_allowed
        self._session: aiohttp.ClientSession | None = None
        self._description: Discovered | None = None
        self._keys: tuple[Key, ...] = ()
        self._fetched_at: float | None = None
        self._keys_at = float("-inf")
        self._failed_at = float("-inf")
        self._failure: HubError | None = None
        self._lock = asyncio.Lock()

    @property
    def failure(self) -> HubError | None:
        """Why the last attempt failed; None: it succeeded, or there was none."""
        return self._failure

    async def description(self, *, again: bool = False) -> Discovered:
        """The provider's description, and with it its keys. Args: again: fetch it even if it is fresh.

        An old description is used on while the provider does not answer.
        Raises: OidcUnavailable, OidcIssuerMismatch.
        """
        async with self._lock:
            now = self._clock.monotonic()
            if not again and self._description is not None and self._fetched_at is not None and now - self._fetched_at < FRESH_S:
                return self._description
            if not again and self._failure is not None and now - self._failed_at < RETRY_S:
                if self._description is not None:
                    return self._description
                raise self._failure
            try:
                found = await self._get(self.provider.issuer.rstrip("/") + WELL_KNOWN)
                description = read_description(found, self.provider, loopback_allowed=self._loopback_allowed)
                await self._fetch_keys(description)
            except HubError as exc:
                self._failure, self._failed_at = exc, now
                event(log, "oidc_provider_failed", logging.WARNING, provider=self.provider.name, error=exc.code, why=exc.message)
                if self._description is None or again:
                    raise
                return self._description
            self._description, self._failure, self._fetched_at = description, None, now
            return description

    async def keys(self, *, again: bool = False) -> Sequence[Key]:
        """The provider's keys. Args: again: fetch them, at most every KEYS_AGAIN_S, since a token names an unknown one.

        Raises: OidcUnavailable, OidcIssuerMismatch.
        """
        description = await self.description()
        if again:
            async with self._lock:
                if self._clock.monotonic() - self._keys_at >= KEYS_AGAIN_S:
                    await self._fetch_keys(description)
        return self._keys

    async def _fetch_keys(self, description: Discovered) -> None:
        self._keys_at = self._clock.monotonic()
        try:
            self._keys = read_keys(await self._get(description.keys))
        except ValueError as exc:
            raise OidcUnavailable(f"the provider's keys are unusable: {exc}") from exc
        if not self._keys:
            raise OidcUnavailable("the provider has no key for ES256, RS256, PS256 or EdDSA: let it sign ID tokens with one of them")

    async def exchange(self, code: str, verifier: str, redirect_uri: str, client_secret: str) -> dict[str, Any]:
        """Exchange an authorisation code for tokens. Args: client_secret: empty: a public client.

        Raises: OidcRefused: the provider refuses the code or the client; the text has its reason. OidcUnavailable: it does not answer.
        """
        description = await self.description()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        headers = {}
        client = self.provider.client_id
        if client_secret and not description.secret_in_body:
            pair = f"{quote_plus(client)}:{quote_plus(client_secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form["client_id"] = client
            if client_secret:
                form["client_secret"] = client_secret
        return await self._ask("POST", description.token, headers=headers, form=form, refusal=OidcRefused)

    async def userinfo(self, access_token: str) -> dict[str, Any]:
        """The claims of the user. Raises: OidcUnavailable."""
        description = await self.description()
        return await self._ask("GET", description.userinfo, headers={"Authorization": f"Bearer {access_token}"})

    async def _get(self, url: str) -> dict[str, Any]:
        return await self._ask("GET", url)

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        refusal: type[HubError] = OidcUnavailable,
    ) -> dict[str, Any]:
        """One request with limits on time and size, without redirects.

        Raises: OidcUnavailable. refusal: the provider names an error of the request (RFC 6749, 5.2).
        """
        host = urlsplit(url).netloc
        try:
            session = self._session = self._session or await self._open()
            async with session.request(
                method, url, headers={"Accept": "application/json", **(headers or {})}, data=form, allow_redirects=False
            ) as answer:
                body = await answer.content.read(MOST_ANSWER_BYTES + 1)
                while len(body) <= MOST_ANSWER_BYTES and (part := await answer.content.read(MOST_ANSWER_BYTES + 1 - len(body))):
                    body += part
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            raise OidcUnavailable(f"{host} does not answer: {_reason(exc)}") from exc
        if len(body) > MOST_ANSWER_BYTES:
            raise OidcUnavailable(f"{host} answered with more than {MOST_ANSWER_BYTES >> 10} KiB")
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if status != 200:
            error = _error_in(found)
            raise (refusal if error and status in (400, 401) else OidcUnavailable)(f"{host} answered {status}{error}")
        if not isinstance(found, dict):
            raise OidcUnavailable(f"{host} answered with something else than a JSON object")
        return found

    async def _open(self) -> aiohttp.ClientSession:
        tls: ssl.SSLContext = await asyncio.to_thread(tls_context, self.provider.ca_pem)
        connector = aiohttp.TCPConnector(ssl=tls, socket_factory=_checked_socket, limit=16, keepalive_timeout=30)
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, headers={"User-Agent": "stardust"},
            timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S),
        )  # fmt: skip

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _checked_socket(info: Any) -> socket.socket:
    """A socket for an address that is no metadata service, link-local or multicast. This machine and private networks may hold a provider."""
    address = str(info[4][0])
    if is_forbidden(address):
        raise OSError("the hub does not connect to this address")
    made = socket.socket(*info[:3])
    made.setblocking(False)
    os.set_inheritable(made.fileno(), False)
    return made


def _reason(exc: BaseException) -> str:
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted: give the authority that signed it (ca_pem)"
    number = exc.os_error.errno if isinstance(exc, aiohttp.ClientConnectorError) else None
    if number is not None and number > 0:
        return os.strerror(number).lower()  # the text of the library names its own parts
    if isinstance(exc, TimeoutError):
        return f"not within {TOTAL_S:g} seconds"
    return (str(exc) or type(exc).__name__)[:200]


def _error_in(found: object) -> str:
    """The reason that a provider gives (RFC 6749, 5.2)."""
    if not isinstance(found, dict) or not isinstance(found.get("error"), str):
        return ""
    about = found.get("error_description")
    text = f"{found['error']}{f', {about}' if isinstance(about, str) else ''}"
    return ": " + "".join(char if char.isprintable() else "?" for char in text[:200])
