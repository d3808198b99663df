"""The WebSocket client against real servers of two libraries: messages, TLS and the lookup of names."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from spider.config import parse_url
from spider.hub.websocket import SocketClosed, WebSocket, WebSocketError, _tls_context, connect
from spider.wire.frames import MAX_FRAME_BYTES, SUBPROTOCOL
from tests.support.certificates import Certificate
from tests.support.ports import free_port
from tests.support.websocket_servers import AGENT, SERVERS, Server, at, connected, websockets_server


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path)


@SERVERS
async def test_messages_of_every_length_are_echoed(server: Server) -> None:
    async with server() as port, connected(port) as socket:
        for size in (0, 1, 3, 125, 126, 127, 65535, 65536, MAX_FRAME_BYTES):
            data = random.Random(size).randbytes(size)
            await socket.send(data)
            assert await socket.receive() == data


@SERVERS
async def test_many_messages_on_the_way_keep_their_order(server: Server) -> None:
    async with server() as port, connected(port) as socket:
        sender = asyncio.create_task(_send_all(socket, [b"%d" % number * 40 for number in range(500)]))
        assert [await socket.receive() for _ in range(500)] == [b"%d" % number * 40 for number in range(500)]
        await sender


async def _send_all(socket: WebSocket, messages: list[bytes]) -> None:
    for message in messages:
        await socket.send(message)


@SERVERS
async def test_a_ping_is_answered_while_messages_are_awaited(server: Server) -> None:
    async with server() as port, connected(port) as socket:
        await socket.send(b"ping")
        assert await socket.receive() == b"ponged"


async def test_a_fragmented_message_is_reassembled() -> None:
    async with websockets_server() as port, connected(port) as socket:
        await socket.send(b"pieces")
        assert await socket.receive() == b"a" * 70_000 + b"b" * 70_000


@SERVERS
async def test_the_servers_close_code_and_reason_arrive(server: Server) -> None:
    async with server() as port, connected(port) as socket:
        await socket.send(b"close")
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert (caught.value.code, caught.value.reason) == (4410, "8000")
        with pytest.raises(SocketClosed):
            await socket.send(b"more")
        with pytest.raises(SocketClosed):
            await socket.receive()


@SERVERS
@pytest.mark.parametrize(("order", "code"), [(b"huge", 1009), (b"text", 1003)])
async def test_an_oversized_or_text_message_closes_the_connection(server: Server, order: bytes, code: int) -> None:
    async with server() as port, connected(port) as socket:
        await socket.send(order)
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == code


async def test_the_close_code_and_reason_reach_the_server() -> None:
    told: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    async def serve_one(connection: ServerConnection) -> None:
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
        assert closed.value.rcvd is not None
        told.set_result((closed.value.rcvd.code, closed.value.rcvd.reason))

    async with serve(serve_one, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        socket = await connect(at(server.sockets[0].getsockname()[1]), SUBPROTOCOL, AGENT)
        await socket.close(4400, "ü" * 200)
        async with asyncio.timeout(60):
            code, reason = await told
    assert code == 4400
    assert reason == "ü" * 61


@SERVERS
async def test_a_pinned_key_opens_a_hub_that_no_authority_has_signed(server: Server, certificate: Certificate) -> None:
    async with server(certificate.context) as port:
        for pins in (certificate.pin, bytes(32) + certificate.pin):  # the second: one key follows another
            socket = await connect(at(port, secure=True), SUBPROTOCOL, AGENT, pins)
            await socket.send(b"x" * 200_000)
            assert await socket.receive() == b"x" * 200_000
            await socket.close()


@pytest.mark.holds("SAFETY-44", "S-47")
async def test_a_self_signed_hub_is_refused_without_a_pin_and_with_a_wrong_one(certificate: Certificate) -> None:
    async with websockets_server(certificate.context) as port:
        with pytest.raises(WebSocketError, match=r"self.signed") as refused:
            await connect(at(port, secure=True), SUBPROTOCOL, AGENT)
        for word in ("issued by 'hub'", certificate.pin.hex(), "tls_pin", "add its authority"):
            assert word in str(refused.value), "a person must know whose certificate it is, and what to do"
        for pins in (bytes(32), bytes(64)):
            with pytest.raises(WebSocketError, match="pinned"):
                await connect(at(port, secure=True), SUBPROTOCOL, AGENT, pins)


async def test_a_closed_port_and_an_unknown_name_raise_websocketerror() -> None:
    with pytest.raises(WebSocketError, match="cannot be reached"):
        await connect(at(free_port()), SUBPROTOCOL, AGENT)
    for name in ("a" * 70, "x..y"):
        with pytest.raises(WebSocketError, match="cannot be reached"):
            await connect(parse_url(f"wss://{name}/ws"), SUBPROTOCOL, AGENT)


Names = Callable[[list[str]], None]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Says to which addresses any name leads from now on."""
    found: list[str] = []

    async def look_up(_host: str, port: int, **_hints: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    return lambda addresses: found.__setitem__(slice(None), addresses)


@pytest.mark.holds("SAFETY-98", "F-37")
async def test_a_name_is_looked_up_again_with_each_attempt(names: Names) -> None:
    async with websockets_server() as port:
        url = at(port)._replace(host="hub.example")
        names(["127.88.0.1"])
        with pytest.raises(WebSocketError, match="cannot be reached"):
            await connect(url, SUBPROTOCOL, AGENT)
        names(["127.0.0.1"])
        socket_ = await connect(url, SUBPROTOCOL, AGENT)
        await socket_.close(1000)


@pytest.mark.holds("F-37")
async def test_an_unresponsive_address_does_not_block_the_next_one(names: Names) -> None:
    """As where a host has an IPv6 address that leads nowhere any more."""
    async with websockets_server() as port:
        with socket.create_server(("127.88.0.2", port), backlog=0) as deaf, contextlib.ExitStack() as full:
            for _ in range(3):  # unaccepted connections fill the queue: the next one gets no response at all
                waiting = full.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(deaf.getsockname())
            names(["127.88.0.2", "127.0.0.1"])
            socket_ = await connect(at(port)._replace(host="hub.example"), SUBPROTOCOL, AGENT)
            await socket_.close(1000)


def test_a_pinned_hub_needs_no_authorities() -> None:
    pinned, signed = _tls_context(b"x" * 32), _tls_context(None)
    assert pinned.cert_store_stats()["x509_ca"] == 0
    assert (pinned.verify_mode, pinned.check_hostname) == (ssl.CERT_NONE, False)
    assert (signed.verify_mode, signed.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert pinned.minimum_version == signed.minimum_version == ssl.TLSVersion.TLSv1_2
