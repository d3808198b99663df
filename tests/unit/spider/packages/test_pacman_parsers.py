"""Parsers of pacman's output, from recordings of 6.0 and 7.1."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.backend import OutputReader
from spider.packages.pacman.backend import Pacman
from spider.packages.pacman.parsers import (
    PackageDetails,
    PacmanTarget,
    Upgrade,
    parse_details,
    parse_installed,
    parse_progress,
    parse_size,
    parse_targets,
    parse_upgrades,
    replaced,
    satisfies,
)
from spider.packages.pacman.run_reader import PacmanReader
from spider.root.terminal import Lines, TerminalEnded
from tests.support.null_console import NullConsole
from tests.support.some import some

DATA = Path(__file__).with_name("pacman_data")
RELEASES = ["pacman-6.0.2", "pacman-7.1"]


def text(name: str) -> str:
    path = DATA / name
    return path.read_text() if path.exists() else ""


def watch(name: str) -> tuple[NullConsole, PacmanReader]:
    """A reader that saw a recorded run: what was printed on a terminal, or both pipes."""
    console = NullConsole()
    reader = PacmanReader(console)
    lines = Lines(reader.line)
    lines.feed((DATA / name).read_bytes())
    lines.feed(text(name.replace(".txt", ".err")).encode() if name.endswith(".txt") else b"")
    lines.end()
    return console, reader


@pytest.mark.parametrize("release", RELEASES)
def test_installed_packages_and_upgrades_are_read_whole(release: str) -> None:
    installed = parse_installed(text(f"{release}/installed.txt"))
    assert installed["lab-hello"] == "1.0-1"
    assert len(installed) == 10
    upgrades = parse_upgrades(text(f"{release}/upgrades.txt"))
    assert Upgrade("lab-hello", "1.0-1", "2.0-1", ignored=False) in upgrades
    assert {upgrade.package for upgrade in upgrades if upgrade.ignored} == {"lab-fail", "lab-hang", "lab-post"}
    assert parse_upgrades(text(f"{release}/nothing-upgrades-at-all.txt")) == []


@pytest.mark.parametrize("release", RELEASES)
def test_a_plan_is_parsed_in_order_without_ignored_packages(release: str) -> None:
    targets = parse_targets(text(f"{release}/plan-print.txt"))
    assert [target.package for target in targets] == [
        "lab-conf",
        "lab-extra",
        "lab-dep",
        "lab-hello",
        "lab-kernel",
        "lab-sec",
        "lab-slow",
        "lab-svc",
    ]
    assert targets[0] == PacmanTarget("lab-conf", "2.0-1", "lab", 415)
    assert parse_targets(" there is nothing to do\n") == []


def test_replacing_and_replaced_packages_are_found() -> None:
    targets = parse_targets(text("pacman-7.1-chroot/plan-print-replaces.txt"))
    assert "sd-repl-ng" in [target.package for target in targets]
    installed = parse_installed(text("pacman-7.1-chroot/installed.txt"))
    assert replaced([PackageDetails("sd-repl-ng", ("sd-repl",), 0)], installed) == {"sd-repl": "sd-repl-ng"}
    assert replaced([PackageDetails("sd-repl", ("sd-repl",), 0), PackageDetails("x", ("not-there",), 0)], installed) == {}


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [("a", True), ("b", False), ("a=1.5", True), ("a=1.5-2", True), ("a=1.5-1", False), ("a<2", True), ("a<1.5", False), ("a>=1:0", False), ("a>1", True), ("a<=1.5-2", True), ("a!2", False)],
)  # fmt: skip
def test_versions_that_are_meant_are_compared(wanted: str, meant: bool) -> None:
    assert satisfies("a", "1.5-2", wanted) == meant


def test_package_details_of_a_repository_are_parsed() -> None:
    printed = text("facts.txt")
    facts = {fact.package: fact for fact in parse_details(printed)}
    assert facts["lab-conf"] == PackageDetails("lab-conf", (), 4096, "lab", "2.0-1")
    assert parse_details("Name : a\nReplaces        : b<2  c\n                  d\nInstalled Size  : 1.50 MiB\n") == [
        PackageDetails("a", ("b<2", "c", "d"), 1572864)
    ]
    assert parse_size("1,024.00 KiB") == 1048576
    assert parse_size("a lot") == 0


@pytest.mark.parametrize("release", RELEASES)
def test_an_upgrade_on_a_terminal_reports_phases_packages_and_percent(release: str) -> None:
    console, reader = watch(f"{release}/upgrade.pty")
    phases = list(dict.fromkeys(phase for phase, *_ in console.told))
    assert phases == ["refresh", "plan", "download", "commit"]
    packages = [package for phase, _, package, _ in console.told if phase == "commit" and package]
    assert packages == ["lab-conf", "lab-extra", "lab-dep", "lab-hello", "lab-kernel", "lab-sec", "lab-slow", "lab-svc"]
    percents = [percent for phase, percent, _, _ in console.told if phase == "commit" and percent >= 0]
    assert percents == sorted(percents)
    assert percents[-1] < 100
    assert "warning: /etc/lab-conf.conf installed as /etc/lab-conf.conf.pacnew" in reader.troubles


@pytest.mark.parametrize(
    ("name", "rc", "code", "says"),
    [
        ("upgrade-all", 0, None, ""),
        ("nothing-to-do", 0, None, ""),
        ("lock-held", 1, "job.lock_busy", ""),
        ("upgrade-failing-scriptlet", 0, "job.script_failed", "command failed"),
        ("upgrade-file-conflict", 1, "job.package_manager", "exists in filesystem"),
        ("repo-dead", 1, "job.fetch_failed", "dead.db"),
        ("remove", 1, "job.unmet_dependencies", "breaks dependency"),
        ("unknown-package", 1, "job.package_manager", "target not found"),
        ("not-root", 1, "job.package_manager", "unless you are root"),
    ],
)
@pytest.mark.parametrize("release", RELEASES)
def test_a_failure_is_recognised_in_the_output_with_any_exit_status(release: str, name: str, rc: int, code: str | None, says: str) -> None:
    _, reader = watch(f"{release}/{name}.txt")
    failure = Pacman().failure("upgrade", ended(rc), reader)
    assert (failure.code if failure else None) == code
    assert says in "\n".join(reader.troubles)


def test_a_dead_repository_makes_a_refresh_stale() -> None:
    _, reader = watch("pacman-7.1/repo-dead-refresh.txt")
    failure = some(Pacman().failure("refresh", ended(1), reader))
    assert failure.code == "job.repository_stale"


def test_a_failed_download_is_named_behind_drawn_progress_lines() -> None:
    reader = PacmanReader(NullConsole())
    lines = Lines(reader.line)
    lines.feed(
        b" dead\r\n\x1b[1F dead.db failed to download\x1b[K\x1b[1Eerror: failed retrieving file 'dead.db' from 127.0.0.9:9 : Failed to connect\r\n"
    )
    assert reader.troubles == ["error: failed retrieving file 'dead.db' from 127.0.0.9:9 : Failed to connect"]


def test_an_untrusted_signature_suggests_the_keyring_package() -> None:
    """From pacman's own catalogue of messages: no host with signed packages was available."""
    reader = PacmanReader(NullConsole())
    reader.line('error: bash: signature from "Somebody <s@example.org>" is unknown trust')
    reader.line("error: failed to commit transaction (invalid or corrupted package (PGP signature))")
    assert len(reader.notes) == 1
    assert "archlinux-keyring" in reader.notes[0]
    assert Pacman().failure("upgrade", ended(1), reader) is not None


