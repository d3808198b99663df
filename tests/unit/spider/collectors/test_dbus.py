"""The client of the system bus: with a real dbus-daemon, recorded conversations of systemd, and hostile bytes."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.sampling.collectors.dbus import MAX_MESSAGE_BYTES, DbusReader, DbusRefused, SystemBus, call_of, type_end
from spider.sampling.collectors.logins import LoggedIn, Login, sessions_of
from spider.sampling.collectors.systemd_units import (
    RESTARTED_S,
    AllUnits,
    FailedCount,
    FailedUnits,
    Timers,
    Unit,
    by_importance,
    enabled_units,
    group_instances,
    list_units,
    next_elapse_ms,
)
from tests.support.recordings import DATA
from tests.support.some import some

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"""
DBUS = "org.freedesktop.DBus"
DAEMON = (DBUS, "/org/freedesktop/DBus", DBUS)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    """A real bus of our own."""
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("no dbus-daemon on this machine")
    path = str(tmp_path / "bus")
    (tmp_path / "conf").write_text(CONFIG.format(socket=path))
    argv = [program, "--nofork", "--nopidfile", "--print-address", f"--config-file={tmp_path / 'conf'}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as daemon:
        assert some(daemon.stdout).readline().startswith("unix:path=")
        yield path
        daemon.terminate()


def test_a_real_bus_answers(bus: str) -> None:
    with SystemBus(bus) as client:
        names = client.call(*DAEMON, "ListNames")[0]
        assert DBUS in names
        assert client.call(*DAEMON, "GetConnectionUnixUser", "s", names[-1]) == [os.geteuid()]
        features = client.get(*DAEMON, "Features")
        assert isinstance(features, list)
        assert client.get_all(*DAEMON)["Features"] == features


def test_an_error_reply_of_the_bus_is_raised_with_its_name(bus: str) -> None:
    with SystemBus(bus) as client:
        with pytest.raises(DbusRefused, match=r"org\.freedesktop\.DBus\.Error\.UnknownMethod"):
            client.call(*DAEMON, "Nonsense")
        assert client.call(*DAEMON, "NameHasOwner", "s", DBUS) == [True]  # and the connection goes on


def test_a_missing_bus_raises_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"."), SystemBus(str(tmp_path / "none")):
        pass


class Replayed:
    """A bus that says what another one has said; the questions are counted, not read."""

    def __init__(self, path: str, answers: list[bytes], greeting: bytes = b"OK 00\r\n") -> None:
        self._answers = answers
        self._greeting = greeting
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError), self._listener, self._listener.accept()[0] as client, client.makefile("rb") as stream:
            stream.readline()
            client.sendall(self._greeting)
            if stream.readline() != b"BEGIN\r\n":
                return
            answers = iter(self._answers)
            while True:
                head = stream.read(16)
                if len(head) < 16:
                    return
                body, _serial, fields = struct.unpack("<III", head[4:])
                stream.read(fields + -fields % 8 + body)
                for answer in answers:
                    client.sendall(answer)
                    if answer[1:2] in (b"\2", b"\3"):  # a signal may stand before the answer
                        break
                else:
                    return

    def join(self) -> None:
        self._thread.join(10)


def recorded(origin: str, name: str) -> list[bytes]:
    raw, at, found = (DATA / "dbus" / origin / name).read_bytes(), 0, []
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        found.append(raw[at + 4 : at + 4 + size])
        at += 4 + size
    return found


@pytest.fixture
def booted(tmp_path: Path) -> str:
    """The root of a host that systemd has booted, without utmp."""
    for folder in ("run/systemd/system", "run/systemd/seats", "proc"):
        (tmp_path / folder).mkdir(parents=True)
    return str(tmp_path)


@pytest.mark.parametrize(("origin", "moment_ms"), [("debian-old", 1_795_659_732_000), ("debian-new", 1_795_659_720_000)])
def test_failed_units_of_the_oldest_and_newest_systemd(booted: str, origin: str, moment_ms: int) -> None:
    bus = Replayed(booted + "/bus", recorded(origin, "failed"))
    reading = FailedUnits(booted + "/bus", booted).read(0.0)
    bus.join()
    assert reading is not None
    assert [row[:4] for row in reading.rows] == [
        ("again.service", "again.service", "auto-restart", "exit-code"),
        ("bad.service", "bad.service", "failed", "exit-code"),
    ]
    assert all(isinstance(row[4], int) and moment_ms <= row[4] < moment_ms + 1000 for row in reading.rows)
    assert [row[5] for row in reading.rows] == [0, 0]


@pytest.mark.parametrize("origin", ["debian-old", "debian-new"])
def test_all_units_are_listed_by_one_query_failed_ones_first(booted: str, origin: str) -> None:
    starts(booted, again="a")
    started_ms = int(Path(booted, "run/systemd/units/invocation:again.service").lstat().st_mtime * 1000)
    bus = Replayed(booted + "/bus", recorded(origin, "failed")[:3])
    reading = AllUnits(booted + "/bus", booted).read(0.0)
    bus.join()
    assert reading is not None
    assert reading.total == 2
    assert [(row[0], row[2], row[3]) for row in reading.rows] == [
        ("bad.service", "failed", None),
        ("again.service", "auto-restart", started_ms),
    ]


