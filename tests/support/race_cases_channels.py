"""Commands about channels and deliveries: preconditions, call and result of each (`race_cases.py`)."""

from __future__ import annotations

import asyncio

from groundcontrol.adapters.sqlite.delivery_rows import add_deliveries
from groundcontrol.alerts.model import IncidentId
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.notifications.model import Caps, Channel, ChannelId, Delivery, DeliveryId
from groundcontrol.notifications.store import SEALED_TABLE, TARGET, Claim, Decided
from spider.wire.ids import new_time_id
from tests.support.factories import SCOPE
from tests.support.race_cases import CALLERS, RECORD_CASES, Cases, Ground, Race, RecordCase, Rivals

CASES = Cases()


def a_channel(now: float, name: str = "ops") -> Channel:
    return Channel(
        ChannelId(new_time_id(now)), SCOPE.org, "webhook", name, True, "warning", None, Caps(), "https://x.example/…", state_since_at=now
    )


def a_target(channel: Channel, sealed: bytes = b"sealed", version: int = 1) -> SealedRecord:
    return SealedRecord(SEALED_TABLE, channel.id, TARGET, version, sealed)


def a_delivery(now: float, channel: ChannelId, incident: str = "") -> Delivery:
    made, story = DeliveryId(new_time_id(now)), IncidentId(incident or new_time_id(now))
    return Delivery(made, SCOPE.org, channel, "firing", story, None, 1, "due", "ready", now, None)


RECORD_CASES["channels"] = RecordCase(a_channel, lambda channel, at: channel._replace(caps=Caps(at)))


async def add(ground: Ground, *rows: Delivery) -> None:
    await ground.backend.database._control.writer.run(lambda tx: add_deliveries(tx, rows))


@CASES.of("channels.create_channel")
async def _create_channel(ground: Ground) -> Race:
    store, made = ground.store.channels, a_channel(ground.now)
    rivals = [a_channel(ground.now) for _ in range(CALLERS)]

    async def held() -> object:
        return [(channel, (await store.target(channel.id)) == a_target(channel)) for channel in await store.all(SCOPE)]

    return Race(
        lambda: store.create_channel(SCOPE, made, a_target(made)), held, [(made, True)], ("channel.create",),
        rivals=Rivals("one", lambda at: store.create_channel(SCOPE, rivals[at], a_target(rivals[at])), lambda at: [(rivals[at], True)]),
    )  # fmt: skip


@CASES.of("channels.save_channel")
async def _save_channel(ground: Ground) -> Race:
    store, made = ground.store.channels, a_channel(ground.now)
    await store.create_channel(SCOPE, made, a_target(made))
    wanted = made._replace(name="ops 2", target_masked="https://y.example/…")

    async def held() -> object:
        return await store.get(SCOPE, made.id), await store.target(made.id)

    def after(name: str, sealed: bytes) -> object:
        return wanted._replace(name=name, version=2), a_target(made, sealed, 2)

    return Race(
        lambda: store.save_channel(SCOPE, wanted, a_target(made, b"new", 2), old_target_notified=True), held, after("ops 2", b"new"), ("channel.edit",),
        rivals=Rivals(
            "one",
            lambda at: store.save_channel(SCOPE, wanted._replace(name=f"n{at}"), a_target(made, b"%d" % at, 2), old_target_notified=True),
            lambda at: after(f"n{at}", b"%d" % at),
        ),
    )  # fmt: skip


@CASES.of("channels.delete_channel")
async def _delete_channel(ground: Ground) -> Race:
    store, made = ground.store, a_channel(ground.now)
    await store.channels.create_channel(SCOPE, made, a_target(made))
    waiting = a_delivery(ground.now, made.id)
    await add(ground, waiting)

    async def held() -> object:
        row = await store.deliveries.delivery(SCOPE, waiting.id)
        return await store.channels.all(SCOPE), await store.channels.target(made.id), row.state, row.reason

    gone: tuple[object, ...] = ([], None, "skipped", "channel_disabled")
    return Race(lambda: store.channels.delete_channel(SCOPE, made.id, old_target_notified=True), held, gone, ("channel.delete",))


