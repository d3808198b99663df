"""What Spider asks of a package manager, and what it hears back."""

import subprocess
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from spider.terminal import Ended
from spider.wire.frames import Updates

try:
    from typing import Protocol
except ImportError:  # pragma: no cover
    raise SystemExit("Stardust needs Python 3.8 or newer") from None

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


class Planned(NamedTuple):
    """One package that would change."""

    package: str
    before: str
    """Empty = it would be newly installed."""
    after: str
    """Empty = it would be removed."""
    security: bool


class Plan(NamedTuple):
    """What an upgrade would do."""

    steps: Tuple[Planned, ...]

    @property
    def removals(self) -> List[str]:
        return [step.package for step in self.steps if not step.after]

    @property
    def upgrades(self) -> List[Planned]:
        return [step for step in self.steps if step.before and step.after]

    @property
    def security(self) -> List[Planned]:
        return [step for step in self.upgrades if step.security]


class Outcome(NamedTuple):
    """How a job ended: exit status, difference of the inventories and error lines taken together.

    Codes: job.repository_stale, job.lists_missing, job.lock_busy, job.packages_broken, job.unknown_package, job.package_held,
    job.would_remove, job.unmet_dependencies, job.fetch_failed, job.no_space, job.incomplete, job.timed_out, job.signal,
    job.package_manager (any other error of its own). Of the runner: job.unknown_verb, job.no_package_manager, job.runner_failed.
    Told without a result: job.never_began, job.killed, job.power_lost, job.shutdown_overran, job.no_trace.
    """

    state: str
    """succeeded, failed or unknown."""
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

    def say(self, text: str) -> None:
        """Put a line of our own into the job's log."""
        ...

    def progress(self, phase: str, percent: int = -1, package: str = "", text: str = "") -> None:
        """Tell where the job stands."""
        ...

    def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        each_line: Callable[[str], object],
        each_status: Optional[Callable[[str], None]] = None,
        limits_s: Optional[Mapping[str, float]] = None,
        signals: Sequence[int] = ...,
    ) -> Ended:
        """Run a program on the job's terminal, its output in the job's log; `Terminal.run` says more."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        ...


class PackageManager(Protocol):
    """One family of package managers. Runs as root inside a job's unit, but for `available_updates`."""

    name: str

    def perform(self, verb: str, packages: Sequence[str], console: Console) -> Outcome:
        """Carry out one verb of the policy. Never raises for what the package manager did."""
        ...

    def available_updates(self) -> Updates:
        """Count what could be upgraded, without privileges and without changing anything; blocks for up to a minute.

        Raises: PackagesUnreadable.
        """
        ...


def ask(argv: Sequence[str], env: Mapping[str, str], limit_s: float = 120.0) -> Output:
    """Run a command that changes nothing and keep what it says.

    Raises: PackagesUnreadable: it is not there or does not end.
    """
    try:
        done = subprocess.run(
            list(argv), env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, check=False, cwd="/"
        )
    except subprocess.TimeoutExpired as exc:
        raise PackagesUnreadable(f"{argv[0]} did not end within {limit_s:.0f} s") from exc
    except OSError as exc:
        raise PackagesUnreadable(f"{argv[0]}: {exc.strerror}") from exc
    return Output(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
