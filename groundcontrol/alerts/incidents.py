"""Groups episodes into incidents. `Book` holds the open ones. It makes plans of changes, and applies a plan after it is stored.

An episode may *explain* another one of its node (`PARENTS`): a server that is offline explains that its backup is late. Channels are not
notified of an explained episode. When its explanation has ended, the episode *settles*: it waits for a while, and mostly ends by itself.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.alerts.expression import EventOf, State, parse
from groundcontrol.alerts.model import RANK, Alert, AlertId, Incident, IncidentId, InstanceKey, Rule, RuleId, Transition
from groundcontrol.alerts.states import CHANNEL_BROKEN, HUB_STATES
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from spider.wire.ids import new_time_id

OFFLINE: Final = RuleId("node.offline")
MANY_NODES: Final = 5
"""New episodes of a rule on at least so many nodes become one incident."""
MANY_S: Final = 120.0
"""How long an episode is new."""
ABOUT_THE_HUB: Final = "hub"
"""The group of an incident of the hub itself: its disk, backup, clock, audit log. It holds no alert about anything else."""
OF_NO_NODE: Final = "organisation"
"""The group of an incident of an organisation and no node: a broken channel, or an event that a program reported of no server."""
MASS: Final = "mass_offline"
"""The group of an incident of many servers that became silent together."""
NOTICES: Final = "notices"
"""The prefix of the group of a node's notices (alerts that are shown and never sent).

Notices have an incident of their own: they last for days, and would keep the incident of the node open.
"""
MASS_SHARE: Final = 0.2
"""If at least this share of all nodes is silent, the hub's own network is the likely cause."""
SETTLE_S: Final = 60.0
SETTLE_GRAINS: Final = 2
"""An episode has settled after `SETTLE_S` and this many new values."""
MOST_SETTLE_S: Final = 900.0
"""Without new values an episode has settled after this time: its last value may still be true."""
PARENTS: Final[dict[str, str]] = {"filesystem.space": "filesystem.readonly", "filesystem.inodes": "filesystem.readonly"}
"""Rule -> the rule of the same node that explains its alerts. `node.offline` explains the alerts of all other rules."""


class Names(NamedTuple):
    """Look-ups of the names in titles."""

    node: Callable[[NodeId], str]
    rule: Callable[[RuleId], Rule | None]


class Fleet(NamedTuple):
    """How many nodes there are, and are silent. These numbers tell an outage of many nodes from that of a few."""

    nodes: int
    silent: int = 0
    """How many nodes are silent. Some of them may be silent for too short a time for an alert."""


class Settling(NamedTuple):
    """An episode that settles: its explanation has ended."""

    since_at: float
    """When it began to settle."""
    known_at: float
    """When it was last observed."""
    grains: int = 0
    """How often it has been observed since `since_at`."""


class Plan(NamedTuple):
    """A change of the book."""

    alerts: dict[AlertId, Alert]
    """The episodes that are new or changed."""
    incidents: dict[IncidentId, Incident]
    """The incidents that are new or changed. If the `revision` of one has risen, each channel decides about it."""
    transitions: tuple[tuple[Transition, Alert], ...]
    """The transitions that changed something, each with its episode."""


