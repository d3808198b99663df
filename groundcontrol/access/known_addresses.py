"""Places that somebody has logged in from, as a keyed hash: the database tells nobody's address by them."""

from __future__ import annotations

import hashlib
import hmac

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.rate_limits import LoginOrigin
from groundcontrol.access.store import LoginLookup, UserStore


class KnownAddresses:
    """Who knocks, and whether they were here before."""

    def __init__(self, users: UserStore, pepper: bytes) -> None:
        self._users = users
        self._pepper = pepper

    def of(self, address: str) -> bytes:
        """What is kept of an address; one of IPv6 stands for its /64."""
        return hmac.digest(self._pepper, b"place " + rate_limit_key(address).encode(), hashlib.sha256)

    async def knock(self, username: str, address: str) -> LoginLookup:
        """Look up name and place; takes as long whether or not there is such a user."""
        return await self._users.knock(username, self.of(address))

    async def way(self, username: str, address: str) -> LoginOrigin:
        """How somebody comes who shows no browser's cookie."""
        return "place" if (await self.knock(username, address)).known else "elsewhere"
