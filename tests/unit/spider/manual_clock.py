"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class ManualClock:
    """Wall and monotonic time of a test; `sleep` returns when `advance` has passed its end."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now
        self._monotonic = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + max(0.0, seconds), next(self._order), future))
        await future

    def set_wall(self, now: float) -> None:
        """Somebody sets the clock: monotonic time stands."""
        self._now = now

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: the wall clock goes on, monotonic time stands."""
        self._now += seconds

    async def advance(self, seconds: float, *, late: float = 0.0) -> None:
        """Go on, from one sleeper's end to the next.

        Args: late: how much after its end each sleeper is woken (a busy machine).
        """
        end = self._monotonic + seconds
        while True:
            await settle()
            if not self._sleepers or self._sleepers[0][0] > end:
                break
            due, _, future = heapq.heappop(self._sleepers)
            self._go_to(max(self._monotonic, min(end, due + late)))
            if not future.done():
                future.set_result(None)
        self._go_to(end)
        await settle()

    def _go_to(self, monotonic: float) -> None:
        self._now += monotonic - self._monotonic
        self._monotonic = monotonic


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)
