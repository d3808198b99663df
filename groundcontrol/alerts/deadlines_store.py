"""The store interface of expectations and their deadlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, Protocol

from groundcontrol.alerts.deadlines import DeadlineNode, Expectation, ExpectationId, JudgedDay, Report, Unmet
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope

MOST_EXPECTATIONS: Final = 100
"""Expectations of one organisation. Each is looked up every minute."""


class ExpectationStore(Protocol):
    async def create_expectation(self, scope: Scope, expectation: Expectation) -> Expectation:
        """Conflict: the name is taken, or there are too many."""
        ...

    async def save_expectation(self, scope: Scope, expectation: Expectation) -> Expectation:
        """Save with compare-and-set on `version`. Returns the expectation with the next version. Conflict: it has changed meanwhile, or
        the name is taken."""
        ...

    async def was_reported(self, scope: Scope, name: str) -> bool:
        """Whether a custom event of this name is stored."""
        ...

    async def delete_expectation(self, scope: Scope, expectation: ExpectationId) -> None:
        """Delete it with its judged days. Repeating it changes nothing."""
        ...

    async def expectation(self, scope: Scope, expectation: ExpectationId) -> Expectation: ...
    async def expectations(self, scope: Scope) -> Sequence[Expectation]:
        """By name."""
        ...

    async def judged_days(
        self, scope: Scope, expectation: ExpectationId, first: date, last: date, node: NodeId | None = None
    ) -> Sequence[JudgedDay]:
        """Of the nodes that the caller may see."""
        ...

    async def all_expectations(self) -> Sequence[Expectation]:
        """Those of all organisations, for the checker."""
        ...

    async def undecided(self, expectation: Expectation, day: date) -> Sequence[DeadlineNode]:
        """The nodes whose deadline of this date is not judged, selected or not. Nodes that wait for approval are left out."""
        ...

    async def reports(
        self, expectation: Expectation, nodes: Sequence[NodeId], start_at: float, until_at: float
    ) -> Mapping[NodeId, Sequence[Report]]:
        """The expected events with a true time from `start_at` to `until_at`, both included; at most a few of each node, earliest first."""
        ...

    async def missed_days(self, since: date) -> Sequence[JudgedDay]:
        """Missed deadlines of this date or later, for which no report has come."""
        ...

    async def save_judgements(self, expectation: Expectation, days: Sequence[JudgedDay]) -> int:
        """Store the first judgement of each deadline, a missed one with its event, or the late report of a missed one.

        A judgement that is stored already is left as it is. Returns: how many were stored.
        """
        ...

    async def unmet(self, since: date) -> Mapping[NodeId, Mapping[str, Unmet]]:
        """For each node the names of expectations whose latest deadline was missed, at this date or later."""
        ...

    async def expire_days(self, before: date) -> int:
        """Delete some judged days from before this date. Returns their number; call again until 0."""
        ...
