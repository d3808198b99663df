"""The runner, the program of a job's unit. It runs one accepted order on a terminal of its own and records the result.

It depends on no other process: Spider, the launcher and the hub may all have ended. All its modules are imported before the first package
changes, because an upgrade may replace Python and Spider's own files.
"""

import json
import logging
import os
import signal
import sys
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from spider import logs
from spider.files import create_once, read_file
from spider.jobs.files import (
    JOBS_DIR,
    LOCK,
    LOG,
    MARKS,
    PROGRESS,
    REBOOT,
    RESULT,
    RESULT_RESERVE_BYTES,
    RUN,
    STOPPED,
    STOPPED_RESERVE_BYTES,
    AcceptedOrder,
    JobResult,
    lock_of,
    read_plan,
    reserve,
    write_document,
    write_result,
)
from spider.jobs.marks import MarkWriter
from spider.packages.after.post_checks import need_of_reboot
from spider.packages.detect import package_manager
from spider.packages.interfaces import Outcome, PackageManager, Task
from spider.root import reboot
from spider.root.bytecode import write_bytecode
from spider.root.container_actions import ContainerActions
from spider.root.job_console import JobConsole, StopRequest
from spider.root.job_lock import JobNotStarted, take_lock
from spider.root.named_actions import ACTIONS_DIR, WORK_LIMIT_S, NamedActions
from spider.root.order_args import TIMEOUT
from spider.root.terminal import Log, OutputReporter, Terminal
from spider.root.trusted_files import Untrusted, owner_or_root
from spider.root.unit_actions import UnitActions
from spider.selfcare import rekey, self_update, uninstall_job
from spider.wire import verbs
from spider.wire.arg_kinds import ACTION, CONTAINER, UNITS
from spider.wire.ids import is_id
from spider.wire.sentences import sentence

MAX_ERROR_TEXT = 2000
REBOOTING = "rebooting"
"""State of a job that has no result yet, because its server shuts down for the reboot."""
_IGNORED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)

_log = logging.getLogger("spider.root.runner")


class RunnerPaths(NamedTuple):
    """Paths of the runner."""

    jobs: str = JOBS_DIR
    """The folder with a folder for each job."""
    actions: str = ACTIONS_DIR
    actions_owner: int = 0
    """The required owner of the files of actions."""
    only_actions: bool = False
    """Whether this runner is not root's, and runs the actions of one user alone."""


def ignore_signals() -> None:
    """Ignore signals. A shutdown sends SIGTERM and then waits for this unit, so the job runs to its end.

    Children start with default handlers.
    """
    for number in _IGNORED:
        signal.signal(number, lambda *_: None)


def _begin(folder: str, boot: str) -> Tuple[float, Log, OutputReporter]:
    """Create the job's files, and reserve the space for its end. Then write the file `run`: it marks the job as begun for ever.

    Returns: when the job began, Unix seconds; its log and its progress.
    Raises:  JobNotStarted: the job was begun before, or the disk is full.
    """
    started_at = time.time()
    run = {"pid": os.getpid(), "boot": boot, "invocation": os.environ.get("INVOCATION_ID", ""), "started_at": started_at}
    try:
        reserve(os.path.join(folder, RESULT + ".tmp"), RESULT_RESERVE_BYTES)
        reserve(os.path.join(folder, STOPPED + ".tmp"), STOPPED_RESERVE_BYTES)
        log = Log(os.path.join(folder, LOG), marks=MarkWriter(os.path.join(folder, MARKS)))
        reporter = OutputReporter(os.path.join(folder, PROGRESS))
        create_once(os.path.join(folder, RUN), json.dumps(run).encode() + b"\n", 0o640)
    except FileExistsError:
        raise JobNotStarted("this job was begun before") from None
    except OSError as exc:
        raise JobNotStarted(f"no room for its files: {exc.strerror}") from exc
    return started_at, log, reporter


def _task(plan: AcceptedOrder) -> Task:
    args = plan.args
    packages = tuple(str(name) for name in args.get("packages", []))
    return Task(plan.verb, packages, str(args.get("plan", "")), str(args.get("for", "")))


