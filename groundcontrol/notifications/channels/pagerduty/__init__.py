"""PagerDuty: Events API v2 (developer.pagerduty.com). All messages of an incident have its id as `dedup_key`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from groundcontrol.core.errors import BadRequest
from groundcontrol.notifications.channels.kind import Kind, Outcome, Payload, Target, by_url, cut, field, json_post, post
from groundcontrol.notifications.egress import Egress, check_url
from groundcontrol.notifications.messages import Message

_SEVERITY: Final = {"critical": "critical", "warning": "warning", None: "info"}


class PagerDutyTarget(Target, frozen=True):
    routing_key: Annotated[str, field("Integration key", "Of the service in PagerDuty.", secret=True)]
    server: Annotated[str, field("Server", "https://events.eu.pagerduty.com in the EU.")] = "https://events.pagerduty.com"


def check(target: PagerDutyTarget) -> None:
    if not re.fullmatch(r"[A-Za-z0-9]{32}", target.routing_key):
        raise BadRequest("an integration key has 32 letters and digits", field="target.routing_key")
    check_url(target.server, field="target.server")


def mask(target: PagerDutyTarget) -> str:
    return f"service {target.routing_key[:3]}…"


def render(message: Message) -> Payload:
    if message.kind == "resolved":
        return {"event_action": "resolve", "dedup_key": message.thread}
    first = next((one.node_name for one in message.content.alerts if one.node_name), "") or message.content.node_name
    return {
        "event_action": "trigger",
        "dedup_key": message.thread,
        "client": "Stardust",
        "client_url": message.link,
        "links": [{"href": message.ack_link, "text": "Acknowledge in Stardust"}] if message.ack_link else [],
        "payload": {
            "summary": cut(message.title, 1024),
            "source": first or message.hub,
            "severity": _SEVERITY[message.level],
            "timestamp": datetime.fromtimestamp(message.since_at, UTC).isoformat(),
            "custom_details": {"lines": list(message.lines)},
        },
    }


async def send(target: PagerDutyTarget, message: Message, egress: Egress) -> Outcome:
    return await post(json_post(f"{target.server.rstrip('/')}/v2/enqueue", {"routing_key": target.routing_key, **render(message)}), egress)


PAGERDUTY: Final = Kind(
    "pagerduty", "PagerDuty", "Opens and closes incidents in PagerDuty.", PagerDutyTarget, check, mask, render, send, by_url("server")
)
