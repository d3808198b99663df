"""A one-off roll-out of servers that are up to date: they take no turns as canaries to find nothing to do."""

from __future__ import annotations

from groundcontrol.rollouts.step import cancelled
from tests.support.rollout_trial import Trial

NAMES = ("a", "b", "c", "d", "e", "f")


def planned(*idle: str, reboot_due: str = "") -> Trial:
    """Each of six servers has answered its plan. Args: idle: those with nothing to install. reboot_due: of them, one that needs a reboot."""
    trial = Trial(*NAMES)
    trial.rollout = trial.rollout._replace(state="planning", policy_id="", action="upgrade")
    if reboot_due:
        trial.set(reboot_due, reboot_required="yes")
    trial.look()
    for name in NAMES:
        trial.end(name, "plan", plan_steps=0 if name in idle else 3)
    return trial


def test_a_fleet_that_is_up_to_date_is_done_with_its_plans() -> None:
    trial = planned(*NAMES)
    one = trial.rollout
    assert (one.state, one.words, one.counts()["passed"]) == ("succeeded", "there is nothing to do: each node is up to date", 6)
    assert [key[1] for key in trial.ordered] == ["plan"] * 6


def test_only_those_with_work_are_confirmed_and_planned_again() -> None:
    trial = planned("a", "b", "c", "d")
    assert (trial.rollout.state, trial.rollout.words) == ("ready", "2 of 6 nodes are planned, 4 up to date: start it")
    assert [one.node for one in trial.rollout.targets if one.confirmed] == ["e", "f"]
    given_up = cancelled(trial.rollout, trial.now, "ada")
    assert [one.state for one in given_up.targets if one.node in "abcd"] == ["passed"] * 4, "a cancellation changes no result"
    del trial.ordered[:]
    trial.rollout = trial.rollout._replace(state="waiting", words="")
    trial.look(1)
    assert [key[0] for key in trial.ordered] == ["e", "f"], "two canaries of six, at once"


def test_a_reboot_that_is_due_is_work() -> None:
    trial = planned(*NAMES, reboot_due="c")
    assert (trial.rollout.state, [one.node for one in trial.rollout.targets if one.confirmed]) == ("ready", ["c"])
