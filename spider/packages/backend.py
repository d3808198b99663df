"""The interface of a package manager. `driver.py` runs each verb through it, in the same steps for all managers.

A backend runs queries, builds argument lists and parses output. The driver decides whether a job may run, waits, compares digests
and forms outcomes. Backends run as root inside a job's unit. If the manager allows it, `inventory`, `simulate`,
`lists_refreshed_at` and `available_updates` also work as any user.
"""

import re
import signal
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type, TypeVar, Union

from spider.packages.interfaces import ENVIRONMENT, Console
from spider.packages.plan import UNKNOWN, Inventory, Plan, Planned
from spider.root.terminal import StopRule, TerminalEnded
from spider.wire.report_messages import Updates
from spider.wire.sentences import sentence


class PackageError(Exception):
    """The job ends before anything was changed. `code` is one of the codes of `Outcome`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


_T = TypeVar("_T")


def need_repositories(enabled: Sequence[_T]) -> Sequence[_T]:
    """Refuse to report updates if no repository is enabled: "0 updates" would be wrong.

    Args:    enabled: the enabled repositories, or their expected lists.
    Returns: `enabled`.
    Raises:  PackageError: no repository is enabled.
    """
    if not enabled:
        raise PackageError(
            "job.lists_missing", "no repository is enabled on this node, so nothing is known of updates: enable one, then refresh"
        )
    return enabled


class Lock(NamedTuple):
    """A lock that another process holds."""

    file: str
    pid: str = ""
    """Empty = unknown."""
    name: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return sentence("phase.waits_for_lock", file=self.file)
        if not self.name:
            return sentence("phase.waits_for_process", pid=self.pid)
        return sentence("phase.waits_for_program", program=self.name, pid=self.pid)


STOP_NOW = StopRule("now", sentence("stop.nothing_changed"), (signal.SIGINT, signal.SIGTERM))
STOP_AFTER_STEP = StopRule("after_package", sentence("stop.after_step"))
STOP_TOO_LATE = StopRule("too_late", sentence("stop.last_step"))
PHASES_BEFORE_COMMIT = ("refresh", "plan", "waiting_lock", "download")


class Command(NamedTuple):
    """One program of the manager, run on the job's terminal without a shell.

    Package names come last, after `--` if the program supports it.
    """

    argv: Tuple[str, ...]
    """`{fd}` stands for the number of the descriptor whose lines go to `OutputReader.status`."""
    phase: str = "commit"
    """The first phase. The reader reports later phases."""
    limits_s: Mapping[str, float] = {}
    """The time limit of each phase. Commit and triggers have no limit, since an installation is never interrupted."""
    signals: Tuple[int, ...] = (signal.SIGINT,)
    """Signals that are sent in turn after a time limit. A signal that the phase's stop rule lacks is not sent."""
    env: Mapping[str, str] = {}
    """Additions to the backend's environment."""
    stops_on_failure: bool = True
    """Whether a failure skips the following commands."""
    always: bool = False
    """True for a command that cleans up: it runs even after a failure or a stop request."""
    stoppable: bool = True
    """False: the command runs to its end, and a stop request takes effect after it."""
    stop_rule: Optional[Callable[[str], StopRule]] = None
    """The stop rule of each phase; None = the backend's stop rules."""


class OwnStep(NamedTuple):
    """A Python step, such as an edit of the manager's settings."""

    log_line: str
    """A line for the job's log before the step; empty = none."""
    do: Callable[[], None]
    """Raises: PackageError, OSError."""


class Replan(NamedTuple):
    """Make the plan again directly before the next command. The job continues only if the new plan equals the shown plan.

    This serves managers that cannot be bound to a plan completely.
    """

    plan: Callable[[], Plan]
    """Makes a plan as fast as possible, with its steps only."""


Action = Union[Command, OwnStep, Replan]


class OutputReader:
    """Parses the output of one command: progress, error lines, and the lock that the command waits for. Backends derive readers from it."""

    MAX_TROUBLES = 200
    TROUBLE = re.compile(r"^(?:E|W|Err|error|warning|Error|Warning|ERROR|WARNING)\b.*\S")

    def __init__(self, console: Console) -> None:
        self.console = console
        self.troubles: List[str] = []
        """Error lines of the manager, at most MAX_TROUBLES."""
        self.lock: Optional[Lock] = None
        """The last lock in the output."""
        self.notes: List[str] = []
        """Sentences for the job's report."""

    def line(self, text: str) -> None:
        """Parse a line of output. Its colours, and text that a carriage return overwrote, are already removed."""
        if self.TROUBLE.match(text):
            self.trouble(text)

    def status(self, text: str) -> None:
        """Parse a line that the command wrote to its status descriptor."""

    def trouble(self, text: str) -> None:
        """Store an error line."""
        if len(self.troubles) < self.MAX_TROUBLES and text not in self.troubles:
            self.troubles.append(text)

    def waits(self, lock: Lock) -> None:
        """Record that the manager waits for a lock."""
        self.lock = lock
        self.console.progress("waiting_lock", text=str(lock))


class Failure(NamedTuple):
    """Code and text of a failed command."""

    code: str
    text: str


class Reboot(NamedTuple):
    """Whether this host needs a reboot, by the manager's own check."""

    required: str = UNKNOWN
    """yes, no or unknown."""
    why: str = ""


