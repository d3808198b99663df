"""What one package manager must tell and do, so that `driver.py` can perform every verb the same way on all of them.

A backend is small: it asks, it builds argument lists, it reads texts. It never decides whether a job may run, never waits,
never looks at a digest and never forms an outcome: the driver does that once for all. Backends run as root inside a job's
unit; `inventory`, `simulate`, `lists_refreshed_at` and `available_updates` also as any user, where the manager allows it.
"""

import re
import signal
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type, TypeVar, Union

from spider.packages.interfaces import ENVIRONMENT, Console
from spider.packages.plan import UNKNOWN, Inventory, Plan, Planned
from spider.root.terminal import StopRule, TerminalEnded
from spider.wire.frames import Updates


class PackageError(Exception):
    """The job ends here, nothing was changed; `code` is one of those that `Outcome` lists."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


_T = TypeVar("_T")


def need_repositories(enabled: Sequence[_T]) -> Sequence[_T]:
    """Without a repository nothing is known of updates: "0 updates" would be a lie.

    Args:    enabled: the enabled repositories, or the lists that are expected of them.
    Returns: the same.
    Raises:  PackageError: there are none.
    """
    if not enabled:
        raise PackageError(
            "job.lists_missing", "no repository is enabled on this node, so nothing is known of updates: enable one, then refresh"
        )
    return enabled


class Lock(NamedTuple):
    """A lock that somebody else has."""

    file: str
    pid: str = ""
    """Empty = cannot be told."""
    name: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return f"waiting for the lock {self.file}"
        return f"waiting for {self.name or 'another program'} (process {self.pid})"


STOP_NOW = StopRule("now", "nothing has been changed yet", (signal.SIGINT, signal.SIGTERM))
STOP_AFTER_STEP = StopRule("after_package", "this step is not interrupted; nothing else is begun after it")
STOP_TOO_LATE = StopRule("too_late", "this is the last step, and it is not interrupted")
PHASES_BEFORE_COMMIT = ("refresh", "plan", "waiting_lock", "download")


class Command(NamedTuple):
    """One program of the manager, run on the job's terminal. An argument list, never a shell's text.

    Names of packages stand last, after `--` where the program knows that.
    """

    argv: Tuple[str, ...]
    """`{fd}` in it becomes the number of the descriptor whose lines go to `OutputReader.status`."""
    phase: str = "commit"
    """In which phase it begins; its reader moves on from there."""
    limits_s: Mapping[str, float] = {}
    """How long it may stay in a phase. Not for commit and triggers: what installs packages is never interrupted."""
    signals: Tuple[int, ...] = (signal.SIGINT,)
    """Sent one after the other when a limit is passed. Only those that the stop rule of the phase has."""
    env: Mapping[str, str] = {}
    """Added to the backend's environment."""
    needs: bool = True
    """Whether the commands after it are left out when this one fails."""
    always: bool = False
    """Whether it is run also when an earlier one failed or a stop is wished: it puts something right."""
    stoppable: bool = True
    """False: it comes to its own end, whatever the stop rule says. A wish to stop is answered nevertheless: nothing is begun after it."""
    stop_rule: Optional[Callable[[str], StopRule]] = None
    """Instead of the backend's, where one phase means different things in two commands; None = the backend's."""


class OwnStep(NamedTuple):
    """A step of our own instead of a program, such as an edit of the manager's settings. Raises Trouble or OSError."""

    says: str
    """What is put into the job's log before; empty = nothing."""
    do: Callable[[], None]


class Replan(NamedTuple):
    """Before the command behind it: work out once more what would be done, and go on only if it is still what was shown.

    For managers that cannot be held to a plan, or not in everything.
    """

    plan: Callable[[], Plan]
    """The steps alone, as fast as they can be had."""


Action = Union[Command, OwnStep, Replan]


class OutputReader:
    """Follows what one command prints: progress, lines of trouble, the lock it waits for. Backends make their own from it."""

    MOST = 200
    TROUBLE = re.compile(r"^(?:E|W|Err|error|warning|Error|Warning|ERROR|WARNING)\b.*\S")

    def __init__(self, console: Console) -> None:
        self.console = console
        self.troubles: List[str] = []
        """The lines in which the manager speaks of trouble, at most MOST."""
        self.lock: Optional[Lock] = None
        """The last lock it spoke of."""
        self.notes: List[str] = []
        """Sentences for the job's report."""

    def line(self, text: str) -> None:
        """One line of output, without colours and without what a carriage return overwrote."""
        if self.TROUBLE.match(text):
            self.trouble(text)

    def status(self, text: str) -> None:
        """One line from the status descriptor, where the command has one."""

    def trouble(self, text: str) -> None:
        """Keep a line of trouble."""
        if len(self.troubles) < self.MOST and text not in self.troubles:
            self.troubles.append(text)

    def waits(self, lock: Lock) -> None:
        """The manager says that it waits for a lock."""
        self.lock = lock
        self.console.progress("waiting_lock", text=str(lock))


class Failure(NamedTuple):
    """Why a command counts as failed."""

    code: str
    text: str


