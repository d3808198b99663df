"""What happens to targets under way when a window closes, the owner loses the right, or something fails: falsifying examples of R1 to R12."""

from __future__ import annotations

import pytest

from groundcontrol.core.errors import Conflict
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.jobs.model import JobRequest
from groundcontrol.policies.model import Order
from groundcontrol.rollouts.model import Facts, Gate, JobFacts, MakeJob, Override, Rollout, Stepped
from groundcontrol.rollouts.step import pause, resumed, step, taken_over
from tests.support.inprocess_hub import TestHub
from tests.support.rollout_trial import Trial
from tests.support.running_rollout import a_rollout

SHUT = ("window", "outside its window nights, which opens at 02:00 (UTC)")


@pytest.mark.parametrize("at", ["plan", "patch"])
def test_nothing_more_begins_on_a_node_whose_own_window_has_closed(at: str) -> None:
    trial = Trial("a", reboot="always")
    trial.set("a", until_at=trial.now + 1000)
    trial.look()
    if at == "patch":
        trial.end("a", "plan")
    ordered = list(trial.ordered)
    trial.set("a", until_at=None, hold=SHUT)  # of a closed window nobody knows when it ends
    trial.end("a", at)
    assert trial.ordered == ordered
    assert SHUT[1] in (trial.of("a").words, trial.of("a").reboot_owed)


@pytest.mark.parametrize(("max_failed", "state"), [(0, "stopped"), (1, "running")])
def test_a_node_that_was_lost_at_work_while_it_was_paused_counts_as_failed(max_failed: int, state: str) -> None:
    trial = Trial("a", "b", max_failed=max_failed)
    trial.look()
    trial.end("a", "plan")
    trial.rollout = pause(trial.rollout, "ann")
    trial.set("a", online=False, away_s=3700.0)
    trial.look(3700)
    assert (trial.of("a").state, trial.of("a").why) == ("unknown", "away")
    trial.rollout = resumed(trial.rollout)
    trial.look(1)
    assert (trial.rollout.state, [key for key in trial.ordered if key[0] == "b"] != []) == (state, state == "running")


def test_the_plans_of_an_owner_who_lost_the_right_wait_and_nothing_starts_without_its_confirmation() -> None:
    trial = Trial("a", "b")
    trial.rollout = trial.rollout._replace(state="planning", policy_id="", action="upgrade")
    trial.look()
    trial.jobs[NodeId("a"), "plan", 1] = JobFacts("succeeded", plan_digest="d", plan_steps=1)
    lost = step(trial.rollout, Facts(trial.nodes, trial.jobs, owner_may=False), trial.now)
    assert (lost.rollout.state, lost.rollout.why, lost.commands) == ("planning", "owner", ())
    assert "an admin takes it over, or stops it" in lost.rollout.words
    trial.rollout = taken_over(lost.rollout, "admin", "admin", trial.now)
    assert (trial.rollout.state, trial.rollout.why, trial.rollout.words) == ("planning", "", "")
    trial.look(1)
    trial.end("b", "plan")
    assert (trial.rollout.state, [key[1] for key in trial.ordered]) == ("ready", ["plan", "plan"])


def test_a_failure_while_it_is_paused_lets_nothing_more_begin_until_a_person_has_decided() -> None:
    trial = Trial("a", "b", order=Order(canary=0))
    trial.look()
    trial.end("a", "plan")
    trial.rollout = pause(trial.rollout, "ann")
    trial.jobs[NodeId("a"), "patch", 1] = JobFacts("failed", words="dpkg failed")
    trial.end("b", "plan")
    assert (trial.of("a").state, trial.of("b").step, trial.rollout.state) == ("failed", "plan", "paused")
    assert (NodeId("b"), "patch", 1) not in trial.ordered
    paused = trial.rollout
    trial.rollout = resumed(paused)
    trial.look(1)
    assert (trial.rollout.stopped_by, trial.of("b").state) == ("gate", "not_started")
    trial.rollout = resumed(paused)._replace(overrides=(Override(0, "job_outcome", "ann", "repaired by hand", trial.now),))
    trial.look(1)
    assert trial.of("b").step == "patch"


def begun(rollout: Rollout) -> Stepped:
    [target] = rollout.targets
    return Stepped(
        rollout._replace(state="running", targets=(target._replace(state="running", step="plan", attempt=1, plans=1),)),
        (MakeJob(target.node, "plan", 1, JobRequest("plan", (), "upgrade")),),
    )


async def test_an_older_roll_out_that_begins_later_waits_for_the_node_that_a_younger_one_works_on(hub: TestHub) -> None:
    store, node = hub.store.rollouts, await hub.node("web-1")
    older, younger = [await a_rollout(hub, [node], state="waiting", name=name) for name in ("older", "younger")]
    assert (await store.busy_elsewhere(older), await store.busy_elsewhere(younger)) == ({}, {})
    await store.save_rollout(SYSTEM, younger, begun(younger))
    assert await store.busy_elsewhere(older) == {node.id: "younger"}
    with pytest.raises(Conflict, match="another roll-out has begun on one"):  # its facts were read before
        await store.save_rollout(SYSTEM, older, begun(older))
    assert not await store.jobs_of(older), "nothing is half-started"


def test_a_gate_that_only_observes_keeps_no_wave_waiting_and_neither_does_a_removed_node() -> None:
    rise = Gate("cpu", "", "worse", "CPU is 25.0 points above its past, limit 10", 1.0, 25.0, 10.0, soft=True)
    for observes in (True, False):
        trial = Trial("a", "b", gates="observe" if observes else "stop")
        trial.look()
        trial.patched("a")
        trial.set("a", gates=(rise,))
        trial.watched(400)
        if not observes:
            trial.set("a", exists=False)
            trial.watched(300)
        assert (trial.of("a").state, trial.of("b").state) == ("worse" if observes else "unknown", "running")


def test_nothing_begins_in_the_look_in_which_something_else_fails() -> None:
    trial = Trial("a", "b", order=Order(canary=0))
    trial.look()
    trial.end("a", "plan")
    trial.jobs[NodeId("a"), "patch", 1] = JobFacts("failed", words="dpkg failed")
    trial.end("b", "plan")
    assert (trial.rollout.stopped_by, (NodeId("b"), "patch", 1) in trial.ordered) == ("gate", False)
    assert (trial.of("b").state, trial.of("b").why) == ("not_started", "stopped")


def test_nothing_begins_in_the_same_wave_while_a_rise_waits_to_be_clear() -> None:
    trial = Trial("a", "b", "c", order=Order(canary=0), watch_s=900)
    trial.set("c", hold=("offline", "it is offline"))
    trial.look()
    trial.patched("a")
    trial.patched("b")
    trial.look(100)
    trial.set("a", gates=(Gate("cpu", "", "worse", "CPU is 25.0 points above its past, limit 10", trial.now, 25.0, 10.0, soft=True),))
    trial.look(10)
    trial.set("c", hold=None)
    trial.look(100)
    assert (trial.rollout.state, trial.of("c").state) == ("running", "held")
    trial.set("a", gates=())
    trial.watched(300)
    assert trial.of("c").state == "running"
