"""Removal through the live session: the order, the farewell, and every other outcome. The node is simulated by rows in the store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NamedTuple, cast

import pytest

from groundcontrol.agents.session import AgentSession
from groundcontrol.core.errors import Conflict, CredentialsRequired, NotFound, StoreBusy, StoreFull, Unavailable
from groundcontrol.core.ids import BootId, HubId, JobId, NodeId
from groundcontrol.core.scope import SYSTEM, Scope
from groundcontrol.deployments import transitions
from groundcontrol.deployments.model import LIVE_REMOVE_STEPS, REMOVE_STEPS, Deployment, DeploymentOverrides
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.deployments.session_removal import SessionRemoval
from groundcontrol.jobs.model import Job, JobError, JobRequest, JobState, JobUpdate
from groundcontrol.jobs.service import JobService
from groundcontrol.nodes.model import Node, Session
from spider.clock import SystemClock
from tests.support.deployment_desk import ADMIN, LIMITS, Desk, Hanging, Hasty, Trouble, failing, hanging, node_with, trouble
from tests.support.eventually import eventually

OPEN: tuple[JobState, ...] = ("queued", "dispatched", "accepted", "running")


class Agent(NamedTuple):
    """What of a session is asked when a node leaves."""

    node: Node
    address: str


class Played:
    """A node with a live session, as far as its rows go."""

    def __init__(self, desk: Desk, node: NodeId, session: Session) -> None:
        self._desk = desk
        self.id = node
        self.session = session

    async def job(self) -> Job:
        (job,) = (await self._desk.store.jobs.jobs(ADMIN, 10, None, node=self.id)).items
        return job

    async def take(self) -> Job:
        """The dispatcher gives it the job, and its launcher accepts."""
        ((job, _),) = await self._desk.store.jobs.take(None, [self.session], SystemClock().now(), 10)
        return await self._desk.store.jobs.advance(job.id, "accepted", self.session, JobUpdate())

    async def end(self, job: JobId, state: JobState, error: JobError | None = None) -> None:
        await self._desk.store.jobs.advance(job, state, self.session, JobUpdate(ended_at=SystemClock().now(), error=error))

    async def farewell(self, service: DeploymentService, left: str = "") -> None:
        agent = Agent(await self._desk.store.nodes.node(ADMIN, self.id), "127.0.0.1")
        await service.receive_farewell(cast("AgentSession", agent), "uninstalled by an order of its hub", left)


async def played(desk: Desk, name: str = "web-1") -> Played:
    node = await node_with(desk, None, name)
    desk.here.add(node)
    return Played(desk, node, await desk.store.sessions.claim(node, BootId("0" * 32), HubId("h" * 26)))


def states(row: Deployment) -> dict[str, str]:
    return {step.name: step.state for step in row.steps}


async def test_a_farewell_completes_the_removal(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        assert (row.kind, row.state, tuple(states(row))) == ("remove", "running", LIVE_REMOVE_STEPS)
        assert (await service.remove(SYSTEM, node.id, None, force=False)).id == row.id  # it is the same one
        with pytest.raises(Conflict, match="goes on by itself"):
            await service.cancel(SYSTEM, row.id)
        job = await node.take()
        assert job.action == "uninstall"
        await desk.until(row.id, lambda row: states(row)["uninstall"] == "running")
        await node.farewell(service)
        row = await desk.end_of(row.id)
        await desk.events("node_uninstalled", "deployment_succeeded")
    assert row.state == "succeeded", row
    assert set(states(row).values()) == {"done"}
    assert desk.closed == [node.id] * len(desk.closed)
    with pytest.raises(NotFound):
        await desk.store.nodes.node(ADMIN, node.id)


async def test_concurrent_removals_of_a_node_are_the_same_one(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        found = await asyncio.gather(*(service.remove(SYSTEM, node.id, None, force=False) for _ in range(4)))
        assert len({row.id for row in found}) == 1
        await node.take()
        await node.farewell(service)
        assert (await desk.end_of(found[0].id)).state == "succeeded"


async def test_an_early_farewell_completes_the_removal_too(desk: Desk) -> None:
    """Spider may be gone before it has reported how its job ended; the end of its last session makes the job's end unknown."""
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        job = await node.take()
        await node.end(job.id, "unknown", JobError("job.lost", "the node no longer knows this job"))
        await node.farewell(service)
        row = await desk.end_of(row.id)
    assert (row.state, set(states(row).values())) == ("succeeded", {"done"})


