"""`/api/v1/nodes/{id}/tables` and `…/packages`: tables and packages that a node reports."""

from __future__ import annotations

from typing import Final

from groundcontrol.core.errors import BadRequest
from groundcontrol.nodes.interfaces import ReceivedTables
from groundcontrol.nodes.store import FactStore
from groundcontrol.nodes.tables_views import InstalledPackageView, PackagesView, TablesView, table_view
from groundcontrol.web.request import ApiRequest
from spider.wire.tables import BY_NAME

MAX_SEARCH_CHARS: Final = 100


async def get_tables(call: ApiRequest) -> TablesView:
    """The newest table of each subject, or of one."""
    subject = call.query("subject").get("subject")
    if subject is not None and subject not in BY_NAME:
        raise BadRequest(f"there is no table {subject[:40]!r}: the subjects are {', '.join(BY_NAME)}")
    services = call.services
    kept = {table.subject: table for table in await services[FactStore].tables(call.scope, call.node_id)}
    found = {**kept, **services[ReceivedTables].tables(call.node_id)}
    return TablesView(tables=[table_view(found[name]) for name in sorted(found) if subject in (None, name)])


async def list_packages(call: ApiRequest) -> PackagesView:
    """A page of what is installed, by name; `?search=` for names that contain it."""
    limit, cursor = call.page("search")
    search = call.request.query.get("search", "")
    if len(search) > MAX_SEARCH_CHARS:
        raise BadRequest(f"the parameter search has at most {MAX_SEARCH_CHARS} characters")
    page = await call.services[FactStore].packages(call.scope, call.node_id, limit, cursor, search)
    return PackagesView(
        packages=[InstalledPackageView(name, version) for name, version in page.items],
        total=page.total,
        taken_at=page.taken_at,
        next=page.next,
    )
