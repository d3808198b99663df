"""Evaluates the rules of all organisations every second."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Final

from groundcontrol.alerts.service import ROUND_TICKS, AlertService
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

TICK_S: Final = 1.0


class Ticker:
    """One task and one timer for all organisations: a second in which nothing is due for an organisation costs it no more than a question."""

    def __init__(self, clock: Clock, services: Callable[[], Collection[AlertService]]) -> None:
        self._clock = clock
        self._services = services

    async def run(self) -> None:
        """Evaluate every second, until cancelled."""
        turn = 0
        while True:
            await self._clock.sleep(TICK_S)
            for place, service in enumerate(self._services()):  # organisations with few nodes have their turns in different seconds
                try:
                    service.evaluate((turn + place) % ROUND_TICKS)
                except Exception:  # the boundary: a bug that one organisation hits must not stop the others
                    event(log, "alerts_failed", logging.ERROR, exc_info=True)
            turn = (turn + 1) % ROUND_TICKS
