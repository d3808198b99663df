"""Disk throughput, utilisation and request latency."""

from typing import Dict, List, NamedTuple, Optional, Set

from spider.sampling.collectors.base import LARGEST, MAX_LABELLED, Collector, KernelFile, Previous, counters, gained, label, per_second
from spider.sampling.collectors.blocks import NOT_REPORTED, Block, describe_block, is_empty, kind_by_name, volume_labels
from spider.wire.metrics import series_name

SECTOR_BYTES = 512
"""The unit of /proc/diskstats, independent of the disk's sector size."""
MAX_VOLUMES = 64
"""Most volumes that are reported."""
MAX_SKIPPED = 4096
"""Most names of devices without series that are stored, so that their lines are not parsed."""

_PARTS = ("read", "written", "busy", "reads", "writes", "read_await", "write_await", "queue")
_VOLUME_PARTS = ("read", "written", "busy", "await")


class DiskCounters(NamedTuple):
    """Totals since boot, or since the disk appeared. Times are in milliseconds."""

    reads: int
    read_bytes: int
    read_ms: int
    """Time of all completed requests together, including their wait."""
    writes: int
    written_bytes: int
    write_ms: int
    busy_ms: int
    """Time with at least one request in progress."""
    queue_ms: int
    """Time weighted by the number of requests in progress."""


def is_part(name: str, names: Set[str]) -> bool:
    """Whether a device is a partition of another device of `names`.

    Source: block/partitions/core.c: a `p` separates the disk's name from the number if the name ends in a digit.
    """
    disk = name.rstrip("0123456789")
    if disk == name:
        return False
    if disk in names:
        return True
    return disk[-1:] == "p" and disk[-2:-1].isdigit() and disk[:-1] in names


def parse_diskstats(data: bytes, skip: Optional[Set[bytes]] = None) -> Dict[str, DiskCounters]:
    """Parse /proc/diskstats.

    Args:   skip: names to leave out, as they are written in the file.
    Raises: ValueError: a line is too short, or a field is not a number.
    Source: proc_diskstats(5), Documentation/admin-guide/iostats.rst.
    """
    found: Dict[str, DiskCounters] = {}
    for line in data.split(b"\n"):
        fields = line.split(None, 14)
        if not fields:
            continue
        if len(fields) < 14:
            raise ValueError("a line of /proc/diskstats is too short")
        if skip and fields[2] in skip:
            continue
        reads, _, sectors_read, read_ms, writes, _, sectors_written, write_ms, _, busy_ms, queue_ms = counters(fields[3:14])
        found[fields[2].decode("utf-8", "replace")] = DiskCounters(
            reads, sectors_read * SECTOR_BYTES, read_ms, writes, sectors_written * SECTOR_BYTES, write_ms, busy_ms, queue_ms
        )
    return found


def whole_disks(every: Dict[str, DiskCounters]) -> List[str]:
    """The whole disks, so that a sum over them counts each byte once.

    Left out are: partitions; devices that repeat the traffic of disks (dm: LVM, LUKS, multipath; md, bcache, drbd, zvols; the paths below a
    multipath NVMe); devices that are no disks (loop, ram, zram, CD-ROM, floppy, boot areas of flash chips); devices without any request
    since boot.
    """
    names = {name for name in every if kind_by_name(name) == "disk"}
    return sorted(name for name in names if _used(every[name]) and not is_part(name, names))


def _used(disk: DiskCounters) -> bool:
    return bool(disk.reads or disk.writes)


def busy_share(later_ms: int, earlier_ms: int, elapsed_s: float) -> Optional[int]:
    """Share of the elapsed time in which the disk was busy, in hundredths of a percent. Rounded to tenths, because the counter is in
    milliseconds.

    None: the counter decreased, or no time has passed.
    """
    rise_ms = gained(later_ms, earlier_ms)
    if rise_ms is None or elapsed_s <= 0:
        return None
    return min(10000, 10 * round(rise_ms / elapsed_s))


def mean_wait(ended: int, took_ms: int) -> Optional[int]:
    """Hundredths of a millisecond per completed request; 0 without requests, as in iostat(1).

    Args:    ended: number of requests that were completed; took_ms: their total time.
    Returns: None: one of the two is impossible, because a counter decreased.
    """
    if min(ended, took_ms) < 0 or max(ended, took_ms) > LARGEST:
        return None
    return min(LARGEST, round(100 * took_ms / ended)) if ended else 0


def mean_queue(later_ms: int, earlier_ms: int, elapsed_s: float) -> Optional[int]:
    """Mean number of requests in progress or waiting, in hundredths. None: the counter decreased, or no time has passed."""
    rise_ms = gained(later_ms, earlier_ms)
    if rise_ms is None or elapsed_s <= 0:
        return None
    return min(LARGEST, round(rise_ms / elapsed_s / 10))


