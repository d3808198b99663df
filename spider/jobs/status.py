"""The status of a job, derived only from its files and its cgroup. Spider keeps no state of its own, so a restart loses none.

| files and processes | status |
|---|---|
| `result` | ended with this result, whatever else exists |
| processes in the cgroup | running |
| processes in the cgroup, and `stopped` | orphaned (the runner was killed) or overdue (systemd gave up waiting) |
| `reboot` of this boot | the host shuts down; after 40 minutes the reboot counts as failed |
| `reboot` of another boot | the host has rebooted; the job succeeds once the states before and after are compared |
| no `run`, no process | the job never began |
| `run` of another boot, `stopped` with timeout | the shutdown took too long |
| `run` of another boot, `stopped` with another result | the job was killed |
| `run` of another boot, no `stopped` | power failed |
| `run` of this boot, no process | the job was killed if `stopped` says so; otherwise its outcome is unknown |
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
from spider.wire.frames import MAX_ITEMS
from spider.wire.job_messages import JobEnded

NEVER_BEGAN_AFTER_S = 60.0
"""A job without `run` and without a process counts as never begun after this long. systemd may delay the start of a unit, as at boot."""
GONE_AFTER_S = 3.0
"""A job with `run`, but without a process and a result, counts as ended after this long. It is not zero, because files are read before
processes: a job may end between the two reads."""
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
    """The state of a job at one moment."""

    run: Optional[Run]
    result: Optional[JobResult]
    stopped: Optional[StopRecord]
    progress: Optional[Progress]
    log_bytes: int
    output: bytes
    """Output in the log from the requested offset on."""
    alive: bool
    """The job's unit has processes."""
    output_at: float = 0.0
    """When the log last grew, Unix seconds; 0 = never."""
    reboot_request: Optional[RebootRequest] = None
    """The server was asked to reboot."""
    plan: Optional[Plan] = None
    """The plan of the job. None: there is none, or it was not requested."""
    report: Optional[Report] = None
    """The report of the job. None: there is none, or it was not requested."""


class WantedFiles(NamedTuple):
    """Which parts of a job are to be read."""

    offset: int = 0
    limit: int = 0
    """Bytes of the log to read from `offset` on; 0 = none."""
    plan: bool = False
    report: bool = False


class JobStatus(NamedTuple):
    """The status of a job."""

    ended: bool
    code: str = ""
    """Ended: why the job counts as interrupted, or REBOOTED (the server is back). Running: its problem. Empty = nothing unusual."""


def take_snapshot(jobs_dir: str, job: str, wanted: WantedFiles, processes: JobProcesses = job_processes) -> JobSnapshot:
    """Read the files of a job. Blocks.

    Args:   processes: returns the processes of a job's unit; None = unknown.
    Raises: OSError: the files cannot be read.
    """
    folder = os.path.join(jobs_dir, job)
    stopped = read_stopped(folder)  # first: the runner writes `result` before systemd writes `stopped`
    result = read_result(folder)
    run = read_run(folder)
    output, size, output_at = b"", 0, 0.0
    try:
        with open(os.path.join(folder, LOG), "rb") as file:
            info = os.fstat(file.fileno())
            size, output_at = info.st_size, info.st_mtime if info.st_size else 0.0
            if wanted.limit > 0 and size > wanted.offset:
                file.seek(wanted.offset)
                output = file.read(wanted.limit)
    except FileNotFoundError:
        size = 0
    document = read_document(folder, REBOOT) if result is None else None
    alive = result is None and _alive(processes(job), run, job)
    reboot_request = from_document(document) if document is not None else None
    planned = read_document(folder, PLANNED) if wanted.plan else None
    reported = read_document(folder, REPORT) if wanted.report else None
    return JobSnapshot(
        run=run,
        result=result,
        stopped=stopped,
        progress=read_progress(folder),
        log_bytes=size,
        output=output,
        alive=alive,
        output_at=output_at,
        reboot_request=reboot_request,
        plan=None if planned is None else plan_from_document(planned),
        report=None if reported is None else report_from_document(reported),
    )


def _alive(processes: Optional[List[int]], run: Optional[Run], job: str) -> bool:
    return runner_lives(run, job) if processes is None and run is not None else bool(processes)


def runner_lives(run: Run, job: str, proc: str = "/proc") -> bool:
    """Whether a job's runner is alive, where jobs have no cgroups (OpenRC). Another process may meanwhile have its pid.

    Where /proc hides other users' processes, the runner counts as alive until the next boot.
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


def classify(seen: JobSnapshot, boot: str, quiet_s: float, now: float = 0.0) -> JobStatus:  # noqa: PLR0911  # one answer for each row of the table
    """The status of a job.

    Args:
        boot: id of this boot, 32 hex digits.
        quiet_s: for how long the job has had no process.
        now: Unix seconds.
    """
    if seen.result is not None:
        return JobStatus(ended=True)
    if seen.reboot_request is not None:
        if boot and seen.reboot_request.boot and seen.reboot_request.boot != boot:
            return JobStatus(ended=True, code=REBOOTED)
        return JobStatus(ended=now - seen.reboot_request.asked_at >= REBOOT_LIMIT_S, code=REBOOT_MISSING)
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

    Args: code: of the status. digest: SHA-256 of the present log, for a job without result. now: Unix seconds.
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
    """A result for a job whose runner wrote none, from its other files."""
    started_at = seen.run.started_at if seen.run else 0.0
    reboot_request, stopped = seen.reboot_request, seen.stopped
    if reboot_request is not None:
        state, rc, error_code, text = "succeeded", 0, "", ""  # type: Tuple[str, Optional[int], str, str]
        if code != REBOOTED:
            text = f"the server was asked to reboot and did not within {REBOOT_LIMIT_S / 60:.0f} minutes"
            state, rc, error_code = "failed", None, REBOOT_MISSING
        return JobResult(
            state, rc, 0, reboot_request.log_bytes, reboot_request.lost, reboot_request.log_sha256, started_at, now, [], error_code, text
        )
    state = "unknown" if code == "job.no_trace" else "interrupted"
    number = int(stopped.status) if stopped and stopped.status.isdecimal() and stopped.code in ("killed", "dumped") else 0
    return JobResult(state, None, number, seen.log_bytes, 0, digest, started_at, now, [], code, _INTERRUPTED[code])


def _bounded(changes: List[Tuple[str, str, str]]) -> Tuple[List[Tuple[str, str, str]], int]:
    """As many items as fit into one message, and the number of those that do not."""
    room = MAX_CHANGES_BYTES
    for index, change in enumerate(changes):
        room -= sum(len(word.encode("utf-8", "replace")) + 5 for word in change)
        if room < 0 or index == MAX_ITEMS:
            return changes[:index], len(changes) - index
    return changes, 0


def log_digest(jobs_dir: str, job: str) -> str:
    """SHA-256 of the whole log, hex; of nothing if there is no log. Blocks.

    Raises: OSError: the log cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(os.path.join(jobs_dir, job, LOG), "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except FileNotFoundError:
        return digest.hexdigest()
    return digest.hexdigest()
