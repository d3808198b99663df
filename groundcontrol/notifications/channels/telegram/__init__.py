"""Telegram: `sendMessage` of the Bot API with HTML text (core.telegram.org/bots/api)."""

from __future__ import annotations

import html
import re
from typing import Annotated, Final

from groundcontrol.core.errors import BadRequest
from groundcontrol.notifications.channels.kind import (
    Kind,
    Outcome,
    Payload,
    Target,
    by_url,
    cut,
    field,
    fitting,
    json_post,
    no_links,
    no_mentions,
    post,
    utf16_units,
    wait_in,
)
from groundcontrol.notifications.egress import Egress, check_url
from groundcontrol.notifications.messages import Message

_TOKEN: Final = re.compile(r"[0-9]{5,20}:[A-Za-z0-9_-]{20,80}\Z")
_CHAT: Final = re.compile(r"-?[0-9]{1,20}\Z|@[A-Za-z0-9_]{4,64}\Z")
_LINE: Final = 300
MOST_CHARS: Final = 4096
"""Of a message, without its markup, in units of UTF-16. Here the markup counts too."""


class TelegramTarget(Target, frozen=True):
    token: Annotated[str, field("Token", "Of your bot, from @BotFather.", secret=True)]
    chat_id: Annotated[str, field("Chat", "Number of the chat, or @name of a channel.")]
    thread_id: Annotated[int | None, field("Thread")] = None
    server: Annotated[str, field("Server")] = "https://api.telegram.org"


def check(target: TelegramTarget) -> None:
    if not _TOKEN.match(target.token):
        raise BadRequest("a token looks like 123456789:ABC…", field="target.token")
    if not _CHAT.match(target.chat_id):
        raise BadRequest("chat_id is a number, or @name of a channel", field="target.chat_id")
    check_url(target.server, field="target.server")


def mask(target: TelegramTarget) -> str:
    return f"bot {target.token.partition(':')[0]}, chat {target.chat_id}"


def render(message: Message) -> Payload:
    links = [f'<a href="{html.escape(message.link)}">Open</a>']
    if message.ack_link:
        links.append(f'<a href="{html.escape(message.ack_link)}">Acknowledge</a>')
    title, last = f"<b>{_text(message.title)}</b>", " · ".join(links)
    lines = fitting([_text(line) for line in message.lines], MOST_CHARS - utf16_units(title) - 1 - utf16_units(last))
    text = "\n".join([title, *lines, last])
    return {
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": message.level is None,
    }


def _text(text: str) -> str:
    return html.escape(no_mentions(no_links(cut(text, _LINE))), quote=False)


async def send(target: TelegramTarget, message: Message, egress: Egress) -> Outcome:
    thread = {} if target.thread_id is None else {"message_thread_id": target.thread_id}
    request = json_post(
        f"{target.server.rstrip('/')}/bot{target.token}/sendMessage", {"chat_id": target.chat_id, **thread, **render(message)}
    )
    return await post(request, egress, lambda body: wait_in(body, "parameters", "retry_after"))


TELEGRAM: Final = Kind("telegram", "Telegram", "A bot writes into a chat.", TelegramTarget, check, mask, render, send, by_url("server"))
