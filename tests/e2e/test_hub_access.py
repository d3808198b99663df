"""Access to the hub's endpoints: public, with a token, and over the local socket only."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import aiohttp
import msgspec
import pytest

from groundcontrol import local_api
from groundcontrol.agents.watch_leases import FIRST_LOOK_S
from groundcontrol.slices import ROUTES
from spider.wire.sample_messages import Watch
from tests.support.agent import IDENTITY, agents, layout_of, pack_of
from tests.support.hub import HubProcess


def test_the_health_endpoint_is_public(shared_hub: HubProcess) -> None:
    reply = shared_hub.request("GET", "/healthz")
    assert reply.status == 200
    assert reply.json == {"status": "ok", "version": reply.json["version"], "database": True}
    assert "nosniff" in str(reply.headers)


def test_metrics_need_a_token(shared_hub: HubProcess) -> None:
    assert shared_hub.request("GET", "/metrics").status == 401
    assert shared_hub.request("GET", "/metrics", token="wrong").status == 401
    reply = shared_hub.request("GET", "/metrics", token=shared_hub.login().token)
    assert reply.status == 200
    lines = reply.body.decode().splitlines()
    named = {line.partition(" ")[0] for line in lines}
    assert {
        "stardust_agents_online",
        "stardust_pages_open",
        "stardust_compaction_backlog",
        "stardust_events_waiting",
        "stardust_loop_lag_seconds_max",
        'stardust_alerts{level="critical",state="firing"}',
        'stardust_alerts{level="warning",state="suppressed"}',
        "stardust_outbox_oldest_seconds",
        "stardust_rule_eval_seconds_total",
    } <= named
    dropped = {
        "packs_dropped_total",
        "bus_dropped_total",
        "pages_cut_total",
        "connections_cut_total",
        'commands_refused_total{database="samples"}',
    }
    assert {f"stardust_{name}" for name in dropped} <= named, "what has a limit counts what it did not take"
    assert all(line.startswith(("# HELP stardust_", "# TYPE stardust_", "stardust_")) for line in lines)


LOCAL: dict[str, Any] = {
    "POST /local/recovery": {},
    "DELETE /local/recovery": None,
    "POST /local/enrol": {"names": ["x"]},
    "GET /local/dialled": None,
    "GET /local/page": None,
    "POST /local/reset-user": {"username": "admin"},
    "POST /local/tokens": {"name": "stolen", "role": "admin", "sensitive": True},
    "POST /local/clock": None,
    "POST /users/{username}/totp-reset": None,
}
"""What exists on the local socket alone, with a body that it would take: a new row here is a decision."""


@pytest.mark.holds("SAFETY-38", "S-23")
def test_routes_outside_the_table_exist_only_on_the_local_socket() -> None:
    assert [f"{route.method} {route.path}" for route in local_api.routes("fleet", b"") if route.local] == list(LOCAL)
    assert all(route.local for route in local_api.routes("fleet", b""))
    assert not any(route.local for route in ROUTES)


@pytest.mark.holds("SAFETY-38", "S-23")
@pytest.mark.parametrize("row", LOCAL)
def test_local_routes_do_not_exist_on_the_network(shared_hub: HubProcess, row: str) -> None:
    """Not for an admin with a fresh proof, nor for a token with every right."""
    method, _, path = row.replace(" ", " /api/v1").replace("{username}", "admin").partition(" ")
    assert shared_hub.request(method, path, LOCAL[row]).status == 401
    admin = shared_hub.login()
    sensitive = {"name": row[-40:], "role": "admin", "sensitive": True}
    token = shared_hub.request("POST", "/api/v1/tokens", sensitive, token=admin.token).json["token"]
    for bearer in (admin.token, token):
        reply = shared_hub.request(method, path, LOCAL[row], token=bearer)
        assert (reply.status, reply.json["code"]) == (404, "not_found")
    assert b"stolen" not in shared_hub.local("GET", "/api/v1/tokens").body
    assert shared_hub.login().token


@pytest.mark.parametrize(
    "body",
    [
        {"names": []},
        {"names": ["a", "a"]},
        {"names": [""]},
        {"names": ["a\x1bb"]},
        {"names": ["a"], "address": ""},
        {"names": "a"},
        {"name": "a"},
        {"names": ["x" * 101]},
    ],
)
def test_an_invalid_enrolment_is_refused(shared_hub: HubProcess, body: object) -> None:
    assert shared_hub.local("POST", "/api/v1/local/enrol", body).status == 400


def test_node_names_are_unique(shared_hub: HubProcess) -> None:
    shared_hub.enrol("only-one")
    assert shared_hub.local("POST", "/api/v1/local/enrol", {"names": ["only-one"]}).status == 409


def test_actions_over_the_local_socket_are_audited_as_local(shared_hub: HubProcess) -> None:
    shared_hub.enrol("audited")
    rows = shared_hub.local("GET", "/api/v1/audit").json["audit"]
    assert any(row["actor"] == f"local:{os.geteuid()}" and row["action"] == "node.create" for row in rows)


async def test_a_watched_node_is_requested_to_send_every_second(shared_hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(shared_hub.enrol, "watched")
    async with agents(shared_hub, node) as [agent], aiohttp.ClientSession() as http:
        await agent.join()
        await agent.say(IDENTITY, layout_of())
        token = (await asyncio.to_thread(shared_hub.login)).token
        async with http.ws_connect(
            f"{shared_hub.url}/api/v1/live", headers={"Authorization": f"Bearer {token}", "Origin": f"http://127.0.0.1:{shared_hub.port}"}
        ) as live:
            await live.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": f"node:{node.node_id}"}]))
            while (watch := await agent.expect(Watch)).lease_s <= FIRST_LOOK_S or "pulse" not in watch.families:
                pass  # each node is looked at for its first seconds
            assert (watch.rhythm_s, watch.lease_s > 5) == (1, True)
            await agent.say(pack_of(0))
            async with asyncio.timeout(60):
                while True:
                    kind, body = msgspec.msgpack.decode(await live.receive_bytes())
                    if kind == "change" and body["data"].get("latest", {}).get("cpu.total"):
                        break
            assert body["data"]["latest"]["cpu.total"]["value"] == 12.34
