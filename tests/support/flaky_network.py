"""A network between a node and the hub that can drop all packets without closing connections."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from tests.support.some import some

PIECE_BYTES = 64 * 1024


class FlakyNetwork:
    """Takes connections on a port of its own and passes them on to `target`, while it is up."""

    def __init__(self) -> None:
        self.target = 0
        """The port behind it."""
        self.port = 0
        self._up = asyncio.Event()
        self._up.set()
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._lost: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        some(self._server).close()
        for task in self._pumps:
            task.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    def swallow(self) -> None:
        """From now on nothing arrives, either way; bytes under way arrive later, as retransmissions do."""
        self._up.clear()

    def heal(self) -> None:
        """Everything goes on."""
        self._up.set()

    def forget(self) -> None:
        """The connections there are hang for ever, as if a router had lost them; new ones are fine."""
        self._lost |= self._pumps

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._up.wait()
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(onward)
        for source, sink in ((reader, onward), (there, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(PIECE_BYTES):
                await self._up.wait()
                if asyncio.current_task() in self._lost:
                    await asyncio.Event().wait()
                sink.write(piece)
                await sink.drain()
        if asyncio.current_task() not in self._lost:
            sink.close()
