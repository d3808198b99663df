"""The condition by which the store of jobs leaves the queued jobs of ended roll-outs alone."""

from __future__ import annotations

from typing import Final

from groundcontrol.rollouts.model import DISPATCHING

_DISPATCHING: Final = ", ".join(f"'{state}'" for state in sorted(DISPATCHING))
STARTS_NOTHING: Final = (  # built from constants only
    " AND NOT EXISTS (SELECT 1 FROM rollout_job AS rj JOIN rollout ON rollout.org = rj.org AND rollout.id = rj.rollout"  # noqa: S608 - built from constants only
    f" WHERE rj.org = job.org AND rj.job = job.id AND rj.step <> 'after' AND rollout.state NOT IN ({_DISPATCHING}))"
)
"""Leaves out queued jobs of roll-outs that may start nothing any more. `JobStore.take` checks it in its own transaction."""
