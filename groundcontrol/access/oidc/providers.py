"""The requests to the providers of a hub, and their sealed secrets."""

from __future__ import annotations

import asyncio

from groundcontrol.access.oidc.model import CLIENT_SECRET, SEALED_TABLE, Provider
from groundcontrol.access.oidc.remote import Remote
from groundcontrol.access.oidc.store import OidcStore
from groundcontrol.access.second_factor import Sealer
from groundcontrol.core.errors import NotFound, VaultError
from groundcontrol.core.secrets import SealedRecord, SecretStore
from groundcontrol.core.stores import Stores
from spider.clock import Clock


class Providers:
    """The providers of one hub, each with its connections."""

    def __init__(self, *, store: Stores, clock: Clock, sealer: Sealer, loopback_allowed: bool) -> None:
        """Args: loopback_allowed: whether a provider may be at http:// on this machine."""
        self._oidc = store[OidcStore]
        self._secrets = store[SecretStore]
        self._clock = clock
        self._sealer = sealer
        self.loopback_allowed = loopback_allowed
        self._remotes: dict[str, Remote] = {}

    async def provider(self, name: str) -> Provider:
        """Raises: NotFound."""
        for one in await self._oidc.providers():
            if one.name == name:
                return one
        raise NotFound("there is no provider of this name")

    def failure_of(self, provider: Provider) -> str:
        """Why the provider did not answer when it was last asked; empty: it did, or was not asked yet."""
        known = self._remotes.get(provider.id)
        return "" if known is None or known.failure is None else known.failure.message

    async def remote(self, provider: Provider) -> Remote:
        """The requests to a provider as it is configured now."""
        known = self._remotes.get(provider.id)
        if known is not None and known.provider == provider:
            return known
        self._remotes[provider.id] = made = Remote(provider, self._clock, loopback_allowed=self.loopback_allowed)
        if known is not None:
            await known.close()
        return made

    async def forget(self, provider: str) -> None:
        """Close the connections to a provider that was changed or deleted."""
        known = self._remotes.pop(provider, None)
        if known is not None:
            await known.close()

    async def seal_secret(self, provider: Provider, secret: str) -> SealedRecord:
        """Seal a client secret as the version that the provider names."""
        return await asyncio.to_thread(
            self._sealer.seal, SEALED_TABLE, provider.id, CLIENT_SECRET, provider.secret_version, secret.encode()
        )

    async def next_secret_version(self, provider: Provider) -> int:
        """The version of the next client secret: of every version only one value is ever sealed."""
        record = await self._secrets.secret(SEALED_TABLE, provider.id, CLIENT_SECRET)
        return max(provider.version, provider.secret_version, 0 if record is None else record.version) + 1

    async def client_secret(self, provider: Provider) -> str:
        if provider.secret_version == 0:
            return ""
        record = await self._secrets.secret(SEALED_TABLE, provider.id, CLIENT_SECRET)
        if record is None or record.version != provider.secret_version:
            raise VaultError(f"the client secret of the provider {provider.name} is missing from the vault")
        return (await asyncio.to_thread(self._sealer.open, record)).decode()

    async def close(self) -> None:
        for remote in self._remotes.values():
            await remote.close()

    async def run(self) -> None:
        """Stay open until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()
