"""Cookies that prove that a user has logged in with this browser before.

Several people share an address (an office, an undeclared proxy), but not a browser. A guesser at the same address cannot use up the
browser's count. The cookie grants no access. It only selects the count for a wrong password, and each browser has its own. A change or
reset of the password makes the cookie worthless: a thief of the cookie, or a later user of the machine, counts as a stranger again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final, NamedTuple

from groundcontrol.core.ids import UserId

KNOWN_S: Final = 400 * 86_400.0
"""How long after its last log-in a browser stays known; no browser keeps a cookie for longer."""
_FORM: Final = re.compile(r"([0-9a-z]{1,40})\.([0-9]{1,9})\.([0-9]{1,12})\.([0-9a-f]{16})\.([0-9a-f]{64})\Z")


class Device(NamedTuple):
    """The content of a valid cookie."""

    user: UserId
    password_version: int
    """The version of the user's password when the cookie was made."""
    browser: str
    """The id of the browser; it stays the same until a log-in renews the cookie."""


class Devices:
    """Makes and reads these cookies; the store holds nothing about them."""

    def __init__(self, pepper: bytes) -> None:
        self._key = hmac.digest(pepper, b"known devices", hashlib.sha256)

    def make(self, user: UserId, password_version: int, now: float) -> str:
        """The cookie for a browser, made at a log-in and at a change of the password."""
        payload = f"{user}.{password_version}.{int(now)}.{secrets.token_hex(8)}"
        return f"{payload}.{self._mac(payload)}"

    def read(self, cookie: str, now: float) -> Device | None:
        """The user who has logged in with this browser; None: nobody has, or too long ago."""
        found = _FORM.match(cookie)
        if found is None:
            return None
        payload, mac = cookie.rpartition(".")[::2]
        if not hmac.compare_digest(mac, self._mac(payload)) or not -KNOWN_S <= int(found[3]) - now <= KNOWN_S:
            return None
        return Device(UserId(found[1]), int(found[2]), found[4])

    def _mac(self, payload: str) -> str:
        return hmac.digest(self._key, payload.encode(), hashlib.sha256).hex()
