"""Connections that have nothing urgent to say are read in rounds, not each at its own moment.

A thousand nodes that say something once a second wake the hub a thousand times, and each finds the processor's caches full of something
else. The loop of asyncio reads a socket when it has something; these are taken out of it, and have a poll of their own each `ROUND_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
from collections.abc import Callable
from typing import Final

from groundcontrol.fleet.together import LISTED_S
from spider.logs import event

log = logging.getLogger(__name__)

ROUND_S: Final = LISTED_S
AT_ONCE: Final = 64
"""How many are read without a pause; then others have their turn."""


class Rounds:
    """Who is read in rounds. The descriptors stay their owners', who take them out before they are closed."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, descriptor: int, read: Callable[[], None]) -> None:
        """Call `read` in each round in which there is something to be read.

        Raises: OSError: the descriptor is closed, or in here already.
        """
        self._poll.register(descriptor, select.EPOLLIN)
        self._readers[descriptor] = read
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(ROUND_S, self._round)

    def remove(self, descriptor: int, read: Callable[[], None]) -> None:
        """Call `read` no more. A descriptor that was closed meanwhile may be somebody else's by now."""
        if self._readers.get(descriptor) == read:
            del self._readers[descriptor]
            with contextlib.suppress(OSError):  # closed meanwhile, which has taken it out of the poll
                self._poll.unregister(descriptor)

    def _round(self) -> None:
        ready = self._poll.poll(0, AT_ONCE)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(0 if len(ready) == AT_ONCE else ROUND_S, self._round) if self._readers else None
        for descriptor, _events in ready:
            read = self._readers.get(descriptor)
            if read is None:
                continue
            try:
                read()
            except Exception:  # the boundary: a fault with one leaves the others alone; its session falls silent and is ended for that
                event(log, "round_failed", logging.ERROR, exc_info=True)
                self.remove(descriptor, read)
