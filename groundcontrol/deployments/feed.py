"""The live topic of one deployment."""

from __future__ import annotations

from groundcontrol.core.ids import DeploymentId
from groundcontrol.core.scope import Scope
from groundcontrol.deployments.model import Deployment
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.deployments.views import DeploymentView, deployment_view
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.services import Services


class DeploymentFeed(Feed):
    """`DeploymentView`. Then the same at each change."""

    def __init__(self, services: Services, scope: Scope, topic: str, limits: LiveLimits) -> None:
        super().__init__(services, scope._replace(grants=()), topic, limits)

    async def snapshot(self) -> DeploymentView:
        return deployment_view(await find_deployment(self.services, self.scope, self.key))


async def find_deployment(services: Services, scope: Scope, key: str) -> Deployment:
    return await services[DeploymentStore].deployment(scope, DeploymentId(key))