class Book:
    """The firing episodes and the open incidents."""

    def __init__(self, org: int, alerts: Iterable[Alert] = (), incidents: Iterable[Incident] = ()) -> None:
        self.org = org
        self.load(alerts, incidents)

    def load(self, alerts: Iterable[Alert], incidents: Iterable[Incident]) -> None:
        """Replace the content of the book by stored rows."""
        self.alerts = {alert.id: alert for alert in alerts}
        self.incidents = {incident.id: incident for incident in incidents}
        self._by_key = {key_of(alert): alert.id for alert in self.alerts.values()}
        self._by_node: dict[NodeId | None, set[AlertId]] = defaultdict(set)
        for alert in self.alerts.values():
            self._by_node[alert.node_id].add(alert.id)
        self._settling: dict[AlertId, Settling | None] = {}
        """None: the episode begins to settle at the next call of `settled`."""
        for node in self._by_node:
            self._note_settling(node)

    def _note_settling(self, node: NodeId | None) -> None:
        alerts = self.of_node(node)
        rules = {alert.rule_id for alert in alerts}
        for alert in alerts:
            if alert.suppressed_by and alert.suppressed_by not in rules:
                self._settling.setdefault(alert.id)
            else:
                self._settling.pop(alert.id, None)

    @property
    def is_settling(self) -> bool:
        """Whether `settled` has to be called."""
        return bool(self._settling)

    def settled(self, now: float, known_at: Callable[[InstanceKey], float | None]) -> list[Alert]:
        """The episodes that have settled, with `suppressed_by` empty. Each call counts whether an episode has a new value.

        Args: known_at: gives the time when an instance was last observed, in Unix seconds; None: it is not known.
        """
        found = []
        for alert_id, held in self._settling.items():
            alert = self.alerts[alert_id]
            at = known_at(key_of(alert))
            state = Settling(now, now) if held is None or held.since_at > now else held  # later: the clock was set back
            if at is not None and at > state.known_at:
                state = state._replace(known_at=at, grains=state.grains + 1)
            self._settling[alert_id] = state
            settled_s = now - state.since_at
            if settled_s >= SETTLE_S and (state.grains >= SETTLE_GRAINS or settled_s >= MOST_SETTLE_S):
                found.append(alert._replace(suppressed_by=""))
        return found

    def alert(self, key: InstanceKey) -> Alert | None:
        """The firing episode of an instance; None: there is none."""
        found = self._by_key.get(key)
        return None if found is None else self.alerts[found]

    def of_incident(self, incident: IncidentId) -> list[Alert]:
        """The firing episodes of an incident, worst and oldest first."""
        return worst_first(alert for alert in self.alerts.values() if alert.incident_id == incident)

    def of_node(self, node: NodeId | None) -> list[Alert]:
        """The firing episodes of a node, worst and oldest first. Args: node: None: those of the hub itself, and of events without a node."""
        found = self._by_node.get(node)
        return worst_first(self.alerts[alert] for alert in found) if found else []

    def accept(self, plan: Plan) -> None:
        """Apply a plan that is stored."""
        for alert in plan.alerts.values():
            if alert.state == "firing":
                self.alerts[alert.id] = alert
                self._by_key[key_of(alert)] = alert.id
                self._by_node[alert.node_id].add(alert.id)
            elif self.alerts.pop(alert.id, None) is not None:
                self._by_key.pop(key_of(alert), None)
                self._by_node[alert.node_id].discard(alert.id)
                self._settling.pop(alert.id, None)
        for node in {alert.node_id for alert in plan.alerts.values()}:
            self._note_settling(node)
        for incident in plan.incidents.values():
            if incident.state == "open":
                self.incidents[incident.id] = incident
            else:
                self.incidents.pop(incident.id, None)

    def replace(self, alerts: Iterable[Alert]) -> None:
        """Replace episodes that a user acknowledged or snoozed."""
        for alert in alerts:
            if alert.id in self.alerts:
                self.alerts[alert.id] = alert

    def renew(self, alerts: Sequence[Alert], news: Collection[IncidentId]) -> Plan:
        """A plan that replaces episodes by these. Args: news: the incidents whose `revision` rises, so that channels decide about them."""
        incidents = {one.id: one._replace(revision=one.revision + 1) for one in self.incidents.values() if one.id in news}
        return Plan({alert.id: alert for alert in alerts}, incidents, ())

    def plan(self, transitions: Sequence[Transition], now: float, names: Names, fleet: Fleet) -> Plan:
        """The plan of the changes that these transitions make. Transitions that no longer fit are left out.

        Args: now: Unix seconds. fleet: how many nodes there are, and are silent.
        """
        return _Planner(self, self.org, now, names, fleet).run(transitions)


