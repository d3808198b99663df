"""A wire to a server's sshd that is cut at a byte, and a deployer in a process of its own that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any, Self

from majortom.base import Payload, Secret, Target
from majortom.connect import Limits
from majortom.deployer import MajorTom
from majortom.install import Wish
from spider.clock import SystemClock
from tests.support.addresses import any_address
from tests.support.bundles import shipped_bundle

PIECE_BYTES = 16 * 1024


class Wire:
    """Passes connections on to one address; `cut_after` ends all of them, and any later one, so many bytes from now."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._left: int | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.dead = False
        self.cuts = 0
        self.reachable = False
        """Whether new connections are let through after a cut."""

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        self._cut()
        for task in self._pumps:
            task.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def cut_after(self, count: int) -> None:
        self._left = count
        if count == 0:
            self._cut()

    def _cut(self) -> None:
        self.cuts += 1
        self.dead, self._left = not self.reachable, None
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.dead:
            writer.transport.abort()
            return
        there, onward = await asyncio.open_connection(*self._there)
        self._open |= {writer, onward}
        for source, sink in ((reader, onward), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink, counted=sink is onward))
            self._pumps.add(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(PIECE_BYTES):
                if counted and self._left is not None:
                    if len(piece) >= self._left:
                        sink.write(piece[: self._left])
                        self._cut()
                        return
                    self._left -= len(piece)
                sink.write(piece)
                await sink.drain()
        sink.close()


async def main() -> None:
    """Install as standard input says; each step is a line of standard output. It is there to be killed."""
    asked: dict[str, Any] = json.loads(sys.stdin.read())

    class Out:
        async def started(self, step: str) -> None:
            print(step, flush=True)

        async def detail(self, step: str, text: str) -> None: ...
        async def done(self, step: str, detail: str = "") -> None: ...
        async def confirm_host_key(self, _key: object) -> bool:
            return True

    async def never(_node: str) -> bool:
        return False

    async def payload(_probe: object) -> Payload:
        return Payload(
            "0.1.0", shipped_bundle(), asked["conf"], asked["policy"], Secret("5e" * 32), Secret("1a" * 32), install_python=False
        )

    async def wait_for_ever(_seconds: float) -> None:
        await asyncio.Event().wait()

    major = MajorTom(SystemClock(), any_address, Limits(rollback_s=asked["rollback_s"]))
    target = Target(asked["host"], asked["port"], asked["user"], Secret(asked["key"]), None, None, Secret(asked["sudo"]), None, None)
    wish = Wish(asked["url"], tls_pinned=False, fleet=asked["fleet"], install_python=False, replaceable=never)
    await major.install(target, wish, Out(), payload, wait_for_ever)


if __name__ == "__main__":
    asyncio.run(main())
