"""Measures how long nodes are silent while a hub runs, and gives the stages of silence: stale and down. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import NodeId

Stage = Literal["stale", "down"]
STAGES: Final[tuple[tuple[Stage, float], ...]] = (("stale", 1800.0), ("down", 3600.0))
"""Each stage, with the seconds of silence after which it begins."""
START_S: Final = 90.0
"""How long nodes may take to reconnect after a start of the hub. No stage is recorded before."""
NOTICED_S: Final = 60.0
"""A lost session is noticed within this time."""


class Absence(NamedTuple):
    """A period in which no hub ran, in Unix seconds of the wall clock."""

    from_at: float
    until_at: float


class KnownNode(NamedTuple):
    """A node that has had a session, as stored."""

    id: NodeId
    last_heard_at: float
    epoch: int
    """The number of its latest session. The silence after it is one episode."""
    stage: Stage | None = None
    """The stage that was recorded last; None: none yet."""
    stage_epoch: int = 0
    """The number of the session that the silence with this stage followed."""
    org: int = 1


def stages(silence_s: float) -> tuple[Stage, ...]:
    """The stages that a silence has reached, in order."""
    return tuple(stage for stage, after_s in STAGES if silence_s >= after_s)


def silence_before(last_heard_at: float, absences: Iterable[Absence]) -> float:
    """How long a node had been silent when the last absence of the hub began. Seconds in which no hub ran do not count.

    Only stored times are compared: the clock may have jumped since. A silence of up to `NOTICED_S` counts as none.

    Args: last_heard_at: Unix seconds. absences: in order; the last one ended with this start of the hub.
    """
    later = [one for one in absences if one.until_at > last_heard_at]
    if not later:
        return 0.0
    away_s = sum(max(0.0, one.until_at - max(one.from_at, last_heard_at)) for one in later[:-1])
    silence_s = later[-1].from_at - last_heard_at - away_s
    return silence_s if silence_s > NOTICED_S else 0.0  # below, it was connected: its last time is stored twice a minute


class Silences:
    """The silence of each node by the monotonic clock. A jump of the wall clock does not affect it."""

    def __init__(self, nodes: Sequence[KnownNode], absences: Sequence[Absence], monotonic: float) -> None:
        """Args: nodes, absences: as stored when the hub started. monotonic: the present monotonic time."""
        self._began: dict[NodeId, float] = {node.id: monotonic - silence_before(node.last_heard_at, absences) for node in nodes}
        self._started = monotonic

    def look(
        self, known: Collection[NodeId], online: Callable[[NodeId], bool], heard_s: Callable[[NodeId], float], monotonic: float
    ) -> None:
        """Look which nodes are connected. Call it every few seconds.

        Args: known: all nodes that have had a session. heard_s: how many seconds ago the hub last received something from a node.
        """
        for node in known:
            if online(node):
                self._began.pop(node, None)
            elif node not in self._began:
                self._began[node] = monotonic - min(max(heard_s(node), 0.0), NOTICED_S)
        for node in self._began.keys() - set(known):
            del self._began[node]

    def of(self, node: NodeId, monotonic: float) -> float | None:
        """How many seconds a node has been silent; None: it is connected, or never was."""
        began = self._began.get(node)
        return None if began is None else max(0.0, monotonic - began)

    def due(self, nodes: Iterable[KnownNode], monotonic: float) -> list[tuple[KnownNode, Stage, float]]:
        """The nodes with a stage that is not recorded. Each has its highest stage and the seconds of its silence.

        None in the first `START_S` after the start.
        """
        if monotonic - self._started < START_S:
            return []
        found = []
        for node in nodes:
            silence_s = self.of(node.id, monotonic)
            reached = () if silence_s is None else stages(silence_s)
            recorded = () if node.stage is None or node.stage_epoch != node.epoch else stages(dict(STAGES)[node.stage])
            if silence_s is not None and len(reached) > len(recorded):
                found.append((node, reached[-1], silence_s))
        return found


def stages_after(stage: Stage) -> tuple[Stage, ...]:
    """The stages that follow a stage."""
    names = [name for name, _ in STAGES]
    return tuple(names[names.index(stage) + 1 :])
