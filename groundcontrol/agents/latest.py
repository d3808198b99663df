"""Cache of the latest samples of a node, and of their fragment in node lists."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from groundcontrol.agents.validation import KnownSchema
from groundcontrol.nodes.summary import SummaryFragment
from spider.wire.frames import Row


class NewestRow(NamedTuple):
    """The newest row of a family."""

    schema: KnownSchema
    row: Row

    @property
    def taken_at(self) -> float:
        """Time of the sample, in seconds."""
        return self.row.taken_at_ms / 1000


class LatestSamples:
    """The newest row of each family of a node, and its summary for lists."""

    __slots__ = ("_fragments", "_unread", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, NewestRow] = {}
        self._fragments: dict[str, SummaryFragment] = {}
        self._unread: list[str] = []
        """Families whose row is newer than their summary fragment."""

    def keep(self, schema: KnownSchema, row: Row) -> None:
        """Store the newest row of a family."""
        family = schema.row.family
        self.rows[family] = NewestRow(schema, row)
        if family not in self._unread:
            self._unread.append(family)

    def fragments(self) -> Collection[SummaryFragment]:
        """The summary fragment of each family, always in the same order. It is computed once per row, however many readers there are."""
        if self._unread:
            for family in self._unread:
                newest = self.rows[family]
                self._fragments[family] = newest.schema.summary.read(newest.row.values, newest.taken_at)
            self._unread.clear()
        return self._fragments.values()
