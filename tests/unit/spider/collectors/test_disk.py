"""/proc/diskstats."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.collectors.disk import DiskCounters, Disks, busy_share, parse_diskstats
from tests.unit.spider.collectors.captured import captured, write


def line(name: str, read: int = 8, written: int = 8, busy_ms: int = 1) -> bytes:
    return f"   8       0 {name} 5 0 {read} 3 4 0 {written} 2 0 {busy_ms} 9 0 0 0 0 0 0\n".encode()


def test_the_machine_has_one_disk() -> None:
    assert parse_diskstats(captured("machine", "diskstats")) == {
        "vda": DiskCounters(read_bytes=23419626 * 512, written_bytes=183431824 * 512, busy_ms=190332)
    }


def test_a_host_behind_lxcfs_is_read_too() -> None:
    assert list(parse_diskstats(captured("lxcfs", "diskstats"))) == ["vda"]


@pytest.mark.parametrize(
    ("present", "disks"),
    [
        (["sda", "sda1", "sda2", "sdaa", "sdaa1"], ["sda", "sdaa"]),
        (["nvme0n1", "nvme0n1p1", "nvme0n1p12", "nvme0n2"], ["nvme0n1", "nvme0n2"]),
        (["mmcblk0", "mmcblk0p1", "mmcblk0boot0", "mmcblk0rpmb"], ["mmcblk0"]),
        (["xvda1", "xvda2"], ["xvda1", "xvda2"]),
        (["cciss/c0d0", "cciss/c0d0p1"], ["cciss/c0d0"]),
        (["sda", "dm-0", "dm-1", "md0", "md127", "md_d0", "bcache0", "drbd1", "zd16"], ["sda"]),
        (["loop0", "ram0", "zram0", "sr0", "fd0", "vda"], ["vda"]),
        (["nvme0c0n1", "nvme0n1"], ["nvme0n1"]),
        (["nbd1", "nbd12", "rbd0", "pmem0"], ["nbd1", "nbd12", "rbd0", "pmem0"]),
    ],
)
def test_each_byte_is_counted_at_one_disk(present: list[str], disks: list[str]) -> None:
    assert list(parse_diskstats(b"".join(line(name) for name in present))) == disks


def test_a_device_without_a_single_request_is_no_disk() -> None:
    silent = b"  43 0 nbd0 0 0 0 0 0 0 0 0 0 0 0\n"
    assert parse_diskstats(silent + line("sda")).keys() == {"sda"}


def test_a_partition_of_a_silent_disk_is_still_one() -> None:
    assert parse_diskstats(b"   8 0 sda 0 0 0 0 0 0 0 0 0 0 0\n" + line("sda1")) == {}


@pytest.mark.parametrize("text", [b"8 0 sda 1 2 3\n", b"8 0 sda a 0 8 3 4 0 8 2 0 1 9\n", b"8 0 sda -1 0 8 3 4 0 8 2 0 1 9\n"])
def test_what_is_no_diskstats_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_diskstats(text)


def test_busy_is_never_more_than_all_the_time() -> None:
    assert busy_share(1500, 1000, 1.0) == 5000
    assert busy_share(9000, 1000, 1.0) == 10000
    assert busy_share(1000, 1500, 1.0) is None
    assert busy_share(1000, 1000, 0.0) is None


def test_rates_need_two_readings_and_a_new_disk_waits_for_its_second(tmp_path: Path) -> None:
    disks = Disks(str(write(tmp_path, {"diskstats": line("sda", 0, 0, 0)})))
    assert disks.read(10.0) == []
    assert disks.series() == []
    write(tmp_path, {"diskstats": line("sda", 8, 16, 500) + line("sdb", 4, 4)})
    assert disks.read(12.0) == [2048, 4096, 2500]
    assert disks.series() == ["disk.read{device=sda}", "disk.written{device=sda}", "disk.busy{device=sda}"]
    assert disks.read(13.0) == [0] * 6
    write(tmp_path, {"diskstats": line("sdb", 4, 4)})
    assert disks.read(14.0) == [0] * 3
    assert disks.series()[0] == "disk.read{device=sdb}"
    disks.close()


def test_a_counter_that_was_reset_gives_one_null(tmp_path: Path) -> None:
    disks = Disks(str(write(tmp_path, {"diskstats": line("sda", 800, 0, 0)})))
    disks.read(0.0)
    write(tmp_path, {"diskstats": line("sda", 8, 8, 100)})
    assert disks.read(1.0) == [None, 4096, 1000]
    assert disks.read(2.0) == [0, 0, 0]
    disks.close()
