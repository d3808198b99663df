"""The WebSocket client against real servers of two libraries, and against servers that break every rule."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp.web
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from spider.config import Url, parse_url
from spider.hub import websocket
from spider.hub.websocket import HandshakeRefused, SocketClosed, WebSocket, WebSocketError, _tls_context, connect
from spider.wire import rfc6455
from spider.wire.frames import MAX_FRAME_BYTES, SUBPROTOCOL
from spider.wire.rfc6455 import OP_BINARY, OP_CLOSE, OP_CONTINUATION, OP_PING, FrameReader, Incoming, Violation, build_frame
from tests.support.certificates import Certificate
from tests.support.ports import free_port


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path)


AGENT = "stardust-spider/test"


def at(port: int, secure: bool = False, path: str = "/ws") -> Url:
    return parse_url(f"{'wss' if secure else 'ws'}://127.0.0.1:{port}{path}")


# -- real servers ----------------------------------------------------------------------------------


async def echo(connection: ServerConnection) -> None:
    """Gives back what comes; some messages are orders to the server itself."""
    async for data in connection:
        assert isinstance(data, bytes)
        if data == b"close":
            await connection.close(4410, "8000")
        elif data == b"ping":
            await (await connection.ping())
            await connection.send(b"ponged")
        elif data == b"pieces":
            await connection.send([b"a" * 70_000, b"", b"b" * 70_000])
        elif data == b"text":
            await connection.send("text")
        elif data == b"huge":
            await connection.send(bytes(MAX_FRAME_BYTES + 1))
        else:
            await connection.send(data)


@contextlib.asynccontextmanager
async def websockets_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async with serve(
        echo, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=MAX_FRAME_BYTES * 4, ssl=tls, compression="deflate"
    ) as server:
        yield server.sockets[0].getsockname()[1]


async def aiohttp_echo(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
    socket = aiohttp.web.WebSocketResponse(protocols=[SUBPROTOCOL], max_msg_size=MAX_FRAME_BYTES * 4, timeout=2.0)
    await socket.prepare(request)
    async for message in socket:
        if message.data == b"close":
            await socket.close(code=4410, message=b"8000")
        elif message.data == b"ping":
            await socket.ping(b"are you there")
            await socket.send_bytes(b"ponged")
        elif message.data == b"pieces":
            await socket.send_frame(b"a" * 70_000, aiohttp.WSMsgType.BINARY)
            await socket.send_bytes(b"b" * 70_000)
        elif message.data == b"text":
            await socket.send_str("text")
        elif message.data == b"huge":
            await socket.send_bytes(bytes(MAX_FRAME_BYTES + 1))
        else:
            await socket.send_bytes(message.data)
    return socket


@contextlib.asynccontextmanager
async def aiohttp_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    app = aiohttp.web.Application()
    app.router.add_get("/ws", aiohttp_echo)
    runner = aiohttp.web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


SERVERS = pytest.mark.parametrize("server", [websockets_server, aiohttp_server])
Server = Callable[..., contextlib.AbstractAsyncContextManager[int]]


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[WebSocket]:
    socket = await connect(at(port), SUBPROTOCOL, AGENT)
    try:
        yield socket
    finally:
        await socket.close()


@SERVERS
async def test_messages_of_every_length_come_back(server: Server) -> None:
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


async def test_a_message_in_pieces_is_put_together() -> None:
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
async def test_what_is_too_big_or_no_bytes_ends_the_connection(server: Server, order: bytes, code: int) -> None:
    async with server() as port, connected(port) as socket:
        await socket.send(order)
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == code


async def test_the_server_is_told_why_we_leave() -> None:
    told: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    async def serve_one(connection: ServerConnection) -> None:
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
        assert closed.value.rcvd is not None
        told.set_result((closed.value.rcvd.code, closed.value.rcvd.reason))

    async with serve(serve_one, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        socket = await connect(at(server.sockets[0].getsockname()[1]), SUBPROTOCOL, AGENT)
        await socket.close(4400, "ü" * 200)
        async with asyncio.timeout(30):
            code, reason = await told
    assert code == 4400
    assert reason == "ü" * 61


# -- TLS -------------------------------------------------------------------------------------------


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


# -- servers that break the rules ------------------------------------------------------------------

Answer = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(answer: Answer) -> AsyncIterator[int]:
    """A TCP server that reads the request's head and then does what it wants."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await answer(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def saying(text: bytes) -> Answer:
    async def answer(head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
        writer.write(text.replace(b"@", rfc6455.accept_for(key).encode()))
        await writer.drain()

    return answer


SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Accept: @\r\nSec-WebSocket-Protocol: stardust.v1\r\n\r\n"
)


