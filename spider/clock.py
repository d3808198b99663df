"""The clock interface. Time is passed in, so that a test runs an hour of logic in a millisecond."""

import time
from typing import Protocol


class Clock(Protocol):
    """Provides the time. Wall time is data; intervals and deadlines use `monotonic`."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never jumps."""
        ...

    async def sleep(self, seconds: float) -> None: ...


LATEST_S = 4_102_444_800.0
"""The year 2100. The hub ends a session with a later time."""


class SystemClock:
    """The clocks of the operating system. A wall clock beyond `LATEST_S` stands at that time."""

    def now(self) -> float:
        return min(time.time(), LATEST_S)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - root's programs use this module too, and asyncio would be a third of the launcher's start time

        await asyncio.sleep(seconds)
