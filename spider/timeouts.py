"""Waiting for tasks: with a timeout that respects cancellation, and for several tasks that run concurrently.

`asyncio.wait_for` before Python 3.12 loses a cancellation that arrives at the moment in which the work completes. The cancelled task then
continues as if it had not been cancelled.
"""

import asyncio
from typing import Awaitable, Callable, Coroutine, Optional, TypeVar

T = TypeVar("T")


async def wait_for(limit_s: Optional[float], work: Awaitable[T], drop: Optional[Callable[[T], object]] = None) -> T:
    """Wait for `work` with a timeout in seconds; None: without one.

    Args:   drop: called with a result that nobody receives, because the timeout passed or the caller was cancelled meanwhile.
    Raises: asyncio.TimeoutError: the timeout passed; the work was cancelled.
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


async def run_until_first_error(*parts: Coroutine[None, None, None]) -> None:
    """Run these coroutines until one fails or the caller is cancelled; then cancel all. Raises the first error."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
