"""What became of a job, told from its files and its cgroup alone: no memory of Spider's own is needed, so none can be lost.

| evidence | verdict |
|---|---|
| `result` | ended as it says; it wins over everything |
| processes in the cgroup | goes on; with `stopped` there, without its runner (killed: orphaned; systemd gave up waiting: overdue) |
| `reboot` of this boot | goes down; after 40 minutes the reboot is missing |
| `reboot` of another boot | the server is back: what is missing is looked for, then the job has succeeded |
| no `run`, nothing alive | never began |
| `run` of another boot | shutdown overran (`stopped` says timeout), killed (says signal), or the power went |
| `run` of this boot, nothing alive | killed, or it left no trace |
"""

import hashlib
import os
from typing import Callable, List, NamedTuple, Optional, Tuple

from spider.files import read_text
from spider.jobs.files import (
    LOG,
    PLANNED,
    REBOOT,
    REPORT,
    JobResult,
    Progress,
    Run,
    StopRecord,
    read_document,
    read_progress,
    read_result,
    read_run,
    read_stopped,
)
from spider.packages.plan import Plan
from spider.packages.plan_file import plan_from_document
from spider.packages.report import Report
from spider.packages.report_file import report_from_document
from spider.root.cgroups import job_processes
from spider.root.reboot import REBOOT_LIMIT_S, RebootRequest, from_document
from spider.wire.frames import MAX_ITEMS, JobEnded

NEVER_BEGAN_AFTER_S = 60.0
"""systemd may hold a start back for a while, at boot for one."""
GONE_AFTER_S = 3.0
"""Files are looked at before processes: what ends between the two looks must not seem lost."""
MAX_CHANGES_BYTES = 160 * 1024

_INTERRUPTED = {
    "job.never_began": "the job was accepted but never began; nothing was run",
    "job.killed": "the job's runner was killed, so its outcome is not known",
    "job.power_lost": "the server went down without a shutdown while the job ran",
    "job.shutdown_overran": "the server shut down before the job had ended",
    "job.no_trace": "the job's runner ended without a result",
}
REBOOT_MISSING, REBOOTED = "job.reboot_missing", "rebooted"


JobProcesses = Callable[[str], Optional[List[int]]]


class JobSnapshot(NamedTuple):
    """A job at one moment."""

    run: Optional[Run]
    result: Optional[JobResult]
    stopped: Optional[StopRecord]
    progress: Optional[Progress]
    log_bytes: int
    output: bytes
    """Of the log, from the offset that was asked for."""
    alive: bool
    """The job's unit has processes."""
    output_at: float = 0.0
    """When the log grew last, Unix seconds; 0 = never."""
    asked: Optional[RebootRequest] = None
    """The server was asked to reboot."""
    plan: Optional[Plan] = None
    """What it is going to do; None also when it was not asked for."""
    report: Optional[Report] = None
    """What it left to be looked after; likewise."""


class WantedFiles(NamedTuple):
    """What of a job is worth reading."""

    offset: int = 0
    limit: int = 0
    """Which part of the log."""
    plan: bool = False
    report: bool = False


class JobStatus(NamedTuple):
    """Where a job stands."""

    ended: bool
    code: str = ""
    """Why it counts as interrupted; or orphaned, overdue while it goes on; REBOOTED: the server is back. Empty = nothing out of the
    ordinary."""


def look(jobs_dir: str, job: str, wanted: WantedFiles, processes: JobProcesses = job_processes) -> JobSnapshot:
    """Read what there is of a job. Blocks on its files.

    Args:   processes: tells those of a job's unit; None = it cannot be told.
    Raises: OSError: they cannot be read.
    """
    folder = os.path.join(jobs_dir, job)
    stopped, result = read_stopped(folder), read_result(folder)  # `result` after `stopped`: never the other way round on disk
    run = read_run(folder)
    output, size, output_at = b"", 0, 0.0
    try:
        with open(os.path.join(folder, LOG), "rb") as file:
            facts = os.fstat(file.fileno())
            size, output_at = facts.st_size, facts.st_mtime if facts.st_size else 0.0
            if wanted.limit > 0 and size > wanted.offset:
                file.seek(wanted.offset)
                output = file.read(wanted.limit)
    except FileNotFoundError:
        size = 0
    document = read_document(folder, REBOOT) if result is None else None
    alive = result is None and _alive(processes(job), run, job)
    asked = from_document(document) if document is not None else None
    planned = read_document(folder, PLANNED) if wanted.plan else None
    reported = read_document(folder, REPORT) if wanted.report else None
    return JobSnapshot(
        run,
        result,
        stopped,
        read_progress(folder),
        size,
        output,
        alive,
        output_at,
        asked,
        None if planned is None else plan_from_document(planned),
        None if reported is None else report_from_document(reported),
    )


def _alive(processes: Optional[List[int]], run: Optional[Run], job: str) -> bool:
    return runner_lives(run, job) if processes is None and run is not None else bool(processes)


