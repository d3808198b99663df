"""Finds the holder of a lock file. Package managers report it late, or not at all."""

import fcntl
import os
import struct
from typing import Optional

from spider.files import read_file, read_text
from spider.packages.backend import Lock


def process_name(pid: str) -> str:
    """The name of a process; empty = it has ended."""
    return read_text(f"/proc/{pid}/comm")


def record_lock_holder(path: str) -> Optional[Lock]:
    """The holder of a record lock (fcntl; of dpkg, apt, rpm and zypper) on a file. None: there is none, or it is unknown.

    A caller that may not open the file reads /proc/locks instead.
    """
    if struct.calcsize("P") != 8:
        return None  # the structure has another format here; the manager's own message must suffice
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:
        return flock_holder(path)
    except OSError:
        return None
    try:
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)))
    except OSError:
        return None
    finally:
        os.close(fd)
    if kind == fcntl.F_UNLCK:
        return None
    name = process_name(str(pid))
    return Lock(path, str(pid), name) if name else Lock(path)


def flock_holder(path: str) -> Optional[Lock]:
    """The holder of a lock of either kind (flock, fcntl) on a file, by /proc/locks. None: there is none, or it is unknown."""
    try:
        info = os.stat(path)
    except OSError:
        return None
    wanted = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    for line in read_file("/proc/locks").split(
        "\n"
    ):  # `1: FLOCK  ADVISORY  WRITE 2180 00:1a:4711 0 EOF`; waiting ones have `->` behind the number
        words = line.split()
        if len(words) >= 6 and words[1] != "->" and words[5] == wanted:
            pid = words[4] if words[4].isdecimal() and words[4] != "0" else ""
            name = process_name(pid) if pid else ""
            return Lock(path, pid, name) if name else Lock(path)
    return None


def open_file_holder(path: str) -> Optional[Lock]:
    """The process that has a file open, as pacman does with its lock; needs root. None: none, or no such file."""
    try:
        info = os.stat(path)
        processes = os.listdir("/proc")
    except OSError:
        return None
    for pid in processes:
        if not pid.isdecimal():
            continue
        try:
            with os.scandir(f"/proc/{pid}/fd") as entries:
                is_open = any(_same_file(entry.path, info) for entry in entries)
        except OSError:  # it has ended
            continue
        if is_open:
            return Lock(path, pid, process_name(pid))
    return None


def _same_file(path: str, info: os.stat_result) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (info.st_dev, info.st_ino)
