"""Buffers the samples that the hub has not acknowledged: one minute in memory, older ones in the spool on disk.

There are two streams, each numbered without a gap: LIVE for samples since the welcome, BACKFILL for older ones. A batch gets its sequence
number when it is first sent in a session, and gets no more rows afterwards. Batches on disk have numbers of their own (`spool/spool.py`)
and are sent last. Without a disk, the outbox drops the oldest batches when there are too many. A `Gap` (the message about lost rows) reports
the loss to the hub.
"""

import logging
import random
from collections import deque
from typing import Callable, Deque, Dict, Iterator, List, Optional, Set, Tuple, Union

from spider.clock import Clock
from spider.hub.batches import MAX_PACK_BYTES, MAX_PACK_ROWS, SampleBatch, SentBatch
from spider.logs import event
from spider.spool.spool import Spool
from spider.wire.codec import join_rows, pack_row
from spider.wire.errors import LocalProtocolError, ProtocolError
from spider.wire.frames import MAX_FRAME_BYTES, MAX_ITEMS, Welcome
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LATE, STREAM_LIVE, Ack, Gap, Late, Layout, Pack, Row, Watch

KEEP_S = 600.0
"""Longest time that samples stay in memory while the hub is away and the spool is not usable."""
KEEP_BYTES = 4 * 1024 * 1024
"""Most bytes of samples in memory. Beyond this size, unsent batches are dropped."""
SPOOL_AFTER_S = 60.0
"""Once a batch has waited this long for an absent hub, all batches go to disk together. That is one write and one fsync a minute."""
CROWDED_BYTES = KEEP_BYTES // 2
"""While the hub is connected but acknowledges nothing, memory may fill up to this limit before batches go to disk."""
PACK_S = 10
"""Seconds that a batch covers until a welcome says another duration."""
LIVE_WINDOW = 64
BACKFILL_WINDOW = 8
"""Most unacknowledged batches of each stream, so that a hub that cannot store them is not flooded."""
EARLIEST_MS = 946_684_800_000
LATEST_MS = 4_102_444_800_000
"""From 2000 to 2100. The hub refuses rows outside this range, so the outbox drops them."""
MAX_ANNOUNCED = 12
"""Most layouts that the hub remembers in one session. An older layout is sent again before a batch that needs it."""
SENT_BYTES = 1024 * 1024
"""Most unacknowledged bytes in one stream: as much as the hub reads ahead of its commits."""
MAX_LEASE_S = 3600
"""Longest time for which one message of the hub can mark a family as watched by a user."""

log = logging.getLogger(__name__)


def _fits_frame(layout: Layout) -> bool:
    """Whether the layout has series and fits a frame."""
    return 0 < len(layout.series) <= MAX_ITEMS and sum(len(name.encode("utf-8")) + 5 for name in layout.series) <= MAX_FRAME_BYTES // 2


