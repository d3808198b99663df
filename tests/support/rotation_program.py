"""A rotation that a test kills: `python -m tests.support.rotation_program FOLDER OLD NEW` does what `stardust rotate-secret` does once both secrets
are stretched, which alone takes longer than everything else together."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from groundcontrol.adapters.sqlite.admin.offline_reader import copy_database
from groundcontrol.adapters.sqlite.database import open_database
from spider.clock import SystemClock
from tests.support.keys import rotate, vault_of


async def rotate_once(folder: Path, old: str, new: str) -> None:
    database = await open_database(folder, clock=SystemClock())
    try:
        vault = await vault_of(database, old)
        os.write(1, b"ready\n")
        await copy_database(folder / "stardust.db", folder / "stardust.db.before-rotation-test")
        await rotate(database, vault, new)
        os.write(1, b"done\n")
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(rotate_once(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
