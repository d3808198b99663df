"""The folder and files of a database: they must be private, and only one hub may use them."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import shlex
import stat
from pathlib import Path
from typing import Final

from groundcontrol.core.errors import ConfigError, StoreFull
from groundcontrol.data_dir import LOCK_NAME

KEPT: Final = ".before-restore-"
"""Part of the new name of a database that a restore replaced: `NAME.before-restore-TIME`. During the restore the file has the old and the
new name."""


def make_private_folder(folder: Path) -> None:
    """Make the data folder with mode 0700, or check the existing folder. An empty folder gets this mode.

    Raises: ConfigError: the folder cannot be made, is no folder, or other users have access to it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if found.st_mode & 0o077 and not any(folder.iterdir()):
            folder.chmod(0o700)
            found = folder.stat()
    except FileExistsError:
        raise ConfigError(f"the data folder {folder} is not a folder") from None
    except OSError as exc:
        raise ConfigError(f"the data folder {folder} cannot be used: {exc.strerror}") from exc
    if found.st_mode & 0o077:
        raise ConfigError(f"other users can access the data folder {folder}: run chmod 700 {folder}")


def make_private_file(path: Path) -> bool:
    """Make an empty 0600 file, or check the existing file and SQLite's files beside it.

    Returns: whether the file is empty.
    Raises:  ConfigError: the file cannot be made, or other users have access to it. StoreFull.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
                raise ConfigError(f"other users can access the database {file}: run chmod 600 {file}")
        return path.stat().st_size == 0
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"no space is left for the database {path.name}") from exc
        raise ConfigError(f"the database {path} cannot be opened: {exc.strerror}") from exc


def check_no_hard_links(*paths: Path) -> None:
    """Refuse a database with a second name (a hard link).

    SQLite names its write-ahead log after the database. If two hubs opened one file by different names, they would not see each other's
    log, and would overwrite pages of the file. The lock of a folder does not detect that. If two databases share a log, reading one destroys the
    log of the other.

    Raises: ConfigError: a file has a second name, is a folder, or cannot be examined.
    """
    names: dict[Path, int] = {}
    for path in paths:
        for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            try:
                names[file] = _count_names(file)
            except OSError as exc:
                raise ConfigError(f"the database {path} cannot be examined: {exc.strerror}") from exc
    shared = [file for file, count in names.items() if count > 1]
    if shared:
        raise ConfigError(
            f"{shared[0]} is one file with {names[shared[0]]} names (hard links, as cp -al makes them), and hubs on two names would destroy"
            f" the database: remove the other names (find / -xdev -samefile {shared[0]} shows them) or, if no program has the file open,"
            f" separate the names: {_copy_commands(shared)}"
        )


def _copy_commands(shared: list[Path]) -> str:
    """Shell commands that replace each file by a copy. A `-shm` is removed, since SQLite makes it again from the log."""
    copied = " ".join(shlex.quote(str(file)) for file in shared if not file.name.endswith("-shm"))
    removed = " ".join(shlex.quote(str(file)) for file in shared if file.name.endswith("-shm"))
    copying = f'for file in {copied}; do cp -p "$file" "$file.copy" && mv "$file.copy" "$file"; done'
    return "; ".join([copying] * bool(copied) + [f"rm -f {removed}"] * bool(removed))


def _count_names(path: Path) -> int:
    """The number of names of a file, without names that a restore gave it; 0: the file is missing.

    Raises: ConfigError: the path is a folder. OSError.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    if stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{path} is a folder and not a file: move it away, or name the database with --db")
    return found.st_nlink - sum(os.path.samestat(former.lstat(), found) for former in path.parent.glob(f"{glob.escape(path.name)}{KEPT}*"))


class FolderLock:
    """The lock of a data folder, held by one hub. The kernel releases it when the process ends.

    Both the folder and a file in it are locked, so that a removed lock file does not let a second hub in.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises: ConfigError: there is no such folder, another hub has the lock, or the lock cannot be opened.
        """
        if not folder.is_dir():
            raise ConfigError(f"there is no folder {folder} for the database")
        self._lock_fds: list[int] = []
        try:
            for path, flags in ((folder, os.O_RDONLY | os.O_DIRECTORY), (folder / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW)):
                self._lock_fds.append(os.open(path, flags | os.O_CLOEXEC, 0o600))
                fcntl.flock(self._lock_fds[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            self.release()
            raise ConfigError(f"another hub is running on the folder {folder}") from exc
        except OSError as exc:
            self.release()
            raise ConfigError(f"the lock {path} cannot be opened: {exc.strerror}") from exc

    def release(self) -> None:
        """Release the lock."""
        while self._lock_fds:
            os.close(self._lock_fds.pop())


def lock_folders(*folders: Path) -> list[FolderLock]:
    """Lock every folder. A folder that is given twice, even by different paths, is locked once.

    Raises: ConfigError: as `FolderLock`, for one of the folders; then no folder is locked.
    """
    locks: list[FolderLock] = []
    try:
        for folder in dict.fromkeys(folder.resolve() for folder in folders):
            locks.append(FolderLock(folder))  # noqa: PERF401  on an error the taken locks are released below
    except ConfigError:
        for lock in locks:
            lock.release()
        raise
    return locks


def sync(path: Path) -> None:
    """Write a file and the entry of its name to the disk (fsync)."""
    for target in (path, path.parent):
        fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
