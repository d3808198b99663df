"""The job tracker: sending, expiry, answers and progress, on the real store with a manual clock."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from pathlib import Path
from typing import Any, cast

import pytest

from groundcontrol.agents.session import AgentSession
from groundcontrol.core.bus import Changed, Topic
from groundcontrol.core.errors import BadRequest, Forbidden, JobNotCancellable, NotFound, PolicyRefuses, StoreError, StoreFull
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM, Actor, Scope
from groundcontrol.jobs.inbox import Inbox
from groundcontrol.jobs.model import START_LIMIT_S, Job, JobRequest, JobUpdate
from groundcontrol.jobs.orders import RETRY_EVERY_S, STOP_CORRECTIONS, NotAccepted
from groundcontrol.jobs.service import ROUND_S
from groundcontrol.jobs.tracker import PROGRESS_EVERY_S, STORE_RETRY_S, UNANSWERED_S
from groundcontrol.nodes.model import NewNode, Node, NodeIdentity, NodePolicy, Session
from spider.clock import SystemClock
from spider.jobs.follower import Send
from spider.jobs.tracker import Jobs
from spider.wire.ids import new_random_id
from spider.wire.job_messages import JobAck, JobAnswer, JobDone, JobEnded, JobOutput, JobProgress, JobStart, JobStop
from spider.wire.orders import ORDER_TIME, issue_time
from spider.wire.proof import node_keys
from tests.support.background import cancelled
from tests.support.deployment_desk import Hanging
from tests.support.eventually import eventually
from tests.support.job_bench import FLEET_KEY, Bench, Hello, Listener, Talker, over, process
from tests.support.job_node import BOOT
from tests.support.job_node import Node as SpiderNode
from tests.support.some import some
from tests.support.store_backend import replaced
from tests.support.wire import open_order

VIEWER = Scope(Actor("user", "v", "viewer", "viewer"), 1)
STRANGER = Scope(Actor("user", "s", "stranger", "admin"), 2)


async def test_a_job_whose_node_stays_offline_expires(bench: Bench) -> None:
    job = await bench.order()
    bench.clock.advance(START_LIMIT_S - 1)
    await bench.tracker._expire()
    assert await bench.state(job) == ("queued", "")
    bench.clock.advance(2)
    await bench.tracker._expire()
    assert await bench.state(job) == ("expired", "job.expired")
    events = (await bench.store.log.events(SYSTEM, 10)).items
    assert [(event.type, event.severity) for event in events] == [("job_expired", "warning")]


async def test_an_unexpected_error_in_one_step_of_the_sweep_does_not_affect_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        raise RuntimeError("a bug")

    job = await bench.order()
    bench.clock.advance(START_LIMIT_S + 1)
    monkeypatch.setattr(bench.tracker, "_stop", fails)
    await bench.tracker._sweep_once()
    assert await bench.state(job) == ("expired", "job.expired")


async def test_an_unexpected_error_in_sending_one_job_does_not_affect_the_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await bench.order()
    agents = []
    for node in (bench.node, (await bench.store.nodes.create_node(SYSTEM, NewNode(NodeId(new_random_id()), "web-2", "192.0.2.2"))).id):
        bench.node = node
        agents.append(Talker(await bench.store.nodes.node(SYSTEM, node), await bench.session()))
        bench.registry._agents[node] = cast("AgentSession", agents[-1])
    second = await bench.order()
    start = bench.orders.start

    async def fails_once(agent: AgentSession, job: Job, skew_s: float = 0.0) -> None:
        if job.id == first.id:
            raise RuntimeError("a bug")
        await start(agent, job, skew_s)

    monkeypatch.setattr(bench.orders, "start", fails_once)
    await bench.tracker._sweep_once()
    assert [agent.started for agent in agents] == [[], [second.id]]


async def test_a_waiting_job_expires_when_its_time_has_passed_whatever_the_clock_was_set_to(bench: Bench) -> None:
    """Set ahead, back, to and fro; each time with a job that is made after the clock was set and before the hub has seen that."""
    for jumps in ([1200.0], [-1200.0], [1200.0, -1200.0], [-1200.0, 1200.0], [4 * 365 * 86_400.0]):
        await bench.tracker._sweep_once()
        jobs = [await bench.order()]
        bench.clock.advance(1.0)
        await bench.tracker._sweep_once()
        for jump_s in jumps:
            bench.clock.jump(jump_s)
            bench.clock.advance(1.0)
            jobs.append(await bench.order())
            bench.clock.advance(1.0)
            await bench.tracker._sweep_once()
        bench.clock.advance(START_LIMIT_S - 4.0 * len(jumps))
        await bench.tracker._sweep_once()
        assert {await bench.state(job) for job in jobs} == {("queued", "")}, jumps
        bench.clock.advance(4.0 * len(jumps))
        await bench.tracker._sweep_once()
        assert {await bench.state(job) for job in jobs} == {("expired", "job.expired")}, jumps


async def test_a_job_of_before_a_restart_gets_no_more_time_by_a_clock_that_is_corrected_after_it(bench: Bench) -> None:
    """A machine without a clock of its own, which was off for an hour."""
    job = await bench.order()
    await bench.tracker._sweep_once()
    bench.clock.jump(3600.0)
    await bench.tracker._sweep_once()
    assert await bench.state(job) == ("expired", "job.expired")


async def test_no_job_expires_by_a_clock_that_was_set_while_the_store_refuses_to_move_its_limit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_moves: object) -> None:
        raise StoreFull("no space")

    await bench.tracker._sweep_once()
    job = await bench.order()
    bench.clock.jump(1200.0)
    with monkeypatch.context() as patched:
        patched.setattr(bench.store.jobs, "move_limits", fails)
        for _ in range(2):
            with pytest.raises(StoreFull):
                await bench.tracker._sweep_once()
    await bench.tracker._sweep_once()
    assert (await bench.store.jobs.job(SYSTEM, job.id)).not_after == job.not_after + 1200.0
    assert await bench.state(job) == ("queued", "")


@pytest.mark.holds("S-42")
async def test_an_order_carries_the_hubs_time_for_nodes_that_support_it(bench: Bench) -> None:
    job, session = await bench.dispatched()
    node = await bench.store.nodes.node(SYSTEM, bench.node)
    key = node_keys(FLEET_KEY, bench.node, 1).launch
    for features, at in (((), None), ((ORDER_TIME,), int(bench.clock.now()))):
        agent = Listener(node, session, Hello((), 1, features), [])
        await bench.orders.start(cast("AgentSession", agent), job, 3600.0)
        [start] = agent.sent
        assert isinstance(start, JobStart)
        told = open_order(key, start.order)
        assert (told.at, told.iat) == (at, int(bench.clock.now() + 3600))
        assert issue_time(told) <= int(bench.clock.now()) + 3600


async def test_an_outdated_order_is_resent_and_expires_with_its_reason(bench: Bench) -> None:
    job, session = await bench.dispatched()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    inbox = Inbox()
    await inbox.put(JobAnswer(job.id, "refused", "outdated", 0))
    inbox.close()
    await bench.tracker.process(cast("AgentSession", agent), inbox)
    assert await bench.state(job) == ("dispatched", "")
    bench.clock.advance(START_LIMIT_S + 1)
    await bench.tracker._expire()
    assert await bench.state(job) == ("expired", "job.outdated")


@pytest.mark.holds("S-48")
async def test_an_update_during_its_bundle_transfer_may_have_started(bench: Bench) -> None:
    ordered, session = await bench.dispatched()
    job = ordered._replace(action="update", plan=hashlib.sha256(b"no bundle").hexdigest())
    bench.orders.send_later(job, NotAccepted("busy", "refused", 0.0))
    assert bench.orders.never_started(job.id, "busy")
    found: dict[str, bool] = {}

    class Watcher(Talker):
        async def send(self, frame: object) -> None:
            found[type(frame).__name__] = bench.orders.never_started(job.id, "busy")

    agent = Watcher(await bench.store.nodes.node(SYSTEM, bench.node), session)
    await bench.orders.start(cast("AgentSession", agent), job)
    assert found == {"Bundle": False, "JobStart": False}


async def test_a_job_that_was_read_to_be_sent_again_is_not_sent_once_it_is_cancelled(bench: Bench) -> None:
    job, session = await bench.dispatched()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    bench.registry._agents[bench.node] = cast("AgentSession", agent)
    bench.orders.send_later(job, NotAccepted("busy", "refused", 0.0))
    bench.clock.advance(RETRY_EVERY_S)
    slow = Hanging(bench.store.jobs, "job", done_first=True)
    bench.tracker._store = replaced(bench.store, jobs=slow)
    sending = asyncio.create_task(bench.tracker._send_again())
    await slow.reached.wait()
    await bench.service.cancel(SYSTEM, job.id)
    await bench.tracker._stop()
    slow.answers.set()
    await sending
    assert (agent.started, await bench.state(job)) == ([], ("cancelled", ""))


async def test_a_stop_is_corrected_to_the_nodes_clock_a_limited_number_of_times(bench: Bench) -> None:
    job, session = await bench.dispatched()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    bench.registry._agents[bench.node] = cast("AgentSession", agent)
    await bench.store.jobs.advance(job.id, "running", session, JobUpdate())
    await bench.service.cancel(SYSTEM, job.id)
    await bench.tracker._stop()
    for refusals, why in enumerate(("expired", "too-early", "too-long", "expired", "expired")):
        stop = some((await bench.store.jobs.job(SYSTEM, job.id)).stop)
        assert stop.state == ("asked" if refusals <= STOP_CORRECTIONS else "too_late")
        node_clock_ms = int(bench.clock.now() + 3600 * (refusals + 1)) * 1000
        await process(bench, agent, JobAnswer(job.id, "accepted", "known", node_clock_ms), JobAnswer(job.id, "refused", why, node_clock_ms))
        await bench.tracker._stop()
    key = node_keys(FLEET_KEY, bench.node, 1).launch
    told = [open_order(key, frame.order) for frame in agent.sent if isinstance(frame, JobStop)]
    assert [(one.verb, one.iat - int(bench.clock.now())) for one in told] == [
        ("stop", 3600 * times) for times in range(STOP_CORRECTIONS + 1)
    ]
    assert await bench.state(job) == ("running", "")


async def test_a_stop_that_the_node_refuses_for_good_says_why_and_what_helps(bench: Bench) -> None:
    job, session = await bench.dispatched()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    await bench.store.jobs.advance(job.id, "running", session, JobUpdate())
    await bench.service.cancel(SYSTEM, job.id)
    await process(bench, agent, JobAnswer(job.id, "accepted", "known", 0), JobAnswer(job.id, "refused", "wrong-generation", 0))
    stop = some((await bench.store.jobs.job(SYSTEM, job.id)).stop)
    assert (stop.state, stop.why) == (
        "too_late",
        "the node cannot stop it: the node's launch key is of another generation: deploy the node again",
    )
    assert await bench.state(job) == ("running", "")


async def test_a_refused_stop_is_not_taken_for_the_answer_to_the_start(bench: Bench) -> None:
    """The hub missed that the node had accepted the job."""
    job, session = await bench.dispatched()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    bench.registry._agents[bench.node] = cast("AgentSession", agent)
    await bench.orders.start(cast("AgentSession", agent), job)
    await bench.service.cancel(SYSTEM, job.id)
    await bench.tracker._stop()
    await process(bench, agent, JobAnswer(job.id, "accepted", "known", 0), JobAnswer(job.id, "refused", "expired", 0))
    await bench.tracker._stop()
    assert await bench.state(job) == ("accepted", "")
    assert [type(frame) for frame in agent.sent] == [JobStart, JobStop, JobStop]


async def test_a_job_starts_and_stops_on_a_node_whose_clock_is_months_ahead(bench: Bench, tmp_path: Path) -> None:
    """The real Spider, launcher and runner at the real time; the hub's clock stands behind it."""
    assert time.time() - bench.clock.now() > 30 * 86_400
    node = SpiderNode(tmp_path, "echo begun; exec sleep 60", bench.node, node_keys(FLEET_KEY, bench.node, 1).launch)
    session, inbox = await bench.session(), Inbox()

    class Link(Talker):
        async def send(self, frame: object) -> None:
            self.sent.append(frame)
            match frame:
                case JobStart():
                    spider.start(frame)
                case JobStop():
                    spider.stop(frame)
                case JobDone():
                    spider.done(frame)

    agent = Link(await bench.store.nodes.node(SYSTEM, bench.node), session)
    bench.registry._agents[bench.node] = cast("AgentSession", agent)
    spider = Jobs(str(node.jobs), str(node.socket), SystemClock(), cast("Send", inbox.put), BOOT, processes=lambda _job: None)
    job = await bench.order()
    tasks = [asyncio.create_task(spider.run()), asyncio.create_task(bench.tracker.process(cast("AgentSession", agent), inbox))]
    try:
        spider.resume({})
        await bench.tracker._take(None, [session])
        await eventually(lambda: (node.jobs / job.id / "log").exists() and b"begun" in (node.jobs / job.id / "log").read_bytes())
        await bench.service.cancel(SYSTEM, job.id)
        await bench.tracker._stop()
        await eventually(lambda: any(isinstance(frame, JobDone) for frame in agent.sent))
    finally:
        await cancelled(*tasks)
        node.close()
    assert await bench.state(job) == ("cancelled", "job.stopped")
    assert [type(frame) for frame in agent.sent if isinstance(frame, JobStart | JobStop)] == [JobStart, JobStart, JobStop, JobStop]
    for late in [frame.order for frame in agent.sent if isinstance(frame, JobStart | JobStop)][::2]:
        assert node.answer(late) == ("refused", "expired"), "what was refused for its time stays refused"


