"""A browser that does not read: its queue is bounded, it is notified and disconnected; others are unaffected."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from groundcontrol.core.bus import NodeLive
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.send_queue import MAX_QUEUED_BYTES, ROOM_BYTES, SendQueue, TooSlow
from groundcontrol.web.server import LIVE
from tests.support.clock import ManualClock
from tests.support.inprocess_hub import TestHub
from tests.support.printing_node import Printing, collect

BIG: dict[str, float | None] = {f"disk.read{{device=d{number}}}": float(number) for number in range(4000)}


class Tap:
    """A socket that takes messages while it is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.taken: list[bytes] = []
        self.five = asyncio.Event()

    async def send(self, message: bytes) -> None:
        await self.open.wait()
        self.taken.append(message)
        if len(self.taken) == 5:
            self.five.set()


@contextlib.asynccontextmanager
async def pumping(outgoing: SendQueue, tap: Tap) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.get_running_loop().create_task(outgoing.pump(tap.send))
    yield task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, TooSlow):
        await task


async def test_messages_are_sent_in_order() -> None:
    outgoing, tap = SendQueue(ManualClock()), Tap()
    tap.open.set()
    for number in range(5):
        outgoing.put(b"%d" % number)
    async with pumping(outgoing, tap):
        await asyncio.wait_for(tap.five.wait(), 30)
    assert tap.taken == [b"0", b"1", b"2", b"3", b"4"]


async def test_the_send_queue_is_limited_to_four_mebibytes() -> None:
    outgoing, tap = SendQueue(ManualClock()), Tap()
    for _ in range(100):
        outgoing.put(b"x" * 65_536)
    assert outgoing._bytes <= MAX_QUEUED_BYTES + 65_536

    with pytest.raises(TooSlow):
        await asyncio.wait_for(outgoing.pump(tap.send), 30)
    assert outgoing._bytes == 0


async def test_a_message_does_not_wait_longer_than_ten_seconds() -> None:
    clock = ManualClock()
    outgoing, tap = SendQueue(clock), Tap()
    outgoing.put(b"x")
    clock.advance(10.1)

    with pytest.raises(TooSlow):
        await asyncio.wait_for(outgoing.pump(tap.send), 30)


async def test_a_hanging_send_is_given_up() -> None:
    outgoing, tap = SendQueue(ManualClock(), patience_s=0.05), Tap()
    outgoing.put(b"x")

    with pytest.raises(TooSlow):
        await asyncio.wait_for(outgoing.pump(tap.send), 30)


async def test_a_stream_that_can_wait_waits_for_room() -> None:
    outgoing, tap = SendQueue(ManualClock()), Tap()
    outgoing.put(b"x" * ROOM_BYTES)
    async with pumping(outgoing, tap):
        waiting = asyncio.ensure_future(outgoing.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        tap.open.set()
        await asyncio.wait_for(waiting, 30)


async def test_a_browser_that_reads_nothing_is_disconnected_and_another_continues(hub: TestHub) -> None:
    hub.app[LIVE].limits = LiveLimits(patience_s=0.3)
    node = await hub.node()
    slow, fast = await hub.logged_in(), await hub.logged_in()
    async with slow.live() as stuck, fast.live() as live:
        seq = 0
        for one in (stuck, live):
            await one.subscribe(f"node:{node.id}")
            seq = (await one.expect("snapshot"))["seq"]
        reading = stuck.socket._response.connection.transport  # type: ignore[union-attr]
        reading.pause_reading()  # type: ignore[union-attr]
        for transport, option in ((reading, socket.SO_RCVBUF), *((one._transport, socket.SO_SNDBUF) for one in hub.app[LIVE]._connections)):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 16_384)  # type: ignore[union-attr]
        async with asyncio.timeout(60):
            while hub.app[LIVE].connections == 2:
                hub.bus.publish(NodeLive(node.id, "pulse", 1.0, BIG))
                change = await live.expect("change")
                assert change["seq"] == seq + 1
                seq = change["seq"]
        hub.bus.publish(NodeLive(node.id, "pulse", 2.0, {"cpu.total": 1.0}))
        assert (await live.expect("change"))["data"]["latest"] == {"cpu.total": {"value": 1.0, "at": 2.0}}

        reading.resume_reading()  # type: ignore[union-attr]
        last: object = None
        while (message := await stuck.socket.receive(timeout=30)).type is aiohttp.WSMsgType.BINARY:
            last = msgspec.msgpack.decode(message.data)
        assert last == ["gap", {"topic": f"node:{node.id}"}]
        assert stuck.socket.close_code == 4408
    assert hub.app[LIVE].slow_readers_dropped == 1, "the other one went by itself"


async def test_a_disconnected_browser_gets_the_gap_and_the_reason(hub: TestHub) -> None:
    """It stops reading for a moment only: what the hub said last still reaches it."""
    hub.app[LIVE].limits = LiveLimits(patience_s=0.2)
    node = await hub.node()
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"node:{node.id}")
        connection = next(iter(hub.app[LIVE]._connections))
        for _ in range(80):
            connection.put(b"\x00" * 65_536)  # over the bound immediately
        kinds: list[object] = []
        async with asyncio.timeout(60):
            while True:
                message = await live.socket.receive()
                if message.type is not aiohttp.WSMsgType.BINARY:
                    break
                kinds.append(msgspec.msgpack.decode(message.data))
        assert kinds[-1] == ["gap", {"topic": f"node:{node.id}"}]
        assert live.socket.close_code == 4408


async def test_output_waits_for_a_slow_page_and_loses_nothing(hub: TestHub) -> None:
    printing = await Printing.start(hub)
    for _ in range(100):
        await printing.print(b"line of output\n" * 7_000, told=False)
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"job:{printing.job.id}")
        connection = next(iter(hub.app[LIVE]._connections))
        got = 0
        for _ in range(20):
            got += len(await collect(live, got + 500_000, got))
            assert connection._outgoing._bytes <= 2 * ROOM_BYTES
        assert got >= 10_000_000
        await collect(live, len(printing.printed), got)