def _prepare_reboot(manager: Optional[PackageManager], console: JobConsole) -> Outcome:
    """Wait until no program changes packages, and check for shutdown inhibitors.

    Returns: an outcome with the state REBOOTING: the reboot may be requested now. Any other outcome ends the job.
    """
    console.progress("plan")
    if manager is not None:
        early = manager.wait_free(console)
        if early is not None:
            return early
    try:
        reboot.check_inhibitors()
    except reboot.Inhibited as exc:
        console.print_line(f"A program prevents the reboot: {exc}")
        return Outcome("failed", None, 0, (), "job.reboot_inhibited", f"a program prevents the reboot: {exc}")
    if console.stop_wanted():
        return Outcome("cancelled", None, 0, (), "job.stopped", "it was stopped before the server was asked to reboot")
    console.progress("commit", text=sentence("phase.shutting_down"))
    console.print_line("Rebooting. Services, ports, mounts and default routes are compared before and after.")
    return Outcome(REBOOTING, None, 0, ())


def _run_action(plan: AcceptedOrder, names: Tuple[str, ...], console: JobConsole, paths: RunnerPaths) -> Outcome:
    return NamedActions(console, paths.actions, paths.actions_owner, plan.args.get(TIMEOUT, WORK_LIMIT_S)).run(*names)


_OF_KIND: Dict[str, Callable[[AcceptedOrder, Tuple[str, ...], JobConsole, RunnerPaths], Outcome]] = {
    UNITS.name: lambda plan, names, console, _paths: UnitActions(console).perform(plan.verb, names),
    ACTION.name: _run_action,
    CONTAINER.name: lambda _plan, names, console, _paths: ContainerActions(console).restart(*names),
}
"""Who does the work of verbs of a kind, by order and names. The package manager does all other work."""


def _carry_out(plan: AcceptedOrder, manager: Optional[PackageManager], console: JobConsole, paths: RunnerPaths) -> Outcome:
    if plan.verb not in verbs.VERBS:
        return Outcome("failed", None, 0, (), "job.unknown_verb", f"this version of Spider cannot {plan.verb[:40]!r}")
    if plan.verb == verbs.REBOOT:
        return _prepare_reboot(manager, console)
    kind = verbs.VERBS[plan.verb].kind
    if kind is not None and kind.name in _OF_KIND:
        return _OF_KIND[kind.name](plan, kind.from_order(plan.args[kind.name]), console, paths)
    if manager is None:
        console.print_line("No package manager that Spider knows owns this host.")
        return Outcome("failed", None, 0, (), "job.no_package_manager", "no package manager that Spider knows owns this host")
    return manager.perform(_task(plan), console)


def _run_selfcare(plan: AcceptedOrder, console: JobConsole, boot: str) -> Outcome:
    """Run a selfcare verb, which changes Spider itself and no package."""
    if plan.verb == verbs.REKEY:
        return rekey.rekey(plan.job, plan.args, console, rekey.RekeyPaths())
    if plan.verb == verbs.UNINSTALL:
        return uninstall_job.start_uninstall(plan.job, boot, console)
    paths, systemctl = self_update.here()
    return self_update.update(plan.args, console, paths, systemctl)


def _guarded(work: Callable[[], Outcome]) -> Outcome:
    try:
        return work()
    except Exception as exc:
        logs.event(_log, "job_failed", level=logging.ERROR, exc_info=True)
        return Outcome("unknown", None, 0, (), "job.runner_failed", f"the runner failed: {type(exc).__name__}: {exc}")