class Disks(Collector):
    """disk.read, written: bytes/s; reads, writes: operations/s; busy: percent; read_await, write_await: ms; queue: requests.

    Whole disks only. A disk's series begin with its second reading.
    """

    family = "pulse"
    counts = True

    def __init__(self, proc: str = "/proc") -> None:
        super().__init__()
        self._file = self._keep_open(KernelFile(proc + "/diskstats"))
        self._skip: Set[bytes] = set()
        self._seen: List[str] = []
        self._chosen: List[str] = []
        self._previous: Previous[Dict[str, DiskCounters]] = Previous({})
        self._names: List[str] = []

    def read(self, now: float) -> List[Optional[int]]:
        disks = parse_diskstats(self._file.read(), self._skip)
        seen = [name for name, disk in disks.items() if _used(disk)]
        if seen != self._seen:
            self._seen = seen
            self._chosen = whole_disks(disks)[:MAX_LABELLED]
            # Only devices that can never count as disks are skipped. A disk may get its first request later.
            self._skip |= {name.encode("utf-8") for name in disks if kind_by_name(name) != "disk"}
            if len(self._skip) > MAX_SKIPPED:
                self._skip.clear()
        before, elapsed_s = self._previous.swap(disks, now)
        names = [name for name in self._chosen if name in disks and name in before]
        if names != self._names:
            self._names = names
            self._series = [series_name(f"disk.{part}", "device", label(name)) for name in names for part in _PARTS]
        values: List[Optional[int]] = []
        for name in names:
            later, earlier = disks[name], before[name]
            values.append(per_second(later.read_bytes, earlier.read_bytes, elapsed_s))
            values.append(per_second(later.written_bytes, earlier.written_bytes, elapsed_s))
            values.append(busy_share(later.busy_ms, earlier.busy_ms, elapsed_s))
            values.append(per_second(later.reads, earlier.reads, elapsed_s))
            values.append(per_second(later.writes, earlier.writes, elapsed_s))
            values.append(mean_wait(later.reads - earlier.reads, later.read_ms - earlier.read_ms))
            values.append(mean_wait(later.writes - earlier.writes, later.write_ms - earlier.write_ms))
            values.append(mean_queue(later.queue_ms, earlier.queue_ms, elapsed_s))
        return values


class Volumes(Collector):
    """volume.read, written: bytes/s; busy: percent; await: ms. A volume is a partition or a device on top of disks. The label names its type.

    A volume is reported while it has requests since boot and a backing device. Its series begin with its second reading.
    """

    family = "breathe"
    counts = True

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        super().__init__()
        self._file = self._keep_open(KernelFile(proc + "/diskstats"))
        self._sys = sys
        self._previous: Previous[Dict[str, DiskCounters]] = Previous({})

    def read(self, now: float) -> List[Optional[int]]:
        every = parse_diskstats(self._file.read())
        before, elapsed_s = self._previous.swap(every, now)
        blocks = self._volumes(every)
        labels = volume_labels({name: block for name, block in blocks.items() if name in before})
        self._series = [series_name(f"volume.{part}", "volume", text) for text in labels.values() for part in _VOLUME_PARTS]
        values: List[Optional[int]] = []
        for name in labels:
            later, earlier = every[name], before[name]
            ended = later.reads - earlier.reads, later.writes - earlier.writes
            took_ms = later.read_ms - earlier.read_ms, later.write_ms - earlier.write_ms
            values.append(per_second(later.read_bytes, earlier.read_bytes, elapsed_s))
            values.append(per_second(later.written_bytes, earlier.written_bytes, elapsed_s))
            values.append(busy_share(later.busy_ms, earlier.busy_ms, elapsed_s))
            values.append(mean_wait(sum(ended), sum(took_ms)) if min(*ended, *took_ms) >= 0 else None)
        return values

    def _volumes(self, every: Dict[str, DiskCounters]) -> Dict[str, Block]:
        disks = {name for name in every if kind_by_name(name) == "disk"}
        found: Dict[str, Block] = {}
        for name, disk in every.items():
            if len(found) < MAX_VOLUMES and _used(disk) and kind_by_name(name) not in NOT_REPORTED and not is_empty(name, self._sys):
                block = describe_block(name, self._sys)
                if block.kind == "disk" and is_part(name, disks):
                    block = Block("partition", name)
                # Xen gives some guests partitions without a disk. These count as disks.
                if block.kind not in ("disk", "partition") or is_part(name, disks):
                    found[name] = block
        return found
