"""The live topic `windows`."""

from __future__ import annotations

from collections.abc import Sequence

from groundcontrol.core.bus import BusEvent, Changed
from groundcontrol.core.scope import Scope
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.bodies import visible_select, window_view
from groundcontrol.policies.model import PolicySelect
from groundcontrol.policies.store import PatchWindowStore
from groundcontrol.policies.views import WindowsView
from groundcontrol.policies.windows import PATCH_WINDOWS, PatchWindow
from groundcontrol.schedules.selecting import VisibleNodes
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.services import Services


async def windows_of(services: Services, scope: Scope) -> WindowsView:
    """All windows and freezes that the caller may see, by name."""
    visible = await VisibleNodes.of(services[NodeStore], scope)
    now = services.clock.now()
    seen = ((one, visible_select(visible, PolicySelect(one.select))) for one in await services[PatchWindowStore].all(scope))
    return WindowsView(windows=[window_view(one, select, now) for one, select in seen if select is not None])


class WindowsFeed(Feed):
    """`WindowsView`: all windows and freezes. Then all again, at each change of one."""

    def __init__(self, services: Services, scope: Scope, topic: str, limits: LiveLimits) -> None:
        super().__init__(services, scope, topic, limits)
        self._sent: Sequence[PatchWindow] | None = None
        """The windows as stored, of the last change that all subscribers have; None: there was no snapshot yet."""

    async def snapshot(self) -> WindowsView:
        if self._sent is None:
            self._sent = await self._stored()
        return await windows_of(self.services, self.scope)

    async def _stored(self) -> Sequence[PatchWindow]:
        return await self.services[PatchWindowStore].all(self.scope)

    async def take(self, change: BusEvent, /) -> None:
        if isinstance(change, Changed) and change.kind == PATCH_WINDOWS.changed:
            stored = await self._stored()
            if stored == self._sent:
                return  # the window is of another organisation, or all have the change already
            self._sent = stored
            self.emit(await windows_of(self.services, self.scope))
