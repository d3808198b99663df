"""The private names of aiohttp that the hub uses still exist, with their expected behaviour."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import hdrs, web

from groundcontrol.web.aiohttp_private import NAMES, BareResponse, ServerRunner, WatchedHandler
from tests.support.eventually import eventually


@pytest.mark.parametrize(("owner", "name"), NAMES)
def test_aiohttp_still_has_the_private_name(owner: type, name: str) -> None:
    assert hasattr(owner, name)


class Server(web.Server):
    """Remembers its connections."""

    def __init__(self, inner: web.Server) -> None:
        super().__init__(inner.request_handler, request_factory=inner.request_factory)
        self.made: list[WatchedHandler] = []

    def __call__(self) -> web.RequestHandler:
        self.made.append(WatchedHandler(self, loop=asyncio.get_running_loop()))
        return self.made[-1]


class Runner(ServerRunner):
    def make_server(self, inner: web.Server) -> web.Server:
        return Server(inner)


async def test_private_attributes_of_aiohttp_connections_exist() -> None:
    go_on = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return BareResponse(text="here")

    app = web.Application()
    app.router.add_get("/", answer)
    runner: Any = Runner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        await eventually(lambda: len(runner.server.made) == 1, 60, "not our connection")
        [connection] = runner.server.made
        writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\n")
        await eventually(lambda: connection.awaits_request, 60, "it awaits nothing")
        assert connection.heads_read == 0
        writer.write(b"\r\n")
        await eventually(lambda: connection.heads_read == 1, 60, "the head was not read")
        assert not connection.awaits_request
        assert connection.newest_body is None, "its handler has started"
        go_on.set()
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 200")
        assert f"\n{hdrs.SERVER}:" not in head
        await eventually(lambda: connection.awaits_request, 60, "it still answers")
        writer.close()
    finally:
        await runner.cleanup()
