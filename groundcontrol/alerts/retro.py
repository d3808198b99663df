"""Finds episodes in samples that came late (a backlog): some are already over, and some still fire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.incidents import Names, key_of, title_of
from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId
from groundcontrol.alerts.preview import Episode, replay
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.store import AlertChange
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.store import MetricStore
from spider.clock import Clock
from spider.wire.ids import new_time_id

QUIET_S: Final = 60.0
"""Late samples of a node are replayed when no more have come for this long. So a backlog is replayed once."""
LEAST_S: Final = 120.0
"""Shorter backlogs are not replayed, since every reconnection makes one."""
MOST_S: Final = 86_400.0
"""How many seconds of the past are replayed at most."""
MOST_NODES: Final = 20
"""How many nodes are replayed in a minute. A backlog of an hour takes about 10 ms of the engine, one of a day about 0.3 s."""
MOST_EPISODES: Final = 50
"""How many past episodes of a backlog are stored at most."""


class Backlog(NamedTuple):
    """Late samples of a node, by the time of the first and of the last one, in Unix seconds of the hub's clock."""

    first_at: float
    last_at: float
    arrived_at: float
    """The monotonic time at which the last of them arrived."""


class RetroEpisodes:
    """Collects the times of late samples, and replays the samples of each node when its backlog has ended."""

    def __init__(self, org: int, samples: MetricStore, facts: FactReader, rules: Rules, clock: Clock) -> None:
        self._org = org
        self._samples = samples
        self._facts = facts
        self._rules = rules
        self._clock = clock
        self._backlogs: dict[NodeId, Backlog] = {}

    def add(self, node: NodeId, first_at: float, last_at: float) -> None:
        """Note late samples of a node. Those older than `MOST_S` are ignored. Args: first_at, last_at: Unix seconds."""
        now = self._clock.now()
        first_at, last_at = max(first_at, now - MOST_S), min(last_at, now)
        if last_at < first_at:
            return
        before = self._backlogs.get(node)
        if before is not None:
            first_at, last_at = min(first_at, before.first_at), max(last_at, before.last_at)
        self._backlogs[node] = Backlog(first_at, last_at, self._clock.monotonic())

    def due(self) -> list[tuple[NodeId, Backlog]]:
        """Nodes whose backlog has ended, at most `MOST_NODES`. Short backlogs are forgotten. Call `forget` when one is replayed."""
        now = self._clock.monotonic()
        ended = [(node, one) for node, one in self._backlogs.items() if now - one.arrived_at >= QUIET_S]
        for node, one in ended:
            if one.last_at - one.first_at < LEAST_S:
                del self._backlogs[node]
        return [(node, one) for node, one in ended if node in self._backlogs][:MOST_NODES]

    def forget(self, node: NodeId, replayed: Backlog) -> None:
        """Forget the backlog of a node, unless more late samples have arrived since."""
        if self._backlogs.get(node) == replayed:
            del self._backlogs[node]

    async def find(self, engine: Engine, node: NodeId, backlog: Backlog, known: Sequence[Alert]) -> AlertChange:
        """Replay a backlog from the store. The engine gets the true start of episodes that still fire.

        Args:    known: stored episodes of the node. They are not stored once more.
        Returns: rows of the new episodes, which are all over; none if the node is unknown.
        Raises:  StoreError.
        """
        no, facts = self._facts.number(node), self._facts.find(node)
        if no is None or facts is None:
            return AlertChange()
        start, offset_s = backlog.first_at, engine.offset_s(node)  # samples are stored by the node's clock
        found, _ = await replay(self._samples, no, facts, self._rules.all(), start + offset_s, backlog.last_at + offset_s, start + offset_s)
        over: list[Episode] = []
        for one in (_earlier(one, offset_s) for one in found):
            if one.ended_at is None:
                engine.backdate(one.key, one.level, one.since_at)
            elif one.fired_at >= start and not any(_is_same(one, alert) for alert in known):
                over.append(one)
        return self._rows(over[:MOST_EPISODES])

    def _rows(self, episodes: Sequence[Episode]) -> AlertChange:
        pairs = [self._row(one) for one in episodes]
        return AlertChange([alert for alert, _ in pairs], [incident for _, incident in pairs])

    def _row(self, one: Episode) -> tuple[Alert, Incident]:
        now = self._clock.now()
        incident = IncidentId(new_time_id(now))
        alert = Alert(
            AlertId(new_time_id(now)), self._org, one.key.rule, one.key.node, one.key.object, one.level, "resolved", one.since_at,
            one.fired_at, one.ended_at, one.reason, one.value, None, incident, retro=True,
        )  # fmt: skip
        title = title_of("", [alert], Names(self._facts.name, self._rules.get))
        return alert, Incident(incident, self._org, one.level, "resolved", title, one.since_at, one.ended_at, f"node:{one.key.node}", 0)


def _earlier(one: Episode, by_s: float) -> Episode:
    ended_at = None if one.ended_at is None else one.ended_at - by_s
    return one._replace(since_at=one.since_at - by_s, fired_at=one.fired_at - by_s, ended_at=ended_at)


def _is_same(episode: Episode, alert: Alert) -> bool:
    """Whether an episode that is over and a stored one are of one instance and overlap."""
    if key_of(alert) != episode.key or episode.ended_at is None:
        return False
    return alert.fired_at <= episode.ended_at and (alert.resolved_at is None or episode.fired_at <= alert.resolved_at)
