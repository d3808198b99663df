"""Reading a database beside whoever writes it, also where nobody can: on a file system that is read-only.

SQLite reads a file with a write-ahead log only with an index of that log (`-shm`), which it makes where there is none. Where nothing can be made
it opens no database of a hub that has ended, though all of it lies in that one file.
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
"""How mountinfo says of a whole file system that nobody writes it; the latter is ext4 after an error."""
_ELSEWHERE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "overlay", "fuse", "virtiofs"})
"""File systems that may be read-only here, and written by another machine or by another way."""


class ReadOnlyHere(ConfigError):
    """Nothing is known of the database: what it holds cannot be read before its file system can be written."""


def is_read_only(path: Path) -> bool:
    """Whether nothing can be written there from here, whoever asks."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY) or _nobody_writes(path)
    except OSError:
        return False


def opened(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """A connection that can only read; closed at the end of `with`."""
    return contextlib.closing(sqlite3.connect(uri_of(path), uri=True))


def uri_of(path: Path) -> str:
    """How the file is opened for reading. It counts as one that never changes only where that holds: no log that has anything, and a file
    system that is read-only as a whole. A mount that is read-only by itself may be another view of where a hub writes.
    """
    still = not _log_bytes(path) and _nobody_writes(path)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"


def check_readable(path: Path) -> None:
    """Raises: ReadOnlyHere: SQLite cannot open it for no other reason than where it lies."""
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
    """Raises: ConfigError: the file was opened as one that never changes, and somebody has made it one that does."""
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
    """Whether the file system itself is read-only, not only this view of it. Where nobody can say, it may be written."""
    try:
        mount = mount_of(path)
    except OSError as exc:
        event(log, "mount_unknown", logging.DEBUG, path=str(path), error=exc.strerror)
        return False
    return mount is not None and mount.kind.partition(".")[0] not in _ELSEWHERE and not _READ_ONLY.isdisjoint(mount.options)
