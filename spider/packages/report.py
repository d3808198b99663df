"""The report of a job: what an administrator should check afterwards."""

from typing import NamedTuple, Protocol, Sequence, Tuple

from spider.packages.plan import UNKNOWN

MAX_SERVICES = 200
MAX_LEFTOVERS = 100
MAX_DIFF_BYTES = 16 * 1024
"""Size limit of one difference."""
MAX_DIFFS_BYTES = 160 * 1024
"""Size limit of all differences of a report together. A report is one message."""


class Leftover(NamedTuple):
    """A configuration file that was saved beside the file in use (`.dpkg-dist`, `.rpmnew`, `.pacnew` …)."""

    path: str
    diff: str
    """Unified difference from the file in use, truncated; empty = it must not be shown, or there is none."""


class Report(NamedTuple):
    """What the checks after a job found. The hub gets it before the job ends."""

    reboot: str = UNKNOWN
    """Whether this server needs a reboot: yes, no or unknown."""
    reboot_why: str = ""
    services: Tuple[str, ...] = ()
    """Units that still run replaced code."""
    leftovers: Tuple[Leftover, ...] = ()
    failed_units: Tuple[str, ...] = ()
    """Units that failed since the job began."""
    notes: Tuple[str, ...] = ()
    """Other notes, one sentence each."""


class AfterCare(Protocol):
    """Compares the host before and after a job that changes packages. Each job has its own instance; it runs as root."""

    def begin(self) -> None:
        """Record failed units and leftover configuration files before the job. Never raises, ends within 15 s."""
        ...

    def report(self, native_reboot: Tuple[str, str], changes: Sequence[Tuple[str, str, str]]) -> Report:
        """What is new since `begin`. Never raises, ends within 60 s.

        Args: native_reboot: the manager's own answer (yes, no, unknown; why), combined with the comparison of kernels.
              changes: package, version before, version after.
        """
        ...
