"""E-mail by SMTP. TLS with a certificate of the server is required, except for a relay on this machine."""

from __future__ import annotations

import contextlib
import html
import ipaddress
import re
from datetime import UTC, datetime
from email.headerregistry import HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import aiosmtplib
import msgspec

from groundcontrol.core.errors import BadRequest
from groundcontrol.notifications.channels.kind import Kind, Outcome, Payload, Permanent, Receiver, Sent, Target, Transient, failure, field
from groundcontrol.notifications.egress import Egress, is_host
from groundcontrol.notifications.messages import Message

Tls = Literal["starttls", "implicit", "none"]
MOST_RECIPIENTS: Final = 50
MOST_PLACES: Final = 5
"""The most refused recipients that are named."""
COMMAND_S: Final = 300.0
"""How long a server has for its greeting and for the answer to a command. Source: RFC 5321, 4.5.3.2."""
MESSAGE_S: Final = 600.0
"""The same for the answer to the whole message: a server checks it before it answers."""
ATTEMPT_S: Final = 1800.0
"""The limit of a whole attempt."""
QUIT_S: Final = 10.0
"""How long the last answer is waited for. The message is already taken."""
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z")

_NAME: Final = re.compile(r"(?=.{4,255}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z", re.IGNORECASE)
"""A host name with a domain."""


class Smtp(Target, frozen=True):
    host: Annotated[str, field("Mail server")]
    port: Annotated[int, field("Port", ge=1, le=65535)] = 587
    tls: Annotated[Tls | bool, field("Encryption", "Without encryption only to a relay on this machine.")] = True
    username: Annotated[str, field("User name", max_length=256)] = ""
    password: Annotated[str, field("Password", secret=True, max_length=256)] = ""
    helo: Annotated[
        str, field("Hub's name (EHLO)", "Such as hub.example.com. Empty: the name of the page, or its address.", max_length=255)
    ] = ""

    @property
    def security(self) -> Tls:
        if isinstance(self.tls, bool):
            return "none" if not self.tls else "implicit" if self.port == 465 else "starttls"
        return self.tls


class EmailTarget(Target, frozen=True):
    smtp: Smtp
    sender: Annotated[str, field("From")] = msgspec.field(name="from")
    to: Annotated[list[str], field("To", "One or several addresses, with commas between.", min_length=1, max_length=MOST_RECIPIENTS)]


def check(target: EmailTarget) -> None:
    if not is_host(target.smtp.host):
        raise BadRequest("smtp.host must be the name or address of a host", field="target.smtp.host")
    if target.smtp.helo and not _NAME.match(target.smtp.helo) and not _is_literal(target.smtp.helo):
        raise BadRequest("smtp.helo must be a name such as hub.example.com, or an address in brackets", field="target.smtp.helo")
    for name, address in (("from", target.sender), *(("to", one) for one in target.to)):
        if not _ADDRESS.match(address):
            raise BadRequest(
                f"{name} must hold addresses such as ops@example.com, in ASCII (a domain with other letters as xn--…)",
                field=f"target.{name}",
            )
    if target.smtp.security == "none" and not _is_here(target.smtp.host):
        raise BadRequest("mail leaves this machine with TLS only: tls must be starttls or implicit", field="target.smtp.tls")


def _literal(address: str) -> str:
    """An address as a name in EHLO. Source: RFC 5321, 4.1.3."""
    plain = ipaddress.ip_address(address.partition("%")[0])
    return f"[IPv6:{plain}]" if plain.version == 6 else f"[{plain}]"


def _is_literal(text: str) -> bool:
    try:
        return text == _literal(text.strip("[]").removeprefix("IPv6:"))
    except ValueError:
        return False


def name_of_client(target: EmailTarget, hub: str, own_address: str) -> str:
    """The name in EHLO: a full host name, else an address in brackets. Strict servers refuse `localhost` and a bare address.

    Args: hub: the origin of the page. own_address: from which the connection goes out. Source: RFC 5321, 4.1.1.1 and 4.1.4.
    """
    host = urlsplit(hub).hostname or ""
    return target.smtp.helo or (host if _NAME.match(host) else _literal(own_address))


def _is_here(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def mask(target: EmailTarget) -> str:
    more = f" and {len(target.to) - 1} more" if len(target.to) > 1 else ""
    return f"{target.to[0]}{more} by {target.smtp.host}:{target.smtp.port}"


def render(message: Message) -> Payload:
    """Subject, plain text and simple HTML."""
    links = [("Open", message.link), *([("Acknowledge or snooze", message.ack_link)] if message.ack_link else [])]
    text = "\n".join([message.title, "", *message.lines, "", *(f"{name}: {url}" for name, url in links)]) + "\n"
    paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in message.lines)
    buttons = " · ".join(f'<a href="{html.escape(url)}">{name}</a>' for name, url in links)
    page = f"<!doctype html><html><body><h3>{html.escape(message.title)}</h3>{paragraphs}<p>{buttons}</p></body></html>\n"
    return {"subject": message.title, "text": text, "html": page}


