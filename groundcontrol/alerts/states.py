"""States of nodes and of the hub that no sample gives, each as a number for each object. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, Generic, Literal, NamedTuple, TypeVar, get_args

from groundcontrol.alerts.model import Reason
from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import SubjectTable, TableCell

Subject = Literal["services", "containers", "package_faults"]
"""Of the tables that states read."""
SUBJECTS: Final[tuple[Subject, ...]] = get_args(Subject)
RESTARTS: Final[Mapping[Subject, tuple[str, float]]] = {"services": ("unit", 600.0), "containers": ("name", 300.0)}
"""Subjects of tables with a column `restarts`: the column of the name, and in how many seconds restarts are counted."""
MOST_RESTARTS: Final = 64
DEADLINE_MISSED: Final = "deadline_missed"


class Restarts(NamedTuple):
    """Restarts that tables have reported."""

    began_at: float
    counts: Mapping[str, tuple[tuple[float, int], ...]]
    """Name -> (time, restarts so far) of each table that changed it, oldest first; the first one may be older than the window."""


class NodeFacts(NamedTuple):
    """What the hub knows of a node beside its samples."""

    id: NodeId
    tags: tuple[str, ...] = ()
    silent_s: float | None = None
    """None: connected; otherwise seconds since the session was lost, without the time in which the hub was away."""
    reconnecting: bool = False
    """The hub has just started and the node may still come back."""
    simulated: bool = False
    pending: bool = False
    waiting: bool = False
    cores: int = 0
    reboot_required: str = "unknown"
    reboot_since_at: float | None = None
    updates_security: int | None = None
    security_since_at: float | None = None
    lists_checked_at: float | None = None
    tables: Mapping[str, SubjectTable] = {}
    """The newest tables of `SUBJECTS`."""
    clock_skew_s: float | None = None
    outdated_since_at: float | None = None
    """Since when the hub ships another version of Spider than the node runs; None: it runs that one, or its version is not known."""
    jobs: Mapping[str, float] = {}
    """Open troubles by kind (`job_failed`) -> since when."""
    deadlines: Mapping[str, float] = {}
    """Missed deadlines by the name of the expectation -> 1: a warning, 2: critical."""
    missing_since: Mapping[str, float] = {}
    """The same -> the time by which the event was expected."""
    expectations: Collection[str] | None = None
    """The names of all expectations; None: not known."""
    restarts: Mapping[str, Restarts] = {}
    """By subject. The engine fills it from the tables that follow each other."""


class HubInfo(NamedTuple):
    """What the hub knows of itself. None: not known."""

    disk_free_percent: float | None = None
    disk_free_bytes: int | None = None
    backup_age_s: float | None = None
    """None: there is no backup to wait for."""
    channels_broken: tuple[str, ...] = ()
    """Names of channels."""
    channels: tuple[str, ...] | None = None
    """The names of all channels that are on."""
    queue_drops: int = 0
    """What a bounded queue has dropped in the last 5 minutes."""
    loop_lag_s: float | None = None
    """The longest lag of the event loop in the last minute."""
    clock_jump_s: float = 0.0
    """The greatest jump of its wall clock in the last hour."""
    audit_broken: bool | None = None
    """Whether a row of the audit log is missing or altered."""


Values = Mapping[str, float] | None
"""Object -> value; an object that is missing has the value 0. None: not known."""
Facts = TypeVar("Facts", NodeFacts, HubInfo)


class Look(NamedTuple):
    """What is seen of one object."""

    about: str
    value: float
    since_at: float | None
    """When the condition began, if that is known."""
    end: Reason
    """Why its alert ends, if it does."""


class StateKind(NamedTuple, Generic[Facts]):
    name: str
    unit: str
    about: str
    read: Callable[[Facts, float], Values]
    """Takes the facts and the time."""
    elapsed: bool = False
    """Its value is the time since the condition began."""
    since: Callable[[Facts, str], float | None] | None = None
    """When the condition of an object began; None: when it is first seen."""
    objects: Callable[[Facts], Collection[str] | None] | None = None
    """All objects that there are, well or not; None: not known. One that is not among them did not get well: it is gone."""


def look(kind: StateKind[Facts], facts: Facts, held: Iterable[str], now: float) -> Iterator[Look]:
    """The objects with a value, and those that have an alert. Args: held: the latter."""
    values = kind.read(facts, now)
    if values is None:
        return
    for about in {**values, **dict.fromkeys(held)}:
        value = values.get(about, 0.0)
        since_at = now - value if kind.elapsed else None if kind.since is None else kind.since(facts, about)
        known = None if about in values or kind.objects is None else kind.objects(facts)
        yield Look(about, value, since_at, "cleared" if known is None or about in known else "object_gone")


def _offline(facts: NodeFacts, _now: float) -> Values:
    if facts.reconnecting:
        return None
    return {"": facts.silent_s} if facts.silent_s and not facts.pending and not facts.waiting else {}


def _skew(facts: NodeFacts, _now: float) -> Values:
    return None if facts.clock_skew_s is None or facts.silent_s is not None else {"": abs(facts.clock_skew_s)}


def _reboot_due(facts: NodeFacts, now: float) -> Values:
    if facts.reboot_required == "no":
        return {}
    return {"": now - facts.reboot_since_at} if facts.reboot_required == "yes" and facts.reboot_since_at is not None else None


def _security(facts: NodeFacts, now: float) -> Values:
    if facts.updates_security is None:
        return None
    return {"": now - facts.security_since_at} if facts.updates_security and facts.security_since_at is not None else {}


def _lists_age(facts: NodeFacts, now: float) -> Values:
    return None if facts.lists_checked_at is None or facts.silent_s is not None else {"": now - facts.lists_checked_at}


def _outdated(facts: NodeFacts, now: float) -> Values:
    return {} if facts.outdated_since_at is None else {"": now - facts.outdated_since_at}


def _trouble(kind: str) -> Callable[[NodeFacts, float], Values]:
    return lambda facts, now: {"": max(1.0, now - facts.jobs[kind])} if kind in facts.jobs else {}


def _rows(facts: NodeFacts, subject: Subject, *columns: str) -> list[tuple[TableCell, ...]] | None:
    """These columns of a table; a column that the node does not send is empty. None: no table, or reading it failed."""
    table = facts.tables.get(subject)
    if table is None or table.total < 0 or facts.silent_s is not None:
        return None
    width = len(table.columns)
    picked = [table.cells[table.columns.index(name) :: width] if name in table.columns else (None,) * table.total for name in columns]
    return list(zip(*picked, strict=False))


def _in_state(subject: Subject, name: str, *states: str) -> Callable[[NodeFacts, float], Values]:
    def read(facts: NodeFacts, _now: float) -> Values:
        rows = _rows(facts, subject, name, "state")
        return None if rows is None else {str(what): 1.0 for what, state in rows if state in states}

    return read


def _containers(facts: NodeFacts) -> Collection[str] | None:
    rows = _rows(facts, "containers", "name")
    if rows is None or len(rows) < facts.tables["containers"].total:
        return None  # one that is not listed may be among those beyond the table's limit
    return {str(name) for (name,) in rows}


def count_restarts(before: NodeFacts, facts: NodeFacts) -> NodeFacts:
    """The facts with the restarts in their tables. Args: before: the facts before these."""
    restarts = before.restarts
    for subject, (column, window_s) in RESTARTS.items():
        table = facts.tables.get(subject)
        if table is None or table == before.tables.get(subject):
            continue
        rows = _rows(facts, subject, column, "restarts")
        if rows is not None:
            held = restarts.get(subject, Restarts(table.taken_at, {}))
            told: dict[str, int] = {}
            for name, count in rows:  # those that run come first: one of the same name that has ended does not count
                if isinstance(count, int):
                    told.setdefault(str(name), count)
            counts = {name: _counted(held.counts.get(name, ()), table.taken_at, count, window_s) for name, count in told.items()}
            restarts = {**restarts, subject: Restarts(held.began_at, counts)}
    return facts._replace(restarts=restarts) if restarts else facts


def _counted(held: tuple[tuple[float, int], ...], at: float, count: int, window_s: float) -> tuple[tuple[float, int], ...]:
    if held and count < held[-1][1]:  # started by hand: it counts anew
        held = ()
    if held and count == held[-1][1]:
        return held
    recent = [place for place, (told_at, _) in enumerate(held) if told_at > at - window_s]
    return (*held[max(0, recent[0] - 1 if recent else len(held) - 1) :][-MOST_RESTARTS:], (at, count))


def _restarting(subject: Subject) -> Callable[[NodeFacts, float], Values]:
    window_s = RESTARTS[subject][1]

    def read(facts: NodeFacts, now: float) -> Values:
        told = facts.restarts.get(subject)
        if told is None or facts.silent_s is not None:
            return None
        values = {}
        for name, counts in told.counts.items():
            before = [count for at, count in counts if at <= now - window_s] or [counts[0][1]]
            if counts[-1][1] > before[-1]:
                values[name] = float(counts[-1][1] - before[-1])
        return values if values or now - told.began_at >= window_s else None

    return read


def _packages_broken(facts: NodeFacts, _now: float) -> Values:
    rows = _rows(facts, "package_faults", "package")
    if rows is None:
        return None
    return {"": float(len(rows))} if rows else {}


def _bytes_free(facts: HubInfo, _now: float) -> Values:
    return None if facts.disk_free_bytes is None else {"": facts.disk_free_bytes / 1024**3}


def _percent_free(facts: HubInfo, _now: float) -> Values:
    return None if facts.disk_free_percent is None else {"": facts.disk_free_percent}


_NODE: Final[tuple[StateKind[NodeFacts], ...]] = (
    StateKind("offline", "seconds", "since the node's session was lost; the hub's own absence does not count", _offline, elapsed=True),
    StateKind("clock_skew", "seconds", "difference of the node's clock from the hub's", _skew),
    StateKind("reboot_due", "seconds", "since a reboot is due", _reboot_due, elapsed=True),
    StateKind("updates_security", "seconds", "since security updates wait", _security, elapsed=True),
    StateKind("agent_outdated", "seconds", "since the hub ships another version of Spider than the node runs", _outdated, elapsed=True),
    StateKind("lists_age", "seconds", "since the package lists were checked", _lists_age),
    StateKind("unit_failed", "flag", "1: the unit of systemd failed", _in_state("services", "unit", "failed")),
    StateKind("unit_restarting", "restarts", "of the unit by systemd itself in 10 minutes", _restarting("services")),
    StateKind("container_restarting", "restarts", "of the container in 5 minutes", _restarting("containers"), objects=_containers),
    StateKind(
        "container_unhealthy",
        "flag",
        "1: its engine calls it unhealthy or dead",
        _in_state("containers", "name", "unhealthy", "dead"),
        objects=_containers,
    ),
    StateKind("job_failed", "seconds", "since the last job failed", _trouble("job_failed"), elapsed=True),
    StateKind(
        DEADLINE_MISSED,
        "level",
        "1: an expected event is missing, 2: a critical one",
        lambda facts, _: facts.deadlines,
        since=lambda facts, name: facts.missing_since.get(name),
        objects=lambda facts: facts.expectations,
    ),
    StateKind("packages_broken", "packages", "whose installation did not end", _packages_broken),
)
_HUB: Final[tuple[StateKind[HubInfo], ...]] = (
    StateKind("hub_disk_free_percent", "percent", "free where the hub stores its data", _percent_free),
    StateKind("hub_disk_free", "GiB", "free where the hub stores its data", _bytes_free),
    StateKind(
        "hub_backup_age", "seconds", "since the newest backup", lambda hub, _: {} if hub.backup_age_s is None else {"": hub.backup_age_s}
    ),
    StateKind(
        "hub_channel_broken",
        "flag",
        "1: the channel cannot send",
        lambda hub, _: dict.fromkeys(hub.channels_broken, 1.0),
        objects=lambda hub: hub.channels,
    ),
    StateKind("hub_queue_drops", "items", "that full queues dropped in 5 minutes", lambda hub, _: {"": float(hub.queue_drops)}),
    StateKind(
        "hub_loop_lag",
        "seconds",
        "longest lag of the event loop in the last minute",
        lambda hub, _: None if hub.loop_lag_s is None else {"": hub.loop_lag_s},
    ),
    StateKind("hub_clock_jump", "seconds", "greatest jump of the hub's clock in the last hour", lambda hub, _: {"": hub.clock_jump_s}),
    StateKind(
        "hub_audit_broken",
        "flag",
        "1: a row of the audit log is missing or altered",
        lambda hub, _: None if hub.audit_broken is None else {"": 1.0} if hub.audit_broken else {},
    ),
)
NODE_STATES: Final = {kind.name: kind for kind in _NODE}
HUB_STATES: Final = {kind.name: kind for kind in _HUB}
STATES: Final[dict[str, StateKind[NodeFacts] | StateKind[HubInfo]]] = {**NODE_STATES, **HUB_STATES}
