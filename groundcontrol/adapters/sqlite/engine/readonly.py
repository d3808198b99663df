"""Read-only access to a database beside its writer, also on a read-only file system.

SQLite needs an index (`-shm`) to read a file with a write-ahead log. A hub that ends removes the index, and on a read-only file system
SQLite cannot create it again. So SQLite refuses the database, although the file is complete.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from groundcontrol.core.errors import ConfigError
from groundcontrol.core.filesystem import mount_of
from spider.logs import event

log = logging.getLogger(__name__)

_READ_ONLY: Final = frozenset({"ro", "emergency_ro"})
"""Mount options of a file system that accepts no writes at all; `emergency_ro` is ext4 after an error."""
_ELSEWHERE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "overlay", "fuse", "virtiofs"})
"""File systems to which another machine or another mount may write although this mount is read-only."""


class ReadOnlyHere(ConfigError):
    """SQLite cannot read the database until its file system is writable."""


def is_read_only(path: Path) -> bool:
    """Whether the file system of a path accepts no writes here; False if that is unknown."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY) or _nobody_writes(path)
    except OSError:
        return False


def opened(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """A read-only connection that is closed at the end of `with`."""
    return contextlib.closing(sqlite3.connect(uri_of(path), uri=True))


def uri_of(path: Path) -> str:
    """The URI that opens the file for reading. It declares the file immutable if its write-ahead log is empty, and its whole file system is
    read-only.

    A read-only mount alone is not enough, since a hub may write to the files through another mount.
    """
    still = not _log_bytes(path) and _nobody_writes(path)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"


def check_readable(path: Path) -> None:
    """Check that SQLite can open the file. Other faults than a read-only file system pass: the caller's own access then raises the
    error.

    Raises: ReadOnlyHere: SQLite cannot open the file because its file system is read-only.
    """
    try:
        with opened(path) as db:
            db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as exc:
        if getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN and is_read_only(path):
            raise ReadOnlyHere(
                f"the database {path} cannot be opened while its file system is read-only: SQLite needs to write beside it"
            ) from exc


@contextlib.contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Check at the end of the context that a file that `uri_of` declared immutable at the start is still immutable.

    Raises: ConfigError: it is not, since its file system became writable.
    """
    before = uri_of(path)
    yield
    if "immutable" in before and uri_of(path) != before:
        raise ConfigError(f"the file system of {path} became writable meanwhile: run this again")


def _log_bytes(path: Path) -> int:
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _nobody_writes(path: Path) -> bool:
    """Whether the file system itself is read-only, not only this mount; False if that is unknown."""
    try:
        mount = mount_of(path)
    except OSError as exc:
        event(log, "mount_unknown", logging.DEBUG, path=str(path), error=exc.strerror)
        return False
    return mount is not None and mount.kind.partition(".")[0] not in _ELSEWHERE and not _READ_ONLY.isdisjoint(mount.options)
