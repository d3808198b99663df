"""A limit on Spider's own memory. Beyond it the program ends properly, and the service manager restarts it."""

import asyncio
import gc
import logging
import os
from typing import Callable, Optional

from spider.clock import Clock
from spider.logs import event

CEILING_BYTES = 128 * 1024 * 1024
"""Half of the unit's limit, and five times the usual use."""
LOOK_S = 30.0
EXIT_MEMORY = 75
"""Exit status for this case (EX_TEMPFAIL), after which the service manager restarts the program."""
_STATM = "/proc/self/statm"

log = logging.getLogger(__name__)


def resident_bytes(path: str = _STATM) -> Optional[int]:
    """Resident memory of this process in bytes; None: this system does not provide it."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read(200).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


class MemoryLimit:
    """Checks the memory periodically. `run` it as one task; `over` says whether the limit ended the program."""

    def __init__(self, clock: Clock, leave: Callable[[], None], limit_bytes: int = CEILING_BYTES, statm: str = _STATM) -> None:
        """Args: leave: ends the program properly."""
        self._clock = clock
        self._leave = leave
        self._limit_bytes = limit_bytes
        self._statm = statm
        self.over = False

    async def run(self) -> None:
        """Check until cancelled. The program ends only if the memory is still over the limit after a garbage collection."""
        while True:
            await self._clock.sleep(LOOK_S)
            if not self._too_much():
                continue
            gc.collect()
            await self._clock.sleep(LOOK_S)
            if self._too_much():
                self.over = True
                event(log, "memory_over_ceiling", logging.ERROR, bytes=resident_bytes(self._statm), ceiling=self._limit_bytes)
                self._leave()
                await asyncio.Event().wait()

    def _too_much(self) -> bool:
        return (resident_bytes(self._statm) or 0) > self._limit_bytes
