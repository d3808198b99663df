"""Limits of the deployment service: counts and times, slots for active deployments, and a write lock with a time limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Literal, NamedTuple

from groundcontrol.core.errors import StoreBusy
from majortom.ssh.connect import Limits


class Slot:
    """The slot of one active deployment.

    Args: slots: the semaphore that all deployments share.
    """

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._taken = False

    async def __aenter__(self) -> Slot:
        await self._take()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._give()

    @contextlib.asynccontextmanager
    async def yielded(self) -> AsyncIterator[None]:
        """Release the slot during the block, then wait for one again. After an exception no new slot is taken."""
        self._give()
        yield
        await self._take()

    async def _take(self) -> None:
        await self._slots.acquire()
        self._taken = True

    def _give(self) -> None:
        if self._taken:
            self._taken = False
            self._slots.release()


PATIENCE_S: Final = 10.0
"""How long the write lock may be held before requests are refused: as long as the store itself waits for its disk
(`adapters.sqlite.engine.writer.STALL_S`)."""


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
        """Hold the lock for a request. The wait ends `patience_s` after the present holder acquired it, not after this request began.

        Raises: StoreBusy: the time is over, and nothing was done.
        """
        since = self._since if self.locked() else asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(since + self._patience_s):
                await self.acquire()
        except TimeoutError:
            raise StoreBusy(f"the hub has been storing an earlier request for {self._patience_s:g} s or longer; try again later") from None
        try:
            yield
        finally:
            self.release()


class ServiceLimits(NamedTuple):
    """Counts, and times in seconds."""

    ssh: Limits = Limits()
    open: int = 256
    """Most open deployments. At most `at_once` of them are active; the others wait for a slot or for a user."""
    at_once: int = 16
    """Most active deployments (login, upload, installation). More would share the hub's one core, and slow each other down."""
    patience_s: float = PATIENCE_S
    remember_s: float = 900.0
    """How long the fields of a failed deployment stay in memory for a retry."""
    remembered: int = 256
    """Most deployments whose fields stay in memory: as many as may be open."""
    leave_s: float = 300.0
    """Time limit for the uninstallation on the node, from its acceptance of the order until its `Farewell` arrives."""
    forget_wait_s: float = 5.0
    """How long a request to delete a node waits for the end. Deleting the samples of a year may take longer."""
    compare_wait_s: float = 20.0
    """How long a request to change a policy file waits until the file on the server was compared."""
    stop_s: float = 6.0
    """Time for the rollback of a cancelled task. The whole shutdown of the hub has ten seconds."""
