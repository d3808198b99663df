"""Writes that the store refuses are retried, only the newest of each kind, without blocking anybody."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.agents.retry_writer import RETRY_S, LatestWriter, Save
from groundcontrol.core.errors import Fenced, StoreBusy, StoreError, StoreFull, StoreReadOnly
from tests.support.agent import layout_of, pack_of
from tests.support.agent_sessions import Sessions
from tests.support.clock import ManualClock


class Place:
    """Where things are saved, when it lets them."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.tries = 0
        self.fails: StoreError | None = None
        self.open = asyncio.Event()
        self.open.set()

    def of(self, what: str) -> Save:
        async def save() -> None:
            self.tries += 1
            await self.open.wait()
            if self.fails is not None:
                raise self.fails
            self.saved.append(what)

        return save


@pytest.mark.parametrize("kind", [StoreFull, StoreReadOnly, StoreBusy])
async def test_the_newest_refused_value_of_each_kind_is_saved_later(kind: type[StoreError]) -> None:
    clock, place = ManualClock(), Place()
    waiting = LatestWriter(clock)
    async with asyncio.TaskGroup() as beside:
        place.fails = kind("not now")
        for number in range(100):
            await waiting.save(beside, "facts", place.of(f"facts {number}"))
            await waiting.save(beside, "table", place.of(f"table {number}"))
        assert place.tries == 1, "it is not asked for each of them"
        clock.advance(RETRY_S)
        await asyncio.sleep(0.01)
        assert (place.saved, place.tries) == ([], 2)
        place.fails = None
        clock.advance(RETRY_S)
        await asyncio.sleep(0.01)
        assert place.saved == ["facts 99", "table 99"]
        await waiting.save(beside, "facts", place.of("facts 100"))
        assert place.saved == ["facts 99", "table 99", "facts 100"], "at once again"


async def test_the_newest_value_given_during_a_save_is_saved_after_it() -> None:
    place = Place()
    waiting = LatestWriter(ManualClock(), patience_s=0.01)
    async with asyncio.TaskGroup() as beside:
        place.open.clear()
        await waiting.save(beside, "facts", place.of("first"))
        await waiting.save(beside, "facts", place.of("second"))
        await waiting.save(beside, "facts", place.of("third"))
        assert place.saved == []
        place.open.set()
    assert place.saved == ["first", "third"]


async def test_a_permanent_refusal_is_raised() -> None:
    place = Place()
    place.fails = Fenced("over")
    went_on = False
    with pytest.RaisesGroup(Fenced):
        async with asyncio.TaskGroup() as beside:
            await LatestWriter(ManualClock(), patience_s=10).save(beside, "facts", place.of("facts"))
            went_on = True
    assert not went_on


async def test_a_refused_layout_delays_only_its_node() -> None:
    """Its packs could not be stored without it."""
    hub = Sessions()
    hub.fails = StoreFull("no room")
    meeting = hub.meet()
    hearing = meeting.says(layout_of())
    await hub.passes(60)
    assert not hearing.done()
    assert meeting.agent.silent_s == 0.0, "who is not read is not silent"
    hub.fails = None
    await hub.passes(RETRY_S + 1)
    await hearing
    assert len(hub.stored) == 1
    await meeting.says(pack_of(0, at=hub.clock.now()))
