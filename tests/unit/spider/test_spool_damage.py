"""The spool on a disk that damages it or returns parts of it late: nothing is sent twice, and losses are reported."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spider.hub.batches import Lost, SealedBatch
from spider.spool.files import SEGMENT_BYTES, Segment, SpoolFolder
from spider.spool.records import Loss, Pending, RecordWriter, head_of, parse_segment
from tests.support.invariants import check_samples
from tests.support.scripted_hub import ScriptedHub
from tests.support.some import some
from tests.support.spool_peers import NODE, PULSE, START_MS, Node, come_back, flip, reconnect, said, segments


@pytest.mark.parametrize("place", [0.0, 0.001, 0.1, 0.5, 0.9])
async def test_a_damaged_bit_costs_at_most_one_record_and_the_loss_is_exact(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: float
) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    await node.away(1200)
    await node.spool.finish()
    [path] = segments(node)
    flip(path, place)
    await come_back(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    lost = sum(hole.rows for hole in hub.holes)
    assert lost <= 60
    assert node.spool.dropped_rows == lost
    assert [facts["rows"] for facts in said(caplog, "spool_damaged")] == ([lost] if lost else [])
    assert segments(node) == []


async def test_a_flipped_bit_anywhere_in_a_segment_is_reported(tmp_path: Path) -> None:
    made = Node(tmp_path / "made")
    await made.away(400)
    await made.spool.finish()
    [whole] = segments(made)
    for place in range(0, whole.stat().st_size - 1, 131):
        folder = tmp_path / str(place)
        shutil.copytree(tmp_path / "made", folder)
        node, hub = Node(folder), ScriptedHub()
        node.journal, node.made = made.journal, made.made
        flip(segments(node)[0], place / (whole.stat().st_size - 1))
        await come_back(node, hub)
        if not node.folder or not node.folder.cut:  # its last record has none after it
            check_samples(made.journal, hub.samples, hub.holes)
        node.kill()
        shutil.rmtree(folder)


async def test_an_uncountable_loss_is_reported_as_unknown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    await node.away(3000)
    await node.spool.finish()
    [path] = segments(node)
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[: half - 3000] + bytes(6000) + data[half + 3000 :])
    await come_back(node, hub)
    held = set(hub.samples)
    missing = [sample for sample in node.journal.samples if sample not in held]
    assert len(hub.samples) == len(held)
    known, unknown = [hole for hole in hub.holes if hole.rows], [hole for hole in hub.holes if not hole.rows]
    assert 0 < sum(hole.rows for hole in known) < len(missing)
    assert len(unknown) == 1
    assert all(
        min(hole.first_ms for hole in hub.holes) <= sample.taken_at_ms <= max(hole.last_ms for hole in hub.holes) for sample in missing
    )
    assert "unknown" in str(said(caplog, "spool_damaged")[0]["rows"])


async def test_a_destroyed_segment_is_reported_and_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    await node.away(200)
    await node.spool.finish()
    [path] = segments(node)
    path.write_bytes(os.urandom(path.stat().st_size))
    await come_back(node, hub)
    assert hub.samples == []
    assert [hole.rows for hole in hub.holes] == [0]
    assert [facts["records"] for facts in said(caplog, "spool_damaged")] == ["unknown"]
    assert segments(node) == []


async def test_a_torn_end_is_known_to_the_segment_after_it(tmp_path: Path) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    while len(segments(node)) < 3:
        await node.away(300)
    await node.spool.finish()
    flip(segments(node)[1], 1.0)
    await come_back(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert 0 < sum(hole.rows for hole in hub.holes) <= 60


async def test_damage_during_operation_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    while len(segments(node)) < 2:
        await node.away(300)
    flip(segments(node)[0], 0.5)
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert len(said(caplog, "spool_damaged")) == 1


@settings(max_examples=10)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 9000), st.sampled_from(["zero", "cut", "noise", "twice"])), min_size=1, max_size=4)
)
def test_over_random_disk_faults_nothing_is_duplicated_or_lost_unreported(wounds: list[tuple[float, int, str]]) -> None:
    async def scenario(folder: Path) -> None:
        node, hub = Node(folder), ScriptedHub()
        await node.away(3800)
        await node.spool.finish()
        for place, length, how in wounds:
            path = segments(node)[int(place * (len(segments(node)) - 1))]
            data = path.read_bytes()
            at = int(place * len(data))
            fresh = {"zero": bytes(length), "cut": b"", "noise": os.urandom(length), "twice": data[at : at + length] * 2}[how]
            path.write_bytes(data[:at] + fresh + data[at + length :])
        await come_back(node, hub)
        held = set(hub.samples)
        assert len(held) == len(hub.samples), "doubled"
        assert held <= set(node.journal.samples), "invented"
        missing = len(node.journal.samples) - len(held)
        told = sum(hole.rows for hole in hub.holes)
        assert told <= missing
        torn = node.folder is not None and node.folder.cut
        assert told == missing or torn or any(hole.rows == 0 for hole in hub.holes)
        assert segments(node) == []
        node.kill()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder) / "state"))


@pytest.mark.parametrize("entry", ["folder", "link", "locked"])
async def test_one_unreadable_entry_does_not_affect_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture, entry: str) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    await node.away(200)
    await node.spool.finish()
    wrong = tmp_path / "spool" / "0000000000.seg"
    if entry == "folder":
        wrong.mkdir()
    elif entry == "link":
        wrong.symlink_to(segments(node)[0])
    else:
        wrong = tmp_path / "spool" / "0000000009.out"
        wrong.mkdir()
        (wrong / "inside").touch()
    await come_back(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert hub.holes == []
    assert [facts["segment"] for facts in said(caplog, "spool_unreadable")] == [wrong.name]
    assert said(caplog, "spool_unusable") == []
    assert segments(node) == [wrong]


@pytest.mark.parametrize("taken_away", [0, 1, 2])
async def test_an_entry_that_can_be_read_again_is_sent_without_a_new_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, taken_away: int
) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    while len(segments(node)) < 3:
        await node.away(300)
    await node.spool.finish()
    path = segments(node)[taken_away]
    path.rename(tmp_path / "kept")
    path.mkdir()
    node.start()
    await node.away(200)  # it is tried again, and again in vain
    path.rmdir()
    (tmp_path / "kept").rename(path)
    await node.away(300)
    assert [facts["segment"] for facts in said(caplog, "spool_readable")] == [path.name]
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert hub.holes == []
    assert segments(node) == []


@pytest.mark.parametrize("started_anew", [False, True])
async def test_a_partly_sent_entry_is_delivered_once_it_is_readable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, started_anew: bool
) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    while len(segments(node)) < 3:
        await node.away(300)
    await node.spool.finish()
    path = segments(node)[0]
    path.rename(tmp_path / "kept")
    path.mkdir()
    await come_back(node, hub)
    missing = len(node.journal.samples) - len(hub.samples)
    assert missing > 300, "the others did not go first"
    path.rmdir()
    (tmp_path / "kept").rename(path)
    if started_anew:
        await node.spool.finish()
        await come_back(node, hub)
    else:
        node.spool.suspend()
        await node.away(120)
        assert [facts["segment"] for facts in said(caplog, "spool_readable")] == [path.name]
        await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert hub.holes == []
    assert segments(node) == []


async def test_an_unreadable_segment_is_sent_in_the_next_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node, hub = Node(tmp_path), ScriptedHub()
    while len(segments(node)) < 3:
        await node.away(300)
    take_out = SpoolFolder.take_out
    failed: list[str] = []

    def once(folder: SpoolFolder, segment: Segment) -> list[Pending]:
        if not failed:
            failed.append(segment.name)
            raise OSError(errno.EIO, "the disk does not answer")
        return take_out(folder, segment)

    monkeypatch.setattr(SpoolFolder, "take_out", once)
    await reconnect(node, hub)
    assert [path.name for path in segments(node)] == failed
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)
    assert hub.holes == []
    assert segments(node) == []


@pytest.mark.parametrize("call", ["read", "_unlink"])
async def test_an_old_segment_that_cannot_be_dropped_costs_no_newer_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    node, hub = Node(tmp_path, keep_bytes=60_000), ScriptedHub()
    while not node.spool.dropped_rows:
        await node.away(60)
    present, failed = getattr(SpoolFolder, call), segments(node)[0].name

    def fail(folder: SpoolFolder, what: Segment | str) -> object:
        if failed == (what if isinstance(what, str) else what.name):
            raise OSError(errno.EIO, "the disk does not answer")
        return present(folder, what)

    monkeypatch.setattr(SpoolFolder, call, fail)
    await node.away(3000)
    monkeypatch.undo()
    await reconnect(node, hub)
    check_samples(node.journal, hub.samples, hub.holes)


def test_a_loss_record_that_does_not_count_replaces_no_segment() -> None:
    """Else the file of that segment would be deleted, and its loss reported nowhere."""
    writer = RecordWriter(NODE, bytes(16))
    lost = [Lost("pulse", START_MS, START_MS, 1, None)]
    records = [writer.loss(0, 5, Loss("0000000001", lost)), writer.loss(0, 3, Loss("0000000002", lost))]
    content = some(parse_segment(head_of(NODE) + b"".join(records), NODE))
    assert content.replaced == {"0000000001"}


def test_scanning_the_spool_takes_the_memory_of_one_or_two_files(tmp_path: Path) -> None:
    folder = SpoolFolder(str(tmp_path), NODE)
    tmp_path.chmod(0o700)
    folder.open()
    packs = [SealedBatch(PULSE, None, START_MS + number, START_MS + number, 1, 0, os.urandom(32 * 1024)) for number in range(600)]
    folder.append(0, [], packs)
    folder.close()
    tracemalloc.start()
    try:
        other = SpoolFolder(str(tmp_path), NODE)
        found = other.open()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        other.close()
    assert sum(segment.count for segment in found) == len(packs)
    assert peak < 5 * SEGMENT_BYTES < sum(segment.size for segment in found) / 5
