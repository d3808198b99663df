"""Every kind of channel: its format, hostile text, and the documented responses of its service.

The responses are written from the services' published documentation, not recorded from them.
"""

from __future__ import annotations

import asyncio
import html
import html.parser
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from groundcontrol.alerts.model import IncidentId
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import EventId
from groundcontrol.events.model import Event
from groundcontrol.notifications.channels import KINDS
from groundcontrol.notifications.channels.email import build_mail
from groundcontrol.notifications.channels.kind import Outcome, Permanent, Sent, Transient, retry_after_s, wait_in
from groundcontrol.notifications.egress import Egress
from groundcontrol.notifications.messages import Address, Message, MessageContent, build_message
from groundcontrol.notifications.model import ChannelId, Delivery, DeliveryId, MessageKind
from groundcontrol.notifications.samples import sample_message
from groundcontrol.notifications.service import read_target
from spider.wire.ids import new_time_id
from spider.wire.text import UNSEEN_CHAR
from tests.support.receivers import HUB, Received, Receiver, told

NOW = 1_790_000_000.0
KEY = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
OLD_KEY = "whsec_" + "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4"
TOKEN = "123456789:" + "A" * 35
TARGETS: dict[str, dict[str, Any]] = {
    "email": {"smtp": {"host": "mail.example.com", "port": 587, "tls": "starttls"}, "from": "hub@example.com", "to": ["ops@example.com"]},
    "webhook": {"url": "{url}/hook", "secret": KEY},
    "ntfy": {"server": "{url}", "topic": "alerts", "token": "tk_secret"},
    "telegram": {"server": "{url}", "token": TOKEN, "chat_id": "-100123"},
    "slack": {"url": "{url}/services/T0/B0/secret"},
    "discord": {"url": "{url}/api/webhooks/1/secret"},
    "teams": {"url": "{url}/workflows/secret"},
    "gotify": {"url": "{url}", "token": "Asecret"},
    "pagerduty": {"server": "{url}", "routing_key": "0123456789abcdef0123456789abcdef"},
}
HTTP_KINDS = [kind for kind in TARGETS if kind != "email"]
HOSTILE = (
    "@everyone @here <!channel> <@U123> <a href='http://evil.example'>x</a> <script>alert(1)</script> [x](http://evil.example) *b* _i_ `c`"
    " login.evil.example \r\nBcc: evil@example.com\r\n\r\nbody \u202e\u2066gnp.exe \x1b[31m \u200b\u2028 &amp; ]]> ||spoiler|| # head\n> quote <at>all</at> ${jndi} {{7*7}}"
)


def message(text: str, kind: MessageKind = "firing") -> Message:
    content = told(new_time_id(NOW), NOW - 900)
    assert content.incident
    [one] = content.alerts
    content = MessageContent(
        content.incident._replace(title=text),
        (one._replace(node_name=text, rule_name=text, alert=one.alert._replace(object=text, note=text)),),
    )
    if kind == "event":
        content = MessageContent(
            event=Event(EventId(new_time_id(NOW)), 1, "custom", "error", "api", NOW, None, text, {"name": text}), node_name=text
        )
    delivery = Delivery(
        DeliveryId(new_time_id(NOW)), 1, ChannelId("0" * 26), kind, IncidentId("1" * 26), None, 1, "due", "ready", NOW, None
    )
    return build_message(delivery, content, Address(HUB, text, "T0KEN"), NOW)


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (*texts(key), *texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


class _Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs).get("href")))


@pytest.mark.holds("S-16")
@pytest.mark.parametrize("kind", TARGETS)
@given(text=st.one_of(st.just(HOSTILE), st.text(max_size=400), st.lists(st.sampled_from(HOSTILE.split()), max_size=30).map(" ".join)))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_text_from_a_node_has_no_effect_in_any_format(kind: str, text: str) -> None:
    kinds: tuple[MessageKind, ...] = ("firing", "event")
    for what in kinds:
        made = message(text, what)
        payload = KINDS[kind].render(made)
        for part in texts(payload):
            assert not UNSEEN_CHAR.search(part.replace("\n", "")), part
        json.loads(msgspec.json.encode(payload))
        if kind in _CHECKS:
            _CHECKS[kind](payload, made)


def long_message(letter: str) -> Message:
    """A joint incident of two hundred servers whose names are as long as they may be."""
    content = told(new_time_id(NOW), NOW - 900)
    assert content.incident
    [one] = content.alerts
    alerts = tuple(one._replace(node_name=f"{letter * 245}{no}", rule_name=letter * 250) for no in range(200))
    content = MessageContent(content.incident._replace(title=letter * 500), alerts, silent=tuple(f"{letter * 245}{no}" for no in range(60)))
    delivery = Delivery(
        DeliveryId(new_time_id(NOW)), 1, ChannelId("0" * 26), "firing", IncidentId("1" * 26), None, 1, "due", "ready", NOW, None
    )
    return build_message(delivery, content, Address("https://" + "hub." * 30 + "example", "ops", "T0KEN" * 30), NOW)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


