"""The store interfaces of nodes, their reports, and their enrolment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.core.tables import PackageChanges, PackageList, PackageState, SubjectTable
from groundcontrol.events.model import Event
from groundcontrol.nodes.model import LogBatch, LogLine, NewNode, Node, NodeIdentity, NodePolicy, NodeUpdates, Session
from groundcontrol.nodes.processes import ProcessReading
from groundcontrol.nodes.updates import NodeUpdateList, UpdateList


class NodeStore(Protocol):
    async def create_node(self, scope: Scope, node: NewNode, event: Event | None = None) -> Node:
        """Create a node. `event`: stored in the same transaction.

        Raises: Conflict: the id was used before, or the name is taken in this organisation.
        """
        ...

    async def create_nodes(self, scope: Scope, nodes: Sequence[NewNode]) -> list[Node]:
        """Create all nodes or none. Returns: them in the same order. Raises: Conflict: as above, for any of them."""
        ...

    async def node(self, scope: Scope, node: NodeId) -> Node: ...
    async def nodes(self, scope: Scope, limit: int, cursor: str | None = None, only: Collection[NodeId] | None = None) -> Page[Node]:
        """Those that the caller may see, oldest first; with `only`, those of these ids."""
        ...

    async def organisations(self) -> Sequence[int]:
        """The organisations that have nodes."""
        ...

    async def find_node(self, node: NodeId) -> Node | None:
        """For the handshake of agents: finds nodes of any organisation. None: unknown or deleted."""
        ...

    async def id_by_number(self, no: int) -> NodeId | None:
        """The node whose samples are stored under this number; None: it is deleted."""
        ...

    async def edit_node(
        self,
        scope: Scope,
        node: NodeId,
        *,
        name: str | None,
        tags: tuple[str, ...] | None,
        note: str | None = None,
        never: str | None = None,
        location: str | None = None,
    ) -> Node:
        """Change fields; None: unchanged. `never`: why no schedule may touch the node, empty: schedules may. Raises: Forbidden: the change of tags changes rights, which the caller may not change."""
        ...

    async def tags_in_grants(self, scope: Scope, tags: Collection[str]) -> frozenset[str]:
        """Those of `tags` that the grants of a user, or of a valid token, name."""
        ...

    async def move_node(self, scope: Scope, node: NodeId, address: str) -> Node:
        """Set the address of the node's server.

        Raises: NotFound, StoreError.
        """
        ...

    async def renew_keys(self, node: NodeId, generation: int) -> Node:
        """Accept a later generation of keys, which the node has proven to hold. Earlier keys become invalid. A repeat changes nothing.

        Raises: NotFound.
        """
        ...

    async def delete_node(self, scope: Scope, node: NodeId, event: Event | None = None) -> None:
        """Delete the node, its jobs and credentials (crypto-shredded); leave a tombstone, by which `sweep` finds its samples.

        If the node is deleted already, nothing changes.
        Args: event: stored instead of `node_removed`.
        """
        ...

    async def sweep(self) -> None:
        """Delete all remaining samples of deleted nodes, even if an earlier process deleted the node."""
        ...

    async def audit_journal(self, scope: Scope, node: NodeId, unit: str) -> None:
        """Record that lines of a unit's journal are read. Raises: NotFound, StoreError."""
        ...

    async def save_identity(
        self, session: Session, identity: NodeIdentity, agent_version: str, policy: NodePolicy, reboot_required: str, at: float
    ) -> Node: ...
    async def save_updates(self, session: Session, updates: NodeUpdates) -> Node: ...
    async def save_seen(self, seen: Mapping[NodeId, float]) -> None:
        """Store when nodes were last seen, in Unix seconds."""
        ...


class NodeTableStore(Protocol):
    """The store interface of what nodes report: events, and the newest tables and packages of each node, deleted with the node."""

    async def save_table(self, session: Session, table: SubjectTable) -> None:
        """Replace the stored table of this subject."""
        ...

    async def tables(self, scope: Scope, node: NodeId) -> Sequence[SubjectTable]: ...
    async def save_events(self, session: Session, events: Sequence[Event]) -> None:
        """Store the events that a node reports. Events above the node's rate are only counted. Raises: Fenced: the session is over."""
        ...

    async def packages_digest(self, session: Session) -> str:
        """The digest of the node's stored package list; empty = none is stored."""
        ...

    async def save_packages(self, session: Session, changes: PackageChanges, at: float) -> PackageState:
        """Apply changes to the stored package list.

        The changes name a digest before and a digest after them. The stored list must have the first, and the changed list the second.
        Otherwise nothing changes, and the returned digest is empty.
        """
        ...

    async def packages(self, scope: Scope, node: NodeId, limit: int, cursor: str | None = None, search: str = "") -> PackageList:
        """The packages whose name contains `search`, sorted by name."""
        ...

    async def updates(
        self, scope: Scope, limit: int, cursor: str | None = None, search: str = "", *, security_only: bool = False
    ) -> UpdateList:
        """Newer packages across the nodes that the caller may see: security updates first, then by the number of nodes."""
        ...

    async def updates_of(self, scope: Scope, package: str, limit: int, cursor: str | None = None) -> NodeUpdateList:
        """The nodes that could have a newer version of this package, in the order of their enrolment."""
        ...


class RecoveryStore(Protocol):
    async def note_recovery_print(self, scope: Scope, *, again: bool) -> float | None:
        """Record that the recovery key is printed now; the key itself is stored nowhere.

        Returns: None: the caller may print the key. A time: it was printed then, and `again` is not set: the caller must not print it.
        """
        ...

    async def adopt_until(self) -> float:
        """Until when the hub enrols unknown nodes of this fleet, in Unix seconds; 0: it does not."""
        ...

    async def end_adoption(self, scope: Scope) -> None: ...


class NodeLogStore(Protocol):
    """The store interface of lines of nodes' system logs."""

    async def add_lines(self, session: Session, batch: LogBatch) -> str:
        """Store lines if they follow directly on the stored lines. Returns: the cursor of the last stored line; empty = none."""
        ...

    async def lines(self, no: int, limit: int, cursor: str | None = None) -> Page[LogLine]:
        """Lines of node number `no`, newest first."""
        ...


class ProcessHistoryStore(Protocol):
    """The store interface of the top processes of each past minute, deleted with the node."""

    async def save_reading(self, session: Session, reading: ProcessReading) -> None:
        """Store a reading, unless a later one of the same minute is stored, or the node's row is full.

        Raises: Fenced: the session is over.
        """
        ...

    async def reading(self, no: int, at: float) -> ProcessReading | None:
        """The last reading of node number `no` at or before a time in Unix seconds; None: there is none.

        Raises: StoreError: the reading is damaged.
        """
        ...

    async def expire_readings(self, before: float) -> int:
        """Remove some readings before a time in Unix seconds, by quarters of an hour. Returns: the number of removed rows; 0: none is left."""
        ...


async def every_node(store: NodeStore, scope: Scope, at_once: int = 200) -> AsyncIterator[Node]:
    """All nodes that the caller may see, page by page. Raises: StoreError."""
    cursor: str | None = None
    while True:
        page = await store.nodes(scope, at_once, cursor)
        for node in page.items:
            yield node
        cursor = page.next
        if cursor is None:
            return
