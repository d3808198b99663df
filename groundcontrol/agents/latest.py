"""Holds the newest values of every node, publishes them to browsers, and restores them after a start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from groundcontrol.agents.clock_skew import SkewTracker
from groundcontrol.agents.session import AgentSession
from groundcontrol.agents.validation import KnownSchema, scaled
from groundcontrol.core.bus import Bus, NodeLive, NodesUpdated
from groundcontrol.core.errors import HubError, StoreBusy, StoreDown
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import hub_scope
from groundcontrol.core.stores import Stores
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore, every_node
from groundcontrol.nodes.summary import SummaryFragment
from groundcontrol.samples.model import SeriesSchema
from groundcontrol.samples.store import MetricStore
from spider.clock import Clock
from spider.logs import event
from spider.wire.metrics import parse_series
from spider.wire.sample_messages import Row

log = logging.getLogger(__name__)

LISTED_S: Final = 0.03
"""How long updates of nodes are collected before one message to the node lists."""
WRITTEN_S: Final = 60.0
"""For this long after a request for a JSON list, each new summary is encoded on arrival. The next answer to a client that polls is then ready."""


class NewestRow(NamedTuple):
    """The newest row of a family (metrics that are measured together)."""

    schema: KnownSchema
    row: Row

    @property
    def taken_at(self) -> float:
        """Time of the sample, in seconds."""
        return self.row.taken_at_ms / 1000


class LatestSamples:
    """The newest row of each family of a node, and its summary for lists."""

    __slots__ = ("_fragments", "_unread", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, NewestRow] = {}
        self._fragments: dict[str, SummaryFragment] = {}
        self._unread: list[str] = []
        """Families whose row is newer than their summary fragment."""

    def keep(self, schema: KnownSchema, row: Row) -> None:
        """Store the newest row of a family."""
        family = schema.row.family
        self.rows[family] = NewestRow(schema, row)
        if family not in self._unread:
            self._unread.append(family)

    def fragments(self) -> Collection[SummaryFragment]:
        """The summary fragment of each family, always in the same order. It is computed once per row, however many readers there are."""
        if self._unread:
            for family in self._unread:
                newest = self.rows[family]
                self._fragments[family] = newest.schema.summary.read(newest.row.values, newest.taken_at)
            self._unread.clear()
        return self._fragments.values()


class LatestValues:
    """The newest rows of all nodes, connected or not."""

    def __init__(self, store: Stores, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._latest: dict[NodeId, LatestSamples] = {}
        self.skews = SkewTracker()
        self._fresh: dict[int, dict[NodeId, None]] = {}
        """Nodes with new samples that are not yet published to lists."""
        self._publish_fresh_at = float("-inf")
        """Loop time of the next publication to lists, or of the last one."""
        self._written_until = float("-inf")
        """Monotonic time until which new summaries are encoded as JSON on arrival."""
        self.rows = 0
        """Live rows received since the start."""

    def rows_of(self, node: NodeId) -> Mapping[str, NewestRow]:
        """By family: the newest row of a node."""
        held = self._latest.get(node)
        return {} if held is None else held.rows

    def latest(self, node: NodeId) -> dict[str, tuple[float | None, float]]:
        """Series -> (value, taken_at) of the newest row of each family; None = could not be measured."""
        found: dict[str, tuple[float | None, float]] = {}
        for newest in self.rows_of(node).values():
            taken_at = newest.taken_at
            found.update((name, (value, taken_at)) for name, value in scaled(newest.schema, newest.row).items())
        return found

    def summary(self, node: NodeId, *, as_json: bool = False) -> Collection[SummaryFragment]:
        """The summary of a node for lists, from the newest row of each family. `as_json`: the caller sends it as JSON.

        The collection is live: copy it to keep its present content.
        """
        if as_json:
            self._written_until = self._clock.monotonic() + WRITTEN_S
        held = self._latest.get(node)
        return () if held is None else held.fragments()

    def forget(self, node: NodeId) -> None:
        """Drop the values of a removed node."""
        self._latest.pop(node, None)
        self.skews.forget(node)

    def update(self, agent: AgentSession, schema: KnownSchema, rows: list[Row]) -> None:
        """Store the newest row of a family and publish it. While the node is watched, every row is published.

        Values are computed only if this node has subscribers. Lists learn that the node has new samples, and then fetch its summary.
        The summary is prepared here if a list is open, or if no user watches the node: its packs then have several rows.
        """
        node = agent.node.id
        self.rows += len(rows)
        self.skews.note(node, schema.row, rows[-1])
        newest = self._latest.get(node)
        if newest is None:
            newest = self._latest[node] = LatestSamples()
        newest.keep(schema, rows[-1])
        listed = self._bus.has_subscribers(agent.listed)
        if listed:
            self._publish_fresh(node, agent.node.org)
        if listed or len(rows) > 1:
            fragments = newest.fragments()
            if self._clock.monotonic() < self._written_until:
                for fragment in fragments:
                    fragment.write()
        if not self._bus.has_subscribers(agent.live):
            return
        for row in rows if agent.watched_until > self._clock.monotonic() else rows[-1:]:
            self._bus.publish(NodeLive(node, schema.row.family, row.taken_at_ms / 1000, scaled(schema, row)))

    def _publish_fresh(self, node: NodeId, org: int) -> None:
        """Publish at most once in LISTED_S, all nodes of an organisation together: a thousand nodes do not cause a thousand messages."""
        first = not self._fresh
        self._fresh.setdefault(org, {})[node] = None
        if not first:
            return  # the pending publication includes this node
        loop = asyncio.get_running_loop()
        # Count from the scheduled time, not from the actual one: otherwise each round slips a little and needs an extra wake-up.
        self._publish_fresh_at = max(loop.time(), self._publish_fresh_at + LISTED_S)
        loop.call_at(self._publish_fresh_at, self._flush_fresh)

    def _flush_fresh(self) -> None:
        fresh, self._fresh = self._fresh, {}
        for org, nodes in fresh.items():
            self._bus.publish(NodesUpdated(tuple(nodes), org))

    async def run(self) -> None:
        """Load the latest stored samples after a start, and log the corrupt ones.

        An error of one node does not affect the others, and never ends the hub.
        """
        try:
            await self._restore()
        except HubError as exc:
            event(log, "recall_failed", logging.WARNING, error=exc.code)

    async def _restore(self) -> None:
        unreadable: dict[int, set[str]] = {}
        for no, family in await self._store[MetricStore].unreadable():
            unreadable.setdefault(no, set()).add(family)
        for org in await self._store[NodeStore].organisations():
            async for node in every_node(self._store[NodeStore], hub_scope(org)):
                if node.damaged:
                    event(log, "node_damaged", logging.ERROR, node=node.id, what=node.damaged, means="left out until reported again")
                if families := unreadable.get(node.no):
                    event(
                        log,
                        "layouts_damaged",
                        logging.ERROR,
                        node=node.id,
                        families=sorted(families),
                        means="samples of these families are left out",
                    )
                try:
                    await self._restore_node(node)
                except (StoreDown, StoreBusy):
                    raise
                except Exception:  # the boundary: one node's data must not affect the others
                    event(log, "recall_failed", logging.ERROR, node=node.id, exc_info=True)

    async def _restore_node(self, node: Node) -> None:
        for family, (schema, row) in (await self._store[MetricStore].latest(node.no)).items():
            known = self._latest.setdefault(node.id, LatestSamples())
            if family not in known.rows and len(row.values) == len(schema.series):
                with contextlib.suppress(ValueError):  # the row has series of a newer version that ran on this database before
                    known.keep(_known(schema), newest := Row(row.taken_at_ms, list(row.values)))
                    self.skews.restore(node.id, schema, newest)


def _known(schema: SeriesSchema) -> KnownSchema:
    return KnownSchema.of(schema, [parse_series(name)[0].scale for name in schema.series])