LIMITS: dict[str, Callable[[Any], list[tuple[int, int]]]] = {
    "discord": lambda payload: [
        (utf16(payload["embeds"][0]["title"]), 256),
        (utf16(payload["embeds"][0]["description"]), 4096),
        (utf16(payload["embeds"][0]["title"] + payload["embeds"][0]["description"]), 6000),
    ],
    "ntfy": lambda payload: [(len(payload["message"].encode()), 4096), (len(payload["title"].encode()), 1024)],
    "pagerduty": lambda payload: [
        (len(msgspec.json.encode(payload)), 512_000),
        (len(payload["payload"]["summary"]), 1024),
        (len(payload["dedup_key"]), 255),
    ],
    "slack": lambda payload: [
        (len(payload["blocks"]), 50),
        (utf16(payload["blocks"][0]["text"]["text"]), 150),
        *((utf16(block["text"]["text"]), 3000) for block in payload["blocks"][1:-1]),
        *((len(button["url"]), 3000) for button in payload["blocks"][-1]["elements"]),
    ],
    "teams": lambda payload: [(len(msgspec.json.encode(payload)), 28_000)],
    "telegram": lambda payload: [(utf16(html.unescape(re.sub(r"<[^>]*>", "", payload["text"]))), 4096)],
}
"""Kind -> (length, documented limit) of each part of a message that has a limit."""


@pytest.mark.parametrize("letter", ["w", "&", "\U0001f41f"])
@pytest.mark.parametrize("kind", TARGETS)
def test_the_longest_message_is_cut_to_the_limits_of_its_receiver(kind: str, letter: str) -> None:
    """A receiver refuses a message that is too long as a whole."""
    made = long_message(letter)
    assert len(made.lines) > 40
    payload = KINDS[kind].render(made)
    over = [(length, most) for length, most in LIMITS.get(kind, lambda _: [])(payload) if length > most]
    assert over == []
    shown = "\n".join(texts(payload))
    if kind in ("discord", "ntfy", "telegram"):
        assert re.search(r"and \d+ more lines", shown), "what was left out is counted"
        assert "more lines" not in "\n".join(texts(KINDS[kind].render(sample_message("firing", HUB, NOW))))
    if kind == "teams":
        assert ("more lines" in shown) == (letter == "\U0001f41f")
    if kind == "slack":
        sections = [block["text"]["text"] for block in payload["blocks"][1:-1]]
        assert [line for text in sections for line in text.split("\n")] == list(made.lines)


def _discord(payload: Any, _made: Message) -> None:
    assert payload["allowed_mentions"] == {"parse": []}
    [embed] = payload["embeds"]
    bare = re.sub(r"\\.", "", embed["title"] + embed["description"].rpartition("\n")[0])
    assert not re.search(r"[*_~`|\[\]()#<>@]", bare), bare
    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096


LINKED = re.compile(r"\w\.[^\W\d]|://")
"""What the apps of Telegram, ntfy and Gotify make a link of: a bare name too."""


def _ntfy(payload: Any, _made: Message) -> None:
    assert not LINKED.search(f"{payload['title']} {payload['message']}")


def _gotify(payload: Any, made: Message) -> None:
    text = (
        payload["message"].removesuffix(f"{made.link}\nAcknowledge: {made.ack_link}")
        if made.ack_link
        else payload["message"].removesuffix(made.link)
    )
    assert text != payload["message"]
    assert not LINKED.search(f"{payload['title']} {text}")


def _telegram(payload: Any, made: Message) -> None:
    body = payload["text"]
    assert {tag for tag, _ in _Tags(body).found} <= {"b", "a"}
    assert {href for tag, href in _Tags(body).found if tag == "a"} == {made.link, made.ack_link} - {""}
    assert "@" not in body
    assert not LINKED.search(re.sub(r"<[^>]*>", "", body))
    assert len(html.unescape(re.sub(r"<[^>]*>", "", body))) <= 4096


def _slack(payload: Any, _made: Message) -> None:
    assert "<" not in payload["text"]
    assert "@" not in "".join(texts(payload["blocks"][:-1]))
    assert {block["text"]["type"] for block in payload["blocks"][:-1]} == {"plain_text"}
    assert len(payload["blocks"][0]["text"]["text"]) <= 150


