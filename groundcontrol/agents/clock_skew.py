"""Tracks nodes with a wrong clock. Each node measures its skew against the hub every minute.

The hub reports once when a clock becomes wrong, and once when it is right again.
"""

from __future__ import annotations

from typing import Final

from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import SeriesSchema
from spider.wire.sample_messages import Row

FAMILY: Final = "breathe"
SERIES: Final = "clock.skew"
WRONG_S: Final = 30.0
"""Above this skew a clock counts as wrong."""
RIGHT_S: Final = 20.0
"""Below this skew a wrong clock counts as right again. The hysteresis avoids an event each minute for a clock at the limit."""
_STEPS: Final = ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))


def skew_of(schema: SeriesSchema, row: Row) -> float | None:
    """Seconds by which the node's clock was ahead of the hub's; None: not measured."""
    if schema.family != FAMILY or SERIES not in schema.series:
        return None
    value = row.values[schema.series.index(SERIES)]
    return None if value is None else value / 1000


def in_words(skew_s: float) -> str:
    """The skew as text, such as `3 minutes ahead of` or `40 seconds behind`."""
    size = abs(skew_s)
    step, name = next(((step, name) for step, name in _STEPS if size >= 2 * step), (1.0, "seconds"))
    return f"{size / step:.0f} {name} {'ahead of' if skew_s > 0 else 'behind'}"


class SkewTracker:
    """The nodes with a wrong clock, and the changes that are not reported yet."""

    def __init__(self) -> None:
        self._wrong: set[NodeId] = set()
        self._changes: dict[NodeId, tuple[float, bool]] = {}

    def note(self, node: NodeId, schema: SeriesSchema, row: Row) -> None:
        """Evaluate a new row."""
        skew = skew_of(schema, row)
        if skew is None:
            return
        was = node in self._wrong
        wrong = abs(skew) > (RIGHT_S if was else WRONG_S)
        if wrong != was:
            (self._wrong.add if wrong else self._wrong.discard)(node)
            if self._changes.pop(node, None) is None:  # otherwise the change was reversed before it was reported
                self._changes[node] = (skew, wrong)

    def restore(self, node: NodeId, schema: SeriesSchema, row: Row) -> None:
        """Restore the state of a node from a stored row. An earlier process has reported a wrong clock already."""
        skew = skew_of(schema, row)
        if skew is not None and abs(skew) > WRONG_S:
            self._wrong.add(node)

    @property
    def has_changes(self) -> bool:
        """Whether any node has a change to report."""
        return bool(self._changes)

    def pop_change(self, node: NodeId) -> tuple[float, bool] | None:
        """Take the unreported change of a node: seconds ahead, and whether the clock is wrong now. None: no change."""
        return self._changes.pop(node, None) if self._changes else None

    def forget(self, node: NodeId) -> None:
        """Drop the state of a removed node."""
        self._wrong.discard(node)
        self._changes.pop(node, None)
