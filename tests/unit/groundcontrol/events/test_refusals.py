"""The first refusal of a kind and cause is written immediately, the others of its minute as a count."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, cast

import pytest

from groundcontrol.core.errors import StoreFull
from groundcontrol.core.scope import Actor, node_actor
from groundcontrol.events.model import Refusal
from groundcontrol.events.refusals import MOST_CAUSES, MOST_UNSAVED, OTHERS, WINDOW_S, Refusals
from groundcontrol.events.store import LogStore
from tests.support.clock import ManualClock

NODE = node_actor("n" * 26, "192.0.2.1")


class Kept:
    """A store of refusals that can be full."""

    def __init__(self) -> None:
        self.full = False
        self.calls = 0
        self.rows: dict[str, Refusal] = {}
        self.summed: list[int] = []

    async def save_refusals(self, refusals: Sequence[Refusal]) -> None:
        self.calls += 1
        if self.full:
            raise StoreFull("no space")
        self.rows.update((one.id, one) for one in refusals)

    async def write_refusal_summary(self) -> None:
        self.summed.append(sum(one.times for one in self.rows.values()))

    @property
    def found(self) -> list[tuple[str, str, str, int]]:
        return [(one.actor.name, one.action, one.why, one.times) for one in self.rows.values()]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def refusals(kept: Kept, clock: ManualClock) -> Refusals:
    return Refusals(cast("LogStore", kept), clock)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__ | {"event": record.getMessage()} for record in caplog.records]


@pytest.mark.holds("S-48")
async def test_repeated_refusals_are_one_row_and_two_log_lines_a_minute(
    refusals: Refusals, kept: Kept, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for minute in range(2):
        first = [await refusals.note(NODE, "agent.open", "wrong_host", address_key=f"10.0.0.{at}") for at in range(740)]
        assert first == [True] + [False] * 739, "a node counts as itself, from wherever it comes"
        assert kept.found[-1] == (NODE.name, "agent.open", "wrong_host", 1), "immediately"
        clock.advance(WINDOW_S)
        await refusals.flush()
        assert kept.found[-1] == (NODE.name, "agent.open", "wrong_host", 740)
        assert len(kept.found) == minute + 1
        assert kept.calls == 2 * (minute + 1)
    assert kept.summed == [740, 1480]
    assert [line["event"] for line in lines(caplog)] == ["refused_again"] * 2
    await refusals.flush()
    assert (kept.calls, len(kept.summed)) == (4, 2), "a quiet minute writes nothing"


@pytest.mark.holds("S-48")
async def test_refusals_are_counted_by_address_kind_and_account(refusals: Refusals, kept: Kept) -> None:
    user = Actor("user", "u" * 26, "ada", "viewer", "2001:db8::1")
    assert await refusals.note(user, "auth.login", "password", address_key="2001:db8::/64")
    assert await refusals.note(user, "auth.login", "proof", address_key="2001:db8::/64")
    assert not await refusals.note(user._replace(address="2001:db8::2"), "auth.login", "proof", address_key="2001:db8::/64")
    assert await refusals.note(node_actor("", "192.0.2.1"), "agent.open", "protocol", address_key="192.0.2.1")
    assert await refusals.note(node_actor("", "192.0.2.2"), "agent.open", "protocol", address_key="192.0.2.2")
    assert len(kept.rows) == 4


@pytest.mark.holds("S-48")
async def test_many_addresses_share_a_row_without_hiding_accounts(refusals: Refusals, kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    for at in range(10 * MOST_CAUSES):
        await refusals.note(node_actor("", f"10.0.{at >> 8}.{at & 255}"), "agent.open", "protocol", address_key=str(at))
        refusals.first_line("agent_refused", str(at))
    assert await refusals.note(Actor("user", "u" * 26, "ada", "viewer", "192.0.2.1"), "auth.login", "password", address_key="192.0.2.1")
    await refusals.flush()
    assert len(kept.rows) == MOST_CAUSES + 2
    assert (OTHERS, "agent.open", OTHERS, 9 * MOST_CAUSES) in kept.found
    assert ("ada", "auth.login", "password", 1) in kept.found
    assert len(caplog.records) <= 2 * (MOST_CAUSES + 1)


async def test_refusals_that_the_store_rejects_are_saved_later(refusals: Refusals, kept: Kept, clock: ManualClock) -> None:
    kept.full = True
    assert await refusals.note(NODE, "agent.open", "clone"), "nobody is refused otherwise because of that"
    await refusals.flush()
    assert kept.rows == {}
    for at in range(MOST_UNSAVED):
        await refusals.note(node_actor(f"{at:026}"), "agent.session", "protocol")
        if at % MOST_CAUSES == 0:
            await refusals.flush()
    kept.full = False
    await refusals.close(1.0)
    assert 1 < len(kept.rows) <= MOST_UNSAVED
    assert len(kept.summed) == 1


async def test_a_row_holds_the_time_of_its_newest_refusal(refusals: Refusals, kept: Kept, clock: ManualClock) -> None:
    first_at = clock.now()
    for _ in range(3):
        await refusals.note(NODE, "agent.open", "clone")
        clock.advance(10.0)
    clock.advance(WINDOW_S - 30.0)
    await refusals.flush()
    assert [(row.at, row.last_at) for row in kept.rows.values()] == [(first_at, first_at + 20.0)]


async def test_a_starting_hub_sums_up_the_refusals_of_the_previous_one(refusals: Refusals, kept: Kept) -> None:
    await refusals.flush()
    assert len(kept.summed) == 1
