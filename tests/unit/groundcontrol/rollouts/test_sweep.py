"""What a sweep reads, and the slots of reboots that several roll-outs share."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from groundcontrol.core.errors import Conflict
from groundcontrol.core.ids import NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import SYSTEM, Scope
from groundcontrol.jobs.model import JobRequest
from groundcontrol.jobs.requests import order_args
from groundcontrol.nodes.model import Node, NodeIdentity, NodePolicy
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.model import ActionStep
from groundcontrol.rollouts.actions import action_request
from groundcontrol.rollouts.evidence import Evidence
from groundcontrol.rollouts.facts import RolloutFacts, too_young
from groundcontrol.rollouts.looks import HostState
from groundcontrol.rollouts.model import MakeJob, Rollout, Stepped
from groundcontrol.rollouts.service import RolloutService
from groundcontrol.rollouts.target_life import AWAY_S
from groundcontrol.samples.model import StoredPack
from groundcontrol.schedules.dead_man import DeadMan
from spider.wire.orders import ACTION_LIMIT
from spider.wire.verbs import REBOOT
from tests.support.factories import connect, layout_row, pack_body
from tests.support.inprocess_hub import TestHub
from tests.support.running_rollout import a_rollout
from tests.support.some import some


def rebooting(rollout: Rollout) -> Stepped:
    [target] = rollout.targets
    after = target._replace(state="running", step="reboot", attempt=1)
    return Stepped(rollout._replace(targets=(after,)), (MakeJob(target.node, "reboot", 1, JobRequest(REBOOT)),))


@pytest.mark.holds("SAFETY-105")
async def test_two_roll_outs_never_reboot_two_nodes_of_one_role(hub: TestHub) -> None:
    store, facts = hub.store.rollouts, hub.services[RolloutFacts]
    first, second = [await a_rollout(hub, [await hub.node(name)]) for name in ("db-1", "db-2")]
    [waiting] = second.targets
    second = (await store.save_rollout(SYSTEM, second, Stepped(second._replace(targets=(waiting._replace(state="running"),)), ()))).rollout
    assert (await facts.read(second)).role_reboots == {}
    saved = await store.save_rollout(SYSTEM, first, rebooting(first))
    assert (await facts.read(second)).role_reboots == {"role:db": 1}
    assert (await facts.read(saved.rollout)).role_reboots == {}, "its own reboots are not those of others"
    with pytest.raises(Conflict, match="another roll-out has begun a reboot"):
        await store.save_rollout(SYSTEM, second, rebooting(second))
    assert not await store.jobs_of(second), "nothing is half-started"
    [job] = saved.jobs
    await hub.store.jobs.stop_job(SYSTEM, job)
    assert (await facts.read(second)).role_reboots == {}
    assert (await store.save_rollout(SYSTEM, second, rebooting(second))).jobs


async def test_time_in_which_no_hub_ran_is_no_absence_of_a_node(hub: TestHub) -> None:
    node, facts, silences = await hub.node("db-1"), hub.services[RolloutFacts], hub.services[DeadMan]
    await connect(hub.store, node.id)
    made, now = await a_rollout(hub, [node]), hub.clock.now()
    await hub.sql("UPDATE node SET last_seen_at = ? WHERE id = ?", now - 900.0, node.id)
    await hub.sql("INSERT INTO hub_absence (from_at, until_at) VALUES (?, ?)", now - 880.0, now)
    away_s = []
    for passes_s in (0.0, AWAY_S):
        hub.clock.shift += passes_s
        await silences.look()
        away_s.append((await facts.read(made)).nodes[node.id].away_s)
    assert away_s[0] < AWAY_S <= away_s[1]


@pytest.mark.holds("SAFETY-105")
async def test_no_job_is_dispatched_after_the_answer_to_stop(hub: TestHub, pytestconfig: pytest.Config) -> None:
    """Stop and the dispatch of a patch race: who comes first wins, and after the answer nothing starts any more. 1,000 times with --slow."""
    admin, node = await hub.logged_in(), await hub.node("db-1")
    session, store = await connect(hub.store, node.id), hub.store.rollouts
    left = 1000 if pytestconfig.getoption("--slow") else 12
    while left:
        made = await a_rollout(hub, [node])
        [target] = made.targets
        after = target._replace(state="running", step="patch", attempt=1)
        order = MakeJob(node.id, "patch", 1, JobRequest("upgrade", ("nginx",)))
        saved = await store.save_rollout(SYSTEM, made, Stepped(made._replace(targets=(after,)), (order,)))
        answer, _ = await asyncio.gather(
            admin.post(f"rollouts/{made.id}/stop"), hub.store.jobs.take(None, [session], hub.clock.now())
        )  # fmt: skip
        assert answer.status in (200, 409, 429), answer.json
        left -= answer.status != 429
        if answer.status == 429:  # one user asks 20 times a second at most
            await asyncio.sleep(1.0)
        if answer.status == 200:
            assert await hub.store.jobs.take(None, [session], hub.clock.now()) == []
        await hub.sql("UPDATE job SET state = 'cancelled', ended_at = ? WHERE id = ?", hub.clock.now(), saved.jobs[0])
        await hub.sql("UPDATE rollout SET state = 'stopped' WHERE id = ?", made.id)


async def test_a_sweep_reads_the_nodes_of_all_live_roll_outs_once_and_no_others(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [await hub.node(f"web-{number}") for number in range(4)]
    for node in nodes[:2]:
        await a_rollout(hub, [node])
    await a_rollout(hub, nodes[2:3], state="ready")
    store = hub.services[NodeStore]
    read, asked = store.nodes, list[set[NodeId]]()

    async def watched(scope: Scope, limit: int, cursor: str | None = None, only: Collection[NodeId] | None = None) -> Page[Node]:
        page = await read(scope, limit, cursor, only)
        asked.append({node.id for node in page.items})
        return page

    monkeypatch.setattr(store, "nodes", watched)
    await hub.services[RolloutService].sweep()
    assert asked == [{node.id for node in nodes[:2]}]


async def test_samples_that_cannot_be_read_in_time_hold_a_node_and_not_the_sweep(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence, node = hub.services[Evidence], await hub.node("web-1")
    made = await a_rollout(hub, [node])
    monkeypatch.setattr(evidence, "_judge_s", 0.01)
    monkeypatch.setattr(evidence, "_series", lambda *_: asyncio.Event().wait())
    found = await asyncio.wait_for(evidence.read(made, made.targets[0]._replace(state="running", step="watch"), node), 60)
    assert ("samples", "unknown") in [(gate.gate, gate.verdict) for gate in found.gates]


async def test_a_young_node_is_held_until_it_has_a_past_says_when_and_a_person_may_go_on(hub: TestHub) -> None:
    evidence, admin, node = hub.services[Evidence], await hub.logged_in(), await hub.node("web-1")
    session = await connect(hub.store, node.id)
    row = layout_row("pulse", ("cpu.total",))
    await hub.store.metrics.save_schema(session, row)
    now = hub.clock.now()
    times = [round(now - 360.0 + second) * 1000 for second in range(240)]
    pack = StoredPack(session, 0, 0, row.schema_id, times[0], times[-1], 1, pack_body([(at, [10_00]) for at in times]))
    await hub.store.metrics.append([pack])
    made = await a_rollout(hub, [node])
    [target] = made.targets
    grown = some(await evidence.grown(made, node, now, 1.0))
    hold = some(too_young(made, target, grown, 1_800_000_000.0))
    assert hold[0] == "history"
    assert "4 of 48 minutes" in hold[1]
    assert "about 08:44 (UTC)" in hold[1], hold[1]
    held = made._replace(targets=(target._replace(state="held", why=hold[0], words=hold[1]),))
    saved = (await hub.store.rollouts.save_rollout(SYSTEM, made, Stepped(held, ()))).rollout
    refused = await admin.post(f"rollouts/{made.id}/go-on", {"gate": "cpu", "reason": "it is new"})
    assert refused.status == 409, "it waits for its past, not for a gate"
    answer = await admin.post(f"rollouts/{made.id}/go-on", {"gate": "history", "reason": "it is new"})
    assert (answer.status, answer.json["state"]) == (200, "running")
    accepted = await hub.store.rollouts.rollout(SYSTEM, saved.id)
    assert too_young(accepted, accepted.targets[0], grown, now) is None
    assert too_young(accepted, accepted.targets[0]._replace(wave=1), grown, now) is not None, "for this wave only"


async def test_the_time_limit_of_an_action_is_part_of_its_order_where_the_agent_knows_it(hub: TestHub) -> None:
    made = await a_rollout(hub, [await hub.node("web-1")])
    [target] = made.targets
    after = made._replace(targets=(target._replace(state="running", step="before"),))
    request = action_request(ActionStep("drain", timeout_s=90))
    saved = await hub.store.rollouts.save_rollout(SYSTEM, made, Stepped(after, (MakeJob(target.node, "before", 0, request),)))
    job = await hub.store.jobs.job(SYSTEM, saved.jobs[0])
    assert order_args(job.request, [ACTION_LIMIT]) == {"named_action": "drain", "timeout_s": 90}
    assert order_args(job.request, []) == {"named_action": "drain"}, "an older launcher refuses what it does not know"


@pytest.mark.holds("SAFETY-105")
async def test_reboots_by_hand_take_the_slot_of_their_role_like_those_of_a_roll_out(hub: TestHub) -> None:
    jobs, rollouts, admin = hub.store.jobs, hub.store.rollouts, await hub.logged_in()
    nodes = [await hub.node(name, tags=("role:db",)) for name in ("db-1", "db-2", "db-3")]
    free = await hub.node("tool", tags=("tool",))
    sessions = [await connect(hub.store, node.id) for node in (*nodes, free)]
    ids = [node.id for node in (nodes[0], nodes[1], free)]
    assert (await admin.post("jobs", {"action": "reboot", "nodes": ids})).status == 202

    async def take() -> set[NodeId]:
        return {one.job.node_id for one in await jobs.take(None, sessions, hub.clock.now())}

    assert await take() == {nodes[0].id, free.id}, "one of a role at a time; those without a role do not wait for each other"
    assert await take() == set()
    made = await a_rollout(hub, [nodes[2]])
    [waiting] = made.targets
    made = (await rollouts.save_rollout(SYSTEM, made, Stepped(made._replace(targets=(waiting._replace(state="running"),)), ()))).rollout
    assert (await hub.services[RolloutFacts].read(made)).role_reboots["role:db"] == 1
    with pytest.raises(Conflict, match="reboot in this role"):
        await rollouts.save_rollout(SYSTEM, made, rebooting(made))
    [first] = await jobs.open_jobs(nodes[0].id)
    await hub.sql("UPDATE job SET state = 'succeeded', ended_at = ? WHERE id = ?", hub.clock.now(), first.id)
    assert (await rollouts.save_rollout(SYSTEM, made, rebooting(made))).jobs
    assert await take() == {nodes[1].id}, "the older one goes first"
    assert await take() == set(), "the roll-out waits for the one by hand"


async def test_a_gate_names_the_services_whose_use_rose(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence, made = hub.services[Evidence], await hub.node("web-1")
    session = await connect(hub.store, made.id)
    identity = NodeIdentity(cpu_cores=4, memory_bytes=1 << 30)
    node = await hub.store.nodes.save_identity(session, identity, "1", NodePolicy("managed"), "no", 1.0)
    names = ("service.cpu{service=shop.service}", "service.cpu{service=nginx.service}", "service.memory{service=shop.service}")
    row = layout_row("breathe", names, 60)
    await hub.store.metrics.save_schema(session, row)
    now = hub.clock.now()
    times = [round(now) - 3600 + 60 * minute for minute in range(60)]
    rows = [(at * 1000, [4_00 if at < now - 300 else 84_00, 10_00, 100 << 20]) for at in times]
    await hub.store.metrics.append([StoredPack(session, 0, 0, row.schema_id, rows[0][0], rows[-1][0], 1, pack_body(rows))])
    host = HostState(now, "b", (), 0.0, {}, (), names)
    monkeypatch.setattr(evidence._looks, "host", lambda _: host)
    assert await evidence._blame(node, "cpu", now - 240, now) == "of it 20.0 by shop.service", "of four cores"
    assert await evidence._blame(node, "memory", now - 240, now) == ""
    monkeypatch.setattr(evidence._looks, "host", lambda _: None)
    assert await evidence._blame(node, "cpu", now - 240, now) == ""


async def test_peers_are_targets_of_the_role_that_were_not_begun_or_are_well_again(hub: TestHub) -> None:
    nodes = [await hub.node(f"db-{number}") for number in range(5)]
    made = await a_rollout(hub, nodes)
    own, untouched, well, broken, at_work = made.targets
    targets = (
        own._replace(state="running", step="watch", started_at=1.0),
        untouched,
        well._replace(state="passed", started_at=1.0),
        broken._replace(state="worse", started_at=1.0),
        at_work._replace(state="running", step="patch", started_at=1.0),
    )
    found = await hub.services[Evidence]._peers(made._replace(targets=targets), targets[0])
    assert {node.id for node in found} == {untouched.node, well.node}


async def test_a_job_of_somebody_else_is_evidence_of_a_watched_node_unless_it_only_reads(hub: TestHub) -> None:
    facts, admin, node = hub.services[RolloutFacts], await hub.logged_in(), await hub.node("web-1")
    made = await a_rollout(hub, [node])
    me = (await admin.get("auth/me")).json["user"]["username"]
    watched = made._replace(targets=(made.targets[0]._replace(state="running", step="watch"),))

    async def disturbances() -> list[str]:
        found = (await facts.read(watched)).nodes[node.id]
        return [f"{gate.verdict}: {gate.words}" for gate in found.gates if gate.gate == "another_job"]

    assert (await admin.post(f"nodes/{node.id}/jobs", {"action": "check"})).status == 202
    assert await disturbances() == []
    job = (await admin.post(f"nodes/{node.id}/jobs", {"action": "upgrade"})).json["id"]
    await hub.sql("UPDATE job SET state = 'running' WHERE id = ?", job)
    assert await disturbances() == [f"unknown: the job upgrade of {me} runs on it: what it shows may be the doing of that job"]
    await hub.sql("UPDATE job SET state = 'succeeded', ended_at = ? WHERE id = ?", hub.clock.now(), job)
    assert await disturbances() == []
