"""Nodes, what they tell of themselves, and how they come into the fleet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.core.tables import FactTable, PackageChanges, PackageList, PackageState
from groundcontrol.nodes.model import NewNode, Node, NodeIdentity, NodePolicy, NodeUpdates, Session
from groundcontrol.nodes.updates import NodeUpdateList, UpdateList


class NodeStore(Protocol):
    async def create_node(self, scope: Scope, node: NewNode) -> Node:
        """Conflict: the id was used before, ever, or the name is taken in this organisation."""
        ...

    async def create_nodes(self, scope: Scope, nodes: Sequence[NewNode]) -> list[Node]:
        """All of them or none, in the same order. Conflict: as above, for any of them."""
        ...

    async def node(self, scope: Scope, node: NodeId) -> Node: ...
    async def nodes(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Node]: ...
    async def find_node(self, node: NodeId) -> Node | None:
        """For the agents' door: any organisation; None: unknown or deleted."""
        ...

    async def id_of(self, no: int) -> NodeId | None:
        """Of the node whose samples are kept under this number; None: it is deleted."""
        ...

    async def edit_node(self, scope: Scope, node: NodeId, *, name: str | None, tags: tuple[str, ...] | None) -> Node:
        """Forbidden: a tag that somebody's limit names would come or go, and the caller may not change rights."""
        ...

    async def granting(self, scope: Scope, tags: Collection[str]) -> frozenset[str]:
        """Those of these tags that somebody's limit, or that of a token in force, names."""
        ...

    async def move_node(self, scope: Scope, node: NodeId, address: str) -> Node:
        """Its server has this address now.

        Raises: NotFound, StoreError.
        """
        ...

    async def renew_keys(self, node: NodeId, generation: int) -> Node:
        """The node has proven that it holds keys of a later generation: those before it open nothing any more. Repeating it changes nothing.

        Raises: NotFound.
        """
        ...

    async def delete_node(self, scope: Scope, node: NodeId) -> None:
        """Remove the node, its jobs and credentials (crypto-shredded); leave a tombstone, by which `sweep` finds its samples."""
        ...

    async def sweep(self) -> None:
        """Remove the samples of deleted nodes that are still there, whoever deleted them and when."""
        ...

    async def save_identity(
        self, session: Session, identity: NodeIdentity, agent_version: str, policy: NodePolicy, reboot_required: str, at: float
    ) -> Node: ...
    async def save_updates(self, session: Session, updates: NodeUpdates) -> Node: ...
    async def save_seen(self, seen: Mapping[NodeId, float]) -> None: ...


class FactStore(Protocol):
    """What nodes say of themselves that is no number over time: the newest of each, gone with the node."""

    async def save_table(self, session: Session, table: FactTable) -> None:
        """Replace what is held of this subject."""
        ...

    async def tables(self, scope: Scope, node: NodeId) -> Sequence[FactTable]: ...
    async def packages_digest(self, session: Session) -> str:
        """The state of the node's packages that is held; empty = none."""
        ...

    async def save_packages(self, session: Session, changes: PackageChanges, at: float) -> PackageState:
        """Apply changes. What does not build on the state held, or does not lead to its digest, changes nothing and answers with none."""
        ...

    async def packages(self, scope: Scope, node: NodeId, limit: int, cursor: str | None = None, search: str = "") -> PackageList:
        """Those whose name contains `search`, by name."""
        ...

    async def updates(
        self, scope: Scope, limit: int, cursor: str | None = None, search: str = "", *, security_only: bool = False
    ) -> UpdateList:
        """Newer packages across the nodes that the caller may see: for security first, then by how many nodes they are for."""
        ...

    async def updates_of(self, scope: Scope, package: str, limit: int, cursor: str | None = None) -> NodeUpdateList:
        """The nodes that could have a newer version of this package, in the order in which they came to the hub."""
        ...


class RecoveryStore(Protocol):
    async def print_recovery(self, scope: Scope, *, again: bool) -> float | None:
        """Note that the recovery key is printed now; the key itself is kept nowhere.

        Returns: when it was printed before, unless `again`: then it is not to be printed.
        """
        ...

    async def adopt_until(self) -> float:
        """Until when nodes of this fleet that the store does not know are taken in; 0: they are not."""
        ...

    async def end_adoption(self, scope: Scope) -> None: ...
