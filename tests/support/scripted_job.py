"""The runner with a package manager that runs a shell script: `python -m tests.support.scripted_job JOBS JOB SCRIPT`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from spider.packages.backend import STOP_NOW
from spider.packages.interfaces import Console, Outcome, PackageCondition, Task
from spider.packages.plan import Plan, Planned
from spider.packages.report import Leftover, Report
from spider.root.job_lock import JobNotStarted
from spider.root.runner import RunnerPaths, ignore_signals, run_job
from spider.wire.report_messages import Updates


class Scripted:
    """A package manager that only runs /bin/sh."""

    name = "scripted"
    newer: Sequence[Planned] = ()

    def __init__(self, script: str) -> None:
        self._script = script

    def perform(self, task: Task, console: Console) -> Outcome:
        console.progress("commit", 10, "a", task.verb)
        console.planned(Plan(tuple(Planned(name, "1", "2") for name in task.packages)))
        ended = console.run(
            ["/bin/sh", "-c", self._script], {"PATH": os.environ["PATH"]}, lambda _line: None, stop_rule=lambda _phase: STOP_NOW
        )
        if ended.rc == 42:
            raise RuntimeError("a fault of this program")
        console.reported(Report("yes", "the script said so", leftovers=(Leftover("/etc/a", "-1\n+2\n"),)))
        if ended.stopped:
            return Outcome("cancelled", ended.rc, ended.signal, (), "job.stopped", "stopped")
        state = "succeeded" if ended.rc == 0 else "failed"
        return Outcome(state, ended.rc, ended.signal, tuple((name, "1", "2") for name in task.packages))

    def wait_free(self, console: Console) -> Outcome | None:
        return None

    def held(self) -> Sequence[tuple[str, str, str]]:
        return ()

    def condition(self) -> PackageCondition:
        return PackageCondition()

    def available_updates(self) -> Updates:
        return Updates(0, 0, 0)


def main() -> int:
    """One job, as the unit would run it."""
    jobs, job, script = sys.argv[1:]
    ignore_signals()
    try:
        run_job(job, Scripted(script), os.environ.get("STARDUST_BOOT", ""), RunnerPaths(jobs))
    except JobNotStarted as exc:
        print(exc)
        return 75
    return 0


if __name__ == "__main__":
    sys.exit(main())
