"""Receivers of notifications on loopback, and an outbox that sends to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from groundcontrol.adapters.sqlite.delivery_rows import add_deliveries
from groundcontrol.alerts.incident_reader import DescribedAlert
from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId, RuleId
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.notifications.egress import Egress
from groundcontrol.notifications.links import Links
from groundcontrol.notifications.messages import MessageContent, Withheld
from groundcontrol.notifications.model import Channel, ChannelId, Delivery, DeliveryId
from groundcontrol.notifications.outbox import DueBell, Outbox
from groundcontrol.notifications.service import ChannelEdit, ChannelService
from groundcontrol.notifications.store import DeliveryFilter
from spider.wire.ids import new_time_id
from tests.support.background import cancelled
from tests.support.clock import RunningClock
from tests.support.eventually import ask_until
from tests.support.store_backend import Backend
from tests.support.vault import a_vault

HUB = "https://hub.example"
Answerer = Callable[["Received"], Awaitable[web.StreamResponse]]


class Received:
    """One request that a receiver got."""

    def __init__(self, path: str, headers: Any, body: bytes) -> None:
        self.path = path
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """An HTTP server that answers as a test says; 200 until then."""

    def __init__(self) -> None:
        self.got: list[Received] = []
        self.answer: Answerer | None = None
        self.statuses: list[int] = []
        """Of the next answers, in turn; 200 when there is none left."""
        self.headers: dict[str, str] = {}
        self.port = 0

    @property
    def ids(self) -> list[str]:
        """`webhook-id` of each request."""
        return [one.headers["webhook-id"] for one in self.got]

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Receiver]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = int(runner.addresses[0][1])
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        received = Received(request.path, request.headers.copy(), await request.read())
        self.got.append(received)
        if self.answer is not None:
            return await self.answer(received)
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers=self.headers if status != 200 else {})


class Contents:
    """`ContentSource`: what a test says, else an open incident."""

    def __init__(self) -> None:
        self.said: dict[str, MessageContent | Withheld] = {}
        """By incident."""

    async def again(self, delivery: Delivery) -> MessageContent | Withheld:
        return await self.content(delivery)

    async def content(self, delivery: Delivery) -> MessageContent | Withheld:
        if delivery.kind == "digest":
            return MessageContent(still_firing=("web-3 is full",))
        incident = delivery.incident_id or ""
        return self.said.get(incident) or told(incident, delivery.at)


def told(incident: str, since: float, *, resolved_at: float | None = None, level: Any = "critical") -> MessageContent:
    """An incident with one episode."""
    state: Any = "open" if resolved_at is None else "resolved"
    firing: Any = "firing" if resolved_at is None else "resolved"
    row = Incident(IncidentId(incident), 1, level, state, "web-3: file system almost full", since, resolved_at, "node:x", 1)
    alert = Alert(
        AlertId("0" * 26), 1, RuleId("filesystem.space"), NodeId("0" * 26), "/var", level, firing, since, since, resolved_at, None, 97.0, 90.0,
        row.id,
    )  # fmt: skip
    return MessageContent(row, (DescribedAlert(alert, "web-3", "File system almost full", "%"),))


class Notifying:
    """Channels and an outbox on a real store."""

    def __init__(self, backend: Backend, clock: RunningClock, egress: Egress) -> None:
        self.backend = backend
        self.clock = clock
        self.vault = a_vault()
        self.links = Links(self.vault.link_key)
        self.contents = Contents()
        self.egress = egress
        self.bell = DueBell()
        self.channels = ChannelService(
            backend.store.channels, backend.store.deliveries, self.vault, self.links, egress, self.bell, clock, lambda: HUB
        )
        self.outbox = Outbox(backend.store.deliveries, lambda _org: self.contents, self.channels, self.bell, clock, lambda: 1.0)

    def wake(self) -> None:
        self.bell.set()

    async def webhook(self, url: str, name: str = "ops", **target: Any) -> Channel:
        return await self.channel("webhook", {"url": url, **target}, name)

    async def channel(self, kind: str, target: object, name: str = "ops", wanted: ChannelEdit | None = None) -> Channel:
        return await self.channels.create(SYSTEM, kind, target, (wanted or ChannelEdit())._replace(name=name))

    def delivery(self, channel: ChannelId, incident: str = "", **fields: Any) -> Delivery:
        now = self.clock.now()
        row = Delivery(
            DeliveryId(new_time_id(now)), 1, channel, "firing", IncidentId(incident or new_time_id(now)), None, 1, "due", "ready", now, None,
            critical=True,
        )  # fmt: skip
        return row._replace(**fields)

    async def add(self, *rows: Delivery) -> None:
        await self.backend.database._control.writer.run(lambda tx: add_deliveries(tx, rows))
        self.wake()

    async def skip(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.shift += seconds
        self.wake()

    async def of(self, delivery: Delivery) -> Delivery:
        return await self.backend.store.deliveries.delivery(SYSTEM, delivery.id)

    async def ends(self, delivery: Delivery) -> Delivery:
        """The row once it is final."""

        async def read() -> Delivery | None:
            row = await self.of(delivery)
            return row if row.state in ("sent", "skipped", "failed") else None

        return (await ask_until(read)) or delivery

    async def waits(self, delivery: Delivery, attempts: int) -> Delivery:
        """The row once so many attempts have failed."""

        async def read() -> Delivery | None:
            row = await self.of(delivery)
            return row if row.state == "due" and row.attempts >= attempts else None

        return (await ask_until(read)) or delivery

    async def rows(self, **only: Any) -> list[Delivery]:
        return (await self.backend.store.deliveries.deliveries(SYSTEM, 1000, None, DeliveryFilter(**only))).items

    async def state(self, channel: ChannelId) -> Channel:
        return await self.backend.store.channels.get(SYSTEM, channel)


@contextlib.asynccontextmanager
async def notifying(backend: Backend, clock: RunningClock, *receivers: Receiver, **options: Any) -> AsyncIterator[Notifying]:
    """A running outbox that may send to these receivers."""
    egress = Egress(frozenset(("127.0.0.1", receiver.port) for receiver in receivers), **options)
    made = Notifying(backend, clock, egress)
    running = asyncio.create_task(made.outbox.run(), name="outbox")
    try:
        yield made
    finally:
        await cancelled(running)
        await egress.close()
