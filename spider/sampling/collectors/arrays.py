"""Disk arrays and pools: md, ZFS, btrfs."""

import os
import re
from typing import List, NamedTuple, Optional, Tuple

from spider.files import listed, read_text
from spider.sampling.collectors.base import MAX_LABELLED, Collector, label
from spider.sampling.collectors.table_reader import Reading
from spider.wire.metrics import series_name
from spider.wire.report_messages import Cell
from spider.wire.text import plain

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_PROGRESS = re.compile(r"(\d{1,20}) / (\d{1,20})\Z")


class Array(NamedTuple):
    """One array or pool. None: this kind does not provide the value."""

    name: str
    kind: str
    """md, zfs or btrfs."""
    level: str
    """The RAID level, or btrfs' profiles; empty = not provided."""
    state: str
    devices: Optional[int]
    """Number of disks that it should have."""
    missing: Optional[int]
    """Number of disks that it lacks."""
    errors: Optional[int]
    """md: mismatches (sectors) of the last check; btrfs: errors of all disks."""
    action: str
    """The running operation; empty = none."""
    progress: Optional[float]
    """Its progress in percent."""


def _number(path: str) -> Optional[int]:
    """A number of sysfs; None: there is none. During a reshape `raid_disks` is `new (old)`, and the new number counts."""
    text = read_text(path, 32).partition(" ")[0]
    return int(text) if text.isdecimal() else None


def parse_progress(text: str) -> Optional[float]:
    """Parse sync_completed.

    Returns: percent; None: no operation runs (`none`), or the text has another form.
    Source:  Documentation/admin-guide/md.rst: sectors done, a slash, all sectors; `delayed`: it waits for an operation of another array.
    """
    if text == "delayed":
        return 0.0
    match = _PROGRESS.match(text)
    return min(100.0, int(match.group(1)) * 100 / int(match.group(2))) if match and int(match.group(2)) else None


def read_md(sys: str = "/sys") -> List[Array]:
    """Read the md arrays. Inactive ones are left out, unless they have a number of disks.

    Source: Documentation/admin-guide/md.rst: level, array_state, raid_disks; degraded, sync_action, sync_completed and mismatch_cnt where
    the level has redundancy.
    """
    found: List[Array] = []
    for name in listed(sys + "/block"):
        base = f"{sys}/block/{name}/md/"
        state = read_text(base + "array_state", 32)
        if not state or (state in ("clear", "inactive") and not _number(base + "raid_disks")):
            continue
        action = read_text(base + "sync_action", 32)
        found.append(
            Array(
                name,
                "md",
                read_text(base + "level", 32),
                state,
                _number(base + "raid_disks"),
                _number(base + "degraded"),
                _number(base + "mismatch_cnt"),
                "" if action in ("idle", "frozen") else action,
                parse_progress(read_text(base + "sync_completed", 64)),
            )
        )
    return found


def read_zfs(proc: str = "/proc") -> List[Array]:
    """Read the imported pools. The kernel provides only their state, to every user.

    Source: OpenZFS, module/os/linux/spl and zfs/spa_stats.c: /proc/spl/kstat/zfs/POOL/state (0.8 and newer).
    """
    base = proc + "/spl/kstat/zfs"
    states = ((pool, read_text(f"{base}/{pool}/state", 32)) for pool in listed(base))
    return [Array(pool, "zfs", "", state.lower(), None, None, None, "", None) for pool, state in states if state]


def read_btrfs(sys: str = "/sys") -> List[Array]:
    """Read the mounted btrfs file systems.

    Source: Documentation/ABI/testing/sysfs-fs-btrfs, btrfs(5): devinfo/ID/missing and error_stats (Linux 5.6, 5.14),
    allocation/data/PROFILE.
    """
    found: List[Array] = []
    uuids = [uuid for uuid in listed(sys + "/fs/btrfs") if _UUID.match(uuid)]
    for uuid in uuids:
        base = f"{sys}/fs/btrfs/{uuid}"
        devices = listed(base + "/devinfo")
        missing = sum(read_text(f"{base}/devinfo/{device}/missing", 8) == "1" for device in devices)
        errors: Optional[int] = None
        for device in devices:
            for line in read_text(f"{base}/devinfo/{device}/error_stats", 512).split("\n"):
                value = line.rpartition(" ")[2]
                if value.isdecimal():
                    errors = (errors or 0) + int(value)
        level = " ".join(entry for entry in listed(base + "/allocation/data") if os.path.isdir(f"{base}/allocation/data/{entry}"))
        action = read_text(base + "/exclusive_operation", 32)
        found.append(
            Array(
                read_text(base + "/label", 256) or uuid,
                "btrfs",
                level,
                "degraded" if missing else "ok",
                len(devices) or len(listed(base + "/devices")) or None,
                missing if devices else None,
                errors,
                "" if action == "none" else action,
                None,
            )
        )
    names = [array.name for array in found]
    return [array if names.count(array.name) == 1 else array._replace(name=f"{array.name} {uuid[:8]}") for array, uuid in zip(found, uuids)]


class Arrays(Collector):
    """md.missing, btrfs.missing: disks; md.progress: percent of the running operation, 100 without one; zfs.healthy: 1 or 0; btrfs.errors."""

    family = "breathe"
    blocking = True

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        super().__init__()
        self._proc = proc
        self._sys = sys

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        named: List[Tuple[str, Optional[int]]] = []
        for array in read_md(self._sys)[:MAX_LABELLED]:
            name = label(array.name)
            if array.missing is not None:  # a level without redundancy cannot miss a disk
                done = array.progress if array.action or array.progress is not None else 100.0
                named.append((series_name("md.missing", "array", name), array.missing))
                named.append((series_name("md.progress", "array", name), None if done is None else round(done * 100)))
        pools = read_zfs(self._proc)[:MAX_LABELLED]
        named += [(series_name("zfs.healthy", "pool", label(pool.name)), int(pool.state == "online")) for pool in pools]
        for array in read_btrfs(self._sys)[:MAX_LABELLED]:
            name = label(array.name)
            if array.missing is not None:
                named.append((series_name("btrfs.missing", "pool", name), array.missing))
            if array.errors is not None:
                named.append((series_name("btrfs.errors", "pool", name), array.errors))
        return self._report(named)


class ArrayTable:
    """The `arrays` table. A host without arrays sends no table."""

    subject = "arrays"

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        self._proc = proc
        self._sys = sys

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002 - only rates need the time
        arrays = [*read_btrfs(self._sys), *read_md(self._sys), *read_zfs(self._proc)]
        rows: List[Tuple[Cell, ...]] = [
            (
                plain(array.name, 64),
                array.kind,
                plain(array.level, 32) or None,
                plain(array.state, 32),
                array.devices,
                array.missing,
                array.errors,
                plain(array.action, 16),
                None if array.progress is None else round(array.progress * 100),
            )
            for array in arrays
        ]
        return Reading(rows, len(rows)) if rows else None