class _Planner:
    """Makes one plan. What it has changed so far overrides the rows of the book."""

    def __init__(self, book: Book, org: int, now: float, names: Names, fleet: Fleet) -> None:
        self._book = book
        self.org = org
        self._now = now
        self._names = names
        self._fleet = fleet
        self._alerts: dict[AlertId, Alert] = {}
        self._incidents: dict[IncidentId, Incident] = {}
        self._by_key: dict[InstanceKey, Alert] = {}
        self._left: set[IncidentId] = set()
        """Incidents whose episodes have moved to another one."""
        self._news: set[IncidentId] = set()
        """Incidents with a change for channels."""

    def run(self, transitions: Sequence[Transition]) -> Plan:
        changed = []
        for transition in transitions:
            alert = self._apply(transition)
            if alert is not None:
                changed.append((transition, alert))
        for rule in dict.fromkeys(transition.key.rule for transition, _alert in changed if transition.kind == "fired"):
            self._join_many(rule)
        self._suppress()
        used = {alert.incident_id for alert in self._alerts.values()}
        for incident in list(self._incidents.values()):
            if incident.id in used or incident.id in self._book.incidents:
                self._sum_up(incident)
            else:
                del self._incidents[incident.id]  # it was opened for an episode that then joined another incident
        return Plan(self._alerts, self._incidents, tuple((transition, self._alerts[alert.id]) for transition, alert in changed))

    def _current(self, key: InstanceKey) -> Alert | None:
        return self._by_key.get(key) or self._book.alert(key)

    def _firing(self) -> list[Alert]:
        merged = {**self._book.alerts, **self._alerts}
        return [alert for alert in merged.values() if alert.state == "firing"]

    def _apply(self, transition: Transition) -> Alert | None:
        alert = self._current(transition.key)
        if alert is not None and alert.state == "resolved":
            alert = None
        if transition.kind == "fired":
            return self._fire(transition) if alert is None else None
        if alert is None:
            return None  # its start was never stored
        if transition.kind == "resolved":
            return self._put(
                alert._replace(state="resolved", resolved_at=transition.at, reason=transition.reason, stale=False, value=transition.value)
            )
        if transition.kind in ("stale", "fresh"):
            return self._put(alert._replace(stale=transition.kind == "stale"))
        level = transition.level or alert.level
        risen = RANK[level] > RANK[alert.level]
        if risen:
            self._news.add(alert.incident_id)
        return self._put(
            alert._replace(
                level=level,
                value=transition.value,
                threshold=transition.threshold,
                acknowledged_at=None if risen else alert.acknowledged_at,
                snoozed_until=None if risen else alert.snoozed_until,
            )
        )

    def _put(self, alert: Alert) -> Alert:
        self._alerts[alert.id] = self._by_key[key_of(alert)] = alert
        self._touch(alert.incident_id)
        return alert

    def _touch(self, incident: IncidentId) -> None:
        if incident not in self._incidents and incident in self._book.incidents:
            self._incidents[incident] = self._book.incidents[incident]

    def _fire(self, transition: Transition) -> Alert:
        key, level = transition.key, transition.level or "warning"
        incident = self._open(self._group(key), transition.since_at)
        self._news.add(incident.id)
        return self._put(
            Alert(
                *(AlertId(new_time_id(self._now)), self.org, key.rule, key.node, key.object, level, "firing"),
                *(transition.since_at, transition.at, None, None, transition.value, transition.threshold, incident.id),
            )
        )

    def _group(self, key: InstanceKey) -> str:
        if key.node is not None:
            return f"node:{key.node}" if self._causes_messages(key.rule) else f"{NOTICES}:{key.node}"
        rule = self._names.rule(key.rule)
        return ABOUT_THE_HUB if rule is None or is_about_the_hub(rule) else OF_NO_NODE

    def _causes_messages(self, rule: RuleId) -> bool:
        """Whether alerts of a rule are sent. False: they are notices, which are only shown."""
        row = self._names.rule(rule)
        return row is None or not row.notice

    def _open(self, group: str, since_at: float) -> Incident:
        known = {**self._book.incidents, **self._incidents}
        found = next((one for one in known.values() if one.group == group and one.state == "open"), None)
        if found is None:
            found = Incident(IncidentId(new_time_id(self._now)), self.org, "warning", "open", "", since_at, None, group, 0)
        self._incidents[found.id] = found
        return found

    # -- one incident for the same trouble of many nodes ------------------------------------------------

    def _join_many(self, rule: RuleId) -> None:
        """If a rule has new episodes on many nodes, move them into one incident."""
        if not self._causes_messages(rule):
            return  # a notice is never sent, on however many nodes
        fresh = [
            alert
            for alert in self._firing()
            if alert.rule_id == rule and alert.node_id is not None and self._now - alert.fired_at <= MANY_S
        ]
        if not fresh:
            return  # the samples came late, or the episode ended in this very plan
        many = len({alert.node_id for alert in fresh})
        group = f"rule:{rule}"
        if rule == OFFLINE:
            many = max(many, self._fleet.silent)
            if many >= max(MANY_NODES, MASS_SHARE * self._fleet.nodes):
                group = MASS
        known = {**self._book.incidents, **self._incidents}
        is_open = any(one.group == group and one.state == "open" for one in known.values())
        if many < MANY_NODES and not is_open:
            return
        joint = self._open(group, min(alert.since_at for alert in fresh))
        for alert in fresh:
            if alert.incident_id != joint.id:
                self._touch(alert.incident_id)
                self._left.add(alert.incident_id)
                self._alerts[alert.id] = self._by_key[key_of(alert)] = alert._replace(incident_id=joint.id)
        self._news.add(joint.id)

    # -- suppression ---------------------------------------------------------------------------------

    def _suppress(self) -> None:
        """Set `suppressed_by` of episodes that an earlier episode of their node explains. `Book.settled` ends it."""
        by_node: dict[NodeId, list[Alert]] = defaultdict(list)
        touched = {alert.node_id for alert in self._alerts.values() if alert.node_id is not None}
        for alert in self._firing():
            if alert.node_id is not None and alert.node_id in touched:
                by_node[alert.node_id].append(alert)
        for alerts in by_node.values():
            begins: dict[str, float] = {alert.rule_id: alert.since_at for alert in sorted(alerts, key=lambda alert: -alert.since_at)}
            for alert in alerts:
                parent = parent_of(alert, begins)
                if parent and parent != alert.suppressed_by:
                    self._put(alert._replace(suppressed_by=parent))

    # -- an incident from its episodes -------------------------------------------------------------------

    def _sum_up(self, incident: Incident) -> None:
        firing = worst_first(alert for alert in self._firing() if alert.incident_id == incident.id)
        firing = [alert for alert in firing if self._causes_messages(alert.rule_id)] or firing
        if not firing:
            ended = [alert.resolved_at for alert in self._alerts.values() if alert.incident_id == incident.id and alert.resolved_at]
            news = bool(ended) or incident.id not in self._left  # if its episodes continue in another incident, this end is not sent
            over = incident._replace(state="resolved", resolved_at=max(ended, default=self._now), revision=incident.revision + news)
            self._incidents[incident.id] = over
            return
        self._incidents[incident.id] = incident._replace(
            level=firing[0].level,
            title=title_of(incident.group, firing, self._names, self._fleet.silent if incident.id in self._news else 0),
            revision=incident.revision + (incident.id in self._news),
        )


