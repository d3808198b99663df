"""This host's package manager, asked in a process of its own: what reading its answers takes goes with that process.

An agent asks once an hour. The modules that read apt's words take 1.7 MB of it, and what an answer took at most stays as well.
"""

import json
import os
import re
import subprocess
import sys
from typing import Any, Optional, Sequence, Tuple

import spider
from spider.packages.interfaces import ENVIRONMENT, PackageCondition, PackagesUnreadable
from spider.packages.plan import Planned
from spider.wire.frames import Updates

LIMIT_S = 300.0
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from spider.packages.detect import main; main()"
_HANDED_OVER = re.compile(r"/proc/self/fd/(\d+)\Z")
"""The bundle of a Spider that was started with it as an open descriptor."""


class SeparateQuery:
    """Tells what could be upgraded and what is held."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self.newer: Sequence[Planned] = ()
        """What the last `available_updates` has counted, package by package."""
        self._held: Sequence[Tuple[str, str]] = ()
        self._held_unreadable = ""
        self._condition = PackageCondition()

    def condition(self) -> PackageCondition:
        """As the last `available_updates` found it."""
        return self._condition

    def available_updates(self) -> Optional[Updates]:
        """Ask, and count what could be upgraded; blocks while the manager works it out.

        Returns: None: no manager here that could tell.
        Raises:  PackagesUnreadable.
        """
        self._condition = PackageCondition()
        document = self._run_query()
        if document is None:
            return None
        self._condition = PackageCondition(*document["condition"])
        if document["unreadable"]:
            raise PackagesUnreadable(document["unreadable"])
        self.newer = [Planned(*one) for one in document["newer"]]
        self._held = [(name, version) for name, version in document["held"]]
        self._held_unreadable = document["held_unreadable"]
        return Updates(*document["updates"])

    def held(self) -> Sequence[Tuple[str, str]]:
        """Packages, with their versions, that the owner of this host does not want changed, as the last `available_updates` found them.

        Raises: PackagesUnreadable.
        """
        if self._held_unreadable:
            raise PackagesUnreadable(self._held_unreadable)
        return self._held

    def _run_query(self) -> Any:
        home = os.path.dirname(os.path.dirname(str(spider.__file__)))
        argv = [sys.executable, "-I", "-B", "-c", _PROGRAM, home]
        descriptor = _HANDED_OVER.match(home)
        handed_on = (int(descriptor.group(1)),) if descriptor else ()
        try:
            done = subprocess.run(
                argv, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=self._limit_s, check=False, cwd="/",
                pass_fds=handed_on,
            )  # fmt: skip
            if done.returncode:
                raise PackagesUnreadable(f"status {done.returncode}: {done.stderr.decode('utf-8', 'replace').strip()[-300:]}")
            return json.loads(done.stdout.decode("ascii"))
        except subprocess.TimeoutExpired as exc:
            raise PackagesUnreadable(f"nothing was told within {self._limit_s:.0f} s") from exc
        except (OSError, ValueError) as exc:
            raise PackagesUnreadable(str(exc)) from exc
