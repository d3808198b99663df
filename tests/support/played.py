"""Nodes that a browser's test plays on a thread of their own, since the browser's own loop holds the test's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Self

from spider.wire.frames import Message
from tests.support.agent import IDENTITY, AgentClosed, TestAgent, agents
from tests.support.hub import Enrolled, HubProcess


class PlayedNodes(threading.Thread):
    """Joins as each of these nodes, and stays until `with` ends. What a node says is up to `greet` and `answer`."""

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
        self._loop.call_soon_threadsafe(self._task.cancel)
        self.join(10)
        assert not self.is_alive()

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        """Say what the node is."""
        await agent.say(IDENTITY._replace(hostname=node.name))

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        """Do as the hub has told it."""

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
        await self.greet(agent, node)
        with contextlib.suppress(AgentClosed):
            while True:
                with contextlib.suppress(TimeoutError):
                    await self.answer(agent, node, await agent.hear(30))
