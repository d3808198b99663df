"""Passkeys (WebAuthn): a second factor beside the codes of an app, bound to the host name of the page."""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from groundcontrol.access.model import User
from groundcontrol.core.addresses import is_address
from groundcontrol.core.errors import BadRequest, Conflict, TooManyRequests
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import Scope
from groundcontrol.core.text import checked_name
from spider.clock import Clock
from spider.wire.ids import new_random_id

LIFE_S: Final = 300.0
MOST_CHALLENGES: Final = 20_000
MOST_OF_USER: Final = 10
"""Challenges of one user. A further one takes the place of that user's oldest."""
MOST_PASSKEYS: Final = 20
MOST_NAME_CHARS: Final = 60
MOST_CREDENTIAL_BYTES: Final = 1023

T = TypeVar("T")


class Passkey(NamedTuple):
    id: str
    user: UserId
    name: str
    host: str
    """Of the page where it was made; it works nowhere else."""
    credential: bytes
    public_key: bytes
    uses: int
    """The authenticator's own count of uses; 0: it has none."""
    created_at: float
    used_at: float | None = None


class Assertion(NamedTuple):
    """What a browser brings as proof of a passkey, each part as base64url."""

    credential: str
    client_data: str
    authenticator_data: str
    signature: str


class Attestation(NamedTuple):
    """What a browser brings for a new passkey, each part as base64url."""

    credential: str
    client_data: str
    attestation_object: str


class Request(NamedTuple):
    """What a browser needs to ask the user for a passkey."""

    challenge: str
    host: str
    credentials: tuple[str, ...]
    """Those that the user has, as base64url."""


class PasskeyStore(Protocol):
    async def passkeys(self, user: UserId) -> Sequence[Passkey]:
        """The passkeys of a user, the oldest first."""
        ...

    async def add_passkey(self, by: Scope, passkey: Passkey) -> Passkey:
        """Raises: NotFound: there is no such user; Conflict: there is no second factor beside it, it is known, or there are MOST_PASSKEYS."""
        ...

    async def remove_passkey(self, by: Scope, user: UserId, passkey: str) -> None:
        """Remove a passkey. If there is none, nothing changes."""
        ...

    async def use_passkey(self, passkey: str, before: int, uses: int, at: float) -> bool:
        """Record a use. Returns: False: the count is not `before` any more. Of concurrent callers with a count one gets True."""
        ...


