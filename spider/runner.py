"""The program of a job's unit: runs one accepted order on a terminal of its own and writes down what became of it.

It depends on nobody: Spider, its launcher and the hub may all be gone. Everything it needs is imported before the first
package is touched, since an upgrade may replace Python, and Spider's own files, below it.
"""

import fcntl
import json
import logging
import os
import signal
import sys
import time
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence

from spider import logs
from spider.jobfiles import (
    JOBS_DIR,
    LOCK,
    LOG,
    PROGRESS,
    RESULT,
    RESULT_RESERVE_BYTES,
    RUN,
    STOPPED,
    STOPPED_RESERVE_BYTES,
    Plan,
    Result,
    create_once,
    read_plan,
    reserve,
    write_result,
)
from spider.packages.base import Outcome, PackageManager
from spider.packages.detect import package_manager
from spider.policy import VERBS
from spider.terminal import Ended, Log, Reporter, Terminal
from spider.wire.ids import is_id

LOCK_WAIT_S = 60.0
"""The launcher holds the lock until systemd has answered it."""
LOCK_RHYTHM_S = 0.02
MAX_ERROR_TEXT = 2000
_OUTLIVED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)

_log = logging.getLogger("spider.runner")


class Cannot(Exception):
    """The job is not begun."""


class JobConsole:
    """The console of one job: its terminal and its progress file."""

    def __init__(self, terminal: Terminal, reporter: Reporter) -> None:
        self._terminal = terminal
        self._reporter = reporter

    def say(self, text: str) -> None:
        self._terminal.say(text)

    def progress(self, phase: str, percent: int = -1, package: str = "", text: str = "") -> None:
        self._reporter.tell(phase, percent, package, text)

    def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        each_line: Callable[[str], object],
        each_status: Optional[Callable[[str], None]] = None,
        limits_s: Optional[Mapping[str, float]] = None,
        signals: Sequence[int] = (signal.SIGINT,),
    ) -> Ended:
        return self._terminal.run(argv, env, each_line, each_status, limits_s, signals)

    def wait(self, seconds: float) -> None:
        self._reporter.flush()
        time.sleep(seconds)


class Places(NamedTuple):
    """Where the runner works."""

    jobs: str = JOBS_DIR


def outlive_signals() -> None:
    """Shutdown sends SIGTERM and then waits for this unit: the job goes on to its end. Children start with the usual handlers."""
    for number in _OUTLIVED:
        signal.signal(number, lambda *_: None)


def take_lock(jobs: str, wait_s: float = LOCK_WAIT_S) -> int:
    """Hold the lock of this node's jobs until this process ends, however it ends.

    Raises: Cannot: another job has it.
    """
    fd = os.open(os.path.join(jobs, LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    ends_at = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:  # noqa: PERF203  # it sleeps between two tries
            if time.monotonic() >= ends_at:
                os.close(fd)
                raise Cannot("another job holds the lock") from None
            time.sleep(LOCK_RHYTHM_S)


def _begin(folder: str, boot: str) -> float:
    """Everything that may fail for want of room comes before `run`, which says for ever that the job has begun.

    Raises: Cannot.
    """
    started_at = time.time()
    run = {"pid": os.getpid(), "boot": boot, "invocation": os.environ.get("INVOCATION_ID", ""), "started_at": started_at}
    try:
        reserve(os.path.join(folder, RESULT + ".tmp"), RESULT_RESERVE_BYTES)
        reserve(os.path.join(folder, STOPPED + ".tmp"), STOPPED_RESERVE_BYTES)
        create_once(os.path.join(folder, RUN), json.dumps(run).encode() + b"\n", 0o640)
    except FileExistsError:
        raise Cannot("this job was begun before") from None
    except OSError as exc:
        raise Cannot(f"no room for its files: {exc.strerror}") from exc
    return started_at


def _carry_out(plan: Plan, manager: Optional[PackageManager], console: JobConsole) -> Outcome:
    if plan.verb not in VERBS:
        return Outcome("failed", None, 0, (), "job.unknown_verb", f"this version of Spider cannot {plan.verb[:40]!r}")
    if manager is None:
        console.say("No package manager that Spider knows owns this host.")
        return Outcome("failed", None, 0, (), "job.no_package_manager", "no package manager that Spider knows owns this host")
    try:
        return manager.perform(plan.verb, [str(name) for name in plan.args.get("packages", [])], console)
    except Exception as exc:
        logs.event(_log, "job_failed", level=logging.ERROR, exc_info=True)
        return Outcome("unknown", None, 0, (), "job.runner_failed", f"the runner failed: {type(exc).__name__}: {exc}")


def run_job(job: str, manager: Optional[PackageManager], boot: str, places: Optional[Places] = None) -> Result:
    """Run an accepted order to its end.

    Raises: Cannot: it is not begun, and nothing was run.
    """
    jobs = (places or Places()).jobs
    folder = os.path.join(jobs, job)
    plan = read_plan(folder)
    if plan is None or plan.job != job:
        raise Cannot("there is no such order")
    lock = take_lock(jobs)
    started_at = _begin(folder, boot)
    log = Log(os.path.join(folder, LOG))
    reporter = Reporter(os.path.join(folder, PROGRESS))
    terminal = Terminal(log, reporter)
    outcome = _carry_out(plan, manager, JobConsole(terminal, reporter))
    held = terminal.close()
    log.close()
    reporter.close()
    result = Result(
        state=outcome.state,
        rc=outcome.exit_code,
        signal=outcome.signal,
        bytes=log.bytes,
        lost=log.lost,
        sha256=log.sha256(),
        started_at=started_at,
        ended_at=time.time(),
        tty_held=held,
        changes=list(outcome.changes),
        error_code=outcome.error_code,
        error_text=outcome.error_text[:MAX_ERROR_TEXT],
    )
    write_result(folder, result)
    os.close(lock)
    return result


def main(argv: Optional[List[str]] = None) -> int:
    """`spider.pyz run JOB`, the program of `stardust-job@JOB.service`."""
    logs.set_up(style="json")
    words = argv or []
    if len(words) != 1 or not is_id(words[0]):
        print("run takes the id of an accepted job", file=sys.stderr)  # noqa: T201  # a person typed this
        return 64
    outlive_signals()
    logs.bind(job=words[0])
    try:
        result = run_job(words[0], package_manager(), os.environ.get("STARDUST_BOOT", ""))
    except Cannot as exc:
        logs.event(_log, "job_not_begun", level=logging.ERROR, why=str(exc))
        return 75
    logs.event(_log, "job_ended", state=result.state, rc=result.rc, bytes=result.bytes, lost=result.lost, error=result.error_code)
    return 0
