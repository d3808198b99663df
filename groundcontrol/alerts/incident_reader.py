"""Reads what a message about an incident says, and the facts by which others decide whether it is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.alerts.details import Details
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.expression import State, parse
from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.incidents import MASS, Book, Names, key_of, title_of, worst_first
from groundcontrol.alerts.interfaces import OpenWindows
from groundcontrol.alerts.machine import FLAP_MOST_QUIET_S
from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId, Rule
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.states import STATES
from groundcontrol.alerts.store import AlertFilter, AlertStore
from groundcontrol.core.scope import hub_scope
from groundcontrol.events.store import LogStore
from spider.clock import Clock

LONGEST_QUIET_S: Final = FLAP_MOST_QUIET_S
"""The longest quiet time of a flapping episode."""
MOST_SHOWN: Final = 500
"""How many ended episodes of an incident are read at most."""


class DescribedAlert(NamedTuple):
    """An episode with the names that a message shows."""

    alert: Alert
    node_name: str
    """Empty: the hub itself."""
    rule_name: str
    unit: str = ""
    detail: str = ""
    """More about the object, such as the event that is missing."""
    value: float | None = None
    """The present value of a firing one, the stored one of an ended one."""


class IncidentReader:
    """Reads the incidents of one organisation, the open ones from memory."""

    def __init__(
        self, *, book: Book, store: AlertStore, rules: Rules, engine: Engine, facts: FactReader, windows: OpenWindows, log: LogStore, clock: Clock
    ) -> None:  # fmt: skip
        self.org = book.org
        self._book = book
        self._store = store
        self._rules = rules
        self._engine = engine
        self._facts = facts
        self._windows = windows
        self._details = Details(book.org, rules, facts, log, clock)
        self._clock = clock

    @property
    def open(self) -> Mapping[IncidentId, Incident]:
        """The open incidents."""
        return self._book.incidents

    async def incident(self, incident: IncidentId) -> Incident:
        """An open or ended incident. Raises: NotFound: it is deleted; StoreError."""
        return self._book.incidents.get(incident) or await self._store.incident(hub_scope(self.org), incident)

    def is_notice(self, alert: Alert) -> bool:
        """Whether an alert is a notice, which is shown and never sent."""
        return self._rules.is_notice(alert.rule_id)

    def firing(self, incident: IncidentId, changed: Mapping[AlertId, Alert] | None = None) -> list[Alert]:
        """The firing episodes of an incident without notices, worst first. Args: changed: episodes that replace those of the book."""
        known = {alert.id: alert for alert in self._book.of_incident(incident)} | dict(changed or {})
        return worst_first(
            one for one in known.values() if one.incident_id == incident and one.state == "firing" and not self.is_notice(one)
        )

    def still_firing(self, firing: Sequence[Alert]) -> list[Alert]:
        """Those of these episodes that are not about to end, by the present facts of their nodes."""
        for node in {alert.node_id for alert in firing if alert.node_id is not None}:
            facts = self._facts.find(node)
            if facts is not None:
                self._engine.set_node(facts, self._clock.now())
        return [alert for alert in firing if not self._engine.is_back(key_of(alert))]

    async def episodes(self, incident: IncidentId, state: str = "") -> list[Alert]:
        """The newest episodes of an incident without notices, newest first. Raises: StoreError."""
        page = await self._store.alerts(hub_scope(self.org), MOST_SHOWN, None, AlertFilter(state=state, incident=incident))
        return [alert for alert in page.items if not self.is_notice(alert)]

    def flapping_since(self, firing: Collection[Alert]) -> float | None:
        """When the present quiet time of one of these episodes began; None: none is in a quiet time."""
        now = self._clock.now()
        flaps = (self._engine.flapping(key_of(alert)) for alert in firing)
        return max((flap.since_at for flap in flaps if flap is not None and flap.quiet(now)), default=None)

    def maintenance_until(self, firing: Collection[Alert]) -> float | None:
        """When the last maintenance window of these episodes ends; None: one of them is not covered."""
        ends = []
        for alert in firing:
            if alert.node_id is None:
                return None
            window = self._windows.covering(self.org, alert.node_id, self._facts.tags(alert.node_id), self._clock.now())
            if window is None:
                return None
            ends.append(window.until_at)
        return max(ends, default=None)

    def present_title(self, incident: Incident, firing: Sequence[Alert]) -> tuple[str, tuple[str, ...]]:
        """The title by these firing episodes, and the names of other nodes that do not answer, if the incident is about that."""
        named = {alert.node_id for alert in firing}
        silent = [node for node in self._facts.silent() if node not in named] if incident.group == MASS else []
        title = title_of(incident.group, firing, Names(self._facts.name, self._rules.get), silent=len(silent) + len(firing))
        return title, tuple(sorted(self._facts.name(node) for node in silent))

    async def describe(self, alerts: Sequence[Alert], detailed: int) -> tuple[DescribedAlert, ...]:
        """Episodes with names and present values. Args: detailed: how many of the first ones have details. Raises: StoreError."""
        details = await self._details.of(alerts[:detailed])
        return tuple(self._described(alert, details.get(alert.id, "")) for alert in alerts)

    def _described(self, alert: Alert, detail: str) -> DescribedAlert:
        rule = self._rules.get(alert.rule_id)
        unit = "" if rule is None else self._rules.unit(rule)
        name = "" if alert.node_id is None else self._facts.name(alert.node_id)
        present = self.present_value(alert, rule)
        return DescribedAlert(alert, name, self._rules.name(alert.rule_id), unit, detail, alert.value if present is None else present)

    def present_value(self, alert: Alert, rule: Rule | None) -> float | None:
        """The value of a firing episode as it is now; None: it is over, or its value is not known."""
        if alert.state == "resolved" or rule is None:
            return None
        expression = parse(rule.expr)
        if isinstance(expression, State) and STATES[expression.kind].elapsed:
            return max(0.0, self._clock.now() - alert.since_at)
        return self._engine.value(key_of(alert))
