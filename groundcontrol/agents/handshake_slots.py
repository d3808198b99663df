"""Limits handshakes: how many sockets may be without a session, and which one is closed when there are too many."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Final

from groundcontrol.core.errors import Unavailable
from groundcontrol.core.ids import NodeId
from spider.clock import Clock
from spider.wire.frames import OPENING_TIMEOUT_S

MAX_OPENINGS: Final = 64
MAX_OPENINGS_PER_ADDRESS: Final = 20
HELLO_TIMEOUT_S: Final = 5.0
"""Time for the first message. A node sends it as soon as the socket is open."""
PATIENCE_S: Final = 1.0
"""A handshake is displaced first if its peer has not answered for this long. A real node answers within a network round trip."""


class HandshakeSlot:
    """One handshake, from the HTTP request until the proof of the node's key is verified. Until then a new socket may displace it."""

    def __init__(self, address_key: str, waits_since: float = 0.0, hello_timeout_s: float = HELLO_TIMEOUT_S) -> None:
        self.address_key = address_key
        self._hello_timeout_s = hello_timeout_s
        self.waits_since = waits_since
        """Monotonic time at which the hub began to wait for the peer's next message."""
        self.spoke = False
        """Whether the peer has sent its first message."""
        self.node: NodeId | None = None
        """The node, once it is authenticated. From then on the handshake waits for the hub alone, and only the same node can displace it."""
        self.displaced = False
        self._limit: asyncio.Timeout | None = None
        self._began = 0.0

    def begin(self, limit: asyncio.Timeout) -> None:
        """Start the time limit of the first message."""
        self._limit = limit
        self._began = asyncio.get_running_loop().time()
        self._end_at(self._began if self.displaced else self._began + self._hello_timeout_s)

    def first_message(self, now: float = 0.0) -> None:
        """Extend the time limit to the whole handshake, since the first message is here."""
        self.spoke = True
        self.waits_since = now
        if not self.displaced:
            self._end_at(self._began + OPENING_TIMEOUT_S)

    def displace(self) -> None:
        """End this handshake in favour of a new one."""
        self.displaced = True
        self._end_at(self._began)

    def _end_at(self, when: float) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(when)


class Openings:
    """All handshake slots. When all are taken, a new socket displaces the handshake whose peer has been silent longest.

    If no peer has been silent for PATIENCE_S, the address with the most slots loses one. A handshake without a message goes first, then the
    oldest. So an attacker can lock no other address out, and many real nodes do not displace each other.
    An authenticated node loses its slot only to a newer handshake of the same node.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all: dict[HandshakeSlot, None] = {}
        self._of: Counter[str] = Counter()
        """Key of an address -> number of its slots."""

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, address_key: str) -> HandshakeSlot:
        """Take a slot. `address_key`: `rate_limit_key` of the client's address.

        Raises: Unavailable: no other handshake can be displaced.
        """
        here = self._of[address_key]
        if here >= MAX_OPENINGS_PER_ADDRESS:
            self._displace([one for one in self._all if one.address_key == address_key and (not one.spoke or self._is_slow(one))])
        elif len(self._all) >= MAX_OPENINGS:
            self._displace([one for one in self._all if not one.spoke or self._is_slow(one) or self._of[one.address_key] > here + 1])
        opening = HandshakeSlot(address_key, self._clock.monotonic())
        self._all[opening] = None
        self._of[address_key] += 1
        return opening

    def displace_older(self, opening: HandshakeSlot) -> None:
        """End older handshakes of the same authenticated node. So one key holds at most one slot."""
        for older in [one for one in self._all if one.node == opening.node and one is not opening]:
            self._end(older)

    def leave(self, opening: HandshakeSlot) -> None:
        """Release the slot."""
        if opening in self._all:
            del self._all[opening]
            self._of[opening.address_key] -= 1
            self._of += Counter()  # drops addresses without slots

    def _is_slow(self, opening: HandshakeSlot) -> bool:
        return self._clock.monotonic() - opening.waits_since >= PATIENCE_S

    def _order(self, opening: HandshakeSlot) -> tuple[float, ...]:
        """Sort key: the least is displaced first."""
        if self._is_slow(opening):
            return 0, opening.waits_since
        return 1, -self._of[opening.address_key], opening.spoke, opening.waits_since

    def _displace(self, candidates: list[HandshakeSlot]) -> None:
        candidates = [one for one in candidates if one.node is None]
        if not candidates:
            raise Unavailable("too many agents are connecting at this moment; come back later", retry_after_s=random.randint(2, 8))
        self._end(min(candidates, key=self._order))

    def _end(self, opening: HandshakeSlot) -> None:
        self.leave(opening)
        opening.displace()
