"""Tables that a node reports: its state at one moment, as opposed to samples over time."""

from __future__ import annotations

from typing import NamedTuple

TableCell = str | int | None


class SubjectTable(NamedTuple):
    """The table of one subject (failed units, interfaces, …) at one moment."""

    subject: str
    taken_at: float
    """Unix seconds."""
    total: int
    """The number of rows that the node found; -1: reading failed, and the table has no rows."""
    columns: tuple[str, ...]
    cells: tuple[TableCell, ...]
    """All cells, row by row."""


class PackageChanges(NamedTuple):
    """The changes from one state of a node's packages to the next."""

    since: str
    """The digest of the state before these changes; empty: `versions` is the whole list of packages."""
    digest: str
    versions: dict[str, str]
    """Package name -> version; an empty version: the package is no longer installed."""


class PackageState(NamedTuple):
    """The stored state of a node's packages."""

    digest: str
    """Empty: the store does not have the state before the node's changes, so the node sends its whole list again."""
    changed: int
    """The number of packages that were added, removed or changed in version; 0 for the first list."""


class InstalledPackage(NamedTuple):
    name: str
    version: str


class PackageList(NamedTuple):
    """A page of the packages that are installed on a node, sorted by name."""

    items: tuple[InstalledPackage, ...]
    total: int
    """The number of all packages that match."""
    taken_at: float | None
    """Unix seconds; None: the node has not sent its list yet."""
    next: str | None
    """The cursor of the next page; None: this is the last page."""
