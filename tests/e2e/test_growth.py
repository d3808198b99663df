"""Leaks in the hub: its objects are counted at comparable moments, since memory itself is less precise."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import msgspec
import pytest

from groundcontrol import lifecycle
from tests.support.agent import TestAgent, agents, layout_of, pack_of
from tests.support.eventually import eventually
from tests.support.hub import HubProcess
from tests.support.hub_faults import fault_file
from tests.support.hub_program import BLOCKS, COLLECT_AFTER, SWITCH_US

NODES = 6
ROUNDS = 12
WARM_UP = 3
SLACK = 48
"""Two thirds of the sessions of a stretch: what is left once for each of them is seen, what comes and goes is not."""
SLACK_OF = {
    BLOCKS: 40 * SLACK,  # a session that stayed would be hundreds
    "weakref.ReferenceType": 8 * SLACK,  # sqlite3 forgets its cursors by the two hundred
}


class Counted:
    """A hub that tells what it holds."""

    def __init__(self, folder: Path) -> None:
        self.hub = HubProcess(folder / "hub", faults=["object-count"], forked=False)
        self._told = fault_file(self.hub.folder, "object-count")

    def _settled(self) -> bool:
        wanted = {"stardust_agents_online 0.0", "stardust_agents_online 0"}
        return bool(wanted & {*self.hub.local("GET", "/metrics").body.decode().splitlines()})

    async def count(self) -> Counter[str]:
        """The minimum of two counts: short-lived objects are left out."""
        return await self._count() & await self._count()

    async def _count(self) -> Counter[str]:
        await eventually(self._settled, what="sessions are left")
        self._told.unlink(missing_ok=True)
        os.kill(self.hub.pid, signal.SIGUSR1)
        await eventually(self._told.exists, what="the hub does not count")
        return Counter(json.loads(self._told.read_text()))


async def come_and_go(hub: HubProcess, crowd: list[TestAgent], page: aiohttp.ClientSession, number: int) -> None:
    """A session of every node, some of which end abnormally, and a viewer meanwhile."""
    socket = await page.ws_connect(f"{hub.url}/api/v1/live", max_msg_size=0)
    topics = ["fleet", "events", f"node:{crowd[number % len(crowd)].node.node_id}"]
    for topic in topics:
        await socket.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": topic}]))
    await asyncio.gather(*(agent.join() for agent in crowd))
    await asyncio.gather(*(agent.say(layout_of(), pack_of(agent.acked[0] + 1)) for agent in crowd))
    await asyncio.gather(*(agent.wait_acked(agent.acked[0] + 1) for agent in crowd))
    async with page.post(f"{hub.url}/api/v1/nodes/{crowd[0].node.node_id}/jobs", json={"action": "check"}) as answer:
        job = (await answer.json())["id"]
    async with page.post(f"{hub.url}/api/v1/jobs/{job}/cancel", json={}) as answer:
        await answer.read()
    for path in ("nodes", "jobs", f"nodes/{crowd[0].node.node_id}/history?metric=cpu.total"):
        async with page.get(f"{hub.url}/api/v1/{path}") as answer:
            assert answer.status == 200
            await answer.read()
    await crowd[1].cut()
    await crowd[2].raw(b"no frame of any session")
    await crowd[2].hear_out()
    for agent in crowd:
        await agent.close()
    await socket.close()


def left_over(before: Counter[str], middle: Counter[str], after: Counter[str]) -> dict[str, tuple[int, int, int]]:
    """What there was more of each time: a cache that fills or is emptied now and then does not grow twice."""
    return {
        name: (before[name], middle[name], after[name])
        for name in after
        if min(middle[name] - before[name], after[name] - middle[name]) > SLACK_OF.get(name, SLACK)
    }


@pytest.mark.holds("SAFETY-93", "F-38")
@pytest.mark.timeout(300)
async def test_sessions_pages_and_jobs_leave_no_objects_behind(tmp_path: Path) -> None:
    counted = Counted(tmp_path)
    counts: list[Counter[str]] = []
    with counted.hub as hub:
        nodes = await asyncio.to_thread(hub.enrol, *(f"node-{number}" for number in range(NODES)))
        token = (await asyncio.to_thread(hub.login)).token
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as page:
            for rounds in (WARM_UP, ROUNDS, ROUNDS):
                for number in range(rounds):
                    async with agents(hub, *nodes) as crowd:
                        await come_and_go(hub, crowd, page, number)
                counts.append(await counted.count())
    assert counts[0][BLOCKS] > 100_000  # they are counts of a hub
    assert left_over(*counts) == {}
    assert (counts[0][COLLECT_AFTER], counts[0][SWITCH_US]) == (lifecycle.COLLECT_AFTER[0], round(lifecycle.SWITCH_S * 1e6))
