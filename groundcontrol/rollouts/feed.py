"""The live topics `rollouts` and `rollout:<id>`."""

from __future__ import annotations

import contextlib
from typing import Final

from groundcontrol.core.bus import BusEvent
from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.service import all_nodes
from groundcontrol.rollouts.model import Rollout, RolloutId
from groundcontrol.rollouts.store import RolloutStore
from groundcontrol.rollouts.views import RolloutsView, RolloutView, rollout_view
from groundcontrol.web.cursors import Cursors
from groundcontrol.web.live.topics import Feed, ListFeed
from groundcontrol.web.services import Services

NEWEST: Final = 50


class RolloutsFeed(ListFeed):
    """`RolloutsView`: the newest 50 roll-outs. Then `RolloutView`: each that changes."""

    kind = "rollout"

    async def snapshot(self) -> RolloutsView:
        page = await self.services[RolloutStore].rollouts(self.scope, NEWEST)
        seen = await _seen(self.services, self.scope)
        return RolloutsView([rollout_view(one, seen) for one in page.items], self.services[Cursors].seal(page.next))

    async def view(self, key: str) -> RolloutView:
        return await _view(self.services, self.scope, key)


class RolloutFeed(Feed):
    """`RolloutView` with its waves and gates. Then the same at each change."""

    async def snapshot(self) -> RolloutView:
        return await _view(self.services, self.scope, self.key)

    async def take(self, _bus_event: BusEvent, /) -> None:
        with contextlib.suppress(NotFound):
            self.emit(await self.snapshot())


async def _seen(services: Services, scope: Scope) -> frozenset[NodeId] | None:
    return None if not scope.grants else frozenset(node.id for node in await all_nodes(services[NodeStore], scope))


async def _view(services: Services, scope: Scope, rollout: str) -> RolloutView:
    return rollout_view(await find_rollout(services, scope, rollout), await _seen(services, scope))


async def find_rollout(services: Services, scope: Scope, rollout: str) -> Rollout:
    """Raises: NotFound."""
    return await services[RolloutStore].rollout(scope, RolloutId(rollout))
