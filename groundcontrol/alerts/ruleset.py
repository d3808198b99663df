"""Prepares rules for evaluation: parses them, applies overrides, and finds their metrics in the rows of nodes.

A layout (`SeriesSchema`) names the series in the rows of one family. A family is a group of metrics that a node measures together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from groundcontrol.alerts.detectors import DETECTORS, NO_NUMBERS, Judge, Numbers, Read, just_the_value
from groundcontrol.alerts.expression import Detector, EventOf, Expression, MetricWindow, State, parse
from groundcontrol.alerts.machine import Limits, limits_of
from groundcontrol.alerts.model import Reason, Rule, RuleId
from groundcontrol.alerts.states import HUB_STATES
from groundcontrol.alerts.windows import GRAIN_S, WindowSpec
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.derived import DERIVED, Derived, metric_of
from groundcontrol.samples.model import SeriesSchema
from spider.wire.metrics import INTERVAL_S, METRICS, series_name

Key = tuple[RuleId, str]
"""Rule and object, which identify an instance of a node."""


class Effective(NamedTuple):
    """A rule as it applies to a node."""

    rule: Rule
    """The rule with the values of the override that applies."""
    override: int | None
    """The index of that override; None: none selects the node."""
    expression: Expression
    limits: Limits
    reads: tuple[Read, ...] = ()
    label: str = ""
    """The only object that counts; empty: all objects count."""
    judge: Judge = just_the_value
    numbers: Numbers = NO_NUMBERS
    gated: bool = True
    """As in `DetectorKind`."""
    admits: Callable[[str], bool] | None = None
    """As in `DetectorKind`."""

    @property
    def family(self) -> str:
        """The family whose samples decide when the rule is judged; empty: it has no samples."""
        return _family(self.reads[0]) if self.reads else ""


class Feed(NamedTuple):
    """A series that windows read."""

    columns: tuple[int, ...]
    """The positions of the series, or of its sources, in the tuple of `Plan.pick`."""
    scales: tuple[int, ...]
    derived: Derived | None
    first: int
    """Its windows are `Plan.windows[first:end]`."""
    end: int


class PlannedWindow(NamedTuple):
    """A window, with the arguments of `make_window`."""

    spec: WindowSpec
    scale: int
    slack: bool


class Item(NamedTuple):
    """A rule for one object, as it is judged when a bucket closes."""

    key: Key
    limits: Limits
    bound: float
    """The first trigger. A value that is not past it changes nothing unless the instance has a state."""
    reads: tuple[int | WindowSpec, ...]
    """Positions in `Plan.windows`. A window of another family is given by its `WindowSpec`."""
    least_s: tuple[float | None, ...]
    """By window, as in `Read`."""
    judge: Judge
    numbers: Numbers
    others: tuple[str, ...]
    """The other families that the item reads."""
    gated: bool
    """As in `DetectorKind`."""


class Gate(NamedTuple):
    """Decides by one window whether an item must be judged."""

    first: int
    """The position of its first window in `Plan.windows`."""
    bound: float
    """A value that is not past this bound changes nothing unless the instance has a state."""
    above: bool
    item: Item


class Plan:
    """The windows and items of rules for the rows of one layout. Nodes with the same layout and rules share a plan."""

    __slots__ = ("__weakref__", "feeds", "gates", "items", "pick", "rules", "windows")

    def __init__(self, ruleset: RuleSet, rules: Sequence[Effective], layout: SeriesSchema, width_s: int) -> None:
        self.rules = ruleset
        positions: dict[str, dict[str, int]] = {}
        for at, series in enumerate(layout.series):
            name, _, rest = series.partition("{")
            positions.setdefault(name, {})[rest.partition("=")[2][:-1]] = at
        needed: dict[tuple[str, str], dict[WindowSpec, bool]] = {}
        """(Metric, label) -> window -> whether it needs slack."""
        planned: list[tuple[Effective, str, list[WindowSpec], tuple[str, ...]]] = []
        for rule in rules:
            owner = _family(rule.reads[0])
            others = tuple({family: None for read in rule.reads if (family := _family(read)) != owner})
            if layout.family != owner and layout.family not in others:
                continue
            for label in sorted(_labels(rule.reads, layout.family, positions)):
                if rule.label in ("", label) and (rule.admits is None or rule.admits(label)):
                    specs = [_spec(read, label) for read in rule.reads]
                    for read, spec in zip(rule.reads, specs, strict=True):
                        if _family(read) == layout.family and label in _labels_of(read.metric, positions):
                            windows = needed.setdefault((read.metric, label), {})
                            windows[spec] = windows.get(spec, False) or layout.family != owner
                    if layout.family == owner:
                        planned.append((rule, label, specs, others))
        self._add_feeds(needed, positions)
        at_spec = {window.spec: at for at, window in enumerate(self.windows)}
        items = [
            Item(
                (rule.rule.id, label),
                limits := limits_of(rule.rule, width_s, max(read.window_s for read in rule.reads)),
                _bound(limits),
                tuple(at_spec.get(spec, spec) for spec in specs),
                tuple(read.least_s for read in rule.reads),
                rule.judge,
                rule.numbers,
                others,
                rule.gated,
            )
            for rule, label, specs, others in planned
        ]
        self.items = {item.key: item for item in items}
        self.gates = tuple(map(_gate, items))

    def _add_feeds(self, needed: Mapping[tuple[str, str], Mapping[WindowSpec, bool]], positions: Mapping[str, Mapping[str, int]]) -> None:
        feeds: list[Feed] = []
        windows: list[PlannedWindow] = []
        picked: dict[int, int] = {}
        for (name, label), specs in needed.items():
            derived = DERIVED.get(name)
            sources = (name,) if derived is None else derived.sources
            columns = tuple(picked.setdefault(positions[source][label], len(picked)) for source in sources)
            metric = metric_of(name)
            scale = 1 if metric is None else metric.scale
            first = len(windows)
            windows += [PlannedWindow(spec, scale, slack) for spec, slack in specs.items()]
            feeds.append(Feed(columns, tuple(METRICS[source].scale for source in sources), derived, first, len(windows)))
        at = list(picked)
        self.pick = itemgetter(*(at if len(at) > 1 else at * 2 or [0, 0]))
        """Gives the needed values of a row as a tuple."""
        self.feeds = tuple(feeds)
        self.windows = tuple(windows)


def _labels_of(name: str, positions: Mapping[str, Mapping[str, int]]) -> set[str]:
    """The labels with which a layout has a metric, or all sources of a derived metric."""
    derived = DERIVED.get(name)
    sources = (name,) if derived is None else derived.sources
    return set.intersection(*(set(positions.get(source, ())) for source in sources))


def _labels(reads: Sequence[Read], family: str, positions: Mapping[str, Mapping[str, int]]) -> set[str]:
    """The objects of a rule in a layout: those of its first window, or in another family those of any window."""
    own = [_labels_of(read.metric, positions) for read in reads if _family(read) == family]
    return own[0] if _family(reads[0]) == family else set().union(*own)


def _family(read: Read) -> str:
    metric = metric_of(read.metric)
    return "" if metric is None else metric.family


def _spec(read: Read, label: str) -> WindowSpec:
    metric = metric_of(read.metric)
    return WindowSpec(read.function, series_name(read.metric, "".join(() if metric is None else metric.labels), label), read.window_s)


def _bound(limits: Limits) -> float:
    triggers = [limit.trigger for limit in (limits.warn, limits.crit) if limit is not None]
    if limits.above:
        return min(triggers, default=float("inf"))
    return max(triggers, default=float("-inf"))


def _gate(item: Item) -> Gate:
    first = item.reads[0]
    bound = item.bound if item.gated else float("-inf") if item.limits.above else float("inf")
    return Gate(first if isinstance(first, int) else 0, bound, item.limits.above, item)


class RuleSet:
    """The enabled rules of nodes to which the same ones apply, such as nodes with the same tags."""

    __slots__ = ("__weakref__", "_metrics", "_plans", "book", "by_id", "events", "states")

    def __init__(self, book: RuleBook, rules: Sequence[Effective]) -> None:
        self.book = book
        self.by_id: Final = {rule.rule.id: rule for rule in rules}
        self.states: Final = [(rule, rule.expression.kind) for rule in rules if isinstance(rule.expression, State)]
        self.events: Final[dict[str, list[Effective]]] = {}
        for rule in rules:
            if isinstance(rule.expression, EventOf):
                self.events.setdefault(rule.expression.type, []).append(rule)
        self._metrics = [rule for rule in rules if rule.reads]
        self._plans: WeakValueDictionary[tuple[str, tuple[str, ...], int], Plan] = WeakValueDictionary()

    def plan(self, layout: SeriesSchema, width_s: int) -> Plan:
        """The plan of a layout with buckets of `width_s`."""
        key = (layout.family, layout.series, width_s)  # compacted rows have no schema id
        found = self._plans.get(key)
        if found is None:
            found = self._plans[key] = Plan(self, self._metrics, layout, width_s)
        return found


class RuleBook:
    """All rules, parsed."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.faults: dict[RuleId, str] = {}
        """Rule -> why it cannot be parsed. Such a rule has no effect."""
        self._rules: list[tuple[Rule, Expression]] = []
        self._named: set[NodeId] = set()
        """Nodes that a rule selects by id."""
        for rule in rules:
            try:
                self._rules.append((rule, parse(rule.expr)))
            except BadRequest as exc:
                self.faults[rule.id] = exc.message
            self._named.update(rule.select.nodes, *(override.select.nodes for override in rule.overrides))
        self._sets: WeakValueDictionary[object, RuleSet] = WeakValueDictionary()

    def rules_of(self, node: NodeId | None, tags: tuple[str, ...]) -> RuleSet:
        """The enabled rules of a node. Args: node: None: the hub itself, and events of no node."""
        of = (node if node is None or node in self._named else "", tags)
        found = self._sets.get(of)
        if found is None:
            rules = [rule for rule in self.effective(node, tags) if rule.rule.enabled]
            found = self._sets[of] = RuleSet(self, rules)
        return found

    def effective(self, node: NodeId | None, tags: tuple[str, ...]) -> list[Effective]:
        """The rules that select a node, including those that are disabled for it."""
        found = []
        for rule, expression in self._rules:
            of_hub = isinstance(expression, State) and expression.kind in HUB_STATES
            of_all = of_hub or (isinstance(expression, EventOf) and rule.select.all)  # an event may be about no node
            if of_all if node is None else not of_hub and rule.select.selects(node, tags):
                found.append(_effective(rule, expression, node, tags))
        return found

    def why_gone(self, rule: RuleId, node: NodeId | None, tags: tuple[str, ...]) -> Reason:
        """Why a rule that judged a node is not among `rules_of` it any more."""
        if rule in self.faults or any(one.rule.id == rule for one in self.effective(node, tags)):
            return "rule_disabled"
        return "not_selected" if any(one.id == rule for one, _ in self._rules) else "rule_deleted"

    def history_s(self) -> dict[str, int]:
        """Metric -> how many seconds of its past the windows of rules hold, at most. Rules that are disabled everywhere do not count."""
        found: dict[str, int] = {}
        for rule, expression in self._rules:
            for read in _reads(expression) if rule.enabled or any(override.enabled for override in rule.overrides) else ():
                found[read.metric] = max(found.get(read.metric, 0), read.window_s)
        return found


