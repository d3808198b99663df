"""Gotify: posts a message of an application (gotify.net/api-docs)."""

from __future__ import annotations

import re
from typing import Annotated, Final

from groundcontrol.core.errors import BadRequest
from groundcontrol.notifications.channels.kind import Kind, Outcome, Payload, Target, by_url, field, json_post, masked_url, no_links, post
from groundcontrol.notifications.egress import Egress, check_url
from groundcontrol.notifications.messages import Message

_PRIORITY: Final = {"critical": 8, "warning": 5, None: 3}


class GotifyTarget(Target, frozen=True):
    url: Annotated[str, field("Address (URL)", "Of the server.")]
    token: Annotated[str, field("Token", "Of the application.", secret=True)]


def check(target: GotifyTarget) -> None:
    check_url(target.url, field="target.url")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", target.token):
        raise BadRequest("a token has letters, digits and . _ -", field="target.token")


def mask(target: GotifyTarget) -> str:
    return masked_url(target.url)


def render(message: Message) -> Payload:
    links = [message.link, *([f"Acknowledge: {message.ack_link}"] if message.ack_link else [])]
    return {
        "title": no_links(message.title),
        "message": "\n".join([*(no_links(line) for line in message.lines), *links]),
        "priority": _PRIORITY[message.level],
        "extras": {"client::display": {"contentType": "text/plain"}, "client::notification": {"click": {"url": message.link}}},
    }


async def send(target: GotifyTarget, message: Message, egress: Egress) -> Outcome:
    return await post(json_post(f"{target.url.rstrip('/')}/message", render(message), {"X-Gotify-Key": target.token}), egress)


GOTIFY: Final = Kind("gotify", "Gotify", "Push through your own Gotify server.", GotifyTarget, check, mask, render, send, by_url("url"))
