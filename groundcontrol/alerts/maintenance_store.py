"""The store interface of maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from groundcontrol.alerts.maintenance import AutomaticWindow, Window
from groundcontrol.alerts.model import MaintenanceId
from groundcontrol.core.scope import Scope


class MaintenanceStore(Protocol):
    """Jobs and deployments open their windows themselves, in the transaction that starts them."""

    async def create_window(self, scope: Scope, window: Window) -> Window:
        """Conflict: too many are open, or another window has this id."""
        ...

    async def window(self, scope: Scope, window: MaintenanceId) -> Window: ...
    async def windows(self, scope: Scope) -> Sequence[Window]:
        """Windows to come, open ones, and those that ended within the last week; the newest first."""
        ...

    async def open_windows(self) -> Sequence[Window]:
        """All windows of all organisations that are not over: for decisions about alerts."""
        ...

    async def automatic(self) -> Sequence[AutomaticWindow]:
        """Open windows of jobs and deployments."""
        ...

    async def end_window(self, scope: Scope, window: MaintenanceId) -> None:
        """End a window now, or cancel one that is still to come. Repeating it changes nothing."""
        ...

    async def end_automatic(self, org: int, window: MaintenanceId, *, overran: bool) -> bool:
        """Close the window of a job or a deployment; one that overran with its event. Returns: False: it was closed before."""
        ...

    async def record_begin(self, window: Window, from_at: float, until_at: float) -> None:
        """Record with an event that an occurrence of a window began. Repeating it changes nothing."""
        ...

    async def record_ends(self) -> None:
        """Record with an event each occurrence that is over, and whose begin was recorded."""
        ...
