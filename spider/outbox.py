"""Readings that the hub has not acknowledged yet: kept in memory, oldest dropped and counted when there are too many.

Two streams, each numbered without a gap: LIVE from the welcome on, BACKFILL for what was left from before it.
A sequence number is given when a pack is first sent, and a pack never changes afterwards, so that the hub
can tell a repeat from news. (A spool on disk takes over from `_make_room` when memory is not enough.)
"""

import logging
from collections import deque
from typing import Callable, Deque, Dict, Iterator, List, Optional, Set, Tuple, Union

from spider.clock import Clock
from spider.logs import event
from spider.wire.codec import join_rows, pack_row
from spider.wire.errors import LocalProtocolError, ProtocolError
from spider.wire.frames import MAX_FRAME_BYTES, MAX_ITEMS, STREAM_BACKFILL, STREAM_LIVE, Ack, Layout, Pack, Row, Watch, Welcome

KEEP_S = 600.0
KEEP_BYTES = 4 * 1024 * 1024
PACK_S = 10
MAX_PACK_ROWS = 60
MAX_PACK_BYTES = MAX_FRAME_BYTES // 2
LIVE_WINDOW = 64
"""Packs sent ahead of the hub's acknowledgement; a hub that cannot store is not flooded."""
BACKFILL_WINDOW = 8
EARLIEST_MS = 946_684_800_000
LATEST_MS = 4_102_444_800_000
"""From 2000 to 2100: the hub takes no row from outside, and a clock that says so measures nothing."""
MAX_TOLD = 12
"""Layouts that the hub is trusted to remember in one session; an older one is told again before it is used."""
_ROW_OVERHEAD = 64
MAX_LEASE_S = 3600

log = logging.getLogger(__name__)


class _Parcel:
    """Rows of one layout that travel together."""

    __slots__ = ("born_at", "layout", "newest_ms", "rows", "seq", "size")

    def __init__(self, layout: Layout, born_at: float) -> None:
        self.layout = layout
        self.rows: List[bytes] = []
        self.size = 0
        self.newest_ms = 0
        self.born_at = born_at
        self.seq = -1
        """Given when it is first sent in this session; -1 = not yet."""

    def add(self, row: bytes, taken_at_ms: int) -> None:
        self.rows.append(row)
        self.newest_ms = taken_at_ms
        self.size += len(row) + _ROW_OVERHEAD


def _is_sound(layout: Layout) -> bool:
    """Whether a frame can hold it."""
    return 0 < len(layout.series) <= MAX_ITEMS and sum(len(name.encode("utf-8")) + 5 for name in layout.series) <= MAX_FRAME_BYTES // 2


