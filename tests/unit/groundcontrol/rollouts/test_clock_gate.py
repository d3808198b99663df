"""The gate of a node's clock when it is the hub's own clock that was set."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from groundcontrol.core.ids import NodeId
from groundcontrol.rollouts.gates import Look, hard_gates
from groundcontrol.rollouts.looks import STEPPED_S, Looks
from tests.support.clock import ManualClock
from tests.support.some import some

NODE = NodeId("n")


def test_a_hub_whose_own_clock_is_set_does_not_say_that_the_clocks_of_its_nodes_have_moved() -> None:
    clock, skew = ManualClock(), [0.0]
    parts: dict[str, Any] = {
        "registry": SimpleNamespace(current=lambda _: SimpleNamespace(boot="b")),
        "tables": SimpleNamespace(tables=lambda _: {}),
        "newest": SimpleNamespace(latest=lambda _: {"cpu.total": (1.0, 1.0)}),
        "presence": SimpleNamespace(skew=lambda _: skew[0]),
        "looks": SimpleNamespace(),
    }
    looks = Looks(**parts, clock=clock)

    def gates() -> list[str]:
        host = some(looks.host(NODE))
        return [one.gate for one in hard_gates(Look(0.0, clock_s=0.0), Look(1.0, clock_s=host.clock_s))]

    assert gates() == []
    skew[0] = 9.0
    assert gates() == ["clock"], "the node's clock moved"
    clock.jump(3600)
    skew[0] = -3600.0
    assert gates() == [], "the hub's clock moved"
    clock.jump(-3600)
    skew[0] = 0.0
    assert gates() == []
    clock.advance(STEPPED_S + 1)
    skew[0] = 9.0
    assert gates() == ["clock"]
