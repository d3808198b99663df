"""`/api/v1/patch-status`: JSON and CSV."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from groundcontrol.core.errors import BadRequest
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.service import all_nodes, next_times
from groundcontrol.policies.store import PolicyStore
from groundcontrol.policies.views import PatchStatusView
from groundcontrol.rollouts.status import as_csv, status_of
from groundcontrol.rollouts.store import RolloutStore
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import Parameter, Route


async def patch_status(call: ApiRequest) -> PatchStatusView | web.Response:
    """How each node stands with its security updates, against what its tags promise (`promise:14` days, or else 30)."""
    form = call.query("format").get("format", "json")
    if form not in ("json", "csv"):
        raise BadRequest("the parameter format is json or csv")
    scope, store = call.scope, call.services[PolicyStore]
    nodes = await all_nodes(call.services[NodeStore], scope)
    updates = await store.node_updates(scope)
    seen = await store.seen(scope.org, {one.package for _, ones in updates.values() for one in ones if one.security == "yes"})
    now = call.services.clock.now()
    view = status_of(
        nodes, updates, seen, await store.last_patched(scope), await call.services[RolloutStore].patched_by(scope), await store.all(scope),
        await next_times(store, scope.org, now), now,
    )  # fmt: skip
    if form == "json":
        return view
    headers = {"Content-Disposition": 'attachment; filename="patch-status.csv"'}
    return web.Response(text=as_csv(view), content_type="text/csv", charset="utf-8", headers=headers)


STATUS_ROUTES: Final = (
    Route(
        "GET", "/patch-status", "patch.read", patch_status, cost="many", query=(Parameter("format", "json (default) or csv"),),
        answers=("text/csv",),
    ),
)  # fmt: skip
