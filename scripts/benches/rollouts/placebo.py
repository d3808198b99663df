"""rollouts.placebo: how often the gates stop a roll-out that harmed nothing, how often they find harm, and what they cost.

Each roll-out runs over ten simulated nodes of one role, with the product's own `step`, soft gates, hard gates and default waves; only nodes and samples are
made up: noise with a memory, shared traffic, jobs in and out of step, bursts of 2 to 40 minutes, and upgrades that leave caches cold. Times are simulated.
STARDUST_PLACEBO_SEED is the first seed, so that a rule can be tried on others than those it was made with; STARDUST_PLACEBO_ROLLOUTS bounds each scene.
"""

from __future__ import annotations

import math
import os
import random
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from groundcontrol.core.ids import NodeId
from groundcontrol.policies.calendar import Times, When
from groundcontrol.policies.model import Order, PatchPolicy, PolicyId, PolicySelect
from groundcontrol.policies.waves import Candidate, waves_of
from groundcontrol.rollouts.evidence import is_peer
from groundcontrol.rollouts.gates import Look, Run, over_looks
from groundcontrol.rollouts.model import ENDED, Facts, Gate, JobFacts, JobKey, MakeJob, NodeFacts, Rollout, RolloutId, Target
from groundcontrol.rollouts.soft import SETTLE_S, STEP_S, Past, is_above, soft_gate
from groundcontrol.rollouts.step import step
from groundcontrol.rollouts.target_life import SETTLE_S as HARD_SETTLE_S
from groundcontrol.schedules.model import Selector
from scripts.benches.measure import Results

NODES: Final = 10
START: Final = 1_800_000_000.0
HOUR: Final = 360
"""Points of ten seconds."""
LONGEST_S: Final = 3 * 3600.0
METRICS: Final = ("cpu", "memory", "disk")
GOOD: Final = Look(
    0.0, "b", (), (), ("nginx.service", "shop.service"), {}, ("tcp 80 nginx.service",), ("/",), {"/": 40.0}, (), (), 0.0, 0.0, {}
)


class Kind(NamedTuple):
    """What happens in a roll-out."""

    burst_every_s: float
    """Mean time between two bursts of a node."""
    surge: float = 0.0
    """Points of CPU by which all nodes rise five minutes after the start."""
    harm: float = 0.0
    """Points of CPU by which each upgraded node rises."""
    harmed: int = NODES
    """So many nodes are harmed, the first canary first."""
    leak: float = 0.0
    """Points of memory by which each upgraded node rises in a minute."""
    fault: str = ""
    """What each upgraded node shows in its looks, one of FAULTS."""
    canaries: int | None = None
    nodes: int = NODES
    flicker: float = 0.0005
    """The share of looks in which a service is away, as when it restarts by itself: once in three hours."""


FAULTS: Final[dict[str, Callable[[Look, float], Look]]] = {
    "a unit fails": lambda look, _: look._replace(failed_units=("shop.service",), running_units=("nginx.service",)),
    "a unit is gone": lambda look, _: look._replace(running_units=("nginx.service",)),
    "a unit restarts every three seconds": lambda look, s: look._replace(
        restarting_units=("shop.service",), running_units=("nginx.service",), restarts={"shop.service": int(s / 3)}
    ),
    "a port is gone": lambda look, _: look._replace(ports=()),
    "a mount is gone": lambda look, _: look._replace(mounts=()),
    "a file system fills within a minute": lambda look, s: look._replace(full_percent={"/": min(100.0, 40.0 + s)}),
    "a process is killed for want of memory": lambda look, _: look._replace(oom_kills=1.0),
}
"""What a look shows so many seconds after the upgrade."""


class _Node:
    """Samples of one node, made when they are asked for."""

    def __init__(self, dice: random.Random, kind: Kind, shared: list[float], length: int) -> None:
        base, swing, walk = dice.uniform(5, 40), dice.uniform(1, 4), 0.0
        memory, saw = dice.uniform(20, 70), dice.uniform(0.5, 2.0)
        phase, every = dice.randrange(360), dice.choice([30, 90, 360])
        self.series: dict[str, list[float]] = {metric: [] for metric in METRICS}
        burst_until, burst = -1, 0.0
        for at in range(length):
            if at > burst_until:
                burst = 0.0
                if dice.random() < STEP_S / kind.burst_every_s:
                    burst, burst_until = dice.uniform(5, 40), at + dice.randrange(12, 240)
            walk = 0.9 * walk + dice.gauss(0, swing * 0.4)
            job = 12.0 if (at + phase) % every < 3 else 0.0
            surge = kind.surge if at > 2 * HOUR + 30 else 0.0
            cpu = base * (1 + 0.3 * shared[at]) + walk + job + burst + surge
            self.series["cpu"].append(min(100.0, max(0.0, cpu)))
            self.series["memory"].append(min(100.0, memory + saw * ((at + phase) % 60) / 60 + burst * 0.05 + dice.gauss(0, 0.1)))
            self.series["disk"].append(min(100.0, max(0.0, 3 + burst * 0.4 + job * 0.8 + dice.gauss(0, 1.5))))
        self.upgraded_at: int | None = None
        self._dice = dice
        self._extra = dice.uniform(5, 25) if dice.random() < 0.15 else 0.0
        self._extra_for = dice.randrange(6, 24)
        self._warm = dice.uniform(0.3, 1.7)

    def upgrade(self, at: int, harm: float, leak: float) -> None:
        """Cold caches, memory that warms again, and sometimes some minutes of work; harm stays."""
        if self.upgraded_at is not None:
            return
        self.upgraded_at = at
        for later in range(at, len(self.series["cpu"])):
            cold = 6 * math.exp(-(later - at) / 6)
            work = self._extra if later - at < self._extra_for else 0.0
            self.series["cpu"][later] = min(100.0, self.series["cpu"][later] + cold + work + harm)
            warm = self._warm * (1 - math.exp(-(later - at) / 30)) + leak * (later - at) * STEP_S / 60
            self.series["memory"][later] = min(100.0, self.series["memory"][later] + warm)
            self.series["disk"][later] = min(100.0, self.series["disk"][later] + 2 * cold)


