"""How many deployments are at work at the same time. One that waits for a person gives its place to another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType


class Turn:
    """The place of one deployment among those at work.

    Args: places: shared by all of them.
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
        """Give the place away for a while, and wait for one again. Where the while ends with an error none is waited for."""
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
