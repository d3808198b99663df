"""A server of the fleet."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.core.scope import Scope

UNITS: Final = 1
"""The edition of the unit files that this release installs (`STARDUST_UNITS` in `majortom/remote/units/stardust-spider.service`)."""


class NodeIdentity(NamedTuple):
    """What the node says of itself; every text is cleaned of control characters and capped at ingest."""

    hostname: str = ""
    machine_id: str = ""
    os_id: str = ""
    os_name: str = ""
    os_version: str = ""
    kernel: str = ""
    architecture: str = ""
    virtualization: str = ""
    cpu_model: str = ""
    cpu_cores: int = 0
    memory_bytes: int = 0
    package_manager: str = ""
    timezone: str = ""
    booted_at: float = 0.0
    addresses: tuple[str, ...] = ()
    units: int = 0
    """The edition of its unit files; 0 = it does not say."""


def units_state(units: int, current: int = UNITS) -> Literal["current", "older", "unknown"]:
    """How a node's unit files compare with those of this release. Updates of Spider do not change them: a deployment does."""
    if units == 0:
        return "unknown"
    return "older" if units < current else "current"


def agent_state(version: str, shipped: str) -> Literal["current", "outdated", "unknown"]:
    """How a node's Spider compares with the one that the hub ships, which an update brings, be it newer or not."""
    if not version:
        return "unknown"
    return "current" if version == shipped else "outdated"


class NodeUpdates(NamedTuple):
    """Packages that could be upgraded. `None` = not known."""

    total: int | None = None
    security: int | None = None
    checked_at: float | None = None


class NodePolicy(NamedTuple):
    """What the node's owner allows, as the node reports it."""

    mode: str
    verbs: tuple[str, ...] = ()


class Node(NamedTuple):
    """One row of the fleet. `no` is the store's short number, never shown outside."""

    id: NodeId
    no: int
    org: int
    name: str
    address: str
    tags: tuple[str, ...]
    generation: int
    """Of its keys; the first is 1."""
    pending: bool
    """No session has ever been completed."""
    identity: NodeIdentity
    agent_version: str
    policy: NodePolicy | None
    updates: NodeUpdates
    reboot_required: str
    created_at: float
    last_seen_at: float | None
    version: int
    simulated: bool = False
    waiting: bool = False
    """It came with an organisation secret, and somebody has to approve it before it may do anything."""
    damaged: tuple[str, ...] = ()
    """What the store holds of it and cannot read; it is empty or at its default above."""

    def admitted(self, scope: Scope) -> bool:
        """Whether the caller's grants include this node."""
        return scope.admits(self.id, self.tags)


class NewNode(NamedTuple):
    """What is needed to create a node; the id is minted by the caller and never used again."""

    id: NodeId
    name: str
    address: str
    tags: tuple[str, ...] = ()
    simulated: bool = False


class Session(NamedTuple):
    """Proof that this hub owns the node now; passed to every write that a node causes."""

    node: NodeId
    no: int
    epoch: int
    hub: HubId
    boot: BootId


class Owner(NamedTuple):
    """Which session owns a node."""

    session: Session
    hub_alive: bool


def adopted_name(node: NodeId) -> str:
    """What a node is called that was taken in with the recovery key, until it says its host's name."""
    return f"recovered {node[:8]}"


Tri = Literal["yes", "no", "unknown"]
