"""Emits events about nodes. If the store fails, such as on a full disk, an event waits in memory and keeps its time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from groundcontrol.agents.clock_skew import in_words
from groundcontrol.core.errors import HubError, StoreError
from groundcontrol.core.ids import NodeId
from groundcontrol.core.stores import Stores
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event
from groundcontrol.events.store import LogStore
from groundcontrol.nodes.model import Node
from groundcontrol.samples.backfill import LostRows
from groundcontrol.samples.model import Damage
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

MOST_WAITING: Final = 1000
"""Events that may wait for the store. With more, the oldest are dropped."""
MAX_WRITES: Final = 50
"""Waiting events that one call writes. Each is a commit, which delays other writes."""
EVERY_S: Final = 60.0
"""Least time between two events of one kind about a node. The caller asks `may_emit`, and collects the changes meanwhile."""


class NodeEvents:
    """Emits the events. No method raises a store error."""

    def __init__(self, store: Stores, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: deque[Event] = deque()
        self._emitted_at: dict[tuple[str, NodeId], float] = {}

    async def online(self, node: Node, address: str, version: str) -> None:
        """The node has connected."""
        await self._emit("node_online", node, {"address": address, "version": version})

    async def offline(self, node: Node, how: str) -> None:
        """The node is offline; `how`: one word for how its session ended."""
        await self._emit("node_offline", node, {"how": how})

    async def cloned(self, node: Node, address: str) -> None:
        """A second machine uses this node's key."""
        await self._emit("node_cloned", node, {"address": address})

    async def clock_ahead(self, node: Node, rows: int) -> None:
        """The node's clock is far ahead of the hub's. Its samples are counted and shown, but not stored."""
        await self._emit("clock_ahead", node, {"rows": rows})

    def may_emit(self, kind: str, node: NodeId) -> bool:
        """Whether the node's last event of this kind is old enough for another one."""
        return self._clock.monotonic() - self._emitted_at.get((kind, node), -EVERY_S) >= EVERY_S

    async def clock_moved(self, node: Node, skew_s: float, wrong: bool) -> None:
        """The node's clock became wrong, or right again. Its samples are stored with the time of its clock."""
        self._note("clock", node)
        details: dict[str, object] = {"skew_seconds": round(skew_s, 3)}
        if wrong:
            text = f"the clock of {node.name} is {in_words(skew_s)} this hub's; what it measures is stored under that time"
            await self._emit("clock_skewed", node, details, text)
        else:
            await self._emit("clock_right", node, details)

    async def samples_lost(self, node: Node, lost_rows: Sequence[LostRows]) -> None:
        """Emit one event for all reported losses of a node. A repeated loss report counts once."""
        self._note("samples_lost", node)
        losses = list({(lost.journal, lost.number): lost for lost in lost_rows}.values())
        families: dict[str, int] = {}
        for lost in losses:
            families[lost.family] = families.get(lost.family, 0) + lost.rows
        first, last = min(lost.first_ms for lost in losses) / 1000, max(lost.last_ms for lost in losses) / 1000
        unknown = any(not lost.rows for lost in losses)
        details = {"from": first, "to": last, "rows": families, "unknown": unknown}
        count = f"{sum(families.values())} samples" if any(families.values()) else "samples"
        more = (" and an unknown number more" if any(families.values()) else ", an unknown number of them,") if unknown else ""
        text = f"{count}{more} that {node.name} kept for the hub are lost"
        await self._emit("data_gap", node, details, text)

    async def history_damaged(self, node: Node, damage: Damage) -> None:
        """Stored samples of the node are corrupt."""
        since, until = (time.strftime("%Y-%m-%d %H:%M", time.gmtime(edge)) for edge in (damage.start, damage.end))
        text = f"something that {node.name} measured between {since} and {until} UTC cannot be read any more: stardust doctor tells more"
        await self._emit("history_damaged", node, dict(damage._asdict()), text)

    async def write_waiting(self) -> None:
        """Write up to MAX_WRITES waiting events, oldest first, until the store fails."""
        for _ in range(min(MAX_WRITES, len(self._waiting))):
            waiting_event = self._waiting.popleft()  # removed before the write: a full queue must not drop this event meanwhile
            try:
                taken = await self._write(waiting_event)
            except asyncio.CancelledError:
                self._waiting.appendleft(waiting_event)
                raise
            if not taken:
                self._waiting.appendleft(waiting_event)
                return

    @property
    def waiting(self) -> int:
        """How many events wait for the store."""
        return len(self._waiting)

    async def close(self, limit_s: float) -> None:
        """Write the waiting events within the limit. The rest stands only in the hub's log."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                before = len(self._waiting) + 1
                while len(self._waiting) < before:
                    before = len(self._waiting)
                    await self.write_waiting()
        for lost in self._waiting:
            event(log, "event_lost", logging.WARNING, type=lost.type, node=lost.node_id, at=lost.at, text=lost.message)
        self._waiting.clear()

    def _note(self, kind: str, node: Node) -> None:
        now = self._clock.monotonic()
        if len(self._emitted_at) >= MOST_WAITING:
            self._emitted_at = {key: at for key, at in self._emitted_at.items() if now - at < EVERY_S}
        self._emitted_at[kind, node.id] = now

    async def _emit(self, kind: str, node: Node, details: dict[str, object], message: str = "") -> None:
        emitted = new_event(kind, self._clock.now(), details, node=node.id, name=node.name, org=node.org, message=message)
        begins = not self._waiting
        if not begins or not await self._write(emitted):
            if begins:
                event(log, "events_wait", logging.WARNING, type=emitted.type, node=emitted.node_id)
            self._waiting.append(emitted)
            if len(self._waiting) > MOST_WAITING:
                lost = self._waiting.popleft()
                event(log, "event_lost", logging.WARNING, type=lost.type, node=lost.node_id)

    async def _write(self, emitted: Event) -> bool:
        """Store an event. Returns: False: the store failed, and the event may be written again. A repeated event is stored once."""
        try:
            await self._store[LogStore].add_event(emitted)
        except StoreError:
            return False
        except HubError as exc:  # a retry would fail in the same way
            event(log, "event_lost", logging.WARNING, type=emitted.type, node=emitted.node_id, error=exc.code)
            return True
        return True


MAX_REPORTED: Final = 1024
"""Corrupt ranges that one process reports. On a failing disk, `stardust doctor` says more than a thousand events."""


class CorruptionReporter:
    """Emits an event for each corrupt range of samples, once in each process."""

    def __init__(self, events: NodeEvents) -> None:
        self._events = events
        self._reported: set[tuple[int, Damage]] = set()

    async def report(self, node: Node, found: Sequence[Damage]) -> None:
        """Emit events for the ranges that are not reported since the hub started. Never raises a store error."""
        new = [one for one in found if (node.no, one) not in self._reported]
        for one in new[: MAX_REPORTED - len(self._reported)]:
            self._reported.add((node.no, one))
            event(log, "history_damaged", logging.ERROR, node=node.id, **one._asdict())
            await self._events.history_damaged(node, one)
