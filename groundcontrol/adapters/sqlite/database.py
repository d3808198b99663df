"""Opens the two database files of a hub."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from groundcontrol.adapters.sqlite.admin.atomic_replace import finish_replacement
from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.admin.migrate import (  # fmt: skip
    CONTROL,
    SAMPLES,
    STARTS,
    DamagedFile,
    Kind,
    check_control_not_lost,
    check_samples_not_lost,
    damage_error,
    is_blank,
    is_marked,
    lost_start_error,
    make_database,
    mark_suspect,
    migrations,
    read_failure,
    size,
    upgrade,
)
from groundcontrol.adapters.sqlite.admin.post_restore import open_fences, orphan_nodes, settle
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.connection import Thread, is_damage, open_thread, translate
from groundcontrol.adapters.sqlite.engine.data_files import (
    FolderLock,
    check_no_hard_links,
    lock_folders,
    make_private_file,
    make_private_folder,
)
from groundcontrol.adapters.sqlite.engine.facts import save_fact
from groundcontrol.adapters.sqlite.engine.reader import POOL_SIZE, Reader
from groundcontrol.adapters.sqlite.engine.seen_times import (  # fmt: skip
    LATEST,
    Loss,
    SeenTimes,
    latest_in_control,
    latest_in_samples,
    losses,
    read_seen_times,
    write_seen_times,
)
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.engine.writer import CLOSE_LIMIT_S, Writer, WriterStats
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.secrets import Keyring
from groundcontrol.adapters.sqlite.silence import note_absence
from groundcontrol.adapters.sqlite.stores import Connections, Store
from groundcontrol.core.bus import BusEvent
from groundcontrol.core.database import RestoreReport
from groundcontrol.core.errors import ConfigError, StoreBusy, StoreDown, StoreError, StoreFull
from groundcontrol.core.scope import Scope
from groundcontrol.events.making import hub_event
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

CONTROL_NAME: Final = "stardust.db"
_OLDEST: Final = (3, 37, 0)
"""The oldest SQLite with STRICT tables."""
URGENT_CONNECTIONS: Final = 1
"""The number of reading connections for urgent queries. One is enough, since such a query looks up a few rows."""


class _File:
    """One database file: its writing connection and its reading connections.

    `urgent` serves queries that must not wait: log-ins, rights, the hub's health and the handshakes of nodes. The samples database has no
    such queries, so there `urgent` is `reader`.
    """

    def __init__(self, path: Path, writer: Writer, reader: Reader, urgent: Reader) -> None:
        self.path = path
        self.writer = writer
        self.reader = reader
        self.urgent = urgent

    @classmethod
    async def open(cls, path: Path, kind: Kind, clock: Clock, readers: int) -> _File:
        await asyncio.to_thread(make_private_file, path)
        thread: Thread | None = None
        reader: Reader | None = None
        try:
            await asyncio.to_thread(_make_if_blank, path, kind)
            has_log = kind.wipe and size(path.with_name(path.name + "-wal")) > 0
            thread = await open_thread(path, page_size=kind.page_size, wipe=kind.wipe)
            await thread.run(lambda db: upgrade(db, path, kind, migrations(kind)))
            await thread.guard_writes()
            reader = await Reader.open(path, readers, owned=kind is CONTROL)
            urgent = await Reader.open(path, URGENT_CONNECTIONS, owned=True) if kind is CONTROL else reader
        except BaseException as exc:
            if reader is not None:
                await reader.close()
            if thread is not None:
                await thread.close()
            if isinstance(exc, sqlite3.Error):
                raise await asyncio.to_thread(_refusal, path, translate(exc, path.name)) from exc
            if isinstance(exc, StoreError | DamagedFile):
                raise await asyncio.to_thread(_refusal, path, exc) from exc
            raise
        return cls(path, Writer(thread, path.name, clock, shredding=has_log), reader, urgent)

    @property
    def damaged(self) -> bool:
        """Whether a connection found an invalid page."""
        return self.reader.damaged or self.urgent.damaged or self.writer.damaged

    async def close(self, limit_s: float = CLOSE_LIMIT_S) -> bool:
        """Disconnect. Returns False if the disk stalls, so that the writing thread still works."""
        idle = await asyncio.gather(*(reader.close() for reader in {self.reader, self.urgent}))
        if not await self.writer.close(checkpoint=all(idle), limit_s=limit_s):
            return False
        if self.damaged:
            await asyncio.to_thread(mark_suspect, self.path)
        return True


def _make_if_blank(path: Path, kind: Kind) -> None:
    if is_blank(path):
        try:
            make_database(path, kind)
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull(f"no space is left for the database {path.name}") from exc
            raise ConfigError(f"the database {path} cannot be made: {exc.strerror}") from exc


class Database:
    """An opened data folder. `secrets` works before the keys are known; `store` gives the other stores."""

    def __init__(self, locks: list[FolderLock], control: _File, samples: _File, clock: Clock) -> None:
        self._locks = locks
        self._control = control
        self._samples = samples
        self._clock = clock
        self.secrets = Keyring(control.writer, control.reader)

    async def store(self, *, audit_key: bytes, chain: str, earlier_audit_keys: Sequence[bytes] = ()) -> Store:
        """All stores of this hub. Also finishes removals of nodes that an earlier process began.

        Args: audit_key: signs new audit rows; chain: the name of this process's audit chain (its hub id).
              earlier_audit_keys: the keys from before rotations of the audit key; they verify older rows.
        """
        control, samples = self._control, self._samples
        connections = Connections(
            control.writer, control.reader, control.urgent, samples.writer, samples.reader, Chain(audit_key, chain),
            (audit_key, *earlier_audit_keys), self._clock,
        )  # fmt: skip
        store = Store(connections)
        await store.nodes.sweep()
        return store

    async def settle_restored(
        self, *, audit_key: bytes, chain: str, scope: Scope, made_at: float, earlier_audit_keys: Sequence[bytes] = ()
    ) -> RestoreReport:
        """Clean up a restored database before a hub runs on it. `made_at`: the time of the backup, Unix seconds."""
        store = await self.store(audit_key=audit_key, chain=chain, earlier_audit_keys=earlier_audit_keys)
        for no in await orphan_nodes(self._control.reader, self._samples.reader):
            await store.metrics.drop_node(no)
        await open_fences(self._samples.writer)
        return await settle(self._control.writer, Chain(audit_key, chain), scope, made_at)

    def publish_to(self, publish: Callable[[BusEvent], None]) -> None:
        """Set the function that is called with each published message, after the commit of its command."""
        self._control.writer.publish = publish

    @property
    def stats(self) -> dict[str, WriterStats]:
        """Counters of the writers, by file name."""
        return {file.path.name: file.writer.stats for file in (self._control, self._samples)}

    @property
    def broken(self) -> bool:
        """Whether reading or writing a file failed, or a page was invalid. The file's connection then refuses everything, and the process must
        end and start again."""
        return any(file.writer.broken or file.reader.broken or file.urgent.broken for file in (self._control, self._samples))

    @property
    def trouble(self) -> StoreError | None:
        """The last error of a database: StoreFull, StoreReadOnly …; StoreBusy: no write completes. None: there is none, or later
        writes succeeded."""
        if self.broken:
            return StoreDown("the database failed and was given up; the hub must start again")
        writers = (self._control.writer, self._samples.writer)
        return next((found for writer in writers if (found := writer.stall or writer.trouble)), None)

    async def probe(self) -> StoreError | None:
        """Commit a test write to both files. So the hub notices without other writes that a disk is full, or has space again.

        Returns: the first error; None: there is none.
        """
        try:
            seen = SeenTimes(await self._control.writer.run(_touch_control), await self._samples.writer.run(_touch_samples))
        except StoreError as exc:
            return exc
        await asyncio.to_thread(write_seen_times, self._control.path, seen)
        return self.trouble

    async def shrink(self) -> None:
        """Free the memory of cached pages.

        Each connection keeps pages until its cache is full. With little traffic that takes hours, and the memory
        of the hub grows all the time.
        Raises: StoreError.
        """
        for file in (self._control, self._samples):
            try:
                await file.writer.shrink()
                for reader in {file.reader, file.urgent}:
                    await reader.shrink()
            except sqlite3.Error as exc:
                raise translate(exc, file.path.name) from exc

    async def last_probe(self) -> float | None:
        """The time of the last test write by the clock of that time, Unix seconds; None: there was none."""
        row = await self._control.reader.run(lambda rows: rows.fetch_one("SELECT value FROM fact WHERE name = 'probed_at'"))
        return None if row is None else float(row["value"])

    async def latest(self) -> float | None:
        """The latest wall clock time that any hub on this database stored, Unix seconds; None: none did."""
        row = await self._control.reader.run(lambda rows: rows.fetch_one(LATEST))
        return None if row is None else float(row["value"])

    async def close(self, limit_s: float = CLOSE_LIMIT_S) -> bool:
        """Finish the queues and release the folder's lock.

        Returns: False: a disk stalls. A thread may still write, so the folder stays locked until the process ends.
        """
        closed = False
        try:
            closed = all(await asyncio.gather(self._control.close(limit_s), self._samples.close(limit_s)))
        finally:
            if closed:
                for lock in self._locks:
                    lock.release()
        return closed


def _touch_control(tx: Tx) -> float:
    save_fact(tx, "probed_at", tx.now)
    return _note_latest(tx)


def _note_latest(tx: Tx) -> float:
    """Store the latest wall clock time, so that the hub detects a clock that was set back, even after several starts. Returns that time."""
    latest = max(tx.now, latest_in_control(tx))
    save_fact(tx, "latest_at", latest)
    return latest


def _touch_samples(tx: Tx) -> float:
    """Store the latest wall clock time as the epoch of node 0, which no node has. Returns that time."""
    tx.execute(
        "INSERT INTO fence VALUES (0, ?) ON CONFLICT (node) DO UPDATE SET epoch = excluded.epoch WHERE excluded.epoch > fence.epoch",
        int(tx.now),
    )
    return latest_in_samples(tx)


def _start(lost: Sequence[Loss]) -> Callable[[Tx], float]:
    """A command that records the losses, deletes the rows of earlier hub processes and ends their leases: the folder's lock proves that none
    of them runs. It returns the latest time."""

    def command(tx: Tx) -> float:
        note_absence(tx)
        for one in lost:
            details: dict[str, object] = {"file": one.file, "what": one.text, "since": one.since, "until": one.until}
            record_event(tx, hub_event("hub_data_lost", tx.now, details))
        tx.execute("DELETE FROM hub")
        tx.execute("UPDATE lease SET until = 0")
        return _note_latest(tx)

    return command


def _skip_node_numbers(highest: int) -> Callable[[Tx], int]:
    """A command that skips node numbers up to the highest in the samples database. It returns the number of skipped numbers.

    A control database that lost its newest changes has a lower counter. If its numbers were not skipped, a new node would
    get the number of an earlier node. It would inherit the samples of that node or, if that node was removed, could store none.
    """

    def command(tx: Tx) -> int:
        row = tx.fetch_one("SELECT seq FROM sqlite_sequence WHERE name = 'node'")
        last = 0 if row is None else int(row["seq"])
        if last >= highest:
            return 0
        if row is None:
            tx.execute("INSERT INTO sqlite_sequence VALUES ('node', ?)", highest)
        else:
            tx.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'node'", highest)
        return highest - last

    return command


def _mark(tx: Tx) -> float:
    """Record in the samples database that a hub has recorded its start in the control database (`is_marked`). Returns the latest time."""
    if not latest_in_samples(tx):
        tx.shredding = True  # checkpoint immediately, so that the mark survives a deleted write-ahead log
    return _touch_samples(tx)


async def open_database(
    data_dir: Path,
    *,
    clock: Clock,
    control: Path | None = None,
    meanwhile: Callable[[Keyring], Awaitable[None]] | None = None,
    readers: int = POOL_SIZE,
) -> Database:
    """Open the data folder, or create it.

    Args:   control: the control database, if it is not `stardust.db` in the folder. The samples database is beside it.
            meanwhile: runs while the samples database is checked, with the keyring of the open control database.
            readers: the number of queries that each file answers at a time. To open a connection takes some milliseconds.
    Raises: ConfigError: a hub must not start on this folder; the text says why. StoreError: a hub cannot start now, but maybe later.
            Also any error of `meanwhile`.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 is needed")
    path = data_dir / CONTROL_NAME if control is None else control
    await asyncio.to_thread(make_private_folder, data_dir)
    await asyncio.to_thread(check_no_hard_links, path, samples_beside(path))
    locks = await asyncio.to_thread(lock_folders, data_dir, path.parent)
    opened: list[_File] = []
    try:
        await asyncio.to_thread(finish_replacement, path)
        await asyncio.to_thread(check_control_not_lost, path, samples_beside(path))
        is_new = is_blank(path)
        opened.append(await _File.open(path, CONTROL, clock, readers))
        if await opened[0].reader.run(lambda rows: rows.fetch_one(LATEST)) is not None:
            await asyncio.to_thread(check_samples_not_lost, samples_beside(path))
        elif await opened[0].reader.run(lambda rows: rows.fetch_one(STARTS)) is None and await asyncio.to_thread(
            is_marked, samples_beside(path)
        ):
            raise lost_start_error(path, samples_beside(path))
        if not is_new and not size(samples_beside(path)):
            event(log, "samples_begun_anew", logging.WARNING, means="there was no file of samples")
        await _open_samples(opened, samples_beside(path), clock, meanwhile, readers)
        lost = [] if is_new else await _find_losses(path, opened)
        for one in lost:
            event(log, "data_lost", logging.ERROR, database=one.file, what=one.text)
        seen = SeenTimes(await opened[0].writer.run(_start(lost)), await opened[1].writer.run(_mark))
        await asyncio.to_thread(write_seen_times, path, seen)
        [numbered] = await opened[1].reader.run(lambda rows: rows.fetch_all("SELECT max(node) AS highest FROM fence"))
        if unknown := await opened[0].writer.run(_skip_node_numbers(numbered["highest"])):
            event(
                log, "nodes_unknown", logging.WARNING, count=unknown, means="samples of nodes that the control database lost or never had"
            )
    except BaseException as exc:
        for file in opened:
            await file.close()
        for lock in locks:
            lock.release()
        if isinstance(exc, StoreError):
            concerned = next((file.path for file in opened if file.damaged), path)
            raise await asyncio.to_thread(_refusal, concerned, exc) from exc
        raise
    return Database(locks, opened[0], opened[1], clock)


