"""A session that has ended is gone with its last reference: the search for cycles is rare in a hub."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from groundcontrol.errors import Fenced
from groundcontrol.fleet.ports import AgentSocket, SocketClosed
from groundcontrol.fleet.session import AgentSession
from spider.wire.errors import ProtocolError
from tests.support.session_pair import Hub


@pytest.fixture(autouse=True)
def no_search_for_cycles() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Wire:
    """A socket that is heard until this comes."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def each(self, *_how: Callable[[bytes], object]) -> None:
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()


async def refused() -> None:
    raise Fenced("somebody else has the session")


async def lived(error: Exception | None) -> weakref.ref[AgentSession]:
    """Until this error, or until one beside."""
    agent = Hub().meet().agent
    agent.socket = cast("AgentSocket", Wire(error))
    running = asyncio.create_task(agent.run())
    await asyncio.sleep(0)
    if error is None:
        await agent.save("facts", refused)
    ended: type[Exception] | None = None
    try:
        await running
    except Exception as exc:
        ended = type(exc)
        exc.__traceback__ = None  # leads here, and so to what holds it
    assert ended is (Fenced if error is None else type(error))
    return weakref.ref(agent)


@pytest.mark.parametrize(
    "make", [lambda: SocketClosed(1006, ""), lambda: ProtocolError("nonsense"), lambda: None], ids=["cut", "refused", "beside"]
)
async def test_a_session_leaves_nothing_however_it_ends(make: Callable[[], Exception | None]) -> None:
    seen = await lived(make())
    await asyncio.sleep(0)
    assert seen() is None
