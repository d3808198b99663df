"""Common to every package manager, tested with a fake one: the real runner, the real driver, real files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spider.files import create_once
from spider.jobs.files import REFRESHED, REFUSED, JobResult, read_document
from spider.packages.backend import Action, Command, Lock, PackageError
from spider.packages.driver import Driver
from spider.packages.interfaces import PackagesUnreadable
from spider.packages.plan import HeldPackage, Inventory, Plan, Planned
from spider.packages.plan_file import plan_from_document, plan_messages, plan_to_document
from spider.packages.preconditions import check_room, wait_for_lock
from spider.packages.report import MAX_LEFTOVERS, Leftover, Report
from spider.packages.report_file import report_from_document, report_message, report_to_document
from spider.root.runner import RunnerPaths, run_job
from spider.wire.codec import pack
from spider.wire.frames import MAX_FRAME_BYTES, MAX_ITEMS
from spider.wire.ids import new_time_id
from tests.support.fake_package_manager import FakePackageManager
from tests.support.null_console import NullConsole
from tests.support.some import some

UPGRADE = Plan((Planned("a", "1", "2"), Planned("b", "1", "2", "yes", "main"), Planned("new", "", "1")), (HeldPackage("c", "2", "held"),))
REMOVAL = Plan((Planned("a", "1", "2"), Planned("old", "1", "")))


class Stage:
    """Jobs on a host with a paper package manager."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        (folder / "jobs").mkdir()
        (folder / "db").mkdir()
        self.jobs = folder / "jobs"
        self.paper = FakePackageManager(folder / "db", plan)
        self.job = ""

    def run(self, verb: str, args: dict[str, Any] | None = None, *, stop: bool = False) -> JobResult:
        self.job = new_time_id()
        (self.jobs / self.job).mkdir()
        order = {"job": self.job, "verb": verb, "args": args or {}}
        create_once(str(self.jobs / self.job / "plan"), json.dumps(order).encode(), 0o640)
        if stop:
            (self.jobs / self.job / "stop").touch()
        return some(run_job(self.job, Driver(self.paper, jobs_dir=str(self.jobs)), "b" * 32, RunnerPaths(str(self.jobs))))

    @property
    def log(self) -> str:
        return (self.jobs / self.job / "log").read_text().replace("\r\n", "\n")

    def document(self, name: str) -> dict[str, Any]:
        return some(read_document(str(self.jobs / self.job), name))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, UPGRADE)


@pytest.fixture
def removing(tmp_path: Path) -> Stage:
    return Stage(tmp_path, REMOVAL)


def test_the_planned_changes_are_made_and_recorded(stage: Stage) -> None:
    shown = stage.run("plan", {"for": "upgrade"})
    assert (shown.state, shown.changes, stage.paper.ran) == ("succeeded", [], [])
    digest = stage.document("planned")["digest"]
    result = stage.run("upgrade", {"plan": digest})
    assert (result.state, result.rc) == ("succeeded", 0)
    assert result.changes == [("a", "1", "2"), ("b", "1", "2"), ("new", "", "1")]
    assert plan_from_document(stage.document("planned")) == UPGRADE
    assert stage.document("report")["reboot_why"] == "it is paper"
    assert "b    1 -> 2  (security)" in stage.log
    assert "c  stays without 2: on hold" in stage.log


@pytest.mark.holds("SAFETY-57")
def test_another_plan_than_the_one_seen_is_not_run_and_the_difference_is_shown(stage: Stage) -> None:
    stage.run("plan", {"for": "upgrade"})
    digest = stage.document("planned")["digest"]
    stage.paper.plan = UPGRADE._replace(steps=(Planned("a", "1", "3"), Planned("new", "", "1")))
    result = stage.run("upgrade", {"plan": digest})
    assert (result.state, result.error_code, stage.paper.ran) == ("failed", "job.plan_changed", [])
    assert "  a\n    shown: 1 -> 2\n    now:   1 -> 3\n  b\n    shown: 1 -> 2  (security)\n    now:   unchanged\n" in stage.log
    assert stage.document("planned")["digest"] == stage.paper.plan.digest  # the hub gets the new one
    result = stage.run("upgrade", {"plan": "0" * 64})
    assert (result.error_code, stage.paper.ran) == ("job.plan_changed", [])


