"""The socket of a node's session: when frames reach the session, how it ends, and what remains of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from groundcontrol.agents import socket as agents_socket
from groundcontrol.agents.handshake import AgentHandshake
from groundcontrol.agents.interfaces import AgentSocket, SocketClosed
from groundcontrol.web.connections import HubRunner
from groundcontrol.web.headers import HeaderWriter
from spider.wire.errors import ProtocolError
from spider.wire.frames import MAX_FRAME_BYTES, SUBPROTOCOL
from spider.wire.rfc6455 import (
    OP_BINARY,
    OP_CONTINUATION,
    OP_PING,
    OP_TEXT,
    build_frame,
)
from tests.support.agent_socket import Door, Ear, Life, met, raw
from tests.support.eventually import eventually
from tests.support.some import some


def gone(door: Door) -> bool:
    """Whether the first socket was freed."""
    gc.collect()
    return bool(door.seen) and door.seen[0]() is None


async def close_code(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    while (await ws.receive(timeout=60)).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
        pass
    return ws.close_code


async def test_a_node_that_never_answers_the_close_leaves_nothing() -> None:
    async def nothing(_socket: AgentSocket) -> None:
        pass

    async with met(nothing, close_wait_s=0.2) as (door, _silent):  # it would answer where it reads
        await eventually(lambda: gone(door), 30, "the socket is still there")


async def cut(ws: aiohttp.ClientWebSocketResponse) -> None:
    connection = some(ws._conn)
    some(connection.transport).abort()


@pytest.mark.parametrize(
    "end",
    [
        lambda ws: raw(ws, build_frame(OP_BINARY, b"?")),
        lambda ws: raw(ws, build_frame(OP_BINARY, b"a", masked=False)),
        lambda ws: raw(ws, build_frame(OP_TEXT, b"a")),
        lambda ws: raw(ws, build_frame(OP_PING, b"") * (agents_socket.MAX_CONTROLS + 1)),
        lambda ws: ws.close(code=1001),
        cut,
    ],
    ids=["refused", "not masked", "text", "a flood", "closed", "cut"],
)
async def test_a_session_that_ended_leaves_nothing(end: Callable[[aiohttp.ClientWebSocketResponse], Coroutine[Any, Any, None]]) -> None:
    ear = Ear()
    async with met(ear.live) as (door, ws):
        await ws.send_bytes(b"a")
        await ear.has(1)
        await end(ws)
        with contextlib.suppress(ConnectionError):
            await close_code(ws)
        await eventually(lambda: gone(door), 60, "the socket is still there")


async def waiting(door: Door, count: int) -> None:
    """Wait until so many messages have arrived and are not given to the session yet."""
    await eventually(lambda: bool(door.seen) and len(cast("Any", door.seen[0]())._messages) == count, 60, "they do not wait")


async def test_messages_are_received_one_by_one_in_order() -> None:
    ear = Ear()
    async with met(ear.live) as (door, ws):
        for message in (b"a", b"!b", b"c", b"d"):
            await ws.send_bytes(message)
        await waiting(door, 2)
        assert ear.heard == [b"a"]  # the second is in work
        ear.go_on.set()
        await ear.has(4)
        assert ear.heard == [b"a", b"!b", b"c", b"d"]


async def test_waiting_messages_are_bounded_and_none_is_lost() -> None:
    ear = Ear()
    count = 40
    async with met(ear.live) as (door, ws):
        await ws.send_bytes(b"!")
        sending = asyncio.create_task(_send_all(ws, [bytes([n]) + bytes(100_000) for n in range(count)]))
        await eventually(lambda: cast("Any", door.seen[0]())._paused, 60, "never paused")
        await asyncio.sleep(0.2)
        waiting = cast("Any", door.seen[0]())._waiting_bytes
        assert waiting < 1 << 20
        ear.go_on.set()
        await ear.has(count + 1)
        await sending
        assert [message[0] for message in ear.heard[1:]] == list(range(count))


@pytest.mark.holds("F-20")
async def test_waiting_empty_messages_are_bounded() -> None:
    ear = Ear()
    async with met(ear.live) as (door, ws):
        await ws.send_bytes(b"!")
        await raw(ws, build_frame(OP_BINARY, b"") * 200_000)
        await eventually(lambda: cast("Any", door.seen[0]())._paused, 60, "never paused")
        await asyncio.sleep(0.2)
        assert len(cast("Any", door.seen[0]())._messages) < 100_000
        ear.go_on.set()
        await ear.has(200_001)


async def test_a_node_that_keeps_sending_after_the_close_is_cut() -> None:
    ear = Ear()
    async with met(ear.live, close_wait_s=60.0) as (door, ws):
        await ws.send_bytes(b"?")
        await eventually(lambda: bool(door.ended), 60, "not ended")
        await raw(ws, build_frame(OP_BINARY, b"a") * (agents_socket.MAX_UNHEARD + 1))
        await eventually(lambda: gone(door), 30, "the socket is still there")


@pytest.mark.holds("F-20")
async def test_a_node_that_reads_nothing_is_disconnected_and_released() -> None:
    async def tell(socket: AgentSocket) -> None:
        await socket.receive()
        while socket.backlog < 20_000:
            await socket.send(bytes(10_000))
            await asyncio.sleep(0)

    async with met(tell, close_wait_s=0.2) as (door, ws):
        connection = some(ws._conn)
        assert connection.transport is not None
        connection.transport.pause_reading()
        await ws.send_bytes(b"go")
        await eventually(lambda: gone(door), 30, "the socket is still there")
        connection.transport.abort()  # a close would wait ten seconds for an answer that is not read


async def _send_all(ws: aiohttp.ClientWebSocketResponse, messages: list[bytes]) -> None:
    for message in messages:
        await ws.send_bytes(message)


async def test_messages_sent_before_the_close_are_still_received() -> None:
    ear = Ear()
    async with met(ear.live) as (door, ws):
        for message in (b"!", b"a", b"b"):
            await ws.send_bytes(message)
        await ws.close(code=1001)
        ear.go_on.set()
        await eventually(lambda: bool(door.ended), 60, "not ended")
        assert ear.heard == [b"!", b"a", b"b"]
        assert isinstance(door.ended[0], SocketClosed)
        assert door.ended[0].code == 1001


async def test_a_refused_message_ends_the_session_and_later_ones_are_dropped() -> None:
    ear = Ear()
    async with met(ear.live) as (door, ws):
        await raw(ws, b"".join(build_frame(OP_BINARY, message) for message in (b"a", b"?", b"b")))
        assert await close_code(ws) == ProtocolError("wrong").close_code
        assert ear.heard == [b"a"]
        assert str(door.ended[0]) == "wrong"


async def test_a_ping_is_answered_and_a_flood_of_them_ends_the_session() -> None:
    ear = Ear()
    async with met(ear.live) as (door, ws):
        await raw(ws, build_frame(OP_PING, b"there?"))
        answer = await ws.receive(timeout=60)
        assert (answer.type, answer.data) == (WSMsgType.PONG, b"there?")
        await raw(ws, build_frame(OP_PING, b"") * (agents_socket.MAX_CONTROLS + 1))
        await eventually(lambda: bool(door.ended), 60, "not ended")
        assert str(door.ended[0]) == "a flood of pings"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (build_frame(OP_BINARY, b"a", masked=False), 1002),
        (build_frame(OP_CONTINUATION, b"a"), 1002),
        (b"\xc2\x80\0\0\0\0", 1002),
        (build_frame(OP_BINARY, bytes(MAX_FRAME_BYTES + 1)), 1009),
        (build_frame(OP_TEXT, b"a"), ProtocolError("").close_code),
    ],
    ids=["not masked", "a piece of nothing", "reserved bits", "too big", "text"],
)
async def test_an_invalid_message_ends_the_session_with_its_code(sent: bytes, code: int) -> None:
    ear = Ear()

    async def live(socket: AgentSocket) -> None:
        try:
            await ear.live(socket)
        except SocketClosed as error:
            await socket.close(error.code, "go")
            raise

    async with met(live) as (door, ws):
        await raw(ws, sent)
        assert await close_code(ws) == code
        await eventually(lambda: bool(door.ended), 60, "not ended")
        assert ear.heard == []


async def test_a_close_frame_arrives_although_data_is_unread() -> None:
    """Unread bytes would make the end of the connection a reset, which overtakes the close frame."""
    begun = asyncio.Event()

    async def live(socket: AgentSocket) -> None:
        await socket.receive()
        begun.set()
        await asyncio.sleep(0.3)

    async with met(live) as (_door, ws):
        sending = asyncio.create_task(_send_all(ws, [bytes(50_000)] * 20))
        await begun.wait()
        assert await close_code(ws) == 4000
        await sending


async def test_a_probe_reports_whether_the_peer_answers() -> None:
    answers: list[bool] = []

    async def live(socket: AgentSocket) -> None:
        reading = asyncio.create_task(Ear().live(socket))
        answers.append(await socket.probe(10))
        answers.append(await socket.probe(0.2))
        await socket.close(4000, "go")
        answers.append(await socket.probe(0.2))
        with contextlib.suppress(SocketClosed):
            await reading

    async with met(live, close_wait_s=0.2) as (_door, ws):
        ping = await ws.receive(timeout=60)
        assert ping.type is WSMsgType.PING
        await ws.pong(ping.data)
        await eventually(lambda: len(answers) == 3, 60, "probes hang")
        assert answers == [True, False, False]


async def test_a_session_that_is_cancelled_ends() -> None:
    ear = Ear()
    tasks: list[asyncio.Task[None]] = []

    async def live(socket: AgentSocket) -> None:
        tasks.append(asyncio.create_task(ear.live(socket)))
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[0]

    async with met(live) as (_door, ws):
        await eventually(lambda: bool(tasks), 60, "not begun")
        tasks[0].cancel()
        assert await close_code(ws) == 4000


HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: " + SUBPROTOCOL.encode() + b"\r\n\r\n"
)


@contextlib.asynccontextmanager
async def dialled(life: Life) -> AsyncIterator[tuple[Door, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the hub's own HTTP server, over which nothing was said yet."""
    door = Door(life)
    app = web.Application()
    app.add_routes([web.get("/ws", agents_socket.handler(cast("AgentHandshake", door), ()))])
    runner = HubRunner(app, HeaderWriter({}), ())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        try:
            yield door, reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("size", [1, 700, 40_000])
