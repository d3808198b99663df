"""Deliveries: one row per decision about a channel, written once, claimed once and ended once."""

from __future__ import annotations

import asyncio

from groundcontrol.adapters.sqlite.delivery_rows import add_deliveries
from groundcontrol.core.scope import SYSTEM
from groundcontrol.notifications.model import ChannelId, DeliveryId
from groundcontrol.notifications.store import Delivered
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE
from tests.support.race_cases_channels import a_channel, a_delivery, a_target
from tests.support.store_backend import Backend


async def test_a_delivery_is_stored_once_per_incident_revision_kind_and_channel(backend: Backend, clock: ManualClock) -> None:
    first = a_delivery(clock.now(), ChannelId("c" * 26), "1" * 26)
    rows = [
        first,
        first._replace(id=DeliveryId(new_time_id(clock.now()))),
        first._replace(id=DeliveryId(new_time_id(clock.now())), revision=2),
    ]

    assert await backend.database._control.writer.run(lambda tx: add_deliveries(tx, rows)) == 2
    assert await backend.database._control.writer.run(lambda tx: add_deliveries(tx, rows)) == 0
    history = await backend.store.deliveries.history(1, rows[0].incident_id or rows[0].id)  # type: ignore[arg-type]
    assert [row.revision for row in history] == [1, 2]


async def test_a_held_message_is_late_only_from_the_end_of_its_hold(backend: Backend, clock: ManualClock) -> None:
    store, channel = backend.store, a_channel(clock.now())
    await store.channels.create_channel(SCOPE, channel, a_target(channel))
    decided_at = clock.now()
    row = a_delivery(decided_at, channel.id)._replace(next_at=decided_at + 3600.0)
    await backend.database._control.writer.run(lambda tx: add_deliveries(tx, [row]))
    assert (await store.deliveries.summary(SCOPE, decided_at, clock.now())).oldest_due_at is None
    clock.advance(3630.0)
    assert (await store.deliveries.summary(SCOPE, decided_at, clock.now())).oldest_due_at == decided_at + 3600.0
    assert await store.deliveries.claim(16)
    clock.advance(60.0)
    assert (await store.deliveries.summary(SCOPE, decided_at, clock.now())).oldest_due_at == decided_at + 3630.0, "the first attempt"


async def test_of_twenty_senders_one_claims_a_delivery_and_one_ends_it(backend: Backend, clock: ManualClock) -> None:
    store, channel = backend.store, a_channel(clock.now())
    await store.channels.create_channel(SCOPE, channel, a_target(channel))
    row = a_delivery(clock.now(), channel.id)
    await backend.database._control.writer.run(lambda tx: add_deliveries(tx, [row]))

    claims = await asyncio.gather(*(store.deliveries.claim(16) for _ in range(20)))
    [claim] = [one for taken in claims for one in taken]
    ended = await asyncio.gather(*(store.deliveries.finish(claim, Delivered()) for _ in range(20)))
    assert sorted(ended) == [False] * 19 + [True]
    assert (await store.deliveries.delivery(SYSTEM, row.id)).state == "sent"
