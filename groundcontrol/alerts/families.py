"""The state that the engine holds of a node: its samples by family of metrics, and the instances of its rules.

A family is a group of metrics that a node measures together. Its rows are collected in a *bucket* of at least ten seconds. When the bucket
ends, its values go into the windows of the rules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.alerts.machine import Flapping, Instance, Limits, Observation
from groundcontrol.alerts.ruleset import Item, Key, Plan, RuleSet
from groundcontrol.alerts.states import NodeFacts
from groundcontrol.alerts.windows import GRAIN_S, Window, WindowSpec, make_window
from groundcontrol.samples.derived import SCALE, Derived
from groundcontrol.samples.model import SeriesSchema
from groundcontrol.schedules.model import Level

MOST_OBJECTS: Final = 100
"""The most objects of a rule on one node that have an alert, or are about to."""
MOST_AN_HOUR: Final = 300.0
"""The most alerts of one level that one node begins in an hour."""
OTHERS: Final = "others"
"""The object that stands for all objects of a rule and node beyond these limits."""
MOST_WAITING: Final = 1024
"""Judgements of a node that wait for a faster family. Beyond the limit the oldest is dropped."""

Column = tuple[int, ...]
RawColumn = tuple[int | None, ...]


class Range(NamedTuple):
    """Times of samples, in Unix seconds."""

    first_at: float
    last_at: float


class Family:
    """The samples of one family of a node."""

    __slots__ = (
        "again",
        "closed_ms",
        "layout",
        "mark_ms",
        "missing_since",
        "newest_ms",
        "open_until_ms",
        "plan",
        "rows",
        "slow",
        "width_ms",
        "windows",
    )

    def __init__(self, layout: SeriesSchema, plan: Plan, mark_ms: int) -> None:
        """Args: mark_ms: buckets that end until this time (Unix milliseconds) were judged before a restart."""
        self.mark_ms = mark_ms
        self.layout = layout
        """The series in each row."""
        self.plan = plan
        """The windows and rules for this layout."""
        self.windows: list[Window] = []
        """The windows, in the order of `Plan.windows`."""
        self.rows: list[tuple[int | None, ...]] = []
        """The values of the open bucket that rules need, by row."""
        self.slow = False
        """Whether each row is a whole bucket."""
        self.open_until_ms = -1
        """The end of the open bucket; -1: no bucket is open."""
        self.width_ms = 0
        self.newest_ms = -1
        """The time of the newest sample."""
        self.closed_ms = -1
        """The end of the newest closed bucket."""
        self.missing_since: dict[Key, float] = {}
        """Firing instance whose object is not among the series any more -> since when, in Unix seconds."""

    def apply_plan(self, layout: SeriesSchema, plan: Plan, held: dict[WindowSpec, Window]) -> None:
        """Take a layout and a plan. Args: held: all windows of the node. Those that the plan needs are reused."""
        width_s = width_of(layout)
        if self.width_ms != width_s * 1000:
            self.open_until_ms = -1
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
        """Close the open bucket: pass its values to the windows. Args: end_ms: its end. cores: CPU cores of the node."""
        columns: list[RawColumn] = list(zip(*self.rows, strict=True))
        self.rows.clear()
        windows, interval_s = self.windows, self.layout.interval_s
        for positions, scales, derived, first, end in self.plan.feeds:
            values: Column
            if derived is None:
                values = columns[positions[0]]  # type: ignore[assignment]  # None is filtered out below
                try:
                    total = sum(values)
                except TypeError:  # some values were not measured
                    values = _measured(values)
                    total = sum(values)
            else:
                values = _derive(derived, [columns[position] for position in positions], scales, cores)
                total = sum(values)
            seconds = len(values) * interval_s
            total *= interval_s
            windows[first].push(end_ms, total, seconds, values)
            for at in range(first + 1, end):
                windows[at].push(end_ms, total, seconds, values)


def width_of(layout: SeriesSchema) -> int:
    """The length of a bucket of a family with this layout, in seconds."""
    return max(GRAIN_S, layout.interval_s)


def _measured(column: RawColumn) -> Column:
    return tuple([value for value in column if value is not None]) if None in column else column  # type: ignore[return-value]


def _derive(derived: Derived, columns: Sequence[RawColumn], scales: Sequence[int], cores: int) -> Column:
    """The derived value of a bucket from the means of its sources, repeated for each of its samples."""
    try:
        value = derived.compute([sum(column) / len(column) / scale for column, scale in zip(columns, scales, strict=True)], cores)  # type: ignore[arg-type]
    except TypeError:  # some values were not measured
        measured = [_measured(column) for column in columns]
        return _derive(derived, measured, scales, cores) if all(measured) else ()
    return () if value is None else (round(value * SCALE),) * min(map(len, columns))


class Waiting(NamedTuple):
    """A judgement that waits until the samples of a faster family reach its time."""

    family: str
    key: Key
    at_ms: int
    values: tuple[float | None, ...]
    """The values of its own family. Those of other families are None."""


class Allowance:
    """How many alerts of one level a node may begin: `MOST_AN_HOUR` at once, and as many again in an hour."""

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left = MOST_AN_HOUR
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Use one, if there is one. Args: now: Unix seconds; a clock that was set back fills nothing."""
        self._left = min(MOST_AN_HOUR, self._left + max(0.0, now - self._at) * MOST_AN_HOUR / 3600) if self._at else MOST_AN_HOUR
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class NodeState:
    """The state that the engine holds of a node."""

    __slots__ = (
        "again",
        "allowances",
        "facts",
        "families",
        "flaps",
        "instances",
        "judged",
        "late",
        "marked_at",
        "marks",
        "offset_ms",
        "rules",
        "waiting",
        "windows",
    )

    def __init__(self, facts: NodeFacts | None, rules: RuleSet) -> None:
        self.facts = facts
        """None: the hub itself."""
        self.rules = rules
        self.families: dict[str, Family] = {}
        self.windows: dict[WindowSpec, Window] = {}
        self.instances: dict[Key, Instance] = {}
        self.flaps: dict[Key, Flapping] = {}
        self.waiting: deque[Waiting] = deque(maxlen=MOST_WAITING)
        self.judged: tuple[NodeFacts | None, float] = (None, 0.0)
        """The facts by which states were last judged, and when."""
        self.marks: Mapping[str, float] = {}
        """Family -> the end of the last bucket that was judged before a restart, in Unix seconds."""
        self.marked_at = -1.0
        """The same for all other families."""
        self.offset_ms = 0
        """The skew that is subtracted from the times of samples."""
        self.late: Range | None = None
        self.allowances: dict[Level | None, Allowance] = {}
        """Level -> how many alerts of it may still begin. Warnings never use up what critical alerts have."""
        self.again: set[Key] = set()
        """Instances that may have fired by a wrong clock. Those whose value is not past the trigger end, even if it is past the clear value."""

    def is_beyond(self, key: Key, fired: Sequence[Level | None], now: float) -> bool:
        """Whether an instance is beyond the limits of its node: of objects of a rule, or of alerts in an hour. It then counts as `OTHERS`.

        Args: fired: the levels at which it would begin to fire.
        """
        crowded = key not in self.instances and len(self.instances) >= MOST_OBJECTS
        if crowded and sum(held[0] == key[0] for held in self.instances) >= MOST_OBJECTS:
            return True
        return any(not self.allowances.setdefault(level, Allowance()).take(now) for level in fired)

    @property
    def tags(self) -> tuple[str, ...]:
        return () if self.facts is None else self.facts.tags

    @property
    def cores(self) -> int:
        return 0 if self.facts is None else self.facts.cores

    def set_back(self, now: float) -> None:
        """Continue after the hub's clock was set back to `now`. Firing instances stay, windows are filled anew."""
        for held in (self.families, self.windows, self.waiting, self.flaps):
            held.clear()
        self.instances = {key: state._replace(known_at=min(state.known_at, now)) for key, state in self.instances.items()}
        self.again.update(self.instances)
        self.facts = None if self.facts is None else self.facts._replace(restarts={})
        self.judged = None, 0.0
        self.marks, self.marked_at = {}, -1.0

    def judged_again(self, key: Key, limits: Limits, seen: Observation) -> Observation:
        """An observation of an instance in `again`. The instance leaves `again` when it is well, or its value is past a trigger."""
        if key in self.instances and not (limits.starts("warning", seen) or limits.starts("critical", seen)):
            return seen._replace(hold=None)
        self.again.discard(key)
        return seen

    def note_late(self, at_ms: int) -> None:
        """Note the time of a sample that came too late to count."""
        at = at_ms / 1000
        self.late = Range(at, at) if self.late is None else Range(min(at, self.late.first_at), max(at, self.late.last_at))

    def read(self, windows: Sequence[Window], item: Item) -> tuple[float | None, ...]:
        """The values of an item's windows, with None for those of other families. Args: windows: those of the item's family."""
        return tuple(
            [windows[at].value(least) if isinstance(at, int) else None for at, least in zip(item.reads, item.least_s, strict=True)]
        )

    def read_others(self, item: Item, waiting: Waiting) -> tuple[float | None, ...]:
        """All values of a judgement that has waited. The windows of other families are read as of its time."""
        return tuple(
            [
                value if isinstance(read, int) or (window := self.windows.get(read)) is None else window.value_at(waiting.at_ms)
                for read, value in zip(item.reads, waiting.values, strict=True)
            ]
        )

    def item_of(self, waiting: Waiting) -> Item | None:
        """The item that a waiting judgement is about; None: its object or rule is gone."""
        family = self.families.get(waiting.family)
        return None if family is None else family.plan.items.get(waiting.key)

    def is_ready(self, waiting: Waiting) -> bool:
        """Whether the samples of the other families have reached the time of a waiting judgement."""
        if waiting.family not in self.families:
            return False
        item = self.item_of(waiting)
        return item is None or all(name in self.families and self.families[name].closed_ms >= waiting.at_ms for name in item.others)
