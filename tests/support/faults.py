"""Shared by the tests of faults: a working node, a disk that can be broken, and the invariants afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from spider.config import Config, parse_url
from spider.hub.backoff import Backoff
from spider.hub.link import HubLink
from spider.hub.outbox import EARLIEST_MS, Outbox
from spider.jobs.tracker import Jobs
from spider.sampling.sampler import layout_of
from spider.wire.frames import Message
from spider.wire.orders import SignedOrder
from spider.wire.sample_messages import Row
from tests.support.agent import BOOT, SERIES
from tests.support.clock import RunningClock
from tests.support.eventually import eventually
from tests.support.fake_launcher import FakeLauncher, FakeRunner, played
from tests.support.hub import Enrolled, HubProcess
from tests.support.invariants import Journal, Sample, check_databases, check_samples, held_samples, told_holes
from tests.support.invariants_jobs import NodeSide, held_output
from tests.support.invariants_jobs import control as control_of
from tests.support.some import some

LAYOUT = layout_of("pulse", 1, SERIES)
SETTLE_LIMIT_S = 60.0
PACK_ROWS = 10
"""The rows of a full pack. An unwatched node sends a pack only when it is full."""
STORED_AHEAD_S = 86_400
"""The hub shows a sample that is dated further ahead of its own time, and reports it, but does not store it."""
NUMBERS = 1_000_000
"""The values of each next node are higher by this number, so that the samples of all nodes differ."""
LINE = b"Setting up lab-slow (1.1) and everything that comes with it ...\r\n"


class Eager(Backoff):
    """Reconnects immediately: most tests have no fleet to protect from."""

    def after(self, *_attempt: object, **_answer: object) -> float:
        return random.uniform(0.05, 0.2)


class WorkingNode:
    """A node with the agent's own link, outbox and jobs. The test makes its samples. A job prints until `finish` is set."""

    def __init__(
        self, hub: HubProcess, node: Enrolled, folder: Path, patience: Callable[[], Backoff] = Eager, url: str = "", number: int = 0
    ) -> None:
        (folder / "jobs").mkdir(parents=True)
        self.number = number
        self.clock = RunningClock()
        self.outbox = Outbox(self.clock)
        self.config = Config(
            url=parse_url(url or hub.ws_url), fleet=node.fleet_id, tls_pin=None, node=node.node_id, generation=node.generation, name=node.name,
            boot=BOOT, policy_path=str(folder / "policy.conf"), state_dir=str(folder), jobs_dir=str(folder / "jobs"),
            launcher_path=str(folder / "launcher.sock"), key=node.session_key,
        )  # fmt: skip
        self.jobs = Jobs(self.config.jobs_dir, self.config.launcher_path, self.clock, self._send, boot=BOOT, processes=played)
        self.patience = patience()
        self.link = HubLink(self.config, self.outbox, self.jobs, self.clock, self.patience)
        self.launcher = FakeLauncher(folder / "launcher.sock", folder / "jobs", node.launch_key, self._work)
        self.runners: dict[str, FakeRunner] = {}
        self.finish = asyncio.Event()
        """Lets the jobs of this node end."""
        self.start_ms = (int(time.time()) - 3000) * 1000
        self.samples: list[Sample] = []
        self.unstored: set[Sample] = set()
        """The samples that the hub does not store: dated too far ahead, or before EARLIEST_MS."""
        self.undated = 0
        """How many of them the node does not send, because they are dated before EARLIEST_MS."""

    @property
    def made(self) -> int:
        return len(self.samples)

    @property
    def online(self) -> bool:
        return self.link._session is not None

    async def _send(self, message: Message) -> None:
        await self.link.send(message)

    async def _work(self, runner: FakeRunner, order: SignedOrder) -> None:
        self.runners[order.job] = runner
        for step in range(10_000):
            runner.say(b"%d " % step + LINE * 20)
            runner.progress("commit", min(99, step))
            if self.finish.is_set():
                break
            await asyncio.sleep(0.03)
        runner.end(changes=(("lab-slow", "1.0", "1.1"),))

    def second(self, hub_wrong_by_s: float = 0.0) -> None:
        """Measure one more second by the node's clock; `load.1` has its number. `hub_wrong_by_s`: how far the hub's clock is ahead."""
        sample = Sample("pulse", self.start_ms + (self.made + round(self.clock.wrong)) * 1000, self.number * NUMBERS + self.made)
        self.outbox.add(LAYOUT, Row(sample.taken_at_ms, [1234, sample.value, 8 << 30, 1 << 30]))
        self.samples.append(sample)
        undated = sample.taken_at_ms < EARLIEST_MS
        self.undated += undated
        if undated or self.clock.wrong - max(0.0, hub_wrong_by_s) > STORED_AHEAD_S:
            self.unstored.add(sample)

    async def seconds(self, count: int) -> None:
        """Measure this many seconds, faster than they pass."""
        for _ in range(count):
            self.second()
            await asyncio.sleep(0.01)

    async def settle(self) -> None:
        """Wait until everything in full packs was acknowledged."""
        await eventually(
            lambda: self.outbox.settled() and self.outbox.pending()[0] < PACK_ROWS, SETTLE_LIMIT_S, "the hub has not taken everything"
        )

    def side(self, job: str) -> NodeSide:
        """What this node knows of a job."""
        follow = self.jobs._follows.get(job)
        starts = sum(order.job == job for order in self.launcher.orders)
        return NodeSide(job, starts, self.runners[job].printed if job in self.runners else b"", 0 if follow is None else follow._acked)


