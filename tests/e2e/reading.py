"""A hub whose every reading connection is busy for ever once it is told so (SIGUSR1): `python -m tests.e2e.reading serve …`.

In the control database a statement never ends, in the samples something between two statements does not. `DATA_DIR.reading` appears when all are.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from groundcontrol import app
from groundcontrol.store.sqlite import Database, open_database
from groundcontrol.store.sqlite.reader import POOL_SIZE
from groundcontrol.store.sqlite.tx import Rows
from tests.support.lightly_locked import main

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def told_file(data_dir: Path) -> Path:
    """What appears when every connection is busy."""
    return data_dir.with_name(data_dir.name + ".reading")


def run(argv: list[str]) -> int:
    """Serve, and be ready to be held up."""
    file = told_file(Path(argv[argv.index("--data-dir") + 1]))
    begun = threading.Barrier(2 * POOL_SIZE, file.touch)

    def endless(rows: Rows) -> int:
        begun.wait()
        return len(rows.all(ENDLESS))

    def deaf(rows: Rows) -> None:
        rows.one("SELECT 1 FROM fence")
        begun.wait()
        threading.Event().wait()

    async def open_it(*args: Any, **more: Any) -> Database:
        database = await open_database(*args, **more)
        asking: list[asyncio.Task[Any]] = []

        def ask() -> None:
            for _ in range(POOL_SIZE):
                asking.append(asyncio.create_task(database._control.reader.run(endless)))
                asking.append(asyncio.create_task(database._samples.reader.run(deaf)))

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, ask)
        return database

    setattr(app, "open_database", open_it)  # noqa: B010  # the one place that opens it; it is no public name of that module
    return main(argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