class Outbox:
    """What the sampler puts in and the link takes out. Everything happens on one event loop; nothing here waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake: Callable[[], None] = lambda: None
        self._pack_s = PACK_S
        self._leases: Dict[str, float] = {}
        self._open: Dict[str, _Parcel] = {}
        self._ready: Dict[int, Deque[_Parcel]] = {STREAM_LIVE: deque(), STREAM_BACKFILL: deque()}
        self._sent: Dict[int, Deque[_Parcel]] = {STREAM_LIVE: deque(), STREAM_BACKFILL: deque()}
        self._next: Dict[int, int] = {STREAM_LIVE: 0, STREAM_BACKFILL: 0}
        self._told: Deque[bytes] = deque(maxlen=MAX_TOLD)
        self._refused: Set[str] = set()
        self._sound: Dict[str, bytes] = {}
        self._size = 0
        self.dropped_rows = 0
        """Rows that were lost because the hub was away for too long, or that no hub would take."""
        self._dropped_told = 0

    def on_ready(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there may be something to send."""
        self._wake = wake

    # -- the sampler's side ------------------------------------------------------------------------

    def add(self, layout: Layout, row: Row) -> None:
        """Take one row. What the hub would end the session for is dropped and counted here."""
        packed = self._pack(layout, row)
        if packed is None:
            self.dropped_rows += 1
            return
        now = self._clock.monotonic()
        parcel = self._open.get(layout.family)
        if parcel is not None and (
            parcel.layout.layout != layout.layout
            or parcel.size + len(packed) > MAX_PACK_BYTES
            or row.taken_at_ms < parcel.newest_ms  # the clock was set back, and a pack goes forward only
        ):
            self._close(layout.family)
            parcel = None
        if parcel is None:
            parcel = self._open[layout.family] = _Parcel(layout, now)
        before = parcel.size
        parcel.add(packed, row.taken_at_ms)
        self._size += parcel.size - before
        full = len(parcel.rows) * layout.rhythm_s >= self._pack_s or len(parcel.rows) >= MAX_PACK_ROWS
        if full or self.watched(layout.family):
            self._close(layout.family)
            self._wake()
        self._make_room(now)

    def _pack(self, layout: Layout, row: Row) -> Optional[bytes]:
        if self._sound.get(layout.family) != layout.layout and _is_sound(layout):
            self._sound[layout.family] = layout.layout
        fits = (
            self._sound.get(layout.family) == layout.layout
            and len(row.values) == len(layout.series)
            and EARLIEST_MS <= row.taken_at_ms <= LATEST_MS
        )
        try:
            packed = pack_row(row) if fits else b""
        except LocalProtocolError:
            packed = b""
        if packed and len(packed) <= MAX_PACK_BYTES:
            self._refused.discard(layout.family)
            return packed
        if layout.family not in self._refused:  # once, not each second
            self._refused.add(layout.family)
            event(
                log,
                "row_refused",
                logging.ERROR,
                family=layout.family,
                series=len(layout.series),
                values=len(row.values),
                at=row.taken_at_ms,
            )
        return None

    def flush(self) -> None:
        """Let go of packs that are not full yet: nothing more may come."""
        for family in list(self._open):
            self._close(family)
        self._wake()

    def watched(self, family: str) -> bool:
        """Whether somebody looks at this family now."""
        return self._leases.get(family, 0.0) > self._clock.monotonic()

    def _close(self, family: str) -> None:
        self._ready[STREAM_LIVE].append(self._open.pop(family))

    def _make_room(self, now: float) -> None:
        while self._size > KEEP_BYTES or self._oldest_age(now) > KEEP_S:
            queue = self._oldest_queue()
            if queue is None:
                return
            parcel = queue.popleft()
            self._size -= parcel.size
            self.dropped_rows += len(parcel.rows)

    def _queues(self) -> Iterator[Deque[_Parcel]]:
        yield from self._ready.values()
        yield from self._sent.values()

    def _oldest_queue(self) -> Optional[Deque[_Parcel]]:
        return min((queue for queue in self._queues() if queue), key=lambda queue: queue[0].born_at, default=None)

    def _oldest_age(self, now: float) -> float:
        return now - min((queue[0].born_at for queue in self._queues() if queue), default=now)

    # -- the link's side ---------------------------------------------------------------------------

    def resume(self, welcome: Welcome) -> None:
        """A session has begun: forget what the hub holds, and number what is left anew."""
        marks = {STREAM_LIVE: welcome.live_seq, STREAM_BACKFILL: welcome.backfill_seq}
        left: List[_Parcel] = []
        for stream, mark in marks.items():
            self._forget(stream, mark)
            left += self._sent[stream]
            left += self._ready[stream]
            self._sent[stream].clear()
            self._ready[stream].clear()
            self._next[stream] = mark + 1
        left.sort(key=lambda parcel: parcel.born_at)
        fresh = self._clock.monotonic() - PACK_S
        for parcel in left:
            late = parcel.seq >= 0 or parcel.born_at < fresh  # what was just measured and never sent is live
            parcel.seq = -1
            self._ready[STREAM_BACKFILL if late else STREAM_LIVE].append(parcel)
        self._pack_s = max(1, min(welcome.pack_s, MAX_PACK_ROWS))
        self._leases.clear()
        self._told.clear()
        if self.dropped_rows > self._dropped_told:
            event(log, "rows_dropped", logging.WARNING, rows=self.dropped_rows - self._dropped_told, ever=self.dropped_rows)
            self._dropped_told = self.dropped_rows

    def take(self) -> "Union[Layout, Pack, None]":
        """What to send next: live before backfill, a layout before the first pack that needs it; None: nothing now."""
        for stream, window in ((STREAM_LIVE, LIVE_WINDOW), (STREAM_BACKFILL, BACKFILL_WINDOW)):
            ready, sent = self._ready[stream], self._sent[stream]
            if not ready or len(sent) >= window:
                continue
            parcel = ready[0]
            if parcel.layout.layout not in self._told:
                self._told.append(parcel.layout.layout)
                return parcel.layout
            ready.popleft()
            sent.append(parcel)
            parcel.seq = self._next[stream]
            self._next[stream] += 1
            coding, body = join_rows(parcel.rows)
            return Pack(stream, parcel.seq, parcel.layout.layout, coding, body)
        return None

    def acked(self, ack: Ack) -> None:
        """The hub has stored everything of a stream up to a number.

        Raises: ProtocolError: a number that was never sent.
        """
        if ack.stream not in self._sent or ack.seq >= self._next[ack.stream]:
            raise ProtocolError("an acknowledgement of what was never sent")
        self._forget(ack.stream, ack.seq)
        self._wake()

    def watch(self, watch: Watch) -> None:
        """Somebody looks at these families from now on, or no longer."""
        until = self._clock.monotonic() + max(0, min(watch.lease_s, MAX_LEASE_S))
        for family in watch.families[:64]:
            self._leases[family] = until
            if watch.lease_s > 0 and family in self._open:
                self._close(family)
        now = self._clock.monotonic()
        self._leases = {family: end for family, end in self._leases.items() if end > now}
        self._wake()

    def settled(self) -> bool:
        """Whether every pack that was let go is acknowledged."""
        return not any(self._queues())

    def pending(self) -> Tuple[int, int]:
        """How many rows wait for their acknowledgement, and their bytes in memory."""
        parcels = [parcel for queue in self._queues() for parcel in queue] + list(self._open.values())
        return sum(len(parcel.rows) for parcel in parcels), self._size

    def _forget(self, stream: int, mark: int) -> None:
        sent = self._sent[stream]
        while sent and sent[0].seq <= mark:
            self._size -= sent.popleft().size
