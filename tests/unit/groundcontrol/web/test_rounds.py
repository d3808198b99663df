"""Nodes that are read in rounds: who is, what is heard of them and when, and what ends it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from functools import partial

import pytest

from groundcontrol.fleet.ports import AgentSocket, SocketClosed
from groundcontrol.web.rounds import AT_ONCE, ROUND_S, Rounds
from groundcontrol.web.ws_agent import READ_AHEAD_BYTES, ROUND_BYTES, _Socket
from spider.wire.frames import MAX_FRAME_BYTES
from spider.wire.rfc6455 import OP_BINARY, build_frame
from tests.support.agent_socket import Ear, met, raw
from tests.support.eventually import eventually


class Listed(Ear):
    """What begins with `~` is shown by lists, and nothing else is."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s = ROUND_S

    def in_rounds(self) -> bool:
        assert isinstance(self.socket, _Socket)
        return self.socket._in_rounds

    async def live(self, socket: AgentSocket) -> None:
        self.socket = socket
        await super().live(socket)


class Waiting(Listed):
    """All that it says is waited for by one and the same time."""

    def patience(self, _message: bytes) -> float:
        return self.waits_s


async def test_who_says_nothing_but_what_lists_show_is_read_in_rounds_until_it_says_something_else() -> None:
    ear = Listed()
    async with met(ear.live) as (_door, ws):
        await ws.send_bytes(b"a")
        await ear.has(1)
        assert not ear.in_rounds()
        for count in range(2, 6):
            await ws.send_bytes(b"~")
            await ear.has(count)
            assert ear.in_rounds()
        await ws.send_bytes(b"b")
        await ear.has(6)
        assert not ear.in_rounds()
        await ws.send_bytes(b"~")
        await ear.has(7)
        assert ear.in_rounds()
        ear.waits_s = 0.0  # somebody looks at the node itself
        await ws.send_bytes(b"~")
        await ear.has(8)
        assert not ear.in_rounds()


async def test_a_message_in_pieces_and_many_in_one_are_whole_in_rounds_too() -> None:
    ear = Listed()
    frames = [build_frame(OP_BINARY, b"~" + bytes([number]) * 300) for number in range(20)]
    async with met(ear.live) as (_door, ws):
        await ws.send_bytes(b"~")
        await eventually(ear.in_rounds, 10, "it is not read in rounds")
        data = b"".join(frames)
        for at in range(0, len(data), 700):
            await raw(ws, data[at : at + 700])
            await asyncio.sleep(ROUND_S / 2)
        await ear.has(21)
        assert [message[1] for message in ear.heard[1:]] == list(range(20))


