"""A wait of a verb that runs with an event loop or without one (`main.to_its_end`)."""

from __future__ import annotations

import sys
import time


async def pause(seconds: float) -> None:
    """Wait. Without a loop nothing else runs, so the wait may block; and the verb need not import asyncio."""
    asyncio = sys.modules.get("asyncio")  # a verb without a loop may have imported it later
    if asyncio is None or asyncio._get_running_loop() is None:  # noqa: SLF001  # the other one raises
        time.sleep(seconds)  # noqa: ASYNC251  # there is no loop
    else:
        await asyncio.sleep(seconds)
