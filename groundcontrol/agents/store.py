"""Store interface of sessions and leases: which hub process serves a node or runs a task."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.nodes.model import Session


class HubInfo(NamedTuple):
    """A running hub process."""

    id: HubId
    address: str
    version: str


class Lease(NamedTuple):
    """The right of one hub process to run a task."""

    task: str
    hub: HubId
    token: int
    """Grows when another process acquires the lease, or the same one after it ran out."""


class HubStore(Protocol):
    async def beat(self, hub: HubId, info: HubInfo, ttl_s: float) -> Sequence[HubInfo]:
        """Record that this hub process runs, for `ttl_s`. Returns: all running hub processes."""
        ...

    async def ship_agent(self, version: str) -> float:
        """Record the version of Spider that this hub ships. Returns: when it began to ship this version, in Unix seconds."""
        ...

    async def lease(self, task: str, hub: HubId, ttl_s: float) -> Lease | None:
        """Acquire or renew the lease of `task` for `ttl_s` by the store's clock. None: another process holds it."""
        ...


class SessionStore(Protocol):
    async def claim(self, node: NodeId, boot: BootId, hub: HubId) -> Session:
        """Start a session of the node, with a higher epoch than all before. NotFound: no such node, or deleted."""
        ...

    async def release(self, session: Session) -> None:
        """End the session. No effect unless it is the current one."""
        ...

    async def left_online(self, hub: HubId) -> Collection[NodeId]:
        """Nodes whose session was still open when their hub process ended. `hub`: the calling process."""
        ...

    async def release_dead(self, hub: HubId) -> None:
        """End the sessions that dead hub processes left open."""
        ...
