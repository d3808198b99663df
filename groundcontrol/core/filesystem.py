"""The file system that a path lies on, as the kernel reports it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class MountPoint(NamedTuple):
    """A whole file system. Its bind mounts and subvolumes give the same values."""

    device: int
    """The device number in /proc/locks. On btrfs `stat` reports another number, one for each subvolume."""
    kind: str
    options: frozenset[str]


def mount_of(path: Path) -> MountPoint | None:
    """The mount through which this process reaches a file. None: the kernel does not list the mount, for example outside of the
    process's root.

    Raises: OSError: the path cannot be reached, or /proc cannot be read.
    Source: proc_pid_fdinfo(5), proc_pid_mountinfo(5).
    """
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        text = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii")
    finally:
        os.close(fd)
    wanted = next((line.split()[1] for line in text.splitlines() if line.startswith("mnt_id:")), None)
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        number, _, device, *_ = before.split()
        if number == wanted:
            major, minor = device.split(":")
            kind, *_, options = after.split()
            return MountPoint(os.makedev(int(major), int(minor)), kind, frozenset(options.split(",")))
    return None
