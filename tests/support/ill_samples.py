"""Samples of a host that is well, and for each default rule on samples those that fire it, and those just below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from groundcontrol.schedules.model import Level

GIB = 1024**3
HEALTHY: dict[str, float] = {
    "cpu.total": 20,
    "cpu.iowait": 1,
    "cpu.steal": 0,
    "load.5": 1,
    "pressure.cpu_some": 2,
    "pressure.memory_some": 0,
    "pressure.memory_full": 0,
    "memory.total": 16 * GIB,
    "memory.available": 8 * GIB,
    "swap.total": 4 * GIB,
    "swap.used": GIB,
    "disk.busy{device=sda}": 10,
    "network.received{interface=eth0}": 1e6,
    "network.sent{interface=eth0}": 1e6,
    "network.packets_received{interface=eth0}": 1000,
    "network.packets_sent{interface=eth0}": 1000,
    "network.errors_received{interface=eth0}": 0,
    "network.errors_sent{interface=eth0}": 0,
    "network.drops_received{interface=eth0}": 0,
    "network.drops_sent{interface=eth0}": 0,
    "network.up{interface=eth0}": 1,
    "network.speed{interface=eth0}": 1e9,
    "filesystem.size{mount=/var}": 100 * GIB,
    "filesystem.used{mount=/var}": 50 * GIB,
    "filesystem.free{mount=/var}": 50 * GIB,
    "filesystem.inodes_used{mount=/var}": 5,
    "filesystem.readonly{mount=/var}": 0,
    "memory.oom_kills": 3,
    "md.missing{array=md0}": 0,
    "zfs.healthy{pool=tank}": 1,
    "btrfs.missing{pool=data}": 0,
    "temperature{sensor=nvme Composite}": 40,
    "temperature{sensor=drivetemp temp1}": 35,
    "temperature{sensor=coretemp Package id 0}": 50,
    "temperature{sensor=k10temp Tctl}": 50,
    "temperature.limit{sensor=k10temp Tctl}": 110,
    "smart.pending{disk=sda}": 0,
    "smart.uncorrectable{disk=sda}": 0,
}


def used(percent: float, size: float = 100 * GIB) -> dict[str, float]:
    mount = "{mount=/var}"
    free = size * (100 - percent) / 100
    return {f"filesystem.size{mount}": size, f"filesystem.used{mount}": size - free, f"filesystem.free{mount}": free}


class Case(NamedTuple):
    rule: str
    about: str
    ill: Mapping[str, float]
    level: Level
    fires_s: tuple[float, float]
    """From the beginning until it fires."""
    clears_s: tuple[float, float]
    """From the end until it has ended."""
    nearly: Mapping[str, float]
    """Just not ill."""


CASES = (
    Case("filesystem.space", "/var", used(98), "critical", (300, 361), (60, 125), used(89.5)),
    Case("filesystem.space", "/var", used(95), "warning", (300, 361), (60, 125), used(96, 16_000 * GIB)),
    Case("filesystem.space", "/var", used(99, GIB / 2), "critical", (300, 361), (60, 125), used(89, GIB / 2)),
    Case("filesystem.inodes", "/var", {"filesystem.inodes_used{mount=/var}": 98}, "critical", (300, 361), (0, 61), {"filesystem.inodes_used{mount=/var}": 90}),
    Case("filesystem.readonly", "/var", {"filesystem.readonly{mount=/var}": 1}, "critical", (0, 61), (0, 61), {}),
    Case("memory.available", "", {"memory.available": 0.7 * GIB}, "critical", (300, 371), (60, 140), {"memory.available": 1.7 * GIB}),
    Case("memory.pressure", "", {"pressure.memory_full": 12}, "warning", (120, 191), (60, 140), {"pressure.memory_full": 9.9}),
    Case("memory.oom", "", {"memory.oom_kills": 4}, "warning", (0, 61), (-620, -450), {"memory.oom_kills": 3}),
    Case("swap.thrash", "", {"swap.used": 3.8 * GIB, "pressure.memory_some": 30}, "warning", (400, 610), (300, 610), {"swap.used": 3.9 * GIB}),
    Case("cpu.saturated", "", {"cpu.total": 100, "pressure.cpu_some": 40}, "warning", (540, 610), (120, 350), {"cpu.total": 100}),
    Case("cpu.saturated", "", {"cpu.total": 100, "pressure.cpu_some": 90}, "critical", (540, 610), (120, 350), {"cpu.total": 94.9}),
    Case("cpu.load", "", {"load.5": 20}, "warning", (300, 610), (60, 400), {"load.5": 15.9}),
    Case("cpu.iowait", "", {"cpu.iowait": 60}, "warning", (300, 610), (60, 600), {"cpu.iowait": 39.9}),
    Case("cpu.steal", "", {"cpu.steal": 15}, "warning", (700, 1210), (60, 1200), {"cpu.steal": 9.9}),
    Case("disk.busy", "sda", {"disk.busy{device=sda}": 100}, "warning", (540, 610), (120, 400), {"disk.busy{device=sda}": 97.9}),
    Case("disk.failing", "sda", {"smart.pending{disk=sda}": 8}, "critical", (0, 301), (0, 301), {}),
    Case("disk.temperature", "drivetemp temp1", {"temperature{sensor=drivetemp temp1}": 58}, "warning", (120, 361), (60, 301), {"temperature{sensor=drivetemp temp1}": 54}),
    Case("nvme.temperature", "nvme Composite", {"temperature{sensor=nvme Composite}": 85}, "critical", (120, 361), (60, 301), {"temperature{sensor=nvme Composite}": 69}),
    Case("sensor.temperature", "coretemp Package id 0", {"temperature{sensor=coretemp Package id 0}": 90}, "warning", (120, 361), (60, 301), {"temperature{sensor=coretemp Package id 0}": 84}),
    Case("sensor.temperature", "k10temp Tctl", {"temperature{sensor=k10temp Tctl}": 104}, "warning", (120, 361), (0, 301), {"temperature{sensor=k10temp Tctl}": 99}),
    Case("sensor.temperature", "k10temp Tctl", {"temperature{sensor=k10temp Tctl}": 112}, "critical", (120, 361), (0, 301), {"temperature{sensor=k10temp Tctl}": 99}),
    Case("raid.degraded", "md0", {"md.missing{array=md0}": 1}, "critical", (0, 61), (0, 61), {}),
    Case("pool.degraded", "tank", {"zfs.healthy{pool=tank}": 0}, "critical", (0, 61), (0, 61), {}),
    Case("btrfs.degraded", "data", {"btrfs.missing{pool=data}": 1}, "critical", (0, 61), (0, 61), {}),
    Case("network.errors", "eth0", {"network.drops_received{interface=eth0}": 60}, "warning", (120, 610), (600, 970), {"network.drops_received{interface=eth0}": 19}),
    Case("network.link", "eth0", {"network.up{interface=eth0}": 0}, "warning", (60, 181), (60, 121), {}),
    Case("network.saturated", "eth0", {"network.sent{interface=eth0}": 120e6}, "warning", (200, 610), (0, 310), {"network.sent{interface=eth0}": 110e6}),
)  # fmt: skip
