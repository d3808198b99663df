"""What Spider asks of a package manager, and what it hears back."""

import subprocess
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

from spider.packages.plan import Plan, Planned
from spider.packages.report import Report
from spider.root.terminal import StopRule, TerminalEnded
from spider.wire.frames import Updates

ENVIRONMENT: Dict[str, str] = {
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "LANGUAGE": "",
    "TERM": "xterm-256color",
    "PAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "HOME": "/root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
"""Of every package manager: nothing of the caller's own comes through, COLUMNS least of all."""


class PackagesUnreadable(Exception):
    """The package manager could not be asked; the text says why. It is not the same as 'no updates'."""


class Task(NamedTuple):
    """One verb of the policy with its arguments, as root's launcher let it through."""

    verb: str
    packages: Tuple[str, ...] = ()
    plan: str = ""
    """Digest of the plan that a person saw: nothing else is done. Empty = none was shown."""
    target: str = ""
    """For `plan`: the verb to plan."""


class Outcome(NamedTuple):
    """How a job ended: exit status, difference of the inventories and error lines taken together.

    Codes, nothing was changed: job.not_this_way (no verb can, the system is changed otherwise), job.not_supported,
    job.unknown_package, job.package_held, job.protected, job.would_remove, job.plan_changed, job.packages_broken,
    job.lists_missing, job.lock_busy, job.no_space, job.unmet_dependencies, job.host_stopping, job.reboot_inhibited, job.reboot_refused.
    Something may have been: job.repository_stale, job.fetch_failed, job.script_failed, job.incomplete, job.stopped, job.timed_out,
    job.signal, job.package_manager (any other error of its own).
    Of the runner: job.unknown_verb, job.no_package_manager, job.runner_failed.
    Told without a result: job.never_began, job.killed, job.power_lost, job.shutdown_overran, job.no_trace, job.reboot_missing.
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
    """What a short command printed."""

    rc: int
    out: str
    err: str


class Console(Protocol):
    """Where a job is run and watched."""

    def print_line(self, text: str) -> None:
        """Put a line of our own into the job's log."""
        ...

    def progress(self, phase: str, percent: int = -1, package: str = "", text: str = "") -> None:
        """Tell where the job stands: refresh, plan, waiting_lock, download, commit, triggers or check."""
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
        """Run a program on the job's terminal, its output in the job's log; `Terminal.run` says more."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass, less when a stop is wished."""
        ...

    def stop_wanted(self) -> bool:
        """Whether somebody wishes that the job stops."""
        ...

    def planned(self, plan: Plan) -> None:
        """Make the plan known before anything of it is done."""
        ...

    def seen_plan(self, digest: str) -> Optional[Plan]:
        """A plan that an earlier job of this node showed; None: its files are gone."""
        ...

    def reported(self, report: Report) -> None:
        """Make known what is left to be looked after."""
        ...


class PackageCondition(NamedTuple):
    """Whether packages and lists of repositories are in order. None: it could not be found out this time."""

    faults: Optional[Sequence[Tuple[str, str]]] = None
    """Packages with what is wrong, by name; an empty name stands for the database as a whole."""
    repositories: Optional[Sequence[Tuple[str, float, str]]] = None
    """Enabled repositories: name, when the list was last refreshed (Unix seconds, 0 = unknown), state of the list (`LIST_STATES`)."""


LIST_STATES = ("current", "missing", "expired", "refused", "unknown")


class UpdateQuery(Protocol):
    """What a package manager tells without privileges and without changing anything."""

    @property
    def newer(self) -> Sequence[Planned]:
        """What the last `available_updates` has counted, package by package."""
        ...

    def held(self) -> Sequence[Tuple[str, str]]:
        """Packages, with their versions, that the owner of this host does not want changed. Raises: PackagesUnreadable."""
        ...

    def condition(self) -> PackageCondition:
        """Faults of packages and the age of lists; blocks for some seconds."""
        ...

    def available_updates(self) -> Optional[Updates]:
        """Count what could be upgraded; blocks for up to a minute.

        Returns: None: nobody here can tell.
        Raises:  PackagesUnreadable.
        """
        ...


class PackageManager(UpdateQuery, Protocol):
    """One family of package managers. Runs as root inside a job's unit."""

    name: str

    def perform(self, task: Task, console: Console) -> Outcome:
        """Carry out one verb of the policy. Never raises for what the package manager did."""
        ...

    def wait_free(self, console: Console) -> Optional[Outcome]:
        """Wait until nobody changes packages. Returns: why the job ends here; None: it is free."""
        ...


def run_query(argv: Sequence[str], env: Mapping[str, str], limit_s: float = 120.0, stdin: str = "") -> Output:
    """Run a command that changes nothing and keep what it says.

    Args:   told: what it reads from its standard input.
    Raises: PackagesUnreadable: it is not there or does not end.
    """
    try:
        done = subprocess.run(list(argv), env=dict(env), input=stdin.encode(), capture_output=True, timeout=limit_s, check=False, cwd="/")
    except subprocess.TimeoutExpired as exc:
        raise PackagesUnreadable(f"{argv[0]} did not end within {limit_s:.0f} s") from exc
    except OSError as exc:
        raise PackagesUnreadable(f"{argv[0]}: {exc.strerror}") from exc
    return Output(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def query_output(argv: Sequence[str], env: Mapping[str, str]) -> str:
    """What such a command prints.

    Raises: PackagesUnreadable: it fails, too.
    """
    answer = run_query(argv, env)
    if answer.rc:
        raise PackagesUnreadable(f"{argv[0]}: exit status {answer.rc}: {answer.err.strip()[:300]}")
    return answer.out
