"""Microsoft Teams: the webhook of a workflow, with an Adaptive Card. Texts are in text runs, which have no markup."""

from __future__ import annotations

from typing import Final

import msgspec

from groundcontrol.notifications.channels.kind import Payload, chat, cut, fitting, no_mentions
from groundcontrol.notifications.messages import Message

_COLOUR: Final = {"critical": "Attention", "warning": "Warning", None: "Good"}
_TEXT_CHARS: Final = 1000
MOST_BYTES: Final = 18_000
"""Of all lines as JSON. A message may have about 28 KB, title, links and what the workflow adds included."""


def render(message: Message) -> Payload:
    colour = "Default" if message.kind == "resolved" and not message.recovered else _COLOUR[message.level]
    links = [("Open", message.link), *([("Acknowledge", message.ack_link)] if message.ack_link else [])]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _run(message.title, {"weight": "Bolder", "size": "Medium", "color": colour}),
            *(_run(line, {}) for line in fitting(message.lines, MOST_BYTES, _bytes_of)),
        ],
        "actions": [{"type": "Action.OpenUrl", "title": title, "url": url} for title, url in links],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _bytes_of(line: str) -> int:
    return len(msgspec.json.encode(_run(line, {})))


def _run(text: str, style: Payload) -> Payload:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": cut(no_mentions(text), _TEXT_CHARS), **style}]}


TEAMS: Final = chat(
    "teams",
    "Microsoft Teams",
    "A workflow of Microsoft Teams.",
    "Of the workflow “Post to a channel when a webhook request is received”.",
    render,
)
