"""Implementations of `spider.clock.Clock` for tests."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time


class ManualClock:
    """Stands still until a test moves it: an hour passes in no time."""

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
        heapq.heappush(self._sleepers, (self._monotonic + max(0.0, seconds), next(self._count), done))
        await done

    def advance(self, seconds: float) -> None:
        """Advance time in one step, then wake all sleepers whose time is over."""
        self._go_to(self._monotonic + seconds)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            self._wake_first()

    async def elapse(self, seconds: float, *, late: float = 0.0) -> None:
        """Let time pass from the end of one sleep to the next, and let all tasks run in between.

        Args: late: how long after its end each sleeper is woken, as on a busy machine.
        """
        end = self._monotonic + seconds
        while True:
            await settle()
            if not self._sleepers or self._sleepers[0][0] > end:
                break
            self._go_to(max(self._monotonic, min(end, self._sleepers[0][0] + late)))
            self._wake_first()
        self._go_to(end)
        await settle()

    def jump(self, seconds: float) -> None:
        """Change the wall clock alone, as when it is set, or when the machine was suspended."""
        self._now += seconds

    def _go_to(self, monotonic: float) -> None:
        self._now += monotonic - self._monotonic
        self._monotonic = monotonic

    def _wake_first(self) -> None:
        _, _, done = heapq.heappop(self._sleepers)
        if not done.done():
            done.set_result(None)


class RunningClock:
    """The machine's clock, at `factor` times its speed, and with offsets that a test sets. For code that also waits for threads or sockets."""

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = factor
        self._began, self._began_monotonic = time.time(), time.monotonic()
        self.shift = 0.0
        """Seconds that a test has skipped."""
        self.wrong = 0.0
        """Seconds by which the wall clock alone is wrong."""

    def now(self) -> float:
        return self._began + (time.time() - self._began) * self._factor + self.shift + self.wrong

    def monotonic(self) -> float:
        return self._began_monotonic + (time.monotonic() - self._began_monotonic) * self._factor + self.shift

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._factor)


class SkippingClock(RunningClock):
    """The machine's clock, but a wait takes a `faster`th of its time, and its end skips the rest.

    So limits are short as long as the program runs, and no shorter than usual while a busy machine does not run it.
    """

    def __init__(self, faster: float = 20.0) -> None:
        super().__init__()
        self._faster = faster

    async def sleep(self, seconds: float) -> None:
        ends_at = self.monotonic() + seconds
        await asyncio.sleep(seconds / self._faster)
        self.shift += max(0.0, ends_at - self.monotonic())


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)
