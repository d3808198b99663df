"""A wall clock that never goes back."""

from __future__ import annotations

from spider.clock import Clock


class ForwardClock:
    """Continues when the hub's clock is set back. Otherwise samples of nodes with a correct clock would seem to be in the future."""

    def __init__(self, clock: Clock, last_seen: float | None = None) -> None:
        """`last_seen`: a time at which a hub on this database certainly ran, Unix seconds."""
        self._clock = clock
        self._offset = max(clock.now(), last_seen or 0.0) - clock.monotonic()

    def now(self) -> float:
        """Unix seconds: the wall clock's time, or, if it was set back, the furthest time it had reached plus the time elapsed since."""
        self._offset = max(self._offset, self._clock.now() - self._clock.monotonic())
        return self._offset + self._clock.monotonic()
