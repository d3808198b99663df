"""A hub that moves samples into chunks, to be killed by a test: `python -m tests.support.compaction_program FOLDER`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from groundcontrol.adapters.sqlite.database import open_database
from spider.clock import SystemClock
from spider.wire.ids import new_time_id
from tests.support.writer_program import AUDIT_KEY


async def move_until_killed(folder: Path) -> None:
    """A few packs of each hour at a time, so that there is always something to be merged as well; then everything over again."""
    database = await open_database(folder, clock=SystemClock())
    store = await database.store(audit_key=AUDIT_KEY, chain=new_time_id())
    os.write(1, b"ready\n")
    while hours := await store.metrics.hot_hours():
        for hour in hours:
            await store.metrics.compact(hour.no, hour.hour, include_slow=False)
            await store.metrics.compact(hour.no, hour.hour)
            os.write(1, b"moved\n")
            for due in await store.metrics.pending_merges():
                await store.metrics.merge(due)
    os.write(1, b"done\n")
    await database.close()


if __name__ == "__main__":
    asyncio.run(move_until_killed(Path(sys.argv[1])))
