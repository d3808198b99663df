"""Alerts of a running hub, from a node's samples to a receiver, and back through the link in the message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from spider.wire.report_messages import Table
from tests.support.agent import IDENTITY, agents
from tests.support.eventually import eventually
from tests.support.hub import HubProcess, Login
from tests.support.hub_faults import fault_file, set_fault
from tests.support.receivers import Receiver

SETTLED_S = 120.0
"""After its start a hub tells nothing for 90 s, and a first warning waits for 30 s."""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().running() as running:
        yield running


@pytest.fixture
async def hub(tmp_path: Path, receiver: Receiver) -> AsyncIterator[HubProcess]:
    env = {"STARDUST_NOTIFY_ALLOW": f"127.0.0.1:{receiver.port}"}
    process = HubProcess(tmp_path / "hub", faults=["time"], env=env)
    await process.start()
    without_clock_rule(process)
    try:
        yield process
    finally:
        await asyncio.to_thread(process.close)


def without_clock_rule(hub: HubProcess) -> None:
    """The hub's clock jumps in these tests, without any notification."""
    assert hub.local("PATCH", "/api/v1/rules/hub.clock", {"enabled": False, "version": 0}).status == 200


def bodies(receiver: Receiver, kind: str = "") -> list[Any]:
    """The messages that arrived, or those of one kind."""
    return [one.json for one in receiver.got if kind in ("", one.json["kind"])]


def units(*failed: str) -> Table:
    """The node's table of services."""
    cells: list[str | int | None] = [cell for unit in failed for cell in (unit, "", "failed", "exit-code", int(time.time() * 1000))]
    return Table("services", int(time.time() * 1000), len(failed), ["unit", "description", "state", "result", "since"], cells)


async def posted(hub: HubProcess, who: Login, path: str, body: object, status: int = 201) -> Any:
    reply = await hub.call("POST", f"/api/v1{path}", body, token=who.token)
    assert reply.status == status, reply.body
    return reply.json


async def got(hub: HubProcess, who: Login, path: str) -> Any:
    return (await hub.call("GET", f"/api/v1{path}", token=who.token)).json


async def test_a_failed_unit_is_notified_acknowledged_and_resolved_once(hub: HubProcess, receiver: Receiver) -> None:
    who = hub.login()
    channel = await posted(hub, who, "/channels", {"kind": "webhook", "name": "ops", "target": {"url": receiver.url()}})
    rule = {"name": "Service failed at once", "expr": "state(unit_failed)", "select": {"all": True}, "warn": {"trigger": 0, "clear": 0}}
    await posted(hub, who, "/rules", rule)
    [node] = hub.enrol("web-1")
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY, units("backup.service"))
        alert = await eventually(lambda: _firing(hub, "Service failed at once"))
        assert (alert["node_id"], alert["object"], alert["level"]) == (node.node_id, "backup.service", "warning")
        health = hub.node(node.node_id)["health"]
        assert health["level"] == "warning"
        assert health["findings"][0]["object"] == "backup.service"
        explained = (await got(hub, who, f"/alerts/{alert['id']}/explain"))["channels"]
        assert [(one["channel_id"], one["decision"]) for one in explained] == [(channel["id"], "defer")]

        set_fault(hub, "time", str(SETTLED_S))  # a session without a word for so long ends
    [body] = await eventually(lambda: bodies(receiver, "firing"))
    assert body["alerts"][0]["object"] == "backup.service"
    await eventually(lambda: "ops: notified at" in _explained(hub, alert["id"]))

    acknowledged = await posted(hub, who, f"/alerts/{alert['id']}/acknowledge", {"note": "on it"}, 200)
    assert acknowledged["flags"]["acknowledged"]
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY, units())
        [over] = await eventually(lambda: bodies(receiver, "resolved"))
        assert over["incident"]["id"] == body["incident"]["id"]
        await eventually(lambda: hub.node(node.node_id)["health"]["level"] == "ok")
        assert [one["kind"] for one in bodies(receiver)] == ["firing", "resolved"]


def _explained(hub: HubProcess, alert_id: str) -> str:
    [channel] = hub.local("GET", f"/api/v1/alerts/{alert_id}/explain").json["channels"]
    return str(channel["sentence"]) if channel["decision"] == "send" else ""


def _firing(hub: HubProcess, name: str) -> Any:
    alerts = hub.local("GET", "/api/v1/alerts?state=firing").json["alerts"]
    return next((alert for alert in alerts if alert["rule_name"] == name), None)


async def test_a_killed_hub_continues_its_alerts_without_a_second_message(hub: HubProcess, receiver: Receiver) -> None:
    who = hub.login()
    await posted(hub, who, "/channels", {"kind": "webhook", "name": "ops", "target": {"url": receiver.url()}})
    rule = {"name": "Service failed at once", "expr": "state(unit_failed)", "select": {"all": True}, "warn": {"trigger": 0, "clear": 0}}
    await posted(hub, who, "/rules", rule)
    [node] = hub.enrol("web-1")
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY, units("backup.service"))
        alert = await eventually(lambda: _firing(hub, "Service failed at once"))
        set_fault(hub, "time", str(SETTLED_S))
        await eventually(lambda: bodies(receiver, "firing"))
        await eventually(lambda: "ops: notified at" in _explained(hub, alert["id"]))  # it is recorded: else the message is sent once more
    await hub.kill()
    fault_file(hub.folder, "time").write_text(str(SETTLED_S))
    await hub.start()
    again = await eventually(lambda: _firing(hub, "Service failed at once"))
    assert again["id"] == alert["id"]
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY, units())
        await eventually(lambda: bodies(receiver, "resolved"))
    assert [one["kind"] for one in bodies(receiver)] == ["firing", "resolved"]
