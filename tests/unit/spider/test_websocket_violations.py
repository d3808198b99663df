"""The WebSocket client against servers that break the protocol or do not answer."""

from __future__ import annotations

import asyncio

import pytest

from spider.config import Proxy, parse_url
from spider.hub.websocket import HandshakeRefused, SocketClosed, WebSocketError, connect
from spider.wire import rfc6455
from spider.wire.frames import MAX_FRAME_BYTES, SUBPROTOCOL
from tests.support.websocket_servers import AGENT, SWITCH, at, raw_server, saying


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
async def test_an_invalid_handshake_raises_websocketerror(answer: bytes, match: str) -> None:
    async with raw_server(saying(answer)) as port:
        with pytest.raises(WebSocketError, match=match):
            await connect(at(port), SUBPROTOCOL, AGENT)


@pytest.mark.parametrize(("header", "expected"), [(b"30", 30.0), (b"x", None), (b"-1", None), (b"99999999", None), (b"", None)])
async def test_retry_after_is_read(header: bytes, expected: float | None) -> None:
    async with raw_server(saying(b"HTTP/1.1 503 Busy\r\nRetry-After: " + header + b"\r\n\r\n")) as port:
        with pytest.raises(HandshakeRefused) as caught:
            await connect(at(port), SUBPROTOCOL, AGENT)
    assert (caught.value.status, caught.value.retry_after_s) == (503, expected)


async def test_a_silent_server_is_given_up() -> None:
    async def silent(_head: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(silent) as port:
        with pytest.raises(WebSocketError, match="did not answer"):
            await connect(at(port), SUBPROTOCOL, AGENT, timeout_s=0.2)


async def test_the_request_follows_the_rfc() -> None:
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


async def test_frames_directly_after_the_handshake_are_not_lost() -> None:
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


async def test_closing_does_not_wait_for_an_unresponsive_server() -> None:
    async def deaf(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(SWITCH)(head, reader, writer)
        while await reader.read(1000):
            writer.write(b"\x82\x01x")

    async with raw_server(deaf) as port:
        socket = await connect(at(port), SUBPROTOCOL, AGENT)
        async with asyncio.timeout(60):
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
async def test_a_protocol_violation_closes_the_connection_with_its_code(frame: bytes, code: int) -> None:
    heard = asyncio.get_running_loop().create_future()

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(SWITCH + frame)(head, reader, writer)
        heard.set_result(await reader.readexactly(8))

    async with raw_server(answer) as port:
        socket = await connect(at(port), SUBPROTOCOL, AGENT)
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert caught.value.code == code
        async with asyncio.timeout(60):
            sent = await heard
        await socket.close()
    assert sent[0] == 0x88
    assert rfc6455.mask(sent[6:8], sent[2:6]) == code.to_bytes(2, "big")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 407 Who?\r\nContent-Length: 5\r\n\r\n<html", "asks for a password, which is not supported"),
        (b"HTTP/1.1 503 Busy\r\n\r\nNo", "answered 503"),
        (b"HTTP/1.1 200 OK\r\n\r\n!", "sent data before the hub was asked for any"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is not an HTTP proxy"),
    ],
)
async def test_a_proxy_that_refuses_and_keeps_the_connection_is_named_with_its_reason(answer: bytes, why: str) -> None:
    async def refuse(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.read()

    async with raw_server(refuse) as port:
        with pytest.raises(WebSocketError, match=why):
            await connect(parse_url("wss://hub.example/ws"), SUBPROTOCOL, AGENT, proxy=Proxy("127.0.0.1", port))
