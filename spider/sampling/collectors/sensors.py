"""Readings of hardware monitors (hwmon), and of thermal zones that are not among them."""

import os
import re
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from spider.files import listed, read_text
from spider.sampling.collectors.base import MAX_LABELLED, Collector, label
from spider.wire.metrics import series_name

COLDEST, HOTTEST = -90_000, 250_000
"""Plausible millidegrees; a sensor outside this range is not connected."""

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
            found.append(Sensor(base + "/" + entry, name + " " + what, device))
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


def name_sensors(sensors: List[Sensor]) -> Dict[str, str]:
    """Give each sensor a unique label. Equal names get the device's name appended, and a number if they are still equal.

    Returns: the sensor's file by label, in the order of `sensors`.
    """
    plain = [label(sensor.name) for sensor in sensors]
    labels: Dict[str, str] = {}
    for sensor, name in zip(sensors, plain):
        own = name if plain.count(name) == 1 else label(f"{name[:150]} ({sensor.device})")
        wanted, number = own, 2
        while own in labels:
            own, number = f"{wanted[:190]} #{number}", number + 1
        labels[own] = sensor.path
    return labels


class Temperatures(Collector):
    """temperature{sensor=…}: degrees Celsius. Most virtual machines have none."""

    family = "breathe"
    blocking = True  # some drivers query their chip over a slow bus

    def __init__(self, sys: str = "/sys") -> None:
        super().__init__()
        self._sys = sys

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        sensors = name_sensors(find_sensors(self._sys)[:MAX_LABELLED])
        return self._report((series_name("temperature", "sensor", name), _read_file(path)) for name, path in sensors.items())


def _read_file(path: str) -> Optional[int]:
    try:
        return parse_temperature(read_text(path))
    except ValueError:  # no value: the device sleeps, or the sensor is gone
        return None


class Chips(Collector):
    """fan{sensor=…}: rpm; power: watts; current: amperes; from the hwmon chips of this machine."""

    family = "breathe"
    blocking = True

    def __init__(self, sys: str = "/sys") -> None:
        super().__init__()
        self._sys = sys

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        values: List[Tuple[str, Optional[int]]] = []
        # rpm unchanged; microwatts to thousandths of a watt; milliamperes are thousandths already
        for metric, kind, divisor in (("fan", "fan", 1), ("power", "power", 1000), ("current", "curr", 1)):
            for name, path in name_sensors(find_inputs(kind, self._sys)[0][:MAX_LABELLED]).items():
                number = parse_number(read_text(path, 64))
                values.append((series_name(metric, "sensor", name), None if number is None else round(number / divisor)))
        return self._report(values)


def parse_number(text: str) -> Optional[int]:
    """A whole number of sysfs; None: not a whole number, or its amount is 10**15 or more."""
    try:
        number = int(text) if len(text) <= 20 else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < 10**15 else None
