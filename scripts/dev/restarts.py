"""Decides when scripts/run restarts a process that ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from majortom.build.bundle import BundleError
from scripts.dev.terminal import reason_of, say

RESTART_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Pauses before the restarts of a process that ended; after the last one it is not restarted."""
STEADY_S: Final = 60.0
"""After a run of this length, the pauses begin with the first one again."""
EXIT_CONFIG: Final = 78
"""The process refuses its settings: another start would fail too."""


class Restarts:
    """Decides whether and when a process that ended is started again."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def pause_s(self, status: int | None, ran_s: float) -> float | None:
        """The pause before the next start, in seconds. None: no further start.

        Args: status: the exit status. ran_s: how long the process ran.
        """
        if ran_s >= STEADY_S:
            self._in_a_row = 0
        if status == EXIT_CONFIG or self._in_a_row >= len(RESTART_PAUSES_S):
            return None
        self._in_a_row += 1
        return RESTART_PAUSES_S[self._in_a_row - 1]


async def start_again(
    name: str, start: Callable[[], Awaitable[asyncio.subprocess.Process]], pause_s: float, later_s: float = RESTART_PAUSES_S[-1]
) -> asyncio.subprocess.Process:
    """Start a process after a pause. If that fails, for instance on a full disk, try again every `later_s` seconds until it succeeds."""
    while True:
        await asyncio.sleep(pause_s)
        try:
            return await start()
        except (OSError, BundleError) as exc:
            pause_s = later_s
            say(f"{name} cannot be started: {reason_of(exc)}. The next try is in {pause_s:.0f} s.")


def how_it_ended(status: int | None) -> str:
    """An exit status or signal, for people."""
    return f"killed by {signal.Signals(-status).name}" if status is not None and status < 0 else f"exit status {status}"
