"""`/api/v1/audit`: the audit log, which proves who did what."""

from __future__ import annotations

from groundcontrol.events.store import LogStore
from groundcontrol.events.views import AuditPageView, audit_view
from groundcontrol.web.request import ApiRequest


async def list_audit(call: ApiRequest) -> AuditPageView:
    """A page of the audit log, newest first."""
    limit, cursor = call.page()
    page = await call.services[LogStore].audit(call.scope, limit, cursor)
    return AuditPageView(audit=[audit_view(row) for row in page.items], next=page.next)
