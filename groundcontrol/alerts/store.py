"""The store interface of alerts, incidents and rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from groundcontrol.alerts.interfaces import Decisions
from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId, Rule, RuleId
from groundcontrol.alerts.snapshot import Snapshot
from groundcontrol.core.ids import NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.records import Records
from groundcontrol.core.scope import Scope
from groundcontrol.events.model import Event


class AlertFilter(NamedTuple):
    """The filter of a list of alerts; an empty field matches every alert."""

    state: str = ""
    node: NodeId | None = None
    rule: str = ""
    incident: IncidentId | None = None


class AlertChange(NamedTuple):
    """The changes of one evaluation. They are stored as a whole or not at all."""

    alerts: Sequence[Alert] = ()
    """New episodes, and the new state of stored ones."""
    incidents: Sequence[Incident] = ()
    events: Sequence[Event] = ()
    decisions: Decisions | None = None
    """Whom the changes are told; None: nobody."""


class Handling(NamedTuple):
    """An action of a user on an alert: acknowledge it, or snooze it until a time (0 ends the snooze)."""

    acknowledge: bool = False
    note: str = ""
    snooze_until: float | None = None
    names: Mapping[RuleId, str] = {}
    """Names of rules, for the text of the event."""

    @property
    def action(self) -> str:
        """The action in the audit log."""
        return "alert.acknowledge" if self.acknowledge else "alert.snooze" if self.snooze_until else "alert.unsnooze"

    @property
    def event(self) -> str:
        """The type of the event; empty: the end of a snooze has no event."""
        return "alert_acknowledged" if self.acknowledge else "alert_snoozed" if self.snooze_until else ""

    def apply(self, alert: Alert, user: str, now: float) -> Alert:
        """The alert after the action. A later acknowledgement replaces an earlier one only if it has a note."""
        if not self.acknowledge:
            return alert._replace(snoozed_until=self.snooze_until or None)
        if alert.acknowledged_at is not None and not self.note:
            return alert
        return alert._replace(acknowledged_at=now, acknowledged_by=user, note=self.note)


def alert_text(alert: Alert, rule_name: str) -> str:
    """The text of an alert in events, such as `File system almost full (/var)`."""
    return f"{rule_name} ({alert.object})" if alert.object else rule_name


class AlertStore(Protocol):
    async def commit(self, change: AlertChange) -> None:
        """Store the changes of one evaluation. A repeated call changes nothing.

        Acknowledgement and snooze of stored alerts stay, whatever `change` says. They end when an alert rises to critical.
        """
        ...

    async def open_alerts(self, org: int) -> tuple[Sequence[Alert], Sequence[Incident]]:
        """The firing episodes and the open incidents."""
        ...

    async def ended_since(self, org: int, at: float) -> Sequence[Alert]:
        """Episodes that ended at this time (Unix seconds) or later."""
        ...

    async def save_engine(self, org: int, snapshot: Snapshot) -> None:
        """Replace the stored snapshot of the engine."""
        ...

    async def engine(self, org: int) -> Snapshot | None:
        """The stored snapshot; None: there is none, or it is damaged or of another version."""
        ...

    async def alerts(self, scope: Scope, limit: int, cursor: str | None = None, only: AlertFilter | None = None) -> Page[Alert]:
        """A page of episodes, newest first."""
        ...

    async def alert(self, scope: Scope, alert: AlertId) -> Alert:
        """Raises: NotFound."""
        ...

    async def alerts_of(self, scope: Scope, incidents: Collection[IncidentId], most: int) -> Mapping[IncidentId, Sequence[Alert]]:
        """Incident -> at most `most` of its episodes, newest first. Incidents without visible episodes are left out."""
        ...

    async def handle(self, scope: Scope, alerts: Collection[AlertId], handling: Handling) -> Sequence[Alert]:
        """Acknowledge or snooze firing episodes, with an audit row and an event for each.

        Raises: NotFound: one of them does not exist; Conflict: one of them has ended. In both cases none is changed.
        """
        ...

    async def incidents(self, scope: Scope, limit: int, cursor: str | None = None, state: str = "") -> Page[Incident]:
        """A page of incidents, newest first. Args: state: `open` or `resolved`; empty: both."""
        ...

    async def incident(self, scope: Scope, incident: IncidentId) -> Incident:
        """Raises: NotFound."""
        ...

    async def expire_alerts(self, before: float) -> int:
        """Delete some episodes that ended before this time (Unix seconds), and incidents without episodes.

        Returns: the number of episodes; 0: none is left.
        """
        ...


class RuleStore(Records[Rule], Protocol):
    """The stored rules: those of users, and default rules that somebody changed."""
