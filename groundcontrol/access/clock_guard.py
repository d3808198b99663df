"""Whether this machine's clock can be believed. Codes, sessions and limits go by it: one that was set back brings back what had ended."""

from __future__ import annotations

import logging
from typing import Final

from groundcontrol.core.errors import ClockBehind
from groundcontrol.core.scope import Scope
from groundcontrol.events.store import LogStore
from spider.clock import Clock
from spider.logs import event

BEHIND_S: Final = 3600.0
"""So far behind the newest audit row may the clock be that a hub starts with."""

log = logging.getLogger(__name__)


class ClockGuard:
    """Lets nobody in while the clock is behind what was written already, until it is set right or somebody on the console says that it is."""

    def __init__(self, store: LogStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._last: float | None = None

    async def look(self) -> float:
        """Compare the clock with the audit log, once, at the start. Returns: how far it is behind, in seconds; 0.0: not."""
        self._last = await self._store.last_audit_at()
        behind = self.behind_s
        if behind:
            event(log, "clock_behind", logging.ERROR, seconds=round(behind), means="nobody can log in")
        return behind

    @property
    def behind_s(self) -> float:
        """How far behind it is at this moment; 0.0: not so far that it matters."""
        behind = 0.0 if self._last is None else self._last - self._clock.now()
        return behind if behind > BEHIND_S else 0.0

    @property
    def latest(self) -> float:
        """The time that things end by: what had ended when the clock was further on has ended."""
        return self._clock.now() + self.behind_s

    def check(self) -> None:
        """Raises: ClockBehind."""
        behind = self.behind_s
        if behind:
            raise ClockBehind(
                f"the hub's clock is {behind / 3600:.1f} hours behind its own audit log, so nobody can log in: set the clock right, or, if it"
                " is right now, run `stardust clock accept` on the hub's machine"
            )

    async def accept(self, scope: Scope) -> float:
        """Go by the clock as it is now. Returns: how far it was behind; 0.0: there was nothing to accept."""
        behind = self.behind_s
        if behind:
            await self._store.accept_clock(scope, behind)
            self._last = None
            event(log, "clock_accepted", logging.WARNING, seconds=round(behind), by=scope.actor.name)
        return behind
