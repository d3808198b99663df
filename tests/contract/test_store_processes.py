"""The process history: the last reading of each minute, limited per node, and deleted with the node."""

from __future__ import annotations

import asyncio
import os

import pytest

from groundcontrol.adapters.sqlite.process_history import MAX_SPAN_BYTES, MAX_SPANS, SPAN_S
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import Fenced
from groundcontrol.nodes.model import Session
from groundcontrol.nodes.processes import ProcessReading, ProcessUse
from tests.support.factories import SCOPE, connect, new_node
from tests.support.store_backend import Backend

AT = 1_790_000_100
"""The start of a minute and of a span."""


async def session_of(store: Store, name: str = "web-1") -> Session:
    return await connect(store, (await store.nodes.create_node(SCOPE, new_node(name))).id)


def reading(at: float, name: str = "mariadbd") -> ProcessReading:
    return ProcessReading(int(at * 1000), [ProcessUse(name, "mysql", 9120, 1 << 30), ProcessUse("sh", "root", None, None)])


async def test_each_minute_keeps_its_last_reading_and_a_time_gets_the_one_before_it(backend: Backend) -> None:
    assert AT % SPAN_S == 0
    store, session = backend.store, await session_of(backend.store)
    history, no = store.process_history, session.no
    assert await history.reading(no, AT + 999) is None
    for at in (AT + 12, AT + 57, AT + 30, AT + 117, AT + SPAN_S + 3, AT - 1):
        await history.save_reading(session, reading(at))
        await history.save_reading(session, reading(at))  # the agent's session may repeat a write
    history = (await backend.reopen()).process_history
    asked = (AT - 2, AT, AT + 56, AT + 57, AT + 116, AT + 117, AT + SPAN_S + 2, AT + SPAN_S + 3, AT + 40 * SPAN_S)
    found = [await history.reading(no, at) for at in asked]
    assert [one and one.at_ms / 1000 for one in found] == [
        *(None, AT - 1, AT - 1, AT + 57, AT + 57, AT + 117, AT + 117, AT + SPAN_S + 3, AT + SPAN_S + 3)
    ]
    assert found[3] == reading(AT + 57)


async def test_an_ended_session_stores_no_reading(store: Store) -> None:
    session = await session_of(store)
    await connect(store, session.node)
    with pytest.raises(Fenced):
        await store.process_history.save_reading(session, reading(AT))
    assert await store.process_history.reading(session.no, AT) is None


async def test_oversized_readings_are_dropped_and_spans_are_bounded(store: Store) -> None:
    session = await session_of(store)
    history = store.process_history
    await history.save_reading(session, reading(AT + 1))
    await history.save_reading(session, reading(AT + 61, os.urandom(MAX_SPAN_BYTES).hex()))
    await history.save_reading(session, reading(AT + 121))
    assert await history.reading(session.no, AT + 119) == reading(AT + 1)
    assert await history.reading(session.no, AT + 121) == reading(AT + 121)
    await asyncio.gather(*(history.save_reading(session, reading(AT + span * SPAN_S)) for span in range(1, MAX_SPANS + 1)))
    assert await history.reading(session.no, AT + 899) is None
    assert await history.reading(session.no, AT + SPAN_S) == reading(AT + SPAN_S)


async def test_old_readings_are_removed_and_those_of_a_removed_node(store: Store) -> None:
    one, two = await session_of(store, "one"), await session_of(store, "two")
    history = store.process_history
    for session in (one, two):
        for at in (AT - 1, AT, AT + SPAN_S):
            await history.save_reading(session, reading(at))
    assert await history.expire_readings(AT + SPAN_S - 1) == 2
    assert await history.expire_readings(AT + SPAN_S - 1) == 0
    assert await history.reading(one.no, AT - 1) is None
    assert await history.reading(one.no, AT) == reading(AT)
    await store.nodes.delete_node(SCOPE, one.node)
    await store.nodes.sweep()
    assert await history.reading(one.no, AT + SPAN_S) is None
    assert await history.reading(two.no, AT + SPAN_S) == reading(AT + SPAN_S)
