"""`/api/v1/audit`: who did what, for proof."""

from __future__ import annotations

from groundcontrol.web import schema, views
from groundcontrol.web.call import Call


async def list_audit(call: Call) -> schema.AuditPageView:
    """A page of the audit log, newest first."""
    limit, cursor = call.page()
    page = await call.services.store.log.audit(call.scope, limit, cursor)
    return schema.AuditPageView(audit=[views.audit_view(row) for row in page.items], next=page.next)
