"""Both ways between a model and the columns of its table, by the types of its fields."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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

    def of(self, row: Row | Mapping[str, Any]) -> Any:
        values = [row[column] for column in self.columns]
        return values[0] if self.read is None else self.read(*values)


class _Plan(NamedTuple):
    """How a row is read: a request needs several, so most columns are fetched at once."""

    names: list[str]
    """Fields with the values of their columns; at least two."""
    values: Callable[[Any], tuple[Any, ...]]
    built: list[tuple[str, tuple[str, ...], Callable[..., Any]]]


class Columns(Generic[R]):
    """Both ways between a model and the columns of its table, for a subject with commands of its own."""

    def __init__(
        self, model: type[R], table: str, columns: Mapping[str, str | tuple[str, ...]] | None = None, damaged: Mapping[str, object] | None = None,
        objects: Sequence[str] = (), apart: Sequence[str] = (), node: str = "",
    ) -> None:  # fmt: skip
        """Args: columns, damaged: as in `Record`. The model's field `damaged`, if there is one, names the damaged fields.
        objects: fields with several records, each of which is stored as an object. apart: fields without a column. node: SQL expression for the node of a row."""
        self._model = model
        self._table = table
        self._node = node
        self._damaged = damaged or {}
        self._fields = [
            field_of(name, kind, columns or {}, objects=name in objects)
            for name, kind in get_type_hints(model, localns={}).items()  # a field may have the name of a type
            if name not in apart
        ]
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def read(self, row: Row | Mapping[str, Any], **given: object) -> R:
        """Args: given: fields that are not read from their columns. Raises: StoreError: the row is damaged."""
        plan = self._plans.get(tuple(given)) or self._plan(tuple(given))
        found = dict(zip(plan.names, plan.values(row), strict=True))
        damaged = []
        for name, columns, build in plan.built:
            try:
                found[name] = build(row[columns[0]]) if len(columns) == 1 else build(*(row[column] for column in columns))
            except StoreError:
                if name not in self._damaged:
                    raise
                damaged.append(name)
                found[name] = self._damaged[name]
        if damaged and "damaged" in self._model._fields:  # type: ignore[attr-defined]  # a NamedTuple
            found["damaged"] = tuple(damaged)
        return self._model(**found, **given)

    def _plan(self, given: tuple[str, ...]) -> _Plan:
        fields = [one for one in self._fields if one.name not in given]
        same = [one for one in fields if one.read is None]
        built = [(one.name, one.columns, one.read) for one in fields if one.read is not None]
        plan = _Plan([one.name for one in same], itemgetter(*(one.columns[0] for one in same)), built)
        return self._plans.setdefault(given, plan)

    def or_none(self, row: Row) -> R | None:
        """None: the row is damaged. It must not hide the others; the doctor reports it."""
        with contextlib.suppress(StoreError):
            return self.read(row)
        return None

    def readable(self, rows: Sequence[Row]) -> list[R]:
        return [record for row in rows if (record := self.or_none(row)) is not None]

    def insert(self, *more: str) -> str:
        """The statement that inserts `values`, and behind them those of further columns."""
        names = [column for one in self._fields for column in one.columns] + list(more)
        return f"INSERT INTO {self._table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - built from constants only

    def assign(self, *fields: str) -> str:
        """The part of an UPDATE that sets the `values` of these fields."""
        return ", ".join(f"{column} = ?" for one in self._fields if one.name in fields for column in one.columns)

    def values(self, record: R, *fields: str) -> list[Value]:
        """The values of these fields, in the order of the model; without names: those of all."""
        chosen = [one for one in self._fields if not fields or one.name in fields]
        return [value for one in chosen for value in one.write(getattr(record, one.name))]

    def json_columns(self) -> Iterator[tuple[str, str, Callable[[bytes], object], str, str]]:
        """(table, column, its reader, SQL of the key, SQL of the node) of each column with JSON."""
        return ((self._table, one.columns[0], one.json, "id", self._node or "''") for one in self._fields if one.json is not None)


def field_of(name: str, kind: Any, columns: Mapping[str, str | tuple[str, ...]], *, objects: bool = False) -> Field:
    """The columns of a field of this type."""
    column = columns.get(name, name)
    if get_args(kind) and NoneType in get_args(kind):
        inner = field_of(name, next(each for each in get_args(kind) if each is not NoneType), columns)
        read = inner.read
        return inner._replace(
            write=lambda value: [None] if value is None else inner.write(value),
            read=None if read is None else lambda *values: None if values[0] is None else read(*values),
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
