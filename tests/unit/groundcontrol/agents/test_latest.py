"""`agents.latest`: the latest values of a node."""

from __future__ import annotations

from groundcontrol.agents.latest import LatestSamples
from groundcontrol.agents.validation import KnownSchema
from groundcontrol.nodes.summary import SummaryFragment
from groundcontrol.samples.model import SeriesSchema
from spider.wire.sample_messages import Row

PULSE = KnownSchema.of(SeriesSchema(b"1" * 8, "pulse", 1, ("cpu.total",)), (100,))
MEMORY = KnownSchema.of(SeriesSchema(b"2" * 8, "memory", 1, ("memory.used",)), (1,))


def values(fragments: list[SummaryFragment]) -> list[dict[str, float | None]]:
    return [{name: shown.value for name, shown in fragment.shown.items()} for fragment in fragments]


def test_each_family_shows_its_newest_row_in_a_stable_order() -> None:
    newest = LatestSamples()
    assert not newest.fragments()
    newest.keep(PULSE, Row(1000, [100]))
    newest.keep(MEMORY, Row(1000, [7]))
    first = [*newest.fragments()]
    assert values(first) == [{"cpu.total": 1.0}, {"memory.used": 7}]

    newest.keep(PULSE, Row(2000, [150]))
    newest.keep(PULSE, Row(3000, [200]))
    later = [*newest.fragments()]
    assert values(later) == [{"cpu.total": 2.0}, {"memory.used": 7}]
    assert later[0].shown["cpu.total"].at == 3.0
    assert later[1] is first[1], "made once, for as long as its row is the newest"
    assert [*newest.fragments()] == later
