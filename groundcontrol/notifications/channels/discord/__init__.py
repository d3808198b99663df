"""Discord: a webhook with one embed (docs.discord.com/developers/resources/webhook). The text cannot mention anybody."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from groundcontrol.notifications.channels.kind import Payload, chat, cut, fitting, no_mentions, utf16_units, wait_in
from groundcontrol.notifications.messages import Message

_MARKUP: Final = re.compile(r"([\\*_~`|>\[\]()#<:-])")
_COLOUR: Final = {"critical": 0xC62828, "warning": 0xEF8F00, None: 0x2E7D32}
MOST_CHARS: Final = 4096
"""Of a description. With a title of 256, the embed has less than its 6000."""
_GREY: Final = 0x757575
"""The colour of an end that is not a recovery."""


def render(message: Message) -> Payload:
    links = " · ".join([f"[Open]({message.link})", *([f"[Acknowledge]({message.ack_link})"] if message.ack_link else [])])
    lines = fitting([_text(line) for line in message.lines], MOST_CHARS - utf16_units(links))
    embed = {
        "title": cut(_text(message.title), 256),
        "description": "\n".join([*lines, links]),
        "url": message.link,
        "color": _GREY if message.kind == "resolved" and not message.recovered else _COLOUR[message.level],
        "timestamp": datetime.fromtimestamp(message.sent_at, UTC).isoformat(),
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _text(text: str) -> str:
    return _MARKUP.sub(r"\\\1", no_mentions(text))


DISCORD: Final = chat(
    "discord",
    "Discord",
    "A webhook of a Discord channel.",
    "Begins with https://discord.com/api/webhooks/",
    render,
    lambda body: wait_in(body, "retry_after"),
)