class Outbox:
    """The buffer between sampler and link. It runs on one event loop, and no call waits."""

    def __init__(self, clock: Clock, spool: Optional[Spool] = None, dice: Optional[random.Random] = None) -> None:
        """Args: spool: stores batches that do not fit into memory; None: they are dropped, and the loss is reported."""
        self._dice = dice or random.Random()
        self._clock = clock
        self.spool = spool or Spool(None, clock)
        self._wake: Callable[[], None] = lambda: None
        self._pack_s = PACK_S
        self._leases: Dict[str, float] = {}
        self._open: Dict[str, SampleBatch] = {}
        self._sent_immediately: Set[str] = set()
        """Families whose last row was sent immediately, because a user watched them."""
        self._share: Dict[str, float] = {}
        """By family: the share (0 to 1) of a batch's usual duration after which the open batch is full."""
        self._ready: Dict[int, Deque[SampleBatch]] = {STREAM_LIVE: deque(), STREAM_BACKFILL: deque()}
        self._sent: Dict[int, Deque[SampleBatch]] = {STREAM_LIVE: deque(), STREAM_BACKFILL: deque()}
        self._next: Dict[int, int] = {STREAM_LIVE: 0, STREAM_BACKFILL: 0}
        self._sent_bytes = {STREAM_LIVE: 0, STREAM_BACKFILL: 0}
        self._moving: List[SampleBatch] = []
        """Batches that were handed to the spool and are not yet safe on disk."""
        self._confirmed: List[SampleBatch] = []
        """The batches of `_moving` that the hub holds, according to its last welcome."""
        self._connected = False
        self._epoch = 0
        self._away_since = clock.monotonic()
        self._announced: Deque[bytes] = deque(maxlen=MAX_ANNOUNCED)
        self._refused_families: Set[str] = set()
        """Families whose last row was refused."""
        self._checked: Dict[str, bytes] = {}
        """The last layout of each family that fits a frame."""
        self._size = 0
        self.dropped_rows = 0
        """Rows that were dropped because the hub was away for too long, or because no hub would accept them."""
        self._dropped_logged = 0

    def on_ready(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there may be something to send."""
        self._wake = wake
        self.spool.serve(self, wake)

    # -- the sampler's side ------------------------------------------------------------------------

    def add(self, layout: Layout, row: Row) -> None:
        """Add one row. A row that the hub would refuse is dropped and counted."""
        packed = self._pack(layout, row)
        if packed is None:
            self.dropped_rows += 1
            return
        now = self._clock.monotonic()
        batch = self._open.get(layout.family)
        if batch is not None and (
            batch.layout.layout != layout.layout
            or batch.size + len(packed) > MAX_PACK_BYTES
            or row.taken_at_ms < batch.newest_ms  # the clock was set back, and times within a batch must ascend
        ):
            self._close(layout.family)
            batch = None
        if batch is None:
            batch = self._open[layout.family] = SampleBatch(layout, now)
            # Watching may end for a whole fleet at the same moment. A random first duration spreads the nodes' later batches.
            self._share[layout.family] = self._dice.random() if layout.family in self._sent_immediately else 1.0
            self._sent_immediately.discard(layout.family)
        before = batch.size
        batch.add(packed, row.taken_at_ms)
        self._size += batch.size - before
        watched = self.watched(layout.family)
        if watched:
            self._sent_immediately.add(layout.family)
        full = len(batch.rows) * layout.rhythm_s >= self._share[layout.family] * self._pack_s or len(batch.rows) >= MAX_PACK_ROWS
        if full or watched:
            self._close(layout.family)
            self._wake()
        self._make_room(now)

    def _pack(self, layout: Layout, row: Row) -> Optional[bytes]:
        if self._checked.get(layout.family) != layout.layout and _fits_frame(layout):
            self._checked[layout.family] = layout.layout
        fits = (
            self._checked.get(layout.family) == layout.layout
            and len(row.values) == len(layout.series)
            and EARLIEST_MS <= row.taken_at_ms <= LATEST_MS
        )
        try:
            packed = pack_row(row) if fits else b""
        except LocalProtocolError:
            packed = b""
        if packed and len(packed) <= MAX_PACK_BYTES:
            self._refused_families.discard(layout.family)
            return packed
        if layout.family not in self._refused_families:  # logged once, not each second
            self._refused_families.add(layout.family)
            event(
                log,
                "row_refused",
                logging.ERROR,
                family=layout.family,
                series=len(layout.series),
                values=len(row.values),
                taken_at_ms=row.taken_at_ms,
            )
        return None

    def flush(self) -> None:
        """Close all open batches now, although they are not full: the program ends."""
        for family in list(self._open):
            self._close(family)
        self._wake()

    def watched(self, family: str) -> bool:
        """Whether a user watches this family now."""
        return self._leases.get(family, 0.0) > self._clock.monotonic()

    def _close(self, family: str) -> None:
        self._ready[STREAM_LIVE].append(self._open.pop(family))

    def _make_room(self, now: float) -> None:
        """Drop the oldest unsent batches until the rest is within the limits. Sent batches stay, because the hub may hold them."""
        aged = not self._connected and not self.spool.usable  # a usable spool takes the waiting batches soon
        while self._size > KEEP_BYTES or (aged and self._oldest_age(now) > KEEP_S):
            queue = min((queue for queue in self._ready.values() if queue), key=lambda queue: queue[0].born_at, default=None)
            if queue is None:
                return
            batch = queue.popleft()
            self._size -= batch.size
            self.dropped_rows += len(batch.rows)
            self.spool.lost(batch.loss())

    def _queues(self) -> Iterator[Deque[SampleBatch]]:
        yield from self._ready.values()
        yield from self._sent.values()

    def _oldest_age(self, now: float) -> float:
        return now - min((queue[0].born_at for queue in self._ready.values() if queue), default=now)

    # -- the spool's side --------------------------------------------------------------------------

    def take_overdue(self, *, everything: bool = False) -> List[SampleBatch]:
        """Hand all waiting batches to the spool, oldest first, if they have waited too long or fill too much memory. The outbox sends none of
        them unless the spool returns them (`put_back`).

        Args:    everything: hand over all batches in any case, also the open ones.
        Returns: the batches; empty: there is no reason to write any.
        """
        now = self._clock.monotonic()
        if everything:
            for family in list(self._open):
                self._close(family)
            if self._connected:
                self._note_sent()
        queues = list(self._queues()) if everything or not self._connected else list(self._ready.values())
        oldest = min((queue[0].born_at for queue in queues if queue), default=now)
        away = not self._connected and now - oldest >= SPOOL_AFTER_S and now - self._away_since >= SPOOL_AFTER_S
        if not (everything or away or (self._connected and self._size > CROWDED_BYTES)):
            return []
        for queue in queues:
            self._moving += queue
            queue.clear()
        self._moving.sort(key=lambda batch: batch.born_at)
        return list(self._moving)

    def moved(self) -> None:
        """The batches that were handed over are safe on disk."""
        self._size -= sum(batch.size for batch in self._moving)
        self._moving, self._confirmed = [], []

    def put_back(self) -> None:
        """The batches that were handed over could not be written, so they return to memory as far as there is room."""
        back, confirmed, self._moving, self._confirmed = self._moving, self._confirmed, [], []
        for batch in reversed(back):
            if batch in confirmed:
                self._size -= batch.size
            elif batch.sent is not None and batch.sent.epoch == self._epoch and not self._connected:
                self._sent[batch.sent.stream].append(batch)  # the next welcome says whether the hub holds it
            else:
                batch.sent, batch.seq = None, -1
                self._ready[STREAM_BACKFILL].appendleft(batch)
        for stream, sent in self._sent.items():
            self._sent[stream] = deque(sorted(sent, key=lambda batch: batch.seq))
        self._make_room(self._clock.monotonic())

    # -- the link's side ---------------------------------------------------------------------------

    def resume(self, welcome: Welcome) -> None:
        """A session has begun: drop the batches that the hub holds. All others are sent in this session, under new numbers."""
        marks = {STREAM_LIVE: welcome.live_seq, STREAM_BACKFILL: welcome.backfill_seq}
        left: List[SampleBatch] = []
        for stream, mark in marks.items():
            self._forget(stream, mark)
            left += self._sent[stream]
            left += self._ready[stream]
            self._sent[stream].clear()
            self._ready[stream].clear()
            self._sent_bytes[stream] = 0
            self._next[stream] = mark + 1
        for batch in self._moving:
            sent = batch.sent
            if sent is not None and sent.epoch == self._epoch and sent.seq <= marks[sent.stream]:
                self._confirmed.append(batch)
        left.sort(key=lambda batch: batch.born_at)
        fresh = self._clock.monotonic() - PACK_S
        for batch in left:
            late = batch.seq >= 0 or batch.born_at < fresh  # a batch that was just measured and never sent is live
            batch.seq, batch.sent = -1, None
            self._ready[STREAM_BACKFILL if late else STREAM_LIVE].append(batch)
        self._connected, self._epoch = True, welcome.epoch
        self._pack_s = max(1, min(welcome.pack_s, MAX_PACK_ROWS))
        self._leases.clear()
        self._announced.clear()
        self.spool.resume()
        if self.dropped_rows > self._dropped_logged:
            event(log, "rows_dropped", logging.WARNING, rows=self.dropped_rows - self._dropped_logged, ever=self.dropped_rows)
            self._dropped_logged = self.dropped_rows

    def suspend(self) -> None:
        """The session has ended."""
        if self._connected:
            self._note_sent()
        self._connected = False
        self._away_since = self._clock.monotonic()
        self.spool.suspend()

    def _note_sent(self) -> None:
        """Record in each unacknowledged batch how it was sent: session, stream and number."""
        for stream, sent in self._sent.items():
            for batch in sent:
                batch.sent = SentBatch(self._epoch, stream, batch.seq)

    def tick(self) -> None:
        """The link calls this every second."""
        self.spool.tick()

    def take(self) -> "Union[Layout, Pack, Late, Gap, None]":
        """The next message to send: live before backfill, both before the spool, and a layout before the first batch that needs it.

        Returns: None: nothing now.
        """
        for stream, window in ((STREAM_LIVE, LIVE_WINDOW), (STREAM_BACKFILL, BACKFILL_WINDOW)):
            ready, sent = self._ready[stream], self._sent[stream]
            if not ready or len(sent) >= window or (sent and self._sent_bytes[stream] + ready[0].size > SENT_BYTES):
                continue
            batch = ready[0]
            if batch.layout.layout not in self._announced:
                self._announced.append(batch.layout.layout)
                return batch.layout
            ready.popleft()
            sent.append(batch)
            self._sent_bytes[stream] += batch.size
            batch.seq = self._next[stream]
            self._next[stream] += 1
            coding, body = join_rows(batch.rows)
            return Pack(stream, batch.seq, batch.layout.layout, coding, body)
        return self.spool.take(self._announced)

    def acked(self, ack: Ack) -> None:
        """The hub has stored a stream up to this number.

        Raises: ProtocolError: the stream has sent no batch or record with this number.
        """
        if ack.stream == STREAM_LATE:
            self.spool.acked(ack.seq)
            return
        if ack.stream not in self._sent or ack.seq >= self._next[ack.stream]:
            raise ProtocolError("an acknowledgement of a number that was never sent")
        self._forget(ack.stream, ack.seq)
        self._wake()

    def watch(self, watch: Watch) -> None:
        """Treat the first 64 of these families as watched for `lease_s` seconds, at most `MAX_LEASE_S`; 0 ends the watch. Rows of a watched
        family are sent immediately."""
        until = self._clock.monotonic() + max(0, min(watch.lease_s, MAX_LEASE_S))
        for family in watch.families[:64]:
            self._leases[family] = until
            if watch.lease_s > 0 and family in self._open:
                self._close(family)
        now = self._clock.monotonic()
        self._leases = {family: end for family, end in self._leases.items() if end > now}
        self._wake()

    def settled(self) -> bool:
        """Whether the hub has acknowledged every closed batch in memory, without those that were handed to the spool."""
        return not any(self._queues())

    def pending(self) -> Tuple[int, int]:
        """Number of unacknowledged rows in memory, and their bytes."""
        batches = [batch for queue in self._queues() for batch in queue] + list(self._open.values()) + self._moving
        return sum(len(batch.rows) for batch in batches), self._size

    def _forget(self, stream: int, mark: int) -> None:
        sent = self._sent[stream]
        while sent and sent[0].seq <= mark:
            size = sent.popleft().size
            self._size -= size
            self._sent_bytes[stream] -= size
