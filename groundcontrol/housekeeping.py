"""Periodic tasks of the hub. Expiry and compaction take a lease first, and do no harm if two hubs run them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from groundcontrol.agents.store import HubInfo, HubStore
from groundcontrol.core.errors import StoreDown, StoreError
from groundcontrol.core.steady_clock import SteadyClock
from groundcontrol.core.stores import Stores
from groundcontrol.events.making import hub_event
from groundcontrol.events.model import Event
from groundcontrol.events.store import LogStore
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.model import Bounds, Retention
from groundcontrol.samples.store import MetricStore, RetentionStore
from groundcontrol.samples.tiers import AHEAD_S, GRACE_S, TIERS, retention_s
from groundcontrol.web.declare import Expiry
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

BEAT_S: Final = 5.0
BEAT_TTL_S: Final = 20.0
PROBE_EVERY_S: Final = 60.0
"""Interval of the database's test write while there is no error; with an error it is BEAT_S."""
EXPIRE_EVERY_S: Final = 600.0
EXPIRE_FIRST_S: Final = 60.0
"""Delay of the first expiry. It is short, so that hubs that restart often expire rows too."""
EXPIRE_LEASE_S: Final = 300.0
HEADS_EVERY_S: Final = 86_400.0
"""Interval at which the heads of the audit chains are logged."""
AUDIT_KEPT_S: Final = 400 * 86_400.0
"""Older rows of the audit log are packed: the page shows at least a year."""
MOST_AUDIT_ROWS: Final = 1_000_000
"""More rows of the audit log than these are packed too, the oldest first. They take some 270 MB, and a packed one takes a sixth of another."""
MOST_JUMPS: Final = 100
"""The most jumps of the clock that may wait for the store."""
SHRINK_EVERY_S: Final = 60.0
"""Interval at which caches and free heap memory are released. With ten minutes, caches were full most of the time."""


