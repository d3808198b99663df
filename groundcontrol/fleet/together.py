"""Messages that need not be heard this very moment are heard with those of others.

A node says a few hundred bytes and is silent for a second. Heard one by one, each finds the processor's caches full of something else,
and costs four times what it costs right behind another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

LISTED_S: Final = 0.03
"""What values wait that lists show. Lists are told of them in the round in which they are heard, so nothing waits for that as well."""
UNSEEN_S: Final = 0.25
"""The same where nobody looks. A batch is committed a second after its first pack."""
AT_ONCE: Final = 64
"""How many are heard without a pause; then others have their turn."""


class Together:
    """Who has something to be heard, and when."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, hear: Callable[[], None], within_s: float) -> None:
        """Call `hear` within some time, with the others."""
        self._waiting.append(hear)
        loop = asyncio.get_running_loop()
        at = loop.time() + within_s
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = loop.call_at(at, self._hear)

    def _hear(self) -> None:
        now, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        self._timer = asyncio.get_running_loop().call_later(0, self._hear) if self._waiting else None
        for hear in now:
            hear()