@CASES.of("deliveries.decide")
async def _decide(ground: Ground) -> Race:
    """A new message, one that is due earlier, and one that is tried again."""
    store, channel = ground.store.deliveries, ChannelId(new_time_id(ground.now))
    new, later, lost = (a_delivery(ground.now, channel) for _ in range(3))
    await add(
        ground,
        later._replace(state="deferred", reason="quiet_hours", next_at=ground.now + 3600),
        lost._replace(state="failed", reason="http:503"),
    )
    sooner = later._replace(state="deferred", reason="grouping", next_at=ground.now + 10)
    decided = Decided([new], [sooner], [lost._replace(next_at=ground.now)])

    async def held() -> object:
        rows = [await store.delivery(SCOPE, one.id) for one in (later, lost)]
        listed = {one.id for one in (await store.deliveries(SCOPE, 10)).items}
        return listed, [(one.state, one.reason, one.next_at) for one in rows]

    expected = [("deferred", "grouping", ground.now + 10), ("due", "ready", ground.now)]
    return Race(lambda: store.decide(decided), held, ({new.id, later.id, lost.id}, expected))


@CASES.of("deliveries.add_test")
async def _add_test(ground: Ground) -> Race:
    store, made = ground.store, a_channel(ground.now)
    await store.channels.create_channel(SCOPE, made, a_target(made))
    test = DeliveryId(new_time_id(ground.now))

    async def held() -> object:
        return [(row.id, row.kind, row.state) for row in (await store.deliveries.deliveries(SCOPE, 100)).items]

    return Race(lambda: store.deliveries.add_test(SCOPE, made.id, test), held, [(test, "test", "due")], ("channel.test",))


@CASES.of("deliveries.retry")
async def _retry(ground: Ground) -> Race:
    store, made = ground.store, a_channel(ground.now)
    await store.channels.create_channel(SCOPE, made, a_target(made))
    failed = a_delivery(ground.now, made.id)._replace(state="failed", reason="http:404")
    await add(ground, failed)

    async def held() -> object:
        row = await store.deliveries.delivery(SCOPE, failed.id)
        return row.state, row.reason, row.next_at

    return Race(lambda: store.deliveries.retry(SCOPE, failed.id), held, ("due", "ready", ground.now), ("delivery.retry",))


@CASES.of("deliveries.expire_deliveries")
async def _expire_deliveries(ground: Ground) -> Race:
    store, channel = ground.store, ChannelId(new_time_id(ground.now))
    old, waiting, young = (a_delivery(at, channel) for at in (ground.now - 1, ground.now - 1, ground.now))
    await add(ground, old._replace(state="skipped"), waiting, young._replace(state="skipped"))

    async def held() -> object:
        return {row.id for row in (await store.deliveries.deliveries(SCOPE, 100)).items}

    await asyncio.sleep(0)
    return Race(lambda: store.deliveries.expire_deliveries(ground.now), held, {waiting.id, young.id}, alone=(1, 0))


@CASES.of("deliveries.correct_times")
async def _correct_times(ground: Ground) -> Race:
    store, made = ground.store, a_channel(ground.now)
    await store.channels.create_channel(SCOPE, made, a_target(made))
    ahead = a_delivery(ground.now, made.id)._replace(state="deferred", reason="settling", next_at=ground.now + 86_400)
    await add(ground, ahead)

    async def held() -> object:
        return (await store.deliveries.delivery(SCOPE, ahead.id)).next_at

    return Race(store.deliveries.correct_times, held, ground.now)


@CASES.of("deliveries.note_repetition")
async def _note_repetition(ground: Ground) -> Race:
    store, made = ground.store, a_channel(ground.now)
    await store.channels.create_channel(SCOPE, made, a_target(made))
    sent = a_delivery(ground.now, made.id)._replace(state="sent", next_at=None)
    await add(ground, sent)

    async def held() -> object:
        now = await store.deliveries.present_channel(SCOPE.org, made.id)
        return None if now is None else (now.state, now.state_reason)

    return Race(lambda: store.deliveries.note_repetition(Claim(sent, made), "smtp:450", "smtp:450"), held, ("ok", "smtp:450"))
