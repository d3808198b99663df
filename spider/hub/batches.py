"""Sample batches: rows of one layout that travel together, from the sampler to the hub or to the spool.

A layout names the series of a family; a row has one value for each of them, all measured at one moment.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence

from spider.wire.codec import join_rows
from spider.wire.frames import MAX_FRAME_BYTES
from spider.wire.sample_messages import Layout

MAX_PACK_ROWS = 60
MAX_PACK_BYTES = MAX_FRAME_BYTES // 2
_ROW_OVERHEAD = 64


class SentBatch(NamedTuple):
    """Session and sequence number under which a batch was sent without an answer. Only the hub knows whether it stored the batch."""

    epoch: int
    stream: int
    seq: int


class Lost(NamedTuple):
    """Rows of one family that are dropped for ever, and the times of the first and the last of them."""

    family: str
    first_ms: int
    last_ms: int
    rows: int
    """0 = the number is unknown."""
    sent: Optional[SentBatch] = None
    """Set if the rows were sent without an answer. If the hub stored them, they are not lost."""


class Losses:
    """Losses, merged as far as the hub does not need them separately."""

    def __init__(self) -> None:
        self._families: Dict[str, Lost] = {}
        self._unknown: Dict[str, Lost] = {}
        self._doubtful: List[Lost] = []

    def add(self, lost: Lost) -> None:
        """Add a loss. It is merged with the others of its family, losses of unknown size separately. A batch that the hub may hold is not
        merged."""
        families = self._families if lost.rows else self._unknown
        before = families.get(lost.family)
        if lost.sent is not None:
            self._doubtful.append(lost)
        elif before is None:
            families[lost.family] = lost
        else:
            first, last = min(before.first_ms, lost.first_ms), max(before.last_ms, lost.last_ms)
            families[lost.family] = Lost(lost.family, first, last, before.rows + lost.rows)

    def all(self) -> List[Lost]:
        """The merged losses."""
        return [*self._doubtful, *self._families.values(), *self._unknown.values()]


class Coverage:
    """The measured time that batches cover, taken from the family with the most rows."""

    def __init__(self) -> None:
        self._rows: Dict[str, int] = {}
        self._most = 0
        self.seconds = 0

    def add(self, layout: Layout, rows: int) -> None:
        """Count a batch."""
        count = self._rows[layout.family] = self._rows.get(layout.family, 0) + rows
        if count > self._most:
            self._most, self.seconds = count, count * layout.rhythm_s


class SampleBatch:
    """Rows of one layout, oldest first."""

    def __init__(self, layout: Layout, born_at: float) -> None:
        self.layout = layout
        self.rows: List[bytes] = []
        self.size = 0
        self.first_ms = 0
        self.newest_ms = 0
        self.born_at = born_at
        """When the first row of the batch was added, in monotonic seconds."""
        self.seq = -1
        """Sequence number, set when the batch is first sent in this session; -1 = not sent."""
        self.sent: Optional[SentBatch] = None
        """Set if the session ended before the hub's answer arrived."""

    def add(self, row: bytes, taken_at_ms: int) -> None:
        """Append an encoded row. The caller checks the limits and that times ascend."""
        if not self.rows:
            self.first_ms = taken_at_ms
        self.rows.append(row)
        self.newest_ms = taken_at_ms
        self.size += len(row) + _ROW_OVERHEAD

    def loss(self) -> Lost:
        """The loss that dropping this batch causes."""
        return Lost(self.layout.family, self.first_ms, self.newest_ms, len(self.rows), self.sent)


class SealedBatch(NamedTuple):
    """A batch as it is written to disk; immutable."""

    layout: Layout
    sent: Optional[SentBatch]
    first_ms: int
    last_ms: int
    rows: int
    coding: int
    body: bytes


def seal_batches(batches: Sequence[SampleBatch]) -> List[SealedBatch]:
    """Seal these batches, and merge adjacent ones of one layout, because short batches compress badly.

    A batch that was sent before is not merged, because the hub may hold it.
    """
    closed: List[SealedBatch] = []
    open_: Dict[str, SampleBatch] = {}

    def release(family: str) -> None:
        batch = open_.pop(family, None)
        if batch is not None:
            coding, body = join_rows(batch.rows)
            closed.append(SealedBatch(batch.layout, batch.sent, batch.first_ms, batch.newest_ms, len(batch.rows), coding, body))

    for batch in batches:
        family = batch.layout.family
        before = open_.get(family)
        joined = (
            before is not None
            and before.sent is None
            and batch.sent is None
            and before.layout.layout == batch.layout.layout
            and len(before.rows) + len(batch.rows) <= MAX_PACK_ROWS
            and before.size + batch.size <= MAX_PACK_BYTES
            and before.newest_ms <= batch.first_ms
        )
        if before is None or not joined:
            release(family)
            before = open_[family] = SampleBatch(batch.layout, batch.born_at)
            before.sent, before.first_ms = batch.sent, batch.first_ms
        before.rows += batch.rows  # a copy: a batch that is not written in the end stays as it was
        before.newest_ms = batch.newest_ms
        before.size += batch.size
    for family in list(open_):
        release(family)
    return closed
