"""What the store of jobs asks before a queued job starts: whether its roll-out still dispatches, and whether its role has a reboot under way."""

from __future__ import annotations

from typing import Final

from groundcontrol.adapters.sqlite.engine.tx import Row, Rows
from groundcontrol.adapters.sqlite.rights import tags_of
from groundcontrol.nodes.model import ROLE
from groundcontrol.rollouts.model import DISPATCHING
from groundcontrol.rollouts.reboots import MOST_S
from spider.wire.verbs import REBOOT

_DISPATCHING: Final = ", ".join(f"'{state}'" for state in sorted(DISPATCHING))
STARTS_NOTHING: Final = (  # built from constants only
    " AND NOT EXISTS (SELECT 1 FROM rollout_job AS rj JOIN rollout ON rollout.org = rj.org AND rollout.id = rj.rollout"  # noqa: S608 - built from constants only
    f" WHERE rj.org = job.org AND rj.job = job.id AND rj.step <> 'after' AND rollout.state NOT IN ({_DISPATCHING}))"
)
"""Leaves out queued jobs of roll-outs that may start nothing any more. `JobStore.take` checks it in its own transaction."""
_REBOOTING: Final = (
    "SELECT job.id, node.tags, EXISTS (SELECT 1 FROM rollout_job AS rj WHERE rj.org = job.org AND rj.job = job.id) AS of_rollout"
    " FROM job JOIN node ON node.no = job.node WHERE job.org = ? AND job.action = 'reboot' AND job.state IN ('dispatched', 'accepted', 'running')"
    " AND coalesce(job.started_at, job.not_after) > ?"
)


def reboot_waits(rows: Rows, job: Row, now: float) -> bool:
    """Whether a queued reboot waits for one that is under way on a node with the same role tag. One that never comes back is not waited for.

    Roll-outs count their own reboots among each other (`RolloutStore.save_rollout`), since a policy may allow several of a role.
    """
    roles = {tag for tag in tags_of(job["tags"]) if tag.startswith(ROLE)} if job["action"] == REBOOT else set()
    if not roles:
        return False
    own = rows.fetch_one("SELECT 1 FROM rollout_job WHERE org = ? AND job = ?", job["org"], job["id"]) is not None
    return any(
        roles & set(tags_of(other["tags"])) and not (own and other["of_rollout"])
        for other in rows.fetch_all(_REBOOTING, job["org"], now - MOST_S)
    )
