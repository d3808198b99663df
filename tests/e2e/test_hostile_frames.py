"""Invalid frames from one node beside nine others: only the sender's session ends, with the documented code."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import struct
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgpack
import pytest

from spider.wire.frames import CLOSE_PROTOCOL, CLOSE_TOO_BIG, KINDS_TO_HUB, MAX_FRAME_BYTES, Farewell, Heartbeat, Message, Welcome
from spider.wire.ids import new_time_id
from spider.wire.job_messages import JobAnswer, JobEnded, JobOutput, JobProgress
from spider.wire.report_messages import LogAck, Table, Updates
from spider.wire.sample_messages import CODING_ZLIB, STREAM_LIVE, Layout, Pack
from tests.support.agent import IDENTITY, QUESTION, AgentClosed, TestAgent, agents, layout_of, pack_of
from tests.support.hub import Enrolled, HubProcess
from tests.support.invariants import check_databases, held_samples
from tests.support.message_strategies import examples, near_payload

BYSTANDERS = 9
INTERVAL_S = 0.1
CLOSE_NOT_WEBSOCKET = 1002
CODES = {cls: kind for kind, cls in KINDS_TO_HUB.items()}
HEARTBEAT = msgpack.packb([CODES[Heartbeat], [0]])
PACK = b"\x92" + bytes([CODES[Pack]])
"""How a pack begins."""
BOMB_BYTES = 64 * 1024 * 1024
METRICS_TOKEN = "of-those-who-look-on-0123456789abcdef"
GROWTH_LIMIT_BYTES = 20 * 1024 * 1024


class Bystanders:
    """Nodes that report, and that hold the hub to its answers, while others misbehave."""

    def __init__(self, members: list[TestAgent]) -> None:
        self.members = members
        self.sent = 0
        self.rounds = asyncio.Condition()
        self.leaving = asyncio.Event()
        self.slowest_s = 0.0

    async def report(self) -> None:
        """Send a pack each and ask something, and wait until all of them are answered."""
        seq, began = self.sent, time.monotonic()
        self.sent += 1

        async def one(agent: TestAgent) -> None:
            await agent.say(pack_of(seq), QUESTION)
            await agent.expect(LogAck)

        await asyncio.gather(*map(one, self.members))
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        async with self.rounds:
            self.rounds.notify_all()

    async def go_on(self) -> None:
        """Wait until all of them were answered something that they asked after this moment."""
        enough = self.sent + 2
        async with asyncio.timeout(60), self.rounds:
            await self.rounds.wait_for(lambda: self.sent >= enough)

    async def settle(self) -> None:
        """Wait until all that they sent is acknowledged."""
        await asyncio.gather(*(agent.wait_acked(self.sent - 1) for agent in self.members))

    async def live(self) -> None:
        """Report until `leaving`; a round is never left half said, since no pack may be missing before the next."""
        while not self.leaving.is_set():
            await self.report()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self.leaving.wait()


@contextlib.asynccontextmanager
async def bystanders(hub: HubProcess) -> AsyncIterator[Bystanders]:
    """Nine nodes with a session each, which are all still the same sessions at the end."""
    nodes = await asyncio.to_thread(hub.enrol, *(f"bystander-{os.urandom(4).hex()}" for _ in range(BYSTANDERS)))
    async with agents(hub, *nodes) as members:
        for agent in members:
            await agent.join()
            await agent.say(layout_of())
        group = Bystanders(members)
        await group.report()
        living = asyncio.create_task(group.live())
        try:
            yield group
            assert not living.done(), living
        finally:
            group.leaving.set()
            await asyncio.gather(living, return_exceptions=True)
        await group.report()  # in the same sessions
        await group.settle()


def tagged(agent: TestAgent, payload: bytes) -> bytes:
    """The next frame of the agent's session, with any content."""
    link = agent.link
    assert link is not None
    frame = payload + link._sending.tag(link._sent, payload)
    link._sent += 1
    return frame


