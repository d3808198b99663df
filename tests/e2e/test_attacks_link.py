"""Attacks on the link between a node and a running hub: altered frames, an impostor hub, and a replaced certificate."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from spider.selfcare.bundle_receiver import Bundles
from spider.wire.frames import CLOSE_PROTOCOL
from spider.wire.job_messages import Bundle, JobAnswer, JobDone, JobOutput, JobStart
from spider.wire.report_messages import LogAck
from tests.support.agent import IDENTITY, QUESTION, SpiderProcess, TestAgent, agents, layout_of, pack_of
from tests.support.certificates import Certificate
from tests.support.command import said_by
from tests.support.eventually import eventually
from tests.support.hub import HubProcess
from tests.support.job_messages import ended
from tests.support.update_host import Host
from tests.support.wire import open_order

ASKED = b"GET /ws HTTP/1.1\r\n"


async def replay(agent: TestAgent) -> None:
    frame = agent.link.send(pack_of(0)) if agent.link else b""
    await agent.raw(frame)
    await agent.raw(frame)


async def reorder(agent: TestAgent) -> None:
    assert agent.link is not None
    first, second = agent.link.send(QUESTION), agent.link.send(QUESTION)
    await agent.raw(second)
    await agent.raw(first)


async def drop(agent: TestAgent) -> None:
    assert agent.link is not None
    agent.link.send(QUESTION)
    await agent.say(QUESTION)


async def reflect(agent: TestAgent) -> None:
    await agent.say(QUESTION)
    await agent.raw(await agent.receive_raw())


async def alter(agent: TestAgent) -> None:
    assert agent.link is not None
    frame = bytearray(agent.link.send(pack_of(0)))
    frame[len(frame) // 2] ^= 1
    await agent.raw(bytes(frame))


async def strip_the_tag(agent: TestAgent) -> None:
    assert agent.link is not None
    await agent.raw(agent.link.send(QUESTION)[:-16])


@pytest.mark.holds("SAFETY-43", "S-40")
async def test_an_altered_frame_is_dropped_and_ends_only_its_session(shared_hub: HubProcess) -> None:
    touched, healthy = await asyncio.to_thread(shared_hub.enrol, "touched", "healthy")
    async with agents(shared_hub, healthy) as [beside]:
        await beside.join()
        for act in (replay, reorder, drop, reflect, alter, strip_the_tag):
            async with agents(shared_hub, touched) as [agent]:
                await agent.join()
                await agent.say(IDENTITY, layout_of())
                await act(agent)
                closed = await agent.wait_closed()
                assert closed.code == CLOSE_PROTOCOL, (act.__name__, closed)
        async with agents(shared_hub, touched) as [agent]:
            assert (await agent.join()).live_seq <= 0, "at most the pack that was replayed is held, once"
        await beside.say(QUESTION)
        await beside.expect(LogAck)


class Tap:
    """Listens between a node and a hub; `said` is what the node sent, connection after connection."""

    def __init__(self) -> None:
        self.port = 0
        self.said: list[bytearray] = []

    @property
    def frames(self) -> list[int]:
        """The opcodes of the first connection's frames."""
        data = bytes(self.said[0]).partition(b"\r\n\r\n")[2] if self.said else b""
        found = []
        while len(data) >= 2:
            length, head = data[1] & 127, 2
            if length == 126:
                length, head = int.from_bytes(data[2:4], "big"), 4
            found.append(data[0] & 15)
            data = data[head + 4 + length :]
        return found


