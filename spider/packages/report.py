"""What a job left to be looked after."""

from typing import NamedTuple, Protocol, Sequence, Tuple

from spider.packages.plan import UNKNOWN

MAX_SERVICES = 200
MAX_LEFTOVERS = 100
MAX_DIFF_BYTES = 16 * 1024
"""Of one difference."""
MAX_DIFFS_BYTES = 160 * 1024
"""Of all differences of a report together: it must fit into one message."""


class Leftover(NamedTuple):
    """A configuration file that was put beside the one in use (`.dpkg-dist`, `.rpmnew`, `.pacnew` …)."""

    path: str
    diff: str
    """Unified difference to the one in use, cut to a bound; empty = not readable or no text."""


class Report(NamedTuple):
    """Told before the job ends."""

    reboot: str = UNKNOWN
    """Whether this server needs a reboot now: yes, no or unknown."""
    reboot_why: str = ""
    services: Tuple[str, ...] = ()
    """Units that still run code that was replaced."""
    leftovers: Tuple[Leftover, ...] = ()
    failed_units: Tuple[str, ...] = ()
    """Units that failed since the job began."""
    notes: Tuple[str, ...] = ()
    """Anything else that a person should know, a sentence each."""


class AfterCare(Protocol):
    """Looks at the host around a job that changes packages. Made once for a job, as root."""

    def begin(self) -> None:
        """Remember what was there before: failed units, configuration files left behind earlier. Never raises, ends within 10 s."""
        ...

    def report(self, native_reboot: Tuple[str, str], changes: Sequence[Tuple[str, str, str]]) -> Report:
        """What is there now that was not before. Never raises, ends within 60 s.

        Args: native_reboot: what the manager says itself (yes, no, unknown; why), to be joined with the comparison of kernels.
              changes: package, version before, version after.
        """
        ...
