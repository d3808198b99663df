"""The launcher and runner of a simulated server. They check orders with the real code and write the files of a job, but run no command."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

from spider.files import create_once
from spider.jobs.files import LOG, PLAN, PLANNED, PROGRESS, RUN, JobResult, Progress, write_document, write_progress, write_result
from spider.packages.plan import Plan, Planned
from spider.packages.plan_file import plan_to_document
from spider.wire.orders import HEAD_BYTES, OrderError, SignedOrder, check_order, frame_length, order_body, parse_order
from spider.wire.verbs import READONLY, STOP, UNINSTALL, VERBS

READ_LIMIT_S = 5.0
LINES = 120
PLAN_LINES = 12
PLANNING_S = (0.3, 3.0)
"""The shortest and the longest time that a server works out a plan, or removes its agent."""
PACKAGES = ("openssl", "libc6", "linux-image-amd64", "python3.11", "nginx", "curl", "vim", "sudo")


class SimulatedLauncher:
    """Serves the launcher's socket of one simulated server. `newer` are the updates that a plan lists."""

    def __init__(self, path: Path, jobs: Path, key: bytes, node: str, generation: int, boot: str, newer: Sequence[Planned]) -> None:
        self._path = path
        self._jobs = jobs
        self._key = key
        self._node = node
        self._generation = generation
        self._boot = boot
        self._newer = newer
        self._running: set[asyncio.Task[None]] = set()
        self.uninstalled = asyncio.Event()
        """Set when the agent is removed by an order."""

    def processes(self, job: str) -> list[int]:
        """The pids of a job's unit: this process while the job runs, else none."""
        return [os.getpid()] if f"job {job}" in {task.get_name() for task in self._running} else []

    async def run(self) -> None:
        """Serve until cancelled."""
        self._jobs.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, str(self._path))
        try:
            await server.serve_forever()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer, why = "accepted", ""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            try:
                async with asyncio.timeout(READ_LIMIT_S):
                    head = await reader.readexactly(HEAD_BYTES)
                    body = await reader.readexactly(frame_length(head))
                order = parse_order(order_body(self._key, head + body))
                check_order(order, self._node, self._generation, time.time())
                why = self._begin(order)
            except OrderError as error:
                why = error.why
            answer = "refused" if why else "accepted"
            writer.write(json.dumps({"answer": answer, "why": why, "clock": time.time()}).encode() + b"\n")
            await writer.drain()
        writer.close()

    def _begin(self, order: SignedOrder) -> str:
        """Start a job. Returns: the reason of a refusal; empty: the job runs."""
        folder = self._jobs / order.job
        if order.verb == STOP:
            return ""
        try:
            folder.mkdir()
        except FileExistsError:
            return "replay"
        create_once(str(folder / PLAN), json.dumps({"job": order.job, "verb": order.verb, "args": order.args}).encode(), 0o640)
        task = asyncio.create_task(self._work(folder, order), name=f"job {order.job}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return ""

    def _write_plan(self, folder: Path, order: SignedOrder) -> None:
        wanted = order.args.get("packages")
        chosen = [one for one in self._newer if not isinstance(wanted, list) or one.package in wanted]
        steps = [one for one in chosen if order.args.get("for") != "security-upgrade" or one.security == "yes"]
        write_document(str(folder), PLANNED, plan_to_document(Plan(tuple(steps), (), 400_000 * len(steps), 20_000 * len(steps), "no")))

    async def _work(self, folder: Path, order: SignedOrder) -> None:
        dice = random.Random(order.job)
        started_at = time.time()
        create_once(str(folder / RUN), json.dumps({"pid": os.getpid(), "boot": self._boot, "started_at": started_at}).encode(), 0o640)
        if order.verb == UNINSTALL:
            await asyncio.sleep(dice.uniform(*PLANNING_S))
            self.uninstalled.set()
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        progress, log = os.open(folder / PROGRESS, flags, 0o640), os.open(folder / LOG, flags, 0o640)
        digest, size = hashlib.sha256(), 0
        planning = order.verb == "plan"
        lines = PLAN_LINES if planning else LINES
        try:
            if planning:
                write_progress(progress, Progress(time.time(), "plan", -1, "", ""))
                await asyncio.sleep(dice.uniform(*PLANNING_S))
                self._write_plan(folder, order)
            for number in range(lines):
                package = PACKAGES[number * len(PACKAGES) // lines]
                line = f"\x1b[32m{'Planned' if planning else 'Setting up'}\x1b[0m {package} ({number + 1}/{lines}) ...\r\n".encode()
                os.write(log, line)
                digest.update(line)
                size += len(line)
                if number % 10 == 0 and not planning:
                    write_progress(progress, Progress(time.time(), "commit", number * 100 // lines, package, ""))
                await asyncio.sleep(dice.uniform(0.02, 0.15))
        finally:
            os.close(progress)
            os.close(log)
        fails = dice.random() < 0.05
        changes = [] if fails or VERBS[order.verb].policy == READONLY else [(name, "1.0", "1.1") for name in PACKAGES]
        result = JobResult(
            state="failed" if fails else "succeeded", rc=100 if fails else 0, signal=0, bytes=size, lost=0, sha256=digest.hexdigest(),
            started_at=started_at, ended_at=time.time(), changes=changes,
            error_code="job.package_manager" if fails else "", error_text="a simulated failure" if fails else "",
        )  # fmt: skip
        write_result(str(folder), result)
