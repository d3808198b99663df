"""The model of a node's samples over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from groundcontrol.nodes.model import Session


class SeriesSchema(NamedTuple):
    """The schema of a pack (some rows of one family that a node sends together): the series in its rows, in order.

    A node sends it before its packs, as `spider.wire.sample_messages.Layout`.
    """

    schema_id: bytes
    """The node's own id of it; empty for compacted rows."""
    family: str
    interval_s: int
    series: tuple[str, ...]


class StoredPack(NamedTuple):
    """Rows of one node as they arrived, already validated: each row has as many values as its schema has series."""

    session: Session
    stream: int
    """Live or backfill (`spider.wire`). Each stream has its own sequence numbers."""
    seq: int
    schema_id: bytes
    first_ms: int
    """The time of the first row, in Unix milliseconds."""
    last_ms: int
    coding: int
    """How `body` is encoded."""
    body: bytes
    """The encoded rows; empty: they are not stored, but their number counts as stored."""


class StoredRow(NamedTuple):
    """One sample of one family, unpacked. None: measuring failed."""

    taken_at_ms: int
    values: Sequence[int | None]
    """Scaled integers, in the order of the schema's series."""


TierName = Literal["1s", "1m", "1h"]
_DAY_S: Final = 86_400


class Retention(NamedTuple):
    """How long each tier is kept, in seconds. A coarser tier is kept at least as long as a finer one."""

    seconds_s: int = _DAY_S
    minutes_s: int = 30 * _DAY_S
    hours_s: int = 400 * _DAY_S


class RetentionChange(NamedTuple):
    """The retention that an admin asks for; None: no change."""

    seconds_s: int | None = None
    minutes_s: int | None = None
    hours_s: int | None = None

    def of(self, before: Retention) -> Retention:
        """The retention after the change."""
        return Retention(*(old if new is None else new for old, new in zip(before, self, strict=True)))


MIN_RETENTION_S: Final = 2 * 3600
MAX_RETENTION_S: Final = 3660 * _DAY_S


def fault_of(retention: Retention) -> str:
    """The error in a retention as text; empty: it is valid."""
    if min(retention) < MIN_RETENTION_S or max(retention) > MAX_RETENTION_S:
        return "samples are kept for at least two hours and at most ten years"
    if sorted(retention) != list(retention):
        return "minutes are kept at least as long as seconds, hours at least as long as minutes"
    return ""


class TierSize(NamedTuple):
    """The size of one tier, measured on the chunks that this hub has stored recently."""

    tier: TierName
    bytes: int
    """The size of the chunks that were measured."""
    samples: int
    """The number of values (or aggregates of a step) in them."""
    per_day: float
    """How many values the nodes of this hub add each day."""


class Bounds(NamedTuple):
    """When rows expire: those of a tier from before its time, and those from after `future`. Unix seconds."""

    seconds: float
    minutes: float
    hours: float
    future: float


class HotHour(NamedTuple):
    """Rows of one node and hour that are in no chunk yet."""

    no: int
    hour: int
    """The hour, counted since 1970."""
    first_ms: int
    """The time of the first of these rows."""
    last: tuple[int, int, int]
    """Identifies the newest pack. While it stays the same, no newer pack was added."""


class Moved(NamedTuple):
    """The result of moving the rows of one node and hour into chunks."""

    packs: int
    """The number of packs moved; 0: there were none, or another process moved them."""
    quarantined: int
    """The number of packs that cannot be read. They stay where they are."""
    full: bool = False
    """Whether a span has the most parts allowed. Then nothing was moved, and nothing can be before its parts are merged."""


class Due(NamedTuple):
    """A span (the time that a chunk covers) with several chunks, its parts. They may be merged into one."""

    tier: int
    no: int
    span: int
    family: int
    parts: int
    since: float
    """When the newest part was added, in Unix seconds."""


class Damage(NamedTuple):
    """A time range, in Unix seconds, whose stored samples can no longer be read."""

    tier: TierName
    start: float
    end: float


class ChunkPosition(NamedTuple):
    """Where a check of all chunks is."""

    tier: int
    key: int


class CheckedPiece(NamedTuple):
    """What one piece of a check found."""

    chunks: int
    damaged: Mapping[int, Sequence[Damage]]
    """Number of a node -> its damaged ranges."""
    following: ChunkPosition | None
    """Where the check goes on; None: every chunk is checked."""


class Window(NamedTuple):
    """Down-sampled series: bucket i covers [times[i], times[i] + step_s), in Unix seconds."""

    step_s: int
    tier: TierName
    times: list[float]
    series: dict[str, Buckets]
    damaged: list[Damage]
    """The ranges that are missing because of damage, oldest first."""


class Buckets(NamedTuple):
    """The values of one series, one for each bucket. None: the bucket has no sample."""

    avg: list[float | None]
    min: list[float | None]
    max: list[float | None]
