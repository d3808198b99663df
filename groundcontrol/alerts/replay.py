"""After a start of the hub, gives the engine the stored samples of a node's last 20 minutes, and then its new samples."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
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
"""How many seconds of stored samples are replayed."""
MOST_HELD: Final = 200
"""The most calls of `hold` for a node whose rows wait. Rows beyond the limit are dropped here: the replay reads them from the store."""
FAMILIES: Final = tuple(INTERVAL_S)


class Replay:
    """Delays the first packs of each node until its stored samples have been replayed."""

    def __init__(self, samples: MetricStore, no_of: Callable[[NodeId], int | None], clock: Clock) -> None:
        """Args: no_of: gives the store's number of a node; None: there is no such node."""
        self._samples = samples
        self._no_of = no_of
        self._clock = clock
        self._done: set[NodeId] = set()
        self._held: dict[NodeId, list[tuple[SeriesSchema, Sequence[Row]]]] = {}
        self._wake = asyncio.Event()

    def hold(self, node: NodeId, schema: SeriesSchema, rows: Sequence[Row]) -> bool:
        """Delay rows if the node's replay is not done. Returns: False: it is done, and the caller gives the rows to the engine."""
        if node in self._done:
            return False
        held = self._held.setdefault(node, [])
        if len(held) < MOST_HELD:
            held.append((schema, rows))
            self._wake.set()
        return True

    async def run(self, engine: Engine) -> None:
        """Replay the nodes that have sent rows, one after the other, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for node in list(self._held):
                await self._replay(engine, node)
                await asyncio.sleep(0)

    async def _replay(self, engine: Engine, node: NodeId) -> None:
        no = self._no_of(node)
        replayed: dict[str, set[int]] = defaultdict(set)
        """Family -> times of its replayed rows."""
        try:
            if no is not None:
                for schema, stored in await self._read(no, self._clock.now() + engine.offset_s(node)):
                    engine.add_rows(node, schema, stored)
                    replayed[schema.family].update(row.taken_at_ms for row in stored)
        except HubError as exc:
            event(log, "alert_replay_failed", logging.WARNING, node=node, error=exc.code)
        except Exception:  # the samples of one node must not affect the others
            event(log, "alert_replay_failed", logging.ERROR, node=node, exc_info=True)
        self._done.add(node)
        try:
            for schema, rows in self._held.pop(
                node, ()
            ):  # some were stored before the replay read the store: twice they would count as late
                engine.add_rows(node, schema, [row for row in rows if row.taken_at_ms not in replayed[schema.family]])
        except Exception:  # as above
            event(log, "alert_replay_failed", logging.ERROR, node=node, exc_info=True)

    async def _read(self, no: int, now: float) -> list[tuple[SeriesSchema, list[StoredRow]]]:
        """The stored rows of the last `REPLAY_S` seconds by schema, oldest first. Args: now: by the node's clock, as rows are stored."""
        found: dict[tuple[str, tuple[str, ...]], tuple[SeriesSchema, list[StoredRow]]] = {}
        async for schema, rows in self._samples.read(no, now - REPLAY_S, now, FAMILIES, lambda _damage: None):
            found.setdefault((schema.family, schema.series), (schema, []))[1].extend(rows)  # compacted rows have no schema id
        for _schema, rows in found.values():
            rows.sort(key=lambda row: row.taken_at_ms)
        return sorted(found.values(), key=lambda one: one[1][0].taken_at_ms)
