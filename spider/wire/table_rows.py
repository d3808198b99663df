"""Checks the tables of a session against the catalogue (`tables.py`), and leaves out what has not changed."""

from typing import List, Optional, Tuple

from spider.wire.errors import ProtocolError
from spider.wire.report_messages import MAX_TABLE_BYTES, Cell, Table
from spider.wire.tables import BY_NAME, FAILED, TEXT, Column, Subject

MAX_TOTAL = 1 << 31
MAX_COLUMNS = 32
LATEST_MS = 4_102_444_800_000
"""The year 2100. No table is newer."""


def weight(texts: List[str], cells: List[Cell]) -> int:
    """An upper bound of the bytes of these columns and cells on the wire."""
    return sum(9 if type(cell) is not str else 5 + len(cell.encode("utf-8", "surrogatepass")) for cell in (*texts, *cells))


def check(table: Table) -> Optional[Subject]:
    """Validate a table against the catalogue; the codec has checked its types.

    Returns: None: a subject that is not in this catalogue (a newer peer may have more).
    Raises:  ProtocolError: not a table.
    """
    width = len(table.columns)
    if not 1 <= width <= MAX_COLUMNS or len(set(table.columns)) != width or len(table.cells) % width:
        raise ProtocolError("a table whose columns and cells do not match")
    rows = len(table.cells) // width
    if not (FAILED <= table.total <= MAX_TOTAL and rows <= max(table.total, 0) and 0 <= table.taken_at_ms <= LATEST_MS):
        raise ProtocolError("a table with impossible numbers")
    if max(map(len, table.columns)) > 64 or not 1 <= len(table.subject) <= 64 or weight(table.columns, table.cells) > MAX_TABLE_BYTES:
        raise ProtocolError("a table that is too big")
    subject = BY_NAME.get(table.subject)
    if subject is None:
        return None
    if rows > subject.max_rows:
        raise ProtocolError(f"a table of {subject.name} with too many rows")
    known = {column.name: column for column in subject.columns}
    if not set(subject.key) <= set(table.columns):
        raise ProtocolError(f"a table of {subject.name} without its key")
    for index, name in enumerate(table.columns):
        column = known.get(name)
        if column is not None:
            _check_cells(column, table.cells[index::width])
    return subject


def _check_cells(column: Column, cells: List[Cell]) -> None:
    wanted = str if column.kind == TEXT else int
    for cell in cells:
        if cell is not None and (type(cell) is not wanted or (wanted is str and len(str(cell)) > column.most)):
            raise ProtocolError(f"a wrong cell in the column {column.name}")


def rows_of(table: Table) -> List[Tuple[Cell, ...]]:
    """The rows of a validated table."""
    return list(zip(*(iter(table.cells),) * len(table.columns)))


def fill(table: Table, before: Optional[Table]) -> Table:
    """Fill the cells of `kept` columns from the previous table of the same session. Both tables are validated.

    Args: before: the previous table, already filled; None: this is the first one.
    """
    subject = BY_NAME.get(table.subject)
    kept = [column.name for column in subject.columns if column.kept and column.name in table.columns] if subject is not None else []
    if subject is None or before is None or not kept:
        return table
    had = {_key(subject, before.columns, row): dict(zip(before.columns, row)) for row in rows_of(before)}
    cells: List[Cell] = []
    for row in rows_of(table):
        old = had.get(_key(subject, table.columns, row), {})
        cells += [old.get(name) if cell is None and name in kept else cell for name, cell in zip(table.columns, row)]
    return table._replace(cells=cells)


def thin(table: Table, before: Optional[Table]) -> Table:
    """The inverse of `fill`: omit the cells of kept columns that equal those of the previous table (in its filled form)."""
    subject = BY_NAME[table.subject]
    kept = [column.name for column in subject.columns if column.kept]
    if before is None or not kept:
        return table
    had = {_key(subject, before.columns, row): dict(zip(before.columns, row)) for row in rows_of(before)}
    cells: List[Cell] = []
    for row in rows_of(table):
        old = had.get(_key(subject, table.columns, row), {})
        cells += [None if name in kept and cell is not None and old.get(name) == cell else cell for name, cell in zip(table.columns, row)]
    return table._replace(cells=cells)


def _key(subject: Subject, columns: List[str], row: Tuple[Cell, ...]) -> Tuple[Cell, ...]:
    return tuple(row[columns.index(name)] for name in subject.key)
