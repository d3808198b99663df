"""The console of a job's program: leftover processes are reported by name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from spider.jobs.files import PROGRESS, REPORT, read_document
from spider.packages.report import Report
from spider.root.job_console import JobConsole, StopRequest
from spider.root.terminal import Log, OutputReporter, Terminal
from tests.support.eventually import wait_until
from tests.support.some import some


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "job-1"
    made.mkdir()
    return made


@pytest.fixture
def left_behind() -> Iterator[int]:
    """A process that a script of a package has sent away."""
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        wait_until(lambda: Path(f"/proc/{child.pid}/comm").read_text() == "sleep\n")  # it takes its name a moment after it was started
        yield child.pid
    finally:
        child.kill()
        child.wait()


def notes(folder: Path, processes: list[int] | None) -> list[str]:
    reporter = OutputReporter(str(folder / PROGRESS))
    terminal = Terminal(Log(str(folder / "log")), reporter)
    console = JobConsole(
        str(folder), terminal, reporter, StopRequest(str(folder), reporter), lambda job: processes if job == "job-1" else None
    )
    console.reported(Report(notes=("before",)))
    told = some(read_document(str(folder), REPORT))
    terminal.close()
    reporter.close()
    return [str(note) for note in told["notes"]]


def test_a_process_left_by_a_package_script_is_reported_with_its_name(folder: Path, left_behind: int) -> None:
    before, left = notes(folder, [os.getpid(), left_behind, left_behind])
    assert before == "before"
    assert left == f"Started by this job and still running, in stardust-job@job-1.service: sleep ({left_behind})."


@pytest.mark.parametrize("processes", [None, [], [os.getpid()]], ids=["not to be told", "none", "the runner alone"])
def test_without_leftover_processes_nothing_is_reported(folder: Path, processes: list[int] | None) -> None:
    assert notes(folder, processes) == ["before"]


def test_of_many_leftover_processes_some_are_named(folder: Path) -> None:
    gone = list(range(4_200_000, 4_200_030))  # no process has such a number
    left = notes(folder, gone)[1]
    assert left.count("? (42") == 10
    assert left.endswith(" (+20).")