class Reboot(NamedTuple):
    """Whether this host needs a reboot, as far as the manager itself knows."""

    required: str = UNKNOWN
    """yes, no or unknown."""
    why: str = ""


class PackageList(NamedTuple):
    """What is kept of one enabled repository."""

    name: str
    refreshed_at: float
    """When its list was last refreshed, Unix seconds; 0 = there is none."""
    expired: bool = False
    """The repository itself says that this list is not valid any more."""


class Backend:
    """One package manager. A backend overrides what its manager does in another way than here."""

    name = ""
    """As in `Identity.package_manager`."""
    environment: Mapping[str, str] = ENVIRONMENT
    """Of everything that is run: `base.ENVIRONMENT` and the manager's own."""
    cache_dir = "/var/cache"
    """Where downloads go; what is missing of it is looked for upward."""
    codes: Sequence[Tuple[str, str]] = ()
    """What its lines of trouble say, and the code of `Outcome` for it; the first that fits counts."""
    reader_type: Type[OutputReader] = OutputReader
    commit_stop: StopRule = STOP_TOO_LATE
    """What the wish to stop means once packages are being changed."""
    newer: Sequence[Planned] = ()
    """What the last `available_updates` has counted."""

    def cannot(self, verb: str, packages: Sequence[str]) -> str:
        """Why this manager, or this host (read-only root …), cannot do this; a sentence that says what to use instead. Empty = it can."""
        del verb, packages
        return ""

    def inventory(self) -> Inventory:
        """Everything that is installed.

        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def broken(self, inventory: Inventory) -> str:
        """What is wrong with the manager's database: half-configured packages, duplicates, an unfinished transaction, a stale
        lock file. Read-only. Empty = in order; else a sentence that names it (at most 20 packages)."""
        raise NotImplementedError

    def lock(self) -> Optional[Lock]:
        """Who holds the lock that a change needs, now; None: it is free or cannot be told. `locks.py` finds holders."""
        raise NotImplementedError

    def lists_refreshed_at(self) -> float:
        """When the package lists were last refreshed, Unix seconds; 0 = never or unknown. May leave out `jobs/.refreshed`,
        which the driver looks at itself.

        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def lists(self) -> Optional[List[PackageList]]:
        """The enabled repositories, as any user. None: this manager cannot tell.

        Raises: PackagesUnreadable.
        """
        return None

    def missing(self) -> List[str]:
        """Repositories of which this host has no list, or not a whole one; as any user.

        Raises: PackagesUnreadable. Trouble: no repository is enabled (`need_repositories`).
        """
        raise NotImplementedError

    def unknown(self, packages: Sequence[str]) -> List[str]:
        """Those of `packages` that are no package names, exactly, in the manager's lists (for `install`).

        They have the shape of a name, but may be `sudo-`, a pattern, a group, a path or a provided name: all of these are unknown.
        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def protected(self, packages: Sequence[str]) -> List[str]:
        """Those of `packages` that must not be removed: essential to the host, or to Spider (what owns python3, systemd …)."""
        raise NotImplementedError

    def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        """The exact plan of upgrade, full-upgrade, security-upgrade, install, remove or autoremove; with what is kept back and why.

        Changes nothing, waits for no lock. `packages` is empty but for install, remove and an upgrade of chosen ones.
        Raises: PackagesUnreadable: it refuses or is not understood. Trouble: with a better code.
        """
        raise NotImplementedError

    def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:
        """What carries out any verb but check, plan and reboot; run one after the other until one fails that the rest needs.

        It must be able to do what the plan says and nothing else: the manager itself is held to it (`gate.py`, a list of all that may
        come), or the plan is worked out `Replan` directly before the command that changes packages; or both.
        """
        raise NotImplementedError

    def reader(self, verb: str, console: Console) -> OutputReader:
        """A new reader for one command of this verb."""
        del verb
        return self.reader_type(console)

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Optional[Failure]:
        """Whether a command failed by its status and its lines; None: it did not (managers have statuses for 'done, and …').

        The driver itself finds: ended by a signal, overrun, stopped, packages left broken, steps of the plan not reached.
        Codes: job.lock_busy, job.no_space, job.fetch_failed, job.repository_stale, job.package_held, job.unmet_dependencies,
        job.script_failed, job.packages_broken, job.package_manager for the rest.
        """
        raise NotImplementedError

    def code_in(self, text: str, otherwise: str = "job.package_manager") -> str:
        """The code for what a text says."""
        return next((code for words, code in self.codes if words in text), otherwise)

    def stop_rule(self, phase: str) -> StopRule:
        """What the wish to stop means in this phase."""
        return STOP_NOW if phase in PHASES_BEFORE_COMMIT else self.commit_stop

    def reboot_required(self) -> Reboot:
        """What the manager's own check says (`/run/reboot-required`, `needs-restarting -r`, `needs-rebooting`)."""
        return Reboot()

    def available_updates(self) -> Updates:
        """Count what `full-upgrade` would upgrade, without privileges and without changing anything; blocks for up to a minute.

        Raises: PackagesUnreadable: which is not 'no updates'. Trouble.
        """
        raise NotImplementedError
