"""Removal through the live session while the store fails, hangs, or an internal error occurs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from groundcontrol.core.errors import Conflict, StoreBusy, StoreFull, Unavailable
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM, Scope
from groundcontrol.deployments.model import REMOVE_STEPS, DeploymentOverrides
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.deployments.session_removal import SessionRemoval
from groundcontrol.jobs.model import Job, JobRequest, JobUpdate
from groundcontrol.jobs.service import JobService
from spider.clock import SystemClock
from tests.support.deployment_desk import ADMIN, LIMITS, Desk, Hanging, Hasty, Trouble, failing, hanging, trouble
from tests.support.eventually import eventually
from tests.support.live_removal import played, states


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
        leaving: SessionRemoval = service._session_removals
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
    order = service._session_removals._deps.order

    async def then_fail(scope: Scope, node_id: NodeId, request: JobRequest) -> Job:
        job = await order(scope, node_id, request)
        made.commands.add("save_deployment")
        return job

    service._session_removals._deps = service._session_removals._deps._replace(order=then_fail)


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
        await eventually(lambda: not service._session_removals.running(node.id))
    made.commands.clear()
    assert [record.getMessage() for record in caplog.records][-2:] == ["removal_crashed", "deployment_end_not_saved"]
    async with desk.running(desk.make(desk.config)):
        assert (await desk.store.deployments.deployment(ADMIN, row.id)).state == "running"
        assert (await desk.until(row.id, lambda row: states(row)["uninstall"] == "running")).id == row.id


async def test_behind_a_hanging_order_others_are_refused_but_a_farewell_is_processed(desk: Desk) -> None:
    """Root reports it once; a user can order it again."""
    node, other = await played(desk), await played(desk, "web-2")
    made = hanging(desk, "deployments")
    async with asyncio.timeout(60), desk.running(desk.make(desk.config, LIMITS._replace(patience_s=0.2))) as service:
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
    async with asyncio.timeout(60):
        async with desk.running(desk.make(desk.config, LIMITS._replace(stop_s=0.2))) as service:
            await service.remove(SYSTEM, node.id, None, force=False)
            made.commands.add("save_deployment")
            await node.take()
            await made.reached.wait()
    assert service._session_removals._tasks == set()
