"""Two organisations on one hub: a node of the second has samples, jobs, alerts, messages, deployments and live topics beside one of the first."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from spider.wire.ids import new_random_id
from spider.wire.job_messages import JobAnswer, JobStart
from spider.wire.report_messages import Table
from tests.support.agent import IDENTITY, agents, layout_of, pack_of
from tests.support.eventually import eventually
from tests.support.hub import Enrolled, HubProcess, Login
from tests.support.hub_faults import set_fault
from tests.support.job_messages import ended
from tests.support.receivers import Receiver
from tests.support.wire import open_order

FIRST, SECOND = 1, 2
SETTLED_S = 120.0


@pytest.fixture
async def receivers() -> AsyncIterator[list[Receiver]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Receiver().running()) for _ in range(2)]


def second_organisation(hub: HubProcess, node: Enrolled) -> None:
    """Give the node to a second organisation, which has one user: as the first, with another name."""
    with sqlite3.connect(hub.folder / "stardust.db") as db:
        db.row_factory = sqlite3.Row
        db.execute(
            "INSERT INTO organisation (no, id, slug, name, state, sso_only, require_totp, created_at, version)"
            " VALUES (?, '00000000000000000000000002', 'second', 'Second', 'active', 0, 'none', 1.0, 0)",
            (SECOND,),
        )
        db.execute("UPDATE node SET org = ? WHERE id = ?", (SECOND, node.node_id))
        user = dict(db.execute("SELECT * FROM account WHERE username = 'admin'").fetchone())
        del user["no"]
        user |= {"id": new_random_id(), "username": "second", "username_key": "second", "instance_admin": 0}
        db.execute(f"INSERT INTO account ({', '.join(user)}) VALUES ({', '.join('?' * len(user))})", tuple(user.values()))
        db.execute(
            "INSERT INTO membership (org, account, role, source, reason, created_at)"
            " SELECT ?, no, 'admin', 'local', '', 1.0 FROM account WHERE username = 'second'",
            (SECOND,),
        )
    db.close()


def read(hub: HubProcess, who: Login, path: str) -> Any:
    reply = hub.request("GET", f"/api/v1{path}", token=who.token)
    assert reply.status == 200, reply.body
    return reply.json


async def posted(hub: HubProcess, who: Login, path: str, body: object) -> Any:
    reply = await hub.call("POST", f"/api/v1{path}", body, token=who.token)
    assert reply.status in (200, 201, 202), reply.body
    return reply.json


def failed_unit() -> Table:
    now = int(time.time() * 1000)
    return Table(
        "services", now, 1, ["unit", "description", "state", "result", "since"], ["backup.service", "", "failed", "exit-code", now]
    )


def _told(receiver: Receiver) -> list[Any]:
    return [one.json for one in receiver.got if one.json["kind"] == "firing"]


async def fleet_of(hub: HubProcess, who: Login) -> list[str]:
    """The names of the nodes that a live page shows first."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {who.token}"}) as http,
        http.ws_connect(f"{hub.url}/api/v1/live") as live,
    ):
        await live.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": "fleet"}]))
        while True:
            kind, body = msgspec.msgpack.decode((await live.receive(timeout=60)).data)
            if kind == "snapshot":
                return [node["name"] for node in body["data"]["nodes"]]


