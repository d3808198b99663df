"""Migration of a database file to the schema of this program."""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from groundcontrol.adapters.sqlite.engine.data_files import make_private_file, sync
from groundcontrol.adapters.sqlite.engine.readonly import opened
from groundcontrol.core.errors import ConfigError, StoreDown

CHECK_LIMIT_BYTES: Final = 1 << 30
"""Larger files are not checked as a whole at each start, since a hub must start within seconds."""
READ_LIMIT_S: Final = 60.0
READ_BYTES: Final = 1 << 20
_VERSION: Final = slice(60, 64)
"""Position of the schema version in the header of a file."""
_PAGE_SIZE: Final = slice(16, 18)
"""Position of the page size in the header of a file."""
_PAGES: Final = slice(28, 32)
"""Position of the number of pages in the header of a file."""
_FOLDER: Final = re.compile(r"(\d{4})_[a-z0-9_]+\Z")

STARTS: Final = "SELECT 1 FROM fact WHERE name IN ('latest_at', 'initialised_at')"
"""Finds a row in a control database if a hub has started on it: a start stores at least one of these facts."""

WorkContext = contextlib.AbstractContextManager[object]
"""A context that is entered while a connection works."""


class Kind(NamedTuple):
    """One of the two database files."""

    script: str
    """The name of this kind's script in the folder of a migration."""
    application_id: int
    """The application id in the header of the file, so that the kinds cannot be confused."""
    page_size: int
    """In bytes."""
    wipe: bool
    """Whether deleted rows are overwritten. Secrets need that; for samples a second write is not worth the cost."""


CONTROL: Final = Kind("sqlite.sql", 0x53445354, page_size=4096, wipe=True)
SAMPLES: Final = Kind("sqlite_samples.sql", 0x53445358, page_size=16384, wipe=False)
"""Packs are rows of a table WITHOUT ROWID. SQLite stores about a quarter page of such a row in place, and the rest in other pages.
With packs of 2 kB, a day of a node took 114 MB on pages of 4 KiB, 56 MB on 8 KiB, 49 MB on 16 KiB."""


class Migration(NamedTuple):
    no: int
    name: str
    sql: str


@functools.cache
def migrations(kind: Kind) -> Sequence[Migration]:
    """Every migration, in order. A migration without a script for this kind of file is empty. They are part of the program, so they are
    read once."""
    root = resources.files("groundcontrol.adapters.sqlite") / "migrations"
    folders = sorted(entry.name for entry in root.iterdir() if _FOLDER.match(entry.name))
    steps = []
    for folder in folders:
        script = root / folder / kind.script
        steps.append(Migration(int(folder[:4]), folder, script.read_text("utf-8") if script.is_file() else ""))
    if [step.no for step in steps] != list(range(1, len(steps) + 1)):
        raise AssertionError("migrations must be numbered from 1 without holes")
    return tuple(steps)


def check_kind(db: sqlite3.Connection, path: Path, kind: Kind, known: int) -> None:
    """Check that an open database is new or of this kind, and has a schema version of at most `known`, the newest of this program.

    Raises: ConfigError: this is no Stardust database, or a newer program made it.
    """
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    found: int = db.execute("PRAGMA application_id").fetchone()[0]
    if not _is_new(db) and found != kind.application_id:
        raise ConfigError(f"{path} is not a database of this kind")
    if version > known:
        raise ConfigError(f"the database {path} was made by a newer Stardust (schema {version}; this program knows {known})")


