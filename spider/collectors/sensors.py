"""Temperatures: of hardware monitors (hwmon), and of thermal zones that are not among those."""

import os
import re
from typing import Dict, List, NamedTuple, Optional

from spider.collectors.base import MAX_LABELLED, label, read_text
from spider.wire.metrics import series_name

COLDEST, HOTTEST = -90_000, 250_000
"""Millidegrees; a sensor that says more or less is not connected."""

_INPUT = re.compile(r"temp(\d{1,4})_input\Z")


class Sensor(NamedTuple):
    """One sensor: the file to read (millidegrees Celsius), its name, and what tells it from others of that name."""

    path: str
    name: str
    place: str


def parse_temperature(text: str) -> Optional[int]:
    """Read a value of sysfs.

    Returns: hundredths of a degree; None when no sensor could mean it.
    Raises:  ValueError: not a whole number.
    Source:  Documentation/hwmon/sysfs-interface.rst, thermal/sysfs-api.rst: millidegrees Celsius.
    """
    if len(text) > 20:
        raise ValueError("not a temperature")
    millidegrees = int(text)
    return round(millidegrees / 10) if COLDEST < millidegrees < HOTTEST else None


def _listed(path: str) -> List[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def find_sensors(sys: str = "/sys") -> List[Sensor]:
    """Look for what there is, chips first.

    A chip's sensor is named `chip label` (`coretemp Package id 0`), or `chip temp1` where it has no label; a zone by its type.
    """
    found: List[Sensor] = []
    chips = set()
    for chip in _listed(sys + "/class/hwmon"):
        base = f"{sys}/class/hwmon/{chip}"
        name = read_text(base + "/name") or chip
        chips.add(name)
        place = os.path.basename(os.path.realpath(base + "/device"))
        inputs = [entry for entry in _listed(base) if _INPUT.match(entry)]
        for entry in sorted(inputs, key=lambda entry: int(_INPUT.sub(r"\1", entry))):
            what = read_text(base + "/" + entry.replace("_input", "_label")) or entry[: -len("_input")]
            found.append(Sensor(base + "/" + entry, name + " " + what, place))
    for zone in _listed(sys + "/class/thermal"):
        if zone.startswith("thermal_zone"):
            kind = read_text(f"{sys}/class/thermal/{zone}/type") or zone
            if kind.replace("-", "_") not in chips:  # the kernel shows many zones as chips, too, under that name
                found.append(Sensor(f"{sys}/class/thermal/{zone}/temp", kind, zone))
    return found


def name_sensors(sensors: List[Sensor]) -> Dict[str, str]:
    """Give each sensor a label of its own: where two have one name, the device's name is added, then a number.

    Returns: path by label, in the order given.
    """
    plain = [label(sensor.name) for sensor in sensors]
    labels: Dict[str, str] = {}
    for sensor, name in zip(sensors, plain):
        own = name if plain.count(name) == 1 else label(f"{name[:150]} ({sensor.place})")
        wanted, number = own, 2
        while own in labels:
            own, number = f"{wanted[:190]} #{number}", number + 1
        labels[own] = sensor.path
    return labels


class Temperatures:
    """temperature{sensor=…}: degrees Celsius. Most virtual machines have none."""

    family = "breathe"
    counts = False
    blocking = True  # some drivers ask their chip over a slow bus

    def __init__(self, sys: str = "/sys") -> None:
        self._sys = sys
        self._series: List[str] = []

    def series(self) -> List[str]:
        return self._series

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - a level needs no clock
        sensors = name_sensors(find_sensors(self._sys)[:MAX_LABELLED])
        self._series = [series_name("temperature", "sensor", name) for name in sensors]
        return [_ask(path) for path in sensors.values()]

    def close(self) -> None:
        """Nothing is kept open."""


def _ask(path: str) -> Optional[int]:
    try:
        return parse_temperature(read_text(path))
    except ValueError:  # nothing could be read: the device sleeps, or the sensor is gone
        return None
