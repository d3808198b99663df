"""Machines, their jobs and two roll-outs that share them: a hub without a store, moved by hand. What it does is told to a referee."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json, record_to_json
from groundcontrol.core.ids import NodeId
from groundcontrol.jobs.model import TERMINAL
from groundcontrol.nodes.model import Tri
from groundcontrol.policies.reasons import Hold
from groundcontrol.rollouts.model import (
    DISPATCHING,
    ENDED,
    FINAL,
    Facts,
    Gate,
    JobFacts,
    JobKey,
    MakeJob,
    NodeFacts,
    Rollout,
    Stepped,
    StopJob,
    shifted,
)
from groundcontrol.rollouts.step import step
from tests.support.rollout_referee import Machine, Referee

WORKING = frozenset({"running", "holding", "paused", "stopping"})
"""States in which a roll-out may have targets at work."""
EARLY = frozenset({None, "download"})


@dataclass
class Lane:
    """One roll-out with its jobs."""

    rollout: Rollout
    referee: Referee
    jobs: dict[JobKey, JobFacts] = field(default_factory=dict)
    owner_may: bool = True
    set_by_s: float = 0.0
    """How far the clock of the hub was set since the last move."""


class World:
    """Time passes only by `passes`. Machines are the truth; `facts` is what the hub knows of them."""

    def __init__(self, start: float, machines: dict[NodeId, Machine]) -> None:
        self.now = start
        self.monotonic = 0.0
        self.machines = machines
        self.lanes: list[Lane] = []
        self.by_hand: Counter[str] = Counter()
        """Role -> reboots under way that a person ordered."""
        self.reached: Counter[str] = Counter()
        self.stops_reach = True
        """Whether a stop still ends what has just begun; else it comes too late."""
        self.clock_was_set = False
        self._turns = 0
        self._later: list[tuple[float, Callable[[], object]]] = []

    def add(self, rollout: Rollout) -> None:
        self.lanes.append(Lane(rollout, Referee(rollout, self.machines, self.reached)))

    # -- what the hub knows ----------------------------------------------------------------------

    def facts(self, lane: Lane) -> Facts:
        nodes = {
            one.node: self._node(lane, one.node, one.state, one.step)
            for one in lane.rollout.targets
            if one.state not in FINAL or one.why == "job_unknown"
        }
        others = [other for other in self.lanes if other is not lane and other.rollout.state in WORKING]
        at_work = [one for other in others for one in other.rollout.targets if one.state == "running" and self.machines[one.node].exists]
        away = {one.role for one in at_work if not self.machines[one.node].online}
        return Facts(nodes, dict(lane.jobs), lane.owner_may, self._reboots_elsewhere(lane), away)

    def _node(self, lane: Lane, node: NodeId, state: str, at: str) -> NodeFacts:
        machine = self.machines[node]
        if not machine.exists:
            return NodeFacts(exists=False)
        hold, until_at = machine.bar, machine.until_at
        if hold is None and until_at is not None and self.now >= until_at:
            hold = ("window", "outside its window")
        if hold is not None:
            until_at = None  # nobody knows then when it ends
        if hold is None and state in ("pending", "held"):
            hold = self._unfit(lane, node)
        if machine.online:
            machine.told = tuple(machine.faults.values())
        return NodeFacts(
            hold=hold, until_at=until_at, expected_s=machine.expected_s, reboot_s=180.0, online=machine.online,
            away_s=0.0 if machine.online else machine.silent_s, heard_to=machine.heard_to, coverage=machine.coverage,
            reboot_required=machine.reboot, rebooted_by_policy_at=machine.rebooted_at if lane.rollout.policy_id else None,
            verb="upgrade", nothing="" if machine.updates else "it is up to date",
            gates=machine.told if at == "watch" else (),
        )  # fmt: skip

    def _unfit(self, lane: Lane, node: NodeId) -> Hold | None:
        if not self.machines[node].online:
            return "offline", "it is offline"
        for index, other in enumerate(self.lanes):
            theirs = next((one for one in other.rollout.targets if one.node == node), None)
            if other is lane or theirs is None:
                continue
            earlier = index < self.lanes.index(lane) and other.rollout.state in {"planning", *WORKING} and theirs.state not in FINAL
            if earlier or self._has(other, node):
                return "in_another_rollout", "the other roll-out has not finished it"
        return None

    def _has(self, lane: Lane, node: NodeId) -> bool:
        return lane.rollout.state in WORKING and any(one.node == node and one.state == "running" for one in lane.rollout.targets)

    def _reboots_elsewhere(self, lane: Lane) -> Counter[str]:
        found = Counter(self.by_hand)
        for other in self.lanes:
            if other is not lane and other.rollout.state in WORKING:
                rebooting = [
                    one.role for one in other.rollout.targets if one.state == "running" and self.machines[one.node].exists
                    and (job := other.jobs.get((one.node, "reboot", 1))) is not None and job.state not in TERMINAL
                ]  # fmt: skip
                found.update(rebooting)
        return found

    # -- moves -----------------------------------------------------------------------------------

    def look(self, *, two_hubs: bool = False) -> None:
        """Every roll-out is moved once. Args: two_hubs: all facts are read before the first move is stored."""
        if two_hubs:
            moves = [(lane, lane.rollout, self.facts(lane)) for lane in self.lanes]
            for lane, before, facts in moves:
                self._move(lane, before, facts, rival=True)
        else:
            for lane in self.lanes:
                self._move(lane, lane.rollout, self.facts(lane))

    def _move(self, lane: Lane, before: Rollout, facts: Facts, *, rival: bool = False) -> None:
        if before.state == "ready":
            return  # nobody looks at it before a person starts it
        counted = shifted(before, lane.set_by_s) if lane.set_by_s and before.state not in ENDED else before
        after = step(counted, facts, self.now)
        if after.commands or _moved(before, after.rollout):
            assert after == step(counted, facts, self.now), "R10: the same facts give the same answer"
        if self.store(lane, before, after, facts, rival=rival):
            lane.set_by_s = 0.0

    def by_person(self, lane: Lane, after: Rollout | Stepped) -> None:
        self.store(lane, lane.rollout, after if isinstance(after, Stepped) else Stepped(after, ()), self.facts(lane), person=True)

    def store(self, lane: Lane, before: Rollout, after: Stepped, facts: Facts, *, person: bool = False, rival: bool = False) -> bool:
        """What the store does in one transaction. False: it refuses, since another roll-out was quicker. Args: rival: one may have been."""
        made = [one for one in after.commands if isinstance(one, MakeJob)]
        if rival and self._taken(lane, before, after.rollout, made):
            self.reached["two hubs wanted one node or one slot"] += 1
            return False
        lane.referee.judge(self, lane, before, after, facts, person=person)
        lane.rollout = after.rollout
        if _moved(before, after.rollout):  # a hub that dies here forgets all but this
            lane.rollout = record_from_json(Rollout, record_to_json(after.rollout))
            assert lane.rollout == after.rollout, "R10: the store keeps less than the roll-out knows"
        for command in after.commands:
            if isinstance(command, MakeJob):
                lane.jobs[command.node, command.step, command.attempt] = JobFacts("queued")
            elif isinstance(command, StopJob):
                self._stop(lane, (command.node, command.step, command.attempt), force=command.force)
        return True

    def _taken(self, lane: Lane, before: Rollout, after: Rollout, made: list[MakeJob]) -> bool:
        waited = {one.node for one in before.targets if one.state in ("pending", "held")} if before.state != "planning" else set()
        if any(self._has(other, one.node) for one in made if one.node in waited for other in self.lanes if other is not lane):
            return True
        elsewhere = self._reboots_elsewhere(lane)
        own = Counter(one.role for one in after.targets if one.state == "running" and one.step == "reboot" and one.attempt)
        roles = {one.role for one in after.targets for job in made if job.step == "reboot" and job.node == one.node}
        return any(own[role] + elsewhere[role] > after.policy.max_per_role for role in roles)

    def _stop(self, lane: Lane, key: JobKey, *, force: bool) -> None:
        job = lane.jobs[key]
        if job.state in TERMINAL:
            return
        if job.state == "queued" or (self.stops_reach and job.phase in EARLY):
            lane.jobs[key] = JobFacts("cancelled", begun=job.state != "queued")
        elif force:
            lane.jobs[key] = JobFacts("interrupted", error="job.killed")

    # -- time and work ---------------------------------------------------------------------------

    def passes(self, seconds: float, *, looks: bool = True, two_hubs: bool = False, hub_is_off: bool = False) -> None:
        self.now += seconds
        self.monotonic += seconds
        for machine in self.machines.values():
            if machine.online:
                machine.heard_to += seconds
            elif not hub_is_off:
                machine.silent_s += seconds
        due = [what for at, what in self._later if at <= self.monotonic]
        self._later = [one for one in self._later if one[0] > self.monotonic]
        for what in due:
            what()
        if looks:
            self.look(two_hubs=two_hubs)

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        """Once so much time has passed, before the hub looks."""
        self._later.append((self.monotonic + seconds, what))

    def clock_is_set(self, seconds: float) -> None:
        self.clock_was_set = True
        self.now += seconds
        for lane in self.lanes:
            lane.set_by_s += seconds

    def open_jobs(self) -> list[tuple[Lane, JobKey]]:
        return [(lane, key) for lane in self.lanes for key, job in lane.jobs.items() if job.state not in TERMINAL]

    def take(self, lane: Lane, key: JobKey, phase: Any = None) -> None:
        """A queued job starts, if its roll-out may start something: what the store of jobs checks in that transaction."""
        if lane.jobs[key].state == "queued" and (key[1] == "after" or lane.rollout.state in DISPATCHING):
            lane.jobs[key] = JobFacts("running", phase)

    def end(self, lane: Lane, key: JobKey, state: Any = "succeeded", **fields: Any) -> None:
        """A job ends. One that nobody has taken can only expire or be cancelled."""
        machine = self.machines[key[0]]
        if lane.jobs[key].state == "queued" and state not in ("cancelled", "expired"):
            state = "expired"
        reboot: Tri = machine.reboot
        if key[1] == "plan" and state == "succeeded":
            fields = {
                "plan_digest": f"{key[0]} {machine.mirror}",
                "plan_steps": int(machine.updates),
                "plan_fault": machine.plan_fault,
                **fields,
            }
        if key[1] == "reboot" and state not in ("cancelled", "expired"):
            machine.comes_back(self.monotonic)
            machine.rebooted_at = self.now if lane.rollout.policy_id else machine.rebooted_at
        lane.jobs[key] = JobFacts(state, reboot=reboot, begun=lane.jobs[key].state != "queued", **fields)

    def works(self, *, all_end: bool = False, reboots_end: bool = True, go_down: bool = False) -> None:
        """Each queued job starts, and each running one succeeds at its time. Args: all_end: now. go_down: machines are away while they reboot."""
        self._turns += 1
        for lane, key in self.open_jobs():
            machine = self.machines[key[0]]
            if lane.jobs[key].state == "queued":
                self.take(lane, key, "commit" if key[1] == "patch" else None)
                if key[1] == "reboot" and go_down and lane.jobs[key].state == "running":
                    machine.goes(self.monotonic)
                if not all_end:
                    continue
            its_turn = all_end or self._turns % (1 + machine.slow) == 0
            if its_turn and lane.jobs[key].state == "running" and (reboots_end if key[1] == "reboot" else machine.online):
                self.end(lane, key)


def _moved(before: Rollout, after: Rollout) -> bool:
    steps = [[(one.state, one.step, one.attempt) for one in each.targets] for each in (before, after)]
    return before.state != after.state or steps[0] != steps[1]


def gate(kind: str, machine: Machine) -> Gate:
    """What a gate says of a machine from now on. Kinds: hard, soft, unknown, already."""
    at = machine.heard_to
    match kind:
        case "hard":
            return Gate("unit_failed", "shop.service", "failed", "shop.service failed", at)
        case "soft":
            return Gate("cpu", "", "worse", "CPU is 25.0 points above its past, limit 10", at, 25.0, 10.0, soft=True)
        case "unknown":
            return Gate("another_job", "", "unknown", "the job upgrade of ann runs on it", at)
        case _:
            return Gate("unit_failed", "old.service", "already", "old.service failed already before", at)