def test_a_plan_that_changed_before_the_run_is_not_run(stage: Stage) -> None:
    stage.paper.meanwhile = Plan((*UPGRADE.steps, Planned("c", "2", "3")))
    result = stage.run("upgrade", {"plan": UPGRADE.digest})
    assert (result.state, result.error_code, result.changes) == ("failed", "job.plan_changed", [])
    assert "  c\n    shown: unchanged\n    now:   2 -> 3\n" in stage.log
    assert stage.document("planned")["digest"] == stage.paper.meanwhile.digest
    stage.paper.plan, stage.paper.meanwhile = UPGRADE, UPGRADE
    assert stage.run("upgrade", {"plan": UPGRADE.digest}).state == "succeeded"


def test_an_upgrade_removes_nothing_without_an_approved_plan(removing: Stage) -> None:
    for verb in ("upgrade", "security-upgrade"):
        assert removing.run(verb).error_code == "job.would_remove"
    assert removing.run("install", {"packages": ["a"]}).error_code == "job.would_remove"
    assert removing.paper.ran == []
    # A user who saw the plan may want it; and an order for removals removes.
    assert removing.run("install", {"packages": ["a"], "plan": REMOVAL.digest}).state == "succeeded"


def test_protected_packages_are_never_removed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Plan((Planned("init", "1", ""), Planned("a", "1", ""))))
    for verb, args in (("full-upgrade", {}), ("autoremove", {}), ("remove", {"packages": ["a"]}), ("remove", {"packages": ["init"]})):
        assert stage.run(verb, args).error_code == "job.protected"
    assert stage.paper.ran == []


def test_only_exact_package_names_are_accepted(stage: Stage) -> None:
    for verb, packages in (("upgrade", ["a", "a-"]), ("remove", ["A"]), ("hold", ["new"]), ("unhold", ["a*"]), ("install", ["sudo-"])):
        result = stage.run(verb, {"packages": packages})
        assert (result.error_code, stage.paper.ran) == ("job.unknown_package", [])
    (stage.paper.folder / "c").write_text("1+")
    for verb in ("upgrade", "remove"):
        assert stage.run(verb, {"packages": ["c"]}).error_code == "job.package_held"
    assert stage.paper.ran == []


@pytest.mark.parametrize("verb", ["install", "upgrade", "full-upgrade", "remove"])
def test_a_plan_that_changes_a_held_package_says_so_and_is_not_run(stage: Stage, verb: str) -> None:
    """apt puts a held package into the plan of an install, and refuses only the run, with status 100."""
    (stage.paper.folder / "c").write_text("1+")
    stage.paper.plan = Plan((Planned("c", "1", "" if verb == "remove" else "2"), Planned("a", "1", "2")))
    args = {} if verb == "full-upgrade" else {"packages": ["a"]}
    for result in (stage.run("plan", {"for": verb, **args}), stage.run(verb, args)):
        assert (result.state, result.error_code, result.error_text) == ("failed", "job.package_held", "on hold on this node: c")
    assert stage.paper.ran == []
    assert stage.document("planned")["digest"] == stage.paper.plan.digest, "the plan is shown"


@pytest.mark.holds("F-19")
def test_broken_packages_must_be_repaired_first(stage: Stage) -> None:
    (stage.paper.folder / "a").write_text("1!")
    result = stage.run("upgrade")
    assert (result.error_code, result.error_text) == ("job.packages_broken", "half done: a; repair it first")
    mending, stage.paper.repair = stage.paper.repair, "true"
    result = stage.run("repair")
    assert (result.state, result.error_code) == ("failed", "job.packages_broken")
    stage.paper.repair = mending
    assert stage.run("repair").state == "succeeded"
    assert stage.run("upgrade").state == "succeeded"


