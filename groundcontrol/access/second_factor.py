"""The second factor of a log-in: set-up, proof, recovery codes and removal."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

from groundcontrol.access import totp
from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.model import LoginSession, User
from groundcontrol.access.rate_limits import LONGEST_WAIT_S, Attempt, KnownAddresses, LoginOrigin, everything_of, second_factor_attempt
from groundcontrol.access.sessions import Caller, next_expiry, within_session
from groundcontrol.access.store import FactorStore, UserStore
from groundcontrol.core.bus import Bus, Revoked
from groundcontrol.core.errors import Conflict, NotFound, TooManyAttempts, TotpWrong, VaultError
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.core.secrets import SealedRecord, SecretStore
from groundcontrol.core.stores import Stores
from groundcontrol.events.refusals import Refusals
from spider.clock import Clock
from spider.logs import event

TABLE: Final = "totp"
COLUMN: Final = "seed"
_WRONG: Final = "the code is wrong, too old, or was used before; wait for the next one"

ProvePasskey = Callable[[User], Awaitable[bool]]
"""Checks the passkey that a browser brings for a user."""

log = logging.getLogger(__name__)


class Sealer(Protocol):
    """The part of the vault that second factors need."""

    def seal(self, table: str, record: str, column: str, version: int, plaintext: bytes) -> SealedRecord: ...
    def open(self, record: SealedRecord) -> bytes: ...


class NewFactor(NamedTuple):
    """A new seed, shown to the user once."""

    secret: str
    uri: str


class SecondFactor:
    """Manages second factors. The vault seals the seeds. A code works once. Every attempt is counted before the code is checked."""

    def __init__(
        self, *, store: Stores, bus: Bus, clock: Clock, refusals: Refusals, sealer: Sealer, pepper: bytes, addresses: KnownAddresses
    ) -> None:
        self._store = store
        self._refusals = refusals
        self._bus = bus
        self._clock = clock
        self._sealer = sealer
        self._pepper = pepper
        self._addresses = addresses

    async def prove(
        self, user: User, code: str, address: str, origin: LoginOrigin, browser: str = "", passkey: ProvePasskey | None = None
    ) -> None:
        """Check a code of the app or a recovery code, and mark it as used. With `passkey`, check that instead.

        Raises: TotpWrong; TooManyAttempts; Conflict: another request changes the second factor; VaultError: the seed cannot be opened.
        """
        attempt = await self._reserve(user, address, origin, browser)
        if passkey is not None:
            good = await passkey(user)
        else:
            good = await self._by_app(user, code) if totp.is_code(code) else await self._by_recovery_code(user, code, address)
        if not good:
            actor = Actor("user", user.id, user.username, user.role, address)
            if await self._refusals.note(
                actor, "auth.second_factor", "code", target=f"user:{user.id}", address_key=rate_limit_key(address)
            ):
                event(log, "second_factor_refused", logging.WARNING, user=user.username, address=address)
            raise TotpWrong(_WRONG)
        await self._store[UserStore].clear_attempts(attempt.returned)

    async def _reserve(self, user: User, address: str, origin: LoginOrigin, browser: str = "") -> Attempt:
        """Count an attempt. Each known address and browser has its own count, so a stranger with the password cannot lock the user out there."""
        attempt = second_factor_attempt(user.id, address, origin=origin, browser=browser)
        wait = await self._store[UserStore].reserve_attempt(attempt.buckets, self._clock.now())
        if wait > 0:
            wait_s = min(int(wait) + 1, LONGEST_WAIT_S)
            raise TooManyAttempts(f"too many codes; try again in {wait_s} seconds", retry_after_s=wait_s)
        return attempt

    async def _by_app(self, user: User, code: str) -> bool:
        step = totp.step_of(await self._seed(user), code, self._clock.now())
        return step is not None and await self._store[FactorStore].use_step(user.id, step)

    async def _by_recovery_code(self, user: User, code: str, address: str) -> bool:
        digest = code_hash(self._pepper, user.id, code)
        return digest is not None and await self._store[FactorStore].use_recovery_code(user.id, digest, address) is not None

    async def _seed(self, user: User) -> bytes:
        """The user's seed. Raises: Conflict: another request has changed the second factor since the user was read; VaultError, StoreError."""
        record = await self._store[SecretStore].secret(TABLE, user.id, COLUMN)
        if record is None or record.version != user.totp_version:
            now = await self._store[UserStore].user(user.id)
            if now is None or (now.totp_version, now.totp_since) != (user.totp_version, user.totp_since):
                raise Conflict("the second factor has changed meanwhile: try again")
            raise VaultError(f"the second factor of user {user.id} is missing from the vault")
        return await asyncio.to_thread(self._sealer.open, record)

    async def begin(self, scope: Scope, user: User) -> NewFactor:
        """Make a seed. It takes effect when it is confirmed.

        Raises: Conflict: the user has a second factor already.
        """
        if user.totp_since is not None:
            raise Conflict("there is a second factor already: switch it off first")
        seed = totp.new_seed()
        record = await asyncio.to_thread(self._sealer.seal, TABLE, user.id, COLUMN, user.totp_version + 1, seed)
        await self._store[FactorStore].begin_totp(scope, user.id, record)
        return NewFactor(totp.seed_text(seed), totp.uri(seed, user.username))

    async def confirm(self, caller: Caller, user: User, session: LoginSession, code: str) -> list[str]:
        """Switch the second factor on with its first code; the user's other sessions end.

        Returns: the recovery codes, which are not readable later.
        Raises:  Conflict: no seed waits for its first code; TotpWrong; TooManyAttempts; Unauthenticated: the session has ended; VaultError.
        """
        if user.totp_since is not None or await self._store[SecretStore].secret(TABLE, user.id, COLUMN) is None:
            raise Conflict("there is no second factor that waits for its first code")
        address = caller.scope.actor.address
        attempt = await self._reserve(user, address, await self._addresses.origin_of(user.username, address))
        now = self._clock.now()
        step = totp.step_of(await self._seed(user), code, now)
        if step is None:
            raise TotpWrong(_WRONG)
        codes = new_codes()
        ends = min(session.expires_at, next_expiry(session._replace(second_factor=True), now))
        with within_session():
            await self._store[FactorStore].confirm_totp(
                caller.scope, user.id, user.totp_version, step, self._hashes(user, codes), session.id, now, ends
            )
        self._bus.publish(Revoked("", user.id))
        await self._store[UserStore].clear_attempts(attempt.returned)
        return codes

    async def renew_codes(self, scope: Scope, user: User) -> list[str]:
        """Replace the recovery codes by a new set.

        Raises: Conflict: there is no second factor.
        """
        codes = new_codes()
        await self._store[FactorStore].save_recovery_codes(scope, user.id, self._hashes(user, codes))
        return codes

    async def stop(self, scope: Scope, user: User, keep: LoginSession | None) -> User:
        """Switch the second factor off; all sessions except `keep` end. Without `keep` it is a reset, which empties all limits of the user.

        Raises: NotFound: the user has no second factor; Unauthenticated: `keep` has ended.
        """
        if user.totp_since is None:
            raise NotFound("there is no second factor")
        with contextlib.nullcontext() if keep is None else within_session():
            after = await self._store[FactorStore].stop_totp(scope, user.id, None if keep is None else keep.id)
        self._bus.publish(Revoked("", user.id))
        if keep is None:
            await self._store[UserStore].clear_attempts((), everything_of(user.id))
        return after

    def _hashes(self, user: User, codes: list[str]) -> list[bytes]:
        return [digest for code in codes if (digest := code_hash(self._pepper, user.id, code)) is not None]


CODES: Final = 10
CODE_BYTES: Final = 10
_FORM: Final = re.compile(r"[A-Z2-7]{16}\Z")


def new_codes() -> list[str]:
    """New recovery codes in the form `ABCD-EFGH-IJKL-MNOP`."""
    texts = (base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode() for _ in range(CODES))
    return ["-".join(text[at : at + 4] for at in range(0, len(text), 4)) for text in texts]


def code_hash(pepper: bytes, user: str, code: str) -> bytes | None:
    """The stored hash of a recovery code; None: the text does not have the form of a code.

    The key is the vault's pepper, which is not in the database. So nobody can test codes with the database alone, and a fast hash suffices.
    """
    plain = re.sub(r"[\s-]", "", code[:64]).upper()
    if not _FORM.match(plain):
        return None
    return hmac.digest(pepper, b"recovery code\0" + user.encode() + b"\0" + plain.encode(), hashlib.sha256)
