"""The task that moves roll-outs, begins occurrences, gives notice and reports. It keeps nothing in memory that a restart could lose."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Final, TypeVar

from groundcontrol.core.bus import Bus, Changed, Interest, JobPoke
from groundcontrol.core.errors import Conflict, HubError, NotFound
from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.stores import Stores
from groundcontrol.nodes.interfaces import NodeHealth, Presence
from groundcontrol.nodes.looks import LookWish
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.calendar import Span, ZoneUnknown, local_text
from groundcontrol.policies.choosing import choose
from groundcontrol.policies.model import LATE_S, SHORTEST_S, Occurrence, Pair, PatchPolicy
from groundcontrol.policies.preview import place_of
from groundcontrol.policies.service import all_nodes, own_machine_id
from groundcontrol.policies.store import PatchWindowStore, PolicyStore, Told
from groundcontrol.policies.windows import Open, PatchWindow, allowed
from groundcontrol.rollouts.beginning import of_occurrence, targets_of
from groundcontrol.rollouts.evidence import Evidence
from groundcontrol.rollouts.facts import RolloutFacts, Shared
from groundcontrol.rollouts.looks import STEP_S
from groundcontrol.rollouts.model import ENDED, Facts, Rollout, RolloutId, Stepped, Target, Tell, shifted, with_phases
from groundcontrol.rollouts.occurrences import Due, due_now, missed_in_row
from groundcontrol.rollouts.report import report_words
from groundcontrol.rollouts.step import step
from groundcontrol.rollouts.store import Begin, Keyed, RolloutStore
from spider.clock import Clock
from spider.logs import event
from spider.wire.ids import new_time_id

log = logging.getLogger(__name__)

T = TypeVar("T")
SWEEP_S: Final = 1.0
LOOK_TTL_S: Final = 20.0
MOST_PAIRS: Final = 5000
PAST_S: Final = 40 * 86_400.0


class RolloutService:
    """Moves roll-outs once a second. Two hubs may do it at the same time: each move is stored once."""

    def __init__(
        self, stores: Stores, bus: Bus, clock: Clock, facts: RolloutFacts, presence: Presence, health: NodeHealth, evidence: Evidence
    ) -> None:
        self._stores = stores
        self._bus = bus
        self._clock = clock
        self._facts = facts
        self._presence = presence
        self._health = health
        self._evidence = evidence
        self._offsets: dict[RolloutId, float] = {}
        """Roll-out -> how far the wall clock was ahead of the monotonic one at its last move. Without it, a clock that was set is not noticed."""
        self.own_machine = own_machine_id()

    async def run(self) -> None:
        """Move roll-outs until cancelled."""
        while True:
            await self.sweep()
            await self._clock.sleep(SWEEP_S)

    async def sweep(self) -> None:
        """One look at all policies and roll-outs. One that fails stops none of the others."""
        for policy in await self._list(self._stores[PolicyStore].of_every_org) or ():
            await self._guard("policy", policy.id, lambda policy=policy: self._begin_due(policy))  # type: ignore[misc]  # bound now
        moving: dict[int, list[Rollout]] = {}
        live = await self._list(self._stores[RolloutStore].live_rollouts)
        if live is None:
            return  # what is looked at stays so
        for rollout in live:
            if rollout.state != "ready":
                moving.setdefault(rollout.org, []).append(rollout)
        self._offsets = {one.id: self._offsets[one.id] for one in live if one.id in self._offsets}
        await self._guard("looks", "all", lambda: self._evidence.keep(looked_at(live)))
        for org, rollouts in moving.items():
            await self._guard("organisation", str(org), lambda org=org, rollouts=rollouts: self._move_all(org, rollouts))  # type: ignore[misc]  # bound now

    async def _list(self, read: Callable[[], Awaitable[Sequence[T]]]) -> Sequence[T] | None:
        """None: the store cannot be read."""
        try:
            return await read()
        except HubError as exc:
            event(log, "rollouts_store_failed", logging.WARNING, error=exc.code)
            return None

    async def _guard(self, what: str, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Conflict:
            return  # somebody else has moved it meanwhile: the next look reads it again
        except HubError as exc:
            event(log, "rollout_failed", logging.WARNING, what=what, id=name, error=exc.code)
        except Exception:  # the boundary: a bug that one policy or roll-out hits must not stop the others
            event(log, "rollout_failed", logging.ERROR, exc_info=True, what=what, id=name)

    # -- roll-outs -------------------------------------------------------------------------------

    async def _move_all(self, org: int, rollouts: Sequence[Rollout]) -> None:
        shared = await self._facts.shared(org, rollouts)
        for rollout in rollouts:
            await self._guard("rollout", rollout.id, lambda rollout=rollout: self._move(rollout, shared))  # type: ignore[misc]  # bound now

    async def _move(self, rollout: Rollout, shared: Shared) -> None:
        facts = await self._facts.read(rollout, shared)
        watched = tuple(one.node for one in rollout.targets if one.state == "running")
        if watched:
            self._bus.publish(Interest(watched, LOOK_TTL_S))  # their samples come at once
        now = self._clock.now()
        offset = now - self._clock.monotonic()
        set_by_s = offset - self._offsets.get(rollout.id, offset)
        counted = shifted(rollout, set_by_s) if abs(set_by_s) > STEP_S else rollout
        await self.store(hub_scope(rollout.org), rollout, step(counted, facts, now))
        self._offsets[rollout.id] = offset  # only now: a move that was not stored is repeated from the old times

    async def facts_of(self, rollout: Rollout) -> Facts:
        return await self._facts.read(rollout)

    async def store(self, scope: Scope, before: Rollout, after: Stepped) -> Rollout:
        """Store a move and tell everybody. Raises: Conflict: it has moved meanwhile; StoreError."""
        if after.rollout == before and not after.commands:
            return before
        if after.rollout.state in ENDED and before.state not in ENDED:
            told = Tell("patch_report", {"rollout": after.rollout.id, "name": after.rollout.name, "why": report_words(after.rollout)})
            after = Stepped(after.rollout._replace(reported=True), (*after.commands, told))
        after = Stepped(with_phases(before, after.rollout, self._clock.now()), after.commands)
        saved = await self._stores[RolloutStore].save_rollout(scope, before, after)
        self._bus.publish(Changed("rollout", saved.rollout.id, saved.rollout.version, scope.org))
        for node, version in saved.nodes:
            self._bus.publish(Changed("node", node, version, scope.org))
        for job in saved.jobs:
            self._bus.publish(Changed("job", job, 1, scope.org))
        if saved.jobs:
            self._bus.publish(JobPoke(tuple(JobId(job) for job in saved.jobs)))
        if saved.rollout.state == "stopped" and saved.rollout.policy_id and saved.rollout.stopped_by == "gate":
            await self._stores[PolicyStore].pause_policy(saved.rollout.org, saved.rollout.policy.id, "stopped")
        return saved.rollout

    # -- occurrences -----------------------------------------------------------------------------

    async def _begin_due(self, policy: PatchPolicy) -> None:
        now = self._clock.now()
        if not policy.fires:
            return
        store = self._stores[PolicyStore]
        if policy.considered_at > now + LATE_S:
            await store.rewind_policy(policy.org, policy.id)
            return
        if not await store.may_act(policy.org, policy.owner_id, "patch.run", NodeId(""), (), 0.0):
            why = f"its owner {policy.owner} may not run it any more; an admin must take it over"
            await store.pause_policy(policy.org, policy.id, "owner", {"name": policy.name, "why": why, "policy": policy.id})
            return
        try:
            stored = await store.occurrences(policy.org, policy.id, min(policy.considered_at, now) - PAST_S)
            for due in due_now(policy, stored, now):
                await self._decide(policy, due, now)
        except ZoneUnknown:
            event(log, "policy_zone_unknown", logging.WARNING, policy=policy.id, zone=policy.times.zone)
        if policy.node_missed == "when_back":
            await self._begin_for_returned(policy, now)

    async def _begin_for_returned(self, policy: PatchPolicy, now: float) -> None:
        """Nodes that were away at the last time are patched once they are back, inside their windows."""
        scope = hub_scope(policy.org)
        page = await self._stores[RolloutStore].rollouts(scope, 1, None, policy.id)
        missed = {
            one.node
            for last in page.items
            if last.state == "expired" and (policy.approval == "none" or policy.changed_at <= last.made_at)  # an edit voids the approval
            for one in last.targets
            if one.state == "not_started" and one.away
        }
        if not any(self._presence.online(node) for node in missed):
            return
        windows = await self._stores[PatchWindowStore].all(scope)
        nodes = [node for node in await self._selected(policy) if node.id in missed]
        if not any(self._presence.online(node.id) and _has_time(windows, node, now) for node in nodes):
            return
        due = Occurrence(policy.id, policy.org, now, now + policy.times.length_s, "started", why="nodes are back")
        made = of_occurrence(RolloutId(new_time_id(now)), policy, due, await self.targets(policy, nodes), now, page.items[0].pairs)
        last, once = page.items[0].id, Keyed(f"back {page.items[0].id}", "nodes are back")  # two hubs may see it at the same time
        stored = await self._stores[RolloutStore].create_rollout(scope, made._replace(parent=last, due_at=None), keyed=once)
        self._bus.publish(Changed("rollout", stored.id, stored.version, stored.org))

    async def _decide(self, policy: PatchPolicy, due: Due, now: float) -> None:
        store, scope = self._stores[PolicyStore], hub_scope(policy.org)
        match due.act:
            case "notice":
                pairs = await self._pairs(policy, now)
                after = due.after._replace(pairs=pairs, noticed_at=now)
                until = local_text(after.until_at, policy.times.zone)
                details: dict[str, object] = {
                    "name": policy.name,
                    "due": until,
                    "policy": policy.id,
                    "due_at": after.due_at,
                    "packages": len(pairs),
                }
                await store.save_occurrence(scope, due.before, after, told=Told("approval_wanted", details))
            case "wait":
                await store.save_occurrence(scope, due.before, due.after, due.after.due_at)
            case "miss":
                await self._miss(policy, due.before, due.after, now)
            case _ if await self.begin(scope, policy, due.before, due.after, now) is None:
                await self._miss(policy, due.before, due.after._replace(state="missed", why="no node is selected"), now)

    async def _miss(self, policy: PatchPolicy, before: Occurrence | None, after: Occurrence, now: float) -> None:
        store = self._stores[PolicyStore]
        others = [one for one in await store.occurrences(policy.org, policy.id, now - PAST_S) if one.due_at != after.due_at]
        count = missed_in_row([*others, after], after.due_at)
        why = f"{local_text(after.due_at, policy.times.zone)}: {after.why}" + (f", {count} times in a row" if count > 1 else "")
        details: dict[str, object] = {"name": policy.name, "why": why, "policy": policy.id, "in_a_row": count}
        told = Told("patch_missed", details, "error" if count > 1 else "warning")
        await store.save_occurrence(hub_scope(policy.org), before, after, after.due_at, told)

    async def _pairs(self, policy: PatchPolicy, now: float) -> tuple[Pair, ...]:
        """The packages and versions that the policy would take now: what a person approves."""
        store, scope = self._stores[PolicyStore], hub_scope(policy.org)
        nodes = await self._selected(policy)
        updates = await store.node_updates(scope, [node.id for node in nodes])
        seen = await store.seen(policy.org, {one.package for _, ones in updates.values() for one in ones})
        found: set[Pair] = set()
        for node in nodes:
            if node.id in updates:
                chosen = choose(policy, node.identity.package_manager, updates[node.id][1], seen, now)
                found |= {Pair(one.package, one.after) for one in chosen.take}
        return tuple(sorted(found))[:MOST_PAIRS]

    async def _selected(self, policy: PatchPolicy) -> list[Node]:
        nodes = await all_nodes(self._stores[NodeStore], hub_scope(policy.org))
        return [node for node in nodes if policy.select.selects(node.id, node.tags)]

    async def begin(
        self, scope: Scope, policy: PatchPolicy, before: Occurrence | None, due: Occurrence, now: float, keyed: Keyed | None = None
    ) -> Rollout | None:
        """Begin an occurrence once. None: no node is selected, and nothing was stored. Raises: Conflict: it was decided meanwhile; IdempotencyMismatch."""
        nodes = await self._selected(policy)
        if not nodes:
            return None
        rollout_id = RolloutId(new_time_id(now))
        targets = await self.targets(policy, nodes, Span(due.due_at, due.until_at, _date_of(policy, due)))
        made = of_occurrence(rollout_id, policy, due, targets, now, due.pairs if policy.approval != "none" else None)
        begin = Begin(before, due._replace(rollout_id=rollout_id), due.due_at)
        stored = await self._stores[RolloutStore].create_rollout(scope, made, begin, keyed)
        self._bus.publish(Changed("rollout", stored.id, stored.version, stored.org))
        return stored

    async def targets(self, policy: PatchPolicy, nodes: list[Node], span: Span | None = None) -> tuple[Target, ...]:
        """The frozen targets of a roll-out that begins now."""
        healthy = {node.id for node in nodes if self._presence.online(node.id) and self._health.of(node).level in ("ok", "notice")}
        return targets_of(policy, nodes, healthy, self.own_machine, span, await self._first(policy))

    async def _first(self, policy: PatchPolicy) -> set[NodeId]:
        """Nodes that the last roll-out of the policy did not reach."""
        page = await self._stores[RolloutStore].rollouts(hub_scope(policy.org), 1, None, policy.id)
        return {one.node for last in page.items for one in last.targets if one.state == "not_started"}

    async def rest_of(self, rollout: Rollout, scope: Scope) -> list[Node]:
        """The nodes of a roll-out that did not pass, as far as the caller still sees them."""
        store, found = self._stores[NodeStore], list[Node]()
        for one in rollout.targets:
            if one.state != "passed":
                try:
                    found.append(await store.node(scope, one.node))
                except NotFound:  # it was removed
                    continue
        return found


def looked_at(rollouts: Sequence[Rollout]) -> dict[NodeId, LookWish]:
    """The nodes that agents look at every few seconds: those under way, and those whose turn may come, for their baseline."""
    found: dict[NodeId, LookWish] = {}
    for rollout in rollouts:
        wish = LookWish(rollout.id, tuple(f"{one.kind} {one.target}" for one in rollout.policy.probes))
        goes_on = rollout.state in ("running", "holding", "paused")
        for one in rollout.targets:
            next_one = goes_on and one.state in ("pending", "held") and one.wave <= rollout.wave
            if one.state == "running" or next_one:
                found.setdefault(one.node, wish)  # live roll-outs come oldest first, and a node is in one of them at a time
    return found


def _has_time(windows: Sequence[PatchWindow], node: Node, now: float) -> bool:
    """Whether a node may be touched now, and for long enough: in the last minutes of a window nothing would begin, and that were its chance."""
    found = allowed(windows, place_of(node), now)
    return isinstance(found, Open) and (found.until_at is None or found.until_at - now >= SHORTEST_S)


def _date_of(policy: PatchPolicy, due: Occurrence) -> date:
    zone = "Etc/GMT-14" if policy.times.zone == "node" else policy.times.zone
    return date.fromisoformat(local_text(due.due_at, zone)[:10])
