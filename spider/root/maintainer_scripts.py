"""Kills a hanging maintainer script on a user's request. The package manager that started it is never killed.

The package manager detects a failed script, records the failure and ends by itself. If it were killed, its database would stay
half-written.
"""

import os
import re
import signal
import time
from typing import Dict, List, Set, Tuple

KILL_AFTER_S = 30.0
_SCRIPT = re.compile(
    rb"(?:\A|\0)[^\0]*(?:/var/lib/dpkg/(?:info/[^\0/]+\.(?:pre|post)(?:inst|rm)|tmp\.ci/(?:pre|post)(?:inst|rm))"
    rb"|/rpm-tmp\.[A-Za-z0-9]+(?=\0|\Z)|/?alpm_[A-Za-z0-9]+/\.INSTALL|/apk/exec/[^\0/]+)"
)
"""Matches the command lines with which dpkg, rpm, pacman and apk start maintainer scripts."""


def _processes() -> Dict[int, Tuple[int, int]]:
    """Parent and start time of each process. The start time shows whether a pid is reused."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                words = file.read().rpartition(b")")[2].split()
            found[int(name)] = (int(words[1]), int(words[19]))
        except (OSError, ValueError, IndexError):  # the process has ended
            continue
    return found


def _below(root: int, processes: Dict[int, Tuple[int, int]]) -> List[int]:
    found, unvisited = [], [root]
    children: Dict[int, List[int]] = {}
    for pid, (parent, _) in processes.items():
        children.setdefault(parent, []).append(pid)
    while unvisited:
        for pid in children.get(unvisited.pop(), []):
            found.append(pid)
            unvisited.append(pid)
    return found


def is_script(command_line: bytes) -> bool:
    """Whether this is the command line of a maintainer script."""
    return _SCRIPT.search(command_line) is not None


def _is_script(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return is_script(file.read(65536))
    except OSError:
        return False


def running_scripts(root: int) -> Set[Tuple[int, int]]:
    """Maintainer scripts among the descendants of process `root`, and their own descendants, as (pid, start time)."""
    processes = _processes()
    scripts = [pid for pid in _below(root, processes) if _is_script(pid)]
    with_descendants = {pid for script in scripts for pid in (script, *_below(script, processes))}
    return {(pid, processes[pid][1]) for pid in with_descendants}


class ScriptKiller:
    """Ends the maintainer scripts of one package manager: SIGTERM first, and SIGKILL after half a minute."""

    def __init__(self, root: int, kill_after_s: float = KILL_AFTER_S) -> None:
        self._root = root
        self._kill_after_s = kill_after_s
        self._terminated: Dict[Tuple[int, int], float] = {}
        self.ended = 0
        """Number of processes that got SIGTERM."""

    def look(self) -> None:
        """Send the next signals. Called regularly while the stop request exists."""
        now = time.monotonic()
        # A process that got SIGTERM may no longer be a descendant, because its parent has ended.
        alive = _processes()
        left = {(pid, began) for pid, began in self._terminated if alive.get(pid, (0, 0))[1] == began}
        for process in running_scripts(self._root) | left:
            terminated_at = self._terminated.get(process)
            if terminated_at is None:
                self._terminated[process] = now
                self.ended += 1
                self._send(process[0], signal.SIGTERM)
            elif now - terminated_at >= self._kill_after_s:
                self._send(process[0], signal.SIGKILL)

    @staticmethod
    def _send(pid: int, number: int) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
