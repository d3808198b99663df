"""Rate limits of password attempts.

The store counts an attempt before it is made, so that neither a burst nor a restart gains attempts.

Failures count separately for each known browser and each known address of a user, and together for all others. Strangers who guess at an
account use up their own count, not its owner's. An unknown name is counted like a known one, so that the wait does not show which names
exist.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.store import Bucket, LoginLookup, UserStore
from groundcontrol.core.text import fold

Ladder = tuple[tuple[int, float], ...]
"""Pairs of (attempts, seconds): each longer window makes the next wait longer."""

DAY_S: Final = 86_400.0
ACCOUNT: Final[Ladder] = ((5, 60.0), (10, 900.0), (20, 3600.0), (60, DAY_S))
ADDRESS: Final[Ladder] = ((5, 60.0),)
ADDRESS_LONG: Final[Ladder] = ((100, 900.0),)
"""A successful log-in does not empty this bucket: otherwise a guesser could empty it by logging in to an own account."""
SECOND_FACTOR: Final[Ladder] = ((5, 900.0), (30, DAY_S))
"""Three of a million codes are right at any moment: with these limits a guesser who has the password needs years."""
LoginOrigin = Literal["elsewhere", "here", "place", "device"]
"""The origin of a log-in attempt.

elsewhere: unknown. here: the hub's own machine, or with its setup code.
place: an address that this user has logged in from. device: a browser that this user has logged in with.
"""
AttemptRow = Literal["elsewhere", "place", "device", "proof"]
ROW_S: Final = 14 * DAY_S
IN_A_ROW: Final[dict[AttemptRow, int]] = {"elsewhere": 18, "place": 12, "device": 7, "proof": 7}
"""How many failures within ROW_S, without a success in between, are free; from then on one attempt a day is allowed.

In any two weeks that allows 32, 26, 21 and 21 attempts, together 100 for an account, whatever origins are used. No origin is ever closed
for longer than a day, even by strangers who never stop. Nobody without its cookie can use up the count of the owner's own browser, at any
address; each browser has its own count.
"""
LONGEST_WAIT_S: Final = int(DAY_S)
"""The longest wait that any bucket asks for."""


class Attempt(NamedTuple):
    """The buckets that count one attempt."""

    buckets: Mapping[str, Bucket]
    returned: tuple[str, ...]
    """The buckets that a correct password empties again."""


def name_key(username: str) -> str:
    """The account key of an unknown name: spellings that would name the same user share one key."""
    return fold(username)


def login_attempt(account: str, address: str, *, way: LoginOrigin, browser: str = "") -> Attempt:
    """The buckets of a log-in. A wrong code counts like a wrong password: neither empties a bucket.

    Args: account: the user's id, so that no spelling of the name has a count of its own; `name_key` where there is no such user.
          browser: the id of the browser, where `way` is "device".
    """
    row: AttemptRow = "place" if way == "here" else way
    mine = {**_rungs(f"account:{_who(account, address, way, browser)}", ACCOUNT), **_in_a_row(account, row, browser)}
    if way == "device":
        return Attempt(mine, tuple(mine))  # other users of this address must not delay a known browser
    address_key = rate_limit_key(address)
    returned = {**mine, **_rungs(f"address:{address_key}", ADDRESS)}
    return Attempt({**returned, **_rungs(f"address-long:{address_key}", ADDRESS_LONG)}, tuple(returned))


def proof_attempt(user: str, address: str, *, way: LoginOrigin) -> Attempt:
    """The buckets of a new proof of the password and the code within a session (step-up, change)."""
    rungs = {**_rungs(f"proof:{_who(user, address, way)}", ACCOUNT), **_in_a_row(user, "proof")}
    return Attempt(rungs, tuple(rungs))


def second_factor_attempt(user: str, address: str, *, way: LoginOrigin, browser: str = "") -> Attempt:
    """The buckets of codes of the second factor: a count of their own, so that no other success empties it."""
    rungs = _rungs(f"second-factor:{_who(user, address, way, browser)}", SECOND_FACTOR)
    return Attempt(rungs, tuple(rungs))


def failures_of(user: str) -> tuple[str, ...]:
    """The name prefixes of all buckets that count this user's failures in a row; a log-in from any origin empties them."""
    return (f"in-a-row:{_hash(user)}:",)


def everything_of(user: str) -> tuple[str, ...]:
    """The name prefixes of all buckets of this user, of any origin; a reset empties them."""
    name = _hash(user)
    return (*failures_of(user), *(f"{kind}:{name}{end}" for kind in ("account", "proof", "second-factor") for end in (":", "@")))


def _in_a_row(account: str, row: AttemptRow, browser: str = "") -> dict[str, Bucket]:
    return {f"in-a-row:{_hash(account)}:{row}{browser and f'.{browser}'}": Bucket(IN_A_ROW[row], ROW_S, DAY_S)}


def _who(account: str, address: str, way: LoginOrigin, browser: str = "") -> str:
    match way:
        case "elsewhere":
            return _hash(account)
        case "place":
            return f"{_hash(account)}@{rate_limit_key(address)}"
        case "device":
            return f"{_hash(account)}@device.{browser}"
        case "here":
            return f"{_hash(account)}@here"


def _hash(account: str) -> str:
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _rungs(name: str, ladder: Ladder) -> dict[str, Bucket]:
    return {f"{name}:{int(window)}": Bucket(limit, window) for limit, window in ladder}


class KnownAddresses:
    """Looks up users and whether they have logged in from an address before."""

    def __init__(self, users: UserStore, pepper: bytes) -> None:
        self._users = users
        self._pepper = pepper

    def of(self, address: str) -> bytes:
        """The stored hash of an address; an IPv6 address counts as its /64."""
        return hmac.digest(self._pepper, b"place " + rate_limit_key(address).encode(), hashlib.sha256)

    async def lookup_login(self, username: str, address: str) -> LoginLookup:
        """Look up name and address; takes equally long whether or not the user exists."""
        return await self._users.lookup_login(username, self.of(address))

    async def way(self, username: str, address: str) -> LoginOrigin:
        """The origin of a log-in attempt without a browser cookie."""
        return "place" if (await self.lookup_login(username, address)).known else "elsewhere"
