"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time


class ManualClock:
    """`spider.clock.Clock` for tests: an hour passes in no time."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = itertools.count()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._count), done))
        await done

    def advance(self, seconds: float) -> None:
        """Let time pass and wake who slept."""
        self._now += seconds
        self._monotonic += seconds
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            _, _, done = heapq.heappop(self._sleepers)
            if not done.done():
                done.set_result(None)

    def jump(self, seconds: float) -> None:
        """The wall clock alone is set to another time."""
        self._now += seconds


class ShiftedClock:
    """The machine's clock, which a test may move on: for code that waits for threads and sockets as well as for time."""

    def __init__(self) -> None:
        self.shift = 0.0
        self.wrong = 0.0
        """What the wall clock alone is off by."""

    def now(self) -> float:
        return time.time() + self.shift + self.wrong

    def monotonic(self) -> float:
        return time.monotonic() + self.shift

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
