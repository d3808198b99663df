"""The spool: stores samples on disk while the hub is away, and sends them when the hub is back.

The outbox (`hub/outbox.py`) is the buffer in memory. It hands over the batches that have waited a minute, and calls `take` for the next
message to send. Files are read and written in a thread, one operation at a time. Without a folder, all samples stay in memory; the hub still
receives the losses.
"""

import asyncio
import logging
import os
from collections import deque
from functools import partial
from typing import Callable, Deque, Dict, List, NamedTuple, Optional, Protocol, Sequence, Tuple, Union

from spider.clock import Clock
from spider.hub.batches import Coverage, Losses, Lost, SampleBatch, SealedBatch, seal_batches
from spider.logs import event
from spider.spool.files import Segment, SpoolFolder, loss_of, losses_of
from spider.spool.records import Loss, Pending
from spider.threads import run_in_thread
from spider.timeouts import wait_for
from spider.wire.errors import ProtocolError
from spider.wire.sample_messages import Gap, Late, Layout

KEEP_S = 72 * 3600
KEEP_BYTES = 64 * 1024 * 1024
STEP_S = 15.0
"""Interval of checking for batches that have waited too long."""
WINDOW = 8
"""Most records that are sent and not yet acknowledged."""
RATE_BYTES_S = 128 * 1024
"""Most bytes a second that are sent from disk. 72 h of a typical server take three minutes, and a slow line has room for other data."""
LOG_REPEAT_S = 3600.0
"""Shortest time between two log events about a disk that keeps failing."""
RETRY_S = 60.0
"""First delay before an unreadable file is retried. The delay doubles each time."""
RETRY_MAX_S = 3600.0

log = logging.getLogger(__name__)


class Source(Protocol):
    """The interface of `outbox.Outbox` that the spool uses."""

    def take_overdue(self, *, everything: bool = False) -> List[SampleBatch]:
        """Hand over the batches that have waited too long, or all. The spool owns them until it calls `moved` or `put_back`."""
        ...

    def moved(self) -> None:
        """The spool calls this when the batches are safe on disk."""
        ...

    def put_back(self) -> None:
        """The spool calls this when the batches could not be written."""
        ...


class _Flight(NamedTuple):
    """A record that was sent and is not acknowledged."""

    order: int
    """Position of the record among those that were sent in this session, from 0. The hub acknowledges this number."""
    number: int
    """Number of the record in its journal. A journal is the sequence of all records that one process writes."""
    segment: Optional[Segment]
    """The file of the record. None: the record is a loss of rows in memory, and is in no file."""


