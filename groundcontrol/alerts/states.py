"""States of nodes and of the hub that are not in samples. A state has a number for each object, such as for each unit. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, Generic, Literal, NamedTuple, TypeVar, get_args

from groundcontrol.alerts.model import Reason
from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import SubjectTable, TableCell

Subject = Literal["services", "containers", "package_faults"]
"""The subject of a table that states read."""
SUBJECTS: Final[tuple[Subject, ...]] = get_args(Subject)
RESTARTS: Final[Mapping[Subject, tuple[str, float]]] = {"services": ("unit", 600.0), "containers": ("name", 300.0)}
"""Subject of a table with a column `restarts` -> the column of names, and the window of the count in seconds."""
MOST_RESTARTS: Final = 64
"""How many changes of a count of restarts are held."""
SCARCE_PERCENT: Final = 10
"""Below this share of free space an absolute limit counts too. On a small disk a few free GiB are plenty."""
DEADLINE_MISSED: Final = "deadline_missed"
CHANNEL_BROKEN: Final = "hub_channel_broken"


class Restarts(NamedTuple):
    """Counts of restarts from the tables of one subject."""

    began_at: float
    """The time of the first table since the tables were last not known, in Unix seconds."""
    counts: Mapping[str, tuple[tuple[float, int], ...]]
    """Name -> (time, count) for each change of the count, oldest first. The first one may be older than the window."""


class NodeFacts(NamedTuple):
    """The facts of a node besides its samples. Times are in Unix seconds."""

    id: NodeId
    tags: tuple[str, ...] = ()
    silent_s: float | None = None
    """Seconds since the session was lost, while a hub ran; None: the node is connected."""
    heard_at: float | None = None
    """When the hub last heard from a node that is not connected; None: it is connected, or not known."""
    reconnecting: bool = False
    """Whether it is not known yet if the node is silent: the hub has just started, or could not read since when."""
    simulated: bool = False
    pending: bool = False
    """Whether the node has never completed a session."""
    waiting: bool = False
    """Whether the node waits for a user's approval."""
    cores: int = 0
    reboot_required: str = "unknown"
    reboot_since_at: float | None = None
    updates_security: int | None = None
    security_since_at: float | None = None
    patch_missed: int | None = None
    """How many roll-outs of patch policies in a row did not reach the node; None: not known."""
    lists_checked_at: float | None = None
    tables: Mapping[str, SubjectTable] = {}
    """The newest tables of `SUBJECTS`."""
    clock_skew_s: float | None = None
    agent: Literal["current", "outdated", "unknown"] = "unknown"
    outdated_since_at: float | None = None
    """Since when the node runs another Spider version than the hub offers; None: it does not, or that is not known."""
    jobs: Mapping[str, float] | None = None
    """Kind of trouble (`job_failed`) -> since when, in Unix seconds; None: not known."""
    deadlines: Mapping[str, float] | None = None
    """Name of an expectation whose deadline was missed -> 1: warning, 2: critical; None: not known."""
    missing_since: Mapping[str, float] = {}
    """Name of such an expectation -> the time by which its event was expected."""
    expectations: Collection[str] | None = None
    """The names of all expectations; None: not known."""
    restarts: Mapping[str, Restarts] = {}
    """Subject -> restarts. The engine derives them from successive tables."""

    @property
    def is_away(self) -> bool:
        """Whether nothing new is known from the node itself."""
        return self.silent_s is not None or self.reconnecting


class HubInfo(NamedTuple):
    """The facts of the hub itself. None: not known."""

    disk_free_percent: float | None = None
    disk_free_bytes: int | None = None
    backup_age_s: float | None = None
    """Seconds since the last backup; None: no backup was ever made, or the record of the last one cannot be read."""
    channels_broken: tuple[str, ...] | None = None
    """The names of broken channels."""
    channels: tuple[str, ...] | None = None
    """The names of all enabled channels."""
    queue_drops: int | None = None
    """How many items bounded queues dropped in the last 5 minutes. None too if there were none since a later start."""
    loop_lag_s: float | None = None
    """The longest lag of the event loop in the last minute, in seconds."""
    clock_jump_s: float | None = None
    """The greatest jump of the wall clock in the last hour, in seconds. None too if there was none since a later start."""
    audit_broken: bool | None = None
    """Whether a row of the audit log is missing or altered."""
    data_lost: bool | None = None
    """Whether the hub found in the last day that a database has lost its newest rows."""


