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
        """Store an event that has no other cause in the store. Events with one are stored with it.

        Returns: the id of its row, which it may share with an equal one; None: its sender reports too many events.
        """
        ...

    async def find_event(self, scope: Scope, event: EventId) -> Event | None: ...
    async def count_events(self, scope: Scope, now: float, node: NodeId | None = None) -> Summary: ...
    async def events(
        self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: EventFilter | None = None
    ) -> Page[Event]:
        """Events in the reverse order of writing, whatever the clock showed."""
        ...

    async def events_of(
        self, scope: Scope, nodes: Collection[NodeId], span: tuple[float, float], limit: int, *, without: Collection[str], fleet: bool
    ) -> Sequence[Event]:
        """The newest events of these nodes between two times, newest first. Args: without: types; fleet: also events of no node."""
        ...

    async def expire_events(self, now: float) -> int:
        """Delete some events that are too old for their severity, or too many. Returns their number; call again until 0."""
        ...

    async def save_refusals(self, refusals: Sequence[Refusal]) -> None:
        """Store refusals by their id. If the id exists, its count and last time grow. Only the newest rows stay."""
        ...

    async def sum_refusals(self) -> None:
        """Write one audit row about the refusals that no such row covers yet; none, if there are no such refusals."""
        ...

    async def expire_refusals(self, before: float) -> int:
        """Delete some refusals from before this time. Returns their number; call again until 0."""
        ...

    async def audit(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[AuditRow]:
        """Rows of the audit log and refusals, in the reverse order of writing."""
        ...

    async def last_audit_at(self) -> float | None:
        """The latest time of any row since the clock was last accepted; None: there is no row."""
        ...

    async def accept_clock(self, scope: Scope, behind_s: float) -> None:
        """Accept the clock: rows from before this moment no longer count as evidence about it."""
        ...

    async def verify_audit(self) -> str | None:
        """None: every chain is intact; otherwise a text about the first row that is not."""
        ...

    async def audit_heads(self) -> Sequence[AuditHead]:
        """The heads that no chain names yet. A copy of these heads proves every row before them."""
        ...
