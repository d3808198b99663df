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
"""How far the clock may be behind the row that was the newest of the audit log when the hub started."""

log = logging.getLogger(__name__)


class ClockGuard:
    """Refuses all log-ins while the clock is more than BEHIND_S behind the audit log.

    It allows them again when the clock is set right, or when the owner of the hub's machine accepts it.
    """

    def __init__(self, store: LogStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._last: float | None = None

    async def compare_at_start(self) -> float:
        """Read the time of the newest audit row, and report a clock that is behind it. Returns: `behind_s`."""
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
        """The present time for comparing expiry times, in Unix seconds. If the clock is behind, it is the time of the newest audit row, so that expired tokens stay expired."""
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
        """Accept the clock as it is now. Returns: `behind_s` before that."""
        behind = self.behind_s
        if behind:
            await self._store.accept_clock(scope, behind)
            self._last = None
            event(log, "clock_accepted", logging.WARNING, seconds=round(behind), by=scope.actor.name)
        return behind
