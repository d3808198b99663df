"""Holds the maintenance windows that are not over, closes those of jobs and deployments, and records starts and ends.

The window of a job or deployment closes when its node is healthy again, or when its time is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from groundcontrol.core.ids import NodeId
from groundcontrol.core.rounds import every
from groundcontrol.schedules.maintenance import Windows, begun, verdict
from groundcontrol.schedules.maintenance_store import MaintenanceStore
from groundcontrol.schedules.model import MaintenanceId
from spider.clock import Clock

EVERY_S: Final = 5.0


class WindowCloser:
    """The task that looks every five seconds which windows begin and end."""

    def __init__(self, store: MaintenanceStore, clock: Clock, healthy: Callable[[NodeId], bool]) -> None:
        """Args: healthy: whether a node is healthy now."""
        self._store = store
        self._clock = clock
        self._healthy = healthy
        self.windows = Windows()
        self._healthy_since: dict[NodeId, float] = {}
        """Node with an automatic window -> since when it is healthy, by the monotonic clock."""
        self._seen: dict[tuple[MaintenanceId, float | None], float] = {}
        """(Automatic window, the end of its work) -> when it was first seen, by the monotonic clock."""
        self._recorded: dict[MaintenanceId, float] = {}
        """Window of a user -> the start of its last recorded occurrence."""

    async def run(self) -> None:
        """Look every five seconds, until cancelled."""
        await every(EVERY_S, self.look, self._clock, "maintenance")

    async def look(self) -> None:
        """Close the windows that end now, and read the others again.

        Raises: StoreError.
        """
        windows = await self._store.automatic()
        monotonic = self._clock.monotonic()
        self._healthy_since = {
            one.node: self._healthy_since.get(one.node, monotonic) for one in windows if self._healthy(one.node)
        }  # fmt: skip
        self._seen = {key: self._seen.get(key, monotonic) for key in ((one.window.id, one.ended_at) for one in windows)}
        for one in windows:
            since = self._healthy_since.get(one.node)
            seen_s = monotonic - self._seen[one.window.id, one.ended_at]
            found = verdict(one, None if since is None else monotonic - since, self._clock.now(), seen_s)
            if found != "open":
                await self._store.end_automatic(one.window.org, one.window.id, ended_at=one.ended_at, overran=found == "overran")
        await self._store.record_ends()
        open_windows = await self._store.open_windows()
        self.windows.replace(open_windows)
        of_users = [
            one for one in open_windows if one.origin == "user"
        ]  # jobs and deployments record the start of their windows themselves
        for window, from_at, until_at in begun(of_users, self._clock.now()):
            if self._recorded.get(window.id) != from_at:
                await self._store.record_begin(window, from_at, until_at)
                self._recorded[window.id] = from_at
        self._recorded = {one.id: self._recorded[one.id] for one in of_users if one.id in self._recorded}
