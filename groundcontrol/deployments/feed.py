"""The live topic of one deployment."""

from __future__ import annotations

from groundcontrol.core.bus import BusEvent, Topic
from groundcontrol.core.ids import DeploymentId
from groundcontrol.core.scope import Scope
from groundcontrol.deployments.model import Deployment
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.deployments.views import DeploymentView, deployment_view
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.services import Services


class DeploymentFeed(Feed):
    """The topic `deployment:<id>`: the whole deployment after each change."""

    def __init__(self, services: Services, org: int, deployment: DeploymentId, *, limits: LiveLimits) -> None:
        super().__init__(services, org, f"deployment:{deployment}", limits=limits)
        self._deployment = deployment

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("changed", self.topic),)

    async def snapshot(self) -> DeploymentView:
        return deployment_view(await self.services[DeploymentStore].deployment(self.scope, self._deployment))

    async def take(self, _bus_event: BusEvent, /) -> None:
        self.emit(await self.snapshot())


def deployment_feed(services: Services, scope: Scope, key: str, limits: LiveLimits) -> Feed:
    """`DeploymentView`. Then the same at each change."""
    return DeploymentFeed(services, scope.org, DeploymentId(key), limits=limits)


async def find_deployment(services: Services, scope: Scope, key: str) -> Deployment:
    return await services[DeploymentStore].deployment(scope, DeploymentId(key))