@pytest.mark.holds("F-37")
@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP"),
        (b"HTTP/1.1 1\r\n\r\n", "HTTP"),
        (b"HTTP/1.1 \xb2\xb2\xb2 x\r\n\r\n", "HTTP"),
        (b"HTTP/2 101\r\n\r\n", "HTTP"),
        (SWITCH.replace(b"Accept: @", b"Accept: AAAA"), "handshake"),
        (SWITCH.replace(b"Upgrade: websocket\r\n", b""), "switch"),
        (SWITCH.replace(b"Connection: keep-alive, Upgrade", b"Connection: close"), "switch"),
        (SWITCH.replace(b"stardust.v1", b"chat"), "stardust.v1"),
        (SWITCH.replace(b"Sec-WebSocket-Protocol: stardust.v1\r\n", b""), "stardust.v1"),
        (SWITCH.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), "extension"),
        (SWITCH.replace(b"\r\n\r\n", b"\r\nno colon\r\n\r\n"), "broken"),
        (SWITCH.replace(b"\r\n\r\n", b"\r\n folded: x\r\n\r\n"), "broken"),
        (b"HTTP/1.1 101 x\r\n" + b"A: b\r\n" * 5000 + b"\r\n", "too long"),
        (b"HTTP/1.1 101 x" + b"y" * 100_000, "too long"),
        (b"HTTP/1.1 101 Switching", "closed the connection"),
        (b"", "closed the connection"),
    ],
)
async def test_an_answer_that_is_no_handshake_is_a_plain_failure(answer: bytes, match: str) -> None:
    async with raw_server(saying(answer)) as port:
        with pytest.raises(WebSocketError, match=match):
            await connect(at(port), SUBPROTOCOL, AGENT)


