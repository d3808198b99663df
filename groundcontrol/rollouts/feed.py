"""The live topics `rollouts` and `rollout:<id>`."""

from __future__ import annotations

import contextlib
from typing import Final

from groundcontrol.core.bus import BusEvent, Changed, Topic
from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.service import all_nodes
from groundcontrol.rollouts.model import Rollout, RolloutId
from groundcontrol.rollouts.store import RolloutStore
from groundcontrol.rollouts.views import RolloutsView, RolloutView, rollout_view
from groundcontrol.web.cursors import Cursors
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.services import Services

NEWEST: Final = 50


class RolloutsFeed(Feed):
    """The topic `rollouts`: the newest roll-outs, then each that changes."""

    def __init__(self, services: Services, scope: Scope, limits: LiveLimits) -> None:
        super().__init__(services, scope.org, "rollouts", scope.grants, limits=limits)

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("changed", org=self.scope.org),)

    async def snapshot(self) -> RolloutsView:
        page = await self.services[RolloutStore].rollouts(self.scope, NEWEST)
        seen = await _seen(self.services, self.scope)
        return RolloutsView([rollout_view(one, seen) for one in page.items], self.services[Cursors].seal(page.next))

    async def take(self, change: BusEvent, /) -> None:
        if isinstance(change, Changed) and change.kind == "rollout":
            with contextlib.suppress(NotFound):  # all its nodes are outside the grants
                self.emit(await _view(self.services, self.scope, RolloutId(change.id)))


class RolloutFeed(Feed):
    """The topic `rollout:<id>`: one roll-out with its waves and gates, at each change."""

    def __init__(self, services: Services, scope: Scope, rollout: RolloutId, limits: LiveLimits) -> None:
        super().__init__(services, scope.org, f"rollout:{rollout}", scope.grants, limits=limits)
        self._rollout = rollout

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("changed", f"rollout:{self._rollout}"),)

    async def snapshot(self) -> RolloutView:
        return await _view(self.services, self.scope, self._rollout)

    async def take(self, change: BusEvent, /) -> None:
        if isinstance(change, Changed) and change.kind == "rollout" and change.id == self._rollout:
            with contextlib.suppress(NotFound):
                self.emit(await _view(self.services, self.scope, self._rollout))


async def _seen(services: Services, scope: Scope) -> frozenset[NodeId] | None:
    return None if not scope.grants else frozenset(node.id for node in await all_nodes(services[NodeStore], scope))


async def _view(services: Services, scope: Scope, rollout: RolloutId) -> RolloutView:
    one = await services[RolloutStore].rollout(scope, rollout)
    return rollout_view(one, await _seen(services, scope))


async def find_rollout(services: Services, scope: Scope, rollout: str) -> Rollout:
    """Raises: NotFound."""
    return await services[RolloutStore].rollout(scope, RolloutId(rollout))


def rollouts_feed(services: Services, scope: Scope, _key: str, limits: LiveLimits) -> Feed:
    """`RolloutsView`: the newest 50 roll-outs. Then `RolloutView`: each that changes."""
    return RolloutsFeed(services, scope, limits)


def rollout_feed(services: Services, scope: Scope, key: str, limits: LiveLimits) -> Feed:
    """`RolloutView` with its waves and gates. Then the same at each change."""
    return RolloutFeed(services, scope, RolloutId(key), limits)
