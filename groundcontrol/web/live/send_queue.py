"""The send queue of one browser: bounded in bytes and in age, so that a slow browser costs the hub nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from spider.clock import Clock

MAX_QUEUED_BYTES: Final = 4 << 20
PATIENCE_S: Final = 10.0
ROOM_BYTES: Final = 512 << 10
"""While the queue is shorter, a stream that can wait (job output) continues."""


class TooSlow(Exception):
    """The browser does not read its data."""


class SendQueue:
    """A queue of messages for one socket, sent by `pump`."""

    def __init__(self, clock: Clock, *, max_bytes: int = MAX_QUEUED_BYTES, patience_s: float = PATIENCE_S) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._patience_s = patience_s
        self._queue: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._overflow = False

    def put(self, message: bytes) -> None:
        """Queue a message. If it does not fit, `pump` raises, and later messages are dropped."""
        if self._overflow:
            return
        self._queue.append((self._clock.monotonic(), message))
        self._bytes += len(message)
        self._overflow = self._bytes > self._max_bytes
        if self._bytes >= ROOM_BYTES:
            self._room.clear()
        self._some.set()

    async def room(self) -> None:
        """Wait until the queue is shorter than `ROOM_BYTES`."""
        await self._room.wait()

    async def pump(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send messages until cancelled.

        Raises: TooSlow: the queue is over its limit, or a message has waited too long.
        """
        while True:
            while not self._queue:
                self._some.clear()
                await self._some.wait()
            queued_at, message = self._queue[0]
            left = self._patience_s - (self._clock.monotonic() - queued_at)
            if self._overflow or left <= 0:
                self.clear()
                raise TooSlow
            try:
                async with asyncio.timeout(left):
                    await send(message)
            except TimeoutError as exc:
                self.clear()
                raise TooSlow from exc
            self._queue.popleft()
            self._bytes -= len(message)
            if self._bytes < ROOM_BYTES:
                self._room.set()

    def clear(self) -> None:
        """Drop all queued messages."""
        self._queue.clear()
        self._bytes = 0
        self._room.set()