@contextlib.asynccontextmanager
async def tapped(hub: HubProcess, context: ssl.SSLContext | None = None) -> AsyncIterator[Tap]:
    """A relay to the hub, by TLS where a context is given."""
    tap = Tap()
    running: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if kept is not None:
                    kept += data
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept = bytearray()
        tap.said.append(kept)
        there, onward = await asyncio.open_connection("127.0.0.1", hub.port)
        writers.extend((writer, onward))
        for task in (asyncio.create_task(carry(reader, onward, kept)), asyncio.create_task(carry(there, writer, None))):
            running.add(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    tap.port = server.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        server.close()
        for writer in writers:
            if not writer.is_closing():  # aborting TLS that is closing fails in Debian 12's Python
                writer.transport.abort()
        await asyncio.gather(*running, return_exceptions=True)
        for writer in writers:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.contextmanager
def dialling(spider: SpiderProcess) -> Iterator[SpiderProcess]:
    """The real Spider for the length of this."""
    spider.launch()
    try:
        yield spider
    finally:
        spider.close()


@pytest.mark.holds("SAFETY-42", "S-38")
async def test_a_hub_of_another_fleet_receives_only_the_hello(shared_hub: HubProcess, tmp_path: Path) -> None:
    """As after a stolen domain: the node connects to its usual name, and an attacker's hub that knows the node's id answers."""
    [node] = await asyncio.to_thread(shared_hub.enrol, "faithful")
    with HubProcess(tmp_path / "other") as other:
        [there] = await asyncio.to_thread(other.enrol, "faithful")
        posing = there._replace(fleet_id=node.fleet_id, session_key=node.session_key)
        async with tapped(other) as tap:
            with dialling(SpiderProcess(tmp_path / "spider", other, posing, url=f"ws://127.0.0.1:{tap.port}/ws")) as spider:
                await eventually(lambda: "not mine" in spider.log, 30, "the node does not say what it found")
            assert tap.frames.count(2) == 1, "a hello is one binary frame"
        assert other.node(there.node_id)["state"] != "online"


@pytest.mark.holds("SAFETY-44", "S-47")
async def test_a_server_with_an_untrusted_certificate_receives_no_request(shared_hub: HubProcess, tmp_path: Path) -> None:
    [node] = await asyncio.to_thread(shared_hub.enrol, "careful")
    certificate = Certificate(tmp_path)
    async with tapped(shared_hub, certificate.context) as tap:
        for number, pin in enumerate(("", "ab" * 32)):
            url = f"wss://127.0.0.1:{tap.port}/ws"
            with dialling(SpiderProcess(tmp_path / f"spider-{number}", shared_hub, node, url=url, tls_pin=pin)) as spider:
                await eventually(lambda spider=spider: "certificate" in spider.log or "pin" in spider.log, 30, "no word of the certificate")  # type: ignore[misc]
            assert not any(tap.said), spider.log
        url = f"wss://127.0.0.1:{tap.port}/ws"
        with dialling(SpiderProcess(tmp_path / "spider-pinned", shared_hub, node, url=url, tls_pin=certificate.pin.hex())):
            await eventually(lambda: any(said.startswith(ASKED) for said in tap.said), 30, "the pinned certificate was refused")


@pytest.mark.holds("SAFETY-30", "S-17")
async def test_terminal_sequences_in_job_output_are_neutralized_and_stored_unchanged(shared_hub: HubProcess) -> None:
    """Titles, links, the clipboard, questions to the terminal, C1, in the order of a command that watches the job; kept raw, handed out as a file."""
    acts = (
        b"\x1b]0;owned\x07", b"\x1b]8;;http://evil.example\x1b\\", b"\x1b]52;c;ZXZpbA==\x07", b"\x1b[6n", b"\x1b[c", b"\x1bP+q544e\x1b\\",
        b"\x1b[?1049h", b"\x1b[2J\x1b[H", b"\x9b31m", b"\x90q\x9c", b"\x1bc", b"\x1b#8", b"\x1b[20t", b"\x07\x00\x7f", b"\x1b_x\x1b\\",
    )  # fmt: skip
    printed = b"".join(b"step %d " % number + act + b"\x1b[32mdone\x1b[0m\r\n" for number, act in enumerate(acts))
    [node] = await asyncio.to_thread(shared_hub.enrol, "printer")
    async with agents(shared_hub, node) as [agent]:
        await agent.join()

        async def play() -> str:
            start = await agent.expect(JobStart, 60)
            await agent.say(JobOutput(start.job, 0, 0, printed), ended(start.job, printed))
            await agent.expect(JobDone)
            return start.job

        played = asyncio.create_task(play())
        told = await asyncio.to_thread(said_by, shared_hub, "run", "check", "printer")
        job = await played
    assert all(f"step {number} " in told for number in range(len(acts)))
    left = told.replace("\x1b[32m", "").replace("\x1b[0m", "")
    assert all(char.isprintable() or char in "\r\n\t" for char in left), left
    assert not any(word in told for word in ("owned", "evil.example", "ZXZpbA", "+q544e"))
    reply = await shared_hub.call("GET", f"/api/v1/jobs/{job}/output")
    assert reply.body == printed
    assert reply.headers["Content-Type"] == "text/plain"
    assert reply.headers["Content-Disposition"].startswith("attachment")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.holds("SAFETY-59", "S-36")
async def test_a_bundle_altered_on_the_node_is_refused_and_the_old_version_stays(hub: HubProcess, tmp_path: Path) -> None:
    """The bundle waits for root in Spider's own folder: an attacker in Spider can write there, but not the order that names its SHA-256."""
    [node] = hub.enrol("poisoned")
    host = Host(tmp_path / "host")
    came = Path(host.places.state) / "bundle"
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY._replace(agent_version="0.0.9", policy_verbs=["update"]), layout_of(), pack_of(0))
        await eventually(lambda: hub.node(node.node_id)["policy"])
        reply = await hub.call("POST", "/api/v1/agent-updates", {"nodes": [node.node_id]})
        [row] = reply.json["deployments"]
        taker = Bundles(host.places.state)
        while not came.exists():
            taker.receive_part(await agent.expect(Bundle))
        start = await agent.expect(JobStart)
        order, whole = open_order(node.launch_key, start.order), came.read_bytes()
        assert (order.verb, order.args["plan"]) == ("update", hashlib.sha256(whole).hexdigest())
        for at in (0, len(whole) // 2, len(whole) - 1):
            altered = bytearray(whole)
            altered[at] ^= 1
            came.write_bytes(altered)
            assert host.carry_out(order.args) == "job.bundle_damaged"
            assert (host.current, host.versions, host.asked) == ("0.1.0", ["0.1.0"], [])
        await agent.say(JobAnswer(start.job, "accepted", "", int(time.time() * 1000)))
        failed = ended(start.job, b"", "failed")._replace(change_packages=[], change_from=[], change_to=[], error_code="job.bundle_damaged")
        await agent.say(failed)
        await agent.expect(JobDone)
        await eventually(lambda: hub.local("GET", f"/api/v1/deployments/{row['id']}").json["ended_at"])
        row = (await hub.call("GET", f"/api/v1/deployments/{row['id']}")).json
        assert (row["state"], row["error"]["code"]) == ("failed", "job.bundle_damaged")
        assert (await asyncio.to_thread(hub.node, node.node_id))["agent_version"] == "0.0.9"
