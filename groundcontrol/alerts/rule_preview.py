"""Previews when a rule would have fired, by stored samples or events of the nodes that it selects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.alerts.expression import EventOf, State, parse
from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.model import COOL_DOWN_S, Rule
from groundcontrol.alerts.preview import Episode, replay, replay_events
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.events.model import Event, EventFilter
from groundcontrol.events.store import LogStore
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.store import MetricStore

MOST_NODES: Final = 50
"""The most nodes whose samples a preview reads. A week of a node takes tens of milliseconds."""
MOST_EPISODES: Final = 500
MOST_DAYS: Final = 31
MOST_EVENTS: Final = 2000
MOST_NODES_OF_EVENTS: Final = 2000
PAGE_EVENTS: Final = 500
SLACK_S: Final = 3600.0
"""How much later than the range the samples of a node may begin, since some samples are an hour apart."""
PAGE_NODES: Final = 200


class Preview(NamedTuple):
    episodes: Sequence[tuple[Episode, bool]]
    """Each episode, with whether a channel would have got a message."""
    complete: bool
    """False: there were more nodes, events or episodes than a preview reads, or the samples of a node begin later."""
    covered_s: float
    """The seconds from the first sample of any node to the end of the range; for events, from when the first node was added."""


class RulePreviews:
    """Runs a rule that is not saved over the past."""

    def __init__(self, nodes: NodeStore, metrics: MetricStore, facts: FactReader, log: LogStore) -> None:
        self._nodes = nodes
        self._log = log
        self._metrics = metrics
        self._facts = facts

    async def run(self, scope: Scope, rule: Rule, start: float, end: float, seconds_from: float) -> Preview:
        """Run one rule over the samples or events of [start, end).

        Args:   seconds_from: since when the store has samples of a second.
        Raises: BadRequest: the times are not a range of up to 31 days, or the rule is on a state; StoreError.
        """
        if not 0 < end - start <= MOST_DAYS * 86_400:
            raise BadRequest(f"from and to are a range of at most {MOST_DAYS} days", field="from")
        expression = parse(rule.expr)
        if isinstance(expression, State):
            raise BadRequest("a rule on a state cannot be previewed: the hub keeps no history of states", field="rule.expr")
        if isinstance(expression, EventOf):
            return await self._of_events(scope, rule._replace(enabled=True), expression, start, end)
        nodes, complete = await self._selected(scope, rule, MOST_NODES)
        episodes: list[tuple[Episode, bool]] = []
        began: list[float] = []
        slack_s = min(SLACK_S, (end - start) / 20)
        for node in nodes:
            facts = self._facts.of(node)
            found = await replay(self._metrics, node.no, facts, [rule._replace(enabled=True)], start, end, seconds_from)
            began.append(max(start, node.created_at if found.first_at is None else found.first_at))
            episodes += zip(found.episodes, notified(found.episodes), strict=True)
            if len(episodes) >= MOST_EPISODES:
                complete = False
                break
        complete = complete and all(at <= start + slack_s for at in began)
        return Preview(episodes[:MOST_EPISODES], complete, max(0.0, end - min(began, default=end)))

    async def _of_events(self, scope: Scope, rule: Rule, expression: EventOf, start: float, end: float) -> Preview:
        """Run a rule over events. They are read from `clear_s` before the start, so that earlier alerts continue."""
        only = EventFilter(types=(expression.type,), from_at=start - rule.clear_s, to_at=end)
        events: list[Event] = []
        cursor: str | None = None
        while len(events) < MOST_EVENTS:
            page = await self._log.events(scope, PAGE_EVENTS, cursor, None, only)
            events += page.items
            cursor = page.next
            if cursor is None:
                break
        selected, all_read = await self._selected(scope, rule, MOST_NODES_OF_EVENTS)
        nodes = {node.id: node for node in selected}
        of_node: dict[NodeId | None, list[Event]] = defaultdict(list)
        for event in sorted(events[:MOST_EVENTS], key=lambda one: one.at):
            if not event.retro and (rule.select.all if event.node_id is None else event.node_id in nodes):
                of_node[event.node_id].append(event)
        episodes: list[tuple[Episode, bool]] = []
        for node_id, own in of_node.items():
            tags = () if node_id is None else nodes[node_id].tags
            found = [one for one in replay_events(rule, node_id, tags, own, end) if one.ended_at is None or one.ended_at >= start]
            episodes += zip(found, notified(found), strict=True)
        complete = all_read and cursor is None and len(episodes) <= MOST_EPISODES
        began = min((node.created_at for node in nodes.values()), default=end)
        return Preview(episodes[:MOST_EPISODES], complete and began <= start, end - max(start, began))

    async def _selected(self, scope: Scope, rule: Rule, most: int) -> tuple[list[Node], bool]:
        """At most `most` nodes that the rule selects, and whether these are all of them."""
        chosen: list[Node] = []
        cursor: str | None = None
        while len(chosen) <= most:
            page = await self._nodes.nodes(scope, PAGE_NODES, cursor)
            chosen += [node for node in page.items if rule.select.selects(node.id, node.tags)]
            cursor = page.next
            if cursor is None:
                break
        return chosen[:most], len(chosen) <= most


def notified(episodes: Sequence[Episode]) -> list[bool]:
    """For each episode of a node, whether a channel would have got a message. In the hour after a message, warnings cause no other one."""
    notified_at: float | None = None
    found = []
    for one in episodes:
        sends = one.level == "critical" or notified_at is None or one.fired_at - notified_at >= COOL_DOWN_S
        notified_at = one.fired_at if sends else notified_at
        found.append(sends)
    return found
