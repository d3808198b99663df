"""Names the running services that a plan will probably restart: their unit file belongs to a package of the plan."""

import os
import re
from typing import Iterable, Mapping, Sequence, Set, Tuple

from spider.files import read_file
from spider.packages.after.services import unit_of
from spider.packages.interfaces import PackagesUnreadable, run_query
from spider.packages.plan import Plan

MAX_NAMED = 30
_UNIT = re.compile(r"(?:/usr)?/lib/systemd/system/([^/]+\.service)|/etc/init\.d/([^/]+)")


def unit_names(paths: Iterable[str]) -> Set[str]:
    """The services whose unit file or init script is among these paths."""
    found = (_UNIT.fullmatch(path) for path in paths)
    return {match.group(1) or match.group(2) for match in found if match}


def running_services(proc: str = "/proc") -> Set[str]:
    """The services that have a process."""
    try:
        pids = [name for name in os.listdir(proc) if name.isdecimal()]
    except OSError:
        return set()
    return {unit_of(read_file(f"{proc}/{pid}/cgroup")) for pid in pids}


def will_restart(plan: Plan, list_files: Sequence[str], environment: Mapping[str, str], proc: str = "/proc") -> Tuple[str, ...]:
    """Running services of the installed packages that a plan changes, sorted, at most MAX_NAMED. Empty also if they are unknown.

    Args: list_files: see `Backend.list_files`. proc: the folder of /proc.
    """
    changed = [step.package for step in plan.steps if step.before]
    if not changed or not list_files:
        return ()
    try:
        shipped = unit_names(run_query([*list_files, *changed], environment).out.split("\n"))
    except PackagesUnreadable:
        return ()
    running = (name for name in running_services(proc) if name in shipped or re.sub("@.*(?=[.])", "@", name) in shipped)
    return tuple(sorted(running)[:MAX_NAMED])
