"""Commands about roll-outs: preconditions, call and result of each (`race_cases.py`)."""

from __future__ import annotations

from groundcontrol.core.errors import Conflict
from groundcontrol.jobs.model import JobRequest
from groundcontrol.policies.model import Occurrence
from groundcontrol.rollouts.model import MakeJob, Rollout, RolloutId, Stepped, Target
from groundcontrol.rollouts.store import Begin
from spider.wire.ids import new_time_id
from tests.support.factories import SCOPE
from tests.support.race_cases import CALLERS, Cases, Ground, Race, Rivals
from tests.support.race_cases_policies import a_policy

CASES = Cases()


async def a_rollout(ground: Ground, **fields: object) -> Rollout:
    node = await ground.node()
    targets = (Target(node.id, node.name, 0),)
    policy = a_policy(ground.now, "nights")
    made = Rollout(RolloutId(new_time_id(ground.now)), 1, "nights", policy, "", None, "local:0", "local:0", "running", targets, ground.now)
    return made._replace(**fields)  # type: ignore[arg-type]


async def _states(ground: Ground) -> list[tuple[str, int, int]]:
    page = await ground.store.rollouts.rollouts(SCOPE, 10)
    return [(one.state, one.version, len(await ground.store.rollouts.jobs_of(one))) for one in page.items]


@CASES.of("rollouts.create_rollout")
async def _create_rollout(ground: Ground) -> Race:
    """Twenty hubs begin one occurrence: one roll-out is made."""
    policy = await ground.store.policies.create(SCOPE, a_policy(ground.now, "nights"))
    made = await a_rollout(ground)
    rivals = [made._replace(id=RolloutId(new_time_id(ground.now))) for _ in range(CALLERS)]

    def begin(rollout: Rollout, at: float) -> Begin:
        return Begin(None, Occurrence(policy.id, 1, at, at + 7200, "started", rollout_id=rollout.id), at)

    async def held() -> object:
        return {one.id for one in (await ground.store.rollouts.rollouts(SCOPE, 10)).items} - {made.id}, len(
            await ground.store.policies.occurrences(1, policy.id, ground.now + 90)
        )

    return Race(
        lambda: ground.store.rollouts.create_rollout(SCOPE, made, begin(made, ground.now + 60)),
        held,
        (set(), 0),
        ("patch_occurrence.started", "rollout.create"),
        rivals=Rivals(
            "one",
            lambda at: ground.store.rollouts.create_rollout(SCOPE, rivals[at], begin(rivals[at], ground.now + 90)),
            lambda at: ({rivals[at].id}, 1),
            Conflict,
        ),
    )


@CASES.of("rollouts.save_rollout")
async def _save_rollout(ground: Ground) -> Race:
    """Twenty sweeps order the same job: one is made."""
    made = await ground.store.rollouts.create_rollout(SCOPE, await a_rollout(ground))
    [target] = made.targets

    def moved(wave: int) -> Stepped:
        after = made._replace(wave=wave, targets=(target._replace(state="running", step="plan", attempt=1, plans=1),))
        return Stepped(after, (MakeJob(target.node, "plan", 1, JobRequest("plan", (), "upgrade")),))

    async def save(wave: int) -> Rollout:
        return (await ground.store.rollouts.save_rollout(SCOPE, made, moved(wave))).rollout

    async def held() -> object:
        one = await ground.store.rollouts.rollout(SCOPE, made.id)
        return one.wave, one.version, len(await ground.store.rollouts.jobs_of(one))

    return Race(
        lambda: save(0),
        held,
        (0, 2, 1),
        ("job.create", "rollout.move"),
        rivals=Rivals("one", save, lambda at: (at, 2, 1), Conflict),
    )


@CASES.of("rollouts.expire_rollouts")
async def _expire_rollouts(ground: Ground) -> Race:
    await ground.store.rollouts.create_rollout(SCOPE, await a_rollout(ground, state="stopped"))
    return Race(lambda: ground.store.rollouts.expire_rollouts(ground.now + 1), lambda: _states(ground), [], alone=(1, 0))
