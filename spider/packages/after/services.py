"""Which services still run code that was replaced on disk: seen in what their processes have mapped, on any distribution.

A file that was replaced while it was mapped is named `… (deleted)` by the kernel. Only code counts (the program itself and what is
mapped to be executed); what is deleted by design is passed over. Needs root: other users' maps are not shown to others.
"""

import os
import re
import time
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

from spider.files import read_file, read_text

LIMIT_S = 20.0
"""For all processes together. What was not looked at by then is said."""
DELETED = " (deleted)"
_IGNORED = (
    "/memfd:", "/dev/", "/SYSV", "/drm", "/i915", "/anon_hugepage", "/[aio]", "/run/", "/proc/", "/home/", "/root/",
    "/tmp/", "/var/tmp/",  # noqa: S108  # names to compare with; nothing is opened there
)  # fmt: skip
"""Deleted by design (shared memory, buffers of graphics, just-in-time code), or nobody's package."""
_MAP = re.compile(r"[0-9a-f]+-[0-9a-f]+ (\S{4}) \S+ \S+ \d+\s+(/.*)")
_UNESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_SESSION = re.compile(r"/user\.slice/user-(\d+)\.slice/")
_OPENRC = re.compile(r"\A/openrc[./](?P<service>[^/]+)")
_OWN = ("stardust-spider.service", "stardust-launcher.socket")
_OWN_STARTS = ("stardust-job@", "stardust-launcher@")
NEVER_ALONE = frozenset({"dbus.service", "dbus-broker.service", "systemd-logind.service", "display-manager.service", "gdm.service", "sddm.service", "lightdm.service"})  # fmt: skip
"""Restarting one of these ends the sessions of everybody, or more."""


class Replaced(NamedTuple):
    """Who still runs replaced code."""

    services: Tuple[str, ...] = ()
    """Units that a restart helps."""
    init: bool = False
    """Process 1 does: `systemctl daemon-reexec`, or a reboot where init is another."""
    own: bool = False
    """Spider itself does."""
    sessions: Tuple[int, ...] = ()
    """Users (uid) whose log-in sessions have such processes."""
    others: Tuple[str, ...] = ()
    """Processes that belong to no service that can be told: `name (pid)`."""
    complete: bool = True
    """False: time was up before every process had been looked at."""


def replaced_code(maps: str) -> List[str]:
    """The files, executed and deleted, in the text of a process's maps.

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
    """Whether a deleted file of this path is code that somebody replaced."""
    return path.endswith(DELETED) and not path.startswith(_IGNORED)


def unit_of(cgroup: str) -> str:
    """The service that a process belongs to, or `user:UID` for log-in sessions; empty = none.

    Args: cgroup: the text of /proc/PID/cgroup: on hosts with both versions of cgroups either line may be the one that tells.
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
    """Whether a process sees another root than ours: then it runs in a container, whose packages are not this host's."""
    try:
        info = os.stat(folder + "/root")
    except OSError:
        return True
    return (info.st_dev, info.st_ino) != root


def runs_replaced_code(folder: str) -> bool:
    """Whether a process does; `folder` is its own below /proc."""
    try:
        program = os.readlink(folder + "/exe")
    except OSError:
        return False  # a thread of the kernel, or it has just ended
    return counts(program) or bool(replaced_code(read_file(folder + "/maps")))


def _pids(proc: str) -> Iterator[str]:
    return (name for name in sorted(os.listdir(proc), key=lambda name: (len(name), name)) if name.isdigit())


def find_replaced(proc: str = "/proc", limit_s: float = LIMIT_S) -> Replaced:
    """Look at every process of this host."""
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
            continue  # the job that looks here ends by itself
        elif unit in _OWN:
            own = True
        elif unit.startswith("user:"):
            sessions.add(int(unit[5:]))
        elif unit:
            services.add(unit)
        else:
            others.append(f"{read_text(folder + '/comm') or 'process'} ({pid})")
    return Replaced(tuple(sorted(services)), init, own, tuple(sorted(sessions)), tuple(others), complete)
