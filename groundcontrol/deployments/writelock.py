"""Waiting for one's turn to write: where the disk hangs, a request is refused in time, and what was asked for is not carried out later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, Literal

from groundcontrol.errors import StoreBusy

PATIENCE_S: Final = 10.0
"""So long the store waits for its disk before it refuses (`store.sqlite.writer.STALL_S`)."""


class WriteLock(asyncio.Lock):
    """Held over something that is written to the store. `async with lock` waits for as long as it takes, `lock.in_time()` does not."""

    def __init__(self) -> None:
        super().__init__()
        self._since = 0.0
        """When it was taken last; seconds of the loop."""

    async def acquire(self) -> Literal[True]:
        """Take it, however long that takes."""
        await super().acquire()
        self._since = asyncio.get_running_loop().time()
        return True

    @contextlib.asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Hold it for a request, which is refused as soon as somebody has held it for PATIENCE_S.

        Raises: StoreBusy: nothing was done.
        """
        since = self._since if self.locked() else asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(since + PATIENCE_S):
                await self.acquire()
        except TimeoutError:
            raise StoreBusy(
                f"what was ordered before this has not been written down for {PATIENCE_S:g} s or longer; try again later"
            ) from None
        try:
            yield
        finally:
            self.release()
