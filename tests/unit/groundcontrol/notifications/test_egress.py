"""No message goes to this machine, to cloud metadata, or to where a name or redirect points later (A-7)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from groundcontrol.core.errors import BadRequest
from groundcontrol.notifications.channels.email import EMAIL, EmailTarget, Smtp
from groundcontrol.notifications.channels.kind import Outcome, Permanent, Sent, Transient, json_post, post
from groundcontrol.notifications.egress import Denied, Detour, Egress, check_url
from groundcontrol.notifications.samples import sample_message
from tests.support.receivers import Receiver

DENIED = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:0",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:1::1", "fe80::1", "fe80::1%lo",
    "fec0::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254", "not-an-address",
)  # fmt: skip
"""Addresses that nobody may name, in every form that the kernel takes."""
HERE = (
    "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "LOCALHOST",
)  # fmt: skip
"""Names of this machine in URLs; a listener on each shows that none of them gets a connection."""
FINE = (
    "8.8.8.8",
    "10.1.2.3",
    "192.168.1.9",
    "100.64.0.1",
    "2606:4700::1111",
    "fd12::1",
    "::ffff:10.1.2.3",
    "64:ff9b::808:808",
    "2002:808:808::1",
)


class Listener:
    """Counts the connections to one port of this machine, under all its addresses."""

    def __init__(self) -> None:
        self.connections = 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        def count(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            writer.close()

        both = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        both.bind(("::", 0))
        server = await asyncio.start_server(count, sock=both)
        async with server:
            yield both.getsockname()[1]


@contextlib.asynccontextmanager
async def egress(**options: Any) -> AsyncIterator[Egress]:
    made = Egress(**options)
    try:
        yield made
    finally:
        await made.close()


async def posted(made: Egress, url: str) -> Outcome:
    return await post(json_post(url, {}), made)


@pytest.mark.parametrize("address", DENIED)
def test_an_address_is_denied(address: str) -> None:
    with pytest.raises(Denied):
        Egress().check(address, 80)


@pytest.mark.parametrize("address", FINE)
def test_an_address_is_not_denied(address: str) -> None:
    Egress().check(address, 80)


@pytest.mark.holds("S-61")
async def test_no_notation_of_a_loopback_address_is_connected_to() -> None:
    listener = Listener()
    async with listener.listening() as port, egress() as made:
        for host in HERE:
            refused = await posted(made, f"http://{host}:{port}/")
            assert refused in (Permanent("denied"), Permanent("url")), host  # aiohttp itself refuses some forms of numbers
            mail = EmailTarget(smtp=Smtp(host.strip("[]"), port), sender="a@example.com", to=["b@example.com"])
            assert await EMAIL.send(mail, sample_message("test", "https://hub.example", 0.0), made) == Permanent("denied"), host
        own = _own_address()
        if own:
            assert await posted(made, f"http://{own}:{port}/") == Permanent("denied")
        for name in ("2002:7f00:1::", "64:ff9b::7f00:1", "169.254.169.254", "fe80::1"):
            url = f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"
            assert await posted(made, url) == Permanent("denied"), name
    assert listener.connections == 0


@pytest.mark.holds("S-61")
async def test_a_name_is_judged_by_the_address_that_is_connected() -> None:
    asked = []

    def rebinding(host: str, port: int, *_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) > 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    listener = Listener()
    async with listener.listening() as port, egress(getaddrinfo=rebinding) as made:
        assert await posted(made, f"http://rebound.example:{port}/") == Permanent("denied")
        assert await posted(made, f"http://rebound.example:{port}/") == Permanent("denied")
    assert (len(asked), listener.connections) == (2, 0)


@pytest.mark.holds("S-61")
async def test_only_an_allowed_receiver_on_this_machine_is_reached_and_its_redirect_is_not_followed() -> None:
    listener = Listener()
    seen: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        seen.append(request.path)
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{other}/")

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 5_000_000)

    app = web.Application()
    app.add_routes([web.post("/redirect", redirect), web.post("/large", large)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    allowed = int(runner.addresses[0][1])
    try:
        async with listener.listening() as other, egress(allowed=frozenset({("127.0.0.1", allowed)})) as made:
            assert await posted(made, f"http://127.0.0.1:{allowed}/redirect") == Permanent("http:307")
            assert await posted(made, f"http://localhost:{allowed}/large") == Sent("http:200")
            assert await posted(made, f"http://127.0.0.1:{other}/") == Permanent("denied")
    finally:
        await runner.cleanup()
    assert (seen, listener.connections) == (["/redirect"], 0)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/", "https://user:pw@example.com/", "https://user@example.com/", "https://example.com:0/", "https://example.com:99999/",
        "https:///path", "file:///etc/passwd", "https://exa mple.com/", "https://example.com/\r\nHost: x", "https://example.com\\@evil.example/",
        "https://example.com/#x", "https://" + "a" * 3000, "https://exämple.com/", "gopher://127.0.0.1/", "//example.com/", "javascript:alert(1)",
        "https://a..example/", f"https://{'a' * 64}.example/",
    ],
)  # fmt: skip
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        check_url(url)


def _own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


class Proxy:
    """An HTTP proxy that knows one name, and notes what it is asked for."""

    def __init__(self, receiver: Receiver) -> None:
        self.asked: list[str] = []
        self._receiver = receiver

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append(f"{method} {target}")
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        else:
            size = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
            async with (
                aiohttp.ClientSession() as session,
                session.post(self._receiver.url(), data=await reader.readexactly(size)) as answer,
            ):
                writer.write(f"HTTP/1.1 {answer.status} .\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


async def test_behind_a_proxy_names_are_its_matter_and_own_addresses_stay_refused() -> None:
    asked: list[Any] = []
    receiver = Receiver()
    proxy = Proxy(receiver)
    async with receiver.running(), proxy.running() as url:
        detour = Detour(url, ("10.0.0.0/8", "corp.example"))
        allowed = frozenset({("127.0.0.1", receiver.port)})

        def look_up(host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
            asked.append(host)
            return list(socket.getaddrinfo("127.0.0.1", port))

        egress = Egress(allowed, getaddrinfo=look_up, detour=detour)

        async def send(to: str) -> Outcome:
            return await post(json_post(to, {"a": 1}), egress)

        try:
            assert await send("http://chat.example/hook") == Sent("http:200")
            assert proxy.asked == ["POST http://chat.example/hook"]
            assert "chat.example" not in asked, "the hub asks no name server for what the proxy reaches"
            assert isinstance(await send("https://chat.example/hook"), Transient)
            assert proxy.asked[1:] == ["CONNECT chat.example:443"]
            for host in (*HERE, socket.gethostname(), "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "localhost."):
                assert await send(f"http://{host}/") == Permanent("denied"), host
            assert await send(receiver.url()) == Sent("http:200"), "allowed in the configuration: reached without the proxy"
            assert await send("http://chat.corp.example:1/") == Permanent("denied"), "without the proxy the hub checks the address itself"
            assert len(proxy.asked) == 2
        finally:
            await egress.close()
    assert detour.applies("10.example")
    assert not detour.applies("10.9.9.9")


async def test_the_heartbeat_goes_through_the_proxy() -> None:
    receiver = Receiver()
    proxy = Proxy(receiver)
    async with proxy.running() as url:
        egress = Egress(detour=Detour(url))
        try:
            with pytest.raises(aiohttp.ClientError):
                await egress.http("https://hc.example/ping").get("https://hc.example/ping")
        finally:
            await egress.close()
    assert proxy.asked == ["CONNECT hc.example:443"]
