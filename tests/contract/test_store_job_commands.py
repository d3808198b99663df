"""Stops, plans, reports, batches and idempotency keys: each command repeated, and raced by twenty callers."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from groundcontrol.adapters.sqlite.jobs import GRAVE_S
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import Conflict, Fenced, IdempotencyMismatch, NotFound
from groundcontrol.core.ids import JobId
from groundcontrol.core.scope import SYSTEM, Grants
from groundcontrol.jobs.model import Job, JobError, JobFilter, JobRequest, JobState, JobUpdate, NewJob, RefusedNode, StopAnswer
from groundcontrol.jobs.plans import MAX_STEPS, ConfigFile, KeptBack, PlanHead, PlanPart, PlanStep, Report
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, STRANGER, audited, connect, new_batch, new_job, new_node, running_job, twice
from tests.support.some import some
from tests.support.store_backend import Backend

HEAD = PlanHead("a" * 64, 1000, -5, "yes", "a new kernel")
STEP = PlanStep("curl", "1", "2", "yes", "main")
REPORT = Report("yes", "a new kernel", ("nginx.service",), (ConfigFile("/etc/x.dpkg-dist", "-a\n+b"),), ("cron.service",), ("a note",))


def part(number: int = 0, parts: int = 1, digest: str = HEAD.digest, steps: int = 1) -> PlanPart:
    return PlanPart(
        number, parts, HEAD._replace(digest=digest), (STEP._replace(package=f"p{number}"),) * steps, (KeptBack("vim", "9", "held"),)
    )


# -- stops -----------------------------------------------------------------------------------------------


async def test_a_stop_request_is_stored_once_until_it_is_answered(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    asked = await twice(lambda: store.jobs.stop_job(SCOPE, job.id))
    assert asked.stop is not None
    assert (asked.state, asked.stop.state, asked.stop.by, asked.stop.force) == ("dispatched", "asked", "local:1000", False)
    assert [stopping.id for stopping in await store.jobs.stopping()] == [job.id]
    answered = await store.jobs.advance(job.id, "running", session, JobUpdate(stop=StopAnswer("after_package", "curl is unpacked")))
    assert answered.stop is not None
    assert (answered.stop.state, answered.stop.why) == ("after_package", "curl is unpacked")
    assert await store.jobs.stopping() == []
    killed = await twice(lambda: store.jobs.stop_job(SCOPE, job.id, force=True))
    assert killed.stop is not None
    assert (killed.stop.state, killed.stop.force) == ("asked", True)
    again = StopAnswer("after_package", "curl is unpacked", final=False)  # the node's answer to the first request, which it repeats
    assert await store.jobs.advance(job.id, "running", session, JobUpdate(stop=again)) == killed
    assert [stopping.id for stopping in await store.jobs.stopping()] == [job.id]
    answered = await store.jobs.advance(job.id, "running", session, JobUpdate(stop=StopAnswer("after_package", "its script was stopped")))
    assert answered.stop is not None
    assert (answered.stop.state, answered.stop.why) == ("after_package", "its script was stopped")
    assert await store.jobs.stopping() == []
    assert [row[1] for row in await audited(store)].count("job.stop") == 2
    ended = await store.jobs.advance(job.id, "cancelled", session, JobUpdate(exit_code=100))
    assert await store.jobs.stop_job(SCOPE, job.id) == ended
    assert await store.jobs.stopping() == []


async def test_a_job_is_open_from_its_order_to_its_end(store: Store, clock: ManualClock) -> None:
    assert not await store.jobs.any_open()
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await connect(store, node.id)
    job = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
    assert await store.jobs.any_open()
    await store.jobs.take(None, [session], clock.now())
    assert await store.jobs.any_open()
    await store.jobs.advance(job.id, "accepted", session, JobUpdate())
    assert await store.jobs.any_open()
    await store.jobs.advance(job.id, "running", session, JobUpdate())
    assert await store.jobs.any_open()
    await store.jobs.advance(job.id, "succeeded", session, JobUpdate(exit_code=0))
    assert not await store.jobs.any_open()


async def test_current_jobs_are_the_newest_and_all_unfinished_ones(store: Store, clock: ManualClock) -> None:
    jobs, sessions = [], []
    for name in ("web", "db", "cache", "mail"):
        node = await store.nodes.create_node(SCOPE, new_node(name))
        sessions.append(await connect(store, node.id))
        jobs.append((await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)).id)
        clock.advance(1)
    await store.jobs.take([jobs[1]], sessions, clock.now())
    for ended in (jobs[0], jobs[3]):
        await store.jobs.stop_job(SCOPE, ended)
    assert [job.id for job in await store.jobs.current(SCOPE, 1)] == [jobs[3], jobs[2], jobs[1]]
    assert [job.id for job in await store.jobs.current(SCOPE, 1, [jobs[0], JobId("none")])] == jobs[::-1]
    assert await store.jobs.current(STRANGER, 1, jobs) == []
    granted = SCOPE._replace(grants=(Grants(nodes=(sessions[1].node,)),))
    assert [job.id for job in await store.jobs.current(granted, 1, jobs)] == [jobs[1]]


async def test_an_unrequested_answer_to_a_stop_changes_nothing(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    moved = await store.jobs.advance(job.id, "running", session, JobUpdate(stop=StopAnswer("now", "so it says")))
    assert moved.stop is None


async def test_of_twenty_stops_of_a_waiting_job_one_cancels_it(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await connect(store, node.id)
    job = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
    stopped, taken = await asyncio.gather(
        asyncio.gather(*(store.jobs.stop_job(SCOPE, job.id) for _ in range(20))),
        asyncio.gather(*(store.jobs.take(None, [session], clock.now()) for _ in range(20))),
    )
    assert {one.state for one in stopped} == {"cancelled"}
    assert [dispatch for dispatches in taken for dispatch in dispatches] == []
    assert [row[1] for row in await audited(store)].count("job.cancelled") == 1


async def test_of_twenty_stops_of_a_running_job_one_is_recorded(store: Store, clock: ManualClock) -> None:
    job, _ = await running_job(store, clock.now())
    stopped = await asyncio.gather(*(store.jobs.stop_job(SCOPE, job.id) for _ in range(20)))
    assert len(set(stopped)) == 1
    assert [row[1] for row in await audited(store)].count("job.stop") == 1


@pytest.mark.parametrize("end", ["succeeded", "failed", "interrupted", "unknown", "expired"])
async def test_a_finished_job_cannot_be_stopped(store: Store, clock: ManualClock, end: JobState) -> None:
    job, _ = await running_job(store, clock.now())
    await store.jobs.advance(job.id, end, SYSTEM, JobUpdate())
    with pytest.raises(Conflict) as refused:
        await store.jobs.stop_job(SCOPE, job.id)
    assert refused.value.detail == {"state": end}


async def test_an_error_during_a_job_is_cleared_by_its_success(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    orphaned = await store.jobs.advance(job.id, "running", session, JobUpdate(error=JobError("job.orphaned", "its runner was killed")))
    assert (orphaned.state, some(orphaned.error).code) == ("running", "job.orphaned")
    assert (await store.jobs.advance(job.id, "succeeded", session, JobUpdate(exit_code=0))).error is None


# -- plan and report ---------------------------------------------------------------------------------------


async def test_a_plan_is_complete_when_all_parts_arrived_in_any_order(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    assert await store.jobs.plan(SCOPE, job.id) is None
    assert (await twice(lambda: store.jobs.save_plan(job.id, part(1, 2), session))).plan_digest is None
    plan = some(await store.jobs.plan(SCOPE, job.id))
    assert (plan.complete, plan.head) == (False, HEAD)
    assert (await twice(lambda: store.jobs.save_plan(job.id, part(0, 2), session))).plan_digest == HEAD.digest
    plan = some(await store.jobs.plan(SCOPE, job.id))
    assert [step.package for step in plan.steps] == ["p0", "p1"]
    assert (plan.complete, len(plan.kept)) == (True, 2)
    with pytest.raises(NotFound):
        await store.jobs.plan(STRANGER, job.id)


async def test_a_new_plan_replaces_the_previous_one_completely(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    for number in range(3):
        await store.jobs.save_plan(job.id, part(number, 3), session)
    fresh = await store.jobs.save_plan(job.id, part(0, 1, "b" * 64), session)
    plan = some(await store.jobs.plan(SCOPE, job.id))
    assert (fresh.plan_digest, plan.head.digest, len(plan.steps)) == ("b" * 64, "b" * 64, 1)


async def test_of_twenty_saves_of_a_plan_one_changes_the_job(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    told = await asyncio.gather(*(store.jobs.save_plan(job.id, part(), session) for _ in range(20)))
    assert {one.version for one in told} == {job.version + 1}


async def test_an_oversized_plan_is_refused(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    await store.jobs.save_plan(job.id, part(0, 2, steps=MAX_STEPS - 10), session)
    with pytest.raises(Conflict):
        await store.jobs.save_plan(job.id, part(1, 2, steps=20), session)


async def test_a_report_is_stored_and_updates_the_reboot_state_of_the_node(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    assert await store.jobs.report(SCOPE, job.id) is None
    told = await asyncio.gather(*(store.jobs.save_report(job.id, REPORT, session) for _ in range(20)))
    assert {one.has_report for one in told} == {True}
    assert await store.jobs.report(SCOPE, job.id) == REPORT
    node = await store.nodes.node(SCOPE, job.node_id)
    assert (node.reboot_required, node.reboot_since_at) == ("yes", clock.now())
    await store.jobs.save_report(job.id, REPORT._replace(reboot="unknown"), session)
    assert (await store.nodes.node(SCOPE, job.node_id)).reboot_required == "yes"
    await store.jobs.save_report(job.id, REPORT._replace(reboot="no"), session)
    node = await store.nodes.node(SCOPE, job.node_id)
    assert (node.reboot_required, node.reboot_since_at) == ("no", None)


@pytest.mark.parametrize(
    ("action", "note", "lost"),
    [
        ("reboot", "File systems that were mounted before the reboot and are not now: /data.", True),
        ("reboot", "As before the reboot: services 3, ports 2, file systems 1.", False),
        ("upgrade", "Units that failed since the reboot: x.service.", False),
    ],
)
async def test_a_job_and_its_event_say_that_a_server_came_back_from_a_reboot_without_something(
    store: Store, clock: ManualClock, action: str, note: str, lost: bool
) -> None:
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node())).id)
    job = await store.jobs.create_job(SCOPE, new_job(session.node, clock.now())._replace(request=JobRequest(action)), None)
    await store.jobs.take([job.id], [session], clock.now())
    await store.jobs.save_report(job.id, REPORT._replace(notes=(note,)), session)
    ended = await store.jobs.advance(job.id, "succeeded", session, JobUpdate(exit_code=0))
    assert (ended.lost, [one.lost for one in (await store.jobs.jobs(SCOPE, 10)).items]) == (lost, [lost])
    types = [one.type for one in (await store.log.events(SCOPE, 10)).items]
    assert ("job_incomplete" in types, "job_succeeded" in types) == (lost, not lost)
    for only, found in ((JobFilter(("failed", "incomplete"), folded=True), lost), (JobFilter(("failed",)), False)):
        assert [one.id for one in (await store.jobs.jobs(SCOPE, 10, only=only)).items] == [job.id] * found


@pytest.mark.holds("SAFETY-47")
async def test_plan_and_report_are_accepted_only_from_the_jobs_own_session(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    other = (await running_job(store, clock.now(), "other")).session
    for foreign in (store.jobs.save_plan(job.id, part(), other), store.jobs.save_report(job.id, REPORT, other)):
        with pytest.raises(NotFound):
            await foreign
    await connect(store, job.node_id)
    for stale in (store.jobs.save_plan(job.id, part(), session), store.jobs.save_report(job.id, REPORT, session)):
        with pytest.raises(Fenced):
            await stale


async def test_a_job_that_never_ran_has_no_plan_and_no_report(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await connect(store, node.id)
    job = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
    with pytest.raises(Conflict):
        await store.jobs.save_plan(job.id, part(), session)
    with pytest.raises(Conflict):
        await store.jobs.save_report(job.id, REPORT, session)


async def test_a_requested_reboot_is_created_once(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())

    def end() -> asyncio.Future[Job]:
        follow = NewJob(JobId(new_time_id(clock.now())), job.node_id, JobRequest("reboot"), clock.now(), clock.now() + 600)
        return asyncio.ensure_future(store.jobs.advance(job.id, "succeeded", session, JobUpdate(exit_code=0), follow))

    await asyncio.gather(*(end() for _ in range(20)))
    [follower] = [one for one in (await store.jobs.jobs(SCOPE, 10)).items if one.id != job.id]  # both of one millisecond: in no order
    assert (follower.action, follower.state, follower.follows, follower.created_by) == ("reboot", "queued", job.id, "local:1000")


# -- batches ---------------------------------------------------------------------------------------------------


async def test_a_batch_is_created_once_per_idempotency_key(store: Store, clock: ManualClock) -> None:
    nodes = [(await store.nodes.create_node(SCOPE, new_node(name))).id for name in ("a", "b")]
    refused = RefusedNode(new_job(nodes[0], 1.0).node_id, "node.policy_refuses", "no")._replace(node_id=nodes[0])
    made = await asyncio.gather(
        *(store.batches.create_batch(SCOPE, new_batch(nodes, clock.now() + at, refused=[refused]), "key") for at in range(20))
    )
    assert len({batch.id for batch in made}) == 1
    assert (made[0].counts, made[0].refused, made[0].ended_at) == ({"queued": 2}, (refused,), None)
    jobs = await store.batches.jobs_of(SCOPE, made[0].id)
    assert {job.node_id for job in jobs} == set(nodes)
    assert {job.batch_id for job in jobs} == {made[0].id}
    assert len((await store.jobs.jobs(SCOPE, 100)).items) == 2
    for node in nodes:  # a user who sees only one of the nodes sees the batch too
        limited = SCOPE._replace(grants=(Grants((node,)),))
        assert [job.node_id for job in (await store.jobs.jobs(limited, 100, only=JobFilter(folded=True))).items] == [node]
    assert len((await store.jobs.jobs(SCOPE, 100, only=JobFilter(folded=True))).items) == 1
    with pytest.raises(IdempotencyMismatch):
        await store.batches.create_batch(SCOPE, new_batch(nodes, clock.now(), "check", [refused]), "key")
    with pytest.raises(IdempotencyMismatch):
        await store.batches.create_batch(SCOPE, new_batch(nodes[:1], clock.now(), refused=[refused]), "key")
    counted = Counter(action for _, action, _ in await audited(store))
    assert (counted["batch.create"], counted["job.create"]) == (1, 2)


async def test_a_folded_list_holds_the_newest_matching_job_of_each_batch(store: Store, clock: ManualClock) -> None:
    names = ("web-1", "Ökonomie", "mail-1")
    nodes = {(await store.nodes.create_node(SCOPE, new_node(name, f"192.0.2.{at}"))).id: name for at, name in enumerate(names, 1)}
    await store.batches.create_batch(SCOPE, new_batch(list(nodes), clock.now(), "upgrade"), None)
    jobs = (await store.jobs.jobs(SCOPE, 10)).items  # the newest first
    session = await connect(store, jobs[-1].node_id)
    await store.jobs.take([jobs[-1].id], [session], clock.now())
    await store.jobs.advance(jobs[-1].id, "running", session, JobUpdate())
    await store.jobs.advance(jobs[-1].id, "failed", session, JobUpdate(exit_code=1))

    async def found(only: JobFilter) -> list[JobId]:
        return [job.id for job in (await store.jobs.jobs(SCOPE, 10, only=only._replace(folded=True))).items]

    assert await found(JobFilter()) == [jobs[0].id]
    assert await found(JobFilter(states=("failed",))) == [jobs[-1].id]
    for job in jobs:
        assert await found(JobFilter(search=nodes[job.node_id].lower())) == [job.id]


async def test_a_search_of_jobs_compares_packages_and_not_how_they_are_stored(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    await store.jobs.create_job(SCOPE, new_job(node.id, clock.now(), "upgrade", ("ImageMagick", "vim")), None)
    for text, count in (("imagemag", 1), ("VIM", 1), ("[", 0), ('"', 0), (",", 0)):
        assert len((await store.jobs.jobs(SCOPE, 10, only=JobFilter(search=text))).items) == count, text


async def test_without_an_idempotency_key_the_batch_id_identifies_a_repeat(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    wanted = new_batch([node.id], clock.now())
    await twice(lambda: store.batches.create_batch(SCOPE, wanted, None))
    with pytest.raises(Conflict):
        await store.batches.create_batch(STRANGER, wanted, None)


async def test_a_deleted_node_is_refused_and_the_rest_of_the_batch_created(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    gone = new_node("gone").id
    batch = await store.batches.create_batch(SCOPE, new_batch([node.id, gone], clock.now()), None)
    assert (batch.counts, [(one.node_id, one.code) for one in batch.refused]) == ({"queued": 1}, [(gone, "not_found")])


async def test_a_batch_runs_a_limited_number_of_jobs_and_does_not_delay_single_ones(store: Store, clock: ManualClock) -> None:
    nodes = [(await store.nodes.create_node(SCOPE, new_node(f"n{at}"))).id for at in range(6)]
    sessions = [await connect(store, node) for node in nodes]
    await store.batches.create_batch(SCOPE, new_batch(nodes[:5], clock.now()), None)
    taken = await asyncio.gather(*(store.jobs.take(None, sessions, clock.now(), 2) for _ in range(20)))
    first = [dispatch.job for dispatches in taken for dispatch in dispatches]
    assert len(first) == 2
    single = await store.jobs.create_job(SCOPE, new_job(nodes[5], clock.now()), None)
    assert [dispatch.job.id for dispatch in await store.jobs.take(None, sessions, clock.now(), 2)] == [single.id]
    await store.sessions.release(next(session for session in sessions if session.node == first[0].node_id))
    following = await store.jobs.take(None, sessions, clock.now(), 2)
    assert len(following) == 1, "who is not connected takes nobody's turn"
    await store.jobs.advance(first[1].id, "failed", SYSTEM, JobUpdate())
    assert len(await store.jobs.take(None, sessions, clock.now(), 2)) == 1


async def test_a_whole_batch_is_cancelled(store: Store, clock: ManualClock) -> None:
    nodes = [(await store.nodes.create_node(SCOPE, new_node(f"n{at}"))).id for at in range(3)]
    session = await connect(store, nodes[0])
    batch = await store.batches.create_batch(SCOPE, new_batch(nodes, clock.now()), None)
    (running,) = await store.jobs.take(None, [session], clock.now())
    stopped = await asyncio.gather(*(store.batches.stop_batch(SCOPE, batch.id) for _ in range(20)))
    assert {job.id: job.state for jobs in stopped for job in jobs}[running.job.id] == "dispatched"
    assert (await store.batches.batch(SCOPE, batch.id)).counts == {"cancelled": 2, "dispatched": 1}
    await store.jobs.advance(running.job.id, "cancelled", session, JobUpdate(ended_at=clock.now() + 5))
    ended = await store.batches.batch(SCOPE, batch.id)
    assert (ended.counts, ended.ended_at) == ({"cancelled": 3}, clock.now() + 5)
    assert await store.batches.stop_batch(SCOPE, batch.id) == []


async def test_a_limited_user_sees_only_granted_jobs_of_a_batch(store: Store, clock: ManualClock) -> None:
    mine, other = [(await store.nodes.create_node(SCOPE, new_node(name, tags=(name,)))).id for name in ("mine", "other")]
    both = await store.batches.create_batch(SCOPE, new_batch([mine, other], clock.now()), None)
    foreign = await store.batches.create_batch(SCOPE, new_batch([other], clock.now() + 1), None)
    limited = SCOPE._replace(actor=SCOPE.actor._replace(id="limited", name="limited"), grants=(Grants(tags=("mine",)),))
    assert (await store.batches.batch(limited, both.id)).counts == {"queued": 1}
    assert [job.node_id for job in await store.batches.jobs_of(limited, both.id)] == [mine]
    assert [job.node_id for job in await store.batches.stop_batch(limited, both.id)] == [mine]
    for scope in (limited, STRANGER):
        with pytest.raises(NotFound):
            await store.batches.batch(scope, foreign.id)
        with pytest.raises(NotFound):
            await store.batches.stop_batch(scope, foreign.id)
    assert [batch.id for batch in (await store.batches.batches(limited, 10)).items] == [both.id]
    page = await store.batches.batches(SCOPE, 1)
    rest = await store.batches.batches(SCOPE, 1, page.next)
    assert [batch.id for batch in (*page.items, *rest.items)] == [foreign.id, both.id]


# -- idempotency keys -------------------------------------------------------------------------------------------


async def test_the_id_of_a_job_is_remembered_after_its_node_is_gone(backend: Backend, clock: ManualClock) -> None:
    store = backend.store
    node = await store.nodes.create_node(SCOPE, new_node())
    wanted = new_job(node.id, clock.now())
    await store.jobs.create_job(SCOPE, wanted, None)
    await store.nodes.delete_node(SCOPE, node.id)
    store = await backend.reopen()
    fresh = await store.nodes.create_node(SCOPE, new_node("web-2"))
    clock.advance(GRAVE_S - 10)
    await store.jobs.expire(clock.now() - GRAVE_S)
    again = wanted._replace(node_id=fresh.id)
    with pytest.raises(Conflict):
        await store.jobs.create_job(SCOPE, again, None)
    clock.advance(20)
    await store.jobs.expire(clock.now() - GRAVE_S)
    assert (await store.jobs.create_job(SCOPE, again, None)).state == "queued"


async def test_expired_jobs_are_deleted_with_their_data(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    await store.jobs.append_output(job.id, 0, b"printed", session)
    await store.jobs.save_plan(job.id, part(), session)
    await store.jobs.save_report(job.id, REPORT, session)
    other = await store.nodes.create_node(SCOPE, new_node("b"))
    batch = await store.batches.create_batch(SCOPE, new_batch([other.id], clock.now()), "key")
    late = clock.now() + 1
    assert await store.jobs.expire(late) == 0, "what goes on is kept"
    await store.jobs.advance(job.id, "succeeded", session, JobUpdate(output_bytes=7))
    await store.batches.stop_batch(SCOPE, batch.id)
    assert await store.jobs.expire(clock.now()) == 0
    assert await store.jobs.expire(late) == 2
    assert await store.jobs.expire(late) == 0
    for gone in (store.jobs.job(SCOPE, job.id), store.jobs.plan(SCOPE, job.id), store.jobs.report(SCOPE, job.id)):
        with pytest.raises(NotFound):
            await gone
    with pytest.raises(NotFound):
        await store.batches.batch(SCOPE, batch.id)
