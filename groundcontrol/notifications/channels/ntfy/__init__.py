"""ntfy: posts JSON to the server's root (docs.ntfy.sh/publish). A button acknowledges on the phone without a browser."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from groundcontrol.core.errors import BadRequest
from groundcontrol.notifications.channels.kind import (
    Kind,
    Outcome,
    Payload,
    Target,
    by_url,
    field,
    fitting,
    json_post,
    no_links,
    post,
    utf8_bytes,
)
from groundcontrol.notifications.egress import Egress, check_url
from groundcontrol.notifications.messages import Message

_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
MOST_BYTES: Final = 4096
"""Of a message. A server makes an attachment of a longer one, or refuses it. Titles may have 1 KiB."""
_PRIORITY: Final = {"critical": 5, "warning": 4, None: 3}
_TAG: Final = {"critical": "rotating_light", "warning": "warning", None: "information_source"}


class NtfyTarget(Target, frozen=True):
    topic: Annotated[str, field("Topic", "Everyone who knows the topic can read it on a public server.")]
    server: Annotated[str, field("Server")] = "https://ntfy.sh"
    token: Annotated[str, field("Token", "Access token of a user, where the server wants one.", secret=True, max_length=200)] = ""
    username: Annotated[str, field("User name", max_length=200)] = ""
    password: Annotated[str, field("Password", secret=True, max_length=200)] = ""


def check(target: NtfyTarget) -> None:
    if not _TOPIC.match(target.topic):
        raise BadRequest("a topic has 1 to 64 letters, digits, - and _", field="target.topic")
    if target.token and not re.fullmatch(r"[\x21-\x7e]+", target.token):
        raise BadRequest("a token has visible ASCII characters", field="target.token")
    check_url(target.server, field="target.server")


def mask(target: NtfyTarget) -> str:
    return f"{urlsplit(target.server).netloc}/{target.topic[:2]}…"


def render(message: Message) -> Payload:
    actions: list[Payload] = [{"action": "view", "label": "Open", "url": message.link}]
    if message.ack_token:
        body = msgspec.json.encode({"token": message.ack_token, "verb": "acknowledge"}).decode()
        headers = {"Content-Type": "application/json"}
        actions.insert(
            0,
            {
                "action": "http",
                "label": "Acknowledge",
                "url": message.ack_url,
                "method": "POST",
                "headers": headers,
                "body": body,
                "clear": True,
            },
        )
    return {
        "title": no_links(message.title),
        "message": "\n".join(fitting([no_links(line) for line in message.lines], MOST_BYTES, utf8_bytes)) or no_links(message.title),
        "priority": 3 if message.kind == "resolved" else _PRIORITY[message.level],
        "tags": ["white_check_mark" if message.recovered else _TAG[message.level]],
        "click": message.link,
        "actions": actions,
    }


async def send(target: NtfyTarget, message: Message, egress: Egress) -> Outcome:
    headers = {}
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    elif target.username:
        pair = base64.b64encode(f"{target.username}:{target.password}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    return await post(json_post(target.server, {"topic": target.topic, **render(message)}, headers), egress)


NTFY: Final = Kind(
    "ntfy", "ntfy", "Push to phones, with a button that acknowledges.", NtfyTarget, check, mask, render, send, by_url("server")
)
