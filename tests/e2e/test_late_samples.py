"""Late, missing and future samples at a real hub."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from spider.wire.codec import pack_rows
from spider.wire.sample_messages import STREAM_LATE, Gap, Late, Pack, Row
from tests.support.agent import AgentClosed, agents, layout_of, pack_of
from tests.support.eventually import eventually
from tests.support.hub import HubProcess
from tests.support.invariants import held_samples

JOURNAL = b"j" * 16
LAYOUT = layout_of()
BREATHE = layout_of("breathe", 60, ["clock.skew"])


def late(seq: int, number: int, at: float) -> Late:
    coding, body = pack_rows([Row(int(at * 1000), [1, number, 2, 3])])
    return Late(seq, JOURNAL, number, 0, 0, 0, LAYOUT.layout, coding, body)


def gap(seq: int, number: int, at: float, rows: int) -> Gap:
    return Gap(seq, JOURNAL, number, 0, 0, 0, "pulse", int(at * 1000), int((at + rows - 1) * 1000), rows)


def events(hub: HubProcess, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hub.local("GET", "/api/v1/events?limit=100").json["events"]
    return [event for event in found if event["type"] == kind]


async def values(hub: HubProcess) -> list[int]:
    now = time.time()
    return sorted(sample.value or 0 for sample in await held_samples(hub.folder, {"pulse": "load.1"}, now - 86_400, now + 10 * 86_400))


async def test_late_packs_and_gaps_are_stored_once_and_acknowledged(hub: HubProcess) -> None:
    now = time.time()
    [node] = await asyncio.to_thread(hub.enrol, "web-1")
    async with agents(hub, node) as [agent]:
        agent.acked[STREAM_LATE] = -1
        await agent.join()
        await agent.say(LAYOUT, late(0, 4, now - 7200), late(1, 9, now - 7000), gap(2, 10, now - 6000, 90), pack_of(0, at=now))
        agent.acked[STREAM_LATE] = -1
        await agent.wait_acked(2, STREAM_LATE)
        await agent.cut()
    await eventually(lambda: hub.node(node.node_id)["state"] != "online")
    async with agents(hub, node) as [agent]:
        await agent.join()
        agent.acked[STREAM_LATE] = -1
        again = (late(0, 4, now - 7200), late(1, 9, now - 7000), gap(2, 10, now - 6000, 90), late(3, 12, now - 5000))
        await agent.say(LAYOUT, *again, gap(4, 13, now - 4000, 1)._replace(rows=0))
        await agent.wait_acked(4, STREAM_LATE)
        assert await values(hub) == [0, 4, 9, 12]
        await eventually(lambda: events(hub, "data_gap"))
        await eventually(lambda: any(told["details"]["unknown"] for told in events(hub, "data_gap")))
        told = events(hub, "data_gap")
        assert sum(one["details"]["rows"]["pulse"] for one in told) == 90
        assert any("unknown number" in one["message"] for one in told)


async def test_a_late_pack_out_of_order_ends_the_session(hub: HubProcess) -> None:
    now = time.time()
    [node] = await asyncio.to_thread(hub.enrol, "web-1")
    for wrong in (late(1, 4, now), late(0, -1, now), gap(0, 1, now, -1), late(0, 4, now)._replace(journal=b"short")):
        async with agents(hub, node) as [agent]:
            await agent.join()
            await agent.say(LAYOUT, wrong)
            closed: AgentClosed = await agent.hear_out()
            assert closed.code == 4400
    assert await values(hub) == []


def breathed(seq: int, skew_ms: int | None) -> Pack:
    coding, body = pack_rows([Row(int(time.time() * 1000), [skew_ms])])
    return Pack(0, seq, BREATHE.layout, coding, body)


@pytest.mark.holds("SAFETY-84", "F-14")
async def test_a_wrong_node_clock_is_reported_at_its_begin_and_end(hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(hub.enrol, "web-1")

    def shown(seconds: float | None) -> bool:
        return bool(hub.node(node.node_id)["clock_skew_seconds"] == seconds)

    async with agents(hub, node) as [agent]:
        await agent.join()
        assert shown(None)
        await agent.say(BREATHE, breathed(0, -180_400))
        await eventually(lambda: shown(-180.0))
        await eventually(lambda: events(hub, "clock_skewed"))
        await agent.wait_acked(0)
    await hub.kill()
    await hub.start()
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(BREATHE, breathed(1, -180_400))
        await eventually(lambda: shown(-180.0))
        await agent.say(breathed(2, 200))
        await eventually(lambda: events(hub, "clock_right"))
        assert shown(0.0)
    [told] = events(hub, "clock_skewed")
    assert "3 minutes behind" in told["message"]
    assert (told["severity"], told["node_id"]) == ("warning", node.node_id)


@pytest.mark.holds("F-14")
async def test_samples_from_far_ahead_are_shown_and_reported_but_not_stored(hub: HubProcess) -> None:
    now = time.time()
    [node] = await asyncio.to_thread(hub.enrol, "web-1")
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(LAYOUT, pack_of(0, at=now), pack_of(1, at=now + 3 * 86_400), pack_of(2, at=now + 1))
        await agent.wait_acked(2)
        assert await values(hub) == pytest.approx([0, 200])
        await eventually(lambda: events(hub, "clock_ahead"))
        assert len(events(hub, "clock_ahead")) == 1
