"""The outbox on a real store and real receivers: retries, order, limits, broken channels."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from groundcontrol.core.errors import Conflict, TooManyRequests
from groundcontrol.core.scope import SYSTEM
from groundcontrol.notifications import outbox as outboxes
from groundcontrol.notifications.channels.kind import Outcome, Sent
from groundcontrol.notifications.egress import Egress
from groundcontrol.notifications.messages import Message, Withheld
from groundcontrol.notifications.model import Caps, Channel
from groundcontrol.notifications.outbox import DueBell, Outbox
from groundcontrol.notifications.service import ChannelEdit
from groundcontrol.notifications.store import Delivered, Failed
from spider.wire.ids import new_time_id
from tests.support.background import in_background
from tests.support.clock import RunningClock
from tests.support.eventually import ask_until, eventually
from tests.support.factories import audited
from tests.support.receivers import Notifying, Received, Receiver, notifying, told
from tests.support.store_backend import Backend
from tests.support.store_files import open_new


@pytest.fixture
def running_clock() -> RunningClock:
    return RunningClock()


@pytest.fixture
async def live(tmp_path: Path, running_clock: RunningClock) -> AsyncIterator[Backend]:
    made = Backend(lambda: open_new(tmp_path / "data", clock=running_clock), running_clock)  # type: ignore[arg-type]
    await made.open()
    yield made
    await made.database.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().running() as made:
        yield made


@pytest.fixture
async def hub(live: Backend, running_clock: RunningClock, receiver: Receiver) -> AsyncIterator[Notifying]:
    async with notifying(live, running_clock, receiver) as made:
        yield made


async def test_a_temporarily_failed_message_is_resent_with_the_same_id(hub: Notifying, receiver: Receiver) -> None:
    receiver.statuses = [503, 429, 200]
    receiver.headers = {"Retry-After": "70"}
    channel = await hub.webhook(receiver.url())
    sent = hub.delivery(channel.id)
    await hub.add(sent)

    assert (await hub.waits(sent, 1)).reason == "http:503"
    assert (await hub.state(channel.id)).state == "retrying"
    await hub.skip(60)
    await asyncio.sleep(0.1)
    assert len(receiver.got) == 1  # the receiver asked for 70 seconds
    await hub.skip(11)
    await hub.waits(sent, 2)
    await hub.skip(71)

    ended = await hub.ends(sent)
    assert ended.shown
    assert ended._replace(sent_at=None, next_at=None, shown="") == sent._replace(state="sent", attempts=3, sent_at=None, next_at=None)
    assert receiver.ids == [sent.id] * 3
    assert (await hub.state(channel.id)).state == "ok"
    attempts = (await hub.backend.store.deliveries.attempts(SYSTEM, [sent.id]))[sent.id]
    assert [(one.number, one.code) for one in attempts] == [(1, "http:503"), (2, "http:429"), (3, "http:200")]


async def test_a_refused_message_ends_alone_and_three_break_the_channel_which_is_still_probed(hub: Notifying, receiver: Receiver) -> None:
    receiver.answer = _refuse("/bad", 404)
    bad, good = await hub.webhook(receiver.url("/bad"), "bad"), await hub.webhook(receiver.url("/good"), "good")
    rows = [hub.delivery(bad.id) for _ in range(3)]
    states: list[str] = []
    for row in rows:
        await hub.skip(60 if states else 0)  # not after the last one: the lease of the message about it would expire while it is sent
        await hub.add(row)
        assert (await hub.ends(row)).reason == "http:404"
        states.append((await hub.state(bad.id)).state)
    assert states == ["retrying", "retrying", "broken"]
    [telling] = await ask_until(lambda: hub.rows(channel=good.id))
    assert (telling.kind, (await hub.ends(telling)).state) == ("event", "sent")
    [news] = [one.json for one in receiver.got if one.path == "/good"]
    assert (news["event"]["type"], news["title"]) == ("channel_failed", "Error: notifications through bad fail: http:404")

    later, broken = hub.delivery(bad.id), await hub.state(bad.id)
    await hub.add(later)
    assert broken.probe_at - broken.state_since_at == pytest.approx(300, abs=1), "a broken channel is tried every five minutes"
    assert await hub.backend.store.deliveries.next_due() == broken.probe_at
    assert (await hub.of(later)).state == "due"
    receiver.answer = None
    await hub.skip(301)
    assert (await hub.ends(later)).state == "sent"
    assert (await hub.state(bad.id)).state == "ok"
    again = await hub.channels.retry(SYSTEM, rows[0].id)
    assert (await hub.ends(again)).state == "sent"
    with pytest.raises(Conflict):
        await hub.channels.retry(SYSTEM, rows[0].id)


async def test_a_channel_that_does_not_reach_everybody_says_so_once_and_until_it_does(live: Backend) -> None:
    egress = Egress(frozenset())
    hub = Notifying(live, RunningClock(), egress)
    channel = await hub.webhook("https://mail.example/")
    lacking = "smtp:550 for recipient 2"

    async def sent(result: Delivered) -> Channel:
        await hub.add(hub.delivery(channel.id))
        [claim] = await live.store.deliveries.claim(9)
        assert await live.store.deliveries.finish(claim, result)
        return await hub.state(channel.id)

    for _ in range(2):
        state = await sent(Delivered(code=lacking, is_whole=False))
        assert (state.state, state.state_reason) == ("ok", lacking)
    told_of = [one.message for one in (await live.store.log.events(SYSTEM, 20)).items if one.type == "channel_partly_refused"]
    assert told_of == [f"notifications through {channel.name} do not reach everybody: {lacking}"]
    assert (await sent(Delivered())).state_reason == ""
    await egress.close()


@pytest.mark.parametrize("status", [400, 404, 413, 301])
async def test_one_refusal_does_not_hold_back_the_next_message(hub: Notifying, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status, 200]
    channel = await hub.webhook(receiver.url())
    refused, following = hub.delivery(channel.id), hub.delivery(channel.id)
    await hub.add(refused)
    assert ((await hub.ends(refused)).state, (await hub.state(channel.id)).state) == ("failed", "retrying")
    await hub.add(following)
    await hub.skip(6)
    assert ((await hub.ends(following)).state, (await hub.state(channel.id)).state) == ("sent", "ok")


async def test_a_target_that_is_gone_breaks_its_channel_at_once(hub: Notifying, receiver: Receiver) -> None:
    receiver.statuses = [410]
    channel = await hub.webhook(receiver.url())
    row = hub.delivery(channel.id)
    await hub.add(row)
    assert ((await hub.ends(row)).reason, (await hub.state(channel.id)).state) == ("http:410", "broken")
    following = hub.delivery(channel.id)
    await hub.add(following)
    await hub.skip(1801)
    assert ((await hub.ends(following)).state, (await hub.state(channel.id)).state) == ("sent", "ok")


async def test_a_hanging_channel_delays_no_other_and_keeps_the_order_of_an_incident(
    live: Backend, running_clock: RunningClock, receiver: Receiver
) -> None:
    hanging = asyncio.Event()

    async def hang(_received: Received) -> web.StreamResponse:
        await hanging.wait()
        return web.Response()

    stuck = Receiver()
    stuck.answer = hang
    async with stuck.running(), notifying(live, running_clock, stuck, receiver) as hub:
        slow, quick = (
            await hub.webhook(stuck.url(), "slow"),
            await hub.webhook(
                receiver.url(),
                "quick",
            ),
        )
        caps = ChannelEdit(caps=Caps(300, 300))
        await hub.channels.edit(SYSTEM, quick.id, None, caps)
        await hub.channels.edit(SYSTEM, slow.id, None, caps)
        incident = new_time_id()
        story = [
            hub.delivery(quick.id, incident, kind=kind, revision=number) for number, kind in enumerate(("firing", "changed", "repeat"), 1)
        ]
        began = time.monotonic()
        await hub.add(*(hub.delivery(slow.id) for _ in range(250)))
        await hub.add(*reversed(story), *(hub.delivery(quick.id) for _ in range(100)))

        await ask_until(lambda: _done(len(receiver.got) == 103))
        assert time.monotonic() - began < 60  # each waits for the hanging one otherwise, 25 seconds at a time
        assert len(stuck.got) == 2
        assert [one for one in receiver.ids if one in {row.id for row in story}] == [row.id for row in story]
        hanging.set()


async def test_a_failing_channel_is_tried_one_message_at_a_time_until_it_recovers(hub: Notifying, receiver: Receiver) -> None:
    receiver.answer = _refuse("/", 500)
    channel = await hub.webhook(receiver.url())
    rows = [hub.delivery(channel.id) for _ in range(8)]
    await hub.add(*rows)
    await ask_until(lambda: _done(len(receiver.got) >= 5))
    await asyncio.sleep(0.7)
    assert len(receiver.got) == 5  # then it rests
    due_at, resting = await hub.backend.store.deliveries.next_due(), await hub.state(channel.id)
    assert due_at == resting.probe_at, "messages of a resting channel are not due, so the heartbeat continues"

    receiver.answer = None
    await hub.skip(20)
    assert {(await hub.ends(row)).state for row in rows} == {"sent"}


async def test_an_expired_lease_is_claimed_by_another_sender(live: Backend, running_clock: RunningClock) -> None:
    hub = Notifying(live, running_clock, Egress())
    channel = await hub.webhook("https://receiver.example/")
    await hub.add(hub.delivery(channel.id))
    [first] = await live.store.deliveries.claim(16)
    assert await live.store.deliveries.claim(16) == []
    running_clock.shift += 61
    [second] = await live.store.deliveries.claim(16)
    assert second.delivery.id == first.delivery.id
    assert not await live.store.deliveries.finish(first, Failed("http:400"))
    assert await live.store.deliveries.finish(second, Delivered())
    assert (await hub.of(first.delivery)).attempts == 2


async def test_a_delivery_that_failed_too_long_expires_and_breaks_its_channel(hub: Notifying, receiver: Receiver) -> None:
    receiver.answer = _refuse("/", 500)
    channel = await hub.webhook(receiver.url())
    row = hub.delivery(channel.id, critical=False)
    await hub.add(row)
    await hub.waits(row, 1)
    await hub.skip(6 * 3600)
    assert ((await hub.ends(row)).reason, (await hub.state(channel.id)).state) == ("expired", "broken")


async def test_an_unanswered_dns_lookup_loses_no_message(live: Backend, running_clock: RunningClock, receiver: Receiver) -> None:
    dead = True

    def look(host: str, port: int, *more: Any) -> list[tuple[Any, ...]]:
        if dead:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with notifying(live, running_clock, receiver, getaddrinfo=look) as hub:
        channel = await hub.webhook(f"http://hooks.example:{receiver.port}/")
        lasting, over = hub.delivery(channel.id), hub.delivery(channel.id)
        began = running_clock.now()
        await hub.add(lasting, over)
        await hub.waits(lasting, 1)
        await hub.waits(over, 1)
        await hub.skip(3600)
        await hub.waits(lasting, 2)
        await hub.waits(over, 2)
        ended = told(str(over.incident_id), began, resolved_at=running_clock.now())
        hub.contents.said[str(over.incident_id)] = ended._replace(late=True)
        dead = False
        await hub.skip(1800)
        assert [(await hub.ends(row)).reason for row in (lasting, over)] == ["ready", "late"]
    assert {one.json["kind"] for one in receiver.got} == {"firing", "resolved"}


async def test_a_deferred_message_does_not_delay_a_more_severe_one(hub: Notifying, receiver: Receiver) -> None:
    channel, incident = await hub.webhook(receiver.url()), new_time_id()
    later = hub.clock.now() + 3600
    quiet = hub.delivery(channel.id, incident, state="deferred", reason="quiet_hours", next_at=later, critical=False)
    worse = hub.delivery(channel.id, incident, kind="changed", revision=2)
    await hub.add(quiet, worse)
    assert (await hub.ends(worse)).state == "sent"
    assert (await hub.of(quiet)).state == "deferred"


async def test_a_withheld_message_is_not_an_attempt(hub: Notifying, receiver: Receiver) -> None:
    channel = await hub.webhook(receiver.url())
    quiet, never = hub.delivery(channel.id), hub.delivery(channel.id)
    hub.contents.said = {
        str(quiet.incident_id): Withheld("quiet_hours", hub.clock.now() + 100),
        str(never.incident_id): Withheld("acknowledged"),
    }
    await hub.add(quiet, never)

    assert ((await hub.ends(never)).reason, (await hub.of(never)).attempts) == ("acknowledged", 0)
    held = await ask_until(lambda: _state(hub, quiet, "deferred"))
    assert (held.reason, held.attempts) == ("quiet_hours", 0)
    hub.contents.said = {}
    await hub.skip(101)
    assert (await hub.ends(quiet)).state == "sent"


async def test_the_target_of_a_channel_is_sealed_and_its_change_announced_to_the_old_one(hub: Notifying, receiver: Receiver) -> None:
    secret = "whsec_" + "QUJD" * 8
    channel = await hub.webhook(receiver.url("/first-path-7f3a"), secret=secret)
    assert channel.target_masked == f"http://127.0.0.1:{receiver.port}/…"
    renamed = await hub.channels.edit(SYSTEM, channel.id, None, ChannelEdit(name="ops 2"))
    assert renamed.version == 2
    assert not receiver.got
    moved = await hub.channels.edit(SYSTEM, channel.id, {"url": receiver.url("/second")}, ChannelEdit())
    assert [one.path for one in receiver.got] == ["/first-path-7f3a"]
    assert "gets no more messages" in receiver.got[0].json["title"]
    test = await hub.channels.test(SYSTEM, channel.id)
    assert (await hub.ends(test)).state == "sent"
    assert receiver.got[-1].path == "/second"
    assert (await hub.state(channel.id)).tested_at is not None
    for _ in range(9):
        await hub.channels.test(SYSTEM, channel.id)
    with pytest.raises(TooManyRequests):
        await hub.channels.test(SYSTEM, channel.id)
    waiting = hub.delivery(moved.id, next_at=hub.clock.now() + 1000)
    await hub.add(waiting)
    await hub.channels.delete(SYSTEM, channel.id)
    assert (await hub.of(waiting)).reason == "channel_disabled"
    assert await hub.backend.store.channels.target(channel.id) is None
    assert [action for _, action, _ in await audited(hub.backend.store)][:4] == [
        "channel.create",
        "channel.edit",
        "channel.edit",
        "channel.test",
    ]
    stored = b"".join(path.read_bytes() for path in hub.backend.database._control.path.parent.iterdir() if path.is_file())
    assert not [part for part in ("first-path-7f3a", secret) if part.encode() in stored]


def _refuse(path: str, status: int) -> Any:
    async def answer(received: Received) -> web.StreamResponse:
        return web.Response(status=status if received.path == path else 200)

    return answer


async def _done(value: bool) -> bool:
    return value


async def _state(hub: Notifying, delivery: Any, state: str) -> Any:
    row = await hub.of(delivery)
    return row if row.state == state else None


async def test_a_lease_that_is_extended_is_claimed_by_nobody_else(live: Backend, running_clock: RunningClock) -> None:
    hub = Notifying(live, running_clock, Egress())
    channel = await hub.webhook("https://receiver.example/")
    await hub.add(hub.delivery(channel.id))
    [claim] = await live.store.deliveries.claim(16)
    for _ in range(3):
        running_clock.shift += 40
        assert await asyncio.gather(*(live.store.deliveries.extend(claim) for _ in range(20))) == [True] * 20
        assert await live.store.deliveries.claim(16) == []
    running_clock.shift += 61
    [again] = await live.store.deliveries.claim(16)
    assert not await live.store.deliveries.extend(claim)
    assert await live.store.deliveries.finish(again, Delivered())
    assert not await live.store.deliveries.extend(again)


async def test_mail_servers_that_take_minutes_hold_no_other_channel(live: Backend, running_clock: RunningClock) -> None:
    hub, go_on = Notifying(live, running_clock, Egress()), asyncio.Event()
    sent: list[str] = []

    class Slow:
        """Sends as the channels do, but each message of a channel whose name begins with `slow` takes minutes."""

        prepare = hub.channels.prepare

        async def send(self, channel: Channel, message: Message) -> Outcome:
            if channel.name.startswith("slow"):
                await go_on.wait()
            sent.append(channel.name)
            return Sent()

    bell = DueBell()
    outbox = Outbox(live.store.deliveries, lambda _org: hub.contents, Slow(), bell, running_clock, lambda: 1.0)
    names = [f"slow{number}" for number in range(outboxes.MOST_AT_ONCE // 2)]
    slow = [await hub.webhook("https://receiver.example/", name) for name in names]
    quick = await hub.webhook("https://receiver.example/", "quick")
    async with in_background(outbox.run()):
        await hub.add(*(hub.delivery(channel.id) for channel in slow for _ in range(2)))
        bell.set()
        await eventually(lambda: len(outbox._under_way) == outboxes.MOST_AT_ONCE)
        await hub.add(hub.delivery(quick.id))
        running_clock.shift += outboxes.SLOW_S + 1
        bell.set()
        await eventually(lambda: sent == ["quick"])
        go_on.set()
        await eventually(lambda: len(sent) == outboxes.MOST_AT_ONCE + 1)
