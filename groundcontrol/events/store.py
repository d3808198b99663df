"""The store interface of events and the audit log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from groundcontrol.core.audit import AuditHead, AuditRow
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.events.model import Event, EventFilter, Refusal, Summary


class LogStore(Protocol):
    async def add_event(self, event: Event) -> EventId | None:
        """Store an event that no stored change caused. An event caused by a change is stored in that change's transaction.

        Returns: the id of its row, which it may share with an equal event; None: its sender reports too many events.
        """
        ...

    async def find_event(self, scope: Scope, event: EventId) -> Event | None: ...
    async def count_events(self, scope: Scope, now: float, node: NodeId | None = None) -> Summary: ...
    async def events(
        self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: EventFilter | None = None
    ) -> Page[Event]:
        """A page of events in the reverse order in which they were stored."""
        ...

    async def events_of(
        self, scope: Scope, nodes: Collection[NodeId], span: tuple[float, float], limit: int, *, without: Collection[str], fleet: bool
    ) -> Sequence[Event]:
        """The newest events of these nodes between two times, newest first.

        Args: span: Unix seconds. without: types to leave out. fleet: include events of no node.
        """
        ...

    async def expire_events(self, now: float) -> int:
        """Delete a batch of events that are too old for their severity, or too many.

        Returns: the number deleted; 0: nothing more to delete.
        """
        ...

    async def save_refusals(self, refusals: Sequence[Refusal]) -> None:
        """Store refusals, or raise the count and the last time of those whose id is stored. Only the newest rows stay."""
        ...

    async def write_refusal_summary(self) -> None:
        """Write one audit row that sums the refusals not yet counted by an earlier row. If there are none, write nothing."""
        ...

    async def expire_refusals(self, before: float) -> int:
        """Delete a batch of refusals from before this time. Returns: the number deleted; 0: nothing more to delete."""
        ...

    async def audit(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[AuditRow]:
        """A page of audit rows and refusals, in the reverse order in which they were stored."""
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

    async def audit_heads(self) -> Sequence[AuditHead]:
        """The last row (number and hash) of each chain that no later chain has recorded yet.

        Whoever has a copy of them can prove all rows before them.
        """
        ...
