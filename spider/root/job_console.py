"""The console of a job: its terminal, progress, plan and report, and the request to stop it."""

import logging
import os
import time
from typing import Optional

from spider import logs
from spider.files import read_text
from spider.jobs.files import FORCE, PLANNED, REPORT, STOP, read_document, write_document
from spider.jobs.status import JobProcesses
from spider.packages.plan import Plan
from spider.packages.plan_file import plan_from_document, plan_to_document
from spider.packages.report import Report
from spider.packages.report_file import report_to_document
from spider.root.cgroups import job_processes, unit_name
from spider.root.terminal import OutputReporter, Terminal
from spider.wire.ids import is_id
from spider.wire.sentences import name_list, sentence

WAIT_TICK_S = 0.2

_log = logging.getLogger("spider.root.runner")


class StopRequest:
    """The request to stop a job. It is a file that the launcher writes after it has verified the order."""

    def __init__(self, folder: str, reporter: OutputReporter) -> None:
        self._stop = os.path.join(folder, STOP)
        self._force = os.path.join(folder, FORCE)
        self._reporter = reporter

    def wanted(self) -> bool:
        return os.path.exists(self._stop)

    def forced(self) -> bool:
        """Whether a hanging maintainer script may be killed for this request."""
        return os.path.exists(self._force)

    def report(self, answer: str, why: str) -> None:
        self._reporter.stopping(answer, why)


class JobConsole:
    """The `Console` of one job. Its files are in the job's folder."""

    def __init__(
        self, folder: str, terminal: Terminal, reporter: OutputReporter, stop_request: StopRequest, processes: JobProcesses = job_processes
    ) -> None:
        self._folder = folder
        self._processes = processes
        self._reporter = reporter
        self._stop_request = stop_request
        self.print_line = terminal.print_line
        self.run = terminal.run
        self.progress = reporter.report

    def wait(self, seconds: float) -> None:
        self._reporter.flush()
        ends_at = time.monotonic() + seconds
        while not self._stop_request.wanted():
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(WAIT_TICK_S, left_s))

    def stop_wanted(self) -> bool:
        if not self._stop_request.wanted():
            return False
        self._stop_request.report("now", sentence("stop.nothing_changed"))
        return True

    def planned(self, plan: Plan) -> None:
        write_document(self._folder, PLANNED, plan_to_document(plan))

    def seen_plan(self, digest: str) -> Optional[Plan]:
        jobs = os.path.dirname(self._folder)
        for name in sorted((name for name in os.listdir(jobs) if is_id(name)), reverse=True):
            folder = os.path.join(jobs, name)
            if folder == self._folder:
                continue
            found = read_document(folder, PLANNED)
            plan = None if found is None else plan_from_document(found)
            if plan is not None and plan.digest == digest:
                return plan
        return None

    def reported(self, report: Report) -> None:
        still_running = self._still_running()
        if still_running:
            report = report._replace(notes=(*report.notes, still_running))
        try:
            write_document(self._folder, REPORT, report_to_document(report))
        except OSError as exc:  # a full disk loses the report, not the job's result, whose space is reserved
            logs.event(_log, "report_lost", level=logging.ERROR, why=str(exc))

    def _still_running(self) -> str:
        """A sentence about background processes that scripts left in this job's unit. The job does not wait for them. Empty = none."""
        job = os.path.basename(self._folder)
        found = sorted({pid for pid in self._processes(job) or () if pid != os.getpid()})
        named = [f"{read_text(f'/proc/{pid}/comm') or '?'} ({pid})" for pid in found]
        return sentence("report.still_running", where=unit_name(job), names=name_list(named)) if found else ""
