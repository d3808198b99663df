"""Finds services that still run replaced code, by the memory maps of their processes, on any distribution.

The kernel marks a mapped file that was replaced with `… (deleted)`. Only code counts: the program and executable maps. Files that are
deleted by design are ignored. It needs root to read maps of other users.
"""

import os
import re
import time
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

from spider.files import read_file, read_text

LIMIT_S = 20.0
"""Time limit for all processes. The result says if it was reached."""
DELETED = " (deleted)"
_IGNORED = (
    "/memfd:", "/dev/", "/SYSV", "/drm", "/i915", "/anon_hugepage", "/[aio]", "/run/", "/proc/", "/home/", "/root/",
    "/tmp/", "/var/tmp/",  # noqa: S108  # names to compare with; nothing is opened there
)  # fmt: skip
"""Paths that are deleted by design (shared memory, graphics buffers, just-in-time code), or belong to no package."""
_MAP = re.compile(r"[0-9a-f]+-[0-9a-f]+ (\S{4}) \S+ \S+ \d+\s+(/.*)")
_UNESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_SESSION = re.compile(r"/user\.slice/user-(\d+)\.slice/")
_OPENRC = re.compile(r"\A/openrc[./](?P<service>[^/]+)")
_OWN = ("stardust-spider.service", "stardust-launcher.socket")
_OWN_STARTS = ("stardust-job@", "stardust-launcher@")
NEVER_ALONE = frozenset({"dbus.service", "dbus-broker.service", "systemd-logind.service", "display-manager.service", "gdm.service", "sddm.service", "lightdm.service"})  # fmt: skip
"""Units whose restart ends all sessions, or more."""


class Replaced(NamedTuple):
    """Processes that still run replaced code."""

    services: Tuple[str, ...] = ()
    """Units that need a restart."""
    init: bool = False
    """Process 1 does: it needs `systemctl daemon-reexec`, or a reboot without systemd."""
    own: bool = False
    """Whether Spider itself runs replaced code."""
    sessions: Tuple[int, ...] = ()
    """Users (uid) with such processes in log-in sessions."""
    others: Tuple[str, ...] = ()
    """Processes without a known service: `name (pid)`."""
    complete: bool = True
    """False: the time limit was reached before all processes were checked."""


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
    """Whether a deleted file of this path is replaced code."""
    return path.endswith(DELETED) and not path.startswith(_IGNORED)


def unit_of(cgroup: str) -> str:
    """The service of a process, or `user:UID` for log-in sessions; empty = none.

    Args: cgroup: the text of /proc/PID/cgroup. With both cgroup versions, either line may name the service.
    """
    paths = [line.split(":", 2)[2] for line in cgroup.split("\n") if line.count(":") >= 2 and (line[:3] == "0::" or ":name=" in line)]
    for path in paths:
        session = _SESSION.search(path + "/")
        if session:
            return "user:" + session.group(1)
    for path in paths:
        for part in path.split("/"):
            if part.endswith(".service"):
                return _UNESCAPED.sub(lambda match: chr(int(match.group(1), 16)), part)
        openrc = _OPENRC.match(path)
        if openrc:
            return openrc.group("service")
    return ""


def _elsewhere(folder: str, root: Tuple[int, int]) -> bool:
    """Whether a process has another root, so it runs in a container with its own packages."""
    try:
        info = os.stat(folder + "/root")
    except OSError:
        return True
    return (info.st_dev, info.st_ino) != root


def runs_replaced_code(folder: str) -> bool:
    """Whether a process runs replaced code; `folder` is its folder below /proc."""
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
        info = os.stat(proc + "/self/root")
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
        if _elsewhere(folder, (info.st_dev, info.st_ino)) or not runs_replaced_code(folder):
            continue
        unit = unit_of(read_file(folder + "/cgroup"))
        if pid == "1":
            init = True
        elif unit.startswith(_OWN_STARTS):
            continue  # the current job, which ends soon
        elif unit in _OWN:
            own = True
        elif unit.startswith("user:"):
            sessions.add(int(unit[5:]))
        elif unit:
            services.add(unit)
        else:
            others.append(f"{read_text(folder + '/comm') or 'process'} ({pid})")
    return Replaced(tuple(sorted(services)), init, own, tuple(sorted(sessions)), tuple(others), complete)
