"""What a hub last saw in its databases, in a file of its own beside them.

A database whose write-ahead log was removed after a kill is sound, and lacks what the log held. So is an older copy that was put in its place.
Nothing in the file itself shows that. Each database stores a time that never goes back, and this file holds the times of the last commits.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from groundcontrol.adapters.sqlite.engine.tx import Rows
from spider.logs import event

log = logging.getLogger(__name__)

_MOST_BYTES: Final = 1000
LATEST: Final = "SELECT value FROM fact WHERE name = 'latest_at'"
"""Reads the latest wall clock time that any hub stored. A new hub stores a time only after both its databases are open."""


class SeenTimes(msgspec.Struct, frozen=True):
    """The latest times in both databases, Unix seconds by the hub's clock; 0: none."""

    control: float
    samples: float


class Loss(NamedTuple):
    """What a database has lost."""

    file: str
    since: float
    """The latest time that it holds; 0: it holds none."""
    until: float
    """The latest time that it has held."""

    @property
    def text(self) -> str:
        """The loss in words, as part of a sentence."""
        since, until = (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at)) for at in (self.since, self.until))
        return f"what was stored between {since} and {until} UTC" if self.since else f"everything from before {until} UTC"


def seen_times_file(control: Path) -> Path:
    """The file that belongs to a control database and its samples."""
    return control.with_name(f"{control.name}.seen")


def read_seen_times(control: Path) -> SeenTimes | None:
    """The times that a hub last wrote down; None: there are none, or they cannot be read, so nothing is known."""
    try:
        with open(seen_times_file(control), "rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=SeenTimes)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, ValueError) as exc:
        event(log, "seen_times_unread", logging.WARNING, error=type(exc).__name__)
        return None


def write_seen_times(control: Path, times: SeenTimes) -> None:
    """Write down the times of commits that are durable. An older file stays if there is no room: it claims less."""
    target = seen_times_file(control)
    fresh = target.with_name(f"{target.name}.new")
    try:
        with open(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(msgspec.json.encode(times))
        os.replace(fresh, target)
    except OSError as exc:
        event(log, "seen_times_unwritten", logging.WARNING, error=type(exc).__name__, errno=exc.errno)


def forget_seen_times(control: Path) -> None:
    """Remove the times, before other databases are put in place. Raises: OSError."""
    with contextlib.suppress(FileNotFoundError):
        seen_times_file(control).unlink()


def losses(control: Path, samples: Path, seen: SeenTimes | None, found: SeenTimes) -> list[Loss]:
    """What the databases lack of what a hub has seen in them. Args: found: the times that they hold."""
    if seen is None:
        return []
    pairs = ((control, found.control, seen.control), (samples, found.samples, seen.samples))
    return [Loss(path.name, holds, held) for path, holds, held in pairs if holds < held]


def latest_in_control(rows: Rows) -> float:
    """The latest time that a hub stored in the control database, Unix seconds; 0: none."""
    row = rows.fetch_one(LATEST)
    return 0.0 if row is None else float(row["value"])


def latest_in_samples(rows: Rows) -> float:
    """The latest time that a hub stored in the samples database, Unix seconds; 0: none."""
    row = rows.fetch_one("SELECT epoch FROM fence WHERE node = 0")
    return 0.0 if row is None else float(row["epoch"])
