"""What the hub itself wants of its data folder; the store makes it private and locks it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Final

from groundcontrol.core.errors import ConfigError
from groundcontrol.core.filesystem import mount_of

PID_NAME: Final = "hub.pid"
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"})
"""File systems over a network: SQLite's write-ahead log needs shared memory, and none of them keeps a lock reliably."""

_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})


def user_name(uid: int) -> str:
    """By name, where the user has one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def is_volatile(path: Path) -> bool:
    """Whether what is kept there is gone with the next reboot.

    Raises: OSError.
    """
    return _kind(_there(path)) in _VOLATILE


def check_folders(data_dir: Path, databases: Path, *, volatile: bool) -> None:
    """Refuse folders where what the hub acknowledges is not safe: nodes forget it.

    Args:   databases: where the databases lie; the data folder, unless the control database was named.
            volatile: whether they may be in memory.
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
            f"{name} {path} is in memory (tmpfs), so everything in it is gone with the next reboot: use a disk, or, where that is"
            " wanted, set STARDUST_ALLOW_VOLATILE=yes"
        )


def _kind(path: Path) -> str:
    """The type of the file system under `path`; nothing where it is not told."""
    mount = mount_of(path)
    return "" if mount is None else mount.kind


def _there(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def check_folder(path: Path) -> None:
    """Refuse a folder where SQLite is not safe, or that is somebody else's. One that does not exist yet is judged by its parent.

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
        kind = _kind(_there(path))
    except OSError as exc:
        raise ConfigError(f"{name} {path} cannot be used: {exc.strerror}") from exc
    if kind in _REMOTE:
        raise ConfigError(f"{name} {path} is on a network file system ({kind}), where SQLite is not safe: use a local disk")
