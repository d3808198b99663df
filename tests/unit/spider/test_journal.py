"""Log lines: parsed from journalctl's output, sent once and in order across restarts, and bounded."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spider.reports.journal_reader import MAX_SOURCE, MAX_TEXT, parse_record
from spider.reports.node_log import ANSWER_LIMIT_S, BURST_LINES, LINES_PER_S, LineRateLimit, LogSender
from spider.wire.frames import Message
from spider.wire.report_messages import LogAck, LogLines
from spider.wire.table_rows import LATEST_MS
from tests.support.clock import RunningClock
from tests.support.eventually import eventually
from tests.support.some import some


def record(**fields: object) -> bytes:
    return json.dumps({"__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1790000000123456", **fields}).encode()


def test_a_record_is_read_as_the_journal_writes_it() -> None:
    line = parse_record(record(MESSAGE="disk sda is failing", PRIORITY="3", _SYSTEMD_UNIT="smartd.service", SYSLOG_IDENTIFIER="smartd"))
    assert line == ("s=1;i=2", 1_790_000_000_123, 3, "smartd.service", "disk sda is failing")
    assert parse_record(record(MESSAGE=[104, 105, 255], SYSLOG_IDENTIFIER="x"))[3:] == ("x", "hi\ufffd")
    assert parse_record(record(MESSAGE=["twice", "said"], PRIORITY=["4", "4"]))[2:] == (4, "", "twice")
    assert parse_record(record(MESSAGE=None)).text.startswith("(longer")
    assert len(parse_record(record(MESSAGE="x" * 9000, _COMM="c" * 300)).text) == MAX_TEXT
    assert len(parse_record(record(MESSAGE="x", _COMM="c" * 300)).source) == MAX_SOURCE
    parse_record(record(MESSAGE="half \ud800 a pair")).text.encode()
    assert parse_record(record(MESSAGE="x", __REALTIME_TIMESTAMP=str(1 << 61))).at_ms == LATEST_MS


@example(b'{"__CURSOR": "c", "__REALTIME_TIMESTAMP": Infinity}')
@settings(max_examples=40)
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["__CURSOR", "__REALTIME_TIMESTAMP", "MESSAGE", "PRIORITY", "_COMM"]), x),
    ).map(lambda x: json.dumps(x).encode())
)
def test_other_bytes_are_not_a_journal_record(data: bytes) -> None:
    try:
        line = parse_record(data)
    except ValueError:
        return
    line.text.encode()
    assert 0 <= line.priority <= 7


def test_a_flood_is_cut_by_the_times_of_its_lines_and_a_backlog_is_not() -> None:
    flooded = LineRateLimit()
    flood = sum(flooded.allows(1_000_000 + second) for second in range(5000))
    assert BURST_LINES <= flood <= BURST_LINES + 5 * LINES_PER_S + 1
    quiet = LineRateLimit()
    assert all(quiet.allows(1_000_000 + 1000 * second) for second in range(5000))
    assert quiet.allows(0)
    assert quiet.allows(1)


STAND_IN = """\
#!{python}
'''Stands for journalctl: a journal is a file of numbers, one a line.'''
import json, sys, time
words = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
def lines():
    return [int(line) for line in open({file!r}).read().split()]
def show(number):
    print(json.dumps(dict(__CURSOR="c%d" % number, __REALTIME_TIMESTAMP=str(number * {step}), MESSAGE="line %d" % number, PRIORITY="4")), flush=True)
if "follow" not in words:
    for number in lines()[-int(words["lines"]):]:
        show(number)
    sys.exit()
seen = int(words["cursor"][1:]) - 1 if "cursor" in words else max(lines())
while True:
    for number in lines():
        if number > seen:
            show(number)
            seen = number
    time.sleep(0.01)
