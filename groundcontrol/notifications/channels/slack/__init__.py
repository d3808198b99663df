"""Slack: an incoming webhook with blocks (docs.slack.dev). Texts from outside are only in `plain_text`, which has no markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.notifications.channels.kind import Payload, chat, cut, no_mentions, utf16_units
from groundcontrol.notifications.messages import Message

_HEADER_CHARS: Final = 150
_TEXT_CHARS: Final = 3000


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


SLACK: Final = chat("slack", "Slack", "An incoming webhook of Slack.", "Begins with https://hooks.slack.com/services/", render)
