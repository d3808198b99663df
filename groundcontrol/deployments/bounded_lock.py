"""Waiting for one's turn to write: where the disk hangs, a request is refused in time, and what was asked for is not carried out later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, Literal

from groundcontrol.core.errors import StoreBusy

PATIENCE_S: Final = 10.0
"""So long the store waits for its disk before it refuses (`adapters.sqlite.engine.writer.STALL_S`)."""


class WriteLock(asyncio.Lock):
    """Held over something that is written to the store. `async with lock` waits for as long as it takes, `lock.in_time()` does not.

    Args: patience_s: how long somebody may hold it before requests are refused.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        super().__init__()
        self._patience_s = patience_s
        self._since = 0.0
        """When it was taken last; seconds of the loop."""

    async def acquire(self) -> Literal[True]:
        """Take it, however long that takes."""
        await super().acquire()
        self._since = asyncio.get_running_loop().time()
        return True

    @contextlib.asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Hold it for a request, which is refused as soon as somebody has held it for `patience_s`.

        Raises: StoreBusy: nothing was done.
        """
        since = self._since if self.locked() else asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(since + self._patience_s):
                await self.acquire()
        except TimeoutError:
            raise StoreBusy(
                f"what was ordered before this has not been written down for {self._patience_s:g} s or longer; try again later"
            ) from None
        try:
            yield
        finally:
            self.release()