def build_mail(target: EmailTarget, message: Message) -> EmailMessage:
    """The mail of one message. All mails of an incident refer to the same id, so that clients group them."""
    rendered = render(message)
    origin = urlsplit(message.hub).hostname or ""
    host = origin if _NAME.match(origin) else target.sender.rpartition("@")[2]
    mail = EmailMessage(policy=_POLICY)
    mail["From"], mail["To"] = target.sender, ", ".join(target.to)
    mail["Subject"] = rendered["subject"]
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.sent_at, UTC))
    mail["Message-ID"] = f"<{message.id}@{host}>"
    mail["References"] = mail["In-Reply-To"] = f"<incident.{message.thread}@{host}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(rendered["text"])
    mail.add_alternative(rendered["html"], subtype="html")
    return mail


def _headers() -> HeaderRegistry:
    """The kinds of headers. Python folds an id of other headers than Message-ID as text: a long one becomes an encoded word, which RFC 2047, 5
    forbids there and which no client groups by."""
    made = HeaderRegistry()
    for name in ("references", "in-reply-to"):
        made.map_to_type(name, MessageIDHeader)  # type: ignore[arg-type]  # typeshed forgets the base class
    return made


_POLICY: Final = SMTP.clone(cte_type="7bit", max_line_length=76, header_factory=_headers())
"""Only ASCII in lines of 76 characters, longer only for one long id or address. So no server needs 8BITMIME (RFC 6152) or SMTPUTF8 (RFC 6531)."""


async def send(target: EmailTarget, message: Message, egress: Egress) -> Outcome:
    smtp = target.smtp
    recipients = [one for one in target.to if one in message.only_to] if message.only_to else target.to
    if not recipients:  # somebody has changed the channel since
        return Sent("smtp:250")
    try:
        connected = await egress.connect(smtp.host, smtp.port)
        client = aiosmtplib.SMTP(
            hostname=smtp.host, port=None, sock=connected, use_tls=smtp.security == "implicit", start_tls=smtp.security == "starttls",
            tls_context=egress.tls, timeout=COMMAND_S, local_hostname=name_of_client(target, message.hub, connected.getsockname()[0]),
        )  # fmt: skip
        try:
            await client.connect()
            if smtp.username:
                await client.login(smtp.username, smtp.password)
            refused, _ = await client.sendmail(target.sender, recipients, build_mail(target, message).as_bytes(), timeout=MESSAGE_S)
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):  # the server has taken the message: nothing may repeat it
                await client.quit(timeout=QUIT_S)
        finally:
            client.close()
    except aiosmtplib.SMTPRecipientsRefused as exc:
        codes = {one.recipient: one.code for one in exc.recipients}
        return _partly_sent(target, codes) if message.only_to else _of_codes([*codes.values()])  # in a repetition the others have it
    except aiosmtplib.SMTPResponseException as exc:
        return _of_codes([exc.code])
    except aiosmtplib.SMTPException as exc:
        return _of_exception(exc)
    except (OSError, TimeoutError) as exc:
        return failure(exc)
    return _partly_sent(target, {address: answer.code for address, answer in refused.items()}) if refused else Sent("smtp:250")


def _partly_sent(target: EmailTarget, refused: dict[str, int]) -> Sent:
    """The outcome if the server took the message for other recipients. A repetition goes to those alone that it refused for now.

    Recipients are named by their places, since readers of an event may not see the target.
    """
    places = [str(place) for place, address in enumerate(target.to, 1) if address in refused]
    more = " …" if len(places) > MOST_PLACES else ""
    who = f"recipient{'s' if len(places) > 1 else ''} {', '.join(places[:MOST_PLACES])}{more}"
    later = tuple(address for address, code in refused.items() if code < 500)
    return Sent(f"smtp:{max(refused.values())} for {who}", is_whole=False, later=later)


def _of_codes(codes: list[int]) -> Outcome:
    """The outcome if all recipients were refused. A temporary refusal, as in greylisting, repeats the attempt."""
    code = min(codes)
    return Transient(f"smtp:{code}") if code < 500 else Permanent(f"smtp:{code}")


def _of_exception(exc: aiosmtplib.SMTPException) -> Outcome:
    if isinstance(exc, aiosmtplib.SMTPServerDisconnected):
        return Transient("connection_lost")
    if isinstance(exc, aiosmtplib.SMTPTimeoutError):
        return Transient("timeout")
    if exc.__cause__ is not None:
        return failure(exc.__cause__)
    if isinstance(exc, aiosmtplib.SMTPConnectError):
        return Transient("connect")
    return Permanent("not_offered" if "STARTTLS" in str(exc) or "AUTH" in str(exc) else "smtp")


def _receiver(target: EmailTarget) -> Receiver:
    return Receiver(target.smtp.host, target.smtp.port, "target.smtp.host")


EMAIL: Final = Kind("email", "E-mail", "Through your own mail server.", EmailTarget, check, mask, render, send, _receiver, ATTEMPT_S)
