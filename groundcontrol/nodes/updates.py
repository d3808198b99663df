"""Newer packages across a fleet: joins the `updates` tables of all nodes, package by package. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple, cast

from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import SubjectTable, TableCell
from groundcontrol.nodes.model import Tri

SUBJECT: Final = "updates"
HELD: Final = "held"
MAX_CANDIDATES: Final = 8
"""At most this many versions of a package are shown: those for the most nodes."""
PHASED: Final = "phased"
"""In a `held` table: the update of the package comes to the node later. In an older agent's table each row is held by its owner."""
_COLUMNS: Final = ("package", "installed", "candidate", "security", "repository")
_WORST: Final[dict[Tri, int]] = {"yes": 0, "unknown": 1, "no": 2}


class Candidate(NamedTuple):
    """A newer version of a package that some nodes could install."""

    version: str
    security: Tri
    repository: str
    nodes: int


class PackageUpdate(NamedTuple):
    """A package of which some nodes could install a newer version."""

    package: str
    security: Tri
    """yes: a security update on at least one node."""
    nodes: int
    security_nodes: int
    candidates: tuple[Candidate, ...]


class UpdateList(NamedTuple):
    """A page of packages, with totals over all packages and nodes."""

    items: tuple[PackageUpdate, ...]
    total: int
    """The number of packages that match."""
    security: int
    """The number of these that are security updates."""
    told: int
    """The number of nodes whose list is known."""
    silent: int
    """The number of nodes that have not sent a list, or could not read it."""
    cut: int
    """The number of nodes with more updates than their list holds."""
    oldest_at: float | None
    """When the oldest of the lists was read, in Unix seconds; None: no list is known."""
    next: str | None


class NodeUpdate(NamedTuple):
    """The update of one package on one node."""

    node: NodeId
    before: str
    after: str
    security: Tri
    repository: str
    held: bool
    """The node's owner has pinned the package's version."""


class NodeUpdateList(NamedTuple):
    items: tuple[NodeUpdate, ...]
    total: int
    next: str | None


class UpdateRow(NamedTuple):
    """One row of a node's `updates` table."""

    package: str
    before: str
    after: str
    security: Tri
    repository: str


def row_of(table: SubjectTable, package: str) -> UpdateRow | None:
    """The row of a package in an `updates` table; missing cells are empty. None: the table has no such row."""
    columns = [_column(table, name) for name in _COLUMNS]
    if package not in columns[0]:
        return None
    at = columns[0].index(package)
    before, after, security, repository = (column[at] for column in columns[1:])
    return UpdateRow(package, str(before or ""), str(after or ""), _tri(security), str(repository or ""))


def rows_of(table: SubjectTable) -> list[UpdateRow]:
    """The rows of an `updates` or `held` table; missing cells are empty. A repeated package counts once."""
    columns = [_column(table, name) for name in _COLUMNS]
    found = {str(row[0] or ""): row for row in reversed(list(zip(*columns, strict=True)))}
    return [
        UpdateRow(name, str(before or ""), str(after or ""), _tri(security), str(repository or ""))
        for name, (_, before, after, security, repository) in reversed(found.items())
        if name
    ]


def kept_of(table: SubjectTable) -> dict[str, str]:
    """Package -> why it stays as it is (held or phased), of a `held` table."""
    return {
        str(name): PHASED if why == PHASED else HELD
        for name, why in zip(_column(table, "package"), _column(table, "why"), strict=True)
        if name
    }


class Tally:
    """Joins the `updates` tables of nodes, one after the other."""

    def __init__(self) -> None:
        self._lines: Counter[tuple[TableCell, ...]] = Counter()
        """(package, candidate, security, repository), as the nodes reported them -> number of nodes."""
        self.told = 0
        """This and the next three are fields of `UpdateList`."""
        self.silent = 0
        self.cut = 0
        self.oldest_at: float | None = None

    def add(self, table: SubjectTable) -> None:
        """Add the table of a node that could read its updates. If a package has several rows, the row that `row_of` returns counts."""
        self.told += 1
        self.cut += table.total > len(table.cells) // max(1, len(table.columns))
        self.oldest_at = table.taken_at if self.oldest_at is None else min(self.oldest_at, table.taken_at)
        lines = list(zip(*(_column(table, name) for name in _COLUMNS if name != "installed"), strict=True))
        self._lines.update({line[0]: line for line in reversed(lines)}.values())

    def packages(self, search: str = "", *, security_only: bool = False) -> list[PackageUpdate]:
        """Packages in the order of `sort_key`. `search`: a part of the name; case does not matter."""
        words = search.casefold()
        found: dict[str, dict[tuple[str, Tri, str], int]] = {}
        for (name, after, is_security, repository), nodes in self._lines.items():
            package, security = str(name or ""), _tri(is_security)
            if words in package.casefold() and (security == "yes" or not security_only):
                counts = found.setdefault(package, {})
                key = (str(after or ""), security, str(repository or ""))
                counts[key] = counts.get(key, 0) + nodes
        return sorted((_update(package, counts) for package, counts in found.items()), key=sort_key)


def sort_key(update: PackageUpdate) -> tuple[int, int, str]:
    """Sorts security updates first, then by the number of nodes, then by name."""
    return (0 if update.security == "yes" else 1, -update.nodes, update.package)


def _column(table: SubjectTable, name: str) -> tuple[TableCell, ...]:
    width = len(table.columns)
    if name in table.columns:
        return table.cells[table.columns.index(name) :: width]
    return (None,) * (len(table.cells) // max(1, width))


def _tri(cell: TableCell) -> Tri:
    return cast("Tri", cell) if cell in ("yes", "no") else "unknown"


def _update(package: str, counts: dict[tuple[str, Tri, str], int]) -> PackageUpdate:
    found = sorted((Candidate(*key, nodes) for key, nodes in counts.items()), key=lambda one: (-one.nodes, one))
    return PackageUpdate(
        package=package,
        security=min((one.security for one in found), key=_WORST.__getitem__),
        nodes=sum(counts.values()),
        security_nodes=sum(one.nodes for one in found if one.security == "yes"),
        candidates=tuple(found[:MAX_CANDIDATES]),
    )
