"""Windows over the samples of one series. They take closed buckets of 10 s, hold at most 120 slots, and compute with integers.

Sums are exact, so the same samples give the same value however they are cut, and after a restart.
"""

from __future__ import annotations

from array import array
from typing import Final, Literal, NamedTuple

GRAIN_S: Final = 10
"""The length of a bucket of a family that is measured every second. A slower sample is a bucket of its own."""
SLOTS: Final = 120
"""Most slots of a window. A window of more than 20 minutes has longer slots instead."""
MOST_WINDOW_S: Final = 24 * 3600
COVERAGE: Final = 0.6
"""The part of a window that must have been measured; otherwise its value is unknown."""
TREND_SLOTS: Final = 12
SLACK_SLOTS: Final = 12
"""Older slots that a window keeps, to be read as it was when a slower family was measured."""
_EMPTY: Final = -(1 << 63)

WindowFunction = Literal["avg", "max", "min", "last", "rate", "slope"]


class WindowSpec(NamedTuple):
    """The identity of a window of a node: rules that need the same one share it."""

    function: WindowFunction
    series: str
    window_s: int


class Window:
    """The mean of a window."""

    __slots__ = ("_need_s", "_newest", "_ring", "_scale", "_seconds", "_size", "_slot_ms", "_slots", "_sum", "_sum_s")

    def __init__(self, window_s: int, width_s: int, scale: int, slots: int = SLOTS, slack: int = 0) -> None:
        """Args: width_s: the length of a bucket of its family."""
        slot_s = width_s * max(1, -(-window_s // (width_s * slots)))
        self._slot_ms = slot_s * 1000
        self._slots = max(1, -(-window_s // slot_s))
        self._size = self._slots + slack
        self._need_s = max(1.0, min(COVERAGE * window_s, window_s - width_s))
        self._scale = scale
        self._newest = 0
        """The number of the newest slot, counted since 1970."""
        self._ring = array("q", [self._empty()]) * self._size
        self._seconds = array("I", [0]) * self._size
        self._sum = 0
        self._sum_s = 0

    def _empty(self) -> int:
        return 0

    def push(self, end_ms: int, total: int, seconds: int, values: tuple[int, ...]) -> None:
        """Add a closed bucket.

        Args: total: the sum of its values, each times the seconds that it stands for. seconds: how many these are together.
              values: those that were measured, oldest first.
        """
        slot = (end_ms - 1) // self._slot_ms
        if slot != self._newest:
            self._advance(slot)
        if values and self._put(slot % self._size, total, values):
            self._seconds[slot % self._size] += seconds
            self._sum_s += seconds

    def _put(self, place: int, total: int, _values: tuple[int, ...]) -> bool:
        """Returns: whether the values count."""
        try:
            self._ring[place] += total
        except OverflowError:  # no real sum is so large: not measured
            return False
        self._sum += total
        return True

    def _advance(self, slot: int) -> None:
        """Take what is now too old out of the sums, and make room for the new slots."""
        size, slots, ring, seconds = self._size, self._slots, self._ring, self._seconds
        first = max(self._newest + 1, slot - size + 1)
        if first > self._newest + 1:
            self._sum = self._sum_s = 0
        for new in range(first, slot + 1):
            if self._sum_s:
                self._sum -= ring[(new - slots) % size]
                self._sum_s -= seconds[(new - slots) % size]
            ring[new % size] = self._empty()
            seconds[new % size] = 0
        self._newest = slot

    def value(self, least_s: float | None = None) -> float | None:
        """The value now; None: too little of the window was measured. `least_s`: how much must have been, in seconds."""
        return self._sum / self._sum_s / self._scale if self._sum_s >= (self._need_s if least_s is None else max(least_s, 1)) else None

    def value_at(self, end_ms: int) -> float | None:
        """The value as it was at that time, at most `SLACK_SLOTS` ago."""
        slot = (end_ms - 1) // self._slot_ms
        if slot >= self._newest:
            return self.value()
        places = [old % self._size for old in range(max(slot - self._slots, self._newest - self._size) + 1, slot + 1)]
        seconds = sum([self._seconds[place] for place in places])
        return sum([self._ring[place] for place in places]) / seconds / self._scale if seconds >= self._need_s else None


class _Highest(Window):
    """The greatest value of a window."""

    __slots__ = ()

    def _empty(self) -> int:
        return _EMPTY

    def _advance(self, slot: int) -> None:
        super()._advance(slot)
        self._sum = 0

    def _put(self, place: int, _total: int, values: tuple[int, ...]) -> bool:
        highest = max(values)
        if not _EMPTY < highest < -_EMPTY:
            return False
        self._ring[place] = max(self._ring[place], highest)
        return True

    def value(self, least_s: float | None = None) -> float | None:
        return max(self._ring) / self._scale if self._sum_s >= (self._need_s if least_s is None else max(least_s, 1)) else None


class _Lowest(_Highest):
    """The least value of a window."""

    __slots__ = ()

    def _put(self, place: int, total: int, values: tuple[int, ...]) -> bool:
        return super()._put(place, total, (-min(values),))

    def value(self, least_s: float | None = None) -> float | None:
        highest = super().value(least_s)
        return None if highest is None else -highest


class _Rate(Window):
    """The growth of a counter a second. Over a gap or a restart of the counter the growth is not known."""

    __slots__ = ("_before", "_before_ms", "_far_ms")

    def __init__(self, window_s: int, width_s: int, scale: int) -> None:
        super().__init__(window_s, width_s, scale)
        self._before: int | None = None
        self._before_ms = 0
        self._far_ms = width_s * 1500

    def push(self, end_ms: int, _total: int, _seconds: int, values: tuple[int, ...]) -> None:
        if not values:
            super().push(end_ms, 0, 0, ())
            return
        passed_ms = end_ms - self._before_ms
        known = self._before is not None and passed_ms <= self._far_ms and values[-1] >= self._before
        grown = values[-1] - self._before if known and self._before is not None else 0
        super().push(end_ms, grown, max(1, round(passed_ms / 1000)) if known else 0, values if known else ())
        self._before, self._before_ms = values[-1], end_ms


class _Slope(Window):
    """The growth of a level a second: a straight line through twelve means."""

    __slots__ = ()

    def __init__(self, window_s: int, width_s: int, scale: int) -> None:
        super().__init__(window_s, width_s, scale, TREND_SLOTS)

    def value(self, _least_s: float | None = None) -> float | None:
        slots = [self._newest - self._slots + 1 + at for at in range(self._slots)]
        points = [(slot, self._ring[slot % self._size] / seconds) for slot in slots if (seconds := self._seconds[slot % self._size])]
        if len(points) < max(2.0, COVERAGE * self._slots):
            return None
        mean_at = sum(at for at, _ in points) / len(points)
        mean = sum(value for _, value in points) / len(points)
        spread = sum((at - mean_at) ** 2 for at, _ in points)
        return sum((at - mean_at) * (value - mean) for at, value in points) / spread / self._slot_ms * 1000 / self._scale


class _Last(Window):
    """The newest value."""

    __slots__ = ("_fresh_ms", "_value")

    def __init__(self, width_s: int, scale: int) -> None:
        self._scale = scale
        self._value: int | None = None
        self._newest = 0
        self._sum_s = 0
        self._fresh_ms = width_s * 2500

    def push(self, end_ms: int, _total: int, _seconds: int, values: tuple[int, ...]) -> None:
        if values:
            self._value, self._newest = values[-1], end_ms
        elif end_ms - self._newest > self._fresh_ms:
            self._value = None

    def value(self, _least_s: float | None = None) -> float | None:
        return None if self._value is None else self._value / self._scale

    def value_at(self, _end_ms: int) -> float | None:
        return self.value()


def make_window(spec: WindowSpec, width_s: int, scale: int, *, slack: bool = False) -> Window:
    """A new window for a family with buckets of `width_s`. `slack`: it is also read as it was a little earlier."""
    match spec.function:
        case "avg":
            return Window(spec.window_s, width_s, scale, slack=SLACK_SLOTS if slack else 0)
        case "max":
            return _Highest(spec.window_s, width_s, scale)
        case "min":
            return _Lowest(spec.window_s, width_s, scale)
        case "rate":
            return _Rate(spec.window_s, width_s, scale)
        case "slope":
            return _Slope(spec.window_s, width_s, scale)
        case "last":
            return _Last(width_s, scale)
