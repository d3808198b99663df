"""Expressions of rules. One line of text is parsed into a closed set of values. Nothing in it is executed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final, Literal, NamedTuple

from groundcontrol.alerts.detectors import DETECTORS
from groundcontrol.alerts.states import STATES
from groundcontrol.alerts.windows import GRAIN_S, MOST_WINDOW_S
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.text import is_visible
from groundcontrol.samples.derived import DERIVED, metric_of
from spider.wire.events import CUSTOM
from spider.wire.metrics import METRICS, Metric

Function = Literal["avg", "max", "min", "last", "rate"]
FUNCTIONS: Final[tuple[Function, ...]] = ("avg", "max", "min", "last", "rate")
_CALLS: Final = (*FUNCTIONS, "state", "event", "detector")
MOST_TEXT: Final = 300
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_WORD: Final = re.compile(r"[a-z_]+")
_METRIC_NAME: Final = re.compile(r"[a-zA-Z0-9_.]+")
MOST_LABEL: Final = 200
_MORE_LABELS: Final = re.compile(r",\s*[a-z_]+\s*=")
_WINDOW: Final = re.compile(r"(\d{1,6})\s*([smh])")
_NAME: Final = re.compile(r"[a-z0-9_.-]{1,64}")
_CUSTOM: Final = re.compile(r"custom\s*\{\s*name\s*=\s*([a-z0-9_.-]{1,64})\s*\}")
_NUMBER: Final = re.compile(r"\s*([a-z_]+)\s*=\s*(\d{1,12}(?:\.\d{1,6})?)\s*")


class MetricWindow(NamedTuple):
    """A function of the samples of one metric in a window. It has one value for each label."""

    function: Function
    metric: str
    label: str = ""
    """Only the series with this label counts; empty: all series count."""
    window_s: int = 0
    """0: the newest sample."""


class State(NamedTuple):
    kind: str


class EventOf(NamedTuple):
    type: str
    name: str = ""
    """The name of a custom event; empty: all events of the type count."""


class Detector(NamedTuple):
    name: str
    numbers: tuple[tuple[str, float], ...] = ()
    """The numbers that differ from the defaults of the detector."""


Expression = MetricWindow | State | EventOf | Detector


def parse(text: str, events: Collection[str] | None = None) -> Expression:
    """Parse an expression.

    Args:   events: the known types of events; None: any type is accepted.
    Raises: BadRequest: the text says what is wrong and what to do.
    """
    name, _, rest = text.strip().partition("(")
    name = name.rstrip()
    if len(text) > MOST_TEXT or not _WORD.fullmatch(name) or not rest.endswith(")") or not is_visible(text):
        raise _refused(
            "an expression has the form avg(cpu.total, 10m), in one line of visible characters; thresholds are given as warn and crit, not in it"
        )
    inside = rest[:-1]
    if name in FUNCTIONS:
        return _metric_window(name, inside)
    if name == "detector":
        return _detector(inside)
    kind = inside.strip()
    if name == "state":
        if kind not in STATES:
            raise _refused(f"there is no state {_shown(kind)}{_nearest(kind, STATES)}")
        return State(kind)
    if name == "event":
        custom = _CUSTOM.fullmatch(kind)
        if custom is not None:
            return EventOf(CUSTOM, custom[1])
        if not _NAME.fullmatch(kind) or (events is not None and kind not in events):
            raise _refused(f"there is no event {_shown(kind)}{_nearest(kind, events or ())}")
        return EventOf(kind)
    raise _refused(f"there is no function {_shown(name)}{_nearest(name, _CALLS)}; there are {', '.join(_CALLS)}")


def _metric_window(function: Function, inside: str) -> MetricWindow:
    parts = _metric_parts(inside)
    if parts is None:
        raise _refused(f"{function} takes a metric and a window, such as {function}(cpu.total, 10m)")
    name, label, value, window = parts
    metric = metric_of(name)
    if metric is None:
        raise _refused(f"there is no metric {_shown(name)}{_nearest(name, (*METRICS, *DERIVED))}; GET metrics lists all")
    if label is not None and (label,) != metric.labels:
        has = f"has the label {metric.labels[0]}" if metric.labels else "has no label"
        raise _refused(f"{name} {has}, not {label}")
    if value is not None and _MORE_LABELS.search(value):
        raise _refused(f"{name} takes one value of one label: make a rule for each, or leave the label out for all")
    _check_kind(function, metric)
    if window is None and function != "last":
        raise _refused(f"{function} needs a window, such as {function}({name}, 10m)")
    return MetricWindow(function, name, value or "", 0 if window is None else _window_s(window))


class _MetricParts(NamedTuple):
    name: str
    label: str | None
    value: str | None
    window: str | None


def _metric_parts(inside: str) -> _MetricParts | None:
    """Split `name{label=value}, window` by hand, in linear time: a pattern with optional blanks on both sides backtracks for minutes."""
    name, brace, rest = inside.partition("{")
    label = value = None
    if brace:
        labelled, closed, rest = rest.partition("}")
        label, equals, value = (part.strip() for part in labelled.partition("="))
        if not closed or not equals or not _WORD.fullmatch(label) or not 0 < len(value) <= MOST_LABEL or "{" in value:
            return None
        before, comma, window = rest.partition(",")
        if before.strip():
            return None
    else:
        name, comma, window = name.partition(",")
    if not _METRIC_NAME.fullmatch(name.strip()) or any(sign in window for sign in ",{}"):
        return None
    return _MetricParts(name.strip(), label, value, window.strip() if comma else None)


def _check_kind(function: Function, metric: Metric) -> None:
    if function == "rate" and metric.kind != "counter":
        raise _refused(f"{metric.name} is a level and does not count up; use avg instead of rate")
    if function != "rate" and metric.kind == "counter":
        raise _refused(f"{metric.name} counts up since boot; use rate instead of {function}")


def _window_s(text: str) -> int:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise _refused(f"{_shown(text)} is not a window: give a whole number and s, m or h, such as 30s, 10m or 6h")
    seconds = int(found.group(1)) * _SECONDS[found.group(2)]
    if not GRAIN_S <= seconds <= MOST_WINDOW_S:
        raise _refused(f"a window is from {GRAIN_S} s to {MOST_WINDOW_S // 3600} h long: the hub holds no more of a metric in memory")
    return seconds


def _detector(inside: str) -> Detector:
    name, *rest = inside.split(",")
    kind = DETECTORS.get(name.strip())
    if kind is None:
        raise _refused(f"there is no detector {_shown(name.strip())}{_nearest(name.strip(), DETECTORS)}")
    numbers: dict[str, float] = {}
    for part in rest:
        found = _NUMBER.fullmatch(part)
        if found is None or found.group(1) not in kind.numbers or found.group(1) in numbers:
            known = ", ".join(f"{key}={value:g}" for key, value in kind.numbers.items()) or "none"
            raise _refused(f"{_shown(part.strip())} is not a number of {name.strip()}; its numbers are: {known}")
        numbers[found.group(1)] = float(found.group(2))
    return Detector(name.strip(), tuple(numbers.items()))


def _refused(message: str) -> BadRequest:
    return BadRequest(message, field="expr")


def _shown(text: str) -> str:
    return repr(text[:60])


def _nearest(word: str, known: Iterable[str]) -> str:
    found = get_close_matches(word.lower()[:80], list(known), 1, 0.5)
    return f"; did you mean {found[0]}?" if found else ""
