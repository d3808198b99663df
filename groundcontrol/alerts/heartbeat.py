"""The hub's sign of life: a request to a URL outside, as long as the hub can alert. Whoever waits there notices when it stops."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0
Ping = Callable[[], Awaitable[str]]
"""Sends one request, within a limit of its own. Returns: why it failed, in words without the URL, which is a secret; empty: it was taken."""


class Heartbeat:
    """The periodic task. A hub that cannot alert must stop its sign of life."""

    def __init__(self, clock: Clock, healthy: Callable[[], bool], ping: Ping) -> None:
        self._clock = clock
        self._healthy = healthy
        self._ping = ping
        self._told: str | None = None
        self.failing = ""
        """Why the last request failed; empty: it did not."""

    async def run(self) -> None:
        """Beat every minute, until cancelled."""
        while True:
            await self.beat()
            await self._clock.sleep(EVERY_S)

    async def beat(self) -> None:
        """Send one request, unless the hub cannot alert. Each change of the outcome is logged once."""
        self.failing = await self._ping() if self._healthy() else "the hub cannot alert"
        if self.failing != self._told:
            self._told = self.failing
            if self.failing:
                event(log, "heartbeat_failed", logging.WARNING, why=self.failing)
            else:
                event(log, "heartbeat_sent")
