"""Reads trusted files, which only one user can have written, and gives root safe access to folders of other users."""

import os
import re
import stat
import time
from typing import Optional

MAX_BYTES = 64 * 1024
CLEAR_LIMIT_S = 20.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_DESCRIPTOR = re.compile(r"fd:(\d{1,4})\Z")


def real_path(path: str) -> str:
    """The path of a file from the command line. For `fd:N` it leads to the descriptor N that this program inherited."""
    match = _DESCRIPTOR.match(path)
    return f"/proc/self/fd/{match.group(1)}" if match else path


def owner_or_root(path: str) -> int:
    """The uid that must own a file: the user of this process if that user owns it now, else root."""
    try:
        owner = os.stat(real_path(path)).st_uid
    except OSError:
        return 0
    return owner if owner == os.geteuid() else 0


class Untrusted(Exception):
    """The file is missing, is not a plain file, or another user could have written or read it. The text has the reason."""


def read_trusted(path: str, owner: int, *, private: bool = False) -> bytes:
    """Read a file on which the decision of a privileged program depends.

    Args:   path: a file, or `fd:N`. owner: uid that must own the file. private: whether no other user may be able to read it.
    Raises: Untrusted: the file is missing, a link, no plain file, of another owner, open to others, or larger than MAX_BYTES.
    """
    follow = 0 if _DESCRIPTOR.match(path) else os.O_NOFOLLOW  # the process that started this program chose the descriptor
    try:
        fd = os.open(real_path(path), os.O_RDONLY | follow | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        raise Untrusted(f"{path}: {exc.strerror}") from exc
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise Untrusted(f"{path}: not a plain file")
        if info.st_uid != owner:
            raise Untrusted(f"{path}: owned by uid {info.st_uid}, not {owner}")
        if info.st_mode & (0o077 if private else 0o022):
            raise Untrusted(f"{path}: mode {stat.S_IMODE(info.st_mode):04o} lets others in")
        if info.st_size > MAX_BYTES:
            raise Untrusted(f"{path}: larger than {MAX_BYTES} bytes")
        content = b""
        while len(content) <= MAX_BYTES:
            chunk = os.read(fd, MAX_BYTES)
            if not chunk:
                return content
            content += chunk
        raise Untrusted(f"{path}: larger than {MAX_BYTES} bytes")
    finally:
        os.close(fd)


def read_hostile(path: str, limit: int) -> Optional[bytes]:
    """The first `limit` bytes of a file in a folder whose owner may be hostile. None: there is no plain file, or it cannot be read.

    The caller makes sure that only root can replace the folder itself.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read(limit)
    except OSError:
        return None
    finally:
        os.close(fd)


def clear(path: str) -> None:
    """Remove anything that the folder's owner has left at `path`: a file, a link, a pipe, or a folder with its content.

    A folder is emptied level by level: the content of its subfolders is moved up, until only empty folders are left. So any depth works,
    and a link that the owner inserts meanwhile is not followed.

    Raises: OSError: `path` cannot be removed, or the owner fills it as fast as it is emptied.
    """
    until = time.monotonic() + CLEAR_LIMIT_S
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
        top = os.open(path, _FOLDER)
    except FileNotFoundError:
        return
    try:
        names = os.listdir(top)
        while names:
            for name in names:
                if time.monotonic() > until:
                    raise TimeoutError(f"{path}: it is not empty after {CLEAR_LIMIT_S:.0f} s")
                _remove(top, name)
            names = os.listdir(top)
    finally:
        os.close(top)
    os.rmdir(path)


def _remove(top: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=top)
    except IsADirectoryError:
        below = os.open(name, _FOLDER, dir_fd=top)
        try:
            for entry in os.listdir(below):
                os.rename(entry, os.urandom(12).hex(), src_dir_fd=below, dst_dir_fd=top)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=top)
