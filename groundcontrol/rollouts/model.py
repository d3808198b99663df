"""Roll-outs, their targets and gates. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final, Literal, NamedTuple, NewType

from groundcontrol.core.ids import NodeId
from groundcontrol.events.model import Severity
from groundcontrol.jobs.model import JobPhase, JobRequest, JobState
from groundcontrol.nodes.model import Tri
from groundcontrol.policies.model import Pair, PatchPolicy
from groundcontrol.policies.reasons import Hold

RolloutId = NewType("RolloutId", str)
RolloutState = Literal[
    "planning", "ready", "waiting", "running", "holding", "paused", "stopping",
    "succeeded", "stopped", "cancelled", "expired", "failed",
]  # fmt: skip
TargetState = Literal["pending", "held", "running", "passed", "worse", "failed", "unknown", "not_started"]
JobStep = Literal["before", "plan", "patch", "reboot", "after"]
TargetStep = Literal["", "plan", "before", "patch", "reboot", "after", "watch"]
Verdict = Literal["clear", "worse", "failed", "unknown", "already", "not_available"]
"""`already` and `not_available` count nowhere, and are never shown as clear."""

ENDED: Final = frozenset[RolloutState]({"succeeded", "stopped", "cancelled", "expired", "failed"})
LIVE: Final = frozenset[RolloutState]({"planning", "waiting", "running", "holding", "paused", "stopping"})
DISPATCHING: Final = frozenset[RolloutState]({"planning", "running", "holding", "paused"})
"""States in which a job of the roll-out may start. Actions `after` may start in each state, since `before` ran."""
FINAL: Final = frozenset[TargetState]({"passed", "worse", "failed", "unknown", "not_started"})
HARD_GATES: Final = frozenset({
    "job_outcome", "package_db", "unit_failed", "unit_restarts", "unit_gone", "port_gone", "node_away", "reboot_overdue", "boot_unordered", "filesystem",
    "mount_gone", "oom_kill", "clock", "probe",
})  # fmt: skip
"""Gates of which one is enough to stop. An override of all gates is none of these: an admin overrides them by name, once they failed."""
MOST_PLANS: Final = 20
"""Plans of one target. Everything else happens once."""


class Gate(NamedTuple):
    """The newest result of one gate on one target. Clear gates have no row."""

    gate: str
    object: str
    """The unit, port, mount … to blame; empty: the node."""
    verdict: Verdict
    words: str
    since_at: float
    """By the clock of the node."""
    value: float | None = None
    limit: float | None = None
    soft: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.gate, self.object


class Target(NamedTuple):
    """One node of a roll-out."""

    node: NodeId
    name: str
    wave: int
    role: str = ""
    last: bool = False
    """The hub's own host."""
    state: TargetState = "pending"
    why: str = ""
    """A `HoldReason`, an `EndReason`, or the name of the gate that failed."""
    words: str = ""
    step: TargetStep = ""
    attempt: int = 0
    """Of a plan: its number, from 1. Of actions: the index of the action, from 0. Of a reboot: 0 waits for its slot, 1 is ordered."""
    plans: int = 0
    retry_at: float = 0.0
    """A held target is tried again from then on."""
    away: bool = False
    """Whether it was offline when its turn came, whatever held it later."""
    drained: bool = False
    """Whether an action `before` was ordered, so that `after` must run."""
    broken: str = ""
    """Why it will end as failed; empty: nothing has failed yet."""
    changed: bool = False
    """Whether its packages or its boot have changed."""
    verb: str = ""
    packages: tuple[str, ...] = ()
    digest: str = ""
    """Of the plan of this turn, to which the patch job is bound."""
    confirmed: str = ""
    """Of the plan that a person confirmed; empty: the limits of a policy decide."""
    reboot_owed: str = ""
    """Why a due reboot was not ordered."""
    rebooted: bool = False
    started_at: float | None = None
    settled_at: float | None = None
    """When the work ended, by the clock of the node."""
    watched_s: float = 0.0
    lost_since: float | None = None
    """Since when the evidence of the watch is missing."""
    gates: tuple[Gate, ...] = ()
    baseline: str = ""
    """JSON of what was there before (`gates.Baseline`)."""


class Override(NamedTuple):
    """A person lets a wave go on in spite of a gate."""

    wave: int
    gate: str
    by: str
    reason: str
    at: float


class Phase(NamedTuple):
    """A time in which a roll-out had one state, in one wave."""

    state: RolloutState
    wave: int
    from_at: float
    to_at: float | None = None
    """None: it lasts, or the roll-out has ended so."""


MOST_PHASES: Final = 200
"""The first and the last are kept."""


