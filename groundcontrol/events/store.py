"""The store interface of events and the audit log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from groundcontrol.core.audit import AuditHead, AuditRow
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.events.model import Event, EventFilter, Order, Refusal, Subject, Summary


class LogStore(Protocol):
    async def add_event(self, event: Event) -> EventId | None:
        """Store an event. (If a stored change causes an event, the transaction of that change stores it.)

        Returns: the id of its row. An equal event may have made the row before. None: its sender reports too many events.
        """
        ...

    async def find_event(self, scope: Scope, event: EventId) -> Event | None:
        """The event; None: it does not exist, or the caller may not see it."""
        ...

    async def count_events(self, scope: Scope, now: float, node: NodeId | None = None) -> Summary:
        """The numbers of events of the last day. Args: now: Unix seconds. node: None: of all nodes and of none."""
        ...

    async def events(
        self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: EventFilter | None = None
    ) -> Page[Event]:
        """A page of events, the last stored first."""
        ...

    async def events_of(
        self,
        scope: Scope,
        nodes: Collection[NodeId],
        span: tuple[float, float],
        limit: int,
        *,
        without: Collection[str],
        fleet: bool,
        types: Collection[str] = (),
    ) -> Sequence[Event]:
        """The newest events of these nodes between two times, newest first.

        Args: span: Unix seconds. without: types to leave out. fleet: include events of no node. types: only these; empty: every type.
        """
        ...

    async def expire_events(self, now: float) -> int:
        """Delete a batch of events that are too old for their severity. If there are none, but too many events, delete the oldest.

        Returns: the number deleted; 0: nothing more to delete.
        """
        ...

    async def save_refusals(self, refusals: Sequence[Refusal]) -> None:
        """Store refusals. If the id of one is stored, raise its count and last time. Beyond 100,000 rows the oldest are deleted."""
        ...

    async def write_refusal_summary(self) -> None:
        """Write one audit row with the number of refusals that no earlier row counts. If there are none, write nothing."""
        ...

    async def expire_refusals(self, before: float) -> int:
        """Delete a batch of refusals from before this time. Returns: the number deleted; 0: nothing more to delete."""
        ...

    async def audit(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[AuditRow]:
        """A page of audit rows and refusals, the last stored first."""
        ...

    async def last_audit_at(self) -> float | None:
        """The latest time of the audit rows since the clock was last accepted, in Unix seconds; None: there is no row."""
        ...

    async def accept_clock(self, scope: Scope, behind_s: float) -> None:
        """Accept the clock: `last_audit_at` ignores the present rows. Args: behind_s: how far it is behind, for the audit row."""
        ...

    async def verify_audit(self) -> str | None:
        """Check the hash chains of the audit log. Returns: a text about the first row that is missing or altered; None: all are intact."""
        ...

    async def archive_audit(self, before: float, most_rows: int) -> int:
        """Pack some old rows of the audit log: those from before a time (Unix seconds), and those that are more than `most_rows`.

        Returns: how many; 0: there is nothing to pack.
        """
        ...

    async def audit_heads(self) -> Sequence[AuditHead]:
        """The last row (number and hash) of each chain of the audit log, unless a later chain has recorded it.

        Whoever has a copy of these can prove whether a row before them was altered.
        """
        ...


class OrderStore(Protocol):
    async def orders(self, scope: Scope, ids: Collection[str]) -> Sequence[Order]:
        """Those of these orders for many nodes that exist, with the jobs or deployments that the caller may see."""
        ...

    async def subjects(self, scope: Scope, ids: Collection[str]) -> Mapping[str, Subject]:
        """What these ids stand for, by id, whatever the caller's grants. An unknown id is missing."""
        ...
