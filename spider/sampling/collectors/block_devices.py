"""The `disks` table: block devices, the devices below them, and their mount points."""

import os
from typing import Dict, List, NamedTuple, Optional, Tuple

from spider.files import MAX_FILE_BYTES, listed, read_text
from spider.mountinfo import parse_mounts, unescape
from spider.sampling.collectors.table_reader import Reading
from spider.wire.report_messages import Cell
from spider.wire.text import plain

SWAP = "[SWAP]"
"""Mount point of a swap device, as in lsblk(8)."""
SECTOR_BYTES = 512
"""The unit of `size`, independent of the disk's sector size."""


class BlockDevice(NamedTuple):
    """One block device."""

    name: str
    """The kernel's name, or for device mapper the name that an administrator or LVM gave."""
    kernel_name: str
    number: str
    """major:minor."""
    kind: str
    """The type, as `kind_of` returns it, or `part`."""
    parents: List[str]
    """Kernel names of the devices below this one."""
    model: str
    serial: str
    size: int
    """Bytes."""
    rotational: Optional[int]
    """1: a disk that turns; 0: none; None: unknown."""


def kind_of(sys: str, name: str) -> str:
    """The type of a device in /sys/block, in the words of lsblk(8): disk, loop, lvm, crypt, raid1 …; part for a mapped partition; dm for other
    mapped devices.

    Source: Documentation/admin-guide/devices.txt, the UUID of device mapper (`LVM-`, `CRYPT-`, `mpath-`, `part1-mpath-`).
    """
    base = f"{sys}/block/{name}"
    if os.path.isdir(base + "/dm"):
        start = read_text(base + "/dm/uuid", 256).partition("-")[0].lower()
        return "part" if start.startswith("part") else start if start in ("lvm", "crypt", "mpath") else "dm"
    if os.path.isdir(base + "/md"):
        return plain(read_text(base + "/md/level", 16), 16) or "md"
    for start, kind in (("loop", "loop"), ("zram", "zram"), ("sr", "rom"), ("ram", "ram"), ("fd", "floppy")):
        if name.startswith(start) and name[len(start) :].isdecimal():
            return kind
    return "disk"


def _size(path: str) -> int:
    text = read_text(path + "/size", 32)
    return int(text) * SECTOR_BYTES if text.isdecimal() and len(text) < 16 else 0


def _serial(base: str) -> str:
    """The serial number; empty: unknown.

    Spider looks where virtio has it, then where NVMe and mmc have it, then where SCSI has it (the unit serial number page, after its header of
    4 bytes).
    """
    for position in ("/serial", "/device/serial"):
        text = read_text(base + position, 128)
        if text:
            return text
    try:
        with open(base + "/device/vpd_pg80", "rb") as file:
            page = file.read(256)
    except OSError:
        return ""
    return page[4 : 4 + page[3]].decode("ascii", "replace").strip() if len(page) > 4 else ""


def read_blocks(sys: str = "/sys") -> List[BlockDevice]:
    """Read all devices with a size, without RAM disks and floppy drives. Each is followed by its partitions, and follows the devices below it.

    Source: Documentation/ABI/stable/sysfs-block, Documentation/ABI/testing/sysfs-block (dm).
    """
    found: Dict[str, BlockDevice] = {}
    for name in listed(sys + "/block"):
        base = f"{sys}/block/{name}"
        kind, size = kind_of(sys, name), _size(base)
        if kind in ("ram", "floppy") or not size:
            continue
        mapped = read_text(base + "/dm/name", 256) or name.replace("!", "/")
        rotational = read_text(base + "/queue/rotational", 8)
        found[name] = BlockDevice(
            plain(mapped, 64),
            name,
            read_text(base + "/dev", 32),
            kind,
            listed(base + "/slaves"),
            plain(read_text(base + "/device/model", 128), 64),
            plain(_serial(base), 64),
            size,
            int(rotational) if rotational in ("0", "1") else None,
        )
        for part in listed(base):
            if os.path.exists(f"{base}/{part}/partition"):
                number = read_text(f"{base}/{part}/dev", 32)
                found[part] = BlockDevice(
                    plain(part.replace("!", "/"), 64), part, number, "part", [name], "", "", _size(f"{base}/{part}"), found[name].rotational
                )
    return _in_order(found)


def _in_order(found: Dict[str, BlockDevice]) -> List[BlockDevice]:
    """Sort each device after the devices below it, and partitions right after their disk."""
    ordered: Dict[str, BlockDevice] = {}

    def position(name: str, depth: int) -> None:
        block = found.get(name)
        if block is None or name in ordered or depth > 16:
            return
        for parent in block.parents:
            position(parent, depth + 1)
        ordered.setdefault(name, block)

    for name, block in sorted(found.items(), key=lambda item: (bool(item[1].parents) and item[1].kind != "part", item[0])):
        position(name, 0)
        for part in found.values():
            if part.kind == "part" and part.parents == [block.kernel_name]:
                position(part.kernel_name, 0)
    return list(ordered.values())


def mount_points(text: str) -> Tuple[Dict[str, List[str]], Dict[str, List[str]]]:
    """The mount points of a mountinfo, by major:minor, and by the device's path. The path is needed for file systems with numbers of their own
    (btrfs)."""
    by_number: Dict[str, List[str]] = {}
    by_path: Dict[str, List[str]] = {}
    for mount in parse_mounts(text):
        for points in (by_number.setdefault(mount.device, []), by_path.setdefault(mount.source, [])):
            if mount.point not in points:
                points.append(mount.point)
    return by_number, by_path


def parse_swaps(text: str) -> List[str]:
    """Parse /proc/swaps. Returns: the paths of swap devices and files. Source: proc_swaps(5)."""
    return [unescape(line.split()[0]) for line in text.split("\n")[1:] if line.split()]


class DiskTable:
    """The `disks` table. A host without block devices sends no table."""

    subject = "disks"

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        self._proc = proc
        self._sys = sys

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002 - only rates need the time
        blocks = read_blocks(self._sys)
        if not blocks:
            return None
        by_number, by_path = mount_points(self._mountinfo().decode("utf-8", "backslashreplace"))
        for path in parse_swaps(read_text(self._proc + "/swaps")):
            by_path.setdefault(path, []).append(SWAP)
        names = {block.kernel_name: block.name for block in blocks}
        rows: List[Tuple[Cell, ...]] = []
        for block in blocks:
            paths = (f"/dev/{block.kernel_name}", f"/dev/mapper/{block.name}")
            mounts = by_number.get(block.number) or [position for path in paths for position in by_path.get(path, [])]
            rows.append(
                (
                    block.name,
                    block.kind,
                    plain(", ".join(names.get(parent, parent) for parent in block.parents)),
                    block.model or None,
                    block.serial or None,
                    block.size,
                    block.rotational,
                    plain(", ".join(sorted(mounts, key=lambda position: (len(position), position))), 1000),
                )
            )
        return Reading(rows, len(rows))

    def _mountinfo(self) -> bytes:
        """The mounts of process 1, because Spider's own show the sandbox of its unit. If they are not readable: Spider's own."""
        for whose in ("1", "self"):
            try:
                with open(f"{self._proc}/{whose}/mountinfo", "rb") as file:
                    return file.read(MAX_FILE_BYTES)
            except OSError:  # noqa: PERF203  # hidepid
                continue
        return b""
