"""A roll-out of some nodes that a test moves by hand, with facts that it changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from groundcontrol.core.ids import NodeId
from groundcontrol.policies.calendar import Times, When
from groundcontrol.policies.model import PatchPolicy, PolicyId, PolicySelect
from groundcontrol.policies.waves import Candidate, waves_of
from groundcontrol.rollouts.model import Facts, JobFacts, JobKey, MakeJob, NodeFacts, Rollout, RolloutId, Target
from groundcontrol.rollouts.step import step
from groundcontrol.schedules.model import Selector

DAY = 86_400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


START = at("2026-12-01 02:30")  # a Tuesday


def a_policy(**fields: Any) -> PatchPolicy:
    times = Times(When(weekly=("tue",)), "02:30", 7200, "UTC")
    made = PatchPolicy(PolicyId("p"), 1, "p", PolicySelect(Selector(all=True)), times, what="all", watch_s=300, considered_at=START - DAY)
    return made._replace(**fields)


class Trial:
    """A roll-out of some nodes, with facts that a test changes."""

    def __init__(self, *names: str, roles: tuple[str, ...] = (), **policy: Any) -> None:
        self.policy = a_policy(**policy)
        self.now = START
        ids = [NodeId(name) for name in names]
        waves = waves_of(self.policy.order, [Candidate(node, (), "debian", fit=True) for node in ids])
        wave_of = {node: index for index, wave in enumerate(waves) for node in wave}
        targets = tuple(Target(node, node, wave_of[node], roles[0] if roles else "") for node in ids)
        self.rollout = Rollout(
            RolloutId("r"), 1, "r", self.policy, "p", START, "u", "u", "waiting", targets, START, start_at=START, close_at=START + 7200
        )
        self.nodes = {node: NodeFacts(verb="upgrade", heard_to=START) for node in ids}
        self.jobs: dict[JobKey, JobFacts] = {}
        self.ordered: list[JobKey] = []
        self.role_reboots: dict[str, int] = {}

    def facts(self) -> Facts:
        return Facts(self.nodes, self.jobs, role_reboots=self.role_reboots)

    def look(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.nodes = {
            name: one._replace(heard_to=one.heard_to + seconds if one.online else one.heard_to) for name, one in self.nodes.items()
        }
        moved = step(self.rollout, self.facts(), self.now)
        self.rollout = moved.rollout
        for command in moved.commands:
            if isinstance(command, MakeJob):
                key: JobKey = (command.node, command.step, command.attempt)
                self.jobs[key] = JobFacts("running")
                self.ordered.append(key)

    def end(self, name: str, what: str, state: Any = "succeeded", attempt: int = 1, **fields: Any) -> None:
        if what == "plan" and state == "succeeded":
            fields = {"plan_digest": "d", "plan_steps": 1, **fields}
        self.jobs[NodeId(name), what, attempt] = JobFacts(state, **fields)  # type: ignore[index]  # one of the steps
        self.look()

    def set(self, name: str, **fields: Any) -> None:
        self.nodes[NodeId(name)] = self.nodes[NodeId(name)]._replace(**fields)

    def of(self, name: str) -> Target:
        return next(one for one in self.rollout.targets if one.node == name)

    def patched(self, name: str, **report: Any) -> None:
        self.end(name, "plan")
        self.end(name, "patch", **report)

    def watched(self, seconds: float = 1000.0) -> None:
        for _ in range(int(seconds / 50)):
            self.look(50)