@pytest.mark.holds("SAFETY-108")
@pytest.mark.timeout(180)
async def test_a_node_of_a_second_organisation_is_served_beside_one_of_the_first(tmp_path: Path, receivers: list[Receiver]) -> None:
    allow = ", ".join(f"127.0.0.1:{one.port}" for one in receivers)
    hub = HubProcess(tmp_path / "hub", faults=["time"], env={"STARDUST_NOTIFY_ALLOW": allow})
    await hub.start()
    try:
        nodes = hub.enrol("web-1", "web-2")
        await hub.stop()
        second_organisation(hub, nodes[1])
        await hub.start()
        people = [hub.login(), hub.login("second")]
        rules = []
        for who, receiver in zip(people, receivers, strict=True):
            await hub.call("PATCH", "/api/v1/rules/hub.clock", {"enabled": False, "version": 0}, token=who.token)
            await posted(hub, who, "/channels", {"kind": "webhook", "name": "ops", "target": {"url": receiver.url()}})
            rule = {
                "name": "Service failed at once",
                "expr": "state(unit_failed)",
                "select": {"all": True},
                "warn": {"trigger": 0, "clear": 0},
            }
            rules.append(await posted(hub, who, "/rules", rule))
        async with agents(hub, *nodes) as joined:
            for agent in joined:
                await agent.join()
                layout = layout_of()
                await agent.say(
                    IDENTITY._replace(policy_mode="managed", policy_verbs=["check"]), layout, pack_of(0, layout=layout), failed_unit()
                )
                await agent.wait_acked(0)
            for who, node, other, agent in zip(people, nodes, reversed(nodes), joined, strict=True):
                found = await eventually(partial(_online, hub, who))
                assert [one["name"] for one in found] == [node.name]
                assert found[0]["latest"], "its samples are live"
                assert await fleet_of(hub, who) == [node.name]
                reply = await hub.call("GET", f"/api/v1/nodes/{other.node_id}", token=who.token)
                assert reply.status == 404
                job = await posted(hub, who, f"/nodes/{node.node_id}/jobs", {"action": "check"})
                start = await agent.expect(JobStart)
                assert start.job == job["id"]
                assert open_order(node.launch_key, start.order).verb == "check"
                await agent.say(JobAnswer(job["id"], "accepted", "", int(time.time() * 1000)), ended(job["id"], b""))
                await eventually(partial(_succeeded, hub, who, job["id"]))
                alert = await eventually(partial(_firing, hub, who))
                assert (alert["node_id"], alert["object"]) == (node.node_id, "backup.service")
                deployments = await asyncio.to_thread(read, hub, who, "/deployments")
                assert deployments["deployments"] == []
            set_fault(hub, "time", str(SETTLED_S))
        for node, receiver in zip(nodes, receivers, strict=True):
            [body] = await eventually(partial(_told, receiver))
            assert [one["node_name"] for one in body["alerts"] if one["object"] == "backup.service"] == [node.name]
        assert rules[0]["id"] != rules[1]["id"]
        await hub.kill()
        await hub.start()
        for who, node in zip([hub.login(), hub.login("second")], nodes, strict=True):
            alert = await eventually(partial(_firing, hub, who))
            assert alert["node_id"] == node.node_id, "each organisation continues its own alerts"
    finally:
        await asyncio.to_thread(hub.close)


