"""Deploying a node again, up to the point where a server would be changed (that is tests/system/test_redeploy.py)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import asyncssh
import pytest

from groundcontrol.deployments import credentials, rows
from groundcontrol.domain.deployments import INSTALL_STEPS, DeploymentOverrides, DeploymentRequest, HostKey, Wishes
from groundcontrol.domain.ids import NodeId
from groundcontrol.domain.nodes import NewNode, Node
from groundcontrol.errors import BadRequest, Conflict, CredentialsRequired, Forbidden, NotFound
from majortom.connect import describe
from spider.wire.ids import new_random_id
from tests.unit.groundcontrol.deployments.conftest import ADMIN, VIEWER, Desk
from tests.unit.majortom.ssh_server import serving

KEY = asyncssh.generate_private_key("ssh-ed25519")
Requests = Callable[..., DeploymentRequest]


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def a_node(desk: Desk, *, simulated: bool = False) -> Node:
    return await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "web-1", "127.0.0.1", ("web",), simulated))


async def keep(desk: Desk, node: Node, request: DeploymentRequest) -> None:
    await credentials.keep(desk.store.secrets, desk.vault, ADMIN, node.id, request, HostKey(*describe(KEY)))


async def test_it_logs_in_with_what_is_kept_and_the_node_stays_when_it_fails(desk: Desk, request_to: Requests, closed_port: int) -> None:
    node = await a_node(desk)
    await keep(desk, node, request_to(closed_port))
    async with desk.running() as service:
        row = await service.redeploy(ADMIN, node.id, None)
        assert (row.kind, row.node_id, row.name, row.port) == ("install", node.id, "web-1", closed_port)
        assert (row.wishes.again, row.wishes.own_policy, row.wishes.keep_credentials, row.wishes.tags) == (True, True, True, ("web",))
        row = await desk.end_of(row.id)
        assert row.error is not None
        assert (row.state, row.error.code, row.node_id) == ("failed", "port_closed", node.id)
        assert await desk.store.nodes.find_node(node.id) == node
        # The retry finds the same credentials, also after the memory of the first try is gone.
        service._remembered.clear()
        row = await service.retry(ADMIN, row.id, DeploymentOverrides(policy="readonly"))
        assert (row.wishes.own_policy, row.wishes.policy, row.name) == (False, "readonly", "web-1")
        row = await desk.end_of(row.id)
        assert row.error is not None
        assert (row.error.code, row.node_id) == ("port_closed", node.id)
    assert desk.closed == []


async def test_without_credentials_they_are_asked_for_and_not_kept_unasked(desk: Desk, request_to: Requests, closed_port: int) -> None:
    node = await a_node(desk)
    async with desk.running() as service:
        with pytest.raises(CredentialsRequired):
            await service.redeploy(ADMIN, node.id, None)
        row = await service.redeploy(ADMIN, node.id, DeploymentOverrides(port=closed_port, username="root", password="once"))
        assert not row.wishes.keep_credentials
        await desk.end_of(row.id)


async def test_nothing_kept_is_sent_to_another_server(desk: Desk, request_to: Requests, closed_port: int) -> None:
    node = await a_node(desk)
    await keep(desk, node, request_to(closed_port))
    async with desk.running() as service:
        for elsewhere in (DeploymentOverrides(host="127.0.0.2"), DeploymentOverrides(host_key="SHA256:" + "A" * 43)):
            with pytest.raises(CredentialsRequired):
                await service.redeploy(ADMIN, node.id, elsewhere)
    assert (await desk.store.deployments.deployments(ADMIN, 10)).items == []


async def test_it_is_refused_where_it_cannot_be_meant(desk: Desk, request_to: Requests, closed_port: int) -> None:
    node = await a_node(desk)
    await keep(desk, node, request_to(closed_port))
    async with desk.running() as service:
        with pytest.raises(Forbidden):
            await service.redeploy(VIEWER, node.id, None)
        with pytest.raises(NotFound):
            await service.redeploy(ADMIN, NodeId(new_random_id()), None)
        with pytest.raises(BadRequest):
            await service.redeploy(ADMIN, node.id, DeploymentOverrides(tags=("db",)))
        made_up = await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "sim", "10.0.0.1", (), simulated=True))
        with pytest.raises(Conflict):
            await service.redeploy(ADMIN, made_up.id, None)


async def test_one_at_a_time_and_none_beside_a_removal(desk: Desk, request_to: Requests) -> None:
    node = await a_node(desk)
    async with serving(asyncssh.generate_private_key("ssh-ed25519")) as (port, _), desk.running() as service:
        given = DeploymentOverrides(port=port, username="root", password="once")
        row = await service.redeploy(ADMIN, node.id, given)
        await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        assert (await service.redeploy(ADMIN, node.id, given)).id == row.id
        with pytest.raises(Conflict):
            await service.remove(ADMIN, node.id, given, force=False)
        assert (await service.cancel(ADMIN, row.id)).node_id == node.id
        removal = await service.remove(ADMIN, node.id, given, force=False)
        await desk.until(removal.id, lambda row: row.state == "awaiting_host_key")
        with pytest.raises(Conflict):
            await service.redeploy(ADMIN, node.id, given)
        with pytest.raises(Conflict):
            await service.retry(ADMIN, row.id, given)
        await service.cancel(ADMIN, removal.id)


async def test_a_hub_that_was_killed_leaves_the_node(desk: Desk) -> None:
    node = await a_node(desk)
    wanted = rows.new_deployment(
        ADMIN, "install", INSTALL_STEPS, host="h", port=22, username="u", name="web-1", wishes=Wishes(again=True), node=node.id, at=1.0
    )
    await desk.store.deployments.create_deployment(ADMIN, wanted)
    async with desk.running():
        row = await desk.end_of(wanted.id)
    assert row.error is not None
    assert (row.state, row.error.code, row.node_id) == ("failed", "hub_stopped", node.id)
    assert await desk.store.nodes.find_node(node.id) == node


async def test_a_server_that_has_moved_is_known_by_its_new_address(desk: Desk) -> None:
    node = await a_node(desk)
    moved = await desk.store.nodes.move_node(ADMIN, node.id, "10.0.0.9")
    assert (moved.address, moved.id, moved.version) == ("10.0.0.9", node.id, node.version + 1)
    assert await desk.store.nodes.move_node(ADMIN, node.id, "10.0.0.9") == moved
    assert (await desk.store.log.audit(ADMIN, 5)).items[0].action == "node.move"
