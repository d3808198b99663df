"""Addresses that a user has logged in from, stored as a keyed hash: nobody can read an address from the database."""

from __future__ import annotations

import hashlib
import hmac

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.rate_limits import LoginOrigin
from groundcontrol.access.store import LoginLookup, UserStore


class KnownAddresses:
    """Looks up users and whether they have logged in from an address before."""

    def __init__(self, users: UserStore, pepper: bytes) -> None:
        self._users = users
        self._pepper = pepper

    def of(self, address: str) -> bytes:
        """The stored hash of an address; an IPv6 address counts as its /64."""
        return hmac.digest(self._pepper, b"place " + rate_limit_key(address).encode(), hashlib.sha256)

    async def knock(self, username: str, address: str) -> LoginLookup:
        """Look up name and address; takes equally long whether or not the user exists."""
        return await self._users.knock(username, self.of(address))

    async def way(self, username: str, address: str) -> LoginOrigin:
        """The origin of a log-in attempt without a browser cookie."""
        return "place" if (await self.knock(username, address)).known else "elsewhere"