@pytest.mark.parametrize(("header", "expected"), [(b"30", 30.0), (b"x", None), (b"-1", None), (b"99999999", None), (b"", None)])
async def test_retry_after_is_read(header: bytes, expected: float | None) -> None:
    async with raw_server(saying(b"HTTP/1.1 503 Busy\r\nRetry-After: " + header + b"\r\n\r\n")) as port:
        with pytest.raises(HandshakeRefused) as caught:
            await connect(at(port), SUBPROTOCOL, AGENT)
    assert (caught.value.status, caught.value.retry_after_s) == (503, expected)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def silent(_head: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(silent) as port:
        with pytest.raises(WebSocketError, match="did not answer"):
            await connect(at(port), SUBPROTOCOL, AGENT, timeout_s=0.2)


async def test_a_closed_port_and_an_unknown_name_are_plain_failures() -> None:
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
async def test_an_address_that_swallows_everything_keeps_nobody_from_the_next_one(names: Names) -> None:
    """As where a host has an IPv6 address that leads nowhere any more."""
    async with websockets_server() as port:
        with socket.create_server(("127.88.0.2", port), backlog=0) as deaf, contextlib.ExitStack() as full:
            for _ in range(3):  # what waits to be accepted fills the queue: the next one hears nothing at all
                waiting = full.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(deaf.getsockname())
            names(["127.88.0.2", "127.0.0.1"])
            socket_ = await connect(at(port)._replace(host="hub.example"), SUBPROTOCOL, AGENT)
            await socket_.close(1000)


async def test_the_request_is_what_the_rfc_asks_for() -> None:
    seen: list[bytes] = []

    async def keep(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        await saying(SWITCH)(head, reader, writer)

    async with raw_server(keep) as port:
        socket = await connect(at(port, path="/ws?a=b"), SUBPROTOCOL, AGENT)
        await socket.close()
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == "GET /ws?a=b HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert "Sec-WebSocket-Version: 13" in lines
    assert "Sec-WebSocket-Protocol: stardust.v1" in lines
    assert not any("Extensions" in line or "Origin" in line for line in lines)


async def test_frames_right_behind_the_handshake_are_not_lost() -> None:
    async with raw_server(saying(SWITCH + b"\x82\x02hi\x88\x02\x0f\xa1")) as port:
        socket = await connect(at(port), SUBPROTOCOL, AGENT)
        assert await socket.receive() == b"hi"
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == 4001
        await socket.close()


async def test_a_cut_connection_is_closed_with_1006() -> None:
    async with raw_server(saying(SWITCH + b"\x82\x7e\x01")) as port:
        socket = await connect(at(port), SUBPROTOCOL, AGENT)
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == 1006
        await socket.close()


async def test_closing_does_not_wait_for_a_server_that_ignores_it() -> None:
    async def deaf(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(SWITCH)(head, reader, writer)
        while await reader.read(1000):
            writer.write(b"\x82\x01x")

    async with raw_server(deaf) as port:
        socket = await connect(at(port), SUBPROTOCOL, AGENT)
        async with asyncio.timeout(30):
            await socket.close(timeout_s=0.1)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\xc2\x01x", 1002),  # a reserved bit
        (b"\x82\x81abcdx", 1002),  # masked
        (b"\x83\x01x", 1002),  # opcode 3
        (b"\x8b\x01x", 1002),  # opcode 11
        (b"\x81\x01x", 1003),  # text
        (b"\x80\x01x", 1002),  # a continuation of nothing
        (b"\x02\x01x\x82\x01x", 1002),  # a new message inside another
        (b"\x09\x01x", 1002),  # a ping in pieces
        (b"\x89\x7e\x00\x80" + bytes(128), 1002),  # a long ping
        (b"\x82\x7e\x00\x05hello", 1002),  # a length not in its shortest form
        (b"\x82\x7f\x00\x00\x00\x00\x00\x00\x01\x00", 1002),
        (b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 1002),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x04\x00\x01", 1009),  # 256 KiB and one
        (b"\x02\x7f\x00\x00\x00\x00\x00\x04\x00\x00" + bytes(MAX_FRAME_BYTES) + b"\x80\x01x", 1009),
        (b"\x88\x01x", 1002),  # half a close code
        (b"\x88\x02\x03\xed", 1002),  # 1005 is never sent
        (b"\x88\x02\x00\x00", 1002),
        (b"\x88\x03\x03\xe8\xff", 1007),
    ],
)
async def test_a_server_that_breaks_the_rules_is_told_so_and_left(frame: bytes, code: int) -> None:
    heard = asyncio.get_running_loop().create_future()

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(SWITCH + frame)(head, reader, writer)
        heard.set_result(await reader.readexactly(8))

    async with raw_server(answer) as port:
        socket = await connect(at(port), SUBPROTOCOL, AGENT)
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == code
        async with asyncio.timeout(30):
            sent = await heard
        await socket.close()
    assert sent[0] == 0x88
    assert rfc6455.mask(sent[6:8], sent[2:6]) == code.to_bytes(2, "big")


# -- frames ----------------------------------------------------------------------------------------


def unmasked(opcode: int, data: bytes, final: bool = True) -> bytes:
    """A frame as a server sends it."""
    size = len(data)
    head = bytes([(0x80 if final else 0) | opcode])
    if size < 126:
        return head + bytes([size]) + data
    if size < 1 << 16:
        return head + b"\x7e" + size.to_bytes(2, "big") + data
    return head + b"\x7f" + size.to_bytes(8, "big") + data


def masked(opcode: int, data: bytes, final: bool = True) -> bytes:
    """A frame as a client sends it."""
    frame = build_frame(opcode, data)
    return frame if final else bytes([frame[0] & 0x7F]) + frame[1:]


def read_all(chunks: list[bytes], masked: bool = False) -> list[Incoming]:
    reader, found = FrameReader(masked=masked), []
    for chunk in chunks:
        reader.feed(chunk)
        while (incoming := reader.next()) is not None:
            found.append(incoming)
    return found


@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=5), st.data())
def test_any_cut_of_the_stream_gives_the_same_messages(messages: list[list[bytes]], data: st.DataObject) -> None:
    stream = b""
    expected: list[Incoming] = []
    of_a_client = data.draw(st.booleans())  # the hub reads those with the same reader
    frame = masked if of_a_client else unmasked
    for pieces in messages:
        for index, piece in enumerate(pieces):
            if data.draw(st.booleans()):
                stream += frame(OP_PING, b"p")
                expected.append(Incoming(OP_PING, b"p"))
            stream += frame(OP_CONTINUATION if index else OP_BINARY, piece, final=index == len(pieces) - 1)
        expected.append(Incoming(OP_BINARY, b"".join(pieces)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read_all(chunks, of_a_client) == expected
    if stream:
        with pytest.raises(Violation):
            read_all(chunks, not of_a_client)


@given(st.binary(max_size=400))
def test_junk_is_a_violation_and_nothing_else(junk: bytes) -> None:
    for of_a_client in (False, True):
        with contextlib.suppress(Violation):
            read_all([junk], of_a_client)
    with contextlib.suppress(Violation):
        rfc6455.read_close(junk)
    with contextlib.suppress(HandshakeRefused):
        websocket.check_response(junk, b"key", SUBPROTOCOL)


def test_endless_empty_pieces_take_no_memory() -> None:
    reader = FrameReader()
    reader.feed(unmasked(OP_BINARY, b"a", final=False) + unmasked(OP_CONTINUATION, b"", final=False) * 100_000)
    assert reader.next() is None
    assert len(reader._parts) <= 2
    reader.feed(unmasked(OP_CONTINUATION, b"b"))
    assert reader.next() == Incoming(OP_BINARY, b"ab")


@pytest.mark.holds("F-20")
def test_many_short_pieces_take_no_more_memory_than_what_is_in_them() -> None:
    reader = FrameReader()
    reader.feed(unmasked(OP_BINARY, b"ab", final=False))
    assert reader.next() is None
    tracemalloc.start()
    try:
        for _ in range(20_000):
            reader.feed(unmasked(OP_CONTINUATION, b"ab", final=False))
            assert reader.next() is None
        held, _most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 * 40_000
    reader.feed(unmasked(OP_CONTINUATION, b""))
    assert reader.next() == Incoming(OP_BINARY, b"ab" * 20_001)


@given(st.binary(max_size=5000), st.binary(min_size=4, max_size=4))
def test_masking_is_undone_by_masking(data: bytes, key: bytes) -> None:
    masked = rfc6455.mask(data, key)
    assert masked == bytes(byte ^ key[index % 4] for index, byte in enumerate(data))
    assert rfc6455.mask(masked, key) == data


def test_close_reasons_are_cut_between_characters() -> None:
    payload = rfc6455.close_payload(4400, "é" * 100)
    assert len(payload) <= 125
    assert rfc6455.read_close(payload) == (4400, "é" * 61)
    assert read_all([unmasked(OP_CLOSE, payload)]) == [Incoming(OP_CLOSE, payload)]


def test_a_pinned_hub_needs_no_authorities() -> None:
    pinned, signed = _tls_context(b"x" * 32), _tls_context(None)
    assert pinned.cert_store_stats()["x509_ca"] == 0
    assert (pinned.verify_mode, pinned.check_hostname) == (ssl.CERT_NONE, False)
    assert (signed.verify_mode, signed.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert pinned.minimum_version == signed.minimum_version == ssl.TLSVersion.TLSv1_2
