"""The samples of a node as rules see them: open buckets, windows and states, by family of metrics."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.alerts.derived import SCALE, Derived
from groundcontrol.alerts.machine import Flapping, Instance
from groundcontrol.alerts.ruleset import Item, Key, Plan, RuleSet
from groundcontrol.alerts.states import NodeFacts
from groundcontrol.alerts.windows import GRAIN_S, Window, WindowSpec, make_window
from groundcontrol.samples.model import SeriesSchema

MOST_WAITING: Final = 1024
"""Judgements of a node that wait for a faster family; beyond it the oldest is left out."""

Column = tuple[int, ...]
RawColumn = tuple[int | None, ...]


class Range(NamedTuple):
    """Times of samples, in Unix seconds."""

    first_at: float
    last_at: float


class Family:
    """What a node measures together."""

    __slots__ = ("bucket", "closed_ms", "gone", "layout", "newest_ms", "plan", "rows", "slow", "width_ms", "windows")

    def __init__(self, layout: SeriesSchema, plan: Plan) -> None:
        self.layout = layout
        self.plan = plan
        self.windows: list[Window] = []
        """In the order of `Plan.windows`."""
        self.rows: list[RawColumn] = []
        """What rules need of the rows of the open bucket."""
        self.slow = False
        """A row is a bucket of its own."""
        self.bucket = -1
        """The number of the open bucket, counted since 1970."""
        self.width_ms = 0
        self.newest_ms = -1
        self.closed_ms = -1
        """The end of the newest closed bucket."""
        self.gone: dict[Key, float] = {}
        """Firing instances whose object is no longer in the layout -> since when."""

    @property
    def open_until_ms(self) -> int:
        """The end of the open bucket."""
        return (self.bucket + 1) * self.width_ms

    def place(self, layout: SeriesSchema, plan: Plan, held: dict[WindowSpec, Window]) -> None:
        """Take over a layout and a plan. Args: held: all windows of the node; those that are still needed go on."""
        width_s = width_of(layout)
        kept = {window.spec for window in plan.windows} if self.width_ms == width_s * 1000 else set()
        for window in self.plan.windows:
            if window.spec not in kept:
                held.pop(window.spec, None)
        for spec, scale, slack in plan.windows:
            if spec not in held:
                held[spec] = make_window(spec, width_s, scale, slack=slack)
        self.layout, self.plan, self.width_ms, self.slow = layout, plan, width_s * 1000, layout.interval_s >= GRAIN_S
        self.windows = [held[window.spec] for window in plan.windows]

    def fold(self, end_ms: int, cores: int) -> None:
        """Give the rows of the open bucket to the windows."""
        columns: list[RawColumn] = list(zip(*self.rows, strict=True))
        self.rows.clear()
        windows, interval_s = self.windows, self.layout.interval_s
        for places, scales, derived, first, end in self.plan.feeds:
            values = _measured(columns[places[0]]) if derived is None else _derive(derived, [columns[at] for at in places], scales, cores)
            total, seconds = sum(values) * interval_s, len(values) * interval_s
            for window in windows[first:end]:
                window.push(end_ms, total, seconds, values)


def width_of(layout: SeriesSchema) -> int:
    """The seconds of a bucket of a family with this layout."""
    return max(GRAIN_S, layout.interval_s)


def _measured(column: RawColumn) -> Column:
    return tuple([value for value in column if value is not None]) if None in column else column  # type: ignore[return-value]


def _derive(derived: Derived, columns: Sequence[RawColumn], scales: Sequence[int], cores: int) -> Column:
    """The derived value of the means of a bucket, as one value."""
    measured = [_measured(column) for column in columns]
    if not all(measured):
        return ()
    means = [sum(values) / len(values) / scale for values, scale in zip(measured, scales, strict=True)]
    value = derived.compute(means, cores)
    return () if value is None else (round(value * SCALE),) * min(map(len, measured))


class Waiting(NamedTuple):
    """A judgement that waits until a faster family is as far."""

    item: Item
    at_ms: int
    values: tuple[float | None, ...]
    """Of its own family; those of others are None."""


class NodeState:
    """Everything that the engine holds of a node."""

    __slots__ = ("facts", "families", "flaps", "instances", "late", "mark_ms", "offset_ms", "rules", "waiting", "windows")

    def __init__(self, facts: NodeFacts | None, rules: RuleSet) -> None:
        self.facts = facts
        """None: the hub itself."""
        self.rules = rules
        self.families: dict[str, Family] = {}
        self.windows: dict[WindowSpec, Window] = {}
        self.instances: dict[Key, Instance] = {}
        self.flaps: dict[Key, Flapping] = {}
        self.waiting: deque[Waiting] = deque(maxlen=MOST_WAITING)
        self.mark_ms = -1
        """Buckets up to this time were judged before a restart."""
        self.offset_ms = 0
        """What is subtracted from the times of its samples."""
        self.late: Range | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        return () if self.facts is None else self.facts.tags

    @property
    def cores(self) -> int:
        return 0 if self.facts is None else self.facts.cores

    def note_late(self, at_ms: int) -> None:
        """Note the time of a sample that came too late to count."""
        at = at_ms / 1000
        self.late = Range(at, at) if self.late is None else Range(min(at, self.late.first_at), max(at, self.late.last_at))

    def read(self, family: Family, item: Item) -> tuple[float | None, ...]:
        """The windows of an item that belong to its own family; the others are None."""
        windows = family.windows
        return tuple(
            [windows[at].value(least) if isinstance(at, int) else None for at, least in zip(item.reads, item.least_s, strict=True)]
        )

    def read_others(self, waiting: Waiting) -> tuple[float | None, ...]:
        """The values of a judgement that has waited, now with those of other families as they were at its time."""
        return tuple(
            [
                value if isinstance(read, int) or (window := self.windows.get(read)) is None else window.value_at(waiting.at_ms)
                for read, value in zip(waiting.item.reads, waiting.values, strict=True)
            ]
        )

    def is_ready(self, waiting: Waiting) -> bool:
        """Whether the other families are as far as a judgement that waits."""
        return all(name in self.families and self.families[name].closed_ms >= waiting.at_ms for name in waiting.item.others)
