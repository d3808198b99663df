"""Whether the clock is synchronised."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from spider.sampling.collectors.clock import Clocks, Timex, has_call_filter, parse_timex, read_kernel_clock, timesyncd
from tests.support.clock import ManualClock
from tests.support.recordings import read, write


def timex(offset: int, error_us: int, status: int) -> bytes:
    """The head of struct timex, adjtimex(2), on a 64-bit machine."""
    return struct.pack("=iiqqqqi", 0, 0, offset, 0, 500_000, error_us, status) + bytes(160)


@pytest.mark.parametrize(
    ("state", "data", "told"),
    [
        (0, timex(-1_500_000, 250, 0x2001), Timex(True, 250, -1500)),
        (0, timex(-1500, 250, 0x0001), Timex(True, 250, -1500)),
        (5, timex(0, 16_000_000, 0x0040), Timex(False, 16_000_000, 0)),
        (5, timex(0, 250, 0x0001), Timex(False, 250, 0)),
        (-1, timex(0, 0, 0), None),
        (0, b"", None),
        (0, timex(0, -5, 0), None),
    ],
    ids=["ntp in ns", "ntp in us", "never set", "kernel says error", "refused", "cut off", "impossible"],
)
@pytest.mark.skipif(struct.calcsize("l") != 8, reason="the layout of a 64-bit machine")
def test_timex_is_read_by_value(state: int, data: bytes, told: Timex | None) -> None:
    assert parse_timex(state, data) == told


def test_this_kernel_answers_or_refuses() -> None:
    told = read_kernel_clock()
    assert told is None or 0 <= told.error_us < 2**40


def test_behind_a_seccomp_filter_the_kernel_is_not_queried(tmp_path: Path) -> None:
    """A call that a filter forbids may end the process."""
    write(tmp_path, {"status": "Name:\tpython3\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t14\n"})
    assert read_kernel_clock(str(tmp_path / "status")) is None
    assert not has_call_filter("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n")


def test_timesyncd_says_so_by_a_file(tmp_path: Path) -> None:
    assert timesyncd(str(tmp_path / "timesync")) is None
    (tmp_path / "timesync").mkdir()
    assert timesyncd(str(tmp_path / "timesync")) is False
    write(tmp_path, {"timesync/synchronized": ""})
    assert timesyncd(str(tmp_path / "timesync")) is True


def test_clock_skew_is_measured_from_the_hubs_time_and_follows_a_set_clock() -> None:
    clock = ManualClock()
    heard: list[tuple[int, float]] = []
    clocks = Clocks(clock, lambda: heard[-1] if heard else None, ask=lambda: Timex(True, 1200, -30), run="/none")
    assert read(clocks, clock.monotonic()) == {"clock.synchronised": 1, "clock.error": 1200, "clock.offset": -30}
    heard.append((int(clock.now() * 1000) - 2500, clock.monotonic()))
    assert read(clocks, clock.monotonic())["clock.skew"] == 2500
    clock.jump(3600)
    assert read(clocks, clock.monotonic())["clock.skew"] == 3_602_500


def test_an_unsynchronised_clock_has_neither_error_nor_offset() -> None:
    clocks = Clocks(ManualClock(), ask=lambda: Timex(False, 16_000_000, 0), run="/none")
    assert read(clocks, 0.0) == {"clock.synchronised": 0}


def test_a_forbidden_kernel_query_is_tried_once(tmp_path: Path) -> None:
    asked = []

    def refused() -> Timex | None:
        asked.append(1)
        return None

    (tmp_path / "timesync").mkdir()
    clocks = Clocks(ManualClock(), ask=refused, run=str(tmp_path / "timesync"))
    assert read(clocks, 0.0) == read(clocks, 1.0) == {"clock.synchronised": 0}
    assert asked == [1]
