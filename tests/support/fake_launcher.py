"""A launcher and runner for tests: the real Spider hands it orders, and it writes the files of jobs as the real runner does.

It checks orders with the real code. The system tests cover real package managers.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from spider.wire.orders import HEAD_BYTES, OrderError, SignedOrder, frame_length
from tests.support.agent import BOOT
from tests.support.background import cancelled
from tests.support.wire import open_order

Work = Callable[["FakeRunner", SignedOrder], Coroutine[None, None, None]]


def played(_job: str) -> list[int]:
    """The processes of a job's unit: this one plays its runner."""
    return [os.getpid()]


class FakeRunner:
    """The files of one job."""

    def __init__(self, folder: Path, order: SignedOrder) -> None:
        folder.mkdir()
        self.folder = folder
        self.started_at = time.time()
        self.printed = b""
        self._write("plan", json.dumps({"job": order.job, "verb": order.verb, "args": order.args}))
        self._write("run", json.dumps({"pid": os.getpid(), "boot": BOOT, "started_at": self.started_at}))
        (folder / "log").touch()

    def _write(self, name: str, text: str) -> None:
        temporary = self.folder / (name + ".tmp")
        temporary.write_text(text)
        temporary.rename(self.folder / name)

    def say(self, data: bytes) -> None:
        """Print something."""
        self.printed += data
        with open(self.folder / "log", "ab") as log:
            log.write(data)

    def progress(self, phase: str, percent: int) -> None:
        line = {"at": time.time(), "phase": phase, "percent": percent, "package": "lab-slow", "text": ""}
        with open(self.folder / "progress", "a") as file:
            file.write(json.dumps(line) + "\n")

    def end(self, state: str = "succeeded", rc: int | None = 0, changes: tuple[tuple[str, str, str], ...] = ()) -> None:
        """Write the result."""
        self._write(
            "result",
            json.dumps(
                {
                    "state": state, "rc": rc, "signal": 0, "bytes": len(self.printed), "lost": 0,
                    "sha256": hashlib.sha256(self.printed).hexdigest(), "started_at": self.started_at, "ended_at": time.time(),
                    "changes": changes, "error_code": "" if state == "succeeded" else "job.failed",
                    "error_text": "" if state == "succeeded" else "it failed",
                }
            ),
        )  # fmt: skip


class FakeLauncher:
    """Listens where Spider looks for the launcher."""

    def __init__(self, path: Path, jobs: Path, launch_key: bytes, work: Work) -> None:
        self.orders: list[SignedOrder] = []
        """Those that were accepted."""
        self.refuse: list[str] = []
        """Reasons to refuse the next orders with."""
        self._path = path
        self._jobs = jobs
        self._key = launch_key
        self._work = work
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FakeLauncher:
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        await cancelled(*self._running)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(HEAD_BYTES)
        answer, why = "accepted", ""
        try:
            order = open_order(self._key, head + await reader.readexactly(frame_length(head)))
        except OrderError as error:
            answer, why = "refused", error.why
        else:
            if self.refuse:
                answer, why = "refused", self.refuse.pop(0)
            elif order.job in {known.job for known in self.orders}:
                answer, why = "refused", "replay"
            else:
                self.orders.append(order)
                task = asyncio.create_task(self._work(FakeRunner(self._jobs / order.job, order), order))
                self._running.add(task)
        writer.write(json.dumps({"answer": answer, "why": why, "clock": time.time()}).encode() + b"\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
