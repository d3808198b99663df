"""The hub's heartbeat: requests to an external URL as long as the hub can alert. A service there notices when they stop."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp

from groundcontrol.core.errors import StoreError
from groundcontrol.notifications.egress import Egress
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0
STUCK_S: Final = 900.0
"""If a message has been due for this long, the outbox does not work."""


class Heartbeat:
    """The task that sends a heartbeat every minute. A hub that cannot alert sends none."""

    def __init__(
        self,
        clock: Clock,
        egress: Egress,
        url: str | None,
        next_due: Callable[[], Awaitable[float | None]],
        evaluates: Callable[[], bool] = lambda: True,
    ) -> None:
        """Args:
        url: None: send no heartbeat. The URL is a secret: anyone with the URL can send a false heartbeat.
        next_due: reads from the store when the next message is due, in Unix seconds; None: no message is open.
        evaluates: whether the rules are evaluated in time.
        """
        self._clock = clock
        self._egress = egress
        self._url = url
        self._next_due = next_due
        self._evaluates = evaluates
        self.failing: str | None = None
        """Why the last heartbeat was not sent or not accepted; empty: it was accepted; None: none was due yet."""

    async def run(self) -> None:
        """Call `beat` every minute, until cancelled."""
        while self._url is not None:
            try:
                await self.beat(self._url)
            except Exception:  # the boundary: an unexpected answer of the receiver must not end the hub
                self.failing = "internal"
                event(log, "heartbeat_failed", logging.ERROR, why=self.failing, exc_info=True)
            await self._clock.sleep(EVERY_S)

    async def beat(self, url: str) -> None:
        """Send one heartbeat if the hub can alert. Each change of the result is logged once."""
        before, self.failing = self.failing, await self._why_unable() or await self._send(url)
        if self.failing and self.failing != before:
            event(log, "heartbeat_failed", logging.WARNING, why=self.failing)
        elif before and not self.failing:
            event(log, "heartbeat_recovered")

    async def _why_unable(self) -> str:
        if not self._evaluates():
            return "rules are not evaluated"
        try:
            due_at = await self._next_due()
        except StoreError as exc:
            return exc.code
        return "messages wait" if due_at is not None and self._clock.now() - due_at > STUCK_S else ""

    async def _send(self, url: str) -> str:
        """Send one request. Returns: why it failed, without any part of the URL; empty: it was accepted."""
        try:
            async with self._egress.http(url).get(url, allow_redirects=False) as response:
                return "" if 200 <= response.status < 300 else f"the receiver answered {response.status}"
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            return type(exc).__name__
