"""Metrics of the whole system: clock, processes by state, and resources with a kernel limit."""

from typing import List

from spider.wire.metric_type import Metric, breathe

_STATES = "/proc/*/stat"

METRICS: List[Metric] = [
    breathe("system.uptime", "seconds", about="since boot", source="/proc/uptime"),
    breathe("system.entropy", "bits", about="that the kernel holds ready", source="/proc/sys/kernel/random/entropy_avail"),
    breathe("files.open", "files", about="open file handles of the whole system", source="/proc/sys/fs/file-nr"),
    breathe("files.limit", "files", about="most open file handles", source="/proc/sys/fs/file-nr"),
    breathe("processes.total", "processes", about="all of them", source=_STATES),
    breathe("processes.sleeping", "processes", about="that wait for something", source=_STATES),
    breathe("processes.uninterruptible", "processes", about="that wait and cannot be ended, mostly for disks", source=_STATES),
    breathe("processes.stopped", "processes", about="that a signal or a debugger stopped", source=_STATES),
    breathe("processes.zombie", "processes", about="that ended and were not waited for", source=_STATES),
    breathe("processes.threads", "threads", about="of all processes and of the kernel", source="/proc/loadavg"),
    breathe("clock.synchronised", "flag", about="1: a program synchronises the clock", source="adjtimex(2), else systemd-timesyncd"),
    breathe("clock.error", "milliseconds", 1000, about="estimated by the program that synchronises the clock", source="adjtimex(2)"),
    breathe("clock.offset", "milliseconds", 1000, about="of the clock, being corrected", source="adjtimex(2)"),
    breathe(
        "clock.skew",
        "milliseconds",
        1,
        about="ahead of Ground Control's clock; half a round trip is in it",
        source="the hub's welcome and heartbeats",
    ),
]
