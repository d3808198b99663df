"""A roll-out that runs and is at work on no server says first what it waits for, until when, and what helps."""

from __future__ import annotations

import pytest

from groundcontrol.core.ids import NodeId
from groundcontrol.policies.model import Order
from groundcontrol.policies.reasons import REMEDIES, HoldReason, remedy_for
from groundcontrol.rollouts.views import rollout_view, target_view
from tests.support.rollout_trial import Trial

ALL = Order(canary=0, percent=100)
SHUT = "outside its window nights, which opens at 2026-12-02 02:00 (UTC)"


@pytest.mark.parametrize(
    ("why", "words"),
    [("window", SHUT), ("not_allowed", "ada may not do this on it"), ("offline", "it is offline"), ("another_job", "the job upgrade of ada runs on it")],
)  # fmt: skip
def test_every_held_server_is_said_by_reason_with_what_helps(why: HoldReason, words: str) -> None:
    trial = Trial("a", "b", order=ALL)
    for name in ("a", "b"):
        trial.set(name, hold=(why, words))
    trial.look()
    view = rollout_view(trial.rollout)
    assert (view.state, view.waits, view.words, view.remedy) == (
        "running",
        True,
        f"a and 1 more: {words}",
        remedy_for(why, ["a", "b"], trial.rollout.id),
    )
    trial.set("b", hold=None)
    trial.look()
    assert (rollout_view(trial.rollout).waits, rollout_view(trial.rollout).words) == (False, ""), "it is at work on b"


def test_a_server_that_has_begun_and_waits_counts_as_waiting_and_one_that_works_does_not() -> None:
    trial = Trial("a", order=ALL)
    trial.look()
    trial.end("a", "plan")
    trial.end("a", "patch", "running", phase="waiting_lock", words="apt-get (4711) has the lock")
    assert rollout_view(trial.rollout).words == "a: apt-get (4711) has the lock"
    trial.end("a", "patch", "running", phase="download")
    assert not rollout_view(trial.rollout).waits


def test_different_reasons_are_said_apart_and_only_the_first_ones() -> None:
    trial = Trial("a", "b", "c", "d", "e", order=ALL)
    holds: list[tuple[HoldReason, str]] = [
        ("window", SHUT), ("window", SHUT), ("offline", "it is offline"), ("clock", "its clock is 40 s off"), ("plan", "no plan"),
    ]  # fmt: skip
    for name, hold in zip("abcde", holds, strict=True):
        trial.set(name, hold=hold)
    trial.look()
    view = rollout_view(trial.rollout)
    assert view.words == f"a and 1 more: {SHUT}; c: it is offline; d: its clock is 40 s off; 1 more wait for other reasons"
    assert view.remedy == "; ".join(REMEDIES[why] for why in ("window", "offline", "clock"))


def test_it_names_no_server_that_the_reader_may_not_see_and_those_that_he_may() -> None:
    trial = Trial("web-1", "web-10", order=Order(canary=1))
    trial.set("web-1", hold=("offline", "it is offline"))
    trial.set("web-10", hold=("window", SHUT))
    trial.look()
    trial.look()  # only now the canary is held, and the other could have gone first
    seen = frozenset({NodeId("web-10")})
    assert rollout_view(trial.rollout, seen).words == f"web-10: {SHUT}"
    assert rollout_view(trial.rollout, frozenset()).words == "it waits for servers beyond your rights"
    trial.set("web-10", hold=None, looked=False)
    trial.rollout = trial.rollout._replace(
        targets=tuple(
            one._replace(words="it waits for a canary to go first: web-1 is held: it is offline") if one.node == "web-10" else one
            for one in trial.rollout.targets
        )
    )
    assert target_view(trial.rollout, trial.of("web-10"), {}, seen).words == "it is about a server beyond your rights"
