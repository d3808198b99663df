"""Nodes whose clock is wrong, by what they measure each minute against the hub's word: told when that begins, and when it is over."""

from __future__ import annotations

from typing import Final

from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import LayoutRow
from spider.wire.frames import Row

FAMILY: Final = "breathe"
SERIES: Final = "clock.skew"
WRONG_S: Final = 30.0
RIGHT_S: Final = 20.0
"""Nearer than this it is right again: a clock that is at the edge is not told of each minute."""
_STEPS: Final = ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))


def skew_of(layout: LayoutRow, row: Row) -> float | None:
    """How many seconds the node's clock was ahead of the hub's; None: it was not measured."""
    if layout.family != FAMILY or SERIES not in layout.series:
        return None
    value = row.values[layout.series.index(SERIES)]
    return None if value is None else value / 1000


def in_words(skew_s: float) -> str:
    """`3 minutes ahead of`, `40 seconds behind`."""
    size = abs(skew_s)
    step, name = next(((step, name) for step, name in _STEPS if size >= 2 * step), (1.0, "seconds"))
    return f"{size / step:.0f} {name} {'ahead of' if skew_s > 0 else 'behind'}"


class SkewTracker:
    """Whose clock is wrong, and what nobody was told of yet."""

    def __init__(self) -> None:
        self._wrong: set[NodeId] = set()
        self._news: dict[NodeId, tuple[float, bool]] = {}

    def note(self, node: NodeId, layout: LayoutRow, row: Row) -> None:
        """A row has come."""
        skew = skew_of(layout, row)
        if skew is None:
            return
        was = node in self._wrong
        wrong = abs(skew) > (RIGHT_S if was else WRONG_S)
        if wrong != was:
            (self._wrong.add if wrong else self._wrong.discard)(node)
            if self._news.pop(node, None) is None:  # else it was over, or had begun again, before anybody was told
                self._news[node] = (skew, wrong)

    def known(self, node: NodeId, layout: LayoutRow, row: Row) -> None:
        """What an earlier process of this hub had seen, and told of."""
        skew = skew_of(layout, row)
        if skew is not None and abs(skew) > WRONG_S:
            self._wrong.add(node)

    @property
    def any_news(self) -> bool:
        """Whether `news` has something of any node."""
        return bool(self._news)

    def news(self, node: NodeId) -> tuple[float, bool] | None:
        """By how much it is ahead, and whether that is wrong: once each time that it has become so, or right again."""
        return self._news.pop(node, None) if self._news else None

    def forget(self, node: NodeId) -> None:
        """The node was removed."""
        self._wrong.discard(node)
        self._news.pop(node, None)
