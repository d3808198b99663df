"""The type of a block device, from its name in /proc/diskstats and /sys."""

import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from spider.files import listed, read_text
from spider.sampling.collectors.base import MAX_LABELLED, Collector, label
from spider.wire.metrics import series_name

_BY_NAME: Tuple[Tuple[str, str], ...] = (
    ("loop", "loop"),
    ("zram", "zram"),
    ("dm-", "dm"),
    ("md", "md"),
    ("bcache", "bcache"),
    ("drbd", "drbd"),
    ("zd", "zvol"),
    ("sr", "cdrom"),
    ("scd", "cdrom"),
    ("fd", "floppy"),
    ("ram", "ram"),
)
_NAME = re.compile(r"(?:loop|ram|zram|dm-|md|sr|scd|fd|bcache|drbd|zd)\d|md_")
_PATH = re.compile(r"nvme\d+c\d+n\d+\Z")
_AREA = re.compile(r"mmcblk\d+(?:boot|rpmb|gp)\d*\Z")
_DM_KINDS: Tuple[Tuple[str, str], ...] = (
    ("LVM-", "lvm"),
    ("CRYPT-", "crypt"),
    ("mpath-", "multipath"),
    ("DMRAID-", "raid"),
    ("part", "partition"),
)

NOT_REPORTED = frozenset({"cdrom", "floppy", "ram", "area", "path"})
"""Types that are neither disks nor volumes."""


class Block(NamedTuple):
    """A device of /proc/diskstats."""

    kind: str
    """disk, a type of volume (partition, lvm, crypt, multipath, raid, dm, md, loop, zram, bcache, drbd, zvol), or one of `NOT_REPORTED`."""
    name: str
    """The name that people use: `vg0-root` for dm-0. For a loop device, the path of its file follows the name."""


def kind_by_name(name: str) -> str:
    """The type that a name implies. `disk`: any other name, also that of a partition."""
    if _PATH.match(name):
        return "path"
    if _AREA.match(name):
        return "area"
    if not _NAME.match(name):
        return "disk"
    return next(kind for start, kind in _BY_NAME if name.startswith(start))


def describe_block(name: str, sys: str = "/sys") -> Block:
    """Read the type of a device from /sys; without /sys, derive it from the name.

    Source: Documentation/ABI/stable/sysfs-block, sysfs-block-dm: `dm/uuid` begins with the subsystem that made the device.
    """
    kind = kind_by_name(name)
    base = f"{sys}/class/block/{name.replace('/', '!')}"
    if kind == "disk":
        return Block("partition" if os.path.exists(base + "/partition") else "disk", name)
    if kind == "dm":
        uuid = read_text(base + "/dm/uuid")
        kind = next((found for start, found in _DM_KINDS if uuid.startswith(start)), "dm")
        return Block(kind, read_text(base + "/dm/name") or name)
    if kind == "loop":
        behind = read_text(base + "/loop/backing_file")
        return Block(kind, f"{name} {behind}" if behind else name)
    return Block(kind, name)


def is_empty(name: str, sys: str = "/sys") -> bool:
    """Whether a device has no backing, such as a detached loop device or a stopped array. Its counters stay in /proc/diskstats."""
    return read_text(f"{sys}/class/block/{name.replace('/', '!')}/size", 32) == "0"


def volume_labels(blocks: Dict[str, Block]) -> Dict[str, str]:
    """Labels by device: `lvm vg0-root`, `partition sda1`, … Equal labels get the device appended."""
    plain = {device: label(f"{block.kind} {block.name}") for device, block in blocks.items()}
    texts = list(plain.values())
    return {device: text if texts.count(text) == 1 else label(f"{text[:150]} ({device})") for device, text in plain.items()}


class DiskDetails(Collector):
    """disk.size: bytes; disk.rotating: 1 or 0. Values that the kernel does not provide are left out."""

    family = "cycle"
    blocking = True

    def __init__(self, sys: str = "/sys") -> None:
        super().__init__()
        self._sys = sys

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        values: List[Tuple[str, Optional[int]]] = []
        for entry in listed(self._sys + "/block"):
            name = entry.replace("!", "/")
            if kind_by_name(name) != "disk" or len(values) >= 2 * MAX_LABELLED:
                continue
            for part, path, factor in (("size", "size", 512), ("rotating", "queue/rotational", 1)):
                text = read_text(f"{self._sys}/block/{entry}/{path}", 32)
                if text.isdecimal() and len(text) < 17 and (part != "size" or int(text)):
                    values.append((series_name("disk." + part, "device", label(name)), int(text) * factor))
        return self._report(values)
