"""Identical requests by several users at the same moment: one deployment starts, and all of them get it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncssh
import pytest

from groundcontrol.core.errors import Conflict, Unavailable
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.deployments.model import Deployment, DeploymentOverrides, DeploymentRequest
from groundcontrol.nodes.model import NewNode
from spider.wire.ids import new_random_id
from tests.support.deployment_desk import ADMIN, Desk, hanging, node_with
from tests.support.live_removal import played
from tests.support.some import some
from tests.support.ssh_server import serving

PEOPLE = 6
KEY = asyncssh.generate_private_key("ssh-ed25519")
Requests = Callable[..., DeploymentRequest]


async def all_at_once(ask: Callable[[], Awaitable[Deployment]]) -> tuple[list[Deployment], list[Conflict]]:
    """What they were given, and what they were refused."""
    answers = await asyncio.gather(*(ask() for _ in range(PEOPLE)), return_exceptions=True)
    given = [answer for answer in answers if isinstance(answer, Deployment)]
    refused = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(given) + len(refused) == PEOPLE, [answer for answer in answers if not isinstance(answer, Deployment | Conflict)]
    return given, refused


async def begun(desk: Desk) -> int:
    return len((await desk.store.deployments.deployments(ADMIN, 100)).items)


async def test_of_concurrent_installations_of_a_server_one_begins(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, _), desk.running() as service:
        given, refused = await all_at_once(lambda: service.install(ADMIN, request_to(port), None))
        assert (len(given), len(refused)) == (1, PEOPLE - 1)
        assert all(conflict.detail["deployment"] == given[0].id for conflict in refused)
        assert await begun(desk) == 1


async def test_a_repeated_request_for_many_is_begun_once(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, _), desk.running() as service:
        answers = await asyncio.gather(*(service.install_many(ADMIN, [request_to(port)], "k") for _ in range(PEOPLE)))
        assert len({row.id for rows in answers for row in rows}) == 1
        assert await begun(desk) == 1


async def test_of_concurrent_retries_one_begins(desk: Desk, request_to: Requests) -> None:
    """A late caller neither begins the same row again, nor takes it from the caller that has begun it."""
    async with serving(KEY) as (port, _), desk.running() as service:
        row = await service.install(ADMIN, request_to(port), None)
        await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        await service.cancel(ADMIN, row.id)
        for _ in range(5):
            given, refused = await all_at_once(lambda: service.retry(ADMIN, row.id, None))
            assert (len(given), len(refused)) == (1, PEOPLE - 1)
            await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
            with pytest.raises(Conflict, match="running already"):
                await service.install(ADMIN, request_to(port), None)
            assert (await service.cancel(ADMIN, row.id)).state == "cancelled"


async def test_a_retry_names_the_retry_that_began_since_it_read_the_deployment(desk: Desk, request_to: Requests) -> None:
    """The other retry has taken the cached credentials, but the lack of credentials is not the reason of the refusal."""
    slow = hanging(desk, "deployments", "deployment", done_first=True)
    slow.commands.clear()
    async with serving(KEY) as (port, _), desk.running(desk.make(desk.config)) as service:
        row = await service.install(ADMIN, request_to(port), None)
        await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        await service.cancel(ADMIN, row.id)
        slow.commands.add("deployment")
        late = asyncio.ensure_future(service.retry(ADMIN, row.id, None))
        await slow.reached.wait()
        slow.commands.clear()
        await service.retry(ADMIN, row.id, None)
        slow.answers.set()
        with pytest.raises(Conflict, match="another request has retried it meanwhile"):
            await late


@pytest.mark.parametrize("way", ["redeploy", "remove"])
async def test_concurrent_deployments_of_a_node_become_one(desk: Desk, way: str) -> None:
    node = await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "web-1", "127.0.0.1"))
    async with serving(KEY) as (port, _), desk.running() as service:
        fields = DeploymentOverrides(port=port, username="root", password="once")

        async def ask() -> Deployment:
            if way == "redeploy":
                return await service.redeploy(ADMIN, node.id, fields)
            return await service.remove(ADMIN, node.id, fields, force=False)

        given, refused = await all_at_once(ask)
        assert len({row.id for row in given}) == 1
        assert refused == []
        assert await begun(desk) == 1
        await desk.until(given[0].id, lambda row: row.state == "awaiting_host_key")
        assert (await service.cancel(ADMIN, given[0].id)).state == "cancelled"


@pytest.mark.parametrize("call", ["cancel", "confirm"])
async def test_a_request_that_read_the_deployment_before_it_was_cancelled_gets_the_true_answer(
    desk: Desk, request_to: Requests, call: str
) -> None:
    slow = hanging(desk, "deployments", "deployment", done_first=True)
    slow.commands.clear()
    async with serving(KEY) as (port, _), desk.running(desk.make(desk.config)) as service:
        row = await service.install(ADMIN, request_to(port), None)
        row = await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        slow.commands.add("deployment")
        late = asyncio.ensure_future(
            service.cancel(ADMIN, row.id) if call == "cancel" else service.confirm_host_key(ADMIN, row.id, some(row.host_key).fingerprint)
        )
        await slow.reached.wait()
        slow.commands.clear()
        await service.cancel(ADMIN, row.id)
        slow.answers.set()
        if call == "cancel":
            assert (await late).state == "cancelled"
        else:
            with pytest.raises(Conflict, match="no longer waits for the host key"):
                await late


@pytest.mark.parametrize("way", ["redeploy", "remove"])
async def test_a_request_without_credentials_gets_the_deployment_that_another_one_began_meanwhile(desk: Desk, way: str) -> None:
    node = await node_with(desk, None)
    slow = hanging(desk, "deployments", "deployments", done_first=True)
    async with serving(KEY) as (port, _), desk.running(desk.make(desk.config)) as service:
        fields = DeploymentOverrides(port=port, username="root", password="once")

        async def ask(given: DeploymentOverrides | None) -> Deployment:
            return await (service.redeploy(ADMIN, node, given) if way == "redeploy" else service.remove(ADMIN, node, given, force=False))

        late = asyncio.ensure_future(ask(None))
        await slow.reached.wait()
        slow.commands.clear()
        row = await ask(fields)
        slow.answers.set()
        assert (await late).id == row.id
        await service.cancel(ADMIN, row.id)


async def test_during_the_order_of_a_removal_another_removal_is_the_same_one_and_a_redeployment_is_refused(desk: Desk) -> None:
    node = await played(desk)
    slow = hanging(desk, "deployments", "create_deployment", done_first=True)
    async with desk.running(desk.make(desk.config)) as service:
        first = asyncio.ensure_future(service.remove(SYSTEM, node.id, None, force=False))
        await slow.reached.wait()
        second = asyncio.ensure_future(service.remove(SYSTEM, node.id, None, force=False))
        other = asyncio.ensure_future(service.redeploy(SYSTEM, node.id, DeploymentOverrides(port=1, username="root", password="once")))
        await asyncio.wait([second, other], timeout=0.2)
        slow.answers.set()
        assert (await second).id == (await first).id
        with pytest.raises(Conflict, match="web-1 is being removed"):
            await other
        assert await begun(desk) == 1


async def test_a_deployment_that_is_stored_while_the_hub_stops_is_closed_by_the_next_start(desk: Desk, request_to: Requests) -> None:
    slow = hanging(desk, "deployments", "create_deployment", done_first=True)
    async with desk.running(desk.make(desk.config)) as service:
        late = asyncio.ensure_future(service.install(ADMIN, request_to(22), None))
        await slow.reached.wait()
        await service.close()
        slow.answers.set()
        with pytest.raises(Unavailable, match="starting or stopping"):
            await late
    [row] = (await desk.store.deployments.deployments(ADMIN, 10)).items
    async with desk.running():
        ended = await desk.end_of(row.id)
    assert some(ended.error).code == "hub_stopped"
