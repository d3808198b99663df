"""Rate limits of password attempts.

The store counts an attempt before the password is checked. So neither a burst nor a restart gains attempts.

Each known browser and each known address of a user has its own count of failures; all other origins share one. So strangers who guess
cannot use up the count of the account's owner. An unknown name is counted like a known one. So the wait does not reveal which names exist.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.store import Bucket, LoginLookup, UserStore
from groundcontrol.core.errors import TooManyRequests
from groundcontrol.core.text import fold
from spider.clock import Clock

Ladder = tuple[tuple[int, float], ...]
"""Pairs of (attempts, window in seconds). A longer window makes a longer wait."""

DAY_S: Final = 86_400.0
ACCOUNT: Final[Ladder] = ((5, 60.0), (10, 900.0), (20, 3600.0), (60, DAY_S))
ADDRESS: Final[Ladder] = ((5, 60.0),)
ADDRESS_LONG: Final[Ladder] = ((100, 900.0),)
"""A successful log-in does not empty this bucket. Otherwise a guesser could empty it by logging in to their own account."""
SECOND_FACTOR: Final[Ladder] = ((5, 900.0), (30, DAY_S))
"""At any moment three of a million codes are valid. With these limits a guesser who has the password needs years."""
LoginOrigin = Literal["elsewhere", "here", "place", "device"]
"""The origin of a log-in attempt.

- elsewhere: an unknown address and browser
- here: the hub's own machine, or an attempt with the setup code
- place: an address from which this user has logged in
- device: a browser with which this user has logged in
"""
AttemptRow = Literal["elsewhere", "place", "device", "proof"]
ROW_S: Final = 14 * DAY_S
IN_A_ROW: Final[dict[AttemptRow, int]] = {"elsewhere": 18, "place": 12, "device": 7, "proof": 7}
"""How many failures in a row within ROW_S are allowed. After them one attempt a day is allowed.

So two weeks allow 32, 26, 21 and 21 attempts, together 100 for an account. No origin is closed for longer than a day, even if strangers
never stop. Each browser has its own count, which only attempts with its cookie use up.
"""
LONGEST_WAIT_S: Final = int(DAY_S)
"""The longest wait that a bucket can require."""


class Attempt(NamedTuple):
    """The buckets that count one attempt, by name."""

    buckets: Mapping[str, Bucket]
    returned: tuple[str, ...]
    """Names of the buckets that a success empties."""


def name_key(username: str) -> str:
    """The account key of an unknown user name. All spellings of a name have the same key."""
    return fold(username)


def login_attempt(account: str, address: str, *, origin: LoginOrigin, browser: str = "") -> Attempt:
    """The buckets of a log-in. A wrong code counts like a wrong password.

    Args: account: the user's id, or `name_key` of the name if there is no such user. browser: its id, if `origin` is "device".
    """
    row: AttemptRow = "place" if origin == "here" else origin
    mine = {**_rungs(f"account:{_origin_key(account, address, origin, browser)}", ACCOUNT), **_in_a_row(account, row, browser)}
    if origin == "device":
        return Attempt(mine, tuple(mine))  # other users of this address must not delay a known browser
    address_key = rate_limit_key(address)
    returned = {**mine, **_rungs(f"address:{address_key}", ADDRESS)}
    return Attempt({**returned, **_rungs(f"address-long:{address_key}", ADDRESS_LONG)}, tuple(returned))


def proof_attempt(user: str, address: str, *, origin: LoginOrigin) -> Attempt:
    """The buckets of a proof of the password within a session, for a step-up or a change of the password."""
    rungs = {**_rungs(f"proof:{_origin_key(user, address, origin)}", ACCOUNT), **_in_a_row(user, "proof")}
    return Attempt(rungs, tuple(rungs))


def second_factor_attempt(user: str, address: str, *, origin: LoginOrigin, browser: str = "") -> Attempt:
    """The buckets of an attempt with a code of the second factor. A correct password does not empty them."""
    rungs = _rungs(f"second-factor:{_origin_key(user, address, origin, browser)}", SECOND_FACTOR)
    return Attempt(rungs, tuple(rungs))


def failures_of(user: str) -> tuple[str, ...]:
    """The name prefixes of the buckets that count this user's failures in a row. A log-in from any origin empties them."""
    return (f"in-a-row:{_hash(user)}:",)


def everything_of(user: str) -> tuple[str, ...]:
    """The name prefixes of all buckets of this user. A reset empties them."""
    name = _hash(user)
    return (*failures_of(user), *(f"{kind}:{name}{end}" for kind in ("account", "proof", "second-factor") for end in (":", "@")))


def _in_a_row(account: str, row: AttemptRow, browser: str = "") -> dict[str, Bucket]:
    return {f"in-a-row:{_hash(account)}:{row}{browser and f'.{browser}'}": Bucket(IN_A_ROW[row], ROW_S, DAY_S)}


def _origin_key(account: str, address: str, origin: LoginOrigin, browser: str = "") -> str:
    match origin:
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
    """Looks up whether a user has logged in from an address before."""

    def __init__(self, users: UserStore, pepper: bytes) -> None:
        self._users = users
        self._pepper = pepper

    def address_hash(self, address: str) -> bytes:
        """The stored hash of an address; an IPv6 address counts as its /64."""
        return hmac.digest(self._pepper, b"place " + rate_limit_key(address).encode(), hashlib.sha256)

    async def lookup_login(self, username: str, address: str) -> LoginLookup:
        """Look up a name and an address. It takes equally long for an unknown name."""
        return await self._users.lookup_login(username, self.address_hash(address))

    async def origin_of(self, username: str, address: str) -> LoginOrigin:
        """The origin of a log-in attempt without a browser cookie."""
        return "place" if (await self.lookup_login(username, address)).known else "elsewhere"


async def check_limit(users: UserStore, clock: Clock, what: str, address: str, bucket: Bucket) -> None:
    """Count an act of an address. Raises: TooManyRequests."""
    wait_s = await users.reserve_attempt({f"{what}:{rate_limit_key(address)}": bucket}, clock.now())
    if wait_s > 0:
        raise TooManyRequests("too many log-ins through a provider from here; try again later", retry_after_s=int(wait_s) + 1)
