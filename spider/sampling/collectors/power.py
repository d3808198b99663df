"""Power consumption of processors (RAPL), and batteries."""

import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from spider.files import listed, read_text
from spider.sampling.collectors.base import LARGEST, Collector, Previous, label
from spider.sampling.collectors.sensors import parse_number
from spider.sampling.collectors.table_reader import Reading
from spider.wire.metrics import series_name
from spider.wire.report_messages import Cell
from spider.wire.text import plain

_ZONE = re.compile(r"[a-z0-9-]+:\d+(?::\d+)?\Z")
MAX_SUPPLIES = 32
"""Most batteries that are reported."""


class Zone(NamedTuple):
    """One RAPL domain: a processor package, or a part of it."""

    name: str
    energy_uj: int
    """Energy used so far, in microjoules."""
    wraps_at: int
    """The counter restarts at 0 beyond this value; 0 = unknown."""


def read_zones(sys: str = "/sys") -> List[Zone]:
    """Read the accessible energy counters. Since Linux 5.10 only root may read them, unless an administrator changed that.

    Source: Documentation/power/powercap/powercap.rst: microjoules; `intel-rapl:0` is a package, `intel-rapl:0:1` a part of it. The same
    domains through the memory-mapped interface (`intel-rapl-mmio`) are left out.
    """
    found: List[Zone] = []
    base = sys + "/class/powercap"
    names: Dict[str, str] = {}
    for zone in listed(base):
        if not _ZONE.match(zone) or zone.startswith("intel-rapl-mmio"):
            continue
        own = read_text(f"{base}/{zone}/name", 64) or zone
        parent = names.get(zone.rpartition(":")[0], "")
        names[zone] = name = f"{parent} {own}".strip()
        energy = parse_energy(read_text(f"{base}/{zone}/energy_uj", 32))
        if energy is not None:
            found.append(Zone(label(name), energy, parse_energy(read_text(f"{base}/{zone}/max_energy_range_uj", 32)) or 0))
    return found


def parse_energy(text: str) -> Optional[int]:
    """Parse a counter in microjoules. None: not a number."""
    return int(text) if text.isdecimal() and len(text) < 20 else None


class Energy(Collector):
    """power{sensor=package-0 …}: watts, the mean since the previous reading. A series begins with the second reading."""

    family = "breathe"
    counts = True
    blocking = True  # each counter reads a register of the processor

    def __init__(self, sys: str = "/sys") -> None:
        super().__init__()
        self._sys = sys
        self._previous: Previous[Dict[str, Zone]] = Previous({})

    def read(self, now: float) -> List[Optional[int]]:
        zones = {zone.name: zone for zone in read_zones(self._sys)}
        before, elapsed_s = self._previous.swap(zones, now)
        rising = [(name, milliwatts(zone, before[name], elapsed_s)) for name, zone in zones.items() if name in before]
        return self._report((series_name("power", "sensor", name), power) for name, power in rising)


def milliwatts(later: Zone, earlier: Zone, elapsed_s: float) -> Optional[int]:
    """The mean power between two readings. None: the counter decreased and its range is unknown, or no time has passed."""
    used = later.energy_uj - earlier.energy_uj
    if used < 0 and later.wraps_at:
        used += later.wraps_at
    return round(used / elapsed_s / 1000) if used >= 0 and elapsed_s > 0 else None


class Supply(NamedTuple):
    """One battery or UPS."""

    name: str
    kind: str
    """battery or ups."""
    status: str
    """The kernel's word in lower case, such as discharging."""
    charge: Optional[float]
    """Charge in percent."""
    health: Optional[float]
    """Present capacity in percent of the design capacity."""
    cycles: Optional[int]
    """How often the battery was charged completely; None: not counted."""
    watts: Optional[float]
    """Charging power; negative: discharging."""
    model: str


def read_supplies(sys: str = "/sys") -> List[Supply]:
    """Read the batteries and UPSs of this machine, without those of mice and pens.

    Some drivers report the current without its sign, so the sign of the power is taken from the status.
    Source: Documentation/ABI/testing/sysfs-class-power: capacity in percent; energy in µWh, charge in µAh, power in µW, current in µA,
    voltage in µV.
    """
    found: List[Supply] = []
    for name in listed(sys + "/class/power_supply"):
        if len(found) == MAX_SUPPLIES:
            break
        base = f"{sys}/class/power_supply/{name}/"
        kind = read_text(base + "type", 32).lower()
        if kind not in ("battery", "ups") or read_text(base + "scope", 32) == "Device" or read_text(base + "present", 8) == "0":
            continue
        attributes = {
            key: parse_number(read_text(base + key, 32))
            for key in (
                "capacity", "energy_now", "energy_full", "energy_full_design", "charge_now", "charge_full", "charge_full_design",
                "power_now", "current_now", "voltage_now", "cycle_count",
            )
        }  # fmt: skip
        status = read_text(base + "status", 32).lower() or "unknown"
        watts = _watts(attributes)
        if watts is not None:
            watts = -abs(watts) if status == "discharging" else abs(watts) if status == "charging" else watts
        charge: Optional[float] = attributes["capacity"]
        if charge is None:
            charge = _share(attributes, "now", "full")
        health = _share(attributes, "full", "full_design")
        cycles = attributes["cycle_count"] or None  # most drivers report 0 if they do not count
        found.append(Supply(name, kind, status, charge, health, cycles, watts, read_text(base + "model_name", 64)))
    return found


def _watts(attributes: Dict[str, Optional[int]]) -> Optional[float]:
    power, current, voltage = attributes["power_now"], attributes["current_now"], attributes["voltage_now"]
    if power is not None:
        return power / 1e6
    return current * voltage / 1e12 if current is not None and voltage is not None else None


def _share(attributes: Dict[str, Optional[int]], part: str, whole: str) -> Optional[float]:
    """The share of `part` in `whole` in percent, by energy or else by charge. None: the battery provides neither."""
    for unit in ("energy", "charge"):
        present, most = attributes[f"{unit}_{part}"], attributes[f"{unit}_{whole}"]
        if present is not None and most:
            return present * 100 / most
    return None


def _scaled(value: Optional[float], scale: int) -> Optional[int]:
    return None if value is None else max(-LARGEST, min(LARGEST, round(value * scale)))


class Batteries(Collector):
    """battery.charge: percent; battery.power: watts. A value that a battery has never provided is left out."""

    family = "breathe"
    blocking = True  # each file may query a slow controller

    def __init__(self, sys: str = "/sys") -> None:
        super().__init__()
        self._sys = sys
        self._provided: Dict[str, bool] = {}

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        values: List[Tuple[str, Optional[int]]] = []
        for supply in read_supplies(self._sys):
            for metric, value in (("battery.charge", _scaled(supply.charge, 100)), ("battery.power", _scaled(supply.watts, 1000))):
                name = series_name(metric, "battery", label(supply.name))
                self._provided[name] = self._provided.get(name, False) or value is not None
                if self._provided[name]:
                    values.append((name, value))
        return self._report(values)


class BatteryTable:
    """The `batteries` table. A host without batteries sends no table."""

    subject = "batteries"

    def __init__(self, sys: str = "/sys") -> None:
        self._sys = sys

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002 - only rates need the time
        rows: List[Tuple[Cell, ...]] = [
            (
                plain(supply.name, 64),
                supply.kind,
                plain(supply.status, 32),
                _scaled(supply.charge, 100),
                _scaled(supply.health, 100),
                supply.cycles,
                plain(supply.model, 64) or None,
            )
            for supply in read_supplies(self._sys)
        ]
        return Reading(rows, len(rows)) if rows else None
