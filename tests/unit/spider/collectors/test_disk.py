"""/proc/diskstats."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.blocks import Block, DiskDetails, volume_labels
from spider.sampling.collectors.disk import DiskCounters, Disks, Volumes, busy_share, mean_queue, mean_wait, parse_diskstats, whole_disks
from tests.support.recordings import captured, read, write

PARTS = ("read", "written", "busy", "reads", "writes", "read_await", "write_await", "queue")


def line(
    name: str,
    read: int = 8,
    written: int = 8,
    busy_ms: int = 1,
    reads: int = 5,
    read_ms: int = 3,
    writes: int = 4,
    write_ms: int = 2,
    queue_ms: int = 9,
) -> bytes:
    return f"   8       0 {name} {reads} 0 {read} {read_ms} {writes} 0 {written} {write_ms} 0 {busy_ms} {queue_ms} 0 0 0 0 0 0\n".encode()


def disks_of(data: bytes) -> list[str]:
    return whole_disks(parse_diskstats(data))


def test_the_machine_has_one_disk() -> None:
    found = parse_diskstats(captured("machine", "diskstats"))
    assert whole_disks(found) == ["vda"]
    fields = next(row for row in captured("machine", "diskstats").decode().splitlines() if " vda " in row).split()
    assert found["vda"] == DiskCounters(
        reads=int(fields[3]),
        read_bytes=23419626 * 512,
        read_ms=int(fields[6]),
        writes=int(fields[7]),
        written_bytes=183431824 * 512,
        write_ms=int(fields[10]),
        busy_ms=190332,
        queue_ms=int(fields[13]),
    )


def test_a_host_behind_lxcfs_is_read_too() -> None:
    assert disks_of(captured("lxcfs", "diskstats")) == ["vda"]


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
    assert disks_of(b"".join(line(name) for name in present)) == sorted(disks)


def test_a_device_without_requests_is_not_a_disk() -> None:
    silent = b"  43 0 nbd0 0 0 0 0 0 0 0 0 0 0 0\n"
    assert disks_of(silent + line("sda")) == ["sda"]


def test_a_partition_of_an_idle_disk_is_not_a_disk() -> None:
    assert disks_of(b"   8 0 sda 0 0 0 0 0 0 0 0 0 0 0\n" + line("sda1")) == []


@pytest.mark.parametrize(
    "text", [b"8 0 sda 1 2 3\n", b"8 0 sda a 0 8 3 4 0 8 2 0 1 9\n", b"8 0 sda 99999999999999999999 0 8 3 4 0 8 2 0 1 9\n"]
)
def test_malformed_diskstats_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_diskstats(text)


def test_busy_is_never_more_than_all_the_time() -> None:
    assert busy_share(1500, 1000, 1.0) == 5000
    assert busy_share(9000, 1000, 1.0) == 10000
    assert busy_share(1000, 1500, 1.0) is None
    assert busy_share(1000, 1000, 0.0) is None


def test_waits_and_queues_are_means() -> None:
    assert mean_wait(4, 10) == 250
    assert mean_wait(0, 0) == 0, "no request, no wait"
    assert mean_wait(-1, 0) is None
    assert mean_wait(1, -1) is None
    assert mean_queue(3000, 1000, 1.0) == 200
    assert mean_queue(0, 1, 1.0) is None
    assert mean_queue(1, 1, 0.0) is None


def test_rates_need_two_readings_and_a_new_disk_waits_for_its_second(tmp_path: Path) -> None:
    disks = Disks(str(write(tmp_path, {"diskstats": line("sda", 0, 0, 0) + line("dm-0")})))
    assert disks.read(10.0) == []
    assert disks.series() == []
    busy = line("sda", 8, 16, 500, reads=7, read_ms=8, writes=8, write_ms=3, queue_ms=2009)
    write(tmp_path, {"diskstats": busy + line("sdb", 4, 4) + line("dm-0")})
    assert disks.read(12.0) == [2048, 4096, 2500, 1, 2, 250, 25, 100]
    assert disks.series() == [f"disk.{part}{{device=sda}}" for part in PARTS]
    assert disks.read(13.0) == [0] * 16
    write(tmp_path, {"diskstats": line("sdb", 4, 4)})
    assert disks.read(14.0) == [0] * 8
    assert disks.series()[0] == "disk.read{device=sdb}"
    disks.close()


def test_a_counter_that_was_reset_gives_one_null(tmp_path: Path) -> None:
    disks = Disks(str(write(tmp_path, {"diskstats": line("sda", 800, 0, 0)})))
    disks.read(0.0)
    write(tmp_path, {"diskstats": line("sda", 8, 8, 100)})
    assert disks.read(1.0) == [None, 4096, 1000, 0, 0, 0, 0, 0]
    assert disks.read(2.0) == [0] * 8
    disks.close()


def test_a_disk_that_is_used_for_the_first_time_appears(tmp_path: Path) -> None:
    idle = b"   8 16 sdb 0 0 0 0 0 0 0 0 0 0 0\n"
    disks = Disks(str(write(tmp_path, {"diskstats": line("sda") + idle + line("loop0")})))
    disks.read(0.0)
    disks.read(1.0)
    assert len(disks.series()) == 8
    write(tmp_path, {"diskstats": line("sda") + line("sdb") + line("loop0")})
    assert disks.read(2.0)[8:] == [4096, 4096, 10, 5, 4, 60, 50, 1]
    disks.close()


def test_volumes_are_distinguished_by_kind(tmp_path: Path) -> None:
    """As Documentation/ABI/stable/sysfs-block and testing/sysfs-block-dm have their files."""
    names = ("sda", "sda1", "dm-0", "dm-1", "dm-2", "md0", "loop0", "zram0", "sr0")
    sys = write(
        tmp_path / "sys",
        {
            "class/block/sda1/partition": "1\n",
            "class/block/dm-0/dm/name": "vg0-root\n",
            "class/block/dm-0/dm/uuid": "LVM-abc\n",
            "class/block/dm-1/dm/name": "luks\x1b[31m-home\n",
            "class/block/dm-1/dm/uuid": "CRYPT-LUKS2-abc\n",
            "class/block/loop0/loop/backing_file": "/var/lib/x.img\n",
        },
    )
    volumes = Volumes(str(write(tmp_path, {"diskstats": b"".join(line(name) for name in names)})), str(sys))
    assert volumes.read(0.0) == []
    later = b"".join(line(name, 16, 8, 30001, reads=7, read_ms=3, writes=6, write_ms=12) for name in names)
    write(tmp_path, {"diskstats": later})
    values = read(volumes, 60.0)
    kinds = [
        "partition sda1",
        "lvm vg0-root",
        "crypt luks_[31m-home 3743a5",
        "dm dm-2",
        "md md0",
        "loop loop0 /var/lib/x.img",
        "zram zram0",
    ]
    assert list(values) == [f"volume.{part}{{volume={kind}}}" for kind in kinds for part in ("read", "written", "busy", "await")]
    assert list(values.values())[:4] == [round(8 * 512 / 60), 0, 5000, 250]
    volumes.close()


def test_a_volume_without_a_backing_device_disappears_until_it_has_one(tmp_path: Path) -> None:
    """A detached loop and a stopped array keep their lines and counters in /proc/diskstats (seen on Linux 6.18: loop0 with a size of 0)."""
    sys = write(tmp_path / "sys", {"class/block/loop0/size": "2048\n", "class/block/md0/size": "0\n"})
    volumes = Volumes(str(write(tmp_path, {"diskstats": line("loop0", 8) + line("md0", 8)})), str(sys))
    volumes.read(0.0)
    assert {name.partition("=")[2] for name in read(volumes, 60.0)} == {"loop loop0}"}
    write(sys, {"class/block/loop0/size": "0\n"})
    assert read(volumes, 120.0) == {}
    write(sys, {"class/block/loop0/size": "4096\n"})
    assert len(read(volumes, 180.0)) == 4


def test_two_volumes_of_one_name_are_distinguished() -> None:
    blocks = {"dm-0": Block("lvm", "a"), "dm-1": Block("lvm", "a"), "dm-2": Block("crypt", "a")}
    assert volume_labels(blocks) == {"dm-0": "lvm a (dm-0)", "dm-1": "lvm a (dm-1)", "dm-2": "crypt a"}


def test_the_size_of_a_disk_is_in_units_of_512_bytes(tmp_path: Path) -> None:
    sys = write(
        tmp_path, {"block/sda/size": "1000\n", "block/sda/queue/rotational": "1\n", "block/loop0/size": "8\n", "block/sdb/size": "0\n"}
    )
    facts = DiskDetails(str(sys))
    assert facts.read(0.0) == [512_000, 1]
    assert facts.series() == ["disk.size{device=sda}", "disk.rotating{device=sda}"]
    assert DiskDetails(str(tmp_path / "none")).read(0.0) == []
