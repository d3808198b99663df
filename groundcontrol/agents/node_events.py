"""What happens to nodes, told as events. What the store does not take at the moment (its disk is full, say) waits, and is told with its own time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.agents.clock_skew import in_words
from groundcontrol.core.bus import Bus, Changed
from groundcontrol.core.errors import HubError, StoreError
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.events.model import Event, EventSource, Severity
from groundcontrol.nodes.model import Node
from groundcontrol.samples.backfill import LostRows
from groundcontrol.samples.model import Damage
from groundcontrol.stores import Store
from spider.clock import Clock
from spider.logs import event
from spider.wire.ids import new_time_id

log = logging.getLogger(__name__)

MOST_WAITING: Final = 1000
"""Events that wait for the store; the newest ones are kept."""
AT_ONCE: Final = 50
"""Of these so many are told in one go: each is a commit, and what else is told waits behind it."""
EVERY_S: Final = 60.0
"""A node causes one event of a type in this time, because every user reads them. Later changes are merged into the next event."""
MOST_NAMED: Final = 20
"""Packages that an event names."""


class _Packages(NamedTuple):
    """Changes of a node's packages that no event has told yet."""

    node: Node
    number: int
    named: Sequence[str]


class NodeEvents:
    """Tells of nodes; none of this raises because of the store."""

    def __init__(self, store: Store, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._waiting: deque[Event] = deque()
        self._told_at: dict[tuple[str, NodeId], float] = {}
        self._packages: dict[NodeId, _Packages] = {}

    async def online(self, node: Node, address: str, version: str) -> None:
        """It is back, or here for the first time."""
        await self._tell("node.online", "info", node, f"{node.name} is online", {"address": address, "version": version})

    async def offline(self, node: Node, how: str) -> None:
        """It stays away; `how`: in one word how it left."""
        await self._tell("node.offline", "warning", node, f"{node.name} is offline", {"how": how})

    async def cloned(self, node: Node, address: str) -> None:
        """A second machine shows this node's key."""
        text = f"a second machine uses the keys of {node.name}; it was refused, and no jobs are run until the node has new keys or the other is gone"
        await self._tell("node.cloned", "warning", node, text, {"address": address})

    async def adopted(self, node: Node, address: str) -> None:
        """A node of this fleet was taken in that the store did not know."""
        await self._tell("node.adopted", "warning", node, f"{node.id} was taken in: it has keys of this fleet", {"address": address})

    async def clock_ahead(self, node: Node, rows: int) -> None:
        """Its clock is far ahead of ours: its samples are counted, shown, and not stored."""
        text = f"the clock of {node.name} is more than a day ahead; its samples are not stored until it is set right"
        await self._tell("node.clock_ahead", "warning", node, text, {"rows": rows})

    def may_tell(self, kind: str, node: NodeId) -> bool:
        """Whether the node's last event of this kind is old enough for another one."""
        return self._clock.monotonic() - self._told_at.get((kind, node), -EVERY_S) >= EVERY_S

    async def clock_moved(self, node: Node, skew_s: float, wrong: bool) -> None:
        """Its clock has become wrong, or right again: what it measures is stored by its own time."""
        self._note("clock", node)
        facts: dict[str, object] = {"skew_seconds": round(skew_s, 3)}
        if wrong:
            text = f"the clock of {node.name} is {in_words(skew_s)} this hub's; what it measures is stored under that time"
            await self._tell("node.clock_wrong", "warning", node, text, facts)
        else:
            await self._tell("node.clock_right", "info", node, f"the clock of {node.name} is right again", facts)

    async def samples_lost(self, node: Node, lost_rows: Sequence[LostRows]) -> None:
        """One event for all that it has lost, when it has told the last of it for now; what it said again counts once."""
        self._note("samples_lost", node)
        told = list({(lost.journal, lost.number): lost for lost in lost_rows}.values())
        families: dict[str, int] = {}
        for lost in told:
            families[lost.family] = families.get(lost.family, 0) + lost.rows
        first, last = min(lost.first_ms for lost in told) / 1000, max(lost.last_ms for lost in told) / 1000
        unknown = any(not lost.rows for lost in told)
        facts = {"from": first, "to": last, "rows": families, "unknown": unknown}
        count = f"{sum(families.values())} samples" if any(families.values()) else "samples"
        more = (" and an unknown number more" if any(families.values()) else ", an unknown number of them,") if unknown else ""
        text = f"{count}{more} that {node.name} kept for the hub are lost"
        await self._tell("node.samples_lost", "warning", node, text, facts)

    async def packages_changed(self, node: Node, count: int, named: Sequence[str]) -> None:
        """So many packages were changed, among them those that are named."""
        before = self._packages.pop(node.id, None)
        if before is not None:
            count, named = before.number + count, sorted({*before.named, *named})
        self._packages[node.id] = _Packages(node, count, named[:MOST_NAMED])
        await self._tell_packages()

    async def _tell_packages(self, *, all_of_them: bool = False) -> None:
        for node, count, named in list(self._packages.values()):
            if all_of_them or self.may_tell("packages", node.id):
                del self._packages[node.id]
                self._note("packages", node)
                event(log, "packages_changed", node=node.id, count=count)
                text = f"{count} package{'' if count == 1 else 's'} changed on {node.name}"
                await self._tell("node.packages_changed", "info", node, text, {"count": count, "packages": list(named)}, "agent")

    async def history_damaged(self, node: Node, damage: Damage) -> None:
        """Samples of it that are stored cannot be read any more."""
        since, until = (time.strftime("%Y-%m-%d %H:%M", time.gmtime(edge)) for edge in (damage.start, damage.end))
        text = f"something that {node.name} measured between {since} and {until} UTC cannot be read any more: stardust doctor tells more"
        await self._tell("node.history_damaged", "error", node, text, dict(damage._asdict()))

    async def tell_waiting(self) -> None:
        """Tell some of what waits, the oldest first, as far as the store takes it; then what has waited for its minute."""
        await self._tell_some()
        await self._tell_packages()

    async def _tell_some(self) -> None:
        for _ in range(min(AT_ONCE, len(self._waiting))):
            told = self._waiting.popleft()  # taken out before: what is one too many meanwhile is another one
            try:
                taken = await self._write(told)
            except asyncio.CancelledError:
                self._waiting.appendleft(told)
                raise
            if not taken:
                self._waiting.appendleft(told)
                return

    @property
    def waiting(self) -> int:
        """How many the store has not taken yet."""
        return len(self._waiting)

    async def close(self, limit_s: float) -> None:
        """Tell what still waits; what the store does not take by then stands in the log of the hub alone."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._tell_packages(all_of_them=True)
                left = 0
                while left != (left := len(self._waiting)):
                    await self._tell_some()
        for lost in self._waiting:
            event(log, "event_lost", logging.WARNING, type=lost.type, node=lost.node_id, at=lost.at, text=lost.message)
        self._waiting.clear()

    def _note(self, kind: str, node: Node) -> None:
        now = self._clock.monotonic()
        if len(self._told_at) >= MOST_WAITING:
            self._told_at = {key: at for key, at in self._told_at.items() if now - at < EVERY_S}
        self._told_at[kind, node.id] = now

    async def _tell(
        self, kind: str, severity: Severity, node: Node, message: str, details: dict[str, object], source: EventSource = "hub"
    ) -> None:
        at = self._clock.now()
        told = Event(EventId(new_time_id(at)), node.org, kind, severity, source, at, node.id, message, details)
        begins = not self._waiting
        if not begins or not await self._write(told):
            if begins:
                event(log, "events_wait", logging.WARNING, type=told.type, node=told.node_id)
            self._waiting.append(told)
            if len(self._waiting) > MOST_WAITING:
                lost = self._waiting.popleft()
                event(log, "event_lost", logging.WARNING, type=lost.type, node=lost.node_id)

    async def _write(self, told: Event) -> bool:
        """Returns: False: not now; it may be told again, which counts once."""
        try:
            await self._store.log.add_event(told)
        except StoreError:
            return False
        except HubError as exc:  # it would be refused again
            event(log, "event_lost", logging.WARNING, type=told.type, node=told.node_id, error=exc.code)
            return True
        self._bus.publish(Changed("event", told.id, 1))
        return True
