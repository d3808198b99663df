"""Every reason for which a roll-out holds, leaves or ends a node has a sentence and says what helps."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from groundcontrol.core.ids import NodeId
from groundcontrol.policies.model import Order
from groundcontrol.policies.reasons import REMEDIES, EndReason, HoldReason, remedy_for
from groundcontrol.rollouts.model import Gate, JobFacts, Target, Tell
from groundcontrol.rollouts.step import cancelled, stopped
from groundcontrol.rollouts.views import remedy_of
from tests.support.rollout_trial import Trial

NOTHING_TO_DO = {"stopped", "up_to_date", "deleted", "late_result"}


def test_every_reason_says_what_helps_or_that_nothing_must_be_done() -> None:
    assert set(REMEDIES) == {*get_args(HoldReason), *get_args(EndReason)}
    assert {why for why, words in REMEDIES.items() if not words} == NOTHING_TO_DO


def test_what_helps_names_the_server_and_the_roll_out_in_its_commands() -> None:
    assert "`stardust nodes never 'web 1' web-2 --text ''`" in remedy_for("never_by_schedule", ["web 1", "web-2"])
    assert "`stardust nodes never NODE --text ''`" in remedy_for("never_by_schedule", ["web"] * 6)
    assert "`stardust rollout go-on r --gate history --reason …`" in remedy_for("history", ["web-1"], "r")


@pytest.mark.parametrize("end", ["stop", "gate", "cancel", "close"])
def test_an_end_replaces_what_had_held_a_node_unless_that_is_why_it_was_missed(end: str) -> None:
    for why in get_args(HoldReason):
        trial = Trial("a", "b", order=Order(canary=0))
        trial.set("b", hold=(why, f"held: {why}"))
        trial.look()
        held = trial.of("b")
        assert (held.state, held.why, held.words, remedy_of(trial.rollout, held)) == (
            "held",
            why,
            f"held: {why}",
            remedy_for(why, ["b"], "r"),
        )
        match end:
            case "stop":
                trial.rollout = stopped(trial.rollout, trial.facts(), trial.now, "ada").rollout
            case "gate":
                trial.end("a", "plan")
                trial.end("a", "patch", "failed", words="dpkg ended with 1")
            case "cancel":
                trial.rollout = cancelled(trial.rollout, trial.now, "ada")
            case _:
                trial.patched("a")
                trial.watched()
                trial.look(7200)
        left = trial.of("b")
        if end == "close":
            assert (trial.rollout.state, left.state, left.why, remedy_of(trial.rollout, left)) == (
                "expired",
                "not_started",
                why,
                remedy_for(why, ["b"], "r"),
            )
            continue
        assert (left.state, left.why, remedy_of(trial.rollout, left)) == ("not_started", "stopped", "")
        assert left.words == f"the roll-out was {'cancelled before it began' if end == 'cancel' else 'stopped before its turn'}"


def test_a_stop_by_a_person_is_no_error_that_fires_an_alert() -> None:
    trial = Trial("a", order=Order(canary=0))
    trial.set("a", hold=("away", "held"))
    trial.look()
    [said] = [one for one in stopped(trial.rollout, trial.facts(), trial.now, "ada").commands if isinstance(one, Tell)]
    assert (said.kind, said.severity) == ("rollout_stopped", "info")


def a_watched_node() -> Trial:
    trial = Trial("a", "b")
    trial.look()
    trial.patched("a")
    trial.look(100)
    return trial


def test_a_job_of_somebody_else_on_a_watched_node_holds_the_roll_out_until_it_has_ended() -> None:
    """R5: on a node that has not begun it holds that node alone; on one that is watched, nothing that it shows counts as the roll-out's own."""
    trial = a_watched_node()
    trial.set("a", gates=(Gate("another_job", "", "unknown", "the job install of ada runs on it", 0.0),))
    trial.look(1)
    assert (trial.rollout.state, trial.rollout.words) == ("holding", "a: the job install of ada runs on it")
    trial.watched(900)
    assert (trial.of("a").state, [key for key in trial.ordered if key[0] == "b"]) == ("running", []), "its watch does not pass meanwhile"
    trial.set("a", gates=())
    trial.watched(300)
    assert (trial.of("a").state, trial.rollout.state) == ("passed", "running")
    other = a_watched_node()
    other.set("b", hold=("another_job", "the job install of ada runs on it"))
    other.watched()
    assert (other.rollout.state, other.of("a").state, other.of("b").state) == ("running", "passed", "held")


@pytest.mark.parametrize(
    ("state", "why"), [("cancelled", "cancelled"), ("expired", "expired"), ("unknown", "job_unknown"), ("failed", "job_outcome")]
)
def test_each_end_of_a_job_has_its_reason(state: Any, why: str) -> None:
    trial = Trial("a")
    trial.look()
    trial.end("a", "plan")
    trial.jobs[NodeId("a"), "patch", 1] = JobFacts(state, words="so it ended")
    trial.watched(200)
    ended: Target = trial.of("a")
    assert (ended.why, bool(ended.words), bool(remedy_of(trial.rollout, ended))) == (why, True, True)
