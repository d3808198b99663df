"""Tables: sent at every session's start, on change, and each hour; while the hub is away one of each is kept."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.clock import Clock
from spider.hub.link import NotConnected
from spider.reports.table_reporter import READ_LIMIT_S, Tables, _Source, same, table_of
from spider.sampling.collectors.table_reader import Reading, TableReader
from spider.wire.codec import NODE_CODEC
from spider.wire.frames import MAX_FRAME_BYTES, MAX_ITEMS, Message
from spider.wire.report_messages import Cell, Table
from spider.wire.sample_messages import Watch
from spider.wire.table_rows import check, fill, rows_of
from spider.wire.tables import BY_NAME, FAILED, RESEND_S, SUBJECTS, TEXT
from spider.wire.text import plain
from tests.support import message_strategies
from tests.support.background import cancelled
from tests.support.clock import RunningClock
from tests.support.eventually import eventually

PATIENT_S = 1e6
"""By the quick clock a thread that has to wait for a processor would be one that hangs."""


class Reader:
    """Returns the tables that a test sets."""

    def __init__(self, subject: str = "users", *rows: tuple[Cell, ...]) -> None:
        self.subject = subject
        self.rows: list[tuple[Cell, ...]] | None = list(rows)
        self.trouble: Exception | None = None
        self.asked = 0
        self.hold: threading.Event | None = None

    def read(self, now: float) -> Reading | None:
        self.asked += 1
        if self.hold is not None:
            self.hold.wait(20)
        if self.trouble is not None:
            raise self.trouble
        return None if self.rows is None else Reading(list(self.rows), len(self.rows))


class Wire:
    """Where tables are sent, while there is a session that takes them."""

    def __init__(self) -> None:
        self.up = True
        self.free = asyncio.Event()
        self.free.set()
        self.said: list[Table] = []

    async def send(self, message: Message) -> None:
        if not self.up:
            raise NotConnected("down")
        assert isinstance(message, Table)
        assert check(message) is not None
        self.said.append(message)
        await self.free.wait()

    def of(self, subject: str) -> list[Table]:
        return [table for table in self.said if table.subject == subject]


@contextlib.asynccontextmanager
async def running(wire: Wire, *readers: TableReader, clock: Clock | None = None, read_limit_s: float = PATIENT_S) -> AsyncIterator[Tables]:
    tables = Tables(readers, clock or RunningClock(factor=1000), wire.send, read_limit_s=read_limit_s)
    task = asyncio.create_task(tables.run(), name="tables")
    tables.joined()
    try:
        yield tables
    finally:
        await cancelled(task)


ROOT: tuple[Cell, ...] = ("root", "tty1", "", 1_800_000_000_000)


async def asked_again(reader: Reader, times: int = 2) -> None:
    """Wait until it was read that often."""
    enough = reader.asked + times
    await eventually(lambda: reader.asked >= enough)


async def test_a_table_is_sent_when_it_changes_and_in_each_session() -> None:
    wire, reader = Wire(), Reader("users", ROOT)
    async with running(wire, reader) as tables:
        await eventually(lambda: len(wire.said) == 1)
        await asked_again(reader)
        assert len(wire.said) == 1
        reader.rows = []
        await eventually(lambda: len(wire.said) == 2)
        assert wire.said[1]._replace(taken_at_ms=0) == Table("users", 0, 0, ["user", "terminal", "from", "since"], [])
        tables.joined()
        await eventually(lambda: len(wire.said) == 3)
        assert wire.said[2].cells == []


async def test_changed_measurements_alone_send_nothing_and_travel_with_other_changes() -> None:
    wire, reader = Wire(), Reader("batteries", ("BAT0", "battery", "charging", 5000, None, None, None))
    async with running(wire, reader):
        await eventually(lambda: len(wire.said) == 1)
        reader.rows = [("BAT0", "battery", "charging", 6000, None, None, None)]
        await asked_again(reader)
        assert len(wire.said) == 1
        reader.rows = [("BAT0", "battery", "full", 10_000, None, None, None)]
        await eventually(lambda: len(wire.said) == 2)
        assert wire.said[1].cells[2:4] == ["full", 10_000]


async def test_an_unchanged_table_is_sent_once_an_hour() -> None:
    wire, reader = Wire(), Reader("timers")
    clock = RunningClock(factor=20_000)
    async with running(wire, reader, clock=clock):
        await eventually(lambda: len(wire.said) >= 3)
    moments = [table.taken_at_ms / 1000 for table in wire.said]
    assert all(later - earlier >= RESEND_S for earlier, later in itertools.pairwise(moments))


async def test_what_a_job_may_have_changed_is_read_and_sent_at_once_even_if_it_did_not() -> None:
    wire, reader, other = Wire(), Reader("package_faults"), Reader("timers")
    async with running(wire, reader, other, clock=RunningClock(factor=1.0)) as tables:
        await eventually(lambda: len(wire.of("package_faults")) == 1 and len(wire.of("timers")) == 1)
        tables.read_now(["package_faults", "no such table"])
        await eventually(lambda: len(wire.of("package_faults")) == 2)
        reader.rows = [("curl", "incomplete")]
        tables.read_now(["package_faults"])
        await eventually(lambda: len(wire.of("package_faults")) == 3)
        assert wire.said[-1].cells == ["curl", "incomplete"]
        assert (other.asked, len(wire.of("timers"))) == (1, 1)


async def test_a_table_is_not_sent_until_its_subject_exists() -> None:
    wire, reader = Wire(), Reader("arrays")
    reader.rows = None
    async with running(wire, reader):
        await asked_again(reader)
        assert wire.said == []
        reader.rows = [("md0", "md", "raid1", "clean", 2, 0, 0, "", None)]
        await eventually(lambda: len(wire.said) == 1)
        reader.rows = None
        await eventually(lambda: len(wire.said) == 2)
        assert wire.said[1].total == 0


@pytest.mark.parametrize("trouble", [OSError("gone"), ValueError("odd"), RuntimeError("a bug")])
async def test_a_reading_that_fails_is_reported_once_and_costs_the_others_nothing(trouble: Exception) -> None:
    wire, bad, good = Wire(), Reader("users"), Reader("interfaces")
    bad.trouble = trouble
    async with running(wire, bad, good):
        await eventually(lambda: len(wire.said) == 2)
        assert [table.total for table in wire.of("users")] == [FAILED]
        await asked_again(bad)
        assert len(wire.said) == 2
        bad.trouble = None
        await eventually(lambda: len(wire.of("users")) == 2)
        assert wire.of("users")[1].total == 0


@pytest.mark.holds("S-49")
async def test_a_row_that_does_not_fit_its_subject_fails_this_table_alone() -> None:
    wire, wrong, right = Wire(), Reader("users", ("root",)), Reader("listening")
    async with running(wire, wrong, right):
        await eventually(lambda: bool(wire.of("users") and wire.of("listening")))
        await asked_again(right)
    assert [table.total for table in wire.of("users")] == [FAILED]


async def test_a_reader_that_hangs_keeps_the_others_waiting_once() -> None:
    wire, stuck, good = Wire(), Reader("listening"), Reader("users")
    stuck.hold = threading.Event()
    try:
        async with running(wire, stuck, good, read_limit_s=READ_LIMIT_S):
            await eventually(lambda: [table.total for table in wire.of("listening")] == [FAILED])
            await asked_again(good, 6)
            assert stuck.asked == 1
            stuck.hold.set()
            await eventually(lambda: len(wire.of("listening")) == 2)
            assert wire.of("listening")[1].total == 0
    finally:
        stuck.hold.set()


class Moving(Reader):
    """Processes of which something is new in each reading, as it is in truth."""

    def __init__(self) -> None:
        super().__init__("processes")

    def read(self, now: float) -> Reading | None:
        self.rows = [row(self.asked + 1, "busy")]
        return super().read(now)


def newest(wire: Wire) -> int:
    """Which reading was sent last."""
    return int(wire.said[-1].cells[0] or 0) if wire.said else 0


def gaps(tables: list[Table]) -> list[float]:
    return [(later.taken_at_ms - earlier.taken_at_ms) / 1000 for earlier, later in itertools.pairwise(tables)]


async def test_unwatched_processes_are_read_continuously_and_sent_each_minute() -> None:
    reader = Moving()
    late: list[int] = []

    class Noting(Wire):
        async def send(self, message: Message) -> None:
            await super().send(message)
            late.append(reader.asked - newest(self))

    wire = Noting()
    async with running(wire, reader, clock=RunningClock(factor=100)):
        await eventually(lambda: len(wire.said) == 4)
        told = [int(table.cells[0] or 0) for table in wire.said]
    assert max(late) <= 1  # the newest reading, and not a delayed one; the next one may be under way
    assert min(gaps(wire.said)) >= 58
    assert told[-1] > 2 * len(told)  # each minute would be one reading for each table


async def test_a_watch_gets_frequent_readings_until_its_lease_ends() -> None:
    wire, reader = Wire(), Moving()
    async with running(wire, reader, clock=RunningClock(factor=100)) as tables:
        await eventually(lambda: len(wire.said) == 1 and reader.asked >= 4)
        before = reader.asked
        tables.watch(Watch(["pulse", "processes", "unheard of"], 1, 3600))
        await eventually(lambda: len(wire.said) >= 2)
        assert newest(wire) >= before  # immediately, the last reading
        await eventually(lambda: len(wire.said) >= 12)
        assert min(gaps(wire.said[1:])) < 58
        tables.watch(Watch(["processes"], 5, 0))
        already = len(wire.said)
        await eventually(lambda: len(wire.said) >= already + 3)
        assert min(gaps(wire.said[already:])) >= 58


async def test_a_watch_ends_with_its_session() -> None:
    wire, reader = Wire(), Moving()
    async with running(wire, reader, clock=RunningClock(factor=100)) as tables:
        tables.watch(Watch(["processes"], 5, 3600))
        await eventually(lambda: len(wire.said) >= 5)
        tables.joined()
        already = len(wire.said)
        await eventually(lambda: len(wire.said) >= already + 3)
        assert min(gaps(wire.said[already:])) >= 58


@pytest.mark.parametrize("lease_s", [0, 3600], ids=["nobody looks", "somebody looks"])
async def test_a_slow_reader_runs_less_often(lease_s: int) -> None:
    """No subject takes more than a hundredth of a core."""
    clock = RunningClock(factor=100)
    ticks = itertools.count()
    moments: list[float] = []

    def spent() -> float:
        return next(ticks) * 0.2  # seconds of CPU from one question to the next

    class Dear(Moving):
        def read(self, now: float) -> Reading | None:
            moments.append(now)
            return super().read(now)

    wire, reader = Wire(), Dear()
    tables = Tables([reader], clock, wire.send, spent=spent, read_limit_s=PATIENT_S)
    task = asyncio.create_task(tables.run(), name="tables")
    tables.joined()
    tables.watch(Watch(["processes"], 5, lease_s))
    await eventually(lambda: len(moments) >= 4)
    await cancelled(task)
    assert all(later - earlier >= 20 for earlier, later in itertools.pairwise(moments))


async def test_a_hub_that_is_away_costs_one_table_of_each_subject() -> None:
    wire, reader = Wire(), Reader("users", ROOT)
    wire.up = False
    async with running(wire, reader) as tables:
        for number in range(5):
            reader.rows = [("root", f"tty{number}", "", number)]
            await asked_again(reader)
        assert wire.said == []
        wire.up = True
        tables.joined()
        await eventually(lambda: len(wire.said) >= 1)
        assert wire.said[0].cells[1] == "tty4"


async def test_a_blocked_connection_gets_only_the_newest_table() -> None:
    wire, reader = Wire(), Reader("users", ROOT)
    wire.free.clear()
    async with running(wire, reader):
        await eventually(lambda: len(wire.said) == 1)
        for number in range(5):
            reader.rows = [("root", f"tty{number}", "", number)]
            await asked_again(reader)
        assert len(wire.said) == 1
        wire.free.set()
        await eventually(lambda: len(wire.said) >= 2)
        assert wire.said[1].cells[1] == "tty4"


def row(pid: int, command: str) -> tuple[Cell, ...]:
    return (pid, pid * 1000, "p", "root", "running", 1, 0, 0, None, None, command)


async def test_a_command_line_travels_once_in_each_session() -> None:
    wire, reader = Wire(), Reader("processes", row(1, "init"), row(2, "sshd"))
    async with running(wire, reader) as tables:
        await eventually(lambda: len(wire.said) == 1)
        reader.rows = [row(2, "sshd"), row(3, "cron")]
        await eventually(lambda: len(wire.said) == 2)
        assert [line[-1] for line in rows_of(wire.said[1])] == [None, "cron"]
        assert fill(wire.said[1], wire.said[0]).cells[10] == "sshd"
        tables.joined()
        await eventually(lambda: len(wire.said) == 3)
        assert [line[-1] for line in rows_of(wire.said[2])] == ["sshd", "cron"]


@given(st.sampled_from(SUBJECTS), st.data())
def test_any_reading_fits_into_a_frame(subject: object, data: st.DataObject) -> None:
    spec = BY_NAME[getattr(subject, "name")]  # noqa: B009 - hypothesis gives it without its type
    cell = st.none() | st.integers(-(1 << 70), 1 << 70) | st.sampled_from(["", "x", "é" * 5000, "\0" * 70_000])
    made = [tuple(data.draw(cell) if c.kind == TEXT else data.draw(st.none() | st.integers(-(1 << 70), 1 << 70)) for c in spec.columns)]
    table = table_of(spec, Reading(made * data.draw(st.sampled_from([1, 50, 5000])), 7), 1)
    assert check(table) is spec
    assert len(table.cells) <= MAX_ITEMS
    assert len(NODE_CODEC.encode(table)) < MAX_FRAME_BYTES
    assert same(spec, table, table)


@pytest.mark.holds("S-16")
@given(st.binary(max_size=3000) | st.text(max_size=3000), st.integers(1, 600))
def test_texts_of_the_host_become_one_harmless_line(raw: bytes | str, most: int) -> None:
    text = plain(raw, most)
    assert len(text) <= most
    text.encode()
    assert not any(character < " " or "\x7f" <= character <= "\x9f" or character in "\u202e\u200b\u2028\ufeff" for character in text)


@given(message_strategies.texts)
def test_harmless_text_is_unchanged(text: str) -> None:
    if text.isprintable():
        assert plain(text.encode(), 200) in (text, plain(text, 200))


@pytest.mark.parametrize("phase_s", range(0, 60, 5))
def test_a_unit_that_fails_for_a_third_of_each_minute_is_seen_failed(phase_s: int) -> None:
    """Even intervals of 30 s may read it only while it runs again."""
    source = _Source(Reader("services"))
    now = float(phase_s)
    while now % 60 < 40:
        source.read_at = now
        source.turn += 1
        source.plan(now)
        now = source.due
        assert now - phase_s < 120
