"""An unexpected error in one deployment ends neither the others nor the hub."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from groundcontrol.deployments import transitions
from groundcontrol.deployments.agent_updates import UpdateService
from groundcontrol.deployments.joining import Joining
from groundcontrol.deployments.limits import PATIENCE_S
from groundcontrol.deployments.model import LIVE_REMOVE_STEPS, UPDATE_STEPS, Deployment, DeploymentOptions
from groundcontrol.jobs.service import JobService
from spider.clock import SystemClock
from tests.support.background import cancelled
from tests.support.deployment_desk import ADMIN, Desk, node_with, trouble
from tests.support.eventually import eventually
from tests.support.factories import an_invite, new_deployment, new_node


def logged(caplog: pytest.LogCaptureFixture, name: str) -> bool:
    return any(record.getMessage() == name and record.exc_info for record in caplog.records)


async def stays(desk: Desk, caplog: pytest.LogCaptureFixture, service: UpdateService | Joining, name: str) -> None:
    """Run a service until it has logged the error. It continues."""
    life = asyncio.create_task(service.run())
    await eventually(lambda: logged(caplog, name) or life.done())
    await asyncio.sleep(0)
    assert not life.done(), "the error has ended the service"
    await cancelled(life)


def updates(desk: Desk) -> UpdateService:
    async def online(_node: object, _timeout_s: float) -> None:
        """Every node is online."""

    orders = JobService(desk.store, desk.bus, SystemClock(), 10)
    return UpdateService(desk.store, desk.bus, SystemClock(), desk.bundle, orders.new_selfcare, online, PATIENCE_S, 0.05)


async def unfinished(desk: Desk, kind: str, name: str = "web-1") -> Deployment:
    """A deployment that a killed hub left open."""
    steps = UPDATE_STEPS if kind == "update" else LIVE_REMOVE_STEPS
    row = transitions.new_deployment(
        ADMIN, cast("Any", kind), steps, host="127.0.0.1", port=0, username="", name=name, options=DeploymentOptions(),
        node=await node_with(desk, None, name), at=SystemClock().now(),
    )  # fmt: skip
    return await desk.store.deployments.create_deployment(ADMIN, row)


async def test_an_error_in_one_update_ends_no_other(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    trouble(desk, "jobs", "open_jobs").error = RuntimeError("a bug")
    service = updates(desk)
    life = asyncio.create_task(service.run())
    await service.ready.wait()
    await service.begin(ADMIN, [await node_with(desk, None)], 1, 1)
    await eventually(lambda: logged(caplog, "update_crashed") or life.done())
    await asyncio.sleep(0)
    assert not life.done(), "the error has ended the service"
    assert not service._running, "the node can be updated again"
    await cancelled(life)


async def test_an_error_in_an_update_of_an_earlier_start_ends_no_other(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    await unfinished(desk, "update")
    trouble(desk, "deployments", "save_deployment").error = RuntimeError("a bug")
    await stays(desk, caplog, updates(desk), "update_crashed")


@pytest.mark.parametrize("kind", ["install", "remove"])
async def test_an_error_in_a_deployment_of_a_killed_hub_does_not_stop_the_next_one(
    desk: Desk, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    if kind == "install":
        await desk.store.deployments.create_deployment(ADMIN, new_deployment(SystemClock().now()))
        trouble(desk, "deployments", "save_deployment").error = RuntimeError("a bug")
    else:
        await unfinished(desk, "remove")
        trouble(desk, "nodes", "find_node").error = RuntimeError("a bug")
    async with desk.running(desk.make(desk.config)) as service:
        await eventually(lambda: logged(caplog, "deployment_not_closed" if kind == "install" else "deployment_crashed"))
        assert service.ready


async def test_an_error_in_one_join_ends_no_other(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    invite = await desk.store.invites.create_invite(ADMIN, an_invite(SystemClock().now()))
    await desk.store.invites.use_invite(invite.id, ADMIN, new_node())

    async def fails(_node: object, _timeout_s: float) -> None:
        raise RuntimeError("a bug")

    unused = cast("Any", None)
    joining = Joining(
        store=desk.store, bus=desk.bus, clock=SystemClock(), refusals=unused, fleet_id="", fleet_key=b"", hub=unused, hosts=frozenset(),
        spider=unused, address_key_of=unused, wait_online=fails, close=unused,
    )  # fmt: skip
    await stays(desk, caplog, joining, "join_not_settled")
