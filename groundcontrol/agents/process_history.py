"""Writes the process history of all nodes together. A commit costs as much as several readings (the top processes of a minute)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from groundcontrol.agents.retry_writer import TRANSIENT_ERRORS
from groundcontrol.core.errors import Fenced, StoreDown
from groundcontrol.core.stores import Stores
from groundcontrol.nodes.model import Session
from groundcontrol.nodes.processes import MINUTE_MS, ProcessReading
from groundcontrol.nodes.store import ProcessHistoryStore
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

EVERY_S: Final = 5.0
MAX_CONCURRENT: Final = 64
"""Most readings of one transaction. Samples are not written before its end."""
MAX_WAITING: Final = 5000
"""Readings that may wait for the store, some 30 MB. With more, the oldest are dropped."""


class ProcessHistoryWriter:
    """The readings that are not stored yet: for each node and minute the last one."""

    def __init__(self, store: Stores, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[tuple[int, int], tuple[Session, ProcessReading]] = {}
        """Number of the node and minute -> the reading."""

    def add(self, session: Session, reading: ProcessReading) -> None:
        """Queue a reading. It replaces an earlier one of the same minute."""
        self._waiting[session.no, reading.at_ms // MINUTE_MS] = session, reading
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def reading(self, no: int, at: float) -> ProcessReading | None:
        """The last waiting reading of node number `no` at or before a time in Unix seconds; None: none waits."""
        waiting = [reading for session, reading in self._waiting.values() if session.no == no and reading.at_ms <= at * 1000]
        return max(waiting, key=lambda reading: reading.at_ms, default=None)

    async def run(self) -> None:
        """Write the waiting readings every `EVERY_S`, until cancelled."""
        while True:
            await self._clock.sleep(EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write the waiting readings. After a temporary error of the store the rest waits on. A reading that causes another error is dropped."""
        while self._waiting:
            batch = dict(list(self._waiting.items())[:MAX_CONCURRENT])
            saving = (self._store[ProcessHistoryStore].save_reading(session, reading) for session, reading in batch.values())
            failures = await asyncio.gather(*saving, return_exceptions=True)  # the store commits them together
            for (key, entry), failure in zip(batch.items(), failures, strict=True):
                if isinstance(failure, (*TRANSIENT_ERRORS, StoreDown)):
                    return
                if failure is not None and not isinstance(failure, Fenced):  # one node's reading must not affect the others
                    event(log, "process_reading_lost", logging.ERROR, node=entry[0].node, why=repr(failure))
                if self._waiting.get(key) is entry:  # otherwise a later reading has replaced it
                    del self._waiting[key]
