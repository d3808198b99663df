"""The hub's own SSH key. Each organisation has at most one. It is stored sealed, and read right before each log-in that uses it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec

from groundcontrol.core.errors import BadRequest, Conflict, VaultError
from groundcontrol.core.permissions import authorize
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import HUB_KEY, SealedRecord, SecretStore, hub_key_record
from groundcontrol.deployments.credentials import CredentialSealer
from majortom.ssh.private_keys import new_key
from spider.clock import Clock

RESTRICTIONS: Final = "restrict,pty"
"""Options of the line in `authorized_keys`: no forwarding, no agent, no `~/.ssh/rc`. Some settings of sudo need a terminal."""
MISSING: Final = "this hub has no SSH key of its own: an admin makes one on the page (Add node) or with stardust ssh-key new"

_COLUMN: Final = "private_key"


class SealedReader(Protocol):
    """The part of `SecretStore` that reads one record."""

    async def secret(self, table: str, record: str, column: str) -> SealedRecord | None: ...


class HubKey(msgspec.Struct, frozen=True):
    """The key pair. `repr` hides the private half."""

    private: str
    """OpenSSH format, without a passphrase."""
    public: str
    """`ssh-ed25519 AAAA…`"""
    fingerprint: str
    created_at: float
    created_by: str

    def __repr__(self) -> str:
        return f"HubKey({self.fingerprint})"

    @property
    def authorized_keys(self) -> str:
        """The line for `~/.ssh/authorized_keys` on a server. Its comment has the date of the key, so that old lines are found."""
        made_on = datetime.fromtimestamp(self.created_at, UTC).date()
        return f"{RESTRICTIONS} {self.public} stardust-hub-{made_on.isoformat()}"


async def load_hub_key(secrets: SealedReader, vault: CredentialSealer, org: int) -> HubKey | None:
    """The SSH key of an organisation; None: there is none.

    Raises: VaultError, StoreError.
    """
    record = await _record(secrets, org)
    return None if record is None else _opened(vault, record)


async def check_hub_key(secrets: SecretStore, scope: Scope, *, wanted: bool) -> None:
    """Check that the caller may use the hub's SSH key, and that there is one.

    Args:   wanted: whether the request uses the key; False: nothing is checked.
    Raises: Forbidden, BadRequest: there is no key; StoreError.
    """
    if not wanted:
        return
    authorize(scope, "hub_key.use")
    if await _record(secrets, scope.org) is None:
        raise BadRequest(MISSING, field="use_hub_key")


class HubKeyService:
    """Shows, makes, replaces and removes the key."""

    def __init__(self, secrets: SecretStore, vault: CredentialSealer, clock: Clock) -> None:
        self._secrets = secrets
        self._vault = vault
        self._clock = clock

    async def get(self, scope: Scope) -> HubKey | None:
        """The key of the caller's organisation; None: there is none.

        Raises: Forbidden, VaultError, StoreError.
        """
        authorize(scope, "hub_key.use")
        return await load_hub_key(self._secrets, self._vault, scope.org)

    async def create(self, scope: Scope, *, replace: bool) -> HubKey:
        """Make a key. The hub destroys the key that it replaces.

        Raises: Forbidden, Conflict: there is a key, and `replace` is false, or another request has changed it; StoreError.
        """
        authorize(scope, "hub_key.manage")
        known = await _record(self._secrets, scope.org)
        if known is not None and not replace:
            raise Conflict("this hub has an SSH key already: keep it, or ask to replace it")
        made = new_key()
        key = HubKey(made.private.reveal(), made.public, made.fingerprint, self._clock.now(), scope.actor.name)
        version = 1 if known is None else known.version + 1
        sealed = self._vault.seal(HUB_KEY, hub_key_record(scope.org), _COLUMN, version, msgspec.json.encode(key))
        await self._secrets.save_hub_key(scope, sealed, key.fingerprint)
        return key

    async def remove(self, scope: Scope) -> None:
        """Destroy the key. Nodes that it logs in to then have no stored login.

        Raises: Forbidden, StoreError.
        """
        authorize(scope, "hub_key.manage")
        await self._secrets.shred_hub_key(scope)


async def _record(secrets: SealedReader, org: int) -> SealedRecord | None:
    return await secrets.secret(HUB_KEY, hub_key_record(org), _COLUMN)


def _opened(vault: CredentialSealer, record: SealedRecord) -> HubKey:
    try:
        return msgspec.json.decode(vault.open(record), type=HubKey)
    except msgspec.MsgspecError:
        raise VaultError("the hub's SSH key was stored by a newer version of Stardust") from None
