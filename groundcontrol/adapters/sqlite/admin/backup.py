"""Backups. A backup is one file with copies of both databases and a manifest. It may be made while the hub runs, and is checked before the
file gets its name.

The file is a ZIP: `manifest.json`, `control.db`, `samples.db`. `VACUUM INTO` makes the copies on read-only connections, so they do not
block the hub's writing connection. Secrets in the copies stay sealed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sqlite3
import stat
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

from groundcontrol.adapters.sqlite.admin.migrate import (
    CONTROL,
    SAMPLES,
    DamagedFile,
    Kind,
    check_kind,
    check_whole,
    damage_error,
    migrations,
    write_copy,
)
from groundcontrol.adapters.sqlite.audit import chain_heads
from groundcontrol.adapters.sqlite.engine.connection import translate
from groundcontrol.adapters.sqlite.engine.data_files import sync
from groundcontrol.adapters.sqlite.engine.readonly import check_readable, opened, unchanged
from groundcontrol.adapters.sqlite.engine.tx import Rows
from groundcontrol.adapters.sqlite.engine.work_dirs import remove_abandoned, work_folder
from groundcontrol.core.audit import AuditHead
from groundcontrol.core.errors import ConfigError
from groundcontrol.data_dir import user_name

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
COPIES: Final = (("control.db", CONTROL), ("samples.db", SAMPLES))
MAX_MANIFEST_BYTES: Final = 4 << 20
BLOCK_BYTES: Final = 1 << 20
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""Errors of file systems without hard links."""
_ENCRYPTED: Final = 0x1
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_YEAR_10000_AT: Final = 253_402_300_800.0
"""Later times cannot be formatted as a date."""
_MOST_ROWS: Final = 1 << 62
_STEPS: Final = 20_000
"""SQLite instructions between two checks for a cancellation: some milliseconds."""

ReportProgress = Callable[[str], None]
"""Receives progress messages."""


class BackupContent(msgspec.Struct, frozen=True):
    """One database in a backup."""

    bytes: int
    sha256: str
    schema: int


class Manifest(msgspec.Struct, frozen=True):
    """The manifest of a backup. A later format may have more fields."""

    format: int
    made_at: float
    version: str
    """The version of the program that made the backup."""
    files: dict[str, BackupContent]
    audit_heads: list[AuditHead]
    """The last row (its number and hash) of each audit chain that no later chain had recorded at that time. A restored database must contain
    these rows."""
    fleet: str = ""
    """The id of the fleet; empty: unknown."""


class BackupCancelled(Exception):
    """The backup was cancelled, and its files are removed."""


class Cancellation:
    """Lets another thread cancel a backup that is being made."""

    def __init__(self) -> None:
        self._wanted = False
        self._at_work: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def request(self) -> None:
        """Cancel the backup. A running statement is interrupted."""
        with self._lock:
            self._wanted = True
            for db in self._at_work:
                db.interrupt()

    def check(self) -> None:
        """Raises: BackupCancelled: the backup was cancelled."""
        if self._wanted:
            raise BackupCancelled

    @contextlib.contextmanager
    def watch(self, db: sqlite3.Connection) -> Iterator[None]:
        """Within the context, make all statements of this connection fail once the backup is cancelled."""
        db.set_progress_handler(lambda: self._wanted, _STEPS)
        with self._lock:
            self._at_work.append(db)
        try:
            yield
        finally:
            with self._lock:
                self._at_work.remove(db)
            db.set_progress_handler(None, 0)


def make(
    control: Path, target: Path, version: str, report: ReportProgress, *, fleet: str = "", cancellation: Cancellation | None = None
) -> Manifest:
    """Write a backup to `target`, which must not exist. The file gets its name only when it is complete, checked and durable.

    Args:   control: the control database; version: of this program; report: gets progress messages; fleet: the id of the fleet, or empty;
            cancellation: by which another thread may cancel the backup.
    Raises: ConfigError: the backup failed, and its files are removed. BackupCancelled.
    """
    cancellation = cancellation or Cancellation()
    try:
        if target.exists():
            raise ConfigError(f"{target} already exists: a backup never replaces another file")
        if not target.parent.is_dir():
            raise ConfigError(f"there is no folder {target.parent}")
        remove_abandoned(target.parent)
        with work_folder(target.parent) as folder:
            for path, kind in _databases(control):
                with _named(path):
                    _check_known(path, kind)
            return _make(control, target, folder, version, report, fleet, cancellation)
    except (sqlite3.Error, OSError, ConfigError) as exc:
        cancellation.check()
        if _is_full(exc):
            raise ConfigError(f"no backup was made: {target.parent}: no space is left") from exc  # the backup writes only the copies
        if isinstance(exc, sqlite3.Error):
            raise ConfigError(f"no backup was made: {translate(exc, control.name).message}") from exc
        if isinstance(exc, OSError):
            text = f"no backup was made: {target.parent}: {exc.strerror}"
            if isinstance(exc, PermissionError):  # a process that started as root may have dropped root
                text += f": the user {user_name(os.geteuid())}, who owns the data folder, has to be able to read and write there"
            raise ConfigError(text) from exc
        raise


