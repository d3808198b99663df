"""The age of values on a page: from the first appearance of a value, only for values measured since."""

from __future__ import annotations

import msgspec

from groundcontrol.nodes.views import FleetChange, Sample
from scripts.benches.hub.fleet_latency import Seen, arrivals


def change(at: float, *nodes: str) -> bytes:
    latest = {node: {"cpu.total": Sample(1.0, at), "load.1": Sample(0.5, at + 9)} for node in nodes}
    return msgspec.msgpack.encode(FleetChange(nodes=[], latest=latest, removed=[]))


def test_the_first_arrival_of_a_value_after_the_start_counts() -> None:
    seen = Seen(
        1000.0,
        {9: [1001.6, 1001.7], 7: [1000.1], 8: [1000.55, 1000.56], 10: [1001.8]},
        {
            7: change(999.9, "a"),
            8: change(1000.5, "a", "b"),
            9: change(1000.5, "b"),  # again, because another of its values is new
            10: msgspec.msgpack.encode(FleetChange(nodes=[], latest={"a": {"load.1": Sample(1.0, 1001.0)}}, removed=[])),
        },
    )
    assert arrivals(seen) == {("a", 1_000_500): [1000.55, 1000.56], ("b", 1_000_500): [1000.55, 1000.56]}
