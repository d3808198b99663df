"""Waiting for tasks: with a time limit that obeys a cancellation, and for several that run side by side.

`asyncio.wait_for` before Python 3.12 forgets a cancellation that comes in the moment in which the work is done: the task that
was to leave goes on as if nothing had been said.
"""

import asyncio
from typing import Awaitable, Callable, Coroutine, Optional, TypeVar

T = TypeVar("T")


async def wait_for(limit_s: Optional[float], work: Awaitable[T], drop: Optional[Callable[[T], object]] = None) -> T:
    """Wait for `work`, at most so long; None: for ever.

    Args:   drop: called with a result that nobody will get, because the time was up or the caller cancelled meanwhile.
    Raises: asyncio.TimeoutError: the time was up; the work was cancelled.
    """
    task = asyncio.ensure_future(work)
    taken = False
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
        if not done:
            raise asyncio.TimeoutError
        taken = True
        return task.result()
    finally:
        if not taken:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if drop is not None and not task.cancelled() and task.exception() is None:
                drop(task.result())


async def run_together(*parts: Coroutine[None, None, None]) -> None:
    """Run all of them until one fails or the caller is cancelled; then none of them goes on."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