def ended(rc: int) -> TerminalEnded:
    return TerminalEnded(rc, 0, "")


def test_a_sandbox_that_cannot_be_set_up_leads_to_its_setting() -> None:
    """As pacman 7.1 said it on a kernel without Landlock."""
    reader = PacmanReader(NullConsole())
    reader.line("error: restricting filesystem access failed because Landlock is not supported by the kernel!")
    reader.line("error: switching to sandbox user 'alpm' failed!")
    reader.line("error: failed to synchronize all databases (failed to retrieve some files)")
    assert len(reader.notes) == 1
    assert "DisableSandbox" in reader.notes[0]
    failure = some(Pacman().failure("refresh", ended(1), reader))
    assert failure.code == "job.repository_stale"


@pytest.mark.parametrize("line", ["error: command failed to execute correctly", "error: command terminated by signal 15: Terminated"])
def test_a_script_that_failed_or_that_a_signal_ended_fails_the_job_though_pacman_returns_0(line: str) -> None:
    reader = PacmanReader(NullConsole())
    reader.line(line)
    failure = some(Pacman().failure("upgrade", ended(0), reader))
    assert failure.code == "job.script_failed"


def test_an_upgrade_stopped_half_way_suggests_another_upgrade() -> None:
    reader = PacmanReader(NullConsole())
    assert Pacman().failure("upgrade", TerminalEnded(0, 0, "", "after_package"), reader) is None
    assert "upgrade again soon" in reader.notes[0]


@pytest.mark.parametrize("phase", ["refresh", "plan", "waiting_lock", "download", "commit", "triggers", "check"])
def test_pacman_is_sent_no_signal_but_an_interrupt(phase: str) -> None:
    rule = Pacman().stop_rule(phase)
    assert rule.answer == {"commit": "after_package", "triggers": "too_late", "check": "after_package"}.get(phase, "now")
    assert set(rule.signals) <= {2}
    assert rule.why


@given(st.text(max_size=200), st.sampled_from(["", "plan", "download", "commit", "triggers"]))
def test_an_arbitrary_line_raises_only_valueerror(line: str, phase: str) -> None:
    place = parse_progress(line, phase)
    assert place is None or place.percent >= -1
    reader: OutputReader = PacmanReader(NullConsole())
    reader.line(line)
    parse_details(line)
    for parse in (parse_installed, parse_upgrades, parse_targets):
        try:
            parse(line)
        except ValueError:
            continue
