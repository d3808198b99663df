"""Updates over the store's own rows: what is removed or called off meanwhile ends its own update, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from groundcontrol.deployments.updates import UpdateService, WaitOnline
from groundcontrol.domain.deployments import Deployment
from groundcontrol.domain.ids import BootId, HubId, NodeId
from groundcontrol.domain.jobs import JobEvidence
from groundcontrol.domain.nodes import NewNode, Session
from groundcontrol.jobs.service import JobService
from spider.clock import SystemClock
from spider.wire.ids import new_random_id
from tests.unit.groundcontrol.deployments.conftest import ADMIN, Desk


async def at_once(_node: NodeId, _timeout_s: float) -> None:
    """Every node is here."""


@contextlib.asynccontextmanager
async def updating(desk: Desk, online: WaitOnline = at_once) -> AsyncIterator[UpdateService]:
    """The service; whatever happens to one update, it has to be alive at the end."""
    orders = JobService(desk.store, desk.bus, SystemClock(), 10)
    service = UpdateService(desk.store, desk.bus, SystemClock(), desk.bundle, orders.keep_up, online)
    life = asyncio.create_task(service.run())
    try:
        await service.ready.wait()
        yield service
        await asyncio.sleep(0)
        assert not life.done(), "an update has ended the hub"
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


async def connected(desk: Desk) -> Session:
    node = await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "web-1", "127.0.0.1"))
    return await desk.store.sessions.claim(node.id, BootId("0" * 32), HubId("h" * 26))


def at_step(name: str, row: Deployment) -> bool:
    return any(step.name == name and step.state == "running" and (name != "install" or "job " in step.detail) for step in row.steps)


@pytest.mark.parametrize("step", ["install", "verify"])
async def test_a_node_that_is_removed_ends_its_update_and_no_more(desk: Desk, step: str) -> None:
    session = await connected(desk)
    async with updating(desk) as service:
        [row] = await service.begin(ADMIN, [session.node], 1, 1)
        await desk.until(row.id, lambda row: at_step("install", row))
        if step == "verify":
            ((job, _),) = await desk.store.jobs.take(None, [session], SystemClock().now(), 10)
            await desk.store.jobs.advance(job.id, "accepted", session, JobEvidence())
            await desk.store.jobs.advance(job.id, "succeeded", session, JobEvidence(ended_at=SystemClock().now(), exit_code=0))
            await desk.until(row.id, lambda row: at_step("verify", row))
        await desk.store.nodes.delete_node(ADMIN, session.node)
        row = await desk.end_of(row.id)
    assert row.error is not None
    assert (row.state, row.error.code, row.error.step) == ("failed", "node.removed", step)


async def test_a_node_that_is_removed_before_its_turn_is_named_so(desk: Desk) -> None:
    session = await connected(desk)

    async def removed(node: NodeId, _timeout_s: float) -> None:
        await desk.store.nodes.delete_node(ADMIN, node)

    async with updating(desk, removed) as service:
        [row] = await service.begin(ADMIN, [session.node], 1, 1)
        row = await desk.end_of(row.id)
    assert (row.state, row.error and row.error.code) == ("failed", "node.removed")


async def test_who_calls_an_update_off_in_the_moment_of_its_turn_ends_nothing_else(desk: Desk) -> None:
    session, other = await connected(desk), asyncio.Event()

    async def called_off(_node: NodeId, _timeout_s: float) -> None:
        row = await desk.store.deployments.deployment(ADMIN, rows[0].id)
        await desk.store.deployments.save_deployment(ADMIN, row._replace(state="cancelled", ended_at=SystemClock().now()))
        other.set()

    async with updating(desk, called_off) as service:
        rows = await service.begin(ADMIN, [session.node], 1, 1)
        async with asyncio.timeout(30):
            await other.wait()
            while service._running:  # noqa: ASYNC110  # a few turns of the loop
                await asyncio.sleep(0.01)
        assert (await desk.store.deployments.deployment(ADMIN, rows[0].id)).state == "cancelled"