@pytest.mark.parametrize("state", ["failed", "expired"])
async def test_a_refusal_by_the_node_fails_the_removal(desk: Desk, state: JobState) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        job = await node.job()
        error = JobError("job.policy_verb", "the node's policy does not allow this action")
        await desk.store.jobs.advance(job.id, state, SYSTEM, JobUpdate(ended_at=1.0, error=error))
        row = await desk.end_of(row.id)
        assert row.error == ("job.policy_verb", "the node's policy does not allow this action", "connect")
        assert (await desk.store.nodes.node(ADMIN, node.id)).id == node.id
        again = await service.retry(SYSTEM, row.id, None)
        assert (again.id, again.state) == (row.id, "running")
        (second, first) = (await desk.store.jobs.jobs(ADMIN, 10, None, node=node.id)).items
        assert first.id == job.id != second.id
        await node.take()
        await node.farewell(service)
        row = await desk.end_of(row.id)
    assert row.state == "succeeded"


async def test_a_node_without_a_farewell_stays_with_a_hint(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running(desk.make(desk.config, LIMITS._replace(leave_s=0.3))) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        job = await node.take()
        await node.end(job.id, "succeeded")
        row = await desk.end_of(row.id)
        assert row.error is not None
        assert (row.error.code, row.error.step) == ("no_farewell", "uninstall")
        assert "journalctl -u stardust-uninstall, under OpenRC in /var/log/stardust-launcher.log" in row.error.message
        assert (await desk.store.nodes.node(ADMIN, node.id)).id == node.id
        desk.here.clear()
        with pytest.raises(CredentialsRequired, match="not connected"):
            await service.retry(SYSTEM, row.id, None)
        forced = await service.remove(SYSTEM, node.id, None, force=True)
    assert forced.state == "succeeded"


async def test_a_failed_uninstall_is_reported_and_the_node_stays(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        await node.take()
        await node.farewell(service, left="/opt/stardust")
        row = await desk.end_of(row.id)
        assert row.error is not None
        assert (row.error.code, row.error.step) == ("uninstall_failed", "verify")
        assert "/opt/stardust" in row.error.message
        assert (await desk.store.nodes.node(ADMIN, node.id)).id == node.id
        events = await desk.events("node_uninstall_incomplete", "deployment_failed")
        assert "node_uninstalled" not in [event.type for event in events]


async def test_force_during_a_removal_deletes_the_node_only(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        await node.take()
        forced = await service.remove(SYSTEM, node.id, None, force=True)
        assert (forced.id != row.id, forced.state) == (True, "succeeded")
        row = await desk.end_of(row.id)
    assert row.state == "cancelled"
    assert "not known" in row.steps[1].detail


@pytest.mark.parametrize("taken", [False, True])
async def test_a_restarted_hub_continues_to_follow_the_removal(desk: Desk, *, taken: bool) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        if taken:
            await node.take()
            await desk.until(row.id, lambda row: states(row)["uninstall"] == "running")
    assert (await desk.store.deployments.deployment(ADMIN, row.id)).state == "running"
    second = desk.make(desk.config)
    if not taken:
        await node.take()
    telling = asyncio.create_task(node.farewell(second))  # before the new hub knows what it followed
    async with desk.running(second):
        await telling
        row = await desk.end_of(row.id)
    assert (row.state, set(states(row).values())) == ("succeeded", {"done"})


async def unnoted(desk: Desk, row: Deployment) -> None:
    """The hub was killed before it wrote the order down."""
    kept = await desk.store.deployments.deployment(ADMIN, row.id)
    (connect, *others) = kept.steps
    steps = (connect._replace(detail="", state="running", ended_at=None), *others)
    await desk.store.deployments.save_deployment(ADMIN, kept._replace(steps=steps))


@pytest.mark.parametrize("taken", [False, True])
async def test_a_hub_killed_after_its_order_finds_the_job(desk: Desk, taken: bool) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        if taken:
            await node.take()
    await unnoted(desk, row)
    second = desk.make(desk.config)
    async with desk.running(second):
        job = await node.job()
        row = await desk.until(row.id, lambda row: row.steps[0].detail.endswith(job.id))
        assert (await second.remove(SYSTEM, node.id, None, force=False)).id == row.id
        if not taken:
            await node.take()
        await node.farewell(second)
        row = await desk.end_of(row.id)
    assert (row.state, set(states(row).values())) == ("succeeded", {"done"})


async def test_a_hub_killed_before_its_order_reports_hub_stopped(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        await desk.store.jobs.advance((await node.job()).id, "failed", SYSTEM, JobUpdate(ended_at=1.0))
        row = await desk.end_of(row.id)
    now = SystemClock().now()
    row = transitions.restarted(row, host=row.host, port=0, username="", name=row.name, options=row.options, pinned=None)
    await desk.store.deployments.save_deployment(ADMIN, transitions.step_started(row, "connect", now + 0.001))
    second = desk.make(desk.config)
    async with desk.running(second):
        row = await desk.end_of(row.id)
        assert row.error is not None
        assert (row.error.code, row.node_id) == ("hub_stopped", node.id)
        assert (await second.retry(SYSTEM, row.id, None)).state == "running"


async def test_a_hub_that_was_killed_and_has_no_such_node_any_more_says_that_it_was_forgotten(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
    await unnoted(desk, row)
    await desk.store.nodes.delete_node(SYSTEM, node.id)
    async with desk.running(desk.make(desk.config)):
        row = await desk.end_of(row.id)
    assert row.state == "cancelled"
    assert "forgotten meanwhile" in row.steps[1].detail


async def test_a_retry_with_credentials_goes_by_ssh(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        await desk.store.jobs.advance((await node.job()).id, "failed", SYSTEM, JobUpdate(ended_at=1.0))
        await desk.end_of(row.id)
        given = DeploymentOverrides(username="root", port=1, password="pw")
        row = await service.retry(SYSTEM, row.id, given)
        assert (tuple(states(row)), row.port) == (REMOVE_STEPS, 1)
        row = await desk.end_of(row.id)
    assert row.error is not None
    assert row.error.code == "port_closed"


async def test_a_removal_with_log_in_overrides_uses_ssh(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        with pytest.raises(CredentialsRequired):
            await service.remove(SYSTEM, node.id, DeploymentOverrides(username="root"), force=False)
        assert (await desk.store.jobs.jobs(ADMIN, 10, None, node=node.id)).items == []


async def test_a_node_whose_policy_forbids_uninstall_is_not_ordered(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        for mode, verbs in (
            ("monitor", ()),
            ("readonly", ("refresh", "check", "plan")),
            ("managed", ("refresh", "update")),
            ("invalid", ()),
        ):
            await desk.tell_policy(node.session, mode, verbs)
            with pytest.raises(CredentialsRequired, match=r"policy\.conf"):
                await service.remove(SYSTEM, node.id, None, force=False)
        await desk.tell_policy(node.session, "managed", ("uninstall",))
        assert (await service.remove(SYSTEM, node.id, None, force=False)).state == "running"


@pytest.mark.parametrize(("part", "command"), [("nodes", "find_node"), ("jobs", "job"), ("deployments", "save_deployment")])
async def test_a_temporary_store_failure_does_not_end_the_removal(desk: Desk, part: str, command: str) -> None:
    node = await played(desk)
    made = trouble(desk, part)
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        made.commands.add(command)
        await node.take()
        await failing(made, 2)
        made.commands.clear()
        await node.farewell(service)
        row = await desk.end_of(row.id)
    assert (row.state, set(states(row).values())) == ("succeeded", {"done"})


async def test_an_end_that_cannot_be_saved_is_saved_later(desk: Desk) -> None:
    node = await played(desk)
    made = trouble(desk, "deployments")
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        made.commands.add("save_deployment")
        await desk.store.jobs.advance((await node.job()).id, "failed", SYSTEM, JobUpdate(ended_at=1.0))
        await failing(made, 2)
        made.commands.clear()
        assert (await desk.end_of(row.id)).state == "failed"


@pytest.mark.parametrize("left", ["", "/opt/stardust"])
async def test_a_farewell_completes_an_unfollowed_removal(desk: Desk, left: str) -> None:
    node = await played(desk)
    made = trouble(desk, "deployments")
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        leaving: SessionRemoval = service._leaving
        leaving._tools = leaving._tools._replace(clock=Hasty())
        made.commands.add("save_deployment")
        await desk.store.jobs.advance((await node.job()).id, "failed", SYSTEM, JobUpdate(ended_at=1.0))
        await eventually(lambda: not leaving.running(node.id))
        assert made.failed == 5
        made.commands.clear()
        assert (await desk.store.deployments.deployment(ADMIN, row.id)).state == "running"
        await node.farewell(service, left)
        row = await desk.end_of(row.id)
    assert row.state == ("failed" if left else "succeeded")
    assert row.error is None or left in row.error.message


async def test_a_removal_that_could_not_be_ordered_has_failed(desk: Desk) -> None:
    node = await played(desk)
    made = trouble(desk, "jobs", "create_job")
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        assert row.error is not None
        assert (row.state, row.error.code, row.error.step) == ("failed", "store.full", "connect")
        made.commands.clear()
        assert (await service.retry(SYSTEM, row.id, None)).state == "running"
        await node.take()
        await node.farewell(service)
        assert (await desk.end_of(row.id)).state == "succeeded"


async def test_a_removal_whose_failure_cannot_be_saved_can_be_cancelled(desk: Desk) -> None:
    node = await played(desk)
    made = trouble(desk, "deployments", "save_deployment")
    async with desk.running(desk.make(desk.config)) as service:
        leaving: SessionRemoval = service._leaving
        leaving._tools = leaving._tools._replace(clock=Hasty())
        with pytest.raises(StoreFull):
            await service.remove(SYSTEM, node.id, None, force=False)
        (row,) = [row for row in await desk.store.deployments.unfinished_deployments() if row.kind == "remove"]
        assert (row.state, made.failed) == ("running", 6)
        made.commands.clear()
        assert (await service.cancel(SYSTEM, row.id)).state == "cancelled"
    assert (await desk.store.jobs.jobs(ADMIN, 10, None, node=node.id)).items == []


def fail_after_the_order(service: DeploymentService, made: Trouble) -> None:
    """From the order to the node on, no deployment can be saved."""
    order = service._leaving._ways.order

    async def then_fail(scope: Scope, node_id: NodeId, request: JobRequest) -> Job:
        job = await order(scope, node_id, request)
        made.commands.add("save_deployment")
        return job

    service._leaving._ways = service._leaving._ways._replace(order=then_fail)


async def test_an_order_whose_job_id_was_not_saved_is_followed(desk: Desk) -> None:
    node = await played(desk)
    made = trouble(desk, "deployments")
    service = desk.make(desk.config)
    fail_after_the_order(service, made)
    async with desk.running(service):
        row = await service.remove(SYSTEM, node.id, None, force=False)
        assert row.state == "running"
        with pytest.raises(Conflict, match="goes on by itself"):
            await service.cancel(SYSTEM, row.id)
        await failing(made, 2)
        made.commands.clear()
        job = await node.job()
        await desk.until(row.id, lambda row: row.steps[0].detail.endswith(job.id))
        await node.take()
        await node.farewell(service)
        assert (await desk.end_of(row.id)).state == "succeeded"


async def test_after_no_farewell_credentials_remove_it_though_the_order_is_still_open(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running(desk.make(desk.config, LIMITS._replace(leave_s=0.3))) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        await node.take()
        assert (await desk.end_of(row.id)).state == "failed"
        assert [job.state for job in await desk.store.jobs.open_jobs(node.id)] == ["accepted"]
        given = DeploymentOverrides(username="root", port=1, password="pw")
        by_ssh = await service.remove(SYSTEM, node.id, given, force=False)
        assert tuple(states(by_ssh)) == REMOVE_STEPS
        row = await desk.end_of(by_ssh.id)
        assert row.error is not None
        assert row.error.code == "port_closed"
        await node.end((await node.job()).id, "succeeded")
        await JobService(desk.store, desk.bus, SystemClock(), 10).submit(SYSTEM, node.id, JobRequest("upgrade"), None)
        await node.take()
        with pytest.raises(Conflict, match="a job is running"):
            await service.remove(SYSTEM, node.id, given, force=False)


async def test_an_internal_error_fails_the_removal_which_can_be_retried(desk: Desk) -> None:
    node = await played(desk)
    made = trouble(desk, "jobs")
    made.error = ValueError("nobody thought of this")
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        made.commands.add("job")
        row = await desk.end_of(row.id)
        assert row.error is not None
        assert (row.state, row.error.code, row.error.step) == ("failed", "hub_failed", "connect")
        made.commands.clear()
        await JobService(desk.store, desk.bus, SystemClock(), 10).cancel(SYSTEM, (await node.job()).id)
        await desk.events("deployment_failed")
        again = await service.retry(SYSTEM, row.id, None)
        assert again.state == "running"
        await node.take()
        await node.farewell(service)
        assert (await desk.end_of(row.id)).state == "succeeded"


async def test_an_internal_error_before_the_order_fails_the_removal(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    node = await played(desk)
    made = trouble(desk, "jobs", "create_job")
    made.error = ValueError("nobody thought of this")
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        assert row.error is not None
        assert (row.state, row.error.code, row.error.step) == ("failed", "hub_failed", "connect")
        assert "removal_crashed" in [record.getMessage() for record in caplog.records]
        made.commands.clear()
        assert (await service.retry(SYSTEM, row.id, None)).state == "running"
        await node.take()
        await node.farewell(service)
        assert (await desk.end_of(row.id)).state == "succeeded"


async def test_an_internal_error_whose_end_cannot_be_saved_is_reported(desk: Desk) -> None:
    node = await played(desk)
    made = trouble(desk, "deployments", "save_deployment")
    made.error = ValueError("nobody thought of this")
    async with desk.running(desk.make(desk.config)) as service:
        with pytest.raises(Unavailable, match="own code"):
            await service.remove(SYSTEM, node.id, None, force=False)
        made.commands.clear()
        (row,) = (await desk.store.deployments.deployments(ADMIN, 10)).items
        assert (await service.cancel(SYSTEM, row.id)).state == "cancelled"


async def test_an_internal_error_after_the_order_does_not_end_the_removal(desk: Desk) -> None:
    node = await played(desk)
    made = trouble(desk, "deployments")
    made.error = ValueError("nobody thought of this")
    service = desk.make(desk.config)
    fail_after_the_order(service, made)
    async with desk.running(service):
        row = await service.remove(SYSTEM, node.id, None, force=False)
        assert (row.state, made.failed) == ("running", 1)
        made.commands.clear()
        await node.take()
        await node.farewell(service)
        assert (await desk.end_of(row.id)).state == "succeeded"


async def test_an_end_lost_by_an_internal_error_is_settled_at_the_next_start(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    node = await played(desk)
    made = trouble(desk, "deployments")
    made.error = ValueError("nobody thought of this")
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        made.commands.add("save_deployment")
        await node.take()
        await eventually(lambda: not service._leaving.running(node.id))
    made.commands.clear()
    assert [record.getMessage() for record in caplog.records][-2:] == ["removal_crashed", "deployment_end_not_saved"]
    async with desk.running(desk.make(desk.config)):
        assert (await desk.store.deployments.deployment(ADMIN, row.id)).state == "running"
        assert (await desk.until(row.id, lambda row: states(row)["uninstall"] == "running")).id == row.id


async def test_behind_a_hanging_order_others_are_refused_but_a_farewell_is_processed(desk: Desk) -> None:
    """Root reports it once; a user can order it again."""
    node, other = await played(desk), await played(desk, "web-2")
    made = hanging(desk, "deployments")
    async with asyncio.timeout(30), desk.running(desk.make(desk.config, LIMITS._replace(patience_s=0.2))) as service:
        left = await service.remove(SYSTEM, other.id, None, force=False)
        await other.take()
        await desk.until(left.id, lambda row: states(row)["uninstall"] == "running")
        made.commands.add("create_deployment")
        asking = asyncio.create_task(service.remove(SYSTEM, node.id, None, force=False))
        await made.reached.wait()
        with pytest.raises(StoreBusy):
            await service.remove(SYSTEM, node.id, None, force=False)
        with pytest.raises(StoreBusy):
            await service.cancel(SYSTEM, left.id)
        leaving = asyncio.create_task(other.farewell(service))
        await asyncio.sleep(0.4)  # longer than any other caller may wait
        assert not leaving.done()
        made.answers.set()
        assert (await asking).state == "running"
        await leaving
        assert (await desk.end_of(left.id)).state == "succeeded"


async def test_a_hanging_store_does_not_delay_the_end_of_the_hub(desk: Desk) -> None:
    node = await played(desk)
    made = Hanging(desk.store.deployments)
    desk.store = replace(desk.store, deployments=made)  # type: ignore[arg-type]  # it stands for any part
    async with asyncio.timeout(10):
        async with desk.running(desk.make(desk.config, LIMITS._replace(stop_s=0.2))) as service:
            await service.remove(SYSTEM, node.id, None, force=False)
            made.commands.add("save_deployment")
            await node.take()
            await made.reached.wait()
    assert service._leaving._tasks == set()
