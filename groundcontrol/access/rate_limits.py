"""How often a password may be tried. An attempt is counted before it is made, in the store, so that a burst or a restart gains nothing.

What somebody has got wrong is counted apart for each browser and for the places that they have logged in with, and together for all others:
strangers who guess at an account use up their own count and not its owner's. A name that nobody has is counted as one that somebody has: no wait
tells them apart.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.store import Bucket

Ladder = tuple[tuple[int, float], ...]
"""(attempts, seconds): each longer window makes the next wait longer."""

DAY_S: Final = 86_400.0
ACCOUNT: Final[Ladder] = ((5, 60.0), (10, 900.0), (20, 3600.0), (60, DAY_S))
ADDRESS: Final[Ladder] = ((5, 60.0),)
ADDRESS_LONG: Final[Ladder] = ((100, 900.0),)
"""Not given back by a log-in that works: an own account must not pay for guesses at others."""
SECOND_FACTOR: Final[Ladder] = ((5, 900.0), (30, DAY_S))
"""Three codes of a million are right at any moment: with these limits a guesser who has the password needs years."""
LoginOrigin = Literal["elsewhere", "here", "place", "device"]
"""From where somebody tries: nobody knows; the hub's own machine, or with its setup code; an address that this user has logged in from; a browser
that they have logged in with."""
AttemptRow = Literal["elsewhere", "place", "device", "proof"]
ROW_S: Final = 14 * DAY_S
IN_A_ROW: Final[dict[AttemptRow, int]] = {"elsewhere": 18, "place": 12, "device": 7, "proof": 7}
"""So many failures within ROW_S without a success in between, however slowly; from then on one a day.

In any two weeks that is 32, 26, 21 and 21, together 100 for an account, whatever ways are used. No way is ever closed for longer than a day, also by
strangers who never rest. The owner's own browser is a way that nobody can use up who has not its cookie, wherever it stands; each browser has a count."""
LONGEST_WAIT_S: Final = int(DAY_S)
"""No bucket asks for more."""


class Attempt(NamedTuple):
    """The buckets of one attempt."""

    buckets: Mapping[str, Bucket]
    returned: tuple[str, ...]
    """Those that a correct password empties again."""


def name_key(username: str) -> str:
    """What counts for a name that nobody has: spellings that would be one user's are one name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", username).casefold())


def login_attempt(account: str, address: str, *, way: LoginOrigin, browser: str = "") -> Attempt:
    """The buckets of a log-in. A wrong code counts as a wrong password does: neither gives the attempt back.

    Args: account: the user's id, so that no spelling of the name has a count of its own; `name_key` where there is no such user.
          browser: which one, where `way` is "device".
    """
    row: AttemptRow = "place" if way == "here" else way
    mine = {**_rungs(f"account:{_who(account, address, way, browser)}", ACCOUNT), **_in_a_row(account, row, browser)}
    if way == "device":
        return Attempt(mine, tuple(mine))  # others at this address are no reason to wait
    place = rate_limit_key(address)
    returned = {**mine, **_rungs(f"address:{place}", ADDRESS)}
    return Attempt({**returned, **_rungs(f"address-long:{place}", ADDRESS_LONG)}, tuple(returned))


def proof_attempt(user: str, address: str, *, way: LoginOrigin) -> Attempt:
    """The buckets for proving the password, and the code, again within a session (step-up, change)."""
    rungs = {**_rungs(f"proof:{_who(user, address, way)}", ACCOUNT), **_in_a_row(user, "proof")}
    return Attempt(rungs, tuple(rungs))


def second_factor_attempt(user: str, address: str, *, way: LoginOrigin, browser: str = "") -> Attempt:
    """The buckets for codes of the second factor: a count of their own, so that no other success gives tries back."""
    rungs = _rungs(f"second-factor:{_who(user, address, way, browser)}", SECOND_FACTOR)
    return Attempt(rungs, tuple(rungs))


def failures_of(user: str) -> tuple[str, ...]:
    """How the names of all buckets begin that count this user's failures in a row: a log-in empties them, wherever they were made."""
    return (f"in-a-row:{_hash(user)}:",)


def everything_of(user: str) -> tuple[str, ...]:
    """How the names of all this user's buckets begin, from whatever place: a reset empties them."""
    name = _hash(user)
    return (*failures_of(user), *(f"{kind}:{name}{end}" for kind in ("account", "proof", "second-factor") for end in (":", "@")))


def _in_a_row(account: str, row: AttemptRow, browser: str = "") -> dict[str, Bucket]:
    return {f"in-a-row:{_hash(account)}:{row}{browser and f'.{browser}'}": (IN_A_ROW[row], ROW_S, DAY_S)}


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
    return {f"{name}:{int(window)}": (limit, window) for limit, window in ladder}
