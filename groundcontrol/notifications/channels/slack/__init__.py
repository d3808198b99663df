"""Slack: an incoming webhook with blocks (docs.slack.dev). Texts from outside are only in `plain_text`, which has no markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from groundcontrol.notifications.channels.kind import (
    Kind,
    Outcome,
    Payload,
    Target,
    by_url,
    cut,
    field,
    json_post,
    masked_url,
    no_mentions,
    post,
    utf16_units,
)
from groundcontrol.notifications.egress import Egress, check_url
from groundcontrol.notifications.messages import Message

_HEADER_CHARS: Final = 150
_TEXT_CHARS: Final = 3000


class SlackTarget(Target, frozen=True):
    url: Annotated[str, field("Address (URL)", "Begins with https://hooks.slack.com/services/", secret=True)]


def check(target: SlackTarget) -> None:
    check_url(target.url, field="target.url")


def mask(target: SlackTarget) -> str:
    return masked_url(target.url)


def render(message: Message) -> Payload:
    blocks: list[Payload] = [{"type": "header", "text": _plain(message.title, _HEADER_CHARS)}]
    blocks += [{"type": "section", "text": _plain(text, _TEXT_CHARS)} for text in _sections(message.lines)]
    buttons = [("Open", message.link), *([("Acknowledge", message.ack_link)] if message.ack_link else [])]
    blocks.append({"type": "actions", "elements": [{"type": "button", "text": _plain(name, 75), "url": url} for name, url in buttons]})
    return {"text": _escaped(message.title), "blocks": blocks, "link_names": False, "unfurl_links": False, "unfurl_media": False}


def _sections(lines: Sequence[str]) -> list[str]:
    """The lines as few texts, each of at most `_TEXT_CHARS`. A message has at most some fifty lines, and may have 50 blocks."""
    found: list[str] = []
    for line in lines:
        joined = f"{found[-1]}\n{line}" if found else line
        if found and utf16_units(joined) <= _TEXT_CHARS:
            found[-1] = joined
        else:
            found.append(line)
    return found


def _plain(text: str, most: int) -> Payload:
    return {"type": "plain_text", "text": cut(no_mentions(text), most), "emoji": False}


def _escaped(text: str) -> str:
    return no_mentions(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def send(target: SlackTarget, message: Message, egress: Egress) -> Outcome:
    return await post(json_post(target.url, render(message)), egress)


SLACK: Final = Kind("slack", "Slack", "An incoming webhook of Slack.", SlackTarget, check, mask, render, send, by_url("url"))
