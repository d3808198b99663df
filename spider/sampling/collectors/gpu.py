"""GPU metrics: AMD and Intel from the kernel, NVIDIA from its own library."""

import os
import re
from typing import Dict, List, Optional, Protocol, Tuple

from spider.files import listed, read_text
from spider.sampling.collectors.base import MAX_LABELLED, Collector, Previous, label
from spider.sampling.collectors.gpu_values import Gpu
from spider.sampling.collectors.sensors import parse_number
from spider.wire.metrics import series_name

_CARD = re.compile(r"card\d{1,3}\Z")
_AMD, _INTEL = "0x1002", "0x8086"
NVIDIA = "/driver/nvidia/version"
_PARTS: Tuple[Tuple[str, int], ...] = (("busy", 100), ("memory_used", 1), ("memory_total", 1), ("temperature", 100), ("power", 1000))


def _cards(sys: str, vendor: str) -> List[Tuple[str, str]]:
    """Folder in /sys/class/drm and name (driver and bus address) of each card of a vendor."""
    found = []
    for card in listed(sys + "/class/drm"):
        device = f"{sys}/class/drm/{card}/device"
        if _CARD.match(card) and read_text(device + "/vendor", 16) == vendor:
            path = os.path.basename(os.path.realpath(device))
            driver = os.path.basename(os.path.realpath(device + "/driver"))
            found.append((f"{sys}/class/drm/{card}", f"{driver if driver != 'driver' else 'gpu'} {path}"))
    return found


def read_amd(sys: str = "/sys") -> List[Gpu]:
    """Read AMD's GPUs. Source: Documentation/gpu/amdgpu/thermal.rst, driver-misc.rst: gpu_busy_percent, mem_info_vram_used and _total."""
    found = []
    for card, name in _cards(sys, _AMD):
        names = ("gpu_busy_percent", "mem_info_vram_used", "mem_info_vram_total")
        busy, used, total = (parse_number(read_text(f"{card}/device/{file}", 32)) for file in names)
        found.append(Gpu(name, busy, used, total))
    return found


def read_sleep_ms(sys: str = "/sys") -> Dict[str, int]:
    """Milliseconds that each Intel GPU has slept since its driver started, by name. Of a GPU with several parts, the least value counts.

    Source: drivers/gpu/drm/i915/gt/intel_gt_sysfs_pm.c (gt/gt0/rc6_residency_ms; power/rc6_residency_ms of the card in older kernels),
    drivers/gpu/drm/xe/xe_gt_idle.c (device/tile0/gt0/gtidle/idle_residency_ms).
    """
    found: Dict[str, int] = {}
    for card, name in _cards(sys, _INTEL):
        paths = [f"{card}/gt/{part}/rc6_residency_ms" for part in listed(card + "/gt")]
        for tile in listed(card + "/device"):
            if tile.startswith("tile"):
                paths += [f"{card}/device/{tile}/{part}/gtidle/idle_residency_ms" for part in listed(f"{card}/device/{tile}")]
        texts = [read_text(path, 32) for path in paths or [card + "/power/rc6_residency_ms"]]
        slept = [int(text) for text in texts if text.isdecimal() and len(text) < 19]
        if slept:
            found[name] = min(slept)
    return found


class _GpuReader(Protocol):
    """A vendor's library that queries its GPUs."""

    def read(self, now: float) -> List[Gpu]: ...
    def close(self) -> None: ...


class Gpus(Collector):
    """gpu.busy, gpu.awake: percent; memory_used, memory_total: bytes; temperature: °C; power: watts. A value that a driver has never provided
    is left out."""

    family = "breathe"
    counts = True
    blocking = True  # a query may have to wake a GPU

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        super().__init__()
        self._proc = proc
        self._sys = sys
        self._slept: Previous[Dict[str, int]] = Previous({})
        self._nvidia: Optional[_GpuReader] = None
        self._provided: Dict[str, bool] = {}

    def read(self, now: float) -> List[Optional[int]]:
        named: List[Tuple[str, Optional[int]]] = []
        for gpu in (read_amd(self._sys) + self._read_nvidia(now))[:MAX_LABELLED]:
            for part, scale in _PARTS:
                value = getattr(gpu, part)
                name = series_name("gpu." + part, "gpu", label(gpu.name))
                self._provided[name] = self._provided.get(name, False) or value is not None
                if self._provided[name]:
                    named.append((name, None if value is None else round(value * scale)))
        slept = read_sleep_ms(self._sys)
        before, elapsed_s = self._slept.swap(slept, now)
        for name in sorted(slept.keys() & before.keys()):
            share = awake_share(slept[name], before[name], elapsed_s)
            named += [(series_name("gpu.awake", "gpu", label(name)), share)]
        return self._report(named)

    def _read_nvidia(self, now: float) -> List[Gpu]:
        if self._nvidia is None and os.path.exists(self._proc + NVIDIA):
            from spider.sampling.collectors.nvml import Nvml  # noqa: PLC0415 - few servers need it

            self._nvidia = Nvml()
        return self._nvidia.read(now) if self._nvidia is not None else []

    def close(self) -> None:
        if self._nvidia is not None:
            self._nvidia.close()
            self._nvidia = None


def awake_share(later_ms: int, earlier_ms: int, elapsed_s: float) -> Optional[int]:
    """Share of the elapsed time in which the GPU was awake, in hundredths of a percent. None: the counter decreased, or no time has passed."""
    if later_ms < earlier_ms or elapsed_s <= 0:
        return None
    return max(0, min(10000, round(10000 - (later_ms - earlier_ms) * 10 / elapsed_s)))
