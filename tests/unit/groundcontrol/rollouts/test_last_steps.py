"""Roll-outs that would wait for nobody: a worse node with nothing left to start, canaries that cannot begin, and time that is too short."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.scope import SYSTEM
from groundcontrol.policies.model import ActionStep, MinAge, Order, check_policy
from groundcontrol.policies.store import PolicyStore
from groundcontrol.policies.waves import WorkTime, work_s
from groundcontrol.rollouts.model import MOST_PHASES, Gate, Phase, phases_of, with_phases
from groundcontrol.rollouts.reboots import return_limit_s
from groundcontrol.rollouts.step import resumed, stopped
from tests.support.inprocess_hub import TestHub
from tests.support.rollout_trial import Trial, a_policy

WORSE = Gate("cpu", "", "worse", "CPU is 20.0 points above its past, limit 10", 1.0, 20.0, 10.0, soft=True)
OFFLINE = ("offline", "it is offline")


def through(trial: Trial, *names: str) -> None:
    for name in names:
        trial.patched(name)


def test_one_worse_node_of_the_last_wave_ends_the_roll_out_and_asks_nobody() -> None:
    trial = Trial("a", "b", "c", "d")
    trial.look(1)
    through(trial, "a")
    trial.watched(1000)
    through(trial, "b", "c", "d")
    trial.set("b", gates=(WORSE,))
    states = set()
    for _ in range(60):
        trial.look(50)
        states.add(trial.rollout.state)
    assert "paused" not in states
    assert (trial.rollout.state, trial.rollout.why) == ("succeeded", "worse")
    assert "b is worse: CPU is 20.0 points" in trial.rollout.words
    assert trial.rollout.counts()["worse"] == 1


def test_with_nodes_left_one_worse_node_still_asks_a_person() -> None:
    trial = Trial("a", "b", "c", "d", "e", order=Order(canary=2))
    trial.look(1)
    through(trial, "a", "b")
    trial.set("b", gates=(WORSE,))
    trial.watched(1300)
    assert trial.rollout.state == "paused"


def test_a_held_canary_does_not_begin_in_the_move_that_pauses_after_the_canaries() -> None:
    trial = Trial("a", "b", "c", order=Order(canary=2))
    trial.set("b", hold=OFFLINE)
    trial.look(1)
    a, b, c = trial.rollout.targets
    ended, held = a._replace(state="passed", step="", changed=True), b._replace(state="held", retry_at=trial.now)
    trial.rollout = trial.rollout._replace(pause_after=0, targets=(ended, held, c))
    trial.set("b", hold=None)
    trial.look(1)
    assert (trial.rollout.state, trial.of("b").state) == ("paused", "held")
    trial.rollout = resumed(trial.rollout)
    trial.look(1)
    assert trial.of("b").state == "running"


@pytest.mark.parametrize("ended", [False, True], ids=["held", "not started"])
def test_the_next_fit_node_goes_first_when_no_canary_can_begin(ended: bool) -> None:
    trial = Trial("a", "b", "c", order=Order(canary=2))
    for name in ("a", "b"):
        if not ended:
            trial.set(name, hold=OFFLINE)
    trial.look(1)
    if ended:
        for name in ("a", "b"):
            trial.end(name, "plan")
            trial.end(name, "patch", "cancelled", words="its job did not start")
            assert trial.of(name).state == "not_started"
    for _ in range(3):
        trial.look(1)
    assert (trial.of("c").wave, trial.of("c").state) == (0, "running")


def test_a_canary_that_needs_nothing_is_no_evidence_and_the_next_node_goes_first() -> None:
    trial = Trial("a", "b", "c", "d")
    for name in ("a", "b"):
        trial.set(name, nothing="it is up to date")
    for _ in range(3):
        trial.look(1)
    assert [(trial.of(name).wave, trial.of(name).state) for name in "abcd"] == [
        (0, "passed"),
        (1, "pending"),
        (0, "running"),
        (1, "pending"),
    ]
    trial.end("c", "plan", plan_steps=0)  # what its list did not know
    trial.look(1)
    assert [(trial.of(name).wave, trial.of(name).state) for name in "bcd"] == [(1, "pending"), (0, "passed"), (0, "running")]
    trial.patched("d")
    trial.watched()
    assert (trial.rollout.state, trial.rollout.counts()["passed"]) == ("succeeded", 4)


def test_a_fleet_that_needs_nothing_waits_for_no_canary_nor_does_the_hubs_own_host() -> None:
    trial = Trial("a", "b", "c", "d")
    for name in "abc":
        trial.set(name, nothing="it is up to date")
    trial.rollout = trial.rollout._replace(
        targets=tuple(one._replace(last=one.node == "d", wave=2 if one.node == "d" else one.wave) for one in trial.rollout.targets)
    )
    for _ in range(3):
        trial.look(1)
    assert [(trial.of(name).wave, trial.of(name).state) for name in "abcd"] == [(0, "passed")] * 3 + [(2, "running")]


def test_a_held_canary_beside_one_that_needs_nothing_stays_a_canary_and_the_hubs_own_host_waits_for_it() -> None:
    trial = Trial("a", "b", "c", "own", order=Order(canary=2))
    trial.rollout = trial.rollout._replace(
        targets=tuple(one._replace(last=one.node == "own", wave=2 if one.node == "own" else one.wave) for one in trial.rollout.targets)
    )
    trial.set("a", nothing="it is up to date")
    trial.set("b", hold=OFFLINE)
    trial.set("c", exists=False)
    for _ in range(3):
        trial.look(1)
    assert [trial.of(name).state for name in ("a", "b", "c", "own")] == ["passed", "held", "not_started", "pending"]
    assert trial.of("own").words == "it waits for a canary to go first: b is held: it is offline"
    trial.set("b", hold=None)
    trial.look(400)
    assert (trial.rollout.wave, trial.of("b").wave, trial.of("b").state, trial.of("own").state) == (0, 0, "running", "pending")


def test_one_canary_beside_one_that_needed_nothing_is_alone() -> None:
    trial = Trial("a", "b", "c", "d", "e", watch_s=900)  # two canaries
    trial.set("a", nothing="it is up to date")
    trial.look(1)
    trial.patched("b")
    trial.look(100)
    trial.set("b", gates=(Gate("cpu", "", "worse", "CPU is 25.0 points above", trial.now, 25.0, 10.0, soft=True),))
    trial.watched(700)
    assert (trial.of("a").state, trial.rollout.state, trial.rollout.stopped_by) == ("passed", "stopping", "gate")


def test_a_node_that_refuses_the_stop_says_why_in_the_roll_out() -> None:
    trial = Trial("a")
    trial.look()
    trial.end("a", "plan")
    trial.rollout = stopped(trial.rollout, trial.facts(), trial.now, "ann").rollout
    refused = "the node cannot stop it: the node's launch key is not the hub's: deploy the node again"
    trial.end("a", "patch", "running", stop_refused=refused)
    assert (trial.rollout.state, trial.of("a").words) == ("stopping", f"it runs to its end: {refused}")


@pytest.mark.timeout(20)
def test_a_held_canary_and_a_held_other_do_not_change_places_for_ever() -> None:
    trial = Trial("a", "b")
    trial.rollout = trial.rollout._replace(close_at=trial.now + 60.0)  # less than a node needs
    for _ in range(3):
        trial.look(1)
    assert {(trial.of(name).state, trial.of(name).why) for name in "ab"} == {("held", "too_late")}


def test_a_node_that_waits_for_held_canaries_says_so_or_why_it_cannot_go_first() -> None:
    trial = Trial("a", "b", "c", "own", order=Order(canary=2))
    trial.rollout = trial.rollout._replace(targets=tuple(one._replace(last=one.node == "own") for one in trial.rollout.targets))
    for name in ("a", "b"):
        trial.set(name, hold=OFFLINE)
    trial.set("c", hold=("disk_full", "/var is 97 % full, limit 95 %"))
    for _ in range(3):
        trial.look(1)
    assert (trial.of("c").state, trial.of("c").why) == ("held", "disk_full")
    assert trial.of("own").words == "it waits for a canary to go first: a is held: it is offline"
    trial.set("c", hold=None)
    for _ in range(3):
        trial.look(1)
    assert trial.of("c").state == "running", "room was made"


def test_a_package_that_was_put_on_hold_after_the_last_list_is_named_with_its_remedy() -> None:
    trial = Trial("a")
    trial.look(1)
    trial.end("a", "plan", "failed", error="job.package_held", words="on hold on this node: nginx")
    assert (trial.of("a").state, trial.of("a").why, trial.of("a").words) == ("held", "package_held", "on hold on this node: nginx")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        *(({"leave_out": ("nginx", glob)}, f"{glob} matches every package") for glob in ("*", "**", "*?", "?*")),
        ({"leave_out": ("ngin*",), "only": ("nginx", "nginx-*")}, "leaves no package of only"),
        ({"only": ("linux-image-*",), "kernel": False}, "only names kernels alone"),
    ],
)
def test_patterns_that_leave_nothing_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words.replace("*", r"\*").replace("?", r"\?")):
        check_policy(a_policy(**fields))
    check_policy(a_policy(leave_out=("lib*",), only=("nginx",), min_age=MinAge(1, 2)))


async def test_the_time_that_a_node_needs_is_that_of_its_own_last_runs_of_that_kind(hub: TestHub) -> None:
    store, node, other = hub.services[PolicyStore], await hub.node("db-1"), await hub.node("db-2")
    admin = await hub.logged_in()
    for number in range(12):
        job = (await admin.post(f"nodes/{node.id}/jobs", {"action": "upgrade"})).json["id"]
        took = 2000.0 if number < 2 else 300.0 + number
        await hub.sql("UPDATE job SET state = 'succeeded', started_at = 1000.0, ended_at = ? WHERE id = ?", 1000.0 + took, job)
    times = await store.work_times(SYSTEM, [node.id, other.id])
    assert times == {node.id: {"upgrade": WorkTime(311.0, 306.5)}}, "of the last ten; nothing is known of the other"
    assert work_s("upgrade", times[node.id], reboots=False) == 311.0
    assert work_s("security-upgrade", times[node.id], reboots=True) == 360.0, "another kind of job: the usual time, with that of a reboot"


@pytest.mark.parametrize(
    ("last", "virtualization", "limit_s"),
    [
        (WorkTime(longest_s=20.0, median_s=15.0), "kvm", 120.0),
        (WorkTime(longest_s=110.0, median_s=90.0), "", 270.0),
        (WorkTime(longest_s=900.0, median_s=90.0), "", 960.0),
        (WorkTime(longest_s=1000.0, median_s=900.0), "", 1800.0),
        (None, "kvm", 600.0),
        (None, "", 1200.0),
    ],
)
def test_a_reboot_is_overdue_by_the_nodes_own_past(last: WorkTime | None, virtualization: str, limit_s: float) -> None:
    """One slow reboot of ten, such as a file system check, must not make every later one wait three times as long."""
    assert return_limit_s(last, virtualization) == limit_s


def test_a_node_whose_own_work_does_not_fit_is_not_admitted() -> None:
    trial = Trial("a")
    trial.set("a", expected_s=7000.0)
    trial.look(400)
    assert (trial.of("a").state, trial.of("a").why) == ("held", "too_late")
    assert trial.of("a").words == "113 minutes are left, and it takes about 122 with its watch"


def test_each_phase_has_its_begin_and_end_and_their_number_is_bounded() -> None:
    one = Trial("a", "b").rollout
    assert phases_of(one) == (Phase("waiting", 0, one.made_at),)
    moved = with_phases(one, one._replace(state="running"), 5.0)
    assert with_phases(moved, moved._replace(words="x"), 6.0).phases == moved.phases
    moved = with_phases(moved, moved._replace(wave=1), 9.0)
    assert moved.phases == (Phase("waiting", 0, one.made_at, 5.0), Phase("running", 0, 5.0, 9.0), Phase("running", 1, 9.0))
    for turn in range(MOST_PHASES):
        moved = with_phases(moved, moved._replace(state="holding" if moved.state == "running" else "running"), 10.0 + turn)
    assert (len(moved.phases), moved.phases[0].state, moved.phases[-1].from_at) == (MOST_PHASES, "waiting", 9.0 + MOST_PHASES)


def test_those_that_stand_in_for_a_canary_are_never_more_than_were_wanted() -> None:
    trial = Trial(*"abcdef", order=Order(canary=1))
    trial.look(1)
    trial.end("a", "plan")
    trial.end("a", "patch", "cancelled", words="its job did not start")
    for _ in range(40):  # each that comes first turns out to have no past, as those of a young fleet
        for one in trial.rollout.targets:
            trial.set(one.node, hold=("history", "4 of 48 minutes") if one.wave == 0 else None)
        trial.look(10)
        assert sum(one.wave == 0 and one.state != "not_started" for one in trial.rollout.targets) <= 1
    for one in trial.rollout.targets:
        trial.set(one.node, hold=None)
    trial.look(400)
    assert [one.state for one in trial.rollout.targets].count("running") == 1


@pytest.mark.parametrize(("begun", "steps"), [(False, []), (True, ["after"])])
def test_a_stop_before_the_action_has_begun_leaves_the_node_untouched(begun: bool, steps: list[str]) -> None:
    action = ActionStep("drain", 60, must_succeed=True)
    trial = Trial("a", order=Order(canary=0), before=(action,), after=(action,))
    trial.look(1)
    trial.end("a", "plan")
    assert trial.of("a").step == "before"
    trial.rollout = stopped(trial.rollout, trial.facts(), trial.now, "lee").rollout
    trial.end("a", "before", "cancelled", attempt=0, begun=begun)
    assert [key[1] for key in trial.ordered[2:]] == steps
    for step in steps:
        trial.end("a", step, attempt=0)
    assert (trial.of("a").state, trial.of("a").why, trial.rollout.counts()["failed"]) == ("not_started", "stopped", 0)


def test_a_freeze_that_ends_before_the_plan_was_used_only_holds_the_node() -> None:
    trial = Trial("a", order=Order(canary=0))
    trial.look(1)
    trial.set("a", hold=("frozen", "frozen until 10:16"))
    trial.end("a", "plan")
    assert (trial.of("a").state, trial.of("a").why) == ("held", "frozen")
    trial.set("a", hold=None)
    trial.look(400)
    assert (trial.of("a").state, trial.of("a").step) == ("running", "plan")
