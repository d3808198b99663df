"""Attacks of a deployment operator on the credentials of other users: against a running hub and a real SSH server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncssh
import pytest

from tests.support.eventually import eventually
from tests.support.hub import HubProcess
from tests.support.ports import free_port

API = "/api/v1"
SECRETS = {"password": "canary-of-the-admin", "sudo_password": "canary-of-sudo"}


class Trap(asyncssh.SSHServer):
    """A server of the attacker's: it remembers what it is sent."""

    def __init__(self, caught: list[str]) -> None:
        self._caught = caught

    def begin_auth(self, username: str) -> bool:
        self._caught.append(f"begin {username}")
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._caught.append(password)
        return False


@contextlib.asynccontextmanager
async def trap() -> AsyncIterator[tuple[int, str, list[str]]]:
    """Port, fingerprint, and what came in."""
    key, caught = asyncssh.generate_private_key("ssh-ed25519"), list[str]()
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=lambda: Trap(caught), server_host_keys=[key])
    try:
        yield server.get_port(), key.get_fingerprint(), caught
    finally:
        server.close()
        await server.wait_closed()


async def reaches(hub: HubProcess, deployment: str, *states: str) -> Any:
    """Wait for one of these states."""
    row: Any = {}

    def there() -> bool:
        row.update(hub.local("GET", f"{API}/deployments/{deployment}").json)
        return row["state"] in states

    await eventually(there)
    return row


async def ended(hub: HubProcess, deployment: str) -> Any:
    return await reaches(hub, deployment, "failed", "cancelled", "succeeded")


async def a_token(hub: HubProcess, *, sensitive: bool) -> str:
    admin = await asyncio.to_thread(hub.login)
    body = {"name": f"steers-{sensitive}", "role": "operator", "sensitive": sensitive}
    made = await hub.call("POST", f"{API}/tokens", body, token=admin.token)
    assert made.status == 201, made.body
    return str(made.json["token"])


@pytest.mark.holds("S-57")
@pytest.mark.parametrize("turn", [("host", "port", "host_key"), ("port",), ("port", "host_key")])
async def test_redirecting_a_deployment_to_another_server_reveals_no_credentials(shared_hub: HubProcess, turn: tuple[str, ...]) -> None:
    hub = shared_hub
    body = {"host": "127.0.0.1", "port": free_port(), "username": "root", "name": "-".join(turn), **SECRETS}
    first = await hub.call("POST", f"{API}/deployments", body)
    assert first.status == 202, first.body
    path = f"{API}/deployments/{first.json['id']}"
    await ended(hub, first.json["id"])
    plain, sensitive = await a_token(hub, sensitive=False), await a_token(hub, sensitive=True)
    async with trap() as (port, fingerprint, caught):
        elsewhere = {"host": "localhost", "port": port, "host_key": fingerprint}
        mine = {name: elsewhere[name] for name in turn}
        refused = await hub.call("POST", f"{path}/retry", mine, token=plain)
        assert (refused.status, refused.json["code"]) == (403, "auth.step_up_required")
        for more in ({}, {"username": "eve"}, {"sudo_password": "x"}, {"passphrase": "x"}):
            refused = await hub.call("POST", f"{path}/retry", {**mine, **more}, token=sensitive)
            assert (refused.status, refused.json["code"]) == (409, "credentials_required")
            assert refused.json["facts"]["give"] == ["private_key", "password"]
        assert caught == []
        turned = await hub.call("POST", f"{path}/retry", {**mine, "password": "my own"}, token=sensitive)
        assert turned.status == 202, turned.body
        if "host_key" not in turn:
            await reaches(hub, first.json["id"], "awaiting_host_key")
            assert (await hub.call("POST", f"{path}/host-key", {"fingerprint": fingerprint})).status == 200
        row = await ended(hub, first.json["id"])
        assert row["error"]["code"] == "password_rejected"
    assert set(caught) == {"begin root", "my own"}
    assert "deployment.redirect" in (await hub.call("GET", f"{API}/audit?limit=100")).body.decode()


async def test_a_retry_of_the_same_server_needs_neither_password_nor_credentials_again(shared_hub: HubProcess) -> None:
    body = {"host": "127.0.0.1", "port": free_port(), "username": "root", "name": "same", **SECRETS}
    first = (await shared_hub.call("POST", f"{API}/deployments", body)).json
    await ended(shared_hub, first["id"])
    plain = await a_token(shared_hub, sensitive=False)
    for again in (None, {}, {"host": body["host"], "port": body["port"]}, {"username": "ops"}):
        assert (await shared_hub.call("POST", f"{API}/deployments/{first['id']}/retry", again, token=plain)).status == 202
        assert (await ended(shared_hub, first["id"]))["error"]["code"] == "port_closed"
