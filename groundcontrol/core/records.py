"""Stored records: the declaration of one kind beside its model, and the interface to its rows that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope

R = TypeVar("R", bound=tuple[Any, ...])
"""The model of a record: a NamedTuple with `id`, `version` and mostly `org`."""


@dataclass(frozen=True, kw_only=True)
class Record(Generic[R]):
    """The declaration of one kind of record. The table has the key (org, id), a `version`, and a column for each field of the model.

    Texts, numbers and booleans are columns; everything else is JSON in its column, which `stardust doctor` checks.
    """

    model: type[R]
    table: str
    noun: str
    """The word in messages and in actions of the audit log, such as `expectation` in `expectation.create`."""
    edited: Sequence[str]
    """The fields that a save changes. Other fields keep their value since the creation, or are changed by commands of their own."""
    plural: str = ""
    """Empty: the noun with an s."""
    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """Field -> its column, where the names differ. Several columns: one for each part of a NamedTuple."""
    computed: Mapping[str, Callable[[R], str | int | float]] = field(default_factory=dict)
    """Column outside the model -> its value, written with each creation and save."""
    initial: Mapping[str, str | int | float] = field(default_factory=dict)
    """Column outside the model -> its value in a new row. Commands of its own change it later."""
    body: str = ""
    """The column with the whole record as one JSON object, so that a new field needs no migration. Only the fields in `columns` have columns
    of their own, whose values count."""
    audited: Mapping[str, str] = field(default_factory=dict)
    """Name in the detail of the audit log -> field. Empty: the fields of `edited`."""
    damaged: Mapping[str, object] = field(default_factory=dict)
    """Field -> what is read instead of a damaged value. A record with another damaged field is left out of lists."""
    unique: str = ""
    """The column of the name that only one record of an organisation may have. The table has a unique index of it."""
    most: int = 0
    """The limit for one organisation; 0: another rule limits them."""
    complete: bool = False
    """Whether a list with a damaged record fails, instead of leaving the record out."""
    order: str = "id"
    """The column by which `all` sorts."""
    actions: tuple[str, str, str] = ("create", "edit", "delete")
    """The ends of the three actions in the audit log."""
    changed: str = ""
    """The kind of the `Changed` message that each change publishes; empty: none."""

    @property
    def a(self) -> str:
        """The noun with its article."""
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.words}"

    @property
    def words(self) -> str:
        """The noun in messages."""
        return self.noun.replace("_", " ")

    @property
    def many(self) -> str:
        return self.plural or f"{self.words}s"


class ReadRecords(Protocol[R]):
    """The stored records of one kind, for a subject whose changes have more arguments than `Records`."""

    async def get(self, scope: Scope, record_id: str) -> R:
        """Raises: NotFound. StoreError: the record is damaged."""
        ...

    async def all(self, scope: Scope) -> Sequence[R]:
        """All readable records of this organisation."""
        ...

    async def page(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[R]:
        """A page of records, newest id first. Raises: BadRequest: the cursor belongs to another list."""
        ...

    async def of_every_org(self) -> Sequence[R]:
        """All readable records of all organisations, for tasks of the hub."""
        ...


class Records(ReadRecords[R], Protocol[R]):
    """Each change is one durable command with its audit row, and may be repeated with equal arguments."""

    async def create(self, scope: Scope, record: R) -> R:
        """Store a new record of this organisation, with version 1.

        Raises: Conflict: the id or the name is taken, or there are too many.
        """
        ...

    async def save(self, scope: Scope, record: R) -> R:
        """Store the edited fields of a record, or create it if its version is 0. A damaged record is replaced. Returns: the record with its next version, or unchanged.

        Raises: NotFound. Conflict: `version` is not the stored one, or the name is taken.
        """
        ...

    async def save_all(self, scope: Scope, records: Sequence[R]) -> Sequence[R]:
        """Save several records: all or none. Raises: as `save`."""
        ...

    async def delete(self, scope: Scope, record_id: str) -> None:
        """Delete a record. If there is none, nothing changes."""
        ...