def starts(root: str, **units: str) -> None:
    """The links by which systemd tells of the last start of each unit."""
    folder = Path(root, "run/systemd/units")
    folder.mkdir(parents=True, exist_ok=True)
    for name, start in units.items():
        (folder / f"invocation:{name}.service").unlink(missing_ok=True)
        (folder / f"invocation:{name}.service").symlink_to(start)


def test_a_service_that_systemd_restarts_is_a_row_for_an_hour(booted: str) -> None:
    """Recorded: the answers of systemd 262 about a service that runs for 3 s and is restarted each time."""
    told = recorded("debian-new", "restarted")
    quiet = told[:3]  # nothing has started since
    reader = FailedUnits(booted + "/bus", booted)
    starts(booted, ssh="a")
    Path(booted, "run/systemd/units/invocation:gone.service").touch()  # of this one alone no start can be read
    for moment, start, answers, rows in (
        (0.0, "a", quiet, []),
        (30.0, "b", told, [("loop.service", "running", 1)]),
        (60.0, "c", told, [("loop.service", "running", 1)]),
        (60.0 + RESTARTED_S, "c", quiet, []),
    ):
        starts(booted, loop=start)
        bus = Replayed(booted + "/bus", answers)
        reading = reader.read(moment)
        bus.join()
        os.unlink(booted + "/bus")
        assert [(row[0], row[2], row[5]) for row in some(reading).rows] == rows


class StubBus:
    """Answers every call with these units."""

    def __init__(self, *rows: tuple[str, ...]) -> None:
        self._rows = rows

    def call(self, *_words: object) -> list[object]:
        return [list(self._rows)]


def test_a_failed_unit_whose_file_is_gone_is_not_listed() -> None:
    rows = [(f"{load}.service", "", load, "failed", "failed", "", "/unit") for load in ("loaded", "not-found")]
    assert [unit.name for unit in list_units(StubBus(*rows), ("failed",))] == ["loaded.service"]  # type: ignore[arg-type]


def test_of_many_failed_units_enabled_and_singly_named_ones_come_first() -> None:
    units = sorted(
        Unit(f"{name}.service", "", "failed", "failed", "/unit") for name in ("zz", "on@1", *(f"web@{number}" for number in range(300)))
    )
    chosen = by_importance(group_instances(units), {"on@1.service"})
    assert [unit.name for unit in chosen[:3]] == ["on@1.service", "zz.service", "web@.service"]
    assert chosen[2].description == "290 more instances failed"
    assert len(chosen) == 13
    assert group_instances(units[:5]) == units[:5]


@pytest.mark.parametrize("origin", ["debian-old", "debian-new"])
def test_how_many_units_failed(booted: str, origin: str) -> None:
    bus = Replayed(booted + "/bus", recorded(origin, "failed"))
    count = FailedCount(booted + "/bus", booted)
    assert count.read(0.0) == [2]
    assert count.series() == ["units.failed"]
    bus.join()


@pytest.mark.parametrize("origin", ["debian-old", "debian-new"])
def test_timers_of_the_oldest_and_newest_systemd(booted: str, origin: str) -> None:
    bus = Replayed(booted + "/bus", recorded(origin, "timers"))
    reading = Timers(booted + "/bus", booted).read(0.0)
    bus.join()
    [(unit, activates, _next, last)] = some(reading).rows
    assert (unit, activates) == ("systemd-tmpfiles-clean.timer", "systemd-tmpfiles-clean.service")
    assert isinstance(last, int)
    assert last // 1000 == 1_795_181_362


@pytest.mark.parametrize(("origin", "terminal", "pid"), [("debian-old", "pts/0", 134), ("debian-new", "sshd", 165)])
def test_sessions_of_people_and_not_of_their_managers(tmp_path: Path, origin: str, terminal: str, pid: int) -> None:
    bus = Replayed(str(tmp_path / "bus"), recorded(origin, "sessions"))
    with SystemBus(str(tmp_path / "bus")) as client:
        [login] = sessions_of(client)
    bus.join()
    assert login._replace(since_ms=0) == Login("ops", terminal, "127.0.0.1", 0, pid)
    assert login.since_ms // 1000 in (1_795_181_449, 1_795_181_450)


def test_a_host_without_utmp_asks_logind(booted: str) -> None:
    bus = Replayed(booted + "/bus", recorded("debian-new", "sessions"))
    reading = LoggedIn(booted, booted + "/bus").read(0.0)
    bus.join()
    assert [row[:3] for row in some(reading).rows] == [("ops", "sshd", "127.0.0.1")]


