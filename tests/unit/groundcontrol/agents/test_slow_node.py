"""A node that sends but does not read holds nobody else: with the small send buffer of a real network, not that of loopback."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import pytest

from groundcontrol.agents.interfaces import AgentSocket
from groundcontrol.agents.session import CONGESTED_BYTES
from spider.clock import SystemClock
from spider.wire.codec import NODE_CODEC
from spider.wire.job_messages import JobStart
from spider.wire.session import SecureChannel
from tests.support.agent_sessions import KEY, a_session
from tests.support.agent_socket import met
from tests.support.some import some

PARTS = 16
PART_BYTES = 120 * 1024


@pytest.mark.holds("SAFETY-102", "SAFETY-53", "S-48")
async def test_a_node_that_does_not_read_delays_no_sender_and_gets_everything_once_it_reads() -> None:
    sent, over = asyncio.Event(), asyncio.Event()
    seen: dict[str, float] = {}

    async def life(wire: AgentSocket) -> None:
        transport = cast("Any", wire)._transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        agent = a_session(SystemClock(), socket=wire)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for at in range(PARTS):
            await agent.send(JobStart(f"{at:026}", bytes(PART_BYTES)))
        seen["took_s"], seen["backlog"], seen["left"] = loop.time() - began, wire.backlog, len(agent._outbox)
        sent.set()
        await over.wait()

    async with met(life) as (_, ws):
        connection = some(ws._conn)
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
