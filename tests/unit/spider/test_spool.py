"""The spool: unacknowledged data is on disk, is sent again once, and has a limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spider.hub.outbox import SPOOL_AFTER_S
from spider.spool.files import SEGMENT_S
from spider.spool.spool import RATE_BYTES_S, WINDOW
from spider.wire.errors import ProtocolError
from spider.wire.sample_messages import STREAM_LATE, STREAM_LIVE, Ack, Gap, Late, Layout, Pack
from tests.support.invariants import check_samples
from tests.support.scripted_hub import ScriptedHub
from tests.support.spool_peers import Node, come_back, reconnect, said, segments
from tests.support.thread_shortage import no_more_threads


async def test_while_the_hub_takes_everything_nothing_is_written(tmp_path: Path) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    node.outbox.resume(hub.welcome(node.boot))
    for _ in range(30):
        node.sample(10)
        await node.drain(hub)
    await node.spool.finish()
    assert segments(node) == []


async def test_a_minute_of_waiting_rows_is_written_in_one_write(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.away(int(SPOOL_AFTER_S) - 5)
    assert segments(node) == []
    await node.away(20)
    assert len(segments(node)) == 1
    assert node.outbox.pending()[0] <= 10
    before = segments(node)[0].stat().st_size
    await node.away(30)
    assert segments(node)[0].stat().st_size == before


@pytest.mark.holds("F-09")
async def test_an_hour_away_comes_back_whole_the_newest_first(tmp_path: Path) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    await node.away(3600)
    node.outbox.resume(hub.welcome(node.boot))
    node.sample(10)
    first = next(message for message in iter(node.outbox.take, None) if isinstance(message, Pack))
    assert first.stream == STREAM_LIVE
    node.outbox.suspend()
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert hub.holes == []
    assert segments(node) == []


async def test_spooled_samples_survive_a_new_process_and_a_new_boot(tmp_path: Path) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    node.outbox.resume(hub.welcome(node.boot))
    node.sample(100)
    for _ in range(5):  # said, and never answered; some of it arrived
        message = node.outbox.take()
        assert message is not None
        hub.hear(message)
    while node.outbox.take() is not None:
        continue
    node.outbox.suspend()
    await node.spool.finish()
    for reboot in (False, True):
        node.boot = os.urandom(16).hex() if reboot else node.boot
        node.start()
        await node.away(130)
        await node.spool.finish()
    node.start()
    node.outbox.resume(hub.welcome(node.boot))
    await node.drain(hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert segments(node) == []
    assert node.journal.excused == set()


@pytest.mark.holds("SAFETY-75", "F-10")
async def test_above_the_size_limit_the_oldest_samples_are_dropped_and_reported_exactly(tmp_path: Path) -> None:
    bound = 60_000
    node, hub = Node(tmp_path, keep_bytes=bound), ScriptedHub()
    await node.away(20_000)
    assert sum(path.stat().st_size for path in segments(node)) <= bound
    assert node.spool.dropped_rows > 0
    node.kill()
    node.start()
    node.outbox.resume(hub.welcome(node.boot))
    await node.drain(hub)
    check_samples(node.journal, hub.samples, hub.holes)


@pytest.mark.holds("F-10")
async def test_above_the_age_limit_the_oldest_samples_are_dropped_and_reported_exactly(tmp_path: Path) -> None:
    node, hub = Node(tmp_path, keep_s=7200), ScriptedHub()
    await node.away(16_000)
    await node.spool.finish()
    node.start()
    node.outbox.resume(hub.welcome(node.boot))
    await node.drain(hub)
    check_samples(node.journal, hub.samples, hub.holes)
    held = [sample for sample in hub.samples if sample.family == "pulse"]
    assert 7200 <= len(held) <= 7200 + SEGMENT_S + 120
    assert {hole.family for hole in hub.holes} == {"pulse", "breathe"}


async def test_a_loss_that_is_written_down_removes_its_segment_though_the_crash_came_between(tmp_path: Path) -> None:
    node, hub = Node(tmp_path, keep_s=4000), ScriptedHub()
    copies: dict[str, bytes] = {}
    while not node.spool.dropped_rows:
        copies.update({path.name: path.read_bytes() for path in segments(node)})
        await node.away(75)
    node.kill()
    gone = copies.keys() - {path.name for path in segments(node)}
    assert gone
    for name in gone:
        (node.path / "spool" / name).write_bytes(copies[name])
        (node.path / "spool" / name).chmod(0o600)
    node.start()
    node.outbox.resume(hub.welcome(node.boot))
    await node.drain(hub)
    check_samples(node.journal, hub.samples, hub.holes)


async def test_backfill_is_rate_limited(tmp_path: Path) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    await node.away(30_000)
    node.outbox.resume(hub.welcome(node.boot))
    await node.spool.step()
    late = [message for message in iter(node.outbox.take, None) if isinstance(message, Late)]
    assert len(late) == WINDOW
    with pytest.raises(ProtocolError):
        node.outbox.acked(Ack(STREAM_LATE, WINDOW))
    bytes_ = 0
    for second in range(1, 4):
        while (message := node.outbox.take()) is not None:
            if isinstance(message, Late):
                bytes_ += len(message.body)
                late.append(message)
                node.outbox.acked(Ack(STREAM_LATE, message.seq))
                await node.spool.step()
        if late:
            node.outbox.acked(Ack(STREAM_LATE, late[-1].seq))
        assert bytes_ <= RATE_BYTES_S * (second + 1) + 16384
        node.clock.advance(1)


@contextlib.contextmanager
def unusable(state: Path, how: str) -> Iterator[None]:
    """A state folder of which no use can be made for a while."""
    if how == "away":
        state.rename(state.with_name("elsewhere"))
    else:
        subprocess.run(["mount", "--bind", state, state], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", state], check=True)
    try:
        yield
    finally:
        if how == "away":
            state.with_name("elsewhere").rename(state)
        else:
            subprocess.run(["umount", state], check=True)


@pytest.mark.parametrize(
    "how", ["away", pytest.param("read-only", marks=pytest.mark.skipif(os.geteuid() != 0, reason="root may mount; nobody else"))]
)
async def test_a_disk_unusable_at_the_start_is_used_once_it_recovers(tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str) -> None:
    state = tmp_path / "state"
    node, hub = Node(state), ScriptedHub()
    await node.away(200)
    await node.spool.finish()
    with unusable(state, how):
        node.start()
        await node.away(100)
        assert len(said(caplog, "spool_unusable")) == 1
        usable = [node.spool.usable]
    await node.away(100)
    assert [*usable, node.spool.usable] == [False, True]
    assert len(said(caplog, "spool_recovered")) == 1
    assert len(segments(node)) == 2
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert hub.holes == []


@pytest.mark.holds("SAFETY-95", "F-12")
@pytest.mark.parametrize("room", [60, 10], ids=["room for a head", "room for nothing"])
async def test_a_full_disk_is_reported_once_and_memory_continues(tmp_path: Path, caplog: pytest.LogCaptureFixture, room: int) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    await node.away(120)
    size = segments(node)[0].stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))  # the head of a segment has 52 bytes
    try:
        await node.away(300)
        assert [path.stat().st_size for path in segments(node)] == [size], "what could not be written leaves nothing"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [record.getMessage() for record in caplog.records].count("spool_failed") == 1
    assert node.outbox.pending()[0] >= 300
    await node.away(75)
    assert "spool_recovered" in [record.getMessage() for record in caplog.records]
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert hub.holes == []


@pytest.mark.parametrize("wrong", ["missing", "file", "writable", "used"])
async def test_without_a_good_folder_it_continues_in_memory_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    state = tmp_path / "state"
    node, hub = Node(state), ScriptedHub()
    other = Node(state)
    if wrong == "missing":
        shutil.rmtree(state)
    elif wrong == "file":
        (state / "spool").write_text("no folder")
    elif wrong == "writable":
        state.chmod(0o777)
    else:
        await other.spool.step()
    await node.away(1000)
    await node.spool.finish()
    assert [record.getMessage() for record in caplog.records].count("spool_unusable") == 1
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert sum(hole.rows for hole in hub.holes) >= 380
    await other.spool.finish()


@pytest.mark.parametrize("begun", [False, True])
async def test_without_threads_samples_wait_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture, *, begun: bool) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    if begun:
        await node.away(100)
    with no_more_threads():
        await node.away(200)
    assert [record.getMessage() for record in caplog.records] == ["spool_failed" if begun else "spool_unusable"]
    await node.away(100)
    assert caplog.messages[-1] == "spool_recovered"
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert hub.holes == []


async def test_losses_of_memory_are_reported_once_though_the_answer_is_lost(tmp_path: Path) -> None:
    node, hub = Node(tmp_path, disk=False), ScriptedHub()
    await node.away(900)
    node.outbox.resume(hub.welcome(node.boot))
    said = []
    for _ in range(4000):
        message = node.outbox.take()
        if message is None:
            break
        ack = hub.hear(message)
        said.append(message)
        if isinstance(ack, Ack) and not isinstance(message, Gap):
            node.outbox.acked(ack)
    assert any(isinstance(message, Gap) for message in said)
    node.outbox.suspend()
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)


@pytest.mark.holds("F-12")
@pytest.mark.parametrize("heard", [0, 1, 2])
async def test_losses_of_memory_that_the_hub_has_not_answered_outlive_the_process(tmp_path: Path, heard: int) -> None:
    """The hub disconnected during a report, and Spider is stopped before it is back: acknowledged losses count once."""
    state = tmp_path / "state"
    node, hub = Node(state), ScriptedHub()
    with unusable(state, "away"):
        await node.away(900)
    node.outbox.resume(hub.welcome(node.boot))
    gaps = 0
    while (message := node.outbox.take()) is not None:
        if isinstance(message, Gap):
            gaps += 1
            if gaps <= heard:
                hub.hear(message)
            continue
        ack = hub.hear(message)
        if isinstance(ack, Ack):
            node.outbox.acked(ack)
    assert gaps == 2
    assert len(hub.holes) == heard
    node.outbox.suspend()
    await node.spool.finish()
    await come_back(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert len(hub.holes) == 2
    assert node.journal.excused == set()
    assert segments(node) == []


async def test_segments_of_another_node_are_not_sent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stranger, hub = Node(tmp_path, name=b"m" * 16), ScriptedHub()
    await stranger.away(200)
    await stranger.spool.finish()
    assert len(segments(stranger)) == 1
    node = Node(tmp_path)
    await come_back(node, hub)
    assert (hub.samples, hub.holes) == ([], [])
    assert segments(node) == []
    assert said(caplog, "spool_damaged") == []


async def one_life(seed: int, folder: Path) -> None:
    """A node whose hub connects and disconnects, and which is stopped, killed and loses power at any moment."""
    dice = random.Random(seed)
    node = Node(folder, keep_bytes=dice.choice([20_000, 64 << 20]), keep_s=dice.choice([600, 72 * 3600]))
    hub = ScriptedHub()
    connected = False
    for _ in range(dice.randrange(5, 40)):
        what = dice.randrange(8)
        if what < 3:
            await node.away(dice.choice([5, 40, 200, 1200]))
        elif what == 3 and not connected:
            node.outbox.resume(hub.welcome(node.boot))
            connected = True
        elif what < 6 and connected:
            deaf = dice.random() < 0.4  # what the hub takes is not acknowledged
            for _ in range(dice.randrange(60)):
                message = node.outbox.take()
                if message is None:
                    await node.spool.step()
                    node.clock.advance(1)
                    node.outbox.tick()
                    continue
                if deaf and dice.random() < 0.1:
                    break  # said, and never arrived: the connection is over
                ack = hub.hear(message)
                if isinstance(ack, Ack) and not deaf:
                    node.outbox.acked(ack)
            if deaf:
                node.outbox.suspend()
                connected = False
        elif what == 6:
            if connected and dice.random() < 0.5:
                node.outbox.suspend()
            await node.spool.finish()
            connected = False
            node.start()
        elif what == 7:
            node.kill()
            if dice.random() < 0.5:
                node.boot = os.urandom(16).hex()
                paths = segments(node)
                if paths and dice.random() < 0.5:  # a write that power cut short
                    with paths[-1].open("ab") as file:
                        file.write(paths[-1].read_bytes()[60 : 60 + dice.randrange(200)])
            connected = False
            node.start()
    if connected:
        node.outbox.suspend()
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert segments(node) == []
    node.kill()


@settings(max_examples=15)
@given(st.integers(0, 1 << 32))
def test_every_sample_is_stored_once_or_reported_lost_over_random_kills(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(one_life(seed, Path(folder) / "state"))


async def test_a_layout_is_sent_before_the_first_late_pack_that_needs_it(tmp_path: Path) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    await node.away(300)
    node.start() if node.folder is None else node.kill()
    node.start()
    node.outbox.resume(hub.welcome(node.boot))
    await node.spool.step()
    kinds = [type(message) for message in iter(node.outbox.take, None)]
    assert kinds.index(Layout) < kinds.index(Late)
