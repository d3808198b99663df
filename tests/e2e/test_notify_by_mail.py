"""E-mail through Debian's exim: TLS, authentication, temporary and permanent refusals, and a connection lost after the message."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import psutil
import pytest

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.scope import SYSTEM
from groundcontrol.notifications.channels.email import EMAIL, build_mail
from groundcontrol.notifications.channels.kind import Outcome, Permanent, Sent, Transient
from groundcontrol.notifications.egress import Egress
from groundcontrol.notifications.messages import Message
from groundcontrol.notifications.samples import sample_message
from groundcontrol.notifications.service import read_target
from tests.support import exim
from tests.support.clock import RunningClock
from tests.support.eventually import ask_until, eventually
from tests.support.exim import PASSWORD, Exim
from tests.support.receivers import Notifying, Receiver, notifying
from tests.support.store_backend import Backend
from tests.support.store_files import open_new

HUB = "https://hub.example"
MESSAGE = sample_message("firing", HUB, 1_790_000_000.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exim]:
    with exim.running(tmp_path_factory.mktemp("exim")) as made:
        yield made


def smtp(port: int, tls: Any = "starttls", password: str = PASSWORD) -> dict[str, Any]:
    log_in = {} if tls == "none" else {"username": "hub", "password": password}
    return {"host": "127.0.0.1", "port": port, "tls": tls, **log_in}


async def send(
    relay: dict[str, Any], *to: str, trusting: Exim | None = None, allowed: int | None = None, message: Message = MESSAGE
) -> Outcome:
    trust = ssl.create_default_context(cadata=trusting.certificate.der) if trusting else None
    egress = Egress(frozenset({("127.0.0.1", allowed or relay["port"])}), trust)
    target = read_target("email", {"smtp": relay, "from": "hub@example.com", "to": to or ("ops@example.com",)})
    try:
        return await EMAIL.send(target, message, egress)
    finally:
        await egress.close()
        await eventually(lambda: relay["port"] not in _connected())  # TLS says goodbye after the answer


def _connected() -> set[int]:
    """The ports that this process has a connection to."""
    return {getattr(one.raddr, "port", 0) for one in psutil.Process().net_connections("tcp")}  # without one, it is an empty tuple


async def test_mail_is_delivered_over_starttls_and_implicit_tls_with_a_log_in(server: Exim) -> None:
    before = len(server.queue)
    assert await send(smtp(server.starttls), trusting=server) == Sent("smtp:250")
    assert await send(smtp(server.implicit, "implicit"), trusting=server) == Sent("smtp:250")
    for headers in server.queue[before:]:
        assert f"Message-ID: <{MESSAGE.id}@hub.example>" in headers
        assert f"References: <incident.{MESSAGE.incident_id}@hub.example>" in headers
        assert "-auth_id hub" in headers
        assert "TLS1" in headers


async def test_a_server_that_greets_late_and_wants_a_full_name_takes_mail(server: Exim) -> None:
    """Four hubs at the same time: one with a name of its own, one known by an address, one by a bare name, and one that was told its name."""
    before = len(server.queue)
    local, bare = (sample_message("firing", f"http://{host}:8100", 1_790_000_000.0) for host in ("127.0.0.1", "localhost"))
    relay = smtp(server.strict, "none")
    outcomes = await asyncio.gather(
        send(relay), send(relay, message=local), send(relay, message=bare), send(relay | {"helo": "alerts.example.com"}, message=bare)
    )
    assert list(outcomes) == [Sent("smtp:250")] * 4
    names = sorted(re.findall(r"-helo_name (\S+)", headers)[0] for headers in server.queue[before:])
    assert names == ["[127.0.0.1]", "[127.0.0.1]", "alerts.example.com", "hub.example"]


async def test_each_smtp_refusal_is_permanent_or_transient(server: Exim) -> None:
    plain = smtp(server.plain, "none")  # each handshake of TLS costs half a second of a processor
    assert await send(plain, "grey@example.com") == Transient("smtp:451")
    assert await send(plain, "grey@example.com") == Sent("smtp:250")
    assert await send(plain, "nobody@example.com") == Permanent("smtp:550")
    found = await send(plain, "ops@example.com", "nobody@example.com", "it@example.com")
    assert found == Sent("smtp:550 for recipient 2", is_whole=False)
    assert "\n2\nops@example.com\nit@example.com\n" in server.queue[-1], "the others get it"
    again = await send(plain, "ops@example.com", "it@example.com", message=MESSAGE._replace(only_to=("gone@example.com",)))
    assert again == Sent("smtp:250"), "nobody is left in the channel"
    assert await send(smtp(server.starttls, password="wrong"), trusting=server) == Permanent("smtp:535")


async def test_a_greylisted_recipient_is_tried_again_alone_and_the_others_get_one_mail(server: Exim, tmp_path: Path) -> None:
    (server.folder / "spool" / "known").unlink(missing_ok=True)  # the server does not know `grey` yet
    before, clock = len(server.queue), RunningClock()
    mail = Receiver()
    mail.port = server.plain
    backend = Backend(lambda: open_new(tmp_path / "data", clock=clock), clock)  # type: ignore[arg-type]
    await backend.open()
    try:
        async with notifying(backend, clock, mail) as hub:
            await _grey_alone(hub, server)
    finally:
        await backend.database.close()
    first, second = server.queue[before:]
    assert "\n2\nops@example.com\nit@example.com\n" in first
    assert "\n1\ngrey@example.com\n" in second
    ids = [re.findall(r"Message-ID: (\S+)", headers) for headers in (first, second)]
    assert ids[0] == ids[1], "it is the same message"


async def _grey_alone(hub: Notifying, server: Exim) -> None:
    to = ["ops@example.com", "grey@example.com", "it@example.com"]
    relay = {"host": "127.0.0.1", "port": server.plain, "tls": "none"}
    channel = await hub.channel("email", {"smtp": relay, "from": "hub@example.com", "to": to})
    sent = hub.delivery(channel.id)
    await hub.add(sent)
    assert (await hub.ends(sent)).state == "sent"
    assert (await hub.state(channel.id)).state_reason == "smtp:451 for recipient 2"

    async def whole() -> bool:
        await hub.skip(60)
        return (await hub.state(channel.id)).state_reason == ""

    assert await ask_until(whole)
    assert (await hub.ends(sent)).attempts == 1, "it was notified at its first attempt"
    attempts = (await hub.backend.store.deliveries.attempts(SYSTEM, [sent.id]))[sent.id]
    assert [(one.number, one.code) for one in attempts] == [(1, "smtp:451 for recipient 2"), (2, "smtp:250")]


async def test_no_mail_is_sent_without_a_trusted_certificate_and_permission(server: Exim) -> None:
    before = len(server.queue)
    assert await send(smtp(server.starttls)) == Permanent("tls_certificate")
    assert await send(smtp(server.implicit, "implicit")) == Permanent("tls_certificate")
    assert await send(smtp(server.starttls) | {"host": "localhost"}, trusting=server) == Permanent("tls_certificate")
    assert await send(smtp(server.plain, "none"), allowed=1) == Permanent("denied")
    assert len(server.queue) == before


async def test_a_connection_that_is_cut_after_the_message_is_tried_again_with_the_same_id(server: Exim) -> None:
    before = len(server.queue)
    async with _cutting(server.plain) as port:
        assert await send(smtp(port, "none")) == Transient("connection_lost")
        assert await send(smtp(port, "none")) == Sent("smtp:250")
    taken = server.queue[before:]
    assert [re.findall(r"Message-ID: (\S+)", headers) for headers in taken] == [[f"<{MESSAGE.id}@hub.example>"]] * 2


async def test_an_unreachable_mail_server_is_retried() -> None:
    assert await send(smtp(1, "none")) == Transient("connect")


def test_a_mail_needs_no_extension_of_smtp() -> None:
    """RFC 5321: ASCII in lines of at most 998 bytes, ended by CRLF. RFC 6152 and 6531 would allow more, where the server does."""
    target = read_target("email", {"smtp": smtp(25, "none"), "from": "hub@example.com", "to": ["ops@example.com"]})
    odd = MESSAGE._replace(title="Störung auf Köln-1 ✗ " * 8, lines=("Größe " * 400, "." * 2000, "plain"))
    raw = build_mail(target, odd).as_bytes()
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.count(b"\n") == raw.count(b"\r\n")
    mail = message_from_bytes(raw, policy=SMTP)
    assert mail["Subject"].strip() == odd.title.strip()
    plain = next(part for part in mail.walk() if part.get_content_type() == "text/plain").get_payload(decode=True)
    assert isinstance(plain, bytes)
    assert "Größe" in plain.decode()
    local = build_mail(target, MESSAGE._replace(hub="http://[::1]:8100"))
    assert local["Message-ID"] == f"<{MESSAGE.id}@example.com>"


def test_a_long_name_of_the_hub_stays_readable_in_the_ids_by_which_clients_group_mails() -> None:
    """RFC 2047, 5: no encoded word stands in an id."""
    host = f"{'c' * 60}.monitoring.{'d' * 60}.example.com"
    target = read_target("email", {"smtp": smtp(25, "none"), "from": "hub@example.com", "to": ["ops@example.com"]})
    lines = build_mail(target, MESSAGE._replace(hub=f"https://{host}")).as_bytes().replace(b"\r\n ", b" ").split(b"\r\n")
    thread = f"<incident.{MESSAGE.incident_id}@{host}>"
    for header in (f"Message-ID: <{MESSAGE.id}@{host}>", f"References: {thread}", f"In-Reply-To: {thread}"):
        assert header.encode() in lines


@pytest.mark.parametrize("helo", ["localhost", "10.0.0.1", "two words.example", "-x.example", "[10.0.0.1", "x.example\r\nRSET"])
def test_a_name_that_strict_servers_refuse_is_no_setting(helo: str) -> None:
    with pytest.raises(BadRequest, match=r"Hub.s name \(EHLO\) must be"):
        read_target("email", {"smtp": smtp(25, "none") | {"helo": helo}, "from": "hub@example.com", "to": ["ops@example.com"]})


def test_a_mail_has_a_plain_and_an_html_part_with_links() -> None:
    target = read_target("email", {"smtp": smtp(25, "none"), "from": "hub@example.com", "to": ["ops@example.com"]})
    mail = message_from_bytes(build_mail(target, MESSAGE).as_bytes())
    kinds = {part.get_content_type(): part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()}
    assert set(kinds) == {"text/plain", "text/html"}
    assert all(f"{HUB}/a#TOKEN".encode() in (body or b"") for body in kinds.values() if isinstance(body, bytes))


@contextlib.asynccontextmanager
async def _cutting(port: int) -> AsyncIterator[int]:
    """A way to the server that is cut once, when the server has taken the message and before its client knows."""
    cut = True
    relays: list[asyncio.Task[None]] = []

    async def relay(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", port)

        async def back() -> None:
            nonlocal cut
            while data := await server.read(4096):
                if b"OK id=" in data and cut:
                    cut = False
                    break
                answers.write(data)
            answers.close()

        returning = asyncio.create_task(back(), name="back")
        while data := await client.read(4096):
            to_server.write(data)
        to_server.close()
        await asyncio.gather(returning, to_server.wait_closed(), answers.wait_closed())

    def accept(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        relays.append(asyncio.create_task(relay(client, answers), name="relay"))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
        await asyncio.gather(*relays)