def test_a_lock_is_awaited_and_its_holder_named(stage: Stage) -> None:
    stage.paper.locks = 2
    assert stage.run("upgrade").state == "succeeded"
    progress = [json.loads(line) for line in (stage.jobs / stage.job / "progress").read_text().splitlines()]
    assert next(line["text"] for line in progress if line["phase"] == "waiting_lock") == "waiting for other (process 7)"


def test_a_plan_waits_for_the_lock_since_its_holder_would_outdate_it(stage: Stage) -> None:
    class Installing(FakePackageManager):
        """Another program, which has the lock at first, installs all of it meanwhile."""

        def lock(self) -> Lock | None:
            found = super().lock()
            self.plan = self.plan if found else Plan(())
            return found

    stage.paper = Installing(stage.paper.folder, UPGRADE)
    stage.paper.locks = 2
    assert stage.run("plan", {"for": "upgrade"}).state == "succeeded"
    assert "waiting for other (process 7)" in (stage.jobs / stage.job / "progress").read_text()
    assert stage.document("planned")["steps"] == []


@pytest.mark.holds("SAFETY-96", "F-19")
def test_a_lock_that_is_never_released_fails_the_job_and_names_its_holder(stage: Stage) -> None:
    stage.paper.locks = 1 << 30
    console = NullConsole()
    with pytest.raises(PackageError) as found:
        wait_for_lock(stage.paper, console, limit_s=0.05)
    assert found.value.code == "job.lock_busy"
    assert found.value.text.startswith("gave up waiting for other (process 7) after")
    assert console.told[-1][0] == "waiting_lock"


def test_a_faster_package_manager_is_awaited_and_the_plan_compared_again(stage: Stage) -> None:
    # The first run finds the lock held by another process, which upgrades `a` meanwhile.
    stage.paper.script = "test -e ../taken || { touch ../taken; printf 2 >a; exit 75; }; printf 2 >b; printf 1 >new"
    assert stage.run("upgrade", {"plan": UPGRADE.digest}).state == "succeeded"
    assert [verb for verb, _ in stage.paper.ran] == ["upgrade", "upgrade"]

    class Moving(FakePackageManager):
        """Plans the remaining changes."""

        def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
            there = self.inventory()
            steps = (step for step in self.plan.steps if step.package not in there or there[step.package].version != step.after)
            return self.plan._replace(steps=tuple(steps))

    for path in (*stage.paper.folder.iterdir(), stage.jobs.parent / "taken"):
        path.unlink()
    stage.paper = Moving(stage.paper.folder, UPGRADE)
    stage.paper.script = "touch ../taken; printf 2 >a; exit 75"
    result = stage.run("upgrade", {"plan": UPGRADE.digest})
    assert (result.error_code, [verb for verb, _ in stage.paper.ran]) == ("job.plan_changed", ["upgrade"])


def test_a_stop_before_anything_was_changed_is_cancelled(stage: Stage) -> None:
    result = stage.run("upgrade", stop=True)
    assert (result.state, result.error_code, result.changes, stage.paper.ran) == ("cancelled", "job.stopped", [], [])


def test_a_stop_in_the_commit_lets_it_finish_and_repairs_half_installed_packages(stage: Stage) -> None:
    stop = "$(ls -d ../jobs/*/ | tail -1)stop"
    # An interrupted front end that ends well, but leaves something half-way.
    stage.paper.script = f"trap 'printf 2! >a; exit 0' INT; touch {stop}; while :; do sleep 0.05 & wait; done"
    stage.paper.plan = Plan((Planned("a", "1", "2"), Planned("b", "1", "2")))
    result = stage.run("upgrade")
    assert (result.state, result.error_code, result.changes) == ("failed", "job.stopped", [("a", "1", "2")])
    assert "1 of 2 packages were changed, not changed: b" in result.error_text
    assert [verb for verb, _ in stage.paper.ran] == ["upgrade", "repair"]


