"""Cookies that prove that a user has logged in with this browser before.

Several people may share an address (an office, an undeclared proxy), but not a browser. So each known browser has its own count of wrong
passwords. A guesser at the same address cannot use it up. The cookie only selects this count, and grants no access. It ends with a
change or reset of the password. Then a thief of the cookie, or a later user of the machine, counts as a stranger again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final, NamedTuple

from groundcontrol.core.ids import UserId

KNOWN_S: Final = 400 * 86_400.0
"""How long a browser is known after its last log-in. No browser keeps a cookie for longer."""
_FORM: Final = re.compile(r"([0-9a-z]{1,40})\.([0-9]{1,9})\.([0-9]{1,12})\.([0-9a-f]{16})\.([0-9a-f]{64})\Z")


class BrowserCookie(NamedTuple):
    """The content of a valid cookie of a known browser."""

    user: UserId
    password_version: int
    """The version of the user's password when the cookie was made."""
    browser: str
    """The id of the browser, which changes when a log-in renews the cookie."""


class BrowserCookies:
    """Makes and reads the cookies of known browsers. The store holds nothing about them."""

    def __init__(self, pepper: bytes) -> None:
        self._key = hmac.digest(pepper, b"known devices", hashlib.sha256)

    def make(self, user: UserId, password_version: int, now: float) -> str:
        """The cookie for a browser after a log-in or a change of the password."""
        payload = f"{user}.{password_version}.{int(now)}.{secrets.token_hex(8)}"
        return f"{payload}.{self._mac(payload)}"

    def read(self, cookie: str, now: float) -> BrowserCookie | None:
        """The content of a cookie; None: it is invalid, or was not made within KNOWN_S of `now`."""
        found = _FORM.match(cookie)
        if found is None:
            return None
        payload, mac = cookie.rpartition(".")[::2]
        if not hmac.compare_digest(mac, self._mac(payload)) or not -KNOWN_S <= int(found[3]) - now <= KNOWN_S:
            return None
        return BrowserCookie(UserId(found[1]), int(found[2]), found[4])

    def _mac(self, payload: str) -> str:
        return hmac.digest(self._key, payload.encode(), hashlib.sha256).hex()
