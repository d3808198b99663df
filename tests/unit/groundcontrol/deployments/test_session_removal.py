"""Removal through the live session: the order, the farewell, and every other outcome. The node is simulated by rows in the store."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.scope import SYSTEM
from groundcontrol.deployments.errors import CredentialsRequired
from groundcontrol.deployments.model import LIVE_REMOVE_STEPS, REMOVE_STEPS, DeploymentOverrides
from groundcontrol.jobs.model import JobError, JobState
from tests.support.deployment_desk import ADMIN, LIMITS, Desk, trouble
from tests.support.eventually import eventually
from tests.support.live_removal import played, states
from tests.support.some import some

OPEN: tuple[JobState, ...] = ("queued", "dispatched", "accepted", "running")


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
        await node.close(state, error)
        row = await desk.end_of(row.id)
        assert row.error == ("job.policy_verb", "the node's policy does not allow this action", "connect", False)
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


async def test_a_removal_without_an_order_has_failed(desk: Desk) -> None:
    """An earlier version of the hub was killed between the removal and its order."""
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
    kept = await desk.store.deployments.deployment(ADMIN, row.id)
    await desk.store.deployments.save_deployment(ADMIN, kept._replace(job=None))
    await node.close("failed")
    second = desk.make(desk.config)
    async with desk.running(second):
        row = await desk.end_of(row.id)
        assert (some(row.error).code, row.node_id) == ("hub_stopped", node.id)
        assert (await second.retry(SYSTEM, row.id, None)).state == "running"


async def test_after_a_kill_a_removal_of_a_forgotten_node_is_reported_as_forgotten(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
    await desk.store.nodes.delete_node(SYSTEM, node.id)
    async with desk.running(desk.make(desk.config)):
        row = await desk.end_of(row.id)
    assert row.state == "cancelled"
    assert "deleted meanwhile" in row.steps[1].detail


async def test_a_retry_with_credentials_goes_by_ssh(desk: Desk) -> None:
    node = await played(desk)
    async with desk.running() as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        await node.close("failed")
        await desk.end_of(row.id)
        given = DeploymentOverrides(username="root", port=1, password="pw")
        row = await service.retry(SYSTEM, row.id, given)
        assert (tuple(states(row)), row.port) == (REMOVE_STEPS, 1)
        row = await desk.end_of(row.id)
    assert some(row.error).code == "port_closed"


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


@pytest.mark.parametrize("left", ["", "/opt/stardust"])
async def test_a_farewell_completes_an_unfollowed_removal(desk: Desk, left: str) -> None:
    node = await played(desk)
    made = trouble(desk, "deployments")
    made.error = ValueError("nobody thought of this")
    async with desk.running(desk.make(desk.config)) as service:
        row = await service.remove(SYSTEM, node.id, None, force=False)
        made.commands.add("save_deployment")
        await node.close("failed")
        await eventually(lambda: not service._active)
        made.commands.clear()
        assert (await desk.store.deployments.deployment(ADMIN, row.id)).state == "running"
        await node.farewell(service, left)
        row = await desk.end_of(row.id)
    assert row.state == ("failed" if left else "succeeded")
    assert row.error is None or left in row.error.message