def upgrade(db: sqlite3.Connection, path: Path, kind: Kind, steps: Sequence[Migration]) -> None:
    """Check the file, then apply the missing migrations, each in one transaction. An existing database is copied before its first change.

    Raises: ConfigError: the file or its copy is damaged, or the file is no Stardust database or made by a newer program. Nothing was changed.
            sqlite3.Error: the copy could not be written; or a migration failed and was rolled back. The migrations before it stay.
            OSError: the copy could not be written.
    """
    check_kind(db, path, kind, len(steps))
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if not _is_new(db):
        _check_at_start(db, path)
        if any(step.sql for step in steps[version:]):
            write_copy(db, path.with_name(f"{path.name}.before-{version + 1:04d}"))
    for step in steps[version:]:
        script = f"BEGIN IMMEDIATE; {step.sql}; PRAGMA application_id = {kind.application_id}; PRAGMA user_version = {step.no}; COMMIT;"
        try:
            db.executescript(script)
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _check_at_start(db: sqlite3.Connection, path: Path) -> None:
    """Check the file as a whole. A file larger than `CHECK_LIMIT_BYTES` is checked only after a hub found damage in it.

    Raises: DamagedFile.
    """
    mark = _suspect_mark(path)
    if path.stat().st_size <= CHECK_LIMIT_BYTES or mark.exists():
        check_whole(db, path)
        mark.unlink(missing_ok=True)


def mark_suspect(path: Path) -> None:
    """Request a check of the whole file at the next start, even if it is large. Call this after a damaged page was found in it."""
    with contextlib.suppress(OSError):  # without room for the mark, the next hub finds the damaged page again
        _suspect_mark(path).touch(mode=0o600)


def _suspect_mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")


class DamagedFile(ConfigError):
    """SQLite reported an invalid page in a database file. SQLite may report that of a sound file too, if the disk failed
    to read the file."""


def read_failure(path: Path) -> StoreDown | None:
    """Tell a failed disk from a damaged file: read a database file and its write-ahead log without SQLite, for at most `READ_LIMIT_S`.

    Call this only while this process has no connection to the file: closing any descriptor of the file releases SQLite's locks.
    Returns: the error of the read; None: no read failed in this time.
    """
    until = time.monotonic() + READ_LIMIT_S
    for part in (path, path.with_name(path.name + "-wal")):
        try:
            with open(part, "rb", buffering=0) as file:
                while time.monotonic() < until and file.read(READ_BYTES):
                    pass
        except FileNotFoundError:
            continue
        except OSError as exc:
            return StoreDown(f"reading the database {part.name} failed: {exc.strerror}", sqlite="SQLITE_IOERR_READ")
    return None


def check_whole(db: sqlite3.Connection, path: Path) -> None:
    """Check the whole file, without a time limit.

    Raises: DamagedFile.
    """
    try:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as exc:
        raise damage_error(path) from exc
    if found != "ok":
        raise damage_error(path)


def damage_error(path: Path) -> DamagedFile:
    """The error for a damaged file. It names the newest sound copy, if there is one."""
    return DamagedFile(f"the database {path} is damaged: restore a backup{_newest_copy_text(path)}")


def _newest_copy_text(path: Path) -> str:
    found = (
        copy
        for copy in path.parent.glob(f"{glob.escape(path.name)}.before-*")
        if copy.is_file() and not copy.name.endswith(("-wal", "-shm"))
    )
    newest = next(filter(is_whole, sorted(found, key=lambda copy: copy.stat().st_mtime, reverse=True)), None)
    return f"; the newest copy is {newest}" if newest else ""


def is_whole(copy: Path) -> bool:
    """Whether a copy is complete and sound. A program that was killed while copying leaves a partial file. Of a large copy only the size
    is checked."""
    try:
        with open(copy, "rb") as file:
            head = file.read(100)
        if not head.startswith(b"SQLite format 3\0"):
            return False
        if copy.stat().st_size > CHECK_LIMIT_BYTES:
            return int.from_bytes(head[_PAGES], "big") * int.from_bytes(head[_PAGE_SIZE], "big") <= copy.stat().st_size
        # `immutable` skips locks and the log: no program writes to a copy
        with contextlib.closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except (OSError, sqlite3.Error):
        return False


