"""A stored roll-out that runs, and the body of a patch policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from groundcontrol.core.scope import SYSTEM
from groundcontrol.nodes.model import Node
from groundcontrol.rollouts.model import Rollout, RolloutId, Target
from spider.wire.ids import new_time_id
from tests.support.inprocess_hub import TestHub
from tests.support.race_cases_policies import a_policy

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
POLICY: dict[str, Any] = {
    "name": "all",
    "select": {"all": True},
    "when": {"weekly": ["tue"]},
    "start": "02:30",
    "length_s": 7200,
    "zone": "UTC",
    "what": "all",
}
"""The body of a patch policy: all servers on Tuesdays."""


async def a_rollout(hub: TestHub, nodes: Sequence[Node], **fields: Any) -> Rollout:
    now = hub.clock.now()
    targets = tuple(Target(node.id, node.name, 0, "role:db") for node in nodes)
    made = Rollout(RolloutId(new_time_id(now)), 1, "nights", a_policy(now, "nights"), "p", None, "0", "local:0", "running", targets, now)
    return await hub.store.rollouts.create_rollout(SYSTEM, made._replace(**fields))
