"""Rows of one family as columns: in memory, and as a chunk of the tier of seconds. Such a chunk holds every value as it was measured.

Each series has one of three states in each row: a value, a failed measurement, or no such series on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import add, itemgetter, le, sub
from typing import Any, Final, NamedTuple, cast

from groundcontrol.samples.chunks import chunk_codec
from groundcontrol.samples.chunks.chunk_codec import Chunk, Part
from groundcontrol.samples.model import SeriesSchema, StoredRow

ABSENT: Final = 0
VALUE: Final = 1
FAILED: Final = 2

Values = Sequence[int | None]


class RowTable(NamedTuple):
    """Rows in the order of their times. None in a column: no value."""

    interval_s: int
    times: Sequence[int]
    """Unix milliseconds; two rows may have the same time."""
    columns: Mapping[str, Values]
    """Series -> its values, one for each row."""
    states: dict[str, bytes]
    """Series with missing values -> the state in each row: ABSENT, VALUE or FAILED."""

    @property
    def samples(self) -> int:
        """The number of values."""
        return len(self.times) * (len(self.columns) - len(self.states)) + sum(state.count(VALUE) for state in self.states.values())


def table_of(schema: SeriesSchema, rows: Sequence[StoredRow]) -> RowTable:
    """Turn rows of one schema into columns; the rows may come in any order."""
    columns: dict[str, Values] = dict(zip(schema.series, zip(*(row.values for row in rows), strict=True), strict=True))
    states = {name: bytes(FAILED if value is None else VALUE for value in column) for name, column in columns.items() if None in column}
    return _sorted(RowTable(schema.interval_s, [row.taken_at_ms for row in rows], columns, states))


def join_tables(tables: Sequence[RowTable]) -> RowTable:
    """All rows of these tables, with every series of any of them."""
    if len(tables) == 1:
        return tables[0]
    lengths = [len(table.times) for table in tables]
    names = dict.fromkeys(name for table in tables for name in table.columns)
    columns: dict[str, Values] = {}
    states: dict[str, bytes] = {}
    for name in names:
        whole: list[int | None] = []
        known = b""
        for table, length in zip(tables, lengths, strict=True):
            column = table.columns.get(name)
            whole += [None] * length if column is None else column
            known += bytes(length) if column is None else table.states.get(name) or bytes([VALUE]) * length
        columns[name] = whole
        if known.count(VALUE) < len(known):
            states[name] = known
    return _sorted(RowTable(min(table.interval_s for table in tables), [time for table in tables for time in table.times], columns, states))


def join_chunks(chunks: Sequence[RowChunk]) -> RowTable:
    """All rows of these chunks. A column is decoded each time it is read, so read each once.

    That saves memory: an hour of all series is a hundred thousand numbers.
    """
    lengths = [len(part.times) for part in chunks]
    positions = [{name: position for position, name in enumerate(part.names)} for part in chunks]
    times = [time for part in chunks for time in part.times]
    pick = _sorter(times)
    names = dict.fromkeys(name for part in chunks for name in part.names)
    states: dict[str, bytes] = {}
    for name in names:
        known = b""
        for part, length, position in zip(chunks, lengths, (found.get(name) for found in positions), strict=True):
            known += bytes(length) if position is None else part.states(position) or bytes([VALUE]) * length
        if known.count(VALUE) < len(known):
            states[name] = known if pick is None else bytes(pick(known))

    def column(name: str) -> Values:
        whole: list[int | None] = []
        for part, length, found in zip(chunks, lengths, positions, strict=True):
            whole += part.column(found[name]) if name in found else [None] * length
        return whole if pick is None else pick(whole)

    return RowTable(min(part.interval_s for part in chunks), times if pick is None else pick(times), _Columns(names, column), states)


class _Columns(Mapping[str, Values]):
    """Columns that are decoded at each access."""

    def __init__(self, names: Mapping[str, None], read: Callable[[str], Values]) -> None:
        self._names = names
        self._read = read

    def __getitem__(self, name: str) -> Values:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _sorted(table: RowTable) -> RowTable:
    pick = _sorter(table.times)
    if pick is None:
        return table
    return RowTable(
        table.interval_s,
        pick(table.times),
        {name: pick(column) for name, column in table.columns.items()},
        {name: bytes(pick(state)) for name, state in table.states.items()},
    )


def _sorter(times: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """A function that sorts a column by the times of its rows; None: the rows are sorted already."""
    return None if all(map(le, times, times[1:])) else itemgetter(*sorted(range(len(times)), key=times.__getitem__))


RELATED: Final = {
    "memory.used": ("+memory.total", "-memory.available"),
    "cpu.total": ("+cpu.user", "+cpu.system", "+cpu.nice", "+cpu.irq", "+cpu.softirq", "+cpu.steal"),
}
"""Series -> the others whose sum it nearly equals. A chunk stores the difference from that sum, if this takes fewer bytes.

