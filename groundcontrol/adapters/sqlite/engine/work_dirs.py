"""Temporary folders for making a backup, in the folder of the backup's target. A lock in each shows whether the program that made it still
runs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PREFIX: Final = ".stardust-backup-"
FILES: Final = ("control.db", "samples.db", "backup")
"""The files that a backup makes in its temporary folder."""
_NAME: Final = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")
_LOCK: Final = "lock"
_OURS: Final = {_LOCK, *FILES, *(f"{name}{ending}" for name in FILES for ending in ("-journal", "-wal", "-shm"))}
_TRIES: Final = 10


@contextlib.contextmanager
def work_folder(beside: Path) -> Iterator[Path]:
    """Make a new, private folder in the folder `beside`. At the end of the context it is removed with its content.

    Raises: OSError.
    """
    path, folder, resources = _make(beside)
    try:
        yield path
    finally:
        with resources:
            _empty(path, folder)
        _discard(path)


def remove_abandoned(beside: Path) -> None:
    """Remove the folders of killed programs: folders with our name, owner, mode and content, whose lock is free. Follows no link."""
    try:
        found = [path for path in beside.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:  # a folder that cannot be listed may still accept new files
        return
    for path in found:
        with contextlib.suppress(OSError):  # the folder is in use (or may be, on a file system without locks), or it is no folder
            _remove_if_abandoned(path)


def _remove_if_abandoned(path: Path) -> None:
    with contextlib.ExitStack() as resources:
        folder = _open(path, resources)
        folder_info = os.fstat(folder)
        if folder_info.st_uid != os.geteuid() or stat.S_IMODE(folder_info.st_mode) != 0o700 or not _OURS.issuperset(os.listdir(folder)):
            return
        fcntl.flock(_open_lock(folder, resources), fcntl.LOCK_EX | fcntl.LOCK_NB)
        _empty(path, folder)
    _discard(path)


def _make(beside: Path) -> tuple[Path, int, contextlib.ExitStack]:
    for _ in range(_TRIES):
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=beside))
        # on failure another program, in `remove_abandoned`, is removing the folder: make another one
        with contextlib.suppress(FileNotFoundError, BlockingIOError), contextlib.ExitStack() as resources:
            folder = _open(path, resources)
            _lock_folder(path, _open_lock(folder, resources))
            return path, folder, resources.pop_all()
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _lock_folder(path: Path, lock: int) -> None:
    """Lock a new folder. On a file system without locks, nothing is done.

    Raises: BlockingIOError, FileNotFoundError: another program is removing the folder (`remove_abandoned`).
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # without locks on this file system, no program removes the folder
        pass
    path.stat()


def _open(path: Path, resources: contextlib.ExitStack) -> int:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    resources.callback(os.close, folder)
    return folder


def _open_lock(folder: int, resources: contextlib.ExitStack) -> int:
    lock = os.open(_LOCK, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    resources.callback(os.close, lock)
    return lock


def _empty(path: Path, folder: int) -> None:
    """Remove our files, the lock file last, then the folder while the lock is held."""
    for name in sorted(_OURS, key=lambda name: name == _LOCK):
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
    _discard(path)


def _discard(path: Path) -> None:
    """Remove the folder. A second call after all files are closed helps on NFS, where an open file keeps its name."""
    with contextlib.suppress(OSError):
        path.rmdir()
