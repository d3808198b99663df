"""What is left of a node's connection."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import test_utils, web

from groundcontrol.fleet.door import AgentDoor
from groundcontrol.web import ws_agent
from spider.wire.frames import SUBPROTOCOL
from tests.support.agent import until


@pytest.fixture(autouse=True)
def no_search_for_cycles() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class ShuttingDoor:
    """Sends everybody away."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref[web.WebSocketResponse]] = []

    def admit(self, _address: str) -> contextlib.ExitStack:
        return contextlib.ExitStack()

    async def serve(self, socket: Any, _address: str, _place: contextlib.ExitStack) -> None:
        self.seen.append(weakref.ref(socket._ws))
        await socket.close(4000, "go")


@contextlib.asynccontextmanager
async def serving(door: ShuttingDoor) -> AsyncIterator[test_utils.TestServer]:
    app = web.Application()
    app.add_routes([web.get("/ws", ws_agent.handler(cast("AgentDoor", door), ()))])
    server = test_utils.TestServer(app)
    async with server:
        yield server


async def test_a_node_that_never_answers_the_close_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws_agent, "CLOSE_WAIT_S", 0.2)
    door = ShuttingDoor()
    async with serving(door) as server, aiohttp.ClientSession() as http:
        silent = await http.ws_connect(server.make_url("/ws"), protocols=(SUBPROTOCOL,))  # it would answer where it reads
        await until(lambda: bool(door.seen) and door.seen[0]() is None, 30, "the socket is still there")
        await silent.close()
