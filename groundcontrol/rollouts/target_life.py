"""The life of one target of a roll-out: its plan, `before`, the work, the reboot, `after`, and the watch of its gates. Pure and deterministic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, cast

from groundcontrol.jobs.model import TERMINAL, JobRequest
from groundcontrol.policies.model import ActionStep, wants_reboot
from groundcontrol.policies.reasons import EndReason, Hold, HoldReason
from groundcontrol.policies.waves import watch_of
from groundcontrol.rollouts.actions import action_request
from groundcontrol.rollouts.model import (
    FINAL,
    HARD_GATES,
    Command,
    Facts,
    Gate,
    JobFacts,
    JobStep,
    MakeJob,
    NodeFacts,
    Rollout,
    Target,
    TargetState,
    TargetStep,
)
from groundcontrol.rollouts.soft import METRICS
from spider.wire.verbs import PLAN, REBOOT

SETTLE_S: Final = 60.0
"""Hard gates count from here on."""
GROW_S: Final = 900.0
"""A watch that ends while something is not clear grows by so much at most."""
SOON_S: Final = 300.0
"""A rise that began within so long after the work is hardly a burst, which comes at any time: its watch does not end before it is judged."""
NODE_AWAY: Final = "node_away"
REBOOT_OVERDUE: Final = "reboot_overdue"
AWAY_S: Final = 300.0
COVERAGE: Final = 0.8
GONE_S: Final = 3600.0
"""A target that has been away for so long ends as unknown, so that no roll-out lasts for ever."""
RETRY_S: Final = 300.0
MOST_PLANS: Final = 3
"""How often a plan that got no answer is ordered while a one-off roll-out is planned."""
REBOOT_DAY_S: Final = 22 * 3600.0
"""Less than a day: a policy that reboots each night is a little earlier in one night than in the last."""
BARRED: Final = frozenset[HoldReason](
    {"never_by_schedule", "frozen", "window", "not_selected", "not_allowed", "agent_policy", "zone_unknown"}
)
"""Holds that count again at each dispatch, also for a target that has begun."""
UNSURE: Final = frozenset({"unknown", "interrupted"})
LOCKED: Final = "job.lock_busy"
IN_THE_WAY: Final[Mapping[str, HoldReason]] = {LOCKED: "lock_busy", "job.package_held": "package_held", "job.no_space": "disk_full"}
"""Error of a plan -> the reason for which its node is held."""


class TargetLife:
    """The targets of a roll-out that is being moved, and the commands of that move."""

    def __init__(self, rollout: Rollout, facts: Facts, now: float) -> None:
        self.r = rollout
        self.facts = facts
        self.now = now
        self.targets = {one.node: one for one in rollout.targets}
        self.commands: list[Command] = []

    def _overridden(self, wave: int, gate: str) -> bool:
        names = (gate,) if gate in HARD_GATES else (gate, "*")
        return any(one.wave == wave and one.gate in names for one in self.r.overrides)

    def _node(self, target: Target) -> NodeFacts:
        return self.facts.nodes.get(target.node) or NodeFacts(exists=False)

    def _job(self, target: Target) -> JobFacts | None:
        if target.step in ("", "watch"):
            return None
        return self.facts.jobs.get((target.node, job_step(target.step), target.attempt))

    def _in(self, *states: TargetState) -> list[Target]:
        return sorted((one for one in self.targets.values() if one.state in states), key=lambda one: one.wave)

    def _set(self, target: Target, **fields: object) -> Target:
        after = target._replace(**fields)  # type: ignore[arg-type]  # fields of a target
        self.targets[target.node] = after
        return after

    def _follow(self, target: Target) -> None:
        node = self._node(target)
        if not node.exists and target.state not in FINAL:
            state: TargetState = "not_started" if target.state in ("pending", "held") else "unknown"
            self._set(target, state=state, step="", why="deleted", words="the node was removed")
            return
        if target.state == "failed" and target.why == "job_unknown":
            self._rejudge(target)
            return
        if target.state != "running":
            return
        if target.step != "watch":
            target = self._watch_presence(target, node)
        job = self._job(target)
        match target.step:
            case "watch":
                self._watch(target, node)
            case "reboot" if target.attempt == 0:
                self._order_reboot(target)
            case _ if job is None:
                pass  # it was made in the same transaction as this state, so it is there at the next look
            case "plan" | "before" if not self.facts.owner_may and self.r.state != "stopping":
                pass  # nothing more is ordered in the name of somebody who may not
            case _ if job.state in TERMINAL:
                self._after_job(target, job)
            case "plan" | "patch" if self.r.state != "stopping":
                self._set(target, words=job.words if job.phase == "waiting_lock" else "")
            case "plan" | "before" | "patch" if job.stop_refused:
                self._set(target, words=f"it runs to its end: {job.stop_refused}")

    def _rejudge(self, target: Target) -> None:
        """A late result says otherwise, once: then the target is watched like the others."""
        job = self.facts.jobs.get((target.node, "patch", 1))
        if job is not None and job.state == "succeeded" and self.r.state in ("running", "holding", "paused", "stopping"):
            self._begin_watch(target._replace(state="running", why="late_result", broken="", words="its result came late", changed=True))

    def _watch_presence(self, target: Target, node: NodeFacts) -> Target:
        """A node that is away without an ordered reboot, or for longer than its reboots take."""
        others = tuple(one for one in target.gates if one.gate not in (NODE_AWAY, REBOOT_OVERDUE))
        if node.online:
            return self._set(target, gates=others)
        reboots = target.step == "reboot" and target.attempt > 0
        gate, limit_s = (REBOOT_OVERDUE, node.return_limit_s) if reboots else (NODE_AWAY, AWAY_S)
        if node.away_s < limit_s:
            return target
        why = "for its reboot it has been away" if reboots else "it has been away"
        words = f"{why} for {_minutes(node.away_s)} minutes, limit {_minutes(limit_s)}{'' if reboots else ', and this roll-out had not rebooted it'}"
        since = next((one.since_at for one in target.gates if one.gate == gate), self.now)
        gates = (*others, Gate(gate, "", "failed", words, since, node.away_s, limit_s))
        target = self._set(target, gates=gates)
        if node.away_s >= GONE_S:
            return self._set(target, state="unknown", step="", why="away", words=words, broken=words)
        return target

    def _after_job(self, target: Target, job: JobFacts) -> None:
        match target.step:
            case "plan":
                self._after_plan(target, job)
            case "before":
                self._after_before(target, job)
            case "patch":
                self._after_patch(target, job)
            case "reboot":
                self._after_reboot(target, job)
            case _:
                self._after_after(target, job)

    def _order_plan(self, target: Target) -> None:
        number = target.plans + 1
        after = self._set(target, step="plan", attempt=number, plans=number)
        self.commands.append(MakeJob(target.node, "plan", number, JobRequest(PLAN, after.packages, after.verb)))

    def _after_plan(self, target: Target, job: JobFacts) -> None:
        if self.r.state == "stopping":
            self._leave(target, "not_started", "stopped", "the roll-out was stopped before anything changed")
        elif self.r.state == "planning" and target.plans < MOST_PLANS and (job.state in ("expired", *UNSURE) or job.error == LOCKED):
            self._order_plan(target)  # a plan changes nothing, so one that got no answer, or waited in vain, is asked for again
        elif job.state != "succeeded" or not job.plan_digest:
            self._hold(target, IN_THE_WAY.get(job.error, "plan"), job.words or "its plan could not be made")
        elif job.plan_fault:
            self._hold(target, "plan_refused", job.plan_fault)
        elif self.r.state == "planning" and job.plan_steps == 0 and not self._reboot_due(target):
            self._leave(target, "passed", "up_to_date", "it is up to date")  # or the canaries would take turns to find nothing to do
        elif self.r.state == "planning":
            self._set(target, state="pending", step="", confirmed=job.plan_digest, digest=job.plan_digest)
        elif target.confirmed and job.plan_digest != target.confirmed:
            self._hold(target, "plan_changed", "its plan is no longer the one that was confirmed: plan and confirm it anew")
        elif job.plan_steps == 0:
            self._reboot_or_end(target, "it is up to date")
        elif (shut := self._shut(target)) is not None and shut[0] == "frozen":
            self._hold(target, "frozen", shut[1])  # it may end in time
        elif shut is not None:
            self._leave(target, "not_started", *shut)
        elif self.r.policy.before and not target.drained:
            self._order_action(target._replace(drained=True, digest=job.plan_digest), "before", 0)
        else:
            self._order_patch(target._replace(digest=job.plan_digest))

    def _hold(self, target: Target, why: HoldReason, words: str) -> None:
        """Try it again later. A drained target is not kept waiting."""
        if target.drained:
            self._leave(target, "not_started", why, words)
        else:
            retry = self.now + RETRY_S * min(6, max(1, target.plans))
            self._set(target, state="held", step="", why=why, words=words, retry_at=retry, started_at=None)

    def _order_action(self, target: Target, when: TargetStep, index: int) -> None:
        action = self._actions(when)[index]
        self._set(target, step=when, attempt=index)
        self.commands.append(MakeJob(target.node, job_step(when), index, action_request(action)))

    def _actions(self, when: TargetStep) -> tuple[ActionStep, ...]:
        return self.r.policy.before if when == "before" else self.r.policy.after

    def _after_before(self, target: Target, job: JobFacts) -> None:
        action = self.r.policy.before[target.attempt]
        if self.r.state == "stopping" and job.state in ("cancelled", "expired"):
            drained = target.attempt > 0 or job.begun
            self._leave(target._replace(drained=drained), "not_started", "stopped", "the roll-out was stopped before anything changed")
        elif job.state != "succeeded" and action.must_succeed:
            self._after(target._replace(broken=f"the action {action.name} failed: {job.words or job.state}"))
        elif self.r.state == "stopping":
            self._leave(target, "not_started", "stopped", "the roll-out was stopped before anything changed")
        elif (shut := self._shut(target)) is not None:
            self._leave(target, "not_started", *shut)
        elif target.attempt + 1 < len(self.r.policy.before):
            self._order_action(target, "before", target.attempt + 1)
        elif target.verb:
            self._order_plan(target)
        else:
            self._want_reboot(target)

    def _shut(self, target: Target) -> Hold | None:
        """Why nothing more may begin on a target that has begun; None: something may."""
        node = self._node(target)
        if node.hold is not None and node.hold[0] in BARRED:
            return node.hold
        ends = [at for at in (node.until_at, self.r.close_at) if at is not None]
        return ("window", "its window closed before anything changed") if ends and self.now >= min(ends) else None

    def _order_patch(self, target: Target) -> None:
        if self.r.state == "stopping":
            self._leave(target, "not_started", "stopped", "the roll-out was stopped before anything changed")
            return
        shut = self._shut(target)
        if shut is not None:
            self._leave(target, "not_started", *shut)
            return
        self._set(target, step="patch", attempt=1)
        self.commands.append(MakeJob(target.node, "patch", 1, JobRequest(target.verb, target.packages, None, target.digest)))

    def _after_patch(self, target: Target, job: JobFacts) -> None:
        if job.state in ("cancelled", "expired"):
            self._leave(target, "not_started", "expired" if job.state == "expired" else "cancelled", job.words or "its job did not start")
        elif job.error == "job.plan_changed":
            self._leave(target, "not_started", "plan_changed", "its plan changed between the plan and the start: nothing was done")
        elif job.error == LOCKED and not job.changes:
            self._leave(target, "not_started", "lock_busy", job.words)
        elif job.state == "succeeded":
            self._reboot_by_need(target._replace(changed=True), job)
        else:
            unsure = job.state in UNSURE
            broken = f"{target.verb} failed: {job.words or job.state}"
            after = target._replace(broken=broken, changed=True, why="job_unknown" if unsure else "job_outcome")
            if unsure:
                self._after(after)
            else:
                self._reboot_by_need(after, job)

    def _reboot_by_need(self, target: Target, job: JobFacts) -> None:
        need = "yes" if "yes" in (job.reboot, self._node(target).reboot_required) else "no"
        self._decide_reboot(target, need == "yes")

    def _reboot_or_end(self, target: Target, words: str) -> None:
        """Nothing is to be installed: an up-to-date node is neither drained nor rebooted without need, unless its policy only reboots."""
        if self._reboot_due(target) and self.r.state != "stopping":
            shut = self._shut(target)
            if shut is not None:
                self._leave(target._replace(reboot_owed=shut[1]), "passed", "up_to_date", words)
            elif self.r.policy.before and not target.drained:
                self._order_action(target._replace(drained=True, verb=""), "before", 0)
            else:
                self._want_reboot(target)
            return
        self._leave(target, "passed", "up_to_date", words)

    def _reboot_due(self, target: Target) -> bool:
        """Whether a node without anything to install is rebooted."""
        return wants_reboot(self.r.policy, changes=False, required=self._node(target).reboot_required == "yes")

    def _decide_reboot(self, target: Target, needed: bool) -> None:
        if wants_reboot(self.r.policy, changes=True, required=needed):
            self._want_reboot(target)
        else:
            self._after(target._replace(reboot_owed="the policy never reboots" if needed else ""))

    def _want_reboot(self, target: Target) -> None:
        last = self._node(target).rebooted_by_policy_at
        if self.r.state == "stopping":
            self._after(target._replace(reboot_owed="the roll-out was stopped"))
        elif last is not None and 0 <= self.now - last < REBOOT_DAY_S and self.r.policy_id:
            self._after(target._replace(reboot_owed="a policy rebooted it within a day already"))
        else:
            self._order_reboot(target._replace(step="reboot", attempt=0))

    def _order_reboot(self, target: Target) -> None:
        """Order the reboot once a slot of its role is free, or owe it once the window has no room for it."""
        if self.r.state == "stopping":
            self._after(target._replace(reboot_owed="the roll-out was stopped", words=""))
            return
        hold = self._node(target).hold
        if hold is not None and hold[0] in BARRED:
            self._after(target._replace(reboot_owed=hold[1], words=""))
            return
        ends = [at for at in (self._node(target).until_at, self.r.close_at) if at is not None]
        if ends and self.now + self._node(target).reboot_s > min(ends):
            self._after(target._replace(reboot_owed="the window closed before the reboot", words=""))
            return
        if not self.facts.owner_may:
            self._set(target, words="it waits for its reboot: the owner of the roll-out may not order it now")
            return
        others = [one for one in self._in("running") if one.node != target.node and one.role == target.role]
        rebooting = sum(1 for one in others if one.step == "reboot" and one.attempt) + self.facts.role_reboots.get(target.role, 0)
        away = target.role in self.facts.roles_away or any(not self._node(one).online for one in others)
        if rebooting >= self.r.policy.max_per_role or away:
            who = target.role or "nodes without a role"
            self._set(target, words=f"it waits for its reboot: one of {who} at a time")
            return
        self._set(target, attempt=1, words="")
        self.commands.append(MakeJob(target.node, "reboot", 1, JobRequest(REBOOT)))

    def _after_reboot(self, target: Target, job: JobFacts) -> None:
        if job.state == "succeeded" and not job.lost:
            self._after(target._replace(rebooted=True, changed=True))
        elif job.state == "succeeded":
            self._after(target._replace(rebooted=True, changed=True, broken=f"after the reboot something is missing: {job.words}"))
        elif job.state in ("cancelled", "expired"):
            self._after(target._replace(reboot_owed=job.words or f"the reboot is {job.state}"))
        else:
            self._after(target._replace(changed=True, broken=f"not_rebooted: {job.words or job.state}"))

    def _after(self, target: Target) -> None:
        """`after` runs whenever `before` ran."""
        if target.drained and self.r.policy.after:
            self._order_action(target, "after", 0)
        else:
            self._end_of_work(target)

    def _after_after(self, target: Target, job: JobFacts) -> None:
        action = self.r.policy.after[target.attempt]
        if job.state != "succeeded" and action.must_succeed and not target.broken:
            target = target._replace(broken=f"the action {action.name} failed: {job.words or job.state}")
        if target.attempt + 1 < len(self.r.policy.after):
            self._order_action(target, "after", target.attempt + 1)
        else:
            self._end_of_work(target)

    def _leave(self, target: Target, state: TargetState, why: HoldReason | EndReason, words: str) -> None:
        """End a target on which nothing changed, after its `after`."""
        if target.drained and self.r.policy.after:
            self._order_action(target._replace(why=why, words=words, broken=""), "after", 0)
        else:
            self._set(target, state=state, step="", why=why, words=words)

    def _end_of_work(self, target: Target) -> None:
        if target.broken:
            self._set(target, state="failed", step="", words=target.broken, why=target.why or "action")
        elif not target.changed:
            final: TargetState = "passed" if target.why in ("", "up_to_date") else "not_started"
            self._set(target, state=final, step="")
        else:
            self._begin_watch(target)

    def _begin_watch(self, target: Target) -> None:
        node = self._node(target)
        self._set(target, step="watch", attempt=0, settled_at=max(node.heard_to, 0.0), watched_s=0.0, lost_since=None, gates=())

    def _watch_s(self, target: Target) -> float:
        return watch_of(target.wave, self.r.policy.watch_s) * self.facts.watch_scale

    def _needed_s(self, target: Target) -> float:
        return SETTLE_S * self.facts.watch_scale + self._watch_s(target)

    def _watch(self, target: Target, node: NodeFacts) -> None:
        """Count what was watched by the node's own clock, and judge."""
        settled = target.settled_at or 0.0
        watched = max(0.0, node.heard_to - settled)
        gates = list(_merged(target.gates, (one for one in node.gates if one.verdict != "clear"), node.heard_to))
        if watched < SETTLE_S * self.facts.watch_scale:
            gates = [one for one in gates if one.verdict in ("already", "not_available")]
        missing = not node.online or node.coverage < COVERAGE
        since = (self.now if target.lost_since is None else target.lost_since) if missing else None
        if missing and self.now - (since or self.now) >= 60.0:
            words = f"{node.coverage * 100:.0f} % of its samples of the last 3 minutes are here, limit {COVERAGE * 100:.0f} %"
            gates.append(Gate("evidence", "", "unknown", words, since or self.now, node.coverage * 100, COVERAGE * 100))
        if not node.online and node.away_s >= AWAY_S:
            words = f"it has been away for {_minutes(node.away_s)} minutes, limit {_minutes(AWAY_S)}, and this roll-out had not rebooted it"
            gates.append(Gate("node_away", "", "failed", words, self.now - node.away_s, node.away_s, AWAY_S))
        was_worse = target.why == "worse" or any(one.verdict == "worse" for one in gates)
        target = self._set(target, watched_s=watched, gates=tuple(gates), lost_since=since, why="worse" if was_worse else target.why)
        failed = next((one for one in gates if one.verdict == "failed" and not one.soft), None)
        if failed is not None and not self.r.observes and not self._overridden(target.wave, failed.gate):
            self._set(target, state="failed", step="", why=failed.gate, words=failed.words)
            return
        bad = [one for one in gates if one.verdict in ("worse", "unknown", "failed") and not self._overridden(target.wave, one.gate)]
        if watched < self._needed_s(target) or missing:
            if missing and node.away_s >= GONE_S:
                self._set(target, state="unknown", step="", why="evidence", words="it has been away for an hour")
            return
        if not bad and was_worse and self.r.worse_since is not None and watched < self._needed_s(target) + GROW_S:
            return  # it must stay clear for a while, or a single clear look would end a watch that found something
        risen = [one for one in gates if one.gate in METRICS and one.verdict == "already" and one.since_at - settled <= SOON_S]
        if not bad and not self.r.observes and any(not self._overridden(target.wave, one.gate) for one in risen):
            return  # a watch of five minutes would be over before a rise has lasted as long as it must
        if not bad or self.r.observes:
            self._set(
                target,
                state="worse" if was_worse else "passed",
                step="",
                words=target.reboot_owed and f"a reboot is owed: {target.reboot_owed}",
            )
        elif watched >= self._needed_s(target) + GROW_S:
            self._set(target, state="unknown" if bad[0].verdict == "unknown" else "worse", step="", why=bad[0].gate, words=bad[0].words)


SECOND_LOOK_S: Final = 5.0


def _merged(before: Iterable[Gate], now: Iterable[Gate], at: float) -> Iterable[Gate]:
    """The present gates, each since when it is not clear. A hard gate counts once it has lasted to a second look, also if both come late."""
    known = {one.key: one for one in before}
    for one in now:
        old = known.get(one.key)
        since = old.since_at if old is not None else one.since_at
        if one.verdict == "failed" and not one.soft and at - since < SECOND_LOOK_S:
            yield one._replace(verdict="unknown", since_at=since)  # seen once: it holds
        else:
            yield one._replace(since_at=since)


def _minutes(seconds: float) -> str:
    """With a tenth, or a node that is just past its limit would seem to be within it."""
    return f"{round(seconds / 60, 1):g}"


def job_step(name: TargetStep) -> JobStep:
    """The step as part of a job's key; not for `watch`, which has no job."""
    return cast("JobStep", name)
