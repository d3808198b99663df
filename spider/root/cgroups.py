"""Lists the processes of a job's unit from the cgroup tree, which is readable without privileges and without systemctl."""

import glob
import os
from typing import List, Optional

from spider.files import read_file

_SERVICES = ("app.slice", "system.slice")
"""Where services of a user's own systemd are, and those of the system's."""
_HIERARCHIES = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")


def _services() -> str:
    """The cgroup of all services beside this one. There is a path before it in a container, and where systemd serves one user."""
    for line in read_file("/proc/self/cgroup").split("\n"):
        path = line.split(":", 2)[-1]
        for name in _SERVICES:
            if f"/{name}/" in path:
                return f"{path.split(f'/{name}/', 1)[0]}/{name}".strip("/")
    return "system.slice"


def _slices() -> List[str]:
    """The folders of the jobs' slice, whether it has a job or not."""
    services = _services()
    places = [os.path.join(root, services) for root in _HIERARCHIES]
    kind = os.path.basename(services)[: -len(".slice")]
    return [os.path.join(place, f"{kind}-stardust\\x2djob.slice") for place in places if os.path.isdir(place)]


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
    slices = _slices()
    if not slices:
        return None
    return [pid for place in slices for pid in _processes(os.path.join(place, unit_name(job)))]


def busy_jobs() -> List[str]:
    """The ids of the jobs whose unit still has processes: the runner, or processes that the runner left behind."""
    busy = {
        os.path.basename(folder)[len("stardust-job@") : -len(".service")]
        for place in _slices()
        for folder in glob.glob(os.path.join(glob.escape(place), "stardust-job@*.service"))
        if _processes(folder)
    }
    return sorted(busy)
