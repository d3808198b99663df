"""How long nodes have been silent, and the stages of silence: stale, down, recovered. Pure; the hub's own absence does not count."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import NodeId

Stage = Literal["stale", "down"]
STAGES: Final[tuple[tuple[Stage, float], ...]] = (("stale", 1800.0), ("down", 3600.0))
"""Each stage and the seconds of silence from which it holds."""
START_S: Final = 90.0
"""After a start of the hub nodes have this long to come back, before anything is said about them."""
NOTICED_S: Final = 60.0
"""A lost session is noticed within this time, whatever the wall clock says."""


class Absence(NamedTuple):
    """A time in which no hub ran, by the wall clock at its ends."""

    from_at: float
    until_at: float


class KnownNode(NamedTuple):
    """A node that has had a session, as the database knows it."""

    id: NodeId
    last_heard_at: float
    epoch: int
    """The number of its latest session: a silence after it is one episode."""
    stage: Stage | None = None
    """The stage that was recorded last."""
    stage_epoch: int = 0
    """The session before the silence of that stage."""
    org: int = 1


def stages(silence_s: float) -> tuple[Stage, ...]:
    """The stages that a silence has reached, in order."""
    return tuple(stage for stage, after_s in STAGES if silence_s >= after_s)


def silence_before(last_heard_at: float, absences: Iterable[Absence]) -> float:
    """How long a node had been silent when the hub was away last, in seconds of a running hub.

    Only times that were stored count here. The clock may have jumped since.

    Args: absences: in order; the last one is that before this start of the hub.
    """
    later = [one for one in absences if one.until_at > last_heard_at]
    if not later:
        return 0.0
    away_s = sum(max(0.0, one.until_at - max(one.from_at, last_heard_at)) for one in later[:-1])
    silence_s = later[-1].from_at - last_heard_at - away_s
    return silence_s if silence_s > NOTICED_S else 0.0  # it was connected: its last time is stored twice a minute


class Silences:
    """The silence of each node, on the monotonic clock: a jump of the wall clock changes nothing."""

    def __init__(self, nodes: Sequence[KnownNode], absences: Sequence[Absence], monotonic: float) -> None:
        """Args: nodes, absences: at the start of the hub."""
        self._began: dict[NodeId, float] = {node.id: monotonic - silence_before(node.last_heard_at, absences) for node in nodes}
        self._started = monotonic

    def look(
        self, known: Collection[NodeId], online: Callable[[NodeId], bool], heard_s: Callable[[NodeId], float], monotonic: float
    ) -> None:
        """Notice which nodes are connected; must be called often.

        Args: known: all nodes that have had a session. heard_s: how long ago, by the wall clock, a node was heard that has just gone.
        """
        for node in known:
            if online(node):
                self._began.pop(node, None)
            elif node not in self._began:
                self._began[node] = monotonic - min(max(heard_s(node), 0.0), NOTICED_S)
        for node in self._began.keys() - set(known):
            del self._began[node]

    def of(self, node: NodeId, monotonic: float) -> float | None:
        """The seconds of its silence; None: it is connected, or has never been."""
        began = self._began.get(node)
        return None if began is None else max(0.0, monotonic - began)

    def due(self, nodes: Iterable[KnownNode], monotonic: float) -> list[tuple[KnownNode, Stage, float]]:
        """The highest stage that each node has reached and that is not recorded, with the seconds of its silence."""
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
