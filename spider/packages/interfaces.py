"""The interfaces between jobs and package managers."""

import subprocess
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

from spider.packages.plan import Plan, Planned
from spider.packages.report import Report
from spider.root.terminal import StopRule, TerminalEnded
from spider.wire.report_messages import Updates

ENVIRONMENT: Dict[str, str] = {
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "LANGUAGE": "",
    "TERM": "xterm-256color",
    "PAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "HOME": "/root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin",  # the last one is NixOS's alone
}
"""The environment of every package manager. No variable is inherited: COLUMNS, for one, changes the output."""


class PackagesUnreadable(Exception):
    """A query of the package manager failed; the text says why. The result is unknown, which differs from 'no updates'."""


class Task(NamedTuple):
    """A verb with its arguments. Root's launcher has validated them."""

    verb: str
    packages: Tuple[str, ...] = ()
    plan: str = ""
    """Digest of the approved plan: only this plan may run. Empty = no plan was approved."""
    target: str = ""
    """The verb that a job of the verb `plan` simulates; empty for every other verb."""


class Outcome(NamedTuple):
    """How a job ended. Exit status, the difference of the inventories and error lines decide together.

    Codes if nothing was changed: job.not_this_way (no package manager may change this system), job.not_supported, job.protected,
    job.lists_missing, job.reboot_inhibited, job.reboot_refused.
    Codes of which `changes` says whether something was changed: job.unknown_package, job.package_held, job.would_remove, job.plan_changed,
    job.packages_broken, job.lock_busy, job.no_space, job.unmet_dependencies, job.repository_stale, job.fetch_failed, job.script_failed,
    job.incomplete, job.stopped, job.timed_out, job.signal, job.package_manager (any other error of the package manager).
    Codes of jobs of units: job.no_systemd, job.unit_protected, job.unit_not_loaded, job.unit_unknown, job.unit_failed.
    Codes of jobs of containers: job.no_container_engine, job.no_such_container, job.container_unknown, job.container_failed.
    Codes of the runner: job.unknown_verb, job.no_package_manager, job.runner_failed.
    Codes without a result: job.never_began, job.killed, job.power_lost, job.shutdown_overran, job.no_trace, job.reboot_missing.
    """

    state: str
    """succeeded, failed, cancelled (stopped before anything was changed) or unknown."""
    exit_code: Optional[int]
    signal: int
    changes: Tuple[Tuple[str, str, str], ...]
    """Package, version before, version after; empty = not installed."""
    error_code: str = ""
    error_text: str = ""


class Output(NamedTuple):
    """Exit status and output of a short command."""

    rc: int
    out: str
    err: str


class Console(Protocol):
    """The console on which a job runs."""

    def print_line(self, text: str) -> None:
        """Write a line of Stardust's own into the job's log."""
        ...

    def progress(self, phase: str, percent: int = -1, package: str = "", text: str = "") -> None:
        """Report the phase of the job: refresh, plan, waiting_lock, download, commit, triggers or check. Args: percent: -1 = unknown."""
        ...

    def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        each_line: Callable[[str], object],
        each_status: Optional[Callable[[str], None]] = None,
        limits_s: Optional[Mapping[str, float]] = None,
        signals: Sequence[int] = ...,
        stop_rule: Optional[Callable[[str], StopRule]] = None,
    ) -> TerminalEnded:
        """Run a program on the job's terminal and log its output; see `Terminal.run`."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait for so many seconds, or until a stop is requested."""
        ...

    def stop_wanted(self) -> bool:
        """Whether a stop of the job was requested."""
        ...

    def planned(self, plan: Plan) -> None:
        """Publish the plan before it runs. Raises: OSError: it cannot be written."""
        ...

    def seen_plan(self, digest: str) -> Optional[Plan]:
        """The plan with this digest that an earlier job of this node made; None: no stored job has it."""
        ...

    def reported(self, report: Report) -> None:
        """Publish the report."""
        ...


class PackageCondition(NamedTuple):
    """The state of packages and repository lists. A field is None while its value is unknown."""

    faults: Optional[Sequence[Tuple[str, str]]] = None
    """Broken packages: name and fault. An empty name stands for the whole database."""
    repositories: Optional[Sequence[Tuple[str, float, str]]] = None
    """Enabled repositories: name, time of the last refresh (Unix seconds, 0 = no list), state of the list (current, missing,
    expired, refused or unknown)."""


class UpdateQuery(Protocol):
    """Read-only queries of a package manager that need no privileges."""

    @property
    def newer(self) -> Sequence[Planned]:
        """The packages that the last `available_updates` counted."""
        ...

    def held(self) -> Sequence[Tuple[str, str, str]]:
        """Packages that stay as they are: name, version, and why (held, phased). Raises: PackagesUnreadable."""
        ...

    def condition(self) -> PackageCondition:
        """Package faults and the age of the lists, asked now or by the last `available_updates`; may block for some seconds."""
        ...

    def available_updates(self) -> Optional[Updates]:
        """Count the available upgrades; blocks for some seconds, at worst for minutes.

        Returns: None: no package manager can list updates.
        Raises:  PackagesUnreadable.
        """
        ...


class PackageManager(UpdateQuery, Protocol):
    """A package manager that root's runner uses, inside a job's unit."""

    name: str

    def perform(self, task: Task, console: Console) -> Outcome:
        """Run one verb. Errors of the package manager are in the outcome, never raised."""
        ...

    def wait_free(self, console: Console) -> Optional[Outcome]:
        """Wait until the package lock is free. Returns: the outcome if the job was stopped or waited too long; else None."""
        ...


def run_query(argv: Sequence[str], env: Mapping[str, str], limit_s: float = 120.0, stdin: str = "") -> Output:
    """Run a read-only command and return its output. Its exit status is not checked.

    Args:   stdin: its standard input.
    Raises: PackagesUnreadable: the program is missing or exceeds the limit.
    """
    try:
        done = subprocess.run(list(argv), env=dict(env), input=stdin.encode(), capture_output=True, timeout=limit_s, check=False, cwd="/")
    except subprocess.TimeoutExpired as exc:
        raise PackagesUnreadable(f"{argv[0]} did not end within {limit_s:.0f} s") from exc
    except OSError as exc:
        raise PackagesUnreadable(f"{argv[0]}: {exc.strerror}") from exc
    return Output(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def query_output(argv: Sequence[str], env: Mapping[str, str]) -> str:
    """The standard output of a read-only command.

    Raises: PackagesUnreadable: as `run_query`, or the command failed.
    """
    answer = run_query(argv, env)
    if answer.rc:
        raise PackagesUnreadable(f"{argv[0]}: exit status {answer.rc}: {answer.err.strip()[:300]}")
    return answer.out
