"""Limits in time of a roll-out, while the hub's own clock is set."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from groundcontrol.core.scope import Scope
from groundcontrol.policies.store import PolicyStore
from groundcontrol.rollouts.model import Facts, Gate, Rollout, Stepped
from groundcontrol.rollouts.service import RolloutService
from groundcontrol.rollouts.step import BLIND_S, WORSE_S
from groundcontrol.rollouts.store import RolloutStore
from groundcontrol.rollouts.target_life import SETTLE_S
from tests.support.clock import ManualClock
from tests.support.rollout_trial import Trial
from tests.support.some import some


class Moved:
    """A roll-out whose canary is watched, moved by the sweep."""

    def __init__(self, **of_canary: Any) -> None:
        self.trial = trial = Trial("a", "b")
        trial.look()
        trial.patched("a")
        trial.look(SETTLE_S + 10)
        assert (trial.of("a").step, trial.rollout.state, trial.rollout.hold_since) == ("watch", "running", None)
        trial.set("a", **of_canary)
        self.clock = ManualClock(trial.now)
        stores: Any = {
            PolicyStore: SimpleNamespace(of_every_org=self._none),
            RolloutStore: SimpleNamespace(live_rollouts=self._live, save_rollout=self._save),
        }
        parts: dict[str, Any] = {
            "bus": SimpleNamespace(publish=lambda _: None),
            "facts": SimpleNamespace(shared=self._none, read=self._facts),
            "presence": None,
            "health": None,
            "evidence": SimpleNamespace(keep=self._none),
        }
        self.service = RolloutService(stores, clock=self.clock, **parts)

    async def _none(self, *_: object) -> None:
        return None

    async def _live(self) -> list[Rollout]:
        return [self.trial.rollout]

    async def _facts(self, *_: object) -> Facts:
        return self.trial.facts()

    async def _save(self, scope: Scope, before: Rollout, after: Stepped) -> Any:
        self.trial.rollout = after.rollout
        return SimpleNamespace(rollout=after.rollout, nodes=(), jobs=())

    async def after(self, seconds: float) -> str:
        self.clock.advance(seconds)
        await self.service.sweep()
        return self.trial.rollout.state


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0])
async def test_a_hold_lasts_as_long_as_it_does_whatever_the_clock_says(set_by_s: float) -> None:
    moved = Moved(gates=(Gate("evidence", "units", "unknown", "its units cannot be read now", 0.0),))
    assert await moved.after(0) == "holding"
    moved.clock.jump(set_by_s)
    assert await moved.after(60) == "holding"
    assert moved.trial.rollout.hold_since == moved.clock.now() - 60
    assert await moved.after(BLIND_S - 70) == "holding"
    assert await moved.after(10) == "paused", "neither earlier nor later"


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0])
async def test_one_canary_that_is_worse_stops_after_its_time_whatever_the_clock_says(set_by_s: float) -> None:
    moved = Moved()
    settled = some(moved.trial.of("a").settled_at)
    moved.trial.set("a", gates=(Gate("cpu", "", "worse", "its cpu rose", settled, soft=True),))
    assert await moved.after(0) == "running"
    assert moved.trial.rollout.worse_since == moved.clock.now()
    moved.clock.jump(set_by_s)
    assert await moved.after(60) == "running"
    assert await moved.after(WORSE_S - 61) == "running"
    assert await moved.after(1) in ("stopping", "stopped"), "neither earlier nor later"
    assert moved.trial.rollout.stopped_by == "gate"


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0])
async def test_a_target_is_without_evidence_as_long_as_it_is_whatever_the_clock_says(set_by_s: float) -> None:
    moved = Moved(coverage=0.5)
    await moved.after(0)
    moved.clock.jump(set_by_s)
    assert await moved.after(59) == "running"
    assert await moved.after(1) == "holding"
    assert moved.trial.of("a").gates[0].gate == "evidence"
