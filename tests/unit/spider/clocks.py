"""Clocks for tests: one that stands until it is told, and one that runs fast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class ManualClock:
    """Stands still; `advance` moves it. Nobody can sleep by it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._monotonic = 1_000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing sleeps by this clock")


class QuickClock:
    """Runs `factor` times as fast as the real one, so that waits of seconds take milliseconds."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._began = time.monotonic()

    def now(self) -> float:
        return 1_800_000_000.0 + self.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) * self._factor

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._factor)


async def eventually(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Wait until plain state that other tasks change is as it should be."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - the state belongs to code that has no event for a test
            await asyncio.sleep(0.005)
