"""Finds episodes in samples that came late: some ended while the hub was away, and some still fire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.incidents import Names, title_of
from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId
from groundcontrol.alerts.preview import Episode, replay
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.store import AlertChange
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import DEFAULT_ORG
from groundcontrol.samples.store import MetricStore
from spider.clock import Clock
from spider.wire.ids import new_time_id

QUIET_S: Final = 60.0
"""A node is replayed this long after its last late sample, so that one backlog is replayed once."""
MOST_S: Final = 86_400.0
"""How many seconds of the past are replayed at most."""
MOST_EPISODES: Final = 50


class RetroEpisodes:
    """Collects the times of late samples, and replays the samples of each node when its backlog has ended."""

    def __init__(self, samples: MetricStore, facts: FactReader, rules: Rules, clock: Clock) -> None:
        self._samples = samples
        self._facts = facts
        self._rules = rules
        self._clock = clock
        self._late: dict[NodeId, tuple[float, float, float]] = {}
        """Node -> (time of the first late sample, of the last one, monotonic time of its arrival)."""

    def note(self, engine: Engine) -> None:
        """Take the times of late samples from the engine."""
        now = self._clock.monotonic()
        for node, late in engine.take_late().items():
            first, last, _ = self._late.get(node, (late.first_at, late.last_at, now))
            self._late[node] = (min(first, late.first_at), max(last, late.last_at), now)

    def due(self) -> list[tuple[NodeId, float, float]]:
        """The nodes whose backlog has ended, with the first and last time of its samples. Call `forget` when one is replayed."""
        now, oldest = self._clock.monotonic(), self._clock.now() - MOST_S
        return [(node, max(first, oldest), last) for node, (first, last, at) in self._late.items() if now - at >= QUIET_S]

    def forget(self, node: NodeId) -> None:
        """Forget the backlog of a node, whose episodes are stored."""
        del self._late[node]

    async def find(self, engine: Engine, node: NodeId, start: float, end: float) -> AlertChange:
        """Replay one node. The engine gets the true start of episodes that still fire.

        Returns: rows of the episodes that are over. Raises: StoreError.
        """
        no, facts = self._facts.number(node), self._facts.find(node)
        if no is None or facts is None or end <= start:
            return AlertChange()
        found, _ = await replay(self._samples, no, facts, self._rules.all(), start, end, start)
        over: list[Episode] = []
        for one in found:
            if one.ended_at is None:
                engine.backdate(one.key, one.level, one.since_at)
            elif one.fired_at >= start:
                over.append(one)
        return self._rows(over[:MOST_EPISODES])

    def _rows(self, episodes: Sequence[Episode]) -> AlertChange:
        pairs = [self._row(one) for one in episodes]
        return AlertChange([alert for alert, _ in pairs], [incident for _, incident in pairs])

    def _row(self, one: Episode) -> tuple[Alert, Incident]:
        now = self._clock.now()
        incident = IncidentId(new_time_id(now))
        alert = Alert(
            AlertId(new_time_id(now)), DEFAULT_ORG, one.key.rule, one.key.node, one.key.object, one.level, "resolved", one.since_at,
            one.fired_at, one.ended_at, one.reason, one.value, None, incident, retro=True,
        )  # fmt: skip
        title = title_of("", [alert], Names(self._facts.name, self._rules.get))
        return alert, Incident(incident, DEFAULT_ORG, one.level, "resolved", title, one.since_at, one.ended_at, f"node:{one.key.node}", 0)
