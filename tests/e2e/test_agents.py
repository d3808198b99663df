"""Agents and the hub: enrolment, samples, acknowledgement, and violations that must end only the sender's session."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import time
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from spider.sampling.sampler import phase_ms_of
from spider.wire.errors import NotProven
from spider.wire.frames import (
    CLOSE_CLONE,
    CLOSE_GOING_AWAY,
    CLOSE_HOST,
    CLOSE_PROTOCOL,
    CLOSE_TOO_BIG,
    CLOSE_UNKNOWN,
    MAX_FRAME_BYTES,
    STREAM_BACKFILL,
    SUBPROTOCOL,
    Farewell,
    JobOutput,
    Layout,
    LogAck,
    Pack,
)
from spider.wire.ids import from_text, new_random_id, new_time_id
from spider.wire.session import NodeOpening
from tests.support.agent import IDENTITY, QUESTION, AgentClosed, SpiderProcess, TestAgent, agents, layout_of, pack_of
from tests.support.attack_tools import addresses, attackers
from tests.support.eventually import ask_until, eventually
from tests.support.hub import Enrolled, HubProcess
from tests.support.invariants import held_samples

SPELL = iter(range(1, 10_000))


def name() -> str:
    return f"node-{next(SPELL)}"


def history(hub: HubProcess, node_id: str, start: float, end: float) -> list[float]:
    """The stored values of `load.1`, second by second."""
    reply = hub.local("GET", f"/api/v1/nodes/{node_id}/history?metric=load.1&from={start}&to={end}&points=4000")
    assert reply.status == 200, reply.body
    return [value for value in reply.json["series"]["load.1"]["avg"] if value is not None]


async def test_a_real_spider_comes_online_and_its_samples_are_stored_each_second(hub: HubProcess, tmp_path: Path) -> None:
    [node] = hub.enrol("this-machine")
    assert hub.node(node.node_id)["state"] == "pending"
    spider = SpiderProcess(tmp_path / "spider", hub, node)
    started = time.time()
    try:
        spider.launch()
        await eventually(lambda: hub.node(node.node_id)["state"] == "online", 30, "not online")
        await eventually(lambda: hub.node(node.node_id)["latest"].get("cpu.total"), 30, "no sample arrived")
        await eventually(lambda: hub.node(node.node_id)["identity"]["cpu_cores"] == os.cpu_count(), 30, "no identity arrived")
        asked = f"/api/v1/nodes/{node.node_id}/history?metric=cpu.total&from={started - 5}&to={started + 120}&points=200"

        def seconds() -> list[float]:
            series = hub.local("GET", asked).json["series"]["cpu.total"]
            return [value for value in series["avg"] if value is not None]

        await eventually(lambda: len(seconds()) >= 8, 30, "the seconds are not in the history")
        assert all(0 <= value <= 100 for value in seconds())
        online = await asyncio.to_thread(hub.node, node.node_id)
        assert online["last_seen_at"] >= online["latest"]["cpu.total"]["at"] - 1
        assert round(online["latest"]["cpu.total"]["at"] * 1000) % 1000 == phase_ms_of(from_text(node.node_id)), "at the node's own moment"
        assert hub.local("GET", asked).json["step"] == 1
        taken = [sample.taken_at_ms for sample in await held_samples(hub.folder, {"pulse": "cpu.total"}, started - 5, time.time() + 5)]
        assert len(taken) >= 8
        assert {at_ms % 1000 for at_ms in taken} == {phase_ms_of(from_text(node.node_id))}
        assert len({at_ms // 1000 for at_ms in taken}) == len(taken), "each second of the history holds one of them"
    finally:
        spider.close()
    await eventually(lambda: hub.node(node.node_id)["state"] == "offline")
    assert (await asyncio.to_thread(hub.node, node.node_id))["last_seen_at"] >= online["last_seen_at"]


@pytest.mark.holds("SAFETY-73")
async def test_samples_are_stored_before_they_are_acknowledged(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        start = time.time() - 100
        await agent.say(layout_of(), *(pack_of(seq, at=start + seq) for seq in range(20)))
        await agent.wait_acked(19)
        values = await asyncio.to_thread(history, shared_hub, node.node_id, start - 1, start + 25)
        assert values == [float(seq) for seq in range(20)]


async def test_a_pack_that_is_sent_twice_is_stored_once(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node, node) as [agent, again]:
        start = time.time() - 50
        await agent.join()
        await agent.say(layout_of(), *(pack_of(seq, at=start + seq) for seq in range(5)))
        await agent.wait_acked(4)
        await agent.close()
        welcome = await again.join()
        assert (welcome.live_seq, welcome.backfill_seq) == (4, -1)
        await again.say(layout_of(), *(pack_of(seq, at=start + seq) for seq in range(3, 8)))
        await again.wait_acked(7)
        values = await asyncio.to_thread(history, shared_hub, node.node_id, start - 1, start + 12)
        assert values == [float(seq) for seq in range(8)]


async def test_backfill_has_its_own_stream(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        start = time.time() - 100
        await agent.say(layout_of(), pack_of(0, at=start + 50))
        await agent.say(*(pack_of(seq, at=start + seq, stream=STREAM_BACKFILL) for seq in range(3)))
        await agent.wait_acked(0)
        await agent.wait_acked(2, STREAM_BACKFILL)


async def test_a_sequence_with_a_hole_is_not_acknowledged(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.say(layout_of(), pack_of(0), pack_of(2), pack_of(3))
        await agent.wait_acked(0)
        await agent.say(pack_of(1))
        await agent.wait_acked(1)
        assert agent.acked[0] == 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kills", [6, pytest.param(20, marks=pytest.mark.slow)])
async def test_acknowledged_packs_survive_kills(hub: HubProcess, kills: int) -> None:
    [node] = hub.enrol("survivor")
    start = time.time() - 5000
    acked, dice = -1, random.Random(7)
    for _ in range(kills):
        async with agents(hub, node) as [agent]:
            welcome = await agent.join()
            assert welcome.live_seq >= acked, "something acknowledged was lost"
            seq = welcome.live_seq
            await agent.say(layout_of())
            killed_after = dice.randint(5, 60)
            try:
                for count in range(1000):
                    seq += 1
                    await agent.say(pack_of(seq, at=start + seq))
                    if count == killed_after:
                        await agent.wait_acked(seq - killed_after + 2)
                        await hub.kill()
                        break
                while True:
                    await agent.hear(5)
            except (AgentClosed, ConnectionError, TimeoutError):
                pass
            acked = max(acked, agent.acked[0])
        await hub.start()
    async with agents(hub, node) as [agent]:
        welcome = await agent.join()
        assert welcome.live_seq >= acked > 20
    values = await asyncio.to_thread(history, hub, node.node_id, start - 1, start + 3000)
    assert values == [float(seq) for seq in range(welcome.live_seq + 1)]


# -- the opening ---------------------------------------------------------------------------------------


async def test_an_unknown_node_gets_a_false_proof_and_is_disconnected(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
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
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node) as [agent]:
        agent.host = "hub.example.com"
        with pytest.raises(AgentClosed) as closed:
            await agent.join()
        assert closed.value.code == CLOSE_HOST


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_every_name_of_this_machine_is_accepted_without_a_server_url(shared_hub: HubProcess, host: str) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node) as [agent]:
        agent.host = f"{host}:{shared_hub.port}"
        await agent.join()


async def test_a_generation_that_is_neither_current_nor_next_is_unknown(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node._replace(generation=5)) as [agent]:
        await agent.connect()
        opening = NodeOpening(node.node_id, 5, node.session_key, "b" * 32, agent.host, "0", [], [], os.urandom(32))
        await agent.raw(opening.hello())
        await agent.receive_raw()
        await agent.raw(b"\x92\x03\xc4\x20" + os.urandom(32))
        assert (await agent.wait_closed()).code == CLOSE_UNKNOWN


@pytest.mark.holds("S-43")
async def test_a_farewell_deletes_the_node_and_its_key_is_refused(shared_hub: HubProcess) -> None:
    hub, label = shared_hub, name()
    node, other = hub.enrol(label, name())
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
    times = 200
    [node] = shared_hub.enrol(name())
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
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node, node) as [first, second]:
        await first.join()  # and from now on it does not read, so it answers no ping
        second.boot = "d" * 32
        await second.join()
        await second.say(layout_of(), pack_of(0))
        await second.wait_acked(0)


@pytest.mark.holds("SAFETY-49", "SAFETY-80", "F-25")
async def test_the_newest_session_of_one_boot_wins_and_the_old_one_is_fenced(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
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


@pytest.mark.holds("SAFETY-52", "S-28")
async def test_silent_sockets_do_not_block_nodes(shared_hub: HubProcess) -> None:
    """Four addresses hold every place, then the node's own address is full as well."""
    first, second = shared_hub.enrol(name(), name())
    async with attackers(shared_hub, [*addresses(4), "127.0.0.1"]) as [*strangers, neighbour]:
        silent = [await http.ws_connect("/ws", protocols=(SUBPROTOCOL,)) for http in strangers for _ in range(16)]
        async with agents(shared_hub, first, second) as [one, other]:
            await one.join()
            silent += [await neighbour.ws_connect("/ws", protocols=(SUBPROTOCOL,)) for _ in range(20)]
            await other.join()
        assert (await shared_hub.call("GET", "/healthz")).status == 200
        async with asyncio.timeout(30):
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
    bad, good = shared_hub.enrol(name(), name())
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
        await asyncio.sleep(2.0)
        for _ in range(5):
            await ask_until(partial(joins, shared_hub, good), what="it is kept out")
        for task in proving:
            task.cancel()
    rows = (await shared_hub.call("GET", "/api/v1/audit?limit=500")).json["audit"]
    rows = [row for row in rows if row["action"] == "agent.open" and bad.node_id in row["actor"]]
    assert "too_many_sessions" in json.dumps(rows), "each of them counts for its node"


