"""The times of a job's output: written by its runner, and sent with each piece, also after an outage."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.jobs.files import LOG, MARKS
from spider.jobs.follower import JobFollower, JobsLocation
from spider.jobs.marks import CUT_MS, MAX_MARKS_BYTES, MarkReader, MarkWriter
from spider.root.terminal import Log
from spider.wire.frames import Message
from spider.wire.ids import new_time_id
from spider.wire.job_messages import JobOutput
from tests.support.clock import ManualClock

AT = 1_800_000_000_000


class Printing:
    """A log whose output comes at times that the test sets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir(exist_ok=True)
        self.now_ms = AT
        monkeypatch.setattr("spider.jobs.marks.time.time", lambda: self.now_ms / 1000)
        self.marks = MarkWriter(str(folder / MARKS))
        self.log = Log(str(folder / LOG), marks=self.marks)

    def after(self, passed_ms: int, data: bytes) -> None:
        self.now_ms += passed_ms
        self.log.write(data)


def test_output_within_a_moment_has_one_mark_and_the_index_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printing = Printing(tmp_path, monkeypatch)
    for passed_ms in (0, 20, 20, 20, 500):
        printing.after(passed_ms, b"x" * 10)
    printing.log.close()
    assert (tmp_path / MARKS).read_text() == f"{AT} 0\n{AT + 60} 30\n{AT + 560} 40\n"


def test_the_index_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printing = Printing(tmp_path, monkeypatch)
    line = len(f"{AT} 100000\n")
    for offset in range(100_000, 100_000 + 2 * MAX_MARKS_BYTES // line):
        printing.now_ms += 100
        printing.marks.mark(offset)
    printing.log.close()
    assert (tmp_path / MARKS).stat().st_size <= MAX_MARKS_BYTES + line


def test_pieces_are_cut_where_time_has_passed_and_an_unknown_time_is_not_invented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printing = Printing(tmp_path, monkeypatch)
    reader = MarkReader(str(tmp_path / MARKS))
    for passed_ms in (0, 100, CUT_MS, 2000):
        printing.after(passed_ms, b"y" * 100)
    assert reader.cuts(0, 400) == [(0, AT), (200, AT + 350), (300, AT + 2350)]
    assert reader.cuts(350, 400) == [(350, AT + 2350)], "the piece that was printed then goes on"
    printing.after(1000, b"z" * 100)
    assert reader.cuts(400, 500) == [(400, AT + 3350)]
    assert MarkReader(str(tmp_path / "none")).cuts(0, 10) == []
    (tmp_path / MARKS).write_bytes(b"a b\n1\n-5 0\n" + b"9" * MAX_MARKS_BYTES)
    assert MarkReader(str(tmp_path / MARKS)).cuts(0, 10) == []


async def test_what_was_printed_during_an_outage_is_sent_with_the_times_of_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, sent, clock = new_time_id(), list[Message](), ManualClock()
    printing = Printing(tmp_path / job, monkeypatch)

    async def send(message: Message) -> None:
        sent.append(message)

    following = JobFollower(job, JobsLocation(str(tmp_path), "", lambda _job: [1]), clock, send)

    async def told() -> list[tuple[int, int, bytes]]:
        sent.clear()
        while following.prints():
            await following.step(lambda: True)
        return [(one.offset, one.at_ms, one.data) for one in sent if isinstance(one, JobOutput)]

    printing.after(0, b"Reading\n")
    printing.after(60_000, b"Unpacking\n")
    printing.after(60_000, b"Setting up\n")
    pieces = [(0, AT, b"Reading\n"), (8, AT + 60_000, b"Unpacking\n"), (18, AT + 120_000, b"Setting up\n")]
    assert await told() == pieces
    following.rewind(8)
    assert await told() == pieces[1:], "a new session"
    printing.log.close()
