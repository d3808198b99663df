"""The store interface of expectations and their deadlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.records import Records
from groundcontrol.core.scope import Scope
from groundcontrol.schedules.deadlines import DeadlineNode, Expectation, ExpectationId, JudgedDay, Report, Unmet


class ExpectationStore(Records[Expectation], Protocol):
    async def was_reported(self, scope: Scope, name: str) -> bool:
        """Whether a custom event of this name is stored."""
        ...

    async def judged_days(
        self, scope: Scope, expectation: ExpectationId, first: date, last: date, node: NodeId | None = None
    ) -> Sequence[JudgedDay]:
        """The judgements from `first` to `last`, both included, of the nodes that the caller may see."""
        ...

    async def undecided(self, expectation: Expectation, day: date) -> Sequence[DeadlineNode]:
        """The approved nodes without a judgement of this date, whether they are selected or not."""
        ...

    async def first_reports(
        self, expectation: Expectation, nodes: Sequence[NodeId], start_at: float, until_at: float
    ) -> Mapping[NodeId, Report]:
        """Node -> its earliest expected event from `start_at` to `until_at`, both included.

        A row of equal events may begin before `start_at`. Its first event from then on is not stored by itself. `Report.at` is then the
        latest time that this event can have.
        """
        ...

    async def missed_days(self, since: date) -> Sequence[JudgedDay]:
        """Missed deadlines of this date or later for which no report has arrived."""
        ...

    async def save_judgements(self, expectation: Expectation, days: Sequence[JudgedDay]) -> int:
        """Store first judgements, with an event for each missed deadline, or late reports of missed deadlines.

        Judgements that are already stored stay. Returns: how many were stored.
        """
        ...

    async def unmet(self, since: date) -> Mapping[NodeId, Mapping[str, Unmet]]:
        """Node -> name of expectation -> its latest deadline, if it was missed at this date or later."""
        ...

    async def expire_days(self, before: date) -> int:
        """Delete some judged days from before this date. Returns: their number; 0: none is left."""
        ...
