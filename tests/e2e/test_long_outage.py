"""A hub that is down for three days while node and hub are killed: every sample is stored once, or reported as lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spider.clock import SystemClock
from spider.config import Config, parse_url
from spider.hub.backoff import Backoff
from spider.hub.batches import Lost
from spider.hub.link import HubLink
from spider.hub.outbox import Outbox
from spider.jobs.tracker import Jobs
from spider.sampling.sampler import layout_of
from spider.spool.files import SpoolFolder
from spider.spool.spool import Spool
from spider.wire.ids import from_text
from spider.wire.sample_messages import Row
from tests.support.clock import RunningClock
from tests.support.eventually import eventually
from tests.support.faults import small_disk
from tests.support.hub import Enrolled, HubProcess
from tests.support.invariants import Hole, Journal, Sample, check_databases, check_samples, held_samples, told_holes

HOUR_S = 3600
SERIES = {"pulse": "load.1", "breathe": "temperature{sensor=a}"}


class Eager(Backoff):
    """Reconnects immediately: a test has no fleet to protect from."""

    def after(self, *_attempt: object, **_answer: object) -> float:
        return random.uniform(0, 0.1)


class Node:
    """The agent's own outbox, spool and link; its samples are the test's, and its clock may run ahead while it is disconnected."""

    def __init__(self, hub: HubProcess, node: Enrolled, folder: Path, rhythm_s: int, began: float, keep_s: float) -> None:
        folder.mkdir(mode=0o700)
        self.rhythm_s = rhythm_s
        self.clock = RunningClock()
        self.clock.shift = began - time.time()
        self.began_ms = int(began) * 1000
        self.journal = Journal()
        self.boot = os.urandom(16).hex()
        self.made = 0
        self.starts = 0
        self._keep_s = keep_s
        self.node_id = node.node_id
        self._node, self._folder, self._url = node, folder, hub.ws_url
        self._schemas = [layout_of("pulse", rhythm_s, ["load.1", "cpu.total"]), layout_of("breathe", 60, ["temperature{sensor=a}"])]
        self._tasks: list[asyncio.Task[None]] = []
        self.start()

    def start(self) -> None:
        """A process starts, with only what is on disk."""
        node, folder = self._node, self._folder
        self.starts += 1
        self.folder = SpoolFolder(str(folder), from_text(node.node_id))
        self.spool = Spool(self.folder, self.clock, self._keep_s)
        self.outbox = Outbox(self.clock, self.spool)
        config = Config(
            url=parse_url(self._url), fleet=node.fleet_id, tls_pin=None, node=node.node_id, generation=node.generation, name=node.name,
            boot=self.boot, policy_path=str(folder / "policy.conf"), state_dir=str(folder), jobs_dir=str(folder / "jobs"),
            launcher_path=str(folder / "launcher.sock"), key=node.session_key,
        )  # fmt: skip
        jobs = Jobs(config.jobs_dir, config.launcher_path, self.clock, self._send)
        self.link = HubLink(config, self.outbox, jobs, self.clock, Eager())
        self._tasks = [asyncio.create_task(self.link.run(), name="link")]

    async def _send(self, message: object) -> None:
        raise AssertionError(f"no job is known here: {message}")

    async def _end(self) -> None:
        for task in self._tasks:
            assert not task.done()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """SIGTERM."""
        await self.link.finish(1.0)
        await self._end()
        await self.spool.finish()

    async def kill(self) -> None:
        """kill -9: what is only in memory is lost."""
        outbox = self.outbox
        for parcel in [*outbox._open.values(), *(parcel for queue in outbox._queues() for parcel in queue)]:
            step = parcel.layout.rhythm_s * 1000
            times = range(parcel.first_ms, parcel.newest_ms + 1, step)
            self.journal.forgive(Sample(parcel.layout.family, at_ms, self._value(at_ms)) for at_ms in times)
        await self._end()
        self.folder.close()

    def _value(self, at_ms: int) -> int:
        return (at_ms - self.began_ms) // 1000

    def sample(self, *, passes: bool) -> None:
        at_ms = self.began_ms + self.made * 1000
        pulse, breathe = self._schemas
        self.outbox.add(pulse, Row(at_ms, [self._value(at_ms), None]))
        self.journal.measured("pulse", at_ms, self._value(at_ms))
        if self.made % 60 == 0:
            self.outbox.add(breathe, Row(at_ms, [self._value(at_ms)]))
            self.journal.measured("breathe", at_ms, self._value(at_ms))
        self.made += self.rhythm_s
        if passes:
            self.clock.shift += self.rhythm_s

    async def away(self, seconds: int) -> None:
        """So much time passes, measured and unheard."""
        until_made = self.made + seconds
        while self.made < until_made:
            for _ in range(0, 900, self.rhythm_s):
                self.sample(passes=True)
            await self.spool.step()

    def _untold(self) -> bool:
        """Whether the spool has data that the hub has not acknowledged; losses from memory are reported last of all."""
        spool = self.spool
        return bool(spool._segments or spool._lost.all() or spool._gaps)

    async def settle(self, limit_s: float) -> None:
        """Wait until the hub has stored everything, and all reported losses."""
        deadline = time.monotonic() + limit_s
        while not (self.outbox.settled() and self.link._session is not None) or self._untold():
            assert time.monotonic() < deadline, "the hub has not taken everything"
            await self.spool.step()
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def outage(
    folder: Path, rhythm_s: int, hours: int, keep_h: int, dice: random.Random, spool: Path | None = None
) -> AsyncIterator[tuple[HubProcess, Node]]:
    """A node that had a session, then `hours` without one, except for some moments; the node and the hub are killed now and then.

    Args: spool: where the node keeps what waits, if not on a disk of the usual size. That node is not killed: with a full disk what it
          has lost is known to its memory alone.
    """
    hub = HubProcess(folder / "hub", env={"STARDUST_KEEP_SECONDS_HOURS": "720"})
    began = SystemClock().now() - (hours + 2) * HOUR_S
    with hub:
        [enrolled] = await asyncio.to_thread(hub.enrol, "far-away")
        node = Node(hub, enrolled, spool or folder / "node", rhythm_s, began, keep_h * HOUR_S)
        await eventually(lambda: node.link._session is not None)
        for _ in range(120 // rhythm_s):
            node.sample(passes=False)
        await node.settle(60)
        await hub.kill()
        await eventually(lambda: node.link._session is None)
        left = hours * HOUR_S
        for part in range(6):
            seconds = left // (6 - part) // 900 * 900
            left -= seconds
            await node.away(seconds)
            if part == 2:  # a glimpse of the hub: it is killed while it takes what was left
                await hub.start()
                await eventually(lambda: node.link._session is not None)
                for _ in range(dice.randrange(5, 40)):
                    await node.spool.step()
                    await asyncio.sleep(0.01)
                await hub.kill()
                await eventually(lambda: node.link._session is None)
            elif part == 5 or spool is not None:
                continue
            elif part % 2:
                await node.stop()
                node.start()
            else:
                await node.kill()
                node.boot = dice.choice([node.boot, os.urandom(16).hex()])
                node.start()
        await hub.start()
        yield hub, node
        await node.stop()
    check_databases(hub.folder)


async def see_the_newest(hub: HubProcess, node: Node) -> None:
    """Current samples are shown, whatever waits before them."""
    newest = (node.began_ms / 1000) + node.made
    deadline = time.monotonic() + 60
    while (await asyncio.to_thread(hub.node, node.node_id))["latest"].get("load.1", {"at": 0})[
        "at"
    ] < newest:  # a hub that has just begun has none
        assert time.monotonic() < deadline, "the newest is not shown"
        node.sample(passes=False)
        node.outbox.flush()
        await node.spool.step()


def lag_s(hub: HubProcess) -> float:
    """The longest that the hub's loop was late within a minute."""
    lines = hub.local("GET", "/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith("stardust_loop_lag_seconds_max ")).split()[1])


async def hold(hub: HubProcess, node: Node) -> None:
    """I1, once the hub has taken everything."""
    began, waited = time.monotonic(), sum(segment.covered_s for segment in node.spool._segments)
    await see_the_newest(hub, node)
    shown_s = time.monotonic() - began
    assert node.spool._segments, "what waited is still on its way"
    node.outbox.flush()
    await node.settle(1200)
    took = time.monotonic() - began
    print(
        f"{waited / HOUR_S:.0f} h came back at {waited / took:.0f} times real time, the newest was seen after {shown_s:.1f} s,"
        f" the loop was late by {await asyncio.to_thread(lag_s, hub) * 1000:.0f} ms at most"
    )
    end = node.clock.now() + HOUR_S
    rows = await held_samples(hub.folder, SERIES, node.began_ms / 1000, end)
    check_samples(node.journal, rows, told_holes(hub.folder))


@pytest.mark.holds("SAFETY-75", "F-09")
@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    ("rhythm_s", "hours"), [(30, 72), pytest.param(1, 1, marks=pytest.mark.slow), pytest.param(1, 72, marks=pytest.mark.slow)]
)
async def test_three_days_without_a_hub_are_stored_once_despite_kills(tmp_path: Path, rhythm_s: int, hours: int) -> None:
    dice = random.Random(11)
    async with outage(tmp_path, rhythm_s, hours, 72, dice) as (hub, node):
        await hold(hub, node)
        assert told_holes(hub.folder) == []
        assert node.starts >= 4
        print(f"{len(node.journal.samples)} samples, {len(node.journal.excused)} were in a memory that was killed")


