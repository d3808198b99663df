"""The one writing connection of a database file. Commands queue, and commands that wait at the same time share a commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

from groundcontrol.adapters.sqlite.engine.connection import Thread, is_damage, translate
from groundcontrol.adapters.sqlite.engine.organisation import ACTING_ORG
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.core.bus import BusEvent
from groundcontrol.core.errors import StoreBusy, StoreDown, StoreError, StoreFull, StoreReadOnly
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)
T = TypeVar("T")

QUEUE_LIMIT: Final = 4096
GROUP_LIMIT: Final = 512
"""The most commands that share one transaction."""
STALL_S: Final = 10.0
"""A transaction that takes this long shows that the disk stalls. Until it ends, queued and further commands are refused."""
CLOSE_LIMIT_S: Final = 30.0
"""Time limit of `close`. If it passes, no acknowledged command is lost: the next start does the checkpoint."""
STALLED_LIMIT_S: Final = 0.5
"""Time limit of `close` if the disk has stalled already."""
CHECKPOINT_RETRY_S: Final = 1.0
"""Retry interval of the checkpoint after shredding. A checkpoint fails while a reader is active or the disk is full."""


class WriterStats(NamedTuple):
    commands: int
    commits: int
    refused: int
    """Commands refused by a full queue."""
    worst_commit_s: float


class _Waiting(NamedTuple):
    command: Callable[[Tx], object]
    org: int | None
    """The organisation for which it acts; None: for the hub as a whole."""
    done: asyncio.Future[Any]


class _Outcome(NamedTuple):
    result: object
    error: Exception | None
    published: Sequence[BusEvent] = ()


class Writer:
    """Runs commands one after the other on the writing thread.

    A caller gets the result of its command only after the commit. Commands that arrive during a transaction share the next one. In a
    shared transaction each command has its own savepoint, so that a failed command does not affect the others.
    """

    def __init__(
        self, thread: Thread, name: str, clock: Clock, queue_limit: int = QUEUE_LIMIT, stall_s: float = STALL_S, *, shredding: bool = False
    ) -> None:
        """Args: shredding: the existing write-ahead log may contain secrets that an earlier process shredded."""
        self._thread = thread
        self._name = name
        self._clock = clock
        self._queue_limit = queue_limit
        self._stall_s = stall_s
        self._stalled = False
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._shredding = shredding
        """Whether the write-ahead log still needs a checkpoint after shredding."""
        self._checkpoint_at = 0.0
        """The time of the next checkpoint, by the monotonic clock."""
        self._checkpoint_error: StoreError | None = None
        """The error of the last checkpoint; None: it succeeded, or a reader was active."""
        self._commands = self._commits = self._refused = 0
        self._worst_commit_s = 0.0
        self.publish: Callable[[BusEvent], None] = lambda _: None
        """Is called after the commit with each message that a command published."""
        self.edition = 0
        """Rises with each transaction that changed something, before its callers get their results. Data read under an earlier number is
        outdated."""
        self.trouble: StoreError | None = None
        """The last error of the database, not of a command; None: there was none, or a later transaction with changes was committed."""
        self.broken = False
        """Whether reading or writing the file failed, or a page was invalid. Then commands are refused, and the process should end and start
        again."""
        self.damaged = False
        """Whether a page of the file was invalid."""
        self._task = asyncio.get_running_loop().create_task(self._work(), name=f"writer-{name}")

    @property
    def stats(self) -> WriterStats:
        return WriterStats(self._commands, self._commits, self._refused, self._worst_commit_s)

    async def run(self, command: Callable[[Tx], T]) -> T:
        """Run a command in a transaction; returns after the commit.

        A caller that is cancelled meanwhile cannot tell whether the command was committed.
        Raises: StoreBusy: the queue is full, the disk hangs, or another program has locked the file. StoreDown, StoreFull, StoreReadOnly,
            and any error of the command. After an error nothing is changed.
        """
        if self._closing:
            raise StoreDown(f"the database {self._name} is closed")
        if self.broken:
            raise self._as_broken()
        if self._stalled:
            raise self._as_stalled()
        if len(self._queue) >= self._queue_limit:
            self._refused += 1
            raise StoreBusy(f"{self._queue_limit} commands wait for the database {self._name} already")
        waiting = _Waiting(command, ACTING_ORG.get(), asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._wake.set()
        return cast("T", await waiting.done)

    async def shrink(self) -> None:
        """Free the memory of the page cache, after the running transaction. Does nothing while the disk stalls."""
        if not (self._closing or self.broken or self._stalled):
            await self._thread.shrink()

    async def close(self, *, checkpoint: bool = True, limit_s: float = CLOSE_LIMIT_S) -> bool:
        """Finish the queue, checkpoint the write-ahead log into the file, disconnect.

        Args:    checkpoint: False: no checkpoint. It would wait for active readers.
        Returns: False: the time limit passed, since the disk stalls. The thread still works, and the process must end without waiting for it.
        """
        self._closing = True
        self._wake.set()
        finishing = asyncio.ensure_future(self._finish(checkpoint))
        await asyncio.wait([finishing], timeout=min(limit_s, STALLED_LIMIT_S) if self._stalled else limit_s)
        if not finishing.done():
            return False
        finishing.result()
        return True

    async def _finish(self, checkpoint: bool) -> None:
        await self._task
        if checkpoint and not self.broken:
            with contextlib.suppress(sqlite3.Error):  # the next start checkpoints as well
                await self._thread.run(_checkpoint)
        await self._thread.close()

    @property
    def stall(self) -> StoreError | None:
        """The error while the disk stalls; None: it does not."""
        return self._as_stalled() if self._stalled else None

    def _as_stalled(self) -> StoreBusy:
        return StoreBusy(f"the disk of the database {self._name} hangs: it has not answered for {self._stall_s:g} s or longer")

    def _note_stall(self) -> None:
        self._stalled = True
        event(log, "database_stalled", logging.ERROR, database=self._name, waiting=len(self._queue), means="its disk does not answer")
        while self._queue:
            done = self._queue.popleft().done
            if not done.done():
                done.set_exception(self._as_stalled())

    def _as_broken(self) -> StoreDown:
        return StoreDown(f"the database {self._name} failed and was given up; the hub must start again")

    async def _work(self) -> None:
        while self._queue or not self._closing:
            if not self._queue:
                self._wake.clear()
                if not await self._woken():
                    await self._run_group([])
                continue
            group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_LIMIT))]
            group = [waiting for waiting in group if not waiting.done.done()]
            if group:
                await self._run_group(group)

    async def _woken(self) -> bool:
        """Wait for a command or for `close`. Returns False if neither came before a checkpoint is due."""
        if not self._shredding or self.broken:
            return await self._wake.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._checkpoint_at - self._clock.monotonic())):
                return await self._wake.wait()
        return False

    async def _run_group(self, group: list[_Waiting]) -> None:
        started = self._clock.monotonic()
        patience = asyncio.get_running_loop().call_later(self._stall_s, self._note_stall)
        try:
            if self.broken:
                raise self._as_broken()
            outcomes = await self._thread.run(lambda db: self._transact(db, group))
        except Exception as exc:  # any error: otherwise the callers would wait for ever
            outcomes = [_Outcome(None, exc) for _ in group]
        finally:
            patience.cancel()
        if self._stalled:
            self._stalled = False
            event(log, "database_answers_again", logging.WARNING, database=self._name, after_s=round(self._clock.monotonic() - started, 1))
        self._commands += len(group)
        self._commits += any(outcome.error is None for outcome in outcomes)
        self._worst_commit_s = max(self._worst_commit_s, self._clock.monotonic() - started)
        for waiting, outcome in zip(group, outcomes, strict=True):
            for message in outcome.published:
                self.publish(message)
            if waiting.done.done():
                continue
            if outcome.error is None:
                waiting.done.set_result(outcome.result)
            else:
                waiting.done.set_exception(outcome.error)

    def _transact(self, db: sqlite3.Connection, group: list[_Waiting]) -> list[_Outcome]:
        """Runs on the thread: run all commands in one transaction; without commands, checkpoint."""
        if not group:
            self._checkpoint_after_shredding(db)
            return []
        changes = db.total_changes
        try:
            db.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(db, waiting, alone=len(group) == 1) for waiting in group]
            if db.in_transaction:
                db.execute("COMMIT")
        except sqlite3.Error as exc:
            error = self._note(exc)
            if db.in_transaction:
                with contextlib.suppress(sqlite3.Error):  # `_note` has recorded the first error, which is the important one
                    db.execute("ROLLBACK")
            return [_Outcome(None, type(error)(error.message, **error.detail)) for _ in group]
        finally:
            if db.total_changes != changes:
                self.edition += 1
        committed = db.total_changes != changes and any(outcome.error is None for outcome in outcomes)
        if self._shredding and self._clock.monotonic() >= self._checkpoint_at:
            self._checkpoint_after_shredding(db)
        if (
            committed
            and self._checkpoint_error is None
            and not any(isinstance(outcome.error, StoreFull | StoreReadOnly) for outcome in outcomes)
        ):
            self._note_health(None)
        return outcomes

    def _checkpoint_after_shredding(self, db: sqlite3.Connection) -> None:
        """Runs on the thread: checkpoint after shredding. Callers do not see its error, since their commands are committed."""
        self._checkpoint_at = self._clock.monotonic() + CHECKPOINT_RETRY_S
        try:
            self._shredding = not _checkpoint_without_waiting(db)
            self._checkpoint_error = None
        except sqlite3.Error as exc:
            self._checkpoint_error = self._note(exc)
            self._note_health(self._checkpoint_error)  # no caller gets this error

    def _attempt(self, db: sqlite3.Connection, waiting: _Waiting, *, alone: bool) -> _Outcome:
        """Run one command. `alone`: it is the only one in this transaction and needs no savepoint, which would copy each changed page."""
        if not alone:
            db.execute("SAVEPOINT command")
        tx = Tx(db, self._clock.now(), self._thread.acting)
        self._thread.acting.org = waiting.org
        try:
            result = waiting.command(tx)
            if not alone:
                db.execute("RELEASE command")
        except Exception as exc:
            if not db.in_transaction:
                raise  # SQLite has rolled back the whole transaction with all commands
            if alone:
                db.execute("ROLLBACK")
            else:
                db.execute("ROLLBACK TO command")
                db.execute("RELEASE command")
            return _Outcome(None, self._note(exc) if isinstance(exc, sqlite3.Error) else exc)
        if tx.shredding:
            self._shredding, self._checkpoint_at = True, self._clock.monotonic()
        return _Outcome(result, None, tx.published)

    def _note(self, exc: sqlite3.Error) -> StoreError:
        error = translate(exc, self._name)
        error.__cause__ = exc
        if type(error) is not StoreError:
            self._note_health(error)
        return error

    def _note_health(self, error: StoreError | None) -> None:
        if type(error) is not type(self.trouble):
            if error is None:
                event(log, "database_recovered", database=self._name)
            else:
                event(log, "database_in_trouble", logging.ERROR, database=self._name, code=error.code, reason=error.message)
        self.trouble = error
        self.broken = self.broken or isinstance(error, StoreDown)
        self.damaged = self.damaged or (error is not None and is_damage(error))


def _checkpoint(db: sqlite3.Connection) -> bool:
    """Move the write-ahead log into the file and truncate the log.

    Returns: whether the whole log was moved; False: a reader was active.
    """
    busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return busy is not None and busy[0] == 0


def _checkpoint_without_waiting(db: sqlite3.Connection) -> bool:
    """`_checkpoint` without a wait for readers. A backup reads for minutes, and all commands would wait for it."""
    [waits_ms] = db.execute("PRAGMA busy_timeout").fetchone()
    db.execute("PRAGMA busy_timeout = 0").fetchall()
    try:
        return _checkpoint(db)
    finally:
        db.execute(f"PRAGMA busy_timeout = {waits_ms}").fetchall()
