"""`/api/v1/live`: the topics of jobs and of one job's output."""

from __future__ import annotations

import pytest

from groundcontrol.core.bus import Changed, JobOutputArrived
from groundcontrol.core.ids import JobId
from groundcontrol.jobs.model import Job, JobRequest, JobUpdate, NewJob
from groundcontrol.nodes.model import Node
from spider.wire.ids import new_time_id
from tests.support.inprocess_hub import ADMIN, LiveSocket, TestHub
from tests.support.printing_node import Printing, collect


async def ordered(hub: TestHub, node: Node) -> Job:
    """A job that a user began."""
    now = hub.clock.now()
    job = await hub.store.jobs.create_job(ADMIN, NewJob(JobId(new_time_id(now)), node.id, JobRequest("check"), now, now + 600), None)
    hub.bus.publish(Changed("job", job.id, job.version, 1))
    return job


async def told_of(live: LiveSocket) -> tuple[list[tuple[str, str]], list[str]]:
    """The next change of `jobs`: which are new or changed, and which are gone."""
    data = (await live.expect("change"))["data"]
    return [(job["id"], job["state"]) for job in data["jobs"]], data["gone"]


async def test_the_newest_jobs_are_sent_as_they_begin_and_end(hub: TestHub) -> None:
    node = await hub.node("web-1")
    old = await ordered(hub, node)
    async with (await hub.logged_in("viewer")).live() as live, (await hub.logged_in("viewer")).live() as late:
        assert [job["id"] for job in (await live.follow("jobs"))["data"]["jobs"]] == [old.id]
        new = await ordered(hub, node)
        assert await told_of(live) == ([(new.id, "queued")], [])
        stopped = await hub.store.jobs.stop_job(ADMIN, old.id)
        hub.bus.publish(Changed("job", old.id, stopped.version, 1))
        assert await told_of(live) == ([(old.id, "cancelled")], []), "only what changed"
        assert [job["id"] for job in (await late.follow("jobs"))["data"]["jobs"]] == [new.id, old.id]
        many = [await ordered(hub, node) for _ in range(50)]
        fresh, gone = await told_of(live)
        while len(fresh) < len(many):
            more, further = await told_of(live)
            fresh, gone = fresh + more, gone + further
        assert sorted(job for job, _ in fresh) == sorted(job.id for job in many)
        assert gone == [old.id], "it is over and not among the newest any more; the other one is not over"
        async with (await hub.logged_in("viewer")).live() as last:
            assert [job["id"] for job in (await last.follow("jobs"))["data"]["jobs"]] == [job.id for job in reversed(many)] + [new.id]
        stopped = await hub.store.jobs.stop_job(ADMIN, new.id)
        hub.bus.publish(Changed("job", new.id, stopped.version, 1))
        assert await told_of(live) == ([(new.id, "cancelled")], []), "its end is told, however many are newer"
        latest = await ordered(hub, node)
        assert await told_of(live) == ([(latest.id, "queued")], [new.id])


async def test_jobs_that_are_ordered_after_a_wrong_clock_are_reported(hub: TestHub) -> None:
    node = await hub.node("web-1")
    hub.clock.wrong = 86_400.0
    before = [await hub.store.jobs.stop_job(ADMIN, (await ordered(hub, node)).id) for _ in range(60)]
    hub.clock.wrong = 0.0
    viewer = await hub.logged_in("viewer")
    async with viewer.live() as live:
        assert [job["id"] for job in (await live.follow("jobs"))["data"]["jobs"]] == [job.id for job in before[:9:-1]]
        new = await ordered(hub, node)
        assert await told_of(live) == ([(new.id, "queued")], [before[10].id])
    assert (await viewer.get("jobs?limit=1")).json["jobs"][0]["id"] == new.id


async def test_with_a_removed_node_its_jobs_are_gone_from_the_newest(hub: TestHub) -> None:
    gone, stays = await hub.node("gone"), await hub.node("stays")
    old, other = await ordered(hub, gone), await ordered(hub, stays)
    async with (await hub.logged_in("viewer")).live() as live, (await hub.logged_in("viewer")).live() as late:
        assert [job["id"] for job in (await live.follow("jobs"))["data"]["jobs"]] == [other.id, old.id]
        now = hub.clock.now()
        new = await hub.store.jobs.create_job(ADMIN, NewJob(JobId(new_time_id(now)), gone.id, JobRequest("check"), now, now + 600), None)
        assert [job["id"] for job in (await late.follow("jobs"))["data"]["jobs"]] == [new.id, other.id, old.id]
        await hub.store.nodes.delete_node(ADMIN, gone.id)
        hub.bus.publish(Changed("node", gone.id, 0, 1))
        for page in (live, late):
            left = {old.id, new.id} if page is late else {old.id}
            while left:
                fresh, further = await told_of(page)
                left = (left | {JobId(job) for job, _ in fresh}) - set(further)