Values = Mapping[str, float] | None
"""Object -> value. Missing objects have the value 0. None: the values are not known."""
Facts = TypeVar("Facts", NodeFacts, HubInfo)


class ObjectState(NamedTuple):
    """The state of one object."""

    about: str
    value: float
    since_at: float | None
    """When the condition began, in Unix seconds; None: it is not known."""
    end: Reason
    """The reason if its alert ends."""
    applies: bool = True
    is_least: bool = False
    """Both as in `StateKind`."""


class StateKind(NamedTuple, Generic[Facts]):
    name: str
    unit: str
    about: str
    """What the value is."""
    read: Callable[[Facts, float], Values]
    """Gives the values from the facts and the present time."""
    elapsed: bool = False
    """Whether the value is the time since the condition began."""
    by_wall_clock: bool = False
    """Whether the value is a time of days by the wall clock. For a while after a jump of that clock it is not known."""
    since: Callable[[Facts, str], float | None] | None = None
    """Gives the time when the condition of an object began, in Unix seconds. None: it begins when it is first seen."""
    objects: Callable[[Facts], Collection[str] | None] | None = None
    """Gives all existing objects; None: they are not known. The alert of an object that is not among them ends as `object_gone`."""
    applies: Callable[[Facts], bool] | None = None
    """Whether an alert may fire or go on; None: it always may. For a second condition besides the value."""
    is_known: Callable[[Facts, str], bool] | None = None
    """Whether the value of an object without an entry in `read` is known to be 0; None: it always is."""
    is_least: Callable[[Facts, float], bool] | None = None
    """Whether the values may be greater, as of the present time: an alert may fire by them, and none ends; None: they never are."""


def states_of(kind: StateKind[Facts], facts: Facts, held: Iterable[str], now: float) -> Iterator[ObjectState]:
    """The states of the objects that have a value or an instance; none if the values are not known. Args: held: objects with an instance."""
    values = kind.read(facts, now)
    if values is None:
        return
    for about in {**values, **dict.fromkeys(held)}:
        if about not in values and kind.is_known is not None and not kind.is_known(facts, about):
            continue
        value = values.get(about, 0.0)
        since_at = None if kind.since is None else kind.since(facts, about)
        if kind.elapsed:
            since_at = now - value if since_at is None else min(since_at, now - value)
        known = None if about in values or kind.objects is None else kind.objects(facts)
        end: Reason = "cleared" if known is None or about in known else "object_gone"
        is_least = kind.is_least is not None and kind.is_least(facts, now)
        yield ObjectState(about, value, since_at, end, kind.applies is None or kind.applies(facts), is_least)


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
    if not facts.updates_security:
        return None if facts.updates_security is None else {}
    return None if facts.security_since_at is None else {"": now - facts.security_since_at}


def _lists_age(facts: NodeFacts, now: float) -> Values:
    return None if facts.lists_checked_at is None or facts.silent_s is not None else {"": now - facts.lists_checked_at}


def _outdated(facts: NodeFacts, now: float) -> Values:
    if facts.agent == "outdated" and facts.outdated_since_at is not None:
        return {"": now - facts.outdated_since_at}
    return {} if facts.agent == "current" else None


def _trouble(kind: str) -> Callable[[NodeFacts, float], Values]:
    def read(facts: NodeFacts, now: float) -> Values:
        if facts.jobs is None:
            return None
        return {"": max(1.0, now - facts.jobs[kind])} if kind in facts.jobs else {}

    return read


def _rows(facts: NodeFacts, subject: Subject, *columns: str) -> list[tuple[TableCell, ...]] | None:
    """The rows of a table with these columns. A missing column is empty. None: there is no table, or the node could not read it."""
    table = facts.tables.get(subject)
    if table is None or table.total < 0 or facts.silent_s is not None:
        return None
    width = len(table.columns)
    picked = [table.cells[table.columns.index(name) :: width] if name in table.columns else (None,) * table.total for name in columns]
    return list(zip(*picked, strict=False))


def _in_state(subject: Subject, name: str, *states: str) -> Callable[[NodeFacts, float], Values]:
    def read(facts: NodeFacts, _now: float) -> Values:
        rows = _rows(facts, subject, name, "state")
        if rows is None or (rows and not {name, "state"} <= {*facts.tables[subject].columns}):
            return None
        return {str(what): 1.0 for what, state in rows if state in states}

    return read


