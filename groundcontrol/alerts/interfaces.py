"""Interfaces that the alerts slice uses and that others implement: who is told of its alerts, and what delays that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.schedules.maintenance import Quiet


class Decisions:
    """What a `Notifier` decided. The transaction of its cause stores it; alerts do not look inside."""


class Notifier(Protocol):
    """Decides whether and when somebody is told of the alerts of an organisation. Implemented in `notifications/intents.py`.

    `AlertService` calls it one at a time: each decision builds on the one before.
    """

    async def of_changes(
        self, incidents: Collection[Incident], changed: Mapping[AlertId, Alert], eased: Collection[IncidentId]
    ) -> Decisions:
        """Decide about the newest revisions of incidents. Raises: StoreError.

        Args:
        changed: episodes that are new or changed, which the book does not hold yet.
        eased: incidents about which a reason to wait may have ended.
        """
        ...

    async def review(self) -> None:
        """Store what is due by the passing of time: repeated messages, and those that channels have missed. Raises: StoreError."""
        ...

    async def follow_snooze(self, incidents: Collection[IncidentId]) -> None:
        """Decide again about incidents whose alerts were snoozed, or are not any more. Raises: StoreError."""
        ...

    def wake(self) -> None:
        """Send what is due now: decisions were stored."""
        ...


class Receiver(Protocol):
    """A receiver of messages."""

    @property
    def name(self) -> str: ...

    @property
    def enabled(self) -> bool: ...

    @property
    def state(self) -> str:
        """`broken`: it takes no messages."""
        ...


class Receivers(Protocol):
    async def all(self, scope: Scope) -> Sequence[Receiver]:
        """The receivers of an organisation."""
        ...


class OpenWindows(Protocol):
    """Maintenance windows."""

    def covering(self, org: int, node: NodeId, tags: tuple[str, ...], now: float) -> Quiet | None:
        """As `Windows.covering`."""
        ...
