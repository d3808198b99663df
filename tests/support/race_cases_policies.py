"""Commands about patch policies, occurrences and windows: preconditions, call and result of each (`race_cases.py`)."""

from __future__ import annotations

from typing import Any

from groundcontrol.core.errors import Conflict
from groundcontrol.policies.calendar import Times, When
from groundcontrol.policies.model import Occurrence, PatchPolicy, PolicyId, PolicySelect
from groundcontrol.policies.windows import PatchWindow, WindowId
from groundcontrol.schedules.model import Selector
from spider.wire.ids import new_time_id
from tests.support.factories import SCOPE
from tests.support.race_cases import Cases, Ground, Race, Rivals

CASES = Cases()
TIMES = Times(When(weekly=("tue",)), "02:30", 7200, "UTC")


def a_policy(now: float, name: str = "", **fields: Any) -> PatchPolicy:
    made = PolicyId(new_time_id(now))
    return PatchPolicy(made, 1, name or made, PolicySelect(Selector(all=True)), TIMES, owner_id="owner", considered_at=now)._replace(
        **fields
    )


def a_patch_window(now: float, name: str = "") -> PatchWindow:
    made = WindowId(new_time_id(now))
    return PatchWindow(made, 1, name or made, "allow", Selector(all=True), TIMES)


@CASES.of("policies.pause_policy")
async def _pause_policy(ground: Ground) -> Race:
    store = ground.store.policies
    made = await store.create(SCOPE, a_policy(ground.now, "nights"))

    async def held() -> object:
        return (await store.get(SCOPE, made.id)).paused

    return Race(lambda: store.pause_policy(1, made.id, "owner"), held, "owner", ("patch_policy.pause",))


@CASES.of("policies.rewind_policy")
async def _rewind_policy(ground: Ground) -> Race:
    store = ground.store.policies
    made = await store.create(SCOPE, a_policy(ground.now, "nights", considered_at=ground.now + 86_400))
    await store.save_occurrence(SCOPE, None, Occurrence(made.id, 1, ground.now + 3600, ground.now + 7200, "missed"))

    async def held() -> object:
        return (await store.get(SCOPE, made.id)).considered_at <= ground.now + 3600, await store.occurrences(1, made.id, 0)

    return Race(lambda: store.rewind_policy(1, made.id), held, (True, []), ("patch_policy.rewind",))


@CASES.of("policies.resume_policies")
async def _resume_policies(ground: Ground) -> Race:
    store = ground.store.policies
    made = await store.create(SCOPE, a_policy(ground.now, "nights"))
    await store.pause_policy(1, made.id, "restored")

    async def held() -> object:
        return (await store.get(SCOPE, made.id)).paused

    return Race(lambda: store.resume_policies(SCOPE), held, "", ("patch_policy.resume",), alone=(1, 0))


@CASES.of("policies.save_occurrence")
async def _save_occurrence(ground: Ground) -> Race:
    """Twenty hubs begin one occurrence: one does."""
    store = ground.store.policies
    made = await store.create(SCOPE, a_policy(ground.now, "nights"))
    due = Occurrence(made.id, 1, ground.now + 60, ground.now + 7260, "started", rollout_id="r")

    async def held() -> object:
        return [one.rollout_id for one in await store.occurrences(1, made.id, 0)], (await store.get(SCOPE, made.id)).considered_at

    return Race(
        lambda: store.save_occurrence(SCOPE, None, due, ground.now + 60),
        held,
        (["r"], ground.now + 60),
        ("patch_occurrence.started",),
        rivals=Rivals(
            "one",
            lambda at: store.save_occurrence(SCOPE, None, due._replace(due_at=ground.now + 90, rollout_id=f"r{at}"), ground.now + 90),
            lambda at: ([f"r{at}"], ground.now + 90),
            Conflict,
        ),
    )


CASES.of_record("patch_windows", "patch_window", a_patch_window, lambda one, at: one._replace(times=one.times._replace(length_s=8000 + at)))
CASES.of_record("policies", "patch_policy", a_policy, lambda one, at: one._replace(times=one.times._replace(length_s=8000 + at)))
