"""Parsers of apk's output and files, from recordings of 3.0.6; none of it could be booted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.apk import parsers as apk_parsers
from spider.packages.apk.backend import Apk, ApkReader
from spider.packages.apk.parsers import ApkStep
from spider.root.terminal import Lines, TerminalEnded
from tests.support.null_console import NullConsole

DATA = Path(__file__).with_name("apk_data")


def text(name: str) -> str:
    return (DATA / name).read_text()


def watch(name: str) -> tuple[NullConsole, ApkReader]:
    """A reader that saw a recorded run."""
    console = NullConsole()
    reader = ApkReader(console)
    lines = Lines(reader.line)
    for path in dict.fromkeys((DATA / name, DATA / name.replace(".txt", ".err"))):
        if path.exists():
            lines.feed(path.read_bytes())
    lines.end()
    status = DATA / name.replace(".txt", ".fd3")
    for line in status.read_text().splitlines() if status.exists() else ():
        reader.status(line)
    return console, reader


def test_the_database_is_read_whole() -> None:
    installed = apk_parsers.parse_database(text("installed-db.txt"))
    assert set(installed) == {"apk-tools", "sd-a", "sd-broke", "sd-fail", "sd-pin", "sd-slow"}
    assert installed["sd-a"] == ("1.0-r0", 10, False)
    listed = [apk_parsers.split_name(line.split(" ")[0]) for line in text("installed.txt").splitlines()]
    assert dict(listed) == {name: package.version for name, package in installed.items()}
    broken = apk_parsers.parse_database("P:a\nV:1-r0\nf:s\nF:etc\nR:x\n\nP:b\nV:2-r0\n")
    assert [package.broken for package in broken.values()] == [True, False]
    with pytest.raises(ValueError, match="no packages"):
        apk_parsers.parse_database("")


def test_a_simulation_is_read_step_by_step() -> None:
    steps = apk_parsers.parse_steps(text("plan.txt"))
    assert [(step.package, step.before, step.after) for step in steps] == [
        ("apk-tools", "2.0-r0", "2.1-r0"),
        ("sd-a", "1.0-r0", "1.1-r0"),
        ("sd-fail", "1.0-r0", "1.1-r0"),
        ("sd-slow", "1.0-r0", "1.1-r0"),
    ]
    assert apk_parsers.parse_steps(text("nothing-plan.txt")) == []
    assert apk_parsers.parse_step("(2/3) Installing b (1.0-r0)") == ApkStep(2, 3, "Installing", "b", "", "1.0-r0")
    assert apk_parsers.parse_step("(3/3) Purging c (1.0-r0)") == ApkStep(3, 3, "Purging", "c", "1.0-r0", "")
    assert apk_parsers.parse_step("  * (3/3) Purging c (1.0-r0)") is None  # what a script prints is no step
    with pytest.raises(ValueError, match="1 steps of 4"):
        apk_parsers.parse_steps(text("plan.txt").splitlines()[3])


def test_a_package_missing_from_a_removal_counts_as_needed_by_others() -> None:
    """By apk's documents: `apk del` takes it out of world, says so and ends with 0."""
    steps = apk_parsers.parse_steps("(1/1) Purging a (1.0-r0)\nOK: 10 B in 5 packages\n")
    assert apk_parsers.not_removed(steps, ["a", "b"]) == ["b"]
    assert apk_parsers.not_removed(steps, ["a"]) == []


def test_held_back_packages_are_the_upgradable_ones_outside_the_plan() -> None:
    upgradable = apk_parsers.parse_upgradable(text("upgrades.txt"))
    assert upgradable["sd-pin"] == "1.1-r0"
    assert set(upgradable) - {step.package for step in apk_parsers.parse_steps(text("plan.txt"))} == {"sd-pin", "sd-broke"}
    wished, operators = apk_parsers.parse_world(text("world.txt") + "other@testing name>1 python3~3.12 ~odd !not\n")
    assert operators == {"sd-pin": "=", "name": ">", "python3": "~"}
    assert {"sd-a", "sd-pin", "other"} <= set(wished)


