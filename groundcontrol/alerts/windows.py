"""Windows over the samples of one series, such as the mean of the last ten minutes.

A window takes the samples bucket by bucket: a bucket holds those of ten seconds (`GRAIN_S`). It adds up several buckets to a *slot*, and
holds only slots. All sums are exact integers. So the same samples give the same value, however they are divided into packs, and after a
restart.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

GRAIN_S: Final = 10
"""The length of a bucket of fast samples. In a family with a longer interval each sample is a bucket."""
SLOTS: Final = 24
"""The most slots of a window. It slides slot by slot, so its length is exact to a 24th."""
MOST_WINDOW_S: Final = 24 * 3600
COVERAGE: Final = 0.6
"""The share of a window that must have been measured. With less, its value is not known."""
TREND_SLOTS: Final = 12
SLACK_S: Final = 300
"""How far back a window *with slack* can be read. A rule of a slower family reads it as of the time of its own samples."""
_LEAST: Final = 1 - (1 << 63)

WindowFunction = Literal["avg", "max", "min", "last", "rate", "slope"]


class WindowSpec(NamedTuple):
    """The identity of a window of a node. Rules with the same one share a window."""

    function: WindowFunction
    series: str
    window_s: int


class Window:
    """A value over the samples of one series."""

    __slots__ = ()

    def push(self, end_ms: int, total: int, seconds: int, values: tuple[int, ...]) -> None:
        """Add a closed bucket.

        Args: total: the sum of its values, each multiplied by its seconds. seconds: the measured seconds of the bucket.
              values: the measured values, oldest first.
        """
        raise NotImplementedError

    def value(self, least_s: float | None = None) -> float | None:
        """The present value; None: too little was measured. Args: least_s: how many seconds must be measured; None: the usual share."""
        raise NotImplementedError

    def value_at(self, at_ms: int) -> float | None:
        """The value at a time at most `SLACK_S` ago; None: too little was measured. All samples until that time must have been added."""
        raise NotImplementedError


class _Mean(Window):
    """The mean of a window."""

    __slots__ = ("_before", "_before_s", "_need_s", "_open_until_ms", "_ring", "_scale", "_seconds", "_slot_ms", "_slots", "_sum", "_sum_s")

    def __init__(self, window_s: int, width_s: int, scale: int, slots: int = SLOTS, *, slack: bool = False) -> None:
        """Args: width_s: the length of a bucket of its family. slack: whether `value_at` is used."""
        slot_s = width_s * max(1, -(-window_s // (width_s * slots)))
        self._slot_ms = slot_s * 1000
        self._slots = max(1, -(-window_s // slot_s))
        self._need_s = max(1.0, min(COVERAGE * window_s, window_s - width_s))
        self._scale = scale
        self._open_until_ms = 0
        """The end of the newest slot. The ring does not hold that slot yet; the sums contain it."""
        size = self._slots + (-(-SLACK_S // slot_s) if slack else 0)
        self._ring = array("q", bytes(8 * size))
        self._seconds = array("I", bytes(4 * size))
        self._sum = self._sum_s = 0
        self._before = self._before_s = 0
        """The sums without the newest slot."""

    def push(self, end_ms: int, total: int, seconds: int, _values: tuple[int, ...]) -> None:
        if end_ms > self._open_until_ms:
            self._rotate(end_ms)
        self._sum += total
        self._sum_s += seconds

    def _rotate(self, end_ms: int) -> None:
        """Begin the slot of a bucket: store the slot before it, and subtract slots that are too old from the sums."""
        ring, seconds, size, slots = self._ring, self._seconds, len(self._ring), self._slots
        newest, slot = self._open_until_ms // self._slot_ms - 1, (end_ms - 1) // self._slot_ms
        self._store_slot(newest % size)
        if slot - newest >= slots:
            self._sum = self._sum_s = 0
        for new in range(max(newest + 1, slot - size + 1), slot + 1):
            if self._sum_s:
                self._sum -= ring[(new - slots) % size]
                self._sum_s -= seconds[(new - slots) % size]
            ring[new % size] = seconds[new % size] = 0
        self._before, self._before_s = self._sum, self._sum_s
        self._open_until_ms = (slot + 1) * self._slot_ms

    def _store_slot(self, index: int) -> None:
        """Store the newest slot in the ring."""
        try:
            self._ring[index], self._seconds[index] = self._slot(), self._sum_s - self._before_s
        except OverflowError:  # no real value is so large, so it counts as not measured
            self._ring[index] = self._seconds[index] = 0
            self._sum, self._sum_s = self._before, self._before_s

    def _slot(self) -> int:
        """The value that the ring stores for the newest slot."""
        return self._sum - self._before

    def value(self, least_s: float | None = None) -> float | None:
        return self._sum / self._sum_s / self._scale if self._sum_s >= (self._need_s if least_s is None else max(least_s, 1)) else None

    def value_at(self, at_ms: int) -> float | None:
        # only closed slots count: the content of the open one depends on the samples so far
        newest, last, size = self._open_until_ms // self._slot_ms - 1, at_ms // self._slot_ms - 1, len(self._ring)
        self._store_slot(newest % size)
        indexes = [slot % size for slot in range(max(last - self._slots, newest - size) + 1, min(last, newest) + 1)]
        seconds = sum([self._seconds[index] for index in indexes])
        return sum([self._ring[index] for index in indexes]) / seconds / self._scale if seconds >= self._need_s else None


class _Highest(_Mean):
    """The maximum of a window."""

    __slots__ = ("_open",)

    def __init__(self, window_s: int, width_s: int, scale: int) -> None:
        super().__init__(window_s, width_s, scale)
        self._open = _LEAST

    def push(self, end_ms: int, _total: int, seconds: int, values: tuple[int, ...]) -> None:
        super().push(end_ms, 0, seconds, values)
        self._sum = 0
        if values:
            self._open = max(self._open, self._of(values))

    def _slot(self) -> int:
        """As in `_Mean`. It forgets the maximum, so it is called once for each slot."""
        highest, self._open = self._open, _LEAST
        return highest

    def _of(self, values: tuple[int, ...]) -> int:
        return max(values)

    def value(self, least_s: float | None = None) -> float | None:
        if self._sum_s < (self._need_s if least_s is None else max(least_s, 1)):
            return None
        return max([self._open, *(value for value, seconds in zip(self._ring, self._seconds, strict=True) if seconds)]) / self._scale


class _Lowest(_Highest):
    """The minimum of a window."""

    __slots__ = ()

    def _of(self, values: tuple[int, ...]) -> int:
        return -min(values)

    def value(self, least_s: float | None = None) -> float | None:
        highest = super().value(least_s)
        return None if highest is None else -highest


class _Rate(_Mean):
    """The growth of a counter per second. Growth over a gap, or over a restart of the counter, is left out."""

    __slots__ = ("_count", "_count_ms", "_far_ms")

    def __init__(self, window_s: int, width_s: int, scale: int) -> None:
        super().__init__(window_s, width_s, scale)
        self._count: int | None = None
        self._count_ms = 0
        self._far_ms = width_s * 1500

    def push(self, end_ms: int, _total: int, _seconds: int, values: tuple[int, ...]) -> None:
        if not values:
            super().push(end_ms, 0, 0, ())
            return
        passed_ms = end_ms - self._count_ms
        known = self._count is not None and passed_ms <= self._far_ms and values[-1] >= self._count
        grown = values[-1] - self._count if known and self._count is not None else 0
        super().push(end_ms, grown, max(1, round(passed_ms / 1000)) if known else 0, values if known else ())
        self._count, self._count_ms = values[-1], end_ms


class _Slope(_Mean):
    """The growth of a level per second, by a straight line through twelve means. It changes when a slot ends."""

    __slots__ = ("_known",)

    def __init__(self, window_s: int, width_s: int, scale: int) -> None:
        super().__init__(window_s, width_s, scale, TREND_SLOTS)
        self._known: float | None = None

    def _rotate(self, end_ms: int) -> None:
        super()._rotate(end_ms)
        newest = self._open_until_ms // self._slot_ms - 1
        self._known = self._line([slot for slot in range(newest - self._slots, newest) if self._seconds[slot % self._slots]])

    def _line(self, slots: Sequence[int]) -> float | None:
        if len(slots) < COVERAGE * self._slots:
            return None
        means = [self._ring[slot % self._slots] / self._seconds[slot % self._slots] for slot in slots]
        mean_at, mean = sum(slots) / len(slots), sum(means) / len(means)
        spread = sum((slot - mean_at) ** 2 for slot in slots)
        return (
            sum((slot - mean_at) * (one - mean) for slot, one in zip(slots, means, strict=True))
            / spread
            / self._slot_ms
            * 1000
            / self._scale
        )

    def value(self, _least_s: float | None = None) -> float | None:
        return self._known


class _Last(Window):
    """The newest value of a series."""

    __slots__ = ("_at_ms", "_fresh_ms", "_scale", "_value")

    def __init__(self, width_s: int, scale: int) -> None:
        self._scale = scale
        self._value: int | None = None
        self._at_ms = 0
        self._fresh_ms = width_s * 2500

    def push(self, end_ms: int, _total: int, _seconds: int, values: tuple[int, ...]) -> None:
        if values:
            self._value, self._at_ms = values[-1], end_ms
        elif end_ms - self._at_ms > self._fresh_ms:
            self._value = None

    def value(self, _least_s: float | None = None) -> float | None:
        return None if self._value is None else self._value / self._scale

    def value_at(self, _at_ms: int) -> float | None:
        return self.value()


def make_window(spec: WindowSpec, width_s: int, scale: int, *, slack: bool = False) -> Window:
    """A new window for a family with buckets of `width_s`. Args: slack: whether `value_at` is used."""
    match spec.function:
        case "avg":
            return _Mean(spec.window_s, width_s, scale, slack=slack)
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
