"""The outcome of a run: exit status, difference of the inventories and error lines, combined."""

from __future__ import annotations

import pytest

from spider.packages.backend import Command, Failure, OutputReader
from spider.packages.interfaces import Outcome
from spider.packages.outcome import Ran, decide, decide_unplanned
from spider.packages.plan import InstalledPackage, Inventory, Plan, Planned, compare_inventories, missed
from spider.root.terminal import TerminalEnded
from tests.support.null_console import NullConsole

BEFORE = {"a": InstalledPackage("1"), "b": InstalledPackage("1"), "old": InstalledPackage("1", broken=True)}
PLAN = Plan((Planned("a", "1", "2"), Planned("b", "1", "2", "yes"), Planned("new", "", "1")))
DONE = {"a": InstalledPackage("2"), "b": InstalledPackage("2"), "new": InstalledPackage("1"), "old": InstalledPackage("1", broken=True)}

STOPS = [("now", False), ("after_package", False), ("after_package", True), ("too_late", True), ("", True)]
"""Answers to a stop request after which a job was stopped, and whether a script was killed for it."""


def ran(ended: TerminalEnded, *lines: str, failure: Failure | None = None) -> list[Ran]:
    reader = OutputReader(NullConsole())
    for line in lines:
        reader.line(line)
    return [Ran(Command(("manager",)), ended, reader, failure)]


def judged(runs: list[Ran], after: Inventory, before: Inventory = BEFORE, plan: Plan = PLAN) -> Outcome:
    return decide(runs, plan, before, after, "manager")


def test_all_done_and_status_0_is_success() -> None:
    outcome = judged(ran(TerminalEnded(0, 0, "")), DONE)
    assert (outcome.state, outcome.exit_code, outcome.error_code) == ("succeeded", 0, "")
    assert outcome.changes == (("a", "1", "2"), ("b", "1", "2"), ("new", "", "1"))


def test_status_0_with_something_left_out_is_no_success() -> None:
    outcome = judged(ran(TerminalEnded(0, 0, ""), "W: Operation was interrupted before it could finish"), {**DONE, "b": BEFORE["b"]})
    assert (outcome.state, outcome.exit_code, outcome.error_code) == ("failed", 0, "job.incomplete")
    assert "2 of 3" in outcome.error_text
    assert "not changed: b" in outcome.error_text
    assert "interrupted" in outcome.error_text


def test_a_newly_broken_package_is_named_and_an_earlier_one_is_not() -> None:
    half = {**DONE, "a": InstalledPackage("2", broken=True)}
    outcome = judged(ran(TerminalEnded(100, 0, ""), failure=Failure("job.package_manager", "status 100")), half)
    assert (outcome.state, outcome.error_code) == ("failed", "job.packages_broken")
    assert "left a half installed;" in outcome.error_text
    assert "old" not in outcome.error_text


def test_a_status_that_the_manager_calls_a_failure_is_one_though_everything_wanted_was_done() -> None:
    outcome = judged(ran(TerminalEnded(100, 0, ""), "E: it says", failure=Failure("job.script_failed", "status 100")), DONE)
    assert (outcome.state, outcome.exit_code, outcome.error_code) == ("failed", 100, "job.script_failed")
    assert "3 of 3" in outcome.error_text
    assert "E: it says" in outcome.error_text
    assert len(outcome.changes) == 3


def test_an_accepted_status_of_the_manager_is_success() -> None:
    assert judged(ran(TerminalEnded(102, 0, "")), DONE)[:2] == ("succeeded", 102)


def test_a_signal_and_an_overrun_phase_are_reported() -> None:
    outcome = judged(ran(TerminalEnded(None, 9, "")), BEFORE)
    assert (outcome.state, outcome.exit_code, outcome.signal, outcome.error_code) == ("failed", None, 9, "job.signal")
    outcome = judged(ran(TerminalEnded(None, 2, "download")), BEFORE)
    assert outcome.error_code == "job.timed_out"
    assert "download" in outcome.error_text


def test_stopped_before_anything_was_changed_is_cancelled() -> None:
    outcome = judged(ran(TerminalEnded(None, 2, "", "now")), BEFORE)
    assert (outcome.state, outcome.signal, outcome.error_code, outcome.changes) == ("cancelled", 2, "job.stopped", ())


