"""How the previous boot ended: by Spider's own record, and by wtmp."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from spider.sampling.collectors.boots import NO, UNKNOWN, YES, BootRecord, Boots, Ending, ending_in_wtmp
from tests.support.recordings import write
from tests.support.some import some

RECORD = struct.Struct("=hxxi32s4s32s256s8xii36x")
BOOTED_AT = 1_800_000_000.0


def wtmp(*records: tuple[int, str, float]) -> bytes:
    """A format test, by utmp(5): records of kind, user and Unix seconds."""
    return b"".join(RECORD.pack(kind, 0, b"~", b"~~", user.encode(), b"6.1", int(at), 0) for kind, user, at in records)


FIRST, PRESENT, STOPPED, LOGIN = (
    (2, "reboot", BOOTED_AT - 9e4),
    (2, "reboot", BOOTED_AT + 3),
    (1, "shutdown", BOOTED_AT - 60),
    (7, "ops", BOOTED_AT - 100),
)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ((FIRST, LOGIN, STOPPED, PRESENT, LOGIN), Ending(YES, int(BOOTED_AT - 60) * 1000)),
        ((STOPPED, FIRST, LOGIN, PRESENT), Ending(NO, None)),
        ((LOGIN, PRESENT), Ending(UNKNOWN, None)),
        ((FIRST, STOPPED), Ending(UNKNOWN, None)),
        ((), Ending(UNKNOWN, None)),
    ],
    ids=["shutdown", "no shutdown", "rotated", "this boot is not recorded", "empty"],
)
def test_wtmp_shows_how_the_previous_boot_ended(records: tuple[tuple[int, str, float], ...], expected: Ending) -> None:
    assert RECORD.size == 384
    assert ending_in_wtmp(wtmp(*records), wide=False, booted_at=BOOTED_AT) == expected


def test_a_boot_without_a_recorded_shutdown_ended_uncleanly(tmp_path: Path) -> None:
    write(tmp_path, {"proc/uptime": "100.00 1.00\n"})

    def started(boot: str) -> BootRecord:
        record = BootRecord(str(tmp_path), boot * 32, str(tmp_path))
        record.begin()
        return record

    assert (started("a").before, started("a").first) == (Ending(UNKNOWN, None), False)
    crashed = started("b")
    assert (crashed.before, crashed.first) == (Ending(NO, None), True)
    crashed.end()
    again = started("b")  # Spider itself was restarted: the same boot, the same answer
    assert (again.before, again.first) == (Ending(NO, None), False)
    again.end()
    after = started("c")
    assert after.before is not None
    assert (after.before.clean, after.first) == (YES, True)
    reading = some(Boots(after).read(0.0))
    [(boot, booted_at, clean, down_at)] = reading.rows
    assert (boot, clean, down_at) == ("c" * 32, YES, some(after.before.at_ms))
    assert isinstance(booted_at, int)


@pytest.mark.parametrize("damaged", ["", "{", "[1]", '["a", true, "x", "yes", null]'])
def test_a_damaged_record_is_ignored(tmp_path: Path, damaged: str) -> None:
    write(tmp_path, {"boot": damaged, "proc/uptime": "100.00 1.00\n"})
    record = BootRecord(str(tmp_path), "a" * 32, str(tmp_path))
    assert (record.begin(), record.first) == (Ending(UNKNOWN, None), False)


def test_a_folder_that_cannot_be_written_costs_the_record_only(tmp_path: Path) -> None:
    record = BootRecord(str(tmp_path / "missing"), "a" * 32, str(tmp_path))
    assert record.begin() == Ending(UNKNOWN, None)
    record.end()
