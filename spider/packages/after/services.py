"""Finds services that still run replaced code, by the memory maps of their processes, on any distribution.

The kernel marks a mapped file that was replaced with `… (deleted)`. Only the program itself and executable maps are code. Files that
programs delete by design are ignored. Only root may read the maps of other users' processes.
"""

import os
import re
import time
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

from spider.files import read_file, read_text

LIMIT_S = 20.0
"""Time limit for all processes together."""
DELETED = " (deleted)"
_IGNORED = (
    "/memfd:", "/dev/", "/SYSV", "/drm", "/i915", "/anon_hugepage", "/[aio]", "/run/", "/proc/", "/home/", "/root/",
    "/tmp/", "/var/tmp/",  # noqa: S108  # names to compare with; nothing is opened there
)  # fmt: skip
"""Paths of files that are deleted by design (shared memory, graphics buffers, just-in-time code), or belong to no package."""
_MAP = re.compile(r"[0-9a-f]+-[0-9a-f]+ (\S{4}) \S+ \S+ \d+\s+(/.*)")
_SESSION = re.compile(r"/user\.slice/user-(\d+)\.slice/")
_OPENRC = re.compile(r"\A/openrc[./](?P<service>[^/]+)")
_OPENRC_ALONE = re.compile(r"\A/(?P<service>[^/]+)")
"""As `_OPENRC`, in OpenRC's own hierarchy of cgroups version 1."""
_OWN = ("stardust-spider.service", "stardust-spider", "stardust-launcher")
"""Spider's service under systemd and under OpenRC, and the launcher's service under OpenRC. Jobs run in the launcher's cgroup there."""
_OWN_STARTS = ("stardust-job@", "stardust-launcher@")
NEVER_ALONE = frozenset({"dbus.service", "dbus-broker.service", "systemd-logind.service", "display-manager.service", "gdm.service", "sddm.service", "lightdm.service"})  # fmt: skip
"""Units whose restart ends at least all log-in sessions."""


class Replaced(NamedTuple):
    """Processes that still run replaced code."""

    services: Tuple[str, ...] = ()
    """Units that need a restart."""
    init: bool = False
    """Whether process 1 runs replaced code. The host then needs `systemctl daemon-reexec`, or without systemd a reboot."""
    own: bool = False
    """Whether Spider itself runs replaced code."""
    sessions: Tuple[int, ...] = ()
    """uids of users whose log-in sessions have such processes."""
    others: Tuple[str, ...] = ()
    """Such processes without a known service, as `name (pid)`."""
    complete: bool = True
    """False: the time limit was reached before all processes were checked, or /proc could not be read."""


def replaced_code(maps: str) -> List[str]:
    """The deleted executable files in the maps of a process.

    Args:   maps: the text of /proc/PID/maps.
    Source: proc_pid_maps(5).
    """
    found: Dict[str, None] = {}
    for line in maps.split("\n"):
        if not line.endswith(DELETED):
            continue
        match = _MAP.match(line)
        if match and "x" in match.group(1) and counts(match.group(2)):
            found[match.group(2)[: -len(DELETED)]] = None
    return list(found)


def counts(path: str) -> bool:
    """Whether a mapped file counts as replaced code, by its path with the kernel's mark."""
    return path.endswith(DELETED) and not path.startswith(_IGNORED)


def unit_of(cgroup: str) -> str:
    """The service of a process, or `user:UID` for a process of a log-in session; empty = none.

    Args: cgroup: the text of /proc/PID/cgroup.
    """
    lines = [line.split(":", 2) for line in cgroup.split("\n") if line.count(":") >= 2]
    named = [(hierarchy, path) for number, hierarchy, path in lines if number + hierarchy == "0" or hierarchy.startswith("name=")]
    for _, path in named:
        session = _SESSION.search(path + "/")
        if session:
            return "user:" + session.group(1)
    for hierarchy, path in named:
        for part in path.split("/"):
            if part.endswith(".service"):
                return part
        openrc = _OPENRC.match(path) or (_OPENRC_ALONE.match(path) if hierarchy == "name=openrc" else None)
        if openrc:
            return openrc.group("service")
    return ""


def is_in_container(folder: str, own: str) -> bool:
    """Whether a process has both another root and other mounts: then it runs in a container with its own packages.

    A service that called chroot(2) has only another root. A service that systemd protects has only other mounts. True also if the process
    has ended or cannot be examined.

    Args: folder: the folder of the process below /proc. own: the folder of this process.
    """
    try:
        return all(_inode(folder + part) != _inode(own + part) for part in ("/root", "/ns/mnt"))
    except OSError:
        return True


def _inode(path: str) -> Tuple[int, int]:
    info = os.stat(path)
    return info.st_dev, info.st_ino


def _is_own_job(pid: str) -> bool:
    """Whether a process is in the session of this process, which runs the current job."""
    try:
        return os.getsid(int(pid)) == os.getsid(0)
    except OSError:
        return False


def runs_replaced_code(folder: str) -> bool:
    """Whether a process runs replaced code. Args: folder: the folder of the process below /proc."""
    try:
        program = os.readlink(folder + "/exe")
    except OSError:
        return False  # a kernel thread, or an ended process
    return counts(program) or bool(replaced_code(read_file(folder + "/maps")))


def _pids(proc: str) -> Iterator[str]:
    return (name for name in sorted(os.listdir(proc), key=lambda name: (len(name), name)) if name.isdecimal())


def find_replaced(proc: str = "/proc", limit_s: float = LIMIT_S) -> Replaced:
    """Check all processes of this host."""
    ends_at = time.monotonic() + limit_s
    try:
        os.stat(proc + "/self/root")
        pids = list(_pids(proc))
    except OSError:
        return Replaced(complete=False)
    services: Set[str] = set()
    sessions: Set[int] = set()
    others: List[str] = []
    init = own = False
    complete = True
    for pid in pids:
        folder = f"{proc}/{pid}"
        if time.monotonic() > ends_at:
            complete = False
            break
        if is_in_container(folder, proc + "/self") or not runs_replaced_code(folder):
            continue
        unit = unit_of(read_file(folder + "/cgroup"))
        if pid == "1":
            init = True
        elif unit.startswith(_OWN_STARTS):
            continue  # the current job, which ends soon
        elif unit in _OWN:
            own = own or not _is_own_job(pid)
        elif unit.startswith("user:"):
            sessions.add(int(unit[5:]))
        elif unit:
            services.add(unit)
        else:
            others.append(f"{read_text(folder + '/comm') or 'process'} ({pid})")
    return Replaced(tuple(sorted(services)), init, own, tuple(sorted(sessions)), tuple(others), complete)
