"""The hub's own SSH key: who may create and use it, where it is used, and its end."""

from __future__ import annotations

import asyncssh
import pytest

from groundcontrol.core.errors import BadRequest, Conflict, Forbidden
from groundcontrol.core.scope import Actor, Grants, Role, Scope
from groundcontrol.core.secrets import HUB_KEY
from groundcontrol.deployments import credentials
from groundcontrol.deployments.errors import CredentialsRequired
from groundcontrol.deployments.hub_key import HubKeyService
from groundcontrol.deployments.model import DeploymentOverrides, DeploymentRequest
from groundcontrol.deployments.requests import merge
from groundcontrol.web.routes import ROOT
from spider.clock import SystemClock
from tests.support.deployment_desk import ADMIN, KEY, VIEWER, Desk, Requests, node_with
from tests.support.inprocess_hub import TestHub
from tests.support.some import some
from tests.support.ssh_server import serving

OPERATOR = Scope(Actor("user", "u3", "olga", "operator"), 1)
LIMITED = OPERATOR._replace(grants=(Grants(tags=("web",)),))


def keys(desk: Desk) -> HubKeyService:
    return HubKeyService(desk.store.secrets, desk.vault, SystemClock())


def hub_login(request_to: Requests, port: int, **more: object) -> DeploymentRequest:
    return request_to(port, private_key=None, use_hub_key=True, host_key=KEY.get_fingerprint(), **more)


async def test_an_admin_makes_one_key_and_sees_its_public_half(hub: TestHub) -> None:
    admin = await hub.logged_in("admin")
    assert (await admin.get("hub-key")).json == {"key": None}

    made = await admin.post("hub-key")

    assert made.status == 201
    key = made.json["key"]
    kind, public, comment = key["authorized_keys"].removeprefix("restrict,pty ").split()
    assert f"{kind} {public}" == key["public"]
    assert comment.startswith("stardust-hub-")
    assert asyncssh.import_public_key(key["public"]).get_fingerprint() == key["fingerprint"]
    assert b"PRIVATE" not in made.body
    assert (await admin.post("hub-key")).status == 409
    other = (await admin.post("hub-key", {"replace": True})).json["key"]
    assert other["fingerprint"] != key["fingerprint"]
    assert (await (await hub.logged_in("operator")).get("hub-key")).json["key"] == other
    [record] = [record for record in await hub.store.secrets.secrets() if record.table == HUB_KEY]
    assert b"PRIVATE" not in record.sealed
    assert (await admin.request("DELETE", f"{ROOT}/hub-key")).status == 204
    assert (await admin.get("hub-key")).json == {"key": None}


@pytest.mark.parametrize("role", ["operator", "viewer"])
async def test_only_admins_make_the_key(hub: TestHub, role: Role) -> None:
    person = await hub.logged_in(role)
    assert (await person.post("hub-key")).status == 403
    assert (await person.request("DELETE", f"{ROOT}/hub-key")).status == 403
    assert (await person.get("hub-key")).status == (200 if role == "operator" else 403)


async def test_a_server_is_logged_in_to_with_the_key_and_keeps_no_copy_of_it(desk: Desk, request_to: Requests) -> None:
    made = await keys(desk).create(ADMIN, replace=False)
    async with serving(KEY) as (port, seen), desk.running() as service:
        row = await desk.end_of((await service.install(ADMIN, hub_login(request_to, port), None)).id)
        assert some(row.error).code == "key_rejected"
        assert f"key root {made.fingerprint}" in seen
        # A repeat uses the key of its own time, without any secret.
        seen.clear()
        other = await keys(desk).create(ADMIN, replace=True)
        await service.retry(ADMIN, row.id, None)
        await desk.end_of(row.id)
        assert f"key root {other.fingerprint}" in seen
    assert "PRIVATE" not in repr(await desk.store.log.audit(ADMIN, 50)) + repr(row) + repr(made)


async def test_the_hubs_key_is_refused_if_missing_or_not_permitted(desk: Desk, request_to: Requests) -> None:
    async with desk.running() as service:
        with pytest.raises(BadRequest, match="no SSH key of its own"):
            await service.install(ADMIN, hub_login(request_to, 22), None)
        await keys(desk).create(ADMIN, replace=False)
        for scope in (VIEWER, LIMITED):
            with pytest.raises(Forbidden):
                await service.install(scope, hub_login(request_to, 22, tags=("web",)), None)
        with pytest.raises(BadRequest, match="only one of them"):
            await service.install(ADMIN, hub_login(request_to, 22, password="also"), None)
    with pytest.raises(Forbidden):
        await keys(desk).create(OPERATOR, replace=True)
    with pytest.raises(Conflict):
        await keys(desk).create(ADMIN, replace=False)


async def test_a_node_keeps_that_the_hub_key_opens_its_server_as_long_as_there_is_one(desk: Desk, request_to: Requests) -> None:
    await keys(desk).create(ADMIN, replace=False)
    node = await node_with(desk, hub_login(request_to, 2222))
    assert {record.column for record in await desk.store.secrets.credentials(node)} == {"way"}
    kept = some(await credentials.load(desk.store.secrets, desk.vault, node))
    assert (kept.request.use_hub_key, kept.request.private_key) == (True, None)
    await keys(desk).remove(ADMIN)
    async with desk.running() as service:
        with pytest.raises(CredentialsRequired):
            await service.remove(ADMIN, node, None, force=False)


def test_the_hub_key_is_not_offered_to_another_server_unasked(request_to: Requests) -> None:
    before = hub_login(request_to, 2222)
    assert not merge(before, DeploymentOverrides(host="127.0.0.9"), None).use_hub_key
    assert merge(before, DeploymentOverrides(username="ada"), None).use_hub_key
    by_password = merge(before, DeploymentOverrides(password="x"), None)
    assert (by_password.use_hub_key, by_password.password) == (False, "x")
    again = merge(request_to(2222), DeploymentOverrides(use_hub_key=True), None)
    assert (again.use_hub_key, again.private_key) == (True, None)
