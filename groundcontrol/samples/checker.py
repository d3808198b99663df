"""The background task that reads every stored chunk in turn, so that damage is found before somebody looks at that time."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Protocol

from groundcontrol.core.errors import StoreError
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.model import CheckedPiece, ChunkPosition, Damage
from groundcontrol.samples.store import DamageReports
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

PIECE_CHUNKS: Final = 32
"""Half a million chunks a day, at a few milliseconds for each piece."""
PAUSE_S: Final = 5.0
ROUND_S: Final = 86_400.0
"""The least time from the start of a round to the next one. A restart of the hub begins a new round."""

START: Final = ChunkPosition(0, 0)
Report = Callable[[int, Sequence[Damage]], Awaitable[None]]
"""Reports damaged ranges of a node, by its number."""


class CheckedChunks(Protocol):
    """The part of the sample store that the check uses (`MetricStore`)."""

    async def check_chunks(self, start: ChunkPosition, most: int) -> CheckedPiece: ...


def reporter(nodes: NodeStore, reports: DamageReports) -> Report:
    """A `Report` to people. Ranges of a node that is gone are left out."""
    return partial(_report, nodes, reports)


async def _report(nodes: NodeStore, reports: DamageReports, no: int, found: Sequence[Damage]) -> None:
    node_id = await nodes.id_by_number(no)
    node = None if node_id is None else await nodes.find_node(node_id)
    if node is not None:
        await reports.report(node, found)


class ChunkChecker:
    """Checks all chunks in rounds."""

    def __init__(self, chunks: CheckedChunks, clock: Clock, report: Report) -> None:
        self._chunks = chunks
        self._clock = clock
        self._report = report

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            began = self._clock.monotonic()
            await self.round()
            await self._clock.sleep(max(PAUSE_S, began + ROUND_S - self._clock.monotonic()))

    async def round(self) -> int:
        """Check every chunk once. Returns: how many there were."""
        position: ChunkPosition | None = START
        checked = 0
        while position is not None:
            await self._clock.sleep(PAUSE_S)
            try:
                piece = await self._chunks.check_chunks(position, PIECE_CHUNKS)
                for no, found in piece.damaged.items():
                    await self._report(no, found)
            except StoreError as exc:  # the same piece is checked again
                event(log, "chunks_unchecked", logging.WARNING, error=exc.code)
                continue
            checked += piece.chunks
            position = piece.following
        return checked
