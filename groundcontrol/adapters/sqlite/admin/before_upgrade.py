"""The databases as they were before the last migration, for a hub that is sent back to its earlier version.

A migration first copies each file that it changes (`NAME.before-0042`). A file that the upgrade did not change has no copy. It stays, but its
schema's number is set back: an earlier hub refuses a file with a newer one. The nodes have had sessions since, with numbers (epochs) that the
samples remember, so each node's next session gets a later one.
"""

from __future__ import annotations

import contextlib
import glob
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Final, NamedTuple

from groundcontrol.adapters.sqlite.admin.atomic_replace import replace_databases
from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.admin.migrate import CONTROL, SAMPLES, is_whole, migrations, write_copy
from groundcontrol.adapters.sqlite.admin.post_restore import LATER_SESSIONS, later_epochs
from groundcontrol.adapters.sqlite.engine.readonly import opened
from groundcontrol.core.errors import ConfigError

SAME_UPGRADE_S: Final = 3600.0
"""Copies of one upgrade are made within this time."""


class Earlier(NamedTuple):
    """The copies that the last upgrade made."""

    made_at: float
    control: Path | None
    """None: the upgrade did not change this database."""
    samples: Path | None


def find_earlier(control: Path) -> Earlier:
    """The copies of the last upgrade. Raises: ConfigError: there is none that is whole."""
    newest = [_newest_copy(path) for path in (control, samples_beside(control))]
    times = [copy.stat().st_mtime for copy in newest if copy is not None]
    if not times:
        raise ConfigError(f"no upgrade has left a copy beside {control}: restore a backup instead")
    made_at = max(times)
    kept = [copy if copy is not None and made_at - copy.stat().st_mtime < SAME_UPGRADE_S else None for copy in newest]
    return Earlier(made_at, *kept)


def go_back(control: Path, earlier: Earlier, work: Path) -> list[Path]:
    """Replace the databases with those from before the upgrade, as one step. Returns: the new paths of the present databases.

    Args:   work: an empty folder beside them.
    Raises: ConfigError: a file has changed, and its copy is missing.
    """
    versions = [_version(copy) for copy in (earlier.control, earlier.samples) if copy is not None]
    for kind, copy, present, new in (
        (CONTROL, earlier.control, control, work / "control.db"),
        (SAMPLES, earlier.samples, samples_beside(control), samples_beside(work / "control.db")),
    ):
        if copy is not None:
            shutil.copyfile(copy, new)
            new.chmod(0o600)
            continue
        if any(step.sql for step in migrations(kind)[versions[0] : _version(present)]):
            raise ConfigError(f"the upgrade changed {present}, and the copy from before is missing or damaged: restore a backup instead")
        with opened(present) as db:
            write_copy(db, new)
        with contextlib.closing(sqlite3.connect(new)) as db:
            db.execute(f"PRAGMA user_version = {versions[0]}")
    with contextlib.closing(sqlite3.connect(work / "control.db")) as db, db:
        db.execute(LATER_SESSIONS, later_epochs(time.time()))
    return replace_databases(work / "control.db", control)


def _version(path: Path) -> int:
    with opened(path) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def _newest_copy(path: Path) -> Path | None:
    found = [copy for copy in path.parent.glob(f"{glob.escape(path.name)}.before-[0-9][0-9][0-9][0-9]") if copy.is_file()]
    try:
        return next(filter(is_whole, sorted(found, key=lambda copy: copy.stat().st_mtime, reverse=True)), None)
    except sqlite3.Error:
        return None
