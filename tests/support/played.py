"""Simulated nodes for browser tests, on their own thread, since the browser's loop blocks the test's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Final, Self

import aiohttp

from spider.wire.frames import HEARTBEAT_S, Heartbeat, Message
from tests.support.agent import IDENTITY, AgentClosed, TestAgent, agents
from tests.support.hub import Enrolled, HubProcess

BEAT_S: Final = HEARTBEAT_S / 4


class PlayedNodes(threading.Thread):
    """Joins as each of these nodes, and stays until `with` ends. What a node says is up to `greet` and `answer`.

    It beats as every node does, so that it is there still when a test takes longer than the hub bears silence.
    """

    def __init__(self, hub: HubProcess, nodes: Sequence[Enrolled]) -> None:
        super().__init__(name="played nodes", daemon=True)
        self._hub = hub
        self._nodes = nodes
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._play())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(RuntimeError):  # where the hub ended all sessions, this thread has ended too
            self._loop.call_soon_threadsafe(self._task.cancel)
        self.join(30)
        assert not self.is_alive()

    def now(self) -> float:
        """The nodes' clock."""
        return time.time()

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        """Say what the node is."""
        await agent.say(IDENTITY._replace(hostname=node.name))

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        """Carry out the hub's message."""

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()

    async def _play(self) -> None:
        async with agents(self._hub, *self._nodes) as made, asyncio.TaskGroup() as tasks:
            for agent, node in zip(made, self._nodes, strict=True):
                tasks.create_task(self._play_one(agent, node))

    async def _play_one(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.join()
        beating = asyncio.get_running_loop().create_task(self._beat(agent), name=f"heart of {node.name}")
        try:
            await self.greet(agent, node)
            with contextlib.suppress(AgentClosed):
                while True:
                    with contextlib.suppress(TimeoutError):
                        await self.answer(agent, node, await agent.hear(30))
        finally:
            beating.cancel()

    async def _beat(self, agent: TestAgent) -> None:
        with contextlib.suppress(OSError, aiohttp.ClientError):  # the session ends under it, which the reader sees too
            while True:
                await asyncio.sleep(BEAT_S)
                await agent.say(Heartbeat(int(self.now() * 1000)))
