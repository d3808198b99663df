"""Why a patch policy or a roll-out holds a node, or leaves it: every code, and what a person does about it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final, Literal

HoldReason = Literal[
    "never_by_schedule", "not_joined", "agent_policy", "zone_unknown", "security_unknown", "package_must_wait", "frozen", "window", "not_selected",
    "not_allowed", "offline", "in_another_rollout", "list_unknown", "another_job", "action_missing", "packages_broken", "disk_full", "clock",
    "already_red", "needs_event", "agent_too_old", "no_looks", "history", "plan", "package_held", "plan_refused", "plan_changed", "too_late",
    "lock_busy",
]  # fmt: skip
"""Nothing begins on the node for now."""
EndReason = Literal[
    "stopped", "cancelled", "expired", "up_to_date", "deleted", "away", "killed", "evidence", "action", "job_outcome", "job_unknown", "late_result",
    "worse",
]  # fmt: skip
"""Why a node ended as it did. Besides these, it is the name of the gate that failed, or the hold that lasted to the end."""
MOST_NAMED: Final = 5
"""So many nodes are named in a command that helps."""
Hold = tuple[HoldReason, str]
"""The code and a sentence."""

REMEDIES: Final[Mapping[str, str]] = {
    "never_by_schedule": "take the mark away (its page, Settings, or `stardust nodes never NODE --text ''`)",
    "not_joined": "let it join, or approve it",
    "agent_policy": "its owner allows upgrades in policy.conf on the node",
    "zone_unknown": "set its time zone",
    "security_unknown": "choose what: all, since its package manager marks no security updates",
    "package_must_wait": "take the package too, or leave the node out",
    "frozen": "wait for the end of the freeze, or end it (Calendar, or `stardust window end`)",
    "window": "wait for its window, or open it now (Calendar, or `stardust window open`)",
    "not_selected": "tag the node again, or choose it in the patch policy",
    "not_allowed": "an admin gives the owner the right, or takes the roll-out over",
    "offline": "start the server, or leave it out",
    "in_another_rollout": "wait until that roll-out is through with it, or stop that one",
    "list_unknown": "run Check for updates on it",
    "another_job": "wait until that job has ended, or cancel it",
    "action_missing": "its owner adds `actions = …` in policy.conf on the node",
    "packages_broken": "run Repair on it",
    "disk_full": "make room there",
    "clock": "set its clock right (NTP)",
    "already_red": "mend what is critical first, or go on in spite of it: `stardust rollout go-on ID --gate already_red --reason …`",
    "needs_event": "report the event from the node",
    "agent_too_old": "update its agent (Update on its page, under Settings, or `stardust update`)",
    "no_looks": "look whether its agent is well (its log), and restart it",
    "history": "wait, or go on without the comparison: `stardust rollout go-on ID --gate history --reason …`",
    "plan": "look at the output of its plan; Check for updates or Repair may help",
    "package_held": "run Check for updates on it, so that its list tells the hold; or end the hold there (such as `apt-mark unhold`)",
    "plan_refused": "widen the patch policy, or leave the node out",
    "plan_changed": "make a new roll-out for the rest",
    "lock_busy": "wait until that program has ended; if it patches by itself, turn it off there",
    "too_late": "wait for the next time, or give the patch policy or the window more time",
    "stopped": "",
    "cancelled": "look at its job, and try the rest again",
    "expired": "look whether its agent is well, and try the rest again",
    "up_to_date": "",
    "deleted": "",
    "away": "start the server, look what its job did, and try it again",
    "killed": "look at the server, and run Repair on it",
    "evidence": "look at the server: nobody saw its watch to the end",
    "action": "read the output of the action, mend it, and try it again",
    "job_outcome": "read its output, run Repair on it, and try it again",
    "job_unknown": "look at the server, run Repair on it, and try it again",
    "late_result": "",
    "worse": "look at what changed before (its Changes)",
}
"""HoldReason or EndReason -> what helps. Empty: nothing is wrong with the node, or its words say it."""


def remedy_for(why: str, nodes: Sequence[str], rollout: str = "ID") -> str:
    """What helps nodes that have the same reason. The commands have the id of the roll-out, and the names of the nodes if they are few."""
    names = shlex.join(nodes) if len(nodes) <= MOST_NAMED else "NODE"
    return REMEDIES.get(why, "").replace(" NODE ", f" {names} ").replace(" ID ", f" {rollout} ")
