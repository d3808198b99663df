"""Samples through the agent's outbox and link to a hub that is killed: every second is stored once, or counted as dropped."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite import chunks
from groundcontrol.samples.chunks.pack_codec import unpack
from groundcontrol.samples.chunks.row_table import RowChunk
from spider.config import Config, parse_url
from spider.hub.backoff import Backoff
from spider.hub.link import HubLink
from spider.hub.outbox import KEEP_S, Outbox
from spider.jobs.tracker import Jobs
from spider.sampling.sampler import layout_of
from spider.wire.sample_messages import Row, Watch
from tests.support.agent import BOOT, SERIES, SpiderProcess
from tests.support.clock import RunningClock
from tests.support.eventually import eventually
from tests.support.hub import Enrolled, HubProcess

LAYOUT = layout_of("pulse", 1, SERIES)
LOAD = SERIES.index("load.1")
PACK_ROWS = 10
SCALE = 100
"""Of load.1, which holds the number of its second."""


class Eager(Backoff):
    """Reconnects immediately: a test has no fleet to protect from."""

    def after(self, *_attempt: object, **_answer: object) -> float:
        return random.uniform(0, 0.1)


class Node:
    """A node with the agent's link and outbox, whose samples the test makes."""

    def __init__(self, hub: HubProcess, node: Enrolled, folder: Path) -> None:
        self.clock = RunningClock()
        self.outbox = Outbox(self.clock)
        self.config = Config(
            url=parse_url(hub.ws_url), fleet=node.fleet_id, tls_pin=None, node=node.node_id, generation=node.generation, name=node.name,
            boot=BOOT, policy_path=str(folder / "policy.conf"), state_dir=str(folder), jobs_dir=str(folder / "jobs"),
            launcher_path=str(folder / "launcher.sock"), key=node.session_key,
        )  # fmt: skip
        self.jobs = Jobs(self.config.jobs_dir, self.config.launcher_path, self.clock, self._send)
        self.link = HubLink(self.config, self.outbox, self.jobs, self.clock, Eager())
        self.start_ms = (int(time.time()) - 3000) * 1000
        self.made = 0
        """Seconds so far: the journal that the history is held against."""

    async def _send(self, message: object) -> None:
        raise AssertionError(f"no job is known here: {message}")

    def second(self, *, passes: bool = False) -> None:
        """Measure one more second; `passes`: by the node's clock too."""
        self.outbox.add(LAYOUT, Row(self.start_ms + self.made * 1000, [1234, self.made * SCALE, 8 << 30, 1 << 30]))
        self.made += 1
        if passes:
            self.clock.shift += 1

    async def seconds(self, count: int) -> None:
        """Measure so many seconds, faster than they pass."""
        for _ in range(count):
            self.second()
            await asyncio.sleep(0.01)

    def cut(self) -> None:
        """Drop the connection without a close frame, if there is one."""
        session = self.link._session
        if session is not None:
            session.socket._writer.transport.abort()

    async def settle(self) -> None:
        """Wait until everything sent is acknowledged: only the last rows wait then, in a pack that is not full."""
        await eventually(lambda: self.outbox.settled() and self.outbox.pending()[0] < 10, 60, "the hub has not taken everything")


@contextlib.asynccontextmanager
async def running(hub: HubProcess, folder: Path) -> AsyncIterator[Node]:
    [enrolled] = await asyncio.to_thread(hub.enrol, "survivor")
    node = Node(hub, enrolled, folder)
    task = asyncio.create_task(node.link.run())
    try:
        yield node
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def stored(hub: HubProcess) -> list[tuple[float, float | None]]:
    """Every stored row of the only node's pulse by time, (taken_at, load.1), doubled ones twice: read beside the hub."""
    found = []
    with contextlib.closing(sqlite3.connect(f"file:{hub.folder}/stardust-samples.db?mode=ro", uri=True)) as database:
        database.execute("BEGIN")  # one look at all of it
        layouts = {
            name: json.loads(series) for name, series in database.execute("SELECT layout, series FROM layout WHERE family = 'pulse'")
        }
        for layout, coding, body in database.execute(
            "SELECT layout, coding, body FROM hot UNION ALL SELECT layout, coding, body FROM arrived"
        ):
            if layout in layouts:
                place = layouts[layout].index("load.1")
                for row in unpack(coding, body):
                    value = row.values[place]
                    found.append((row.taken_at_ms / 1000, None if value is None else value / SCALE))
        for (body,) in database.execute(f"SELECT body FROM {chunks.TABLES[0]}"):  # what the hub has packed meanwhile
            table = RowChunk(body).table(["load.1"])
            found += [
                (time_ms / 1000, None if value is None else value / SCALE)
                for time_ms, value in zip(table.times, table.columns.get("load.1", ()), strict=False)
            ]
    return sorted(found, key=lambda row: row[0])