@pytest.mark.holds("SAFETY-95", "F-12")
@pytest.mark.timeout(600)
async def test_a_node_without_disk_space_reports_its_losses_exactly(tmp_path: Path) -> None:
    """Its folder is on a disk that is full long before the hub is back."""
    dice = random.Random(12)
    with small_disk(tmp_path / "disk", "160k") as disk:
        async with outage(tmp_path, 5, 36, 72, dice, disk.view / "node") as (hub, node):
            await hold(hub, node)
            lost = sum(hole.rows for hole in told_holes(hub.folder))
            print(f"{len(node.journal.samples)} samples, {lost} told as lost, {len(node.journal.excused)} were in a memory that was killed")
            assert lost


async def test_a_node_is_settled_only_after_its_losses_are_stored(tmp_path: Path) -> None:
    """The tests here look at the hub's files as soon as it has."""
    with HubProcess(tmp_path / "hub") as hub:
        [enrolled] = await asyncio.to_thread(hub.enrol, "forgetful")
        node = Node(hub, enrolled, tmp_path / "node", 1, SystemClock().now() - HOUR_S, HOUR_S)
        await eventually(lambda: node.link._session is not None)
        node.spool.lost(Lost("pulse", node.began_ms, node.began_ms + 4000, 5))
        node.outbox.flush()
        await node.settle(60)
        assert told_holes(hub.folder) == [Hole("pulse", node.began_ms, node.began_ms + 4000, 5)]
        await node.stop()


@pytest.mark.holds("SAFETY-75", "F-10")
@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_after_a_hundred_hours_the_gap_equals_the_dropped_samples(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    async with outage(tmp_path, 1, 100, 72, dice) as (hub, node):
        await hold(hub, node)
        holes = told_holes(hub.folder)
        assert sum(hole.rows for hole in holes if hole.family == "pulse") >= 26 * HOUR_S
        print(f"{len(node.journal.samples)} samples, {sum(hole.rows for hole in holes)} told as lost in {len(holes)} gaps")
