"""Refuses log-ins while this machine's clock is behind the audit log.

A clock that was set back would make expired codes, sessions and limits valid again.
"""

from __future__ import annotations

import logging
from typing import Final

from groundcontrol.core.errors import ClockBehind
from groundcontrol.core.scope import Scope
from groundcontrol.events.store import LogStore
from spider.clock import Clock
from spider.logs import event

BEHIND_S: Final = 3600.0
"""How far the clock may be behind the newest audit row when a hub starts."""

log = logging.getLogger(__name__)


class ClockGuard:
    """Refuses all log-ins while the clock is behind the newest audit row.

    It allows them again when the clock is set right, or when the owner of the hub's machine accepts it.
    """

    def __init__(self, store: LogStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._last: float | None = None

    async def look(self) -> float:
        """Compare the clock with the audit log, once at the start. Returns: how many seconds the clock is behind; 0.0: it is not behind."""
        self._last = await self._store.last_audit_at()
        behind = self.behind_s
        if behind:
            event(log, "clock_behind", logging.ERROR, seconds=round(behind), means="nobody can log in")
        return behind

    @property
    def behind_s(self) -> float:
        """How many seconds the clock is behind now; 0.0: at most BEHIND_S."""
        behind = 0.0 if self._last is None else self._last - self._clock.now()
        return behind if behind > BEHIND_S else 0.0

    @property
    def latest(self) -> float:
        """The present time for comparing expiry times, in Unix seconds. After the clock was set back, expired tokens stay expired."""
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
        """Accept the clock as it is now. Returns: how many seconds it was behind; 0.0: it was not behind."""
        behind = self.behind_s
        if behind:
            await self._store.accept_clock(scope, behind)
            self._last = None
            event(log, "clock_accepted", logging.WARNING, seconds=round(behind), by=scope.actor.name)
        return behind