def _teams(payload: Any, _made: Message) -> None:
    [card] = [attachment["content"] for attachment in payload["attachments"]]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert "msteams" not in card
    assert len(msgspec.json.encode(payload)) < 28_000


def _email(payload: Any, made: Message) -> None:
    mail = build_mail(read_target("email", TARGETS["email"]), made)
    names = [name.lower() for name in mail]
    assert len(names) == len(set(names))
    assert "bcc" not in names
    assert mail["To"] == "ops@example.com"
    assert mail["Message-ID"] == f"<{made.id}@hub.example>"
    assert mail["References"] == f"<incident.{made.thread}@hub.example>"
    assert {tag for tag, _ in _Tags(payload["html"]).found} <= {"html", "body", "h3", "p", "a"}
    mail.as_bytes()


_CHECKS: dict[str, Callable[[Any, Message], None]] = {
    "discord": _discord,
    "telegram": _telegram,
    "ntfy": _ntfy,
    "gotify": _gotify,
    "slack": _slack,
    "teams": _teams,
    "email": _email,
}


PUBLISHED: dict[str, tuple[str, Callable[[Received, Message], bool]]] = {
    "webhook": ("/hook", lambda got, made: got.headers["webhook-id"] == made.id),
    "ntfy": (
        "/",
        lambda got, _: (got.headers["Authorization"], got.json["topic"], got.json["priority"]) == ("Bearer tk_secret", "alerts", 5),
    ),
    "telegram": (f"/bot{TOKEN}/sendMessage", lambda got, _: bool(got.json["chat_id"] == "-100123")),
    "slack": ("/services/T0/B0/secret", lambda got, _: bool(got.json["blocks"][0]["type"] == "header")),
    "discord": ("/api/webhooks/1/secret", lambda got, _: "embeds" in got.json),
    "teams": ("/workflows/secret", lambda got, _: bool(got.json["type"] == "message")),
    "gotify": ("/message", lambda got, _: (got.headers["X-Gotify-Key"], got.json["priority"]) == ("Asecret", 8)),
    "pagerduty": ("/v2/enqueue", lambda got, made: (got.json["event_action"], got.json["dedup_key"]) == ("trigger", made.incident_id)),
}
"""Where each service takes messages, and what must be in one."""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().running() as made:
        yield made


def filled(kind: str, url: str, **changes: Any) -> Any:
    return json.loads(json.dumps({**TARGETS[kind], **changes}).replace("{url}", url))


async def sent(receiver: Receiver, kind: str, made: Message, **changes: Any) -> Outcome:
    egress = Egress(frozenset({("127.0.0.1", receiver.port)}))
    try:
        return await KINDS[kind].send(read_target(kind, filled(kind, f"http://127.0.0.1:{receiver.port}", **changes)), made, egress)
    finally:
        await egress.close()


def answering(status: int, body: bytes = b"", **headers: str) -> Any:
    async def answer(_received: Received) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_each_channel_kind_uses_the_documented_url_and_authentication(receiver: Receiver, kind: str) -> None:
    made = sample_message("firing", HUB, NOW)
    assert await sent(receiver, kind, made) == Sent("http:200")
    [got] = receiver.got
    where, is_proven = PUBLISHED[kind]
    assert got.path == where
    assert is_proven(got, made)
    assert got.headers["Content-Type"] == "application/json"
    shown = KINDS[kind].mask(read_target(kind, filled(kind, "https://x.example")))
    assert not [word for word in ("secret", KEY, TOKEN, "456789abcdef") if word in shown]


@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_statuses_of_each_kind_are_distinguished(receiver: Receiver, kind: str) -> None:
    made = sample_message("firing", HUB, NOW)
    for status, expected in (
        (500, Transient("http:500")),
        (401, Permanent("http:401")),
        (404, Permanent("http:404")),
        (302, Permanent("http:302")),
    ):
        receiver.answer = answering(status, Location=receiver.url("/elsewhere")) if status == 302 else answering(status)
        assert await sent(receiver, kind, made) == expected
    receiver.answer = answering(429, Retry_After="17")
    assert await sent(receiver, kind, made) == Transient("http:429", 17.0)
    assert "/elsewhere" not in [got.path for got in receiver.got]


async def test_retry_delays_in_a_body_are_parsed(receiver: Receiver) -> None:
    made = sample_message("firing", HUB, NOW)
    receiver.answer = answering(429, b'{"ok":false,"error_code":429,"parameters":{"retry_after":35}}')
    assert await sent(receiver, "telegram", made) == Transient("http:429", 35.0)
    receiver.answer = answering(429, b'{"message":"You are being rate limited.","retry_after":0.3,"global":false}')
    assert await sent(receiver, "discord", made) == Transient("http:429", 0.3)
    receiver.answer = answering(429, b"not json")
    assert await sent(receiver, "discord", made) == Transient("http:429", None)


