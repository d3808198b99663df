"""Judges deadlines when they are due, and again when a late report arrives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Final

from groundcontrol.core.errors import StoreError
from groundcontrol.core.ids import NodeId
from groundcontrol.core.rounds import every
from groundcontrol.core.steady_clock import JumpWatch
from groundcontrol.schedules.deadlines import (
    AWAY_S,
    LATE_DAYS,
    Deadline,
    Expectation,
    ExpectationId,
    JudgedDay,
    Unmet,
    deadline,
    deadlines_due,
    judge,
    judge_again,
    next_deadline,
    usable,
)
from groundcontrol.schedules.deadlines_store import ExpectationStore
from groundcontrol.schedules.silence import START_S
from groundcontrol.schedules.silence_store import SilenceStore
from groundcontrol.schedules.wall_clock import local_date
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0
KEEP_DAYS: Final = 400
OPEN_DAYS: Final = 14
"""How long a missed deadline stays open if no later one is met. Every weekday occurs in this time."""
STEADY_S: Final = 600.0
"""How long nothing is judged after a jump of the wall clock, since a wrong clock may be corrected."""


class DeadlineChecker:
    """The task that checks deadlines every minute. It gives rules the missed deadlines that are open."""

    def __init__(self, store: ExpectationStore, silence: SilenceStore, clock: Clock, away: Callable[[NodeId], bool]) -> None:
        """Args: silence: the store of the times at which no hub ran. away: whether a node is not connected."""
        self._store = store
        self._silence = silence
        self._clock = clock
        self._away = away
        self._jumps = JumpWatch(clock, STEADY_S)
        self._ready_at = clock.monotonic() + START_S
        """The monotonic time from which deadlines are judged."""
        self._checked_at: float | None = None
        """Deadlines until this time are judged, except of nodes in `_waiting`. Nodes that are selected later are not judged for them."""
        self._waiting: dict[tuple[ExpectationId, str], set[NodeId]] = {}
        """(Expectation, date) -> the nodes that were away at the last check."""
        self._failed: set[ExpectationId] = set()
        """Expectations that raised an unexpected error. Their last deadlines are judged at the next check."""
        self._unmet: Mapping[NodeId, Mapping[str, Unmet]] | None = None
        """None: not read yet."""
        self._names: Collection[str] | None = None

    def unmet(self, node: NodeId) -> Mapping[str, Unmet] | None:
        """The open missed deadlines of a node, by the name of the expectation; None: they have not been read yet."""
        return None if self._unmet is None else self._unmet.get(node, {})

    def names(self) -> Collection[str] | None:
        """The names of all expectations; None: they have not been read yet."""
        return self._names

    async def run(self) -> None:
        """Check every minute, from 90 seconds after the start, until cancelled."""
        await self._clock.sleep(START_S)
        await every(EVERY_S, self.check, self._clock, "deadlines")

    async def check(self) -> None:
        """Judge all due deadlines, and missed ones with a late report. Then read the open missed deadlines for rules.

        For ten minutes after a jump of the clock nothing is judged.

        Raises: StoreError.
        """
        now = self._clock.now()
        if self._jumps.is_steady() and self._clock.monotonic() >= self._ready_at:
            expectations = usable(await self._store.of_every_org())
            checked_at = await self._last_check(now)
            for one in expectations:
                await self._judge_due(one, now, checked_at)
            self._checked_at = now
            await self._judge_late({one.id: one for one in expectations}, now)
            oldest = local_date(UTC, now) - timedelta(days=KEEP_DAYS)
            while await self._store.expire_days(oldest):
                pass
        unmet = await self._store.unmet(local_date(UTC, now) - timedelta(days=OPEN_DAYS))
        names = {one.name for one in await self._store.of_every_org()}
        self._unmet = {
            node: {name: day for name, day in days.items() if day.by_at <= now} for node, days in unmet.items()
        }  # later ones: the clock was ahead
        self._names = self._names if self._names == names else names

    async def _judge_due(self, one: Expectation, now: float, checked_at: float) -> None:
        failed = one.id in self._failed
        try:
            for day in deadlines_due(one, now):
                new = failed or day.due_at > checked_at
                if new or (one.id, day.date.isoformat()) in self._waiting:
                    await self._judge(one, day, now, everybody=new)
            self._failed.discard(one.id)
        except StoreError:
            raise
        except Exception:  # one expectation must not stop the others
            self._failed.add(one.id)
            event(log, "deadlines_failed", logging.ERROR, expectation=one.id, exc_info=True)

    async def _last_check(self, now: float) -> float:
        """The time until which deadlines are judged, in Unix seconds.

        After a start, deadlines of the last hour before the hub was away are checked again: some nodes may have been away then.
        """
        if self._checked_at is not None:
            return min(self._checked_at, now)
        absences = await self._silence.absences()
        return min(absences[-1].from_at if absences else now, now) - AWAY_S

    async def _judge(self, expectation: Expectation, day: Deadline, now: float, *, everybody: bool) -> None:
        """Judge one deadline. Args: everybody: for all selected nodes; False: only for those that were away at an earlier check."""
        key = (expectation.id, day.date.isoformat())
        waiting = self._waiting.get(key, set())
        nodes = [
            node
            for node in await self._store.undecided(expectation, day.date)
            if node.id in waiting or (everybody and expectation.select.selects(node.id, node.tags))
        ]
        if not nodes:
            self._waiting.pop(key, None)
            return
        reports = await self._store.first_reports(expectation, [node.id for node in nodes], day.start_at, day.due_at)
        found = {node.id: judge(expectation, day, node, reports.get(node.id), now, away=self._away(node.id)) for node in nodes}
        await self._store.save_judgements(expectation, [one for one in found.values() if one is not None])
        if left := {node for node, one in found.items() if one is None}:
            self._waiting[key] = left
        else:
            self._waiting.pop(key, None)

    async def _judge_late(self, expectations: Mapping[ExpectationId, Expectation], now: float) -> None:
        """Judge missed deadlines again by reports that came late."""
        missed: dict[tuple[ExpectationId, str], list[JudgedDay]] = {}
        for one in await self._store.missed_days(local_date(UTC, now) - timedelta(days=LATE_DAYS)):
            missed.setdefault((one.expectation, one.date.isoformat()), []).append(one)
        for (name, _), days in missed.items():
            expectation = expectations.get(name)
            if expectation is not None:
                await self._store.save_judgements(expectation, await self._late(expectation, days, now))

    async def _late(self, expectation: Expectation, days: Sequence[JudgedDay], now: float) -> list[JudgedDay]:
        """The new judgements of missed deadlines. Args: days: all of one date."""
        window, following = deadline(expectation, days[0].date), next_deadline(expectation, days[0].date)
        if window is None:
            return []  # the expectation has no deadline on this date any more
        next_start_at = None if following is None else following.start_at
        until_at = now if next_start_at is None else min(now, next_start_at)
        reports = await self._store.first_reports(expectation, [day.node for day in days], window.start_at, max(until_at, days[0].due_at))
        found = (judge_again(day, reports.get(day.node), next_start_at, now) for day in days)
        return [one for one in found if one is not None]