No series of this table is in the sum of another one.
"""


def encode_rows(table: RowTable, *, quick: bool = False) -> bytes:
    """Encode a table as a chunk. Args: quick: compress fast rather than well, since the chunk is merged soon."""
    layer = chunk_codec.layer(len(table.times), quick=quick)
    positions = {name: 2 + 2 * at for at, name in enumerate(table.columns)}
    parts = [layer.part(table.times)]
    relations: list[list[int]] = []
    for name, column in table.columns.items():
        state = table.states.get(name)
        if state is not None:
            parts += (layer.part(state), layer.part([value for value in column if value is not None]))
            continue
        whole = cast("Sequence[int]", column)
        part = layer.part(whole)
        others = [other for other in RELATED.get(name, ()) if other[1:] in positions and other[1:] not in table.states]
        if others and not layer.grouped:
            rest = whole
            for other in others:
                rest = list(map(sub if other[0] == "+" else add, rest, cast("Sequence[int]", table.columns[other[1:]])))
            shorter = layer.part(rest)
            if len(shorter.data) < len(part.data):
                part = shorter
                relations.append([positions[name], *(positions[other[1:]] * (1 if other[0] == "+" else -1) for other in others)])
        parts += (_FULL, part)
    return chunk_codec.build(chunk_codec.ROWS, layer, table.interval_s, len(table.times), list(table.columns), parts, relations)


_FULL: Final = Part([0, VALUE, 1, 0], b"")
"""The states of a series that has a value in each row."""


class RowChunk:
    """A chunk of rows that reads one column at a time."""

    def __init__(self, body: bytes) -> None:
        """Raises: ValueError: the bytes are not a chunk of rows."""
        self._chunk = Chunk(body)
        if self._chunk.kind != chunk_codec.ROWS or self._chunk.width != 1 + 2 * len(self._chunk.names):
            raise ValueError("not a chunk of rows")
        self.interval_s = self._chunk.interval_s
        self.times = self._chunk.column(0, self._chunk.rows)
        self.names = self._chunk.names

    def states(self, index: int) -> bytes | None:
        """The state in each row of the series at position `index` of `names`; None: every row has a value."""
        if self._chunk.shape(1 + 2 * index) == _FULL.shape:
            return None
        return bytes(self._chunk.column(1 + 2 * index, len(self.times)))

    def column(self, index: int, start: int = 0, end: int | None = None) -> Values:
        """The values of the series at position `index`, one for each row from `start` to before `end`, or for all rows; None: no value."""
        states = self.states(index)
        if states is None:
            return self._chunk.column(2 + 2 * index, len(self.times), start, end)
        low, high = states[:start].count(VALUE), states[:end].count(VALUE)
        found = iter(self._chunk.column(2 + 2 * index, states.count(VALUE), low, high))
        return [next(found) if state == VALUE else None for state in states[start:end]]

    def table(self, only: Iterable[str] | None = None) -> RowTable:
        """The rows as a table, with only these series or with all."""
        wanted = None if only is None else set(only)
        columns: dict[str, Values] = {}
        states: dict[str, bytes] = {}
        for index, name in enumerate(self.names):
            if wanted is not None and name not in wanted:
                continue
            columns[name] = self.column(index)
            state = self.states(index)
            if state is not None:
                states[name] = state
        return RowTable(self.interval_s, self.times, columns, states)


def runs(times: Sequence[int], step_ms: int) -> list[tuple[int, int, int]]:
    """The *runs* of a column of times: neighbouring rows of one step, as (number of the step since 1970, from, to). The times must ascend."""
    found = []
    start, count = 0, len(times)
    while start < count:
        index = times[start] // step_ms
        end = _end_of(times, (index + 1) * step_ms, start, count)
        found.append((index, start, end))
        start = end
    return found


def _end_of(times: Sequence[int], limit: int, start: int, count: int) -> int:
    """The first position from `start` on with a time of at least `limit`.

    It is usually near, so the search doubles its distance first, and then halves it.
    """
    reach = 1
    while start + reach < count and times[start + reach] < limit:
        reach *= 2
    low, high = start + reach // 2, min(start + reach, count)
    while low < high:
        middle = (low + high) // 2
        if times[middle] < limit:
            low = middle + 1
        else:
            high = middle
    return low