def check_known(control: Path) -> None:
    """Check that this program knows the schema of a control database and of its samples.

    Raises: ConfigError: one file is not a Stardust database, or a newer program made it. ReadOnlyHere: as `check_readable`.
            sqlite3.Error: a file cannot be read.
    """
    for path, kind in _databases(control):
        _check_known(path, kind)


def _databases(control: Path) -> tuple[tuple[Path, Kind], ...]:
    return (control, CONTROL), (samples_beside(control), SAMPLES)


def _check_known(path: Path, kind: Kind) -> None:
    if path.exists():
        check_readable(path)
        with opened(path) as db:
            check_kind(db, path, kind, len(migrations(kind)))


def _make(
    control: Path, target: Path, folder: Path, version: str, report: ReportProgress, fleet: str, cancellation: Cancellation
) -> Manifest:
    sources = {"control.db": control, "samples.db": samples_beside(control)}
    made_at, files = time.time(), {}
    for name, kind in COPIES:
        source = sources[name]
        report(f"copying {source.name} ({_size(source.stat().st_size)})")
        check_readable(source)
        with _named(source), unchanged(source), opened(source) as db, cancellation.watch(db):
            if db.execute("PRAGMA application_id").fetchone()[0] != kind.application_id:
                raise ConfigError(f"{source} is not a database of Stardust")
            write_copy(db, folder / name, cancellation.watch)
        with opened(folder / name) as db:
            schema: int = db.execute("PRAGMA user_version").fetchone()[0]
        with open(folder / name, "rb") as file:
            files[name] = BackupContent((folder / name).stat().st_size, _sha256_of(file, cancellation), schema)
    with opened(folder / "control.db") as db:
        db.row_factory = sqlite3.Row
        manifest = Manifest(FORMAT, made_at, version, files, chain_heads(Rows(db)), fleet)
    packed = folder / "backup"
    report("packing")
    with (
        open(os.open(packed, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as out,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)), zipfile.ZIP_STORED)
        for name, content in files.items():
            with open(folder / name, "rb") as file, archive.open(name, "w", force_zip64=content.bytes > 1 << 30) as member:
                for block in _blocks(file, cancellation):
                    member.write(block)
    report("reading it back")
    with open_backup(packed) as (_, archive):
        for name, content in files.items():
            with archive.open(name) as member:
                if _sha256_of(member, cancellation) != content.sha256:
                    raise ConfigError("no backup was made: the written file differs from the copies")
    sync(packed)
    cancellation.check()
    _name(packed, target)
    return manifest


def _is_full(exc: Exception) -> bool:
    return isinstance(exc, sqlite3.Error) and getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


@contextlib.contextmanager
def _named(source: Path) -> Iterator[None]:
    """Translate errors of SQLite into errors that name the database. The error of a full disk passes, since the copies caused it."""
    try:
        yield
    except DamagedFile as exc:  # the check of the copy found it, and the copy is gone by now
        raise ConfigError(f"no backup was made: {damage_error(source)}") from exc
    except sqlite3.Error as exc:
        if _is_full(exc):
            raise
        raise ConfigError(f"no backup was made: {translate(exc, source.name).message}") from exc


def _name(packed: Path, target: Path) -> None:
    """Give the complete file `packed` its final name `target`, durably. A file that has appeared there meanwhile is never overwritten.

    Raises: OSError: the file did not get the name.
    """
    try:
        os.link(packed, target)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        # On a file system without hard links, an empty file reserves the name first.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with _unnamed_on_failure(target):
            os.replace(packed, target)
    with _unnamed_on_failure(target):
        sync(target)


