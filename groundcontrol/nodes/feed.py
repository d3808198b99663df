"""The live topics of the fleet and of one node."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Sequence
from typing import Final, cast

from groundcontrol.core.bus import BusEvent, Changed, NodeLive, NodesUpdated, NodeTable, SessionChanged, Topic
from groundcontrol.core.errors import HubError, NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.nodes.api import credential_holders, node_detail_view, node_list_view
from groundcontrol.nodes.interfaces import NewestValues
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.nodes.summary import Shown, SummaryFragment
from groundcontrol.nodes.views import FleetChange, FleetData, NodeChange, NodeView, Sample, table_view
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import NODES_OF_A_READ, Feed, log
from groundcontrol.web.services import Services
from spider.logs import event

FLEET_REPLAY_BYTES: Final = 1 << 20
"""The size limit of the replay buffer of `fleet`: about a snapshot of a thousand nodes. A subscriber that missed more gets a snapshot."""

NEWEST: Final = ("cpu.total", "load.1")
"""Series that are sent with every row even if unchanged. A page takes the first of them that a node has as the sign that the node is alive."""


class NodeFeed(Feed):
    """`NodeView` with all values. Then `NodeChange`: new values as they arrive, the node if its facts changed, or a table."""

    def __init__(self, services: Services, scope: Scope, topic: str, limits: LiveLimits) -> None:
        super().__init__(services, scope._replace(grants=()), topic, limits)
        self._node = NodeId(self.key)

    def topics(self) -> tuple[Topic, ...]:
        return (
            Topic("node_live", self._node),
            Topic("node_table", self._node),
            Topic("changed", f"node:{self._node}"),
            Topic("session", self._node),
        )

    def watched(self) -> tuple[NodeId, ...]:
        return (self._node,)

    def watched_closely(self) -> tuple[NodeId, ...]:
        return (self._node,)

    async def snapshot(self) -> NodeView:
        return await node_detail_view(self.services, self.scope, self._node)

    async def take(self, bus_event: BusEvent, /) -> None:
        if isinstance(bus_event, NodeLive):
            self.emit(NodeChange(latest={name: Sample(value, bus_event.taken_at) for name, value in bus_event.values.items()}))
        elif isinstance(bus_event, NodeTable):
            self.emit(NodeChange(latest={}, table=table_view(bus_event.table)))
        else:
            self.emit(NodeChange(latest={}, node=await self.snapshot()))


class FleetFeed(Feed):
    """`FleetData`: every node that the caller may see, with the values that lists show. Then `FleetChange`: new values as they arrive, up to 40 times a second; whole rows of nodes whose facts changed, at most once a second; the ids of removed nodes."""

    policy = "latest"
    limit = 20_000
    replay_bytes = FLEET_REPLAY_BYTES

    def __init__(self, services: Services, scope: Scope, topic: str, limits: LiveLimits) -> None:
        super().__init__(services, scope, topic, limits)
        self._known: set[NodeId] = set()
        """Nodes that were sent and not removed since."""
        self._snapshots_in_progress = 0
        """The number of snapshots in progress. One reads several pages of nodes from the store."""
        self._deleted_meanwhile: set[NodeId] = set()
        """Nodes that were deleted while a snapshot was in progress. A page that was read before the deletion still lists them."""
        self._sent: dict[NodeId, Sequence[SummaryFragment]] = {}
        """The last summary sent of each node. It is forgotten when a snapshot or the node's whole row is sent, since these may contain other values."""
        self._with_values: set[NodeId] = set()
        """Nodes with new values to send."""
        self._with_changes: set[NodeId] = set()
        """Nodes with other changes to send."""
        self._new_values = asyncio.Event()
        self._changes_waiting = asyncio.Event()

    def topics(self) -> tuple[Topic, ...]:
        org = self.scope.org
        return (Topic("nodes_fresh", org=org), Topic("changed", org=org), Topic("session", org=org))

    def watched(self) -> tuple[NodeId, ...]:
        return tuple(self._known)

    async def snapshot(self) -> FleetData:
        self._snapshots_in_progress += 1
        try:
            nodes = [node for node in await self._all_nodes() if node.id not in self._deleted_meanwhile]
        finally:
            self._snapshots_in_progress -= 1
            if not self._snapshots_in_progress:
                self._deleted_meanwhile.clear()
        self._known.update(NodeId(node.id) for node in nodes)
        self._sent.clear()
        return FleetData(nodes=nodes)

    async def _all_nodes(self) -> list[NodeView]:
        services = self.services
        holders = await credential_holders(services)
        nodes: list[NodeView] = []
        cursor: str | None = None
        while True:
            page = await services[NodeStore].nodes(self.scope, NODES_OF_A_READ, cursor)
            nodes += [node_list_view(services, node, holders, packed=True) for node in page.items]
            cursor = page.next
            if cursor is None:
                return nodes

    async def take(self, bus_event: BusEvent, /) -> None:
        match bus_event:
            case NodesUpdated(nodes=nodes):
                self._with_values.update(nodes)
                self._new_values.set()
                return
            case SessionChanged(node=node):
                self._with_changes.add(node)
            case Changed(kind="node", id=id_):
                self._with_changes.add(NodeId(id_))
            case _:
                return
        self._changes_waiting.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run(), name="live fleet events")
            group.create_task(self._send_values(), name="live fleet values")
            group.create_task(self._send_changes(), name="live fleet changes")

    async def _send_values(self) -> None:
        while True:
            await self._new_values.wait()
            self._new_values.clear()
            fresh, self._with_values = self._with_values & self._known, set()
            if fresh:
                self.emit(FleetChange(nodes=[], latest={node: self._changed_values(node) for node in sorted(fresh)}, removed=[]))

    def _changed_values(self, node: NodeId) -> dict[str, Sample]:
        """The values of a node's summary that differ from those sent last, and those of NEWEST."""
        fragments = [*self.services[NewestValues].summary(node)]
        before, self._sent[node] = self._sent.get(node, ()), fragments
        changed: dict[str, Shown] = {}
        for fragment, old in itertools.zip_longest(fragments, before[: len(fragments)]):
            if old is None:
                changed |= fragment.shown
            elif fragment is not old:
                was = old.shown
                changed |= {
                    name: one for name, one in fragment.shown.items() if name in NEWEST or name not in was or was[name].value != one.value
                }
        return cast("dict[str, Sample]", changed)

    async def _send_changes(self) -> None:
        while True:
            await self._changes_waiting.wait()
            self._changes_waiting.clear()
            nodes, self._with_changes = self._with_changes, set()
            try:
                change = await self._change(nodes)
            except HubError as exc:
                event(log, "live_feed_failed", logging.WARNING, topic=self.topic, code=exc.code)
                self._with_changes |= nodes
                self._changes_waiting.set()
            else:
                if change.nodes or change.removed:
                    self.emit(change)
            await self.services.clock.sleep(self.limits.changes_every_s)

    async def _change(self, nodes: set[NodeId]) -> FleetChange:
        services = self.services
        change = FleetChange(nodes=[], latest={}, removed=[])
        gone: set[NodeId] = set()
        holders = await credential_holders(services)
        for node_id in sorted(nodes):
            try:
                node = await services[NodeStore].node(self.scope, node_id)
            except NotFound:
                gone.add(node_id)
                continue
            change.nodes.append(node_list_view(services, node, holders, packed=True))
        # The state of this feed changes only after the last read. If a read fails, nothing is sent, and all these nodes are read again.
        for node_id in nodes:  # a row may be older than values that were sent while later rows were read
            self._sent.pop(node_id, None)
        change.removed += sorted(gone & self._known)
        self._known -= gone
        self._known |= nodes - gone
        self._deleted_meanwhile -= nodes
        if self._snapshots_in_progress:
            self._deleted_meanwhile |= gone
        return change


async def find_node(services: Services, scope: Scope, key: str) -> Node:
    return await services[NodeStore].node(scope, NodeId(key))