@pytest.mark.holds("S-48")
async def test_refused_handshakes_are_one_audit_row_and_two_log_lines_per_cause(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
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
    await eventually(lambda: refused() == expected, 10, "not all of them are written")
    lines = [line for line in shared_hub.lines if place in line or (node.node_id in line and "agent_wrong_host" in line)]
    assert len(lines) <= 8, lines


# -- hostile frames --------------------------------------------------------------------------------------


async def hostile_frames(agent: TestAgent) -> dict[str, bytes]:
    assert agent.link is not None
    good = agent.link.send(pack_of(1))
    return {
        "tagged wrongly": good[:-1] + bytes([good[-1] ^ 1]),
        "altered": bytes([good[0] ^ 1]) + good[1:],
        "of nothing": b"",
        "too short": b"\x92",
        "random": random.Random(5).randbytes(500),
        "oversized": good[:-16] + bytes(MAX_FRAME_BYTES),
    }


@pytest.mark.parametrize("what", ["tagged wrongly", "altered", "of nothing", "too short", "random", "oversized"])
async def test_a_hostile_frame_ends_only_its_senders_session(shared_hub: HubProcess, what: str) -> None:
    bad_node, good_node = shared_hub.enrol(name(), name())
    async with agents(shared_hub, bad_node, good_node, bad_node) as [bad, good, back]:
        await bad.join()
        await good.join()
        await good.say(layout_of(), pack_of(0))
        await bad.say(layout_of(), pack_of(0))
        await bad.wait_acked(0)
        await bad.raw((await hostile_frames(bad))[what])
        assert (await bad.wait_closed()).code == (CLOSE_TOO_BIG if what == "oversized" else CLOSE_PROTOCOL)
        await good.say(pack_of(1))
        await good.wait_acked(1)
        assert (await back.join()).live_seq == 0


async def test_a_replayed_and_a_reordered_frame_end_the_session(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node, node) as [first, second]:
        await first.join()
        assert first.link is not None
        frame = first.link.send(layout_of())
        await first.raw(frame)
        await first.raw(frame)
        assert (await first.wait_closed()).code == CLOSE_PROTOCOL
        await second.join()
        assert second.link is not None
        one, two = second.link.send(layout_of()), second.link.send(pack_of(0))
        await second.raw(two)
        await second.raw(one)
        assert (await second.wait_closed()).code == CLOSE_PROTOCOL


async def test_a_text_message_ends_the_session(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        assert agent._ws is not None
        await agent._ws.send_str("hello")
        assert (await agent.wait_closed()).code == CLOSE_PROTOCOL


@pytest.mark.parametrize(
    "message",
    [
        layout_of(series=["cpu.total", "no.such.metric"]),
        layout_of(series=["cpu.total", "cpu.total"]),
        layout_of(series=["temperature{sensor=a}"]),
        layout_of(series=[]),
        layout_of(family="sundries"),
        Layout(b"short", "pulse", 1, ["cpu.total"]),
        pack_of(0, layout=Layout(b"unknown!", "pulse", 1, ["cpu.total"])),
        Pack(0, 0, layout_of().layout, 7, b"\x90"),
        Pack(0, 0, layout_of().layout, 0, b"\x90"),
        Pack(9, 0, layout_of().layout, *pack_of(0)[3:]),
        Pack(0, -1, layout_of().layout, *pack_of(0)[3:]),
        Pack(0, 0, layout_of().layout, *pack_of(0, layout=layout_of(series=["cpu.total"]))[3:]),
        JobOutput(new_time_id(), 0, 0, b"not mine"),
        IDENTITY._replace(cpu_cores=-1),
        IDENTITY._replace(addresses=["10.0.0.1"] * 1000),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_a_forbidden_message_ends_the_session(shared_hub: HubProcess, message: Layout | Pack | JobOutput) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.say(layout_of(), message)
        assert (await agent.wait_closed()).code == CLOSE_PROTOCOL


async def test_texts_of_a_node_are_cleaned_and_capped(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY._replace(hostname="web\x1b[2J\u202e-1\0", os_name="D" * 5000, policy_mode="anything"))
        await eventually(lambda: shared_hub.node(node.node_id)["identity"]["hostname"])
        found = await asyncio.to_thread(shared_hub.node, node.node_id)
        assert found["identity"]["hostname"] == "web[2J-1"
        assert len(found["identity"]["os_name"]) == 256
        assert found["policy"]["mode"] == "invalid"


def throttled_s(hub: HubProcess) -> float:
    """How long live sessions were made to wait, as the hub tells Prometheus."""
    figures = hub.local("GET", "/metrics").body.decode().splitlines()
    return float(next(line for line in figures if line.startswith("stardust_agents_throttled_seconds ")).split()[1])


@pytest.mark.holds("SAFETY-53", "S-48")
async def test_throttling_a_noisy_node_does_not_affect_others(shared_hub: HubProcess) -> None:
    noisy_node, calm_node = shared_hub.enrol(name(), name())
    async with agents(shared_hub, noisy_node, calm_node) as [noisy, calm]:
        await noisy.join()
        await calm.join()

        async def flood() -> None:
            await noisy.say(*[layout_of()] * 300, QUESTION)
            await noisy.expect(LogAck, 60)

        flooding = asyncio.create_task(flood())
        try:
            await eventually(lambda: throttled_s(shared_hub) > 0, 30, "the noisy node was never made to wait")
            for _ in range(10):
                await calm.say(QUESTION)
                await calm.expect(LogAck)
            assert not flooding.done(), "the calm node waited for the noisy one"
        finally:
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
