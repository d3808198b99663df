"""What changed on nodes, made of events and of the changes that jobs report; and what of it came before a rise, ranked. Pure.

A rank says that something happened before, and how near to it. It never says that it was the cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, get_args

from groundcontrol.core.ids import NodeId
from groundcontrol.events.model import Event
from groundcontrol.jobs.model import Job

ChangeKind = Literal["package", "unit", "kernel", "boot", "mount", "listener", "agent", "policy", "job", "alert", "rollout", "file"]
KINDS: Final = get_args(ChangeKind)
BEFORE_S: Final = 600.0
MOST: Final = 500
_KIND_OF: Final[dict[str, ChangeKind]] = {
    "packages_changed": "package", "unit_failed": "unit", "unit_recovered": "unit", "oom_killed": "unit", "node_rebooted": "boot",
    "node_rebooted_unexpectedly": "boot", "reboot_done": "boot", "filesystem_readonly": "mount", "listener_added": "listener",
    "listener_removed": "listener", "agent_updated": "agent", "policy_changed": "policy", "job_started": "job", "job_succeeded": "job",
    "job_incomplete": "job", "job_failed": "job", "job_interrupted": "job", "job_unknown": "job", "alert_firing": "alert", "alert_resolved": "alert",
    "config_applied": "file", "service_deployed": "unit", "service_failed": "unit",
    "rollout_started": "rollout", "rollout_stopped": "rollout", "rollout_succeeded": "rollout", "rollout_expired": "rollout",
}  # fmt: skip
_WEIGHT: Final[dict[ChangeKind, float]] = {"unit": 4.0, "package": 3.0, "kernel": 3.0, "boot": 2.5, "job": 2.0, "agent": 1.5}


class Change(NamedTuple):
    node_id: NodeId | None
    at: float
    kind: ChangeKind
    object: str
    before: str
    after: str
    source: str
    """`event`, or the user of a job."""
    job_id: str | None
    rank: float | None = None
    why: str = ""
    """Of a ranked change: why it stands there."""


def changes_of(events: Sequence[Event], jobs: Sequence[Job], kind: str | None = None) -> list[Change]:
    """Newest first. A package that a job changed has its versions; the event that only counts packages is left out beside it."""
    found = [
        Change(
            job.node_id,
            job.ended_at or job.created_at,
            "kernel" if _is_kernel(one.package) else "package",
            one.package,
            one.before,
            one.after,
            job.created_by,
            job.id,
        )
        for job in jobs
        for one in job.changes
    ]
    spans = [(job.node_id, job.started_at or job.created_at, job.ended_at or job.created_at) for job in jobs if job.changes]
    for event in events:
        what = _KIND_OF.get(event.type)
        if what is None or (
            event.type == "packages_changed" and any(node == event.node_id and a <= event.at <= b + 300 for node, a, b in spans)
        ):
            continue
        details = event.details
        thing = event.object or str(details.get("action") or details.get("rule") or details.get("name") or "")
        job = details.get("job")
        found.append(Change(event.node_id, event.at, what, thing, "", event.type, "event", job if isinstance(job, str) else None))
    wanted = [one for one in found if kind is None or one.kind == kind]
    return sorted(wanted, key=lambda one: one.at, reverse=True)[:MOST]


def _is_kernel(package: str) -> bool:
    return package.startswith(("linux-image", "kernel"))


def ranked(changes: Sequence[Change], at: float, blamed: str = "") -> list[Change]:
    """The changes of the ten minutes before a time, the likeliest first. Args: blamed: the unit that rose most; empty: not known."""
    found = []
    for one in changes:
        age = at - one.at
        if not 0 <= age <= BEFORE_S:
            continue
        weight = _WEIGHT.get(one.kind, 1.0)
        reasons = [f"{age / 60:.0f} min before" if age >= 60 else f"{age:.0f} s before"]
        if blamed and blamed in (one.object, f"{one.object}.service"):
            weight *= 4
            reasons.append("the same unit")
        found.append(one._replace(rank=round(weight * (1 - age / (2 * BEFORE_S)), 3), why=", ".join(reasons)))
    return sorted(found, key=lambda one: -(one.rank or 0.0))