@contextlib.asynccontextmanager
async def working(
    hub: HubProcess, folder: Path, count: int = 1, patience: Callable[[], Backoff] = Eager, url: str = "", limit_s: float = 30.0
) -> AsyncIterator[list[WorkingNode]]:
    """Nodes that are online. `url`: the hub's address for them, if not that of its own socket. `limit_s`: the time to connect."""
    enrolled = await asyncio.to_thread(hub.enrol, *(f"worker-{number}" for number in range(count)))
    nodes = [WorkingNode(hub, node, folder / f"node-{number}", patience, url, number) for number, node in enumerate(enrolled)]
    async with contextlib.AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(node.launcher)
        tasks = [asyncio.create_task(work) for node in nodes for work in (node.link.run(), node.jobs.run())]
        try:
            await eventually(lambda: all(node.online for node in nodes), limit_s)
            yield nodes
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def begin_job(hub: HubProcess, node: WorkingNode) -> str:
    """Request an upgrade that prints until `finish` is set. Returns: its id, once the hub has stored output."""
    reply = await hub.call("POST", f"/api/v1/nodes/{node.config.node}/jobs", {"action": "upgrade"})
    assert reply.status == 202, reply.body
    job: str = reply.json["id"]
    await eventually(lambda: hub.job(job)["output_bytes"] > 2000, 30, "the job prints nothing")
    return job


async def end_job(hub: HubProcess, node: WorkingNode, job: str) -> Any:
    """Let the job end. Returns: its row, once the hub knows the end."""
    node.finish.set()
    await eventually(lambda: hub.job(job)["ended_at"] is not None, SETTLE_LIMIT_S, "the job does not end")
    return await asyncio.to_thread(hub.job, job)


async def check_all(folder: Path, node: WorkingNode, job: str | None = None) -> None:
    """Check I1, I2, I3 and I5 (`invariants.py`, `invariants_jobs.py`) of one idle node. The hub may be running.

    Args: job: a job that must have succeeded.
    """
    await check_fleet(folder, [node], {} if job is None else {job: node})


async def check_fleet(folder: Path, nodes: Sequence[WorkingNode], jobs: Mapping[str, WorkingNode]) -> None:
    """Check the same for several nodes, which must be all nodes of this hub. `jobs`: id of a job -> its node."""
    journal = Journal()
    for node in nodes:
        waiting, _ = node.outbox.pending()
        stored = [sample for sample in node.samples if sample not in node.unstored]
        for sample in stored:
            journal.measured(*sample)
        journal.forgive(node.samples[node.made - waiting :])  # the last pack is not full, or its acknowledgement is on its way
        assert node.outbox.dropped_rows == node.undated
    times = [sample.taken_at_ms / 1000 for sample in journal.samples] or [0.0]
    held = await held_samples(folder, {"pulse": "load.1"}, min(times) - 10, max(times) + 10)
    check_samples(journal, held, told_holes(folder))
    for job, node in jobs.items():
        side = node.side(job)
        with control_of(folder) as database:
            row = database.execute("SELECT state, output_end, held_sha256, node_sha256 FROM job WHERE id = ?", (job,)).fetchone()
            assert row["state"] == "succeeded"
            assert held_output(database, job) == side.printed
            assert row["held_sha256"] == row["node_sha256"]
        assert side.starts == 1
    check_databases(folder)


