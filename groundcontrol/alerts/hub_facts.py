"""Reads the facts of the hub itself that rules ask for."""

from __future__ import annotations

import asyncio
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from groundcontrol.alerts.channel_store import ChannelStore
from groundcontrol.alerts.states import HubInfo
from groundcontrol.core.bus import Bus
from groundcontrol.core.last_backup import last_backup_at
from groundcontrol.core.scope import DEFAULT_ORG
from spider.clock import Clock

DROPS_S: Final = 300.0
"""The time over which dropped bus messages are counted."""


class HubFactReader:
    """Looks at the data folder, the channels, the bus and the event loop."""

    def __init__(self, data_dir: Path, channels: ChannelStore, bus: Bus, lag_s: Callable[[], float], clock: Clock) -> None:
        """`lag_s`: the longest lag of the event loop in the last minute."""
        self._data_dir = data_dir
        self._channels = channels
        self._bus = bus
        self._lag_s = lag_s
        self._clock = clock
        self._dropped: deque[tuple[float, int]] = deque()
        """(monotonic time, messages dropped since the start)."""

    async def read(self) -> HubInfo:
        """Raises: StoreError."""
        usage, backup_at = await asyncio.to_thread(self._look)
        channels = await self._channels.channels(DEFAULT_ORG)
        return HubInfo(
            disk_free_percent=100.0 * usage.free / usage.total,
            disk_free_bytes=usage.free,
            backup_age_s=None if backup_at is None else max(0.0, self._clock.now() - backup_at),
            channels_broken=tuple(channel.name for channel in channels if channel.enabled and channel.state == "broken"),
            queue_drops=self._drops(),
            loop_lag_s=self._lag_s(),
        )

    def _look(self) -> tuple[shutil._ntuple_diskusage, float | None]:
        return shutil.disk_usage(self._data_dir), last_backup_at(self._data_dir)

    def _drops(self) -> int:
        now = self._clock.monotonic()
        self._dropped.append((now, self._bus.dropped))
        while self._dropped[0][0] < now - DROPS_S:
            self._dropped.popleft()
        return self._dropped[-1][1] - self._dropped[0][1]
