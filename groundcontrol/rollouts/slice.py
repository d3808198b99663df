"""The declarations of roll-outs."""

from __future__ import annotations

from typing import Final

from groundcontrol.agents.registry import Registry
from groundcontrol.nodes.interfaces import NewestValues, NodeHealth, Presence, ReceivedTables
from groundcontrol.nodes.looks import ReceivedLooks
from groundcontrol.rollouts.api import ROLLOUT_ROUTES
from groundcontrol.rollouts.changes_api import CHANGE_ROUTES
from groundcontrol.rollouts.evidence import Evidence
from groundcontrol.rollouts.facts import RolloutFacts
from groundcontrol.rollouts.feed import RolloutFeed, RolloutsFeed, find_rollout
from groundcontrol.rollouts.looks import Looks
from groundcontrol.rollouts.reboots_api import REBOOT_ROUTES
from groundcontrol.rollouts.service import RolloutService
from groundcontrol.rollouts.status_api import STATUS_ROUTES
from groundcontrol.rollouts.store import RolloutStore
from groundcontrol.schedules.dead_man import DeadMan
from groundcontrol.web.declare import KEEP_S, Expiry, LiveTopic, Slice
from groundcontrol.web.services import Services, provide


def _evidence(services: Services) -> Evidence:
    looks = Looks(
        services[Registry], services[ReceivedTables], services[NewestValues], services[Presence], services[ReceivedLooks], services.clock
    )
    return Evidence(services, services.clock, looks)


def _facts(services: Services) -> RolloutFacts:
    return RolloutFacts(
        services, services.clock, services[Presence], services[NewestValues], services[NodeHealth], services[Evidence], services[DeadMan]
    )


def _service(services: Services) -> RolloutService:
    return RolloutService(
        services, services.bus, services.clock, services[RolloutFacts], services[Presence], services[NodeHealth], services[Evidence]
    )


SLICE: Final = Slice(
    "rollouts",
    (*ROLLOUT_ROUTES, *STATUS_ROUTES, *CHANGE_ROUTES, *REBOOT_ROUTES),
    topics=(
        LiveTopic("rollouts", "patch.read", "fleet", "rollout", feed=RolloutsFeed),
        LiveTopic("rollout", "patch.read", "small", "rollout", find=find_rollout, feed=RolloutFeed),
    ),
    provides=(
        provide(Evidence)(_evidence),
        provide(RolloutFacts)(_facts),
        provide(RolloutService)(_service),
    ),
    tasks=(RolloutService,),
    expires=(Expiry("rollouts", KEEP_S, lambda stores, before: stores[RolloutStore].expire_rollouts(before)),),
)
