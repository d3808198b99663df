"""Both ways between a model and the columns of its table, by the types of its fields."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from types import NoneType
from typing import Any, Generic, Literal, NamedTuple, NewType, get_args, get_origin, get_type_hints

import msgspec

from groundcontrol.adapters.sqlite.engine.json_codec import (
    decoded,
    record_from_json,
    record_to_json,
    records_from_json,
    records_to_json,
    to_json,
)
from groundcontrol.adapters.sqlite.engine.tx import Row, Value
from groundcontrol.core.errors import StoreError
from groundcontrol.core.records import R


class Field(NamedTuple):
    """One field of a model in its columns."""

    name: str
    columns: tuple[str, ...]
    write: Callable[[Any], Sequence[Value]]
    read: Callable[..., Any] | None = None
    """From the values of the columns. None: the field has the value of its column."""
    json: Callable[[bytes], object] | None = None
    """Reads the column if it is JSON; raises StoreError."""


class _Plan(NamedTuple):
    """How the rows of a statement become models: by position, because SQLite searches each name among all columns of the row."""

    values: Callable[[Any], tuple[Any, ...]]
    built: list[tuple[str, int, int, Callable[..., Any]]]
    """Field, the place of its first value, the number of its values, and what makes it."""
    defaults: list[Any]
    """The values of fields that are neither read nor given."""
    order: Callable[[Any], tuple[Any, ...]]
    """Puts values, given and defaults in the order of the model."""


class Columns(Generic[R]):
    """Both ways between a model and the columns of its table."""

    def __init__(
        self, model: type[R], table: str, columns: Mapping[str, str | tuple[str, ...]] | None = None, damaged: Mapping[str, object] | None = None,
        objects: Sequence[str] = (), apart: Collection[str] = (), node: str = "''",
    ) -> None:  # fmt: skip
        """Args: columns, damaged: as in `Record`. The model's field `damaged`, if there is one, names the damaged fields.
        objects: fields with several records, each of which is stored as an object. apart: fields without a column. node: SQL expression for the node of a row."""
        self._model: Any = model
        self._table = table
        self._node = node
        self._damaged = damaged or {}
        self._fields = [
            field_of(name, kind, columns or {}, objects=name in objects)
            for name, kind in get_type_hints(model, localns={}).items()  # a field may have the name of a type
            if name not in apart
        ]
        self._plans: dict[tuple[object, ...], _Plan] = {}

    def read(self, row: Row, **given: object) -> R:
        """Args: given: fields that are not read from their columns. Raises: StoreError: the row is damaged."""
        key = (*row.keys(), None, *given)
        plan = self._plans.get(key) or self._plans.setdefault(key, self._plan(list(row.keys()), given))
        values = [*plan.values(tuple(row)), *given.values(), *plan.defaults]
        damaged = []
        for name, at, count, build in plan.built:
            try:
                values[at] = build(values[at]) if count == 1 else build(*values[at : at + count])
            except StoreError:
                if name not in self._damaged:
                    raise
                damaged.append(name)
                values[at] = self._damaged[name]
        found: R = self._model._make(plan.order(values))
        return found._replace(damaged=tuple(damaged)) if damaged and "damaged" in self._model._fields else found  # type: ignore[attr-defined]  # a NamedTuple

    def _plan(self, names: list[str], given: Collection[str]) -> _Plan:
        columns, built, places = list[str](), [], dict[str, int]()
        for one in self._fields:
            if one.name not in given:
                places[one.name] = len(columns)
                if one.read is not None:
                    built.append((one.name, len(columns), len(one.columns), one.read))
                columns += one.columns
        others = [name for name in self._model._fields if name not in places and name not in given]
        places |= {name: at for at, name in enumerate((*given, *others), len(columns))}
        order = itemgetter(*(places[name] for name in self._model._fields))
        values = itemgetter(*(names.index(column) for column in columns))
        return _Plan(values, built, [self._model._field_defaults[name] for name in others], order)

    def or_none(self, row: Row | None) -> R | None:
        """None: there is no row, or it is damaged."""
        with contextlib.suppress(StoreError):
            return None if row is None else self.read(row)
        return None

    def readable(self, rows: Sequence[Row]) -> list[R]:
        """The readable records. A damaged one must not hide the others; the doctor reports it."""
        return [record for row in rows if (record := self.or_none(row)) is not None]

    def insertion(self, *more: str) -> str:
        """The statement that inserts `values`, and behind them those of further columns."""
        names = [*self.columns(), *more]
        return f"INSERT INTO {self._table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - built from constants only

    def columns(self, *fields: str) -> list[str]:
        """The columns of these fields, in the order of the model; without names: those of all."""
        return [column for one in self._fields if not fields or one.name in fields for column in one.columns]

    def assign(self, *fields: str) -> str:
        """The part of an UPDATE that sets the `values` of these fields."""
        return ", ".join(f"{column} = ?" for column in self.columns(*fields))

    def values(self, record: R, *fields: str) -> list[Value]:
        """The values of `columns`."""
        return [value for one in self._fields if not fields or one.name in fields for value in one.write(getattr(record, one.name))]

    def json_columns(self) -> Iterator[tuple[str, str, Callable[[bytes], object], str, str]]:
        """(table, column, its reader, SQL of the key, SQL of the node) of each column with JSON."""
        return ((self._table, one.columns[0], one.json, "id", self._node) for one in self._fields if one.json is not None)


def field_of(name: str, kind: Any, columns: Mapping[str, str | tuple[str, ...]], *, objects: bool = False) -> Field:
    """The columns of a field of this type."""
    column = columns.get(name, name)
    if get_args(kind) and NoneType in get_args(kind):
        inner = field_of(name, next(each for each in get_args(kind) if each is not NoneType), columns)
        read = inner.read
        return inner._replace(
            write=lambda value: [None] if value is None else inner.write(value),
            read=None if read is None else lambda value, *more: None if value is None else read(value, *more),
        )
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if isinstance(column, tuple):
        return Field(name, column, list, kind)
    if kind is bool:
        return Field(name, (column,), lambda value: [int(value)], bool)
    if kind in (str, int, float, bytes) or get_origin(kind) is Literal:
        return Field(name, (column,), lambda value: [value])
    decode: Callable[[str | bytes], object]
    encode: Callable[[Any], str]
    if objects:
        decode, encode = partial(records_from_json, get_args(kind)[0]), records_to_json
    elif hasattr(kind, "_fields"):
        decode, encode = partial(record_from_json, kind), record_to_json
    else:
        decode, encode = partial(decoded, msgspec.json.Decoder(kind)), to_json
    return Field(name, (column,), lambda value: [encode(value)], decode, decode)
