"""The `updates` and `held` tables: packages that can be upgraded and packages on hold, as `HostReports` last read them."""

from typing import Optional, Sequence, Tuple

from spider.packages.plan import Planned
from spider.sampling.collectors.table_reader import Reading, plain


class Available:
    """The last reading. `HostReports`, which queries the package manager, sets it; both tables read it."""

    def __init__(self) -> None:
        self.newer: Optional[Sequence[Planned]] = None
        """None = not known yet, or this host cannot provide it."""
        self.held: Optional[Sequence[Tuple[str, str]]] = None


class UpdatesReader:
    """The `updates` table."""

    subject = "updates"

    def __init__(self, available: Available) -> None:
        self._available = available

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002  # it is no rate
        """The last answer of the package manager."""
        newer = self._available.newer
        if newer is None:
            return None
        rows = [
            (plain(one.package), plain(one.before, 100), plain(one.after, 100), one.security, plain(one.repository, 100)) for one in newer
        ]
        return Reading(sorted(rows), len(rows))


class HeldReader:
    """The `held` table."""

    subject = "held"

    def __init__(self, available: Available) -> None:
        self._available = available

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002  # it is no rate
        """The last answer of the package manager."""
        held = self._available.held
        if held is None:
            return None
        return Reading([(plain(name), plain(version, 100)) for name, version in held], len(held))
