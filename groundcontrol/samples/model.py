"""Samples of a node over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from groundcontrol.nodes.model import Session


class LayoutRow(NamedTuple):
    """Which series a pack's rows hold; see `spider.wire.frames.Layout`."""

    layout: bytes
    family: str
    rhythm_s: int
    series: tuple[str, ...]


class StoredPack(NamedTuple):
    """Rows of one node as they arrived, already checked: each row has as many values as its layout has series."""

    session: Session
    stream: int
    seq: int
    layout: bytes
    first_ms: int
    last_ms: int
    coding: int
    body: bytes


class StoredRow(NamedTuple):
    """One moment of one family, unpacked. `None` = measuring failed this time."""

    taken_at_ms: int
    values: Sequence[int | None]
    """Scaled integers, in the order of the layout's series."""


TierName = Literal["1s", "1m", "1h"]
_DAY_S: Final = 86_400


class Retention(NamedTuple):
    """How long each tier is kept, in seconds. A coarser one reaches at least as far back as a finer one."""

    seconds_s: int = _DAY_S
    minutes_s: int = 30 * _DAY_S
    hours_s: int = 400 * _DAY_S


class RetentionChange(NamedTuple):
    """What somebody wants otherwise; None: as it is."""

    seconds_s: int | None = None
    minutes_s: int | None = None
    hours_s: int | None = None

    def of(self, holds: Retention) -> Retention:
        return Retention(*(before if wanted is None else wanted for before, wanted in zip(holds, self, strict=True)))


LEAST_KEPT_S: Final = 2 * 3600
MOST_KEPT_S: Final = 3660 * _DAY_S


def fault_of(retention: Retention) -> str:
    """What is wrong with it; empty: nothing."""
    if not min(retention) >= LEAST_KEPT_S or not max(retention) <= MOST_KEPT_S:
        return "samples are kept for at least two hours and at most ten years"
    if sorted(retention) != list(retention):
        return "minutes are kept at least as long as seconds, hours at least as long as minutes"
    return ""


class TierSize(NamedTuple):
    """What one tier takes, by what this hub has stored of late."""

    tier: TierName
    bytes: int
    """Of the chunks that were looked at."""
    samples: int
    """Values (or figures of a step) in them."""
    per_day: float
    """How many the nodes of this hub give each day."""


class Bounds(NamedTuple):
    """What goes: each tier before its time, and everything after `future`; Unix seconds."""

    seconds: float
    minutes: float
    hours: float
    future: float


class HotHour(NamedTuple):
    """Rows of one node and hour that are in no chunk yet."""

    no: int
    hour: int
    """Since 1970."""
    first_ms: int
    """When the first of them was taken."""
    last: tuple[int, int, int]
    """Names the pack that came last: equal as long as nothing was added."""


class Moved(NamedTuple):
    """What became of the rows of one node and hour that were in no chunk yet."""

    packs: int
    """Those that were moved; 0: there was nothing, or another did it."""
    aside: int
    """Those that cannot be read: they stay where they are."""
    full: bool = False
    """A span of theirs lies in as many parts as it can: nothing was moved, and nothing can be before they are merged."""


class Due(NamedTuple):
    """A span that lies in several parts."""

    tier: int
    no: int
    span: int
    family: int
    parts: int
    since: float
    """When the newest part came."""


class Damage(NamedTuple):
    """A time of which something was stored that cannot be read any more."""

    tier: TierName
    start: float
    end: float


class Window(NamedTuple):
    """Down-sampled series: bucket i covers [times[i], times[i] + step). `None` = no sample."""

    step_s: int
    tier: TierName
    times: list[float]
    series: dict[str, Buckets]
    damaged: list[Damage]
    """What is missing because of damage, the oldest first."""


class Buckets(NamedTuple):
    avg: list[float | None]
    min: list[float | None]
    max: list[float | None]
