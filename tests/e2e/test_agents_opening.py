"""The opening of an agent's session: refused nodes, clones, successors, and repeated handshakes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from functools import partial

import aiohttp
import pytest

from spider.wire.errors import NotProven
from spider.wire.frames import CLOSE_CLONE, CLOSE_GOING_AWAY, CLOSE_HOST, CLOSE_PROTOCOL, CLOSE_UNKNOWN, SUBPROTOCOL, Farewell
from spider.wire.ids import new_random_id
from spider.wire.session import NodeOpening
from tests.support.agent import AgentClosed, TestAgent, agents, layout_of, node_name, pack_of
from tests.support.attack_tools import addresses, attackers
from tests.support.eventually import ask_until, eventually
from tests.support.hub import Enrolled, HubProcess


async def test_an_unknown_node_gets_a_false_proof_and_is_disconnected(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node._replace(node_id=new_random_id()), node) as [stranger, forger]:
        for agent, opening in (
            (stranger, NodeOpening(stranger.node.node_id, 1, node.session_key, "b" * 32, stranger.host, "0", [], [], os.urandom(32))),
            (forger, NodeOpening(node.node_id, 1, os.urandom(32), "b" * 32, forger.host, "0", [], [], os.urandom(32))),
        ):
            await agent.connect()
            await agent.raw(opening.hello())
            challenge = await agent.receive_raw()
            assert len(challenge) > 64
            await agent.raw(b"\x92\x03\xc4\x20" + os.urandom(32))
            assert (await agent.wait_closed()).code == CLOSE_UNKNOWN


@pytest.mark.holds("SAFETY-42", "S-38")
async def test_a_relayed_session_is_refused(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node) as [agent]:
        agent.host = "hub.example.com"
        with pytest.raises(AgentClosed) as closed:
            await agent.join()
        assert closed.value.code == CLOSE_HOST


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_every_name_of_this_machine_is_accepted_without_a_server_url(shared_hub: HubProcess, host: str) -> None:
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node) as [agent]:
        agent.host = f"{host}:{shared_hub.port}"
        await agent.join()


async def test_a_generation_that_is_neither_current_nor_next_is_unknown(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node._replace(generation=5)) as [agent]:
        await agent.connect()
        opening = NodeOpening(node.node_id, 5, node.session_key, "b" * 32, agent.host, "0", [], [], os.urandom(32))
        await agent.raw(opening.hello())
        await agent.receive_raw()
        await agent.raw(b"\x92\x03\xc4\x20" + os.urandom(32))
        assert (await agent.wait_closed()).code == CLOSE_UNKNOWN


@pytest.mark.holds("S-43")
async def test_a_farewell_deletes_the_node_and_its_key_is_refused(shared_hub: HubProcess) -> None:
    hub, label = shared_hub, node_name()
    node, other = hub.enrol(label, node_name())
    async with agents(hub, node, other) as [agent, neighbour]:
        await neighbour.join()
        await agent.join()
        await agent.say(Farewell("uninstalled \x1b[31mby root"))
        assert (await agent.wait_closed()).code == CLOSE_UNKNOWN
        assert (await hub.call("GET", f"/api/v1/nodes/{node.node_id}")).status == 404
        assert hub.node(other.node_id)["state"] == "online"
        events = (await hub.call("GET", "/api/v1/events?limit=50")).json["events"]
        told = next(event for event in events if event["type"] == "node_uninstalled")
        assert label in told["message"]
        assert "\x1b" not in told["message"]
        audit = (await hub.call("GET", "/api/v1/audit?limit=50")).json["audit"]
        assert next(row["actor"] for row in audit if row["action"] == "node.delete") == f"node:{node.node_id}"
    async with agents(hub, node) as [again]:
        with pytest.raises(NotProven):  # a hub that forgot a node cannot prove itself to it either
            await again.join()


@pytest.mark.holds("SAFETY-49", "S-43", "F-24")
async def test_a_clone_is_refused_while_the_first_node_is_connected(shared_hub: HubProcess) -> None:
    """However often it comes, the node's state does not change."""
    times = 40
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node) as [first]:
        await first.join()
        reading = asyncio.create_task(first.wait_closed(20 * times))  # answers pings
        for _ in range(times):
            async with agents(shared_hub, node) as [clone]:
                clone.boot = "c" * 32
                with pytest.raises(AgentClosed) as closed:
                    await clone.join()
                assert closed.value.code == CLOSE_CLONE
        assert not reading.done()
        reading.cancel()
        assert shared_hub.node(node.node_id)["state"] == "online"
        events = (await shared_hub.call("GET", f"/api/v1/events?node={node.node_id}&limit=500")).json["events"]
        types = [event["type"] for event in events]
        assert "node_cloned" in types
        assert (types.count("node_online"), types.count("node_offline")) == (1, 0)


async def test_another_boot_takes_over_when_the_first_one_is_dead(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node, node) as [first, second]:
        await first.join()  # and from now on it does not read, so it answers no ping
        second.boot = "d" * 32
        await second.join()
        await second.say(layout_of(), pack_of(0))
        await second.wait_acked(0)


@pytest.mark.holds("SAFETY-49", "SAFETY-80", "F-25")
async def test_the_newest_session_of_one_boot_wins_and_the_old_one_is_fenced(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node, node) as [old, new]:
        first = await old.join()
        second = await new.join()
        assert second.epoch > first.epoch
        assert (await old.wait_closed()).code == CLOSE_CLONE
        await new.say(layout_of(), pack_of(0))
        await new.wait_acked(0)


