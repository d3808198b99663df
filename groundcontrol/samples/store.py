"""The store interfaces of samples and of the retention."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.nodes.model import Node, Session
from groundcontrol.samples.backfill import GapRow, LatePack, LostRows
from groundcontrol.samples.chunks.rollup import StatTable
from groundcontrol.samples.model import (
    Bounds,
    Damage,
    Due,
    HotHour,
    Moved,
    Retention,
    RetentionChange,
    SeriesSchema,
    StoredPack,
    StoredRow,
    TierName,
    TierSize,
)
from groundcontrol.samples.query import WindowBuilder


class Marks(NamedTuple):
    """The highest sequence number without a gap that is stored for each stream of a boot; -1 = none."""

    live: int
    backfill: int


class MetricStore(Protocol):
    async def begin_session(self, session: Session) -> Marks:
        """Fence earlier sessions of the node: `append` refuses them from now on. Call it after `claim`, and before the welcome message.

        Returns: the marks of the boot.
        """
        ...

    async def save_schema(self, session: Session, schema: SeriesSchema) -> None: ...
    async def append(self, items: Sequence[StoredPack | LatePack | LostRows]) -> Mapping[NodeId, Marks | None]:
        """Store packs; idempotent by (node, boot, stream, seq); all or nothing per call. None: that node's session is fenced.

        A pack whose sequence number leaves a gap is not stored and does not move the mark. A late pack from a node's disk is stored once by
        (node, journal, number); these numbers may have gaps. A pack that was sent before is not stored again if the marks of that session
        cover it. A pack without a body moves the mark and is not stored.
        """
        ...

    async def gaps(self, no: int, start: float, end: float) -> Sequence[GapRow]:
        """Rows that the node measured between these times and lost, oldest first."""
        ...

    def read(
        self, no: int, start: float, end: float, families: Sequence[str], miss: Callable[[Damage], None] | None = None
    ) -> AsyncGenerator[tuple[SeriesSchema, Sequence[StoredRow]]]:
        """Rows of node number `no` taken in [start, end), hour by hour, in small pieces. Within an hour they are not ordered.

        Each hour is read at one moment, and stays stored while it is read: close the iterator. `miss` receives each damage, whose rows are
        left out; without `miss` damage raises StoreDamaged.
        """
        ...

    def read_rollups(
        self, no: int, tier: TierName, start: float, end: float, families: Sequence[str], miss: Callable[[Damage], None] | None = None
    ) -> AsyncGenerator[tuple[str, StatTable]]:
        """The aggregates of node number `no` in a coarser tier: all spans that touch [start, end), by family, in small pieces.

        One piece holds all aggregates of a series and step. `miss`: as for `read`.
        """
        ...

    async def window(self, no: int, builder: WindowBuilder) -> None:
        """Add all samples of node number `no` in the window to the builder, read at one moment, and each damage."""
        ...

    async def latest(self, no: int) -> Mapping[str, tuple[SeriesSchema, StoredRow]]:
        """The newest row of each family. A new process shows them until the node reports again."""
        ...

    async def unreadable(self) -> Sequence[tuple[int, str]]:
        """Node number and family of each schema that cannot be read. The stored samples of such a family cannot be read either."""
        ...

    async def hot_hours(self) -> Sequence[HotHour]:
        """The hours of nodes with rows that are in no chunk yet; at most the newest thousand hours."""
        ...

    async def compact(self, no: int, hour: int, *, include_slow: bool = True) -> Moved:
        """Move rows of that node and hour into chunks of every tier; `include_slow` false leaves out families with few rows an hour.

        A damaged pack stays where it is and does not stop the others. Windows show it as damage, and it expires with its hour.
        """
        ...

    async def pending_merges(self) -> Sequence[Due]:
        """The spans that consist of several parts."""
        ...

    async def merge(self, due: Due, *, everything: bool = True) -> bool:
        """Merge the parts of a span into one, or many small parts into fewer. Returns: whether anything was changed.

        Raises: StoreDamaged: a part is damaged; nothing was changed.
        """
        ...

    async def sizes(self, since: float) -> Sequence[TierSize]:
        """The size of each tier, and the daily values of the nodes that have added any since then (Unix seconds)."""
        ...

    async def expire(self, bounds: Bounds) -> int:
        """Delete rows out of bounds, in short steps, and schemas that no row uses. Returns: the number of deleted pieces."""
        ...

    async def drop_node(self, no: int) -> None:
        """Delete everything of the node, in short steps; from the first step on the node can write nothing."""
        ...


class RetentionStore(Protocol):
    async def retention(self) -> Retention | None:
        """How long samples are kept; None: nobody has set it."""
        ...

    async def save_retention(self, scope: Scope, change: RetentionChange, otherwise: Retention) -> Retention:
        """Change the retention in force, or `otherwise` if nobody has set one. Returns: the retention in force now.

        Raises: BadRequest: the resulting retention is not valid.
        """
        ...


class DamageReports(Protocol):
    """Reports stored samples that cannot be read."""

    async def report(self, node: Node, found: Sequence[Damage]) -> None:
        """Report the damage that is not reported since the hub started. Never raises a store error."""
        ...
