"""A replay of old samples holds the means of one day at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from groundcontrol.alerts import preview
from groundcontrol.samples.chunks.rollup import SeriesRollup, StatTable

DAY_S = 86_400


class Means:
    """A store with the means of one series for each minute of three days."""

    def __init__(self) -> None:
        self.days_read = 0

    async def read_rollups(self, *_asked: object) -> AsyncIterator[tuple[str, StatTable]]:
        ones = [1] * 1440
        for day in range(3):
            self.days_read += 1
            minutes = list(range(day * 1440, (day + 1) * 1440))
            yield "pulse", StatTable(1, minutes, {"cpu.total": SeriesRollup(ones, ones, ones, [day] * 1440)})


async def test_the_means_of_a_day_are_given_before_those_of_the_day_after_the_next_are_read() -> None:
    store: Any = Means()
    found, read = [], []
    async for _schema, row in preview._minutes(store, 1, 60, 3 * DAY_S, ["pulse"], {"cpu.total"}):
        found.append((row.taken_at_ms // 1000, row.values))
        read.append(store.days_read)
    assert found == [(minute * 60, [(minute - 1) // 1440]) for minute in range(1, 3 * 1440)]
    assert (read[0], read[-1]) == (2, 3)