"""


class Host:
    """A journal that can be written to, and a hub that takes lines as docs/wire.md says."""

    def __init__(self, folder: Path, step_us: int = 1_000_000) -> None:
        self.file = folder / "journal"
        self.file.write_text("1\n2\n3\n")
        self.program = folder / "reader"
        self.program.write_text(textwrap.dedent(STAND_IN.format(python=sys.executable, file=str(self.file), step=step_us)))
        self.program.chmod(0o755)
        self.acknowledge = ""
        self.texts: list[str] = []
        self.left_out = 0
        self.deaf = False
        self.there = True
        self.journal: LogSender | None = None

    def print_line(self, *numbers: int) -> None:
        with self.file.open("a") as file:
            file.write("".join(f"{number}\n" for number in numbers))

    async def hear(self, message: Message) -> None:
        assert isinstance(message, LogLines)
        if not self.there:
            raise ConnectionError("away")
        assert len(message.texts) == len(message.at_ms) == len(message.priorities) == len(message.sources)
        if message.after == self.acknowledge and message.cursor != self.acknowledge:
            self.acknowledge = message.cursor
            self.texts += message.texts
            self.left_out += message.left_out
        if not self.deaf and self.journal is not None:
            self.journal.acknowledge(LogAck(self.acknowledge))


async def serve(host: Host, answer_limit_s: float = ANSWER_LIMIT_S) -> asyncio.Task[None]:
    host.journal = LogSender("warning", RunningClock(50), host.hear, str(host.program), answer_limit_s)
    task = asyncio.create_task(host.journal.run())
    host.journal.joined()
    return task


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_log_lines_start_at_the_present_and_are_sent_once_over_restarts(tmp_path: Path) -> None:
    host = Host(tmp_path)
    task = await serve(host)
    await eventually(lambda: host.acknowledge == "c3")
    assert host.texts == []
    host.print_line(4, 5)
    await eventually(lambda: len(host.texts) == 2)
    host.deaf = True  # it stores, and its answer is lost
    host.print_line(6)
    await eventually(lambda: len(host.texts) == 3)
    await end(task)
    host.print_line(7, 8)
    host.deaf = False
    task = await serve(host)
    await eventually(lambda: len(host.texts) == 5)
    host.there = False  # the session is over, and lines are said meanwhile
    host.print_line(*range(9, 400))
    await asyncio.sleep(0)
    host.there = True
    some(host.journal).joined()
    await eventually(lambda: len(host.texts) == 396)
    await end(task)
    assert host.texts == [f"line {number}" for number in range(4, 400)]


async def test_a_hub_that_has_not_answered_is_asked_again_in_the_same_session(tmp_path: Path) -> None:
    host = Host(tmp_path)
    task = await serve(host, answer_limit_s=0.05)
    await eventually(lambda: host.acknowledge == "c3")
    host.deaf = True
    host.print_line(4)
    await eventually(lambda: len(host.texts) == 1)
    await asyncio.sleep(0.1)
    host.deaf = False
    host.print_line(5)
    await eventually(lambda: len(host.texts) == 2)
    await end(task)
    assert host.texts == ["line 4", "line 5"]


async def test_a_hub_that_lost_its_last_lines_gets_them_again(tmp_path: Path) -> None:
    host = Host(tmp_path)
    task = await serve(host)
    await eventually(lambda: host.acknowledge == "c3")
    host.print_line(4, 5, 6)
    await eventually(lambda: len(host.texts) == 3)
    host.acknowledge, host.texts = "c4", ["line 4"]  # restored from an older backup
    some(host.journal).joined()
    await eventually(lambda: len(host.texts) == 3)
    await end(task)
    assert host.texts == ["line 4", "line 5", "line 6"]


@pytest.mark.parametrize(("step_us", "most"), [(1_000_000, 8000), (1000, int(BURST_LINES + 9 * LINES_PER_S))])
async def test_a_flood_is_cut_and_counted_and_a_long_backlog_is_not(tmp_path: Path, step_us: int, most: int) -> None:
    host = Host(tmp_path, step_us)
    task = await serve(host)
    await eventually(lambda: host.acknowledge == "c3")
    host.print_line(*range(4, 8004))
    await eventually(lambda: len(host.texts) + host.left_out == 8000)
    await end(task)
    assert most * 0.9 <= len(host.texts) <= most


@pytest.mark.parametrize("program", ["no-such-program", "/bin/false"])
async def test_without_a_journal_it_is_reported_once(caplog: pytest.LogCaptureFixture, program: str) -> None:
    host_says: list[LogLines] = []
    journal: LogSender

    async def hear(message: Message) -> None:
        assert isinstance(message, LogLines)
        host_says.append(message)
        journal.acknowledge(LogAck(""))

    journal = LogSender("warning", RunningClock(200), hear, program)
    task = asyncio.create_task(journal.run())
    journal.joined()
    await eventually(lambda: len(host_says) > 3)
    await end(task)
    assert [entry.getMessage() for entry in caplog.records].count("journal_unreadable") == 1


async def test_without_a_request_of_the_hub_no_log_line_is_read() -> None:
    async def hear(message: Message) -> None:
        raise AssertionError(message)

    journal = LogSender("", RunningClock(50), hear, "no-such-program")
    task = asyncio.create_task(journal.run())
    journal.joined()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    await end(task)


async def test_an_unreadable_journal_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    host = Host(tmp_path)
    tries = tmp_path / "tries"
    host.program.write_text(
        f"#!/bin/sh\necho x >> {tries}\necho 'No journal files were opened due to insufficient permissions.' >&2\nexit 1\n"
    )
    task = await serve(host)
    await eventually(lambda: tries.exists() and len(tries.read_text().split()) >= 6)
    await end(task)
    assert caplog.messages == ["journal_unreadable"]
    assert "insufficient permissions" in caplog.records[0].facts["why"]  # type: ignore[attr-defined]


async def test_finding_the_journal_cursor_logs_no_event_loop_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for turn in range(5):
        folder = tmp_path / str(turn)
        folder.mkdir()
        host = Host(folder)
        task = await serve(host)
        await eventually(lambda: host.acknowledge == "c3")  # noqa: B023 - waited for here
        await end(task)
    assert caplog.messages == []
