"""The folder and files of a database: private, and of one hub at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import stat
from pathlib import Path
from typing import Final

from groundcontrol.core.errors import ConfigError, StoreFull

LOCK_NAME: Final = "hub.lock"
KEPT: Final = ".before-restore-"
"""What follows a database's name where a restore keeps it aside: for a moment of that, the file has both names."""


def make_private_folder(folder: Path) -> None:
    """Make the data folder, or check the one that is there.

    Raises: ConfigError: it cannot be made, is no folder, or others may look into it.
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
        raise ConfigError(f"others can look into the data folder {folder}: run chmod 700 {folder}")


def make_private_file(path: Path) -> bool:
    """Make an empty 0600 file, or check the one that is there (and what SQLite keeps beside it).

    Returns: whether it is new.
    Raises:  ConfigError: it cannot be made, or others may read it. StoreFull.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
                raise ConfigError(f"others can read the database {file}: run chmod 600 {file}")
        return path.stat().st_size == 0
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"no space is left for the database {path.name}") from exc
        raise ConfigError(f"the database {path} cannot be opened: {exc.strerror}") from exc


def check_names(*paths: Path) -> None:
    """Refuse a database that has another name (a hard link): SQLite calls its write-ahead log after the name, so hubs on both names
    would know nothing of each other's, and overwrite the pages of the one file. The lock of a folder does not see that. A log that two
    databases share is lost to the one as soon as somebody looks at the other.

    Raises: ConfigError; also of a folder, which has names of its own.
    """
    names: dict[Path, int] = {}
    for path in paths:
        for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            try:
                names[file] = _names(file)
            except OSError as exc:
                raise ConfigError(f"the database {path} cannot be looked at: {exc.strerror}") from exc
    shared = [file for file, count in names.items() if count > 1]
    if shared:
        raise ConfigError(
            f"{shared[0]} is one file with {names[shared[0]]} names (hard links, as cp -al makes them), and hubs on two of them would destroy"
            f" the database: remove the others (find / -xdev -samefile {shared[0]} shows them) or, when no program has any of them open, give"
            f" this one files of its own: {_own(shared)}"
        )


def _own(shared: list[Path]) -> str:
    """What a shell is told so that files have one name each. What lies in a `-shm` SQLite finds in the log again."""
    copied = " ".join(shlex.quote(str(file)) for file in shared if not file.name.endswith("-shm"))
    removed = " ".join(shlex.quote(str(file)) for file in shared if file.name.endswith("-shm"))
    copying = f'for file in {copied}; do cp -p "$file" "$file.copy" && mv "$file.copy" "$file"; done'
    return "; ".join([copying] * bool(copied) + [f"rm -f {removed}"] * bool(removed))


def _names(path: Path) -> int:
    """How many names a file has that may be there, but for what a restore calls it.

    Raises: ConfigError: it is a folder. OSError.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    if stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{path} is a folder and not a file: move it away, or name the database with --db")
    return found.st_nlink - sum(os.path.samestat(kept.lstat(), found) for kept in path.parent.glob(f"{path.name}{KEPT}*"))


class FolderLock:
    """Held by one hub; the kernel lets it go when the process ends, however it ends.

    The folder is locked beside the file in it: whoever takes that file for a left-over and removes it lets no second hub in by that.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises: ConfigError: another hub has it.
        """
        if not folder.is_dir():
            raise ConfigError(f"there is no folder {folder} for the database")
        self._held: list[int] = []
        try:
            for path, flags in ((folder, os.O_RDONLY | os.O_DIRECTORY), (folder / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW)):
                self._held.append(os.open(path, flags | os.O_CLOEXEC, 0o600))
                fcntl.flock(self._held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            self.release()
            raise ConfigError(f"another hub is running on the folder {folder}") from exc
        except OSError as exc:
            self.release()
            raise ConfigError(f"the lock {path} cannot be opened: {exc.strerror}") from exc

    def release(self) -> None:
        """Let another hub in."""
        while self._held:
            os.close(self._held.pop())


def lock_folders(*folders: Path) -> list[FolderLock]:
    """Take the lock of each; a folder that is named twice, by whatever path, is locked once.

    Raises: ConfigError: another hub has one of them; none is held then.
    """
    locks: list[FolderLock] = []
    try:
        for folder in dict.fromkeys(folder.resolve() for folder in folders):
            locks.append(FolderLock(folder))  # noqa: PERF401  those taken so far must be known below
    except ConfigError:
        for lock in locks:
            lock.release()
        raise
    return locks


def sync(path: Path) -> None:
    """Make a file and its name durable."""
    for place in (path, path.parent):
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
