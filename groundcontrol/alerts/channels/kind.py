"""What a kind of channel is, and what kinds share: the end of an attempt, posting JSON, and the words of failures."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from groundcontrol.alerts.egress import Denied, Egress
from groundcontrol.alerts.messages import Message
from groundcontrol.alerts.model import ChannelKind
from spider.logs import event

log = logging.getLogger(__name__)

MOST_ANSWER_BYTES: Final = 4096
_TRANSIENT: Final = frozenset({408, 409, 421, 423, 425, 429})
"""Statuses of failures that may pass, besides 5xx."""


class Sent(NamedTuple):
    """The receiver took it."""

    code: str = "ok"


class Transient(NamedTuple):
    """It failed for now."""

    code: str
    retry_after_s: float | None = None
    """What the receiver asked for."""


class Permanent(NamedTuple):
    """It failed, and would fail again."""

    code: str


Outcome = Sent | Transient | Permanent
Payload = dict[str, Any]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The receiver of a channel, with its secrets. Each kind has a struct of its own."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class Receiver(NamedTuple):
    """Where a target connects to."""

    host: str
    port: int
    field: str
    """Of the target, for the text of a refusal."""


def by_url(name: str) -> Callable[[Any], Receiver]:
    """The receiver of a target with a URL in this field."""

    def receiver(target: Target) -> Receiver:
        parts = urlsplit(getattr(target, name))
        return Receiver(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), f"target.{name}")

    return receiver


class Kind(NamedTuple):
    """One kind of channel. Its functions take its own struct of a target."""

    name: ChannelKind
    title: str
    target: type[Target]
    check: Callable[[Any], None]
    """Raises: BadRequest."""
    mask: Callable[[Any], str]
    """The target for people, without what is secret of it."""
    render: Callable[[Message], Payload]
    """The message in the format of this kind, without anything of the target."""
    send: Callable[[Any, Message, Egress], Awaitable[Outcome]]
    receiver: Callable[[Any], Receiver]
    """Of a target that was checked."""


class Post(NamedTuple):
    """One request to a receiver."""

    url: str
    body: bytes
    headers: Mapping[str, str] = {}


def json_post(url: str, payload: Payload, headers: Mapping[str, str] | None = None) -> Post:
    return Post(url, msgspec.json.encode(payload), {"Content-Type": "application/json", **(headers or {})})


async def post(request: Post, egress: Egress, asked_wait: Callable[[bytes], float | None] | None = None) -> Outcome:
    """Send one request. Redirects are not followed, and of the answer only status and wait are used.

    Args: asked_wait: reads from a body for how many seconds the receiver asks, where no header says it.
    """
    try:
        async with egress.http().post(request.url, data=request.body, headers=dict(request.headers), allow_redirects=False) as response:
            body = await response.content.read(MOST_ANSWER_BYTES)
            response.close()
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
        return failure(exc)
    wait = retry_after_s(response.headers.get("Retry-After"))
    return of_status(response.status, wait if wait is not None or asked_wait is None else asked_wait(body))


def of_status(status: int, wait_s: float | None = None) -> Outcome:
    """What an HTTP status says of an attempt. A redirect is refused: the target is to be changed instead."""
    if 200 <= status < 300:
        return Sent(f"http:{status}")
    if status in _TRANSIENT or status >= 500:
        return Transient(f"http:{status}", wait_s)
    return Permanent(f"http:{status}")


_CLASSES: Final[tuple[tuple[tuple[type[BaseException], ...], Outcome], ...]] = (
    ((Denied,), Permanent("denied")),
    ((aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError), Permanent("tls_certificate")),
    ((aiohttp.InvalidURL, ValueError), Permanent("url")),
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), Transient("dns")),
    ((TimeoutError,), Transient("timeout")),
    ((ssl.SSLError,), Transient("tls")),
    ((aiohttp.ClientConnectorError, ConnectionRefusedError), Transient("connect")),
)
"""The first row that has the class of the error, or of the system's error in it, decides."""


def failure(exc: BaseException) -> Outcome:
    """The class of an error before an answer came. Texts of errors may contain the target, so none of them is used."""
    cause = getattr(exc, "os_error", None) or exc
    found = (outcome for kinds, outcome in _CLASSES if isinstance(exc, kinds) or isinstance(cause, kinds))
    return next(found, Transient("connection_lost"))


def retry_after_s(text: str | None) -> float | None:
    """The header `Retry-After`: seconds or a date. None: it says nothing usable."""
    if not text or len(text) > 64:
        return None
    if text.isascii() and text.strip().isdigit():
        return float(text)
    try:
        parsed = email.utils.parsedate_tz(text)
        return None if parsed is None else max(0.0, email.utils.mktime_tz(parsed) - time.time())
    except (ValueError, OverflowError):  # a year beyond those of the clock
        return None


def wait_in(body: bytes, *path: str) -> float | None:
    """A number of seconds in a JSON answer."""
    try:
        found = msgspec.json.decode(body)
        for name in path:
            found = found[name]
        return max(0.0, float(found))
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, OverflowError):
        return None


def masked_url(url: str) -> str:
    """A URL without its path and query, which often are the secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def cut(text: str, most: int) -> str:
    """At most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def no_mentions(text: str) -> str:
    """The text without a sign that chats take for a mention."""
    return text.replace("@", "\uff20")


async def sent_by(kind: Kind, target: Target, message: Message, egress: Egress, limit_s: float) -> Outcome:
    """Send one message within a limit; any error is an outcome."""
    try:
        async with asyncio.timeout(limit_s):
            return await kind.send(target, message, egress)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        return failure(exc)
    except Exception:  # the boundary to code of a kind: a mistake in it must not stop the others
        event(log, "channel_kind_failed", logging.ERROR, kind=kind.name, exc_info=True)
        return Transient("internal")
