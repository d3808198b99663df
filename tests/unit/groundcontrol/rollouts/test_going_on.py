"""Who may go on in spite of which gate."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.core.scope import SYSTEM
from groundcontrol.nodes.model import NodeIdentity, NodePolicy
from groundcontrol.policies.model import Probe
from groundcontrol.rollouts.model import Facts, Gate, NodeFacts, Rollout, RolloutState, Stepped
from groundcontrol.rollouts.service import RolloutService
from groundcontrol.rollouts.soft import SOFT_GATES
from groundcontrol.rollouts.step import step
from groundcontrol.rollouts.views import GATES, wave_views
from tests.support.factories import connect
from tests.support.inprocess_hub import TestHub
from tests.support.rollout_trial import Trial
from tests.support.running_rollout import a_rollout

SOFT = Gate("cpu", "", "worse", "12 points more than before, limit 10", 0.0, 12.0, 10.0, soft=True)
HARD = Gate("unit_failed", "shop.service", "failed", "shop.service failed", 0.0)


async def a_held_one(hub: TestHub, moved: RolloutState = "holding", **fields: Any) -> Rollout:
    made = await a_rollout(hub, [await hub.node("web-1")])
    [target] = made.targets
    shown: dict[str, Any] = {
        "state": "running",
        "step": "watch",
        "started_at": made.made_at,
        "settled_at": made.made_at,
        "gates": (SOFT,),
        **fields,
    }
    held = made._replace(state=moved, targets=(target._replace(**shown),))
    return (await hub.store.rollouts.save_rollout(SYSTEM, made, Stepped(held, ()))).rollout


async def test_going_on_from_all_soft_gates_lets_no_hard_gate_pass_that_fails_later(hub: TestHub) -> None:
    made = await a_held_one(hub)
    operator = await hub.logged_in("operator")
    answer = await operator.post(f"rollouts/{made.id}/go-on", {"gate": "*", "reason": "it is noise"})
    assert (answer.status, answer.json["state"]) == (200, "running"), answer.json
    one = await hub.store.rollouts.rollout(SYSTEM, made.id)
    now = hub.clock.now()
    seen = NodeFacts(heard_to=now + 300.0, gates=(HARD._replace(since_at=now + 200.0),))
    first = step(one, Facts({one.targets[0].node: seen}, {}), now + 300.0).rollout
    later = seen._replace(heard_to=now + 310.0)
    assert step(first, Facts({one.targets[0].node: later}, {}), now + 310.0).rollout.stopped_by == "gate"


@pytest.mark.parametrize(("gate", "status"), [("unit_failed", 409), ("job_outcome", 409), ("node_away", 409), ("nonsense", 400)])
async def test_nobody_goes_on_beforehand_in_spite_of_a_hard_gate(hub: TestHub, gate: str, status: int) -> None:
    made = await a_held_one(hub)
    admin = await hub.logged_in()
    answer = await admin.post(f"rollouts/{made.id}/go-on", {"gate": gate, "reason": "it may fail"})
    assert answer.status == status, answer.json
    assert (await hub.store.rollouts.rollout(SYSTEM, made.id)).overrides == ()


@pytest.mark.parametrize("gate", ["*", "job_outcome"])
async def test_only_an_admin_goes_on_after_a_failed_job(hub: TestHub, gate: str) -> None:
    made = await a_held_one(hub, "paused", state="failed", step="", why="job_outcome", words="upgrade failed", gates=())
    path, body = f"rollouts/{made.id}/go-on", {"gate": gate, "reason": "repaired by hand"}
    refused = await (await hub.logged_in("operator")).post(path, body)
    assert (refused.status, "only an admin" in refused.json["detail"]) == (403, True), refused.json
    assert (await (await hub.logged_in()).post(path, body)).status == 200
    one = await hub.store.rollouts.rollout(SYSTEM, made.id)
    assert "job_outcome" in [override.gate for override in one.overrides]
    assert step(one, Facts({one.targets[0].node: NodeFacts()}, {}), hub.clock.now()).rollout.state == "succeeded"


async def test_a_person_may_begin_on_a_server_that_is_critical_already(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    service, operator = hub.services[RolloutService], await hub.logged_in("operator")
    monkeypatch.setattr(service._facts, "_red", lambda _: "it is critical before anything starts: CPU fully used")
    monkeypatch.setattr(service._facts._presence, "online", lambda _: True)
    monkeypatch.setattr(service._facts, "_list_unknown", lambda *_: "")
    made = await a_held_one(hub, "running", state="held", step="", why="already_red", started_at=None, gates=())
    session = await connect(hub.store, made.targets[0].node)
    await hub.store.nodes.save_identity(session, NodeIdentity(package_manager="apt"), "1", NodePolicy("managed"), "no", 1.0)

    async def hold_of(wave: int) -> str:
        one = await hub.store.rollouts.rollout(SYSTEM, made.id)
        [target] = one.targets
        moved = one._replace(targets=(target._replace(wave=wave),))
        return ((await service.facts_of(moved)).nodes[target.node].hold or ("", ""))[0]

    assert await hold_of(0) == "already_red"
    assert (await operator.post(f"rollouts/{made.id}/go-on", {"gate": "history", "reason": "it may"})).status == 409
    answer = await operator.post(f"rollouts/{made.id}/go-on", {"gate": "already_red", "reason": "the patch is its cure"})
    assert (answer.status, answer.json["state"]) == (200, "running"), answer.json
    assert await hold_of(0) != "already_red"
    assert await hold_of(1) == "already_red", "for this wave only"


def test_only_gates_that_were_judged_are_called_clear() -> None:
    def clear() -> set[str]:
        return {gate.gate for gate in wave_views(trial.rollout, None)[0].gates if gate.verdict == "clear"}

    trial = Trial("a", "b", probes=(Probe("tcp", "80"),))
    trial.look()
    trial.patched("a")
    trial.look(30)
    assert trial.of("a").step == "watch"
    assert clear() == set(), "nothing is judged before the node has settled"
    trial.look(60)
    assert clear() == set(GATES) - set(SOFT_GATES), "what is compared with the past is judged later"
    trial.look(60)
    assert clear() == set(GATES)
    blind = ("unit_gone", "disk")
    trial.set("a", gates=tuple(Gate(name, "", "not_available", "not known here", trial.now) for name in blind))
    trial.look(10)
    assert clear() == set(GATES) - set(blind)
    assert wave_views(trial.rollout, frozenset())[0].gates == [
        one for one in wave_views(trial.rollout, None)[0].gates if one.verdict == "clear"
    ], "nor is a gate called clear to who does not see the node on which it is not"
    trial.rollout = trial.rollout._replace(policy=trial.rollout.policy._replace(probes=()))
    assert "probe" not in clear(), "the policy has none"
