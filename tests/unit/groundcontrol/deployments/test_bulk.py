"""Many servers in one request: all or none are started, a limited number at a time, and one confirmation covers what was shown."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

import asyncssh
import pytest

from groundcontrol.core.errors import BadRequest, Forbidden, IdempotencyMismatch, Unavailable
from groundcontrol.core.ids import DeploymentId
from groundcontrol.deployments.limits import Slot
from groundcontrol.deployments.model import Confirmation, DeploymentOverrides, DeploymentRequest, JumpRequest
from groundcontrol.nodes.model import NewNode
from majortom.ssh.connect import describe
from spider.wire.ids import new_random_id
from tests.support.deployment_desk import ADMIN, LIMITS, VIEWER, Desk
from tests.support.some import some
from tests.support.ssh_server import jumping, serving

KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ssh-ed25519")
Requests = Callable[..., DeploymentRequest]


def faults(caught: pytest.ExceptionInfo[BadRequest]) -> list[tuple[object, ...]]:
    told = caught.value.detail["servers"]
    assert isinstance(told, list)
    return [(one["index"], one["code"], one["field"]) for one in told]


async def test_each_server_gets_its_own_deployment_in_list_order(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (one, _), serving(OTHER) as (two, _), desk.running() as service:
        wanted = [request_to(one, name="b"), request_to(two, name="a")]
        made = await service.install_many(ADMIN, wanted, "k-1")
        assert [row.name for row in made] == ["b", "a"]
        assert len({row.batch for row in made}) == 1
        again = await service.install_many(ADMIN, wanted, "k-1")
        assert [row.id for row in again] == [row.id for row in made]
        with pytest.raises(IdempotencyMismatch):
            await service.install_many(ADMIN, [replace(wanted[0], name="c"), wanted[1]], "k-1")
        page = await desk.store.deployments.deployments(ADMIN, 10, batch=made[0].batch)
        assert [row.id for row in page.items] == [made[1].id, made[0].id]

        shown = [await desk.until(row.id, lambda row: row.state == "awaiting_host_key") for row in made]
        right = [Confirmation(row.id, row.host_key.fingerprint) for row in shown if row.host_key]
        nobody = DeploymentId(new_random_id())
        done, refused = await service.confirm_host_keys(
            ADMIN, [right[0], Confirmation(made[1].id, right[0].fingerprint), Confirmation(nobody, right[0].fingerprint)]
        )
        assert [row.id for row in done] == [made[0].id]
        assert [(one.deployment, one.code) for one in refused] == [(made[1].id, "deployment.host_key_mismatch"), (nobody, "not_found")]
        assert (await desk.end_of(made[0].id)).error is not None
        assert (await desk.store.deployments.deployment(ADMIN, made[1].id)).state == "awaiting_host_key"


async def test_one_invalid_server_refuses_the_whole_list(desk: Desk, request_to: Requests) -> None:
    await desk.store.nodes.create_node(ADMIN, NewNode(new_random_id(), "Taken", "192.0.2.1", ()))  # type: ignore[arg-type]  # an id
    async with desk.running() as service:
        wanted = [
            request_to(22), request_to(22, name="twice"), request_to(23, name="taken"), request_to(24, username=""),
            request_to(25, host="169.254.169.254"), request_to(26, name="127.0.0.1"), request_to(27, name="fine"),
        ]  # fmt: skip
        with pytest.raises(BadRequest) as caught:
            await service.install_many(ADMIN, wanted, None)
        assert faults(caught) == [
            (1, "duplicate", "host"), (2, "conflict", "name"), (3, "request.invalid", "username"),
            (4, "deployment.target_not_allowed", "host"), (5, "duplicate", "name"),
        ]  # fmt: skip
        assert "5 servers of 7" in caught.value.message
        assert not (await desk.store.deployments.deployments(ADMIN, 10)).items
        for nothing in ([], [request_to(22)] * 201):
            with pytest.raises(BadRequest):
                await service.install_many(ADMIN, nothing, None)
        with pytest.raises(Forbidden):
            await service.install_many(VIEWER, wanted, None)


async def test_deployments_above_the_limit_are_refused_together(desk: Desk, request_to: Requests) -> None:
    async with desk.running(desk.make(desk.config, LIMITS._replace(open=2))) as service:
        with pytest.raises(Unavailable):
            await service.install_many(ADMIN, [request_to(port, name=f"n{port}") for port in (22, 23, 24)], None)
        assert not (await desk.store.deployments.deployments(ADMIN, 10)).items


async def test_a_repeated_request_uses_no_slot(desk: Desk, request_to: Requests) -> None:
    """A client that lost the response retries with the same key, while the hub is full with what it began."""
    small = desk.make(desk.config, LIMITS._replace(open=2))
    async with serving(KEY) as (one, _), serving(OTHER) as (two, _), desk.running(small) as service:
        wanted = [request_to(one, name="a"), request_to(two, name="b")]
        made = await service.install_many(ADMIN, wanted, "k-1")
        assert [row.id for row in await service.install_many(ADMIN, wanted, "k-1")] == [row.id for row in made]
        with pytest.raises(Unavailable):
            await service.install_many(ADMIN, [request_to(22, name="c")], "k-2")


async def test_a_deployment_that_awaits_confirmation_blocks_no_other(desk: Desk, request_to: Requests) -> None:
    """One at work at a time: all the same every fingerprint comes to be shown."""
    service = desk.make(desk.config, LIMITS._replace(at_once=1))
    async with contextlib.AsyncExitStack() as stack:
        ports = [(await stack.enter_async_context(serving(KEY)))[0] for _ in range(4)]
        await stack.enter_async_context(desk.running(service))
        made = await service.install_many(ADMIN, [request_to(port, name=f"n{port}") for port in ports], None)
        for row in made:
            await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        fingerprint = describe(KEY).fingerprint
        done, refused = await service.confirm_host_keys(ADMIN, [Confirmation(row.id, fingerprint) for row in made])
        assert (len(done), refused) == (4, [])
        ended = [await desk.end_of(row.id) for row in made]
        assert {row.error.code for row in ended if row.error} == {"key_rejected"}


async def test_all_host_keys_behind_one_jump_host_are_shown(desk: Desk, request_to: Requests) -> None:
    """More than the limit on simultaneous log-ins: waiting for a user takes none of those places."""
    gate = asyncssh.generate_private_key("ssh-ed25519")
    async with contextlib.AsyncExitStack() as stack:
        jump, _ = await stack.enter_async_context(jumping(gate))
        ports = [(await stack.enter_async_context(serving(KEY)))[0] for _ in range(10)]
        service = await stack.enter_async_context(desk.running())
        way = JumpRequest(host="127.0.0.1", port=jump, username="admin", password="right", host_key=describe(gate).fingerprint)
        made = await service.install_many(ADMIN, [request_to(port, name=f"n{port}", jump=way) for port in ports], None)
        for row in made:
            shown = await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
            assert some(shown.host_key).host == ""


@pytest.mark.holds("S-57")
async def test_a_retry_may_omit_the_jump_host_and_its_credentials(desk: Desk, request_to: Requests) -> None:
    gate = asyncssh.generate_private_key("ssh-ed25519")
    async with jumping(gate) as (jump, at_jump), serving(KEY) as (port, seen), desk.running() as service:
        way = JumpRequest(host="127.0.0.1", port=jump, username="admin", password="wrong", host_key=describe(gate).fingerprint)
        row = await service.install(ADMIN, request_to(port, jump=way), None)
        row = await desk.end_of(row.id)
        assert row.error is not None
        at_jump.clear()
        with pytest.raises(Exception, match="another server than before"):
            await service.retry(ADMIN, row.id, DeploymentOverrides(direct=True))
        given = DeploymentOverrides(direct=True, password="right", host_key=describe(KEY).fingerprint)
        await service.retry(ADMIN, row.id, given)
        row = await desk.end_of(row.id)
        assert row.options.jump is None
        assert (at_jump, [line for line in seen if line.startswith("password")]) == ([], ["password root"])


async def test_a_list_is_checked_against_known_nodes_and_policy(desk: Desk) -> None:
    await desk.store.nodes.create_node(ADMIN, NewNode(new_random_id(), "web-1", "192.0.2.1", ()))  # type: ignore[arg-type]  # an id
    reading = await desk.service.preview(ADMIN, "WEB-1\n169.254.169.254\n127.0.0.1\n0.0.0.0:x", "auto")
    assert [[problem.code for problem in one.problems] for one in reading.servers] == [
        ["name_taken"],
        ["target_not_allowed"],
        [],
        ["port_invalid"],
    ]
    ways = "host,jump\n\uff11\uff16\uff19.254.169.254,\n127.0.0.1,169.254.169.254\n169.254.169.254,127.0.0.1\nweb-9,127.0.0.1"
    reading = await desk.service.preview(ADMIN, ways, "auto")
    assert [[(problem.code, problem.field) for problem in one.problems] for one in reading.servers] == [
        [("target_not_allowed", field)] for field in ("host", "jump", "host", "host")
    ]
    with pytest.raises(Forbidden):
        await desk.service.preview(VIEWER, "web-2", "auto")


async def test_a_slot_is_released_after_every_error() -> None:
    places = asyncio.Semaphore(1)
    with contextlib.suppress(TimeoutError):
        async with Slot(places) as turn, turn.yielded():
            assert not places.locked()
            raise TimeoutError
    assert not places.locked()
    async with Slot(places) as turn:
        async with turn.yielded():
            await asyncio.wait_for(places.acquire(), 30)
            waiting = asyncio.create_task(places.acquire())
            await asyncio.sleep(0)
            waiting.cancel()
            places.release()
        assert places.locked()
    assert not places.locked()
