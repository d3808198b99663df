"""How often a password may be tried. An attempt is counted before it is made, in the store, so that a burst or a restart gains nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from groundcontrol.auth.addresses import limit_key

Ladder = tuple[tuple[int, float], ...]
"""(attempts, seconds): each longer window makes the next wait longer."""

ACCOUNT: Final[Ladder] = ((5, 60.0), (10, 900.0), (20, 3600.0), (60, 86_400.0))
ADDRESS: Final[Ladder] = ((5, 60.0),)
ADDRESS_LONG: Final[Ladder] = ((100, 900.0),)
"""Not given back by a log-in that works: an own account must not pay for guesses at others."""
SECOND_FACTOR: Final[Ladder] = ((5, 900.0), (30, 86_400.0))
"""Three codes of a million are right at any moment: with these limits a guesser who has the password needs years."""


class Attempt(NamedTuple):
    """The buckets of one attempt."""

    buckets: Mapping[str, tuple[int, float]]
    returned: tuple[str, ...]
    """Those that a correct password empties again."""


def login_attempt(account: str, address: str, *, known: bool) -> Attempt:
    """The buckets of a log-in.

    Args: account: the user's id, so that no spelling of the name has a count of its own; the name where there is no such user.
          known: this user has logged in from this address before. Such an address has a count of its own,
                 so that strangers who guess at the account do not lock its owner out.
    """
    name = hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    place = limit_key(address)
    who = f"account:{name}@{place}" if known else f"account:{name}"
    returned = {**_rungs(who, ACCOUNT), **_rungs(f"address:{place}", ADDRESS)}
    return Attempt({**returned, **_rungs(f"address-long:{place}", ADDRESS_LONG)}, tuple(returned))


def proof_attempt(user: str) -> Attempt:
    """The buckets for proving the password again within a session (step-up, change)."""
    rungs = _rungs(f"proof:{user}", ACCOUNT)
    return Attempt(rungs, tuple(rungs))


def second_factor_attempt(user: str) -> Attempt:
    """The buckets for codes of the second factor: a count of their own, so that no other success gives tries back."""
    rungs = _rungs(f"second-factor:{user}", SECOND_FACTOR)
    return Attempt(rungs, tuple(rungs))


def _rungs(name: str, ladder: Ladder) -> dict[str, tuple[int, float]]:
    return {f"{name}:{int(window)}": (limit, window) for limit, window in ladder}