async def test_who_says_much_is_read_by_the_loop_again_and_nothing_is_lost() -> None:
    ear = Listed()
    async with met(ear.live) as (_door, ws):
        await ws.send_bytes(b"~")
        await eventually(ear.in_rounds, 10, "it is not read in rounds")
        for number in range(40):
            await ws.send_bytes(b"!" + bytes([number]) * (ROUND_BYTES // 8))
        ear.go_on.set()
        await ear.has(41)
        assert [message[1] for message in ear.heard[1:]] == list(range(40))
        assert not ear.in_rounds()


async def test_what_waits_is_bounded_though_it_began_in_rounds() -> None:
    """A message that has to be waited for, heard when a long one comes behind it: what follows is not read, in rounds or by the loop."""
    ear = Waiting()
    ear.waits_s = 0.0
    async with met(ear.live) as (_door, ws):
        await ws.send_bytes(b"a")
        await ear.has(1)
        socket = ear.socket
        assert isinstance(socket, _Socket)
        ear.waits_s = ROUND_S
        await raw(ws, build_frame(OP_BINARY, b"!") + build_frame(OP_BINARY, b"~" * (READ_AHEAD_BYTES + 1)))
        await eventually(lambda: socket._waiting_bytes > READ_AHEAD_BYTES, 10, "nothing waits")
        assert not ear.in_rounds()
        for _ in range(100):
            await raw(ws, build_frame(OP_BINARY, b"~" * READ_AHEAD_BYTES))
            await asyncio.sleep(0.001)
        await asyncio.sleep(ROUND_S * 4)
        assert socket._waiting_bytes < READ_AHEAD_BYTES + 2 * MAX_FRAME_BYTES
        ear.go_on.set()
        await ear.has(103)
        assert not socket._paused


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_node_that_says_that_it_goes_is_heard_in_a_round(code: int) -> None:
    ear = Listed()
    async with met(ear.live) as (door, ws):
        await ws.send_bytes(b"~")
        await eventually(ear.in_rounds, 10, "it is not read in rounds")
        await ws.close(code=code)
        await eventually(lambda: bool(door.ended), 10, "not ended")
        assert isinstance(door.ended[0], SocketClosed)
        assert door.ended[0].code == code
        assert not ear.in_rounds()


async def test_a_node_that_is_cut_off_in_rounds_is_seen_to_be_gone_and_leaves_nothing() -> None:
    ear = Listed()
    async with met(ear.live) as (door, ws):
        await ws.send_bytes(b"~")
        await eventually(ear.in_rounds, 10, "it is not read in rounds")
        ear.socket = None
        connection = ws._conn
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        await eventually(lambda: door.seen[0]() is None, 10, "the socket is still there")


async def test_a_session_that_the_hub_ends_in_rounds_hears_the_close_at_once() -> None:
    ear = Listed()
    async with met(ear.live) as (_door, ws):
        await ws.send_bytes(b"~")
        await eventually(ear.in_rounds, 10, "it is not read in rounds")
        assert ear.socket is not None
        closing = asyncio.create_task(ear.socket.close(4000, "go"))
        assert (await ws.receive(timeout=10)).data == 4000
        await closing
        assert not ear.in_rounds()


# -- the rounds themselves -------------------------------------------------------------------------


@pytest.fixture
def pipes() -> list[tuple[int, int]]:
    return [os.pipe() for _ in range(AT_ONCE + 10)]


def _reader(got: list[int], number: int, descriptor: int) -> Callable[[], None]:
    def read() -> None:
        got.append(number)
        os.read(descriptor, 100)

    return read


def _so_many(got: list[int], count: int) -> bool:
    return len(got) == count


async def test_all_that_have_something_are_read_however_many_and_nobody_else(pipes: list[tuple[int, int]]) -> None:
    rounds = Rounds()
    got: list[int] = []
    readers = [_reader(got, number, read_end) for number, (read_end, _) in enumerate(pipes)]
    for (read_end, write_end), reader in zip(pipes, readers, strict=True):
        rounds.add(read_end, reader)
        os.write(write_end, b"x")
    rounds.remove(pipes[3][0], readers[3])
    rounds.remove(pipes[4][0], readers[5])  # not its own: that descriptor was another's before
    await eventually(lambda: len(got) == len(pipes) - 1, 10, "not all were read")
    assert sorted(got) == [number for number in range(len(pipes)) if number != 3]
    await asyncio.sleep(ROUND_S * 3)
    assert len(got) == len(pipes) - 1
    for (read_end, write_end), reader in zip(pipes, readers, strict=True):
        rounds.remove(read_end, reader)
        os.close(read_end)
        os.close(write_end)


async def test_a_fault_with_one_leaves_the_others_alone(pipes: list[tuple[int, int]], caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds()
    got: list[int] = []

    def broken() -> None:
        raise RuntimeError("a fault of ours")

    (first, into_first), (second, into_second) = pipes[:2]
    rounds.add(first, broken)
    rounds.add(second, _reader(got, 2, second))
    with caplog.at_level(logging.ERROR):
        for count in (1, 2):
            os.write(into_first, b"x")
            os.write(into_second, b"x")
            await eventually(partial(_so_many, got, count), 10, "the other one was not read")
    assert [record.getMessage() for record in caplog.records].count("round_failed") == 1
    for pair in pipes:
        for descriptor in pair:
            os.close(descriptor)
