"""The time of the last backup. `stardust backup` writes it to the data folder, whether or not the hub runs; the hub reads it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

LAST_BACKUP: Final = "last-backup"
"""A file in the data folder: Unix seconds, as text."""


def record_backup(data_dir: Path, made_at: float) -> None:
    """Record the time of a complete and checked backup, Unix seconds.

    Raises: OSError.
    """
    new = data_dir / f"{LAST_BACKUP}.new"
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{made_at:.3f}\n")
    new.replace(data_dir / LAST_BACKUP)


def last_backup_at(data_dir: Path) -> float | None:
    """The time of the last backup, Unix seconds; None: there is none, or the file cannot be read."""
    try:
        return float((data_dir / LAST_BACKUP).read_text()[:40])
    except (OSError, ValueError):
        return None
