"""Files of scripts/run: replaced atomically, and logs of a limited size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from scripts.dev.terminal import reason_of

MOST_LOG_BYTES: Final = 10 << 20


def write(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    """Replace a file atomically. The new file has its mode from the beginning."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        fresh.chmod(mode)
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)  # a partial file would occupy space on a full disk
        raise


def shorten_log(path: Path, most_bytes: int = MOST_LOG_BYTES) -> str:
    """Move a log larger than `most_bytes` to NAME.1. Its writer keeps it open for appending, so the file is copied and emptied.

    If the disk has no room for the copy, the log is emptied without it. Returns: the error, or an empty text.
    """
    fault = ""
    try:
        if path.exists() and path.stat().st_size > most_bytes:
            try:
                write(path.with_name(path.name + ".1"), path.read_bytes())
            except OSError as exc:
                fault = f"{path.name} is emptied without a copy: {reason_of(exc)}."
            os.truncate(path, 0)
    except OSError as exc:
        fault = f"{path.name} cannot be shortened: {reason_of(exc)}."
    return fault
