"""Readings of hardware monitors (hwmon), and of thermal zones that are not among them."""

import os
import re
from fnmatch import fnmatchcase
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from spider.files import listed, read_text
from spider.sampling.collectors.base import MAX_LABELLED, Collector, label
from spider.wire.metrics import series_name

COLDEST, HOTTEST = -90_000, 127_000
"""Plausible millidegrees. A sensor that is not connected shows an end of its register, such as 127, 127.5, 255 or -128 degrees."""
LOWEST_LIMIT, HIGHEST_LIMIT = 40_000, 126_000
"""Plausible millidegrees of a chip's own limit. Many boards leave unused limits at 0, 127 or 255 degrees."""

_INPUTS = {
    "temp": re.compile(r"temp(\d{1,4})_input\Z"),
    "fan": re.compile(r"fan(\d{1,4})_input\Z"),
    "power": re.compile(r"power(\d{1,4})_(?:input|average)\Z"),
    "curr": re.compile(r"curr(\d{1,4})_input\Z"),
}
"""Patterns of the names of input files, by kind. Chips of processors and power supplies provide only the average power.

Source: Documentation/hwmon/sysfs-interface.rst.
"""


class Sensor(NamedTuple):
    """One sensor."""

    path: str
    """File to read. Its unit depends on the kind of sensor."""
    name: str
    device: str
    """Name of the device, which distinguishes sensors of the same name."""
    stem: str = ""
    """Beginning of the names of the sensor's other files (`…/temp1`); empty = it has none."""


def parse_temperature(text: str) -> Optional[int]:
    """Parse a temperature of sysfs.

    Returns: hundredths of a degree; None: the value is not plausible.
    Raises:  ValueError: not a whole number.
    Source:  Documentation/hwmon/sysfs-interface.rst, thermal/sysfs-api.rst: millidegrees Celsius.
    """
    if len(text) > 20:
        raise ValueError("not a temperature")
    millidegrees = int(text)
    return round(millidegrees / 10) if COLDEST < millidegrees < HOTTEST else None


class Refused:
    """The sensors that the owner leaves out. Patterns as of a shell, such as `nct6775 AUXTIN*`."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = tuple(patterns)

    def keep(self, sensors: Dict[str, Sensor]) -> Dict[str, Sensor]:
        """The sensors whose label no pattern matches."""
        return {name: sensor for name, sensor in sensors.items() if not any(fnmatchcase(name, pattern) for pattern in self._patterns)}


def find_inputs(kind: str, sys: str = "/sys") -> Tuple[List[Sensor], Set[str]]:
    """Find the inputs of hwmon chips.

    Args:    kind: temp, fan, power or curr.
    Returns: the sensors, and the names of all chips. A sensor is named `chip label` (`coretemp Package id 0`), or `chip temp1` where it has
    no label.
    """
    found: List[Sensor] = []
    chips: Set[str] = set()
    for chip in listed(sys + "/class/hwmon"):
        base = f"{sys}/class/hwmon/{chip}"
        name = read_text(base + "/name") or chip
        chips.add(name)
        device = os.path.basename(os.path.realpath(base + "/device"))
        inputs: Dict[int, str] = {}
        for entry in listed(base):  # sorted, so that `input` (present value) wins over `average`
            match = _INPUTS[kind].match(entry)
            if match:
                inputs[int(match.group(1))] = entry
        for number, entry in sorted(inputs.items()):
            what = read_text(f"{base}/{kind}{number}_label") or f"{kind}{number}"
            found.append(Sensor(base + "/" + entry, name + " " + what, device, f"{base}/{kind}{number}"))
    return found, chips


def find_sensors(sys: str = "/sys") -> List[Sensor]:
    """Find the temperature sensors: those of hwmon chips, then the thermal zones that are not also chips."""
    found, chips = find_inputs("temp", sys)
    for zone in listed(sys + "/class/thermal"):
        if zone.startswith("thermal_zone"):
            kind = read_text(f"{sys}/class/thermal/{zone}/type") or zone
            if kind.replace("-", "_") not in chips:  # the kernel also shows many zones as chips of the same name
                found.append(Sensor(f"{sys}/class/thermal/{zone}/temp", kind, zone))
    return found


def name_sensors(sensors: List[Sensor]) -> Dict[str, Sensor]:
    """Give each sensor a unique label. Equal names get the device's name appended, and a number if they are still equal.

    Returns: the sensors by label, in their order.
    """
    plain = [label(sensor.name) for sensor in sensors]
    labels: Dict[str, Sensor] = {}
    for sensor, name in zip(sensors, plain):
        own = name if plain.count(name) == 1 else label(f"{name[:150]} ({sensor.device})")
        wanted, number = own, 2
        while own in labels:
            own, number = f"{wanted[:190]} #{number}", number + 1
        labels[own] = sensor
    return labels


class Temperatures(Collector):
    """temperature{sensor=…}, temperature.limit{sensor=…}: degrees Celsius. Most virtual machines have none."""

    family = "breathe"
    blocking = True  # some drivers query their chip over a slow bus

    def __init__(self, sys: str = "/sys", refused: Sequence[str] = ()) -> None:
        super().__init__()
        self._sys = sys
        self._refused = Refused(refused)
        self._limits: Dict[Sensor, Optional[int]] = {}
        """The chips' own limits, each read once."""

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        sensors = self._refused.keep(name_sensors(find_sensors(self._sys)[:MAX_LABELLED]))
        self._limits = {sensor: self._limits[sensor] if sensor in self._limits else _limit(sensor) for sensor in sensors.values()}
        values = [(series_name("temperature", "sensor", name), _temperature(sensor)) for name, sensor in sensors.items()]
        limits = ((series_name("temperature.limit", "sensor", name), self._limits[sensor]) for name, sensor in sensors.items())
        return self._report([*values, *((name, limit) for name, limit in limits if limit is not None)])