def runner_lives(run: Run, job: str, proc: str = "/proc") -> bool:
    """Whether a job's runner is there, where no cgroups of jobs are (OpenRC). Its number may be another process's by now.

    Where /proc hides the processes of others nothing can be told: then it lives until the server is booted again.
    """
    try:
        with open(f"{proc}/{run.pid}/cmdline", "rb") as file:
            return job.encode() in file.read(4096).split(b"\0")
    except PermissionError:
        return True
    except OSError:
        if os.path.exists(proc + "/1"):
            return False
    boot = read_text(proc + "/sys/kernel/random/boot_id", 64).replace("-", "")
    return boot != "" and boot == run.boot


def judge(seen: JobSnapshot, boot: str, quiet_s: float, now: float = 0.0) -> JobStatus:  # noqa: PLR0911  # one answer for each row of the table
    """Where a job stands.

    Args:
        boot: this boot, 32 hex digits.
        quiet_s: for how long nothing of the job has been alive.
        now: Unix seconds.
    """
    if seen.result is not None:
        return JobStatus(ended=True)
    if seen.asked is not None:
        if boot and seen.asked.boot and seen.asked.boot != boot:
            return JobStatus(ended=True, code=REBOOTED)
        return JobStatus(ended=now - seen.asked.asked_at >= REBOOT_LIMIT_S, code=REBOOT_MISSING)
    if seen.alive:
        if seen.stopped is None:
            return JobStatus(ended=False)
        return JobStatus(ended=False, code="job.overdue" if seen.stopped.result == "timeout" else "job.orphaned")
    if seen.run is None:
        return JobStatus(ended=quiet_s >= NEVER_BEGAN_AFTER_S, code="job.never_began")
    if boot and seen.run.boot and seen.run.boot != boot:
        if seen.stopped is None:
            return JobStatus(ended=True, code="job.power_lost")
        return JobStatus(ended=True, code="job.shutdown_overran" if seen.stopped.result == "timeout" else "job.killed")
    killed = seen.stopped is not None and seen.stopped.result in ("signal", "core-dump", "oom-kill", "timeout")
    return JobStatus(ended=quiet_s >= GONE_AFTER_S, code="job.killed" if killed else "job.no_trace")


def ending(job: str, seen: JobSnapshot, code: str, digest: str, now: float) -> JobEnded:
    """The message for a job that has ended.

    Args: code: of the verdict. digest: SHA-256 of the log as it is, for a job without result. now: Unix seconds.
    """
    result = seen.result or _without_result(seen, code, digest, now)
    changes, left_out = _bounded(result.changes)
    text = result.error_text
    if left_out:
        text = f"{text} ({left_out} more changed packages are not listed)".strip()
    return JobEnded(
        job=job,
        state=result.state,
        exit_code=result.rc,
        signal=result.signal,
        output_bytes=result.bytes,
        output_sha256=result.sha256,
        lost_bytes=result.lost,
        started_at_ms=int(result.started_at * 1000),
        ended_at_ms=int(result.ended_at * 1000),
        change_packages=[name for name, _, _ in changes],
        change_from=[before for _, before, _ in changes],
        change_to=[after for _, _, after in changes],
        error_code=result.error_code,
        error_text=text[:2000],
    )


def _without_result(seen: JobSnapshot, code: str, digest: str, now: float) -> JobResult:
    """What the runner would have written, as far as it can be told from the rest."""
    started_at = seen.run.started_at if seen.run else 0.0
    asked, stopped = seen.asked, seen.stopped
    if asked is not None:
        state, rc, error_code, text = "succeeded", 0, "", ""  # type: Tuple[str, Optional[int], str, str]
        if code != REBOOTED:
            text = f"the server was asked to reboot and did not within {REBOOT_LIMIT_S / 60:.0f} minutes"
            state, rc, error_code = "failed", None, REBOOT_MISSING
        return JobResult(state, rc, 0, asked.log_bytes, asked.lost, asked.log_sha256, started_at, now, [], error_code, text)
    state = "unknown" if code == "job.no_trace" else "interrupted"
    number = int(stopped.status) if stopped and stopped.status.isdigit() and stopped.code in ("killed", "dumped") else 0
    return JobResult(state, None, number, seen.log_bytes, 0, digest, started_at, now, [], code, _INTERRUPTED[code])


def _bounded(changes: List[Tuple[str, str, str]]) -> Tuple[List[Tuple[str, str, str]], int]:
    """As many as fit into one message, and how many do not."""
    room = MAX_CHANGES_BYTES
    for index, change in enumerate(changes):
        room -= sum(len(word.encode("utf-8", "replace")) + 5 for word in change)
        if room < 0 or index == MAX_ITEMS:
            return changes[:index], len(changes) - index
    return changes, 0


def log_digest(jobs_dir: str, job: str) -> str:
    """SHA-256 of the whole log, hex. Blocks.

    Raises: OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(os.path.join(jobs_dir, job, LOG), "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except FileNotFoundError:
        return digest.hexdigest()
    return digest.hexdigest()