@pytest.mark.holds("SAFETY-25", "S-11")
async def test_a_browser_is_refused_at_the_agent_endpoint(shared_hub: HubProcess) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(shared_hub.ws_url, protocols=(SUBPROTOCOL,), origin=shared_hub.url)
        assert refused.value.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(shared_hub.ws_url)
        assert refused.value.status == 400


async def test_close_codes_that_a_peer_chose_are_one_series_of_the_metrics(shared_hub: HubProcess) -> None:
    async with aiohttp.ClientSession() as http:
        for code in (3998, 4321):
            ws = await http.ws_connect(shared_hub.ws_url, protocols=(SUBPROTOCOL,))
            await ws.close(code=code)

    def reasons() -> set[str]:
        lines = shared_hub.local("GET", "/metrics").body.decode().splitlines()
        return {line.partition(" ")[0].partition("reason=")[2] for line in lines if "agents_refused_total{" in line}

    await eventually(lambda: '"peer"}' in reasons())
    assert not reasons() & {'"3998"}', '"4321"}'}


@pytest.mark.holds("SAFETY-52", "S-28")
async def test_silent_sockets_do_not_block_nodes(shared_hub: HubProcess) -> None:
    """Four addresses hold every place, then the node's own address is full as well."""
    first, second = shared_hub.enrol(node_name(), node_name())
    async with attackers(shared_hub, [*addresses(4), "127.0.0.1"]) as [*strangers, neighbour]:
        silent = [await http.ws_connect("/ws", protocols=(SUBPROTOCOL,)) for http in strangers for _ in range(16)]
        async with agents(shared_hub, first, second) as [one, other]:
            await one.join()
            silent += [await neighbour.ws_connect("/ws", protocols=(SUBPROTOCOL,)) for _ in range(20)]
            await other.join()
        assert (await shared_hub.call("GET", "/healthz")).status == 200
        async with asyncio.timeout(60):
            for ws in silent:
                await ws.receive()
        codes = {ws.close_code for ws in silent}
    ended_for_others = {CLOSE_GOING_AWAY, aiohttp.WSCloseCode.ABNORMAL_CLOSURE}  # the second: this client has read too late
    assert CLOSE_PROTOCOL in codes, "the last end by their time"
    assert ended_for_others >= codes - {CLOSE_PROTOCOL}


async def joins(hub: HubProcess, node: Enrolled) -> bool:
    """Open a session of a node. Returns: False: the hub asked the node to connect again later."""
    async with agents(hub, node) as [agent]:
        try:
            await agent.join()
        except AgentClosed as closed:
            if closed.code != CLOSE_GOING_AWAY:
                raise
            return False
    return True


@pytest.mark.holds("SAFETY-52", "S-28")
async def test_repeated_handshakes_of_one_node_do_not_block_others(shared_hub: HubProcess) -> None:
    """Its first session answers no ping, so that each of its openings waits for a probe, from five addresses."""
    bad, good = shared_hub.enrol(node_name(), node_name())
    boots = itertools.count()

    async def prove(http: aiohttp.ClientSession) -> None:
        while True:
            agent = TestAgent(shared_hub, bad, http, f"{next(boots):032x}")
            with contextlib.suppress(AgentClosed, aiohttp.ClientError):
                await agent.join()
                await asyncio.sleep(60)  # deaf as well
            await agent.close()
            await asyncio.sleep(0.05)

    async with agents(shared_hub, bad) as [deaf], attackers(shared_hub, addresses(5)) as strangers, asyncio.TaskGroup() as attack:
        await deaf.join()
        proving = [attack.create_task(prove(http)) for http in strangers for _ in range(20)]
        await asyncio.sleep(0.5)
        for _ in range(3):
            await ask_until(partial(joins, shared_hub, good), what="it is kept out")
        for task in proving:
            task.cancel()
    rows = (await shared_hub.call("GET", "/api/v1/audit?limit=500")).json["audit"]
    rows = [row for row in rows if row["action"] == "agent.open" and bad.node_id in row["actor"]]
    assert "too_many_sessions" in json.dumps(rows), "each of them counts for its node"


@pytest.mark.holds("S-48")
async def test_refused_handshakes_are_one_audit_row_and_two_log_lines_per_cause(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(node_name())
    place = "127.0.9.48"
    async with attackers(shared_hub, [place]) as [stranger]:
        for _ in range(5):
            async with stranger.ws_connect("/ws", protocols=(SUBPROTOCOL,)) as ws:
                await ws.send_bytes(b"nonsense")
                await ws.receive()
    for _ in range(3):
        async with agents(shared_hub, node) as [agent]:
            agent.host = "elsewhere.example"
            with pytest.raises(AgentClosed):
                await agent.join()
    for _ in range(3):
        async with agents(shared_hub, node) as [agent]:
            await agent.join()
            await agent.raw(b"nonsense")
            await agent.wait_closed()

    def refused() -> set[tuple[str, str, str]]:
        rows = shared_hub.local("GET", "/api/v1/audit?limit=500").json["audit"]
        ours = [row for row in rows if row["address"] == place or node.node_id in row["actor"]]
        found = [(row["actor"], row["action"], row["detail"]["why"]) for row in ours if row["result"] == "refused"]
        assert len(found) <= 2 * len(set(found)), "one a minute, and this may have taken the end of one"
        return set(found)

    of_node = f"node:{node.node_id}"
    expected = {("unknown", "agent.open", "protocol"), (of_node, "agent.open", "wrong_host"), (of_node, "agent.session", "protocol")}
    await eventually(lambda: refused() == expected, 60, "not all of them are written")
    lines = [line for line in shared_hub.lines if place in line or (node.node_id in line and "agent_wrong_host" in line)]
    assert len(lines) <= 8, lines