def test_a_stopped_repair_reports_the_packages_it_completed(stage: Stage) -> None:
    stop = "$(ls -d ../jobs/*/ | tail -1)stop"
    (stage.paper.folder / "a").write_text("1!")
    stage.paper.first, stage.paper.repair = "sed -i s/!// a", f"touch {stop}; while :; do sleep 0.05; done"
    result = stage.run("repair")
    assert (result.state, result.error_code) == ("failed", "job.stopped")
    assert result.error_text == "it was stopped before it was complete; completed by then: a"
    (stage.paper.folder / "a").write_text("1!")
    stage.paper.first = "false"
    result = stage.run("repair")
    assert (result.state, result.error_code) == ("failed", "job.packages_broken")


def test_a_stop_during_an_uninterruptible_step_is_answered_immediately_and_skips_the_rest(stage: Stage) -> None:
    here = "$(ls -d ../jobs/*/ | tail -1)"
    answered = f'touch {here}stop; until grep -q \'"stop": *"after_package"\' {here}progress; do sleep 0.05; done'
    (stage.paper.folder / "a").write_text("1!")
    stage.paper.first, stage.paper.repair = f"{answered}; sed -i s/!// a", "touch ../begun"
    result = stage.run("repair")
    assert (result.state, result.error_code) == ("failed", "job.stopped")
    assert result.error_text.endswith("completed by then: a")
    assert not (stage.jobs.parent / "begun").exists()
    progress = [json.loads(line) for line in (stage.jobs / stage.job / "progress").read_text().splitlines()]
    assert next(line["text"] for line in progress if line["stop"]) == "this step runs to its end, and no other one starts"


def test_status_0_alone_is_no_success(stage: Stage) -> None:
    stage.paper.script = "printf 2 >a"
    result = stage.run("upgrade")
    assert (result.state, result.rc, result.error_code, result.changes) == ("failed", 0, "job.incomplete", [("a", "1", "2")])


def test_a_database_that_cannot_be_read_after_a_change_is_no_unchanged_host(tmp_path: Path) -> None:
    class Damaged(FakePackageManager):
        """A package manager whose commands damage its database."""

        def inventory(self) -> Inventory:
            if (self.folder / "damaged").exists():
                raise PackagesUnreadable("the database is damaged")
            return super().inventory()

    stage = Stage(tmp_path, UPGRADE)
    for verb, args in (("upgrade", {}), ("hold", {"packages": ["a"]}), ("repair", {})):
        stage.paper = Damaged(stage.paper.folder, UPGRADE)
        stage.paper.script = stage.paper.repair = "touch damaged"
        result = stage.run(verb, args)
        assert (result.state, result.error_code) == ("unknown", "job.package_manager"), verb
        assert result.error_text == "the database is damaged; what was changed is not known"
        assert stage.run("upgrade").state == "failed"  # nothing ran
        (stage.paper.folder / "damaged").unlink()


def test_an_unplanned_change_is_a_note(stage: Stage) -> None:
    stage.paper.script = "printf 2 >a; printf 2 >b; printf 1 >new; printf 9 >stranger"
    assert stage.run("upgrade").state == "succeeded"
    assert stage.document("report")["notes"] == ["Changed, but not in the plan: stranger."]


def test_unplanned_and_missing_changes_are_named_after_a_failure_too(stage: Stage) -> None:
    stage.paper.script = "printf 2 >a; printf 9 >stranger; exit 1"
    result = stage.run("upgrade")
    assert (result.state, result.error_code) == ("failed", "job.package_manager")
    assert "1 of 3 packages were changed, not changed: b, new, changed without having been planned: stranger" in result.error_text
    assert stage.document("report")["notes"] == ["Changed, but not in the plan: stranger."]


def test_an_unsupported_verb_is_refused_by_the_manager(stage: Stage) -> None:
    stage.paper.refusal = "this host is changed by images"
    result = stage.run("plan", {"for": "upgrade"})
    assert (result.error_code, result.error_text) == ("job.not_supported", "this host is changed by images")


