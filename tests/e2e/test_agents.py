"""Agents and the hub: samples, acknowledgement, and violations that must end only the sender's session."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from spider.sampling.sampler import phase_ms_of
from spider.wire.frames import CLOSE_PROTOCOL
from spider.wire.ids import from_text, new_time_id
from spider.wire.job_messages import JobOutput
from spider.wire.report_messages import LogAck
from spider.wire.sample_messages import STREAM_BACKFILL, Layout, Pack
from tests.support.agent import IDENTITY, QUESTION, AgentClosed, SpiderProcess, agents, layout_of, node_name, pack_of
from tests.support.eventually import eventually
from tests.support.hub import HubProcess
from tests.support.invariants import held_samples


def history(hub: HubProcess, node_id: str, start: float, end: float) -> list[float]:
    """The stored values of `load.1`, second by second."""
    reply = hub.local("GET", f"/api/v1/nodes/{node_id}/history?metric=load.1&from={start}&to={end}&points=4000")
    assert reply.status == 200, reply.body
    return [value for value in reply.json["series"]["load.1"]["avg"] if value is not None]


@pytest.mark.slow  # test_samples_survive counts the seconds of a real Spider, over a kill of the hub
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
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        start = time.time() - 100
        await agent.say(layout_of(), *(pack_of(seq, at=start + seq) for seq in range(20)))
        await agent.wait_acked(19)
        values = await asyncio.to_thread(history, shared_hub, node.node_id, start - 1, start + 25)
        assert values == [float(seq) for seq in range(20)]


async def test_a_pack_that_is_sent_twice_is_stored_once(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(node_name())
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
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        start = time.time() - 100
        await agent.say(layout_of(), pack_of(0, at=start + 50))
        await agent.say(*(pack_of(seq, at=start + seq, stream=STREAM_BACKFILL) for seq in range(3)))
        await agent.wait_acked(0)
        await agent.wait_acked(2, STREAM_BACKFILL)


async def test_a_sequence_with_a_hole_is_not_acknowledged(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.say(layout_of(), pack_of(0), pack_of(2), pack_of(3))
        await agent.wait_acked(0)
        await agent.say(pack_of(1))
        await agent.wait_acked(1)
        assert agent.acked[0] == 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
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


# -- hostile frames --------------------------------------------------------------------------------------


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
    [node] = shared_hub.enrol(node_name())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.say(layout_of(), message)
        assert (await agent.wait_closed()).code == CLOSE_PROTOCOL


async def test_texts_of_a_node_are_cleaned_and_capped(shared_hub: HubProcess) -> None:
    [node] = shared_hub.enrol(node_name())
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
    noisy_node, calm_node = shared_hub.enrol(node_name(), node_name())
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