def test_a_stop_that_ends_the_manager_behind_its_last_package_is_reported_as_a_stop() -> None:
    """apt-get handles SIGINT as usual again when dpkg has ended."""
    outcome = judged(ran(TerminalEnded(None, 2, "", "after_package")), DONE)
    assert (outcome.state, outcome.signal, outcome.error_code) == ("failed", 2, "job.stopped")
    assert "3 of 3" in outcome.error_text
    assert "not changed" not in outcome.error_text


def test_a_stop_after_a_package_fails_the_job_and_lists_what_changed() -> None:
    outcome = judged(ran(TerminalEnded(0, 0, "", "after_package")), {**BEFORE, "a": InstalledPackage("2")})
    assert (outcome.state, outcome.error_code) == ("failed", "job.stopped")
    assert "1 of 3 packages were changed, not changed: b, new" in outcome.error_text
    assert outcome.changes == (("a", "1", "2"),)
    told = ran(TerminalEnded(0, 0, "", "after_package"), "warning: /etc/a.conf installed as /etc/a.conf.new")
    assert judged(told, {**BEFORE, "a": InstalledPackage("2")}).error_text == outcome.error_text, "that is not why it ended"


def test_a_stop_that_came_too_late_changes_nothing_about_success() -> None:
    assert judged(ran(TerminalEnded(0, 0, "", "too_late")), DONE).state == "succeeded"


@pytest.mark.holds("SAFETY-103")
@pytest.mark.parametrize("after", [BEFORE, DONE], ids=["nothing changed", "everything changed"])
@pytest.mark.parametrize("ended", [TerminalEnded(0, 0, "", answer, killed) for answer, killed in STOPS])
def test_a_stopped_job_is_never_a_success_whatever_the_exit_status(ended: TerminalEnded, after: Inventory) -> None:
    outcome = judged(ran(ended), after)
    assert (outcome.state, outcome.error_code) in (("failed", "job.stopped"), ("cancelled", "job.stopped")), outcome
    unplanned = decide_unplanned(ran(ended), "manager")
    assert (unplanned.state, unplanned.error_code) == ("failed", "job.stopped"), unplanned
    if ended.script_killed:  # "before anything was changed" would be wrong
        assert outcome.state == "failed"
        assert "a script of a package was killed" in outcome.error_text


def test_acts_without_a_plan_are_judged_by_their_manager() -> None:
    assert decide_unplanned(ran(TerminalEnded(0, 0, "")), "manager") == ("succeeded", 0, 0, (), "", "")
    stale = decide_unplanned(ran(TerminalEnded(0, 0, ""), "W: one", failure=Failure("job.repository_stale", "old lists")), "manager")
    assert (stale.state, stale.exit_code, stale.error_code, stale.error_text) == ("failed", 0, "job.repository_stale", "old lists. W: one")
    assert decide_unplanned(ran(TerminalEnded(None, 2, "refresh")), "manager").error_code == "job.timed_out"
    assert decide_unplanned(ran(TerminalEnded(None, 11, "")), "manager").error_code == "job.signal"
    assert decide_unplanned(ran(TerminalEnded(None, 2, "", "now")), "manager").state == "cancelled"


def test_the_difference_of_two_inventories_is_every_change() -> None:
    before = {"a": InstalledPackage("1"), "b": InstalledPackage("1"), "c": InstalledPackage("1")}
    after = {"a": InstalledPackage("2"), "c": InstalledPackage("1", broken=True), "d": InstalledPackage("1")}
    assert compare_inventories(before, after) == (("a", "1", "2"), ("b", "1", ""), ("d", "", "1"))


def test_versions_side_by_side_come_and_go_one_by_one() -> None:
    before, after = {"kernel": InstalledPackage("1 2")}, {"kernel": InstalledPackage("2 3")}
    assert compare_inventories(before, after) == (("kernel", "", "3"), ("kernel", "1", ""))
    plan = Plan((Planned("kernel", "", "3"), Planned("kernel", "1", "")))
    assert missed(plan, after) == []
    assert missed(plan, before) == list(plan.steps)


def test_equal_steps_have_equal_digests_in_any_order() -> None:
    assert PLAN.digest == Plan(PLAN.steps[::-1], download_bytes=5).digest
    assert PLAN.digest != Plan(PLAN.steps[:2]).digest
    assert len({Plan((Planned("a", "1", "2"),)).digest, Plan((Planned("a", "", "2"),)).digest, Plan((Planned("a", "1", ""),)).digest}) == 3
