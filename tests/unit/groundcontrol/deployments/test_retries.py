"""Retries of a deployment: what is kept, what is asked for again, and that no credential goes to another server."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import asyncssh
import pytest

from groundcontrol.core.errors import Conflict
from groundcontrol.core.ids import DeploymentId
from groundcontrol.deployments.errors import CredentialsRequired, JumpCredentialsRequired
from groundcontrol.deployments.model import Deployment, DeploymentOptions, DeploymentOverrides, DeploymentRequest, Earlier, JumpRequest
from groundcontrol.deployments.service import DeploymentService
from majortom.ssh.connect import describe
from tests.support.deployment_desk import ADMIN, KEY, LIMITS, Config, Desk, Requests, node_with
from tests.support.eventually import eventually
from tests.support.some import some
from tests.support.ssh_server import jumping, serving


async def confirmed(desk: Desk, service: DeploymentService, request: DeploymentRequest) -> Deployment:
    """A finished deployment whose host key was confirmed and whose log-in was refused."""
    row = await service.install(ADMIN, request, None)
    await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
    await service.confirm_host_key(ADMIN, row.id, KEY.get_fingerprint())
    return await desk.end_of(row.id)


async def test_a_retry_takes_the_fields_that_are_given_again(desk: Desk, request_to: Requests, closed_port: int, key_text: str) -> None:
    async with serving(KEY) as (port, seen), desk.running() as service:
        row = await service.install(ADMIN, request_to(closed_port, host_key=KEY.get_fingerprint(), name="a"), None)
        await desk.end_of(row.id)
        anew = DeploymentOverrides(port=port, username="ops", host_key=KEY.get_fingerprint(), private_key=key_text)
        again = await service.retry(ADMIN, row.id, anew)
        assert (again.id, again.state, again.port, again.username, again.error) == (row.id, "running", port, "ops", None)
        row = await desk.end_of(row.id)
    assert some(row.error).code == "key_rejected"
    assert seen[0] == "begin ops"


async def test_a_confirmed_host_key_counts_for_the_retry(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, seen), desk.running() as service:
        row = await confirmed(desk, service, request_to(port))
        seen.clear()
        await service.retry(ADMIN, row.id, None)
        row = await desk.end_of(row.id)
        assert row.options.earlier == Earlier(1, "authenticate", "nothing", ("host_key",))
        row = await service.retry(ADMIN, row.id, None)
        assert row.options.earlier == Earlier(2, "authenticate", "nothing", ("host_key",))
        row = await desk.end_of(row.id)
    assert some(row.error).code == "key_rejected"
    assert seen


async def test_a_retry_after_a_restart_needs_the_secrets_again(desk: Desk, request_to: Requests, closed_port: int) -> None:
    async with desk.running() as service:
        row = await service.install(ADMIN, request_to(closed_port), None)
        await desk.end_of(row.id)
    async with desk.running(desk.make(Config())) as service:
        with pytest.raises(CredentialsRequired):
            await service.retry(ADMIN, row.id, None)
        with pytest.raises(CredentialsRequired):
            await service.retry(ADMIN, row.id, DeploymentOverrides(sudo_password="x"))
        await service.retry(ADMIN, row.id, DeploymentOverrides(password="x"))
        row = await desk.end_of(row.id)
    assert some(row.error).code == "port_closed"


async def test_one_log_in_retries_all_that_a_killed_hub_has_none_for(desk: Desk, request_to: Requests, closed_port: int) -> None:
    async with desk.running() as service:
        rows = [await service.install(ADMIN, request_to(closed_port, host=f"127.0.0.{n}"), None) for n in (1, 2)]
        for row in rows:
            await desk.end_of(row.id)
    async with desk.running(desk.make(Config())) as service:
        ids = [row.id for row in rows]
        retried, refused = await service.retry_many(ADMIN, ids, DeploymentOverrides())
        assert ([*retried], [(one, error.code) for one, error in refused]) == ([], [(one, "credentials_required") for one in ids])
        retried, refused = await service.retry_many(ADMIN, ids, DeploymentOverrides(password="x"))
        assert ([row.id for row in retried], [*refused]) == (ids, [])
        for one in ids:
            row = await desk.end_of(one)
            assert row.error is not None
            assert (row.error.code, row.options.earlier is not None) == ("port_closed", True)
        retried, refused = await service.retry_many(ADMIN, ids, None)
        assert len(retried) == 2, refused  # the log-in that was typed is in memory again
        for one in ids:
            await desk.end_of(one)


@pytest.mark.parametrize(("own", "had"), [(True, "had"), (None, "may have had")], ids=["own", "stored by an earlier version"])
async def test_a_jump_host_with_its_own_log_in_never_gets_that_of_the_server(
    desk: Desk, request_to: Requests, closed_port: int, own: bool | None, had: str
) -> None:
    gate = asyncssh.generate_private_key("ssh-ed25519")
    async with jumping(gate) as (port, at_jump):
        way = JumpRequest(host="127.0.0.1", port=port, username="admin", password="wrong", host_key=describe(gate).fingerprint)
        async with desk.running() as service:
            row = await service.install(ADMIN, request_to(closed_port, jump=way), None)
            row = await desk.end_of(row.id)
        jump = some(row.options.jump)
        assert (jump.own_login, some(row.error).at_jump_host) == (True, True)
        await desk.store.deployments.save_deployment(ADMIN, row._replace(options=row.options._replace(jump=jump._replace(own_login=own))))
        at_jump.clear()
        async with desk.running(desk.make(Config())) as service:
            same = JumpRequest(host="127.0.0.1", port=port)
            for given in (None, DeploymentOverrides(password="x"), DeploymentOverrides(password="x", jump=same)):
                with pytest.raises(JumpCredentialsRequired, match=f" {had} a log-in of its own") as refused:
                    await service.retry(ADMIN, row.id, given)
                assert refused.value.detail["jump"] == {"host": "127.0.0.1", "port": port, "username": "admin"}
            of_another = DeploymentOverrides(password="x", jumps=(JumpRequest(host="127.0.0.2", port=port, password="right"),))
            _, ((_, left),) = await service.retry_many(ADMIN, [row.id], of_another)
            assert (left.code, at_jump) == ("deployment.jump_credentials_required", [])
            given = DeploymentOverrides(password="x", jumps=(*of_another.jumps, replace(same, password="right")))
            assert len((await service.retry_many(ADMIN, [row.id], given))[0]) == 1
            row = await desk.end_of(row.id)
            assert (at_jump[:2], some(row.options.jump).own_login) == (["begin admin", "password admin"], True)


WISHES: dict[str, Any] = {
    "name": "web-1", "tags": ("edge", "eu"), "host_key": "SHA256:" + "A" * 43, "keep_credentials": False, "install_python": True,
    "policy": "monitor",
}  # fmt: skip


async def test_given_credentials_are_forgotten_after_their_time(desk: Desk, request_to: Requests, closed_port: int) -> None:
    async with desk.running(desk.make(desk.config, LIMITS._replace(remember_s=0.3))) as service:
        rows = [await service.install(ADMIN, request_to(closed_port, host=f"127.0.0.{n}"), None) for n in (1, 2)]
        for row in rows:
            await desk.end_of(row.id)
        await eventually(lambda: not len(service._credentials) and not service._active)
        with pytest.raises(CredentialsRequired):
            await service.retry(ADMIN, rows[0].id, None)


@pytest.mark.parametrize("lost", ["restart", "time", "room"])
async def test_a_retry_repeats_the_original_request(desk: Desk, request_to: Requests, closed_port: int, lost: str) -> None:
    """Also when the hub was restarted, or the fields have left its memory: only the secrets are given again."""
    limits = LIMITS._replace(remember_s=0.0 if lost == "time" else 900.0, remembered=0 if lost == "room" else 64)
    asked = request_to(closed_port, username="ops", sudo_password="s", **WISHES)
    async with desk.running(desk.make(desk.config, limits)) as service:
        row = await desk.end_of((await service.install(ADMIN, asked, None)).id)
        if lost != "restart":
            await given_again(desk, service, row, asked)
    if lost == "restart":
        async with desk.running(desk.make(desk.config, limits)) as service:
            await given_again(desk, service, row, asked)


async def given_again(desk: Desk, service: DeploymentService, row: Deployment, asked: DeploymentRequest) -> None:
    with pytest.raises(CredentialsRequired):
        await service.retry(ADMIN, row.id, None)
    await service.retry(ADMIN, row.id, DeploymentOverrides(private_key=asked.private_key))
    assert service._active[row.id].work.request == replace(asked, sudo_password=None)
    await desk.end_of(row.id)


async def test_options_given_with_a_retry_are_stored_for_the_next(desk: Desk, request_to: Requests, closed_port: int) -> None:
    async with desk.running() as service:
        row = await desk.end_of((await service.install(ADMIN, request_to(closed_port, **WISHES), None)).id)
        given = DeploymentOverrides(policy="readonly", tags=(), keep_credentials=True, install_python=False)
        await service.retry(ADMIN, row.id, given)
        row = await desk.end_of(row.id)
    assert row.options._replace(earlier=None) == DeploymentOptions(
        (), WISHES["host_key"], keep_credentials=True, install_python=False, policy="readonly"
    )


async def test_a_confirmed_host_key_counts_after_a_restart(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, _), desk.running() as service:
        row = await confirmed(desk, service, request_to(port))
    other = asyncssh.generate_private_key("ssh-ed25519")
    given = DeploymentOverrides(password="x")
    async with serving(KEY) as (same, seen), serving(other) as (changed, untried):
        for port, code in ((same, "password_rejected"), (changed, "host_key_changed")):
            row = await moved(desk, row.id, port)
            async with desk.running(desk.make(Config())) as service:
                await service.retry(ADMIN, row.id, given)
                row = await desk.end_of(row.id)
            assert some(row.error).code == code
    assert seen[0] == "begin root"
    assert untried == []


async def test_a_host_key_that_was_only_shown_is_asked_about_again_after_a_restart(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, seen):
        async with desk.running() as service:
            row = await service.install(ADMIN, request_to(port), None)
            await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        async with desk.running(desk.make(Config())) as service:
            assert (await service.retry(ADMIN, row.id, DeploymentOverrides(password="x"))).host_key is None
            await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
    assert seen == []


async def test_a_confirmed_host_key_does_not_count_for_another_server(desk: Desk, request_to: Requests) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    async with serving(KEY) as (port, _), serving(other) as (elsewhere, seen), desk.running() as service:
        row = await confirmed(desk, service, request_to(port))
        again = await service.retry(ADMIN, row.id, DeploymentOverrides(port=elsewhere, password="x"))
        assert (again.host_key, again.host_key_confirmed) == (None, False)
        row = await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        assert (some(row.host_key).fingerprint, row.host_key_confirmed) == (other.get_fingerprint(), False)
    assert seen == []


ELSEWHERE = ({"host": "localhost"}, {"port": True}, {"host_key": True}, {"host": "localhost", "port": True, "host_key": True})


def overrides_to(port: int, key: asyncssh.SSHKey, fields: dict[str, Any]) -> DeploymentOverrides:
    real: dict[str, Any] = {"port": port, "host_key": key.get_fingerprint()}
    return DeploymentOverrides(**{name: real[name] if value is True else value for name, value in fields.items()})


@pytest.mark.holds("S-57")
@pytest.mark.parametrize("fields", ELSEWHERE)
@pytest.mark.parametrize("lost", [False, True])
async def test_another_server_gets_no_kept_credentials(desk: Desk, request_to: Requests, fields: dict[str, Any], *, lost: bool) -> None:
    """Of a removal, in the call itself and in a retry of one that was turned there, also after a restart."""
    evil = asyncssh.generate_private_key("ssh-ed25519")
    async with serving(evil) as (port, seen):
        node = await node_with(desk, request_to(port if "port" not in fields else 9, private_key=None, password="kept"))
        given = overrides_to(port, evil, fields)
        async with contextlib.AsyncExitStack() as hubs:
            service = await hubs.enter_async_context(desk.running(desk.make(Config())))
            with pytest.raises(CredentialsRequired) as caught:
                await service.remove(ADMIN, node, given, force=False)
            assert caught.value.detail["give"] == ["private_key", "password"]
            row = await service.remove(ADMIN, node, replace(given, password="mine", host_key=evil.get_fingerprint()), force=False)
            row = await desk.end_of(row.id)
            if lost:
                await hubs.aclose()
                service = await hubs.enter_async_context(desk.running(desk.make(Config())))
            for again in (None, given, DeploymentOverrides(host_key=evil.get_fingerprint()), DeploymentOverrides(sudo_password="x")):
                with contextlib.suppress(CredentialsRequired):
                    await service.retry(ADMIN, row.id, again)
                    assert service._active[row.id].work.request.password == "mine"
                    await desk.end_of(row.id)
    assert "kept" not in repr(seen)


async def test_a_host_key_that_is_the_pinned_one_changes_nothing(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, seen), desk.running() as service:
        node = await node_with(desk, request_to(port))
        row = await service.remove(ADMIN, node, DeploymentOverrides(host_key=KEY.get_fingerprint()), force=False)
        await desk.end_of(row.id)
        assert seen
        seen.clear()
        await service.retry(ADMIN, row.id, DeploymentOverrides(host_key=KEY.get_fingerprint().removeprefix("SHA256:")))
        await desk.end_of(row.id)
    assert seen


async def moved(desk: Desk, deployment: DeploymentId, port: int) -> Deployment:
    """The row with the port that its server listens on now: each listener of the tests has its own."""
    row = await desk.store.deployments.deployment(ADMIN, deployment)
    return await desk.store.deployments.save_deployment(ADMIN, row._replace(port=port))


async def test_only_failed_deployments_can_be_retried(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, _), desk.running() as service:
        row = await service.install(ADMIN, request_to(port), None)
        with pytest.raises(Conflict):
            await service.retry(ADMIN, row.id, None)
