"""Reads tables (data that is not a number over time) at their intervals and reports changes to the hub.

A subject is one kind of table, such as `processes`. Only its newest table is kept.
"""

import asyncio
import logging
import time
from typing import Any, Awaitable, Callable, Dict, List, Optional, Sequence, Set

from spider.clock import Clock
from spider.logs import event
from spider.sampling.collectors.table_reader import Reading, TableReader
from spider.threads import run_in_thread
from spider.timeouts import run_until_first_error
from spider.wire.errors import LocalProtocolError
from spider.wire.frames import MAX_ITEMS, Message
from spider.wire.report_messages import MAX_TABLE_BYTES, Cell, Table
from spider.wire.sample_messages import Watch
from spider.wire.table_rows import thin, weight
from spider.wire.tables import BY_NAME, FAILED, QUICKEST_S, RESEND_S, TEXT, Subject

FIRST_S = 1.0
"""Delay of the first reading: the session has priority, and processes need time to use any CPU."""
READ_LIMIT_S = 10.0
"""How long the other subjects wait for a slow reader, which then continues in its thread."""
MAX_LEASE_S = 3600
COST_SHARE = 0.01
"""Largest share of a core for reading one subject. A subject that costs more is read less often."""
SOON_S = 1.0
"""A table may be sent this much before the shortest time between two (`Subject.rests_s`) is over. If it waited, it would be sent only after the
next reading."""

UNEVEN = ("services",)
"""Subjects with states that come and go, such as a oneshot that fails each minute. Even intervals could be in step with it, and never see it fail."""
UNEVEN_SHARE, GOLDEN = 0.4, 0.618
"""An interval of such a subject is up to this share shorter, by another part each time (the golden ratio spreads them evenly)."""

log = logging.getLogger(__name__)


