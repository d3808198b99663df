"""Finds conflicts of a deployment: another deployment to the same server, or a node with the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.core.stores import Stores
from groundcontrol.deployments.bulk import Fault, ServerKey, server_key
from groundcontrol.deployments.model import Deployment, DeploymentRequest
from groundcontrol.deployments.requests import one_spelling
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.nodes.store import NodeStore

TRY_LATER: Final = "this server cannot be deployed to at the moment: try again later"
"""The error if the caller may not see the conflicting deployment."""


class Occupied:
    """Servers and names that are in use.

    Args: at_work: returns the running deployments by SSH, of all users.
    """

    def __init__(self, store: Stores, at_work: Callable[[], Iterable[Deployment]]) -> None:
        self._store = store
        self._at_work = at_work

    async def check_free(self, scope: Scope, request: DeploymentRequest, own: NodeId | None) -> None:
        """Refuse a second deployment to the same server, and a name that another node has.

        Args:   own: the node on the server; None: the deployment creates it.
        Raises: Conflict, StoreError.
        """
        row = self._servers(scope).get(server_key(request))
        if row is not None:
            raise await self._conflict_with(scope, row)
        if own is None and request.name is not None and request.name.casefold() in await self.names(scope):
            raise _name_taken(request.name)

    async def faults_of(self, scope: Scope, requests: Sequence[DeploymentRequest]) -> dict[int, Fault]:
        """The requests to a server that is being deployed to, or with the name of a node, by position.

        Raises: StoreError.
        """
        names, servers = await self.names(scope), self._servers(scope)
        faults: dict[int, Fault] = {}
        for at, request in enumerate(requests):
            row, name = servers.get(server_key(request)), request.name or request.host
            if row is not None:
                faults[at] = Fault("conflict", "host", (await self._conflict_with(scope, row)).message)
            elif name.casefold() in names:
                faults[at] = Fault("conflict", "name", _name_taken(name).message)
        return faults

    async def names(self, scope: Scope) -> set[str]:
        """Names of all nodes that the caller may see, case-folded.

        Raises: StoreError.
        """
        names: set[str] = set()
        cursor: str | None = None
        while True:
            page = await self._store[NodeStore].nodes(scope, 200, cursor)
            names.update(node.name.casefold() for node in page.items)
            cursor = page.next
            if cursor is None:
                return names

    async def _conflict_with(self, scope: Scope, row: Deployment) -> Conflict:
        """The error for a conflict. It names the other deployment only if the caller may see it."""
        try:
            await self._store[DeploymentStore].deployment(scope, row.id)
        except NotFound:
            return Conflict(TRY_LATER)
        return Conflict(f"a deployment to {row.host} is running already", deployment=row.id)

    def _servers(self, scope: Scope) -> dict[ServerKey, Deployment]:
        """Server -> the deployment that runs there."""
        return {
            (one_spelling(row.host), row.port, None if row.options.jump is None else one_spelling(row.options.jump.host)): row
            for row in self._at_work()
            if row.ended_at is None and row.org == scope.org
        }


def _name_taken(name: str) -> Conflict:
    return Conflict(f"a node named {name} exists already: give another name", field="name")
