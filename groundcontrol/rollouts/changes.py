"""What changed on nodes, made of events and of the changes that jobs report; and what of it came before a rise, ranked. Pure.

A rank says that something happened before, and how near to it. It never says that it was the cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, get_args

from groundcontrol.core.ids import NodeId
from groundcontrol.events.model import Event
from groundcontrol.jobs.model import Job
from groundcontrol.nodes.processes import ProcessReading

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
_RESTARTS: Final = frozenset[ChangeKind]({"unit", "boot"})
MOST_RISEN: Final = 3


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
        thing = str(
            details.get("rule") or event.object or details.get("action") or details.get("name") or ""
        )  # the object of an alert is its id
        job = details.get("job")
        found.append(Change(event.node_id, event.at, what, thing, "", event.type, "event", job if isinstance(job, str) else None))
    wanted = [one for one in found if kind is None or one.kind == kind]
    return sorted(wanted, key=lambda one: one.at, reverse=True)[:MOST]


def _is_kernel(package: str) -> bool:
    return package.startswith(("linux-image", "kernel"))


class Risen(NamedTuple):
    """A process that used more at a time than ten minutes before."""

    name: str
    amount: float
    """CPU: points of one core; memory: bytes."""


def risen_between(before: ProcessReading, after: ProcessReading, what: Literal["cpu", "memory"]) -> list[Risen]:
    """The processes whose use rose most, the largest rise first. One that the first reading does not name rose from nothing that is known."""

    def used(reading: ProcessReading) -> Counter[str]:
        found = Counter[str]()
        for one in reading.processes:
            found[one.name] += (one.cpu if what == "cpu" else one.memory) or 0
        return found

    was, scale = used(before), 100.0 if what == "cpu" else 1.0
    rises = [Risen(name, (amount - was[name]) / scale) for name, amount in used(after).items() if amount > was[name]]
    return sorted(rises, key=lambda one: -one.amount)[:MOST_RISEN]


def ranked(changes: Sequence[Change], at: float, risen: Sequence[Risen] = ()) -> list[Change]:
    """The changes of the ten minutes before a time, the nearest first; those of a process that rose come before others."""
    found = []
    for one in changes:
        age = at - one.at
        if not 0 <= age <= BEFORE_S:
            continue
        reasons = [f"{age / 60:.0f} min before" if age >= 60 else f"{age:.0f} s before"]
        weight, reason = _weight(one, risen)
        reasons += [reason] if reason else []
        found.append(one._replace(rank=round(weight * (1 - age / (2 * BEFORE_S)), 3), why=", ".join(reasons)))
    return sorted(found, key=lambda one: -(one.rank or 0.0))


def _weight(one: Change, risen: Sequence[Risen]) -> tuple[float, str]:
    stem = one.object.rpartition(".")[0] or one.object
    for rise in risen:
        if one.kind == "unit" and rise.name == stem:
            return 4.0, f"{rise.name} rose"
        if one.kind == "package" and (one.object == rise.name or one.object.startswith(f"{rise.name}-")):
            return 3.0, f"a package of {rise.name}, which rose"
    return (2.0, "a restart") if one.kind in _RESTARTS else (1.0, "")