class Rollout(NamedTuple):
    id: RolloutId
    org: int
    name: str
    policy: PatchPolicy
    """The copy that it runs by: later edits do not count. One-off roll-outs have one of their own."""
    policy_id: str
    """Empty: it is one-off."""
    due_at: float | None
    owner_id: str
    owner: str
    state: RolloutState
    targets: tuple[Target, ...]
    made_at: float
    action: str = ""
    """Of a one-off roll-out: the verb; empty: the policy decides for each node."""
    packages: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] | None = None
    """What was approved; None: no approval was asked for."""
    why: str = ""
    words: str = ""
    wave: int = 0
    pause_after: int = -1
    """It pauses instead of beginning the wave after this one."""
    start_at: float = 0.0
    close_at: float | None = None
    """Nothing starts after this."""
    started_at: float | None = None
    ended_at: float | None = None
    hold_since: float | None = None
    clear_since: float | None = None
    worse_since: float | None = None
    stopped_by: str = ""
    """gate, person or owner."""
    overrides: tuple[Override, ...] = ()
    parent: str = ""
    reported: bool = False
    owned_at: float = 0.0
    """When its owner took it over; 0: they made it, at `made_at`."""
    phases: tuple[Phase, ...] = ()
    """Those that were stored, oldest first."""
    version: int = 1

    @property
    def ordered_at(self) -> float:
        """The rights of its owner must have held since then."""
        return self.owned_at or self.made_at

    @property
    def observes(self) -> bool:
        return self.policy.gates == "observe"

    def counts(self) -> dict[str, int]:
        """Targets by state. They add up to the total."""
        found = Counter(one.state for one in self.targets)
        states: tuple[TargetState, ...] = ("held", "pending", "running", "passed", "worse", "failed", "unknown", "not_started")
        return {"total": len(self.targets), **{state: found[state] for state in states}}


def shifted(rollout: Rollout, by_s: float) -> Rollout:
    """The same, after the hub's clock was set by so many seconds: limits count from these times, and nothing has lasted longer for that."""
    targets = tuple(
        one if one.state in FINAL else one._replace(lost_since=_later(one.lost_since, by_s), retry_at=one.retry_at and one.retry_at + by_s)
        for one in rollout.targets
    )
    return rollout._replace(
        targets=targets,
        hold_since=_later(rollout.hold_since, by_s),
        clear_since=_later(rollout.clear_since, by_s),
        worse_since=_later(rollout.worse_since, by_s),
    )


def _later(at: float | None, by_s: float) -> float | None:
    return None if at is None else at + by_s


def phases_of(rollout: Rollout) -> tuple[Phase, ...]:
    """All phases so far. A roll-out that never moved has one."""
    return rollout.phases or (Phase(rollout.state, rollout.wave, rollout.made_at, None),)


def with_phases(before: Rollout, after: Rollout, now: float) -> Rollout:
    """Ends the phase and begins the next one, if the state or the wave has changed."""
    if (before.state, before.wave) == (after.state, after.wave):
        return after
    *earlier, last = phases_of(before)
    phases = (*earlier, last._replace(to_at=now), Phase(after.state, after.wave, now))
    return after._replace(phases=phases if len(phases) <= MOST_PHASES else (phases[0], *phases[1 - MOST_PHASES :]))


# -- facts ---------------------------------------------------------------------------------------

JobKey = tuple[NodeId, JobStep, int]


class JobFacts(NamedTuple):
    """What is known of one job of a target."""

    state: JobState
    phase: JobPhase | None = None
    error: str = ""
    """The code."""
    words: str = ""
    lost: bool = False
    """A reboot after which something was missing."""
    plan_digest: str = ""
    plan_steps: int = 0
    plan_fault: str = ""
    """Why the plan goes beyond the limits; empty: it does not."""
    reboot: Tri = "unknown"
    changes: int = 0
    begun: bool = True
    """Whether the node has started it."""
    stop_refused: str = ""
    """Why it cannot be stopped; empty: nobody tried, or it can."""


class NodeFacts(NamedTuple):
    """What is known of the node of a target."""

    exists: bool = True
    hold: Hold | None = None
    """Why nothing may start on it now; None: something may."""
    until_at: float | None = None
    """Its windows close then; None: no end is in sight."""
    expected_s: float = 180.0
    """How long its work takes, by its last runs of that kind."""
    reboot_s: float = 180.0
    online: bool = True
    reconnecting: bool = False
    """The hub has just restarted, and it was connected before."""
    away_s: float = 0.0
    """For how many seconds it has been silent while a hub ran. 0: it is connected."""
    return_limit_s: float = 600.0
    """So long it may be away for a reboot."""
    heard_to: float = 0.0
    """The time of its newest sample, by its own clock."""
    coverage: float = 1.0
    """Share of the samples of the last three minutes that the hub has."""
    reboot_required: Tri = "unknown"
    rebooted_by_policy_at: float | None = None
    verb: str = ""
    packages: tuple[str, ...] = ()
    nothing: str = ""
    """Why there is nothing to do by its newest list; empty: there is, or the plan will tell."""
    gates: tuple[Gate, ...] = ()
    """What the gates say now, not clear ones only. `already` counts nowhere."""
    baseline: str = ""
    looked: bool = True
    """Whether the baseline is complete."""


class Facts(NamedTuple):
    nodes: Mapping[NodeId, NodeFacts]
    jobs: Mapping[JobKey, JobFacts]
    owner_may: bool = True
    role_reboots: Mapping[str, int] = {}
    """Role -> reboots under way in other roll-outs, and by hand."""
    roles_away: Collection[str] = ()
    """Roles of which another roll-out is at work on a node that is away."""
    watch_scale: float = 1.0
    """Settling and watching take this share of their time."""


# -- commands ------------------------------------------------------------------------------------


class MakeJob(NamedTuple):
    node: NodeId
    step: JobStep
    attempt: int
    request: JobRequest


class StopJob(NamedTuple):
    node: NodeId
    step: JobStep
    attempt: int
    force: bool = False
    """Kill what delays the stop."""


class Tell(NamedTuple):
    """An event, and a message for those who want it."""

    kind: str
    details: dict[str, object]
    severity: Severity | None = None
    """None: that of the type of event."""


Command = MakeJob | StopJob | Tell


class Stepped(NamedTuple):
    rollout: Rollout
    commands: tuple[Command, ...]