def test_a_host_without_systemd_has_neither_units_nor_timers(tmp_path: Path) -> None:
    assert FailedUnits(str(tmp_path / "bus"), str(tmp_path)).read(0.0) is None
    assert Timers(str(tmp_path / "bus"), str(tmp_path)).read(0.0) is None
    count = FailedCount(str(tmp_path / "bus"), str(tmp_path))
    assert count.read(0.0) == []
    assert count.series() == []


@pytest.mark.parametrize("greeting", [b"REJECTED EXTERNAL\r\n", b"x" * 600, b""])
def test_a_bus_that_refuses_authentication_is_an_error(tmp_path: Path, greeting: bytes) -> None:
    bus = Replayed(str(tmp_path / "bus"), [], greeting)
    with pytest.raises((OSError, ValueError)), SystemBus(str(tmp_path / "bus"), 0.5):
        pass
    bus.join()


@pytest.mark.holds("S-49")
def test_a_bus_that_never_answers_is_given_up(tmp_path: Path) -> None:
    path = str(tmp_path / "bus")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen(1)
        with pytest.raises(OSError, match="time"), SystemBus(path, 0.05):
            pass


SIGNAL = bytes.fromhex("6c040001") + struct.pack("<III", 0, 9, 0)


@pytest.mark.holds("S-49")
@given(st.binary(max_size=300), st.integers(0, 3), st.integers(0, 400))
def test_a_damaged_reply_raises_only_valueerror(junk: bytes, which: int, at: int) -> None:
    answers = recorded("debian-new", "sessions")
    answer = answers[which + 1]
    damaged = answer[: 12 + at % (len(answer) - 12)] + junk + answer[12 + at % (len(answer) - 12) + len(junk) :]
    little = damaged[:1] == b"l"
    with contextlib.suppress(ValueError):
        DbusReader(damaged, little, 12).values("a(yv)")
    with contextlib.suppress(ValueError):
        DbusReader(junk, little=False).values("a{sv}a(ssssssouso)")


@given(st.text(st.sampled_from("aysgov(){}ub"), max_size=12), st.binary(max_size=60))
def test_any_signature_over_any_bytes_gives_values_or_valueerror(signature: str, data: bytes) -> None:
    with contextlib.suppress(ValueError):
        DbusReader(data, little=True).values(signature)


def test_signals_are_skipped_and_oversized_messages_refused(tmp_path: Path) -> None:
    hello, *_ = recorded("debian-new", "failed")
    bus = Replayed(str(tmp_path / "bus"), [SIGNAL, hello])
    with SystemBus(str(tmp_path / "bus")):
        pass
    bus.join()
    huge = Replayed(str(tmp_path / "huge"), [b"l\2\0\1" + struct.pack("<III", MAX_MESSAGE_BYTES, 1, 0)])
    with pytest.raises(ValueError, match="too big"), SystemBus(str(tmp_path / "huge")):
        pass
    huge.join()


@pytest.mark.parametrize(("signature", "end"), [("s", 1), ("as", 2), ("a{sv}i", 5), ("(s(ii))u", 7), ("aa(yv)", 6)])
def test_the_end_of_the_first_type_of_a_signature(signature: str, end: int) -> None:
    assert type_end(signature) == end


@pytest.mark.parametrize("signature", ["", "a", "(s", "a{s"])
def test_a_truncated_signature_is_refused(signature: str) -> None:
    with pytest.raises(ValueError, match="signature"):
        type_end(signature)


def test_an_encoded_call_decodes_to_its_arguments() -> None:
    said = call_of(7, "org.x", "/p", "org.x.I", "Do", "asu", [["failed", "é"], 9])
    body, serial, fields = struct.unpack("<III", said[4:16])
    assert serial == 7
    assert dict(DbusReader(said[: 16 + fields], little=True, at=12).values("a(yv)")[0]) == {
        1: "/p",
        2: "org.x.I",
        3: "Do",
        6: "org.x",
        8: "asu",
    }
    assert DbusReader(said[len(said) - body :], little=True).values("asu") == [["failed", "é"], 9]


def test_a_timer_is_due_at_the_earlier_of_its_two_times() -> None:
    assert next_elapse_ms(0, 2**64 - 1, 1000.0, 10.0) is None
    assert next_elapse_ms(5_000_000, 0, 1000.0, 10.0) == 5000
    assert next_elapse_ms(0, 70_000_000, 1000.0, 10.0) == 1_060_000
    assert next_elapse_ms(5_000_000_000, 70_000_000, 1000.0, 10.0) == 1_060_000


def test_enabled_units_are_the_links_that_the_host_s_configuration_holds(tmp_path: Path) -> None:
    for path in ("etc/systemd/system/multi-user.target.wants/nginx.service", "run/systemd/system/a.service.requires/on@1.service"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).symlink_to("/nowhere")
    (tmp_path / "etc/systemd/system/other.service").touch()
    assert enabled_units(str(tmp_path)) == {"nginx.service", "on@1.service"}
