"""Jobs, their output, and deployments."""

from __future__ import annotations

import asyncio
import hashlib
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import BadRequest, Conflict, Fenced, IdempotencyMismatch, NotFound, StoreError
from groundcontrol.core.ids import JobId
from groundcontrol.deployments.model import Deployment, DeploymentError, DeploymentOptions, HostKey
from groundcontrol.jobs.model import TERMINAL, TRANSITIONS, Change, JobError, JobRequest, JobState, JobUpdate
from spider.wire.ids import new_random_id, new_time_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, STRANGER, Running, audited, connect, new_deployment, new_job, new_node, running_job, twice
from tests.support.some import some
from tests.support.store_backend import Backend


async def read(store: Store, job: JobId, offset: int = 0, limit: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.jobs.output(SCOPE, job, offset, limit)])


async def test_a_job_is_created_once_per_idempotency_key_and_actor(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    first = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now(), packages=("nginx",)), "key-1")
    again = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now() + 5, packages=("nginx",)), "key-1")
    assert again == first
    with pytest.raises(IdempotencyMismatch):
        await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), "key-1")
    colleague = SCOPE._replace(actor=SCOPE.actor._replace(id="colleague"))
    other = await store.jobs.create_job(colleague, new_job(node.id, clock.now()), "key-1")
    assert other.id != first.id
    assert [action for _, action, _ in await audited(store)].count("job.create") == 2


async def test_of_twenty_equal_requests_one_creates_the_job(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    jobs = await asyncio.gather(*(store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), "key") for _ in range(20)))
    assert len({job.id for job in jobs}) == 1
    assert len((await store.jobs.jobs(SCOPE, 100)).items) == 1