def said(payload: bytes) -> Callable[[TestAgent], Awaitable[None]]:
    """An act: one payload in a frame that verifies."""

    async def act(agent: TestAgent) -> None:
        await agent.raw(tagged(agent, payload))

    return act


def sent(*messages: Any) -> Callable[[TestAgent], Awaitable[None]]:
    """An act: messages as they are."""

    async def act(agent: TestAgent) -> None:
        await agent.say(layout_of(), *messages)

    return act


def wire(data: bytes) -> Callable[[TestAgent], Awaitable[None]]:
    """An act: bytes below WebSocket."""

    async def act(agent: TestAgent) -> None:
        assert agent._ws is not None
        connection = agent._ws._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.write(data)

    return act


async def text(agent: TestAgent) -> None:
    assert agent._ws is not None
    await agent._ws.send_str("hello")


async def wrong_tag(agent: TestAgent) -> None:
    frame = tagged(agent, HEARTBEAT)
    await agent.raw(frame[:-1] + bytes([frame[-1] ^ 1]))


async def replayed(agent: TestAgent) -> None:
    assert agent.link is not None
    frame = agent.link.send(layout_of())
    await agent.raw(frame)
    await agent.raw(frame)


async def skipped(agent: TestAgent) -> None:
    assert agent.link is not None
    agent.link.send(layout_of())
    await agent.say(layout_of())


async def own_words(agent: TestAgent) -> None:
    """What the hub has said itself, sent back to it."""
    assert agent.link is not None
    frame = HEARTBEAT
    await agent.raw(frame + agent.link._receiving.tag(0, frame))


def bomb_of(size: int) -> Pack:
    """Many zeros that fit into one frame."""
    return Pack(STREAM_LIVE, 0, layout_of().layout, CODING_ZLIB, zlib.compress(bytes(size), 9))


def deep_bomb() -> Pack:
    """A pack that is an array in an array in an array."""
    return Pack(STREAM_LIVE, 0, layout_of().layout, CODING_ZLIB, zlib.compress(b"\x91" * 200_000, 9))