@contextlib.contextmanager
def _unnamed_on_failure(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError:
        target.unlink()
        raise


@contextlib.contextmanager
def open_backup(path: Path) -> Iterator[tuple[Manifest, zipfile.ZipFile]]:
    """Open a backup and read its manifest.

    Raises: ConfigError: the file cannot be read, is no backup, or a newer program made it. Errors of the archive or of the disk in
            the context become ConfigError too.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield _read_manifest(path, archive), archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as exc:
        raise ConfigError(f"{path} is not a backup of Stardust, or it is damaged: {exc}") from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):  # no read fails with these errors: the caller was writing the content
            raise ConfigError(f"no space is left to unpack {path}") from exc
        raise ConfigError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def manifest_of(path: Path) -> Manifest | None:
    """The manifest of a backup; None: the file is not plain, or no backup that this program can read."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        with open_backup(path) as (manifest, _):
            return manifest
    except (ConfigError, OSError, RuntimeError, ValueError, struct.error):  # a foreign archive may be damaged in many ways
        return None


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    names = [info.filename for info in archive.infolist()]
    if sorted(names) != sorted([MANIFEST, *(name for name, _ in COPIES)]) or archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise ConfigError(f"{path} is not a backup of Stardust")
    if any(info.flag_bits & _ENCRYPTED or info.compress_type not in _PACKED for info in archive.infolist()):
        raise ConfigError(f"{path} is not a backup of Stardust: it is packed in another way")
    try:
        found = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:  # a ValueError: a text is not UTF-8
        raise ConfigError(f"{path} is not a backup of Stardust: its list of contents cannot be read") from exc
    if found.format > FORMAT:
        raise ConfigError(f"{path} was made by a newer Stardust ({found.version[:40]}): restore it with that one")
    is_dated = 0 <= found.made_at < _YEAR_10000_AT and all(0 <= head.n < _MOST_ROWS for head in found.audit_heads)
    if set(found.files) != {name for name, _ in COPIES} or not is_dated:
        raise ConfigError(f"{path} is not a backup of Stardust")
    for name, kind in COPIES:
        if found.files[name].schema > len(migrations(kind)):
            raise ConfigError(f"{path} was made by a newer Stardust ({found.version[:40]}): restore it with that one")
    return found


def unpack(path: Path, folder: Path, report: ReportProgress) -> Manifest:
    """Write the databases of a backup into an empty folder, checked.

    Raises: ConfigError: the backup is damaged, was altered, or does not fit on the disk.
    """
    with open_backup(path) as (manifest, archive):
        needed = sum(content.bytes for content in manifest.files.values())
        if shutil.disk_usage(folder).free < needed:
            raise ConfigError(f"the backup needs {_size(needed)} under {folder}, where less is free")
        for name, kind in COPIES:
            content = manifest.files[name]
            report(f"unpacking {name} ({_size(content.bytes)})")
            target = folder / name
            with (
                open(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as out,
                archive.open(name) as source,
            ):
                digest = _copy_some(source, out, content.bytes)
            if digest != content.sha256:
                raise ConfigError(f"{path} is damaged, or was altered: {name} differs from its list of contents")
            _check_copy(target, kind, content)
    return manifest


def _check_copy(path: Path, kind: Kind, content: BackupContent) -> None:
    try:
        with opened(path) as db:
            written = (db.execute("PRAGMA application_id").fetchone()[0], db.execute("PRAGMA user_version").fetchone()[0])
            if written != (kind.application_id, content.schema):
                raise ConfigError(f"{path.name} in the backup is not a database of Stardust")
            check_whole(db, path)
    except sqlite3.Error as exc:
        raise ConfigError(f"{path.name} in the backup is damaged") from exc


def samples_beside(control: Path) -> Path:
    """The path of the samples database for a control database."""
    return control.with_name(f"{control.stem}-samples{control.suffix}")


def _copy_some(source: IO[bytes], out: IO[bytes], most: int) -> str:
    """Copy at most `most` + 1 bytes, so that a file larger than its stated size cannot fill the disk. Returns the SHA-256 in hex."""
    digest, left = hashlib.sha256(), most + 1
    while left > 0 and (block := source.read(min(BLOCK_BYTES, left))):
        digest.update(block)
        out.write(block)
        left -= len(block)
    return digest.hexdigest()


def _blocks(file: IO[bytes], cancellation: Cancellation) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        cancellation.check()
        yield block


def _sha256_of(file: IO[bytes], cancellation: Cancellation) -> str:
    digest = hashlib.sha256()
    for block in _blocks(file, cancellation):
        digest.update(block)
    return digest.hexdigest()


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
