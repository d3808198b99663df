"""The twenty cases of calendars and roll-outs that went wrong elsewhere, each by its number; some go on in `test_twenty_cases_on_a_hub.py`."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.policies.calendar import Monthly, Times, When, local_text, spans
from groundcontrol.policies.choosing import Update, choose, kept_words
from groundcontrol.policies.model import ActionStep, ApprovalMark, Occurrence, Order
from groundcontrol.policies.preview import next_dates
from groundcontrol.policies.waves import Candidate, waves_of
from groundcontrol.rollouts.model import Facts, Gate, JobFacts, JobKey, StopJob
from groundcontrol.rollouts.occurrences import due_now
from groundcontrol.rollouts.report import report_words
from groundcontrol.rollouts.service import RolloutService
from groundcontrol.rollouts.step import killed, stopped
from tests.support.inprocess_hub import TestHub
from tests.support.rollout_trial import DAY, START, Trial, a_policy, at

# -- 1 to 6, 20: occurrences ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("missed", "acts"), [("once", ["miss", "miss", "start"]), ("skip", ["miss", "miss", "miss"])])
def test_case_1_after_a_pause_of_the_hub_one_run_follows_or_none(missed: Any, acts: list[str]) -> None:
    policy = a_policy(hub_missed=missed)
    found = due_now(policy, (), START + 14 * DAY + 1200)  # three Tuesdays, the last one 20 minutes ago
    assert [one.act for one in found] == acts
    assert [one.act for one in due_now(policy, (), START + 14 * DAY + 8000)] == ["miss"] * 3, "the window of the last one is over too"


def test_case_2_an_occurrence_is_judged_once() -> None:
    policy = a_policy()
    [due] = due_now(policy, (), START + 1)
    assert due.act == "start"
    stored = [due.after]
    assert due_now(policy, stored, START + 2) == [], "another hub, or the next look: it is decided already"
    assert due_now(policy._replace(considered_at=due.after.due_at), stored, START + 60) == []


def test_case_3_a_skipped_and_a_repeated_hour_run_once() -> None:
    times = Times(When(weekly=("sun",)), "02:30", 3600, "Europe/Berlin")
    for night, word in (("2026-03-28 20:00", "skipped"), ("2026-10-24 20:00", "repeated")):
        policy = a_policy(times=times, considered_at=at(night))
        assert [one.shifted for one in next_dates(policy, at(night), {})][:2] == [word, ""], "the preview says so"
        acts, stored = [], list[Occurrence]()
        for minutes in range(0, 12 * 60, 5):
            for due in due_now(policy, stored, at(night) + minutes * 60):
                acts.append(due.act)
                stored.append(due.after)
                policy = policy._replace(considered_at=due.after.due_at)
        assert acts == ["start"], night


def test_case_4_local_time_holds_and_months_that_begin_on_that_weekday_count_it() -> None:
    times = Times(When(monthly=Monthly("first", "tue")), "02:30", 3600, "Europe/Berlin")
    found = [span.date.isoformat() for span in islice(spans(times, at("2026-11-10 00:00")), 3)]
    assert found == ["2026-12-01", "2027-01-05", "2027-02-02"]
    second = times._replace(when=When(monthly=Monthly("second", "tue")))
    assert next(spans(second, at("2026-11-20 00:00"))).date.isoformat() == "2026-12-08"
    weekly = Times(When(weekly=("tue",)), "02:30", 3600, "Europe/Berlin")  # made in winter
    year = list(islice(spans(weekly, at("2026-12-01 12:00")), 52))
    assert {local_text(span.from_at, "Europe/Berlin")[11:] for span in year} == {"02:30"}
    assert {local_text(span.from_at, "UTC")[11:] for span in year} == {"01:30", "00:30"}, "in summer it is another time of UTC"


async def test_case_5_a_policy_that_cannot_be_read_stops_neither_the_others_nor_the_page(hub: TestHub) -> None:
    admin = await hub.logged_in()
    body = {"select": {"all": True}, "when": {"weekly": ["tue"]}, "start": "02:30", "length_s": 7200, "zone": "UTC"}
    await hub.node("web-1")
    broken, lost = [(await admin.post("patch-policies", {**body, "name": name})).json["id"] for name in ("broken", "lost zone")]
    whole = (await admin.post("patch-policies", {**body, "name": "whole"})).json
    await hub.sql("UPDATE patch_policy SET spec = '{' WHERE id = ?", broken)
    await hub.sql("UPDATE patch_policy SET spec = replace(spec, '\"UTC\"', '\"Mars/Olympus\"') WHERE id = ?", lost)
    listed = (await admin.get("patch-policies")).json["patch_policies"]
    assert [(one["name"], one["next_at"]) for one in listed] == [("lost zone", None), ("whole", whole["next_at"])]
    assert (await admin.get("patch-policies/next")).json["nodes"][0]["next_at"] == whole["next_at"]
    for paused, why in (("owner", "lost zone has a time zone that is not known; whole is paused"), ("", "")):
        await hub.store.policies.pause_policy(1, whole["id"], paused)
        assert (await admin.get("patch-status")).json["nodes"][0]["no_date_why"] == why
    hub.clock.shift += whole["next_at"] - hub.clock.now()
    await hub.services[RolloutService].sweep()
    assert [one.name for one in await hub.store.rollouts.live_rollouts()] == ["whole"]


async def test_case_6_no_edit_fires_a_policy_at_once(hub: TestHub) -> None:
    admin = await hub.logged_in()
    body = {
        "select": {"all": True},
        "when": {"weekly": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
        "start": "00:00",
        "length_s": 86_400,
    }
    one = (await admin.post("patch-policies", {**body, "name": "all day", "zone": "UTC"})).json
    changes: tuple[dict[str, Any], ...] = (
        {"name": "other"},
        {"enabled": False},
        {"enabled": True},
        {"zone": "Asia/Tokyo"},
        {"start": "00:01"},
    )
    for version, change in enumerate(changes, 1):
        answer = await admin.request("PATCH", f"patch-policies/{one['id']}", {"version": version, **change})
        assert answer.status == 200, answer.json
        [policy] = await hub.store.policies.of_every_org()
        assert due_now(policy, (), hub.clock.now() + 1) == []
    [policy] = await hub.store.policies.of_every_org()
    assert due_now(policy, (), hub.clock.now() - 5 * DAY) == [], "a clock that jumps back"


# -- 7 to 19: nodes ------------------------------------------------------------------------------------------


def test_case_7_what_would_end_outside_does_not_start_and_a_late_reboot_is_owed() -> None:
    trial = Trial("a")
    trial.set("a", until_at=START + 100, expected_s=180.0)
    trial.look()
    assert (trial.of("a").state, trial.of("a").why, trial.ordered) == ("held", "too_late", [])
    trial.set("a", until_at=START + 479)
    trial.look()
    assert (trial.of("a").why, trial.ordered) == ("too_late", []), "its watch of five minutes would end outside"
    trial.set("a", until_at=START + 600)
    trial.look(1)
    trial.end("a", "plan")
    trial.look(450)
    trial.end("a", "patch", reboot="yes")
    assert trial.of("a").reboot_owed == "the window closed before the reboot"
    assert not [key for key in trial.ordered if key[1] == "reboot"]
    trial.watched()
    assert trial.of("a").words == "a reboot is owed: the window closed before the reboot"
    assert report_words(trial.rollout) == "succeeded; 1 passed, a reboot is owed on a"


def test_case_8_a_node_that_is_away_is_tried_until_the_close_and_then_missed() -> None:
    trial = Trial("a", "b", order=Order(canary=0))
    trial.set("b", online=False, hold=("offline", "it is offline"))
    trial.look()
    trial.patched("a")
    trial.watched()
    assert (trial.of("a").state, trial.of("b").state, trial.rollout.state) == ("passed", "held", "running")
    trial.look(7200)
    assert (trial.of("b").state, trial.of("b").why, trial.rollout.state) == ("not_started", "offline", "expired")


def test_case_9_a_reboot_that_did_not_happen_fails_and_the_next_node_does_not_start() -> None:
    trial = Trial("a", "b")
    trial.look()
    trial.patched("a", reboot="yes")
    trial.end("a", "reboot", "failed", words="the boot id is the same after 120 s")
    trial.watched()
    assert (trial.of("a").state, trial.rollout.state, trial.of("b").state) == ("failed", "stopped", "not_started")
    assert "not_rebooted" in trial.of("a").words


def test_case_10_an_up_to_date_node_is_neither_drained_nor_rebooted_and_no_wave_begins_while_one_is_away() -> None:
    drain = (ActionStep("drain"),)
    trial = Trial("a", "b", before=drain, after=drain, reboot="always")
    trial.look()
    trial.end("a", "plan", plan_steps=0)
    assert (trial.of("a").state, trial.of("a").why, [key[1] for key in trial.ordered if key[0] == "a"]) == (
        "passed",
        "up_to_date",
        ["plan"],
    )
    other = Trial("a", "b")
    other.look()
    other.patched("a")
    other.set("a", online=False, away_s=100.0)
    other.watched(200)
    assert not [key for key in other.ordered if key[0] == "b"]


@pytest.mark.parametrize(
    ("reboot", "required", "ordered"), [("always", "no", ["reboot"]), ("if_required", "yes", ["reboot"]), ("if_required", "no", [])]
)
def test_a_policy_that_installs_nothing_reboots_as_it_says(reboot: str, required: str, ordered: list[str]) -> None:
    trial = Trial("a", what="nothing", reboot=reboot)
    trial.set("a", verb="", nothing="the policy installs nothing", reboot_required=required)
    trial.look()
    trial.look()
    assert [step for _, step, _ in trial.ordered] == ordered


def test_case_11_the_hubs_own_host_comes_last_and_alone() -> None:
    some = [Candidate(NodeId(name), (), "debian", fit=True, last=name == "hub") for name in ("hub", "a", "b", "c")]
    waves = waves_of(Order(), some)
    assert waves[-1] == ["hub"]
    assert "hub" not in {node for wave in waves[:-1] for node in wave}


def test_case_12_a_lost_job_ends_the_target_and_a_long_one_is_not_called_dead() -> None:
    trial = Trial("a")
    trial.look()
    trial.end("a", "plan")
    for _ in range(90):
        trial.look(60)
    assert (trial.of("a").state, trial.of("a").step) == ("running", "patch")
    trial.end("a", "patch", "unknown", words="the node never answered")
    assert (trial.of("a").state, trial.of("a").why) == ("failed", "job_unknown")
    assert trial.rollout.state == "stopped"


def test_case_13_a_lock_is_awaited_by_the_plan_and_one_that_comes_later_fails_nothing() -> None:
    trial = Trial("a")
    trial.look()
    for attempt in (1, 2):
        trial.jobs[NodeId("a"), "plan", attempt] = JobFacts("running", "waiting_lock", words="waiting for unattended-upgr (process 812)")
        trial.look(300)
        assert (trial.of("a").state, trial.of("a").words) == ("running", "waiting for unattended-upgr (process 812)")
        trial.end("a", "plan", "failed", attempt, error="job.lock_busy", words="gave up waiting for unattended-upgr (process 812)")
        assert (trial.of("a").state, trial.of("a").why) == ("held", "lock_busy")
        trial.look(600)
    trial.end("a", "plan", attempt=3)
    assert (trial.of("a").step, trial.of("a").words) == ("patch", "")
    trial.end("a", "patch", "failed", error="job.lock_busy", words="gave up waiting for unattended-upgr (process 900)")
    assert (trial.of("a").state, trial.of("a").why, trial.of("a").changed) == ("not_started", "lock_busy", False)
    assert trial.rollout.state == "succeeded", "nothing was done, and nothing has failed"


def test_a_plan_that_changed_before_its_start_does_nothing() -> None:
    trial = Trial("a")
    trial.look()
    trial.end("a", "plan")
    trial.end("a", "patch", "failed", error="job.plan_changed")
    assert (trial.of("a").state, trial.of("a").why, trial.of("a").changed) == ("not_started", "plan_changed", False)


def test_case_15_held_and_phased_packages_are_listed_and_not_tried() -> None:
    kept = (Update("nginx", "1", "2", "yes", "debian", "held"), Update("vim", "", "", "unknown", "", "phased"))
    for what in ("security", "all"):
        chosen = choose(a_policy(what=what), "apt", kept, {}, START)
        assert (chosen.take, chosen.left_out, chosen.held) == ((), kept, None)
    assert kept_words(kept) == "nginx: held on the node; vim: phased, so it comes to the node later"
    trial = Trial("a")
    trial.set("a", nothing="it is up to date")
    trial.look()
    assert (trial.of("a").state, trial.ordered, trial.rollout.state) == ("passed", [], "succeeded")


def test_a_removal_that_the_limits_did_not_name_holds_the_node_and_nothing_begins() -> None:
    trial = Trial("a")
    trial.look()
    trial.end("a", "plan", plan_fault="the plan removes shop, and a patch policy removes nothing")
    assert (trial.of("a").state, trial.of("a").why) == ("held", "plan_refused")
    assert trial.of("a").words == "the plan removes shop, and a patch policy removes nothing"
    assert [key[1] for key in trial.ordered] == ["plan"]


def test_case_16_the_reboot_slot_of_a_removed_node_is_free_again() -> None:
    trial = Trial("a", "b", order=Order(canary=0), roles=("role:db",), reboot="always")
    trial.look()
    trial.patched("a")
    trial.patched("b")
    assert [key[0] for key in trial.ordered if key[1] == "reboot"] == ["a"]
    trial.look(60)
    trial.set("a", exists=False)
    trial.look(1)
    trial.look(1)
    assert [key[0] for key in trial.ordered if key[1] == "reboot"] == ["a", "b"]


def test_a_node_that_does_not_come_back_from_its_reboot_stops_the_roll_out_and_no_other_of_its_role_is_rebooted() -> None:
    trial = Trial("a", "b", order=Order(canary=0), roles=("role:db",), reboot="always")
    trial.look()
    trial.patched("a")
    trial.patched("b")
    trial.look(60)
    trial.set("a", online=False, away_s=269.0, return_limit_s=270.0)
    trial.look(1)
    assert trial.rollout.state == "running"
    trial.set("a", away_s=280.0)
    trial.look(1)
    assert (trial.rollout.state, trial.rollout.stopped_by) == ("stopping", "gate")
    assert trial.rollout.words == "a: for its reboot it has been away for 4.7 minutes, limit 4.5"
    assert [key[0] for key in trial.ordered if key[1] == "reboot"] == ["a"]
    assert trial.of("b").reboot_owed == "the roll-out was stopped"
    trial.set("a", online=True, away_s=0.0)
    trial.end("a", "reboot")
    assert (trial.of("a").rebooted, trial.of("a").gates) == (True, ()), "it came late, and is watched like the others"


def test_a_reboot_waits_for_the_one_that_another_roll_out_has_under_way_in_its_role() -> None:
    trial = Trial("a", roles=("role:db",), reboot="always")
    trial.role_reboots = {"role:db": 1}
    trial.look()
    trial.patched("a")
    trial.look(60)
    assert ([key for key in trial.ordered if key[1] == "reboot"], trial.of("a").words) == (
        [],
        "it waits for its reboot: one of role:db at a time",
    )
    trial.role_reboots = {"role:web": 1}
    trial.look(1)
    assert [key[0] for key in trial.ordered if key[1] == "reboot"] == ["a"]


def test_case_18_always_reboot_means_once_a_day() -> None:
    trial = Trial("a", reboot="always")
    trial.set("a", rebooted_by_policy_at=START - 3600)
    trial.look()
    trial.patched("a")
    assert not [key for key in trial.ordered if key[1] == "reboot"]
    assert "within a day" in trial.of("a").reboot_owed


async def test_case_20_an_edit_voids_approvals_and_a_deletion_takes_planned_runs_along(hub: TestHub) -> None:
    admin = await hub.logged_in()
    body = {"name": "p", "select": {"all": True}, "when": {"weekly": ["tue"]}, "start": "02:30", "length_s": 7200, "zone": "UTC"}
    one = (await admin.post("patch-policies", {**body, "approval": "two_persons"})).json
    store, due = hub.store.policies, hub.clock.now() + 3 * DAY
    approved = Occurrence(one["id"], 1, due, due + 7200, "waiting_approval", approvals=(ApprovalMark("u", "u", 1.0),))
    await store.save_occurrence(SYSTEM, None, approved)
    assert (await admin.request("PATCH", f"patch-policies/{one['id']}", {"version": 1, "max_failed": 2})).status == 200
    assert await store.occurrences(1, one["id"], 0.0) == [], "whoever approved had seen other limits"
    await store.save_occurrence(SYSTEM, None, approved._replace(state="planned"))
    assert (await admin.request("DELETE", f"patch-policies/{one['id']}")).status == 204
    assert await store.occurrences(1, one["id"], 0.0) == []


def test_an_approval_is_asked_for_before_its_time() -> None:
    policy = a_policy(approval="person", notice_h=24, considered_at=START - 3600)
    [notice] = due_now(policy, (), START - 1800)
    assert (notice.act, notice.before) == ("notice", None)


# -- gates ---------------------------------------------------------------------------------------------------


def test_one_witness_holds_once_something_would_start() -> None:
    trial = Trial("a", "b", "c", "d", "e", watch_s=900)  # two canaries
    trial.look()
    trial.patched("a")
    trial.patched("b")
    trial.look(100)
    worse = (Gate("cpu", "", "worse", "CPU is 25.0 points above its past and its peers, limit 10", trial.now, 25.0, 10.0, soft=True),)
    trial.set("a", gates=worse)
    trial.watched(1400)
    assert (trial.rollout.state, trial.of("c").state) == ("running", "pending"), "its watch grows"
    trial.watched(200)
    assert (trial.rollout.state, trial.rollout.why, trial.of("c").state) == ("holding", "cpu", "pending")
    trial.set("a", gates=())
    trial.look(60)
    assert trial.rollout.state == "holding"
    trial.watched(200)
    assert trial.of("c").state == "running", "it has been clear for three minutes"


@pytest.mark.parametrize(("after_s", "waits"), [(140.0, True), (310.0, False)])
def test_a_short_watch_does_not_end_while_a_rise_that_began_soon_is_too_young_to_be_judged(after_s: float, waits: bool) -> None:
    trial = Trial("a", "b", watch_s=300)
    trial.look()
    trial.patched("a")
    trial.look(after_s)
    risen = Gate("cpu", "", "already", "CPU is 15.0 points above its past and its peers, limit 10", trial.now, 15.0, 10.0, soft=True)
    trial.set("a", gates=(risen,))
    trial.watched(400 - after_s)
    assert (trial.of("a").state, trial.of("b").state) == (("running", "pending") if waits else ("passed", "running"))
    trial.set("a", gates=())
    trial.look(10)
    assert trial.of("a").state == "passed"


def test_a_burst_that_is_over_within_the_watch_holds_nothing() -> None:
    trial = Trial("a", "b", "c", "d", "e", watch_s=900)
    trial.look()
    trial.patched("a")
    trial.patched("b")
    trial.look(100)
    trial.set("a", gates=(Gate("cpu", "", "worse", "CPU is 25.0 points above", trial.now, 25.0, 10.0, soft=True),))
    states = []
    for gates_end in (600, 0):
        for _ in range(12):
            trial.look(50)
            states.append(trial.rollout.state)
        if gates_end:
            assert trial.rollout.words.startswith("nothing starts until this is clear: a: CPU is 25.0")
            trial.set("a", gates=())
    assert set(states) == {"running"}
    assert (trial.of("a").state, trial.of("b").state, trial.of("c").state) == ("worse", "passed", "running")


def test_two_witnesses_stop_within_a_watch() -> None:
    trial = Trial("a", "b", "c", "d", "e", watch_s=900)
    trial.look()
    trial.patched("a")
    trial.patched("b")
    trial.look(100)
    worse = (Gate("cpu", "", "worse", "CPU is 25.0 points above its past and its peers, limit 10", trial.now, 25.0, 10.0, soft=True),)
    trial.set("a", gates=worse)
    trial.set("b", gates=worse)
    trial.look(10)
    assert (trial.rollout.stopped_by, trial.of("c").state) == ("gate", "not_started")


@pytest.mark.parametrize(("size", "need"), [(2, 2), (3, 2), (5, 2), (6, 3), (9, 4), (25, 9)])
def test_more_than_a_third_of_a_wave_and_two_at_least_stop_it(size: int, need: int) -> None:
    names = [f"n{number}" for number in range(size)]
    trial = Trial(*names, order=Order(canary=0, percent=100, at_once=100), watch_s=900)
    trial.look()
    for name in names:
        trial.patched(name)
    trial.look(100)
    worse = (Gate("cpu", "", "worse", "CPU is 25.0 points above its past and its peers, limit 10", trial.now, 25.0, 10.0, soft=True),)
    for count, name in enumerate(names[:need], 1):
        trial.set(name, gates=worse)
        trial.look(10)
        assert (trial.rollout.stopped_by == "gate") == (count == need)


@pytest.mark.parametrize(("after_s", "state"), [(120.0, "stopping"), (400.0, "paused")])
def test_one_canary_stops_by_itself_only_if_it_rose_soon_after_its_work(after_s: float, state: str) -> None:
    """A burst that begins later is as likely as harm that shows so late: a person decides."""
    trial = Trial("a", "b", watch_s=900)
    trial.look()
    trial.patched("a")
    risen_at = trial.now + after_s
    trial.look(after_s + 240)
    trial.set("a", gates=(Gate("cpu", "", "worse", "CPU is 25.0 points above", risen_at, 25.0, 10.0, soft=True),))
    for _ in range(36):
        trial.look(50)
        if trial.rollout.state in ("stopping", "stopped", "paused"):
            break
    assert trial.rollout.state in (state, state.replace("ping", "ped")), trial.rollout
    assert trial.of("b").state in ("pending", "not_started")


def test_a_hard_gate_counts_at_its_second_look_and_not_in_observe_mode() -> None:
    for mode, state in (("stop", "stopped"), ("observe", "running")):
        trial = Trial("a", "b", gates=mode)
        trial.look()
        trial.patched("a")
        trial.look(70)
        trial.set("a", gates=(Gate("unit_failed", "shop.service", "failed", "shop.service failed", trial.now),))
        trial.look(1)
        assert trial.rollout.state == "running", "one look may be a service that restarts"
        trial.look(10)
        trial.look(1)
        assert trial.rollout.state == state
    assert trial.of("a").gates, "it is shown"


def test_a_hard_gate_that_no_later_look_explains_holds() -> None:
    trial = Trial("a", "b")
    trial.look()
    trial.patched("a")
    trial.look(70)
    seen = Gate("port_gone", "tcp 80", "unknown", "nothing listens on tcp 80 any more (1 of 3 looks)", trial.now)
    trial.set("a", gates=(seen,))
    trial.look(1)
    assert trial.rollout.state == "running"
    trial.look(31)
    assert (trial.rollout.state, trial.of("b").state) == ("holding", "pending")


def test_missing_samples_hold_then_ask_and_never_pass() -> None:
    trial = Trial("a", "b")
    trial.look()
    trial.patched("a")
    trial.set("a", coverage=0.5)
    trial.watched(400)
    assert (trial.rollout.state, trial.rollout.why) == ("holding", "evidence")
    trial.watched(2400)
    assert (trial.rollout.state, trial.of("a").state) == ("paused", "running")
    assert not [key for key in trial.ordered if key[0] == "b"]


# -- stop and kill by phase, and an hour without a hub ---------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "phase", "stops"),
    [
        ("plan", None, True),
        ("patch", None, True),
        ("patch", "waiting_lock", True),
        ("patch", "download", True),
        ("patch", "commit", False),
        ("patch", "triggers", False),
        ("patch", "check", False),
    ],
)
def test_stop_leaves_a_node_untouched_or_lets_its_work_end_by_phase_and_kill_ends_it(what: Any, phase: Any, stops: bool) -> None:
    trial = Trial("a", "b", order=Order(canary=1))
    trial.look()
    if what == "patch":
        trial.end("a", "plan")
    key: JobKey = (NodeId("a"), what, 1)
    trial.jobs[key] = JobFacts("running", phase)
    facts = Facts(trial.nodes, trial.jobs)
    moved = stopped(trial.rollout, facts, trial.now, "ann")
    assert [one for one in moved.commands if isinstance(one, StopJob)] == ([StopJob(*key)] if stops else [])
    assert (moved.rollout.state, moved.rollout.counts()["running"]) == ("stopping", 1), "it is followed to its end"
    forced = killed(moved.rollout, facts, trial.now, "ann", NodeId("a"))
    assert forced.commands == (StopJob(*key), StopJob(*key, force=True))
    assert forced.rollout.targets[0].words == "ann ended its work by force"


def test_stop_watches_to_the_end_owes_a_reboot_and_kill_ends_the_watch_as_unknown() -> None:
    trial = Trial("a", order=Order(canary=1), reboot="always")
    trial.look()
    trial.end("a", "plan")
    trial.jobs[NodeId("a"), "patch", 1] = JobFacts("running", "commit")
    trial.rollout = stopped(trial.rollout, Facts(trial.nodes, trial.jobs), trial.now, "ann").rollout
    trial.end("a", "patch", reboot="yes")
    assert (trial.of("a").step, trial.of("a").reboot_owed) == ("watch", "the roll-out was stopped")
    ended = killed(trial.rollout, Facts(trial.nodes, trial.jobs), trial.now, "ann", NodeId("a")).rollout
    assert (ended.state, ended.targets[0].state, ended.targets[0].why) == ("stopped", "unknown", "killed"), "not passed: nobody saw it"
    trial.watched()
    assert (trial.rollout.state, trial.of("a").state) == ("stopped", "passed"), "without a kill it is watched to its end"


@pytest.mark.parametrize("broke", [False, True])
def test_an_hour_without_a_hub_is_judged_by_what_the_node_saw_before_anything_new_starts(broke: bool) -> None:
    trial = Trial("a", "b", order=Order(canary=1))
    trial.look()
    trial.patched("a")
    trial.look(61)
    settled = trial.of("a").settled_at or 0.0
    ordered = list(trial.ordered)
    if broke:
        gate = Gate("unit_failed", "shop.service", "failed", "shop.service failed (2 looks in a row)", settled + 900)
        trial.set("a", gates=(gate,))
    trial.look(3600)  # the hub was off; the looks and samples of that hour have come in one go
    for _ in range(3):
        trial.look(1)
    if broke:
        assert (trial.rollout.state, trial.of("a").state, trial.of("b").state) == ("stopped", "failed", "not_started")
        assert trial.ordered == ordered, "the fault of that hour stops it before any new job"
    else:
        assert (trial.of("a").state, trial.of("b").state, trial.rollout.wave) == ("passed", "running", 1)


def test_a_plan_waits_for_nodes_that_come_back_after_a_restart_of_the_hub() -> None:
    trial = Trial("a", "b")
    trial.rollout = trial.rollout._replace(state="planning", policy_id="", action="upgrade")
    for name in ("a", "b"):
        trial.set(name, online=False, reconnecting=True, hold=("offline", "it is offline"))
    trial.look(1)
    assert trial.rollout.state == "planning"
    trial.set("a", online=True, reconnecting=False, hold=None)
    trial.set("b", reconnecting=False)
    trial.look(1)
    assert [key[0] for key in trial.ordered] == ["a"]
    assert (trial.of("b").state, trial.of("b").why) == ("held", "offline")


def test_a_plan_that_got_no_answer_is_ordered_again_and_not_for_ever() -> None:
    """Such as one that a set clock of the hub has let expire."""
    trial = Trial("a", "b")
    trial.rollout = trial.rollout._replace(state="planning", policy_id="", action="upgrade")
    trial.look()
    trial.end("a", "plan", "expired", 1)
    trial.end("a", "plan", attempt=2)
    for attempt in (1, 2, 3):
        assert trial.rollout.state == "planning"
        trial.end("b", "plan", "unknown", attempt, words="it never answered")
    assert (trial.rollout.state, trial.of("a").confirmed, trial.of("b").words) == ("ready", "d", "it never answered")
    assert [key for key in trial.ordered if key[0] == "b"] == [("b", "plan", attempt) for attempt in (1, 2, 3)]