class Passkeys:
    """Makes challenges and checks answers. A challenge counts once, for one user, within five minutes."""

    def __init__(self, store: PasskeyStore, clock: Clock, origin: str) -> None:
        """Args: origin: of the page, from the hub's settings; never from a header."""
        self._store = store
        self._clock = clock
        self._origin = origin
        self._open: dict[bytes, tuple[UserId, float]] = {}

    @property
    def host(self) -> str:
        return urlsplit(self._origin).hostname or ""

    @property
    def unavailable(self) -> str:
        """Why there can be no passkeys; empty: there can."""
        if is_address(self.host):
            return f"browsers allow passkeys only under a host name, and this hub's address is {self.host}: give it one with --server-url"
        if not self._origin.startswith("https://") and self.host != "localhost":
            return "browsers allow passkeys only over https://"
        return ""

    async def usable(self, user: UserId) -> list[Passkey]:
        """The passkeys of a user that work under the hub's present host name."""
        return [] if self.unavailable else [one for one in await self._store.passkeys(user) if one.host == self.host]

    async def request(self, user: UserId) -> Request:
        """A challenge for a user, for a new passkey or a known one. Raises: TooManyRequests: too many are open on the whole hub."""
        now = self._clock.monotonic()
        self._open = {challenge: one for challenge, one in self._open.items() if one[1] > now}
        own = [challenge for challenge, (holder, _) in self._open.items() if holder == user]
        for challenge in own[: max(0, len(own) - MOST_OF_USER + 1)]:
            del self._open[challenge]
        if len(self._open) >= MOST_CHALLENGES:
            raise TooManyRequests("too many passkeys are asked for just now: try again in a few minutes", retry_after_s=int(LIFE_S))
        challenge = secrets.token_bytes(32)
        self._open[challenge] = (user, now + LIFE_S)
        return Request(_text(challenge), self.host, tuple(_text(one.credential) for one in await self.usable(user)))

    async def add(self, scope: Scope, user: User, name: str, given: Attestation) -> Passkey:
        """Store a new passkey. Raises: BadRequest: it is not valid, or the name; Conflict: as `PasskeyStore.add_passkey`."""
        if self.unavailable:
            raise Conflict(self.unavailable)
        name = checked_name(name, MOST_NAME_CHARS)
        challenge = self._take(given.client_data, user.id)
        made = await _checked(lambda: _register(given, challenge, self.host, self._origin)) if challenge else None
        if made is None:
            raise BadRequest("the browser's answer for the new passkey is not valid: begin again", field="passkey")
        passkey = Passkey(
            new_random_id(), user.id, name, self.host, made.credential_id, made.credential_public_key, made.sign_count, self._clock.now()
        )
        return await self._store.add_passkey(scope, passkey)

    async def proves(self, given: Assertion, user: User) -> bool:
        """Check a passkey of a user."""
        challenge = self._take(given.client_data, user.id)
        known = next((one for one in await self.usable(user.id) if _text(one.credential) == given.credential.rstrip("=")), None)
        if challenge is None or known is None:
            return False
        seen = await _checked(lambda: _authenticate(given, challenge, self.host, self._origin, known))
        return seen is not None and await self._store.use_passkey(known.id, known.uses, seen.new_sign_count, self._clock.now())

    def _take(self, client_data: str, user: UserId) -> bytes | None:
        """The open challenge of this user that an answer names. It is used up."""
        try:
            challenge = _bytes(msgspec.json.decode(_bytes(client_data), type=dict[str, Any])["challenge"])
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, binascii.Error):
            return None
        found = self._open.get(challenge)
        if found is None or found[0] != user:
            return None
        del self._open[challenge]
        return challenge if found[1] > self._clock.monotonic() else None


async def _checked(check: Callable[[], T]) -> T | None:
    """Run a check of the library on a thread; it is loaded at the first one. None: the answer is not valid."""

    def run() -> T | None:
        from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

        try:
            return check()
        except (WebAuthnException, ValueError, TypeError, KeyError, binascii.Error):
            return None

    return await asyncio.to_thread(run)


def _register(given: Attestation, challenge: bytes, host: str, origin: str) -> Any:
    from webauthn import verify_registration_response  # noqa: PLC0415
    from webauthn.helpers.structs import AuthenticatorAttestationResponse, RegistrationCredential  # noqa: PLC0415

    raw = _bytes(given.credential)
    if len(raw) > MOST_CREDENTIAL_BYTES:
        raise ValueError("the id is too long")
    response = AuthenticatorAttestationResponse(_bytes(given.client_data), _bytes(given.attestation_object))
    return verify_registration_response(
        credential=RegistrationCredential(given.credential, raw, response), expected_challenge=challenge, expected_rp_id=host,
        expected_origin=origin,
    )  # fmt: skip


def _authenticate(given: Assertion, challenge: bytes, host: str, origin: str, known: Passkey) -> Any:
    from webauthn import verify_authentication_response  # noqa: PLC0415
    from webauthn.helpers.structs import AuthenticationCredential, AuthenticatorAssertionResponse  # noqa: PLC0415

    response = AuthenticatorAssertionResponse(_bytes(given.client_data), _bytes(given.authenticator_data), _bytes(given.signature))
    return verify_authentication_response(
        credential=AuthenticationCredential(given.credential, _bytes(given.credential), response), expected_challenge=challenge,
        expected_rp_id=host, expected_origin=origin, credential_public_key=known.public_key, credential_current_sign_count=known.uses,
    )  # fmt: skip


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
