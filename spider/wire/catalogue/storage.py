"""Metrics of disks, of devices on top of them, and of file systems."""

from typing import List

from spider.wire.metric_type import Metric, breathe, cycle, pulse

_DISKS = "/proc/diskstats"
_STATVFS = "statvfs(3)"

METRICS: List[Metric] = [
    pulse("disk.read", "bytes/s", 1, "device", about="read from a whole disk", source=_DISKS),
    pulse("disk.written", "bytes/s", 1, "device", about="written to a whole disk", source=_DISKS),
    pulse("disk.busy", "percent", 100, "device", about="of the time a request was under way", source=_DISKS),
    pulse("disk.reads", "operations/s", 1, "device", about="reads that ended", source=_DISKS),
    pulse("disk.writes", "operations/s", 1, "device", about="writes that ended", source=_DISKS),
    pulse(
        "disk.read_await", "milliseconds", 100, "device", about="mean time of a read, its wait included; 0: there was none", source=_DISKS
    ),
    pulse(
        "disk.write_await", "milliseconds", 100, "device", about="mean time of a write, its wait included; 0: there was none", source=_DISKS
    ),
    pulse("disk.queue", "requests", 100, "device", about="mean number under way or waiting", source=_DISKS),
    cycle("disk.size", "bytes", 1, "device", about="of a whole disk", source="/sys/block/*/size"),
    cycle(
        "disk.rotating",
        "flag",
        1,
        "device",
        about="1: it rotates, by the kernel (which says so of many virtual disks)",
        source="/sys/block/*/queue/rotational",
    ),
    breathe(
        "volume.read",
        "bytes/s",
        1,
        "volume",
        about="of a partition or a layer, named `lvm vg-root`, `crypt …`, `md …`, `partition …`",
        source=_DISKS,
    ),
    breathe("volume.written", "bytes/s", 1, "volume", about="likewise; a disk counts these bytes, too", source=_DISKS),
    breathe("volume.busy", "percent", 100, "volume", about="of the time a request was under way", source=_DISKS),
    breathe("volume.await", "milliseconds", 100, "volume", about="mean time of a read or write; 0: there was none", source=_DISKS),
    breathe("filesystem.size", "bytes", 1, "mount", about="of a mounted file system", source=_STATVFS),
    breathe("filesystem.used", "bytes", 1, "mount", about="size without the free part", source=_STATVFS),
    breathe("filesystem.free", "bytes", 1, "mount", about="free for users: without the part reserved for root", source=_STATVFS),
    breathe("filesystem.inodes_used", "percent", 100, "mount", about="of the inodes, where their number is fixed", source=_STATVFS),
    breathe("filesystem.inodes_free", "inodes", 1, "mount", about="left, where their number is fixed", source=_STATVFS),
    breathe(
        "filesystem.readonly",
        "flag",
        1,
        "mount",
        about="1: nothing can be written, by mount or after an error",
        source="mountinfo, statvfs(3)",
    ),
    breathe("filesystem.left_out", "file systems", 1, about="that are not reported, where there are more than 128", source="mountinfo"),
]