def table_of(subject: Subject, reading: Reading, taken_at_ms: int) -> Table:
    """Make the message. Data beyond a limit is cut off: rows at the end, and long texts. A wrong number becomes null.

    Raises: ValueError: a row does not fit this subject.
    """
    width = len(subject.columns)
    cells: List[Cell] = []
    left = MAX_TABLE_BYTES - weight([column.name for column in subject.columns], [])
    for row in reading.rows[: min(subject.max_rows, MAX_ITEMS // width)]:
        if len(row) != width:
            raise ValueError(f"a row of {subject.name} has {len(row)} cells")
        fitting = [_cell(column.kind == TEXT, column.most, cell) for column, cell in zip(subject.columns, row)]
        left -= weight([], fitting)
        if left < 0:
            break
        cells += fitting
    return Table(subject.name, taken_at_ms, max(reading.total, len(cells) // width), [column.name for column in subject.columns], cells)


def _cell(text: bool, most: int, cell: Cell) -> Cell:
    if cell is None or (text and isinstance(cell, str) and len(cell) <= most):
        return cell
    if text:
        return str(cell)[:most]
    return cell if isinstance(cell, int) and -(1 << 63) <= cell < 1 << 63 else None


def same(subject: Subject, one: Table, other: Table) -> bool:
    """Whether two tables are equal, except for volatile columns."""
    if one.total != other.total or len(one.cells) != len(other.cells):
        return False
    width = len(subject.columns)
    return all(one.cells[index::width] == other.cells[index::width] for index, column in enumerate(subject.columns) if not column.volatile)


class _Source:
    """One reader and its last reading."""

    def __init__(self, reader: TableReader) -> None:
        self.reader = reader
        self.subject = BY_NAME[reader.subject]
        self.due = 0.0
        self.read_at: Optional[float] = None
        self.cost_s = 0.0
        """CPU time of the last reading."""
        self.turn = 0
        self.lease_until = 0.0
        self.interval_s = self.subject.interval_s
        self.table: Optional[Table] = None
        self.sent_at = 0.0
        self.failing = False
        self.out: Optional[asyncio.Future[Optional[Reading]]] = None

    def plan(self, now: float) -> None:
        """Set the time of the next reading."""
        interval_s = self.interval_s if self.lease_until > now else self.subject.interval_s
        share = 1 - UNEVEN_SHARE * (self.turn * GOLDEN % 1) if self.subject.name in UNEVEN else 1.0
        self.due = now if self.read_at is None else max(now, self.read_at + max(interval_s * share, self.cost_s / COST_SHARE))

    def must_wait(self, now: float) -> bool:
        """Whether a new table must wait: nobody watches, and the last one was sent only recently (`rests_s`)."""
        return self.lease_until <= now < self.sent_at + self.subject.rests_s - SOON_S


class Tables:
    """Owns the readers; `run` it as one task and cancel it to stop."""

    def __init__(
        self,
        readers: Sequence[TableReader],
        clock: Clock,
        send: Callable[[Message], Awaitable[None]],
        first_s: float = FIRST_S,
        spent: Callable[[], float] = time.thread_time,
        read_limit_s: float = READ_LIMIT_S,
    ) -> None:
        """Args: send: raises ConnectionError when there is no session, and writes the message before it first waits. spent: returns the
        CPU seconds of the calling thread."""
        self._clock = clock
        self._send = send
        self._first_s = first_s
        self._spent = spent
        self._read_limit_s = read_limit_s
        self._sources = {reader.subject: _Source(reader) for reader in readers}
        self._session = 0
        self._pending: Set[str] = set()
        self._sent: Dict[str, Table] = {}
        self._changed = asyncio.Event()
        self._wake = asyncio.Event()

    def joined(self) -> None:
        """A session has begun: all tables are sent, and nobody watches yet."""
        self._session += 1
        self._sent.clear()
        now = self._clock.monotonic()
        for source in self._sources.values():
            source.lease_until = 0.0
            source.plan(now)
        self._pending = {name for name, source in self._sources.items() if source.table is not None}
        self._changed.set()

    def watch(self, watch: Watch) -> None:
        """Treat these subjects as watched for `lease_s` seconds (0 ends the watch), and read them at the interval of the message. Unknown names
        are ignored."""
        now = self._clock.monotonic()
        for name in watch.families:
            source = self._sources.get(name)
            if source is not None:
                source.lease_until = now + max(0, min(watch.lease_s, MAX_LEASE_S))
                source.interval_s = min(max(watch.rhythm_s, QUICKEST_S), source.subject.interval_s)
                source.plan(now)
                if source.subject.rests_s and source.lease_until > now and self._sent.get(name) is not source.table:
                    self._pending.add(name)
                    self._changed.set()
        self._wake.set()

    def read_now(self, names: Sequence[str]) -> None:
        """Read these subjects now instead of at the next interval, since what they show may have changed, and send them without a rest."""
        now = self._clock.monotonic()
        for name in names:
            source = self._sources.get(name)
            if source is not None:
                source.due, source.sent_at = now, float("-inf")
        self._wake.set()

    async def run(self) -> None:
        """Read and report until cancelled."""
        try:
            await run_until_first_error(self._send_tables(), self._read())
        finally:
            out = [source.out for source in self._sources.values() if source.out is not None]
            for reading in out:
                reading.cancel()
            await asyncio.gather(*out, return_exceptions=True)

    async def _read(self) -> None:
        await self._clock.sleep(self._first_s)
        while True:
            self._wake.clear()
            for source in self._sources.values():
                if source.due <= self._clock.monotonic():
                    await self._take(source)
            wait_s = min((source.due for source in self._sources.values()), default=float("inf")) - self._clock.monotonic()
            if wait_s > 0:
                await self._sleep(wait_s)

    async def _sleep(self, seconds: float) -> None:
        """Wait for this time, or until a user starts to watch."""
        waker = asyncio.ensure_future(self._wake.wait())
        try:
            await self._first({waker}, min(seconds, MAX_LEASE_S))
        finally:
            waker.cancel()
            await asyncio.gather(waker, return_exceptions=True)

    async def _first(self, works: "Set[asyncio.Future[Any]]", limit_s: float) -> None:
        """Wait until one of these futures is done, or the time is over."""
        limit = asyncio.ensure_future(self._clock.sleep(limit_s))
        try:
            await asyncio.wait({limit, *works}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
            await asyncio.gather(limit, return_exceptions=True)

    async def _take(self, source: _Source) -> None:
        """Read one subject in a thread. If a reading does not return, no second one is started."""
        now = self._clock.monotonic()
        source.read_at = now
        source.turn += 1
        source.plan(now)
        name = source.subject.name
        if source.out is None:
            source.out = asyncio.ensure_future(run_in_thread(lambda: self._read_one(source, now), name))
        elif not source.out.done():
            return
        out = source.out
        await self._first({out}, self._read_limit_s)
        if not out.done():
            self._fail(source, f"no answer within {self._read_limit_s:.0f} s", expected=True)
            return
        source.out = None
        source.plan(now)  # planned again, because the cost is known now
        try:
            reading = out.result()
            at_ms = None if reading is None else reading.taken_at_ms
            table = table_of(source.subject, reading or Reading([], 0), self._now_ms() if at_ms is None else at_ms)
        except Exception as error:  # an error of one reader must not stop the others
            self._fail(source, f"{type(error).__name__}: {error}", expected=isinstance(error, (OSError, ValueError)))
            return
        if source.failing:
            source.failing = False
            event(log, "table_recovered", subject=name)
        if reading is not None or source.table is not None:  # without a reading, a table that existed before is gone now
            self._learn(source, table)

    def _read_one(self, source: _Source, now: float) -> Optional[Reading]:
        began = self._spent()
        try:
            return source.reader.read(now)
        finally:
            source.cost_s = self._spent() - began

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    def _fail(self, source: _Source, why: str, expected: bool) -> None:
        if not source.failing:
            event(log, "table_failed", logging.WARNING, exc_info=not expected, subject=source.subject.name, why=why)
        source.failing = True
        self._learn(source, Table(source.subject.name, self._now_ms(), FAILED, [column.name for column in source.subject.columns], []))

    def _learn(self, source: _Source, table: Table) -> None:
        name, now = source.subject.name, self._clock.monotonic()
        sent = self._sent.get(name)
        source.table = table
        differs = sent is None or not same(source.subject, sent, table) or now - source.sent_at >= RESEND_S
        if differs and (sent is None or not source.must_wait(now)):
            self._pending.add(name)
            self._changed.set()

    async def _send_tables(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            session = self._session
            try:
                while self._pending:
                    await self._send_table(self._sources[self._pending.pop()])
            except ConnectionError:  # the next session begins with all tables, and may have begun already
                if session == self._session:
                    self._pending.clear()
                else:
                    self._changed.set()

    async def _send_table(self, source: _Source) -> None:
        name, table = source.subject.name, source.table
        assert table is not None  # only a subject that was read is pending
        message = thin(table, self._sent.get(name))
        self._sent[name] = table
        source.sent_at = self._clock.monotonic()
        try:
            await self._send(message)
        except LocalProtocolError as error:
            event(log, "table_refused", logging.ERROR, subject=name, why=str(error))
