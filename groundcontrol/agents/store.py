"""What hubs that share a database tell each other, and who serves a node."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.nodes.model import Owner, Session


class HubFacts(NamedTuple):
    id: HubId
    address: str
    version: str


class Lease(NamedTuple):
    task: str
    hub: HubId
    token: int


class HubStore(Protocol):
    async def beat(self, hub: HubId, facts: HubFacts, ttl_s: float) -> Sequence[HubFacts]: ...
    async def lease(self, task: str, hub: HubId, ttl_s: float) -> Lease | None:
        """Win the right to do `task` until `ttl_s` from now by the store's clock."""
        ...


class SessionStore(Protocol):
    async def claim(self, node: NodeId, boot: BootId, hub: HubId) -> Session:
        """Own the node from now on; its epoch is above all before. NotFound: no such node, or deleted."""
        ...

    async def owner(self, node: NodeId) -> Owner | None: ...
    async def release(self, session: Session) -> None:
        """Give the node up; nothing happens unless the session is the current one."""
        ...

    async def left_online(self, hub: HubId) -> Collection[NodeId]:
        """The nodes whose session was not given up when their hub ended. `hub`: the one that asks."""
        ...

    async def release_dead(self, hub: HubId) -> None:
        """Give these up too."""
        ...
