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


class SystemClock:
    """The clocks of the operating system."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - root's programs use this module too, and asyncio would be a third of the launcher's start time

        await asyncio.sleep(seconds)
