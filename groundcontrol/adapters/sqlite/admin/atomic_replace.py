"""Replaces both databases of a folder as one step. After a kill at any moment, the step has not begun or the next program finishes it.

The new files are written under temporary names beside the old ones, that of the control database last. Its presence says that the
replacement is complete; every later step can be repeated. The caller must hold the folder's lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Final

from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.engine.data_files import KEPT, sync
from groundcontrol.core import failpoints

WORK: Final = ".restore-"
"""Name prefix of the folders in which a backup is unpacked."""
_READY: Final = ".restored-"


def replace(control: Path, target: Path) -> list[Path]:
    """Replace the control database and the samples beside it with new ones.

    Returns: the paths of the old databases.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    for name, new, old in (("samples", samples_beside(control), samples_beside(target)), ("control", control, target)):
        _fold(new)
        sync(new)
        ready = old.with_name(f"{old.name}{_READY}{stamp}")
        os.rename(new, ready)
        sync(ready)
        failpoints.hit(f"restore.{name}.ready")
    return finish(target)


def is_unfinished(control: Path) -> bool:
    """Whether a replacement was interrupted, so that the two databases may not belong together."""
    return bool(_markers(control))


def finish(control: Path) -> list[Path]:
    """Finish an interrupted replacement that was ready, and remove the files of one that was not.

    A control database that existed before is missing at no moment, so no hub takes this for a first start.
    Returns: the paths of the old databases.
    """
    aside: list[Path] = []
    samples = samples_beside(control)
    for marker in _markers(control):
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
    for left in samples.parent.glob(f"{samples.name}{_READY}*"):
        left.unlink()
    for folder in control.parent.glob(f"{WORK}*"):
        shutil.rmtree(folder, ignore_errors=True)
    return aside


def _markers(control: Path) -> list[Path]:
    return sorted(control.parent.glob(f"{control.name}{_READY}*"))


def _keep_former(old: Path, former: Path) -> None:
    if old.exists() and not former.exists():
        _fold(old)
        os.link(old, former)
    for ending in ("-wal", "-shm"):  # of a database that does not open or is gone: SQLite must never read them with the new one
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{old}{ending}", f"{former}{ending}")


def _fold(path: Path) -> None:
    """Checkpoint the write-ahead log into its database; if that fails, the log stays beside it."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