class PackageList(NamedTuple):
    """The lists of one enabled repository."""

    name: str
    refreshed_at: float
    """When its list was last refreshed, Unix seconds; 0 = it has no list."""
    expired: bool = False
    """Whether the list has expired by the repository's own date."""


class Backend:
    """One package manager. Backends override the defaults of this class."""

    name = ""
    """The name as in `Identity.package_manager`."""
    environment: Mapping[str, str] = ENVIRONMENT
    """The environment of all commands: `interfaces.ENVIRONMENT` and the manager's own variables."""
    cache_dir = "/var/cache"
    """The download folder. If it does not exist, its nearest parent is checked for free space."""
    codes: Sequence[Tuple[str, str]] = ()
    """Parts of error lines with their code of `Outcome`. The first part that an error text contains decides."""
    reader_type: Type[OutputReader] = OutputReader
    commit_stop: StopRule = STOP_TOO_LATE
    """The stop rule of the commit phase."""
    list_files: Sequence[str] = ()
    """The command that prints the files of installed packages. Their names are appended to it. Empty = there is none."""
    kernels: "re.Pattern[str]"
    """Matches the names of packages that put a kernel into /boot."""
    newer: Sequence[Planned] = ()
    """The packages that the last `available_updates` counted."""
    deferred: Sequence[str] = ()
    """Packages whose update comes to this host later, since it is offered to a part of all hosts at a time, as of the same query."""

    def cannot(self, verb: str, packages: Sequence[str]) -> str:
        """Why this manager cannot run the verb here, as a sentence that names the alternative. Empty = it can."""
        del verb, packages
        return ""

    def inventory(self) -> Inventory:
        """All installed packages.

        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def broken(self, inventory: Inventory) -> str:
        """Find faults of the manager's database: half-configured packages, duplicates, an unfinished transaction, a stale lock file.

        Returns: a sentence that names at most 20 packages; empty = no fault.
        """
        raise NotImplementedError

    def lock(self) -> Optional[Lock]:
        """The process that holds the package lock, found by `locks.py`. None: the lock is free, or its state is unknown."""
        raise NotImplementedError

    def lists_refreshed_at(self) -> float:
        """When the package lists were last refreshed, Unix seconds; 0 = never or unknown.

        The driver itself adds the time of the last job that refreshed them (`jobs/.refreshed`).

        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def lists(self) -> Optional[List[PackageList]]:
        """The enabled repositories; works as any user. None: this manager has no such list.

        Raises: PackagesUnreadable. PackageError: no repository is enabled (apk).
        """
        return None

    def missing(self) -> List[str]:
        """Repositories without a complete list on this host; works as any user.

        Raises: PackagesUnreadable. PackageError: no repository is enabled (`need_repositories`).
        """
        raise NotImplementedError

    def unknown(self, packages: Sequence[str]) -> List[str]:
        """The names in `packages` that the manager's lists do not contain exactly (for `install`).

        A name such as `sudo-`, a pattern, a group, a path and a provided name count as unknown.

        Raises: PackagesUnreadable. PackageError: this host has no lists.
        """
        raise NotImplementedError

    def protected(self, packages: Sequence[str]) -> List[str]:
        """The names in `packages` that the host or Spider needs, such as the packages of python3 and systemd.

        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        """The exact plan of a verb that changes packages, with the packages that are kept back. Changes nothing and waits for no lock.

        Args:   packages: empty except for install, remove and an upgrade of chosen packages.
        Raises: PackagesUnreadable: the manager fails, or its output is unknown. PackageError: an error with a code.
        """
        raise NotImplementedError

    def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:
        """The steps of any verb except check, plan and reboot. They run in order until a required step fails.

        They do nothing beyond the plan. A hook (`transaction_hook.py`) or a list of allowed packages binds the manager to the plan,
        or `Replan` makes the plan again directly before the change.
        """
        raise NotImplementedError

    def reader(self, verb: str, console: Console) -> OutputReader:
        """A new reader for one command of this verb."""
        del verb
        return self.reader_type(console)

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Optional[Failure]:
        """The failure of a command by status and output. None: it succeeded. (A few nonzero statuses mean success.)

        The driver itself detects signals, time limits, stops, broken packages and missing steps.
        Codes: those of `codes`, job.plan_changed (the hook refused), job.repository_stale, job.lock_busy, job.lists_missing,
        job.unknown_package, job.script_failed, job.packages_broken, and job.package_manager for any other failure.
        """
        raise NotImplementedError

    def code_in(self, text: str, otherwise: str = "job.package_manager") -> str:
        """The code of an error text."""
        return next((code for words, code in self.codes if words in text), otherwise)

    def stop_rule(self, phase: str) -> StopRule:
        """The stop rule of a phase."""
        return STOP_NOW if phase in PHASES_BEFORE_COMMIT else self.commit_stop

    def reboot_required(self) -> Reboot:
        """The result of the manager's own check (`/run/reboot-required`, `needs-restarting -r`, `needs-rebooting`)."""
        return Reboot()

    def available_updates(self) -> Updates:
        """Count the upgrades of `full-upgrade`, as any user and without a change; blocks for some seconds, at worst for minutes.

        The backend of apk counts the upgrades of `upgrade`, since its `full-upgrade` also downgrades.

        Raises: PackagesUnreadable: the number is unknown. PackageError.
        """
        raise NotImplementedError
