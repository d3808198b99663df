"""Redeployment of a node, up to the first change of a server (that is tests/system/test_redeploy.py)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import cast

import asyncssh
import pytest

import majortom.interfaces
from groundcontrol.core.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from groundcontrol.core.ids import NodeId
from groundcontrol.deployments import credentials, transitions
from groundcontrol.deployments.errors import CredentialsRequired
from groundcontrol.deployments.model import INSTALL_STEPS, DeploymentOptions, DeploymentOverrides, DeploymentRequest, HostKey, JumpRequest
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.nodes.model import NewNode, Node
from majortom.deployer import MajorTom
from majortom.errors import failure
from majortom.install import InstallOptions, InstallResult, PayloadMaker
from majortom.interfaces import Reporter, Target, VerifySession
from majortom.probe import Probe, parse_probe
from majortom.ssh.connect import describe
from spider.wire.ids import new_random_id
from tests.support.deployment_desk import ADMIN, VIEWER, Desk, Hasty, failing, trouble
from tests.support.join_client import PROBE
from tests.support.some import some
from tests.support.ssh_server import serving

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
    await credentials.save(desk.store.secrets, desk.vault, ADMIN, node.id, request, HostKey(*describe(KEY)))


async def test_a_redeployment_uses_stored_credentials_and_keeps_the_node_on_failure(
    desk: Desk, request_to: Requests, closed_port: int
) -> None:
    node = await a_node(desk)
    await keep(desk, node, request_to(closed_port))
    async with desk.running() as service:
        row = await service.redeploy(ADMIN, node.id, None)
        assert (row.kind, row.node_id, row.name, row.port) == ("install", node.id, "web-1", closed_port)
        assert (row.options.again, row.options.own_policy, row.options.keep_credentials, row.options.tags) == (True, True, True, ("web",))
        row = await desk.end_of(row.id)
        assert row.error is not None
        assert (row.state, row.error.code, row.node_id) == ("failed", "port_closed", node.id)
        assert await desk.store.nodes.find_node(node.id) == node
        # The retry finds the same credentials, also after the memory of the first try is gone.
        service._credentials.forget_all()
        row = await service.retry(ADMIN, row.id, DeploymentOverrides(policy="readonly"))
        assert (row.options.own_policy, row.options.policy, row.name) == (False, "readonly", "web-1")
        row = await desk.end_of(row.id)
        assert (some(row.error).code, row.node_id) == ("port_closed", node.id)
    assert desk.closed == []


async def test_a_redeployment_of_an_earlier_version_finds_its_stored_credentials(
    desk: Desk, request_to: Requests, closed_port: int
) -> None:
    """That version did not store whether the jump host had credentials of its own."""
    node = await a_node(desk)
    gate = JumpRequest(host="127.0.0.1", port=closed_port, username="ops", password="its own")
    await keep(desk, node, request_to(closed_port, jump=gate))
    async with desk.running() as service:
        row = await desk.end_of((await service.redeploy(ADMIN, node.id, None)).id)
        earlier = row.options._replace(jump=some(row.options.jump)._replace(own_login=None))
        await desk.store.deployments.save_deployment(ADMIN, row._replace(options=earlier))
        service._credentials.forget_all()
        row = await service.retry(ADMIN, row.id, None)
        assert some(service._active[row.id].work.request.jump).password == "its own"
        await desk.end_of(row.id)


async def test_missing_credentials_are_required_and_not_stored_by_default(desk: Desk, request_to: Requests, closed_port: int) -> None:
    node = await a_node(desk)
    async with desk.running() as service:
        with pytest.raises(CredentialsRequired):
            await service.redeploy(ADMIN, node.id, None)
        row = await service.redeploy(ADMIN, node.id, DeploymentOverrides(port=closed_port, username="root", password="once"))
        assert not row.options.keep_credentials
        await desk.end_of(row.id)


async def test_stored_credentials_are_not_sent_to_another_server(desk: Desk, request_to: Requests, closed_port: int) -> None:
    node = await a_node(desk)
    await keep(desk, node, request_to(closed_port))
    async with desk.running() as service:
        for elsewhere in (DeploymentOverrides(host="127.0.0.2"), DeploymentOverrides(host_key="SHA256:" + "A" * 43)):
            with pytest.raises(CredentialsRequired):
                await service.redeploy(ADMIN, node.id, elsewhere)
    assert (await desk.store.deployments.deployments(ADMIN, 10)).items == []


async def test_an_impossible_redeployment_is_refused(desk: Desk, request_to: Requests, closed_port: int) -> None:
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


async def test_redeployments_of_a_node_exclude_each_other_and_removals(desk: Desk, request_to: Requests) -> None:
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
    wanted = transitions.new_deployment(
        ADMIN,
        "install",
        INSTALL_STEPS,
        host="h",
        port=22,
        username="u",
        name="web-1",
        options=DeploymentOptions(again=True),
        node=node.id,
        at=1.0,
    )
    await desk.store.deployments.create_deployment(ADMIN, wanted)
    async with desk.running():
        row = await desk.end_of(wanted.id)
    assert (row.state, some(row.error).code, row.node_id) == ("failed", "hub_stopped", node.id)
    assert await desk.store.nodes.find_node(node.id) == node


async def test_a_moved_server_gets_its_new_address(desk: Desk) -> None:
    node = await a_node(desk)
    moved = await desk.store.nodes.move_node(ADMIN, node.id, "10.0.0.9")
    assert (moved.address, moved.id, moved.version) == ("10.0.0.9", node.id, node.version + 1)
    assert await desk.store.nodes.move_node(ADMIN, node.id, "10.0.0.9") == moved
    assert (await desk.store.log.audit(ADMIN, 5)).items[0].action == "node.move"


class Quick:
    """Major Tom on a server where nothing can go wrong; the last write of the deployment waits for `go`."""

    def __init__(self) -> None:
        self.installed = asyncio.Event()
        self.go = asyncio.Event()

    async def install(
        self, _target: Target, _wish: InstallOptions, reporter: Reporter, _payload: PayloadMaker, _verify: VerifySession
    ) -> InstallResult:
        for step in ("connect", "verify"):
            await reporter.started(step)
            await reporter.done(step, "the agent came back")
        self.installed.set()
        await self.go.wait()
        return InstallResult(majortom.interfaces.HostKey(*describe(KEY)), cast("Probe", None))


def play(service: DeploymentService, major: Quick) -> None:
    service._tools = service._tools._replace(major=cast("MajorTom", major))


async def shreddings(desk: Desk) -> list[tuple[str, str]]:
    return [(entry.actor, entry.target) for entry in (await desk.store.log.audit(ADMIN, 50)).items if entry.action == "credential.shred"]


@pytest.mark.parametrize("wish", [None, True, False])
async def test_a_redeployment_shreds_credentials_that_shall_not_be_stored(
    desk: Desk, request_to: Requests, closed_port: int, wish: bool | None
) -> None:
    node = await a_node(desk)
    await keep(desk, node, request_to(closed_port))
    async with desk.running() as service:
        major = Quick()
        major.go.set()
        play(service, major)
        row = await desk.end_of((await service.redeploy(ADMIN, node.id, DeploymentOverrides(keep_credentials=wish))).id)
    assert row.state == "succeeded", row
    kept = await desk.store.secrets.credentials(node.id)
    verify = next(step.detail for step in row.steps if step.name == "verify")
    if wish is False:
        assert kept == []
        assert verify.startswith("the agent came back; the stored credentials are destroyed")
        assert await shreddings(desk) == [("admin", node.id)]
    else:
        assert {"private_key", "way"} <= {record.column for record in kept}
        assert verify == "the agent came back"
        assert await shreddings(desk) == []


async def test_a_failed_redeployment_keeps_the_stored_credentials(desk: Desk, request_to: Requests, closed_port: int) -> None:
    node = await a_node(desk)
    await keep(desk, node, request_to(closed_port))
    async with desk.running() as service:
        row = await desk.end_of((await service.redeploy(ADMIN, node.id, DeploymentOverrides(keep_credentials=False))).id)
    assert row.state == "failed"
    assert len(await desk.store.secrets.credentials(node.id)) > 1
    assert await shreddings(desk) == []


async def test_a_hub_that_was_killed_before_it_shredded_them_does_it_at_its_next_start(
    desk: Desk, request_to: Requests, closed_port: int
) -> None:
    node = await a_node(desk)
    await keep(desk, node, request_to(closed_port))
    row = transitions.new_deployment(
        ADMIN, "install", INSTALL_STEPS, host="10.0.0.9", port=22, username="u", name="web-1",
        options=DeploymentOptions(again=True, keep_credentials=False), node=node.id, at=1.0,
    )  # fmt: skip
    await desk.store.deployments.create_deployment(
        ADMIN, transitions.step_done(transitions.step_started(row, "verify", 2.0), "verify", "", 3.0)
    )
    async with desk.running():
        row = await desk.end_of(row.id)
    assert row.state == "succeeded", row
    assert await desk.store.secrets.credentials(node.id) == []
    assert await shreddings(desk) == [("system", node.id)]
    assert (await desk.store.nodes.node(ADMIN, node.id)).address == "10.0.0.9"


async def test_a_cancel_of_a_completed_redeployment_comes_too_late(desk: Desk, request_to: Requests, closed_port: int) -> None:
    """Until its last write it looks like a running one."""
    async with desk.running() as service:
        major = Quick()
        play(service, major)
        row = await service.install(ADMIN, request_to(closed_port), None)
        await asyncio.wait_for(major.installed.wait(), 30)
        major.go.set()
        work, task = service._active[row.id]
        while not work._installed:  # noqa: ASYNC110  # a few turns of the loop
            await asyncio.sleep(0)
        assert task.cancel()
        row = await desk.end_of(row.id)
    assert row.state == "succeeded", row


@pytest.mark.parametrize("end", ["cancel", "deadline"])
async def test_an_installation_that_ends_while_its_connection_is_closed_has_succeeded(
    desk: Desk, request_to: Requests, closed_port: int, end: str
) -> None:
    class Closing(Quick):
        async def install(
            self, target: Target, wish: InstallOptions, reporter: Reporter, payload: PayloadMaker, verify: VerifySession
        ) -> InstallResult:
            await payload(parse_probe(PROBE))
            some(wish.finished)(majortom.interfaces.HostKey(*describe(KEY)))
            await super().install(target, wish, reporter, payload, verify)
            raise failure("deadline", "verify", minutes="15")

    async with desk.running() as service:
        major = Closing()
        play(service, major)
        row = await service.install(ADMIN, request_to(closed_port), None)
        await asyncio.wait_for(major.installed.wait(), 30)
        if end == "cancel":
            await service.cancel(ADMIN, row.id)
        major.go.set()
        row = await desk.end_of(row.id)
    assert (row.state, row.host_key_confirmed) == ("succeeded", True), row
    assert await desk.store.nodes.node(ADMIN, some(row.node_id))


async def test_a_redeployment_that_ends_during_a_full_disk_is_saved_later(desk: Desk) -> None:
    """Else the hub would say of a node that is there that it failed, or show for ever that it is being deployed."""
    node = await a_node(desk)
    made = trouble(desk, "deployments")
    async with desk.running(desk.make(desk.config)) as service:
        major = Quick()
        play(service, major)
        service._tools = service._tools._replace(clock=Hasty())
        row = await service.redeploy(ADMIN, node.id, DeploymentOverrides(host="127.0.0.2", password="once"))
        await asyncio.wait_for(major.installed.wait(), 30)
        made.commands.add("save_deployment")
        major.go.set()
        await failing(made, 50)
        made.commands.clear()
        row = await desk.end_of(row.id)
        assert (row.state, row.error, row.node_id) == ("succeeded", None, node.id)
        assert (await desk.store.nodes.node(ADMIN, node.id)).address == "127.0.0.2"


async def test_a_failure_while_the_database_is_full_is_saved_once_there_is_room(desk: Desk, request_to: Requests, closed_port: int) -> None:
    made = trouble(desk, "deployments")
    async with desk.running(desk.make(desk.config)) as service:
        service._tools = service._tools._replace(clock=Hasty())
        made.commands.add("save_deployment")
        row = await service.install(ADMIN, request_to(closed_port), None)
        await failing(made, 50)
        with pytest.raises(Unavailable, match="cannot be stored"):
            await service.cancel(ADMIN, row.id)
        with pytest.raises(Conflict, match="running already"):
            await service.install(ADMIN, request_to(closed_port), None)
        made.commands.clear()
        row = await desk.end_of(row.id)
        assert (row.state, some(row.error).code) == ("failed", "hub_failed")
        assert (await service.retry(ADMIN, row.id, None)).state == "running"