def _effective(rule: Rule, expression: Expression, node: NodeId | None, tags: tuple[str, ...]) -> Effective:
    won = None
    for at, override in enumerate(rule.overrides):
        if node is not None and override.select.selects(node, tags):
            won = at
    if won is not None:
        override = rule.overrides[won]
        rule = rule._replace(
            enabled=rule.enabled if override.enabled is None else override.enabled,
            warn=override.warn or rule.warn,
            crit=override.crit or rule.crit,
            for_s=rule.for_s if override.for_s is None else override.for_s,
        )
    reads = _reads(expression)
    pace_s = max(GRAIN_S, INTERVAL_S.get(_family(reads[0]), GRAIN_S)) if reads else GRAIN_S
    limits = limits_of(rule, pace_s, max((read.window_s for read in reads), default=0))
    match expression:
        case MetricWindow():
            return Effective(rule, won, expression, limits, reads, expression.label)
        case Detector():
            kind = DETECTORS[expression.name]
            return Effective(
                rule,
                won,
                expression,
                limits,
                reads,
                judge=kind.judge,
                numbers={**kind.numbers, **dict(expression.numbers)},
                gated=kind.gated,
                admits=kind.admits,
            )
    return Effective(rule, won, expression, limits)


def _reads(expression: Expression) -> tuple[Read, ...]:
    match expression:
        case MetricWindow():
            return (Read(expression.function, expression.metric, expression.window_s),)
        case Detector():
            return DETECTORS[expression.name].reads
    return ()