@pytest.mark.holds("SAFETY-108")
@pytest.mark.timeout(240)
async def test_an_organisation_is_suspended_resumed_and_deleted_beside_another(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub", env={"STARDUST_METRICS_TOKEN": "of-the-whole-hub-0123"})
    await hub.start()
    try:
        nodes = hub.enrol("web-1", "web-2")
        await hub.stop()
        second_organisation(hub, nodes[1])
        await hub.start()
        first, second = hub.login(), hub.login("second")
        async with agents(hub, *nodes) as joined:
            for agent in joined:
                await agent.join()
                layout = layout_of()
                await agent.say(IDENTITY._replace(policy_mode="managed", policy_verbs=["check"]), layout, pack_of(0, layout=layout))
                await agent.wait_acked(0)
            assert figure(hub.request("GET", "/metrics", token="of-the-whole-hub-0123"), "agents_online") == "2.0"
            for who in (first, second):
                answer = hub.request("GET", "/metrics", token=who.token)
                assert figure(answer, "agents_online") == "1.0"
                assert b"rows_total" not in answer.body, "the hub's own figures tell how busy the others are"
            job = await posted(hub, second, f"/nodes/{nodes[1].node_id}/jobs", {"action": "check"})
            await joined[1].expect(JobStart)

            there = {"Stardust-Organisation": "second"}
            assert hub.local("GET", "/api/v1/nodes", headers=there).status == 200
            assert hub.local("POST", "/api/v1/organisations/second/suspend").status == 200
            for refused in (hub.local("GET", "/api/v1/nodes", headers=there), hub.request("GET", "/metrics", token=second.token)):
                assert (refused.status, refused.json["code"]) == (403, "organisation.suspended")
            await joined[1].say(JobAnswer(job["id"], "accepted", "", int(time.time() * 1000)), ended(job["id"], b""))
            await joined[1].say(pack_of(1, layout=layout))
            await joined[1].wait_acked(1)
            assert hub.local("POST", "/api/v1/organisations/second/resume", headers=there).status == 200
            await eventually(partial(_succeeded, hub, second, job["id"]))

            assert rows_about(hub, nodes[1]), "there is something to delete"
            gone = hub.local("DELETE", "/api/v1/organisations/second", {"typed": "second", "abandon": True})
            assert gone.status == 204, gone.body
            await joined[1].wait_closed()
        await hub.stop()
        assert rows_about(hub, nodes[1]) == [], "no row and no sample is left in either database"
        left = [path.name for path in hub.folder.rglob("*") if nodes[1].node_id in path.name or job["id"] in path.name]
        assert left == []
        await hub.start()
        assert [one["name"] for one in read(hub, hub.login(), "/nodes")["nodes"]] == ["web-1"]
        assert rows_about(hub, nodes[0]), "the other organisation is untouched"
    finally:
        await asyncio.to_thread(hub.close)


def figure(answer: Any, name: str) -> str:
    assert answer.status == 200, answer.body
    return next(str(line.split()[1]) for line in answer.body.decode().splitlines() if line.startswith(f"stardust_{name} "))


_TOMBSTONES = {"node_grave", "job_grave", "fence"}
"""Ids and numbers that were used once and never come back."""


def rows_about(hub: HubProcess, node: Enrolled) -> list[str]:
    """The tables of both databases with a row that names the node, its number, or its organisation if that is the second.

    The first organisation enrolled both nodes, so its own log names the second for ever.
    """
    found = []
    with closing(sqlite3.connect(hub.folder / "stardust.db")) as db:
        numbers = [no for (no,) in db.execute("SELECT no FROM node WHERE id = ?", (node.node_id,))]
        numbers = NUMBERS.setdefault(node.node_id, numbers)
    for path in (hub.folder / "stardust.db", hub.folder / "stardust-samples.db"):
        with closing(sqlite3.connect(path)) as db:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            for table in tables:
                columns = [column for (_, column, *_) in db.execute(f"PRAGMA table_info({table})")]
                for row in db.execute(f"SELECT * FROM {table}"):
                    named = dict(zip(columns, row, strict=True))
                    if table not in _TOMBSTONES and (
                        (named.get("org") != FIRST and any(isinstance(value, str) and node.node_id in value for value in row))
                        or (named.get("org") == FIRST and named.get("id") == node.node_id)
                        or (path.stem.endswith("samples") and named.get("node") in numbers)
                        or (node.name == "web-2" and named.get("org") == SECOND)
                    ):
                        found.append(f"{path.name}: {table}")
                        break
    return found


NUMBERS: dict[str, list[int]] = {}
"""Of nodes, as they were before their deletion."""


def _online(hub: HubProcess, who: Login) -> Any:
    nodes = read(hub, who, "/nodes")["nodes"]
    return nodes if nodes and all(node["state"] == "online" and node["latest"] for node in nodes) else None


def _succeeded(hub: HubProcess, who: Login, job: str) -> bool:
    return bool(read(hub, who, f"/jobs/{job}")["state"] == "succeeded")


def _firing(hub: HubProcess, who: Login) -> Any:
    alerts = read(hub, who, "/alerts?state=firing")["alerts"]
    return next((alert for alert in alerts if alert["rule_name"] == "Service failed at once"), None)
