"""Reads the facts that `step` decides by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.permissions import job_action
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.stores import Stores
from groundcontrol.jobs.coded_text import losses
from groundcontrol.jobs.model import OPEN, Job
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.interfaces import NewestValues, NodeHealth, Presence
from groundcontrol.nodes.model import Node, Tri
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.calendar import OF_NODE, ZoneUnknown, current, local_text, spans
from groundcontrol.policies.choosing import Choice, SeenAt, Update, choose, kept_words, plan_fault, verb_of
from groundcontrol.policies.model import PatchPolicy, wants_reboot
from groundcontrol.policies.preview import missing_action, place_of, static_hold
from groundcontrol.policies.reasons import Hold
from groundcontrol.policies.service import all_nodes
from groundcontrol.policies.store import PatchWindowStore, PolicyStore
from groundcontrol.policies.waves import WorkTimes, reboot_s, work_s
from groundcontrol.policies.windows import PatchWindow, Shut, allowed
from groundcontrol.rollouts.evidence import Evidence, accepts
from groundcontrol.rollouts.model import FINAL, Facts, Gate, JobFacts, JobKey, NodeFacts, Rollout, RolloutId, Target
from groundcontrol.rollouts.reboots import return_limit_s
from groundcontrol.rollouts.soft import ALREADY_RED, HISTORY, Grown
from groundcontrol.rollouts.store import RolloutStore
from groundcontrol.rollouts.target_life import SETTLE_S
from groundcontrol.schedules.dead_man import DeadMan
from spider.clock import Clock
from spider.wire.arg_kinds import MAIN_LANE
from spider.wire.verbs import READONLY, REBOOT, VERBS, lane_of

CLOCK_S: Final = 30.0
FULL_PERCENT: Final = 95.0
INODES_PERCENT: Final = 99.0
WORK_TIMES_S: Final = 300.0
"""So long it is remembered how long the last work of a node took."""


class Shared(NamedTuple):
    """What the roll-outs of one organisation are judged by together: read once for all of them, and only of their open targets."""

    nodes: Mapping[NodeId, Node]
    updates: Mapping[NodeId, tuple[float, tuple[Update, ...]]]
    seen: SeenAt
    windows: Sequence[PatchWindow]
    at_work: Sequence[tuple[RolloutId, Target]] = ()
    """The targets that these roll-outs have begun and not finished."""


class RolloutFacts:
    """Reads facts. Everything that it cannot read holds the node."""

    def __init__(
        self,
        stores: Stores,
        clock: Clock,
        presence: Presence,
        newest: NewestValues,
        health: NodeHealth,
        evidence: Evidence,
        silences: DeadMan,
        watch_scale: float = 1.0,
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._presence = presence
        self._newest = newest
        self._health = health
        self._evidence = evidence
        self._silences = silences
        self._watch_scale = watch_scale
        self._work_times: dict[NodeId, tuple[float, WorkTimes]] = {}
        """Node -> until when it holds, in monotonic seconds, and how long its last jobs took."""

    async def shared(self, org: int, rollouts: Sequence[Rollout]) -> Shared:
        """Raises: StoreError."""
        scope = hub_scope(org)
        wanted = {one.node for rollout in rollouts for one in _open_targets(rollout)}
        nodes = await all_nodes(self._stores[NodeStore], scope, wanted)
        policies = self._stores[PolicyStore]
        updates = await policies.node_updates(scope, wanted)
        seen = await policies.seen(org, {one.package for _, ones in updates.values() for one in ones})
        windows = await self._stores[PatchWindowStore].all(scope)
        at_work = [(one.id, target) for one in rollouts if one.state != "planning" for target in one.targets if target.state == "running"]
        return Shared({node.id: node for node in nodes}, updates, seen, windows, at_work)

    async def read(self, rollout: Rollout, shared: Shared | None = None) -> Facts:
        """Args: shared: None: read for this roll-out alone. Raises: StoreError."""
        scope = hub_scope(rollout.org)
        nodes, updates, seen, windows, at_work = await self.shared(rollout.org, [rollout]) if shared is None else shared
        open_targets = _open_targets(rollout)
        wanted = {one.node for one in open_targets}
        busy = await self._stores[RolloutStore].busy_elsewhere(rollout)
        rebooted = await self._stores[RolloutStore].reboots_by_policy(rollout.org, list(wanted)) if rollout.policy_id else {}
        jobs = await self._stores[RolloutStore].jobs_of(rollout)
        times = await self._times_of([one.node for one in open_targets if one.step != "watch"], scope)
        now = self._clock.now()
        found: dict[NodeId, NodeFacts] = {}
        choices: dict[NodeId, Choice | None] = {}
        for target in open_targets:
            node = nodes.get(target.node)
            if node is None:
                found[target.node] = NodeFacts(exists=False)
                continue
            choices[node.id] = _choice(rollout, node, updates, seen, now)
            found[node.id] = await self._node(rollout, target, node, choices[node.id], windows, busy, rebooted, times.get(node.id, {}), now)
        reboots = await self._stores[RolloutStore].role_reboots(rollout) if any(one.state == "running" for one in open_targets) else {}
        steps = {key: await self._job(rollout, scope, key, job, choices) for key, job in jobs.items() if key[0] in wanted}
        away = {one.role for where, one in at_work if where != rollout.id and one.node in nodes and not self._presence.online(one.node)}
        return Facts(found, steps, await owner_may(self._stores[PolicyStore], rollout), reboots, away, self._watch_scale)

    async def _node(
        self, rollout: Rollout, target: Target, node: Node, choice: Choice | None, windows: Sequence[PatchWindow], busy: Mapping[NodeId, str],
        rebooted: Mapping[NodeId, float], times: WorkTimes, now: float,
    ) -> NodeFacts:  # fmt: skip
        policy = rollout.policy
        online = self._presence.online(node.id)
        hold, until = self._times(rollout, node, windows, now)
        hold = hold or await self._bar(rollout, target, node, choice)
        if hold is None and target.state in ("pending", "held"):
            hold = await self._unfit(rollout, target, node, choice, busy, online=online, now=now)
        verb, packages = ("", ()) if choice is None or rollout.action else verb_of(policy, choice)
        nothing = "" if rollout.action or choice is None or choice.take else _nothing(policy, choice)
        evidence = await self._evidence.read(rollout, target, node, SETTLE_S * self._watch_scale)
        gates = (*evidence.gates, *(await self._disturbed(node, evidence.heard_to) if target.step == "watch" else ()))
        if hold is None and target.state in ("pending", "held"):
            hold = evidence.hold
        looked = evidence.looked
        if hold is None and looked and not nothing and target.state in ("pending", "held"):
            grown = await self._evidence.grown(rollout, node, evidence.heard_to, self._watch_scale)
            looked, hold = grown is not None, too_young(rollout, target, grown, now)
        reboots = wants_reboot(policy, changes=not nothing, required=node.reboot_required == "yes")
        return NodeFacts(
            hold=hold, until_at=until, expected_s=work_s(rollout.action or verb, times, reboots=reboots),
            reboot_s=reboot_s(times), return_limit_s=return_limit_s(times.get(REBOOT), node.identity.virtualization),
            online=online, reconnecting=self._presence.reconnecting(node.id), away_s=self._silences.silent_s(node.id) or 0.0,
            heard_to=evidence.heard_to, coverage=evidence.coverage, reboot_required=_tri(node.reboot_required),
            rebooted_by_policy_at=rebooted.get(node.id), verb=verb, packages=packages, nothing=nothing, gates=gates, baseline=evidence.baseline,
            looked=looked,
        )  # fmt: skip

    async def _times_of(self, nodes: Sequence[NodeId], scope: Scope) -> Mapping[NodeId, WorkTimes]:
        """How long the last jobs of these nodes took, by verb."""
        now = self._clock.monotonic()
        self._work_times = {node: one for node, one in self._work_times.items() if one[0] > now}
        unread = [node for node in nodes if node not in self._work_times]
        if unread:
            read = await self._stores[PolicyStore].work_times(scope, unread)
            self._work_times |= {node: (now + WORK_TIMES_S, read.get(node, {})) for node in unread}
        return {node: self._work_times[node][1] for node in nodes if node in self._work_times}

    def _times(self, rollout: Rollout, node: Node, windows: Sequence[PatchWindow], now: float) -> tuple[Hold | None, float | None]:
        """The hold by times, and until when the node is open. Windows bind each roll-out."""
        place = place_of(node)
        match allowed(windows, place, now):
            case Shut(why=why, name=name, until_at=until_at):
                until = "" if until_at is None else local_text(until_at, zone := place.zone or "UTC") + f" ({zone})"
                late = until_at is not None and rollout.close_at is not None and until_at >= rollout.close_at
                until += ", after the end of this roll-out" if late else ""
                words = {
                    "frozen": f"frozen by {name}" + (f" until {until}" if until else ""),
                    "window": f"outside its window {name}" + (f", which opens at {until}" if until else ""),
                    "zone_unknown": "its time zone is not known",
                }
                return (why, words[why]), None
            case found:
                until_at = found.until_at
        if rollout.policy_id and rollout.policy.times.zone == OF_NODE and _by_calendar(rollout):
            try:
                span = current(rollout.policy.times, now, place.zone)
            except ZoneUnknown:
                return ("zone_unknown", "its time zone is not known"), None
            if span is None or (rollout.close_at is not None and span.from_at >= rollout.close_at):
                return ("window", "it is not the time of the policy there"), None
            until_at = span.until_at if until_at is None else min(until_at, span.until_at)
        return None, until_at

    async def _bar(self, rollout: Rollout, target: Target, node: Node, choice: Choice | None) -> Hold | None:
        """What counts again at each dispatch, also for a target that has begun."""
        policy = rollout.policy
        if rollout.policy_id:
            if not policy.select.selects(node.id, node.tags):
                return "not_selected", "the policy does not select it any more"
            hold = static_hold(policy, node, choice if target.state in ("pending", "held") else None)
            if hold is not None:
                return hold
        verb = REBOOT if policy.what == "nothing" else target.verb or rollout.action or "upgrade"
        may = await self._stores[PolicyStore].may_act(
            rollout.org, rollout.owner_id, job_action(verb), node.id, node.tags, rollout.ordered_at
        )
        return None if may else ("not_allowed", f"{rollout.owner} may not do this on it")

    async def _unfit(
        self, rollout: Rollout, target: Target, node: Node, choice: Choice | None, busy: Mapping[NodeId, str], *, online: bool, now: float
    ) -> Hold | None:
        """Why nothing may start on a node now."""
        checks: tuple[Hold, ...] = (
            ("offline", "" if online else "it is offline"),
            ("in_another_rollout", f"the roll-out {busy[node.id]} has not finished it" if node.id in busy else ""),
            ("list_unknown", self._list_unknown(rollout, choice)),
            ("another_job", await self._other_job(node)),
            ("action_missing", missing_action(rollout.policy, node)),
            ("packages_broken", self._broken(node)),
            ("disk_full", self._full(node)),
            ("clock", self._clock_off(node)),
            (ALREADY_RED, "" if accepts(rollout, target, ALREADY_RED) else self._red(node)),
            ("needs_event", await self._event_missing(rollout, node, now)),
        )
        return next(((code, words) for code, words in checks if words), None)

    @staticmethod
    def _list_unknown(rollout: Rollout, choice: Choice | None) -> str:
        needed = choice is None and not rollout.action and rollout.policy.what != "nothing"
        return "its list of updates is not known" if needed else ""

    async def _other_job(self, node: Node) -> str:
        """Of a node that has not begun: a job that its own would have to wait for."""
        for job in await self._stores[JobStore].open_jobs(node.id):
            if lane_of(job.action) == MAIN_LANE:
                return f"the job {job.action} of {job.created_by} runs on it"
        return ""

    async def _disturbed(self, node: Node, at: float) -> tuple[Gate, ...]:
        """Of a node that is watched: a job that somebody else ordered changes what it shows, so it tells nothing until that has ended."""
        for job in await self._stores[JobStore].open_jobs(node.id):
            if job.action not in VERBS or VERBS[job.action].policy != READONLY:
                words = f"the job {job.action} of {job.created_by} runs on it: what it shows may be the doing of that job"
                return (Gate("another_job", "", "unknown", words, at),)
        return ()

    def _broken(self, node: Node) -> str:
        state = self._evidence.host(node.id)
        return f"its package {state.broken_packages[0]} is broken: repair it first" if state is not None and state.broken_packages else ""

    def _clock_off(self, node: Node) -> str:
        skew = self._presence.skew(node.id)
        return "" if skew is None or abs(skew) <= CLOCK_S else f"its clock is {abs(skew):.0f} s off, limit {CLOCK_S:.0f} s"

    def _red(self, node: Node) -> str:
        critical = [one for one in self._health.of(node).findings if one.level == "critical"]
        return f"it is critical before anything starts: {critical[0].cause}" if critical else ""

    async def _event_missing(self, rollout: Rollout, node: Node, now: float) -> str:
        need = rollout.policy.needs_event
        if need is None:
            return ""
        at = await self._stores[PolicyStore].last_event(rollout.org, node.id, need.type)
        return "" if at is not None and now - at <= need.within_s else f"{need.type} was not reported within {need.within_s / 3600:g} h"

    def _full(self, node: Node) -> str:
        latest = self._newest.latest(node.id)
        for name, (value, _) in latest.items():
            if name.startswith("filesystem.inodes_used{") and value is not None and value >= INODES_PERCENT:
                return f"{name.partition('=')[2].rstrip('}')} has {value:.0f} % of its inodes in use, limit {INODES_PERCENT:.0f} %"
        state = self._evidence.host(node.id)
        for mount, percent in sorted(({} if state is None else state.full_percent).items()):
            if percent >= FULL_PERCENT and mount in ("/", "/boot", "/usr", "/var", "/boot/efi"):
                return f"{mount} is {percent:.0f} % full, limit {FULL_PERCENT:.0f} %"
        return ""

    async def _job(self, rollout: Rollout, scope: Scope, key: JobKey, job: Job, choices: Mapping[NodeId, Choice | None]) -> JobFacts:
        error = job.error
        waits = job.note if job.phase == "waiting_lock" and job.state in OPEN else ""
        facts = JobFacts(
            job.state, job.phase, "" if error is None else error.code, waits if error is None else error.message, job.lost,
            reboot="unknown", changes=len(job.changes), begun=job.started_at is not None,
            stop_refused=job.stop.why if job.stop is not None and job.stop.state == "too_late" else "",
        )  # fmt: skip
        target = next(one for one in rollout.targets if one.node == key[0])
        if (target.step, target.attempt) != key[1:]:
            return facts
        store = self._stores[JobStore]
        try:
            if key[1] == "plan" and job.state == "succeeded":
                plan = await store.plan(scope, job.id)
                if plan is None or not plan.complete:
                    return facts._replace(plan_digest="", words="its plan did not arrive")
                choice = choices.get(key[0])
                fault = "" if rollout.action or choice is None else plan_fault(rollout.policy, choice, plan)
                return facts._replace(plan_digest=plan.head.digest, plan_steps=len(plan.steps), plan_fault=fault)
            if key[1] in ("patch", "reboot"):
                report = await store.report(scope, job.id)
                if report is not None:
                    words = facts.words or (" ".join(losses(report.notes)) if job.lost else "")
                    return facts._replace(reboot=report.reboot, words=words)
        except NotFound:  # the node was removed meanwhile
            return facts
        return facts


async def owner_may(policies: PolicyStore, rollout: Rollout) -> bool:
    """Whether its owner still has the right to run it."""
    return await policies.may_act(rollout.org, rollout.owner_id, "patch.run", NodeId(""), (), rollout.ordered_at)


def _by_calendar(rollout: Rollout) -> bool:
    """Whether it began at a time of its policy: not by hand, and not for nodes that were away then."""
    at = rollout.due_at
    return at is not None and any(span.from_at == at for span in islice(spans(rollout.policy.times, at - 1.0), 1))


def _open_targets(rollout: Rollout) -> list[Target]:
    return [one for one in rollout.targets if one.state not in FINAL or one.why == "job_unknown"]


def too_young(rollout: Rollout, target: Target, grown: Grown | None, now: float) -> Hold | None:
    """The hold of a node without a past to compare with. It says when it ends; a person may accept that it is not compared."""
    if grown is None or grown.enough or rollout.observes or accepts(rollout, target, HISTORY):
        return None
    has, need = grown.has_s / 60, grown.need_s / 60
    zone = "UTC" if rollout.policy.times.zone == OF_NODE else rollout.policy.times.zone
    about = f"; about {local_text(now + grown.need_s - grown.has_s, zone)[-5:]} ({zone})" if grown.grows else "; its samples have holes"
    return HISTORY, f"it has {has:.0f} of {need:.0f} minutes of samples from before the work to compare with{about}"


def _choice(
    rollout: Rollout, node: Node, updates: Mapping[NodeId, tuple[float, tuple[Update, ...]]], seen: SeenAt, now: float
) -> Choice | None:
    read = updates.get(node.id)
    if read is None and rollout.policy.what != "nothing":
        return None
    return choose(rollout.policy, node.identity.package_manager, () if read is None else read[1], seen, now, rollout.pairs)


def _nothing(policy: PatchPolicy, choice: Choice) -> str:
    if policy.what == "nothing":
        return "the policy installs nothing"
    kept = kept_words(choice.left_out)
    waiting = f"{len(choice.waiting)} updates wait for their age" if choice.waiting else ""
    return "; ".join(("it is up to date", *filter(None, (waiting, kept))))


def _tri(text: str) -> Tri:
    return text if text in ("yes", "no") else "unknown"  # type: ignore[return-value]  # one of the three
