"""A node that sends but does not read holds nobody else: with the small send buffer of a real network, not that of loopback."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import pytest

from groundcontrol.agents.codec import CODEC
from groundcontrol.agents.interfaces import AgentSocket, SessionDeps
from groundcontrol.agents.quota import Quotas
from groundcontrol.agents.session import CONGESTED_BYTES, AgentSession
from groundcontrol.core.forward_clock import ForwardClock
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.nodes.model import Node, Session
from groundcontrol.samples.store import Marks
from spider.clock import SystemClock
from spider.wire.codec import NODE_CODEC
from spider.wire.job_messages import JobStart
from spider.wire.session import Hello, SecureChannel
from tests.support.agent_socket import met

NODE = NodeId("node")
KEY = bytes(32)
PARTS = 16
PART_BYTES = 120 * 1024


def a_session(wire: AgentSocket) -> AgentSession:
    clock = SystemClock()
    with_: Any = type("With", (), {"clock": clock, "forward_clock": ForwardClock(clock), "quotas": Quotas(), "row_sink": lambda _org: None})
    node = Node._make([NODE, 1, 1, "n", "", (), 1, False, *[None] * (len(Node._fields) - 8)])
    hello = Hello(NODE, 1, b"", "0f" * 16, "h", "1", [], [])
    link = SecureChannel(CODEC, KEY, KEY, expect_welcome=False)
    return AgentSession(
        node,
        Session(NodeId(NODE), 1, 1, HubId("hub"), BootId("0f" * 16), 1),
        link,
        wire,
        hello,
        "192.0.2.1",
        Marks(-1, -1),
        cast("SessionDeps", with_),
    )


@pytest.mark.holds("SAFETY-102", "SAFETY-53", "S-48")
async def test_a_node_that_does_not_read_delays_no_sender_and_gets_everything_once_it_reads() -> None:
    sent, over = asyncio.Event(), asyncio.Event()
    seen: dict[str, float] = {}

    async def life(wire: AgentSocket) -> None:
        transport = cast("Any", wire)._transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        agent = a_session(wire)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for at in range(PARTS):
            await agent.send(JobStart(f"{at:026}", bytes(PART_BYTES)))
        seen["took_s"], seen["backlog"], seen["left"] = loop.time() - began, wire.backlog, len(agent._outbox)
        sent.set()
        await over.wait()

    async with met(life) as (_, ws):
        connection = ws._conn
        assert connection is not None
        assert connection.transport is not None
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.transport.pause_reading()
        async with asyncio.timeout(60):  # it waited for the node without a limit
            await sent.wait()
        assert seen["left"] > 0, "the node was slow, indeed"
        assert seen["backlog"] <= CONGESTED_BYTES + PART_BYTES + 1024
        connection.transport.resume_reading()
        link = SecureChannel(NODE_CODEC, KEY, KEY, expect_welcome=False)
        async with asyncio.timeout(60):
            for at in range(PARTS):
                message = link.receive((await ws.receive()).data, 0.0)
                assert isinstance(message, JobStart)
                assert message.job == f"{at:026}"
        over.set()
