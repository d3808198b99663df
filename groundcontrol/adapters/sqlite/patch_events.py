"""Events of patch policies and roll-outs, which also go to the channels of their reports."""

from __future__ import annotations

from collections.abc import Sequence

from groundcontrol.adapters.sqlite.delivery_rows import add_deliveries
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Severity
from groundcontrol.notifications.model import ChannelId, Delivery, DeliveryId
from spider.wire.ids import new_time_id


def tell(tx: Tx, org: int, kind: str, channels: Sequence[str], details: dict[str, object], severity: Severity | None = None) -> None:
    """Record an event, and send it to these channels whatever their least severity is."""
    told = record_event(tx, new_event(kind, tx.now, details, name=str(details.get("name", "")), org=org, severity=severity))
    for channel in channels if told is not None else ():
        if tx.fetch_one("SELECT 1 FROM channel WHERE org = ? AND id = ?", org, channel) is not None:
            made = DeliveryId(new_time_id(tx.now))
            add_deliveries(tx, [Delivery(made, org, ChannelId(channel), "event", None, told, 0, "due", "ready", tx.now, tx.now)])
