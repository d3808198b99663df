"""A deployments service over the real store, bus and vault, without a network."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.core.ids import HubId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.deployments.model import DeploymentRequest
from groundcontrol.vault import Vault
from spider.clock import SystemClock
from tests.support.bundles import shipped_bundle
from tests.support.deployment_desk import ADMIN, Desk, an_account
from tests.support.store_files import open_new
from tests.support.vault import a_vault


@pytest.fixture(scope="session")
def bundle() -> bytes:
    return shipped_bundle()


@pytest.fixture(scope="session")
def vault() -> Vault:
    return a_vault()


@pytest.fixture
async def desk(tmp_path: Path, bundle: bytes, vault: Vault) -> AsyncIterator[Desk]:
    clock = SystemClock()
    database = await open_new(tmp_path / "data", clock=clock)
    try:
        hub = HubId("h" * 26)
        store = await database.store(audit_key=vault.audit_key, chain=hub)
        await store.user_admin.create_user(SYSTEM, an_account(ADMIN.actor.id, ADMIN.actor.name, ADMIN.actor.role))
        bus = LocalBus()
        database.publish_to(bus.publish)
        yield Desk(store, bus, vault, bundle)
    finally:
        await database.close()


@pytest.fixture(scope="session")
def key_text() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


@pytest.fixture
def request_to(key_text: str) -> Callable[..., DeploymentRequest]:
    """Makes a request to a port of this machine."""

    def make(port: int, **given: object) -> DeploymentRequest:
        fields: dict[str, object] = {"host": "127.0.0.1", "port": port, "username": "root", "private_key": key_text, **given}
        return DeploymentRequest(**fields)  # type: ignore[arg-type]  # named as they are

    return make


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
