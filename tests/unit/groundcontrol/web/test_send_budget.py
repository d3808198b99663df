"""Unread responses: the hub's total buffer is bounded, and whose is dropped first."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest
from aiohttp import web

from groundcontrol.web.connections import MAX_UNREAD_BYTES, HubRunner, SendBudget
from tests.support.inprocess_hub import TestHub
from tests.support.slow_reader import rest_of, slow_reader

START = int(time.time()) - 40_000
PART = MAX_UNREAD_BYTES // 4


class Played:
    """A connection whose client does not read."""

    def __init__(self, whose: str, unread_bytes: int) -> None:
        self.account = whose
        self.unread_bytes = unread_bytes
        self.dropped = False

    def drop_slow_reader(self) -> None:
        self.dropped = True


def test_the_oldest_waiting_answer_of_the_largest_user_is_dropped() -> None:
    unread = SendBudget()
    other, *greedy, last = (Played(whose, PART) for whose in ("anna", "bob", "bob", "bob", "cleo"))
    for one in (other, *greedy):
        unread.add(one)
    assert not any(one.dropped for one in (other, *greedy))

    unread.add(last)

    assert [one.dropped for one in (other, *greedy, last)] == [False, True, False, False, False]


def test_sent_answers_no_longer_count_and_a_single_one_is_never_cut() -> None:
    unread = SendBudget()
    first, second, large = Played("anna", PART), Played("anna", PART), Played("bob", 2 * MAX_UNREAD_BYTES)
    unread.add(first)
    unread.remove(first)
    unread.remove(first)
    unread.add(large)
    assert not large.dropped
    unread.add(second)
    assert (first.dropped, second.dropped, large.dropped) == (False, False, True)


@pytest.mark.holds("S-28")
async def test_long_unread_answers_are_cut_and_those_of_others_are_not(hub: TestHub) -> None:
    viewer, operator = await hub.logged_in("viewer", cookie=False), await hub.logged_in("operator", cookie=False)
    node = await hub.node("web-1")
    series = "&".join(f"metric=cpu.core%7Bcore={core}%7D" for core in range(50))
    path = f"nodes/{node.id}/history?{series}&points=4000&from={START}&to={START + 3999}"
    whole = len((await viewer.get(path)).body)
    assert isinstance(hub.server.runner, HubRunner)
    hub.server.runner._table.send_budget.most_bytes = 3 * whole
    [site] = hub.server.runner.sites
    assert isinstance(site._server, asyncio.Server)
    site._server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)  # or the network takes it all

    async with contextlib.AsyncExitStack() as open_readers:
        mine, first, *others = [
            await open_readers.enter_async_context(slow_reader(hub, client, path)) for client in (operator, viewer, viewer, viewer)
        ]
        assert await rest_of(first) < whole
        for reader in (mine, *others):
            assert await rest_of(reader) > whole  # with its head


async def test_an_idle_connection_does_not_hold_its_last_answer(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[web.Response] = []
    prepare = web.Response.prepare

    async def noted(answer: web.Response, request: web.BaseRequest) -> object:
        answers.append(answer)
        return await prepare(answer, request)

    monkeypatch.setattr(web.Response, "prepare", noted)
    reader, writer = await asyncio.open_connection(hub.server.host, hub.server.port)
    for path, count in (("/api/v1/openapi.json", 1), ("/api/v1/me", 2)):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        assert len(answers) == count  # so the one before has ended
    assert answers[0].body is None
    writer.close()
    await writer.wait_closed()
