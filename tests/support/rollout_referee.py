"""R1 to R12 of roll-outs, judged from the outside: by what machines and jobs really did, and by the figures of the specification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.model import Tri
from groundcontrol.policies.reasons import REMEDIES, Hold
from groundcontrol.rollouts.audit import audit_of
from groundcontrol.rollouts.model import Facts, Gate, JobFacts, JobStep, MakeJob, Rollout, Stepped, Target, Tell
from groundcontrol.rollouts.views import GATES

if TYPE_CHECKING:
    from tests.support.rollout_world import Lane, World

# The figures of the specification. They are written here once more, so that a change of the product does not change what is asked of it.
SETTLE_S, GROW_S, LATER_WATCH_S = 60.0, 900.0, 600.0
COVERAGE, SECOND_LOOK_S, BLIND_AFTER_S = 0.8, 5.0, 60.0
AWAY_S, GIVEN_UP_S, CLEAR_S, DAY_S = 300.0, 3600.0, 180.0, 22 * 3600.0
HARD = frozenset({"unit_failed", "node_away", "reboot_overdue", "job_outcome"})
ENDS = frozenset({"succeeded", "stopped", "cancelled", "expired", "failed"})
JOB_ENDS = frozenset({"succeeded", "failed", "unknown", "interrupted", "cancelled", "expired"})
NOT_DONE = frozenset({"cancelled", "expired"})
"""Ends of a job that never touched its node."""
KNOWN = {"", *REMEDIES, *GATES}


@dataclass
class Machine:
    """What one node really is."""

    role: str = ""
    exists: bool = True
    online: bool = True
    gone_at: float = 0.0
    silent_s: float = 0.0
    """For how long it has been away while the hub ran."""
    heard_to: float = 0.0
    """The time of its newest sample that the hub has, by its own clock."""
    coverage: float = 1.0
    bar: Hold | None = None
    """A freeze, a closed window or a lost right: nothing may be done to it."""
    until_at: float | None = None
    """Its own window closes then."""
    expected_s: float = 180.0
    faults: dict[tuple[str, str], Gate] = field(default_factory=dict)
    told: tuple[Gate, ...] = ()
    """Its faults as far as the hub has heard of them."""
    updates: bool = True
    mirror: int = 0
    """Its plan changes with it."""
    plan_fault: str = ""
    reboot: Tri = "no"
    rebooted_at: float | None = None
    slow: int = 0
    """Each of its jobs takes so many turns more."""

    def goes(self, at: float) -> None:
        if self.online:
            self.online, self.gone_at, self.silent_s = False, at, 0.0

    def comes_back(self, at: float) -> None:
        if not self.online:
            self.online = True
            self.heard_to += at - self.gone_at  # it kept its samples

    def shut(self, now: float) -> bool:
        return self.bar is not None or (self.until_at is not None and now >= self.until_at)


@dataclass
class Watched:
    """One watch, as somebody beside the hub counts it."""

    since: float
    """The time of the node at its begin."""
    blind_since: float | None = None
    worse: bool = False


class Referee:
    """Judges each move of one roll-out."""

    def __init__(self, rollout: Rollout, machines: Mapping[NodeId, Machine], reached: Counter[str]) -> None:
        self.machines = machines
        self.reached = reached
        self.nodes = [one.node for one in rollout.targets]
        self.watches: dict[NodeId, Watched] = {}
        self.unclear_at = -1e9
        """When something was not clear for the last time."""

    def judge(self, world: World, lane: Lane, before: Rollout, moved: Stepped, facts: Facts, *, person: bool) -> None:
        self.world, self.lane, self.before, self.after, self.facts = world, lane, before, moved.rollout, facts
        self.old = {one.node: one for one in before.targets}
        self.new = {one.node: one for one in self.after.targets}
        orders = [one for one in moved.commands if isinstance(one, MakeJob)]
        working = [one for one in orders if one.step != "after"]
        if before.state in ENDS:
            assert (self.after, moved.commands) == (before, ()), "an end is final"
            return
        self._follow_watches()
        unclear = [] if before.policy.gates == "observe" else list(self._unclear())
        unclear = [one for one in unclear if self.new[one[0].node].state != "failed"]  # counted as a failure
        if unclear:
            self.unclear_at = world.monotonic
        self._counts(moved)
        self._audited()
        for one in orders:
            self._one_job_each(one)
            self._bound_to_its_plan(one)
        for one in working:
            self._nothing_after_a_stop(one, person=person)
            self._inside_its_window(one)
        self._facts_stop_it(working, person=person)
        for one in [one for one in working if self.old[one.node].state in ("pending", "held") and before.state != "planning"]:
            self._may_begin(one, unclear)
        for one in [one for one in working if one.step == "reboot"]:
            self._has_the_slot(one)
        for target in self.after.targets:
            if target.state != self.old[target.node].state:
                self._ends(target)
        self._hold_lasts(person=person)
        self._note_moments(unclear, working)

    # -- what was really seen --------------------------------------------------------------------

    def _over(self, wave: int, gate: str) -> bool:
        return any(one.wave == wave and (one.gate == gate or (one.gate == "*" and gate not in HARD)) for one in self.before.overrides)

    def _job(self, node: NodeId, step: JobStep, attempt: int = 1) -> JobFacts | None:
        return self.lane.jobs.get((node, step, attempt))

    def _follow_watches(self) -> None:
        for one in self.before.targets:
            if one.state == "running" and one.step == "watch":
                machine = self.machines[one.node]
                watch = self.watches[one.node]
                blind = not machine.online or machine.coverage < COVERAGE
                watch.blind_since = (self.world.monotonic if watch.blind_since is None else watch.blind_since) if blind else None
                if self._seen_s(one.node) >= SETTLE_S and any(gate.verdict == "worse" for gate in machine.told):
                    watch.worse = True
        for one in self.after.targets:
            was = self.old[one.node]
            if one.state == "running" and one.step == "watch" and (was.step, was.state) != ("watch", "running"):
                self.watches[one.node] = Watched(self.machines[one.node].heard_to)

    def _seen_s(self, node: NodeId) -> float:
        return self.machines[node].heard_to - self.watches[node].since

    def _need_s(self, target: Target) -> float:
        watch_s = self.before.policy.watch_s
        return SETTLE_S + (watch_s if target.wave == 0 else min(watch_s, LATER_WATCH_S))

    def _bad_gates(self, target: Target) -> Iterator[Gate]:
        """Of a target that is watched and has settled: what stands in the way of the next one."""
        machine, watch = self.machines[target.node], self.watches[target.node]
        if self._seen_s(target.node) >= SETTLE_S:
            yield from (
                gate for gate in machine.told if gate.verdict in ("worse", "unknown", "failed") and not self._over(target.wave, gate.gate)
            )
        if (
            watch.blind_since is not None
            and self.world.monotonic - watch.blind_since > BLIND_AFTER_S
            and not self._over(target.wave, "evidence")
        ):
            yield Gate("evidence", "", "unknown", "", 0.0)

    def _watching(self) -> list[Target]:
        return [one for one in self.before.targets if one.state == "running" and one.step == "watch" and self.machines[one.node].exists]

    def _unclear(self) -> Iterator[tuple[Target, Gate]]:
        for one in self._watching():
            yield from ((one, gate) for gate in self._bad_gates(one))

    def _failed(self, target: Target) -> bool:
        """Whether what its jobs or its machine show counts as a failure."""
        if target.why in ("deleted", "killed") or not self.machines[target.node].exists:
            return False
        return target.state == "failed" or self._job_failed(target)

    def _job_failed(self, target: Target) -> bool:
        """Whether one of its jobs has failed, as far as the roll-out was to look at it: not in somebody else's name."""
        for (node, step, _), job in self.lane.jobs.items():
            if node != target.node or step == "plan" or job.state not in JOB_ENDS:
                continue
            if step in ("patch", "reboot") and job.state not in {"succeeded", *NOT_DONE} and job.error != "job.plan_changed":
                return True
            if step == "reboot" and job.lost:
                return True
            if step in ("before", "after") and job.state != "succeeded" and not (step == "before" and not self.facts.owner_may):
                return True
        return False

    def _facts_against(self, *, at_its_end: bool = False) -> list[NodeId]:
        """The nodes of which one hard fact is known: a failure, a gate that failed, or that they are away.

        Args: at_its_end: also one that is away whose job has ended at this very look: whether that is still an absence may be seen both ways.
        """
        found = [one.node for one in self.before.targets if self._failed(self.new[one.node]) and not self._over(one.wave, "job_outcome")]
        judged = [] if self.before.policy.gates == "observe" else [one for one in self.before.targets if one.node not in found]
        lost = [one.node for one in judged if one.why == "away" and one.started_at is not None and not self._over(one.wave, "node_away")]
        return found + lost + [one.node for one in judged if one.state == "running" and self._gate_failed(one, at_its_end)]

    def _gate_failed(self, one: Target, at_its_end: bool) -> bool:
        machine = self.machines[one.node]
        if not machine.exists or one.started_at is None:
            return False
        if one.step == "watch" and self._seen_s(one.node) >= SETTLE_S:
            for gate in machine.told:
                if gate.verdict == "failed" and machine.heard_to - gate.since_at >= SECOND_LOOK_S and not self._over(one.wave, gate.gate):
                    return True
        rebooting = one.step == "reboot" and one.attempt
        limit_s, name = (600.0, "reboot_overdue") if rebooting else (AWAY_S, "node_away")
        ended = one.step not in ("watch", self.new[one.node].step) and not at_its_end and self._job_ended(one)
        return not machine.online and machine.silent_s >= limit_s and not ended and not self._over(one.wave, name)

    def _job_ended(self, one: Target) -> bool:
        job = next((job for key, job in self.lane.jobs.items() if key == (one.node, one.step, one.attempt)), None)
        return job is not None and job.state in JOB_ENDS

    def _hard(self) -> str:
        """The facts that stop the roll-out at once; empty: there are none."""
        against = self._facts_against()
        return f"{against} failed" if len(against) > self.before.policy.max_failed else ""

    # -- the rules -------------------------------------------------------------------------------

    def _counts(self, moved: Stepped) -> None:
        counts = self.after.counts()
        assert counts.pop("total") == sum(counts.values()) == len(self.nodes), "R8"
        assert [one.node for one in self.after.targets] == self.nodes, "R7"
        for told in moved.commands:
            if isinstance(told, Tell):
                assert sum(int(str(told.details[state])) for state in counts) == len(self.nodes), "R8: a message"

    def _audited(self) -> None:
        """R12: each transition has an audit row, and the row has its evidence."""
        before, after = self.before, self.after
        row = audit_of(before, after)
        moved = [
            one for one in after.targets
            if (one.state, one.step, one.why) != (self.old[one.node].state, self.old[one.node].step, self.old[one.node].why)
        ]  # fmt: skip
        if row is None:
            assert not moved, "R12: a target moved and nothing was written"
            assert (before.state, before.why, before.wave, before.overrides) == (after.state, after.why, after.wave, after.overrides), "R12"
            return
        told = {one["node"]: one for one in row["targets"]}  # type: ignore[attr-defined]  # a list of dicts
        assert (row["from"], row["to"]) == (before.state, after.state)
        for one in moved:
            assert told[one.node]["state"] == one.state, "R12"
            if one.state in ("failed", "unknown", "held", "not_started"):
                assert told[one.node]["words"], f"R12: no evidence for {one}"
            assert one.why in KNOWN, f"{one.why} has no words for what helps"
        if after.state != before.state and after.state in ("stopping", "stopped", "paused", "holding", "expired"):
            assert row["words"], f"R12: no evidence for {before.state} -> {after.state}"

    def _one_job_each(self, one: MakeJob) -> None:
        key = (one.node, one.step, one.attempt)
        assert key not in self.lane.jobs, f"R1: {key} twice"
        if one.step in ("patch", "reboot"):
            assert not [each for each in self.lane.jobs if each[:2] == key[:2]], f"R1: {key} is the second of its step"
        if one.step in ("before", "after"):
            assert one.attempt < len(self.before.policy.before if one.step == "before" else self.before.policy.after), f"R1: {key}"

    def _bound_to_its_plan(self, one: MakeJob) -> None:
        if one.step != "patch":
            return
        plans = [job for key, job in self.lane.jobs.items() if key[:2] == (one.node, "plan")]
        last = plans[-1]
        assert last.state == "succeeded", f"{one.node} is patched without a plan"
        assert not last.plan_fault, f"{one.node} is patched beyond its limits"
        assert one.request.plan == last.plan_digest, f"{one.node} is patched by another plan"
        assert self.old[one.node].confirmed in ("", last.plan_digest), f"{one.node}: nobody confirmed this plan"

    def _nothing_after_a_stop(self, one: MakeJob, *, person: bool) -> None:
        assert self.before.state != "stopping", f"R2: {one} after a stop"
        assert not (person and self.after.state in ("stopping", "stopped")), f"R2: {one} by a stop"
        assert self.facts.owner_may, f"R2: {one} without rights"
        assert self.after.state in ("planning", "running", "holding", "paused"), f"R2: {one} while {self.after.state}"

    def _facts_stop_it(self, working: list[MakeJob], *, person: bool) -> None:
        hard = self._hard()
        if hard:
            self.reached["R2: a hard fact"] += 1
            assert not working, f"R2: {working} though {hard}"
            assert person or self.after.state not in ("running", "holding", "succeeded"), f"R2: {hard}"
        if self.after.stopped_by == "gate" and not self.before.stopped_by:
            worse = [(one, gate) for one in self.before.targets for gate in self._worse_of(one)]
            by_metric = Counter(gate.gate for _, gate in worse)
            begun = [one for one in self.after.targets if one.wave == self.before.wave and self._is_evidence(one)]
            canaries = [one for one in self.after.targets if one.wave == 0 and self._is_evidence(one)]
            quorum = max(2, len(begun) // 3 + 1)
            alone = bool(worse) and self.before.wave == 0 and len(canaries) == 1
            assert self._facts_against(at_its_end=True) or max(by_metric.values(), default=0) >= quorum or alone, (
                f"R12: stopped by a gate without evidence: {self.after.words}"
            )
            self.reached[
                "R3: two witnesses stop it"
                if not hard and not alone
                else "R3: the one canary stops it"
                if not hard
                else "R2: stopped by a hard fact"
            ] += 1

    def _is_evidence(self, target: Target) -> bool:
        """Whether it was begun, and not only found to be up to date."""
        worked = any(key[0] == target.node and key[1] in ("patch", "reboot") for key in self.lane.jobs)
        return target.started_at is not None and (target.state != "passed" or worked)

    def _worse_of(self, target: Target) -> list[Gate]:
        if target in self._watching():
            return [gate for gate in self._bad_gates(target) if gate.verdict == "worse"]
        return [
            gate for gate in target.gates if gate.verdict == "worse" and target.state == "worse" and not self._over(target.wave, gate.gate)
        ]

    def _inside_its_window(self, one: MakeJob) -> None:
        if self.before.state == "planning":
            return  # it reads only
        machine, now = self.machines[one.node], self.world.now
        assert self.after.close_at is None or now < self.after.close_at, f"R6: {one} after the close"
        assert not machine.shut(now), f"R6: {one} though {machine.bar or 'its window is over'}"
        ends = [at for at in (self.after.close_at, machine.until_at) if at is not None]
        if one.step == "reboot" and ends:
            assert now + 180.0 <= min(ends), f"R6: {one} would end outside"

    def _may_begin(self, one: MakeJob, unclear: list[tuple[Target, Gate]]) -> None:
        node, wave = one.node, self.new[one.node].wave
        machine = self.machines[node]
        assert self.after.state == "running", f"{node} begins while {self.after.state}"
        assert machine.online, f"{node} begins while it is away"
        for other in self.world.lanes:
            if other is not self.lane and other.rollout.state in ("running", "holding", "paused", "stopping"):
                assert not [each for each in other.rollout.targets if each.node == node and each.state == "running"], (
                    f"R5: {node} is in two"
                )
        ends = [at for at in (self.after.close_at, machine.until_at) if at is not None]
        assert not ends or self.world.now + machine.expected_s <= min(ends), f"R6: {node} would end outside"
        at_work = [each for each in self.after.targets if each.state == "running" and each.step != "watch"]
        assert len(at_work) <= self.before.policy.order.at_once, f"{len(at_work)} at once"
        assert not unclear, f"R3: {node} begins though {unclear[0][0].node} is not clear: {unclear[0][1]}"
        for each in self.after.targets:
            if each.wave < wave:
                assert each.state not in ("pending", "running"), f"R3: {node} before {each}"
                if each.state in ("unknown", "worse") and each.why not in ("deleted", "away") and self.before.policy.gates != "observe":
                    open_gates = [gate for gate in each.gates if gate.verdict in ("unknown", "worse")]
                    over = all(self._over(each.wave, gate.gate) for gate in open_gates) if open_gates else each.state == "worse"
                    assert over or self._over(each.wave, "*"), f"R3: {node} though {each} was never clear"
        if wave > 0:
            canaries = [each for each in self.after.targets if each.wave == 0]
            shown = self.before.policy.order.groups or self.new[node].last or any(map(self._is_evidence, canaries))
            assert shown, f"R3: {node} before any canary did something"
            self.reached["R3: a later wave begins"] += 1

    def _has_the_slot(self, one: MakeJob) -> None:
        role = self.new[one.node].role
        under_way = self._rebooting(role, one.node)
        assert len(under_way) < self.before.policy.max_per_role, f"R11: {one.node} while {under_way}"
        assert not self._away_of(role, one.node), f"R11: {one.node} while {self._away_of(role, one.node)} is away"
        last = self.machines[one.node].rebooted_at
        if self.before.policy_id and last is not None and not self.world.clock_was_set:
            assert self.world.now - last >= DAY_S, f"{one.node} is rebooted twice a day by policy"

    def _rebooting(self, role: str, but: NodeId) -> list[str]:
        """Reboots of this role that are ordered and have not ended: of both roll-outs, and by hand."""
        found = ["by hand"] * self.world.by_hand[role]
        for lane in self.world.lanes:
            for target in lane.rollout.targets:
                job = lane.jobs.get((target.node, "reboot", 1))
                machine = self.machines[target.node]
                given_up = not machine.exists or (not machine.online and machine.silent_s >= GIVEN_UP_S)
                if target.role == role and target.node != but and job is not None and job.state not in JOB_ENDS and not given_up:
                    found.append(target.node)
        return found

    def _away_of(self, role: str, but: NodeId) -> list[str]:
        here = [one for one in self.before.targets if one.state == self.new[one.node].state == "running"]
        lanes = [
            lane
            for lane in self.world.lanes
            if lane is not self.lane and lane.rollout.state in ("running", "holding", "paused", "stopping")
        ]
        elsewhere = [one for lane in lanes for one in lane.rollout.targets if one.state == "running" and self.machines[one.node].exists]
        return [one.node for one in (*here, *elsewhere) if one.role == role and one.node != but and not self.machines[one.node].online]

    def _ends(self, target: Target) -> None:
        """R4: what a target must have shown before it ends well."""
        was, node = self.old[target.node], target.node
        if target.state in ("passed", "worse"):
            assert not self._job_failed(target), f"R4: {node} is {target.state} though a job of it failed"
            patch = self._job(node, "patch")
            if patch is not None and patch.state not in NOT_DONE:
                assert was.step == "watch", f"R4: {node} was changed and not watched"
        if was.step != "watch" or target.state not in ("passed", "worse"):
            return
        machine, watch, seen_s = self.machines[node], self.watches[node], self._seen_s(node)
        assert seen_s >= self._need_s(was), f"R4: {node} was seen for {seen_s} s"
        assert machine.online, f"R4: {node} is {target.state} while nobody hears it"
        assert machine.coverage >= COVERAGE, f"R4: {node} is {target.state} while samples are missing"
        bad = [] if self.before.policy.gates == "observe" else list(self._bad_gates(was))
        assert not bad or (target.state == "worse" and seen_s >= self._need_s(was) + GROW_S), f"R4: {node} is {target.state} though {bad}"
        assert target.state == "worse" or not watch.worse, f"R4: {node} was worse"
        self.reached[f"R4: a watched target ends {target.state}"] += 1

    def _hold_lasts(self, *, person: bool) -> None:
        if self.before.state == "holding" and self.after.state == "running" and not person:
            assert self.world.monotonic - self.unclear_at >= CLEAR_S, "R3: it goes on before it was clear for three minutes"
            self.reached["R3: a hold ends by itself"] += 1

    # -- how far the world got -------------------------------------------------------------------

    def _note_moments(self, unclear: list[tuple[Target, Gate]], working: list[MakeJob]) -> None:
        """Counts the moments in which a rule decides. What is never reached is not tested."""
        reached, now = self.reached, self.world.now
        would_order = [
            one for one in self.before.targets
            if one.state == "running" and one.step in ("plan", "before", "patch") and self.before.state != "planning" and self.machines[one.node].exists
            and (job := self._job(one.node, one.step, one.attempt)) is not None and job.state == "succeeded" and not job.plan_fault
        ]  # fmt: skip
        for one in would_order:
            machine = self.machines[one.node]
            reached["R6: a window closes on a node at work"] += machine.until_at is not None and now >= machine.until_at
            reached["R6: a freeze comes over a node at work"] += machine.bar is not None
            reached["R6: the roll-out closes over a node at work"] += self.before.close_at is not None and now >= self.before.close_at
            reached["R2: the owner loses the right under a node at work"] += not self.facts.owner_may
            reached["R2: a hard fact in the look that would order something"] += (
                self.after.stopped_by == "gate" and not self.before.stopped_by
            )
            reached["R2: a stop that would order something"] += self.before.state == "stopping"
            reached["R2: a hard fact while it is paused and would order something"] += self.before.state == "paused" and bool(self._hard())
        for one in self._watching():
            if self._seen_s(one.node) >= self._need_s(one) and self.old[one.node].watched_s < self._need_s(one):
                machine = self.machines[one.node]
                for gate in machine.told:
                    reached[f"R4: a watch is over with a gate that is {gate.verdict}"] += 1
                reached["R4: a watch is over without its samples"] += machine.coverage < COVERAGE
        for one in self.before.targets:
            if one.state == "running" and one.step == "reboot" and not one.attempt and self.new[one.node].step == "reboot":
                here = self._rebooting(one.role, one.node)
                own = [
                    each
                    for each in self.before.targets
                    if each.node in here and each.state == "running" and each.step == "reboot" and each.attempt
                ]
                reached["R11: a reboot waits for one of its roll-out"] += bool(own)
                reached["R11: a reboot waits for one of the other roll-out"] += any(each != "by hand" for each in here) and not own
                reached["R11: a reboot waits for one by hand"] += here == ["by hand"]
                reached["R11: a reboot waits for a node that is away"] += not here and bool(self._away_of(one.role, one.node))
            if self.new[one.node].reboot_owed and not one.reboot_owed:
                reached["R6: a reboot has no room or is barred"] += "window" in self.new[one.node].reboot_owed
            reached["R5: a node waits for the other roll-out"] += self.new[one.node].why == "in_another_rollout" != one.why
            reached["a late result is judged again"] += self.new[one.node].why == "late_result" != one.why
        waits = [one for one in self.before.targets if one.state in ("pending", "held") and self.machines[one.node].online]
        reached["R3: something unclear while others wait"] += bool(unclear) and bool(waits) and self.before.state == "running"
        if self.after.state != self.before.state:
            reached[f"state {self.after.state}"] += 1
