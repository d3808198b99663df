"""Replaces both databases of a folder as one step. After a kill at any moment, nothing has changed, or the next program finishes the step.

The new files are written under temporary names beside the old files, the control database last. Once its file exists, the replacement is
certain, and every later step can be repeated. The caller must hold the folder's lock.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Final

from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.engine.data_files import KEPT, sync
from groundcontrol.adapters.sqlite.engine.seen_times import forget_seen_times
from groundcontrol.core import failpoints

WORK: Final = ".restore-"
"""Name prefix of the folders in which a backup is unpacked."""
_READY: Final = ".restored-"
"""Part of the temporary name of a new database file: `NAME.restored-TIME`."""


def replace_databases(control: Path, target: Path) -> list[Path]:
    """Replace the database `target` and its samples with the new database `control` and its samples.

    Returns: the new paths of the old databases.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    for name, new, old in (("samples", samples_beside(control), samples_beside(target)), ("control", control, target)):
        _checkpoint(new)
        sync(new)
        ready = old.with_name(f"{old.name}{_READY}{stamp}")
        os.rename(new, ready)
        sync(ready)
        failpoints.hit(f"restore.{name}.ready")
    return finish_replacement(target)


def is_unfinished(control: Path) -> bool:
    """Whether a replacement was interrupted after it became certain. Until `finish_replacement`, the databases may not belong together."""
    return bool(_markers(control))


def finish_replacement(control: Path) -> list[Path]:
    """Finish an interrupted replacement if the file of the new control database exists; otherwise remove the new files.

    The control database is never missing meanwhile, so no hub that starts then takes the folder for a new one.
    Returns: the new paths of the old databases.
    """
    aside: list[Path] = []
    samples = samples_beside(control)
    for marker in _markers(control):
        forget_seen_times(control)  # the new databases are older, and lack nothing
        stamp = marker.name.rpartition(_READY)[2]
        for name, old in (("samples", samples), ("control", control)):
            new, former = (old.with_name(f"{old.name}{ending}{stamp}") for ending in (_READY, KEPT))
            if new.exists():
                _keep_former(old, former)
                failpoints.hit(f"restore.{name}.kept")
                os.replace(new, old)
                sync(old)
                failpoints.hit(f"restore.{name}.placed")
            aside += [former] if former.exists() else []
    for left in samples.parent.glob(f"{glob.escape(samples.name)}{_READY}*"):
        left.unlink()
    for folder in control.parent.glob(f"{WORK}*"):
        shutil.rmtree(folder, ignore_errors=True)
    return aside


def _markers(control: Path) -> list[Path]:
    return sorted(control.parent.glob(f"{glob.escape(control.name)}{_READY}*"))


def _keep_former(old: Path, former: Path) -> None:
    if old.exists() and not former.exists():
        _checkpoint(old)
        os.link(old, former)
    for ending in ("-wal", "-shm"):  # left if the old database does not open: SQLite must never read them with the new database
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{old}{ending}", f"{former}{ending}")


def _checkpoint(path: Path) -> None:
    """Checkpoint the write-ahead log into its database. If that fails, the log stays."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
