"""What a session has told that the store is to take: at once where it does, else the newest of each kind as soon as it does again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from groundcontrol.core.errors import StoreBusy, StoreFull, StoreReadOnly
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

PATIENCE_S: Final = 2.0
"""How long a node is not read while what it said is saved; what takes longer goes on beside it."""
RETRY_S: Final = 3.0
TRANSIENT_ERRORS: Final = (StoreFull, StoreReadOnly, StoreBusy)
"""What is over by itself, or by who makes room: no reason to send a node away, since it could not come back before that."""

Save = Callable[[], Awaitable[None]]
"""May be done more than once."""


class LatestWriter:
    """What waits for the store, one after the other, and never more than the newest of each kind."""

    __slots__ = ("_clock", "_patience_s", "_tried", "_waiting")

    def __init__(self, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._waiting: dict[str, Save] = {}
        self._tried: asyncio.Event | None = None
        """None: nothing waits."""

    async def save(self, beside: asyncio.TaskGroup, kind: str, work: Save) -> None:
        """Save now, or as soon as it can be, in place of what waits of this kind.

        Args: beside: where that goes on when this has returned; there, what is more than passing is raised.
        """
        self._waiting[kind] = work
        if self._tried is not None:
            return
        tried = self._tried = asyncio.Event()
        beside.create_task(self._save_all(tried), name="saving")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                await tried.wait()

    async def _save_all(self, tried: asyncio.Event) -> None:
        while not await self._save_some():
            tried.set()
            await self._clock.sleep(RETRY_S)
        self._tried = None
        tried.set()  # not where something was raised: nobody goes on then

    async def _save_some(self) -> bool:
        """Returns: whether nothing is left."""
        while self._waiting:
            kind, work = next(iter(self._waiting.items()))
            try:
                await work()
            except TRANSIENT_ERRORS as exc:
                event(log, "facts_wait", logging.DEBUG, kind=kind, error=exc.code)
                return False
            if self._waiting[kind] is work:  # else something newer has come meanwhile
                del self._waiting[kind]
        return True
