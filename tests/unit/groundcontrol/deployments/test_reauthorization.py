"""The rights of a deployment's owner are checked again when its turn comes; a running one finishes, whatever tags change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncssh
import pytest

from groundcontrol.core.errors import BadRequest, Conflict, NotFound
from groundcontrol.core.ids import NodeId, UserId
from groundcontrol.core.scope import Actor, Grants, Scope
from groundcontrol.deployments.conflicts import TRY_LATER
from groundcontrol.deployments.model import DeploymentOverrides, DeploymentRequest
from groundcontrol.deployments.run import forget_node
from groundcontrol.nodes.model import NewNode
from spider.wire.ids import new_random_id
from tests.support.deployment_desk import ADMIN, LIMITS, Desk, an_account
from tests.support.eventually import eventually
from tests.support.ssh_server import serving

Requests = Callable[..., DeploymentRequest]
WEB = Grants(tags=("web",))


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A server that takes connections and says nothing; the event: it was dialled."""
    dialled = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], dialled


async def an_operator(desk: Desk, *grants: Grants) -> Scope:
    id_ = new_random_id()
    made = an_account(id_, f"op-{id_[:6]}", "operator")._replace(grants=grants[0] if grants else None)
    await desk.store.user_admin.create_user(ADMIN, made)
    return Scope(Actor("user", made.id, made.username, "operator"), 1, grants)


Change = Callable[[Desk, UserId], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "disabled": lambda desk, user: desk.store.user_admin.edit_user(ADMIN, user, role=None, disabled=True, grants=None),
    "a viewer": lambda desk, user: desk.store.user_admin.edit_user(ADMIN, user, role="viewer", disabled=None, grants=None),
    "other nodes": lambda desk, user: desk.store.user_admin.edit_user(ADMIN, user, role=None, disabled=None, grants=Grants(tags=("db",))),
}


@pytest.mark.holds("SAFETY-35", "SAFETY-36", "S-21")
@pytest.mark.parametrize("queue", ["turns", "slots of an address"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_queued_deployment_does_not_start_after_its_user_lost_the_right(
    desk: Desk, request_to: Requests, change: Change, queue: str
) -> None:
    limits = LIMITS._replace(at_once=1) if queue == "turns" else LIMITS._replace(ssh=LIMITS.ssh._replace(at_once=1))
    operator = await an_operator(desk)
    async with silent() as (port, dialled), silent() as (other, dialled_too), desk.running(desk.make(desk.config, limits)) as service:
        first, second = await service.install_many(
            operator, [request_to(port, name="a", tags=("web",)), request_to(other, name="b", tags=("web",))], None
        )
        await eventually(lambda: dialled.is_set() or dialled_too.is_set())  # which comes first is not said
        late = dialled_too
        if late.is_set():
            first, second, late = second, first, dialled
        await change(desk, UserId(operator.actor.id))
        await service.cancel(ADMIN, first.id)
        ended = await desk.end_of(second.id)
        assert not late.is_set()
    assert (ended.state, ended.error and ended.error.code) == ("failed", "deployment.not_allowed")


async def test_a_user_without_rights_is_not_logged_in_after_the_host_key_is_confirmed(desk: Desk, request_to: Requests) -> None:
    operator = await an_operator(desk)
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with serving(key) as (port, seen), desk.running() as service:
        row = await service.install(operator, request_to(port, tags=("web",)), None)
        await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        await CHANGES["disabled"](desk, UserId(operator.actor.id))
        await service.confirm_host_key(ADMIN, row.id, key.get_fingerprint())
        ended = await desk.end_of(row.id)
    assert seen == []
    assert ended.error is not None
    assert (ended.error.code, ended.error.step) == ("deployment.not_allowed", "authenticate")
    assert "did not log in" in ended.error.message


async def test_a_deployment_starts_while_its_user_keeps_the_right(desk: Desk, request_to: Requests) -> None:
    operator, one_by_one = await an_operator(desk), desk.make(desk.config, LIMITS._replace(at_once=1))
    async with silent() as (port, dialled), silent() as (other, dialled_too), desk.running(one_by_one) as service:
        first, _ = await service.install_many(operator, [request_to(port, name="a"), request_to(other, name="b", tags=("web",))], None)
        async with asyncio.timeout(60):
            await dialled.wait()
            await desk.store.user_admin.edit_user(ADMIN, UserId(operator.actor.id), role=None, disabled=None, grants=WEB)
            await service.cancel(ADMIN, first.id)
            await dialled_too.wait()


async def test_a_removal_completes_after_its_node_left_the_users_grants(desk: Desk) -> None:
    operator = await an_operator(desk, WEB)
    node = await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "web-1", "127.0.0.1", ("web",)))
    async with silent() as (port, dialled), desk.running() as service:
        login = DeploymentOverrides(host="127.0.0.1", port=port, username="root", password="x")
        row = await service.remove(operator, node.id, login, force=False)
        async with asyncio.timeout(60):
            await dialled.wait()
        await desk.store.nodes.edit_node(ADMIN, node.id, name=None, tags=("else",))
        assert (await service.cancel(ADMIN, row.id)).state == "cancelled"
        assert service.ready
    told = [(entry.action, entry.actor) for entry in (await desk.store.log.audit(ADMIN, 20)).items]
    assert ("deployment.cancelled", operator.actor.name) in told  # the end is recorded under the name of its owner


async def test_a_server_that_was_cleared_is_forgotten_also_outside_of_the_limit(desk: Desk) -> None:
    operator = await an_operator(desk, WEB)
    node = await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "web-1", "127.0.0.1", ("else",)))
    await forget_node(desk.service._tools, operator, node.id, "the node was removed")
    with pytest.raises(NotFound):
        await desk.store.nodes.node(ADMIN, node.id)


async def test_a_conflict_with_a_hidden_deployment_reveals_nothing(desk: Desk, request_to: Requests) -> None:
    operator = await an_operator(desk, WEB)
    async with silent() as (port, dialled), desk.running() as service:
        running = await service.install(ADMIN, request_to(port, name="hidden-1"), None)
        async with asyncio.timeout(60):
            await dialled.wait()
        same = request_to(port, name="b", tags=("web",))
        with pytest.raises(Conflict) as known:
            await service.install(ADMIN, same, None)
        with pytest.raises(Conflict) as hidden:
            await service.install(operator, same, None)
        with pytest.raises(BadRequest) as many:
            await service.install_many(operator, [same], None)
        await service.cancel(ADMIN, running.id)
    assert known.value.detail == {"deployment": running.id}
    assert (hidden.value.detail, hidden.value.message) == ({}, TRY_LATER)
    assert many.value.detail["servers"] == [{"index": 0, "code": "conflict", "field": "host", "message": TRY_LATER}]
