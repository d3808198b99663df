"""Events and the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from groundcontrol.core.audit import AuditHead, AuditRow
from groundcontrol.core.ids import NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.events.model import Event, EventFilter, Refusal


class LogStore(Protocol):
    async def add_event(self, event: Event) -> None: ...
    async def events(
        self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: EventFilter | None = None
    ) -> Page[Event]:
        """What was written last comes first, whatever the clock showed."""
        ...

    async def expire_events(self, before: float) -> int:
        """Forget some events of before then. Returns how many; call again until 0."""
        ...

    async def save_refusals(self, refusals: Sequence[Refusal]) -> None:
        """Keep refusals by their id; of one that is there already the count and the last time grow. Only the newest rows are kept."""
        ...

    async def sum_refusals(self) -> None:
        """Write one audit row about the refusals that no such row names yet; none, if there is nothing to sum up."""
        ...

    async def expire_refusals(self, before: float) -> int:
        """Remove some refusals of before then. Returns how many; call again until 0."""
        ...

    async def audit(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[AuditRow]:
        """Rows of the audit log and refusals, as they were written, the last one first."""
        ...

    async def last_audit_at(self) -> float | None:
        """The latest time of any row since the clock was last accepted; None: there is no row."""
        ...

    async def accept_clock(self, scope: Scope, behind_s: float) -> None:
        """Rows of before this moment say nothing about the clock any more."""
        ...

    async def verify_audit(self) -> str | None:
        """None: every chain holds; else the first row that does not."""
        ...

    async def audit_heads(self) -> Sequence[AuditHead]:
        """The ends that no chain names yet: whoever holds these holds everything before them."""
        ...