# -- disks -------------------------------------------------------------------------------------------------

SMALL = 'mount -t tmpfs -o "size=$1,mode=0700" small "$0" && echo ready && exec cat'
BREAKABLE = """
import ctypes, fcntl, os, subprocess, sys
folder, size, image = sys.argv[1], int(sys.argv[2]), sys.argv[3]
disk = os.memfd_create("disk", os.MFD_ALLOW_SEALING)
if image:
    with open(image, "rb") as old:
        while block := old.read(1 << 20):
            os.write(disk, block)
else:
    os.truncate(disk, size)
    subprocess.run(["mkfs.ext4", "-q", "-F", f"/proc/{os.getpid()}/fd/{disk}"], check=True)
subprocess.run(["mount", "-o", "loop", f"/proc/{os.getpid()}/fd/{disk}", folder], check=True)
os.chmod(folder, 0o700)
if not image:
    os.rmdir(os.path.join(folder, "lost+found"))
print("ready", disk, flush=True)
for line in sys.stdin:
    fcntl.fcntl(disk, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    print("broken", flush=True)
"""
"""A file system on a disk in memory; a line of input makes the disk refuse every write from then on, with an input/output error."""


class Disk:
    """A file system that only the hub of this test has, kept by a process so that it outlives the hub."""

    def __init__(self, folder: Path, argv: Sequence[str]) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = some(self._keeper.stdout).readline().split()
        if not self.said:
            self.close()
            pytest.skip("this machine does not allow file systems of a test's own")
        self.pid = pid = self._keeper.pid
        """The process that sees this file system."""
        self.prefix = (
            ["nsenter", "-t", str(pid), "-U", "--preserve-credentials", "-m"] if "-r" in argv else ["nsenter", "-t", str(pid), "-m"]
        )
        self.view = Path(f"/proc/{pid}/root{folder}")
        """The folder as this process sees it."""

    @property
    def image(self) -> str:
        """The path of the content of a breakable disk, for another `breakable_disk`."""
        return f"/proc/{self._keeper.pid}/fd/{self.said[1]}"

    def break_down(self) -> None:
        """From now on each write is an input/output error."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.write("\n")
        self._keeper.stdin.flush()
        assert some(self._keeper.stdout).readline() == "broken\n"

    def remount(self, *options: str) -> None:
        """Mount the same file system in another way."""
        folder = "/" + str(self.view).partition("/root/")[2]
        subprocess.run([*self.prefix, "mount", "-o", ",".join(("remount", *options)), folder], check=True, timeout=30)

    def fill(self) -> Path:
        """Fill the file system. Returns: the file whose removal frees it."""
        filler = self.view / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(os.urandom(4096))
                file.flush()
        return filler

    def copied(self, target: Path) -> Path:
        """Copy the databases of a hub that has ended to the new folder `target`. SQLite resolves links in a path, so it cannot open `view`."""
        target.mkdir(mode=0o700)
        for file in self.view.glob("stardust*.db*"):
            shutil.copy2(file, target)
        return target

    def close(self) -> None:
        for pipe in (self._keeper.stdin, self._keeper.stdout, self._keeper.stderr):
            some(pipe).close()
        try:
            self._keeper.wait(5)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Disk]:
    """A file system in memory of this size, for example `20m`. Skips the test where that is not possible."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    disk = Disk(folder, ["unshare", "-r", "-m", "sh", "-c", SMALL, str(folder), size])
    try:
        yield disk
    finally:
        disk.close()


@contextlib.contextmanager
def breakable_disk(folder: Path, image: str = "") -> Iterator[Disk]:
    """A file system on a disk that can fail. `image`: begin with the content of another one. Skips the test where that is not possible."""
    if os.geteuid() or shutil.which("mkfs.ext4") is None:
        pytest.skip("only root can mount a disk")
    disk = Disk(folder, ["unshare", "-m", sys.executable, "-c", BREAKABLE, str(folder), str(64 << 20), image])
    try:
        yield disk
    finally:
        disk.close()


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop the process (SIGSTOP) for the length of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
