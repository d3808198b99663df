"""Ending tasks when the hub goes: each may write down how it ended, and none holds the hub up."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

LAST_LIMIT_S: Final = 0.25
"""After it is cancelled once more."""
TIMES: Final = 3
"""The first ends what it does, the second the saving of its end, the third the waiting for what is being written at that moment."""


async def stop_all(tasks: Collection[asyncio.Task[None]], limit_s: float) -> int:
    """Cancel them all, and those again that are not over within the limit.

    Returns: how many did not end.
    """
    for wait_s in (limit_s, *[LAST_LIMIT_S] * (TIMES - 1)):
        tasks = [task for task in tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=wait_s)
    return sum(not task.done() for task in tasks)
