"""Makes a roll-out: its frozen targets, waves and canaries. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.model import Node
from groundcontrol.policies.calendar import OF_NODE, Span, ZoneUnknown, span_on
from groundcontrol.policies.model import Occurrence, Pair, PatchPolicy, role_of
from groundcontrol.policies.preview import candidate_of
from groundcontrol.policies.waves import waves_of
from groundcontrol.rollouts.model import Rollout, RolloutId, Target


def targets_of(
    policy: PatchPolicy,
    nodes: Sequence[Node],
    healthy: Collection[NodeId],
    own_machine: str,
    span: Span | None = None,
    first: Collection[NodeId] = (),
) -> tuple[Target, ...]:
    """One target for each node, by wave. Args: healthy: may be canaries. first: were not reached the last time."""
    candidates = []
    for node in nodes:
        one = candidate_of(policy, node, node.id in healthy, own_machine, first=node.id in first)
        if span is not None and policy.times.zone == OF_NODE:
            try:
                one = one._replace(open_at=span_on(policy.times, span.date, node.identity.timezone).from_at)
            except ZoneUnknown:
                one = one._replace(fit=False)
        candidates.append(one)
    last = {one.node for one in candidates if one.last}
    by_id = {node.id: node for node in nodes}
    found = []
    for index, wave in enumerate(waves_of(policy.order, candidates)):
        for node_id in wave:
            node = by_id[node_id]
            found.append(Target(node.id, node.name, index, role_of(policy.role_tags, node.tags), node.id in last))
    return tuple(found)


def of_occurrence(
    rollout_id: RolloutId,
    policy: PatchPolicy,
    occurrence: Occurrence,
    targets: tuple[Target, ...],
    now: float,
    pairs: tuple[Pair, ...] | None,
) -> Rollout:
    """The roll-out of an occurrence. It waits for nobody: saving the policy confirmed its limits."""
    return Rollout(
        id=rollout_id, org=policy.org, name=policy.name, policy=policy, policy_id=policy.id, due_at=occurrence.due_at, owner_id=policy.owner_id,
        owner=policy.owner, state="waiting", targets=targets, made_at=now, pairs=pairs, start_at=occurrence.due_at, close_at=occurrence.until_at,
    )  # fmt: skip