def test_a_package_name_is_split_from_its_version() -> None:
    assert apk_parsers.split_name("py3-foo-2-bar-1.0_rc1-r12") == ("py3-foo-2-bar", "1.0_rc1-r12")
    assert apk_parsers.split_name("plain") == ("plain", "")


def test_the_major_version_of_apk_is_parsed() -> None:
    assert apk_parsers.major_version(text("detect-version.txt")) == 3
    assert apk_parsers.major_version("apk-tools 2.14.4, compiled for x86_64.") == 2
    assert apk_parsers.major_version("?") == 0


def test_a_run_reports_packages_and_percent() -> None:
    console, _ = watch("upgrade-slow-progress-fd.txt")
    assert ("commit", 50, "sd-slow", "upgrading sd-slow") in console.told
    assert console.told[-1][:2] == ("commit", 100)
    console, reader = watch("upgrade.pty")
    assert [package for phase, _, package, _ in console.told if phase == "commit" and package] == [
        "apk-tools",
        "sd-a",
        "sd-fail",
        "sd-slow",
    ]
    assert any("exited with error 3" in line for line in reader.troubles)


@pytest.mark.parametrize(
    ("verb", "name", "rc", "code"),
    [
        ("refresh", "refresh", 0, None),
        ("refresh", "repo-dead-refresh", 1, "job.repository_stale"),
        ("refresh", "repo-missing-local", 0, "job.repository_stale"),
        ("upgrade", "repo-dead-upgrade", 99, "job.repository_stale"),
        ("upgrade", "upgrade-unresolvable", 2, "job.unmet_dependencies"),
        ("upgrade", "upgrade-failing-scriptlet", 1, "job.script_failed"),
        ("upgrade", "upgrade-all-with-broken", 1, "job.package_manager"),
        ("upgrade", "lock-held", 99, "job.lock_busy"),
        ("upgrade", "not-root", 99, "job.package_manager"),
        ("upgrade", "unknown-package", 1, "job.package_manager"),
        ("upgrade", "nothing-to-do", 0, None),
        ("upgrade", "lock-held-waits", 0, None),
    ],
)
def test_any_nonzero_status_is_a_failure_whose_code_comes_from_the_output(verb: str, name: str, rc: int, code: str | None) -> None:
    _, reader = watch(f"{name}.txt")
    failure = Apk().failure(verb, TerminalEnded(rc, 0, ""), reader)
    assert (failure.code if failure else None) == code


def test_waiting_for_the_lock_is_reported() -> None:
    console, reader = watch("lock-held-waits.txt")
    assert "waiting_lock" in [phase for phase, *_ in console.told]
    assert reader.lock is not None


def test_verbs_that_apk_lacks_are_refused() -> None:
    apk = Apk()
    for verb in ("hold", "unhold", "security-upgrade", "autoremove"):
        assert apk.cannot(verb, ())
    for verb in ("refresh", "upgrade", "full-upgrade", "install", "remove", "clean", "repair"):
        assert apk.cannot(verb, ()) == ""
    assert apk.stop_rule("download").answer == "now"
    assert (apk.stop_rule("commit").answer, apk.stop_rule("commit").signals) == ("too_late", ())


@given(st.text(max_size=300))
def test_arbitrary_text_raises_only_valueerror(line: str) -> None:
    reader = ApkReader(NullConsole())
    reader.line(line)
    reader.status(line)
    apk_parsers.parse_upgradable(line)
    apk_parsers.parse_world(line)
    for parse in (apk_parsers.parse_database, apk_parsers.parse_steps):
        try:
            parse(line)
        except ValueError:
            continue


def test_repositories_that_apk_does_not_open_are_named() -> None:
    dead = "WARNING: opening from cache http://127.0.0.1:9/x/x86_64/APKINDEX.tar.gz: No such file or directory\n"
    assert apk_parsers.parse_unopened(dead + dead) == ["http://127.0.0.1:9/x/x86_64/APKINDEX.tar.gz"]
    assert apk_parsers.parse_unopened("WARNING: updating and opening /srv/x: Connection refused\n") == ["/srv/x"]
    assert apk_parsers.parse_unopened("WARNING: something else\n") == []