def make_database(path: Path, kind: Kind) -> None:
    """Replace a missing or empty file by a new database. It is made under another name first, so that a kill never leaves a partial file.

    Raises: OSError, sqlite3.Error, and as `make_private_file`.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    make_private_file(fresh)
    try:
        with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            db.execute(f"PRAGMA page_size = {kind.page_size}")
            db.execute("PRAGMA journal_mode = MEMORY").fetchall()
            db.execute("PRAGMA synchronous = OFF")  # the file is made durable as a whole
            upgrade(db, fresh, kind, migrations(kind))
        sync(fresh)
        for ending in ("-wal", "-shm"):  # left by a lost database: SQLite would read them into the new one
            path.with_name(path.name + ending).unlink(missing_ok=True)
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync(path)


def is_blank(path: Path) -> bool:
    """Whether the database is missing or empty. A new database that loses its write-ahead log consists of one page without
    tables, and counts as empty."""
    try:
        with open(path, "rb") as file:
            head = file.read(100)
    except OSError as exc:
        return isinstance(exc, FileNotFoundError)
    if not head:
        return True
    if not head.startswith(b"SQLite format 3\0") or any(head[_VERSION]):
        return False
    try:
        with opened(path) as db:
            return _is_new(db)
    except sqlite3.Error:  # opening the file reports what is wrong with it
        return False


def _is_new(db: sqlite3.Connection) -> bool:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    tables: int = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return version == 0 and tables == 0


def check_control_not_lost(control: Path, samples: Path) -> None:
    """Refuse to start as a new hub beside samples: a hub that ran here has lost its control database, with its users, keys and nodes.

    A hub that was killed at its first start leaves no samples, since they are created last.
    Raises: ConfigError: there are samples, but no control database.
    """
    if size(samples) and is_blank(control):
        raise ConfigError(
            f"the database {control} is {'empty' if control.exists() else 'missing'}, but there are samples of a hub in {samples}:"
            f" restore a backup{_newest_copy_text(control)}; for a new hub, move {samples} away"
        )


def lost_start_error(control: Path, samples: Path) -> ConfigError:
    """The error for a control database that has lost its newer rows with its write-ahead log. A hub would take it for the
    database of a new hub."""
    return ConfigError(
        f"the database {control} has lost everything since the hub's first start, as happens if its write-ahead log is removed:"
        f" restore a backup{_newest_copy_text(control)}; for a new hub, move {control} and {samples} away"
    )


def is_marked(samples: Path) -> bool:
    """Whether a hub has run on this samples database; False also if it cannot be read. A hub marks it after it has stored its start in the
    control database."""
    if not size(samples):
        return False
    try:
        with opened(samples) as db:
            return db.execute("SELECT 1 FROM fence LIMIT 1").fetchone() is not None
    except sqlite3.Error:  # opening the file reports what is wrong with it
        return False


def check_samples_not_lost(samples: Path) -> None:
    """Refuse an empty samples database; a missing file passes. Call this if the control database shows that a hub has run.

    Raises: ConfigError.
    """
    if samples.exists() and is_blank(samples):
        raise ConfigError(
            f"the database {samples} is empty, although a hub has run on it: restore a backup{_newest_copy_text(samples)};"
            f" to start without samples, move {samples} away"
        )


def size(path: Path) -> int:
    """The size of a file in bytes; 0: it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def write_copy(db: sqlite3.Connection, target: Path, watched: Callable[[sqlite3.Connection], WorkContext] = contextlib.nullcontext) -> None:
    """Replace the file `target` by a consistent copy of the open database, and check the copy. After an error the copy is removed.

    Args:   watched: makes a context from the connection to the copy. The copy is checked within it.
    Raises: ConfigError: the check of the copy failed. sqlite3.Error, OSError: the copy could not be written.
    """
    target.unlink(missing_ok=True)
    try:
        db.execute("VACUUM INTO ?", (str(target),))
        target.chmod(0o600)
        with opened(target) as written, watched(written):
            check_whole(written, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
