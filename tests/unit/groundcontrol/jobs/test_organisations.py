"""The hub acts for the organisation of its object: jobs of a node of another organisation run as those of the instance's own."""

from __future__ import annotations

from typing import cast

import pytest

from groundcontrol.agents.session import AgentSession
from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM, hub_scope
from groundcontrol.jobs.model import JobRequest
from groundcontrol.nodes.model import NewNode
from spider.wire.ids import new_random_id
from spider.wire.job_messages import JobAnswer
from tests.support.job_bench import BOOT, HUB, Bench, Talker, over, process


@pytest.mark.holds("SAFETY-108")
async def test_jobs_of_two_organisations_run_beside_each_other(bench: Bench) -> None:
    second = NodeId(new_random_id())
    await bench.store.nodes.create_node(hub_scope(2), NewNode(second, "web-1", "192.0.2.2"))
    ended = {}
    for org, node in ((1, bench.node), (2, second)):
        job = await bench.service.submit(hub_scope(org), node, JobRequest("upgrade"), None)
        session = await bench.store.sessions.claim(node, BOOT, HUB)
        assert session.org == org
        await bench.store.metrics.begin_session(session)
        agent = Talker(await bench.store.nodes.node(hub_scope(org), node), session)
        bench.registry._agents[node] = cast("AgentSession", agent)
        await bench.tracker._take(None, [session])
        assert agent.started == [job.id]
        await process(bench, agent, JobAnswer(job.id, "refused", "busy", int(bench.clock.now() * 1000)))
        bench.clock.advance(6)
        await bench.tracker._send_again()
        assert agent.started == [job.id] * 2, "it is sent again"
        await process(bench, agent, JobAnswer(job.id, "accepted", "", int(bench.clock.now() * 1000)), over(job.id))
        ended[org] = (await bench.store.jobs.job(hub_scope(org), job.id)).state
        with pytest.raises(NotFound):
            await bench.store.jobs.job(hub_scope(3 - org), job.id)
    assert ended == {1: "succeeded", 2: "succeeded"}
    assert SYSTEM.org == 1


@pytest.mark.holds("SAFETY-108")
async def test_a_job_of_a_second_organisation_that_gets_no_answer_is_closed(bench: Bench) -> None:
    node = NodeId(new_random_id())
    await bench.store.nodes.create_node(hub_scope(2), NewNode(node, "web-2", "192.0.2.2"))
    job = await bench.service.submit(hub_scope(2), node, JobRequest("upgrade"), None)
    bench.clock.advance(3600)
    await bench.tracker._expire()
    assert (await bench.store.jobs.job(hub_scope(2), job.id)).state == "expired"
