"""Lists the processes of a job's unit from the cgroup tree, which is readable without privileges and without systemctl."""

import glob
import os
from typing import List, Optional

from spider.files import read_file

SLICE = "system.slice/system-stardust\\x2djob.slice"
_HIERARCHIES = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")


def _system_prefix() -> str:
    """The path before `system.slice`, which is not empty in a container that does not see the root of the cgroup tree."""
    for line in read_file("/proc/self/cgroup").split("\n"):
        path = line.split(":", 2)[-1]
        if "/system.slice/" in path:
            return path.split("/system.slice/", 1)[0].strip("/")
    return ""


def _slices() -> List[str]:
    prefix = _system_prefix()
    bases = [os.path.join(root, prefix) if prefix else root for root in _HIERARCHIES]
    return [base for base in bases if os.path.isdir(os.path.join(base, "system.slice"))]


def unit_name(job: str) -> str:
    """The name of the unit of a job."""
    return f"stardust-job@{job}.service"


def _processes(folder: str) -> List[int]:
    found: List[int] = []
    for below, _, _ in os.walk(folder):
        try:
            with open(os.path.join(below, "cgroup.procs"), encoding="ascii") as file:
                found.extend(int(line) for line in file)
        except OSError:  # noqa: PERF203  # the cgroup was removed meanwhile
            continue
    return found


def job_processes(job: str) -> Optional[List[int]]:
    """The process ids in the cgroup of a job's unit. None: this host shows no cgroups of services."""
    bases = _slices()
    if not bases:
        return None
    return [pid for base in bases for pid in _processes(os.path.join(base, SLICE, unit_name(job)))]


def busy_jobs() -> List[str]:
    """The ids of the jobs whose unit still has processes: the runner, or processes that the runner left behind."""
    busy = {
        os.path.basename(folder)[len("stardust-job@") : -len(".service")]
        for base in _slices()
        for folder in glob.glob(os.path.join(glob.escape(os.path.join(base, SLICE)), "stardust-job@*.service"))
        if _processes(folder)
    }
    return sorted(busy)