GONE = new_time_id()
TABLE = Table("users", 0, 1, ["user", "terminal", "since"], ["root", "tty1", 0])
ENDED = JobEnded(GONE, "succeeded", 0, 0, 0, "", 0, 0, 0, [], [], [], "", "")
ACTS: dict[str, tuple[Callable[[TestAgent], Awaitable[None]], int]] = {
    "a text message": (text, CLOSE_PROTOCOL),
    "nothing": (wire(b"\x82\x80abcd"), CLOSE_PROTOCOL),
    "a wrong tag": (wrong_tag, CLOSE_PROTOCOL),
    "a replayed frame": (replayed, CLOSE_PROTOCOL),
    "a frame left out": (skipped, CLOSE_PROTOCOL),
    "the hub's own key": (own_words, CLOSE_PROTOCOL),
    "a frame that is too big": (said(PACK + b"\xc6" + struct.pack(">I", MAX_FRAME_BYTES) + bytes(MAX_FRAME_BYTES)), CLOSE_TOO_BIG),
    "a frame of a megabyte": (said(bytes(1_000_000)), CLOSE_TOO_BIG),
    "junk": (said(b"\xc1\xc1\xc1"), CLOSE_PROTOCOL),
    "an empty payload": (said(b""), CLOSE_PROTOCOL),
    "a payload that is cut off": (said(HEARTBEAT[:-1]), CLOSE_PROTOCOL),
    "a map": (said(msgpack.packb({"kind": 1})), CLOSE_PROTOCOL),
    "arrays in arrays": (said(PACK + b"\x91" * 100_000), CLOSE_PROTOCOL),
    "an array of four milliards": (said(PACK + b"\xdd\xff\xff\xff\xff"), CLOSE_PROTOCOL),
    "a text of four milliards": (said(PACK + b"\x91\xdb\xff\xff\xff\xff"), CLOSE_PROTOCOL),
    "a welcome": (said(msgpack.packb([5, list(Welcome(1, 1, 10, 0, 0, [], [], []))])), 0),
    "a bomb of 64 MB": (sent(bomb_of(BOMB_BYTES)), CLOSE_TOO_BIG),
    "a deep bomb": (sent(deep_bomb()), CLOSE_PROTOCOL),
    "no rows": (sent(pack_of(0, rows=0)), CLOSE_PROTOCOL),
    "too many rows": (sent(pack_of(0, rows=601)), CLOSE_PROTOCOL),
    "a layout nobody named": (sent(pack_of(0, layout=Layout(b"unknown!", "pulse", 1, ["cpu.total"]))), CLOSE_PROTOCOL),
    "an unknown series": (sent(layout_of(series=["cpu.total", "cpu.of.others"])), CLOSE_PROTOCOL),
    "two layouts with one name": (sent(layout_of()._replace(rhythm_s=2)), CLOSE_PROTOCOL),
    "impossible updates": (sent(Updates(-2, 1, 0)), CLOSE_PROTOCOL),
    "an impossible identity": (sent(IDENTITY._replace(memory_bytes=-1)), CLOSE_PROTOCOL),
    "a table of a cell too many": (sent(TABLE._replace(cells=["root"])), CLOSE_PROTOCOL),
    "a table of more rows than there are": (sent(TABLE._replace(total=0)), CLOSE_PROTOCOL),
    "a table of rows for ever": (sent(TABLE._replace(total=999, cells=TABLE.cells * 999)), CLOSE_PROTOCOL),
    "a number in the place of a text": (sent(TABLE._replace(cells=[1, "tty1", 0])), CLOSE_PROTOCOL),
    "a cell that is a list": (said(msgpack.packb([CODES[Table], [*TABLE[:4], [["root"], "tty1", 0]]])), CLOSE_PROTOCOL),
    "a cell that is a float": (said(msgpack.packb([CODES[Table], [*TABLE[:4], ["root", "tty1", 0.5]]])), CLOSE_PROTOCOL),
    "a cell without end": (sent(TABLE._replace(cells=["x" * 170_000, "", 0])), CLOSE_PROTOCOL),
    "output of a job that is none": (sent(JobOutput(GONE, 0, 0, b"x")), CLOSE_PROTOCOL),
    "the end of a job that is none": (sent(ENDED), CLOSE_PROTOCOL),
    "an id that is none": (sent(JobAnswer("../../etc/passwd", "accepted", "", 0)), CLOSE_PROTOCOL),
    "bytes that are no WebSocket": (wire(b"GET / HTTP/1.1\r\n\r\n" * 20), CLOSE_NOT_WEBSOCKET),
    "reserved bits": (wire(b"\xf2\x80abcd"), CLOSE_NOT_WEBSOCKET),
}  # fmt: skip


async def end_of(agent: TestAgent, limit_s: float = 30.0) -> int | str | None:
    """How the hub ended the session; it may say other things before."""
    try:
        return (await agent.wait_closed(limit_s)).code
    except TimeoutError:
        return "not ended"


async def foreign_job(hub: HubProcess, node_id: str) -> str:
    """A job of a node, which waits because the node is away."""
    reply = await hub.call("POST", f"/api/v1/nodes/{node_id}/jobs", {"action": "check"})
    assert reply.status == 202, reply.body
    job: str = reply.json["id"]
    return job


