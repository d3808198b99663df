"""R1 to R12 over `step`: two roll-outs that share a fleet which fails, goes away, restarts and answers late, under a hub that dies at any moment.

What must hold is judged by `tests.support.rollout_referee`, from the outside. What a run reaches is counted: a rule whose moment never comes
would hold of anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId, RuleId
from groundcontrol.core.ids import NodeId
from groundcontrol.jobs.model import TERMINAL
from groundcontrol.notifications.deciding import Defer, Question, Skip, decide
from groundcontrol.notifications.model import Caps, Channel, ChannelId
from groundcontrol.policies.calendar import Times, When
from groundcontrol.policies.model import ActionStep, Order, PatchPolicy, PolicyId, PolicySelect
from groundcontrol.policies.reasons import Hold
from groundcontrol.policies.waves import Candidate, waves_of
from groundcontrol.rollouts.model import ENDED, JobKey, Override, Rollout, RolloutId, Target
from groundcontrol.rollouts.step import cancelled, killed, pause, resumed, stopped, taken_over
from groundcontrol.schedules.maintenance import AutomaticWindow, Window, latest_end, verdict
from groundcontrol.schedules.model import MaintenanceId, Selector
from tests.support.rollout_referee import HARD, Machine
from tests.support.rollout_world import WORKING, Lane, World, gate

START = 1_800_000_000.0
BAD_ENDS = st.sampled_from(["failed", "unknown", "interrupted", "cancelled", "expired"])
BARS: tuple[Hold, ...] = (("frozen", "frozen by Christmas"), ("not_allowed", "u may not do this on it"))
TROUBLES = (
    "time",
    "alerts",
    "hub",
    "clock",
    "jobs",
    "late results",
    "mirror",
    "away",
    "removed",
    "bars",
    "windows",
    "close",
    "by hand",
    "gates",
    "samples",
    "owner",
    "pause",
    "stop",
)
ALWAYS = ("work", "watch", "people")
REACHED: Counter[str] = Counter()
"""Moment in which a rule decides -> in how many runs it came."""
Method = TypeVar("Method", bound=Callable[..., None])
INDEX = st.integers(0, 11)


class Happening(NamedTuple):
    """Something that may happen in a run."""

    kind: str
    when: Callable[[Any], object]
    does: Callable[..., None]
    drawn: dict[str, st.SearchStrategy[Any]]


HAPPENINGS: list[Happening] = []


def happening(
    kind: str, when: Callable[[Any], object] = lambda _self: True, /, **drawn: st.SearchStrategy[Any]
) -> Callable[[Method], Method]:
    """A method as something that may happen, if its kind is one of this run, or is always: a run that met everything would not get far."""

    def add(method: Method) -> Method:
        HAPPENINGS.append(Happening(kind, when, method, drawn))
        return method

    return add


class Fleet(RuleBasedStateMachine):
    """Two roll-outs beside a model of their machines and jobs. Most rules choose a machine for which they matter now."""

    @initialize(
        count=st.integers(2, 6), both=st.integers(0, 6), role_names=st.sampled_from([("",), ("role:db",), ("role:db",), ("role:db", "role:web")]),
        kinds=st.tuples(st.sampled_from(["policy", "policy", "policy", "by hand"]), st.sampled_from(["policy", "policy", "by hand"])),
        canary=st.sampled_from([0, 0, 1, 2, None]), percent=st.sampled_from([10, 100]), at_once=st.sampled_from([1, 2, 4, 4]), max_failed=st.sampled_from([0, 0, 1]),
        reboot=st.sampled_from(["never", "if_required", "always", "always"]), with_actions=st.booleans(),
        length_s=st.sampled_from([4000.0, 86_400.0, 86_400.0]), watch_s=st.sampled_from([300, 300, 900]),
        gates=st.sampled_from(["stop", "stop", "stop", "stop", "observe"]), late_s=st.sampled_from([0.0, 0.0, 300.0]),
        need_reboot=st.lists(st.booleans(), min_size=6, max_size=6), up_to_date=st.integers(0, 12), max_per_role=st.sampled_from([1, 1, 1, 2]),
        troubles=st.sets(st.sampled_from(TROUBLES), min_size=1, max_size=5), pace=st.sampled_from([(1, 10.0), (4, 10.0), (8, 10.0), (8, 40.0)]),
        slow=st.lists(st.sampled_from([0, 0, 1, 3, 5]), min_size=6, max_size=6), stops_reach=st.booleans(),
    )  # fmt: skip
    def begin(
        self, count: int, both: int, role_names: tuple[str, ...], kinds: tuple[str, str], canary: int | None, percent: int, at_once: int,
        max_failed: int, reboot: Any, with_actions: bool, length_s: float, watch_s: int, gates: Any, late_s: float, need_reboot: list[bool],
        up_to_date: int, max_per_role: int, troubles: set[str], pace: tuple[int, float], slow: list[int], stops_reach: bool,
    ) -> None:  # fmt: skip
        ids = [NodeId(f"n{index}") for index in range(count)]
        machines = {
            node: Machine(role_names[index % len(role_names)], heard_to=START, reboot="yes" if need_reboot[index] else "no", updates=index != up_to_date, slow=slow[index])
            for index, node in enumerate(ids)
        }  # fmt: skip
        self.world = World(START, machines)
        self.troubles, self.pace, self.world.stops_reach = troubles, pace, stops_reach
        self.alerts: dict[NodeId, float] = {}
        """Node -> since when something is wrong on it that a person must hear of."""
        self.quiet: dict[tuple[int, JobKey], AutomaticWindow] = {}
        actions = (ActionStep("drain"),) if with_actions else ()
        policy = PatchPolicy(
            PolicyId("p"), 1, "p", PolicySelect(Selector(all=True)), Times(When(weekly=("tue",)), "02:30", int(length_s), "UTC"), what="all",
            order=Order(canary, percent, at_once), max_failed=max_failed, reboot=reboot, before=actions, after=actions, watch_s=watch_s, gates=gates,
            max_per_role=max_per_role,
        )  # fmt: skip
        halves = (ids, ids[::-1][:both])  # the second one goes the other way round
        for index, (kind, nodes) in enumerate(zip(kinds, halves, strict=True)):
            if not nodes:
                continue
            waves = waves_of(policy.order, [Candidate(node, (), "debian", fit=True) for node in nodes])
            wave_of = {node: number for number, wave in enumerate(waves) for node in wave}
            targets = tuple(Target(node, node, wave_of[node], machines[node].role) for node in nodes)
            start = START + late_s * (1 - index)  # the elder one may begin later
            made = Rollout(
                RolloutId(f"r{index}"),
                1,
                f"r{index}",
                policy,
                "p",
                START,
                "u",
                "u",
                "waiting",
                targets,
                START,
                start_at=start,
                close_at=start + length_s,
            )
            one_off = made._replace(state="planning", policy_id="", due_at=None, action="upgrade")
            self.world.add(made if kind == "policy" else one_off)
        self.world.look()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            REACHED.update(["runs", *+self.world.reached])

    # -- choosing --------------------------------------------------------------------------------

    def _at_work(self, *steps: str) -> list[tuple[Lane, Target]]:
        return [
            (lane, one)
            for lane in self.world.lanes
            for one in lane.rollout.targets
            if one.state == "running" and (not steps or one.step in steps)
        ]

    def _machine(self, index: int, *steps: str) -> Machine:
        """One that is at work, else any."""
        work = self._at_work(*steps)
        if work:
            return self.world.machines[work[index % len(work)][1].node]
        return list(self.world.machines.values())[index % len(self.world.machines)]

    def _lanes(self, *states: str) -> list[Lane]:
        return [lane for lane in self.world.lanes if lane.rollout.state in states]

    def _then(self) -> None:
        """The hub looks, and ordinary work goes on for a while: else few runs would get far."""
        self.world.look()
        self._start()
        times, seconds = self.pace
        for _ in range(times):
            self.world.works()
            self.world.passes(seconds)

    def _start(self) -> None:
        """Somebody confirms the plans of a roll-out by hand."""
        for lane in self._lanes("ready"):
            targets = tuple(
                one if one.confirmed else one._replace(state="not_started", words=one.words or "it could not be planned") for one in lane.rollout.targets
            )  # fmt: skip
            self.world.by_person(lane, lane.rollout._replace(state="waiting", words="", targets=targets))

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """One rule, so that none is ever switched off for a whole run."""
        usable = [one for one in HAPPENINGS if (one.kind in ALWAYS or one.kind in self.troubles) and one.when(self)]
        one = data.draw(st.sampled_from(usable), label="what")
        one.does(self, **{name: data.draw(strategy, label=name) for name, strategy in one.drawn.items()})

    # -- time and work ---------------------------------------------------------------------------

    @happening(
        "work",
        times=st.integers(1, 10),
        seconds=st.sampled_from([5.0, 30.0, 61.0]),
        reboots_end=st.booleans(),
        go_down=st.booleans(),
        two_hubs=st.booleans(),
    )
    def work_goes_on(self, times: int, seconds: float, reboots_end: bool, go_down: bool, two_hubs: bool) -> None:
        for _ in range(times):
            self.world.works(reboots_end=reboots_end, go_down=go_down)
            self.world.passes(seconds, two_hubs=two_hubs)

    @happening("time", seconds=st.sampled_from([1.0, 61.0, 200.0, 700.0, 2000.0]), looks=st.integers(1, 3))
    def time_passes(self, seconds: float, looks: int) -> None:
        for _ in range(looks):
            self.world.passes(seconds / looks)

    @happening("clock", seconds=st.sampled_from([-3600.0, -60.0, 3600.0]))
    def the_clock_of_the_hub_is_set(self, seconds: float) -> None:
        self.world.clock_is_set(seconds)
        self._then()

    @happening("hub", seconds=st.sampled_from([400.0, 4000.0]), work=st.booleans(), index=INDEX, lost=st.booleans())
    def the_hub_is_off(self, seconds: float, work: bool, index: int, lost: bool) -> None:
        """Jobs end and machines go meanwhile. It learns of all that in one look."""
        if lost:
            self._goes(self._machine(index), 8000.0)
        if work:
            self.world.works(all_end=True)
        self.world.passes(seconds, hub_is_off=True)

    # -- jobs ------------------------------------------------------------------------------------

    @happening(
        "jobs",
        lambda self: self.world.open_jobs(),
        index=INDEX,
        state=BAD_ENDS,
        all_end=st.sampled_from([True, True, False]),
        plan_changed=st.sampled_from([False, False, True]),
    )
    def a_job_ends_badly(self, index: int, state: Any, all_end: bool, plan_changed: bool) -> None:
        jobs = [one for one in self.world.open_jobs() if one[1][1] in ("patch", "reboot")] or self.world.open_jobs()
        lane, key = jobs[index % len(jobs)]
        self.world.take(lane, key)
        self.world.end(lane, key, state, error="job.plan_changed" if plan_changed and key[1] == "patch" and state == "failed" else "")
        if all_end:
            self.world.works(all_end=True)
        self._then()

    @happening("people", lambda self: any(key[1] == "reboot" for _, key in self.world.open_jobs()), lost=st.booleans())
    def a_reboot_ends(self, lost: bool) -> None:
        for lane, key in self.world.open_jobs():
            if key[1] == "reboot":
                self.world.take(lane, key)
                self.world.end(lane, key, lost=lost and "jobs" in self.troubles)
        self._then()

    @happening(
        "late results", lambda self: any(job.state in ("unknown", "interrupted") for lane in self.world.lanes for job in lane.jobs.values())
    )
    def a_result_comes_late(self) -> None:
        for lane in self.world.lanes:
            for key, job in lane.jobs.items():
                if job.state in ("unknown", "interrupted"):
                    lane.jobs[key] = job._replace(state="succeeded", plan_digest="")
        self._then()

    @happening("mirror", index=INDEX, what=st.sampled_from(["", "", "it removes x", "it is up to date"]))
    def the_mirror_changes(self, index: int, what: str) -> None:
        machine = self._machine(index, "plan")
        machine.mirror += 1
        machine.plan_fault, machine.updates = what if what == "it removes x" else "", what != "it is up to date"
        self._then()

    # -- machines --------------------------------------------------------------------------------

    @happening("away", index=INDEX, lasts_s=st.sampled_from([30.0, 100.0, 280.0, 400.0, 4000.0]))
    def a_machine_goes(self, index: int, lasts_s: float) -> None:
        self._goes(self._machine(index), lasts_s)
        self._then()

    def _goes(self, machine: Machine, lasts_s: float) -> None:
        machine.goes(self.world.monotonic)
        self.world.later(lasts_s, lambda: machine.comes_back(self.world.monotonic))

    @happening("away", lambda self: len(self._at_work("reboot")) > 1, index=INDEX)
    def a_machine_of_the_role_goes_while_a_reboot_waits(self, index: int) -> None:
        """The slot itself is free: whoever reboots has come back."""
        work = self._at_work("watch", "plan", "patch") or self._at_work("reboot")
        self.world.machines[work[index % len(work)][1].node].goes(self.world.monotonic)
        for lane, key in self.world.open_jobs():
            if key[1] == "reboot":
                self.world.take(lane, key)
                self.world.end(lane, key)
        self._then()

    @happening("removed", index=INDEX)
    def a_machine_is_removed(self, index: int) -> None:
        if all(one.exists for one in self.world.machines.values()):  # one is enough
            self._machine(index).exists = False
        self._then()

    @happening("bars", index=INDEX, bar=st.sampled_from(BARS), ends=st.booleans(), lasts_s=st.sampled_from([50.0, 1000.0]))
    def a_bar_comes_down(self, index: int, bar: Hold, ends: bool, lasts_s: float) -> None:
        """Over a machine under way if there is one, and what it does ends at the same time."""
        machine = self._machine(index, "plan", "before", "patch")
        machine.bar = bar
        self.world.later(lasts_s, lambda: setattr(machine, "bar", None))
        if ends:
            self.world.works(all_end=True)
        self._then()

    @happening("windows", index=INDEX, in_s=st.sampled_from([10.0, 190.0, 400.0, 1000.0]), ends=st.booleans())
    def a_window_has_an_end(self, index: int, in_s: float, ends: bool) -> None:
        machine = self._machine(index, "plan", "before", "patch")
        machine.until_at = self.world.now + in_s
        self.world.later(in_s + 400.0, lambda: setattr(machine, "until_at", None))
        if ends:
            self.world.passes(in_s)
            self.world.works(all_end=True)
        self._then()

    @happening("close", lambda self: self._at_work("plan", "before", "patch"), index=INDEX, before_s=st.sampled_from([-1.0, 0.0, 100.0]))
    def the_close_comes(self, index: int, before_s: float) -> None:
        """Work that was under way ends shortly before the close, or after it."""
        work = self._at_work("plan", "before", "patch")
        close_at = work[index % len(work)][0].rollout.close_at or self.world.now
        self.world.passes(max(1.0, close_at - before_s - self.world.now), looks=False)
        self.world.works(all_end=True)
        self._then()

    @happening("by hand", index=INDEX, by_hand=st.booleans())
    def a_person_reboots_another_node_of_the_role(self, index: int, by_hand: bool) -> None:
        self.world.by_hand[self._machine(index, "patch", "reboot").role] = int(by_hand)

    @happening("by hand", lambda self: self._at_work("plan", "patch"), index=INDEX, ago_s=st.sampled_from([3600.0, 200_000.0]))
    def a_policy_had_rebooted_it(self, index: int, ago_s: float) -> None:
        self._machine(index, "plan", "patch").rebooted_at = self.world.now - ago_s

    # -- watches ---------------------------------------------------------------------------------

    @happening(
        "gates",
        index=INDEX,
        kind=st.sampled_from(["hard", "soft", "unknown", "already"]),
        lasts_s=st.sampled_from([10.0, 200.0, 700.0, 2000.0]),
        lasted_s=st.sampled_from([0.0, 10.0]),
        all_end=st.sampled_from([True, True, False]),
    )
    def a_gate_speaks(self, index: int, kind: str, lasts_s: float, lasted_s: float, all_end: bool) -> None:
        """As somebody who learns late: it may have lasted for some time. Jobs of others may end in the same look."""
        self._fault(self._machine(index, "watch"), kind, lasts_s, lasted_s)
        if all_end:
            self.world.works(all_end=True)
        self._then()

    @happening("samples", index=INDEX, coverage=st.sampled_from([0.79, 0.5]), lasts_s=st.sampled_from([50.0, 300.0, 2500.0]))
    def samples_are_missing(self, index: int, coverage: float, lasts_s: float) -> None:
        self._blind(self._machine(index, "watch"), coverage, lasts_s)
        self._then()

    def _blind(self, machine: Machine, coverage: float, lasts_s: float) -> None:
        machine.coverage = coverage
        self.world.later(lasts_s, lambda: setattr(machine, "coverage", 1.0))

    @happening(
        "watch",
        lambda self: self._at_work("watch"),
        index=INDEX,
        how=st.sampled_from(["clear", "clear", "clear", "hard", "soft", "soft on two", "unknown", "samples", "away"]),
        before_s=st.sampled_from([2.0, 8.0, 70.0]),
    )
    def a_watch_comes_to_its_end(self, index: int, how: str, before_s: float) -> None:
        """All goes well to shortly before the end; the last looks show something else."""
        watching = self._at_work("watch")
        lane, target = watching[index % len(watching)]
        policy, machine = lane.rollout.policy, self.world.machines[target.node]
        need_s = 60.0 + (policy.watch_s if target.wave == 0 else min(policy.watch_s, 600))
        left_s = need_s - (machine.heard_to - (target.settled_at or 0.0))
        if left_s > before_s:
            self.world.passes(left_s - before_s)
        match how:
            case "samples":
                self._blind(machine, 0.5, 200.0)
            case "away":
                self._goes(machine, 200.0)
            case "soft on two":
                for _, one in watching:
                    self._fault(self.world.machines[one.node], "soft", 200.0)
            case "clear":
                pass
            case _:
                self._fault(machine, how, 200.0)
        for seconds in (before_s / 2, before_s, before_s):
            self.world.passes(seconds)
        self._then()

    def _fault(self, machine: Machine, kind: str, lasts_s: float, lasted_s: float = 0.0) -> None:
        made = gate(kind, machine)
        made = made._replace(since_at=made.since_at - lasted_s)
        machine.faults.setdefault(made.key, made)
        self.world.later(lasts_s, lambda: machine.faults.pop(made.key, None))

    # -- people ----------------------------------------------------------------------------------

    @happening("owner", index=INDEX, may=st.booleans(), ends=st.booleans())
    def the_owner_loses_the_right(self, index: int, may: bool, ends: bool) -> None:
        """While something ends after which more would be ordered."""
        lane = self.world.lanes[index % len(self.world.lanes)]
        lane.owner_may = may
        if ends:
            self.world.works(all_end=True)
        self._then()

    @happening("pause", lambda self: self._lanes("running", "holding"), index=INDEX, after_wave=st.booleans(), ends=st.booleans())
    def somebody_pauses(self, index: int, after_wave: bool, ends: bool) -> None:
        lanes = self._lanes("running", "holding")
        lane = lanes[index % len(lanes)]
        one = lane.rollout
        self.world.by_person(lane, one._replace(pause_after=one.wave) if after_wave else pause(one, "a"))
        if ends:
            self.world.works(all_end=True)
            self.world.look()

    @happening("people", lambda self: self._lanes("paused"))
    def somebody_resumes(self) -> None:
        for lane in self._lanes("paused"):
            lane.owner_may = True
            self.world.by_person(lane, resumed(lane.rollout))

    @happening(
        "people",
        lambda self: self._lanes("holding", "paused"),
        index=INDEX,
        name=st.sampled_from(["*", "cpu", "another_job", "evidence", "hard"]),
    )
    def somebody_goes_on(self, index: int, name: str) -> None:
        """Of a hard gate only once it has failed, as the REST asks."""
        lanes = self._lanes("holding", "paused")
        lane = lanes[index % len(lanes)]
        one = lane.rollout
        failed = {gate.gate for target in one.targets for gate in target.gates if gate.verdict in ("failed", "unknown")} & HARD
        failed |= {"job_outcome"} if any(target.state == "failed" or target.broken for target in one.targets) else set()
        names = failed if name == "hard" else {name}
        over = tuple(Override(one.wave, each, "a", "seen", self.world.now) for each in sorted(names))
        self.world.by_person(lane, resumed(one)._replace(overrides=(*one.overrides, *over)))

    @happening("owner", lambda self: self._lanes("waiting", "running", "holding", "paused"), index=INDEX)
    def an_admin_takes_it_over(self, index: int) -> None:
        """R2: what had paused for its lost owner stays paused until somebody resumes it."""
        lanes = self._lanes("waiting", "running", "holding", "paused")
        lane = lanes[index % len(lanes)]
        before = lane.rollout
        after = taken_over(before, "admin", "admin", self.world.now)
        assert (after.state, after.owner, after.ordered_at) == (before.state, "admin", self.world.now)
        lane.owner_may = True
        self.world.by_person(lane, after)

    @happening(
        "stop", lambda self: self._lanes("planning", "waiting", *WORKING) and self.world.monotonic > 60.0, index=INDEX, ends=st.booleans()
    )
    def somebody_stops(self, index: int, ends: bool) -> None:
        """While something ends after which more would be ordered."""
        lanes = self._lanes("planning", "waiting", "running", "holding", "paused")
        if lanes:
            lane = lanes[index % len(lanes)]
            one = lane.rollout
            if one.state in ("planning", "waiting"):
                self.world.by_person(lane, cancelled(one, self.world.now, "a"))
                return
            self.world.by_person(lane, stopped(one, self.world.facts(lane), self.world.now, "a"))
            if ends:
                self.world.works(all_end=True)
            self._then()

    @happening(
        "people", lambda self: any(lane.rollout.state == "stopping" for lane, one in self._at_work() if one.step != "reboot"), index=INDEX
    )
    def somebody_kills(self, index: int) -> None:
        work = [(lane, one) for lane, one in self._at_work() if lane.rollout.state == "stopping" and one.step != "reboot"]
        lane, one = work[index % len(work)]
        after = killed(lane.rollout, self.world.facts(lane), self.world.now, "admin", one.node)
        self.world.by_person(lane, after)
        if one.step == "watch":
            assert next(each for each in lane.rollout.targets if each.node == one.node).state == "unknown", "R4: it was not seen to its end"

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def what_always_holds(self) -> None:
        if not hasattr(self, "world"):
            return
        at_work = [one.node for lane in self._lanes(*WORKING) for one in lane.rollout.targets if one.state == "running"]
        assert len(at_work) == len(set(at_work)), "R5"
        for lane in self.world.lanes:
            still_open = [one for one in lane.rollout.targets if one.state in ("pending", "held", "running")]
            assert lane.rollout.state not in ENDED or not still_open, f"it ended with {still_open}"
            for one in lane.rollout.targets:
                first = lane.jobs.get((one.node, "before", 0))
                if one not in still_open and first is not None and first.begun and one.why not in ("deleted", "away", "killed"):
                    assert (one.node, "after", 0) in lane.jobs, f"R1: after runs whenever before ran: {one}"
        self._no_alert_is_lost_to_quiet()

    # -- R9 --------------------------------------------------------------------------------------

    @happening("alerts", index=INDEX, over=st.sampled_from([False, False, True]))
    def an_alert_fires_or_is_over(self, index: int, over: bool) -> None:
        node = list(self.world.machines)[index % len(self.world.machines)]
        if over:
            self.alerts.pop(node, None)
        else:
            self.alerts.setdefault(node, self.world.now)

    def _follow_quiet(self) -> None:
        """Jobs open their own quiet, as in the transaction that queues them."""
        now = self.world.now
        for number, lane in enumerate(self.world.lanes):
            for key, job in lane.jobs.items():
                if (number, key) not in self.quiet and job.state not in TERMINAL:
                    window = Window(
                        MaintenanceId(f"{number} {key}"), 1, Selector(nodes=(key[0],)), now, latest_end(now), "", "job", "u", now
                    )
                    self.quiet[number, key] = AutomaticWindow(window, key[0], gone=False, ended_at=None)
        for (number, key), one in list(self.quiet.items()):
            ended = self.world.lanes[number].jobs[key].state in TERMINAL
            one = one._replace(ended_at=(now if one.ended_at is None else one.ended_at) if ended else None)  # noqa: PLW2901
            healthy_s = None if key[0] in self.alerts else 3600.0
            if verdict(one, healthy_s, now) == "open" and (one.window.until_at or 0.0) > now >= one.window.from_at:
                self.quiet[number, key] = one
            else:
                del self.quiet[number, key]

    def _no_alert_is_lost_to_quiet(self) -> None:
        """R9: what is true while a job has its quiet is kept for later, and told once the quiet is over."""
        self._follow_quiet()
        for node, since in self.alerts.items():
            windows = [one.window.until_at or 0.0 for (_, key), one in self.quiet.items() if key[0] == node]
            firing = Alert(
                AlertId("a"), 1, RuleId("cpu"), node, "", "critical", "firing", since, since, None, None, 1.0, 1.0, IncidentId("i")
            )  # fmt: skip
            incident = Incident(IncidentId("i"), 1, "critical", "open", "t", since, None, f"node:{node}", 1)
            channel = Channel(ChannelId("c"), 1, "ntfy", "phone", True, "warning", None, Caps(), "")
            until = max(windows, default=None)
            decision = decide(Question("firing", incident, (firing,), channel, (), self.world.now, START - 90_000.0, until))
            assert not isinstance(decision, Skip), "R9: it would never be told"
            if not windows:
                assert decision.reason != "maintenance", "R9: it waits for a quiet that is over"
            elif isinstance(decision, Defer) and decision.reason == "maintenance":
                assert decision.until <= latest_end(self.world.now), "R9: its quiet has no end"


@pytest.mark.timeout(600)
@pytest.mark.holds("SAFETY-105")
def test_r1_to_r12_hold_over_restarts_lost_nodes_late_results_and_clock_jumps(pytestconfig: pytest.Config) -> None:
    REACHED.clear()
    examples = 1000 if pytestconfig.getoption("--slow") else 120
    run_state_machine_as_test(
        Fleet, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    )
    print(*(f"{count:5} {what}" for what, count in sorted(REACHED.items())), sep="\n")  # pytest -rP shows them
    reached = {what.partition(":")[0] for what in REACHED}
    assert {"R2", "R3", "R4", "R5", "R6", "R11"} <= reached, "a rule whose moment never comes would hold of anything"
