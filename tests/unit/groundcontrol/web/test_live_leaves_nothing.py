"""A page's connection leaves nothing in the hub, however it ends."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.server import LIVE
from tests.support.eventually import eventually
from tests.support.inprocess_hub import LiveSocket, TestHub


def _freed(*seen: weakref.ref[Any]) -> bool:
    gc.collect()
    return all(one() is None for one in seen)


async def _closed(live: LiveSocket, _hub: TestHub) -> None:
    await live.socket.close()


async def _torn(live: LiveSocket, _hub: TestHub) -> None:
    transport = live.socket.get_extra_info("socket") and live.socket._writer.transport  # as when a machine loses its network
    assert isinstance(transport, asyncio.Transport)
    transport.abort()


async def _nonsense(live: LiveSocket, _hub: TestHub) -> None:
    await live.socket.send_bytes(b"junk")
    await live.closed()


async def _sent_away(live: LiveSocket, hub: TestHub) -> None:
    for each in list(hub.app[LIVE]._connections):
        each.end(1001, "go")
    await live.closed()


async def _silent(_live: LiveSocket, hub: TestHub) -> None:
    for each in list(hub.app[LIVE]._connections):
        each.end(1001, "go")  # the page would answer where it reads


@pytest.mark.parametrize("end", [_closed, _torn, _nonsense, _sent_away, _silent])
@pytest.mark.parametrize("topic", ["fleet", "nothing"])
async def test_a_closed_page_leaves_no_objects(hub: TestHub, end: Callable[[LiveSocket, TestHub], Awaitable[None]], topic: str) -> None:
    hub.app[LIVE].limits = LiveLimits(close_s=0.2)
    page = await hub.logged_in()
    async with page.live() as live:
        await live.subscribe(topic)
        await live.next()
        [seen] = [weakref.ref(each) for each in hub.app[LIVE]._connections]
        request = weakref.ref(seen()._socket._req)  # type: ignore[union-attr]  # nothing has ended it yet
        await end(live, hub)
        await eventually(lambda: _freed(seen, request), 60, "the connection or its request is still there")