def parent_of(alert: Alert, begins: Mapping[str, float]) -> str:
    """The rule that explains an alert; empty: there is none. A rule explains no alert that fired before the trouble of the rule began.

    Args: begins: firing rule of the same node -> when its trouble began, in Unix seconds.
    """
    parents = (OFFLINE if alert.rule_id != OFFLINE else "", PARENTS.get(alert.rule_id, ""))
    return next((rule for rule in parents if begins.get(rule, math.inf) <= alert.fired_at), "")


def key_of(alert: Alert) -> InstanceKey:
    return InstanceKey(alert.rule_id, alert.node_id, alert.object)


def worst_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Alerts in the order of titles, messages and lists: critical before warning, unexplained before explained, then the newest first."""
    return sorted(alerts, key=lambda alert: (-RANK[alert.level], bool(alert.suppressed_by), -alert.fired_at))


def is_of_event(rule: Rule) -> bool:
    """Whether alerts of a rule are about events. An event may concern neither a node nor the hub."""
    return rule.expr.lstrip().startswith("event")


def is_about_the_hub(rule: Rule) -> bool:
    """Whether a rule is about the hub itself, which all organisations share. A broken channel is its organisation's own."""
    try:
        expression = parse(rule.expr)
    except BadRequest:  # another version of the hub stored it
        return False
    match expression:
        case State(kind=kind):
            return kind in HUB_STATES and kind != CHANNEL_BROKEN
        case EventOf(type=type_):
            return type_.startswith("hub_")
    return False


def last_title(incident: Incident, episodes: Iterable[Alert], names: Names) -> str:
    """The title of an incident that is over. It counts each instance once.

    Args: episodes: all episodes of the incident. Notices do not count; if there is nothing else, the title stays.
    """
    objects = {key_of(alert): alert for alert in reversed(worst_first(episodes))}
    notified = [alert for alert in objects.values() if (row := names.rule(alert.rule_id)) is None or not row.notice]
    if incident.group == MASS and notified:
        count = len({alert.node_id for alert in notified})
        return f"{count} servers were offline" if count > 1 else "1 server was offline"
    return title_of(incident.group, worst_first(notified), names) if notified else incident.title


def title_of(group: str, firing: Sequence[Alert], names: Names, silent: int = 0) -> str:
    """One line: where, what, and how many other episodes.

    Args: silent: the number of silent nodes, if an outage has just begun. Some of them fire a moment later.
    """
    first = worst_first(firing)[0]
    rule = names.rule(first.rule_id)
    what = (rule.name if rule is not None else first.rule_id) + (f" ({first.object})" if first.object else "")
    nodes = {alert.node_id for alert in firing if alert.node_id is not None}
    if group == MASS:
        count = max(len(nodes), silent)
        if count == 1:  # a reader with limits may see one server of a joint outage
            return f"{what} on 1 server"
        return f"{count} servers are offline: look at the network of the hub first"
    if len(nodes) > 1:
        return f"{what} on {len(nodes)} servers"
    more = f" and {len(firing) - 1} more" if len(firing) > 1 else ""
    if first.node_id is None and rule is not None and is_of_event(rule):
        return what + more  # a program reported an event of no server
    where = "hub" if first.node_id is None else names.node(first.node_id)
    return f"{where}: {what}{more}"
