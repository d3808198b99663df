"""The interface of one package manager, by which `driver.py` runs every verb in the same steps.

A backend runs queries, builds argument lists and parses output. It never decides whether a job may run, never waits, never
checks a digest and never forms an outcome: the driver does that for all backends. Backends run as root inside a job's unit.
`inventory`, `simulate`, `lists_refreshed_at` and `available_updates` also run as any user if the manager allows it.
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
    """The job ends and nothing was changed; `code` is one of those of `Outcome`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


_T = TypeVar("_T")


def need_repositories(enabled: Sequence[_T]) -> Sequence[_T]:
    """Refuse to report updates if no repository is enabled: "0 updates" would be wrong.

    Args:    enabled: the enabled repositories, or their expected lists.
    Returns: the same.
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
    """`{fd}` is replaced by the number of the descriptor for `OutputReader.status`."""
    phase: str = "commit"
    """The first phase; the reader sets later ones."""
    limits_s: Mapping[str, float] = {}
    """The time limit of each phase. Commit and triggers have none, since an installation is never interrupted."""
    signals: Tuple[int, ...] = (signal.SIGINT,)
    """Signals to send in turn after a limit, as far as the stop rule of the phase allows them."""
    env: Mapping[str, str] = {}
    """Additions to the backend's environment."""
    stops_on_failure: bool = True
    """Whether a failure skips the following commands."""
    always: bool = False
    """Whether it runs even after a failure or a stop request, since it cleans up."""
    stoppable: bool = True
    """False: it always runs to its end. A stop request then takes effect after it."""
    stop_rule: Optional[Callable[[str], StopRule]] = None
    """Stop rules of this command; None = those of the backend."""


class OwnStep(NamedTuple):
    """A Python step, such as an edit of the manager's settings. Raises PackageError or OSError."""

    says: str
    """Text for the job's log before the step; empty = none."""
    do: Callable[[], None]


class Replan(NamedTuple):
    """Make the plan again directly before the next command, and continue only if it equals the shown one.

    For managers that cannot be bound to a plan completely.
    """

    plan: Callable[[], Plan]
    """Makes a plan with steps only, as fast as possible."""


Action = Union[Command, OwnStep, Replan]


class OutputReader:
    """Parses the output of one command: progress, error lines, and the lock that it waits for. Backends derive their own readers."""

    MOST = 200
    TROUBLE = re.compile(r"^(?:E|W|Err|error|warning|Error|Warning|ERROR|WARNING)\b.*\S")

    def __init__(self, console: Console) -> None:
        self.console = console
        self.troubles: List[str] = []
        """Error lines of the manager, at most MOST."""
        self.lock: Optional[Lock] = None
        """The last lock in the output."""
        self.notes: List[str] = []
        """Sentences for the job's report."""

    def line(self, text: str) -> None:
        """Parse a line of output, without colours and text that a carriage return overwrote."""
        if self.TROUBLE.match(text):
            self.trouble(text)

    def status(self, text: str) -> None:
        """Parse a line of the status descriptor, if the command has one."""

    def trouble(self, text: str) -> None:
        """Store an error line."""
        if len(self.troubles) < self.MOST and text not in self.troubles:
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
    """The download folder. If it does not exist, its nearest parent counts."""
    codes: Sequence[Tuple[str, str]] = ()
    """Patterns of error lines with their code of `Outcome`; the first match counts."""
    reader_type: Type[OutputReader] = OutputReader
    commit_stop: StopRule = STOP_TOO_LATE
    """The stop rule of the commit phase."""
    list_files: Sequence[str] = ()
    """The command that prints the files of installed packages, whose names follow; empty = none."""
    kernels: "re.Pattern[str]"
    """The names of packages that put a kernel into /boot."""
    newer: Sequence[Planned] = ()
    """The packages that the last `available_updates` counted."""

    def cannot(self, verb: str, packages: Sequence[str]) -> str:
        """Why this manager or host cannot run the verb, as a sentence with the alternative (read-only root …). Empty = it can."""
        del verb, packages
        return ""

    def inventory(self) -> Inventory:
        """All installed packages.

        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def broken(self, inventory: Inventory) -> str:
        """The faults of the manager's database: half-configured packages, duplicates, an unfinished transaction, a stale
        lock file. Changes nothing. Empty = none; else a sentence (at most 20 packages)."""
        raise NotImplementedError

    def lock(self) -> Optional[Lock]:
        """The current holder of the package lock, by `locks.py`. None: it is free or unknown."""
        raise NotImplementedError

    def lists_refreshed_at(self) -> float:
        """When the package lists were last refreshed, Unix seconds; 0 = never or unknown. It may ignore `jobs/.refreshed`,
        which the driver reads itself.

        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def lists(self) -> Optional[List[PackageList]]:
        """The enabled repositories; works as any user. None: this manager has no such list.

        Raises: PackagesUnreadable.
        """
        return None

    def missing(self) -> List[str]:
        """Repositories without a complete list on this host; works as any user.

        Raises: PackagesUnreadable. PackageError: no repository is enabled (`need_repositories`).
        """
        raise NotImplementedError

    def unknown(self, packages: Sequence[str]) -> List[str]:
        """Those of `packages` that are not exact names in the manager's lists (for `install`).

        They look like names, but `sudo-`, patterns, groups, paths and provided names count as unknown.
        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def protected(self, packages: Sequence[str]) -> List[str]:
        """Those of `packages` that the host or Spider needs, such as the owners of python3 and systemd."""
        raise NotImplementedError

    def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        """The exact plan of upgrade, full-upgrade, security-upgrade, install, remove or autoremove, with the packages that are kept back.

        Changes nothing and waits for no lock. `packages` is empty except for install, remove and an upgrade of chosen packages.
        Raises: PackagesUnreadable: the manager fails, or its output is unknown. PackageError: an error with a code.
        """
        raise NotImplementedError

    def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:
        """The steps of any verb except check, plan and reboot. They run in order until a required one fails.

        They can do nothing beyond the plan. Either the manager itself is bound to it (`gate.py`, a list of allowed packages), or
        `Replan` makes the plan again directly before the change, or both.
        """
        raise NotImplementedError

    def reader(self, verb: str, console: Console) -> OutputReader:
        """A new reader for one command of this verb."""
        del verb
        return self.reader_type(console)

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Optional[Failure]:
        """The failure of a command by status and output; None: it succeeded (some nonzero statuses mean success with remarks).

        The driver itself detects signals, time limits, stops, broken packages and missing steps.
        Codes: job.lock_busy, job.no_space, job.fetch_failed, job.repository_stale, job.package_held, job.unmet_dependencies,
        job.script_failed, job.packages_broken, job.package_manager for the rest.
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
        """Count the upgrades of `full-upgrade`, without privileges and changes; blocks for up to a minute. With apk, whose `full-upgrade`
        also downgrades, those of `upgrade`.

        Raises: PackagesUnreadable: the number is unknown. PackageError.
        """
        raise NotImplementedError