def run_job(job: str, manager: Optional[PackageManager], boot: str, paths: Optional[RunnerPaths] = None) -> Optional[JobResult]:
    """Run an accepted order to its end.

    Args:    manager: None: Spider supports no package manager here. boot: id of this boot.
    Returns: the result; None: the server now shuts down for a reboot, and Spider reports the end after the boot.
    Raises:  JobNotStarted.
    """
    paths = paths or RunnerPaths()
    jobs = paths.jobs
    folder = os.path.join(jobs, job)
    plan = read_plan(folder)
    if plan is None or plan.job != job:
        raise JobNotStarted("there is no such order")
    name = lock_of(plan.verb)
    lock = take_lock(jobs, name=name)
    if name == LOCK and not paths.only_actions:  # a job with the other lock may run beside one that writes these files
        _forget_keys(job)
        write_bytecode()
    started_at, log, reporter = _begin(folder, boot)
    before = reboot.read_reboot_state() if plan.verb == verbs.REBOOT else None
    stop_request = StopRequest(folder, reporter)
    terminal = Terminal(log, reporter, stop_request)
    console = JobConsole(folder, terminal, reporter, stop_request)
    for line in [] if before is None else reboot.not_coming_back(before, read_file("/proc/1/mountinfo"), read_file("/etc/fstab")):
        console.print_line(line)
    verb = verbs.VERBS.get(plan.verb)
    is_selfcare = verb is not None and verb.selfcare
    outcome = _guarded(lambda: _run_selfcare(plan, console, boot) if is_selfcare else _carry_out(plan, manager, console, paths))
    terminal.close()
    log.close()
    reporter.close()
    if outcome.state == REBOOTING and before is not None:
        need = need_of_reboot("" if manager is None else manager.name)
        reboot_request = reboot.RebootRequest(boot, time.time(), before, log.bytes, log.sha256(), log.lost, *need)
        try:
            write_document(folder, REBOOT, reboot.to_document(reboot_request), durable=True)
            refused = reboot.request_reboot()
        except OSError as exc:
            refused = f"the state before the reboot could not be written: {exc.strerror}"
        if not refused:
            os.close(lock)
            return None
        outcome = Outcome("failed", None, 0, (), "job.reboot_refused", f"the reboot was refused: {refused}")
    result = JobResult(
        state=outcome.state,
        rc=outcome.exit_code,
        signal=outcome.signal,
        bytes=log.bytes,
        lost=log.lost,
        sha256=log.sha256(),
        started_at=started_at,
        ended_at=time.time(),
        changes=list(outcome.changes),
        error_code=outcome.error_code,
        error_text=outcome.error_text[:MAX_ERROR_TEXT],
    )
    write_result(folder, result)
    os.close(lock)
    return result


def _install_command() -> None:
    """Install root's command `stardust-spider`. It may be missing or outdated after an update from an older version."""
    if uninstall_job.is_command_new():
        return
    from spider.selfcare import uninstall  # noqa: PLC0415 - needed once in the life of an installation

    why = uninstall.install_command()
    if why:
        logs.event(_log, "command_not_given", level=logging.WARNING, why=why)


def _forget_keys(job: str) -> None:
    """Remove former keys that have expired."""
    try:
        rekey.forget_expired(rekey.RekeyPaths(), job)
    except (OSError, Untrusted, ValueError) as exc:
        logs.event(_log, "former_keys_stay", level=logging.WARNING, why=str(exc))


def main(argv: Optional[List[str]] = None) -> int:
    """`spider.pyz run JOB`, the program of `stardust-job@JOB.service`. Returns the exit status.

    For a Spider that serves one user it gets two words more: the folder of jobs, and that of actions.
    """
    logs.set_up(style="json")
    words = argv or []
    if len(words) not in (1, 3) or not is_id(words[0]):
        print("run takes the id of an accepted job", file=sys.stderr)  # noqa: T201  # for the person who typed this
        return 64
    ignore_signals()
    logs.bind(job=words[0])
    paths, manager = RunnerPaths(), None
    if words[1:]:
        paths = RunnerPaths(words[1], words[2], owner_or_root(words[2]), only_actions=True)
    else:
        _install_command()
        manager = package_manager()
    try:
        result = run_job(words[0], manager, os.environ.get("STARDUST_BOOT", ""), paths)
    except JobNotStarted as exc:
        logs.event(_log, "job_not_begun", level=logging.ERROR, why=str(exc))
        return 75
    if result is None:
        logs.event(_log, "host_reboots")
        return 0
    logs.event(_log, "job_ended", state=result.state, rc=result.rc, bytes=result.bytes, lost=result.lost, error=result.error_code)
    return 0