def test_a_plan_without_enough_disk_space_is_refused(stage: Stage) -> None:
    with pytest.raises(PackageError) as found:
        check_room(stage.paper, UPGRADE._replace(installed_bytes=1 << 60))
    assert found.value.code == "job.no_space"
    check_room(stage.paper, UPGRADE._replace(installed_bytes=-5, download_bytes=-1))
    stage.paper.plan = UPGRADE._replace(download_bytes=1 << 60)
    assert stage.run("upgrade").error_code == "job.no_space"
    assert stage.run("plan", {"for": "upgrade"}).error_code == "job.no_space", "the plan says so before anything starts"
    assert stage.document("planned")["steps"], "and it is shown"
    assert stage.paper.ran == []


def test_a_long_plan_is_sent_in_parts(tmp_path: Path) -> None:
    steps = tuple(Planned(f"package-{number:05}-{'x' * 80}", "1.0-1", "1.0-2", "no", "repository") for number in range(MAX_ITEMS + 10))
    kept = tuple(HeldPackage(f"kept-{number:05}", "2", "held") for number in range(100))
    plan = Plan(steps, kept)
    parts = plan_messages(new_time_id(), plan)
    assert len(parts) > 2
    assert all(len(pack(part)) < MAX_FRAME_BYTES for part in parts)
    assert [name for part in parts for name in part.packages] == [step.package for step in steps]
    assert [name for part in parts for name in part.kept_packages] == [one.package for one in kept]
    assert {(part.parts, part.digest) for part in parts} == {(len(parts), plan.digest)}
    assert [part.part for part in parts] == list(range(len(parts)))
    assert plan_from_document(json.loads(json.dumps(plan_to_document(plan)))) == plan
    altered = plan_to_document(plan)
    altered["steps"][0][2] = "6.6.6"
    assert plan_from_document(altered) is None
    assert plan_from_document({}) is None


def test_a_long_report_is_cut_with_a_note() -> None:
    report = Report(
        "yes", "why", tuple(f"unit-{number}.service" for number in range(500)),
        tuple(Leftover(f"/etc/{number}", "ü" * 50_000) for number in range(MAX_LEFTOVERS + 5)), (), ("a note",),
    )  # fmt: skip
    message = report_message(new_time_id(), report)
    assert len(pack(message)) < MAX_FRAME_BYTES
    assert len(message.config_paths) == len(message.config_diffs) == MAX_LEFTOVERS
    assert message.notes == ["a note", "5 more configuration files are not listed.", "300 more services are not listed."]
    assert report_from_document(json.loads(json.dumps(report_to_document(report)))) == report
    assert report_from_document({"reboot": 1}) is None


def test_nothing_to_do_is_reported_only_if_every_repository_is_known(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Plan())
    driver = Driver(stage.paper, jobs_dir=str(stage.jobs))
    assert stage.run("upgrade").state == "succeeded"
    assert driver.available_updates().checked_at_ms > 0
    stage.paper.gone = ["dead"]
    for verb, args in (("check", {}), ("plan", {"for": "upgrade"}), ("upgrade", {}), ("full-upgrade", {}), ("security-upgrade", {})):
        result = stage.run(verb, args)
        assert (result.state, result.error_code) == ("failed", "job.repository_stale"), verb
        assert "dead" in result.error_text
    assert driver.available_updates() == (0, 0, 0)
    stage.paper.plan = UPGRADE
    assert stage.run("check").state == "succeeded"
    assert "There may be more: nothing is known of dead." in stage.log
    assert driver.available_updates() == (2, 0, 0)


