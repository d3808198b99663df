"""Metrics of sensors, power, devices and disk arrays."""

from typing import List

from spider.wire.metric_type import Metric, breathe, cycle

_HWMON = "/sys/class/hwmon"
_SUPPLY = "/sys/class/power_supply"
_NVML = "NVML (needs its devices; docs/telemetry.md)"

METRICS: List[Metric] = [
    breathe("temperature", "celsius", 100, "sensor", about="of a chip or a thermal zone", source="/sys/class/hwmon, /sys/class/thermal"),
    breathe(
        "temperature.limit",
        "celsius",
        100,
        "sensor",
        about="that its chip calls critical (or, without one, the highest good one); only for chips that have a plausible one",
        source="temp*_crit, temp*_max of /sys/class/hwmon",
    ),
    breathe("fan", "rpm", 1, "sensor", about="speed of a fan; 0: it stands still", source=_HWMON),
    breathe(
        "power",
        "watts",
        1000,
        "sensor",
        about="drawn, as a chip measures it; or mean of a processor domain over the minute",
        source="/sys/class/hwmon, /sys/class/powercap (RAPL, where its counters may be read)",
    ),
    breathe("current", "amperes", 1000, "sensor", about="as a chip measures it", source=_HWMON),
    breathe("battery.charge", "percent", 100, "battery", about="of its present full capacity", source=_SUPPLY),
    breathe("battery.power", "watts", 1000, "battery", about="positive: charging; negative: discharging", source=_SUPPLY),
    breathe("gpu.busy", "percent", 100, "gpu", about="of the time it computed", source="amdgpu's gpu_busy_percent; " + _NVML),
    breathe(
        "gpu.awake",
        "percent",
        100,
        "gpu",
        about="of the time it did not sleep, an upper limit of its use (Intel reports no more without privileges)",
        source="i915 rc6_residency_ms, xe idle_residency_ms",
    ),
    breathe("gpu.memory_used", "bytes", 1, "gpu", about="of its own memory", source="amdgpu's mem_info_vram_used; " + _NVML),
    breathe("gpu.memory_total", "bytes", 1, "gpu", about="its own memory", source="amdgpu's mem_info_vram_total; " + _NVML),
    breathe("gpu.temperature", "celsius", 100, "gpu", about="of a GPU without a series of `temperature`", source=_NVML),
    breathe("gpu.power", "watts", 1000, "gpu", about="of a GPU without a series of `power`", source=_NVML),
    breathe("md.missing", "devices", 1, "array", about="that an md array lacks", source="/sys/block/*/md/degraded"),
    breathe(
        "md.progress", "percent", 100, "array", about="of a resync, recovery or check under way; 100: none is", source="md/sync_completed"
    ),
    breathe("zfs.healthy", "flag", 1, "pool", about="1: online; 0: degraded or worse", source="/proc/spl/kstat/zfs/*/state"),
    breathe("btrfs.missing", "devices", 1, "pool", about="that a file system lacks", source="/sys/fs/btrfs/*/devinfo/*/missing"),
    breathe(
        "btrfs.errors",
        "errors",
        1,
        "pool",
        about="reads, writes and checksums that failed, of all its devices, since they were reset",
        source="/sys/fs/btrfs/*/devinfo/*/error_stats",
        kind="counter",
    ),
    cycle("smart.reallocated", "sectors", 1, "disk", about="that were bad and have been replaced", source="smartd's state files"),
    cycle("smart.pending", "sectors", 1, "disk", about="that could not be read and may be replaced", source="smartd's state files"),
    cycle("smart.uncorrectable", "sectors", 1, "disk", about="that could not be read in a test", source="smartd's state files"),
    cycle("smart.errors", "errors", 1, "disk", about="in the disk's own log", source="smartd's state files"),
    cycle(
        "disk.life_used",
        "percent",
        100,
        "device",
        about="of a flash chip's designed life, in steps of 10",
        source="/sys/class/mmc_host/*/*/life_time",
    ),
]
