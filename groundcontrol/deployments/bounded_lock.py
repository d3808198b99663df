"""A write lock with a time limit. If the disk hangs, a request is refused in time, and not carried out later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, Literal

from groundcontrol.core.errors import StoreBusy

PATIENCE_S: Final = 10.0
"""The store waits this long for its disk before it refuses (`adapters.sqlite.engine.writer.STALL_S`)."""


class WriteLock(asyncio.Lock):
    """A lock held during a write to the store. `async with lock` waits without limit, `lock.in_time()` does not.

    Args: patience_s: how long the lock may be held before requests are refused.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        super().__init__()
        self._patience_s = patience_s
        self._since = 0.0
        """Loop time of the last acquisition."""

    async def acquire(self) -> Literal[True]:
        """Acquire the lock without a time limit."""
        await super().acquire()
        self._since = asyncio.get_running_loop().time()
        return True

    @contextlib.asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Hold the lock for a request. The request is refused once another task has held the lock for `patience_s`.

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
