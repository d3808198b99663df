"""Log lines: each stored once, in order, with bounded retention."""

from __future__ import annotations

import pytest

from groundcontrol.adapters.sqlite.node_logs import MAX_STORED_LINES
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import BadRequest, Fenced
from groundcontrol.nodes.model import LogBatch, LogLine, Session
from tests.support.factories import SCOPE, connect, new_node
from tests.support.store_backend import Backend


async def session_of(store: Store, name: str = "web-1") -> Session:
    return await connect(store, (await store.nodes.create_node(SCOPE, new_node(name))).id)


def batch(after: str, cursor: str, *texts: str) -> LogBatch:
    return LogBatch(after, cursor, [LogLine(1_790_000_000_000 + number, 4, "sshd.service", text) for number, text in enumerate(texts)])


async def texts_of(store: Store, session: Session) -> list[str]:
    return [line.text for line in (await store.node_logs.lines(session.no, 1000)).items]


async def test_consecutive_log_lines_are_stored_and_others_answered_with_the_cursor(store: Store) -> None:
    session = await session_of(store)
    assert await store.node_logs.add_lines(session, batch("", "")) == ""
    assert await store.node_logs.add_lines(session, batch("", "c2", "one", "two")) == "c2"
    assert await store.node_logs.add_lines(session, batch("", "c2", "one", "two")) == "c2"
    assert await store.node_logs.add_lines(session, batch("c9", "c12", "from elsewhere")) == "c2"
    assert await store.node_logs.add_lines(session, batch("c2", "c3", "three")) == "c3"
    assert await store.node_logs.add_lines(session, batch("c3", "c7")) == "c7"  # all of them were left out, or below the level
    assert await texts_of(store, session) == ["three", "two", "one"]


async def test_an_ended_session_stores_no_log_line(store: Store) -> None:
    session = await session_of(store)
    await connect(store, session.node)
    with pytest.raises(Fenced):
        await store.node_logs.add_lines(session, batch("", "c1", "late"))
    assert await texts_of(store, session) == []


async def test_log_lines_survive_a_restart_and_are_paged(backend: Backend) -> None:
    session = await session_of(backend.store)
    await backend.store.node_logs.add_lines(session, batch("", "c5", *"abcde"))
    store = await backend.reopen()
    first = await store.node_logs.lines(session.no, 3)
    assert [line.text for line in first.items] == ["e", "d", "c"]
    second = await store.node_logs.lines(session.no, 3, first.next)
    assert ([line.text for line in second.items], second.next) == (["b", "a"], None)
    with pytest.raises(BadRequest):
        await store.node_logs.lines(session.no + 1, 3, first.next)


async def test_each_node_keeps_its_newest_lines_and_a_removed_one_none(store: Store) -> None:
    one, two = await session_of(store, "one"), await session_of(store, "two")
    await store.node_logs.add_lines(two, batch("", "c1", "of two"))
    held = ""
    for part in range(MAX_STORED_LINES // 1000 + 1):
        held = await store.node_logs.add_lines(one, batch(held, f"c{part}", *(f"{part}/{number}" for number in range(1000))))
    count, cursor = 0, None
    while True:
        page = await store.node_logs.lines(one.no, 1000, cursor)
        count, cursor = count + len(page.items), page.next
        if cursor is None:
            break
    assert count == MAX_STORED_LINES
    assert page.items[-1].text == "1/0"
    await store.nodes.delete_node(SCOPE, one.node)
    await store.nodes.sweep()
    assert await texts_of(store, one) == []
    assert await texts_of(store, two) == ["of two"]
