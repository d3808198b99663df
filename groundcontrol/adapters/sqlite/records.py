"""Stored records by their declaration (`core.records`): SQL, rows, JSON, versions, limits and audit rows of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic

import msgspec

from groundcontrol.adapters.sqlite.control_store import ControlStore
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.json_codec import decoded, record_from_json, record_to_json
from groundcontrol.adapters.sqlite.engine.pagination import place
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx, Value
from groundcontrol.core.bus import Changed
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.paging import Page
from groundcontrol.core.records import R, Record
from groundcontrol.core.scope import Scope

Also = Callable[[Tx, R | None], Mapping[str, object] | None]
"""What else happens in the transaction of a change, with the record before it (None: there was none, or it was damaged).

It returns what it changed, for the audit row. If it changed nothing and the record is as stored, a save writes nothing.
"""


class Form(Columns[R]):
    """The rows of one kind by its declaration: their statements, and both ways between row and record."""

    def __init__(self, declared: Record[R]) -> None:
        model: Any = declared.model
        apart = [name for name in model._fields if declared.body and name not in declared.columns]
        super().__init__(declared.model, declared.table, declared.columns, declared.damaged, apart=apart)
        self.declared = declared
        self._listed: msgspec.json.Decoder[R] = msgspec.json.Decoder(declared.model)
        self._has_org = "org" in model._fields
        body, own = [declared.body] if declared.body else [], self.columns()
        more = [*(key for key in ("org", "id", "version") if key not in own), *body, *declared.computed, *declared.initial]
        self.created = [*own, *more]
        edited = sorted({column for one in self._fields if one.name in declared.edited for column in one.columns})
        self.saved = ["version", *declared.computed, *body, *edited]
        self.insert: Final = self.insertion(*more)
        self.update: Final = (
            f"UPDATE {declared.table} SET {', '.join(f'{one} = ?' for one in self.saved)} WHERE org = ? AND id = ? AND version = ?"  # noqa: S608 - built from constants only
        )
        self.select: Final = f"SELECT * FROM {declared.table} "  # noqa: S608 - built from constants only

    def read(self, row: Row, **given: object) -> R:
        """Raises: StoreError: the row is damaged."""
        if not self.declared.body:
            return super().read(row, **given)
        own = {one.name: one.read(row[one.columns[0]]) if one.read else row[one.columns[0]] for one in self._fields}
        found: R = _replaced(self._read_body(row[self.declared.body]), version=row["version"], **own, **given)
        return found

    def _read_body(self, text: str | bytes) -> R:
        """Earlier versions wrote rules as a list of their fields."""
        is_list = text[:1] in ("[", b"[")
        return decoded(self._listed, text) if is_list else record_from_json(self.declared.model, text)

    def readable(self, rows: Sequence[Row]) -> list[R]:
        """Raises: StoreError: the list must be complete."""
        return [self.read(row) for row in rows] if self.declared.complete else super().readable(rows)

    def owned(self, scope: Scope, record: R, version: int) -> Any:
        """The record as one of this organisation."""
        return _replaced(record, version=version, **({"org": scope.org} if self._has_org else {}))

    def written(self, org: int, record: Any, columns: Sequence[str]) -> list[Value]:
        found: dict[str, Value] = {"org": org, "id": record.id, "version": record.version, **self.declared.initial}
        found.update(zip(self.columns(), self.values(record), strict=True))
        found.update({column: compute(record) for column, compute in self.declared.computed.items()})
        if self.declared.body:
            found[self.declared.body] = record_to_json(record)
        return [found[column] for column in columns]

    def settings(self, record: R) -> tuple[object, ...]:
        """The fields that a save changes."""
        return tuple(getattr(record, name) for name in self.declared.edited)

    def detail(self, record: R | None) -> dict[str, object]:
        audited = self.declared.audited or {name: name for name in self.declared.edited}
        return {} if record is None else {name: _as_object(getattr(record, field)) for name, field in audited.items()}

    def json_columns(self) -> Iterator[tuple[str, str, Callable[[bytes], object], str, str]]:
        if self.declared.body:
            yield self.declared.table, self.declared.body, self._read_body, "id", "''"
        yield from super().json_columns()


class SqliteRecords(ControlStore, Generic[R]):
    """`Records`. Its commands are also functions of a transaction, for commands that change several records."""

    form: Form[R]

    async def create(self, scope: Scope, record: R, also: Also[R] | None = None) -> R:
        return await self._writer.run(lambda tx: self.create_in(tx, scope, record, also))

    async def get(self, scope: Scope, record_id: str) -> R:
        return await self._reader.run(lambda rows: self.load(rows, scope.org, record_id))

    async def all(self, scope: Scope) -> list[R]:
        sql = f"{self.form.select}WHERE org = ? ORDER BY {self.form.declared.order}"
        return self.form.readable(await self._reader.run(lambda rows: rows.fetch_all(sql, scope.org)))

    async def of_every_org(self) -> list[R]:
        return self.form.readable(await self._reader.run(lambda rows: rows.fetch_all(self.form.select)))

    async def page(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[R]:
        at = place(self.form.declared.many, scope.org, limit, cursor, "~")  # "~" sorts behind every id
        sql = f"{self.form.select}WHERE org = ? AND id < ? ORDER BY id DESC LIMIT ?"
        found = await self._reader.run(lambda rows: rows.fetch_all(sql, scope.org, at.start, at.most))
        return at.page(found, self.form.read if self.form.declared.complete else self.form.or_none, "id")

    async def save(self, scope: Scope, record: R, also: Also[R] | None = None) -> R:
        return await self._writer.run(lambda tx: self.save_in(tx, scope, record, also))

    async def save_all(self, scope: Scope, records: Sequence[R]) -> list[R]:
        return await self._writer.run(lambda tx: [self.save_in(tx, scope, record) for record in records])

    async def delete(self, scope: Scope, record_id: str, also: Also[R] | None = None) -> None:
        await self._writer.run(lambda tx: self.delete_in(tx, scope, record_id, also))

    # -- inside a transaction ----------------------------------------------------------------------------

    def load(self, rows: Rows, org: int, record_id: str) -> R:
        """Raises: NotFound. StoreError: the record is damaged."""
        row = self.row(rows, org, record_id)
        if row is None:
            raise NotFound(f"there is no such {self.form.declared.words}")
        return self.form.read(row)

    def row(self, rows: Rows, org: int, record_id: str) -> Row | None:
        return rows.fetch_one(self.form.select + "WHERE org = ? AND id = ?", org, record_id)

    def create_in(self, tx: Tx, scope: Scope, record: Any, also: Also[R] | None = None) -> R:
        form, declared, made = self.form, self.form.declared, self.form.owned(scope, record, 1)
        row = self.row(tx, scope.org, made.id)
        if row is not None:
            stored = form.read(row)
            if form.settings(stored) != form.settings(made):
                raise Conflict(f"this id of {declared.a} was used before")
            return stored
        count = f"SELECT count(*) AS n FROM {declared.table} WHERE org = ?"  # noqa: S608 - built from constants only
        if declared.most and tx.fetch_all(count, scope.org)[0]["n"] >= declared.most:
            raise Conflict(f"there are {declared.most} {declared.many}: delete some first")
        self._check_name(tx, scope, made)
        tx.execute(form.insert, *form.written(scope.org, made, form.created))
        return self._done(tx, scope, declared.actions[0], made.id, also and also(tx, None))

    def save_in(self, tx: Tx, scope: Scope, record: Any, also: Also[R] | None = None) -> R:
        form, declared = self.form, self.form.declared
        row = self.row(tx, scope.org, record.id)
        if row is None and record.version == 0:
            return self.create_in(tx, scope, record, also)
        if row is None:
            raise NotFound(f"there is no such {declared.words}")
        before = form.or_none(row)
        after = form.owned(scope, record, row["version"] + 1)
        extra = also and also(tx, before)
        if before is not None and not extra and form.settings(before) == form.settings(after):
            return before
        stale = Conflict(f"this {declared.words} has changed meanwhile: load it again", version=row["version"])
        if before is not None and row["version"] != record.version:
            raise stale
        self._check_name(tx, scope, after)
        if not tx.execute(form.update, *form.written(scope.org, after, form.saved), scope.org, after.id, row["version"]):
            raise stale
        return self._done(tx, scope, declared.actions[1], after.id, extra)

    def delete_in(self, tx: Tx, scope: Scope, record_id: str, also: Also[R] | None = None) -> None:
        row = self.row(tx, scope.org, record_id)
        if row is None:
            return
        before = self.form.or_none(row)
        tx.execute(f"DELETE FROM {self.form.declared.table} WHERE org = ? AND id = ?", scope.org, record_id)  # noqa: S608 - built from constants only
        extra = also and also(tx, before)
        self._write(tx, scope, self.form.declared.actions[2], record_id, {**self.form.detail(before), **(extra or {})}, row["version"] + 1)

    def _done(self, tx: Tx, scope: Scope, action: str, record_id: str, extra: Mapping[str, object] | None) -> R:
        """Record a creation or a save, and return the record as it is stored now."""
        stored: Any = self.load(tx, scope.org, record_id)
        self._write(tx, scope, action, record_id, {**self.form.detail(stored), **(extra or {})}, stored.version)
        return stored  # type: ignore[no-any-return]  # `Any` only for `version`, which each model has

    def _write(self, tx: Tx, scope: Scope, action: str, record_id: str, detail: dict[str, object], version: int) -> None:
        self._chain.write(tx, scope, f"{self.form.declared.noun}.{action}", record_id, detail)
        if self.form.declared.changed:
            tx.publish(Changed(self.form.declared.changed, record_id, version, scope.org))

    def _check_name(self, tx: Tx, scope: Scope, record: Any) -> None:
        declared = self.form.declared
        if not declared.unique:
            return
        sql = f"SELECT 1 FROM {declared.table} WHERE org = ? AND {declared.unique} = ? AND id <> ?"  # noqa: S608 - built from constants only
        [name] = self.form.written(scope.org, record, [declared.unique])
        if tx.fetch_one(sql, scope.org, name, record.id) is not None:
            raise Conflict(f"there is {declared.a} named {record.name} already", field="name")


def record_stores() -> tuple[type[SqliteRecords[Any]], ...]:
    """The store of each kind of declared record. Complete once `stores` is imported."""
    return tuple(kind for kind in SqliteRecords.__subclasses__() if kind.__module__.startswith(__package__))


def _as_object(value: Any) -> object:
    return value._asdict() if hasattr(value, "_asdict") else value


def _replaced(record: Any, **fields: object) -> Any:
    return record._replace(**fields)