def _unit_listed(facts: NodeFacts, unit: str) -> bool:
    """Whether the table of units tells that a unit without a bad state is well. A full table lists the failed ones first. Of many failed
    instances, a row with the name of their template stands for those that have none."""
    rows = _rows(facts, "services", "unit", "state") or []
    names = {name for name, _ in rows}
    if unit in names:
        return True
    stem, at, _ = unit.partition("@")
    grouped = bool(at) and f"{stem}@.{unit.rpartition('.')[2]}" in names
    return not grouped and (len(rows) >= facts.tables["services"].total or not rows or rows[-1][1] != "failed")


def _container_listed(facts: NodeFacts, container: str) -> bool:
    """Whether the table of containers has a container, or all of them."""
    rows = _rows(facts, "containers", "name") or []
    return len(rows) >= facts.tables["containers"].total or any(name == container for (name,) in rows)


def _container_runs(facts: NodeFacts, container: str) -> bool:
    """Whether the table tells that a container is not stopped: it runs, or a whole table does not have it. After an hour, or a restart of
    Spider, a stopped one may be listed with its engine's word for that."""
    rows = _rows(facts, "containers", "name", "state") or []
    states = [state for name, state in rows if name == container]
    return states[:1] in (["running"], ["frozen"], ["unhealthy"]) if states else len(rows) >= facts.tables["containers"].total


def _containers(facts: NodeFacts) -> Collection[str] | None:
    rows = _rows(facts, "containers", "name")
    if rows is None or len(rows) < facts.tables["containers"].total:
        return None  # a missing container may be beyond the limit of the table
    return {str(name) for (name,) in rows}


def count_restarts(before: NodeFacts, facts: NodeFacts, now: float | None = None) -> NodeFacts:
    """The facts with the counts of restarts from their tables added.

    Args: before: the previous facts, with earlier counts. now: the hub's time, in Unix seconds; None: the times of the tables count, which
          are those of the node's clock.
    """
    restarts = before.restarts
    for subject, (column, window_s) in RESTARTS.items():
        table = facts.tables.get(subject)
        if table is None or table == before.tables.get(subject):
            continue
        rows = _rows(facts, subject, column, "restarts")
        at = table.taken_at if now is None else now
        if rows is not None and "restarts" in table.columns:
            held = restarts.get(subject)
            if held is None or _rows(before, subject) is None:  # when the count rose meanwhile is not known
                held = Restarts(at, {})
            reported: dict[str, int] = {}
            for name, count in rows:  # running ones come first, and an ended one of the same name does not count
                if isinstance(count, int):
                    reported.setdefault(str(name), count)
            counts = {name: _counted(held.counts.get(name, ()), at, count, window_s) for name, count in reported.items()}
            restarts = {**restarts, subject: Restarts(held.began_at, counts)}
    return facts._replace(restarts=restarts) if restarts else facts


def _counted(held: tuple[tuple[float, int], ...], at: float, count: int, window_s: float) -> tuple[tuple[float, int], ...]:
    if held and count < held[-1][1]:  # it was started by hand, so the count began again
        held = ()
    if held and count == held[-1][1]:
        return held
    recent = [index for index, (changed_at, _) in enumerate(held) if changed_at > at - window_s]
    return (*held[max(0, recent[0] - 1 if recent else len(held) - 1) :][-MOST_RESTARTS:], (at, count))


def _restarting(subject: Subject) -> Callable[[NodeFacts, float], Values]:
    window_s = RESTARTS[subject][1]

    def read(facts: NodeFacts, now: float) -> Values:
        restarts = facts.restarts.get(subject)
        if restarts is None or _rows(facts, subject) is None or "restarts" not in facts.tables[subject].columns:
            return None
        values = {}
        for name, counts in restarts.counts.items():
            before = [count for at, count in counts if at <= now - window_s] or [counts[0][1]]
            if counts[-1][1] > before[-1]:
                values[name] = float(counts[-1][1] - before[-1])
        return values

    return read


def _partly_counted(subject: Subject) -> Callable[[NodeFacts, float], bool]:
    """Gives whether the tables are known for a part of the window only."""
    window_s = RESTARTS[subject][1]
    return lambda facts, now: subject in facts.restarts and now - facts.restarts[subject].began_at < window_s