class Outcome(NamedTuple):
    state: str
    wave: int
    held: bool
    held_at_canaries: bool
    """Held, or a person was asked, before the second wave."""
    causes: tuple[str, ...]
    """The gate of each hold and each question, with its wave."""
    seconds: float
    """From the upgrade of the first node to the end."""
    gate_cpu_s: float
    gates: int
    """How many times the gates of one node were computed."""


def rollout(seed: int, kind: Kind) -> Outcome:
    """Run one roll-out to its end, or until it asks a person."""
    dice = random.Random(seed)
    length = 2 * HOUR + int(LONGEST_S / STEP_S) + 10
    traffic, shared = 0.0, list[float]()
    for at in range(length):
        traffic = 0.98 * traffic + dice.gauss(0, 0.1)
        shared.append(traffic + math.sin(at / 8640 * 2 * math.pi))
    names = [NodeId(f"n{number}") for number in range(kind.nodes)]
    nodes = {name: _Node(random.Random(dice.random()), kind, shared, length) for name in names}
    policy = PatchPolicy(
        PolicyId("p"), 1, "p", PolicySelect(Selector(all=True)), Times(When(weekly=("tue",)), "02:30", 10_800, "UTC"), what="all",
        order=Order(canary=kind.canaries), reboot="never", watch_s=900,
    )  # fmt: skip
    waves = waves_of(policy.order, [Candidate(name, (), "debian", fit=True) for name in names])
    targets = tuple(Target(name, name, wave, "role:web") for wave, some in enumerate(waves) for name in some)
    one = Rollout(
        RolloutId("r"), 1, "r", policy, "p", START, "u", "u", "waiting", targets, START, start_at=START, close_at=START + LONGEST_S
    )
    jobs: dict[JobKey, JobFacts] = {}
    causes, first, cost, count = list[str](), None, 0.0, 0
    looked: dict[tuple[NodeId, float], list[Run]] = {}
    for tick in range(int(LONGEST_S / STEP_S)):
        now, place = START + tick * STEP_S, 2 * HOUR + tick
        facts = {}
        for target in one.targets:
            gates: tuple[Gate, ...] = ()
            if target.step == "watch" and target.settled_at is not None:
                looks = looked.setdefault((target.node, target.settled_at), [])
                _look(looks, f"{seed} {target.node}", target.settled_at, now, kind)
                began = time.thread_time()
                gates = _gates(one, target, nodes, place, now, looks)
                cost += time.thread_time() - began
                count += 1
            facts[target.node] = NodeFacts(verb="upgrade", heard_to=now, gates=gates)
        moved = step(one, Facts(facts, jobs), now)
        if moved.rollout.state != one.state and moved.rollout.state in ("holding", "paused"):
            causes.append(f"{moved.rollout.why if moved.rollout.why != 'worse' else 'cpu'} {one.wave}")
        one = moved.rollout
        for command in moved.commands:
            if isinstance(command, MakeJob):
                key: JobKey = (command.node, command.step, command.attempt)
                jobs[key] = JobFacts("succeeded", plan_digest="d", plan_steps=1)
                if command.step == "patch":
                    harmed = names.index(command.node) < kind.harmed
                    nodes[command.node].upgrade(place, kind.harm * harmed, kind.leak * harmed)
                    first = now if first is None else first
        if one.state in ENDED or one.state in ("paused", "stopping"):
            break
    state = "stopped" if one.state == "stopping" else one.state
    at_canaries = any(cause.endswith(" 0") for cause in causes)
    return Outcome(state, one.wave, bool(causes), at_canaries, tuple(causes), now - (first or now), cost, count)


