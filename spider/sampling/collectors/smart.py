"""Disk health, as far as it is readable without privileges.

Only root may send SMART requests to a disk. Every user can read two other sources: the state files of smartd (smartmontools), and the /sys
files of flash chips (eMMC). `sensors.py` measures the temperatures of disks (drivetemp, nvme).
"""

import os
import re
import time
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from spider.files import read_text
from spider.sampling.collectors.base import MAX_LABELLED, Collector, label
from spider.wire.metrics import series_name

STATES = "/var/lib/smartmontools"
VALID_S = 2 * 86_400.0
"""Greatest age of a state file that is used. smartd writes it at each check (30 min) that finds a change, and when smartd ends."""
KEPT_S = 30 * 86_400.0
"""Greatest age of a state file whose values are not known. An older one is of a disk that was removed."""
_FILE = re.compile(r"smartd\.(.+)\.(?:ata|scsi|nvme)\.state\Z")
_ATTRIBUTE = re.compile(r"ata-smart-attribute\.(\d{1,3})\.(id|raw)\Z")
_ATTRIBUTES = {5: "smart.reallocated", 197: "smart.pending", 198: "smart.uncorrectable"}
_ERRORS = ("ata-error-count", "nvme-err-log-entries", "scsi-grown-defects")
_LOW_32 = 0xFFFFFFFF
"""Raw values have 48 bits; vendors use the upper ones for other purposes."""


class Health(NamedTuple):
    """Health values of one disk."""

    name: str
    """Model and serial number, as in the name of the state file."""
    values: Mapping[str, Optional[int]]
    """Values by metric; None: the file is too old to say."""


def parse_state(text: str) -> Dict[str, int]:
    """Parse a state file of smartd.

    Returns: values by metric, as far as the disk provides them.
    Source:  smartmontools, smartd.cpp, write_dev_state: lines `key = value`, none for a value of 0. ATA attributes are numbered, each with id
    and raw value.
    """
    attributes: Dict[int, Dict[str, int]] = {}
    found: Dict[str, int] = {}
    for line in text.split("\n"):
        key, sign, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if line.startswith("#") or not sign or not value.isdecimal() or len(value) > 18:
            continue
        match = _ATTRIBUTE.match(key)
        if match:
            attributes.setdefault(int(match.group(1)), {})[match.group(2)] = int(value)
        elif key in _ERRORS:
            found["smart.errors"] = int(value)
    for attribute in attributes.values():
        metric = _ATTRIBUTES.get(attribute.get("id", 0))
        if metric is not None:
            found[metric] = attribute.get("raw", 0) & _LOW_32
    if attributes:
        found.setdefault("smart.errors", 0)
    return found


def read_states(folder: str, now_s: float) -> List[Health]:
    """Read the state files of smartd that are not older than `KEPT_S`. Args: now_s: Unix seconds."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found: List[Health] = []
    for name in names:
        match = _FILE.match(name)
        try:
            age_s = now_s - os.stat(f"{folder}/{name}").st_mtime
        except OSError:
            continue
        if match is None or age_s >= KEPT_S:
            continue
        values = parse_state(read_text(f"{folder}/{name}"))
        if values:
            found.append(Health(match.group(1), values if age_s < VALID_S else dict.fromkeys(values)))
    return found


def life_used(text: str) -> Optional[int]:
    """Parse life_time of an eMMC chip.

    Returns: hundredths of a percent, for the most worn type of cell; None: the chip does not provide it.
    Source:  JEDEC 5.1, DEVICE_LIFE_TIME_EST_TYP_A and _B, shown by drivers/mmc/core/mmc.c as `0x01 0x02`: 0x01 = 0 to 10 %, 0x0b = beyond.
    """
    try:
        steps = [int(word, 16) for word in text.split()]
    except ValueError:
        return None
    known = [step for step in steps if 1 <= step <= 11]
    return min(100, max(known) * 10) * 100 if known else None


class Smart(Collector):
    """smart.reallocated, smart.pending, smart.uncorrectable, smart.errors {disk=…}; disk.life_used {device=…}: percent."""

    family = "cycle"
    blocking = True

    def __init__(self, sys: str = "/sys", states: str = STATES, wall: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._sys = sys
        self._states = states
        self._wall = wall

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - the files have times of their own
        named: List[Tuple[str, Optional[int]]] = []
        for health in read_states(self._states, self._wall())[:MAX_LABELLED]:
            named += [(series_name(metric, "disk", label(health.name)), value) for metric, value in sorted(health.values.items())]
        base = self._sys + "/block"
        for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
            text = read_text(f"{base}/{name}/device/life_time", 32) if name.startswith("mmcblk") else ""
            if text:
                named.append((series_name("disk.life_used", "device", label(name)), life_used(text)))
        return self._report(named)
