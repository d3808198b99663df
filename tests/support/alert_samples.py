"""Samples of nodes for the engine of alerts, made from a few functions of time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.model import Alert, AlertId, IncidentId, InstanceKey, Transition
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import SeriesSchema, StoredRow
from spider.wire.metrics import INTERVAL_S, METRICS

BEGAN = 1_790_000_000
"""A multiple of every interval."""
Signal = float | None | Callable[[int], float | None]
"""A value in the unit of its metric, or a function of the seconds since the start. None: it could not be measured."""


class Sample(NamedTuple):
    layout: SeriesSchema
    row: StoredRow


def layout_of(family: str, series: Iterable[str], interval_s: int = 0) -> SeriesSchema:
    """A layout, named for its content."""
    names = tuple(series)
    return SeriesSchema(hashlib.sha256("\n".join((family, *names)).encode()).digest()[:8], family, interval_s or INTERVAL_S[family], names)


def samples_of(
    signals: Mapping[str, Signal], seconds: int, *, start: int = 0, pulse_s: int = 1, grain_s: int = 0, began: int = BEGAN
) -> list[Sample]:
    """The samples of a node, by time. Args: pulse_s: the interval of metrics that a real node measures every second; grain_s: of all."""
    found = []
    families: dict[str, list[str]] = {}
    for series in signals:
        families.setdefault(METRICS[series.partition("{")[0]].family, []).append(series)
    for family, names in families.items():
        layout = layout_of(family, names, grain_s or (pulse_s if family == "pulse" else 0))
        for at in range(start - start % layout.interval_s, start + seconds, layout.interval_s):
            values = [_scaled(name, signals[name], at) for name in names]
            found.append(Sample(layout, StoredRow((began + at) * 1000 + 300, values)))
    return sorted(found, key=lambda sample: (sample.row.taken_at_ms, -sample.layout.interval_s))


def _scaled(series: str, signal: Signal, at: int) -> int | None:
    value = signal(at) if callable(signal) else signal
    return None if value is None else round(value * METRICS[series.partition("{")[0]].scale)


def play(engine: Engine, node: NodeId, samples: Iterable[Sample], *, tick_s: float = 0) -> list[Transition]:
    """Give an engine samples one by one. Args: tick_s: how often to call `tick` meanwhile; 0: only at the end."""
    found: list[Transition] = []
    last = 0.0
    for layout, row in samples:
        at = row.taken_at_ms / 1000
        if tick_s and at - last >= tick_s:
            found += engine.tick(at)
            last = at
        engine.add_rows(node, layout, [row])
    return found + engine.tick(last)


def told(transitions: Iterable[Transition]) -> dict[InstanceKey, list[Transition]]:
    """The transitions of each instance."""
    found: dict[InstanceKey, list[Transition]] = {}
    for transition in transitions:
        found.setdefault(transition.key, []).append(transition)
    return found


def alerts_after(transitions: Iterable[Transition]) -> list[Alert]:
    """The alerts that a store holds after these transitions."""
    found: dict[InstanceKey, Alert] = {}
    for one in transitions:
        held = found.get(one.key)
        if one.kind == "fired":
            assert one.level is not None
            key = one.key
            found[key] = Alert(
                *(AlertId("a"), 1, key.rule, key.node, key.object, one.level, "firing", one.since_at, one.at, None, None),
                *(one.value, one.threshold, IncidentId("i")),
            )
        elif held is not None and one.kind == "resolved":
            found[one.key] = held._replace(state="resolved", resolved_at=one.at, reason=one.reason, value=one.value)
        elif held is not None:
            found[one.key] = held._replace(level=one.level or held.level, stale=one.kind == "stale", value=one.value)
    return list(found.values())
