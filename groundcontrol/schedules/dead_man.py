"""The dead man's switch: measures how long each node is silent, and records the stages stale, down and recovered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

from groundcontrol.core.ids import NodeId
from groundcontrol.core.rounds import every
from groundcontrol.schedules.silence import KnownNode, Silences
from groundcontrol.schedules.silence_store import SilenceStore
from spider.clock import Clock

T = TypeVar("T")

LOOK_S: Final = 5.0
"""How often the switch looks which nodes are connected."""
COMMIT_NODES: Final = 100
"""How many nodes are written together. A network that fails or recovers concerns many nodes."""
READ_S: Final = 60.0
"""How often the switch reads the nodes from the store, and records stages."""


class HeardAt(Protocol):
    """When the hub last heard of a node, Unix seconds; None: not since its start. The alerts know."""

    def __call__(self, node: NodeId, /) -> float | None: ...


class DeadMan:
    """The task that looks every five seconds which nodes are connected. It tells rules how long each node has been silent."""

    def __init__(
        self,
        store: SilenceStore,
        clock: Clock,
        online: Callable[[NodeId], bool],
        heard_at: Callable[[NodeId], float | None] = lambda _node: None,
    ) -> None:
        """Args: heard_at: when the hub last received something from a node, in Unix seconds; None: the stored time counts."""
        self._heard_at = heard_at
        self._store = store
        self._clock = clock
        self._online = online
        self._nodes: dict[NodeId, KnownNode] = {}
        self._silences: Silences | None = None
        self._read_at = 0.0

    @property
    def is_read(self) -> bool:
        """Whether the stored silences have been read. Before, `silent_s` says nothing of a node that is not connected."""
        return self._silences is not None

    def silent_s(self, node: NodeId) -> float | None:
        """For how many seconds a node has been silent while a hub ran; None: it is connected, or never was."""
        return None if self._silences is None else self._silences.of(node, self._clock.monotonic())

    async def run(self) -> None:
        """Look every five seconds, until cancelled."""
        await every(LOOK_S, self.look, self._clock, "dead_man")

    async def look(self) -> None:
        """Look which nodes are connected. Once a minute, read the nodes and record new stages.

        Raises: StoreError.
        """
        if self._silences is None:
            self._nodes = {node.id: node for node in await self._store.known_nodes()}
            self._silences = Silences(list(self._nodes.values()), await self._store.absences(), self._clock.monotonic())
            self._read_at = self._clock.monotonic()
        read = self._clock.monotonic() - self._read_at >= READ_S
        if read:
            self._read_at = self._clock.monotonic()
            self._nodes = {node.id: node for node in await self._store.known_nodes()}
        self._silences.look(self._nodes.keys(), self._online, self._heard_s, self._clock.monotonic())
        if read:
            await self._record(self._silences)

    def _heard_s(self, node: NodeId) -> float:
        heard_at = self._heard_at(node)
        return self._clock.now() - (self._nodes[node].last_heard_at if heard_at is None else heard_at)

    async def _record(self, silences: Silences) -> None:
        due = silences.due(self._nodes.values(), self._clock.monotonic())
        for some in batched(due, COMMIT_NODES):
            await asyncio.gather(*(self._store.save_stage(node, stage, silence_s) for node, stage, silence_s in some))
        back = [node for node in self._nodes.values() if node.stage is not None and node.epoch > node.stage_epoch]
        for some_back in batched(back, COMMIT_NODES):
            await asyncio.gather(*(self._store.save_recovery(node) for node in some_back))


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in order, in pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
