"""Metrics of memory and swap."""

from typing import List

from spider.wire.metric_type import Metric, breathe, pulse

_MEMINFO = "/proc/meminfo"
_VMSTAT = "/proc/vmstat"

METRICS: List[Metric] = [
    pulse("memory.total", "bytes", about="that the kernel may use", source=_MEMINFO),
    pulse(
        "memory.used", "bytes", about="total minus available; in steps of 64 KiB, like all memory values of each second", source=_MEMINFO
    ),
    pulse(
        "memory.available",
        "bytes",
        about="available without swapping, with the part of the ZFS cache that can be freed",
        source="/proc/meminfo, arcstats",
    ),
    pulse("memory.cached", "bytes", about="page cache and reclaimable slabs", source=_MEMINFO),
    pulse("memory.buffers", "bytes", about="cache of raw block devices", source=_MEMINFO),
    pulse(
        "memory.zfs_arc", "bytes", about="the ZFS cache, which the kernel does not count as cache", source="/proc/spl/kstat/zfs/arcstats"
    ),
    pulse("swap.total", "bytes", about="all swap areas", source=_MEMINFO),
    pulse("swap.used", "bytes", about="in use", source=_MEMINFO),
    pulse("swap.in", "bytes/s", about="read back from swap", source=_VMSTAT),
    pulse("swap.out", "bytes/s", about="written to swap", source=_VMSTAT),
    breathe("memory.major_faults", "events/s", about="page faults that had to wait for a disk", source=_VMSTAT),
    breathe("memory.free", "bytes", about="unused", source=_MEMINFO),
    breathe("memory.anonymous", "bytes", about="of programs, not backed by a file", source=_MEMINFO),
    breathe("memory.shared", "bytes", about="shared memory and tmpfs", source=_MEMINFO),
    breathe("memory.dirty", "bytes", about="waits to be written to disks", source=_MEMINFO),
    breathe("memory.writeback", "bytes", about="is being written to disks", source=_MEMINFO),
    breathe("memory.slab", "bytes", about="of the kernel, reclaimable or not", source=_MEMINFO),
    breathe("memory.slab_unreclaimable", "bytes", about="of the kernel, not reclaimable", source=_MEMINFO),
    breathe("memory.page_tables", "bytes", about="that map other memory", source=_MEMINFO),
    breathe("memory.committed", "bytes", about="promised to programs", source=_MEMINFO),
    breathe(
        "memory.hugepages_total",
        "bytes",
        about="set aside as huge pages, of every size",
        source="/sys/kernel/mm/hugepages, else /proc/meminfo (the default size alone)",
    ),
    breathe("memory.hugepages_used", "bytes", about="huge pages in use or promised", source="/sys/kernel/mm/hugepages, else /proc/meminfo"),
    breathe("memory.oom_kills", "processes", about="killed for lack of memory since boot", source="/proc/vmstat oom_kill", kind="counter"),
]
