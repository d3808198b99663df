"""The one function that moves a roll-out: `step(rollout, facts, now)` gives the next state and its commands. Pure and deterministic.

Whatever restarts, the same facts give the same answer. What is not known holds, and never passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from groundcontrol.core.ids import NodeId
from groundcontrol.jobs.model import TERMINAL
from groundcontrol.policies.reasons import Hold
from groundcontrol.policies.waves import canaries
from groundcontrol.rollouts.model import (
    ENDED,
    FINAL,
    HARD_GATES,
    MOST_PLANS,
    Facts,
    Gate,
    MakeJob,
    Rollout,
    RolloutState,
    Stepped,
    StopJob,
    Target,
    Tell,
)
from groundcontrol.rollouts.target_life import NODE_AWAY, RETRY_S, SOON_S, TargetLife, job_step

CLEAR_S: Final = 180.0
"""A hold ends after so long without a gate that is not clear."""
WORSE_S: Final = 600.0
"""One canary that is worse for so long stops the roll-out, if its rise began within `SOON_S`."""
ALONE_S: Final = 600.0
"""One node alone holds the roll-out once it has been worse, and its watch has grown, for so long. Until then its watch is what is waited for."""
CONFIRM_S: Final = 30.0
"""A hard gate that was not seen often enough in so long holds: the next looks usually settle it."""
BLIND_S: Final = 1800.0
"""Evidence that is missing for so long asks a person."""
EARLY: Final = frozenset({None, "waiting_lock", "refresh", "plan", "download"})
"""Phases in which a stop leaves the node untouched."""


def step(rollout: Rollout, facts: Facts, now: float) -> Stepped:
    """The next state of a roll-out, and the commands of that move. An ended roll-out never changes."""
    if rollout.state in ENDED:
        return Stepped(rollout, ())
    draft = _Draft(rollout, facts, now)
    draft.run()
    return draft.finish()


class _Draft(TargetLife):
    """A roll-out that is being moved: gates, waves and its state."""

    # -- the roll-out ----------------------------------------------------------------------------

    def run(self) -> None:
        for target in list(self.targets.values()):
            self._follow(target)
        if not self.facts.owner_may and self.r.state == "planning":  # not paused, or to resume it would take the place of its confirmation
            self.r = self.r._replace(why="owner", words=owner_lost(self.r))
        elif not self.facts.owner_may and self.r.state not in ("stopping", "paused"):
            self._state("paused", "owner", owner_lost(self.r))
        match self.r.state:
            case "planning" if self.facts.owner_may:
                self._plan_all()
            case "waiting":
                self._wait()
            case "running" | "holding":
                self._go()
            case "ready" | "paused":
                if self._hard_stop():
                    self._put_back()
                self._close_if_over()
            case "stopping":
                self._finish_stop()

    def finish(self) -> Stepped:
        after = self.r._replace(targets=tuple(self.targets[one.node] for one in self.r.targets))
        changed = after != self.r or bool(self.commands)
        return Stepped(after if changed else self.r, tuple(self.commands))

    def _state(self, state: RolloutState, why: str, words: str = "") -> None:
        before = self.r.state
        self.r = self.r._replace(state=state, why=why, words=words)
        if state in ENDED:
            self.r = self.r._replace(ended_at=self.now)
        if before == state:
            return
        kind = {
            "running": "" if before in ("holding", "paused") else "rollout_started",
            "holding": "rollout_holding",
            "paused": "rollout_holding",
            "stopped": "rollout_stopped",
            "succeeded": "rollout_succeeded",
            "expired": "rollout_expired",
        }.get(state, "")
        if kind:
            self._tell(kind, words or why)

    def _tell(self, kind: str, why: str) -> None:
        counts = {**self.r._replace(targets=tuple(self.targets.values())).counts()}
        by_person = kind == "rollout_stopped" and self.r.stopped_by == "person"  # who did it knows: no alert follows
        details = {"rollout": self.r.id, "name": self.r.name, "why": why, **counts}
        self.commands.append(Tell(kind, details, "info" if by_person else None))

    def _plan_all(self) -> None:
        """A one-off roll-out: every target is planned, so that a person confirms what will happen."""
        self.r = self.r._replace(why="", words="")
        for target in self._in("pending", "held"):
            node = self._node(target)
            if target.digest or target.step or target.plans:
                continue
            if node.reconnecting and not node.online:
                continue
            if node.hold is not None and not node.online:
                self._set(target, state="held", why=node.hold[0], words=node.hold[1], plans=1)
                continue
            self._order_plan(target._replace(state="running"))
        if not self._in("running") and all(one.plans for one in self.targets.values()):
            can, idle = [one for one in self.targets.values() if one.confirmed], len(self._in("passed"))
            if can:
                up_to_date = f", {idle} up to date" if idle else ""
                self._state("ready", "", f"{len(can)} of {len(self.targets)} nodes are planned{up_to_date}: start it")
            elif idle == len(self.targets):
                self._state("succeeded", "up_to_date", "there is nothing to do: each node is up to date")
            else:
                others = f"; {idle} of {len(self.targets)} up to date" if idle else ""
                self._state("failed", "no_target", f"no node can take part; each says why{others}")
                for one in self._in("pending", "held"):
                    self._set(one, state="not_started")

    def _wait(self) -> None:
        if self._closed():
            self._expire()
        elif self.now >= self.r.start_at:
            self.r = self.r._replace(started_at=self.now)
            self._state("running", "")
            self._go()

    def _closed(self) -> bool:
        return self.r.close_at is not None and self.now >= self.r.close_at

    def _close_if_over(self) -> None:
        if self._closed() and not self._in("running"):
            self._expire()

    def _expire(self) -> None:
        for one in self._in("pending", "held"):
            self._set(one, state="not_started", words=one.words or "it was not reached in time")
        self._state("expired", "window", "its window closed")

    def _go(self) -> None:
        stop = self._hard_stop()
        if stop:
            self.stop("gate", stop)
            return
        self._judge()
        if self.r.state == "running" and self.r.hold_since is None:
            self._next_wave()
            self._admit()
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self.r.state not in ("running", "holding") or self._in("running"):
            return
        open_ones, unclear = self._in("pending", "held"), self._unclear()
        if not open_ones and not unclear:
            self._state("succeeded", "")
        elif not open_ones and all(one.state == "worse" for one, _ in unclear):  # nobody can decide any more: nothing is left to start
            self._state("succeeded", "worse", "; ".join(f"{one.name} is worse: {gate.words}" for one, gate in unclear[:3]))
        elif self._closed():
            self._expire()

    def _finish_stop(self) -> None:
        if not self._in("running"):
            self._leave_rest()
            self._state("stopped", self.r.why, self.r.words)

    def _leave_rest(self) -> None:
        """The stop is why these nodes were not reached, whatever had held them before: what helps against that helps no more."""
        for one in self._in("pending", "held"):
            self._set(one, state="not_started", step="", why="stopped", words="the roll-out was stopped before its turn")

    def stop(self, by: str, words: str) -> None:
        """Nothing new starts. What runs is followed to its end."""
        self.r = self.r._replace(stopped_by=by, state="stopping")
        self._take_back()
        self._leave_rest()
        for one in self._in("running"):
            job = self._job(one)
            if one.step in ("plan", "before", "patch") and job is not None and job.state not in TERMINAL and job.phase in EARLY:
                self.commands.append(StopJob(one.node, job_step(one.step), one.attempt))
            elif one.step == "reboot" and one.attempt == 0:
                self._after(one._replace(reboot_owed="the roll-out was stopped"))
        self.r = self.r._replace(why=by, words=words)
        self._finish_stop()

    def kill(self, node: NodeId, by: str) -> None:
        """End the work or the watch of one target, after the roll-out was stopped. What a killed job leaves is repaired by hand."""
        one, job = self.targets[node], self._job(self.targets[node])
        if one.step == "watch":
            self._set(one, state="unknown", step="", why="killed", words=f"its watch was ended by {by}")
        elif job is not None and job.state not in TERMINAL:
            stop = StopJob(node, job_step(one.step), one.attempt)
            self.commands += [stop, stop._replace(force=True)]
            self._set(one, words=f"{by} ended its work by force")
        self._finish_stop()

    def _take_back(self) -> None:
        """Jobs that this very move had ordered before it became a stop are not ordered. Actions `after` are."""
        mine = [one for one in self.commands if isinstance(one, MakeJob) and one.step != "after"]
        self.commands = [one for one in self.commands if one not in mine]
        for one in mine:
            target = self.targets[one.node]
            if one.step == "reboot":
                self._after(target._replace(reboot_owed="the roll-out was stopped"))
            else:
                first = one.step == "before" and one.attempt == 0
                drained = target.drained and not first
                self._leave(target._replace(drained=drained), "not_started", "stopped", "the roll-out was stopped before anything changed")

    def _put_back(self) -> None:
        """A hard gate failed while it is paused: what this move would order on its other targets waits until a person has decided."""
        before = {one.node: one for one in self.r.targets}
        mine = [one for one in self.commands if isinstance(one, MakeJob) and one.step != "after"]
        self.commands = [one for one in self.commands if one not in mine]
        self.targets |= {one.node: before[one.node] for one in mine}

    # -- gates -----------------------------------------------------------------------------------

    def _failures(self) -> list[Target]:
        """Also those whose work nobody saw the end of: while it was paused, no gate had stopped it for them."""
        return [
            one for one in self.targets.values()
            if one.state == "failed" or (one.broken and one.state not in FINAL)
            or (one.why == "away" and one.started_at is not None and not self.r.observes and not self._overridden(one.wave, NODE_AWAY))
        ]  # fmt: skip

    def _hard_stop(self) -> str:
        """Why the roll-out stops at once; empty: it does not."""
        failures = [one for one in self._failures() if not self._overridden(one.wave, "job_outcome")]
        if len(failures) > self.r.policy.max_failed:
            first = failures[0]
            return f"{first.name}: {first.broken or first.words}"
        if self.r.observes:
            return ""
        for one in self.targets.values():
            for gate in one.gates:
                if gate.verdict == "failed" and not gate.soft and one.state == "running" and not self._overridden(one.wave, gate.gate):
                    return f"{one.name}: {gate.words}"
        return ""

    def _unclear(self) -> list[tuple[Target, Gate]]:
        """What is not clear on targets of started waves and was not overridden."""
        if self.r.observes:
            return []
        found = []
        for one in self.targets.values():
            if one.state in ("running", "unknown", "worse") and one.why != "deleted":  # a node that was removed keeps nobody waiting
                found += [
                    (one, gate) for gate in one.gates if gate.verdict in ("worse", "unknown") and not self._overridden(one.wave, gate.gate)
                ]
        return found

    def _judge(self) -> None:
        """Nothing starts while something is not clear. Hold, stop or ask when it stays so."""
        unclear = self._unclear()
        blind = [pair for pair in unclear if pair[1].verdict == "unknown"]
        worse = [pair for pair in unclear if pair[1].verdict == "worse"]
        quorum = self._quorum(worse)
        if quorum:
            self.stop("gate", quorum)
            return
        if unclear:
            first, gate = unclear[0]
            self.r = self.r._replace(
                clear_since=None,
                hold_since=self.now if self.r.hold_since is None else self.r.hold_since,
                worse_since=None if not worse else self.now if self.r.worse_since is None else self.r.worse_since,
            )
            words = f"{first.name}: {gate.words}"
            if self._holds(unclear):
                self._state("holding", "evidence" if blind and not worse else gate.gate, words)
            elif not self.r.words:
                self.r = self.r._replace(words=f"nothing starts until this is clear: {words}")
            self._ask_if_it_lasts(words, worse)
        elif self.r.hold_since is not None:
            self._clear()

    def _clear(self) -> None:
        """Go on once what was worse, or held, has been clear for long enough. One look that the next one explained is over at once."""
        self.r = self.r._replace(clear_since=self.now if self.r.clear_since is None else self.r.clear_since)
        lasting = self.r.state == "holding" or self.r.worse_since is not None
        if not lasting or self.now - (self.r.clear_since or self.now) >= CLEAR_S:
            self.r = self.r._replace(hold_since=None, worse_since=None, clear_since=None, words="")
            self._state("running", "")

    def _holds(self, unclear: Sequence[tuple[Target, Gate]]) -> bool:
        """Whether what is not clear is more than a burst of load that its watch waits out, or one look that the next one explains."""
        if self.r.state == "holding" or any(gate.verdict == "unknown" and gate.gate not in HARD_GATES for _, gate in unclear):
            return True
        if (
            self.r.hold_since is not None
            and self.now - self.r.hold_since >= CONFIRM_S
            and any(gate.verdict == "unknown" for _, gate in unclear)
        ):
            return True
        return self.r.worse_since is not None and self.now - self.r.worse_since >= ALONE_S and self._would_start()

    def _would_start(self) -> bool:
        """Whether a target would begin now if all were clear."""
        waiting = self._in("pending", "held")
        if any(one.wave <= self.r.wave and self.now >= one.retry_at and self._hold_of(one) is None for one in waiting):
            return True
        grown_s = ALONE_S * self.facts.watch_scale
        working = [one for one in self._in("running") if one.step != "watch" or one.watched_s < self._needed_s(one) + grown_s]
        return bool(waiting) and not working

    def _ask_if_it_lasts(self, words: str, worse: Sequence[tuple[Target, Gate]]) -> None:
        if self.r.worse_since is not None:
            canaries = [one for one in self.targets.values() if one.started_at is not None and one.wave == 0 and not _needed_nothing(one)]
            alone = self.r.wave == 0 and len(canaries) == 1
            soon = any(gate.since_at - (one.settled_at or 0.0) <= SOON_S for one, gate in worse)
            if alone and soon and self.now - self.r.worse_since >= WORSE_S:
                self.stop("gate", words)
            elif any(one.state == "worse" for one, _ in worse) and self._in("pending", "held"):
                self._state("paused", "worse", f"{words}; one witness is not enough to stop: decide")
        elif self.r.hold_since is not None and self.now - self.r.hold_since >= BLIND_S:
            self._state("paused", "evidence", f"{words}; it has been missing for {BLIND_S / 60:.0f} minutes: decide")

    def _quorum(self, worse: Sequence[tuple[Target, Gate]]) -> str:
        """More than a third of the wave, two at least, that are worse in the same metric at once stop it."""
        in_wave = [
            one for one in self.targets.values() if one.wave == self.r.wave and one.started_at is not None and not _needed_nothing(one)
        ]
        need = max(2, len(in_wave) // 3 + 1)
        by_gate: dict[str, list[Target]] = {}
        for target, gate in worse:
            by_gate.setdefault(gate.gate, []).append(target)
        for name, targets in by_gate.items():
            if len(targets) >= need:
                words = next(gate.words for target, gate in worse if gate.gate == name)
                return f"{len(targets)} nodes at once, such as {targets[0].name}: {words}"
        return ""

    # -- waves -----------------------------------------------------------------------------------

    def _next_wave(self) -> None:
        """Go to the next wave once each target of the waves so far has ended clear, or is held."""
        most = max((one.wave for one in self.targets.values()), default=0)
        while self.r.wave < most:
            begun = [one for one in self.targets.values() if one.wave <= self.r.wave]
            if any(one.state in ("pending", "running") for one in begun):
                return
            first = [one for one in begun if one.wave == 0]
            if self.r.wave == 0 and not self.r.policy.order.groups and self._shows_nothing(first):
                if not self._replace_canary(first):
                    return
                continue
            if self.r.pause_after == self.r.wave:
                self.r = self.r._replace(pause_after=-1)
                self._state("paused", "person", f"paused after {f'wave {self.r.wave}' if self.r.wave else 'the canaries'}")
                return
            self.r = self.r._replace(wave=self.r.wave + 1)

    def _shows_nothing(self, first_wave: Sequence[Target]) -> bool:
        """Whether no canary did any work, while one that is held, or another node, may still go first: else the next wave would begin on no evidence."""
        idle = [one for one in first_wave if _needed_nothing(one)]
        if any(one.state not in ("held", "not_started") for one in first_wave if one not in idle):
            return False
        return not idle or any(not one.last for one in self._in("pending", "held"))

    def _replace_canary(self, first_wave: Sequence[Target]) -> bool:
        """Let the next fit nodes be the canaries instead of those that cannot begin, or need nothing. Without one, each of the others says what it waits for."""
        later = [one for one in self._in("pending", "held") if one.wave > 0]
        wanted = max(1, canaries(self.r.policy.order, len(self.targets)))
        fit = [one for one in later if not one.last and self._hold_of(one) is None and self.now >= one.retry_at]
        fit = [one for one in fit if self._needs_work(one)][:wanted] or fit  # those that need nothing wait for nobody
        held = [one for one in first_wave if one.state == "held"]
        for other, canary in zip_longest(fit, held[: len(fit)]):
            self._set(other, wave=0, state="pending")  # it begins now, so that no two held nodes change places for ever
            if canary is not None:  # one that has ended keeps its place, and those that stand in for it are never more than were wanted
                self._set(self.targets[canary.node], wave=other.wave, retry_at=self.now + RETRY_S)
        first = (held or first_wave)[0]
        for one in later if not fit else ():
            hold = self._hold_of(one)
            if hold is not None:
                self._bar(one, hold)
            else:
                self._set(one, words=f"it waits for a canary to go first: {first.name} is {first.state.replace('_', ' ')}: {first.words}")
        return bool(fit)

    def _needs_work(self, target: Target) -> bool:
        """Whether something would be done on it, as far as that is known before its plan."""
        return bool(self.r.action) or not self._node(target).nothing or self._reboot_due(target)

    def _admit(self) -> None:
        if self.r.state == "paused":  # after the last wave, in this very move: a node that was held until now does not begin
            return
        busy = len([one for one in self._in("running") if one.step != "watch"])
        late = min((one.wave for one in self._in("running") if one.why == "late_result"), default=self.r.wave)
        for one in self._in("pending", "held"):
            if busy >= self.r.policy.order.at_once:
                return
            if one.wave > late or self.now < one.retry_at:  # an earlier wave is judged again
                continue
            hold = self._hold_of(one)
            if hold is not None:
                self._bar(one, hold)
                continue
            node = self._node(one)
            if not node.looked:
                self._set(one, words="its state before the work is being read")
                continue
            begun = one._replace(
                wave=max(one.wave, late),  # one that was held joins the present wave, so that the next one waits for it
                state="running", why="", words="", started_at=self.now, verb=self.r.action or node.verb,
                packages=self.r.packages if self.r.action else node.packages, baseline=node.baseline,
            )  # fmt: skip
            busy += 1
            if node.nothing and not self.r.action:
                self._reboot_or_end(begun, node.nothing)
            else:
                self._order_plan(begun)

    def _bar(self, one: Target, hold: Hold) -> None:
        self._set(one, state="held", why=hold[0], words=hold[1], away=one.away or hold[0] == "offline")

    def _hold_of(self, one: Target) -> Hold | None:
        node = self._node(one)
        if node.hold is not None:
            return node.hold
        if one.plans >= MOST_PLANS:
            return "plan", one.words or f"it was planned {one.plans} times"
        ends = [at for at in (node.until_at, self.r.close_at) if at is not None]
        needs_s = node.expected_s + self._watch_s(one)
        if ends and self.now + needs_s > min(ends):
            return "too_late", f"{(min(ends) - self.now) / 60:.0f} minutes are left, and it takes about {needs_s / 60:.0f} with its watch"
        return None


def _needed_nothing(target: Target) -> bool:
    """Whether it passed without any work: that is no evidence."""
    return target.state == "passed" and not target.changed


def pause(rollout: Rollout, by: str) -> Rollout:
    """A person pauses it: no target begins; what runs goes on."""
    return rollout._replace(state="paused", why="person", words=f"paused by {by}")


def owner_lost(rollout: Rollout) -> str:
    resumes = "" if rollout.state == "planning" else " and resumes it"
    return f"its owner {rollout.owner} may no longer do this: an admin takes it over{resumes}, or stops it"


def resumed(rollout: Rollout) -> Rollout:
    return rollout._replace(state="running", why="", words="", hold_since=None, clear_since=None, worse_since=None)


def taken_over(rollout: Rollout, by_id: str, by: str, now: float) -> Rollout:
    """A person becomes its owner, with their rights of now. One that lost its owner stays paused until somebody resumes it."""
    after = rollout._replace(owner_id=by_id, owner=by, owned_at=now, policy=rollout.policy._replace(owner_id=by_id, owner=by))
    if rollout.why != "owner":
        return after
    return (
        after._replace(why="", words="")
        if rollout.state == "planning"
        else after._replace(why="person", words=f"taken over by {by}: resume it")
    )


def stopped(rollout: Rollout, facts: Facts, now: float, by: str) -> Stepped:
    """A person stops it."""
    draft = _Draft(rollout, facts, now)
    draft.stop("person", f"stopped by {by}")
    return draft.finish()


def cancelled(rollout: Rollout, now: float, by: str) -> Rollout:
    """A person gives up a roll-out that has changed nothing yet."""
    targets = tuple(
        one
        if one.state in FINAL
        else one._replace(state="not_started", step="", why="stopped", words="the roll-out was cancelled before it began")
        for one in rollout.targets
    )
    return rollout._replace(state="cancelled", why="person", words=f"cancelled by {by}", stopped_by="person", targets=targets, ended_at=now)


def killed(rollout: Rollout, facts: Facts, now: float, by: str, node: NodeId) -> Stepped:
    """An admin ends the work or the watch of one target of a roll-out that was stopped."""
    draft = _Draft(rollout, facts, now)
    draft.kill(node, by)
    return draft.finish()
