"""How many memory-intensive operations run at once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from groundcontrol.core.errors import Unavailable
from groundcontrol.core.ids import UserId
from groundcontrol.jobs.api import MAX_OUTPUTS_OF_A_USER, SHORT_OUTPUT_BYTES, Outputs
from groundcontrol.samples.api import MAX_HISTORY_VALUES_OF_A_USER, Histories
from groundcontrol.samples.export_api import MAX_EXPORTS_OF_A_USER, Exports
from groundcontrol.web.costs import MAX_WAITING_OF_ONE, BudgetLimiter, SlotLimiter
from groundcontrol.web.request import REAUTHORIZE_S
from tests.support.eventually import eventually
from tests.support.inprocess_hub import TestHub
from tests.support.measured_node import START, asked, measured
from tests.support.printing_node import Printing
from tests.support.slow_reader import PIECE, PIECES, limit_to_no_node, slow_reader

ANNA, BOB, CLEO = UserId("anna"), UserId("bob"), UserId("cleo")


def test_slots_are_limited_per_user_and_released() -> None:
    places = SlotLimiter("exports", 3, 2)
    with contextlib.ExitStack() as held:
        held.enter_context(places.take(ANNA))
        with places.take(ANNA):
            for _ in range(2):
                with pytest.raises(Unavailable, match="2 exports of this user"):
                    held.enter_context(places.take(ANNA))
            with places.take(BOB), pytest.raises(Unavailable, match="3 exports run already"):
                held.enter_context(places.take(None))
        held.enter_context(places.take(ANNA))
        held.enter_context(places.take(None))
    assert not places._taken


@pytest.mark.holds("S-28")
async def test_concurrent_exports_are_limited_before_anything_is_sent(hub: TestHub) -> None:
    viewer, node = await hub.logged_in("viewer"), await measured(hub)
    with contextlib.ExitStack() as held:
        for _ in range(MAX_EXPORTS_OF_A_USER):
            held.enter_context(hub.services[Exports].take(viewer.user.id))
        answer = await viewer.get(f"nodes/{node.id}/export")
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert (await (await hub.logged_in("operator")).get(f"nodes/{node.id}/export")).status == 200
    for _ in range(MAX_EXPORTS_OF_A_USER + 1):
        assert (await viewer.get(f"nodes/{node.id}/export")).status == 200


@pytest.mark.holds("S-28")
async def test_concurrent_outputs_are_limited_and_followers_continue(hub: TestHub) -> None:
    printing, slow = await Printing.start(hub), await hub.logged_in("viewer", cookie=False)
    for _ in range(PIECES):
        await printing.print(PIECE, told=False)
    whole = f"jobs/{printing.job.id}/output"
    at = len(printing.printed) - SHORT_OUTPUT_BYTES
    long = f"{whole}?offset={at - 1}"
    async with contextlib.AsyncExitStack() as readers:
        for _ in range(MAX_OUTPUTS_OF_A_USER):
            await readers.enter_async_context(slow_reader(hub, slow, whole))
        answer = await slow.get(whole)
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "10")
        assert "4 outputs of jobs of this user" in answer.json["detail"]
        assert "Content-Disposition" not in answer.headers
        assert (await slow.get(long)).status == 503
        assert len((await slow.get(f"{whole}?offset={at}")).body) == SHORT_OUTPUT_BYTES
        assert (await (await hub.logged_in("operator")).get(long)).status == 200
        hub.services[Outputs]._most = MAX_OUTPUTS_OF_A_USER
        assert (await (await hub.logged_in("operator")).get(long)).status == 503
    await eventually(lambda: not hub.services[Outputs]._taken, 60, "a place is not given back")
    for _ in range(MAX_OUTPUTS_OF_A_USER + 1):
        assert len((await slow.get(long)).body) == SHORT_OUTPUT_BYTES + 1


class Taking:
    """A caller that requests room, and holds it until released."""

    def __init__(self, room: BudgetLimiter, who: UserId | None, size: int) -> None:
        self.inside = False
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._take(room, who, size))

    async def _take(self, room: BudgetLimiter, who: UserId | None, size: int) -> None:
        async with room.take(who, size):
            self.inside = True
            await self._leave.wait()
        self.inside = False

    async def leave(self) -> None:
        self._leave.set()
        await self.task
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_budget_waiters_of_different_users_take_turns() -> None:
    room = BudgetLimiter("too much", 10, 6, 600)
    first, second, third = (Taking(room, ANNA, size) for size in (6, 4, 1))
    other, last = Taking(room, BOB, 5), Taking(room, CLEO, 1)
    await settle()
    # later requests do not overtake one that is larger than the free room, or it would never have its turn
    assert [one.inside for one in (first, second, third, other, last)] == [True, False, False, False, False]
    await first.leave()
    assert [one.inside for one in (second, third, other, last)] == [True, False, True, True]
    await other.leave()
    assert third.inside
    for one in (second, third, last):
        await one.leave()
    assert not room._taken
    assert not room._waiting


async def test_a_waiter_that_times_out_or_leaves_releases_its_share() -> None:
    room = BudgetLimiter("too much; ask for less", 10, 10, 0.01)
    first = Taking(room, ANNA, 10)
    with pytest.raises(Unavailable, match="ask for less") as refused:
        await Taking(room, BOB, 10).task
    assert refused.value.detail == {"retry_after_s": 10}
    patient = BudgetLimiter("too much", 10, 10, 600)
    held, gone, after = (Taking(patient, who, 10) for who in (ANNA, BOB, CLEO))
    await settle()
    gone.task.cancel()
    await held.leave()
    assert after.inside
    await after.leave()
    await first.leave()
    assert not any((room._taken, room._waiting, patient._taken, patient._waiting))


async def test_waiters_of_one_user_are_limited() -> None:
    room = BudgetLimiter("too much", 1, 1, 600)
    inside = [Taking(room, ANNA, 1) for _ in range(MAX_WAITING_OF_ONE + 1)]
    await settle()
    with pytest.raises(Unavailable):
        await Taking(room, ANNA, 1).task
    for one in inside:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in inside), return_exceptions=True)
    assert not room._taken
    assert not room._waiting


@pytest.mark.holds("S-28")
async def test_concurrent_histories_of_one_user_are_limited(hub: TestHub) -> None:
    viewer, node = await hub.logged_in("viewer"), await measured(hub)
    operator = await hub.logged_in("operator")
    chart = asked(node, "cpu.total", **{"from": START, "to": START + 60})
    hub.services[Histories]._patience_s = 0.01
    async with hub.services[Histories].take(viewer.user.id, MAX_HISTORY_VALUES_OF_A_USER):
        answer = await viewer.get(**chart)
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "10")
        assert "ask for fewer series or points" in answer.json["detail"]
        assert (await operator.get(**chart)).status == 200
        wrong = await viewer.get(**asked(node, "cpu.nothing", **{"from": START, "to": START + 60}))
        assert wrong.status == 400, "what can never be answered does not wait"
    hub.services[Histories]._patience_s = 600
    many = await asyncio.gather(*(viewer.get(**chart) for _ in range(80)))
    assert {one.status for one in many} == {200}  # a page that shows everything waits, and is never refused


async def test_more_series_reduce_the_number_of_points(hub: TestHub) -> None:
    viewer, nodes = await hub.logged_in("viewer"), [await hub.node(f"web-{number}") for number in range(50)]
    series = ["cpu.total", *(f"cpu.core{{core={core}}}" for core in range(3))]
    params: list[tuple[str, object]] = [*(("node", node.id) for node in nodes), *(("metric", name) for name in series)]

    answer = await viewer.get("history", params=[*params, ("points", 4000), ("from", START), ("to", START + 4000)])

    assert answer.status == 200
    assert len(answer.json["nodes"]) * len(series) * len(answer.json["times"]) <= MAX_HISTORY_VALUES_OF_A_USER


@pytest.mark.holds("S-22")
async def test_a_user_who_loses_the_right_while_waiting_gets_no_history(hub: TestHub) -> None:
    """Waiting for room that others hold must not outlast the caller's right."""
    viewer, node = await hub.logged_in("viewer", cookie=False), await measured(hub)
    async with hub.services[Histories].take(viewer.user.id, MAX_HISTORY_VALUES_OF_A_USER):
        waiting = asyncio.create_task(viewer.get(**asked(node, "cpu.total", **{"from": START, "to": START + 60})))
        await eventually(lambda: hub.services[Histories]._waiting, 60, "it does not wait")
        await limit_to_no_node(hub, viewer)
        hub.clock.shift += REAUTHORIZE_S + 0.1
    assert (await waiting).status == 404


async def test_no_history_is_read_for_a_client_that_left_while_waiting(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer, node = await hub.logged_in("viewer", cookie=False), await measured(hub)
    read: list[object] = []
    monkeypatch.setattr(hub.store.metrics, "window", lambda *args: read.append(args))
    histories = hub.services[Histories]
    async with histories.take(viewer.user.id, MAX_HISTORY_VALUES_OF_A_USER):
        waiting = asyncio.create_task(viewer.get(**asked(node, "cpu.total", **{"from": START, "to": START + 60})))
        await eventually(lambda: histories._waiting, 60, "it does not wait")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0.1)
    await eventually(lambda: not histories._taken, 60, "its place is not given back")
    assert read == []
