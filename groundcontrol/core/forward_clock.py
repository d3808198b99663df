"""A wall clock that never goes back."""

from __future__ import annotations

from spider.clock import Clock


class ForwardClock:
    """Continues when the hub's clock is set back. Otherwise the samples of nodes with a right clock would lie in the future."""

    def __init__(self, clock: Clock, last_seen: float | None = None) -> None:
        """`last_seen` is a wall clock time at which a hub on this database certainly ran."""
        self._clock = clock
        self._offset = max(clock.now(), last_seen or 0.0) - clock.monotonic()

    def now(self) -> float:
        """The wall clock's time, or the latest time that it ever showed plus the time that has passed since."""
        self._offset = max(self._offset, self._clock.now() - self._clock.monotonic())
        return self._offset + self._clock.monotonic()
