"""A node with the real launcher and runner, and a scripted hub at its other end."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from spider.clock import SystemClock
from spider.jobs.tracker import Jobs
from spider.root.launcher import JobUnit, LauncherPaths, decide, serve
from spider.wire.frames import Message
from spider.wire.ids import new_random_id, new_time_id
from spider.wire.job_messages import JobAck, JobDone, JobStart, JobStop
from spider.wire.orders import SignedOrder, seal_order
from tests.support.background import in_background
from tests.support.scripted_hub import ScriptedHub

ROOT = Path(__file__).resolve().parents[2]
KEY = bytes(range(32))
NODE = new_random_id()
BOOT = "d" * 32
LIMIT_S = 60.0


class ShortClock(SystemClock):
    """The machine's clock, on which waiting takes no time but counts."""

    def __init__(self) -> None:
        self._slept = 0.0
        self._asked = asyncio.Event()

    def now(self) -> float:
        self._asked.set()
        return super().now()

    async def looks(self, times: int = 4) -> None:
        """Wait until Spider, which reads the time after each look at a job, has looked that often: all but the last are reported."""
        async with asyncio.timeout(LIMIT_S):
            for _ in range(times):
                self._asked.clear()
                await self._asked.wait()

    def monotonic(self) -> float:
        return time.monotonic() + self._slept

    async def sleep(self, seconds: float) -> None:
        self._slept += seconds
        await asyncio.sleep(0)


class Node:
    """A node's root side: a launcher behind a socket, a runner behind the launcher."""

    def __init__(self, folder: Path, script: str, node: str = NODE, key: bytes = KEY) -> None:
        self.jobs, self.socket = folder / "jobs", folder / "launcher.sock"
        self.script = script
        self.runners: list[subprocess.Popen[bytes]] = []
        self.drop = 0
        """Connections to close without a word, as a launcher does whose slots are taken."""
        (folder / "started").mkdir()
        self.jobs.mkdir()
        for name, content, mode in (
            ("launch.key", key, 0o600),
            ("spider.conf", f"[node]\nid = {node}\ngeneration = 1\n".encode(), 0o644),
            ("policy.conf", b"[policy]\nversion = 1\nmode = managed\n", 0o644),
        ):
            (folder / name).write_bytes(content)
            (folder / name).chmod(mode)
        self.policy = str(folder / "policy.conf")
        self._places = LauncherPaths(
            str(folder / "launch.key"), str(folder / "spider.conf"), self.policy, str(self.jobs), str(folder / "started"), os.geteuid(), ()
        )
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            with client:
                if client.recv(1, socket.MSG_PEEK) == b"q":
                    return
                if self.drop:
                    self.drop -= 1
                    continue
                serve(client, self._places, JobUnit(self._start, lambda: False), BOOT)

    def _start(self, name: str) -> bool:
        job = name[len("stardust-job@") : -len(".service")]
        command = [sys.executable, "-m", "tests.support.scripted_job", str(self.jobs), job, self.script]
        self.runners.append(subprocess.Popen(command, cwd=ROOT, env={**os.environ, "STARDUST_BOOT": BOOT}))
        return True

    def answer(self, frame: bytes) -> tuple[str, str]:
        """What the launcher says to an order."""
        answer, _ = decide(frame, self._places, time.time(), BOOT, JobUnit(self._start, lambda: False))
        return answer.answer, answer.why

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.socket))
            last.send(b"q")
        self._thread.join()
        self._listener.close()
        for runner in self.runners:
            runner.kill()
            runner.wait()

    def set_policy(self, text: str) -> None:
        Path(self.policy).write_text(text)

    def stop(self, job: str, late_s: int = 0) -> JobStop:
        now = int(time.time()) - late_s
        return JobStop(job, seal_order(KEY, SignedOrder(NODE, 1, job, "stop", {}, now, now + 300)))

    def order(self, verb: str = "upgrade", life_s: int = 300) -> JobStart:
        now = int(time.time())
        job = new_time_id()
        return JobStart(job, seal_order(KEY, SignedOrder(NODE, 1, job, verb, {"packages": ["lab"]}, now, now + life_s)))


@asynccontextmanager
async def spider(node: Node, hub: ScriptedHub, clock: SystemClock | None = None, policy: str = "") -> AsyncIterator[Jobs]:
    """A running Spider; leaving is being killed."""
    jobs = Jobs(str(node.jobs), str(node.socket), clock or SystemClock(), hub.send, BOOT, policy, os.geteuid(), processes=lambda _job: None)

    async def answer(message: Message) -> None:
        if isinstance(message, JobAck):
            await asyncio.sleep(0.001)
            jobs.acked(message)
        elif isinstance(message, JobDone):
            jobs.done(message)

    hub.answer = answer
    async with in_background(jobs.run()):
        yield jobs


@asynccontextmanager
async def begun(node: Node, hub: ScriptedHub, order: JobStart, clock: SystemClock | None = None, policy: str = "") -> AsyncIterator[Jobs]:
    """A running Spider that knows of no job and gets this order."""
    async with spider(node, hub, clock, policy) as jobs:
        jobs.resume({})
        jobs.start(order)
        yield jobs
