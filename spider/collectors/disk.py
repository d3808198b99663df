"""What the disks read and wrote, and how long they were busy."""

import re
from typing import Dict, List, NamedTuple, Optional

from spider.collectors.base import MAX_LABELLED, KernelFile, label, numbers, per_second
from spider.wire.metrics import series_name

SECTOR_BYTES = 512
"""The unit of /proc/diskstats, whatever the disk's own sector is."""

_NOT_A_DISK = re.compile(r"(?:loop|ram|zram|dm-|md|sr|scd|fd|bcache|drbd|zd)\d|md_|mmcblk\d+(?:boot|rpmb|gp)\d*\Z|nvme\d+c\d+n\d+\Z")


class DiskCounters(NamedTuple):
    """Since boot, or since the disk appeared."""

    read_bytes: int
    written_bytes: int
    busy_ms: int
    """Time in which at least one request was under way."""


def is_part(name: str, names: Dict[str, DiskCounters]) -> bool:
    """Whether a device is a partition of another one of `names`.

    Source: the kernel names partitions in block/partitions/core.c: `p` stands between when the disk ends in a digit.
    """
    disk = name.rstrip("0123456789")
    if disk == name:
        return False
    if disk in names:
        return True
    return disk[-1:] == "p" and disk[-2:-1].isdigit() and disk[:-1] in names


def parse_diskstats(data: bytes) -> Dict[str, DiskCounters]:
    """Read the whole disks of /proc/diskstats.

    Left out, so that a sum over all disks counts each byte once: partitions; what stands on disks and whose traffic is
    theirs (dm: LVM, LUKS, multipath; md, bcache, drbd, zvols; the paths below a multipath NVMe); what is not a disk
    (loop, ram, zram, CD-ROM, floppy, boot areas of flash chips); devices without a single request since boot.

    Raises: ValueError: a line is too short, or a field is not a number.
    Source: proc_diskstats(5), Documentation/admin-guide/iostats.rst.
    """
    seen: Dict[str, DiskCounters] = {}
    idle: Dict[str, DiskCounters] = {}
    for line in data.split(b"\n"):
        fields = line.split(None, 14)
        if not fields:
            continue
        if len(fields) < 14:
            raise ValueError("a line of /proc/diskstats is too short")
        name = fields[2].decode("utf-8", "replace")
        if _NOT_A_DISK.match(name):
            continue
        reads, read_sectors, writes, written_sectors, busy_ms = numbers([fields[3], fields[5], fields[7], fields[9], fields[12]])
        found = DiskCounters(read_sectors * SECTOR_BYTES, written_sectors * SECTOR_BYTES, busy_ms)
        (seen if reads or writes else idle)[name] = found
    every = {**seen, **idle}
    return {name: counters for name, counters in seen.items() if not is_part(name, every)}


def busy_share(later_ms: int, earlier_ms: int, elapsed_s: float) -> Optional[int]:
    """Hundredths of a percent of the time; None when the counter went back."""
    if later_ms < earlier_ms or elapsed_s <= 0:
        return None
    return min(10000, round((later_ms - earlier_ms) * 10 / elapsed_s))


class Disks:
    """disk.read, disk.written: bytes/s; disk.busy: percent. A disk is named from its second reading on."""

    family = "pulse"
    counts = True
    blocking = False

    def __init__(self, proc: str = "/proc") -> None:
        self._file = KernelFile(proc + "/diskstats")
        self._before: Dict[str, DiskCounters] = {}
        self._before_at = 0.0
        self._names: List[str] = []
        self._series: List[str] = []

    def series(self) -> List[str]:
        return self._series

    def read(self, now: float) -> List[Optional[int]]:
        disks = parse_diskstats(self._file.read())
        before, elapsed_s = self._before, now - self._before_at
        self._before, self._before_at = disks, now
        names = sorted(name for name in disks if name in before)[:MAX_LABELLED]
        if names != self._names:
            self._names = names
            self._series = [series_name(f"disk.{part}", "device", label(name)) for name in names for part in ("read", "written", "busy")]
        values: List[Optional[int]] = []
        for name in names:
            later, earlier = disks[name], before[name]
            values.append(per_second(later.read_bytes, earlier.read_bytes, elapsed_s))
            values.append(per_second(later.written_bytes, earlier.written_bytes, elapsed_s))
            values.append(busy_share(later.busy_ms, earlier.busy_ms, elapsed_s))
        return values

    def close(self) -> None:
        self._file.close()
