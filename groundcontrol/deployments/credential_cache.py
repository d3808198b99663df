"""Finds the login of a server: from the cached fields of a failed deployment, stored credentials, or the node's installation."""

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
from groundcontrol.deployments.model import Deployment, DeploymentRequest, HostKey, Jump, makes_node
from groundcontrol.deployments.requests import CREDENTIALS, earlier_request, options_of
from groundcontrol.deployments.run import DeploymentRun, Deps
from groundcontrol.deployments.store import DeploymentStore
from majortom.ssh.connect import same_fingerprint
from spider.logs import event

log = logging.getLogger(__name__)


def _same_way(stored: Jump | None, tried: Jump | None) -> bool:
    """Whether an attempt went through the jump host of the stored login. Attempts of earlier versions do not say whose log-in it got."""
    if stored is not None and tried is not None and tried.own_login is None:
        tried = tried._replace(own_login=stored.own_login)
    return stored == tried


class _Remembered(NamedTuple):
    request: DeploymentRequest
    pinned: HostKey | None
    until: float
    """Monotonic seconds."""


class CredentialCache:
    """Caches the fields of failed deployments with their secrets, in memory. Stored credentials are read from the store."""

    def __init__(self, tools: Deps) -> None:
        self._tools = tools
        self._remembered: OrderedDict[DeploymentId, _Remembered] = OrderedDict()
        self._dropping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Number of deployments whose fields are cached."""
        return len(self._remembered)

    async def fields_of(self, scope: Scope, row: Deployment) -> tuple[DeploymentRequest, HostKey | None]:
        """The fields of an earlier attempt, and its trusted host key. Secrets are included if they are cached, or stored with the node.

        Stored secrets must belong to the same login: the same address, user, jump host and host key.
        Raises: VaultError, StoreError.
        """
        self._drop_old()
        remembered = self._remembered.get(row.id)
        if remembered is not None:
            return await self._usable(scope, remembered.request), remembered.pinned
        earlier, pinned = earlier_request(row), row.host_key if row.host_key_confirmed else None
        if not makes_node(row) and row.node_id is not None:
            login, known = await self.login_of(scope, row.node_id, row.host)
            trusted = earlier.host_key is None or (known is not None and same_fingerprint(earlier.host_key, known.fingerprint))
            if (login.host, login.port) == (earlier.host, earlier.port) and trusted:
                pinned = pinned or known
                if login.username == earlier.username and pinned == known and _same_way(options_of(login).jump, row.options.jump):
                    earlier = replace(earlier, jump=login.jump, **{name: getattr(login, name) for name in (*CREDENTIALS, "use_hub_key")})
        return await self._usable(scope, earlier), pinned

    async def login_of(self, scope: Scope, node: NodeId, address: str) -> tuple[DeploymentRequest, HostKey | None]:
        """The login and the trusted host key of a node: its stored credentials, else address and user of its installation, without secrets.

        Args:   address: the address for a node that the hub did not install; its user is root then, and no host key is known.
        Raises: VaultError, StoreError.
        """
        stored = await credentials.load(self._tools.store[SecretStore], self._tools.vault, node)
        if stored is None:
            return await self._installed_at(scope, node, address)
        return await self._usable(scope, stored.request), stored.host_key

    async def _usable(self, scope: Scope, request: DeploymentRequest) -> DeploymentRequest:
        """The request. It does not use the hub's SSH key if that was removed: the node then has no stored login."""
        if request.use_hub_key and await load_hub_key(self._tools.store[SecretStore], self._tools.vault, scope.org) is None:
            return replace(request, use_hub_key=False)
        return request

    async def request_of(self, scope: Scope, node: NodeId, address: str) -> DeploymentRequest:
        """The login of a node's server, for a removal without contact. Stored credentials that cannot be decrypted are ignored.

        Raises: StoreError.
        """
        try:
            login, _ = await self.login_of(scope, node, address)
        except VaultError as exc:
            event(log, "credentials_not_opened", logging.WARNING, node=node, reason=exc.message)
            login, _ = await self._installed_at(scope, node, address)
        return login

    async def _installed_at(self, scope: Scope, node: NodeId, address: str) -> tuple[DeploymentRequest, HostKey | None]:
        cursor: str | None = None
        while True:
            page = await self._tools.store[DeploymentStore].deployments(scope, 200, cursor)
            for row in page.items:
                if row.node_id == node and row.kind == "install" and row.state == "succeeded":
                    login = earlier_request(row)
                    return DeploymentRequest(host=login.host, port=login.port, username=login.username, jump=login.jump), row.host_key
            cursor = page.next
            if cursor is None:
                return DeploymentRequest(host=address, username="root"), None

    # -- the cache ---------------------------------------------------------------------------

    def remember(self, work: DeploymentRun) -> None:
        """Cache the fields of a failed or cancelled deployment."""
        progress = work.progress
        pinned = progress.row.host_key if progress.row.host_key_confirmed else work.pinned
        until = self._tools.clock.monotonic() + self._tools.limits.remember_s
        self._remembered[progress.row.id] = _Remembered(work.known(), pinned, until)
        self._drop_old()
        if self._dropping is None:
            self._schedule_drop()

    def forget(self, deployment: DeploymentId) -> None:
        """Drop the fields of a deployment, since its retry has its own fields."""
        self._remembered.pop(deployment, None)

    def forget_all(self) -> None:
        """Drop all fields, at shutdown."""
        self._remembered.clear()
        if self._dropping is not None:
            self._dropping.cancel()

    def _drop_in_time(self) -> None:
        self._drop_old()
        self._schedule_drop()

    def _schedule_drop(self) -> None:
        """Schedule the removal of the oldest entry: secrets must not stay in memory until the next access."""
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
