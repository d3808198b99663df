"""Reads the facts of the hub itself for rules."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from groundcontrol.alerts.interfaces import Receivers
from groundcontrol.alerts.states import HubInfo
from groundcontrol.core.bus import Bus
from groundcontrol.core.errors import StoreError
from groundcontrol.core.last_backup import last_backup_at
from groundcontrol.core.scope import DEFAULT_ORG, Scope, hub_scope
from groundcontrol.core.steady_clock import WORST_JUMP_WINDOW_S, SteadyClock
from groundcontrol.events.model import EventFilter
from groundcontrol.events.store import LogStore
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

AUDIT_FIRST_S: Final = 300.0
"""The wait before the first check of the audit log, so that it does not slow the start."""
AUDIT_EVERY_S: Final = 86_400.0
AUDIT_AGAIN_S: Final = 600.0
"""The wait after a check that failed to read the store."""
LOSS_S: Final = 86_400.0
"""How long a loss of data that a start found is a fact."""
DROPS_S: Final = 300.0
"""The time over which dropped bus messages are counted."""
LAG_S: Final = 60.0
"""The time of which `lag_s` gives the longest lag."""
Number = TypeVar("Number", int, float)


class Disk(NamedTuple):
    """The size of a file system; its total is above 0."""

    free_bytes: int
    total_bytes: int


def _disk_of(path: Path) -> Disk | None:
    """The size of the file system of a folder; None: it cannot be read."""
    try:
        usage = shutil.disk_usage(path)
    except OSError as exc:
        event(log, "disk_unread", logging.WARNING, error=type(exc).__name__, errno=exc.errno)
        return None
    return Disk(usage.free, usage.total) if usage.total > 0 else None


def may_tell_of_the_hub(scope: Scope) -> bool:
    """Whether the caller may mark channels `instance`: an admin of the hub, in the first organisation, which has the hub's own alerts."""
    return scope.org == DEFAULT_ORG and scope.actor.instance_admin


def may_change_rules_of_the_hub(scope: Scope) -> bool:
    """Whether the caller may change rules about the hub itself: an admin of the hub. In other organisations such rules have no effect."""
    return scope.org != DEFAULT_ORG or scope.actor.instance_admin


class HubFactReader:
    """Reads facts of the data folder, the channels, the bus, the event loop, the clock and the audit log."""

    def __init__(
        self,
        data_dir: Path,
        channels: Receivers,
        logs: LogStore,
        bus: Bus,
        lag_s: Callable[[], float],
        steady: SteadyClock,
        clock: Clock,
        *,
        disk_of: Callable[[Path], Disk | None] = _disk_of,
    ) -> None:
        """Args: lag_s: gives the longest lag of the event loop in the last minute."""
        self._logs = logs
        self._steady = steady
        self._audit_broken: bool | None = None
        self._lost_at: float | None = None
        """When a hub last found that a database has lost data, Unix seconds; 0: never; None: not known yet."""
        self._data_dir = data_dir
        self._disk_of = disk_of
        self._channels = channels
        self._bus = bus
        self._lag_s = lag_s
        self._clock = clock
        self._dropped: deque[tuple[float, int]] = deque()
        """Pairs of (monotonic time, number of messages dropped since the start)."""
        self._started = clock.monotonic()

    async def read(self, org: int = DEFAULT_ORG) -> HubInfo:
        """The present facts for an organisation: what is about the hub itself for that of the instance alone. Raises: StoreError."""
        channels = await self._channels.all(hub_scope(org))
        broken = tuple(channel.name for channel in channels if channel.enabled and channel.state == "broken")
        enabled = tuple(channel.name for channel in channels if channel.enabled)
        if org != DEFAULT_ORG:
            return HubInfo(channels_broken=broken, channels=enabled)
        disk, backup_at = await asyncio.to_thread(self._look)
        return HubInfo(
            disk_free_percent=None if disk is None else 100.0 * disk.free_bytes / disk.total_bytes,
            disk_free_bytes=None if disk is None else disk.free_bytes,
            backup_age_s=None if backup_at is None else max(0.0, self._clock.now() - backup_at),
            channels_broken=broken,
            channels=enabled,
            queue_drops=self._unless_new(self._drops(), DROPS_S),
            loop_lag_s=self._unless_new(self._lag_s(), LAG_S),
            clock_jump_s=self._unless_new(self._steady.worst_jump_s, WORST_JUMP_WINDOW_S),
            audit_broken=self._audit_broken,
            data_lost=None if self._lost_at is None else self._clock.now() - self._lost_at < LOSS_S,
        )

    async def run(self) -> None:
        """Check once a day for losses of data and changes of the audit log, until cancelled."""
        await self._clock.sleep(AUDIT_FIRST_S)
        while True:
            done = [await self.check_losses(), await self.check_audit()]
            await self._clock.sleep(AUDIT_EVERY_S if all(done) else AUDIT_AGAIN_S)

    async def check_losses(self) -> bool:
        """Read when a hub last found a loss of data. Returns: False: it could not be read."""

        async def read() -> None:
            found = await self._logs.events(hub_scope(DEFAULT_ORG), 1, only=EventFilter(types=("hub_data_lost",)))
            self._lost_at = found.items[0].at if found.items else 0.0

        return await self._succeeds("losses", read)

    async def check_audit(self) -> bool:
        """Verify the chains of the audit log. Returns: False: they could not be checked."""

        async def verify() -> None:
            fault = await self._logs.verify_audit()
            if fault is not None:
                event(log, "audit_chain_broken", logging.CRITICAL, fault=fault)
            self._audit_broken = fault is not None

        return await self._succeeds("audit", verify)

    async def _succeeds(self, what: str, work: Callable[[], Awaitable[None]]) -> bool:
        try:
            await work()
        except StoreError as exc:
            event(log, "hub_facts_unread", logging.WARNING, what=what, error=exc.code)
        except Exception:  # the boundary: a bug that one row hits must not end the hub
            event(log, "hub_facts_unread", logging.ERROR, what=what, exc_info=True)
        else:
            return True
        return False

    def _unless_new(self, value: Number, window_s: float) -> Number | None:
        """The value; None if it is 0 and the hub has not run for its whole window: what was before the start is not known."""
        return None if not value and self._clock.monotonic() - self._started < window_s else value

    def _look(self) -> tuple[Disk | None, float | None]:
        return self._disk_of(self._data_dir), last_backup_at(self._data_dir)

    def _drops(self) -> int:
        now = self._clock.monotonic()
        self._dropped.append((now, self._bus.dropped))
        while self._dropped[0][0] < now - DROPS_S:
            self._dropped.popleft()
        return self._dropped[-1][1] - self._dropped[0][1]
