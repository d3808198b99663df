"""What changed on nodes, made of events and of the changes that jobs report; and what of it came before a rise, ranked. Pure.

A rank says that something happened before, and how near to it. It never says that it was the cause.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, get_args

from groundcontrol.core.ids import NodeId
from groundcontrol.events.model import Event
from groundcontrol.jobs.model import Job
from groundcontrol.nodes.processes import ProcessReading
from groundcontrol.policies.model import is_kernel
from spider.wire.arg_kinds import PACKAGES
from spider.wire.verbs import VERBS

ChangeKind = Literal["package", "unit", "kernel", "boot", "mount", "listener", "agent", "policy", "job", "alert", "rollout", "file"]
KINDS: Final = get_args(ChangeKind)
BEFORE_S: Final = 600.0
MOST: Final = 500
_KIND_OF: Final[dict[str, ChangeKind]] = {
    "packages_changed": "package", "unit_failed": "unit", "unit_recovered": "unit", "unit_restarted": "unit", "oom_killed": "unit", "node_rebooted": "boot",
    "node_rebooted_unexpectedly": "boot", "reboot_done": "boot", "filesystem_readonly": "mount", "listener_added": "listener",
    "listener_removed": "listener", "agent_updated": "agent", "policy_changed": "policy", "job_started": "job", "job_succeeded": "job",
    "job_incomplete": "job", "job_failed": "job", "job_interrupted": "job", "job_unknown": "job", "alert_firing": "alert", "alert_resolved": "alert",
    "config_applied": "file", "service_deployed": "unit", "service_failed": "unit",
    "rollout_started": "rollout", "rollout_stopped": "rollout", "rollout_succeeded": "rollout", "rollout_expired": "rollout",
}  # fmt: skip
_RESTARTS: Final = frozenset({"unit_restarted", "unit_recovered", "node_rebooted", "node_rebooted_unexpectedly", "reboot_done"})
_OF_RPM: Final = re.compile(r"\.(noarch|x86_64(_v\d)?|i[3-6]86|aarch64|armv\w+|ppc64(le)?|s390x?|riscv64|loongarch64|mips\w*)\Z")
MOST_RISEN: Final = 3
TOLD_LATE_S: Final = 300.0
"""A node tells of changed packages at most so long after the job that changed them has ended."""


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


def types_of(kind: str | None) -> frozenset[str]:
    """The types of events that tell of changes of a kind; None: of any."""
    wanted = "package" if kind == "kernel" else kind
    return frozenset(name for name, one in _KIND_OF.items() if wanted in (None, one))


def changes_of(events: Sequence[Event], jobs: Sequence[Job], kind: str | None = None) -> list[Change]:
    """Newest first. A package that a job names is not listed a second time because the node tells of it too."""
    found = [
        Change(
            job.node_id,
            job.ended_at or job.created_at,
            _package_kind(one.package),
            one.package,
            one.before,
            one.after,
            job.created_by,
            job.id,
        )
        for job in jobs
        for one in job.changes
    ]
    for event in events:
        what = _KIND_OF.get(event.type)
        if what == "package":
            found += _packages(event, _named_by_jobs(event, jobs))
        elif what is not None:
            job = event.details.get("job")
            found.append(
                Change(event.node_id, event.at, what, _object(event), "", event.type, "event", job if isinstance(job, str) else None)
            )
    wanted = [one for one in found if kind is None or one.kind == kind]
    return sorted(wanted, key=lambda one: one.at, reverse=True)[:MOST]


def _object(event: Event) -> str:
    details = event.details
    if action := details.get("action"):
        verb, args = VERBS.get(str(action)), details.get("args")
        return str(action) if not args or verb is None or verb.kind is PACKAGES else f"{action} {args}"  # packages have rows of their own
    # The object of an alert is its id. In an event of the hub about a node, `name` is that of the node.
    name = details.get("name") if event.node_id is None or event.source != "hub" else None
    thing = str(details.get("rule") or event.object or name or "")
    return f"{thing} {process}" if (process := details.get("process")) else thing


def _packages(event: Event, of_jobs: frozenset[str]) -> Iterator[Change]:
    """A row for each package that the event names, and one for the number of the others. Those of jobs are left out."""
    details = event.details
    names, before, after = (_texts(details.get(part)) for part in ("packages", "before", "after"))
    versions = list(zip(before, after, strict=True)) if len(before) == len(after) == len(names) else [("", event.type)] * len(names)
    known, named = {_bare(name) for name in of_jobs}, {_bare(name) for name in names}
    for name, (was, now) in zip(names, versions, strict=True):
        if _bare(name) not in known:
            yield Change(event.node_id, event.at, _package_kind(name), name, was, now, "event", None)
    count = details.get("count")
    rest = (count if isinstance(count, int) else 0) - len(names) - sum(_bare(name) not in named for name in of_jobs)
    if rest > 0:
        yield Change(
            event.node_id, event.at, "package", f"{rest} more packages" if names else f"{rest} packages", "", event.type, "event", None
        )


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _named_by_jobs(event: Event, jobs: Sequence[Job]) -> frozenset[str]:
    """The packages that the changes of jobs name, while the node may tell of them in such an event."""
    return frozenset(
        one.package
        for job in jobs
        if job.node_id == event.node_id and (job.started_at or job.created_at) <= event.at <= (job.ended_at or job.created_at) + TOLD_LATE_S
        for one in job.changes
    )


def _bare(package: str) -> str:
    """A name without its architecture: package managers and their databases differ in whether they write it."""
    return _OF_RPM.sub("", package.partition(":")[0])


def _package_kind(package: str) -> ChangeKind:
    return "kernel" if is_kernel(_bare(package)) else "package"


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
    return (2.0, "a restart") if one.after in _RESTARTS else (1.0, "")
