"""What the audit log keeps of a move of a roll-out: each transition, with its evidence. Pure."""

from __future__ import annotations

from groundcontrol.rollouts.model import Rollout, Target


def audit_of(before: Rollout, after: Rollout) -> dict[str, object] | None:
    """The detail of the audit row; None: nothing but the watch went on."""
    old = {one.node: one for one in before.targets}
    steps = [
        {
            "node": one.node,
            "state": one.state,
            "step": one.step,
            "why": one.why,
            "words": one.words,
            "gates": [gate.words for gate in one.gates],
        }
        for one in after.targets
        if _place(one) != _place(old.get(one.node))
    ]
    if not steps and _standing(before) == _standing(after):
        return None
    found = {"from": before.state, "to": after.state, "why": after.why, "words": after.words, "wave": after.wave, "targets": steps}
    return found if before.owner_id == after.owner_id else {**found, "owner": after.owner, "owner_before": before.owner}


def _place(target: Target | None) -> tuple[object, ...]:
    return () if target is None else (target.state, target.step, target.attempt, target.why)


def _standing(rollout: Rollout) -> tuple[object, ...]:
    return rollout.state, rollout.why, rollout.wave, rollout.overrides, rollout.owner_id