@pytest.mark.parametrize("at_once", [-7, 0, 3, 1_000_000_000], ids=["before its end", "with its end", "a part of a frame", "everything"])
async def test_messages_sent_with_the_handshake_are_received_first(size: int, at_once: int) -> None:
    """The first bytes go another way than those that follow them."""
    sent = [b"%04d" % number + b"x" * size for number in range(40)]
    data = HANDSHAKE + b"".join(build_frame(OP_BINARY, one) for one in sent)
    ear = Ear()
    async with dialled(ear.live) as (door, reader, writer):
        cut = min(len(data), len(HANDSHAKE) + at_once)
        writer.write(data[:cut])
        await writer.drain()
        if at_once >= 0:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(data[cut:])
        await ear.has(len(sent))
        assert ear.heard == sent
        writer.write_eof()  # half of the connection is over: a node has nothing to say any more
        await eventually(lambda: bool(door.ended), 60, "it is still there")
        await eventually(lambda: gone(door), 60, "the socket is still there")


@pytest.mark.parametrize("opened_first", [False, True])
async def test_data_before_the_first_read_is_bounded_and_received_after_a_half_close(opened_first: bool) -> None:
    """The HTTP server holds bytes back as well until the handshake is over: it lets go of its own reins only."""
    sent = [b"!first", *(b"%04d" % number + b"x" * 30_000 for number in range(200))]
    ear = Ear()
    async with dialled(ear.live) as (door, reader, writer):
        writer.write(HANDSHAKE)
        if opened_first:
            await reader.readuntil(b"\r\n\r\n")
        writer.write(b"".join(build_frame(OP_BINARY, one) for one in sent))
        writer.write_eof()
        await eventually(lambda: bool(door.seen), 60, "nobody came")
        await asyncio.sleep(0.2)
        socket = cast("Any", door.seen[0]())
        waiting, heard = socket._waiting_bytes, list(ear.heard)
        del socket
        ear.go_on.set()
        await ear.has(len(sent))
        assert heard == []
        assert waiting <= agents_socket.READ_AHEAD_BYTES + 2 * MAX_FRAME_BYTES, "the rest of six megabytes waits at the node"
        assert ear.heard == sent
        await eventually(lambda: bool(door.ended), 60, "it is still there")