def _patch_missed(facts: NodeFacts, _now: float) -> Values | None:
    if facts.patch_missed is None:
        return None
    return {"": float(facts.patch_missed)} if facts.patch_missed else {}


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
    StateKind(
        "offline",
        "seconds",
        "since the node's session was lost; the hub's own absence does not count",
        _offline,
        elapsed=True,
        since=lambda facts, _: facts.heard_at if facts.silent_s else None,
    ),
    StateKind("clock_skew", "seconds", "difference of the node's clock from the hub's", _skew),
    StateKind("reboot_due", "seconds", "since a reboot is due", _reboot_due, elapsed=True),
    StateKind("updates_security", "seconds", "since security updates wait", _security, elapsed=True, by_wall_clock=True),
    StateKind(
        "agent_outdated",
        "seconds",
        "since the hub ships another version of Spider than the node runs",
        _outdated,
        elapsed=True,
        by_wall_clock=True,
    ),
    StateKind("patch_missed", "times", "in a row that a roll-out of a patch policy ended without having reached the node", _patch_missed),
    StateKind("lists_age", "seconds", "since the package lists were checked", _lists_age, by_wall_clock=True),
    StateKind("unit_failed", "flag", "1: the unit of systemd failed", _in_state("services", "unit", "failed"), is_known=_unit_listed),
    StateKind(
        "unit_restarting",
        "restarts",
        "of the unit by systemd itself in 10 minutes",
        _restarting("services"),
        is_least=_partly_counted("services"),
    ),
    StateKind(
        "container_restarting",
        "restarts",
        "of the container in 5 minutes",
        _restarting("containers"),
        objects=_containers,
        is_least=_partly_counted("containers"),
    ),
    StateKind(
        "container_unhealthy",
        "flag",
        "1: its engine calls it unhealthy or dead",
        _in_state("containers", "name", "unhealthy", "dead"),
        objects=_containers,
        is_known=_container_listed,
    ),
    StateKind(
        "container_stopped",
        "flag",
        "1: it ran for ten minutes or longer, and stopped",
        _in_state("containers", "name", "stopped"),
        objects=_containers,
        is_known=_container_runs,
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
    StateKind(
        "hub_disk_free",
        "GiB",
        f"free where the hub stores its data; counts while less than {SCARCE_PERCENT} % are free",
        _bytes_free,
        applies=lambda hub: hub.disk_free_percent is None or hub.disk_free_percent < SCARCE_PERCENT,
    ),
    StateKind(
        "hub_backup_age",
        "seconds",
        "since the newest backup",
        lambda hub, _: None if hub.backup_age_s is None else {"": hub.backup_age_s},
        by_wall_clock=True,
    ),
    StateKind(
        CHANNEL_BROKEN,
        "flag",
        "1: the channel cannot send",
        lambda hub, _: None if hub.channels_broken is None else dict.fromkeys(hub.channels_broken, 1.0),
        objects=lambda hub: hub.channels,
    ),
    StateKind(
        "hub_queue_drops",
        "items",
        "that full queues dropped in 5 minutes",
        lambda hub, _: None if hub.queue_drops is None else {"": float(hub.queue_drops)},
    ),
    StateKind(
        "hub_loop_lag",
        "seconds",
        "longest lag of the event loop in the last minute",
        lambda hub, _: None if hub.loop_lag_s is None else {"": hub.loop_lag_s},
    ),
    StateKind(
        "hub_clock_jump",
        "seconds",
        "greatest jump of the hub's clock in the last hour",
        lambda hub, _: None if hub.clock_jump_s is None else {"": hub.clock_jump_s},
    ),
    StateKind(
        "hub_audit_broken",
        "flag",
        "1: a row of the audit log is missing or altered",
        lambda hub, _: None if hub.audit_broken is None else {"": float(hub.audit_broken)},
    ),
    StateKind(
        "hub_data_lost",
        "flag",
        "1: the hub found in the last day that a database has lost its newest rows",
        lambda hub, _: None if hub.data_lost is None else {"": float(hub.data_lost)},
    ),
)
NODE_STATES: Final = {kind.name: kind for kind in _NODE}
HUB_STATES: Final = {kind.name: kind for kind in _HUB}
STATES: Final[dict[str, StateKind[NodeFacts] | StateKind[HubInfo]]] = {**NODE_STATES, **HUB_STATES}
