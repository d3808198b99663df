"""The hub is killed at random points between a sample and the delivery of its alert: no alert is lost, and duplicates share their id."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from spider.wire.codec import pack_rows
from spider.wire.frames import Message
from spider.wire.sample_messages import STREAM_LIVE, Pack, Row
from tests.support.agent import TestAgent, agents, layout_of
from tests.support.eventually import eventually
from tests.support.hub import Enrolled, HubProcess
from tests.support.hub_faults import fault_file, set_fault
from tests.support.receivers import Received, Receiver

NODES = 10
"""The load of one of them changes in each round, so each value stays for so many rounds."""
KILLED_WITHIN_S = 8.0
"""After the samples: time for a tick, its transaction and a message, and for the next look of the outbox."""
JUMP_S = 110.0
"""Each round takes so long by the hub's clock: what waits for a start of the hub to settle, or for a lease, is due then."""
RULE = {"name": "Load is high", "expr": "last(load.1)", "select": {"all": True}, "crit": {"trigger": 50, "clear": 20}}
LAYOUT = layout_of(series=["load.1"])
FINAL = ("sent", "skipped", "failed")


class Fleet:
    """A hub with a jumping clock, its nodes, and the load of each."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.hub = HubProcess(folder, faults=["clock"], env={"STARDUST_NOTIFY_ALLOW": f"127.0.0.1:{receiver.port}"})
        self.receiver = receiver
        self.nodes: list[Enrolled] = []
        self.high = [False] * NODES
        self.ahead_s = 0.0

    async def prepare(self) -> None:
        """One channel and one rule that is critical immediately, and no other."""
        await self.hub.start()
        self.nodes = await asyncio.to_thread(self.hub.enrol, *(f"web-{at}" for at in range(NODES)))
        defaults = [{"id": rule["id"], "enabled": False} for rule in await self.get("/rules", "rules")]
        target = {"url": self.receiver.url()}
        for path, body in (
            ("/rules/apply", {"rules": defaults}),
            ("/rules", RULE),
            ("/channels", {"kind": "webhook", "name": "ops", "target": target}),
        ):
            reply = await self.hub.call("POST", f"/api/v1{path}", body)
            assert reply.status in (200, 201), reply.body

    async def get(self, path: str, name: str) -> Any:
        return (await self.hub.call("GET", f"/api/v1{path}")).json[name]

    async def jump(self) -> None:
        self.ahead_s += JUMP_S
        await asyncio.to_thread(set_fault, self.hub, "clock", str(self.ahead_s))

    async def report(self, made: Sequence[TestAgent]) -> None:
        """All nodes connect; then time passes, and each sends its load of the last 25 seconds."""
        await asyncio.gather(*(agent.join() for agent in made))
        await self.jump()
        until = time.time() + self.ahead_s
        await asyncio.gather(*(agent.say(*samples(agent, until, high)) for agent, high in zip(made, self.high, strict=True)))

    async def restart(self) -> None:
        fault_file(self.hub.folder, "clock").write_text(str(self.ahead_s))
        await self.hub.start()


def samples(agent: TestAgent, until: float, high: bool) -> tuple[Message, ...]:
    rows = [Row(int((until - 25 + second) * 1000), [10_000 if high else 100]) for second in range(25)]
    coding, body = pack_rows(rows)
    return LAYOUT, Pack(STREAM_LIVE, agent.acked[STREAM_LIVE] + 1, LAYOUT.layout, coding, body)


@pytest.mark.slow
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("kills", [40, 100])
async def test_no_message_is_lost_by_a_hub_that_is_killed_between_sample_and_delivery(tmp_path: Path, kills: int) -> None:
    dice = random.Random(kills)

    async def slowly(_received: Received) -> web.StreamResponse:
        await asyncio.sleep(dice.uniform(0, 1))
        return web.Response()

    async with Receiver().running() as receiver:
        receiver.answer = slowly
        fleet = Fleet(tmp_path / "hub", receiver)
        try:
            await fleet.prepare()
            for kill in range(kills):
                fleet.high[kill % NODES] = not fleet.high[kill % NODES]
                async with agents(fleet.hub, *fleet.nodes) as made:
                    await fleet.report(made)
                    await asyncio.sleep(dice.uniform(0, KILLED_WITHIN_S))
                    await fleet.hub.kill()
                await fleet.restart()
            async with agents(fleet.hub, *fleet.nodes) as made:
                await fleet.report(made)
                rows = await settled(fleet, kills)
            check(await fleet.get("/alerts?limit=500", "alerts"), rows, receiver, kills)
        finally:
            await asyncio.to_thread(fleet.hub.close)


async def settled(fleet: Fleet, kills: int) -> Any:
    """Each change has its alert and its message, and nothing waits any more. Returns: the messages."""

    def read() -> Any:
        firing = fleet.hub.local("GET", "/api/v1/alerts?state=firing").json["alerts"]
        rows = fleet.hub.local("GET", "/api/v1/deliveries?limit=500").json["deliveries"]
        return len(firing) == sum(fleet.high) and len(rows) >= kills and all(row["state"] in FINAL for row in rows) and rows

    for _ in range(20):  # what a lease or a wait holds up is due after a while
        try:
            return await eventually(read, 10)
        except TimeoutError:
            await fleet.jump()
    rows = await fleet.get("/deliveries?limit=500", "deliveries")
    raise AssertionError(f"messages still wait, or are missing: {[row for row in rows if row['state'] not in FINAL] or len(rows)}")


def check(alerts: list[Any], rows: list[Any], receiver: Receiver, kills: int) -> None:
    per_node = Counter(alert["node_id"] for alert in alerts)
    rises = Counter(kill % NODES for kill in range(kills) if kill // NODES % 2 == 0)
    assert sorted(per_node.values()) == sorted(rises.values()), "each rise of a load is one episode"
    intents = Counter((row["incident_id"], row["kind"]) for row in rows)
    wanted = {
        (alert["incident_id"], kind)
        for alert in alerts
        for kind in ("firing", "resolved")
        if kind == "firing" or alert["state"] == "resolved"
    }
    assert intents == Counter(wanted), "one message for each start and each end"
    assert {row["reason"] for row in rows if row["state"] != "sent"} <= {"resolved_before_delivery", "never_told_firing"}
    copies = Counter(receiver.ids)
    assert set(copies) == {row["id"] for row in rows if row["state"] == "sent"}, "what was sent has arrived, and nothing else"
    assert all(copies[row["id"]] <= row["attempts"] for row in rows if row["state"] == "sent")
    assert sum(copies.values()) - len(copies) <= kills
    said = {(one.headers["webhook-id"], one.json["kind"], one.json["incident"]["id"]) for one in receiver.got}
    assert len(said) == len(copies), "copies say the same"
    states = Counter(row["state"] for row in rows)
    print(f"{kills} kills: {len(alerts)} episodes, {len(rows)} messages, {sum(copies.values()) - len(copies)} copies, {dict(states)}")
