"""Slots for unauthenticated sockets: who gets one, and who loses one to a newcomer."""

from __future__ import annotations

import asyncio
import time

import pytest

from groundcontrol.agents import handshake_slots
from groundcontrol.agents.handshake_slots import MAX_OPENINGS, MAX_OPENINGS_PER_ADDRESS, HandshakeSlot, Openings
from groundcontrol.core.errors import Unavailable
from groundcontrol.core.ids import NodeId
from tests.support.clock import ManualClock


class Hub:
    """All openings, and the clock they wait by."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.openings = Openings(self.clock)

    def silent(self, count: int, place: str) -> list[HandshakeSlot]:
        return [self.openings.enter(place) for _ in range(count)]

    def spoken(self, count: int, place: str) -> list[HandshakeSlot]:
        made = []
        for _ in range(count):
            made.append(self.openings.enter(place))
            made[-1].first_message(self.clock.monotonic())
        return made


async def live(opening: HandshakeSlot, seconds: float, *, speaks: bool = False) -> None:
    async with asyncio.timeout(None) as limit:
        opening.begin(limit)
        if speaks:
            opening.first_message()
        await asyncio.sleep(seconds)


@pytest.mark.holds("SAFETY-52")
@pytest.mark.parametrize("attackers", [4, 16, 64])
@pytest.mark.parametrize("age_s", [0.0, 2.0])
def test_silent_sockets_do_not_block_newcomers(attackers: int, age_s: float) -> None:
    hub = Hub()
    silent = [one for number in range(attackers) for one in hub.silent(MAX_OPENINGS // attackers, f"198.51.100.{number}")]
    hub.clock.advance(age_s)
    newcomers = [one for number in range(40) for one in hub.spoken(1, f"192.0.2.{number}")]
    assert not any(one.displaced for one in newcomers)
    assert [one.displaced for one in silent].count(True) == 40
    assert len(hub.openings) == MAX_OPENINGS


def test_the_oldest_waiting_handshake_is_displaced_first() -> None:
    hub = Hub()
    [talking] = hub.spoken(1, "192.0.2.1")
    hub.clock.advance(0.5)
    quiet = [one for number in range(7) for one in hub.silent(9, f"198.51.100.{number}")]
    hub.clock.advance(1.5)
    talking.first_message(hub.clock.monotonic())
    hub.silent(2, "192.0.2.2")
    assert [one.displaced for one in quiet] == [True, True] + [False] * 61
    assert not talking.displaced


def test_of_young_handshakes_one_of_the_largest_address_is_displaced() -> None:
    hub = Hub()
    [early] = hub.silent(1, "192.0.2.1")
    many = hub.silent(20, "198.51.100.1")
    hub.silent(20, "198.51.100.2")
    hub.silent(20, "198.51.100.3")
    hub.spoken(3, "192.0.2.2")
    hub.silent(1, "192.0.2.3")
    assert not early.displaced
    assert [one.displaced for one in many] == [True] + [False] * 19


def test_an_address_at_its_limit_displaces_only_its_own_silent_sockets() -> None:
    hub = Hub()
    talking = hub.spoken(MAX_OPENINGS_PER_ADDRESS - 1, "192.0.2.1")
    [quiet] = hub.silent(1, "192.0.2.1")
    [elsewhere] = hub.silent(1, "192.0.2.2")
    hub.spoken(1, "192.0.2.1")
    assert quiet.displaced
    assert not any(one.displaced for one in [*talking, elsewhere])
    with pytest.raises(Unavailable):
        hub.openings.enter("192.0.2.1")
    hub.silent(1, "192.0.2.2")
    hub.clock.advance(handshake_slots.PATIENCE_S)
    hub.openings.enter("192.0.2.1")
    assert talking[0].displaced


@pytest.mark.parametrize("age_s", [0.0, 2.0])
def test_unproven_hellos_do_not_block_other_addresses(age_s: float) -> None:
    hub = Hub()
    attackers = [one for number in range(4) for one in hub.spoken(16, f"198.51.100.{number}")]
    hub.clock.advance(age_s)
    newcomers = hub.spoken(10, "192.0.2.1")
    assert not any(one.displaced for one in newcomers)
    assert [one.displaced for one in attackers].count(True) == 10


def test_a_node_that_proved_its_key_is_not_displaced() -> None:
    hub = Hub()
    for number in range(4):
        for at, one in enumerate(hub.spoken(16, f"198.51.100.{number}")):
            one.node = NodeId(f"node-{number}-{at}")
            hub.openings.displace_older(one)
    hub.clock.advance(5.0)
    with pytest.raises(Unavailable):
        hub.openings.enter("192.0.2.1")


@pytest.mark.holds("S-28")
def test_one_key_has_one_slot_for_its_newest_handshake() -> None:
    hub = Hub()
    [other] = hub.spoken(1, "192.0.2.1")
    other.node = NodeId("good")
    hub.openings.displace_older(other)
    waiting = []
    for number in range(200):
        [one] = hub.spoken(1, f"198.51.100.{number % 5}")
        one.node = NodeId("bad")
        hub.openings.displace_older(one)
        waiting.append(one)
    assert [one.displaced for one in waiting] == [True] * 199 + [False]
    assert not other.displaced
    assert len(hub.openings) == 2


def test_a_slot_is_released_once() -> None:
    hub = Hub()
    first, second = hub.silent(2, "192.0.2.1")
    hub.openings.leave(first)
    hub.openings.leave(first)
    assert len(hub.openings) == 1
    hub.openings.leave(second)
    assert len(hub.openings) == 0


async def test_a_hello_has_a_shorter_time_limit_than_the_handshake() -> None:
    with pytest.raises(TimeoutError):
        await live(HandshakeSlot("192.0.2.1", hello_timeout_s=0.05), 60)
    await live(HandshakeSlot("192.0.2.1", hello_timeout_s=0.05), 0.1, speaks=True)


@pytest.mark.parametrize("begun", [True, False])
async def test_a_displaced_handshake_ends_immediately_in_every_phase(begun: bool) -> None:
    opening = HandshakeSlot("192.0.2.1", hello_timeout_s=60.0)
    if not begun:
        opening.displace()
    else:
        asyncio.get_running_loop().call_soon(opening.displace)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await live(opening, 60, speaks=True)
    assert time.monotonic() - began < 30
