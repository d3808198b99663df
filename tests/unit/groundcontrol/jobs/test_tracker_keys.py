"""The job tracker while a node gets new keys, or a clone of it is connected."""

from __future__ import annotations

from typing import cast

import pytest

from groundcontrol.agents.registry import SUSPECT_S
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.scope import SYSTEM
from groundcontrol.jobs.model import START_LIMIT_S, JobRequest, JobUpdate
from groundcontrol.jobs.orders import KEYS_CHANGE_S, MAX_GENERATION, NotAccepted
from spider.hub.backoff import CLONE_S
from spider.wire.job_messages import JobAnswer, JobStart, JobStop
from tests.support.job_bench import Bench, Hello, Listener, Talker, over, process, renewing
from tests.support.some import some


@pytest.mark.holds("S-43")
async def test_only_a_rekey_is_sent_while_a_clone_is_connected(bench: Bench) -> None:
    tracker, registry = bench.tracker, bench.registry
    session, job = await bench.session(), await bench.order()
    registry.mark_clone(bench.node)
    await tracker._take(None, [session])
    assert await bench.state(job) == ("queued", "")
    rekey = await bench.service.submit_selfcare(SYSTEM, bench.node, JobRequest("rekey"))
    await tracker._take(None, [session])
    assert [await bench.state(one) for one in (job, rekey)] == [("queued", ""), ("dispatched", "")]
    await bench.store.jobs.advance(rekey.id, "failed", session, JobUpdate())
    registry.clear_clone(bench.node)
    await tracker._take(None, [session])
    assert await bench.state(job) == ("dispatched", "")


@pytest.mark.holds("S-43")
async def test_a_sent_order_is_not_resent_while_a_clone_is_connected(bench: Bench) -> None:
    tracker, registry = bench.tracker, bench.registry
    job, _ = await bench.dispatched()
    registry.mark_clone(bench.node)
    agent = Listener(await bench.store.nodes.node(SYSTEM, bench.node), await bench.session(), Hello((), 1), [])
    registry._agents[bench.node] = cast("AgentSession", agent)
    await tracker.joined(cast("AgentSession", agent))
    bench.orders.send_later(job, NotAccepted("busy", "busy", 0.0))
    bench.clock.advance(6)
    await tracker._send_again()
    await bench.orders.start(cast("AgentSession", agent), job, 2.0)
    assert agent.sent == []
    bench.orders._sent[job.id].refusal = None  # nothing but the hold stands against it
    await tracker._send_again()
    assert agent.sent == []
    registry.clear_clone(bench.node)
    await tracker._send_again()
    await tracker._send_again()
    assert [type(frame) for frame in agent.sent] == [JobStart]


async def test_a_stop_request_waits_while_a_clone_is_connected(bench: Bench) -> None:
    tracker, registry = bench.tracker, bench.registry
    job, session = await bench.dispatched()
    await bench.store.jobs.advance(job.id, "accepted", session, JobUpdate())
    await bench.service.cancel(SYSTEM, job.id)
    agent = Listener(await bench.store.nodes.node(SYSTEM, bench.node), session, Hello((), 1), [])
    registry._agents[bench.node] = cast("AgentSession", agent)
    registry.mark_clone(bench.node)
    await tracker._stop()
    assert agent.sent == []
    registry.clear_clone(bench.node)
    await tracker._stop()
    assert [type(frame) for frame in agent.sent] == [JobStop]


async def test_a_rekey_of_the_last_generation_fails(bench: Bench) -> None:
    tracker, session = bench.tracker, await bench.session()
    rekey = await bench.service.submit_selfcare(SYSTEM, bench.node, JobRequest("rekey"))
    agent = Listener(await bench.store.nodes.node(SYSTEM, bench.node), session, Hello((), MAX_GENERATION), [])
    bench.registry._agents[bench.node] = cast("AgentSession", agent)
    await tracker._take(None, [session])
    assert agent.sent == []
    assert await bench.state(rekey) == ("failed", "job.no_next_keys")


async def test_a_rekey_is_resent_while_a_clone_is_connected(bench: Bench) -> None:
    tracker, registry, session = bench.tracker, bench.registry, await bench.session()
    rekey = await bench.service.submit_selfcare(SYSTEM, bench.node, JobRequest("rekey"))
    registry.mark_clone(bench.node)
    await tracker._take(None, [session])
    agent = Listener(await bench.store.nodes.node(SYSTEM, bench.node), await bench.session(), Hello((), 1), [])
    await tracker.joined(cast("AgentSession", agent))
    assert [frame.job for frame in agent.sent if isinstance(frame, JobStart)] == [rekey.id]


