"""access.costs: each call and live topic of a cost above `small`, with 1,000 nodes: one alone, and 33 of one user at the same time."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from groundcontrol.slices import TOPICS
from groundcontrol.web.routes import LIMIT, ROOT
from scripts.benches.measure import Results, cpu_seconds, line
from spider.wire.report_messages import LogAck, Table
from tests.support.agent import IDENTITY, QUESTION, agents, layout_of, pack_of
from tests.support.attack_tools import ask, attackers, meanwhile, try_password
from tests.support.hub import PASSWORD, Enrolled, HubProcess
from tests.support.rights_cases import BODIES, MAKERS, Side
from tests.support.route_matrix import BY_NAME, THINGS, kind_of

NODES = int(os.environ.get("STARDUST_COST_NODES", "1000"))
UPDATES = 600
COMING = 16
"""Nodes that connect and report at the same time."""
SECONDS = 300
"""Rows of each node, one a second."""
ALONE, LEAST, ALONE_S = 20, 3, 0.5
"""Single calls, one after the other: the most, the least, and the time after which LEAST are enough. The kernel counts in 10 ms."""
CALLS = 33
JOINED_S = 0.05
ADMIN_PLACE, USERS_PLACE = "127.0.0.2", "127.0.0.3"
SERIES = "cpu.total,memory.used,load.1"
RULE = {
    "name": "Busy", "select": {"all": True}, "expr": "avg(cpu.total, 1m)", "when": "above", "warn": {"trigger": 90, "clear": 80}, "for_s": 60, "clear_s": 60
}  # fmt: skip
FAILED_BACKUP = {"type": "backup_failed", "severity": "error", "message": "no space left"}
ALERTS = 500
"""Alerts that fire: as many as one page of a list has."""
FIRES_WITHIN_S = 60.0

DEAR = {row: route for row, route in BY_NAME.items() if route.cost != "small"}
MADE = {THINGS[row][0] for row in DEAR if row in THINGS} & MAKERS.keys()
"""The kinds of objects that the tests of rights can make, and that a measured call names."""
MEASURED = Side("", "measured")

Call = Callable[[], Awaitable[int]]
"""Makes one call and reads the whole answer. Returns: its status; 503 for a refused topic."""


class Fleet(NamedTuple):
    """The ids that the calls name."""

    nodes: list[str]
    alerts: list[str]
    by_kind: dict[str, str]
    """Kind of object -> the id of one, for calls with an id in their path."""


def requests_of(fleet: Fleet) -> dict[str, tuple[str, object]]:
    """Path and body of each call of a cost above `small`: the most costly that its limits allow.

    They follow from the route, and from how the tests of rights make its objects. Only a call with other parameters has a row here.
    """
    node, few = fleet.nodes[0], "&".join(f"node={one}" for one in fleet.nodes[:50])
    page = f"?{LIMIT.name}=500"
    hour = "metric=cpu.total&metric=memory.used&metric=load.1&points=1000"
    unknown = [{"deployment": node, "fingerprint": "SHA256:" + "A" * 43} for _ in range(256)]
    servers = [{"host": f"192.0.2.{number}"} for number in range(1, 200)] + [{"host": "not a host"}]
    lines = "\n".join(f"root@server-{number}.example:22" for number in range(200))
    now = time.time()
    window = {"select": {"nodes": fleet.nodes[:200]}, "from_at": now + 3600, "until_at": now + 7200, "reason": "measured"}
    policy, rollout = body_of("POST /patch-policies"), body_of("POST /rollouts")
    requests: dict[str, tuple[str, object]] = {
        "GET /auth/sessions": (f"/auth/sessions{page}&user=*", None),
        "GET /tokens": (f"/tokens{page}&user=*", None),
        "GET /nodes": (f"/nodes{page}&metrics={SERIES}", None),
        "GET /nodes/{id}/history": (f"/nodes/{node}/history?{hour}", None),
        "GET /history": (f"/history?{few}&{hour}", None),
        "GET /updates/nodes": (f"/updates/nodes{page}&package=package-7", None),
        "POST /deployments/preview": ("/deployments/preview", {"text": lines}),
        "POST /deployments/many": ("/deployments/many", {"servers": servers, "username": "root", "password": "none"}),
        "POST /deployments/host-keys": ("/deployments/host-keys", {"host_keys": unknown}),
        "POST /deployments/again": ("/deployments/again", {"nodes": fleet.nodes[:200], "username": "root", "password": "none"}),
        "POST /deployments/retry": ("/deployments/retry", {"deployments": [f"{number:026}" for number in range(200)]}),
        "POST /agent-updates": ("/agent-updates", {"nodes": fleet.nodes}),
        "POST /jobs": ("/jobs", {"action": "check", "nodes": fleet.nodes}),
        "GET /jobs": (f"/jobs{page}&by=nobody", None),
        "GET /events": (f"/events{page}&search=nothing-of-this", None),
        "POST /events": ("/events", {**FAILED_BACKUP, "node_id": node}),
        "POST /nodes/{id}/events": (f"/nodes/{node}/events", FAILED_BACKUP),
        "POST /alerts/acknowledge": ("/alerts/acknowledge", {"ids": fleet.alerts}),
        "POST /rules/apply": ("/rules/apply", {"rules": [{**RULE, "name": f"rule {number}"} for number in range(200)], "dry_run": True}),
        "POST /rules/preview": ("/rules/preview", {"rule": RULE, "from": now - 86_400, "to": now}),
        "POST /maintenance": ("/maintenance", window),
        "POST /patch-policies/preview": ("/patch-policies/preview", {"policy": policy}),
        "POST /patch-policies/apply": (
            "/patch-policies/apply",
            {"policies": [{**policy, "name": f"policy {number}"} for number in range(100)], "dry_run": True},
        ),
        "POST /rollouts/preview": ("/rollouts/preview", rollout),
        "POST /windows/now": ("/windows/now", {"kind": "open", "select": {"all": True}, "reason": "measured", "length_s": 3600}),
    }
    for row in DEAR.keys() - requests.keys():
        route, thing = DEAR[row], fleet.by_kind[THINGS[row][0]] if row in THINGS else ""
        requests[row] = (re.sub(r"{\w+}", thing, route.path) + page * (LIMIT in route.query), body_of(row))
    return requests


def body_of(row: str) -> Any:
    """A body for a call, which concerns all nodes where it can; None: the call has none."""
    route = BY_NAME[row]
    maker = MAKERS.get(kind_of(route.path)) if route.method == "POST" else None
    body: Any = maker(MEASURED).body if maker else BODIES.get(row)
    if route.body and "select" in route.body.__struct_fields__:
        kept = body if maker else {name: value for name, value in body.items() if name == "version"}  # an edit that can be repeated
        return {**kept, "select": {"all": True}}
    return body


async def costs() -> Results:
    """One line for each call and live topic of a cost above `small`: one alone, and 33 of one user at the same time. Processor time is that of the whole hub, with its other work."""
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder)) as hub:
        began = time.monotonic()
        fleet = await _fill(hub)
        lines: Results = [line("access.costs.filled", time.monotonic() - began, "s", nodes=NODES)]
        requests = requests_of(fleet)
        async with attackers(hub, [ADMIN_PLACE]) as [owner]:
            for number, route in enumerate(DEAR.values()):
                path, body = requests[f"{route.method} {route.path}"]
                async with _user(hub, number) as (http, token):

                    async def call(
                        method: str = route.method, path: str = path, body: object = body, http: Any = http, token: str = token
                    ) -> int:
                        if isinstance(body, dict) and "name" in body:  # names are unique
                            body = {**body, "name": os.urandom(8).hex()}
                        key = {"Idempotency-Key": os.urandom(16).hex()} if method == "POST" else {}
                        return (await ask(http, method, ROOT + path, body, Authorization=f"Bearer {token}", **key)).status

                    lines += await _measure(hub, owner, f"{route.method} {route.path.removeprefix('/')}", [call] * CALLS)
            for number, topic in enumerate(kind for kind, topic in TOPICS.items() if topic.cost != "small"):
                async with _user(hub, len(DEAR) + number) as (http, token), _sockets(http, token) as sockets:
                    name = f"node:{fleet.nodes[0]}" if topic == "node" else topic
                    calls = [_subscribing(socket, name) for socket in sockets]
                    lines += await _measure(hub, owner, f"live topic {topic}", calls)
    return lines


async def _measure(hub: HubProcess, owner: aiohttp.ClientSession, name: str, calls: list[Call]) -> Results:
    """Time the first call alone, then all calls at the same time, together with a log-in and a health check of another user."""
    await calls[0]()  # fills caches
    before, began = cpu_seconds(hub.pid), time.monotonic()
    alone = [await calls[0]()]
    while len(alone) < ALONE and (len(alone) < LEAST or time.monotonic() - began < ALONE_S):
        alone.append(await calls[0]())
    took, spent = time.monotonic() - began, cpu_seconds(hub.pid) - before

    async def timed(call: Call) -> tuple[int, float]:
        start = time.monotonic()
        return await call(), time.monotonic() - start

    async with meanwhile([timed(call) for call in calls]) as attack:
        await asyncio.sleep(JOINED_S)
        health = await ask(owner, "GET", "/healthz")
        log_in = await try_password(owner, "admin", PASSWORD)
        answers: Any = await attack
    assert (health.status, log_in.status) == (200, 200)
    statuses = Counter(status for status, _ in answers)
    refused = [seconds for status, seconds in answers if status in (429, 503)]
    return [
        {
            "name": f"access.costs.{name}",
            "status": alone[0],
            "cpu_ms": round(1000 * spent / len(alone), 1),
            "alone_ms": round(1000 * took / len(alone), 1),
            "calls": len(calls),
            "answered": len(answers) - len(refused),
            "refused": {str(status): count for status, count in statuses.items() if status in (429, 503)},
            "slowest_answer_ms": round(1000 * max((s for status, s in answers if status not in (429, 503)), default=0.0)),
            "slowest_refusal_ms": round(1000 * max(refused, default=0.0)),
            "log_in_ms": round(1000 * log_in.seconds),
            "healthz_ms": round(1000 * health.seconds),
        }
    ]


@asynccontextmanager
async def _user(hub: HubProcess, number: int) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A new admin, so that no call spends the budget of another call. Gives a client and a token."""
    name = f"user-{number}"
    made = await hub.call("POST", f"{ROOT}/users", {"username": name, "role": "admin"})
    assert made.status == 201, made.body
    async with attackers(hub, [USERS_PLACE]) as [http]:
        first = msgspec.json.decode((await try_password(http, name, made.json["password"])).body)
        chosen = {"current": made.json["password"], "new": f"{PASSWORD} of {name}"}
        done = await ask(http, "POST", f"{ROOT}/auth/password", chosen, Authorization=f"Bearer {first['token']}")
        assert done.status == 200, done.body
        yield http, msgspec.json.decode(done.body)["token"]