class Spool:
    """The disk buffer between outbox and hub. Its state is used on the event loop only; `run` it as one task."""

    def __init__(self, folder: Optional[SpoolFolder], clock: Clock, keep_s: float = KEEP_S, keep_bytes: int = KEEP_BYTES) -> None:
        self._folder = folder
        self._clock = clock
        self._keep_s = keep_s
        self._keep_bytes = keep_bytes
        self._source: Optional[Source] = None
        self._wake: Callable[[], None] = lambda: None
        self._due = asyncio.Event()
        self._opened = folder is None
        self._connected = False
        self._session = 0
        self._segments: Deque[Segment] = deque()
        self._read = 0
        """How many of `_segments`, from the first, were read in this session or could not be read."""
        self._page: Deque[Tuple[Optional[Segment], Pending]] = deque()
        """Records that were read and not sent yet. A record without a segment is a loss of rows in memory."""
        self._unacked: Dict[str, int] = {}
        """By name of the segment: how many of its records are not acknowledged."""
        self._acked_to: Dict[str, int] = {}
        """By name of the segment: the number of its last acknowledged record."""
        self._to_delete: List[str] = []
        self._in_flight: Deque[_Flight] = deque()
        self._order = 0
        """Number of records that were sent in this session."""
        self._number = 0
        """Number of the next record that this process writes."""
        self._lost = Losses()
        """Losses of rows in memory that have no number yet."""
        self._gaps: Deque[Pending] = deque()
        """Losses of rows in memory with numbers of the journal `_own`. They stay here until the hub has acknowledged them."""
        self._own = os.urandom(16)
        """Id of the journal to which the losses of rows in memory belong."""
        self._own_number = 0
        self._bytes = self._seconds = 0
        self._busy: Optional[asyncio.Future[None]] = None
        self._tokens = float(RATE_BYTES_S)
        self._refilled_at = clock.monotonic()
        self._failing = ""
        self._logged_at = -LOG_REPEAT_S
        self._retry_s = RETRY_S
        self._retry_at = 0.0
        self.dropped_rows = 0
        """Rows that were dropped from disk because there were too many, or lost by disk damage. If the segment that records a loss is
        dropped too, the rows of this loss count again."""

    def serve(self, source: Source, wake: Callable[[], None]) -> None:
        """Connect the outbox: overdue batches come from `source`, and `wake` is called when there may be something to send."""
        self._source, self._wake = source, wake

    # -- the outbox's side -------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether there is a folder, and no access to it has failed since it was last opened or written."""
        return self._folder is not None and not self._failing

    def lost(self, lost: Lost) -> None:
        """Note rows that the outbox had to drop, so that the hub receives the loss."""
        self._lost.add(lost)

    def resume(self) -> None:
        """A session has begun. All unacknowledged records are sent again; their numbers tell the hub which records it already holds."""
        self._rewind()
        self._connected = True
        self._due.set()

    def suspend(self) -> None:
        """The session has ended."""
        self._rewind()
        self._connected = False

    def _rewind(self) -> None:
        self._session += 1
        self._page.clear()
        self._unacked.clear()
        self._in_flight.clear()
        self._order = self._read = 0

    def tick(self) -> None:
        """Called every second: the rate limit may allow more."""
        if self._page and self._connected:
            self._wake()

    def take(self, announced: "Deque[bytes]") -> "Union[Layout, Late, Gap, None]":
        """The next message to send; None: nothing now. A layout is returned before the first batch that needs it.

        Args: announced: ids of the layouts that the hub has received in this session. The id of a returned layout is added.
        """
        if not self._prepare():
            return None
        segment, item = self._page[0]
        what = item.what
        if isinstance(what, SealedBatch) and what.layout.layout not in announced:
            announced.append(what.layout.layout)
            return what.layout
        self._page.popleft()
        self._tokens -= item.size
        order = self._order
        self._order += 1
        self._in_flight.append(_Flight(order, item.number, segment))
        journal = segment.journal if segment is not None else self._own
        sent = what.sent or (0, 0, 0)
        if isinstance(what, Lost):
            return Gap(order, journal, item.number, *sent, what.family, what.first_ms, what.last_ms, what.rows)
        return Late(order, journal, item.number, *sent, what.layout.layout, what.coding, what.body)

    def _prepare(self) -> bool:
        """If the page is empty, have it filled. Returns: whether the first record of the page may be sent now."""
        if not self._connected or len(self._in_flight) >= WINDOW:
            return False
        if not self._page and self._read < len(self._segments):
            self._due.set()
        elif not self._page:
            self._number_losses()
        now = self._clock.monotonic()
        self._tokens = min(float(RATE_BYTES_S), self._tokens + (now - self._refilled_at) * RATE_BYTES_S)
        self._refilled_at = now
        return bool(self._page) and self._tokens > 0

    def _number_losses(self) -> None:
        """Number the losses of rows in memory. They are sent once all records from disk are acknowledged."""
        if not self._gaps:
            for lost in self._lost.all():
                self._gaps.append(Pending(self._own_number, lost, 64))
                self._own_number += 1
            self._lost = Losses()
        if not self._in_flight:
            self._page.extend((None, gap) for gap in self._gaps)

    def acked(self, order: int) -> None:
        """The hub holds the records that this session sent, up to this position (from 0).

        Raises: ProtocolError: no record was sent with this position.
        """
        if order >= self._order:
            raise ProtocolError("an acknowledgement of a number that was never sent")
        while self._in_flight and self._in_flight[0].order <= order:
            flight = self._in_flight.popleft()
            segment = flight.segment
            if segment is None:
                self._gaps.popleft()
                continue
            self._acked_to[segment.name] = flight.number
            self._unacked[segment.name] -= 1
            if not self._unacked[segment.name]:
                self._retire(segment)
        self._wake()

    def _retire(self, segment: Segment) -> None:
        """Nothing in this segment is needed any more: the next step deletes its file."""
        self._segments.remove(segment)
        self._read -= 1
        self._unacked.pop(segment.name, None)
        self._acked_to.pop(segment.name, None)
        self._to_delete.append(segment.name)
        self._due.set()

    # -- the disk's side -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Write, read and delete as needed, until cancelled."""
        while True:
            try:
                await wait_for(STEP_S, self._due.wait())
            except asyncio.TimeoutError:
                self._due.set()
            self._busy = asyncio.ensure_future(self.step())
            await asyncio.shield(self._busy)  # a write that has begun is awaited even when the task is cancelled

    async def step(self) -> None:
        """Do all work that is due. A failing disk is logged."""
        self._due.clear()
        if not self._opened:
            await self._open()
        if self._folder is None or self._source is None or not self._opened:
            return
        try:
            await self._write(self._source)
            if self._to_delete:
                done, self._to_delete = self._to_delete, []
                await run_in_thread(partial(self._folder.remove, done), "spool")
            await self._retry_unreadable(self._folder)
            await self._load()
        except OSError as error:
            self._fail(error)

    async def _open(self) -> None:
        """Open the folder. On failure the next step retries."""
        folder = self._folder
        assert folder is not None
        try:
            found = await run_in_thread(folder.open, "spool")
        except OSError as error:
            if not self._failing:
                event(log, "spool_unusable", logging.WARNING, folder=folder.path, why=str(error), kept="in memory only")
            self._failing = str(error)
            return
        self._opened = True
        self._recovered()
        self._segments.extend(found)
        if found:
            seconds = sum(segment.covered_s for segment in found)
            event(log, "spool_found", segments=len(found), bytes=sum(segment.size for segment in found), seconds=seconds)
        if folder.cut:
            event(log, "spool_cut", logging.WARNING, segments=folder.cut)
        for name, why in folder.unreadable:
            event(log, "spool_unreadable", logging.ERROR, segment=name, why=why, kept="where it is, and tried again")
        self._retry_at = self._clock.monotonic() + self._retry_s
        for lost in folder.ruined:
            self._lost.add(lost)
        self._log_damage(folder)

    async def _retry_unreadable(self, folder: SpoolFolder) -> None:
        """Retry unreadable files when it is time. A file that is readable now is sent before all later ones that were not read yet."""
        now = self._clock.monotonic()
        if not folder.unreadable or now < self._retry_at:
            return
        self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
        self._retry_at = now + self._retry_s
        for segment in await run_in_thread(folder.retry_unreadable, "spool"):
            event(log, "spool_readable", logging.WARNING, segment=segment.name)
            later = (index for index, other in enumerate(self._segments) if index >= self._read and other.name > segment.name)
            self._segments.insert(next(later, len(self._segments)), segment)
            self._due.set()
        self._log_damage(folder)

    def _recovered(self) -> None:
        if self._failing:
            event(log, "spool_recovered", logging.WARNING)
            self._failing = ""

    def _log_damage(self, folder: SpoolFolder) -> None:
        """Log the damage that was found since the last call. The hub receives losses in place of the damaged records."""
        found, folder.damaged = folder.damaged, []
        for damage in found:
            records = damage.records if damage.records >= 0 else "unknown"
            rows = damage.rows if damage.exact else f"{damage.rows} and an unknown number"
            event(log, "spool_damaged", logging.ERROR, segment=damage.name, records=records, rows=rows)
            self.dropped_rows += damage.rows

    async def _write(self, source: Source, *, everything: bool = False) -> None:
        """Write the batches that the outbox hands over, and the losses of rows in memory. If that fails, the outbox gets its batches back."""
        batches = source.take_overdue(everything=everything)
        if not batches and not (everything and self._lost.all()):
            return
        losses, self._lost = self._lost.all(), Losses()
        folder, number = self._folder, self._number
        assert folder is not None
        self._bytes = sum(segment.size for segment in self._segments)
        self._seconds = sum(segment.covered_s for segment in self._segments)
        at_rest = [segment for segment in self._segments if segment is not folder.writing and not segment.out]
        try:
            count, begun, gone = await run_in_thread(partial(self._store, folder, number, batches, losses, at_rest), "spool")
        except Exception as error:  # after any error the batches must have an owner again
            for lost in losses:
                self._lost.add(lost)
            source.put_back()
            if not isinstance(error, OSError):
                raise
            self._fail(error)
            return
        source.moved()
        self._number += count
        self._segments.extend(begun)
        for segment in gone:
            self._segments.remove(segment)
            self._to_delete.append(segment.name)
        self._recovered()
        self._log_damage(folder)
        self._due.set()

    def _store(
        self, folder: SpoolFolder, number: int, batches: Sequence[SampleBatch], losses: Sequence[Lost], at_rest: Sequence[Segment]
    ) -> "Tuple[int, List[Segment], List[Segment]]":
        """In the thread: write the batches and losses. Old segments that must make room are replaced by their losses.

        Returns: how many numbers were used, the new segments, and the replaced ones, which the caller deletes.
        """
        packs = seal_batches(batches)
        found = [Loss("", losses)] if losses else []
        gone = self._to_drop(packs, at_rest)
        for segment in gone[:]:
            try:
                found.append(Loss(segment.name, losses_of(folder.read(segment))))
            except OSError as error:  # noqa: PERF203 - this segment stays, and the others make room
                gone.remove(segment)
                event(log, "spool_failed", logging.WARNING, why=f"{segment.name}: {error}", kept="in memory")
        begun = folder.append(number, found, packs)
        self.dropped_rows += sum(lost.rows for loss in found if loss.instead_of for lost in loss.lost)
        return sum(len(loss.lost) for loss in found) + len(packs), begun, gone

    def _to_drop(self, packs: Sequence[SealedBatch], at_rest: Sequence[Segment]) -> List[Segment]:
        """The oldest segments that must be dropped to make room for these batches."""
        size = self._bytes + sum(len(closed.body) + 128 for closed in packs)
        covered = Coverage()
        for closed in packs:
            covered.add(closed.layout, closed.rows)
        seconds = self._seconds + covered.seconds
        going: List[Segment] = []
        for segment in at_rest:
            if size <= self._keep_bytes and seconds - segment.covered_s < self._keep_s:
                break  # without this segment, less than the promised time would be left
            going.append(segment)
            size -= segment.size
            seconds -= segment.covered_s
        return going

    async def _load(self) -> None:
        """Read the next segment once all earlier records were sent."""
        folder = self._folder
        while folder is not None and self._connected and not self._page and self._read < len(self._segments):
            segment, session = self._segments[self._read], self._session
            if segment is folder.writing:
                folder.seal()
            try:
                items = await run_in_thread(partial(folder.take_out, segment), "spool")
            except OSError as error:  # the file stays where it is, and is retried in the next session
                self._read += session == self._session
                self._fail(error)
                continue
            if session != self._session:
                return
            self._log_damage(folder)
            self._read += 1
            page = [item for item in items if item.number > self._acked_to.get(segment.name, -1)]
            if page:
                self._unacked[segment.name] = len(page)
                self._page.extend((segment, item) for item in page)
                self._wake()
            else:
                self._retire(segment)

    def _fail(self, error: OSError) -> None:
        why = str(error)
        now = self._clock.monotonic()
        if not self._failing or now - self._logged_at >= LOG_REPEAT_S:
            event(log, "spool_failed", logging.WARNING, why=why, kept="in memory")
            self._logged_at = now
        self._failing = why

    async def finish(self) -> None:
        """Write everything unacknowledged to disk and close the folder, because the program ends. A failing disk is logged."""
        if self._busy is not None:
            await asyncio.wait({self._busy})
        if not self._opened:
            await self._open()
        if self._folder is None or self._source is None or not self._opened:
            return
        await self._write(self._source, everything=True)
        if self._gaps:
            losses = [loss_of(gap) for gap in self._gaps]
            try:
                await run_in_thread(partial(self._folder.append_as, self._own, self._gaps[0].number, losses), "spool")
            except OSError as error:
                self._fail(error)
        await run_in_thread(self._folder.close, "spool")