async def test_a_vanished_clone_blocks_nothing_and_a_present_one_is_named(bench: Bench) -> None:
    tracker, registry = bench.tracker, bench.registry
    session, job = await bench.session(), await bench.order()
    registry.mark_clone(bench.node)
    bench.clock.advance(SUSPECT_S / 2)
    assert SUSPECT_S > 2 * CLONE_S
    await tracker._take(None, [session])
    assert await bench.state(job) == ("queued", "")
    bench.clock.advance(START_LIMIT_S - SUSPECT_S / 2 + 1)
    await tracker._expire()
    expired = await bench.store.jobs.job(SYSTEM, job.id)
    assert (expired.state, "stardust rekey" in some(expired.error).message) == ("expired", True)
    bench.clock.advance(SUSPECT_S)
    later = await bench.order()
    await tracker._take(None, [session])
    assert await bench.state(later) == ("dispatched", "")


@pytest.mark.holds("SAFETY-50")
async def test_after_a_rekey_nothing_is_sent_over_the_old_session(bench: Bench) -> None:
    tracker = bench.tracker
    rekey, agent = await renewing(bench)
    waiting = await bench.order()
    await process(bench, agent, JobAnswer(rekey.id, "accepted", "", 0), over(rekey.id))
    assert await bench.state(rekey) == ("succeeded", "")
    later = await bench.order()
    await tracker._take(None)
    assert agent.started == [rekey.id]
    assert [await bench.state(job) for job in (waiting, later)] == [("queued", "")] * 2
    again = Talker(agent.node, await bench.session())  # with the new keys
    again.hello = Hello((), 2)
    bench.registry._agents[bench.node] = cast("AgentSession", again)
    await tracker.joined(cast("AgentSession", again))
    assert again.started == [waiting.id]
    await process(bench, again, over(waiting.id))
    assert again.started == [waiting.id, later.id]


@pytest.mark.holds("SAFETY-50")
async def test_a_node_that_stays_with_its_old_keys_gets_orders_after_a_while(bench: Bench) -> None:
    tracker = bench.tracker
    rekey, agent = await renewing(bench)
    job = await bench.order()
    await process(bench, agent, over(rekey.id))
    bench.clock.advance(KEYS_CHANGE_S - 1)
    await tracker._take(None)
    assert agent.started == [rekey.id]
    bench.clock.advance(2)
    await tracker._take(None)
    assert agent.started == [rekey.id, job.id]


@pytest.mark.holds("SAFETY-50")
@pytest.mark.parametrize("end", ["succeeded", "failed", "interrupted"])
async def test_an_order_sealed_with_just_replaced_keys_is_resent(bench: Bench, end: str) -> None:
    """The hub was started again meanwhile, or what carried the order out was killed after it had put the keys in place."""
    rekey, agent = await renewing(bench)
    await process(bench, agent, over(rekey.id)._replace(state=end))
    bench.orders._new_keys.clear()
    job = await bench.order()
    await bench.tracker._take(None)
    await process(bench, agent, JobAnswer(job.id, "refused", "bad-mac", 0))
    assert await bench.state(job) == ("dispatched", "")
    again = Talker(agent.node, await bench.session())
    again.hello = Hello((), 2)
    await bench.tracker.joined(cast("AgentSession", again))
    assert again.started == [job.id]
    bench.clock.advance(KEYS_CHANGE_S + 1)
    await process(bench, again, JobAnswer(job.id, "refused", "bad-mac", 0))  # then it is the truth
    assert await bench.state(job) == ("failed", "job.bad_mac")


async def test_a_rekey_order_that_does_not_open_fails(bench: Bench) -> None:
    rekey, agent = await renewing(bench)
    await process(bench, agent, JobAnswer(rekey.id, "refused", "bad-mac", 0))
    assert await bench.state(rekey) == ("failed", "job.bad_mac")


async def test_a_stop_request_during_a_rekey_is_not_refused_as_bad_mac(bench: Bench) -> None:
    rekey, agent = await renewing(bench)
    await process(bench, agent, JobAnswer(rekey.id, "accepted", "", 0))
    await bench.service.cancel(SYSTEM, rekey.id)
    await process(bench, agent, JobAnswer(rekey.id, "refused", "bad-mac", 0))
    stop = some((await bench.store.jobs.job(SYSTEM, rekey.id)).stop)
    assert (stop.state, stop.why) == ("asked", "")
