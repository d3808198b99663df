"""A compromised node: its text is only ever shown as text, and what it received or stored gives no later access."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sqlite3
import time
import unicodedata
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from spider.wire.frames import CLOSE_UNKNOWN, MAX_ITEMS, SUBPROTOCOL
from spider.wire.job_messages import JobAnswer, JobEnded, JobOutput, JobProgress, JobStart
from spider.wire.report_messages import Identity
from spider.wire.sample_messages import Layout
from spider.wire.session import NodeOpening
from tests.support.agent import IDENTITY, AgentClosed, TestAgent, agents, layout_of, pack_of
from tests.support.attack_tools import wire_texts
from tests.support.eventually import eventually
from tests.support.hostile_text import CORPUS, MARK, filled
from tests.support.hub import Enrolled, HubProcess

LONGEST = 2000
NAMES = iter(range(1, 10_000))


def tame(text: str) -> bool:
    """Whether a text is one line of limited length in which nothing moves a cursor, hides or turns the reading round."""
    return len(text) <= LONGEST and not any(
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in "\u061c\u200b\u200e\u200f\ufeff" or "\u202a" <= char <= "\u202e"
        or "\u2060" <= char <= "\u206f" or "\U000e0000" <= char <= "\U000e007f" for char in text
    )  # fmt: skip


async def new_node(hub: HubProcess) -> Enrolled:
    [node] = await asyncio.to_thread(hub.enrol, f"attacker-{next(NAMES)}")
    return node


async def ordered(hub: HubProcess, agent: TestAgent) -> str:
    """Let a job be given to this node; its id."""
    reply = await hub.call("POST", f"/api/v1/nodes/{agent.node.node_id}/jobs", {"action": "check"})
    assert reply.status == 202, reply.body
    job: str = (await agent.expect(JobStart)).job
    assert job == reply.json["id"]
    return job


async def shown(hub: HubProcess, node: Enrolled) -> list[Any]:
    """Everything that the page receives about a node."""
    found = []
    for path in (
        "nodes?limit=500",
        f"nodes/{node.node_id}",
        f"jobs?node={node.node_id}",
        f"events?node={node.node_id}",
        "events",
        "audit",
        "deployments",
    ):
        reply = await hub.call("GET", f"/api/v1/{path}")
        assert reply.status == 200, (path, reply.body)
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        found.append(reply.json)
    return found


@contextlib.asynccontextmanager
async def following(hub: HubProcess, *topics: str) -> Any:
    """A page that follows topics; returns the list of all messages."""
    told: list[Any] = []
    token = (await asyncio.to_thread(hub.login)).token
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
        http.ws_connect(f"{hub.url}/api/v1/live", max_msg_size=0) as live,
    ):
        for topic in topics:
            await live.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": topic}]))

        async def read() -> None:
            while True:
                told.append(msgspec.msgpack.decode(await live.receive_bytes()))

        reading = asyncio.create_task(read())
        try:
            yield told
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


each_text = pytest.mark.parametrize(
    "text", [pytest.param(text, marks=pytest.mark.slow if at % 3 else (), id=str(at)) for at, text in enumerate(CORPUS)]
)
"""Every third text; all with --slow: where one is escaped, all are."""


@pytest.mark.holds("SAFETY-29", "S-16")
@each_text
async def test_texts_of_a_node_and_its_jobs_arrive_as_plain_text(shared_hub: HubProcess, text: str) -> None:
    node = await new_node(shared_hub)
    lines = len(shared_hub.lines)
    async with agents(shared_hub, node) as [agent], following(shared_hub, "fleet", "events", f"node:{node.node_id}") as told:
        await agent.join()
        await agent.say(IDENTITY)
        await eventually(lambda: shared_hub.node(node.node_id)["policy"])
        await agent.say(filled(IDENTITY, text))
        await eventually(lambda: MARK in shared_hub.node(node.node_id)["identity"]["hostname"])
        await agent.say(IDENTITY)  # a policy that allows the next orders
        await eventually(lambda: shared_hub.node(node.node_id)["policy"]["mode"] == "managed")
        job = await ordered(shared_hub, agent)
        now_ms = int(time.time() * 1000)
        await agent.say(JobAnswer(job, "refused", text, now_ms))
        await eventually(lambda: shared_hub.job(job)["state"] == "failed")
        job = await ordered(shared_hub, agent)
        await agent.say(
            JobAnswer(job, "accepted", text, now_ms),
            JobProgress(job, now_ms, text, 50, text, text),
            JobOutput(job, 0, now_ms, text.encode()[:1000]),
            JobProgress(job, now_ms, "commit", 60, text, text),
        )
        printed = text.encode()[:1000]
        await agent.say(
            JobEnded(
                job,
                "failed",
                1,
                0,
                len(printed),
                hashlib.sha256(printed).hexdigest(),
                0,
                now_ms,
                now_ms,
                [text],
                [text],
                [text],
                text,
                text,
            )
        )
        await eventually(lambda: shared_hub.job(job)["state"] == "failed")
        answers = await shown(shared_hub, node)
        output = await shared_hub.call("GET", f"/api/v1/jobs/{job}/output")

        def shown_texts() -> list[str]:
            return [*wire_texts(answers), *wire_texts([body for kind, body in told if kind != "hello"])]

        await eventually(lambda: sum(MARK in found for found in shown_texts()) >= 10)  # live topics come after the answers
    assert [found for found in shown_texts() if not tame(found)] == []
    assert output.body == printed
    assert output.headers["Content-Type"].startswith("text/plain")
    assert "attachment" in output.headers["Content-Disposition"]
    assert not any("set-cookie" in name.lower() for name in output.headers)
    written = shared_hub.lines[lines:]
    assert all("\x1b" not in line and "\x9b" not in line for line in written)
    assert not any(line.startswith("{") and json.loads(line)["event"] == MARK for line in written)


@pytest.mark.holds("S-16")
@each_text
async def test_handshake_fields_and_series_names_arrive_as_plain_text(shared_hub: HubProcess, text: str) -> None:
    node = await new_node(shared_hub)
    async with agents(shared_hub, node, node, node) as [first, second, third]:
        for version, host, agent in ((text[:64], None, first), ("0.1.0", text[:255], second)):
            opening = NodeOpening(node.node_id, 1, node.session_key, "b" * 32, host or agent.host, version, [version], [], b"n" * 32)
            await agent.connect()
            with contextlib.suppress(AgentClosed):
                await agent.raw(opening.hello())
                answer, agent.link = opening.challenge(await agent.receive_raw())
                await agent.raw(answer)
                await agent.receive_raw()
            await agent.close()
        await third.join()
        layout = layout_of("breathe", 60, [f"filesystem.used{{mount={text}}}"])
        await third.say(layout)
        with contextlib.suppress(AgentClosed, ConnectionError):
            await third.say(pack_of(0, layout=Layout(layout.layout, layout.family, layout.rhythm_s, layout.series)))
            await third.wait_acked(0)
        answers = await shown(shared_hub, node)
    assert [found for found in wire_texts(answers) if not tame(found)] == []
    assert all("\x1b" not in line and "\x9b" not in line for line in shared_hub.lines)


@pytest.mark.holds("S-26", "S-48")
async def test_overlong_lists_end_the_session(shared_hub: HubProcess) -> None:
    node = await new_node(shared_hub)
    messages: list[Identity | Layout] = [
        IDENTITY._replace(addresses=["10.0.0.1"] * 5000),
        IDENTITY._replace(policy_verbs=["x"] * 5000),
        layout_of(series=[f"cpu.core{{core={number}}}" for number in range(MAX_ITEMS + 1)]),
    ]
    for message in messages:
        async with agents(shared_hub, node) as [agent]:
            await agent.join()
            await agent.say(message)
            assert (await agent.wait_closed()).code in (4400, 1009)


# -- what was heard, or kept ---------------------------------------------------------------------------------


@pytest.mark.holds("SAFETY-42", "S-39")
async def test_a_recorded_session_cannot_be_replayed(shared_hub: HubProcess) -> None:
    node = await new_node(shared_hub)
    recorded: list[bytes] = []
    async with agents(shared_hub, node) as [agent]:
        send = agent.raw

        async def record(data: bytes) -> None:
            recorded.append(data)
            await send(data)

        agent.raw = record  # type: ignore[method-assign]
        await agent.join()
        await agent.say(IDENTITY, layout_of(), pack_of(0))
        await agent.wait_acked(0)
    await eventually(lambda: shared_hub.node(node.node_id)["state"] == "offline")
    before = (await asyncio.to_thread(shared_hub.node, node.node_id))["last_seen_at"]
    async with aiohttp.ClientSession() as http, http.ws_connect(shared_hub.ws_url, protocols=(SUBPROTOCOL,)) as thief:
        await thief.send_bytes(recorded[0])
        challenge = await thief.receive_bytes()
        await thief.send_bytes(recorded[1])
        for frame in recorded[2:]:
            with contextlib.suppress(ConnectionError):
                await thief.send_bytes(frame)
        message = await thief.receive(timeout=30)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert thief.close_code == CLOSE_UNKNOWN
    assert len(challenge) > 64
    found = await asyncio.to_thread(shared_hub.node, node.node_id)
    assert (found["state"], found["last_seen_at"]) == ("offline", before)


@pytest.mark.holds("SAFETY-41", "S-32", "S-39")
async def test_a_stolen_database_opens_no_session(hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(hub.enrol, "web-1")
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY, layout_of(), pack_of(0))
        await agent.wait_acked(0)
    kept = b"".join(path.read_bytes() for path in hub.folder.iterdir() if path.is_file())
    await hub.stop()
    kept += b"".join(path.read_bytes() for path in hub.folder.iterdir() if path.is_file())
    for key in (node.session_key, node.launch_key):
        assert key not in kept
        assert key.hex().encode() not in kept


@pytest.mark.holds("SAFETY-48", "S-43")
async def test_a_removed_node_is_disconnected_and_a_new_one_of_its_name_inherits_nothing(shared_hub: HubProcess) -> None:
    node = await new_node(shared_hub)
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY, layout_of(), pack_of(0))
        await agent.wait_acked(0)
        waiting = (await shared_hub.call("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"})).json["id"]
        removal = await shared_hub.call("DELETE", f"/api/v1/nodes/{node.node_id}?force=true")
        assert removal.status == 202, removal.body
        assert (await agent.hear_out()).reason == "the node was removed"  # and not that nothing came for 30 s
    await eventually(lambda: shared_hub.local("GET", f"/api/v1/nodes/{node.node_id}").status == 404)
    [heir] = await asyncio.to_thread(shared_hub.enrol, node.name)
    assert heir.node_id != node.node_id
    assert heir.session_key != node.session_key
    for thief in (node, node._replace(node_id=heir.node_id), heir._replace(session_key=node.session_key)):
        async with agents(shared_hub, thief) as [agent]:
            with pytest.raises((AgentClosed, Exception)):
                await agent.join()
            assert agent.welcome is None
    found = await asyncio.to_thread(shared_hub.node, heir.node_id)
    assert (found["state"], found["identity"]["hostname"], found["latest"], found["policy"]) == ("pending", "", {}, None)
    assert (await shared_hub.call("GET", f"/api/v1/jobs?node={heir.node_id}")).json["jobs"] == []
    assert (await shared_hub.call("GET", f"/api/v1/jobs/{waiting}")).status == 404
    history = (await shared_hub.call("GET", f"/api/v1/nodes/{heir.node_id}/history?metric=load.1")).json
    assert [value for value in history["series"]["load.1"]["avg"] if value is not None] == []


async def test_a_removed_node_is_disconnected_before_its_samples_are_deleted(shared_hub: HubProcess) -> None:
    node = await new_node(shared_hub)
    samples = shared_hub.folder / "stardust-samples.db"

    def kept() -> int:
        with contextlib.closing(sqlite3.connect(f"file:{samples}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM boot WHERE node = ?", (no,)).fetchone()[0])

    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY, layout_of(), pack_of(0))
        await agent.wait_acked(0)
        with contextlib.closing(sqlite3.connect(f"file:{shared_hub.folder / 'stardust.db'}?mode=ro", uri=True)) as control:
            [no] = control.execute("SELECT no FROM node WHERE id = ?", (node.node_id,)).fetchone()
        assert kept()
        with contextlib.closing(sqlite3.connect(samples, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asking = asyncio.create_task(shared_hub.call("DELETE", f"/api/v1/nodes/{node.node_id}?force=true"))
            assert (await agent.hear_out()).reason == "the node was removed"
            heard_at = time.monotonic()
            removal = await asking
            assert time.monotonic() - heard_at > 0.1, "it hears so before the hub waits 1.5 s for the samples"
            assert (removal.status, removal.json["state"]) == (202, "succeeded"), removal.body
            assert "the samples are deleted as soon as" in removal.json["steps"][-1]["detail"]
            assert kept()
    await eventually(lambda: kept() == 0)


@pytest.mark.holds("SAFETY-7")
def test_the_keys_of_a_node_are_in_no_log(shared_hub: HubProcess, tmp_path: Path) -> None:
    [node] = shared_hub.enrol(f"attacker-{next(NAMES)}")
    for key in (node.session_key, node.launch_key):
        assert key.hex() not in shared_hub.output
