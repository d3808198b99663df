"""Finds the process that holds a lock file. Package managers report a held lock late, or not at all."""

import fcntl
import os
import re
import struct
from typing import Optional, Set

from spider.files import read_file, read_text
from spider.packages.backend import Lock


def process_name(pid: str) -> str:
    """The name of a process; empty = it has ended."""
    return read_text(f"/proc/{pid}/comm")


def record_lock_holder(path: str) -> Optional[Lock]:
    """The holder of a record lock (fcntl) on a file, as dpkg, apt, rpm and zypper take it. None: nobody holds it, or it is unknown.

    If this process may not open the file, /proc/locks is read instead.
    """
    if struct.calcsize("P") != 8:
        return None  # on 32 bits the structure has another format; the manager itself then reports the lock
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
    """The holder of any lock (flock or fcntl) on a file, by /proc/locks. None: nobody holds it, or it is unknown."""
    try:
        wanted = _names_in_locks(path)
    except OSError:
        return None
    for line in read_file("/proc/locks").split("\n"):
        words = line.split()  # `1: FLOCK  ADVISORY  WRITE 2180 00:1a:4711 0 EOF`; a waiting process has `->` after the number
        if len(words) >= 6 and words[1] != "->" and words[5] in wanted:
            pid = words[4] if words[4].isdecimal() and words[4] != "0" else ""
            name = process_name(pid) if pid else ""
            return Lock(path, pid, name) if name else Lock(path)
    return None


def _names_in_locks(path: str) -> Set[str]:
    """The names that a file may have in /proc/locks: its device and inode.

    The kernel writes the device of the superblock there, which mountinfo also has. On btrfs that device differs from `st_dev`.
    """
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        mount = re.search(r"(?m)^mnt_id:\s*(\d+)$", read_file(f"/proc/self/fdinfo/{fd}"))
    finally:
        os.close(fd)
    devices = {(os.major(info.st_dev), os.minor(info.st_dev))}
    if mount is not None:
        found = re.search(rf"(?m)^{mount[1]} \d+ (\d+):(\d+) ", read_file("/proc/self/mountinfo"))
        if found is not None:
            devices.add((int(found[1]), int(found[2])))
    return {f"{major:02x}:{minor:02x}:{info.st_ino}" for major, minor in devices}


def open_file_holder(path: str) -> Optional[Lock]:
    """The process that has a file open, as pacman has its lock file; needs root. None: no process, or no such file."""
    name = os.path.basename(os.path.realpath(path))
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
                is_open = any(_is_open(entry.path, name, info) for entry in entries)
        except OSError:  # it has ended
            continue
        if is_open:
            return Lock(path, pid, process_name(pid))
    return None


def _is_open(link: str, name: str, info: os.stat_result) -> bool:
    """Whether a link of /proc/PID/fd leads to this file. The name is compared first: `stat` of a file on a dead network mount blocks."""
    try:
        if os.path.basename(os.readlink(link)) != name:
            return False
        found = os.stat(link)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (info.st_dev, info.st_ino)
