"""Samples and lines of logs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.nodes.model import Session
from groundcontrol.nodes.node_log import LogBatch, LogLine
from groundcontrol.samples.backfill import GapRow, LatePack, LostRows
from groundcontrol.samples.chunks.rollup import StatTable
from groundcontrol.samples.model import (
    Bounds,
    Damage,
    Due,
    HotHour,
    LayoutRow,
    Moved,
    Retention,
    RetentionChange,
    StoredPack,
    StoredRow,
    TierName,
    TierSize,
)
from groundcontrol.samples.query import WindowBuilder


class Marks(NamedTuple):
    """Highest gap-free sequence number held of each stream of a boot; -1 = none."""

    live: int
    backfill: int


class MetricStore(Protocol):
    async def marks(self, session: Session) -> Marks:
        """Also raises the epoch that `append` compares: call it after `claim`, before the welcome."""
        ...

    async def save_layout(self, session: Session, layout: LayoutRow) -> None: ...
    async def append(self, batch: Sequence[StoredPack | LatePack | LostRows]) -> Mapping[NodeId, Marks | None]:
        """Idempotent by (node, boot, stream, seq); all or nothing per call. None: that node's session is fenced.

        A sequence number that leaves a hole is not stored and does not move the mark. What comes from a node's disk is stored once by
        (node, journal, number), where the numbers may have holes; what was sent before is left where that session's marks cover it.
        A pack without a body moves the mark and is not stored.
        """
        ...

    async def gaps(self, no: int, start: float, end: float) -> Sequence[GapRow]:
        """Rows that the node measured between these times and lost, oldest first."""
        ...

    def read(
        self, no: int, start: float, end: float, families: Sequence[str], miss: Callable[[Damage], None] | None = None
    ) -> AsyncGenerator[tuple[LayoutRow, Sequence[StoredRow]]]:
        """Rows of node number `no` taken in [start, end), by the hour, in pieces that are small whatever a node sent: within an hour
        in no certain order.

        Each hour is of one moment, and stays where it is as long as it is read: close the iterator. `miss` is told of what is damaged, which
        is left out then; without it that is StoreDamaged.
        """
        ...

    def figures(
        self, no: int, tier: TierName, start: float, end: float, families: Sequence[str], miss: Callable[[Damage], None] | None = None
    ) -> AsyncGenerator[tuple[str, StatTable]]:
        """What a coarser tier holds of node number `no`, by whole spans that touch [start, end) and by family, in such pieces too.

        All of a series and step is in one of them.
        """
        ...

    async def window(self, no: int, builder: WindowBuilder) -> None:
        """Give the builder all that its window may show of node number `no`, as it is at one moment; what is damaged it is told of."""
        ...

    async def latest(self, no: int) -> Mapping[str, tuple[LayoutRow, StoredRow]]:
        """The newest row of each family: what a fresh process shows before the node reports again."""
        ...

    async def unreadable(self) -> Sequence[tuple[int, str]]:
        """Which nodes (by number) have layouts, of which families, that cannot be read: samples of theirs are there and mean nothing."""
        ...

    async def hot_hours(self) -> Sequence[HotHour]:
        """Which hours of which nodes have rows that are in no chunk yet; the newest thousand hours, where there are more."""
        ...

    async def compact(self, no: int, hour: int, *, slow: bool = True) -> Moved:
        """Move rows of that node and hour into chunks of every tier; with `slow` false not those of which an hour has few.

        A pack that is damaged stays where it is and holds nothing else up: windows tell of it, and it goes with its hour.
        """
        ...

    async def dues(self) -> Sequence[Due]:
        """Spans that lie in several parts."""
        ...

    async def merge(self, due: Due, *, everything: bool = True) -> bool:
        """Make one part of them, or fewer of many small ones. Returns: whether anything was changed.

        Raises: StoreDamaged: one of them is; nothing was changed.
        """
        ...

    async def sizes(self, since: float) -> Sequence[TierSize]:
        """What the tiers take, and what those nodes give that have given something since then."""
        ...

    async def expire(self, bounds: Bounds) -> int:
        """Remove what is out of bounds, in short steps, and layouts that nothing uses. Returns: how many pieces went."""
        ...

    async def drop_node(self, no: int) -> None:
        """Remove everything of the node, in short steps; it writes nothing from the first one on."""
        ...


class JournalStore(Protocol):
    """Lines of nodes' system logs."""

    async def add_lines(self, session: Session, batch: LogBatch) -> str:
        """Store lines if they follow on what is held. Returns: the cursor up to which lines are held now; empty = none."""
        ...

    async def lines(self, no: int, limit: int, cursor: str | None = None) -> Page[LogLine]:
        """Lines of node number `no`, the newest first."""
        ...


class RetentionStore(Protocol):
    async def retention(self) -> Retention | None:
        """How long samples are kept; None: nobody has set it."""
        ...

    async def save_retention(self, scope: Scope, change: RetentionChange, otherwise: Retention) -> Retention:
        """Change what holds at that moment, or `otherwise` where nobody has set it. Returns: what holds now.

        Raises: BadRequest: the whole of it would be wrong.
        """
        ...
