"""Keeps what one organisation stores from every other, below the statements: a statement that forgets its organisation reads and changes nothing.

A method of a store that takes a `Scope` or `org` acts for that organisation (`act_for_owners`), and so does each query and command of it:

- A query gets a connection on which each table with the column `org` is a view of the rows of that organisation, and an authorizer refuses
  the table itself (`restrict_reads`).
- A command runs beside triggers that refuse to insert, change or delete a row of another organisation (`guard_writes`).

Other methods act for the hub as a whole; `tests/contract/test_store_isolation.py` lists them.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from groundcontrol.core.scope import Scope

ACTING_ORG: Final[ContextVar[int | None]] = ContextVar("acting_org", default=None)
"""The organisation for which the running method of a store acts; None: for the hub as a whole."""

_FUNCTION: Final = "acting_org"
OF_ACCOUNTS: Final = frozenset(
    {"account", "login", "place", "recovery_code", "secret", "membership", "oidc_link", "oidc_session", "passkey"}
)
"""Tables with the column `org` whose rows belong to accounts, which are the instance's. A sealed secret names its record, or its
account. A membership says which accounts an organisation's admins may manage: those with no other."""
_WITH_ROWID: Final = frozenset({"audit"})
"""Tables whose order is that of their rows, which a view has only as a column."""
_REFUSED: Final = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA})
"""Statements that could take the restriction away. `query_only` refuses all that change something, temporary tables and views included."""
_PRAGMA: Final = "shrink_memory"
_OWNERS: Final = ("scope", "org")
"""Parameters that name an organisation."""
_MARK: Final = "acts_for_owner"
"""An attribute of each method that `act_for_owners` made, and of each class whose methods it has looked at."""
_FOREIGN: Final = "a row of another organisation"


class Acting:
    """The organisation for which a connection acts now. Only its thread uses it."""

    def __init__(self) -> None:
        self.org: int | None = None

    def add_to(self, db: sqlite3.Connection) -> None:
        # It is constant within a statement, which is all that SQLite takes `deterministic` for here: the function is in no index.
        db.create_function(_FUNCTION, 0, lambda: self.org, deterministic=True)


def owned_tables(db: sqlite3.Connection) -> list[str]:
    """The tables whose rows belong to organisations: those with the column `org`, but for `OF_ACCOUNTS`."""
    sql = (
        "SELECT name FROM main.sqlite_schema AS one WHERE type = 'table'"
        " AND EXISTS (SELECT 1 FROM pragma_table_info(one.name) WHERE name = 'org') ORDER BY name"
    )
    return [str(name) for [name] in db.execute(sql).fetchall() if name not in OF_ACCOUNTS]


def restrict_reads(db: sqlite3.Connection, acting: Acting) -> None:
    """Let this connection see only rows of the organisation for which it acts. If it acts for none, it sees none."""
    acting.add_to(db)
    owned = owned_tables(db)
    db.execute("PRAGMA query_only = OFF")  # it refuses temporary views as well
    columns = {table: "rowid, *" if table in _WITH_ROWID else "*" for table in owned}
    _create(db, [f"VIEW {table} AS SELECT {columns[table]} FROM main.{table} WHERE org = {_FUNCTION}()" for table in owned])  # noqa: S608  names of the schema
    owned_names = frozenset(owned)

    def authorize(action: int, table: str | None, _column: str | None, schema: str | None, view: str | None) -> int:
        if action == sqlite3.SQLITE_READ:
            refuse = table in owned_names and schema == "main" and view != table
        else:
            refuse = action in _REFUSED and table != _PRAGMA
        return sqlite3.SQLITE_DENY if refuse else sqlite3.SQLITE_OK

    db.execute("PRAGMA query_only = ON")
    db.set_authorizer(authorize)


def guard_writes(db: sqlite3.Connection, acting: Acting) -> None:
    """Refuse changes of rows of other organisations than the one for which this connection acts. If it acts for none, all are allowed."""
    acting.add_to(db)
    db.execute("PRAGMA recursive_triggers = ON")  # otherwise INSERT OR REPLACE deletes the row in its way without a trigger
    triggers = []
    for table in owned_tables(db):
        for act, rows in (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",))):
            foreign = " OR ".join(f"{row}.org <> {_FUNCTION}()" for row in rows)
            triggers.append(
                f"TRIGGER guard_{act}_{table} BEFORE {act} ON main.{table} WHEN {foreign} BEGIN SELECT RAISE(ABORT, '{_FOREIGN}'); END"
            )
    _create(db, triggers)


def _create(db: sqlite3.Connection, made: Sequence[str]) -> None:
    """Create temporary views or triggers in one transaction: one by one, they are half of the time that a connection takes to open."""
    db.executescript("".join(["BEGIN;", *(f"CREATE TEMP {one};" for one in made), "COMMIT;"]))


def act_for_owners(store: type) -> None:
    """Let each method of a class of stores that takes a `scope` or `org` act for that organisation. To repeat it changes nothing."""
    if _MARK in vars(store):
        return
    setattr(store, _MARK, True)
    for name, method in inspect.getmembers(store, inspect.isfunction):
        runs = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)  # others are part of a command of another method
        names = list(inspect.signature(method).parameters)
        owner = next((each for each in _OWNERS if each in names), None)
        if runs and owner is not None and not name.startswith("_") and not hasattr(method, _MARK):
            acting = _acting(method, owner, names.index(owner))
            setattr(acting, _MARK, True)
            setattr(store, name, acting)


def _acting(method: Callable[..., Any], owner: str, place: int) -> Callable[..., Any]:
    def org_of(args: Sequence[Any], named: Mapping[str, Any]) -> int:
        value: Scope | int = named[owner] if owner in named else args[place]
        return value.org if isinstance(value, Scope) else value

    @functools.wraps(method)
    async def act(*args: Any, **named: Any) -> Any:
        with acting_for(org_of(args, named)):
            return await method(*args, **named)

    @functools.wraps(method)
    async def generate(*args: Any, **named: Any) -> AsyncIterator[Any]:
        org = org_of(args, named)
        async with contextlib.aclosing(method(*args, **named)) as items:
            while True:
                with acting_for(org):  # only while it works: its reader acts for others between the items
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                yield item

    return generate if inspect.isasyncgenfunction(method) else act


@contextlib.contextmanager
def acting_for(org: int) -> Iterator[None]:
    """Let queries and commands of this task act for an organisation."""
    before = ACTING_ORG.set(org)
    try:
        yield
    finally:
        ACTING_ORG.reset(before)
