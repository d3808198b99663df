"""Looks that an agent takes at its host while a roll-out has it in hand: what it showed, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from groundcontrol.core.ids import NodeId

LooksState = Literal["offline", "too_old", "asked"]


class LookRun(NamedTuple):
    """A run of looks that all showed the same. Times are Unix seconds of the node's clock. A part that is None could not be read."""

    from_at: float
    to_at: float
    looks: int
    absent: frozenset[str]
    """Parts that this host cannot have: units, ports, mounts."""
    failed: tuple[str, ...] | None
    restarting: tuple[str, ...] | None
    active: tuple[str, ...] | None
    restarts: Mapping[str, int] | None
    ports: tuple[str, ...] | None
    mounts: Mapping[str, int | None] | None
    """Mount point -> how full it is in percent; None: unknown."""
    read_only: tuple[str, ...] | None
    oom_kills: int | None
    probes: Mapping[str, str]
    """Probe -> `ok`, or why not."""

    def since(self, at: float) -> int:
        """How many of its looks were taken at this time or later."""
        if at <= self.from_at:
            return self.looks
        if at > self.to_at:
            return 0
        return 1 + int((self.to_at - at) / (self.to_at - self.from_at) * (self.looks - 1))


class LookWish(NamedTuple):
    """What is looked at on a node."""

    order: str
    """Names the roll-out."""
    probes: tuple[str, ...] = ()


class ReceivedLooks(Protocol):
    """Orders looks of agents, and has what they told."""

    async def keep(self, wanted: Mapping[NodeId, LookWish]) -> None:
        """Have exactly these nodes looked at. The looks of all others end, and are forgotten."""
        ...

    def state(self, node: NodeId) -> LooksState:
        """Whether the node can be looked at now."""
        ...

    def runs(self, node: NodeId, order: str) -> Sequence[LookRun]:
        """Its runs under this order, oldest first. After a restart of the hub the node tells them again."""
        ...
