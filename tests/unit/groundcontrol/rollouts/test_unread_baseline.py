"""What a node could not read before the work is missing evidence; what its host cannot have is not available."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.looks import LookRun
from groundcontrol.rollouts.evidence import Evidence, baseline_of
from groundcontrol.rollouts.looks import Looks
from groundcontrol.rollouts.model import Rollout, RolloutId, Target
from tests.support.clock import ManualClock
from tests.support.rollout_trial import START, a_policy

WHOLE = LookRun(START, START + 30, 7, frozenset(), (), (), ("nginx.service",), {}, ("tcp 80 nginx.service",), {"/": 10}, (), 0, {})
NO_UNITS: dict[str, Any] = {"failed": None, "restarting": None, "active": None, "restarts": None}
NODE: Any = SimpleNamespace(id=NodeId("a"))


def later(run: LookRun, by_s: float, **parts: Any) -> LookRun:
    return run._replace(from_at=run.from_at + by_s, to_at=run.to_at + by_s, **parts)


async def seen(*runs: LookRun, **fields: Any) -> Any:
    """What the evidence of a target says of these looks. Args: fields: of the target."""
    clock = ManualClock(START)
    nobody: Any = SimpleNamespace(current=lambda _: None, latest=lambda _: {})
    received: Any = SimpleNamespace(runs=lambda *_: runs, state=lambda _: "asked")
    evidence = Evidence({}, clock, Looks(nobody, nobody, nobody, nobody, received, clock))  # type: ignore[arg-type]  # no store is read
    target = Target(NODE.id, "a", 0)._replace(**fields)
    made = Rollout(RolloutId("r"), 1, "r", a_policy(), "p", START, "u", "u", "running", (target,), START)
    return await evidence.read(made, target, NODE)


@pytest.mark.parametrize(("part", "unread"), [("units", NO_UNITS), ("ports", {"ports": None}), ("mounts", {"mounts": None})])
async def test_a_part_that_could_not_be_read_is_no_baseline_and_one_that_the_host_cannot_have_is_none_of_it(part: str, unread: Any) -> None:
    blind = WHOLE._replace(**unread)
    found = await seen(blind)
    assert (found.looked, found.baseline, found.hold) == (False, "", None), "it is read again before anything starts"
    found = await seen(blind, later(blind, 60))
    assert found.hold == ("no_looks", f"its {part} could not be read for 90 s")
    found = await seen(WHOLE, later(blind, 30))
    assert (found.looked, found.hold) == (False, None), "the newest look counts"
    found = await seen(blind, later(WHOLE, 30))
    before = baseline_of(found.baseline)
    assert found.looked
    assert before is not None
    assert before.parts() == {"units": ("nginx.service",), "ports": ("tcp 80 nginx.service",), "mounts": ("/",)}
    found = await seen(blind._replace(absent=frozenset({part})))
    before = baseline_of(found.baseline)
    assert (found.looked, found.hold) == (True, None)
    assert before is not None
    assert (before.parts()[part], before.absent) == (None, (part,))


@pytest.mark.parametrize(
    ("absent", "gates"),
    [({"units": NO_UNITS}, {"unit_failed", "unit_restarts", "unit_gone"}), ({"ports": {"ports": None}}, {"port_gone"}), ({}, set())],
)
async def test_the_gates_of_a_part_that_a_watched_host_cannot_have_are_not_available(absent: dict[str, Any], gates: set[str]) -> None:
    parts = {name: part for fields in absent.values() for name, part in fields.items()}
    here = WHOLE._replace(absent=frozenset(absent), **parts)
    before = await seen(here)
    found = await seen(later(here, 60), state="running", step="watch", baseline=before.baseline, settled_at=START + 30)
    of_the_session = {"package_db", "clock"}  # nobody is connected here
    assert {one.gate for one in found.gates if one.verdict == "not_available"} == gates | of_the_session
    assert [one for one in found.gates if one.verdict != "not_available"] == []