def gaps(hub: HubProcess) -> list[tuple[str, int, int, int]]:
    """The losses reported to the hub: family, first and last time in ms, how many."""
    with contextlib.closing(sqlite3.connect(f"file:{hub.folder}/stardust-samples.db?mode=ro", uri=True)) as database:
        return database.execute("SELECT family, first_ms, last_ms, samples FROM gap").fetchall()


def history(hub: HubProcess, node: Node) -> list[float | None]:
    """The same by REST, second by second from the first one on."""
    start = node.start_ms / 1000
    asked = f"metric=load.1&from={start}&to={start + node.made}&points=4000"
    reply = hub.local("GET", f"/api/v1/nodes/{node.config.node}/history?{asked}")
    assert reply.status == 200, reply.body
    assert (reply.json["step"], reply.json["tier"]) == (1, "1s")
    values: list[float | None] = reply.json["series"]["load.1"]["avg"]
    return values


async def check(hub: HubProcess, node: Node, missing: range = range(0)) -> None:
    """All samples that are not missing by rule are stored, once; those in a pack that is not full are not sent yet."""
    waiting, _ = node.outbox.pending()
    expected = [number for number in range(node.made - waiting) if number not in missing]
    rows = await asyncio.to_thread(stored, hub)
    assert rows == [(node.start_ms / 1000 + number, float(number)) for number in expected]
    told = (await asyncio.to_thread(history, hub, node))[: node.made - waiting]
    assert told == [None if number in missing else float(number) for number in range(node.made - waiting)]


@pytest.mark.slow  # test_faults_process kills hubs at random moments, and the last test here one of a real Spider
async def test_every_second_is_stored_once_when_the_hub_is_killed(hub: HubProcess, tmp_path: Path) -> None:
    dice = random.Random(5)
    async with running(hub, tmp_path) as node:
        await eventually(lambda: node.link._session is not None)
        for kill in range(3):
            if kill == 1:
                node.outbox.watch(Watch(["pulse"], 1, 3600))  # from now on each second goes by itself
            await node.seconds(dice.randrange(60, 140))
            await hub.kill()
            away = dice.randrange(5, 40)
            await node.seconds(away)
            assert node.outbox.pending()[0] >= away
            await hub.start()
            await node.seconds(40)
        await node.settle()
        await check(hub, node)
        assert node.outbox.dropped_rows == 0
        assert node.made > 300


CUTS = 10


@pytest.mark.holds("SAFETY-75")
async def test_every_second_is_stored_once_however_often_the_connection_is_cut(hub: HubProcess, tmp_path: Path) -> None:
    dice = random.Random(6)
    async with running(hub, tmp_path) as node:
        node.outbox.watch(Watch(["pulse"], 1, 3600))
        sessions = 0
        for _ in range(CUTS):
            await eventually(lambda: node.link._session is not None)
            sessions += 1
            node.outbox.watch(Watch(["pulse"], 1, dice.choice([0, 3600])))
            await node.seconds(dice.randrange(1, 30))
            node.cut()
            await node.seconds(dice.randrange(0, 5))
        await node.settle()
        await check(hub, node)
        assert sessions == CUTS


@pytest.mark.holds("F-10")
async def test_samples_older_than_the_spool_are_a_gap_of_exact_size(hub: HubProcess, tmp_path: Path) -> None:
    async with running(hub, tmp_path) as node:
        await eventually(lambda: node.link._session is not None)
        await node.seconds(20)
        await node.settle()
        await hub.kill()
        await eventually(lambda: node.link._session is None)
        for _ in range(int(KEEP_S) + 155):
            node.second(passes=True)
        assert 150 <= node.outbox.dropped_rows <= 170
        await hub.start()
        await node.seconds(10)
        await node.settle()
        await eventually(lambda: gaps(hub))
        [(family, first_ms, last_ms, rows)] = gaps(hub)
        missing = range((first_ms - node.start_ms) // 1000, (last_ms - node.start_ms) // 1000 + 1)
        assert (family, rows, len(missing)) == ("pulse", node.outbox.dropped_rows, rows)
        await check(hub, node, missing)


async def test_a_real_spider_leaves_no_gap_when_the_hub_is_killed(hub: HubProcess, tmp_path: Path) -> None:
    [node] = hub.enrol("this-machine")
    spider = SpiderProcess(tmp_path / "spider", hub, node)
    try:
        spider.launch()
        await eventually(lambda: len(stored(hub)) >= 10, 30)
        await hub.kill()
        killed_at = time.time()
        tries = spider.log.count("hub_not_reached")
        await eventually(lambda: spider.log.count("hub_not_reached") > tries + 1, 30)  # seconds that the hub does not see
        await hub.start()
        await eventually(lambda: stored(hub)[-1][0] > killed_at + 15, 60)
    finally:
        await asyncio.to_thread(spider.close)
    times = [taken_at for taken_at, _ in stored(hub)]
    assert len(set(times)) == len(times), "a second is stored twice"
    hole = max(int(after) - int(before) - 1 for before, after in itertools.pairwise(times))
    print(f"{len(times)} seconds stored; most in a row that this busy machine did not measure: {hole}")
    assert hole < PACK_ROWS, "a pack was lost"
