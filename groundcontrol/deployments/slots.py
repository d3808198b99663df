"""Limits the number of active deployments. One that waits for a user releases its slot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType


class Turn:
    """The slot of one active deployment.

    Args: places: the semaphore that all deployments share.
    """

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._held = False

    async def __aenter__(self) -> Turn:
        await self._take()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._give()

    @contextlib.asynccontextmanager
    async def rest(self) -> AsyncIterator[None]:
        """Release the slot during the block, then wait for one again. After an exception no new slot is taken."""
        self._give()
        yield
        await self._take()

    async def _take(self) -> None:
        await self._places.acquire()
        self._held = True

    def _give(self) -> None:
        if self._held:
            self._held = False
            self._places.release()
