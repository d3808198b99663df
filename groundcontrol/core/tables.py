"""What a node says of itself that is no number over time."""

from __future__ import annotations

from typing import NamedTuple

TableCell = str | int | None


class FactTable(NamedTuple):
    """One subject (failed units, interfaces, …) as it stood at one moment."""

    subject: str
    taken_at: float
    total: int
    """Rows that there really were; -1 = reading failed, so that there are none here."""
    columns: tuple[str, ...]
    cells: tuple[TableCell, ...]
    """Row by row."""


class PackageChanges(NamedTuple):
    """What leads from one state of a node's packages to the next."""

    since: str
    """Digest of the state that this builds on; empty = these are all packages."""
    digest: str
    versions: dict[str, str]
    """By name; empty = not installed any more."""


class PackageState(NamedTuple):
    """What is held of a node's packages."""

    digest: str
    """Empty = nothing, or not what was expected: the node tells everything anew."""
    changed: int
    """Packages that were added, removed or have another version than before; 0 at the first time."""


class InstalledPackage(NamedTuple):
    name: str
    version: str


class PackageList(NamedTuple):
    """A page of what is installed on a node, by name."""

    items: tuple[InstalledPackage, ...]
    total: int
    """Of all that match."""
    taken_at: float | None
    """None = the node has not told yet."""
    next: str | None
