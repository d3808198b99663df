"""Stored credentials of servers. Each record is sealed on its own."""

from __future__ import annotations

import json
from typing import Final, NamedTuple, Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import SealedRecord, SecretStore
from groundcontrol.deployments.model import DeploymentRequest, HostKey, JumpRequest
from groundcontrol.deployments.requests import CREDENTIALS

TABLE: Final = "credential"
_WAY: Final = "way"
"""The record with host, port, user name and host key. They are not secret, but the seal binds them to the node."""

_JUMP: Final = "jump"
"""The record of the jump host, with its own secrets."""


class CredentialSealer(Protocol):
    """The part of `groundcontrol.vault.Vault` that deployments use."""

    @property
    def fleet_key(self) -> bytes: ...
    @property
    def fleet_id(self) -> str: ...
    def seal(self, table: str, record: str, column: str, version: int, plaintext: bytes) -> SealedRecord: ...
    def open(self, record: SealedRecord) -> bytes: ...


class StoredCredential(NamedTuple):
    """Decrypted credentials of a node."""

    request: DeploymentRequest
    host_key: HostKey | None


async def save(
    secrets: SecretStore, vault: CredentialSealer, scope: Scope, node: NodeId, request: DeploymentRequest, host_key: HostKey
) -> None:
    """Replace the stored credentials of this node.

    Raises: StoreError.
    """
    way = {
        "host": request.host,
        "port": request.port,
        "username": request.username,
        "host_key": list(host_key),
        "use_hub_key": request.use_hub_key,
    }
    plain = {_WAY: json.dumps(way), **{name: getattr(request, name) for name in CREDENTIALS}}
    if request.jump is not None:
        plain[_JUMP] = json.dumps(vars(request.jump))
    before = {record.column: record.version for record in await secrets.credentials(node)}
    sealed = [vault.seal(TABLE, node, name, before.get(name, 0) + 1, text.encode()) for name, text in plain.items() if text]
    await secrets.save_credentials(scope, node, sealed)


async def load(secrets: SecretStore, vault: CredentialSealer, node: NodeId) -> StoredCredential | None:
    """Decrypt the stored credentials of this node; None: there are none.

    Raises: VaultError: a record cannot be decrypted; StoreError.
    """
    plain = {record.column: vault.open(record).decode() for record in await secrets.credentials(node)}
    if _WAY not in plain:
        return None
    way = json.loads(plain[_WAY])
    request = DeploymentRequest(
        host=way["host"],
        port=way["port"],
        username=way["username"],
        use_hub_key=way.get("use_hub_key", False),
        private_key=plain.get("private_key"),
        passphrase=plain.get("passphrase"),
        password=plain.get("password"),
        sudo_password=plain.get("sudo_password"),
        certificate=plain.get("certificate"),
        jump=_jump(plain.get(_JUMP)),
    )
    return StoredCredential(request, HostKey(*way["host_key"]))


def _jump(text: str | None) -> JumpRequest | None:
    if text is None:
        return None
    fields = json.loads(text)
    pinned = fields.pop("pinned")
    return JumpRequest(**fields, pinned=None if pinned is None else HostKey(*pinned))