async def test_without_an_idempotency_key_the_job_id_identifies_a_repeat(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    wanted = new_job(node.id, clock.now())
    assert (await twice(lambda: store.jobs.create_job(SCOPE, wanted, None))).state == "queued"
    with pytest.raises(Conflict):
        await store.jobs.create_job(SCOPE, wanted._replace(request=JobRequest("refresh")), None)


async def test_jobs_are_listed_newest_first_and_by_node(store: Store, clock: ManualClock) -> None:
    nodes = [await store.nodes.create_node(SCOPE, new_node(name)) for name in ("a", "b")]
    made = [await store.jobs.create_job(SCOPE, new_job(nodes[at % 2].id, clock.now() + at), None) for at in range(6)]
    page = await store.jobs.jobs(SCOPE, 4)
    rest = await store.jobs.jobs(SCOPE, 4, page.next)
    assert [*page.items, *rest.items] == made[::-1]
    assert rest.next is None
    first = await store.jobs.jobs(SCOPE, 2, node=nodes[1].id)
    second = await store.jobs.jobs(SCOPE, 2, first.next, node=nodes[1].id)
    assert [*first.items, *second.items] == [made[5], made[3], made[1]]
    assert (await store.jobs.jobs(STRANGER, 10, node=nodes[1].id)).items == []


async def test_of_twenty_dispatchers_one_wins(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await connect(store, node.id)
    job = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
    results = await asyncio.gather(*(store.jobs.take(None, [session], clock.now()) for _ in range(20)))
    assert [dispatch.job.id for taken in results for dispatch in taken] == [job.id]
    assert [dispatched.id for dispatched in await store.jobs.unaccepted(session)] == [job.id]


async def test_a_node_has_one_open_job_and_the_oldest_goes_first(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await connect(store, node.id)
    first, second = [await store.jobs.create_job(SCOPE, new_job(node.id, clock.now() + at), None) for at in range(2)]
    (taken,) = await store.jobs.take(None, [session], clock.now())
    assert taken.job.id == first.id
    assert await store.jobs.take([second.id], [session], clock.now()) == []
    assert [job.id for job in await store.jobs.open_jobs(node.id)] == [first.id]
    await store.jobs.advance(first.id, "failed", session, JobUpdate(exit_code=100))
    (taken,) = await store.jobs.take([second.id], [session], clock.now())
    assert taken.job.id == second.id


async def test_only_the_hub_that_owns_the_node_takes_its_jobs(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    old = await connect(store, node.id)
    new = await connect(store, node.id)
    await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
    assert await store.jobs.take(None, [old], clock.now()) == []
    assert await store.jobs.take(None, [], clock.now()) == []
    assert await store.jobs.take([], [new], clock.now()) == []
    assert len(await store.jobs.take(None, [new], clock.now())) == 1


async def test_an_overdue_job_is_not_dispatched(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await connect(store, node.id)
    job = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
    assert await store.jobs.overdue(clock.now()) == []
    late = clock.now() + 3601
    assert await store.jobs.take(None, [session], late) == []
    assert [overdue.id for overdue in await store.jobs.overdue(late)] == [job.id]


STATES: tuple[JobState, ...] = get_args(JobState)


@pytest.mark.holds("SAFETY-79")
@pytest.mark.parametrize("before", STATES)
async def test_only_listed_transitions_happen(store: Store, clock: ManualClock, before: JobState) -> None:
    paths: dict[str, list[JobState]] = {
        "queued": [],
        "dispatched": ["dispatched"],
        "accepted": ["dispatched", "accepted"],
        "running": ["dispatched", "running"],
        **{state: ["dispatched", state] for state in STATES if state in TERMINAL},
    }
    node = await store.nodes.create_node(SCOPE, new_node())
    for to in STATES:
        job = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
        for step in paths[before]:
            await store.jobs.advance(job.id, step, SCOPE, JobUpdate())
        if to in TRANSITIONS[before] or to == before:
            assert (await store.jobs.advance(job.id, to, SCOPE, JobUpdate())).state == to
        else:
            with pytest.raises(Conflict):
                await store.jobs.advance(job.id, to, SCOPE, JobUpdate())
        ends: list[JobState] = ["failed", "succeeded"]
        for end in ends:  # make room for the next
            if end in TRANSITIONS[(await store.jobs.job(SCOPE, job.id)).state]:
                await store.jobs.advance(job.id, end, SCOPE, JobUpdate())


async def test_job_updates_accumulate_and_are_idempotent(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    await store.jobs.advance(job.id, "running", session, JobUpdate(started_at=5.0, phase="download", progress_percent=10))
    moved = await store.jobs.advance(job.id, "running", session, JobUpdate(phase="commit"))
    assert (moved.phase, moved.progress_percent, moved.started_at) == ("commit", 10, 5.0)
    changes = (Change("nginx", "1.22", "1.24"), Change("curl", "", "8.0"))
    evidence = JobUpdate(exit_code=100, changes=changes, error=JobError("apt.failed", "E: no"), ended_at=9.0, output_bytes=0)
    ended = await twice(lambda: store.jobs.advance(job.id, "failed", session, evidence))
    assert (ended.exit_code, ended.changes, ended.error, ended.ended_at) == (100, changes, evidence.error, 9.0)
    late = await store.jobs.advance(job.id, "failed", session, JobUpdate(exit_code=0, progress_percent=50))
    assert (late.exit_code, late.progress_percent) == (100, 10)
    actions = [row for row in await audited(store) if row[2] == job.id]
    assert actions == [
        ("local:1000", "job.create", job.id),
        ("system", "job.dispatch", job.id),
        (f"node:{job.node_id}", "job.running", job.id),
        (f"node:{job.node_id}", "job.failed", job.id),
    ]


async def test_a_node_advances_only_its_own_jobs(store: Store, clock: ManualClock) -> None:
    job, _ = await running_job(store, clock.now())
    other = await connect(store, (await store.nodes.create_node(SCOPE, new_node("other"))).id)
    with pytest.raises(NotFound):
        await store.jobs.advance(job.id, "succeeded", other, JobUpdate())
    with pytest.raises(NotFound):
        await store.jobs.append_output(job.id, 0, b"x", other)
    with pytest.raises(NotFound):
        await store.jobs.job(STRANGER, job.id)
    with pytest.raises(NotFound):
        _ = [piece async for piece in store.jobs.output(STRANGER, job.id, 0)]


@pytest.mark.holds("SAFETY-79")
async def test_of_twenty_concurrent_ends_one_is_written(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    states: list[JobState] = ["succeeded", "failed"]
    results = await asyncio.gather(
        *(store.jobs.advance(job.id, states[at % 2], session, JobUpdate(exit_code=at)) for at in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 10
    assert [action for _, action, _ in await audited(store) if action in ("job.succeeded", "job.failed")] == ["job.succeeded"]


async def test_each_piece_of_output_keeps_the_time_at_which_the_node_read_it(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    for at_ms, offset, data in ((1_000, 0, b"first"), (None, 5, b"old"), (2_500, 8, b"last"), (9_000, 8, b"last")):
        await store.jobs.append_output(job.id, offset, data, session, at_ms)
    assert await store.jobs.output_marks(SCOPE, job.id, 0, 10) == [(1_000, 0), (2_500, 8)]
    assert await store.jobs.output_marks(SCOPE, job.id, 1, 10) == [(2_500, 8)]
    assert await store.jobs.output_marks(SCOPE, job.id, 0, 1) == [(1_000, 0)]


async def test_output_is_stored_by_offset_without_duplicates(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    assert await twice(lambda: store.jobs.append_output(job.id, 0, b"hello ", session)) == 6
    assert await store.jobs.append_output(job.id, 3, b"lo world", session) == 11
    assert await store.jobs.append_output(job.id, 20, b"a hole", session) == 11
    assert await store.jobs.append_output(job.id, 2, b"llo", session) == 11
    assert await read(store, job.id) == b"hello world"
    assert await read(store, job.id, 4, 4) == b"o wo"
    assert await read(store, job.id, 11) == b""
    assert await read(store, job.id, 4000) == b""
    assert await read(store, job.id, 0, 0) == b""
    with pytest.raises(BadRequest):
        await store.jobs.append_output(job.id, -1, b"x", session)
    assert (await store.jobs.job(SCOPE, job.id)).output_bytes == 11


@pytest.mark.holds("SAFETY-76")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=300), cuts=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 120)), max_size=30), at=st.integers(0, 300)
)
async def test_any_split_of_the_output_stores_the_same_bytes(
    store: Store, clock: ManualClock, data: bytes, cuts: list[tuple[int, int]], at: int
) -> None:
    job, session = await running_job(store, clock.now(), name=new_random_id())
    held = 0
    for start, length in cuts:
        piece = data[start : start + length]
        if piece:
            held_before, held = held, await store.jobs.append_output(job.id, start, piece, session)
            assert held == (max(held_before, start + len(piece)) if start <= held_before else held_before)
    held = await store.jobs.append_output(job.id, held, data[held:], session)
    assert held == len(data)
    assert await read(store, job.id) == data
    assert await read(store, job.id, at) == data[at:]


async def test_a_job_is_finished_when_its_output_is_whole(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    node = job.node_id
    output = b"Reading package lists...\n" * 100
    other = JobId(new_time_id())
    assert await store.jobs.unfinished([job.id, other], node) == {job.id: 0}
    await store.jobs.append_output(job.id, 0, output[:1000], session)
    evidence = JobUpdate(exit_code=0, output_bytes=len(output), output_sha256=hashlib.sha256(output).hexdigest())
    ended = await store.jobs.advance(job.id, "succeeded", session, evidence)
    assert ended.output_sha256 is None
    assert await store.jobs.unfinished([job.id], node) == {job.id: 1000}
    assert await store.jobs.append_output(job.id, 1000, output[1000:] + b"more than there is", session) == len(output)
    ended = await store.jobs.job(SCOPE, job.id)
    assert (ended.output_bytes, ended.output_sha256, ended.error) == (len(output), evidence.output_sha256, None)
    assert await store.jobs.unfinished([job.id], node) == {}


async def test_the_output_digest_covers_stored_bytes_after_a_restart(backend: Backend) -> None:
    running = await running_job(backend.store, backend.clock.now())
    await backend.store.jobs.append_output(running.job.id, 0, b"first ", running.session)
    store = await backend.reopen()
    session = await connect(store, running.job.node_id)
    await store.jobs.append_output(running.job.id, 6, b"second", session)
    evidence = JobUpdate(output_bytes=12, output_sha256=hashlib.sha256(b"first second").hexdigest())
    ended = await store.jobs.advance(running.job.id, "succeeded", session, evidence)
    assert ended.output_sha256 == evidence.output_sha256


async def test_output_that_differs_from_the_runners_is_reported(store: Store, clock: ManualClock) -> None:
    job, session = await running_job(store, clock.now())
    await store.jobs.append_output(job.id, 0, b"abc", session)
    ended = await store.jobs.advance(job.id, "succeeded", session, JobUpdate(output_bytes=3, output_sha256="00" * 32))
    assert some(ended.error).code == "job.output_differs"


@pytest.mark.parametrize("state", ["interrupted", "unknown"])
async def test_an_unknown_outcome_may_change_to_the_final_one(store: Store, clock: ManualClock, state: JobState) -> None:
    job, session = await running_job(store, clock.now())
    await store.jobs.append_output(job.id, 0, b"abc", session)
    await store.jobs.advance(job.id, state, SCOPE, JobUpdate())
    assert list(await store.jobs.unfinished([job.id], job.node_id)) == [job.id]
    assert await store.jobs.append_output(job.id, 3, b"def", session) == 6
    truth = await store.jobs.advance(job.id, "succeeded", session, JobUpdate(exit_code=0, output_bytes=6))
    assert (truth.state, truth.output_sha256) == ("succeeded", hashlib.sha256(b"abcdef").hexdigest())
    assert await store.jobs.unfinished([job.id], job.node_id) == {}
    with pytest.raises(Conflict):
        await store.jobs.advance(job.id, "failed", session, JobUpdate())


async def test_a_job_that_never_ran_accepts_no_output(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await connect(store, node.id)
    job = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
    with pytest.raises(Conflict):
        await store.jobs.append_output(job.id, 0, b"x", session)
    await store.jobs.advance(job.id, "cancelled", SCOPE, JobUpdate())
    assert await store.jobs.unfinished([job.id], node.id) == {}


async def test_a_fenced_session_advances_no_job(store: Store, clock: ManualClock) -> None:
    running: Running = await running_job(store, clock.now())
    await connect(store, running.job.node_id)
    with pytest.raises(Fenced):
        await store.jobs.advance(running.job.id, "running", running.session, JobUpdate())


async def test_a_deployment_is_created_once_and_changed_by_version(store: Store, clock: ManualClock) -> None:
    wanted = new_deployment(clock.now())
    made = await twice(lambda: store.deployments.create_deployment(SCOPE, wanted, "key"))
    assert made == wanted
    assert await store.deployments.create_deployment(SCOPE, new_deployment(clock.now() + 1), "key") == made
    assert await store.deployments.deployment_of_key(SCOPE, "key") == made
    assert await store.deployments.deployment_of_key(SCOPE, "other") is None
    assert await store.deployments.deployment_of_key(STRANGER, "key") is None
    with pytest.raises(IdempotencyMismatch):
        await store.deployments.create_deployment(SCOPE, new_deployment(clock.now(), host="192.0.2.9"), "key")
    for changed in (DeploymentOptions(policy="monitor"), DeploymentOptions(("prod",)), DeploymentOptions(use_hub_key=True)):
        with pytest.raises(IdempotencyMismatch):
            await store.deployments.create_deployment(SCOPE, new_deployment(clock.now())._replace(options=changed), "key")
    assert list(await store.deployments.unfinished_deployments()) == [made]

    key = HostKey("ssh-ed25519", "SHA256:abc", "ssh-ed25519 AAAA")
    steps = (made.steps[0]._replace(state="done", detail="ok", started_at=1.0, ended_at=2.0), made.steps[1])
    shown = made._replace(state="awaiting_host_key", host_key=key, steps=steps)
    saved = await twice(lambda: store.deployments.save_deployment(SCOPE, shown))
    assert saved == shown._replace(version=2)
    with pytest.raises(Conflict):
        await store.deployments.save_deployment(SCOPE, made._replace(state="cancelled"))
    failed = saved._replace(state="failed", error=DeploymentError("ssh.refused", "no", "connect"), ended_at=clock.now())
    options = DeploymentOptions(("edge", "eu"), "SHA256:abc", keep_credentials=False, install_python=True, policy="monitor")
    failed = await store.deployments.save_deployment(SCOPE, failed._replace(options=options, host_key_confirmed=True))
    assert (failed.options, failed.host_key_confirmed) == (options, True)
    assert await store.deployments.deployment(SCOPE, made.id) == failed
    assert await store.deployments.unfinished_deployments() == []
    actions = [action for _, action, _ in await audited(store)]
    assert actions == ["deployment.create", "deployment.awaiting_host_key", "deployment.failed"]
    with pytest.raises(NotFound):
        await store.deployments.deployment(STRANGER, made.id)


async def test_of_twenty_savers_of_one_version_one_wins(store: Store, clock: ManualClock) -> None:
    made = await store.deployments.create_deployment(SCOPE, new_deployment(clock.now()))
    results = await asyncio.gather(
        *(store.deployments.save_deployment(SCOPE, made._replace(name=f"n{at}")) for at in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 19


async def test_many_deployments_are_created_together_or_not_at_all(store: Store, clock: ManualClock) -> None:
    def some(*names: str) -> list[Deployment]:
        return [new_deployment(clock.now() + at, name=name)._replace(batch="b1") for at, name in enumerate(names)]

    wanted = some("a", "b", "c")
    made = await twice(lambda: store.deployments.create_deployments(SCOPE, wanted, "key"))
    assert list(made) == wanted
    later = [one._replace(batch="b2") for one in some("a", "b", "c")]
    assert list(await store.deployments.create_deployments(SCOPE, later, "key")) == wanted
    with pytest.raises(IdempotencyMismatch):
        await store.deployments.create_deployments(SCOPE, some("a", "b"), "key")
    with pytest.raises(IdempotencyMismatch):
        await store.deployments.create_deployment(SCOPE, wanted[0]._replace(batch=None), "key")
    alone = await store.deployments.create_deployment(SCOPE, new_deployment(clock.now() + 9))
    with pytest.raises(StoreError):
        await store.deployments.create_deployments(SCOPE, [*some("d"), wanted[0]], None)

    assert (await store.deployments.deployments(SCOPE, 10)).items == [alone, *wanted[::-1]]
    page = await store.deployments.deployments(SCOPE, 2, None, "b1")
    rest = await store.deployments.deployments(SCOPE, 2, page.next, "b1")
    assert [*page.items, *rest.items] == wanted[::-1]
    assert not (await store.deployments.deployments(STRANGER, 10, None, "b1")).items


async def test_deployments_expire_except_the_latest_installation_of_a_node(store: Store, clock: ManualClock) -> None:
    there, gone = [await store.nodes.create_node(SCOPE, new_node(name)) for name in ("there", "gone")]
    at = clock.now()

    async def ended(number: int, **more: object) -> Deployment:
        wanted = new_deployment(at + number)._replace(**{"state": "succeeded", "ended_at": at + number + 1, **more})  # type: ignore[arg-type]
        return await store.deployments.create_deployment(SCOPE, wanted, f"key-{number}")

    first = await ended(0, node_id=there.id)
    latest = await ended(1, node_id=there.id, options=DeploymentOptions(again=True))
    for number, more in enumerate(({"kind": "install", "state": "failed"}, {"kind": "update"}, {"kind": "remove", "state": "cancelled"})):
        await ended(2 + number, node_id=there.id, **more)
    await ended(5, node_id=gone.id)
    await ended(6, state="failed")
    long = await ended(7, ended_at=at + 100)
    goes_on = await ended(8, state="awaiting_host_key", ended_at=None)
    page = await store.deployments.deployments(SCOPE, 4)
    await store.nodes.delete_node(SCOPE, gone.id)

    assert await store.deployments.expire(at) == 0
    assert await store.deployments.expire(at + 50) == 6
    assert await store.deployments.expire(at + 50) == 0

    assert (await store.deployments.deployments(SCOPE, 10)).items == [goes_on, long, latest]
    assert (await store.deployments.deployments(SCOPE, 4, page.next)).items == [latest]
    with pytest.raises(NotFound):
        await store.deployments.deployment(SCOPE, first.id)
    with pytest.raises(NotFound):
        await store.deployments.save_deployment(SCOPE, first._replace(name="other"))
    assert await store.deployments.deployment_of_key(SCOPE, "key-0") is None
    assert "deployment.create" in [action for _, action, _ in await audited(store)], "what was done stands in the audit log for good"


async def test_deployments_are_listed_newest_first(store: Store, clock: ManualClock) -> None:
    made = [await store.deployments.create_deployment(SCOPE, new_deployment(clock.now() + at)) for at in range(5)]
    page = await store.deployments.deployments(SCOPE, 3)
    rest = await store.deployments.deployments(SCOPE, 3, page.next)
    assert [*page.items, *rest.items] == made[::-1]
