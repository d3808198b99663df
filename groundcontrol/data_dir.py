"""The hub's requirements on its data folder. The store makes the folder private and locks it."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from groundcontrol.core.errors import ConfigError
from groundcontrol.core.filesystem import mount_of

PID_NAME: Final = "hub.pid"
LOCK_NAME: Final = "hub.lock"
SOCKET_NAME: Final = "control.sock"
_MAX_PATH_BYTES: Final = 107
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"})
"""Network file systems. SQLite's write-ahead log needs shared memory and reliable locks, which they do not provide."""

_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name for a socket of at most 107 bytes, which is the kernel's limit, in a folder of any depth. It is valid within the context."""
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def user_name(uid: int) -> str:
    """The user's name; the number if the user has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def is_volatile(path: Path) -> bool:
    """Whether files at this path are lost at the next reboot.

    Raises: OSError.
    """
    return _kind(_nearest_existing(path)) in _VOLATILE


def check_folders(data_dir: Path, databases: Path, *, volatile: bool) -> None:
    """Refuse folders that may lose data: nodes delete data that the hub has acknowledged.

    Args:   databases: the folder of the databases; the data folder, unless another control database is configured.
            volatile: whether the folders may be in memory.
    Raises: ConfigError.
    """
    check_folder(data_dir)
    if databases != data_dir:
        check_local(databases, "the database's folder")
    if not volatile:
        check_lasting(data_dir, "the data folder")
        if databases != data_dir:
            check_lasting(databases, "the database's folder")


def check_lasting(path: Path, name: str) -> None:
    """Refuse a folder in memory.

    Raises: ConfigError.
    """
    try:
        volatile = is_volatile(path)
    except OSError as exc:
        raise ConfigError(f"{name} {path} cannot be used: {exc.strerror}") from exc
    if volatile:
        raise ConfigError(
            f"{name} {path} is in memory (tmpfs), so the next reboot deletes everything in it: use a disk, or, if that is intended,"
            " set STARDUST_ALLOW_VOLATILE=yes"
        )


def _kind(path: Path) -> str:
    """The type of the file system of `path`; empty: unknown."""
    mount = mount_of(path)
    return "" if mount is None else mount.kind


def _nearest_existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def check_folder(path: Path) -> None:
    """Refuse a folder where SQLite is unsafe, or that belongs to another user. A missing folder is judged by its parent.

    Raises: ConfigError.
    """
    try:
        owner = path.stat().st_uid if path.exists() else os.geteuid()
    except OSError as exc:
        raise ConfigError(f"the data folder {path} cannot be used: {exc.strerror}") from exc
    if owner != os.geteuid():
        raise ConfigError(f"the data folder {path} belongs to user {owner}, but this is user {os.geteuid()}")
    check_local(path, "the data folder")


def check_local(path: Path, name: str) -> None:
    """Refuse a network file system.

    Raises: ConfigError.
    """
    try:
        kind = _kind(_nearest_existing(path))
    except OSError as exc:
        raise ConfigError(f"{name} {path} cannot be used: {exc.strerror}") from exc
    if kind in _REMOTE:
        raise ConfigError(f"{name} {path} is on a network file system ({kind}), where SQLite is not safe: use a local disk")
