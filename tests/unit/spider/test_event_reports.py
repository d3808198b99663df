"""Events reported by programs on the node: who may report them, which are refused, and none is lost before the hub has it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.clock import SystemClock
from spider.reports import event_command
from spider.reports.event_command import DISK, FORBIDDEN, LATER, USAGE_STATUS, main, parse_words
from spider.reports.event_queue import MAX_WAITING, EventQueue, EventRefused, ReportedEvent, id_of_reporter, make_event
from spider.reports.event_reports import PER_MINUTE, EventReports, Reporters, boot_events
from spider.reports.event_socket import root_socket
from spider.sampling.collectors.boots import BootRecord
from spider.wire.codec import pack
from spider.wire.events import MAX_DETAIL_CHARS, MAX_MESSAGE_CHARS
from spider.wire.frames import MAX_FRAME_BYTES
from spider.wire.report_messages import Events, EventsStored
from spider.wire.table_rows import LATEST_MS
from tests.support.background import in_background
from tests.support.clock import ManualClock
from tests.support.eventually import eventually
from tests.support.recordings import write
from tests.support.scripted_hub import ScriptedHub

NOW_MS = 1_790_000_000_000


def raw(**changes: object) -> dict[str, object]:
    return {"id": "a1", "type": "backup_completed", "at_ms": None, "message": "done", "details": {}, **changes}


def test_an_event_is_accepted_with_its_time_and_details() -> None:
    assert make_event(raw(), NOW_MS) == ReportedEvent("a1", "backup_completed", NOW_MS, "done", "")
    custom = make_event(raw(type="custom", at_ms=5, details={"name": "tape.changed", "slot": 7, "who": "Ágnes"}), NOW_MS)
    assert custom == ReportedEvent("a1", "custom", 5, "done", '{"name":"tape.changed","slot":7,"who":"Ágnes"}')


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"type": "backup_completed"},
        raw(more=1),
        raw(id=""),
        raw(id="a b"),
        raw(type="unit_failed"),  # only Spider itself finds that
        raw(type=7),
        raw(at_ms=1.5),
        raw(at_ms=True),
        raw(at_ms=1 << 60),
        raw(message="x" * (MAX_MESSAGE_CHARS + 1)),
        raw(message="two\nlines"),
        raw(message="\x1b[2J"),
        raw(details=[1]),
        raw(details={"Name": "x"}),
        raw(details={"name": "x" * (MAX_DETAIL_CHARS + 1)}),
        raw(details={"name": {"deep": 1}}),
        raw(details={"name": True}),
        raw(details={"name": 1 << 60}),
        raw(details={"name": "half \ud800"}),
        raw(details={f"n{number}": "x" for number in range(17)}),
        raw(details={f"n{number}": "ü" * 199 for number in range(16)}),
        raw(type="custom"),
        raw(type="custom", details={"name": "Not A Slug"}),
    ],
)
def test_an_invalid_event_is_refused_with_a_reason(wrong: object) -> None:
    with pytest.raises(EventRefused, match=r"\w{3}"):
        make_event(wrong, NOW_MS)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda deeper: st.lists(deeper) | st.dictionaries(st.text(), deeper),
    )
)
def test_arbitrary_input_raises_only_eventrefused(junk: Any) -> None:
    for candidate in (junk, raw(details=junk), raw(message=junk), raw(type=junk), raw(id=junk)):
        with contextlib.suppress(EventRefused):
            make_event(candidate, NOW_MS)


# -- the queue ---------------------------------------------------------------------------------------


def numbered(number: int, message: str = "") -> ReportedEvent:
    return ReportedEvent(f"e{number}", "health_ok", NOW_MS + number, message, "")


def test_events_survive_a_restart_in_their_order_and_an_id_waits_once(tmp_path: Path) -> None:
    folder = str(tmp_path / "events")
    first = EventQueue(folder)
    first.load()
    for number in (1, 2, 2, 3):
        assert first.add(numbered(number)) == 0
    first.forget(["e2", "unknown"])
    (tmp_path / "events/0000000000000009").write_text("cut o")
    (tmp_path / "events/stray").write_text("")
    again = EventQueue(folder)
    again.load()
    assert again.batch() == [numbered(1), numbered(3)]
    again.add(numbered(4))
    assert sorted(os.listdir(folder)) == ["0000000000000001", "0000000000000003", "0000000000000004"]


def test_of_too_many_the_oldest_are_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spider.files.os.fsync", lambda _fd: None)  # this test is about order, not durability
    queue = EventQueue(str(tmp_path / "events"))
    assert [queue.add(numbered(number)) for number in range(MAX_WAITING)] == [0] * MAX_WAITING
    assert queue.add(numbered(MAX_WAITING)) == 1
    assert (len(queue), queue.batch()[0]) == (MAX_WAITING, numbered(1))
    assert len(queue.batch()) == 100
    large = EventQueue(str(tmp_path / "large"))
    dropped = sum(large.add(numbered(number, "€" * MAX_MESSAGE_CHARS)) for number in range(400))
    assert 0 < dropped < 100
    columns = [list(column) for column in zip(*large.batch(), strict=True)]
    assert len(pack(Events(*columns))) < MAX_FRAME_BYTES


# -- the socket and the hub --------------------------------------------------------------------------


class Nobody(Reporters):
    """No user of this host may report, whichever user runs the test."""

    def may_report(self, uid: int) -> bool:
        assert uid == os.geteuid()
        return False


def anybody() -> Reporters:
    return Reporters("/nonexistent", os.geteuid(), SystemClock())


@contextlib.asynccontextmanager
async def running(folder: Path, hub: ScriptedHub, reporters: Reporters | None = None) -> AsyncIterator[tuple[EventReports, str]]:
    path = str(folder / "s")
    reports = EventReports(path, EventQueue(str(folder / "events")), reporters or anybody(), SystemClock(), hub.send)
    async with in_background(reports.run()):
        await eventually(lambda: os.path.exists(path) and os.stat(path).st_mode & 0o777 == 0o666)
        yield reports, path


async def command(path: str, *words: str) -> int:
    return await asyncio.to_thread(main, [*words, f"--socket={path}"])


async def test_an_event_is_stored_until_the_hub_acknowledges_it(tmp_path: Path) -> None:
    hub = ScriptedHub()
    hub.away = True
    async with running(tmp_path, hub) as (_, path):
        assert (
            await command(
                path, "backup_completed", "dump of shop", "--detail", "bytes=42", "--detail=name=shop", "--at", "1790000000", "--id", "b-1"
            )
            == 0
        )
        assert await command(path, "backup_completed", "dump of shop", "--id", "b-1") == 0
    hub.away = False
    async with running(tmp_path, hub) as (reports, path):  # Spider was restarted
        await eventually(lambda: len(hub.heard) == 1)
        assert hub.heard[0] == Events(["b-1"], ["backup_completed"], [NOW_MS], ["dump of shop"], ['{"bytes":42,"name":"shop"}'])
        assert await command(path, "health_ok") == 0
        reports.joined()  # the hub was restarted before it answered
        await eventually(lambda: len(hub.heard) == 2)
        assert hub.of(Events)[1].types == ["backup_completed", "health_ok"]
        reports.acknowledge(EventsStored(hub.of(Events)[1].ids))
        await eventually(lambda: os.listdir(tmp_path / "events") == [])


async def test_a_user_without_permission_is_refused_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = ScriptedHub()
    async with running(tmp_path, hub, Nobody("", 0, SystemClock())) as (_, path):
        assert await command(path, "backup_completed") == FORBIDDEN
    assert "'events' in policy.conf" in capsys.readouterr().err
    assert hub.heard == []


def test_the_policy_lists_the_users_who_may_report_events(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "policy.conf"
    reporters = Reporters(str(path), os.geteuid(), clock)
    named, other = pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("daemon").pw_uid
    assert (reporters.may_report(0), reporters.may_report(named)) == (True, False)
    for text, allowed in (
        ("[policy]\nversion = 2\nmode = monitor\nevents = nobody, not-a-user\n", True),
        ("[policy]\nversion = 2\nmode = monitor\nevents = nobody\nwrong = 1\n", False),
        ("[policy]\nversion = 2\nmode = monitor\n", False),
    ):
        path.write_text(text)
        path.chmod(0o644)
        assert (reporters.may_report(0), reporters.may_report(named), reporters.may_report(other)) == (True, allowed, False)


async def test_requests_of_a_caller_are_limited_in_form_size_and_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(tmp_path, ScriptedHub()) as (reports, path):

        async def said(data: bytes) -> list[str]:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(data)
            answer: list[str] = json.loads(await reader.readline())
            writer.close()
            await writer.wait_closed()
            return answer

        for junk in (b"{\n", b"[" * 20_000 + b"\n", json.dumps(raw(type="nonsense")).encode() + b"\n", b"x" * 40_000 + b"\n", b"\xff\n"):
            assert (await said(junk))[0] == "type"
        for _ in range(PER_MINUTE):
            assert reports._within_rate(7)
        assert not reports._within_rate(7)
        for _ in range(PER_MINUTE):
            reports._within_rate(os.geteuid())
        assert await command(path, "health_ok") == LATER
        (tmp_path / "events").write_text("")  # the disk takes nothing
        reports._recent.clear()
        assert await command(path, "health_ok") == DISK
    assert "wait and try again" in capsys.readouterr().err


async def test_connections_of_one_user_do_not_block_other_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, ScriptedHub()) as (reports, path):
        held = [await asyncio.open_unix_connection(path) for _ in range(4)]
        await eventually(lambda: reports._callers == {os.geteuid(): 4})
        assert await command(path, "health_ok") == LATER
        monkeypatch.setattr("spider.reports.event_reports._uid_of", lambda _writer: 4711)
        monkeypatch.setattr(reports._reporters, "may_report", lambda _uid: True)
        assert await command(path, "health_ok") == 0
        for _, writer in held:
            writer.close()
            await writer.wait_closed()


async def test_a_write_that_hangs_keeps_the_queue_to_itself_though_its_caller_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each retry of a caller would leave one more hanging thread, and two threads could store one event twice."""
    async with running(tmp_path, ScriptedHub()) as (reports, _):
        begun: list[str] = []
        disk, add = threading.Event(), reports._queue.add

        def hang(new: ReportedEvent) -> int:
            begun.append(new.id)
            disk.wait(20)
            return add(new)

        monkeypatch.setattr(reports._queue, "add", hang)
        new = ReportedEvent("e-1", "health_ok", NOW_MS, "", "")
        gone = asyncio.create_task(reports._store(new))
        await eventually(lambda: len(begun) == 1)
        gone.cancel()
        again = asyncio.create_task(reports._store(new))
        await asyncio.sleep(0.1)
        assert len(begun) == 1
        disk.set()
        assert (await again).code == "accepted"
        assert len(os.listdir(tmp_path / "events")) == 1