async def test_a_jobs_output_is_shown_from_the_start_and_then_as_it_comes(hub: TestHub) -> None:
    printing = await Printing.start(hub)
    await printing.print(b"before\n" * 10_000)
    async with (await hub.logged_in("viewer")).live() as live:
        snapshot = await live.follow(f"job:{printing.job.id}")
        assert (snapshot["seq"], snapshot["data"]["state"]) == (0, "running")
        assert await collect(live, 70_000) == printing.printed
        await printing.print(b"\x1b[32mlive\xff\x00")
        assert await collect(live, len(printing.printed), 70_000) == b"\x1b[32mlive\xff\x00"


@pytest.mark.parametrize("after", [0, 1, 4999, 5000, 10**12])
async def test_output_resumes_at_any_offset(hub: TestHub, after: int) -> None:
    printing = await Printing.start(hub)
    await printing.print(bytes(range(250)) * 20)
    start = min(after, 5000)
    async with (await hub.logged_in()).live() as live:
        assert (await live.follow(f"job:{printing.job.id}", after))["seq"] == start
        await printing.print(b"more")
        assert await collect(live, 5004, start) == printing.printed[start:]


async def test_several_viewers_of_a_job_get_every_byte_whenever_they_come(hub: TestHub) -> None:
    printing = await Printing.start(hub)
    topic = f"job:{printing.job.id}"
    async with (
        (await hub.logged_in()).live() as first,
        (await hub.logged_in("viewer")).live() as second,
        (await hub.logged_in("viewer")).live() as late,
    ):
        await first.follow(topic)
        await printing.print(b"one\n" * 1000)
        assert (await second.follow(topic, 2000))["seq"] == 2000
        await printing.print(b"two\n" * 1000)
        assert await collect(first, 8000) == printing.printed
        assert await collect(second, 8000, 2000) == printing.printed[2000:]
        await late.follow(topic)
        await printing.print(b"end\n")
        for live, start in ((first, 8000), (second, 8000), (late, 0)):
            assert await collect(live, 8004, start) == printing.printed[start:]


@pytest.mark.holds("SAFETY-85", "F-15")
async def test_output_lost_by_the_bus_is_read_from_the_store(hub: TestHub) -> None:
    printing = await Printing.start(hub)
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"job:{printing.job.id}")
        await printing.print(b"one ")
        assert await collect(live, 4) == b"one "
        await printing.print(b"two ", told=False)
        await printing.print(b"three ")
        assert await collect(live, 14, 4) == b"two three "
        await printing.print(b"four", told=False)
        for reader in hub.bus.readers_of(JobOutputArrived(printing.job.id, 0, b"")):
            reader.lose(1)
        assert await collect(live, 18, 14) == b"four"
        hub.bus.publish(JobOutputArrived(printing.job.id, 0, printing.printed))
        hub.bus.publish(JobOutputArrived(printing.job.id, 10, printing.printed[10:]))
        assert "job" in (await live.expect("change"))["data"]  # the state, after the loss
        await printing.print(b"!")
        assert await collect(live, 19, 18) == b"!"  # what came twice was not shown again


async def test_the_last_byte_comes_before_the_end(hub: TestHub) -> None:
    printing = await Printing.start(hub)
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"job:{printing.job.id}")
        await printing.print(b"x" * 100, told=False)
        job = await hub.store.jobs.advance(printing.job.id, "succeeded", printing.session, JobUpdate(exit_code=0))
        hub.bus.publish(Changed("job", job.id, job.version, 1))
        assert await collect(live, 100) == b"x" * 100
        change = await live.expect("change")
        assert (change["seq"], change["data"]["job"]["state"], change["data"]["job"]["exit_code"]) == (100, "succeeded", 0)


@pytest.mark.parametrize("ended", [False, True])
async def test_deletion_of_a_job_with_its_node_is_reported(hub: TestHub, ended: bool) -> None:
    printing = await Printing.start(hub)
    await printing.print(b"some of it")
    if ended:
        await hub.store.jobs.advance(printing.job.id, "succeeded", printing.session, JobUpdate(exit_code=0))
    async with (await hub.logged_in("viewer")).live() as live:
        topic = f"job:{printing.job.id}"
        await live.follow(topic)
        assert await collect(live, 10) == b"some of it"
        hub.bus.publish(Changed("node", printing.node.id, 2, 1))
        await live.send("ping", {})
        assert await live.expect("pong") == {}, "of its node it tells nothing else"
        await hub.store.nodes.delete_node(ADMIN, printing.node.id)
        hub.bus.publish(Changed("node", printing.node.id, 0, 1))
        error = await live.expect("error")
        assert (error["code"], error["topic"]) == ("not_found", topic)


async def test_a_negative_offset_is_refused(hub: TestHub) -> None:
    printing = await Printing.start(hub)
    async with (await hub.logged_in()).live() as live:
        await live.subscribe(f"job:{printing.job.id}", -1)
        assert (await live.expect("error"))["code"] == "request.invalid"
