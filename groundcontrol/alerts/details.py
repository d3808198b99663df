"""The detail that a message adds to an alert: the event that is missing, or the text that a program reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from groundcontrol.alerts.expression import EventOf, State, parse
from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.model import Alert, AlertId
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.states import DEADLINE_MISSED
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.scope import hub_scope
from groundcontrol.events.catalogue import known_type, words
from groundcontrol.events.making import AHEAD_S
from groundcontrol.events.model import Event
from groundcontrol.events.store import LogStore
from groundcontrol.schedules.deadlines import Unmet
from groundcontrol.schedules.wall_clock import zone_of
from spider.clock import Clock

MOST_EVENTS: Final = 100
"""How many events of a server are searched for the last report."""
REPORT_CHARS: Final = 150


class Details:
    """Looks up the details of firing alerts."""

    def __init__(self, org: int, rules: Rules, facts: FactReader, log: LogStore, clock: Clock) -> None:
        self._org = org
        self._rules = rules
        self._facts = facts
        self._log = log
        self._clock = clock

    async def of(self, alerts: Sequence[Alert]) -> Mapping[AlertId, str]:
        """The details of the firing ones among these alerts. Raises: StoreError."""
        return {alert.id: await self._of(alert) for alert in alerts if alert.state == "firing"}

    async def _of(self, alert: Alert) -> str:
        rule = self._rules.get(alert.rule_id)
        match None if rule is None else parse(rule.expr):
            case State(kind=kind) if kind == DEADLINE_MISSED and alert.node_id is not None:
                unmet = self._facts.unmet(alert.node_id, alert.object)
                return "" if unmet is None else missing_words(unmet)
            case EventOf(type=kind):
                return await self._last_report(kind, alert)
        return ""

    async def _last_report(self, kind: str, alert: Alert) -> str:
        """The message of the last matching event, cut at `REPORT_CHARS`; empty: none, or a program gave only the standard text of its type."""
        nodes = [] if alert.node_id is None else [alert.node_id]
        span = (alert.since_at, self._clock.now() + AHEAD_S)
        events = await self._log.events_of(hub_scope(self._org), nodes, span, MOST_EVENTS, without=(), fleet=not nodes)
        last = next((one for one in events if (one.type, one.object) == (kind, alert.object)), None)
        adds_nothing = last is None or (last.source != "hub" and last.message == self._standard_text(last))
        return "" if last is None or adds_nothing else last.message[:REPORT_CHARS]

    def _standard_text(self, event: Event) -> str:
        name = "" if event.node_id is None else self._facts.name(event.node_id)
        return words(known_type(event.type), event.details, name)


def missing_words(unmet: Unmet) -> str:
    """Such as `backup_completed did not arrive by 2026-11-26 05:00 (Europe/Budapest)`."""
    try:
        by = f"{datetime.fromtimestamp(unmet.by_at, zone_of(unmet.zone)):%Y-%m-%d %H:%M} ({unmet.zone})"
    except BadRequest:  # this machine no longer has the zone
        by = f"{datetime.fromtimestamp(unmet.by_at, UTC):%Y-%m-%d %H:%M UTC}"
    return f"{unmet.event} did not arrive by {by}"
