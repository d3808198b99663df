"""What a node said last, and what lists show of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from groundcontrol.agents.validation import KnownLayout
from groundcontrol.nodes.summary import SummaryFragment
from spider.wire.frames import Row


class NewestRow(NamedTuple):
    """The newest row of a family."""

    layout: KnownLayout
    row: Row

    @property
    def taken_at(self) -> float:
        """In seconds."""
        return self.row.taken_at_ms / 1000


class LatestSamples:
    """The newest row of each family of a node, and what a list shows of them."""

    __slots__ = ("_briefs", "_unread", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, NewestRow] = {}
        self._briefs: dict[str, SummaryFragment] = {}
        self._unread: list[str] = []
        """Families with a row that came after their brief was made."""

    def keep(self, layout: KnownLayout, row: Row) -> None:
        """This row is the newest of its family."""
        family = layout.row.family
        self.rows[family] = NewestRow(layout, row)
        if family not in self._unread:
            self._unread.append(family)

    def briefs(self) -> Collection[SummaryFragment]:
        """What a list shows of each family, always in the same order: made ready once, however many ask."""
        if self._unread:
            for family in self._unread:
                newest = self.rows[family]
                self._briefs[family] = newest.layout.summary.read(newest.row.values, newest.taken_at)
            self._unread.clear()
        return self._briefs.values()
