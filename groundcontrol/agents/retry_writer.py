"""Writes the newest data of each kind to the store, and retries while the store fails for a temporary reason."""

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
"""How long the session stops reading for a write. A slower write continues in the background."""
RETRY_S: Final = 3.0
TRANSIENT_ERRORS: Final = (StoreFull, StoreReadOnly, StoreBusy)
"""Store errors that pass, or that an admin resolves by freeing disk space. Ending the session would not help: the next one would fail too."""

Save = Callable[[], Awaitable[None]]
"""A write. It must be idempotent, since it may be repeated."""


class LatestWriter:
    """A queue of writes, one at a time, with only the newest of each kind."""

    __slots__ = ("_clock", "_patience_s", "_tried", "_waiting")

    def __init__(self, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._waiting: dict[str, Save] = {}
        self._tried: asyncio.Event | None = None
        """Set after the first attempt of the running task; None: no write is pending."""

    async def save(self, tasks: asyncio.TaskGroup, kind: str, work: Save) -> None:
        """Write now, or as soon as possible. The write replaces a pending one of the same kind.

        Args: tasks: a task of this group continues a slow write. Errors that are not transient are raised there.
        """
        self._waiting[kind] = work
        if self._tried is not None:
            return
        tried = self._tried = asyncio.Event()
        tasks.create_task(self._save_all(tried), name="saving")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                await tried.wait()

    async def _save_all(self, tried: asyncio.Event) -> None:
        while not await self._save_some():
            tried.set()
            await self._clock.sleep(RETRY_S)
        self._tried = None
        tried.set()  # not after an exception, which ends the session

    async def _save_some(self) -> bool:
        """Returns: whether no write is pending any more."""
        while self._waiting:
            kind, work = next(iter(self._waiting.items()))
            try:
                await work()
            except TRANSIENT_ERRORS as exc:
                event(log, "facts_wait", logging.DEBUG, kind=kind, error=exc.code)
                return False
            if self._waiting[kind] is work:  # otherwise a newer write arrived meanwhile
                del self._waiting[kind]
        return True
