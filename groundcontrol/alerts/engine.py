"""The engine of alerts. It takes samples, facts and events, and gives transitions. It does no I/O and has no clock.

A family is a group of metrics that a node measures together. Its samples are collected in buckets of at least ten seconds. When a bucket
ends, the engine judges the conditions on these metrics, at the time of the samples. So the same samples give the same transitions, however
they are divided into packs. `tick` judges states and events at the hub's time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from groundcontrol.alerts.expression import EventOf, State
from groundcontrol.alerts.families import OTHERS, Family, NodeState, Range, Waiting, width_of
from groundcontrol.alerts.machine import Arm, Change, Flapping, Instance, Limits, Observation, step
from groundcontrol.alerts.model import EVENT_VALUES, Alert, InstanceKey, Reason, Rule, RuleId, Transition
from groundcontrol.alerts.ruleset import Effective, Item, Key, RuleBook
from groundcontrol.alerts.snapshot import HeldInstance, Snapshot, restored
from groundcontrol.alerts.states import HUB_STATES, NODE_STATES, STATES, HubInfo, NodeFacts, ObjectState, count_restarts, states_of
from groundcontrol.core.ids import NodeId
from groundcontrol.events.model import Severity
from groundcontrol.samples.model import SeriesSchema, StoredRow
from groundcontrol.schedules.model import Level
from spider.wire.sample_messages import Row

PACE_S: Final = 10
"""The states of each node are judged again after this many seconds. `tick` is called every second."""
CALM_S: Final = 60.0
"""As `PACE_S`, for a node whose facts have not changed and that has no pending or firing instance."""
GONE_S: Final = 600.0
"""An alert on a metric ends when its node has sent samples without the object for this long."""
STALE_S: Final = 180.0
"""A firing instance is stale if it has had no value for this long, and for three of its usual intervals."""
BACK_S: Final = 60.0
"""If the hub's clock was set back by more than this, instances and windows do not wait until it has the former time again."""
AHEAD_MS: Final = 60_000
"""Samples further ahead of the hub's clock are ignored until the skew of the node's clock is known."""
OWN_EVENTS: Final = "alert_"
"""The prefix of the types of events about alerts. A rule on them would fire because of itself, without end."""
SKEW_S: Final = 30.0
"""If a node's clock is wrong by more than this, the skew is subtracted from the times of its samples."""