async def test_a_repeated_request_for_many_nodes_publishes_no_other_jobs(bench: Bench) -> None:
    async with bench.bus.subscribe(Topic("changed"), limit=10, policy="ordered") as changes:
        first, second = [await bench.service.submit_many(SYSTEM, [bench.node], JobRequest("upgrade"), "key") for _ in range(2)]
        assert second == first
        await bench.service.cancel_many(SYSTEM, first.id)
        ids = {cast("Changed", await anext(changes)).id for _ in range(2)}  # created, cancelled
    assert ids == {job.id for job in await bench.store.batches.jobs_of(SYSTEM, first.id)}


async def test_repeated_refusals_of_a_node_are_logged_and_retried_at_a_limited_rate(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Neither of the lines in the log, nor of the orders."""
    caplog.set_level(logging.INFO)
    job, session = await bench.dispatched()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    inbox = Inbox()
    working = asyncio.create_task(bench.tracker.process(cast("AgentSession", agent), inbox))
    for number in range(40):
        await inbox.put(JobAnswer(job.id, "refused", "busy" if number % 2 else "expired", 0))
    inbox.close()
    await working
    assert await bench.state(job) == ("dispatched", "")
    assert sorted(record.getMessage() for record in caplog.records) == ["job_refused", "job_sent", "node_clock_differs"]
    assert [type(frame) for frame in agent.sent] == [JobStart]


async def test_a_waiting_job_starts_as_soon_as_the_previous_one_ends(bench: Bench) -> None:
    """Nothing sweeps here and no time passes: what begins was begun by what the node has said."""
    jobs = [(await bench.order()).id for _ in range(4)]
    session = await bench.session()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    bench.registry._agents[bench.node] = cast("AgentSession", agent)
    await bench.tracker._take(None, [session])
    assert agent.started == jobs[:1]
    words: list[JobAnswer | JobEnded] = [over(jobs[0]), JobAnswer(jobs[1], "refused", "no-space", 0), over(jobs[2])]
    for at, said in enumerate(words, 2):
        inbox = Inbox()
        await inbox.put(said)
        inbox.close()
        await bench.tracker.process(cast("AgentSession", agent), inbox)
        assert agent.started == jobs[:at], said


async def test_a_sent_job_without_an_answer_becomes_unknown(bench: Bench) -> None:
    job, _ = await bench.dispatched()
    bench.clock.advance(START_LIMIT_S + 1)
    await bench.tracker._expire()
    assert await bench.state(job) == ("dispatched", "")
    bench.clock.advance(UNANSWERED_S + 1)
    await bench.tracker._expire()
    assert await bench.state(job) == ("unknown", "job.no_answer")


async def test_a_sent_job_waits_for_its_answer_also_where_the_clock_was_set_past_its_limit(bench: Bench) -> None:
    job, _ = await bench.dispatched()
    for set_by_s in (3600.0, 0.0, -3600.0):
        bench.clock.jump(set_by_s)
        bench.clock.advance(1.0)
        await bench.tracker._expire()
        assert await bench.state(job) == ("dispatched", "")


async def test_the_welcome_lists_wanted_and_forgotten_jobs(bench: Bench) -> None:
    job, session = await bench.dispatched()
    await bench.store.jobs.append_output(job.id, 0, b"12345", session)
    stranger = new_random_id()
    wanted = await bench.tracker.wanted(session, [job.id, stranger])
    assert (list(wanted.ids), list(wanted.offsets), list(wanted.forget)) == ([job.id], [5], [stranger])
    assert await bench.tracker.wanted(session, []) == ((), (), ())


async def test_submitting_and_cancelling_need_role_and_grant(bench: Bench) -> None:
    with pytest.raises(Forbidden):
        await bench.service.submit(VIEWER, bench.node, JobRequest("check"), None)
    with pytest.raises(NotFound):
        await bench.service.submit(STRANGER, bench.node, JobRequest("check"), None)
    job = await bench.order()
    with pytest.raises(Forbidden):
        await bench.service.cancel(VIEWER, job.id)
    with pytest.raises(NotFound):
        await bench.service.cancel(STRANGER, job.id)
    assert (await bench.service.cancel(SYSTEM, job.id)).state == "cancelled"
    assert (await bench.service.cancel(SYSTEM, job.id)).state == "cancelled"
    other, session = await bench.dispatched()
    await bench.store.jobs.advance(other.id, "succeeded", session, JobUpdate())
    with pytest.raises(JobNotCancellable):
        await bench.service.cancel(SYSTEM, other.id)


async def test_the_same_idempotency_key_returns_the_same_job(bench: Bench) -> None:
    first = await bench.service.submit(SYSTEM, bench.node, JobRequest("check"), "key")
    again = await bench.service.submit(SYSTEM, bench.node, JobRequest("check"), "key")
    assert first.id == again.id


async def test_a_job_is_refused_only_after_the_policy_is_known(bench: Bench) -> None:
    await bench.order()
    session = await bench.session()
    await bench.store.nodes.save_identity(session, NodeIdentity(), "0.1.0", NodePolicy("monitor"), "no", bench.clock.now())
    with pytest.raises(PolicyRefuses, match="monitor"):
        await bench.order()


async def test_jobs_of_a_large_batch_expire_after_their_round(bench: Bench) -> None:
    """Two run at the same time here: five nodes are three rounds."""
    nodes = [bench.node, *(NodeId(new_random_id()) for _ in range(4))]
    for at, node in enumerate(nodes[1:]):
        await bench.store.nodes.create_node(SYSTEM, NewNode(node, f"n{at}", "192.0.2.1"))
    now = bench.clock.now()
    large = await bench.service.submit_many(SYSTEM, [*nodes, nodes[0]], JobRequest("upgrade"), None)
    small = await bench.service.submit_many(SYSTEM, nodes[:2], JobRequest("check"), None)
    assert {job.not_after - now for job in await bench.store.batches.jobs_of(SYSTEM, large.id)} == {START_LIMIT_S + 2 * ROUND_S}
    assert {job.not_after - now for job in await bench.store.batches.jobs_of(SYSTEM, small.id)} == {START_LIMIT_S}
    assert (large.counts, small.counts) == ({"queued": 5}, {"queued": 2})
    bench.clock.advance(START_LIMIT_S + ROUND_S)
    session = await bench.session()
    [dispatch] = await bench.store.jobs.take(None, [session], bench.clock.now())
    assert dispatch.job.not_after == bench.clock.now() + START_LIMIT_S, "from when it is handed over it has ten minutes"
    await bench.tracker._expire()
    assert (await bench.store.batches.batch(SYSTEM, small.id)).counts == {"expired": 2}


async def test_a_batch_lists_refused_nodes_and_creates_the_other_jobs(bench: Bench) -> None:
    stranger = NodeId(new_random_id())
    session = await bench.session()
    await bench.store.nodes.save_identity(session, NodeIdentity(), "0.1.0", NodePolicy("readonly"), "no", bench.clock.now())
    refused = await bench.service.submit_many(SYSTEM, [bench.node, stranger, NodeId("no id")], JobRequest("upgrade"), "key")
    again = await bench.service.submit_many(SYSTEM, [bench.node, stranger, NodeId("no id")], JobRequest("upgrade"), "key")
    assert again == refused
    assert [(one.node_id, one.code) for one in refused.refused] == [
        (bench.node, "node.policy_refuses"), (stranger, "not_found"), ("no id", "not_found")
    ]  # fmt: skip
    assert (refused.counts, refused.ended_at) == ({}, refused.created_at)
    planned = await bench.service.submit_many(SYSTEM, [bench.node], JobRequest("plan", for_action="upgrade"), None)
    assert planned.counts == {"queued": 1}
    for nothing in ([], [NodeId(new_random_id()) for _ in range(1001)]):
        with pytest.raises(BadRequest):
            await bench.service.submit_many(SYSTEM, nothing, JobRequest("check"), None)


class Printer:
    """The session of a node that prints without end: the next piece is there before the last one is acknowledged."""

    def __init__(self, bench: Bench, node: Node, session: Session, job: Job) -> None:
        self.node, self.session, self.address, self.over = node, session, "", False
        self.inbox = Inbox()
        self.phases: list[str | None] = []
        self._bench = bench
        self._job = job
        self._offset = 0

    async def print(self) -> None:
        await self.inbox.put(JobOutput(self._job.id, self._offset, 0, b"."))
        self._offset += 1

    def post(self, frame: object) -> None:
        assert isinstance(frame, JobAck)

    async def flush(self) -> None:
        self.phases.append((await self._bench.store.jobs.job(SYSTEM, self._job.id)).phase)
        self._bench.clock.advance(PROGRESS_EVERY_S / 4)
        if len(self.phases) == 3:
            await self.inbox.put(JobProgress(self._job.id, 0, "commit", 5, "a", ""))
        if len(self.phases) == 20:
            self.inbox.close()
        else:
            await self.print()


async def test_the_phase_of_a_job_with_endless_output_is_updated(bench: Bench) -> None:
    job, session = await bench.dispatched()
    agent = Printer(bench, await bench.store.nodes.node(SYSTEM, bench.node), session, job)
    await agent.inbox.put(JobProgress(job.id, 0, "plan", -1, "", ""))
    await agent.print()
    await bench.tracker.process(cast("AgentSession", agent), agent.inbox)
    assert agent.phases[0] is None
    assert agent.phases[1] == "plan"
    changed = agent.phases.index("commit")
    assert changed <= 3 + 4 + 1  # within the rhythm, which is four pieces long
    assert set(agent.phases[changed:]) == {"commit"}


@pytest.mark.parametrize("ended", [False, True])
async def test_phase_and_stop_result_of_a_job_survive_a_full_database(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    job, session = await bench.dispatched()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    bench.registry._agents[bench.node] = cast("AgentSession", agent)
    await bench.store.jobs.advance(job.id, "running", session, JobUpdate())
    await bench.service.cancel(SYSTEM, job.id)
    real, refused = bench.store.jobs.advance, list[object]()

    async def once(*asked: Any) -> Job:
        if not refused:
            refused.append(asked)
            raise StoreFull("no space is left")
        return await real(*asked)

    monkeypatch.setattr(bench.store.jobs, "advance", once)
    inbox = Inbox()
    await inbox.put(JobProgress(job.id, 0, "commit", 5, "a", "half of it is done", "too_late"))
    if ended:
        await inbox.put(over(job.id))
    working = asyncio.create_task(bench.tracker.process(cast("AgentSession", agent), inbox))

    async with asyncio.timeout(60):
        while inbox.progress or (ended and JobDone(job.id) not in agent.sent):
            bench.clock.advance(STORE_RETRY_S)
            await asyncio.sleep(0.01)
        inbox.close()
        await working

    found = await bench.store.jobs.job(SYSTEM, job.id)
    assert refused
    assert (found.state, found.phase) == ("succeeded" if ended else "running", "commit")
    assert found.stop is not None
    assert (found.stop.state, found.stop.why) == ("too_late", "half of it is done")


async def test_invalid_progress_is_not_written_repeatedly(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job, session = await bench.dispatched()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    asked = []

    async def refuse(*_: Any) -> Job:
        asked.append(1)
        raise StoreError("the database refused a statement")

    monkeypatch.setattr(bench.store.jobs, "advance", refuse)
    inbox = Inbox()
    await inbox.put(JobProgress(job.id, 0, "commit", 5, "a", ""))
    working = asyncio.create_task(bench.tracker.process(cast("AgentSession", agent), inbox))
    async with asyncio.timeout(60):
        await eventually(lambda: not inbox.progress)
        inbox.close()
        await working
    assert len(asked) == 1