@asynccontextmanager
async def _sockets(http: aiohttp.ClientSession, token: str) -> AsyncIterator[list[aiohttp.ClientWebSocketResponse]]:
    """Open as many live sockets as a user may have."""
    headers = {"Authorization": f"Bearer {token}"}
    sockets: list[aiohttp.ClientWebSocketResponse] = []
    try:
        for _ in range(CALLS - 1):
            sockets.append(await http.ws_connect(f"{ROOT}/live", headers=headers, max_msg_size=0))
            await sockets[-1].receive_bytes()
        yield sockets
    finally:
        for socket in sockets:
            await socket.close()


def _subscribing(socket: aiohttp.ClientWebSocketResponse, topic: str) -> Call:
    async def subscribe() -> int:
        await socket.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": topic}]))
        while True:
            kind, _ = msgspec.msgpack.decode(await socket.receive_bytes(timeout=60))
            if kind in ("snapshot", "error"):
                return 200 if kind == "snapshot" else 503

    return subscribe


async def _fill(hub: HubProcess) -> Fleet:
    """Fill the hub with nodes, long tables, some minutes of samples, a job of each node, alerts, and an object of each kind that a call names."""
    cells: list[str | int | None] = [cell for number in range(UPDATES) for cell in (f"package-{number}", "1.0", "1.1", "no", "main")]
    table = Table("updates", int(time.time() * 1000), UPDATES, ["package", "installed", "candidate", "security", "repository"], cells)
    nodes = await asyncio.to_thread(hub.enrol, *(f"node-{number}" for number in range(NODES)))
    turns = asyncio.Semaphore(COMING)

    async def tell(node: Enrolled) -> None:
        async with turns, agents(hub, node) as [agent]:
            await agent.join()
            await agent.say(IDENTITY, table, layout_of(), pack_of(0, at=time.time() - SECONDS, rows=SECONDS), QUESTION)
            await agent.expect(LogAck, 60)
            await agent.wait_acked(0, limit_s=60)

    async with asyncio.TaskGroup() as group:
        for node in nodes:
            group.create_task(tell(node))
    ids = [node.node_id for node in nodes]
    made = await hub.call("POST", f"{ROOT}/jobs", {"action": "check", "nodes": ids})
    assert made.status == 202, made.body
    alerts = await _fire(hub, ids[:ALERTS])
    by_kind = {"organisation": "none", "node": ids[0], "batch": made.json["id"], "job": made.json["jobs"][0]["id"]}
    by_kind |= {"alert": alerts[0]["id"], "incident": alerts[0]["incident_id"]}
    for kind in MADE - by_kind.keys():
        making = MAKERS[kind](MEASURED)
        answer = await hub.call("POST", f"{ROOT}/{making.path}", body_of(f"POST /{making.path}"))
        assert answer.status in (201, 202), answer.body
        by_kind[kind] = making.id_of(answer.json)
    return Fleet(ids, [alert["id"] for alert in alerts], by_kind)


async def _fire(hub: HubProcess, nodes: list[str]) -> list[dict[str, Any]]:
    """Fire an alert of each of these nodes. Returns: the alerts. Raises: TimeoutError: after FIRES_WITHIN_S."""
    for node in nodes:
        answer = await hub.call("POST", f"{ROOT}/nodes/{node}/events", FAILED_BACKUP)
        assert answer.status == 202, answer.body
    ends_at = time.monotonic() + FIRES_WITHIN_S
    while True:
        alerts: list[dict[str, Any]] = (await hub.call("GET", f"{ROOT}/alerts?state=firing&limit={ALERTS}")).json["alerts"]
        if len(alerts) == len(nodes):
            return alerts
        if time.monotonic() > ends_at:
            raise TimeoutError(f"{len(alerts)} of {len(nodes)} alerts fired")
        await asyncio.sleep(1)