async def test_a_receiver_that_closes_the_connection_is_retried(receiver: Receiver) -> None:
    async def hang_up(_received: Received) -> web.StreamResponse:
        raise asyncio.CancelledError

    receiver.answer = hang_up
    assert await sent(receiver, "slack", sample_message("firing", HUB, NOW)) == Transient("connection_lost")


async def test_a_webhook_is_verified_by_the_library_of_its_standard_with_either_key(receiver: Receiver) -> None:
    made = sample_message("firing", HUB, time.time())
    await sent(receiver, "webhook", made, secret=KEY, old_secret=OLD_KEY)
    [got] = receiver.got
    headers = {name.lower(): value for name, value in got.headers.items()}
    for key in (KEY, OLD_KEY):
        assert Webhook(key).verify(got.body, headers)["id"] == made.id
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "eHh4" * 8).verify(got.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(got.body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(got.body, headers | {"webhook-timestamp": str(int(made.sent_at) - 301)})
    body = got.json
    assert set(body) == {"version", "id", "kind", "sent_at", "title", "incident", "alerts", "event", "hub"}
    assert (body["version"], body["kind"], body["event"], body["hub"]) == (1, "firing", None, HUB)
    assert set(body["incident"]) == {"id", "level", "state", "title", "url"}
    assert set(body["alerts"][0]) == {
        "id", "rule_id", "node_id", "object", "level", "state", "since_at", "resolved_at", "reason", "value", "threshold", "incident_id", "flags",
        "node_name", "rule_name",
    }  # fmt: skip


def test_a_resolved_incident_closes_its_page_in_pagerduty() -> None:
    made = sample_message("resolved", HUB, NOW)
    assert KINDS["pagerduty"].render(made) == {"event_action": "resolve", "dedup_key": made.incident_id}


def test_a_button_of_ntfy_acknowledges_without_a_browser() -> None:
    action = KINDS["ntfy"].render(sample_message("firing", HUB, NOW))["actions"][0]
    assert (action["url"], action["method"]) == (f"{HUB}/api/v1/links/alert", "POST")
    assert json.loads(action["body"]) == {"token": "TOKEN", "verb": "acknowledge"}


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("webhook", {"url": "https://x.example/", "secret": "short"}), ("webhook", {"url": "ftp://x.example/"}), ("webhook", {}),
        ("webhook", {"url": "https://x.example/", "more": 1}), ("telegram", {"token": "x/../y", "chat_id": "1"}),
        ("telegram", {"token": TOKEN, "chat_id": "1&x=y"}), ("ntfy", {"topic": "a/b"}), ("gotify", {"url": "https://x.example", "token": "a\r\nb"}),
        ("pagerduty", {"routing_key": "short"}), ("email", TARGETS["email"] | {"to": ["a@b.example\r\nBcc: c@d.example"]}),
        ("email", TARGETS["email"] | {"to": []}), ("email", TARGETS["email"] | {"smtp": {"host": "mail.example.com", "tls": "none"}}),
        ("email", TARGETS["email"] | {"smtp": {"host": "mail.example.com", "tls": False}}), ("carrier-pigeon", {}),
    ],
)  # fmt: skip
def test_an_invalid_target_is_refused(kind: str, target: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        read_target(kind, target)


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s("120") == 120.0
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    absurd = ("²", "Wed, 21 Oct 99999 07:28:00 GMT", "1 Jan 999999999999 00:00:00")
    assert [retry_after_s(text) for text in (None, "", "soon", "-5", "9" * 99, *absurd)] == [None] * 8
    assert wait_in(b'{"wait": ' + b"9" * 400 + b"}", "wait") is None
    assert wait_in(b"[" * 4096, "wait") is None


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"pagerduty"}))
def test_an_end_that_is_no_recovery_is_named_by_its_reason(kind: str) -> None:
    over = sample_message("resolved", HUB, NOW).content
    [episode] = over.alerts
    off = over._replace(alerts=(episode._replace(alert=episode.alert._replace(reason="rule_disabled")),))
    delivery = Delivery(DeliveryId("0" * 26), 1, ChannelId("0" * 26), "resolved", None, None, 2, "due", "ready", NOW, None)
    rendered = json.dumps(KINDS[kind].render(build_message(delivery, off, Address(HUB, "ops"), NOW)), ensure_ascii=False)
    assert "Rule switched off" in rendered
    assert "Resolved" not in rendered
    assert "white_check_mark" not in rendered
