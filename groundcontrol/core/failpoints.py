"""Points at which a test kills the hub's process, as a power cut would: before and after each durable step.

Only the tests' hub program arms them (`tests/support/hub_program.py`).
"""

from __future__ import annotations

import os
import signal
from typing import Final

STEPS: Final = (
    "connect", "host_key", "authenticate", "become_root", "probe", "upload", "install", "start", "verify",
    "stop", "uninstall", "wipe",
)  # fmt: skip
"""The steps of installations and removals by SSH."""
NAMES: Final = (
    "job.insert.pre", "job.insert.post", "job.take.pre", "job.take.post", "job.send.post", "job.accept.pre", "job.accept.post",
    "job.begin.pre", "job.begin.post", "job.plan.pre", "job.plan.post", "job.output.pre", "job.output.post", "job.output.acked",
    "job.report.pre", "job.report.post", "job.end.pre", "job.end.post", "job.end.told",
    "leave.row.pre", "leave.row.post", "leave.begun", "leave.heard.pre", "leave.heard.post", "leave.forget.pre", "leave.forget.post",
    "leave.wipe.pre", "leave.wipe.post", "leave.end.pre", "leave.end.post",
    "restore.samples.ready", "restore.control.ready", "restore.samples.kept", "restore.samples.placed", "restore.control.kept",
    "restore.control.placed",
    *(f"step.{step}.{point}" for step in STEPS for point in ("begun", "done", "told")),
)  # fmt: skip

_armed: dict[str, int] = {}


def arm(name: str, after: int) -> None:
    """Kill this process when it reaches this failpoint for the `after`-th time, counted from 1.

    Raises: ValueError: there is no such failpoint, or `after` is less than 1.
    """
    if name not in NAMES or after < 1:
        raise ValueError(f"no such failpoint: {name} {after}")
    _armed[name] = after


def hit(name: str) -> None:
    """Kill the process here if this failpoint is armed and due."""
    if _armed and name in _armed:
        _armed[name] -= 1
        if not _armed[name]:
            os.kill(os.getpid(), signal.SIGKILL)
