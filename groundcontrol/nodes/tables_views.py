"""Views of tables, packages and updates that nodes report."""

from __future__ import annotations

from typing import Literal

from groundcontrol.core.tables import FactTable, TableCell
from groundcontrol.web.answer import Answer
from spider.wire.tables import BY_NAME, FAILED, TEXT, Column


class ColumnView(Answer):
    name: str
    kind: Literal["text", "number", "time"]
    """time: Unix seconds."""
    unit: str


class TableView(Answer):
    """One subject of a node as it stood at one moment: processes, services that failed, interfaces …"""

    subject: str
    taken_at: float
    total: int | None
    """Rows that there really were, of which the table may have the first ones only; null: reading failed, so that there are none here."""
    columns: list[ColumnView]
    rows: list[list[str | float | None]]
    """A cell that is null is not known, or may not be read by Spider."""


class TablesView(Answer):
    tables: list[TableView]
    """By subject. One that this server cannot have, or that Spider has not told yet, is not there."""


class InstalledPackageView(Answer):
    name: str
    version: str


class PackagesView(Answer):
    packages: list[InstalledPackageView]
    total: int
    """Of all that match."""
    taken_at: float | None
    """When the hub heard of the last change; null: the node has not told yet."""
    next: str | None


class CandidateView(Answer):
    version: str
    security: Literal["yes", "no", "unknown"]
    repository: str
    """Empty = not known."""
    nodes: int


class PackageUpdateView(Answer):
    package: str
    security: Literal["yes", "no", "unknown"]
    """yes: on at least one node."""
    nodes: int
    security_nodes: int
    candidates: list[CandidateView]
    """The versions that it can be brought to, those on most nodes first; at most 8."""


class PackageUpdatesView(Answer):
    packages: list[PackageUpdateView]
    """For security first, then by how many nodes they are for."""
    total: int
    """Packages that match."""
    security: int
    """Of these, for security."""
    told: int
    """Nodes whose list the hub has."""
    silent: int
    """Nodes that have not told one, or could not read it."""
    cut: int
    """Nodes with more updates than their list holds."""
    oldest_at: float | None
    """When the oldest of the lists was read."""
    next: str | None


class NodeUpdateView(Answer, rename={"before": "from", "after": "to"}):
    node_id: str
    before: str
    after: str
    security: Literal["yes", "no", "unknown"]
    repository: str
    held: bool
    """Its owner does not want it changed."""


class NodeUpdatesView(Answer):
    nodes: list[NodeUpdateView]
    total: int
    next: str | None


def table_view(table: FactTable) -> TableView:
    """A table with its numbers in the units of the catalogue."""
    known = {column.name: column for column in BY_NAME[table.subject].columns}
    columns = [known[name] for name in table.columns]
    rows = zip(*(iter(table.cells),) * len(columns), strict=True)
    return TableView(
        subject=table.subject,
        taken_at=table.taken_at,
        total=None if table.total == FAILED else table.total,
        columns=[ColumnView(column.name, _kind(column), "" if column.unit == "time" else column.unit) for column in columns],
        rows=[[_cell(column, cell) for column, cell in zip(columns, row, strict=True)] for row in rows],
    )


def _kind(column: Column) -> Literal["text", "number", "time"]:
    return "text" if column.kind == TEXT else "time" if column.unit == "time" else "number"


def _cell(column: Column, cell: TableCell) -> str | float | None:
    return cell / column.scale if isinstance(cell, int) and column.scale != 1 else cell
