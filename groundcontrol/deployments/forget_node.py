"""Deletes a node without contact to its server: a user forces it, or root on the server has uninstalled the agent."""

from __future__ import annotations

import asyncio
from typing import Final

from groundcontrol.agents.session import AgentSession
from groundcontrol.core import failpoints
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.deployments.model import Deployment, DeploymentState
from groundcontrol.deployments.run import DeploymentRun, Deps, forget_node, wipe
from groundcontrol.deployments.running import Begun
from groundcontrol.events.making import new_event
from groundcontrol.events.store import LogStore
from spider.wire.frames import CLOSE_UNKNOWN

LEFT_BEHIND: Final = (
    "forgotten without contact: if the server still exists, its units stardust-*, /opt/stardust, /etc/stardust, /var/lib/stardust, the link"
    " /usr/local/sbin/stardust-spider and the user stardust are still there; stardust-spider uninstall there, or adding it again and removing it,"
    " clears them away"
)


class Forgetting(DeploymentRun):
    """A removal without contact to the server. It needs no slot and no second authorization."""

    async def _carry_out(self) -> DeploymentState:
        self._left_note = LEFT_BEHIND
        await wipe(self._tools, self._scope, self.progress, self._left_note)
        return "succeeded"


async def wait_for_end(begun: Begun, limit_s: float) -> Deployment:
    """Wait for the end of a removal without contact. Mostly it ends immediately, so the response can show the final state."""
    await asyncio.wait([begun.task], timeout=limit_s)
    return begun.work.progress.row


async def forget_departed(tools: Deps, agent: AgentSession, why: str, not_removed: str) -> None:
    """Delete the node after root uninstalled the agent on its server.

    Args:   not_removed: the parts that could not be uninstalled; not empty: the node stays, so that the removal can be retried.
    Raises: StoreError.
    """
    node = agent.node
    facts: dict[str, object] = {"node": node.id, "address": node.address}
    if not_removed:
        own_event = new_event(
            "node_uninstall_incomplete", tools.clock.now(), facts | {"left": not_removed}, node=node.id, name=node.name, org=node.org
        )
        await tools.store[LogStore].add_event(own_event)
        await tools.close_session(node.id, CLOSE_UNKNOWN, "not completely removed")
        return
    scope = Scope(Actor("node", node.id, f"node:{node.id}", "viewer", agent.address), node.org)
    failpoints.hit("leave.forget.pre")
    own_event = new_event("node_uninstalled", tools.clock.now(), facts | {"why": why}, name=node.name, org=node.org)
    await forget_node(tools, scope, node.id, "the node was removed", own_event)
    failpoints.hit("leave.forget.post")