# -- the command -------------------------------------------------------------------------------------


def test_an_agent_that_does_not_run_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health_ok", "--socket", str(tmp_path / "none")], wait_s=0.2) == event_command.AWAY
    assert "No such file" in capsys.readouterr().err


def test_an_event_during_a_restart_of_the_agent_waits_for_its_socket(tmp_path: Path) -> None:
    """An update restarts the agent, and a line of cron does not try again."""
    path, heard = tmp_path / "events.sock", list[bytes]()

    def listen_late() -> None:
        time.sleep(0.3)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            caller, _ = listener.accept()
            with caller:
                heard.append(caller.recv(65536))
                caller.sendall(b'["accepted", "e-1"]\n')

    agent = threading.Thread(target=listen_late)
    agent.start()
    assert main(["backup_completed", "--socket", str(path)], wait_s=60) == 0
    agent.join()
    assert b"backup_completed" in heard[0]


@pytest.mark.parametrize(
    "words",
    [[], ["health_ok", "two", "words"], ["health_ok", "--nonsense=1"], ["health_ok", "--id"], ["nonsense"], ["health_ok", "--at", "now"],
     ["health_ok", "--at", "2026-11-26T05:00:00"], ["health_ok", "--at", "nan"], ["health_ok", "--at", "1e308"], ["health_ok", "--detail", "=1"]],
)  # fmt: skip
def test_an_invalid_command_line_is_refused_with_a_message(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == USAGE_STATUS
    assert capsys.readouterr().err.startswith("stardust-spider: ")


def test_arguments_of_the_command_line_are_parsed() -> None:
    sent, path = parse_words(
        ["custom", "--detail", "name=x", "--detail", "n=12", "--detail=old=007", "--at=2026-11-26T06:00:00+01:00", "--", "--dashes"]
    )
    assert path == event_command.EVENTS_SOCKET
    assert (sent["message"], sent["details"], sent["at_ms"]) == ("--dashes", {"name": "x", "n": 12, "old": "007"}, 1_795_669_200_000)
    assert parse_words(["health_ok", "--at", "2026-11-26T05:00:00Z"])[0]["at_ms"] == 1_795_669_200_000
    large = parse_words(["health_ok", "--detail", f"n={2**53 - 1}", "--detail", f"long={2**53}"])[0]
    assert large["details"] == {"n": 2**53 - 1, "long": str(2**53)}
    make_event(large, 1)


def test_a_boot_is_reported_once_and_as_unexpected_only_without_a_shutdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"proc/uptime": "100.00 1.00\n"})

    def booted(boot: str) -> tuple[BootRecord, list[ReportedEvent]]:
        record = BootRecord(str(tmp_path), boot * 32, str(tmp_path))
        return record, boot_events(record)

    assert booted("a")[1] == []
    crashed, [found] = booted("b")
    assert (found.id, found.type, json.loads(found.details)) == (f"boot-{'b' * 32}", "node_rebooted_unexpectedly", {"boot_id": "b" * 32})
    assert booted("b")[1] == []
    crashed.end()
    _, [found] = booted("c")
    assert (found.type, set(json.loads(found.details))) == ("node_rebooted", {"boot_id", "down_seconds"})
    monkeypatch.setattr("time.time", lambda: 5e9)
    _, [found] = booted("d")
    assert found.at_ms == LATEST_MS == SystemClock().now() * 1000, "the hub would end every session"


