"""Lists failed systemd units."""

import os
from typing import FrozenSet, Optional

from spider.packages.interfaces import ENVIRONMENT, PackagesUnreadable, run_query

LIMIT_S = 5.0


def parse_failed(text: str) -> FrozenSet[str]:
    """Read `systemctl list-units --failed --plain --no-legend`. The unit is the first word; older releases print a dot before it."""
    found = set()
    for line in text.splitlines():
        words = line.replace("●", " ").replace("*", " ").split()
        if words and "." in words[0]:
            found.add(words[0])
    return frozenset(found)


def failed_units(root: str = "") -> Optional[FrozenSet[str]]:
    """The failed units. None: unknown (this host has no systemd, or systemctl failed)."""
    if not os.path.isdir(root + "/run/systemd/system"):
        return None
    try:
        words = ["systemctl", "list-units", "--failed", "--all", "--plain", "--no-legend", "--full", "--no-pager"]
        answer = run_query(words, {**ENVIRONMENT, "TERM": "dumb"}, LIMIT_S)
    except PackagesUnreadable:
        return None
    return None if answer.rc else parse_failed(answer.out)
