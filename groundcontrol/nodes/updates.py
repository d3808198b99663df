"""Newer packages across a fleet: the tables that nodes told, put together package by package. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple, cast

from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import FactTable, TableCell
from groundcontrol.nodes.model import Tri

SUBJECT: Final = "updates"
HELD: Final = "held"
MAX_CANDIDATES: Final = 8
"""Versions that are told of one package; those on most nodes."""
_COLUMNS: Final = ("package", "installed", "candidate", "security", "repository")
_WORST: Final[dict[Tri, int]] = {"yes": 0, "unknown": 1, "no": 2}


class Candidate(NamedTuple):
    """A version that a package can be brought to, on some nodes."""

    version: str
    security: Tri
    repository: str
    nodes: int


class PackageUpdate(NamedTuple):
    """A package of which some nodes could have a newer version."""

    package: str
    security: Tri
    """yes: on at least one of them."""
    nodes: int
    security_nodes: int
    candidates: tuple[Candidate, ...]


class UpdateList(NamedTuple):
    """A page of packages, with what holds for all of them."""

    items: tuple[PackageUpdate, ...]
    total: int
    """Packages that match."""
    security: int
    """Of these, for security."""
    told: int
    """Nodes whose list is known."""
    silent: int
    """Nodes that have not told one, or could not read it."""
    cut: int
    """Nodes with more updates than their list holds."""
    oldest_at: float | None
    next: str | None


class NodeUpdate(NamedTuple):
    """One package on one node."""

    node: NodeId
    before: str
    after: str
    security: Tri
    repository: str
    held: bool
    """Its owner does not want it changed."""


class NodeUpdateList(NamedTuple):
    items: tuple[NodeUpdate, ...]
    total: int
    next: str | None


class UpdateRow(NamedTuple):
    """One line of a node's table."""

    package: str
    before: str
    after: str
    security: Tri
    repository: str


def row_of(table: FactTable, package: str) -> UpdateRow | None:
    """The line of a package in an `updates` table; what is not told is empty. None: it has none."""
    columns = [_column(table, name) for name in _COLUMNS]
    if package not in columns[0]:
        return None
    at = columns[0].index(package)
    before, after, security, repository = (column[at] for column in columns[1:])
    return UpdateRow(package, str(before or ""), str(after or ""), _tri(security), str(repository or ""))


class Tally:
    """Adds up one node after the other."""

    def __init__(self) -> None:
        self._lines: Counter[tuple[TableCell, ...]] = Counter()
        """Package, candidate, security and repository, as they were told: nodes."""
        self.told = 0
        self.silent = 0
        """Nodes without a list."""
        self.cut = 0
        self.oldest_at: float | None = None

    def add(self, table: FactTable) -> None:
        """One node's table, whose reading did not fail."""
        self.told += 1
        self.cut += table.total > len(table.cells) // max(1, len(table.columns))
        self.oldest_at = table.taken_at if self.oldest_at is None else min(self.oldest_at, table.taken_at)
        self._lines.update(zip(*(_column(table, name) for name in _COLUMNS if name != "installed"), strict=True))

    def packages(self, search: str = "", *, security_only: bool = False) -> list[PackageUpdate]:
        """Security first, then what is on most nodes, then by name."""
        found: dict[str, dict[tuple[str, Tri, str], int]] = {}
        for (name, after, told, repository), nodes in self._lines.items():
            package, security = str(name or ""), _tri(told)
            if search in package and (security == "yes" or not security_only):
                counts = found.setdefault(package, {})
                key = (str(after or ""), security, str(repository or ""))
                counts[key] = counts.get(key, 0) + nodes
        return sorted((_update(package, counts) for package, counts in found.items()), key=sort_key)


def sort_key(update: PackageUpdate) -> tuple[int, int, str]:
    """Where it stands in the list."""
    return (0 if update.security == "yes" else 1, -update.nodes, update.package)


def _column(table: FactTable, name: str) -> tuple[TableCell, ...]:
    width = len(table.columns)
    if name in table.columns:
        return table.cells[table.columns.index(name) :: width]
    return (None,) * (len(table.cells) // max(1, width))


def _tri(told: TableCell) -> Tri:
    return cast("Tri", told) if told in ("yes", "no") else "unknown"


def _update(package: str, counts: dict[tuple[str, Tri, str], int]) -> PackageUpdate:
    found = sorted((Candidate(*key, nodes) for key, nodes in counts.items()), key=lambda one: (-one.nodes, one))
    return PackageUpdate(
        package=package,
        security=min((one.security for one in found), key=_WORST.__getitem__),
        nodes=sum(counts.values()),
        security_nodes=sum(one.nodes for one in found if one.security == "yes"),
        candidates=tuple(found[:MAX_CANDIDATES]),
    )
