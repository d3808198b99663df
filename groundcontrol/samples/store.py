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
    CheckedPiece,
    ChunkPosition,
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
    """For each stream of a boot: all packs up to this sequence number are stored; -1: none is.

    A *pack* is some rows of one family that a node sends together. A *boot* is one start of the node's machine, with its own numbers.
    """

    live: int
    backfill: int


class MetricStore(Protocol):
    async def begin_session(self, session: Session) -> Marks:
        """Fence earlier sessions of the node: `append` stores nothing of them from now on.

        Call it after `claim`, and before the welcome message.

        Returns: the marks of the boot.
        Raises:  Fenced: a later session has begun already. BadRequest: the id of the boot is invalid.
        """
        ...

    async def save_schema(self, session: Session, schema: SeriesSchema) -> None:
        """Store the series of the packs that follow. Raises: Fenced: a later session has begun; Conflict: its id names other series."""
        ...

    async def append(self, items: Sequence[StoredPack | LatePack | LostRows]) -> Mapping[NodeId, Marks | None]:
        """Store the items of one call, all or none.

        A pack is stored once by (node, boot, stream, seq). If its number leaves a gap, it is not stored and the mark stays. Without a body it
        moves the mark and is not stored. A late pack comes from the node's disk. It is stored once by (node, journal, number), and its numbers
        may have gaps. If it was sent before, and the marks of that session cover it, it is not stored again.

        Returns: the new marks of each node; None: its session is fenced, and nothing of it was stored.
        Raises:  BadRequest: a pack cannot be read; Conflict: its schema is not stored; StoreError.
        """
        ...

    async def gaps(self, no: int, start: float, end: float) -> Sequence[GapRow]:
        """Rows that the node measured between these times (Unix seconds) and lost, oldest first."""
        ...

    def read(
        self, no: int, start: float, end: float, families: Sequence[str], miss: Callable[[Damage], None] | None = None
    ) -> AsyncGenerator[tuple[SeriesSchema, Sequence[StoredRow]]]:
        """Rows of node number `no` taken in [start, end), in Unix seconds. They come hour by hour, in pieces; an hour is not ordered.

        While an hour is read, compaction moves none of its rows. So close the iterator if you stop early.

        Args:   miss: is called with each damaged range. Its rows are left out.
        Raises: StoreDamaged: there is damage, and `miss` is None.
        """
        ...

    def read_rollups(
        self, no: int, tier: TierName, start: float, end: float, families: Sequence[str], miss: Callable[[Damage], None] | None = None
    ) -> AsyncGenerator[tuple[str, StatTable]]:
        """The aggregates of node number `no` in a coarser tier, span by span and by family, in pieces: all spans that touch [start, end).

        A span is the time that a chunk covers, such as a day of minutes. All aggregates of a series and step come in one piece.
        `miss` and errors: as for `read`.
        """
        ...

    async def window(self, no: int, builder: WindowBuilder) -> None:
        """Add all samples of node number `no` in the window to the builder, and each damage. All are read in one transaction.

        If the builder's tier does not reach back to the start of the window, the builder gets a coarser one.
        """
        ...

    async def latest(self, no: int) -> Mapping[str, tuple[SeriesSchema, StoredRow]]:
        """Family -> its newest row, with its schema. A new process shows these rows until the node reports again."""
        ...

    async def unreadable(self) -> Sequence[tuple[int, str]]:
        """Node number and family of each schema that cannot be read. The stored samples of such a family cannot be read either."""
        ...

    async def hot_hours(self) -> Sequence[HotHour]:
        """The hours of all nodes with rows that are in no chunk yet, from the newest thousand hours that have any."""
        ...

    async def compact(self, no: int, hour: int, *, include_slow: bool = True) -> Moved:
        """Move some rows of that node and hour into chunks of every tier. The rest needs further calls.

        A damaged pack stays where it is and does not stop the others. Windows show it as damage, and it expires with its hour.

        Args: include_slow: whether families with few rows an hour are moved too.
        """
        ...

    async def check_chunks(self, start: ChunkPosition, most: int) -> CheckedPiece:
        """Check up to `most` chunks of all nodes from a position on."""
        ...

    async def pending_merges(self) -> Sequence[Due]:
        """The spans that consist of several parts."""
        ...

    async def merge(self, due: Due, *, everything: bool = True) -> bool:
        """Merge the parts of a span. Args: everything: whether long parts are merged too. Returns: whether there are fewer parts now.

        Raises: StoreDamaged: a part is damaged; nothing was changed.
        """
        ...

    async def sizes(self, since: float) -> Sequence[TierSize]:
        """The size of each tier, in the order of `TIERS`. Its daily values are those of the nodes that have sent any since then (Unix seconds)."""
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

    async def save_retention(self, by: Scope, change: RetentionChange, otherwise: Retention) -> Retention:
        """Change the retention in force, or `otherwise` if nobody has set one. Returns: the retention in force now.

        Raises: BadRequest: the resulting retention is not valid.
        """
        ...


class DamageReports(Protocol):
    """Reports stored samples that cannot be read."""

    async def report(self, node: Node, found: Sequence[Damage]) -> None:
        """Report each damaged range once after a start of the hub. It raises no store error."""
        ...
