"""Metrics of processors, load, pressure and the scheduler."""

from typing import List

from spider.wire.metric_type import Metric, breathe, pulse

_STAT = "/proc/stat"
_CORES = "/proc/stat, over a minute"
_PRESSURE = "/proc/pressure"

METRICS: List[Metric] = [
    pulse("cpu.total", "percent", 100, about="busy: all but idle and waiting for disks; of all cores", source=_STAT),
    pulse("cpu.user", "percent", 100, about="programs, nice ones and guests included", source=_STAT),
    pulse("cpu.system", "percent", 100, about="the kernel, both kinds of interrupts included", source=_STAT),
    pulse("cpu.iowait", "percent", 100, about="idle while something waited for a disk", source=_STAT),
    pulse("cpu.steal", "percent", 100, about="taken by the hypervisor for others", source=_STAT),
    pulse("cpu.nice", "percent", 100, about="the part of user that runs at low priority", source=_STAT),
    pulse("cpu.irq", "percent", 100, about="the part of system that served hardware interrupts", source=_STAT),
    pulse("cpu.softirq", "percent", 100, about="the part of system that served soft interrupts (network, timers)", source=_STAT),
    pulse("cpu.guest", "percent", 100, about="the part of user that ran virtual machines", source=_STAT),
    pulse("cpu.core", "percent", 1, "core", about="busy, of one core; a tick is 1 percent of a second", source=_STAT),
    breathe("cpu.core_user", "percent", 10, "core", about="as cpu.user, of one core", source=_CORES),
    breathe("cpu.core_nice", "percent", 10, "core", about="as cpu.nice, of one core", source=_CORES),
    breathe("cpu.core_irq", "percent", 10, "core", about="as cpu.irq, of one core", source=_CORES),
    breathe("cpu.core_guest", "percent", 10, "core", about="as cpu.guest, of one core", source=_CORES),
    breathe("cpu.core_system", "percent", 10, "core", about="as cpu.system, of one core", source=_CORES),
    breathe("cpu.core_softirq", "percent", 10, "core", about="as cpu.softirq, of one core: a network card's queue", source=_CORES),
    breathe("cpu.core_iowait", "percent", 10, "core", about="as cpu.iowait, of one core", source=_CORES),
    breathe("cpu.core_steal", "percent", 10, "core", about="as cpu.steal, of one core", source=_CORES),
    breathe("cpu.frequency", "MHz", 1, about="mean of the cores now", source="/sys/devices/system/cpu/*/cpufreq, else /proc/cpuinfo"),
    breathe("cpu.frequency_lowest", "MHz", 1, about="the slowest core now", source="as cpu.frequency"),
    breathe(
        "cpu.throttles",
        "events",
        1,
        about="times that heat slowed a core down",
        source="thermal_throttle/core_throttle_count",
        kind="counter",
    ),
    pulse("load.1", "processes", 100, about="that run, wait to run or wait for disks; mean of 1 minute", source="/proc/loadavg"),
    pulse("load.5", "processes", 100, about="mean of 5 minutes", source="/proc/loadavg"),
    pulse("load.15", "processes", 100, about="mean of 15 minutes", source="/proc/loadavg"),
    pulse("processes.running", "processes", 1, about="threads that run or are ready to run", source=_STAT),
    pulse("processes.blocked", "processes", 1, about="threads that wait for disks", source=_STAT),
    breathe("kernel.context_switches", "events/s", 1, about="changes from one thread to another", source=_CORES),
    breathe("kernel.interrupts", "events/s", 1, about="interrupts served", source=_CORES),
    breathe("kernel.forks", "events/s", 1, about="processes and threads started", source=_CORES),
    pulse("pressure.cpu_some", "percent", 10, about="of the time something waited for a core", source=_PRESSURE),
    pulse("pressure.memory_some", "percent", 10, about="of the time something waited for memory", source=_PRESSURE),
    pulse("pressure.memory_full", "percent", 10, about="of the time everything waited for memory", source=_PRESSURE),
    pulse("pressure.io_some", "percent", 10, about="of the time something waited for a disk", source=_PRESSURE),
    pulse("pressure.io_full", "percent", 10, about="of the time everything waited for a disk", source=_PRESSURE),
    pulse("pressure.irq_full", "percent", 10, about="of the time everything waited for interrupts", source=_PRESSURE),
]
