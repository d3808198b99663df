"""Time comes in through the door, so that an hour of logic tests in a millisecond."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time is data; intervals and deadlines use `monotonic`."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - root's programs know clocks too: loading it would be a third of the launcher's time

        await asyncio.sleep(seconds)