def _temperature(sensor: Sensor) -> Optional[int]:
    if _is_off(sensor):
        return None
    try:
        return parse_temperature(read_text(sensor.path))
    except ValueError:  # no value: the device sleeps, or the sensor is gone
        return None


def _is_off(sensor: Sensor) -> bool:
    """Whether the chip says that the value means nothing: the sensor has a fault (an open diode), or is switched off."""
    return bool(sensor.stem) and (read_text(sensor.stem + "_fault", 8) == "1" or read_text(sensor.stem + "_enable", 8) == "0")


def _limit(sensor: Sensor) -> Optional[int]:
    """The temperature that the chip itself calls critical, in hundredths of a degree; without one, its highest good one. None: neither."""
    for name in ("_crit", "_max") if sensor.stem else ():
        number = parse_number(read_text(sensor.stem + name, 64))
        if number is not None and LOWEST_LIMIT <= number <= HIGHEST_LIMIT:
            return round(number / 10)
    return None


class Chips(Collector):
    """fan{sensor=…}: rpm; power: watts; current: amperes; from the hwmon chips of this machine."""

    family = "breathe"
    blocking = True

    def __init__(self, sys: str = "/sys", refused: Sequence[str] = ()) -> None:
        super().__init__()
        self._sys = sys
        self._refused = Refused(refused)

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        values: List[Tuple[str, Optional[int]]] = []
        # rpm unchanged; microwatts to thousandths of a watt; milliamperes are thousandths already
        for metric, kind, divisor in (("fan", "fan", 1), ("power", "power", 1000), ("current", "curr", 1)):
            for name, sensor in self._refused.keep(name_sensors(find_inputs(kind, self._sys)[0][:MAX_LABELLED])).items():
                number = None if _is_off(sensor) else parse_number(read_text(sensor.path, 64))
                values.append((series_name(metric, "sensor", name), None if number is None else round(number / divisor)))
        return self._report(values)


def parse_number(text: str) -> Optional[int]:
    """A whole number of sysfs; None: not a whole number, or its amount is 10**15 or more."""
    try:
        number = int(text) if len(text) <= 20 else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < 10**15 else None
