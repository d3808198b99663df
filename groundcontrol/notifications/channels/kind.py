"""Defines a kind of channel, and the parts that kinds share: outcomes of attempts, posting JSON, and codes of failures."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from groundcontrol.core.errors import BadRequest
from groundcontrol.notifications.egress import TOTAL_S, Denied, Egress, check_url
from groundcontrol.notifications.messages import Message
from spider.logs import event

log = logging.getLogger(__name__)

MOST_ANSWER_BYTES: Final = 4096
_INSIDE_NAME: Final = re.compile(r"\.(?=[^\W\d])")
_TRANSIENT: Final = frozenset({408, 409, 421, 423, 425, 429})
"""Statuses of failures that may pass, besides 5xx."""


class Sent(NamedTuple):
    """The receiver took the message."""

    code: str = "ok"
    is_whole: bool = True
    """False: it took the message for some recipients only, and `code` says which it refused."""
    later: tuple[str, ...] = ()
    """The recipients that it refused for now, as in greylisting. A repetition goes to these alone."""


class Transient(NamedTuple):
    """The attempt failed, and a later one may succeed."""

    code: str
    retry_after_s: float | None = None
    """The wait that the receiver asked for; None: it asked for none."""


class Permanent(NamedTuple):
    """The attempt failed, and later ones would fail too."""

    code: str


Outcome = Sent | Transient | Permanent
Payload = dict[str, Any]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The receiver of a channel, with its secrets. Each kind has a struct of its own."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


def field(label: str, hint: str = "", *, secret: bool = False, **limits: Any) -> msgspec.Meta:
    """The words and limits of a target's field, for `Annotated`: the page makes its form from them.

    Args: secret: the page hides what is typed. limits: of msgspec, such as `max_length`.
    """
    return msgspec.Meta(title=label, description=hint or None, extra_json_schema={"writeOnly": True} if secret else None, **limits)


def with_label(target: type[Target], error: BadRequest) -> BadRequest:
    """The error with the label of the field in the form, where the text begins with the field's path or with the end of it."""
    path = str(error.detail.get("field", "")).split(".")
    label, at = "", target
    for name in path[1:]:
        found: Any = next((one.type for one in msgspec.structs.fields(at) if one.encode_name == name), None)
        label = next((meta.title for meta in getattr(found, "__metadata__", ()) if meta.title), "")
        at = found if isinstance(found, type) and issubclass(found, Target) else Target
    begins = next(
        (start for start in (".".join(path[n:]) for n in range(len(path))) if error.message.startswith((f"{start} ", f"{start}:"))), ""
    )
    return BadRequest(label + error.message.removeprefix(begins), **error.detail) if label and begins else error


class Receiver(NamedTuple):
    """The host and port of a target."""

    host: str
    port: int
    field: str
    """The field of the target that names it, for error texts."""


def by_url(name: str) -> Callable[[Any], Receiver]:
    """The function `Kind.receiver` for targets whose URL is in the field `name`."""

    def receiver(target: Target) -> Receiver:
        parts = urlsplit(getattr(target, name))
        return Receiver(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), f"target.{name}")

    return receiver


class Kind(NamedTuple):
    """One kind of channel. Its functions take its struct of a target."""

    name: str
    title: str
    hint: str
    """Its purpose, for the form."""
    target: type[Target]
    check: Callable[[Any], None]
    """Checks the fields of a target. Raises: BadRequest."""
    mask: Callable[[Any], str]
    """The target for users, without its secrets."""
    render: Callable[[Message], Payload]
    """The message in the format of this kind, without the target."""
    send: Callable[[Any, Message, Egress], Awaitable[Outcome]]
    receiver: Callable[[Any], Receiver]
    """The host and port of a checked target."""
    limit_s: float = TOTAL_S + 5.0
    """The limit of one attempt."""


class Post(NamedTuple):
    """One request to a receiver."""

    url: str
    body: bytes
    headers: Mapping[str, str] = {}


def json_post(url: str, payload: Payload, headers: Mapping[str, str] | None = None) -> Post:
    return Post(url, msgspec.json.encode(payload), {"Content-Type": "application/json", **(headers or {})})


async def post(request: Post, egress: Egress, asked_wait: Callable[[bytes], float | None] | None = None) -> Outcome:
    """Send one request. Redirects are not followed. Of the answer only its status is used, and how long the hub should wait.

    Args: asked_wait: reads that wait, in seconds, from the body of an answer without `Retry-After`; None: the body has none.
    """
    try:
        session = egress.http(request.url)
        async with session.post(request.url, data=request.body, headers=dict(request.headers), allow_redirects=False) as response:
            body = await response.content.read(MOST_ANSWER_BYTES)
            response.close()
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
        return failure(exc)
    wait = retry_after_s(response.headers.get("Retry-After"))
    return of_status(response.status, wait if wait is not None or asked_wait is None else asked_wait(body))


