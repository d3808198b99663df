"""File helpers: reading files that may be missing, and durable writes that survive a power failure."""

import fcntl
import os
import time
from typing import List

MAX_FILE_BYTES = 4 * 1024 * 1024


def read_text(path: str, limit: int = 65536) -> str:
    """Read a value of the kernel in a single read of at most `limit` bytes, without outer white space. Empty: the file is missing or not
    readable.

    Read a table such as mountinfo with `read_file`: a single read returns at most one page of it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return ""
    try:
        return os.read(fd, limit).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(fd)


def read_file(path: str, limit: int = -1) -> str:
    """Read a text file, at most `limit` characters (-1: all). Empty: the file is missing or not readable."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except (OSError, ValueError):
        return ""


def listed(path: str) -> List[str]:
    """The names in a folder, sorted; empty when it is missing or not readable."""
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def changed_at(path: str) -> float:
    """When a file was last changed or put in its place (ctime), Unix seconds; 0 = it cannot be found.

    The modification time does not show this: an installed file may have the time of its build.
    """
    try:
        return os.stat(path).st_ctime
    except OSError:
        return 0.0


def write_all(fd: int, data: bytes) -> None:
    """Write every byte.

    Raises: OSError: not all could be written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(path: str) -> None:
    """Make the names in a folder durable (fsync).

    Raises: OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def create_once(path: str, content: bytes, mode: int) -> None:
    """Create a file that must not exist yet, durably: content first, then the name.

    Raises: FileExistsError; OSError: the write failed, and a part of the file may remain.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        write_all(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_folder(os.path.dirname(path))


def remove(path: str) -> None:
    """Remove a file or a link, if it exists.

    Raises: OSError.
    """
    if os.path.lexists(path):
        os.unlink(path)


def create_anew(path: str, content: bytes, mode: int) -> None:
    """Like `create_once`, but replaces an existing file and sets exactly this mode, regardless of the umask.

    Raises: OSError.
    """
    remove(path)
    create_once(path, content, mode)
    os.chmod(path, mode)


def lock_within(fd: int, wait_s: float, pause_s: float = 0.02) -> bool:
    """Lock a file or folder until its descriptor is closed. Blocks up to `wait_s`. False: another process held the lock that long.

    Raises: OSError: it cannot be locked.
    """
    ends_at = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:  # noqa: PERF203  # it sleeps between two attempts
            if time.monotonic() >= ends_at:
                return False
            time.sleep(pause_s)