def resident_bytes(hub: HubProcess) -> int:
    """Memory of the hub's process."""
    pages = int(Path(f"/proc/{hub.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True)
def quiet(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing that a node says is an error of the hub, which would fill its log with tracebacks."""
    hub: HubProcess = request.getfixturevalue("hub" if "hub" in request.fixturenames else "shared_hub")
    before = len(hub.events)
    yield
    assert [line for line in hub.events[before:] if line["level"] in ("error", "critical")] == []


@pytest.mark.holds("SAFETY-31", "SAFETY-87", "S-25", "S-26", "F-20")
async def test_every_hostile_frame_ends_only_its_own_session(shared_hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(shared_hub.enrol, "hostile")
    async with bystanders(shared_hub) as others:
        got: dict[str, int | str | None] = {}
        for name, (act, code) in ACTS.items():
            async with agents(shared_hub, node) as [agent]:
                await agent.join()
                await act(agent)
                if code:
                    got[name] = await end_of(agent)
                else:  # of a kind that the hub does not take: counted, not looked at
                    await agent.say(layout_of(), pack_of(agent.acked[STREAM_LIVE] + 1))
                    await agent.wait_acked(agent.acked[STREAM_LIVE] + 1)
            try:
                await others.go_on()
            except TimeoutError:
                pytest.fail(f"'{name}' holds the others up")
        assert got == {name: code for name, (_act, code) in ACTS.items() if code}


@pytest.mark.holds("SAFETY-47", "S-44")
@pytest.mark.parametrize("kind", [JobOutput, JobProgress, JobAnswer, JobEnded], ids=lambda kind: kind.__name__)
async def test_messages_about_a_job_that_was_taken_back_change_nothing(shared_hub: HubProcess, kind: type[Any]) -> None:
    """test_job_control has those about jobs of others, and about jobs that wait."""
    [hostile] = await asyncio.to_thread(shared_hub.enrol, f"hostile-{os.urandom(4).hex()}")
    await foreign_job(shared_hub, hostile.node_id)
    job = await foreign_job(shared_hub, hostile.node_id)
    assert (await shared_hub.call("POST", f"/api/v1/jobs/{job}/cancel")).status == 200
    before = await asyncio.to_thread(shared_hub.job, job)
    messages: dict[type[Any], Message] = {
        JobOutput: JobOutput(job, 0, 0, b"not printed by any job"),
        JobProgress: JobProgress(job, 0, "commit", 50, "lab-hello", ""),
        JobAnswer: JobAnswer(job, "accepted", "", int(time.time() * 1000)),
        JobEnded: ENDED._replace(job=job),
    }
    async with agents(shared_hub, hostile, hostile) as [agent, again]:
        await agent.join()
        await agent.say(messages[kind])
        if kind is JobOutput:
            assert await end_of(agent) == CLOSE_PROTOCOL
        else:  # what comes too late is no fault
            await agent.say(layout_of(), pack_of(0))
            await agent.wait_acked(0)
        await agent.close()
        await again.join()
    assert await asyncio.to_thread(shared_hub.job, job) == before
    assert await asyncio.to_thread(shared_hub.job_output, job) == b""


async def test_the_close_code_is_the_same_if_more_frames_follow_the_fault(shared_hub: HubProcess) -> None:
    hostile, other = await asyncio.to_thread(shared_hub.enrol, f"hostile-{os.urandom(4).hex()}", f"other-{os.urandom(4).hex()}")
    job = await foreign_job(shared_hub, other.node_id)
    for _ in range(20):
        async with agents(shared_hub, hostile) as [agent]:
            await agent.join()
            assert agent.link is not None
            frames = [agent.link.send(JobOutput(job, 0, 0, b"x")), *(agent.link.send(Heartbeat(0)) for _ in range(5))]
            with contextlib.suppress(ConnectionError):
                for frame in frames:
                    await agent.raw(frame)
            assert await end_of(agent) == CLOSE_PROTOCOL


async def check_bystanders(hub: HubProcess, others: Bystanders, began: float) -> None:
    """I1 and I5: the data of well-behaved nodes is stored once for each of them, and the databases are intact."""
    held = await held_samples(hub.folder, {"pulse": "load.1"}, began - 10, time.time() + 10)
    count = Counter(sample.value for sample in held)
    assert [seq for seq in range(1, others.sent) if count[seq * 100] != BYSTANDERS] == []
    await asyncio.to_thread(check_databases, hub.folder)


FRAMES_OF_A_NODE = 50
"""Of those that are fuzzed."""


@pytest.mark.holds("SAFETY-87", "S-25", "S-48", "F-20")
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("frames", [100, pytest.param(200_000, marks=pytest.mark.slow)])
async def test_thousands_of_fuzzed_frames_end_only_their_own_sessions(hub: HubProcess, frames: int) -> None:
    names = [f"fuzz-{number}" for number in range(frames // FRAMES_OF_A_NODE)]
    nodes: list[Enrolled] = []
    for first in range(0, len(names), 100):
        nodes += await asyncio.to_thread(hub.enrol, *names[first : first + 100])
    waiting = iter(nodes)
    kinds = {kind: cls for kind, cls in KINDS_TO_HUB.items() if cls is not Farewell}  # a good one ends the node, as it should
    right = examples(kinds)
    right |= {CODES[Layout]: layout_of(), CODES[Pack]: pack_of(0)}
    codes: Counter[int | None] = Counter()
    began = time.time()
    bomb = bomb_of(BOMB_BYTES)

    async def session(agent: TestAgent, dice: random.Random, due: int) -> int:
        """Send fuzzed frames until the hub has had enough of them, or none is due. Returns how many are due then."""
        await agent.join()
        await agent.say(layout_of())
        try:
            while due > 0:
                due -= 1
                payload = near_payload(dice, kinds, right) if dice.random() < 0.98 else msgpack.packb([CODES[Pack], bomb])
                with contextlib.suppress(ConnectionError):  # closed meanwhile
                    await agent.raw(tagged(agent, payload) if dice.random() < 0.9 else payload + dice.randbytes(16))
                    await agent.say(QUESTION)  # answered where the frame has not ended the session
                await agent.expect(LogAck, 60)
        except AgentClosed as closed:
            codes[closed.code] += 1
        return due

    async def fuzz(index: int) -> None:
        dice = random.Random(index)
        for node in waiting:  # each opens a few sessions: the hub lets a node open a hundred without a pause
            due = FRAMES_OF_A_NODE
            while due > 0:
                async with agents(hub, node) as [agent]:
                    due = await session(agent, dice, due)

    async with bystanders(hub) as others:
        await others.go_on()
        before = resident_bytes(hub)
        await asyncio.gather(*map(fuzz, range(4)))
        grown = resident_bytes(hub) - before
        print(f"{frames} frames: {dict(codes)}, {grown / 1e6:.1f} MB more, slowest answer {others.slowest_s:.2f} s")
    await check_bystanders(hub, others, began)
    assert grown < GROWTH_LIMIT_BYTES
    assert set(codes) <= {CLOSE_PROTOCOL, CLOSE_TOO_BIG}
    assert codes[CLOSE_PROTOCOL] > frames / 10


async def test_the_quota_of_a_node_counts_the_content_of_its_packs(tmp_path: Path) -> None:
    """A quarter of a million values in three kilobytes, again and again; dated in the far future, so that nothing is kept of them."""
    layout = layout_of(series=[f"cpu.core{{core={core}}}" for core in range(400)])
    taken_at_ms = int((time.time() + 30 * 86_400) * 1000)
    body = zlib.compress(msgpack.packb([msgpack.packb([taken_at_ms + row, [0] * 400]) for row in range(600)]))
    with HubProcess(tmp_path / "hub", env={"STARDUST_METRICS_TOKEN": METRICS_TOKEN}) as hub:
        [node] = await asyncio.to_thread(hub.enrol, "hostile")
        async with agents(hub, node) as [agent], aiohttp.ClientSession() as http:
            await agent.join()
            await agent.say(layout)
            throttled_s, seqs, deadline = 0.0, itertools.count(), time.monotonic() + 60
            while not throttled_s:  # unpacking one takes the hub a while, so no more are sent than it needs
                assert time.monotonic() < deadline, "it was never made to wait"
                await agent.say(*(Pack(STREAM_LIVE, next(seqs), layout.layout, CODING_ZLIB, body) for _ in range(10)))
                async with http.get(f"{hub.url}/metrics", headers={"Authorization": "Bearer " + METRICS_TOKEN}) as answer:
                    lines = (await answer.text()).splitlines()
                throttled_s = next(float(line.split()[1]) for line in lines if line.startswith("stardust_agents_throttled_seconds "))
