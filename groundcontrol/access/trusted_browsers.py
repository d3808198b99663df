"""Browsers that somebody has logged in with, by a cookie that proves it.

An address is shared (an office, a proxy that was not named), a browser is not: who guesses from the same address cannot use up its count.
The cookie opens nothing; it says only which count a wrong password goes to: each browser has its own. It is worth nothing any more once the password
was changed or reset: whoever took one along, or used a machine that they gave back, starts from the street again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final, NamedTuple

from groundcontrol.core.ids import UserId

KNOWN_S: Final = 400 * 86_400.0
"""How long after its last log-in a browser is known; none keeps a cookie for longer."""
_FORM: Final = re.compile(r"([0-9a-z]{1,40})\.([0-9]{1,9})\.([0-9]{1,12})\.([0-9a-f]{16})\.([0-9a-f]{64})\Z")


class Device(NamedTuple):
    """What a cookie proves."""

    user: UserId
    password_version: int
    """The password that was the user's when it was given."""
    browser: str
    """Which one it is: as long as the cookie is not renewed by a log-in."""


class Devices:
    """Makes and reads these cookies; nothing of them is stored."""

    def __init__(self, pepper: bytes) -> None:
        self._key = hmac.digest(pepper, b"known devices", hashlib.sha256)

    def make(self, user: UserId, password_version: int, now: float) -> str:
        """What a browser is given at a log-in, and when it changes the password."""
        said = f"{user}.{password_version}.{int(now)}.{secrets.token_hex(8)}"
        return f"{said}.{self._mac(said)}"

    def read(self, cookie: str, now: float) -> Device | None:
        """Who has logged in with this browser; None: nobody, or too long ago."""
        found = _FORM.match(cookie)
        if found is None:
            return None
        said, mac = cookie.rpartition(".")[::2]
        if not hmac.compare_digest(mac, self._mac(said)) or not -KNOWN_S <= int(found[3]) - now <= KNOWN_S:
            return None
        return Device(UserId(found[1]), int(found[2]), found[4])

    def _mac(self, said: str) -> str:
        return hmac.digest(self._key, said.encode(), hashlib.sha256).hex()
