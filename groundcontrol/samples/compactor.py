"""The background task that moves new (*hot*) rows into chunks, one node and hour at a time. Its pauses leave the database to requests.

A chunk holds the compressed rows of a node, family and *span*: an hour of seconds, a day of minutes, or 32 days of hours. The current hour
is moved every ten minutes. Any other hour is moved when no row was added to it for a minute, at the latest ten minutes after it was first
seen. So a span gets several chunks, its *parts*. Later they are merged into one. If the hub is killed, the compactor continues from the
state of the store.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from groundcontrol.core.errors import StoreBusy, StoreDamaged, StoreDown, StoreError, StoreFull, StoreReadOnly
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.checker import Report
from groundcontrol.samples.model import Damage, Due, HotHour, Moved
from groundcontrol.samples.tiers import HOUR_S, TIERS, Tier
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

ROUND_S: Final = 15.0
PIECE_S: Final = 600.0
"""The current hour is moved this often. So a request for history has to unpack hot rows of little more than this time.

It is also the longest wait for more rows of another hour, and the time between two tries of a failed hour or span.
"""
SETTLE_S: Final = 60.0
"""An hour other than the current one is moved when it got no new row for this long: late rows of one outage arrive together."""
MERGE_AFTER_S: Final = 600.0
"""How long a finished span waits for another part before its parts are merged."""
MOST_PARTS: Final = 24
"""A span with at least this many parts is merged immediately."""
ROUND_LIMIT_S: Final = 300.0
"""About the longest time of a round. If there is more to do, the pauses get shorter."""
LONGEST_PAUSE: Final = 9.0
"""A pause lasts at most this many times as long as the step before it."""
SHORTEST_PAUSE: Final = 0.5
"""A pause lasts at least this many times as long as the step before it, even if the round exceeds its limit."""


class Chunks(Protocol):
    """The part of the sample store that the compactor uses (`MetricStore`)."""

    async def hot_hours(self) -> Sequence[HotHour]: ...
    async def compact(self, no: int, hour: int, *, include_slow: bool = True) -> Moved: ...
    async def pending_merges(self) -> Sequence[Due]: ...
    async def merge(self, due: Due, *, everything: bool = True) -> bool: ...


class _Seen(NamedTuple):
    """What the last round saw of an hour. Times are monotonic."""

    last: tuple[int, int, int] | None
    """The newest pack of the hour."""
    changed: float
    """When a round first saw this newest pack."""
    first: float
    """When a round first saw the hour."""


class _Quarantined(NamedTuple):
    """The packs of an hour that cannot be read."""

    packs: int
    last: tuple[int, int, int]
    """The newest pack of the hour when these were found."""
    alone_since: float | None
    """Since when the hour has held no other packs (monotonic); None: it may hold some."""


class _Ripe(NamedTuple):
    """An hour that is ready to be moved."""

    hour: HotHour
    include_slow: bool
    """Whether families with few rows an hour are moved too."""


def _by_turns(ripe: Sequence[_Ripe]) -> list[_Ripe]:
    """The hours in the order in which they are moved: the newest of each node, then the next of each, and so on.

    So a node that sends a year of hours does not delay other nodes.
    """
    turns: dict[int, int] = {}
    found = []
    for one in sorted(ripe, key=lambda one: -one.hour.hour):
        turns[one.hour.no] = turns.get(one.hour.no, 0) + 1
        found.append((turns[one.hour.no], one))
    return [one for _, one in sorted(found, key=lambda each: each[0])]


class Compactor:
    """The compaction task of the hub."""

    def __init__(
        self,
        chunks: Chunks,
        clock: Clock,
        may_work: Callable[[], Awaitable[bool]],
        id_by_number: Callable[[int], Awaitable[NodeId | None]],
        longest_pause: float = LONGEST_PAUSE,
        report: Report | None = None,
    ) -> None:
        """Args: may_work: whether this hub may compact now. id_by_number: gives the node of a number, for log events; None: it is gone.
        report: tells people of damage; None: the log alone does."""
        self._chunks = chunks
        self._clock = clock
        self._may_work = may_work
        self._id_of = id_by_number
        self._longest_pause = longest_pause
        self._report = report
        self._seen: dict[tuple[int, int], _Seen] = {}
        """Hours other than the current one, by node number and hour."""
        self._moved: dict[tuple[int, int], float] = {}
        """When rows of the current hour were last moved, by node number and hour (monotonic)."""
        self._quarantined: dict[tuple[int, int], _Quarantined] = {}
        self._full: dict[tuple[int, int], float] = {}
        """Hour that cannot be moved, since a span has the most parts allowed -> when it was last tried (monotonic)."""
        self._damaged: set[tuple[int, ...]] = set()
        """Hours and spans that cannot be moved or merged, since they are damaged."""
        self._failed: dict[tuple[int, ...], float] = {}
        """Hours and spans that failed with another error of the database, and when each was last tried (monotonic)."""
        self.packs = 0
        """The number of packs that were moved into chunks."""
        self.merges = 0
        self.backlog = 0
        """The number of hours with rows to move, of all nodes, without the current hour. Counted in the last round."""

    @property
    def quarantined(self) -> int:
        """The number of packs that cannot be read. They stay where they are."""
        return sum(quarantined.packs for quarantined in self._quarantined.values())

    async def run(self) -> None:
        """Compact in rounds until cancelled."""
        while True:
            try:
                if await self._may_work():
                    await self.round()
            except StoreError as exc:
                event(log, "compaction_waits", logging.WARNING, why=exc.code)
            await self._clock.sleep(ROUND_S)

    async def round(self) -> int:
        """Move all hours that are ready, and merge all spans that are due. Returns: how many of both.

        Raises: StoreFull, StoreReadOnly, StoreBusy, StoreDown: the round ends. Other errors concern one hour or span, and are logged.
        """
        ripe = _by_turns(self._ripe(await self._chunks.hot_hours()))
        until = self._clock.monotonic() + ROUND_LIMIT_S
        for left, one in zip(range(len(ripe), 0, -1), ripe, strict=True):
            await self._step(self._share_s(until, left), (one.hour.no, one.hour.hour), partial(self._compact, one))
        every = await self._chunks.pending_merges()
        self._forget({(due.no, due.span, due.tier, due.family) for due in every}, 4)
        dues = [due for due in every if self._is_due(due)]
        for left, due in zip(range(len(dues), 0, -1), dues, strict=True):
            await self._step(self._share_s(until, left), (due.no, due.span, due.tier, due.family), partial(self._merge, due))
        return len(ripe) + len(dues)

    def _share_s(self, until: float, left: int) -> float:
        """The time that the next step and its pause may take, if `left` steps share the rest of the round equally."""
        return (until - self._clock.monotonic()) / left

    def _ripe(self, hours: Sequence[HotHour]) -> list[_Ripe]:
        now, wall_s = self._clock.monotonic(), self._clock.now()
        current = int(wall_s // HOUR_S)
        found = {(hour.no, hour.hour) for hour in hours}
        self._quarantined = {key: quarantined for key, quarantined in self._quarantined.items() if key in found}
        self._full = {key: at for key, at in self._full.items() if key in found}
        self._forget(found, 2)
        self.backlog = sum(hour.hour != current and not self._is_unreadable(hour, now) for hour in hours)
        self._moved = {key: at for key, at in self._moved.items() if key[1] == current}
        seen: dict[tuple[int, int], _Seen] = {}
        ripe = []
        for hour in hours:
            key = hour.no, hour.hour
            if self._is_skipped(key) or now - self._full.get(key, -PIECE_S) < PIECE_S:
                continue
            if hour.hour == current:
                moved = self._moved.get(key)
                if wall_s - hour.first_ms / 1000 >= PIECE_S if moved is None else now - moved >= PIECE_S:
                    ripe.append(_Ripe(hour, include_slow=False))
                continue
            before = self._seen.get(key, _Seen(None, now, now))
            seen[key] = before if before.last == hour.last else _Seen(hour.last, now, before.first)
            if not self._is_unreadable(hour, now) and (now - seen[key].changed >= SETTLE_S or now - before.first >= PIECE_S):
                ripe.append(_Ripe(hour, include_slow=True))
        self._seen = seen
        return ripe

    def _is_unreadable(self, hour: HotHour, now: float) -> bool:
        """Whether the hour was found less than PIECE_S ago to hold only packs that cannot be read.

        After that time it is tried again: a readable late pack may have come that did not become the newest.
        """
        quarantined = self._quarantined.get((hour.no, hour.hour))
        return (
            quarantined is not None
            and quarantined.alone_since is not None
            and quarantined.last == hour.last
            and now - quarantined.alone_since < PIECE_S
        )

    def _is_complete(self, due: Due) -> bool:
        """Whether the span has ended, and got no further part for MERGE_AFTER_S."""
        wall_s = self._clock.now()
        return (due.span + 1) * TIERS[due.tier].span_s <= wall_s and not 0 <= wall_s - due.since < MERGE_AFTER_S

    def _is_due(self, due: Due) -> bool:
        key = due.no, due.span, due.tier, due.family
        return not self._is_skipped(key) and (due.parts >= MOST_PARTS or self._is_complete(due))

    def _is_skipped(self, key: tuple[int, ...]) -> bool:
        """Whether this hour or span is damaged, or failed less than PIECE_S ago."""
        return key in self._damaged or self._clock.monotonic() - self._failed.get(key, -PIECE_S) < PIECE_S

    def _forget(self, listed: Collection[tuple[int, ...]], width: int) -> None:
        """Forget damaged and failed keys with this number of parts (2: an hour, 4: a span) that the store no longer lists."""
        self._damaged = {key for key in self._damaged if len(key) != width or key in listed}
        self._failed = {key: at for key, at in self._failed.items() if len(key) != width or key in listed}

    async def _step(self, share_s: float, key: tuple[int, ...], work: Callable[[], Awaitable[None]]) -> None:
        started = self._clock.monotonic()
        try:
            await work()
        except (StoreFull, StoreReadOnly, StoreBusy, StoreDown):
            raise
        except StoreDamaged as exc:
            self._damaged.add(key)
            await self._log("samples_damaged", key[0], place=key[1:], why=exc.message)
            await self._tell_damage(key[0], TIERS[key[2] if len(key) > 2 else 0], key[1])
        except Exception as exc:  # an unknown error may be temporary, and must not affect the other nodes
            if key not in self._failed:
                detail = exc.detail if isinstance(exc, StoreError) else {}
                unexpected = not isinstance(exc, StoreError)
                await self._log("compaction_failed", key[0], exc_info=unexpected, place=key[1:], why=str(exc), sqlite=detail.get("sqlite"))
            self._failed[key] = self._clock.monotonic()
        else:
            self._failed.pop(key, None)
        took = self._clock.monotonic() - started
        if took > 0:
            await self._clock.sleep(min(self._longest_pause * took, max(SHORTEST_PAUSE * took, share_s - took)))

    async def _compact(self, ripe: _Ripe) -> None:
        hour = ripe.hour
        if not ripe.include_slow:
            self._moved[hour.no, hour.hour] = self._clock.monotonic()
        key = hour.no, hour.hour
        moved = await self._chunks.compact(*key, include_slow=ripe.include_slow)
        if moved.full:  # its parts may be merged before the next try
            if key not in self._full:
                await self._log("span_full", hour.no, hour=hour.hour, means="the span has the most parts allowed: set aside")
            self._full[key] = self._clock.monotonic()
            return
        self._full.pop(key, None)
        self.packs += moved.packs
        before = self._quarantined.pop((hour.no, hour.hour), None)
        if moved.quarantined:
            self._quarantined[hour.no, hour.hour] = _Quarantined(
                moved.quarantined, hour.last, None if moved.packs or not ripe.include_slow else self._clock.monotonic()
            )
            if before is None or before.packs != moved.quarantined:
                await self._log(
                    "samples_damaged", hour.no, place=(hour.hour,), packs=moved.quarantined, means="set aside, `stardust doctor` says more"
                )
                await self._tell_damage(hour.no, TIERS[0], hour.hour)

    async def _tell_damage(self, no: int, tier: Tier, span: int) -> None:
        if self._report is not None:
            with contextlib.suppress(StoreError):  # the log has it, and the next round of the check of chunks reports it again
                await self._report(no, [Damage(tier.name, float(span * tier.span_s), float((span + 1) * tier.span_s))])

    async def _log(self, name: str, no: int, **fields: Any) -> None:
        """Log an event of a node by its id, or by its number if the id cannot be read."""
        node: NodeId | int | None = None
        with contextlib.suppress(StoreError):  # nodes and samples lie in different databases
            node = await self._id_of(no)
        event(log, name, logging.ERROR, node=no if node is None else node, **fields)

    async def _merge(self, due: Due) -> None:
        self.merges += await self._chunks.merge(due, everything=self._is_complete(due))
