"""`/api/v1/updates`: newer packages across the nodes that the caller may see."""

from __future__ import annotations

from typing import Final

from groundcontrol.core.errors import BadRequest
from groundcontrol.nodes.store import FactStore
from groundcontrol.nodes.tables_views import CandidateView, NodeUpdatesView, NodeUpdateView, PackageUpdatesView, PackageUpdateView
from groundcontrol.web.request import ApiRequest

MAX_PACKAGE_CHARS: Final = 200


async def list_updates(call: ApiRequest) -> PackageUpdatesView:
    """A page of packages, for security first, then by how many nodes they are for."""
    limit, cursor = call.page("search", "security")
    search, security = call.request.query.get("search", ""), call.request.query.get("security", "false")
    if len(search) > MAX_PACKAGE_CHARS:
        raise BadRequest(f"the parameter search has at most {MAX_PACKAGE_CHARS} characters")
    if security not in ("true", "false"):
        raise BadRequest("the parameter security must be true or false")
    found = await call.services[FactStore].updates(call.scope, limit, cursor, search, security_only=security == "true")
    return PackageUpdatesView(
        packages=[
            PackageUpdateView(
                package=one.package,
                security=one.security,
                nodes=one.nodes,
                security_nodes=one.security_nodes,
                candidates=[CandidateView(*candidate) for candidate in one.candidates],
            )
            for one in found.items
        ],
        total=found.total,
        security=found.security,
        told=found.told,
        silent=found.silent,
        cut=found.cut,
        oldest_at=found.oldest_at,
        next=found.next,
    )


async def list_nodes_of_update(call: ApiRequest) -> NodeUpdatesView:
    """The nodes that could have a newer version of one package."""
    limit, cursor = call.page("package")
    package = call.request.query.get("package", "")
    if not 0 < len(package) <= MAX_PACKAGE_CHARS:
        raise BadRequest(f"the parameter package is a name of 1 to {MAX_PACKAGE_CHARS} characters")
    found = await call.services[FactStore].updates_of(call.scope, package, limit, cursor)
    return NodeUpdatesView(nodes=[NodeUpdateView(*one) for one in found.items], total=found.total, next=found.next)
