"""The outcome of a run is its exit status, the difference of the inventories and the error lines, taken together."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.packages.apt import Errors, judge_refresh, judge_upgrade
from spider.packages.apt_text import Installed
from spider.packages.base import Plan, Planned
from spider.terminal import Ended

DATA = Path(__file__).with_name("data")
BEFORE = {"a": Installed("1", "ii "), "b": Installed("1", "ii "), "old": Installed("1", "iF ")}
PLAN = Plan((Planned("a", "1", "2", security=False), Planned("b", "1", "2", security=True), Planned("new", "", "1", security=False)))
DONE = {"a": Installed("2", "ii "), "b": Installed("2", "ii "), "new": Installed("1", "ii "), "old": Installed("1", "iF ")}


def errors(*lines: str) -> Errors:
    seen = Errors()
    for line in lines:
        seen.see(line)
    return seen


def test_all_done_and_status_0_is_success() -> None:
    outcome = judge_upgrade(Ended(0, 0, ""), errors(), PLAN, BEFORE, DONE)
    assert (outcome.state, outcome.exit_code, outcome.error_code) == ("succeeded", 0, "")
    assert outcome.changes == (("a", "1", "2"), ("b", "1", "2"), ("new", "", "1"))


def test_status_0_with_something_left_out_is_no_success() -> None:
    part = {**DONE, "b": BEFORE["b"]}
    outcome = judge_upgrade(Ended(0, 0, ""), errors("W: Operation was interrupted before it could finish"), PLAN, BEFORE, part)
    assert (outcome.state, outcome.exit_code, outcome.error_code) == ("failed", 0, "job.incomplete")
    assert "2 of 3" in outcome.error_text
    assert "b" in outcome.error_text
    assert "interrupted" in outcome.error_text


def test_a_package_that_dpkg_left_half_way_is_named_and_one_that_was_so_before_is_not() -> None:
    half = {**DONE, "a": Installed("2", "iF ")}
    outcome = judge_upgrade(Ended(100, 0, ""), errors("E: Sub-process /usr/bin/dpkg returned an error code (1)"), PLAN, BEFORE, half)
    assert (outcome.state, outcome.error_code) == ("failed", "job.packages_broken")
    assert "with a;" in outcome.error_text
    assert "old" not in outcome.error_text


def test_status_100_is_a_failure_though_everything_wanted_was_done() -> None:
    outcome = judge_upgrade(Ended(100, 0, ""), errors("E: Sub-process /usr/bin/dpkg returned an error code (1)"), PLAN, BEFORE, DONE)
    assert (outcome.state, outcome.exit_code, outcome.error_code) == ("failed", 100, "job.package_manager")
    assert "3 of 3" in outcome.error_text
    assert len(outcome.changes) == 3


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("apt-2.6/lock-held-timeout.err", "job.lock_busy"),
        ("apt-2.6/held-package.err", "job.package_held"),
        ("apt-2.6/no-space.err", "job.no_space"),
        ("apt-2.6/unknown-package.err", "job.package_manager"),
        ("apt-2.6/repo-dead-strict.err", "job.fetch_failed"),
    ],
)
def test_what_apt_says_becomes_a_code(file: str, code: str) -> None:
    lines = (DATA / file).read_text().splitlines()
    outcome = judge_upgrade(Ended(100, 0, ""), errors(*lines), PLAN, BEFORE, BEFORE)
    assert (outcome.state, outcome.error_code, outcome.changes) == ("failed", code, ())
    assert lines[0][:40] in outcome.error_text


def test_a_signal_and_an_overrun_phase_are_told() -> None:
    outcome = judge_upgrade(Ended(None, 9, ""), errors(), PLAN, BEFORE, BEFORE)
    assert (outcome.state, outcome.exit_code, outcome.signal, outcome.error_code) == ("failed", None, 9, "job.signal")
    outcome = judge_upgrade(Ended(None, 2, "download"), errors(), PLAN, BEFORE, BEFORE)
    assert outcome.error_code == "job.timed_out"
    assert "download" in outcome.error_text


@pytest.mark.parametrize("release", ["apt-2.2", "apt-2.6", "apt-3.0", "apt-3.3"])
def test_a_dead_repository_makes_a_refresh_a_failure_though_apt_says_0(release: str) -> None:
    lines = [*(DATA / release / "repo-dead.txt").read_text().splitlines(), *(DATA / release / "repo-dead.err").read_text().splitlines()]
    outcome = judge_refresh(Ended(0, 0, ""), errors(*lines))
    assert (outcome.state, outcome.exit_code, outcome.error_code) == ("failed", 0, "job.repository_stale")
    assert "127.0.0.1:9" in outcome.error_text


def test_a_refresh_ends_as_it_should() -> None:
    assert judge_refresh(Ended(0, 0, ""), errors()).state == "succeeded"
    malformed = (DATA / "apt-2.6/repo-malformed.err").read_text().splitlines()
    outcome = judge_refresh(Ended(100, 0, ""), errors(*malformed))
    assert (outcome.state, outcome.error_code) == ("failed", "job.package_manager")
    assert "bogus" in outcome.error_text
    assert judge_refresh(Ended(None, 2, "refresh"), errors()).error_code == "job.timed_out"
    assert judge_refresh(Ended(None, 11, ""), errors()).error_code == "job.signal"
