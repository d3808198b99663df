"""Metrics of services and containers, and the numbers of units and users."""

from typing import List

from spider.wire.metric_type import Metric, breathe, cycle

_GROUPS = "cgroups of version 1 and 2"
_WHOSE = {"service": "of a unit, or of all that a user runs (user-N.slice)", "container": "of a container"}

METRICS: List[Metric] = [
    metric
    for kind, whose in _WHOSE.items()
    for metric in (
        breathe(f"{kind}.cpu", "percent", 100, kind, about=f"{whose}: percent of one core, over the minute", source=_GROUPS),
        breathe(f"{kind}.memory", "bytes", 1, kind, about=f"{whose}: without inactive pages of files", source=_GROUPS),
        breathe(f"{kind}.read", "bytes/s", 1, kind, about=f"{whose}: from disks", source=_GROUPS),
        breathe(f"{kind}.written", "bytes/s", 1, kind, about=f"{whose}: to disks", source=_GROUPS),
    )
]
METRICS += [
    cycle("units.failed", "units", 1, about="of systemd that failed, or that failed and wait for a restart", source="the system bus"),
    breathe("users.logged_in", "sessions", 1, about="log-in sessions of people", source="/run/utmp, else logind"),
]
