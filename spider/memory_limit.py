"""A ceiling on Spider's own memory: beyond it the program ends in order, and the service manager starts it anew."""

import asyncio
import gc
import logging
import os
from typing import Callable, Optional

from spider.clock import Clock
from spider.logs import event

CEILING_BYTES = 128 * 1024 * 1024
"""Half of what the unit allows, and five times what is usual."""
LOOK_S = 30.0
EXIT_MEMORY = 75
"""What the program ends with then (EX_TEMPFAIL): come again."""
_STATM = "/proc/self/statm"

log = logging.getLogger(__name__)


def resident_bytes(path: str = _STATM) -> Optional[int]:
    """Memory that this process holds; None: this system does not tell."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read(200).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


class MemoryLimit:
    """Looks now and then. `run` it as one task; `over` says why the program ended."""

    def __init__(self, clock: Clock, leave: Callable[[], None], limit_bytes: int = CEILING_BYTES, statm: str = _STATM) -> None:
        """Args: leave: ends the program in order."""
        self._clock = clock
        self._leave = leave
        self._limit_bytes = limit_bytes
        self._statm = statm
        self.over = False

    async def run(self) -> None:
        """Look until cancelled; twice too much, with a collection of garbage between, is too much."""
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
