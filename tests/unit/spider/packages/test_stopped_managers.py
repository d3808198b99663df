"""A job that was stopped, or of which a script was killed, is never green, whatever its package manager says and returns."""

from __future__ import annotations

import pytest

from spider.packages.apk.backend import Apk
from spider.packages.apt.backend import Apt
from spider.packages.backend import Backend, Command
from spider.packages.detect import BACKENDS
from spider.packages.dnf.dnf4 import Dnf4
from spider.packages.dnf.dnf5 import Dnf5
from spider.packages.interfaces import Outcome
from spider.packages.outcome import Ran, decide, decide_unplanned
from spider.packages.pacman.backend import Pacman
from spider.packages.plan import InstalledPackage, Plan, Planned
from spider.packages.yum.backend import Yum
from spider.packages.zypper.backend import Zypper
from spider.root.terminal import TerminalEnded
from tests.support.null_console import NullConsole

PLAN = Plan((Planned("lab-hang", "1.0-1", "2.0-1"),))
BEFORE, AFTER = ({"lab-hang": InstalledPackage(version)} for version in ("1.0-1", "2.0-1"))
RPM = "warning: %post(lab-hang-2.0-1.lab.noarch) scriptlet failed, signal 9"
MANAGERS: dict[str, tuple[Backend, str, tuple[int, ...]]] = {
    "apt": (Apt(), " installed lab-hang package post-installation script subprocess was killed by signal (Killed)", (100,)),
    "dnf": (Dnf4("dnf", "x86_64"), RPM, (0, 1)),
    "dnf5": (Dnf5("dnf5", "x86_64"), RPM, (0, 1)),
    "yum": (Yum("x86_64"), RPM, (0, 1)),
    "zypper": (Zypper("x86_64", "opensuse-leap"), RPM, (0, 107)),
    "apk": (Apk(), "ERROR: lab-hang-2.0-r1.post-upgrade: script killed by signal 9", (1,)),
    "pacman": (Pacman(), "error: command terminated by signal 9: Killed", (0,)),
}
"""What each manager prints about a script that a signal ended, and the statuses with which it may end then.

Sources: dpkg's subproc_check, rpm's runExtScript, libalpm's _alpm_run_chroot, apk-tools' apk_exit_status_str.
"""
STOPS = [
    TerminalEnded(0, 0, "", "now"),
    TerminalEnded(0, 0, "", "after_package"),
    TerminalEnded(0, 0, "", "too_late", script_killed=True),
    TerminalEnded(None, 2, "", "after_package"),
    TerminalEnded(None, 9, "", "too_late", script_killed=True),
]


def judged(name: str, ended: TerminalEnded, *lines: str, verb: str = "upgrade") -> Outcome:
    """The outcome of a run that has changed everything that was planned."""
    backend = MANAGERS[name][0]
    reader = backend.reader(verb, NullConsole())
    for line in lines:
        reader.line(line)
    runs = [Ran(Command((name,)), ended, reader, backend.failure(verb, ended, reader))]
    return decide(runs, PLAN, BEFORE, AFTER, name) if verb == "upgrade" else decide_unplanned(runs, name)


def test_every_supported_manager_is_here() -> None:
    assert set(MANAGERS) == set(BACKENDS)


@pytest.mark.holds("SAFETY-103")
@pytest.mark.parametrize("name", MANAGERS)
def test_a_job_stopped_in_its_middle_is_never_green_with_any_manager(name: str) -> None:
    for ended in STOPS:
        for verb in ("upgrade", "clean"):
            outcome = judged(name, ended, verb=verb)
            assert outcome.state in ("failed", "cancelled"), (ended, verb, outcome)
            assert outcome.error_code in ("job.stopped", "job.signal"), (ended, verb, outcome)
        assert judged(name, ended).changes == (("lab-hang", "1.0-1", "2.0-1"),), "and it says what was changed"
    assert judged(name, TerminalEnded(None, 9, "")).error_code == "job.signal", "killed by somebody else"


@pytest.mark.holds("SAFETY-103")
@pytest.mark.parametrize("name", MANAGERS)
def test_a_script_that_a_signal_ended_is_never_green_with_any_manager(name: str) -> None:
    _, printed, statuses = MANAGERS[name]
    for status in statuses:
        outcome = judged(name, TerminalEnded(status, 0, ""), printed)
        assert (outcome.state, outcome.error_code) == ("failed", "job.script_failed"), (status, outcome)
