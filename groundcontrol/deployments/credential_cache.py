"""Finds the login of a server: the fields of a failed deployment (cached for a while), stored credentials, or the node's installation."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import replace
from typing import NamedTuple

from groundcontrol.core.errors import VaultError
from groundcontrol.core.ids import DeploymentId, NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import SecretStore
from groundcontrol.deployments import credentials
from groundcontrol.deployments.hub_key import load_hub_key
from groundcontrol.deployments.model import Deployment, DeploymentRequest, HostKey, makes_node
from groundcontrol.deployments.requests import CREDENTIALS, earlier_request, options_of
from groundcontrol.deployments.run import DeploymentRun, Deps
from groundcontrol.deployments.store import DeploymentStore
from majortom.ssh.connect import same_fingerprint
from spider.logs import event

log = logging.getLogger(__name__)


class _Remembered(NamedTuple):
    request: DeploymentRequest
    pinned: HostKey | None
    until: float


class CredentialCache:
    """The cache of fields, in memory. Stored credentials are read from the store."""

    def __init__(self, tools: Deps) -> None:
        self._tools = tools
        self._remembered: OrderedDict[DeploymentId, _Remembered] = OrderedDict()
        self._dropping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Number of deployments whose fields are cached."""
        return len(self._remembered)

    async def fields_of(self, scope: Scope, row: Deployment) -> tuple[DeploymentRequest, HostKey | None]:
        """The fields of an earlier attempt. Its secrets are only included if they are cached, or stored with the node.

        Raises: VaultError, StoreError.
        """
        self._drop_old()
        remembered = self._remembered.get(row.id)
        if remembered is not None:
            return await self._usable(scope, remembered.request), remembered.pinned
        earlier, pinned = earlier_request(row), row.host_key if row.host_key_confirmed else None
        if not makes_node(row) and row.node_id is not None:
            way, known = await self.way_to(scope, row.node_id, row.host)
            trusted = earlier.host_key is None or (known is not None and same_fingerprint(earlier.host_key, known.fingerprint))
            if (way.host, way.port) == (earlier.host, earlier.port) and trusted:
                pinned = pinned or known
                if way.username == earlier.username and pinned == known and options_of(way).jump == row.options.jump:
                    earlier = replace(earlier, jump=way.jump, **{name: getattr(way, name) for name in (*CREDENTIALS, "use_hub_key")})
        return await self._usable(scope, earlier), pinned

    async def way_to(self, scope: Scope, node: NodeId, address: str) -> tuple[DeploymentRequest, HostKey | None]:
        """The login of a node: stored credentials, else the address of its installation.

        Raises: VaultError, StoreError.
        """
        stored = await credentials.load(self._tools.store[SecretStore], self._tools.vault, node)
        if stored is None:
            return await self._installed_at(scope, node, address)
        return await self._usable(scope, stored.request), stored.host_key

    async def _usable(self, scope: Scope, request: DeploymentRequest) -> DeploymentRequest:
        """The request without the hub's SSH key, if that was removed: then the node has no kept log-in."""
        if request.use_hub_key and await load_hub_key(self._tools.store[SecretStore], self._tools.vault, scope.org) is None:
            return replace(request, use_hub_key=False)
        return request

    async def request_of(self, scope: Scope, node: NodeId, address: str) -> DeploymentRequest:
        """The address of a node's server, for a removal without login. Stored credentials that cannot be decrypted are ignored.

        Raises: StoreError.
        """
        try:
            way, _ = await self.way_to(scope, node, address)
        except VaultError as exc:
            event(log, "credentials_not_opened", logging.WARNING, node=node, reason=exc.message)
            way, _ = await self._installed_at(scope, node, address)
        return way

    async def _installed_at(self, scope: Scope, node: NodeId, address: str) -> tuple[DeploymentRequest, HostKey | None]:
        cursor: str | None = None
        while True:
            page = await self._tools.store[DeploymentStore].deployments(scope, 200, cursor)
            for row in page.items:
                if row.node_id == node and row.kind == "install" and row.state == "succeeded":
                    way = earlier_request(row)
                    return DeploymentRequest(host=way.host, port=way.port, username=way.username, jump=way.jump), row.host_key
            cursor = page.next
            if cursor is None:
                return DeploymentRequest(host=address, username="root"), None

    # -- the cache ---------------------------------------------------------------------------

    def remember(self, work: DeploymentRun) -> None:
        """Cache the fields of a failed deployment."""
        progress = work.progress
        pinned = progress.row.host_key if progress.row.host_key_confirmed else work.pinned
        until = self._tools.clock.monotonic() + self._tools.limits.remember_s
        self._remembered[progress.row.id] = _Remembered(work.known(), pinned, until)
        self._drop_old()
        if self._dropping is None:
            self._come_back()

    def forget(self, deployment: DeploymentId) -> None:
        """Drop the fields of a deployment, since its retry has its own."""
        self._remembered.pop(deployment, None)

    def forget_all(self) -> None:
        """Drop all fields, at shutdown."""
        self._remembered.clear()
        if self._dropping is not None:
            self._dropping.cancel()

    def _drop_in_time(self) -> None:
        self._drop_old()
        self._come_back()

    def _come_back(self) -> None:
        """Schedule the removal of the oldest entry, so that secrets do not stay in memory until the next access."""
        self._dropping = None
        if self._remembered:
            oldest = next(iter(self._remembered.values()))
            wait_s = max(0.1, oldest.until - self._tools.clock.monotonic())
            self._dropping = asyncio.get_running_loop().call_later(wait_s, self._drop_in_time)

    def _drop_old(self) -> None:
        now = self._tools.clock.monotonic()
        while self._remembered:
            oldest = next(iter(self._remembered))
            if len(self._remembered) <= self._tools.limits.remembered and self._remembered[oldest].until > now:
                return
            del self._remembered[oldest]
