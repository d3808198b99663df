"""Queries the package manager in a child process, so that the agent's memory does not grow.

The agent queries once an hour. The modules that parse apt's output take 1.7 MB, and a process never returns the memory of its
largest answer.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from typing import Any, Optional, Sequence, Tuple

import spider
from spider.packages.interfaces import ENVIRONMENT, PackageCondition, PackagesUnreadable
from spider.packages.plan import Planned
from spider.wire.report_messages import Updates

LIMIT_S = 300.0
_GROUP = "import os, sys; os.setpgrp(); sys.path.insert(0, sys.argv[1]); "
"""The child has a process group of its own, so that its children can be killed, too."""
_PROGRAM = "from spider.packages.detect import main; main()"
_HANDED_OVER = re.compile(r"/proc/self/fd/(\d+)\Z")
"""The path of a bundle that Spider received as an open descriptor."""


class SeparateQuery:
    """An `UpdateQuery` that asks a child process. Each `available_updates` starts one, with `limit_s` seconds to answer."""

    def __init__(self, limit_s: float = LIMIT_S, program: str = _PROGRAM) -> None:
        self._limit_s = limit_s
        self._program = program
        self.newer: Sequence[Planned] = ()
        """The packages that the last successful `available_updates` counted."""
        self._held: Sequence[Tuple[str, str, str]] = ()
        self._held_unreadable = ""
        self._condition = PackageCondition()

    def condition(self) -> PackageCondition:
        """The condition at the last `available_updates`."""
        return self._condition

    def available_updates(self) -> Optional[Updates]:
        """Query and count the available upgrades; blocks until the answer.

        Returns: None: no package manager can list updates.
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
        self._held = [(name, version, why) for name, version, why in document["held"]]
        self._held_unreadable = document["held_unreadable"]
        return Updates(*document["updates"])

    def held(self) -> Sequence[Tuple[str, str, str]]:
        """Packages that stay as they are, with their versions and the reason, as of the last successful `available_updates`.

        Raises: PackagesUnreadable.
        """
        if self._held_unreadable:
            raise PackagesUnreadable(self._held_unreadable)
        return self._held

    def _run_query(self) -> Any:
        home = os.path.dirname(os.path.dirname(str(spider.__file__)))
        argv = [sys.executable, "-I", "-B", "-c", _GROUP + self._program, home]
        descriptor = _HANDED_OVER.match(home)
        handed_on = (int(descriptor.group(1)),) if descriptor else ()
        try:
            with subprocess.Popen(
                argv, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", pass_fds=handed_on
            ) as child:
                try:
                    out, err = child.communicate(timeout=self._limit_s)
                finally:
                    if child.returncode is None:
                        _kill_group(child)
            if child.returncode:
                raise PackagesUnreadable(f"status {child.returncode}: {err.decode('utf-8', 'replace').strip()[-300:]}")
            return json.loads(out.decode("ascii"))
        except subprocess.TimeoutExpired as exc:
            raise PackagesUnreadable(f"no answer within {self._limit_s:.0f} s") from exc
        except (OSError, ValueError) as exc:
            raise PackagesUnreadable(str(exc)) from exc


def _kill_group(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):  # the child has no group yet
        os.killpg(child.pid, signal.SIGKILL)
    child.kill()
