"""A hub whose disk can hang, neither taking what is written nor failing: `python -m tests.support.hanging serve …`.

It hangs while `DATA_DIR.hang` exists. A real disk that hangs holds its processes, too, so that no test could end them: here the writing
threads wait in front of it.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from groundcontrol.store.sqlite.writer import Writer
from tests.support.lightly_locked import main

LOOK_S = 0.05


def hang_file(data_dir: Path) -> Path:
    """While it exists the disk hangs."""
    return data_dir.with_name(data_dir.name + ".hang")


def run(argv: Sequence[str]) -> int:
    """Serve from a disk that can hang."""
    file = hang_file(Path(argv[argv.index("--data-dir") + 1]))
    write: Callable[..., Any] = getattr(Writer, "_transact")  # noqa: B009  # as the next one

    def slow(self: Writer, db: sqlite3.Connection, commands: list[Any]) -> Any:
        while file.exists():
            time.sleep(LOOK_S)
        return write(self, db, commands)

    setattr(Writer, "_transact", slow)  # noqa: B010  # where a thread meets the disk; it is no public name of that class
    return main(argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
