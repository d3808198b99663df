"""The tables of upgradable, held and broken packages and of repositories, as `HostReports` last read them."""

from typing import List, Optional, Sequence, Tuple

from spider.packages.interfaces import PackageCondition
from spider.packages.plan import Planned
from spider.sampling.collectors.table_reader import Reading, TableReader
from spider.wire.text import plain


class Available:
    """The last answers of the package manager. `HostReports` (`reports/host_reports.py`) sets them, and the readers of the tables use them.

    None = not known yet, or this host cannot provide it.
    """

    def __init__(self) -> None:
        self.newer: Optional[Sequence[Planned]] = None
        """Packages with an update."""
        self.updates_at_ms: Optional[int] = None
        """When the package manager was asked for them and for held packages, in Unix milliseconds."""
        self.held: Optional[Sequence[Tuple[str, str, str]]] = None
        """Name and version of packages that stay as they are, and why."""
        self.condition = PackageCondition()
        """Broken packages, and the repositories."""
        self.faults_at_ms: Optional[int] = None
        self.repositories_at_ms: Optional[int] = None


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
        return Reading(sorted(rows), len(rows), self._available.updates_at_ms)


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
        return Reading([(plain(name), plain(version, 100), why) for name, version, why in held], len(held), self._available.updates_at_ms)


class FaultsReader:
    """The `package_faults` table."""

    subject = "package_faults"

    def __init__(self, available: Available) -> None:
        self._available = available

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002  # it is no rate
        """The last answer of the package manager."""
        faults = self._available.condition.faults
        if faults is None:
            return None
        return Reading([(plain(name), plain(fault, 400)) for name, fault in faults], len(faults), self._available.faults_at_ms)


class RepositoriesReader:
    """The `repositories` table."""

    subject = "repositories"

    def __init__(self, available: Available) -> None:
        self._available = available

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002  # it is no rate
        """The last answer of the package manager."""
        found = self._available.condition.repositories
        if found is None:
            return None
        rows = [(plain(name), int(at * 1000) or None, state) for name, at, state in found]
        return Reading(sorted(rows, key=lambda row: str(row[0])), len(rows), self._available.repositories_at_ms)


def package_tables(available: Available) -> List[TableReader]:
    """The readers of all tables of packages."""
    return [UpdatesReader(available), HeldReader(available), FaultsReader(available), RepositoriesReader(available)]
