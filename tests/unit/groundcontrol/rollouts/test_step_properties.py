"""R1 to R12 over `step`: a fleet that fails, goes away, restarts, answers late and jumps in time, under a hub that is killed at any moment."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json, record_to_json
from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId, RuleId
from groundcontrol.core.ids import NodeId
from groundcontrol.jobs.model import TERMINAL
from groundcontrol.notifications.deciding import Defer, Question, Skip, decide
from groundcontrol.notifications.model import Caps, Channel, ChannelId
from groundcontrol.policies.calendar import Times, When
from groundcontrol.policies.model import ActionStep, Order, PatchPolicy, PolicyId, PolicySelect
from groundcontrol.policies.reasons import REMEDIES, Hold
from groundcontrol.policies.waves import Candidate, waves_of
from groundcontrol.rollouts.audit import audit_of
from groundcontrol.rollouts.model import (
    DISPATCHING,
    ENDED,
    Facts,
    Gate,
    JobFacts,
    JobKey,
    MakeJob,
    NodeFacts,
    Override,
    Rollout,
    RolloutId,
    StopJob,
    Target,
)
from groundcontrol.rollouts.step import killed, pause, resumed, step, stopped, taken_over
from groundcontrol.rollouts.views import GATES
from groundcontrol.schedules.maintenance import AutomaticWindow, Window, latest_end, verdict
from groundcontrol.schedules.model import MaintenanceId, Selector

START = 1_800_000_000.0
KNOWN = {"", *REMEDIES, *GATES}
ENDS = st.sampled_from(["succeeded", "succeeded", "succeeded", "succeeded", "failed", "unknown", "interrupted", "cancelled", "expired"])


class Fleet(RuleBasedStateMachine):
    """A roll-out beside a model of its nodes and jobs. A hub that dies between two looks only loses what it had not stored."""

    nodes = Bundle("nodes")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.jobs: dict[JobKey, JobFacts] = {}
        self.dispatched_after: list[str] = []
        self.ordered: list[MakeJob] = []
        self.owner_may = True
        self.stop_asked = False
        self.alerts: dict[NodeId, float] = {}
        """Node -> since when something is wrong on it that a person must hear of."""
        self.quiet: dict[JobKey, AutomaticWindow] = {}

    @initialize(
        count=st.integers(1, 8), canary=st.sampled_from([None, 1, 2]), percent=st.sampled_from([10, 50, 100]), at_once=st.integers(1, 4),
        max_failed=st.integers(0, 1), reboot=st.sampled_from(["never", "if_required", "always"]), with_actions=st.booleans(),
        roles=st.sampled_from([("",), ("role:db",), ("role:db", "role:web")]), length_s=st.sampled_from([3600.0, 7200.0, 86_400.0]),
    )  # fmt: skip
    def begin(
        self, count: int, canary: int | None, percent: int, at_once: int, max_failed: int, reboot: Any, with_actions: bool,
        roles: tuple[str, ...], length_s: float,
    ) -> None:  # fmt: skip
        actions = (ActionStep("drain"),) if with_actions else ()
        policy = PatchPolicy(
            PolicyId("p"), 1, "p", PolicySelect(Selector(all=True)), Times(When(weekly=("tue",)), "02:30", int(length_s), "UTC"),
            what="all", order=Order(canary, percent, at_once), max_failed=max_failed, reboot=reboot, before=actions, after=actions, watch_s=300,
        )  # fmt: skip
        ids = [NodeId(f"n{index}") for index in range(count)]
        waves = waves_of(policy.order, [Candidate(node, (), "debian", fit=True) for node in ids])
        wave_of = {node: index for index, wave in enumerate(waves) for node in wave}
        targets = tuple(Target(node, node, wave_of[node], roles[index % len(roles)]) for index, node in enumerate(ids))
        self.rollout = Rollout(
            RolloutId("r"), 1, "r", policy, "p", START, "u", "u", "waiting", targets, START, start_at=START, close_at=START + length_s
        )
        self.facts = {node: NodeFacts(verb="upgrade", heard_to=START, expected_s=600.0) for node in ids}
        self.first_targets = [one.node for one in targets]

    # -- the hub looks ---------------------------------------------------------------------------

    def _look(self) -> None:
        facts = Facts(dict(self.facts), dict(self.jobs), self.owner_may)
        before = self.rollout
        after = step(before, facts, self.now)
        assert after == step(before, facts, self.now), "R10: the same facts give the same answer"
        self._store(before, after.rollout, after.commands)

    def _store(self, before: Rollout, after: Rollout, commands: Any) -> None:
        self.rollout = after
        self._audit(before, after)
        for command in commands:
            if isinstance(command, MakeJob):
                key = (command.node, command.step, command.attempt)
                assert key not in self.jobs, f"R1: {key} twice"
                self.jobs[key] = JobFacts("queued")
                self._open_quiet(key)
                self.ordered.append(command)
                if next(one for one in before.targets if one.node == command.node).state in ("pending", "held"):
                    hold = self.facts[command.node].hold
                    assert hold is None, f"R5: {key} begins although {hold}"
                if command.step != "after":
                    assert after.state in DISPATCHING, f"R2: {key} ordered while {after.state}"
                    assert self.owner_may, f"R2: {key} ordered without rights"
                    assert self.now < (after.close_at or 9e99), f"R6: {key} ordered after the window"
                    hold = self.facts[command.node].hold
                    if command.step in ("patch", "reboot"):
                        assert hold is None or hold[0] != "frozen", f"R6: {key} ordered in a freeze"
                if [each[0] for each in self.jobs].count(command.node) == 1:
                    self._no_wave_too_early(command.node)
            elif isinstance(command, StopJob):
                key = (command.node, command.step, command.attempt)
                if self.jobs[key].state == "queued":
                    self.jobs[key] = JobFacts("cancelled")
        if before.state in ENDED:
            assert after == before, "an end is final"

    def _audit(self, before: Rollout, after: Rollout) -> None:
        """R12: each transition has an audit row, and the row has its evidence."""
        row = audit_of(before, after)
        old = {one.node: one for one in before.targets}
        moved = [
            one for one in after.targets if (one.state, one.step, one.why) != (old[one.node].state, old[one.node].step, old[one.node].why)
        ]
        if row is None:
            assert not moved, "R12: a target moved and nothing was written"
            assert (before.state, before.why, before.wave, before.overrides) == (after.state, after.why, after.wave, after.overrides), "R12"
            return
        told = {one["node"]: one for one in row["targets"]}  # type: ignore[attr-defined]
        assert (row["from"], row["to"]) == (before.state, after.state)
        for one in moved:
            assert told[one.node]["state"] == one.state, "R12"
            if one.state in ("failed", "unknown", "held", "not_started"):
                assert told[one.node]["words"], f"R12: no evidence for {one}"
            assert one.why in KNOWN, f"{one.why} has no words for what helps"
        if after.state != before.state and after.state in ("stopping", "stopped", "paused", "holding", "expired"):
            assert row["words"], f"R12: no evidence for {before.state} -> {after.state}"

    def _open_quiet(self, key: JobKey) -> None:
        """Jobs open their own quiet, as in the transaction that queues them."""
        window = Window(
            MaintenanceId(str(key)), 1, Selector(nodes=(key[0],)), self.now, latest_end(self.now), "", "job", "u", self.now
        )  # fmt: skip
        self.quiet[key] = AutomaticWindow(window, key[0], gone=False, ended_at=None)

    def _follow_quiet(self) -> None:
        for key, one in list(self.quiet.items()):
            ended = self.jobs[key].state in TERMINAL
            one = one._replace(ended_at=(self.now if one.ended_at is None else one.ended_at) if ended else None)  # noqa: PLW2901
            healthy_s = None if key[0] in self.alerts else 3600.0
            if verdict(one, healthy_s, self.now) == "open" and (one.window.until_at or 0.0) > self.now >= one.window.from_at:
                self.quiet[key] = one
            else:
                del self.quiet[key]

    def _no_wave_too_early(self, node: NodeId) -> None:
        """R3 and R4: nothing of an earlier wave is under way, unclear or unknown."""
        wave = next(one.wave for one in self.rollout.targets if one.node == node)
        for one in self.rollout.targets:
            if one.wave < wave:
                assert one.state not in ("pending", "running"), f"R3: {node} before {one}"
                if one.state == "unknown" and one.why != "deleted":
                    assert any(over.wave == one.wave for over in self.rollout.overrides), f"R4: {one}"

    @rule(times=st.integers(1, 4))
    def look(self, times: int) -> None:
        for _ in range(times):
            self._look()

    @rule()
    def the_hub_dies_before_it_stores(self) -> None:
        """R10: what a hub had decided and not stored is lost; the next one decides the same, which every look checks."""
        step(self.rollout, Facts(dict(self.facts), dict(self.jobs), self.owner_may), self.now)
        self.rollout = record_from_json(Rollout, record_to_json(self.rollout))

    @rule(seconds=st.sampled_from([1.0, 10.0, 61.0, 200.0, 700.0, 2000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for node, facts in self.facts.items():
            if facts.online:
                self.facts[node] = facts._replace(heard_to=facts.heard_to + seconds, away_s=0.0)
            else:
                self.facts[node] = facts._replace(away_s=facts.away_s + seconds)
        self._look()

    @rule(seconds=st.sampled_from([-3600.0, -60.0, 3600.0]))
    def the_clock_of_the_hub_jumps(self, seconds: float) -> None:
        self.now += seconds
        self._look()

    # -- the fleet -------------------------------------------------------------------------------

    def _node(self, index: int) -> NodeId:
        return self.first_targets[index % len(self.first_targets)]

    @rule(index=st.integers(0, 7), looks=st.integers(0, 2))
    def a_job_runs(self, index: int, looks: int) -> None:
        queued = [key for key, job in self.jobs.items() if job.state == "queued"]
        if queued:
            key = queued[index % len(queued)]
            if key[1] == "after" or self.rollout.state in DISPATCHING:  # what `take` checks in its transaction
                self.jobs[key] = self.jobs[key]._replace(state="running", phase="commit" if key[1] == "patch" else None)
        for _ in range(looks):
            self._look()

    @rule(
        index=st.integers(0, 7), end=ENDS, steps=st.sampled_from([0, 1, 1, 1]), fault=st.sampled_from(["", "", "", "it removes x"]),
        needs=st.sampled_from(["yes", "no"]), lost=st.sampled_from([False, False, True]), looks=st.integers(0, 2),
    )  # fmt: skip
    def a_job_ends(self, index: int, end: Any, steps: int, fault: str, needs: Any, lost: bool, looks: int) -> None:
        running = [key for key, job in self.jobs.items() if job.state in ("running", "queued")]
        if running:
            key = running[index % len(running)]
            if key[1] != "after" and self.rollout.state not in DISPATCHING and self.jobs[key].state == "queued":
                end = "expired"
            plan: dict[str, Any] = (
                {"plan_digest": f"{key}", "plan_steps": steps, "plan_fault": fault} if key[1] == "plan" and end == "succeeded" else {}
            )
            self.jobs[key] = JobFacts(end, None, "", end, lost and key[1] == "reboot", reboot=needs, **plan)
        for _ in range(looks):
            self._look()

    @rule(
        times=st.integers(1, 8),
        needs=st.sampled_from(["yes", "no"]),
        reboots_end=st.booleans(),
        seconds=st.sampled_from([5.0, 61.0, 200.0]),
    )
    def work_goes_on(self, times: int, needs: Any, reboots_end: bool, seconds: float) -> None:
        """Jobs run and succeed, and time passes: so that runs get far."""
        for _ in range(times):
            for key, job in list(self.jobs.items()):
                if job.state == "queued" and (key[1] == "after" or self.rollout.state in DISPATCHING):
                    self.jobs[key] = job._replace(state="running")
                elif job.state == "running" and (key[1] != "reboot" or reboots_end):
                    plan: dict[str, Any] = {"plan_digest": f"{key}", "plan_steps": 1} if key[1] == "plan" else {}
                    self.jobs[key] = JobFacts("succeeded", reboot=needs, **plan)
            self.time_passes(seconds)

    @rule(index=st.integers(0, 7))
    def a_result_comes_late(self, index: int) -> None:
        unsure = [key for key, job in self.jobs.items() if job.state in ("unknown", "interrupted")]
        if unsure:
            key = unsure[index % len(unsure)]
            self.jobs[key] = self.jobs[key]._replace(state="succeeded")
        self._look()

    @rule(index=st.integers(0, 7), online=st.booleans())
    def a_node_goes_or_comes(self, index: int, online: bool) -> None:
        node = self._node(index)
        hold: Hold | None = None if online else ("offline", "it is offline")
        self.facts[node] = self.facts[node]._replace(online=online, hold=hold, away_s=0.0)
        self._look()

    @rule(index=st.integers(0, 7), over=st.sampled_from([False, False, True]))
    def an_alert_fires_or_is_over(self, index: int, over: bool) -> None:
        node = self._node(index)
        if over:
            self.alerts.pop(node, None)
        else:
            self.alerts.setdefault(node, self.now)

    @rule(index=st.integers(0, 7), frozen=st.booleans())
    def a_freeze(self, index: int, frozen: bool) -> None:
        node = self._node(index)
        self.facts[node] = self.facts[node]._replace(hold=("frozen", "frozen") if frozen else None)

    @rule(index=st.integers(0, 7), busy=st.sampled_from(["in_another_rollout", "another_job", ""]))
    def another_roll_out_or_job_has_a_node(self, index: int, busy: Any) -> None:
        node = self._node(index)
        if self.facts[node].online:
            self.facts[node] = self.facts[node]._replace(hold=(busy, "another one has it") if busy else None)

    @rule(index=st.integers(0, 7))
    def a_node_is_removed(self, index: int) -> None:
        node = self._node(index)
        self.facts[node] = self.facts[node]._replace(exists=False)
        self._look()

    @rule(index=st.integers(0, 7), verdict=st.sampled_from(["", "", "worse", "failed", "unknown", "already"]))
    def a_gate_speaks(self, index: int, verdict: Any) -> None:
        node = self._node(index)
        gates = (Gate("unit_failed", "shop.service", verdict, "shop.service failed", self.facts[node].heard_to),) if verdict else ()
        self.facts[node] = self.facts[node]._replace(gates=gates)

    @rule(index=st.integers(0, 7), coverage=st.sampled_from([1.0, 0.5]))
    def samples_are_missing(self, index: int, coverage: float) -> None:
        node = self._node(index)
        self.facts[node] = self.facts[node]._replace(coverage=coverage)

    # -- people ----------------------------------------------------------------------------------

    @rule(may=st.booleans())
    def the_owner_loses_the_right(self, may: bool) -> None:
        self.owner_may = may
        self._look()

    @precondition(lambda self: self.rollout.state in ("running", "holding"))
    @rule()
    def somebody_pauses(self) -> None:
        self._store(self.rollout, pause(self.rollout, "a"), ())

    @precondition(lambda self: self.rollout.state == "paused" and self.owner_may)
    @rule()
    def somebody_resumes(self) -> None:
        self._store(self.rollout, resumed(self.rollout), ())

    @precondition(lambda self: self.rollout.state in ("holding", "paused"))
    @rule()
    def somebody_goes_on(self) -> None:
        over = Override(self.rollout.wave, "*", "a", "seen", self.now)
        self._store(self.rollout, resumed(self.rollout)._replace(overrides=(*self.rollout.overrides, over)), ())

    @precondition(lambda self: self.rollout.state in ("waiting", "running", "holding", "paused"))
    @rule(admin=st.sampled_from(["a", "b"]))
    def an_admin_takes_it_over(self, admin: str) -> None:
        """R2: what had paused for its lost owner stays paused until somebody resumes it."""
        before = self.rollout
        after = taken_over(before, admin, admin, self.now)
        self.owner_may = True
        assert (after.state, after.owner, after.ordered_at) == (before.state, admin, self.now)
        self._store(before, after, ())

    @precondition(lambda self: self.rollout.state in ("running", "holding", "paused"))
    @rule()
    def somebody_stops(self) -> None:
        before = self.rollout
        after = stopped(before, Facts(dict(self.facts), dict(self.jobs), self.owner_may), self.now, "a")
        assert not [one for one in after.commands if isinstance(one, MakeJob) and one.step != "after"], "R2"
        self._store(before, after.rollout, after.commands)

    @precondition(lambda self: self.rollout.state == "stopping")
    @rule(index=st.integers(0, 7))
    def somebody_kills(self, index: int) -> None:
        running = [one for one in self.rollout.targets if one.state == "running" and one.step != "reboot"]
        if running:
            before, one = self.rollout, running[index % len(running)]
            after = killed(before, Facts(dict(self.facts), dict(self.jobs), self.owner_may), self.now, "admin", one.node)
            assert not [each for each in after.commands if isinstance(each, MakeJob)], "R2"
            if one.step == "watch":
                assert next(each for each in after.rollout.targets if each.node == one.node).state == "unknown", (
                    "R4: it was not seen to its end"
                )
            self._store(before, after.rollout, after.commands)

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def targets_add_up_and_never_grow(self) -> None:
        if hasattr(self, "rollout"):
            counts = self.rollout.counts()
            assert counts.pop("total") == sum(counts.values()) == len(self.first_targets), "R8"
            assert [one.node for one in self.rollout.targets] == self.first_targets, "R7"

    @invariant()
    def no_alert_is_lost_to_quiet(self) -> None:
        """R9: what is true while a job has its quiet is kept for later, and told once the quiet is over."""
        if not hasattr(self, "rollout"):
            return
        self._follow_quiet()
        for node, since in self.alerts.items():
            windows = [one.window.until_at or 0.0 for key, one in self.quiet.items() if key[0] == node]
            firing = Alert(
                AlertId("a"), 1, RuleId("cpu"), node, "", "critical", "firing", since, since, None, None, 1.0, 1.0, IncidentId("i")
            )  # fmt: skip
            incident = Incident(IncidentId("i"), 1, "critical", "open", "t", since, None, f"node:{node}", 1)
            channel = Channel(ChannelId("c"), 1, "ntfy", "phone", True, "warning", None, Caps(), "")
            until = max(windows, default=None)
            decision = decide(Question("firing", incident, (firing,), channel, (), self.now, START - 90_000.0, until))
            assert not isinstance(decision, Skip), "R9: it would never be told"
            if not windows:
                assert decision.reason != "maintenance", "R9: it waits for a quiet that is over"
            elif isinstance(decision, Defer) and decision.reason == "maintenance":
                assert decision.until <= latest_end(self.now), "R9: its quiet has no end"

    @invariant()
    def one_reboot_per_role(self) -> None:
        if hasattr(self, "rollout"):
            by_role = [
                one.role for one in self.rollout.targets if (job := self.jobs.get((one.node, "reboot", 1))) and job.state not in TERMINAL
                and self.facts[one.node].exists
            ]  # fmt: skip
            assert len(by_role) == len(set(by_role)), "R11"

    @invariant()
    def after_runs_whenever_before_ran(self) -> None:
        if not hasattr(self, "rollout") or not self.rollout.policy.before:
            return
        for one in self.rollout.targets:
            ended = one.state not in ("pending", "held", "running")
            if ended and one.why not in ("deleted", "away") and (one.node, "before", 0) in self.jobs:
                assert (one.node, "after", 0) in self.jobs, one

    @invariant()
    def passed_means_seen(self) -> None:
        """R4: nothing passes without its watch, unless nothing changed on it."""
        if hasattr(self, "rollout"):
            for one in self.rollout.targets:
                if one.state == "passed" and one.changed:
                    assert one.watched_s >= 300.0, one
                    assert not [gate for gate in one.gates if gate.verdict in ("unknown", "failed")
                                and not any(over.wave == one.wave for over in self.rollout.overrides)], one  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.holds("SAFETY-105")
def test_r1_to_r12_hold_over_restarts_lost_nodes_late_results_and_clock_jumps() -> None:
    run_state_machine_as_test(
        Fleet, settings=settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    )
