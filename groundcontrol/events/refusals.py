"""What nodes and strangers are refused: counted by kind and cause, and written once a minute, however often somebody tries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import Final

from groundcontrol.core.errors import StoreError
from groundcontrol.core.ids import RefusalId
from groundcontrol.core.scope import Actor
from groundcontrol.events.model import Refusal
from groundcontrol.events.store import LogStore
from spider.clock import Clock
from spider.logs import event
from spider.wire.ids import new_time_id

log = logging.getLogger(__name__)

WINDOW_S: Final = 60.0
MOST_CAUSES: Final = 256
"""Rows, and lines of the log, of one minute. Beyond them all causes of an action share a row. Log-ins to an account always have their own."""
MOST_UNSAVED: Final = 4 * MOST_CAUSES
"""Refusals that wait for the store; the newest are kept."""
OTHERS: Final = "others"


class _Counted:
    """One kind and cause within a minute."""

    __slots__ = ("count", "first", "saved")

    def __init__(self, first: Refusal) -> None:
        self.first = first
        self.count = 1
        self.saved = 0
        """How many of `count` the store has."""

    def refusal(self, now: float) -> Refusal:
        return self.first._replace(times=self.count, last_at=self.first.at if self.count == 1 else max(self.first.at, now))


class Refusals:
    """The first one of a minute is stored and logged immediately, the others as a count when the minute ends."""

    def __init__(self, store: LogStore, clock: Clock, most_causes: int = MOST_CAUSES) -> None:
        self._store = store
        self._clock = clock
        self._most = most_causes
        self._counted: dict[tuple[str, str, str, str], _Counted] = {}
        self._lines: Counter[tuple[str, str]] = Counter()
        self._unsaved: list[Refusal] = []
        self._to_sum = True
        """At the start too: the process before may have been killed within a minute."""

    async def note(self, actor: Actor, action: str, why: str, *, target: str = "hub", place: str = "") -> bool:
        """Count a refusal. The store may fail: the end of the minute repeats it.

        Args:    actor: the node or account that it counts for; with an empty id it counts for `place`.
                 place: what an address is counted under (`limit_key`); a node's own id is enough.
        Returns: whether it is the first of this minute, so that the caller writes a line to the log.
        """
        at = self._clock.now()
        of_account = actor.kind == "user" and bool(actor.id)
        key = (action, why, actor.id, place if of_account or not actor.id else "")
        if key not in self._counted and len(self._counted) >= self._most and not of_account:
            key, why, target = (action, "", "", OTHERS), OTHERS, "hub"
            actor = Actor(actor.kind, "", OTHERS, "viewer")
        counted = self._counted.get(key)
        if counted is not None:
            counted.count += 1
            return False
        first = Refusal(RefusalId(new_time_id(at)), actor, action, why, target, at, at, 1)
        counted = self._counted[key] = _Counted(first)
        self._to_sum = True
        with contextlib.suppress(StoreError):  # `flush` saves it with the others, and says so where it cannot
            await self._store.save_refusals([first])
            counted.saved = 1
        return True

    def first_line(self, kind: str, cause: str) -> bool:
        """Count something for the log alone. Returns: whether it is the first of this minute."""
        key = (kind, cause)
        if key not in self._lines and len(self._lines) >= self._most:
            key = (kind, OTHERS)
        self._lines[key] += 1
        return self._lines[key] == 1

    async def run(self) -> None:
        """End each minute; until cancelled."""
        while True:
            await self._clock.sleep(WINDOW_S)
            await self.flush()

    async def flush(self) -> None:
        """End the minute: log and store the counts, and sum them up in the audit log."""
        now = self._clock.now()
        counted, self._counted = list(self._counted.values()), {}
        lines, self._lines = self._lines, Counter()
        for one in counted:
            if one.count > 1:
                by = one.first.actor
                event(
                    log,
                    "refused_again",
                    logging.WARNING,
                    action=one.first.action,
                    why=one.first.why,
                    by=by.name,
                    address=by.address,
                    count=one.count,
                )
        for (kind, cause), count in lines.items():
            if count > 1:
                event(log, "repeated", logging.WARNING, what=kind, cause=cause, count=count)
        self._unsaved += [one.refusal(now) for one in counted if one.count > one.saved]
        del self._unsaved[:-MOST_UNSAVED]
        if not (self._unsaved or self._to_sum):
            return
        saving = list(self._unsaved)
        try:
            if saving:
                await self._store.save_refusals(saving)
            await self._store.sum_refusals()
        except StoreError as exc:
            event(log, "refusals_wait", logging.WARNING, error=exc.code, waiting=len(self._unsaved))
            return
        self._unsaved = self._unsaved[len(saving) :]
        self._to_sum = bool(self._counted)

    async def close(self, limit_s: float) -> None:
        """Store what was counted so far."""
        with contextlib.suppress(TimeoutError):  # each row is there with its first refusal
            async with asyncio.timeout(limit_s):
                await self.flush()
