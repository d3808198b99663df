"""Compares the wall clock of the hub with its monotonic clock."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

STEADY_S: Final = 3600.0
"""How long the clock must be steady after a jump before the hub removes anything by its clock."""
DISTRUST_S: Final = 60.0
"""After a jump larger than this, the clock is not believed for `STEADY_S`."""
JUMP_S: Final = 30.0
"""A jump larger than this is recorded. Codes of a second factor change every 30 s, and corrections of a time service are smaller."""
WORST_JUMP_WINDOW_S: Final = 3600.0
"""The period of which `worst_jump_s` gives the greatest jump."""


class JumpWatch:
    """Tells whether the wall clock jumped a short time ago. What was judged by a wrong clock must not be sent while it is being corrected."""

    def __init__(self, clock: Clock, steady_s: float, jump_s: float = DISTRUST_S) -> None:
        """Args: steady_s: how long the clock is distrusted after a jump. jump_s: the least change against the monotonic clock that counts."""
        self._clock = clock
        self._steady_s = steady_s
        self._jump_s = jump_s
        self._offset = clock.now() - clock.monotonic()
        self._steady_at = 0.0

    def is_steady(self) -> bool:
        """Compare both clocks. Call this at least every minute."""
        monotonic = self._clock.monotonic()
        offset = self._clock.now() - monotonic
        if abs(offset - self._offset) > self._jump_s:
            self._steady_at = monotonic + self._steady_s
        self._offset = offset
        return monotonic >= self._steady_at


class SteadyClock:
    """Whether the wall clock advances like the monotonic clock. After a jump the wall clock may be wrong. Then nothing may be removed by age,
    since a removal cannot be undone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.now() - clock.monotonic()
        self._steady_since: float | None = None
        self.jumped = False
        """Whether the clock jumped, and the nodes' clocks have not confirmed it since. `housekeeping.py` resets this when they do."""
        self.jump_s = 0.0
        """The jump that the last call of `believed` found; negative: back; 0: none larger than `JUMP_S`."""
        self._jumps: deque[tuple[float, float]] = deque(maxlen=1000)
        """The recorded jumps: (monotonic time, seconds)."""

    def start(self, last_seen: float | None) -> None:
        """Compare the clock with a time at which this hub, or its previous process, certainly ran. More than `STEADY_S` apart counts as a
        jump.

        Args: last_seen: Unix seconds; None: no such time is known.
        """
        if last_seen is not None and abs(self._clock.now() - last_seen) > STEADY_S:
            self._steady_since, self.jumped = self._clock.monotonic(), True

    @property
    def worst_jump_s(self) -> float:
        """The greatest jump of the last hour, forwards or back."""
        since = self._clock.monotonic() - WORST_JUMP_WINDOW_S
        return max((abs(jump_s) for at, jump_s in self._jumps if at >= since), default=0.0)

    def believed(self) -> bool:
        """Compare both clocks. Returns whether the wall clock may be believed. Call this often, since it finds the jumps."""
        offset, now = self._clock.now() - self._clock.monotonic(), self._clock.monotonic()
        by_s = offset - self._offset
        self.jump_s = by_s if abs(by_s) > JUMP_S else 0.0
        if self.jump_s:
            self._jumps.append((now, by_s))
            event(log, "clock_jumped", logging.WARNING, by_s=round(by_s))
        if abs(by_s) > DISTRUST_S:
            self._steady_since, self.jumped = now, True
        self._offset = offset
        if self._steady_since is not None and now - self._steady_since >= STEADY_S:
            self._steady_since = None
        return self._steady_since is None