def chat(
    name: str,
    title: str,
    hint: str,
    address: str,
    render: Callable[[Message], Payload],
    asked_wait: Callable[[bytes], float | None] | None = None,
) -> Kind:
    """A kind whose target is one secret URL, which takes a message as JSON.

    Args: address: where the URL is found, for the form. asked_wait: as of `post`.
    """
    url = Annotated[str, field("Address (URL)", address, secret=True)]
    target = cast("type[Target]", msgspec.defstruct(f"{name.title()}Target", [("url", url)], bases=(Target,), frozen=True))

    async def send(target: Any, message: Message, egress: Egress) -> Outcome:
        return await post(json_post(target.url, render(message)), egress, asked_wait)

    def check(target: Any) -> None:
        check_url(target.url, field="target.url")

    return Kind(name, title, hint, target, check, lambda target: masked_url(target.url), render, send, by_url("url"))


def of_status(status: int, wait_s: float | None = None) -> Outcome:
    """The outcome of an attempt with this HTTP status. A redirect is a permanent failure: the target must be changed."""
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
"""Classes of errors -> outcome. The first row with the class of the error, or of its `os_error`, applies."""


def failure(exc: BaseException) -> Outcome:
    """The outcome of an attempt with this error. The text of the error is not used, since it may contain the target."""
    cause = getattr(exc, "os_error", None) or exc
    found = (outcome for kinds, outcome in _CLASSES if isinstance(exc, kinds) or isinstance(cause, kinds))
    return next(found, Transient("connection_lost"))


def retry_after_s(text: str | None) -> float | None:
    """The wait in the header `Retry-After`, in seconds; None: it has neither seconds nor a date."""
    if not text or len(text) > 64:
        return None
    if text.isascii() and text.strip().isdigit():
        return float(text)
    try:
        parsed = email.utils.parsedate_tz(text)
        return None if parsed is None else max(0.0, email.utils.mktime_tz(parsed) - time.time())
    except (ValueError, OverflowError):  # the year is out of range
        return None


def wait_in(body: bytes, *path: str) -> float | None:
    """The number of seconds in a field of a JSON answer; None: there is none. Args: path: names of nested fields."""
    try:
        found = msgspec.json.decode(body)
        for name in path:
            found = found[name]
        return max(0.0, float(found))
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def masked_url(url: str) -> str:
    """A URL without its path and query, which often contain a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def cut(text: str, most: int) -> str:
    """The text, shortened to `most` units of UTF-16, in which chats count."""
    if utf16_units(text) <= most:
        return text
    return text.encode("utf-16-le", "surrogatepass")[: 2 * (most - 1)].decode("utf-16-le", "ignore") + "…"


def utf16_units(text: str) -> int:
    """The length of a text as chats count it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


_MORE_CHARS: Final = 40
"""Room for the line that counts the others."""


def fitting(lines: Sequence[str], most: int, size: Callable[[str], int] = utf16_units) -> list[str]:
    """The lines that fit into `most` with a line break after each. A last line counts the others: a receiver refuses a message that is too
    long as a whole.

    Args: size: the length of one line.
    """
    if sum(size(line) + 1 for line in lines) <= most:
        return list(lines)
    kept: list[str] = []
    room = most - _MORE_CHARS - size("")
    for line in lines:
        room -= size(line) + 1
        if room < 0:
            break
        kept.append(line)
    return [*kept, f"and {len(lines) - len(kept)} more lines"]


def no_links(text: str) -> str:
    """The text with dots and slashes of which apps make no link. Of a bare name such as `web-1.example.com` they do otherwise, also without a
    preview: a node could name somebody's server."""
    return _INSIDE_NAME.sub("\u2024", text).replace("://", ":\u2044\u2044")


def no_mentions(text: str) -> str:
    """The text without `@`, which chats take for a mention."""
    return text.replace("@", "\uff20")


async def sent_by(kind: Kind, target: Target, message: Message, egress: Egress, limit_s: float) -> Outcome:
    """Send one message within a time limit. Every error becomes an outcome."""
    try:
        async with asyncio.timeout(limit_s):
            return await kind.send(target, message, egress)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        return failure(exc)
    except Exception:  # a fault in the code of one kind must not stop the others
        event(log, "channel_kind_failed", logging.ERROR, kind=kind.name, exc_info=True)
        return Transient("internal")