@pytest.mark.holds("SAFETY-102", "S-50")
async def test_root_is_heard_while_another_user_connects_in_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def uid_of(writer: asyncio.StreamWriter) -> int:
        return 4711 if writer.get_extra_info("sockname") == str(tmp_path / "s") else 0

    monkeypatch.setattr("spider.reports.event_reports._uid_of", uid_of)
    stop = threading.Event()

    def flood(path: str) -> None:
        held: list[socket.socket] = []
        while not stop.is_set():
            one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            with contextlib.suppress(OSError):
                one.connect(path)
            held.append(one)
            if len(held) > 400:
                held.pop(0).close()
        for one in held:
            one.close()

    async with running(tmp_path, ScriptedHub()) as (_, path):
        assert os.stat(root_socket(path)).st_mode & 0o777 == 0o600
        attacker = threading.Thread(target=flood, args=(path,))
        attacker.start()
        try:
            assert [await command(path, "health_ok") for _ in range(3)] == [0] * 3
        finally:
            stop.set()
            await asyncio.to_thread(attacker.join)
        loop = asyncio.get_running_loop()
        served = ("EventReports._call", "BaseSelectorEventLoop._accept_connection2")
        await eventually(lambda: not [task for task in asyncio.all_tasks(loop) if getattr(task.get_coro(), "__qualname__", "") in served])


@pytest.mark.holds("SAFETY-102")
def test_ids_and_room_belong_to_the_reporter(tmp_path: Path) -> None:
    assert id_of_reporter("backup", 0) == "backup"
    ids = {id_of_reporter(text, uid) for text in ("backup", "1000:backup", "x" * 64) for uid in (0, 1000, 1001)}
    assert len(ids) == 9
    queue = EventQueue(str(tmp_path / "events"))
    root = ReportedEvent("backup", "backup_completed", NOW_MS, "", "")
    queue.add(root._replace(id=id_of_reporter("backup", 1000)))
    queue.add(root)
    for number in range(MAX_WAITING + 50):
        queue.add(root._replace(id=id_of_reporter(f"{number}", 1000)))
    assert len(queue) == MAX_WAITING
    assert queue.batch()[0].id == "backup", "root's own is the oldest that is left"
