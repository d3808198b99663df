"""Nodes with 128 cores and twelve network cards: one with a hole in its samples, and one that buffers samples while it is unwatched."""

from __future__ import annotations

import asyncio
import threading
import time

from spider.wire.codec import pack_rows
from spider.wire.frames import Message
from spider.wire.job_messages import JobAnswer, JobOutput, JobStart
from spider.wire.metrics import parse_series
from spider.wire.sample_messages import STREAM_LIVE, Pack, Row
from tests.support.agent import IDENTITY, TestAgent, layout_of
from tests.support.hub import Enrolled, HubProcess
from tests.support.job_messages import LINE, ended
from tests.support.played import PlayedNodes

CORES, CARDS = 128, 12
SERIES = [
    *("cpu.total", "cpu.user", "cpu.system", "cpu.iowait", "load.1", "load.15", "memory.total", "memory.used", "memory.cached"),
    *(f"cpu.core{{core={core}}}" for core in range(CORES)),
    *(f"network.{way}{{interface=eth{card}}}" for card in range(CARDS) for way in ("received", "sent")),
    *(f"disk.{way}{{device={disk}}}" for disk in ("sda", "sdb") for way in ("read", "written")),
]  # fmt: skip
LAYOUT = layout_of("pulse", 1, SERIES)
DISKS = layout_of("breathe", 60, ["filesystem.size{mount=/srv}", "filesystem.used{mount=/srv}"])
BEFORE, HOLE = 4, 6
"""Before it connects, the node has BEFORE seconds of samples, then HOLE seconds without. More samples follow."""
HELD_S = 12
WINDOW_S = 300
"""Length of the live window. On a busy machine the hole may be that old when a test looks for it."""


def value(series: str, turn: int) -> int:
    """A value of the series as an agent sends it, different in each turn except for memory."""
    metric, _ = parse_series(series)
    amount = {"memory.total": 8 << 30, "memory.used": 3 << 30, "memory.cached": 1 << 30}.get(series, 10 + turn % 50)
    return round(amount * metric.scale)


class Measuring(PlayedNodes):
    """Nodes that measure after they have sent identity and layout."""

    def __init__(self, hub: HubProcess, nodes: list[Enrolled]) -> None:
        super().__init__(hub, nodes)
        self.greeted = {node.node_id: asyncio.Event() for node in nodes}

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name, cpu_cores=CORES, timezone="Asia/Tokyo"), LAYOUT)
        self.greeted[node.node_id].set()

    async def _play_one(self, agent: TestAgent, node: Enrolled) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._measure_once_greeted(agent, node), name=f"measures of {node.name}")
            await super()._play_one(agent, node)

    async def _measure_once_greeted(self, agent: TestAgent, node: Enrolled) -> None:
        await self.greeted[node.node_id].wait()
        await self.measure(agent)

    async def measure(self, agent: TestAgent) -> None:
        raise NotImplementedError


class Large(Measuring):
    """A node with a hole in its samples before it connected. Its jobs succeed.

    Args: full: whether it also has a file system that is nearly full.
    """

    def __init__(self, hub: HubProcess, nodes: list[Enrolled], *, full: bool = False) -> None:
        super().__init__(hub, nodes)
        self.full = full
        self.speaks_again = threading.Event()

    async def measure(self, agent: TestAgent) -> None:
        if self.full:
            coding, body = pack_rows([Row(int(time.time() * 1000), [100 << 30, 96 << 30])])
            await agent.say(DISKS, Pack(STREAM_LIVE, 0, DISKS.layout, coding, body))
        now = time.time()
        past = [Row(int((now - HOLE - BEFORE + turn) * 1000), [value(series, turn) for series in SERIES]) for turn in range(BEFORE + 1)]
        await agent.say(Pack(STREAM_LIVE, int(self.full), LAYOUT.layout, *pack_rows(past)))
        for turn in range(1, 600):
            coding, body = pack_rows([Row(int(time.time() * 1000), [value(series, BEFORE + turn) for series in SERIES])])
            await agent.say(Pack(STREAM_LIVE, turn + self.full, LAYOUT.layout, coding, body))
            self.speaks_again.set()
            await asyncio.sleep(1)

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        if isinstance(told, JobStart):
            await agent.say(JobAnswer(told.job, "accepted", "", 0), JobOutput(told.job, 0, 0, LINE), ended(told.job, LINE))


class Holding(Measuring):
    """A node that buffers its samples after the first FIRST ones. `holds` is set when it has HELD_S of them. Once the test sets `goes_on`, it
    sends all of them, and each further one immediately."""

    FIRST = 4

    def __init__(self, hub: HubProcess, node: Enrolled) -> None:
        super().__init__(hub, [node])
        self.holds, self.goes_on = threading.Event(), threading.Event()

    async def measure(self, agent: TestAgent) -> None:
        held: list[float] = []
        sent = 0
        for turn in range(600):
            held.append(time.time())
            if turn < self.FIRST or self.goes_on.is_set():
                coding, body = pack_rows([Row(int(at * 1000), [value(series, 1) for series in SERIES]) for at in held])
                await agent.say(Pack(STREAM_LIVE, sent, LAYOUT.layout, coding, body))
                held.clear()
                sent += 1
            elif len(held) == HELD_S:
                self.holds.set()
            await asyncio.sleep(1)
