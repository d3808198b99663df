"""Cancels tasks at shutdown. Each may save how it ended, but none delays the hub beyond the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

LAST_LIMIT_S: Final = 0.25
"""Time limit after each further cancellation."""
TIMES: Final = 3
"""Cancellations at most. The first ends the task's work, the second the saving of its end, the third the wait for a running write."""


async def stop_all(tasks: Collection[asyncio.Task[None]], limit_s: float) -> int:
    """Cancel all tasks, and cancel those again that have not ended within the limit.

    Returns: how many tasks did not end.
    """
    for wait_s in (limit_s, *[LAST_LIMIT_S] * (TIMES - 1)):
        tasks = [task for task in tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=wait_s)
    return sum(not task.done() for task in tasks)
