"""Webhook: a versioned JSON body, signed by Standard Webhooks (standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from groundcontrol.alerts.incident_reader import DescribedAlert
from groundcontrol.core.errors import BadRequest
from groundcontrol.events.views import event_view
from groundcontrol.notifications.channels.kind import Kind, Outcome, Payload, Post, Target, by_url, field, masked_url, post
from groundcontrol.notifications.egress import Egress, check_url
from groundcontrol.notifications.messages import Message

VERSION: Final = 1
PREFIX: Final = "whsec_"


class WebhookTarget(Target, frozen=True):
    url: Annotated[str, field("Address (URL)", secret=True)]
    secret: Annotated[str, field("Signing key", "Optional: signs each message. whsec_ and 24 to 64 bytes in base64.", secret=True)] = ""
    old_secret: Annotated[str, field("Old signing key", "Only while you change the key: messages are signed with both.", secret=True)] = ""
    """Signs messages too, until the receiver knows `secret`."""


def check(target: WebhookTarget) -> None:
    check_url(target.url, field="target.url")
    for name in ("secret", "old_secret"):
        if getattr(target, name):
            key_of(getattr(target, name), field=f"target.{name}")


def key_of(text: str, *, field: str = "secret") -> bytes:
    """The bytes of a signing key. Raises: BadRequest: the text is not a key."""
    try:
        plain = text.removeprefix(PREFIX)
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise BadRequest(f"{field} must be {PREFIX} and 24 to 64 bytes in base64", field=field)
    return key


def mask(target: WebhookTarget) -> str:
    return masked_url(target.url)


def render(message: Message) -> Payload:
    """The body. Its alerts have some fields of `GET alerts`, and the name of their node."""
    incident, event = message.content.incident, message.content.event
    return {
        "version": VERSION,
        "id": message.id,
        "kind": message.kind,
        "sent_at": message.sent_at,
        "title": message.title,
        "incident": None
        if incident is None
        else {
            "id": incident.id,
            "level": incident.level,
            "state": incident.state,
            "title": message.content.title or incident.title,
            "url": message.link,
        },
        "alerts": [_alert(described) for described in message.content.alerts],
        "event": None if event is None else msgspec.to_builtins(event_view(event)),
        "hub": message.hub,
    }


def _alert(described: DescribedAlert) -> dict[str, Any]:
    alert = described.alert
    same = (
        "id",
        "rule_id",
        "node_id",
        "object",
        "level",
        "state",
        "since_at",
        "resolved_at",
        "reason",
        "threshold",
        "incident_id",
    )
    return {
        **{name: getattr(alert, name) for name in same},
        "flags": {
            "acknowledged": alert.acknowledged_at is not None,
            "snoozed_until": alert.snoozed_until,
            "suppressed_by": alert.suppressed_by or None,
            "stale": alert.stale,
            "flapping": alert.flapping,
            "maintenance": alert.maintenance,
        },
        "value": described.value,
        "node_name": described.node_name,
        "rule_name": described.rule_name,
    }


def signatures(keys: Sequence[bytes], message_id: str, sent_at: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each key."""
    signed = f"{message_id}.{sent_at}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)


async def send(target: WebhookTarget, message: Message, egress: Egress) -> Outcome:
    body, sent_at = msgspec.json.encode(render(message)), int(message.sent_at)
    headers = {"Content-Type": "application/json", "webhook-id": message.id, "webhook-timestamp": str(sent_at)}
    keys = [key_of(text) for text in (target.secret, target.old_secret) if text]
    if keys:
        headers["webhook-signature"] = signatures(keys, message.id, sent_at, body)
    return await post(Post(target.url, body, headers), egress)


WEBHOOK: Final = Kind("webhook", "Webhook", "Signed JSON to a program of yours.", WebhookTarget, check, mask, render, send, by_url("url"))
