"""Events of deployments. Pure."""

from __future__ import annotations

from groundcontrol.deployments.model import Deployment
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event


def deployment_event(row: Deployment, at: float) -> Event:
    """The event of an ended deployment."""
    details: dict[str, object] = {"deployment": row.id, "kind": row.kind, "host": row.host, "code": row.error.code if row.error else None}
    if row.error is not None:
        details["why"] = row.error.message
    kind = f"deployment_{row.state}"
    if row.kind == "update" and row.state != "cancelled":
        kind = "agent_updated" if row.state == "succeeded" else "agent_update_failed"
    return new_event(kind, at, details, node=None if row.kind == "remove" else row.node_id, name=row.name, org=row.org)
