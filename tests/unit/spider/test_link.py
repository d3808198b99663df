"""The way to the hub, end to end: a real Spider link against a small hub on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spider.config import Config
from spider.hub.backoff import LEAST_INTERVAL_S, Backoff
from spider.hub.link import HubLink, NotConnected, _first_end, better_hub_time
from spider.hub.outbox import Outbox
from spider.jobs.tracker import Jobs
from spider.wire import ids
from spider.wire.errors import ProtocolError, SessionOver
from spider.wire.frames import HEARTBEAT_S, SILENCE_LIMIT_S, Heartbeat, Message
from spider.wire.job_messages import JobAnswer, JobOutput, JobStart
from spider.wire.report_messages import Updates
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LIVE, Ack, Layout, Pack, Row, Watch
from tests.support.clock import SkippingClock
from tests.support.eventually import eventually
from tests.support.scripted_hub import ScriptedHub, other_hub_key

PULSE = Layout(b"pulse--1", "pulse", 1, ["cpu.total"])


class Node:
    """A Spider without collectors: the test is its sampler."""

    def __init__(self, config: Config) -> None:
        self.clock = SkippingClock()
        self.outbox = Outbox(self.clock)
        self.waits: list[float] = []
        self.intervals: list[float] = []
        """From the start of an attempt to the start of the next one."""
        self.jobs = Jobs(config.jobs_dir, config.launcher_path, self.clock, self._send, config.boot)
        self.link = HubLink(config, self.outbox, self.jobs, self.clock, _Kept(self.waits, self.intervals))
        self.joined = 0
        self.link.on_joined(self._count)
        self.second = 0

    async def _send(self, message: Message) -> None:
        await self.link.send(message)

    def _count(self) -> None:
        self.joined += 1

    def sample(self, rows: int = 1) -> None:
        """The next rows, each one second after the last."""
        for _ in range(rows):
            self.outbox.add(PULSE, Row(1_800_000_000_000 + self.second * 1000, [self.second]))
            self.second += 1

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Node]:
        tasks = [asyncio.create_task(self.link.run(), name="link"), asyncio.create_task(self.jobs.run(), name="jobs")]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in ended), ended


class _Kept(Backoff):
    """The real back-off with loaded dice, and a record of what it said."""

    def __init__(self, waits: list[float], intervals: list[float]) -> None:
        super().__init__(random.Random(3))
        self._waits = waits
        self._intervals = intervals

    def after(self, attempt_s: float, healthy_s: float, code: int = 0, reason: str = "", retry_after_s: float | None = None) -> float:
        wait = super().after(attempt_s, healthy_s, code, reason, retry_after_s)
        self._waits.append(wait)
        self._intervals.append(attempt_s + wait)
        return wait


@pytest.fixture
async def hub() -> AsyncIterator[ScriptedHub]:
    async with ScriptedHub().running() as running:
        yield running


async def test_the_address_dialled_and_the_jobs_known_are_in_the_hello(hub: ScriptedHub, tmp_path: Path) -> None:
    jobs = [ids.new_time_id(float(at)) for at in (1, 2)]
    for job in jobs:
        (tmp_path / job).mkdir()
        (tmp_path / job / "plan").write_text("{}")
    async with Node(hub.config(jobs_dir=str(tmp_path))).running():
        await hub.until(lambda: bool(hub.sessions))
    assert hub.hellos[0].host == f"127.0.0.1:{hub.port}"
    assert hub.hellos[0].known_jobs == jobs
    assert hub.hellos[0].boot == "0123456789abcdef" * 2


async def test_samples_arrive_without_a_gap_over_any_number_of_cuts(hub: ScriptedHub) -> None:
    dice = random.Random(5)
    hub.cut_after = lambda _pack: dice.random() < 0.15
    hub.keep_ack = lambda _pack: dice.random() < 0.3
    async with Node(hub.config()).running() as node:
        for _ in range(40):
            node.sample(10)
            await hub.until(lambda: len(hub.values()) >= node.second - 40)
        hub.cut_after = hub.keep_ack = lambda _pack: False
        await hub.until(lambda: len(hub.values()) == 400)
        assert hub.values() == list(range(400))
        assert len(hub.hellos) > 3
        await eventually(lambda: node.outbox.pending() == (0, 0))


async def test_a_stored_pack_is_not_stored_again_after_a_lost_acknowledgement(hub: ScriptedHub) -> None:
    hub.keep_ack = lambda _pack: True
    async with Node(hub.config()).running() as node:
        await hub.until(lambda: bool(hub.sessions))
        node.sample(30)
        await hub.until(lambda: len(hub.values()) == 30)
        hub.keep_ack = lambda _pack: False
        await hub.cut()
        await hub.until(lambda: len(hub.sessions) == 2)
        node.sample(10)
        await hub.until(lambda: len(hub.values()) == 40)
        assert hub.values() == list(range(40))
        assert [(pack.stream, pack.seq) for pack in hub.of(Pack)] == [(STREAM_LIVE, seq) for seq in range(4)]


@pytest.mark.holds("F-09")
async def test_an_outage_is_backfilled_behind_the_live_samples(hub: ScriptedHub) -> None:
    async with Node(hub.config()).running() as node:
        await hub.until(lambda: bool(hub.sessions))
        hub.http = (503, {})
        await hub.cut()
        await hub.until(lambda: len(hub.attempts) > 2)
        node.sample(100)
        node.clock.shift += 11  # older than one pack: not live any more

        def measured_as_it_returns() -> bytes:  # earlier, they too would be old on a busy machine
            node.sample(10)
            return hub.key

        hub.answer_key = measured_as_it_returns
        hub.http = None
        await hub.until(lambda: len(hub.values()) == 110)
    assert hub.values([STREAM_BACKFILL]) == list(range(100))
    assert hub.values([STREAM_LIVE]) == list(range(100, 110))
    first = hub.of(Pack)[0]
    assert first.stream == STREAM_LIVE


@pytest.mark.holds("SAFETY-42", "S-38")
async def test_a_hub_without_the_key_receives_only_the_hello(hub: ScriptedHub, caplog: pytest.LogCaptureFixture) -> None:
    hub.answer_key = other_hub_key
    async with Node(hub.config()).running() as node:
        node.sample(50)
        await hub.until(lambda: bool(hub.closes))
        assert len(hub.raw) == 1
        assert hub.closes == [(4401, "not proven")]
        await eventually(lambda: bool(node.waits))
        assert node.waits == [600.0]
        assert any("this hub is not mine, or has forgotten me" in str(record.__dict__.get("facts")) for record in caplog.records)


async def test_a_hub_of_another_fleet_receives_only_the_hello(hub: ScriptedHub) -> None:
    config = hub.config()
    hub.answer_fleet = ids.new_random_id()
    async with Node(config).running() as node:
        await hub.until(lambda: bool(hub.closes))
        assert len(hub.raw) == 1
        await eventually(lambda: bool(node.waits))
        assert node.waits == [600.0]


@pytest.mark.parametrize(("code", "reason", "least", "most"), [(4401, "", 600, 600), (4403, "", 600, 600), (4409, "", 300, 300)])
async def test_a_hub_that_refuses_the_node_is_dialled_after_a_long_wait(
    hub: ScriptedHub, code: int, reason: str, least: float, most: float
) -> None:
    hub.refuse_with = (code, reason)
    async with Node(hub.config()).running() as node:
        await eventually(lambda: bool(node.waits))
        assert least <= node.waits[0] <= most
        assert node.joined == 0


async def test_a_hub_that_goes_away_is_dialled_again_within_the_jitter_it_names(hub: ScriptedHub) -> None:
    async with Node(hub.config()).running() as node:
        await hub.until(lambda: bool(hub.sessions))
        await hub.sessions[0][0].close(4410, "8000")
        await hub.until(lambda: len(hub.sessions) == 2)
        assert 0 <= node.waits[0] <= 8
        await eventually(lambda: node.joined == 2)


async def test_a_busy_hub_is_dialled_again_after_its_retry_after(hub: ScriptedHub) -> None:
    hub.http = (503, {"Retry-After": "20"})
    async with Node(hub.config()).running() as node:
        await eventually(lambda: bool(node.waits))
        assert 20 <= node.waits[0] <= 21


@pytest.mark.parametrize("status", [200, 302, 403, 502])
async def test_a_server_that_is_not_a_hub_is_retried_with_backoff(hub: ScriptedHub, status: int) -> None:
    hub.http = (status, {})
    async with Node(hub.config()).running() as node:
        await hub.until(lambda: len(hub.attempts) >= 3)
        assert len(node.intervals) >= 2
        assert min(node.intervals) >= LEAST_INTERVAL_S - 1e-6
        assert node.joined == 0


@pytest.mark.holds("SAFETY-43")
async def test_a_skipped_frame_ends_the_session_and_the_node_reconnects(hub: ScriptedHub) -> None:
    async with Node(hub.config()).running() as node:
        await hub.until(lambda: bool(hub.sessions))
        connection, link = hub.sessions[0]
        link.send(Heartbeat(1))
        await connection.send(link.send(Heartbeat(2)))
        await hub.until(lambda: bool(hub.closes) and len(hub.sessions) == 2)
        assert hub.closes[0][0] == 4400
        await eventually(lambda: node.joined == 2)


async def test_a_heartbeat_renews_the_hubs_time(hub: ScriptedHub) -> None:
    async with Node(hub.config()).running() as node:
        await hub.until(lambda: bool(hub.sessions))
        await hub.tell(Heartbeat(1_800_000_000_000))
        await eventually(lambda: node.link.hub_time is not None and node.link.hub_time[0] == 1_800_000_000_000)
        assert node.joined == 1


def test_a_delayed_message_does_not_move_the_hubs_time() -> None:
    good = (1_000_000, 10.0)
    assert better_hub_time(None, good) == good
    assert better_hub_time(good, (1_096_000, 110.0)) == good, "it came four seconds late: a busy hub"
    assert better_hub_time((996_000, 10.0), (1_100_000, 110.0)) == (1_100_000, 110.0), "less delay than the first one"
    assert better_hub_time(good, (1_896_000, 911.0)) == (1_896_000, 911.0), "clocks drift"
    assert better_hub_time(good, (1_000_000, 110.0)) == (1_000_000, 110.0), "the hub's clock was set back"


async def test_an_acknowledgement_of_an_unsent_pack_ends_the_session(hub: ScriptedHub) -> None:
    async with Node(hub.config()).running() as node:
        await hub.until(lambda: bool(hub.sessions))
        node.sample(10)
        await hub.until(lambda: len(hub.values()) == 10)
        await hub.tell(Ack(STREAM_LIVE, 500))
        await hub.until(lambda: len(hub.sessions) == 2)
        node.sample(10)
        await hub.until(lambda: len(hub.values()) == 20)
        assert hub.values() == list(range(20))


@pytest.mark.holds("SAFETY-81", "F-07")
async def test_a_quiet_node_sends_heartbeats_and_leaves_a_silent_hub(hub: ScriptedHub) -> None:
    hub.silent = True
    async with Node(hub.config()).running() as node:
        await hub.until(lambda: bool(hub.sessions))
        began = node.clock.monotonic()
        await hub.until(lambda: bool(hub.closes))
        took = node.clock.monotonic() - began
        assert took >= SILENCE_LIMIT_S
        assert hub.closes[0][0] == 4408
        assert 1 <= len(hub.raw) - len(("hello", "answer")) <= took / HEARTBEAT_S
        assert HEARTBEAT_S < SILENCE_LIMIT_S


async def test_a_watch_lease_switches_between_packs_and_single_rows(hub: ScriptedHub) -> None:
    async with Node(hub.config()).running() as node:
        await hub.until(lambda: bool(hub.sessions))
        node.sample(10)
        await hub.until(lambda: len(hub.values()) == 10)
        await hub.tell(Watch(["pulse"], 1, 10))
        await eventually(lambda: node.outbox.watched("pulse"))
        node.sample(3)
        await hub.until(lambda: len(hub.values()) == 13)
        await eventually(lambda: not node.outbox.watched("pulse"))
        node.sample(20)
        await hub.until(lambda: len(hub.values()) >= 23)
        lengths = [len(pack.rows) for pack in hub.packs]
        assert lengths[:4] == [10, 1, 1, 1]
        assert len(lengths) <= 7, "rows travel together again"


async def test_a_node_that_stops_sends_its_last_partial_pack(hub: ScriptedHub) -> None:
    node = Node(hub.config())
    await node.link.finish(1.0)  # without a session there is nothing to wait for
    async with node.running():
        await eventually(lambda: node.joined == 1)
        node.sample(4)
        await node.link.finish(20.0)
        assert node.outbox.settled()
        assert hub.values() == [0, 1, 2, 3]


async def test_a_late_listener_is_called_once_for_the_current_session(hub: ScriptedHub) -> None:
    node = Node(hub.config())
    told: list[str] = []

    def first() -> None:
        told.append("first")
        if len(told) == 1:
            node.link.on_joined(lambda: told.append("added"))

    node.link.on_joined(first)
    async with node.running():
        await eventually(lambda: len(told) >= 2)
        assert told == ["first", "added"]
        node.link.on_joined(lambda: told.append("late"))
        assert told == ["first", "added", "late"]
        await hub.cut()
        await eventually(lambda: len(told) >= 6)
        assert told[3:] == ["first", "added", "late"]


async def test_the_cause_that_ended_a_session_is_raised_before_its_consequences() -> None:
    """As on a node that stood still for minutes: the hub is found silent, and what waits to be sent wakes, in one and the same step."""

    async def ends(step: asyncio.Event, error: Exception) -> None:
        await step.wait()
        raise error

    for _ in range(50):  # which of them is looked at first is left to chance
        step = asyncio.Event()
        asyncio.get_running_loop().call_soon(step.set)
        with pytest.raises(ProtocolError):
            await _first_end([ends(step, SessionOver("over")), ends(step, ProtocolError("silent")), ends(step, SessionOver("over"))])


async def test_a_failed_attempt_is_counted() -> None:
    node = Node(ScriptedHub().config())
    assert not node.link.tried.is_set()
    async with node.running(), asyncio.timeout(60):
        await node.link.tried.wait()


async def test_an_attempt_is_counted_before_its_session_ends(hub: ScriptedHub) -> None:
    """Else Spider would say after its first seconds that it waits for a hub that it is in a session with."""
    node = Node(hub.config())
    told: list[bool] = []
    node.link.on_joined(lambda: told.append(node.link.tried.is_set()))
    async with node.running(), asyncio.timeout(60):
        await node.link.tried.wait()
        assert told == [False], "what measures begins with the session, not because an attempt is over"


async def test_sending_without_a_session_raises_notconnected(hub: ScriptedHub) -> None:
    node = Node(hub.config())
    with pytest.raises(NotConnected):
        await node.link.send(Updates(0, 0, 0))
    async with node.running():
        await eventually(lambda: node.joined == 1)
        await node.link.send(Updates(1, 2, 3))
        await hub.until(lambda: Updates(1, 2, 3) in hub.heard)


async def test_the_next_attempt_finds_a_hub_that_was_started_again() -> None:
    hub = ScriptedHub()
    async with hub.running():
        config = hub.config()
    async with Node(config).running() as node:
        await eventually(lambda: len(node.waits) >= 2)
        node.sample(10)
        async with hub.running():
            await hub.until(lambda: len(hub.values()) == 10)


async def test_an_order_reaches_the_launcher_and_output_resumes_at_the_hubs_offset(tmp_path: Path) -> None:
    job = ids.new_time_id()
    jobs_dir, socket_path = tmp_path / "jobs", tmp_path / "launcher.sock"
    jobs_dir.mkdir()
    orders: list[bytes] = []

    async def launch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        orders.append(await reader.read(1000))
        folder = jobs_dir / job
        folder.mkdir()
        (folder / "plan").write_text(json.dumps({"job": job, "verb": "check", "args": {}}))
        (folder / "log").write_bytes(b"x" * 100_000)
        writer.write(json.dumps({"answer": "accepted", "why": "", "clock": 1.0}).encode() + b"\n")
        await writer.drain()
        writer.close()

    launcher = await asyncio.start_unix_server(launch, socket_path)
    async with launcher, ScriptedHub().running() as hub:
        config = hub.config(jobs_dir=str(jobs_dir), launcher_path=str(socket_path))
        async with Node(config).running():
            await hub.until(lambda: bool(hub.sessions))
            await hub.tell(JobStart(job, b"the order"))
            await hub.until(lambda: sum(len(m.data) for m in hub.of(JobOutput)) == 100_000)
            answers = hub.of(JobAnswer)
            assert [(answer.job, answer.answer) for answer in answers] == [(job, "accepted")]
            assert orders == [b"the order"]
            hub.jobs, hub.output = {job: 99_000}, hub.output[:99_000]
            hub.heard.clear()
            await hub.cut()
            await hub.until(lambda: hub.of(JobOutput))
            output = hub.of(JobOutput)
            assert (output[0].offset, len(output[0].data)) == (99_000, 1000)