def test_without_an_enabled_repository_nothing_is_reported_up_to_date(tmp_path: Path) -> None:
    """Not even after a refresh that had nothing to fetch: its status is 0."""
    stage = Stage(tmp_path, Plan())
    driver = Driver(stage.paper, jobs_dir=str(stage.jobs))
    assert stage.run("refresh").state == "succeeded"
    stage.paper.repositories = []
    for _ in ("with the mark of that refresh", "without it"):
        for verb, args in (("check", {}), ("plan", {"for": "upgrade"}), ("upgrade", {}), ("security-upgrade", {}), ("refresh", {})):
            result = stage.run(verb, args)
            assert (result.state, result.error_code) == ("failed", "job.lists_missing"), verb
            assert "no repository is enabled" in result.error_text
        with pytest.raises(PackagesUnreadable, match="no repository is enabled"):
            driver.available_updates()
        (stage.jobs / REFRESHED).unlink(missing_ok=True)


def test_the_condition_names_broken_packages_and_the_state_of_each_list(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Plan())
    driver = Driver(stage.paper, jobs_dir=str(stage.jobs))
    stage.paper.repositories, stage.paper.gone = ["main", "aged"], ["dead"]
    lists = [("main", 1.0, "current"), ("aged", 1.0, "expired"), ("dead", 0.0, "missing")]
    assert driver.condition() == ([], lists)
    (stage.paper.folder / "bash").write_text("5!")
    assert driver.condition() == ([("bash", "incomplete")], lists)
    stage.paper.locks = 1
    assert driver.condition() == (None, lists), "somebody is at work, so a half-done package is no fault"
    (stage.jobs / REFUSED).write_text("repositories that could not be refreshed keep their old lists: main")
    repositories = driver.condition().repositories
    assert repositories == [("main", 1.0, "refused"), ("aged", 1.0, "expired"), ("dead", 0.0, "missing")]
    (stage.jobs / REFUSED).write_text("could not resolve this domain: main-debug, unmain")
    assert driver.condition().repositories == [("main", 1.0, "unknown"), ("aged", 1.0, "expired"), ("dead", 0.0, "missing")]


def test_changes_of_another_program_that_had_the_lock_are_not_those_of_a_repair(stage: Stage) -> None:
    class Busy(FakePackageManager):
        def lock(self) -> Lock | None:
            found = super().lock()
            if found is not None:
                (self.folder / "a").write_text("2")
            return found

    (stage.paper.folder / "a").write_text("1!")
    stage.paper = Busy(stage.paper.folder, Plan())
    stage.paper.locks = 1
    result = stage.run("repair")
    assert (result.state, result.changes) == ("succeeded", [])
    assert "Nothing is broken." in stage.log


def test_a_lock_that_is_taken_between_two_changes_fails_the_job_with_the_first_change(tmp_path: Path) -> None:
    class TwoSteps(FakePackageManager):
        def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:
            self.plan = Plan(plan.steps[1:])  # as the manager would now plan
            return [Command(("/bin/sh", "-c", f"printf 2 >{self.folder}/a")), Command(("/bin/sh", "-c", "exit 75"))]

    stage = Stage(tmp_path, UPGRADE)
    stage.paper = TwoSteps(tmp_path / "db", UPGRADE)
    result = stage.run("upgrade", {"plan": UPGRADE.digest})
    assert (result.state, result.error_code, result.changes) == ("failed", "job.lock_busy", [("a", "1", "2")])
    assert "not changed: b, new" in result.error_text


def test_a_refresh_keeps_its_own_error_where_its_mark_cannot_be_written(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Plan())
    (stage.jobs / REFUSED).mkdir()
    stage.paper.script = "exit 1"
    assert stage.run("refresh").error_code == "job.package_manager"


def test_a_failed_refresh_stays_marked_until_one_succeeds(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Plan())
    driver = Driver(stage.paper, jobs_dir=str(stage.jobs))
    stage.paper.script = "echo 'E: the Label changed'; exit 1"
    assert stage.run("refresh").state == "failed"
    for _ in range(2):
        stale = stage.run("upgrade")
        assert (stale.error_code, "the Label changed" in stale.error_text) == ("job.repository_stale", True), stale
        assert driver.available_updates().checked_at_ms == 0
    stage.paper.script = "true"
    assert stage.run("refresh").state == "succeeded"
    assert stage.run("upgrade").state == "succeeded"
    assert driver.available_updates().checked_at_ms > 0
