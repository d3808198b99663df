"""Removal through the live session while the store fails, hangs, or an internal error occurs."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.core.errors import Conflict, NotFound, StoreBusy, StoreFull
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.deployments.model import REMOVE_STEPS, DeploymentOverrides
from groundcontrol.jobs.model import JobRequest
from groundcontrol.jobs.service import JobService
from spider.clock import SystemClock
from spider.wire.ids import new_random_id
from tests.support.deployment_desk import ADMIN, LIMITS, Desk, Hanging, failing, hanging, trouble
from tests.support.eventually import eventually
from tests.support.live_removal import played, states
from tests.support.some import some
from tests.support.store_backend import replaced


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
        await node.close("failed")
        await failing(made, 2)
        made.commands.clear()
        assert (await desk.end_of(row.id)).state == "failed"


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("error", [StoreFull("no space is left"), ValueError("nobody thought of this")])
async def test_a_removal_that_cannot_be_stored_is_not_ordered(desk: Desk, error: Exception, *, again: bool) -> None:
    """Removal and order are one transaction: neither is there without the other."""
    node = await played(desk)
    made = trouble(desk, "deployments")
    made.error = error
    async with desk.running(desk.make(desk.config)) as service:
        if again:
            row = await service.remove(SYSTEM, node.id, None, force=False)
            await node.close("cancelled")
            await desk.end_of(row.id)
        jobs = len((await desk.store.jobs.jobs(ADMIN, 10, None, node=node.id)).items)
        made.commands.add("save_deployment" if again else "create_deployment")
        with pytest.raises(type(error)):
            await (service.retry(SYSTEM, row.id, None) if again else service.remove(SYSTEM, node.id, None, force=False))
        made.commands.clear()
        assert await desk.store.deployments.unfinished_deployments() == []
        assert len((await desk.store.jobs.jobs(ADMIN, 10, None, node=node.id)).items) == jobs
        row = await (service.retry(SYSTEM, row.id, None) if again else service.remove(SYSTEM, node.id, None, force=False))
        assert (await desk.store.jobs.job(ADMIN, some(row.job))).state == "queued"


async def test_an_order_that_cannot_be_created_leaves_no_removal(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        made = service._removal.order
        service._removal = service._removal._replace(order=lambda *given: made(*given)._replace(node_id=NodeId(new_random_id())))
        with pytest.raises(NotFound):
            await service.remove(SYSTEM, node.id, None, force=False)
        assert await desk.store.deployments.unfinished_deployments() == []


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
        assert some(row.error).code == "port_closed"
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


async def test_an_end_lost_by_an_internal_error_is_settled_at_the_next_start(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    node = await played(desk)
    made = trouble(desk, "deployments")
    made.error = ValueError("nobody thought of this")
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        made.commands.add("save_deployment")
        await node.take()
        await eventually(lambda: not service._active)
    made.commands.clear()
    assert [record.getMessage() for record in caplog.records][-2:] == ["deployment_crashed", "deployment_end_not_saved"]
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
        with pytest.raises(Conflict):
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
    desk.store = replaced(desk.store, deployments=made)
    async with asyncio.timeout(60):
        async with desk.running(desk.make(desk.config, LIMITS._replace(stop_s=0.2))) as service:
            await service.remove(SYSTEM, node.id, None, force=False)
            made.commands.add("save_deployment")
            await node.take()
            await made.reached.wait()
    assert not service._active
