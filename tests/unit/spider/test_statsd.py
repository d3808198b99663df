"""The statsd socket: messages of real clients, aggregated by the minute, with limits on everything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.sampling.bounded_datagrams import Datagrams
from spider.sampling.statsd import FORGET_S, LINES_PER_MINUTE, MAX_NAMES, SCALE, Statsd, parse_line
from spider.wire.metrics import parse_series
from tests.support.background import cancelled
from tests.support.clock import ManualClock, RunningClock
from tests.support.eventually import eventually
from tests.support.ports import free_port


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.statsd = Statsd("", self.clock)
        self.read()

    def read(self, seconds: float = 0.0) -> dict[str, int | None]:
        self.clock.advance(seconds)
        values = self.statsd.read(self.clock.monotonic())
        return dict(zip(self.statsd.series(), values, strict=True))

    def send(self, *lines: str) -> None:
        self.statsd.datagram_received("\n".join(lines).encode())


def test_counters_gauges_and_timers_are_put_together() -> None:
    bench = Bench()
    bench.send("hits:1|c", "hits:2|c|@0.5", "level:7|g", "level:-2|g", "level:+0.5|g", "took:10|ms", "took:30|ms", "took:2|h|@0.5")
    assert bench.read(10) == {
        "statsd.rate{name=hits}": 500,
        "statsd.gauge{name=level}": 5500,
        "statsd.timer{name=took}": 11_000,
        "statsd.timer_max{name=took}": 30_000,
        "statsd.timer_rate{name=took}": 400,
    }
    assert bench.read(60) == {
        "statsd.rate{name=hits}": 0,
        "statsd.gauge{name=level}": 5500,
        "statsd.timer{name=took}": None,
        "statsd.timer_max{name=took}": None,
        "statsd.timer_rate{name=took}": 0,
    }
    assert bench.read(FORGET_S) == {}


@pytest.mark.parametrize(
    "line",
    ["", "x", "x:1", "x:1|s", "x:|c", "x:1|c|#tag:1", "x:1|c|@0", "x:1|c|@2", "x:nan|c", "x:1e99|c", "x:-1|ms", "{x}:1|c", "1x:1|c", "x" * 101 + ":1|c", "x:--1|g"],
)  # fmt: skip
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_line(line.encode())


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_datagram_gives_series_of_the_catalogue(datagrams: list[bytes]) -> None:
    bench = Bench()
    for datagram in datagrams:
        bench.statsd.datagram_received(datagram)
    for name, value in bench.read(10).items():
        assert parse_series(name)[0].family == "custom"
        assert value is None or abs(value) < 1 << 63


def test_names_and_lines_are_bounded_and_the_excess_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    for number in range(LINES_PER_MINUTE + 100):
        bench.statsd.add_line(b"n%d:1|c" % (number % (MAX_NAMES + 50)))
    assert len(bench.read(60)) == MAX_NAMES
    assert caplog.messages == ["statsd_left_out"]
    bench.send("n1:9e15|c", *["n1:9e15|c"] * 50, "big:9e15|c")
    assert bench.read(1)["statsd.rate{name=n1}"] is not None


def test_beyond_the_bound_a_datagram_is_counted_unread_until_the_next_minute(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    for _ in range(LINES_PER_MINUTE):
        bench.statsd.add_line(b"n:1|c")
    for datagram in (b"n:1|c\n\nno line at all\n", b"n:1|c", b"\n" * 8192, b""):  # not taken apart: empty lines count
        bench.statsd.datagram_received(datagram)
    assert bench.read(60) == {"statsd.rate{name=n}": LINES_PER_MINUTE // 60 * SCALE}
    assert [vars(record)["facts"] for record in caplog.records] == [{"not_understood": 1, "too_many": 8196, "datagrams_unread": 0}]
    bench.send("n:60|c")
    assert bench.read(60) == {"statsd.rate{name=n}": SCALE}


async def test_statsd_listens_on_a_unix_socket_and_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "statsd.sock"
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    stale.bind(str(path))
    stale.close()
    statsd = Statsd(str(path), RunningClock(10))
    statsd.read(0.0)
    task = asyncio.create_task(statsd.run())
    await eventually(lambda: path.exists() and stat.S_IMODE(path.stat().st_mode) == 0o666)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(b"hits:5|c", str(path))
        await eventually(lambda: bool(statsd._seen_at))
    assert statsd.read(10.0) == [500]
    await cancelled(task)
    assert not path.exists()


async def test_statsd_listens_on_a_loopback_port_only() -> None:
    port = free_port()
    statsd = Statsd(str(port), RunningClock(10))
    task = asyncio.create_task(statsd.run())
    await eventually(lambda: statsd.address() is not None)
    assert statsd.address() == ("127.0.0.1", port)
    await cancelled(task)


async def test_an_unavailable_socket_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = tmp_path / "file"
    kept.write_text("mine")
    statsd = Statsd(str(kept), RunningClock(10_000))
    task = asyncio.create_task(statsd.run())
    await eventually(lambda: "statsd_unusable" in caplog.messages)
    await asyncio.sleep(0.05)
    await cancelled(task)
    assert caplog.messages.count("statsd_unusable") == 1
    assert kept.read_text() == "mine"


class Flooded:
    """A reader with a bound of a thousand, and what it took."""

    def __init__(self, family: socket.AddressFamily, place: object) -> None:
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind(place)  # type: ignore[arg-type]  # of that family
        self.taken: list[bytes] = []
        self.reader = Datagrams(self.sock, 1024, self.taken.append, per_minute=1000)

    async def quiet(self, sent: int) -> None:
        """Wait until all that was sent is taken, thrown away or known to be dropped; the kernel tells of that with the next one."""
        with socket.socket(self.sock.family, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            extra = 0

            def settled() -> bool:
                nonlocal extra
                if len(self.taken) + self.reader.unread >= sent + extra:
                    return True
                with contextlib.suppress(BlockingIOError):
                    client.sendto(b"", self.sock.getsockname())
                    extra += 1
                return False

            await eventually(settled)
            assert len(self.taken) + self.reader.unread == sent + extra


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
async def test_a_flood_of_datagrams_has_a_bound_and_is_counted_to_the_last(tmp_path: Path, family: socket.AddressFamily) -> None:
    flooded = Flooded(family, ("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "sock"))
    try:
        code = "import socket,sys; s=socket.socket(int(sys.argv[1]), socket.SOCK_DGRAM); to=eval(sys.argv[2])\nfor _ in range(int(sys.argv[3])): s.sendto(b'x:1|c', to)"
        count = 20_000 if family == socket.AF_INET else 1500
        argv = [sys.executable, "-c", code, str(int(family)), repr(flooded.sock.getsockname()), str(count)]
        sender = await asyncio.create_subprocess_exec(*argv)
        assert await sender.wait() == 0
        await flooded.quiet(count)
        assert len(flooded.taken) == 1000
        assert flooded.reader.renew() >= count - 1000
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.sendto(b"y:1|c", flooded.sock.getsockname())
            await eventually(lambda: flooded.taken[-1] == b"y:1|c")
    finally:
        flooded.reader.close()


async def test_dropped_datagrams_of_a_flood_are_logged_each_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    statsd = Statsd(str(tmp_path / "sock"), RunningClock(10))
    task = asyncio.create_task(statsd.run())
    await eventually((tmp_path / "sock").exists)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        for _ in range(5):
            client.sendto(b"", str(tmp_path / "sock"))
        client.sendto(b"x:1|c", str(tmp_path / "sock"))
    await eventually(lambda: bool(statsd._seen_at))
    statsd.read(10.0)
    await cancelled(task)
    assert [vars(record)["facts"] for record in caplog.records] == [{"not_understood": 5, "too_many": 0, "datagrams_unread": 0}]
