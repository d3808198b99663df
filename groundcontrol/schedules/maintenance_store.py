"""The store interface of maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from groundcontrol.core.scope import Scope
from groundcontrol.schedules.maintenance import AutomaticWindow, Window
from groundcontrol.schedules.model import MaintenanceId


class MaintenanceStore(Protocol):
    """The windows of jobs and deployments are created in the transaction that starts the work."""

    async def create_window(self, scope: Scope, window: Window) -> Window:
        """Raises: Conflict: there are `MOST_WINDOWS`, or another window has this id."""
        ...

    async def window(self, scope: Scope, window: MaintenanceId) -> Window:
        """Raises: NotFound."""
        ...

    async def windows(self, scope: Scope) -> Sequence[Window]:
        """Future and open windows, and those that ended within the last week; newest first."""
        ...

    async def open_windows(self) -> Sequence[Window]:
        """The windows of all organisations that are not over."""
        ...

    async def automatic(self) -> Sequence[AutomaticWindow]:
        """The open windows of jobs and deployments."""
        ...

    async def end_window(self, scope: Scope, window: MaintenanceId) -> None:
        """End an open window, or cancel a future one. A repeated call changes nothing. Raises: NotFound."""
        ...

    async def end_automatic(self, org: int, window: MaintenanceId, *, ended_at: float | None, overran: bool) -> bool:
        """Close the window of a job or deployment, with an event if it overran.

        Args:    ended_at: when the work ended, as the caller read it.
        Returns: False: it was already closed, or the work was started again since the caller read it.
        """
        ...

    async def record_begin(self, window: Window, from_at: float, until_at: float) -> None:
        """Record with an event that an occurrence of a window began. A repeated call changes nothing."""
        ...

    async def record_ends(self) -> None:
        """Record with an event the end of each occurrence whose start was recorded."""
        ...
