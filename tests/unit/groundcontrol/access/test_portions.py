"""How many nodes may be changed without a new proof, across requests."""

from __future__ import annotations

from groundcontrol.access.portions import MANY_NODES, WINDOW_S, ChangeLimit
from tests.support.clock import ManualClock


def test_nodes_count_once_until_their_time_is_over() -> None:
    clock = ManualClock()
    portions = ChangeLimit(clock)
    assert portions.take("one", [f"node-{number}" for number in range(MANY_NODES - 1)])
    clock.advance(WINDOW_S - 1)
    assert portions.take("one", ["node-0", "last"])
    assert not portions.take("one", ["another"])
    assert portions.take("other", ["another"])
    clock.advance(1)
    assert portions.take("one", [f"new-{number}" for number in range(MANY_NODES - 2)]), "node-0 and last are the only ones left"
    assert not portions.take("one", ["another"])


def test_a_refused_request_uses_no_portion_and_old_entries_are_forgotten() -> None:
    clock = ManualClock()
    portions = ChangeLimit(clock)
    assert not portions.take("one", [str(number) for number in range(MANY_NODES + 1)])
    assert portions.take("one", [str(number) for number in range(MANY_NODES)])
    clock.advance(WINDOW_S)
    assert portions.take("other", ["x"])
    assert set(portions._changed) == {"other"}
