"""Deliveries: one row for each decision about a channel, written once."""

from __future__ import annotations

from typing import Any

from groundcontrol.adapters.sqlite.deliveries import add_deliveries
from groundcontrol.alerts.model import ChannelId, Delivery, DeliveryId, IncidentId
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.store_backend import Backend


def a_delivery(at: float, **fields: Any) -> Delivery:
    row = Delivery(
        DeliveryId(new_time_id(at)), 1, ChannelId("c" * 26), "firing", IncidentId("1" * 26), None, 1, "due", "ready", at, None
    )  # fmt: skip
    return row._replace(**fields)


async def test_an_intent_is_stored_once_for_an_incident_revision_kind_and_channel(backend: Backend, clock: ManualClock) -> None:
    first = a_delivery(clock.now())
    rows = [
        first,
        first._replace(id=DeliveryId(new_time_id(clock.now()))),
        first._replace(id=DeliveryId(new_time_id(clock.now())), revision=2),
    ]

    assert await backend.database._control.writer.run(lambda tx: add_deliveries(tx, rows)) == 2
    assert await backend.database._control.writer.run(lambda tx: add_deliveries(tx, rows)) == 0
