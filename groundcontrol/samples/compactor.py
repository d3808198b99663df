"""Moves hot rows into chunks, in the background: a node and hour at a time, with pauses, so that nobody waits for it.

The current hour goes in pieces of ten minutes. An hour that is over, or that late samples came for, is moved once nothing was added to
it for a while; its parts are merged into one chunk later still. Killed at any moment, it goes on from what the store has.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from groundcontrol.core.errors import StoreBusy, StoreDamaged, StoreDown, StoreError, StoreFull, StoreReadOnly
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import Due, HotHour, Moved
from groundcontrol.samples.tiers import HOUR_S, TIERS
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

ROUND_S: Final = 15.0
PIECE_S: Final = 600.0
"""How much of the current hour is moved at once: what a window has to unpack at most."""
SETTLE_S: Final = 60.0
"""How long rows of another hour lie before they are moved: those of one outage come together."""
MERGE_AFTER_S: Final = 600.0
"""How long a span that is over waits for another part before its parts are merged."""
MOST_PARTS: Final = 24
"""A span of which there is more is merged at once."""
ROUND_LIMIT_S: Final = 300.0
"""About as long as a round may take; with less to do it takes long pauses, with more shorter ones."""
LONGEST_PAUSE: Final = 9.0
"""Pauses are this many times as long as the step before, at most."""


class Chunks(Protocol):
    """What it works on: `store.base.MetricStore`."""

    async def hot_hours(self) -> Sequence[HotHour]: ...
    async def compact(self, no: int, hour: int, *, slow: bool = True) -> Moved: ...
    async def dues(self) -> Sequence[Due]: ...
    async def merge(self, due: Due, *, everything: bool = True) -> bool: ...


class _Seen(NamedTuple):
    """Which pack of an hour was the last; when that changed and when the hour was first seen (monotonic)."""

    last: tuple[int, int, int] | None
    changed: float
    first: float


class _Aside(NamedTuple):
    """Packs of an hour that cannot be read."""

    packs: int
    last: tuple[int, int, int]
    """Which pack of the hour was the last."""
    alone_since: float | None
    """When nothing but these was found (monotonic)."""


class _Ripe(NamedTuple):
    """An hour to be moved."""

    hour: HotHour
    slow: bool


def _in_turn(ripe: Sequence[_Ripe]) -> list[_Ripe]:
    """The newest hour of each node, then the next of each: who brings a year of hours holds nobody up."""
    turns: dict[int, int] = {}
    found = []
    for one in sorted(ripe, key=lambda one: -one.hour.hour):
        turns[one.hour.no] = turns.get(one.hour.no, 0) + 1
        found.append((turns[one.hour.no], one))
    return [one for _, one in sorted(found, key=lambda each: each[0])]


class Compactor:
    """One task of the hub."""

    def __init__(
        self,
        chunks: Chunks,
        clock: Clock,
        may_work: Callable[[], Awaitable[bool]],
        id_of: Callable[[int], Awaitable[NodeId | None]],
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        """`may_work` says whether it is this hub's turn; `id_of` which node has a number, which is asked where something is told of it."""
        self._chunks = chunks
        self._clock = clock
        self._may_work = may_work
        self._id_of = id_of
        self._longest_pause = longest_pause
        self._seen: dict[tuple[int, int], _Seen] = {}
        """Hours other than the current one."""
        self._moved: dict[tuple[int, int], float] = {}
        """When something of the current hour was last moved."""
        self._aside: dict[tuple[int, int], _Aside] = {}
        self._full: dict[tuple[int, int], float] = {}
        """Hours of which a span has as many parts as it can, and when each was last tried (monotonic)."""
        self._damaged: set[tuple[int, ...]] = set()
        """Spans whose parts cannot be merged."""
        self._failed: dict[tuple[int, ...], float] = {}
        """Hours and spans that the database refused for another reason, and when each was last tried (monotonic)."""
        self.packs = 0
        """Packs that were moved into chunks."""
        self.merges = 0
        self.backlog = 0
        """Hours of nodes, other than the current one, that were in no chunk when it last looked."""

    @property
    def aside(self) -> int:
        """Packs that cannot be read: they stay where they are, and what lies around them was moved."""
        return sum(aside.packs for aside in self._aside.values())

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            try:
                if await self._may_work():
                    await self.round()
            except StoreError as exc:
                event(log, "compaction_waits", logging.WARNING, why=exc.code)
            await self._clock.sleep(ROUND_S)

    async def round(self) -> int:
        """Do everything that is ripe. Returns: how many steps that were."""
        ripe = _in_turn(self._ripe(await self._chunks.hot_hours()))
        for left, one in zip(range(len(ripe), 0, -1), ripe, strict=True):
            await self._step(left, (one.hour.no, one.hour.hour), partial(self._compact, one))
        every = await self._chunks.dues()
        self._forget({(due.no, due.span, due.tier, due.family) for due in every}, 4)
        dues = [due for due in every if self._is_due(due)]
        for left, due in zip(range(len(dues), 0, -1), dues, strict=True):
            await self._step(left, (due.no, due.span, due.tier, due.family), partial(self._merge, due))
        return len(ripe) + len(dues)

    def _ripe(self, hours: Sequence[HotHour]) -> list[_Ripe]:
        now, here = self._clock.monotonic(), self._clock.now()
        current = int(here // HOUR_S)
        found = {(hour.no, hour.hour) for hour in hours}
        self._aside = {key: aside for key, aside in self._aside.items() if key in found}
        self._full = {key: at for key, at in self._full.items() if key in found}
        self._forget(found, 2)
        self.backlog = sum(hour.hour != current and not self._rests(hour, now) for hour in hours)
        self._moved = {key: at for key, at in self._moved.items() if key[1] == current}
        seen: dict[tuple[int, int], _Seen] = {}
        ripe = []
        for hour in hours:
            key = hour.no, hour.hour
            if self._is_left(key) or now - self._full.get(key, -PIECE_S) < PIECE_S:
                continue
            if hour.hour == current:
                moved = self._moved.get(key)
                if here - hour.first_ms / 1000 >= PIECE_S if moved is None else now - moved >= PIECE_S:
                    ripe.append(_Ripe(hour, slow=False))
                continue
            before = self._seen.get(key, _Seen(None, now, now))
            seen[key] = before if before.last == hour.last else _Seen(hour.last, now, before.first)
            if not self._rests(hour, now) and (now - seen[key].changed >= SETTLE_S or now - before.first >= PIECE_S):
                ripe.append(_Ripe(hour, slow=True))
        self._seen = seen
        return ripe

    def _rests(self, hour: HotHour, now: float) -> bool:
        """Whether there is nothing in it but what cannot be read. Not every pack that comes late becomes its last, so it is looked at again."""
        aside = self._aside.get((hour.no, hour.hour))
        return aside is not None and aside.alone_since is not None and aside.last == hour.last and now - aside.alone_since < PIECE_S

    def _is_over(self, due: Due) -> bool:
        here = self._clock.now()
        return (due.span + 1) * TIERS[due.tier].span_s <= here and not 0 <= here - due.since < MERGE_AFTER_S

    def _is_due(self, due: Due) -> bool:
        key = due.no, due.span, due.tier, due.family
        return not self._is_left(key) and (due.parts >= MOST_PARTS or self._is_over(due))

    def _is_left(self, key: tuple[int, ...]) -> bool:
        """Whether it is damaged, or failed a moment ago."""
        return key in self._damaged or self._clock.monotonic() - self._failed.get(key, -PIECE_S) < PIECE_S

    def _forget(self, there: Collection[tuple[int, ...]], width: int) -> None:
        """Keep of the keys of this width those of which there is something still."""
        self._damaged = {key for key in self._damaged if len(key) != width or key in there}
        self._failed = {key: at for key, at in self._failed.items() if len(key) != width or key in there}

    async def _step(self, left: int, key: tuple[int, ...], work: Callable[[], Awaitable[None]]) -> None:
        started = self._clock.monotonic()
        try:
            await work()
        except (StoreFull, StoreReadOnly, StoreBusy, StoreDown):
            raise
        except StoreDamaged as exc:
            self._damaged.add(key)
            await self._tell("samples_damaged", key[0], place=key[1:], why=exc.message)
        except StoreError as exc:  # whatever it was, it may pass
            if key not in self._failed:
                await self._tell("compaction_failed", key[0], place=key[1:], why=exc.message, sqlite=exc.detail.get("sqlite"))
            self._failed[key] = self._clock.monotonic()
        else:
            self._failed.pop(key, None)
        took = self._clock.monotonic() - started
        if took > 0:
            await self._clock.sleep(took * min(self._longest_pause, max(0.5, ROUND_LIMIT_S / (left * took))))

    async def _compact(self, ripe: _Ripe) -> None:
        hour = ripe.hour
        if not ripe.slow:
            self._moved[hour.no, hour.hour] = self._clock.monotonic()
        key = hour.no, hour.hour
        moved = await self._chunks.compact(*key, slow=ripe.slow)
        if moved.full:  # its parts may be merged until it is tried again
            if key not in self._full:
                await self._tell("span_full", hour.no, hour=hour.hour, means="as many parts as there can be: set aside")
            self._full[key] = self._clock.monotonic()
            return
        self._full.pop(key, None)
        self.packs += moved.packs
        before = self._aside.pop((hour.no, hour.hour), None)
        if moved.aside:
            self._aside[hour.no, hour.hour] = _Aside(
                moved.aside, hour.last, None if moved.packs or not ripe.slow else self._clock.monotonic()
            )
            if before is None or before.packs != moved.aside:
                await self._tell(
                    "samples_damaged", hour.no, place=(hour.hour,), packs=moved.aside, means="set aside, `stardust doctor` tells more"
                )

    async def _tell(self, name: str, no: int, **facts: Any) -> None:
        """Log something of a node, by its id; by its number where that cannot be known now."""
        node: NodeId | int | None = None
        with contextlib.suppress(StoreError):  # the database of nodes is not that of samples
            node = await self._id_of(no)
        event(log, name, logging.ERROR, node=no if node is None else node, **facts)

    async def _merge(self, due: Due) -> None:
        self.merges += await self._chunks.merge(due, everything=self._is_over(due))