class Housekeeping:
    """Does the periodic work of the hub, one task after the other: heartbeat, test writes, expiry, release of memory, audit heads."""

    def __init__(
        self,
        store: Stores,
        clock: Clock,
        info: HubInfo,
        expires: Sequence[Expiry],
        *,
        retention: Retention,
        broken: Callable[[], bool],
        trouble: Callable[[], StoreError | None],
        probe: Callable[[], Awaitable[StoreError | None]],
        steady: SteadyClock | None = None,
        shrink: Callable[[], Awaitable[None]] | None = None,
        clock_disagrees: Callable[[], bool | None] = lambda: False,
        forward_clock: Callable[[], float] | None = None,
    ) -> None:
        """`retention` applies until an admin sets another retention. `broken`: the database failed with an input/output error.
        `trouble`: its current error. `probe`: writes to it as a test. `shrink` frees cached memory. `clock_disagrees`: whether most nodes
        have another time; None: unknown. `forward_clock`: `ForwardClock.now`.
        """
        self._store = store
        self._clock = clock
        self._info = info
        self._expires = expires
        self._retention = retention
        self._steady = steady or SteadyClock(clock)
        self._jumps: list[Event] = []
        """Events that are not stored yet."""
        self._broken = broken
        self._trouble = trouble
        self._logged: StoreError | None = None
        """The error of a test write that this object has reported."""
        self._probe = probe
        self._shrink = shrink
        self._clock_disagrees = clock_disagrees
        self._forward_clock = forward_clock or clock.now

    def _log_trouble(self, found: StoreError | None) -> None:
        """Report an error once at its start and once at its end, unless the database itself reports it with the same events."""
        unreported = found if self._trouble() is None else None
        if type(unreported) is type(self._logged):
            return
        if unreported is not None:
            event(log, "database_in_trouble", logging.ERROR, code=unreported.code, reason=unreported.message)
        elif found is None:
            event(log, "database_recovered")
        self._logged = unreported

    async def run(self) -> None:
        """Run the tasks until cancelled.

        Raises: StoreDown: an input/output error occurred; only a new process can continue.
        """
        probed_at = self._clock.monotonic()
        expired_at = probed_at - EXPIRE_EVERY_S + EXPIRE_FIRST_S
        logged_at = probed_at - HEADS_EVERY_S
        shrunk_at = probed_at
        while True:
            now = self._clock.monotonic()
            believed, wall = self._steady.believed(), self._clock.now()
            self._note_jump()
            if self._broken():
                raise StoreDown("the database failed with an input/output error")
            if self._trouble() is not None or now - probed_at >= PROBE_EVERY_S:
                probed_at = now
                self._log_trouble(await self._probe())
            try:
                await self._store[HubStore].beat(self._info.id, self._info, BEAT_TTL_S)
                while self._jumps:
                    await self._store[LogStore].add_event(self._jumps[0])
                    del self._jumps[0]
                if believed and now - expired_at >= EXPIRE_EVERY_S:
                    expired_at = now
                    if self._is_right():
                        await self._expire(wall)
                if self._shrink is not None and now - shrunk_at >= SHRINK_EVERY_S:
                    shrunk_at = now
                    await self._shrink()
                if now - logged_at >= HEADS_EVERY_S:
                    logged_at = now
                    await self.log_chain_heads()
                await self._store[NodeStore].sweep()
            except StoreError as exc:
                event(log, "janitor_store_failed", logging.WARNING, error=exc.code)
            await self._clock.sleep(BEAT_S)

    def _note_jump(self) -> None:
        """Queue an event for each jump of the clock; a full queue drops the oldest event."""
        if self._steady.jump_s:
            self._jumps.append(hub_event("hub_clock_jumped", self._clock.now(), {"seconds": round(self._steady.jump_s)}))
            del self._jumps[:-MOST_JUMPS]

    def _is_right(self) -> bool:
        """Whether the hub may remove data by this clock. If nodes confirm the clock, an earlier jump of it no longer counts."""
        clock_disagrees = self._clock_disagrees()
        if clock_disagrees:
            event(log, "clock_outvoted", logging.WARNING, means="nothing is removed by age")
            return False
        if clock_disagrees is None and self._steady.jumped:
            event(log, "clock_unconfirmed", logging.WARNING, means="nothing is removed by age until a node has the same time")
            return False
        self._steady.jumped = self._steady.jumped and clock_disagrees is None
        return True

    async def log_chain_heads(self) -> None:
        """Write the heads of the audit chains to the log, for `stardust audit verify --head`.

        Each hub does this at its start, once a day and at its end; additional heads do no harm.
        Raises: StoreError.
        """
        for head in await self._store[LogStore].audit_heads():
            event(log, "audit_head", chain=head.chain, n=head.n, hash=head.hash)

    async def _expire(self, now: float) -> None:
        """Remove what is too old at this time, Unix seconds. Removal may take minutes, in which the clock may jump."""
        if await self._store[HubStore].lease("expire-samples", self._info.id, EXPIRE_LEASE_S) is None:
            return
        retention = await self._store[RetentionStore].retention() or self._retention
        bounds = bounds_of(retention, now)
        removed = await self._store[MetricStore].expire(bounds._replace(future=max(bounds.future, self._forward_clock() + AHEAD_S)))
        if removed:
            event(log, "samples_expired", pieces=removed)
        while packed := await self._store[LogStore].archive_audit(now - AUDIT_KEPT_S, MOST_AUDIT_ROWS):
            event(log, "audit_archived", rows=packed)
        for rows in self._expires:
            while removed := await rows.expire(self._store, now - rows.kept_s):
                count: dict[str, Any] = {rows.what: removed}
                event(log, f"{rows.what}_expired", **count)

    async def may_compact(self) -> bool:
        """Take the lease of compaction. Returns whether this hub has it."""
        return await self._store[HubStore].lease("compact-samples", self._info.id, EXPIRE_LEASE_S) is not None


def bounds_of(retention: Retention, now: float) -> Bounds:
    """The bounds of expiry, Unix seconds. A tier lasts a little longer than configured, so that a window of the configured length is
    full."""
    seconds, minutes, hours = (now - retention_s(tier, retention) - GRACE_S for tier in TIERS)
    return Bounds(seconds, minutes, hours, now + AHEAD_S)
