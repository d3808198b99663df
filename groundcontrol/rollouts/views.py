"""Bodies and answers of roll-outs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.model import Tri
from groundcontrol.policies.model import GateMode, Reboots
from groundcontrol.policies.reasons import remedy_for
from groundcontrol.policies.views import HeldNodeView, OrderBody, PatchSelect, ProbeBody
from groundcontrol.rollouts.changes import ChangeKind
from groundcontrol.rollouts.model import JobKey, Rollout, RolloutState, Target, TargetState, TargetStep, Verdict, phases_of
from groundcontrol.rollouts.soft import SETTLE_S as SOFT_SETTLE_S
from groundcontrol.rollouts.soft import SOFT_GATES
from groundcontrol.rollouts.target_life import SETTLE_S
from groundcontrol.rollouts.waits import wait_of
from groundcontrol.web.answer import Answer, Body


class RolloutBody(Body):
    """A one-off roll-out, which plans each node first and then waits for `start`; or the next run of a patch policy, at once."""

    name: str = ""
    action: Literal["upgrade", "security-upgrade", "full-upgrade"] = "upgrade"
    packages: list[str] = msgspec.field(default_factory=list)
    select: PatchSelect | None = None
    policy_id: str | None = None
    """Run this patch policy now: with its limits, windows and freezes. Leave the other fields out."""
    order: OrderBody = msgspec.field(default_factory=OrderBody)
    max_failed: int = 0
    reboot: Reboots = "if_required"
    watch_s: int = 900
    gates: GateMode = "stop"
    probes: list[ProbeBody] = msgspec.field(default_factory=list)
    report: list[str] = msgspec.field(default_factory=list)
    start_at: float | None = None
    """Unix seconds; null: at once after `start`."""
    expires_at: float | None = None
    """Nothing starts later. null: 24 hours after it was made."""


class RolloutPreviewView(Answer):
    nodes: list[str]
    waves: list[list[str]]
    held: list[HeldNodeView]
    expected_s: float


class StartBody(Body):
    confirm: int
    """The number of nodes that are planned and will be changed."""
    version: int


class PauseBody(Body):
    when: Literal["wave", "now"] = "now"
    """Both begin no further node; nodes at work finish. `wave` lets the nodes of this wave begin."""


class KillBody(Body):
    node_id: str
    confirm: str
    """The name of the node."""


class GoOnBody(Body):
    gate: str
    """The name of a gate, or * for all of this wave."""
    reason: str


class TargetCounts(Answer):
    total: int
    held: int
    pending: int
    running: int
    passed: int
    worse: int
    failed: int
    unknown: int
    not_started: int


class GateView(Answer):
    gate: str
    verdict: Verdict
    words: str
    """A sentence with number, limit and the unit to blame."""
    node_id: str | None
    """null: all nodes of the wave that were watched so far are clear."""
    object: str
    since_at: float | None
    value: float | None
    limit: float | None
    clears: str
    """What would clear it."""


class WaveView(Answer):
    index: int
    state: Literal["waiting", "running", "done"]
    nodes: int
    targets: TargetCounts
    gates: list[GateView]


class PhaseView(Answer):
    state: RolloutState
    wave: int
    from_at: float
    to_at: float | None
    """Null: it lasts, or the roll-out has ended so."""


class RolloutView(Answer):
    id: str
    name: str
    state: RolloutState
    why: str
    words: str
    waits: bool
    """Whether it runs and is at work on no server: `words` say what it waits for, and until when where that is known."""
    remedy: str
    """What helps a roll-out that waits; empty: waiting does."""
    policy_id: str | None
    due_at: float | None
    owner: str
    version: int
    made_at: float
    start_at: float
    started_at: float | None
    ended_at: float | None
    close_at: float | None
    action: str
    """Of a one-off roll-out; empty: the policy decides."""
    observes: bool
    targets: TargetCounts
    confirm: int
    """The number that `start` wants."""
    waves: list[WaveView]
    wave: int
    hold_since: float | None
    stopped_by: str
    parent_id: str | None
    beyond: bool
    """Whether it has servers beyond the rights of the caller, who may not move it then."""
    phases: list[PhaseView]


class RolloutsView(Answer):
    rollouts: list[RolloutView]
    next: str | None


TargetVerdict = Literal["clear", "worse", "failed", "unknown"]


class TargetView(Answer):
    node_id: str
    name: str
    wave: int
    role: str
    state: TargetState
    step: TargetStep
    why: str
    words: str
    remedy: str
    """What helps a node that is held or failed; empty: waiting does, or its words say it."""
    job_id: str | None
    """The job of the present or last step."""
    verdict: TargetVerdict | None
    watched_s: float
    watch_s: float
    reboot_owed: str
    rebooted: bool
    packages: list[str]
    gates: list[GateView]


class TargetsView(Answer):
    targets: list[TargetView]


class GatesView(Answer):
    gates: list[GateView]


class NodeChangeView(Answer, rename={"before": "from", "after": "to"}):
    node_id: str | None
    at: float
    kind: ChangeKind
    object: str
    before: str
    after: str
    source: str
    job_id: str | None
    rank: float | None
    """Of `?at=`: higher is nearer. It says that the change came before, and never that it was the cause."""
    why: str


class RisenView(Answer):
    name: str
    """Of the process."""
    amount: float
    """CPU: points of one core; memory: bytes."""


class NodeChangesView(Answer):
    changes: list[NodeChangeView]
    risen: list[RisenView] | None
    """Of `?at=` with `?metric=` cpu or memory, for one node: the processes that used most more than ten minutes before. null: not known."""


RebootVerdict = Literal["kept", "broken", "not_rebooted", "under_way", "overdue", "unknown"]


class RebootView(Answer):
    """One ordered reboot of a node."""

    job_id: str
    ordered_at: float
    ended_at: float | None
    state: str
    verdict: RebootVerdict
    """overdue: it is under way, and the node has been away for longer than its last reboots let expect."""
    words: str
    by: str
    needed: Tri
    """Whether the node said at the order that it needed one."""
    need: str
    """Why, or why not; empty: not known."""
    boot_from: str | None
    """The id of the boot before; null: not known."""
    boot_to: str | None
    away_s: float | None
    """From the order until its services had started, by the clock of the node; null: not known."""
    kernel_from: str | None
    """The release that ran before the reboot; null: not known."""
    kernel_to: str | None
    notes: list[str]
    """The evidence: what is as before, and what is missing since."""


class RebootsView(Answer):
    limit_s: float
    """So long the node may be away for a reboot, by its last ten."""
    reboots: list[RebootView]


GATES = (
    "job_outcome", "package_db", "unit_failed", "unit_restarts", "unit_gone", "port_gone", "node_away", "reboot_overdue", "boot_unordered", "filesystem",
    "mount_gone", "oom_kill", "clock", "probe", "cpu", "memory", "disk", "leak",
)  # fmt: skip
"""Every gate, in the order of the page."""
_CLEARS = {
    "evidence": "it clears when the samples of the node arrive",
    "another_job": "it clears when that job has ended",
    "samples": "it clears when the hub can read the samples again",
    "node_away": "it clears when the node is back; after 5 minutes it stops the roll-out",
    "reboot_overdue": "it clears when the node is back from its reboot",
    "cpu": "it clears after 3 minutes below the limit",
    "memory": "it clears after 3 minutes below the limit",
    "disk": "it clears after 3 minutes below the limit",
    "unit_failed": "it clears when the unit runs again, or a person goes on",
}


def counts_view(rollout: Rollout, wave: int | None = None) -> TargetCounts:
    some = rollout if wave is None else rollout._replace(targets=tuple(one for one in rollout.targets if one.wave == wave))
    return TargetCounts(**some.counts())


def gate_views(target: Target) -> list[GateView]:
    return [
        GateView(
            gate=one.gate, verdict=one.verdict, words=one.words, node_id=target.node, object=one.object, since_at=one.since_at, value=one.value,
            limit=one.limit,
            clears="" if one.verdict == "not_available" else _CLEARS.get(one.gate, "it clears when the node is as before, or a person goes on"),
        )
        for one in target.gates
    ]  # fmt: skip


def _is_judged(targets: Sequence[Target], settle_s: float) -> bool:
    """Whether each target that is or was watched has been so for long enough that a gate which says nothing is clear."""
    watched = [one for one in targets if one.step == "watch" or one.watched_s > 0]
    return bool(watched) and all(one.watched_s >= settle_s or one.state in ("passed", "worse") for one in watched)


def wave_views(rollout: Rollout, seen: frozenset[NodeId] | None) -> list[WaveView]:
    """Args: seen: the nodes that the caller may see; None: all."""
    found = []
    for index in sorted({one.wave for one in rollout.targets}):
        targets = [one for one in rollout.targets if one.wave == index]
        gates = [view for one in targets if seen is None or one.node in seen for view in gate_views(one)]
        said = {gate.gate for one in targets for gate in one.gates}  # also of nodes that the caller does not see
        said |= {"job_outcome"} if any(one.broken for one in targets) else set()
        said |= set() if rollout.policy.probes else {"probe"}
        gates += [
            GateView(gate=name, verdict="clear", words="clear", node_id=None, object="", since_at=None, value=None, limit=None, clears="")
            for name in GATES
            if name not in said and _is_judged(targets, SOFT_SETTLE_S if name in SOFT_GATES else SETTLE_S)
        ]
        begun = any(one.state not in ("pending", "held", "not_started") for one in targets)
        under_way = any(one.state in ("running", "pending", "held") for one in targets)
        state: Literal["waiting", "running", "done"] = "waiting" if not begun else "running" if under_way else "done"
        found.append(WaveView(index=index, state=state, nodes=len(targets), targets=counts_view(rollout, index), gates=gates))
    return found


def rollout_view(one: Rollout, seen: frozenset[NodeId] | None = None) -> RolloutView:
    wait = wait_of(one, seen)
    words = one.words or (wait.words if wait is not None else "")
    return RolloutView(
        id=one.id, name=one.name, state=one.state, why=one.why, words=seen_words(one, words, seen), waits=wait is not None,
        remedy=wait.remedy if wait is not None else "", policy_id=one.policy_id or None, due_at=one.due_at, owner=one.owner,
        version=one.version, made_at=one.made_at, start_at=one.start_at, started_at=one.started_at, ended_at=one.ended_at, close_at=one.close_at,
        action=one.action, observes=one.observes, targets=counts_view(one), confirm=sum(1 for target in one.targets if target.confirmed),
        waves=wave_views(one, seen), wave=one.wave, hold_since=one.hold_since, stopped_by=one.stopped_by, parent_id=one.parent or None,
        beyond=seen is not None and not seen.issuperset(target.node for target in one.targets),
        phases=[PhaseView(state=phase.state, wave=phase.wave, from_at=phase.from_at, to_at=phase.to_at) for phase in phases_of(one)],
    )  # fmt: skip


def seen_words(one: Rollout, words: str, seen: frozenset[NodeId] | None) -> str:
    """Words about a roll-out or one of its targets, which name no server that the caller may not see, nor what is on it."""
    hidden = () if seen is None else (re.escape(target.name) for target in one.targets if target.node not in seen)
    named = any(re.search(rf"(?<![\w.-]){name}(?![\w-]|\.\w)", words) for name in hidden)  # not web-1 within web-10
    return "it is about a server beyond your rights" if named else words


def remedy_of(rollout: Rollout, one: Target) -> str:
    """What helps a node that is held, or that ended otherwise than well. A gate that failed says it in its words."""
    return "" if one.state in ("pending", "running", "passed") else remedy_for(one.why, [one.name], rollout.id)


def target_view(rollout: Rollout, one: Target, jobs: dict[JobKey, str], seen: frozenset[NodeId] | None) -> TargetView:
    own = [(key, job) for key, job in jobs.items() if key[0] == one.node]
    present = next((job for key, job in own if key[1:] == (one.step, one.attempt)), None)
    last = present or (max(job for _, job in own) if own else None)
    final: dict[TargetState, TargetVerdict] = {"passed": "clear", "worse": "worse", "failed": "failed", "unknown": "unknown"}
    watch = rollout.policy.watch_s if one.wave == 0 else min(rollout.policy.watch_s, 600)
    return TargetView(
        node_id=one.node,
        name=one.name,
        wave=one.wave,
        role=one.role,
        state=one.state,
        step=one.step,
        why=one.why,
        words=seen_words(rollout, one.words, seen),
        remedy=remedy_of(rollout, one),
        job_id=last,
        verdict=final.get(one.state),
        watched_s=one.watched_s,
        watch_s=float(watch),
        reboot_owed=one.reboot_owed,
        rebooted=one.rebooted,
        packages=list(one.packages),
        gates=gate_views(one),
    )
