"""Names the running services that a plan will probably restart: those whose unit file belongs to one of its packages."""

import os
import re
from typing import Iterable, Mapping, Sequence, Set, Tuple

from spider.files import read_file
from spider.packages.after.services import unit_of
from spider.packages.interfaces import PackagesUnreadable, run_query
from spider.packages.plan import Plan

MOST = 30
_UNIT = re.compile(r"(?:/usr)?/lib/systemd/system/([^/]+\.service)|/etc/init\.d/([^/]+)")


def unit_names(paths: Iterable[str]) -> Set[str]:
    """The services among the files of packages."""
    found = (_UNIT.fullmatch(path) for path in paths)
    return {match.group(1) or match.group(2) for match in found if match}


def running_services(proc: str = "/proc") -> Set[str]:
    """Services that have a process."""
    try:
        pids = [name for name in os.listdir(proc) if name.isdecimal()]
    except OSError:
        return set()
    return {unit_of(read_file(f"{proc}/{pid}/cgroup")) for pid in pids}


def will_restart(plan: Plan, list_files: Sequence[str], environment: Mapping[str, str], proc: str = "/proc") -> Tuple[str, ...]:
    """Running services of the installed packages that a plan changes, by name, at most MOST; empty also where this cannot be read.

    Args: list_files: the command that prints the files of the packages whose names follow; empty = the manager has none.
    """
    changed = [step.package for step in plan.steps if step.before]
    if not changed or not list_files:
        return ()
    try:
        shipped = unit_names(run_query([*list_files, *changed], environment).out.split("\n"))
    except PackagesUnreadable:
        return ()
    running = (name for name in running_services(proc) if name in shipped or re.sub("@.*(?=[.])", "@", name) in shipped)
    return tuple(sorted(running)[:MOST])