def _gates(one: Rollout, target: Target, nodes: dict[NodeId, _Node], place: int, now: float, looks: list[Run]) -> tuple[Gate, ...]:
    settled = target.settled_at or 0.0
    found = list[Gate]()
    if now - settled >= SETTLE_S:
        begun = place - int((now - (target.started_at or now)) / STEP_S)
        peers = [nodes[each.node].series for each in one.targets if is_peer(each) and each.node != target.node]
        own = nodes[target.node].series
        pasts = {metric: Past(own[metric][place - 18 : place], own[metric][begun - HOUR - 12 : begun - 12]) for metric in METRICS}
        risen = any(is_above(metric, past) for metric, past in pasts.items())  # as the hub, which reads peers only then
        for metric, past in pasts.items():
            others = [Past(each[metric][place - 18 : place], each[metric][begun - HOUR - 12 : begun - 12]) for each in peers if risen]
            since = next((gate.since_at for gate in target.gates if gate.gate == metric and gate.verdict in ("worse", "already")), None)
            gate = soft_gate(metric, past, others, since, now)
            if gate is not None:
                found.append(gate)
    return (*found, *over_looks(GOOD, looks))


def _look(runs: list[Run], who: str, upgraded_at: float, end: float, kind: Kind) -> None:
    """Adds the looks up to a time, one every five seconds once the node has settled, as runs of equal ones."""
    at = runs[-1].to_at + 5.0 if runs else upgraded_at + HARD_SETTLE_S
    while at < end:
        away = zlib.crc32(f"{who} {at}".encode()) % 100_000 < kind.flicker * 100_000
        look = GOOD._replace(at=at, running_units=("nginx.service",)) if away else GOOD._replace(at=at)
        if kind.fault:
            look = FAULTS[kind.fault](look, at - upgraded_at)
        if runs and runs[-1].look[1:] == look[1:]:
            runs[-1] = runs[-1]._replace(looks=runs[-1].looks + 1, to_at=at)
        else:
            runs.append(Run(look, 1, at))
        at += 5.0


BUSY: Final = 6 * 3600.0
QUIET: Final = 15 * 3600.0
SCENES: Final = {
    "harmless, two canaries": (200, Kind(BUSY)),
    "harmless and quiet, two canaries": (60, Kind(QUIET)),
    "harmless, one canary": (200, Kind(BUSY, canaries=1)),
    "harmless, four servers and the usual one canary": (200, Kind(BUSY, nodes=4)),
    "all nodes rise by 25 points while canaries are watched": (60, Kind(BUSY, surge=25.0)),
    "the upgrade adds 25 points of CPU": (60, Kind(BUSY, harm=25.0)),
    "the same, on one of two canaries only": (60, Kind(BUSY, harm=25.0, harmed=1)),
    "the same, with one canary": (60, Kind(BUSY, harm=25.0, canaries=1)),
    "the upgrade leaks 2 % of memory a minute": (60, Kind(BUSY, leak=2.0)),
}
"""How many roll-outs, and what happens in them."""
FAULT_TIMES: Final = 20
"""Roll-outs of each fault."""


def placebo() -> Results:
    """Shares of roll-outs that were stopped, that asked a person, and that were held for a while; and the cost of the gates."""
    rows: Results = []
    cost, count = 0.0, 0
    seed, most = int(os.environ.get("STARDUST_PLACEBO_SEED", "0")), int(os.environ.get("STARDUST_PLACEBO_ROLLOUTS", "200"))
    for scene, (usual, kind) in SCENES.items():
        times = min(usual, most)
        ends = [rollout(seed + number, kind) for number in range(times)]
        stopped = [one for one in ends if one.state == "stopped"]
        rows.append(
            {
                "bench": "rollouts.placebo",
                "scene": scene,
                "rollouts": times,
                "stopped_percent": _share(len(stopped), times),
                "stopped_at_canaries_percent": _share(sum(one.wave == 0 for one in stopped), times),
                "asked_percent": _share(sum(one.state == "paused" for one in ends), times),
                "held_percent": _share(sum(one.held for one in ends), times),
                "held_at_canaries_percent": _share(sum(one.held_at_canaries for one in ends), times),
                "holds_by_gate_and_wave": dict(sorted(Counter(cause for one in ends for cause in one.causes).items())),
                "succeeded_percent": _share(sum(one.state == "succeeded" for one in ends), times),
                "median_stop_s": sorted(one.seconds for one in stopped)[len(stopped) // 2] if stopped else None,
            }
        )
        cost, count = cost + sum(one.gate_cpu_s for one in ends), count + sum(one.gates for one in ends)
    for fault in FAULTS:
        ends = [rollout(seed + number, Kind(BUSY, fault=fault)) for number in range(min(FAULT_TIMES, most))]
        after = sorted(one.seconds - HARD_SETTLE_S for one in ends if one.state == "stopped" and one.wave == 0)
        rows.append(
            {
                "bench": "rollouts.placebo",
                "scene": fault,
                "rollouts": len(ends),
                "stopped_at_canaries_percent": _share(len(after), len(ends)),
                "worst_after_settling_s": max(after, default=None),
            }
        )
    rows.append({"bench": "rollouts.placebo", "scene": "gates of 500 targets", "cpu_ms": round(500_000 * cost / count, 1)})
    return rows


def _share(part: int, whole: int) -> float:
    return round(100.0 * part / whole, 1)