async def _find_losses(path: Path, opened: Sequence[_File]) -> list[Loss]:
    """What the opened databases lack of what an earlier hub saw in them."""
    found = SeenTimes(await opened[0].reader.run(latest_in_control), await opened[1].reader.run(latest_in_samples))
    return losses(path, samples_beside(path), await asyncio.to_thread(read_seen_times, path), found)


async def _open_samples(
    opened: list[_File], path: Path, clock: Clock, meanwhile: Callable[[Keyring], Awaitable[None]] | None, readers: int
) -> None:
    """Open the samples database while `meanwhile` runs. An opened database is added to `opened`, even if `meanwhile` fails
    or this call is cancelled."""
    samples = asyncio.create_task(_File.open(path, SAMPLES, clock, readers))
    beside = () if meanwhile is None else (meanwhile(Keyring(opened[0].writer, opened[0].reader)),)
    try:
        done = await asyncio.gather(samples, *beside, return_exceptions=True)
    finally:  # here every task has ended: a cancelled `gather` cancels them and waits for them
        if not samples.cancelled() and samples.exception() is None:
            opened.append(samples.result())
    for one in done:
        if isinstance(one, BaseException):
            raise one


def _refusal(path: Path, error: StoreError | DamagedFile) -> StoreError | ConfigError:
    """The error for the caller: a StoreError if another start may succeed (no room, a lock, a failed disk); else a ConfigError."""
    if isinstance(error, DamagedFile):
        return read_failure(path) or error
    if is_damage(error):
        return read_failure(path) or damage_error(path)
    if isinstance(error, StoreFull | StoreBusy) or str(error.detail.get("sqlite", "")).startswith("SQLITE_IOERR"):
        return error
    return ConfigError(f"the database {path} cannot be opened: {error.message}")
