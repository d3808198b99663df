"""Runs rules over stored samples and events, for previews and to find episodes in late samples.

Samples of a second are stored for some time only. For earlier times a replay reads means of a minute. Of counters it reads nothing then,
and `max` and `min` see only the means. States are not stored, so rules on states have no preview.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.expression import EventOf
from groundcontrol.alerts.machine import Instance, Limits, Observation, step
from groundcontrol.alerts.model import EVENT_VALUES, RANK, InstanceKey, Reason, Rule, Transition
from groundcontrol.alerts.ruleset import RuleBook
from groundcontrol.alerts.states import NodeFacts
from groundcontrol.core.ids import NodeId
from groundcontrol.events.model import Event
from groundcontrol.samples.derived import DERIVED, metric_of
from groundcontrol.samples.model import Damage, SeriesSchema, StoredRow
from groundcontrol.samples.store import MetricStore
from groundcontrol.samples.tiers import MINUTES
from groundcontrol.schedules.model import Level

SLICE_ROWS: Final = 500
"""How many samples are evaluated before other tasks run."""
MINUTE_S: Final = 60
DAY_MINUTES: Final = MINUTES.span_s // MINUTE_S
HOUR_MS: Final = 3_600_000
_SECONDS_LEAD_S: Final = 1260.0
"""A replay begins at least this long before its range, so that windows are filled."""

Sample = tuple[SeriesSchema, StoredRow]


class Episode(NamedTuple):
    """One firing of an instance."""

    key: InstanceKey
    level: Level
    """The highest level of the episode."""
    since_at: float
    fired_at: float
    ended_at: float | None
    """When it ended; None: it still fires at the end of the range."""
    reason: Reason | None
    value: float | None


class Replayed(NamedTuple):
    """What a replay found."""

    episodes: list[Episode]
    first_at: float | None
    """The time of the first sample; None: there are no samples."""


async def replay(
    metrics: MetricStore, no: int, facts: NodeFacts, rules: Sequence[Rule], start: float, end: float, seconds_from: float
) -> Replayed:
    """The episodes of a node that overlap [start, end), in Unix seconds of the node's clock, by which samples are stored.

    Damaged samples count as missing.

    Args:   no: the store's number of the node. seconds_from: since when the store has samples of a second.
    Raises: StoreError.
    """
    engine = Engine()
    engine.set_rules(rules)
    engine.set_node(facts._replace(clock_skew_s=None))
    history = engine.history_s()
    lead_s = max([_SECONDS_LEAD_S, *history.values()]) + max(
        (for_s for rule in rules for for_s in (rule.for_s, *(one.for_s or 0.0 for one in rule.overrides))), default=0.0
    )
    names = {source for name in history for source in (DERIVED[name].sources if name in DERIVED else (name,))}
    families = sorted({metric.family for name in history if (metric := metric_of(name)) is not None})
    found: list[Transition] = []
    fed = 0
    first_at: float | None = None
    first = start - lead_s
    kept_from = max(first, min(end, seconds_from))
    for samples in (_minutes(metrics, no, first, kept_from, families, names), _seconds(metrics, no, kept_from, end, families)):
        async for schema, row in samples:
            engine.add_rows(facts.id, schema, [row])
            first_at = row.taken_at_ms / 1000 if first_at is None else first_at
            fed += 1
            if fed % SLICE_ROWS == 0:
                found += engine.take()
                await asyncio.sleep(0)
    seen = [one for one in episodes(found + engine.take()) if one.fired_at < end and (one.ended_at is None or one.ended_at >= start)]
    return Replayed(seen, first_at)


def replay_events(rule: Rule, node: NodeId | None, tags: tuple[str, ...], events: Sequence[Event], end: float) -> list[Episode]:
    """The episodes of a rule on events until `end`.

    Args: node, tags: the node of all these events; None: they are about no node.
    """
    found: list[Transition] = []
    for effective in RuleBook([rule]).effective(node, tags):
        if not effective.rule.enabled or not isinstance(effective.expression, EventOf):
            continue
        limits = effective.limits._replace(pace_s=math.inf, lost_s=math.inf)  # between two events nothing is unknown
        for about, moments in _moments(effective.expression, events, limits.clear_s).items():
            found += _replay_moments(InstanceKey(rule.id, node, about), limits, [one for one in moments if one[0] < end])
    return episodes(found)


def _moments(expression: EventOf, events: Sequence[Event], clear_s: float) -> dict[str, list[tuple[float, float]]]:
    """Object -> (time, value) in order: the worst value of the events at a time, and 0 when an alert may end."""
    values: dict[str, dict[float, float]] = defaultdict(dict)
    for event in events:
        if expression.name in ("", event.object):
            of_object = values[event.object]
            for at in (event.at, max(event.at, event.last_at)):  # the row also stands for equal events between these times
                of_object[at] = max(of_object.get(at, 0.0), EVENT_VALUES[event.severity])
                of_object.setdefault(at + clear_s, 0.0)
    return {about: sorted(by_time.items()) for about, by_time in values.items()}


def _replay_moments(key: InstanceKey, limits: Limits, moments: Sequence[tuple[float, float]]) -> Iterator[Transition]:
    held: Instance | None = None
    for at, value in moments:
        for seen in (value, 0.0):  # an event has no duration
            held, changes = step(held, Observation(seen), limits, at)
            for one in changes:
                reason: Reason | None = "not_repeated" if one.kind == "resolved" else None
                yield Transition(key, one.kind, one.level, at, one.since_at, seen, one.threshold, reason)


def episodes(transitions: Sequence[Transition]) -> list[Episode]:
    """The episodes in a list of transitions, in the order of their start."""
    open_: dict[InstanceKey, Episode] = {}
    done: list[Episode] = []
    for one in transitions:
        held = open_.get(one.key)
        if one.kind == "fired" and one.level is not None:
            open_[one.key] = Episode(one.key, one.level, one.since_at, one.at, None, None, one.value)
        elif held is not None and one.kind == "resolved":
            done.append(open_.pop(one.key)._replace(ended_at=one.at, reason=one.reason))
        elif held is not None and one.level is not None and RANK[one.level] > RANK[held.level]:
            open_[one.key] = held._replace(level=one.level, value=one.value)
    return sorted([*done, *open_.values()], key=lambda one: (one.fired_at, one.key.rule, one.key.object))


def _pass_over(_damage: Damage) -> None:
    """Treat damaged samples as missing."""


async def _seconds(metrics: MetricStore, no: int, start: float, end: float, families: Sequence[str]) -> AsyncIterator[Sample]:
    """The stored samples of a node, by time."""
    held: list[Sample] = []
    hour = -1
    if start < end:
        async with aclosing(metrics.read(no, start, end, families, _pass_over)) as pieces:
            async for schema, rows in pieces:
                if rows and rows[0].taken_at_ms // HOUR_MS != hour:
                    for sample in _by_time(held):
                        yield sample
                    held, hour = [], rows[0].taken_at_ms // HOUR_MS
                held += [(schema, row) for row in rows]
        for sample in _by_time(held):
            yield sample


def _by_time(samples: list[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda sample: (sample[1].taken_at_ms, -sample[0].interval_s))


async def _minutes(
    metrics: MetricStore, no: int, start: float, end: float, families: Sequence[str], names: set[str]
) -> AsyncIterator[Sample]:
    """The means of minutes of a node as samples a minute apart, by time. It holds those of one day at a time."""
    columns: dict[tuple[str, str], dict[int, int]] = {}
    day = -1
    if start < end:
        async with aclosing(metrics.read_rollups(no, "1m", start, end, families, _pass_over)) as pieces:
            async for family, table in pieces:
                if table.step_numbers and table.step_numbers[0] // DAY_MINUTES != day:
                    for sample in _minute_rows(columns, start, end):
                        yield sample
                    columns, day = {}, table.step_numbers[0] // DAY_MINUTES
                for series, line in table.lines.items():
                    metric = metric_of(series.partition("{")[0])
                    if metric is not None and metric.name in names and metric.kind == "gauge":
                        counted = zip(table.step_numbers, line.counts, line.sums, strict=True)
                        means = {step: round(total / count) for step, count, total in counted if count}
                        columns.setdefault((family, series), {}).update(means)
        for sample in _minute_rows(columns, start, end):
            yield sample


def _minute_rows(columns: Mapping[tuple[str, str], Mapping[int, int]], start: float, end: float) -> list[Sample]:
    """The samples of [start, end), by time. Args: columns: (family, series) -> minute -> mean."""
    found = []
    for family in dict.fromkeys(family for family, _ in columns):
        series = tuple(name for of, name in columns if of == family)
        schema = SeriesSchema(b"1m " + family.encode(), family, MINUTE_S, series)
        for minute in sorted({minute for (of, _), column in columns.items() if of == family for minute in column}):
            values = [columns[family, name].get(minute) for name in series]
            found.append((schema, StoredRow((minute + 1) * MINUTE_S * 1000, values)))
    return _by_time([sample for sample in found if start <= sample[1].taken_at_ms / 1000 < end])
