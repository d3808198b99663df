"""The latest time that it may be, whatever the hub's own clock says of it now."""

from __future__ import annotations

from spider.clock import Clock


class ForwardClock:
    """Goes on where the wall clock is set back: the samples of nodes whose clocks are right must not count as the future's then."""

    def __init__(self, clock: Clock, last_seen: float | None = None) -> None:
        """`last_seen` is a time of the wall clock at which a hub on this database certainly ran."""
        self._clock = clock
        self._offset = max(clock.now(), last_seen or 0.0) - clock.monotonic()

    def now(self) -> float:
        """The wall clock, or the latest that it ever showed and what went by since."""
        self._offset = max(self._offset, self._clock.now() - self._clock.monotonic())
        return self._offset + self._clock.monotonic()