class Engine:
    """The states of all instances of all nodes. The key None stands for the hub itself."""

    def __init__(self) -> None:
        self._book = RuleBook(())
        self._nodes: dict[NodeId | None, NodeState] = {None: NodeState(None, self._book.rules_of(None, ()))}
        self._queue: deque[NodeId] = deque()
        self._hub = HubInfo()
        self._started_at = 0.0
        self._now = 0.0
        self._restored_at = 0.0
        """The time of the snapshot that was restored; 0 after the first tick."""
        self._out: list[Transition] = []
        self.is_clock_steady = True
        """False: the hub's clock jumped a short time ago, so states by the wall clock are not known."""
        self.has_all_events = True
        """False: stored events were missed, so it is not known which have not come again."""

    # -- input -------------------------------------------------------------------------------------

    def set_rules(self, rules: Sequence[Rule]) -> Mapping[RuleId, str]:
        """Replace the rules. Each node takes the new ones at its next turn. Returns: invalid rules, each with its fault."""
        self._book = RuleBook(rules)
        return self._book.faults

    def set_node(self, facts: NodeFacts, now: float | None = None) -> None:
        """Add a node, or replace its facts. If its clock is wrong, the times of its later samples are corrected (`SKEW_S`).

        Args: now: as in `count_restarts`.
        """
        node = self._nodes.get(facts.id)
        if node is None:
            node = self._nodes[facts.id] = NodeState(NodeFacts(facts.id, facts.tags), self._book.rules_of(facts.id, facts.tags))
            self._queue.append(facts.id)
        before, retagged = node.facts, node.tags != facts.tags
        facts = facts if before is None else count_restarts(before, facts, now)
        if facts != before:
            node.facts = facts
        if retagged:
            self._renew_rules(facts.id, node)
        skew_s = facts.clock_skew_s
        if skew_s is not None and abs(skew_s - node.offset_ms / 1000) > SKEW_S:
            node.offset_ms = round(skew_s * 1000) if abs(skew_s) > SKEW_S else 0

    def knows(self, node_id: NodeId) -> bool:
        """Whether the node was added."""
        return node_id in self._nodes

    def offset_s(self, node_id: NodeId) -> float:
        """The skew that is subtracted from the times of a node's samples, in seconds; 0: its clock is right, or the node is unknown."""
        node = self._nodes.get(node_id)
        return 0.0 if node is None else node.offset_ms / 1000

    def remove_node(self, node_id: NodeId) -> None:
        """Forget a node, and end its alerts."""
        node = self._nodes.pop(node_id, None)
        if node is not None:
            self._queue.remove(node_id)
            for key in list(node.instances):
                self._end(node_id, node, key, "node_removed", self._now)

    def set_hub(self, facts: HubInfo) -> None:
        """Replace the facts of the hub itself."""
        self._hub = facts

    def add_event(self, node_id: NodeId | None, kind: str, about: str, at: float, severity: Severity = "error") -> None:
        """Add an event. Rules with `event(kind)` fire until `clear_s` after the last such event. Events of unknown nodes are ignored.

        Args: about: the object. at: Unix seconds. severity: gives the value that thresholds are compared with (`EVENT_VALUES`).
        """
        node = self._nodes.get(node_id)
        if node is not None and not kind.startswith(OWN_EVENTS):
            for rule in self._current(node_id, node).rules.events.get(kind, ()):
                if isinstance(rule.expression, EventOf) and rule.expression.name in ("", about):
                    held = node.instances.get((rule.rule.id, about))
                    when = at if held is None else max(at, held.known_at)
                    self._observe(node_id, node, (rule.rule.id, about), rule.limits, Observation(EVENT_VALUES[severity]), when)

    def add_rows(self, node_id: NodeId, layout: SeriesSchema, rows: Sequence[Row] | Sequence[StoredRow]) -> int:
        """Add samples of one family, oldest first. Ignored are samples of unknown nodes, those too far ahead (`AHEAD_MS`), and late ones.

        A sample is late if it is not newer than all earlier ones. `take_late` gives the times of late samples.

        Returns: the number of late samples.
        """
        node = self._nodes.get(node_id)
        if node is None or not rows:
            return 0
        family = node.families.get(layout.family)
        if family is None or family.layout is not layout or node.rules.book is not self._book or family.plan.rules is not node.rules:
            family = self._bind(node_id, node, layout, rows[0].taken_at_ms - node.offset_ms)
        offset_ms, newest_ms, pick, append = node.offset_ms, family.newest_ms, family.plan.pick, family.rows.append
        end_ms, late = family.open_until_ms, 0
        for at_ms, values in rows:
            sample_ms = at_ms - offset_ms
            if newest_ms < sample_ms < end_ms:
                append(pick(values))
                newest_ms = sample_ms
            elif sample_ms <= newest_ms:
                late += 1
                node.note_late(sample_ms)
            elif self._now and sample_ms > self._now * 1000 + AHEAD_MS:
                break
            elif family.slow:
                append(pick(values))
                newest_ms = family.newest_ms = sample_ms
                self._close(node_id, node, family, sample_ms)
            else:
                if family.rows:
                    self._close(node_id, node, family, end_ms)
                append(pick(values))
                newest_ms = sample_ms
                end_ms = family.open_until_ms = (sample_ms // family.width_ms + 1) * family.width_ms
        family.newest_ms = newest_ms
        return late

    def tick(self, now: float) -> list[Transition]:
        """Judge the states of some nodes. With a call every second each node is judged every `PACE_S`.

        Args:    now: Unix seconds.
        Returns: the transitions since the last call of `tick` or `take`, in order.
        """
        if 0 < now < max(self._now, self._restored_at) - BACK_S:
            self._started_at = min(self._started_at, now)
            for node in self._nodes.values():
                node.set_back(now)
        self._now, self._restored_at = now, 0.0
        self._started_at = self._started_at or now
        for _ in range(-(-len(self._queue) // PACE_S)):
            node_id = self._queue[0]
            self._queue.rotate(-1)
            self._inspect(node_id, self._nodes[node_id], now)
        self._inspect(None, self._nodes[None], now)
        return self.take()

    @property
    def is_calm(self) -> bool:
        """Whether `tick` would find nothing now: all facts were judged, no condition is present, and nothing waits for `take`."""
        unsettled = any(node.instances or node.facts is not node.judged[0] for node in self._nodes.values())
        return bool(self._now) and not self._out and not unsettled

    def take(self) -> list[Transition]:
        """The transitions since the last call of `tick` or `take`, in order."""
        out, self._out = self._out, []
        return out

    def take_late(self) -> Mapping[NodeId, Range]:
        """Node -> the times of its late samples since the last call."""
        found = {node_id: node.late for node_id, node in self._nodes.items() if node_id is not None and node.late is not None}
        for node_id in found:
            self._nodes[node_id].late = None
        return found

    def backdate(self, key: InstanceKey, level: Level, since_at: float) -> bool:
        """Move the start of a present condition back, since late samples show that it began earlier.

        A pending condition may then fire at its next sample.

        Returns: whether the condition is present.
        """
        node = self._nodes.get(key.node)
        state = None if node is None else node.instances.get((key.rule, key.object))
        if node is None or state is None:
            return False
        since = since_at if state.level is None else min(state.since_at, since_at)
        warning = _earlier(state.warning, since_at)
        critical = _earlier(state.critical, since_at) if level == "critical" else state.critical
        node.instances[key.rule, key.object] = state._replace(since_at=since, warning=warning, critical=critical)
        return True

    # -- restart -----------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The state that `restore` needs besides the alerts."""
        instances: list[HeldInstance] = []
        flaps: list[tuple[InstanceKey, Flapping]] = []
        for node_id, node in self._nodes.items():
            instances += [HeldInstance(_full(node_id, key), state) for key, state in node.instances.items()]
            flaps += [(_full(node_id, key), flap) for key, flap in node.flaps.items()]
        nodes = [(node_id, node) for node_id, node in self._nodes.items() if node_id is not None]
        marks = {node_id: {name: family.closed_ms / 1000 for name, family in node.families.items()} for node_id, node in nodes}
        waiting = {node_id: tuple(node.waiting) for node_id, node in nodes if node.waiting}
        return Snapshot(self._now, tuple(instances), marks, waiting, tuple(flaps))

    def restore(self, alerts: Sequence[Alert], snapshot: Snapshot) -> None:
        """Continue from the state of another engine. Call it after rules and nodes are set, and before any samples are added.

        Alerts whose rule or node is gone end.

        Args: alerts: firing ones, and those that ended after the snapshot. They override the snapshot.
        """
        self._restored_at = snapshot.at
        for node_id, node in self._nodes.items():
            if node_id is not None:
                node.marks, node.marked_at = snapshot.marks.get(node_id, {}), snapshot.at
                node.waiting.extend(snapshot.waiting.get(node_id, ()))
        states = {one.key: one.state for one in snapshot.instances}
        ascending = sorted(alerts, key=lambda alert: alert.fired_at)
        stored = {InstanceKey(alert.rule_id, alert.node_id, alert.object): alert for alert in ascending}
        for full in {**states, **stored}:
            state = restored(states.get(full), stored.get(full))
            owner = self._nodes.get(full.node)
            if state is not None and owner is not None and full.rule in self._current(full.node, owner).rules.by_id:
                owner.instances[full.rule, full.object] = state
            elif state is not None and state.level is not None:
                at = max(snapshot.at, state.known_at)
                reason = "node_removed" if owner is None else self._book.why_gone(full.rule, full.node, owner.tags)
                self._out.append(Transition(full, "resolved", None, at, state.since_at, state.value, None, reason))
        for full, flap in snapshot.flapping:
            if full.node in self._nodes:
                self._nodes[full.node].flaps[full.rule, full.object] = flap

    # -- output ------------------------------------------------------------------------------------

    def effective(self, node_id: NodeId) -> list[Effective]:
        """The rules that select a node, with their overrides applied. Disabled rules are included. Empty: the node is unknown."""
        node = self._nodes.get(node_id)
        return [] if node is None else self._book.effective(node_id, node.tags)

    def history_s(self) -> Mapping[str, int]:
        """Metric -> how many seconds of its past the rules need, at most."""
        return self._book.history_s()

    def flapping(self, key: InstanceKey) -> Flapping | None:
        """The recent changes of an instance; None: there is none."""
        node = self._nodes.get(key.node)
        return None if node is None else node.flaps.get((key.rule, key.object))

    def known_at(self, key: InstanceKey) -> float | None:
        """When an instance was last observed, in Unix seconds; None: it has no state."""
        node = self._nodes.get(key.node)
        held = None if node is None else node.instances.get((key.rule, key.object))
        return None if held is None else held.known_at

    def value(self, key: InstanceKey) -> float | None:
        """The present value of an instance; None: it is not known, or no enabled rule of this id selects the node."""
        node = self._nodes.get(key.node)
        rule = None if node is None else self._current(key.node, node).rules.by_id.get(key.rule)
        if node is None or rule is None:
            return None
        if isinstance(rule.expression, State):
            return next(
                (one.value for one in self._states_of(node, rule.expression.kind, (key.object,), self._now) if one.about == key.object),
                None,
            )
        for name, family in node.families.items():
            item = family.plan.items.get((key.rule, key.object))
            if item is not None:
                waiting = Waiting(name, item.key, family.closed_ms, node.read(family.windows, item))
                seen = item.judge(node.read_others(item, waiting), item.numbers, key.object)
                return None if seen is None else seen.value
        held = node.instances.get((key.rule, key.object))
        return None if held is None else held.value

    def is_back(self, key: InstanceKey) -> bool:
        """Whether a firing alert on a state is about to end: its value is back, and its rule ends an alert at once."""
        node = self._nodes.get(key.node)
        rule = None if node is None else self._current(key.node, node).rules.by_id.get(key.rule)
        held = None if node is None else node.instances.get((key.rule, key.object))
        if (
            node is None
            or rule is None
            or held is None
            or held.level is None
            or not isinstance(rule.expression, State)
            or rule.limits.clear_s
        ):
            return False
        states = self._states_of(node, rule.expression.kind, (key.object,), self._now)
        value = next((one.value for one in states if one.about == key.object and not one.is_least), None)
        return (
            value is not None
            and not rule.limits.lasts("warning", Observation(value))
            and not rule.limits.lasts("critical", Observation(value))
        )

    # -- judging -----------------------------------------------------------------------------------

    def _current(self, node_id: NodeId | None, node: NodeState) -> NodeState:
        """The node, after it has taken the present rules."""
        if node.rules.book is not self._book:
            self._renew_rules(node_id, node)
        return node

    def _renew_rules(self, node_id: NodeId | None, node: NodeState) -> None:
        """Take the present rules of a node. Alerts of rules that no longer select it end; the other states stay."""
        node.rules = self._book.rules_of(node_id, node.tags)
        for key in [key for key in node.instances if key[0] not in node.rules.by_id]:
            self._end(node_id, node, key, self._book.why_gone(key[0], node_id, node.tags), self._now)

    def _bind(self, node_id: NodeId, node: NodeState, layout: SeriesSchema, at_ms: int) -> Family:
        """Prepare a family for a layout (the list of its series) or for new rules. Args: at_ms: the time of the next sample."""
        rules = self._current(node_id, node).rules
        plan = rules.plan(layout, width_of(layout))
        family = node.families.get(layout.family)
        if family is None:
            mark_ms = round(node.marks.get(layout.family, node.marked_at) * 1000)
            family = node.families[layout.family] = Family(layout, plan, mark_ms)
        elif family.rows and not (family.plan is plan and family.layout.interval_s == layout.interval_s):
            family.fold(family.open_until_ms, node.cores)
        family.apply_plan(layout, plan, node.windows)
        for key, held in list(node.instances.items()):
            if rules.by_id[key[0]].family == layout.family:
                if key in plan.items:
                    family.missing_since.pop(key, None)
                elif held.level is None:
                    del node.instances[key]
                else:
                    family.missing_since.setdefault(key, at_ms / 1000)
        return family

    def _close(self, node_id: NodeId, node: NodeState, family: Family, end_ms: int) -> None:
        """Close the open bucket, and judge the conditions of the family. Args: end_ms: the end of the bucket."""
        family.fold(end_ms, node.cores)
        family.closed_ms = end_ms
        if end_ms <= family.mark_ms:
            return
        windows, instances = family.windows, node.instances
        for first, bound, above, item in family.plan.gates:
            value = windows[first].value()
            if value is None or ((value <= bound if above else value >= bound) and item.key not in instances):
                continue
            values = node.read(windows, item)
            if item.others:
                node.waiting.append(Waiting(family.layout.family, item.key, end_ms, values))
            else:
                self._judge(node_id, node, item, values, end_ms)
        while node.waiting and node.is_ready(node.waiting[0]):
            waiting = node.waiting.popleft()
            about = node.item_of(waiting)
            if about is not None:
                self._judge(node_id, node, about, node.read_others(about, waiting), waiting.at_ms)
        for key, since_at in list(family.missing_since.items()):
            if key not in node.instances:
                del family.missing_since[key]
            elif end_ms / 1000 - since_at >= GONE_S:
                self._end(node_id, node, key, "object_gone", end_ms / 1000)

    def _judge(self, node_id: NodeId, node: NodeState, item: Item, values: Sequence[float | None], at_ms: int) -> None:
        seen = item.judge(values, item.numbers, item.key[1])
        if seen is None:
            return
        if (seen.value <= item.bound if item.limits.above else seen.value >= item.bound) and item.key not in node.instances:
            return
        self._observe(node_id, node, item.key, item.limits, seen, at_ms / 1000)

    def _inspect(self, node_id: NodeId | None, node: NodeState, now: float) -> None:
        """Judge the states of a node, end old events, and mark stale instances."""
        rules = self._current(node_id, node).rules
        if node.facts is node.judged[0] is not None and not node.instances and now - node.judged[1] < CALM_S:
            return
        node.judged = node.facts, now
        for rule, kind in rules.states:
            held = [key[1] for key in node.instances if key[0] == rule.rule.id and key[1] != OTHERS]
            for about, value, since_at, end, applies, is_least in self._states_of(node, kind, held, now):
                seen = Observation(value, since_at=since_at) if applies else Observation(value, None, None, since_at)
                if is_least and not (rule.limits.starts("warning", seen) or rule.limits.starts("critical", seen)):
                    continue
                if (rule.rule.id, about) in node.again and STATES[kind].by_wall_clock:
                    seen = node.judged_again((rule.rule.id, about), rule.limits, seen)
                self._observe(node_id, node, (rule.rule.id, about), rule.limits, seen, now, end)
        for key, state in list(node.instances.items()):
            rule = rules.by_id[key[0]]
            if isinstance(rule.expression, EventOf):
                if not self.has_all_events or (node.facts is not None and node.facts.is_away):
                    continue  # whether it came again is not known
                self._observe(node_id, node, key, rule.limits, Observation(0.0), now, "not_repeated")
            elif key[1] == OTHERS and self._has_no_others(node, rule, state, now):
                self._end(node_id, node, key, "cleared", now)
            elif state.level is not None and not state.stale and self._is_old(state.known_at, rule.limits):
                node.instances[key] = state._replace(stale=True)
                self._emit(node_id, key, Change("stale", state.level, state.since_at, None), now, state.value)
        for key in [key for key, flap in node.flaps.items() if flap.over(now)]:
            del node.flaps[key]

    def _has_no_others(self, node: NodeState, rule: Effective, others: Instance, now: float) -> bool:
        """Whether the source of a rule is known, and no instance beyond the limits was observed for a while."""
        if isinstance(rule.expression, State):
            return self._is_old(others.known_at, rule.limits) and self._is_read(node, rule.expression.kind, now)
        family = node.families.get(rule.family)
        return family is not None and family.closed_ms / 1000 - others.known_at > max(STALE_S, 3 * rule.limits.pace_s)

    def _is_read(self, node: NodeState, kind: str, now: float) -> bool:
        """Whether the values of a state are known."""
        if node.facts is None:
            return HUB_STATES[kind].read(self._hub, now) is not None
        state = NODE_STATES[kind]
        return state.read(node.facts, now) is not None and not (state.is_least and state.is_least(node.facts, now))

    def _is_old(self, at: float, limits: Limits) -> bool:
        """Whether a value of this time is stale. Times before the engine's start count as the start."""
        return self._now - max(at, self._started_at) > max(STALE_S, 3 * limits.pace_s)

    def _states_of(self, node: NodeState, kind: str, held: Sequence[str], now: float) -> Iterator[ObjectState]:
        if node.facts is None:
            of_hub = HUB_STATES[kind]
            return iter(()) if of_hub.by_wall_clock and not self.is_clock_steady else states_of(of_hub, self._hub, held, now)
        of_node = NODE_STATES[kind]
        return iter(()) if of_node.by_wall_clock and not self.is_clock_steady else states_of(of_node, node.facts, held, now)

    def _observe(
        self, node_id: NodeId | None, node: NodeState, key: Key, limits: Limits, seen: Observation, at: float, end: Reason = "cleared"
    ) -> None:
        """Apply an observation to an instance. Args: end: the reason if its alert ends."""
        held = node.instances.get(key)
        after, changes = step(held, seen, limits, at)
        if (
            key[1] != OTHERS
            and after is not None
            and node.is_beyond(key, [change.level for change in changes if change.kind == "fired"], self._now)
        ):
            self._observe(node_id, node, (key[0], OTHERS), limits, seen, at, end)
            return
        if after is not None and changes and changes[0].kind == "fresh" and self._is_old(at, limits):
            after, changes = after._replace(stale=True), changes[1:]
        if after is not None:
            node.instances[key] = after
        elif held is not None:
            del node.instances[key]
        for change in changes:
            if change.kind in ("fired", "level", "resolved"):
                node.flaps[key] = node.flaps.get(key, Flapping()).changed(at)
            self._emit(node_id, key, change, at, seen.value, end if change.kind == "resolved" else None)

    def _end(self, node_id: NodeId | None, node: NodeState, key: Key, reason: Reason, at: float) -> None:
        """End an instance whose condition can no longer be judged."""
        state = node.instances.pop(key)
        if state.level is not None:
            self._emit(node_id, key, Change("resolved", None, state.since_at, None), at, state.value, reason)

    def _emit(self, node_id: NodeId | None, key: Key, change: Change, at: float, value: float, reason: Reason | None = None) -> None:
        self._out.append(Transition(_full(node_id, key), change.kind, change.level, at, change.since_at, value, change.threshold, reason))


def _full(node_id: NodeId | None, key: Key) -> InstanceKey:
    return InstanceKey(key[0], node_id, key[1])


def _earlier(arm: Arm | None, since_at: float) -> Arm | None:
    return arm if arm is None or arm.since_at <= since_at else Arm(since_at, arm.held_s + arm.since_at - since_at)
