"""After a start of the hub: gives the engine the minutes of each node that came before its first new sample."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from groundcontrol.alerts.engine import Engine
from groundcontrol.core.errors import HubError
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import SeriesSchema, StoredRow
from groundcontrol.samples.store import MetricStore
from spider.clock import Clock
from spider.logs import event
from spider.wire.metrics import INTERVAL_S
from spider.wire.sample_messages import Row

log = logging.getLogger(__name__)

REPLAY_S: Final = 1200.0
"""How far the engine's windows reach back."""
MOST_HELD: Final = 200
"""Packs of a node that wait for its replay. With more, the oldest go to the engine without it."""
FAMILIES: Final = tuple(INTERVAL_S)


class Replay:
    """Holds the first packs of each node back until the samples before them are read from the store."""

    def __init__(self, samples: MetricStore, no_of: Callable[[NodeId], int | None], clock: Clock) -> None:
        """`no_of`: the store's number of a node."""
        self._samples = samples
        self._no_of = no_of
        self._clock = clock
        self._done: set[NodeId] = set()
        self._held: dict[NodeId, list[tuple[SeriesSchema, Sequence[Row]]]] = {}
        self._wake = asyncio.Event()

    def hold(self, node: NodeId, schema: SeriesSchema, rows: Sequence[Row]) -> bool:
        """Keep rows if the node's replay is not done. Returns: whether they are kept."""
        if node in self._done:
            return False
        held = self._held.setdefault(node, [])
        if len(held) < MOST_HELD:
            held.append((schema, rows))
            self._wake.set()
        return True

    async def run(self, engine: Engine) -> None:
        """Replay one node after the other, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for node in list(self._held):
                await self._replay(engine, node)
                await asyncio.sleep(0)

    async def _replay(self, engine: Engine, node: NodeId) -> None:
        no = self._no_of(node)
        try:
            if no is not None:
                for schema, stored in await self._read(no):
                    engine.add_rows(node, schema, stored)
        except HubError as exc:
            event(log, "alert_replay_failed", logging.WARNING, node=node, error=exc.code)
        except Exception:  # the boundary: one node's samples must not affect the others
            event(log, "alert_replay_failed", logging.ERROR, node=node, exc_info=True)
        self._done.add(node)
        for schema, rows in self._held.pop(node, ()):
            engine.add_rows(node, schema, rows)

    async def _read(self, no: int) -> list[tuple[SeriesSchema, list[StoredRow]]]:
        """The stored rows of the last minutes by schema, oldest first."""
        now = self._clock.now()
        found: dict[tuple[str, tuple[str, ...]], tuple[SeriesSchema, list[StoredRow]]] = {}
        async for schema, rows in self._samples.read(no, now - REPLAY_S, now, FAMILIES, lambda _damage: None):
            found.setdefault((schema.family, schema.series), (schema, []))[1].extend(rows)  # compacted rows have no schema id
        for _schema, rows in found.values():
            rows.sort(key=lambda row: row.taken_at_ms)
        return sorted(found.values(), key=lambda one: one[1][0].taken_at_ms)
