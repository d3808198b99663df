"""Request bodies and views of nodes and their newest values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, cast

import msgspec

from groundcontrol.core.tables import SubjectTable, TableCell
from groundcontrol.nodes.model import Node, NodeIdentity, agent_state, units_state
from groundcontrol.nodes.summary import SummaryFragment, pack_summary, write_summary
from groundcontrol.web.answer import Answer, Body
from spider.wire.tables import BY_NAME, FAILED, TEXT, Column


class IdentityView(Answer):
    hostname: str
    machine_id: str
    os_id: str
    os_name: str
    os_version: str
    kernel: str
    architecture: str
    virtualization: str
    cpu_model: str
    cpu_cores: int
    memory_bytes: int
    package_manager: str
    timezone: str
    booted_at: float
    addresses: list[str]


class PolicyView(Answer):
    mode: str
    verbs: list[str]


class UpdatesView(Answer):
    total: int | None
    security: int | None
    checked_at: float | None


class Sample(Answer, gc=False):
    """`value` null: could not be measured."""

    value: float | None
    at: float


class NodeView(Answer):
    id: str
    name: str
    address: str
    state: Literal["pending", "online", "offline"]
    reconnecting: bool
    """Not connected, but it was when the hub last ended, and the hub was started less than two minutes ago: whether it is offline is not known yet."""
    tags: list[str]
    identity: IdentityView
    latest: dict[str, Sample]
    """By series name; in lists only a summary."""
    agent_version: str
    last_seen_at: float | None
    policy: PolicyView | None
    updates: UpdatesView
    reboot_required: Literal["yes", "no", "unknown"]
    created_at: float
    credentials_kept: bool
    simulated: bool
    waiting: bool
    """For somebody's approval: it came with an organisation secret."""
    units: Literal["current", "older", "unknown"]
    """Its unit files, which updates of Spider leave alone: older than this release's, so that the node wants to be deployed again."""
    agent: Literal["current", "outdated", "unknown"]
    """Its Spider, compared with the one that the hub ships: outdated = another version, which `stardust update` replaces."""
    clock_skew_seconds: float | None
    """By how many whole seconds its clock is ahead of the hub's, as it measured within the last minute; null: not known, or it is not connected."""
    keys_generation: int
    """Which generation of its keys it has proven last; `rekey` gives it the next one."""


class NodesView(Answer):
    nodes: list[NodeView]
    next: str | None


class NodePatch(Body):
    name: str | None = None
    tags: list[str] | None = None


class FleetData(Answer):
    nodes: list[NodeView]
    """With the summary in `latest`; a series asked for by name is in `node:<id>`."""


class FleetChange(Answer):
    """What changed since the last: whole rows of nodes whose facts changed, else only new values."""

    nodes: list[NodeView]
    latest: dict[str, dict[str, Sample]]
    """node id -> series -> sample; a series that has the value it had is left out, except `cpu.total` and `load.1`."""
    removed: list[str]


class NodeChange(Answer):
    """New values (`latest`), a node whose facts changed (`node`), or a table that was read anew."""

    latest: dict[str, Sample]
    node: NodeView | None = None
    table: TableView | None = None


Latest = Mapping[str, tuple[float | None, float]]
"""Series -> (value, time of the sample)."""


def sample_views(latest: Latest) -> dict[str, Sample]:
    """Values as the API sends them."""
    return {name: Sample(value=value, at=at) for name, (value, at) in latest.items()}


def summary_msgpack(fragments: Iterable[SummaryFragment]) -> dict[str, Sample]:
    """The summary of a node (`nodes.summary`) for a MessagePack answer, from the bytes that were encoded when its rows arrived."""
    return cast("dict[str, Sample]", msgspec.Raw(pack_summary(fragments)))


def summary_json(fragments: Iterable[SummaryFragment]) -> dict[str, Sample]:
    """The summary of a node for a JSON answer."""
    return cast("dict[str, Sample]", msgspec.Raw(write_summary(fragments)))


def chosen_series(latest: Latest, wanted: Iterable[str]) -> dict[str, Sample]:
    """The requested series; a metric's bare name selects the series of all its labels."""
    found: dict[str, tuple[float | None, float]] = {}
    for name in wanted:
        if name in latest:
            found[name] = latest[name]
        else:
            found.update({series: value for series, value in latest.items() if series.startswith(name + "{")})
    return sample_views(found)


def node_view(
    node: Node,
    latest: dict[str, Sample],
    *,
    shipped: str,
    online: bool,
    reconnecting: bool,
    last_seen_at: float | None,
    credentials_kept: bool,
    skew_s: float | None,
) -> NodeView:
    identity = node.identity
    policy = node.policy
    return NodeView(
        id=node.id,
        name=node.name,
        address=node.address,
        state="online" if online else "pending" if node.pending else "offline",
        reconnecting=reconnecting,
        tags=list(node.tags),
        identity=_identity(identity),
        latest=latest,
        agent_version=node.agent_version,
        last_seen_at=last_seen_at,
        policy=PolicyView(mode=policy.mode, verbs=list(policy.verbs)) if policy is not None else None,
        updates=UpdatesView(**node.updates._asdict()),
        reboot_required=_reboot(node.reboot_required),
        created_at=node.created_at,
        credentials_kept=credentials_kept,
        simulated=node.simulated,
        waiting=node.waiting,
        units=units_state(identity.units),
        agent=agent_state(node.agent_version, shipped),
        clock_skew_seconds=None if skew_s is None else float(round(skew_s)),  # whole seconds, since a list sends every change of this value
        keys_generation=node.generation,
    )


def _identity(identity: NodeIdentity) -> IdentityView:
    fields = {**identity._asdict(), "addresses": list(identity.addresses)}
    del fields["units"]
    return IdentityView(**fields)


def _reboot(text: str) -> Literal["yes", "no", "unknown"]:
    return cast("Literal['yes', 'no']", text) if text in ("yes", "no") else "unknown"


class LogLineView(Answer):
    at: float
    """By the node's clock."""
    priority: int
    """0 (emergency) to 7 (debug), as syslog(3) counts."""
    source: str
    """The unit, else the program."""
    text: str
    left_out: int
    """Lines shortly before this one that were too many to be sent."""


class LogsView(Answer):
    lines: list[LogLineView]
    """None at all where the node's owner does not ask for them."""
    next: str | None


class ColumnView(Answer):
    name: str
    kind: Literal["text", "number", "time"]
    """time: Unix seconds."""
    unit: str


class TableView(Answer):
    """One subject of a node as it stood at one moment: processes, services that failed, interfaces …"""

    subject: str
    taken_at: float
    total: int | None
    """Rows that there really were, of which the table may have the first ones only; null: reading failed, so that there are none here."""
    columns: list[ColumnView]
    rows: list[list[str | float | None]]
    """A cell that is null is not known, or may not be read by Spider."""


class TablesView(Answer):
    tables: list[TableView]
    """By subject. One that this server cannot have, or that Spider has not told yet, is not there."""


class InstalledPackageView(Answer):
    name: str
    version: str


class PackagesView(Answer):
    packages: list[InstalledPackageView]
    total: int
    """Of all that match."""
    taken_at: float | None
    """When the hub heard of the last change; null: the node has not told yet."""
    next: str | None


class CandidateView(Answer):
    version: str
    security: Literal["yes", "no", "unknown"]
    repository: str
    """Empty = not known."""
    nodes: int


class PackageUpdateView(Answer):
    package: str
    security: Literal["yes", "no", "unknown"]
    """yes: on at least one node."""
    nodes: int
    security_nodes: int
    candidates: list[CandidateView]
    """The versions that it can be brought to, those on most nodes first; at most 8."""


class PackageUpdatesView(Answer):
    packages: list[PackageUpdateView]
    """For security first, then by how many nodes they are for."""
    total: int
    """Packages that match."""
    security: int
    """Of these, for security."""
    told: int
    """Nodes whose list the hub has."""
    silent: int
    """Nodes that have not told one, or could not read it."""
    cut: int
    """Nodes with more updates than their list holds."""
    oldest_at: float | None
    """When the oldest of the lists was read."""
    next: str | None


class NodeUpdateView(Answer, rename={"before": "from", "after": "to"}):
    node_id: str
    before: str
    after: str
    security: Literal["yes", "no", "unknown"]
    repository: str
    held: bool
    """Its owner does not want it changed."""


class NodeUpdatesView(Answer):
    nodes: list[NodeUpdateView]
    total: int
    next: str | None


def table_view(table: SubjectTable) -> TableView:
    """A table with its numbers in the units of the catalogue."""
    known = {column.name: column for column in BY_NAME[table.subject].columns}
    columns = [known[name] for name in table.columns]
    rows = zip(*(iter(table.cells),) * len(columns), strict=True)
    return TableView(
        subject=table.subject,
        taken_at=table.taken_at,
        total=None if table.total == FAILED else table.total,
        columns=[ColumnView(column.name, _kind(column), "" if column.unit == "time" else column.unit) for column in columns],
        rows=[[_cell(column, cell) for column, cell in zip(columns, row, strict=True)] for row in rows],
    )


def _kind(column: Column) -> Literal["text", "number", "time"]:
    return "text" if column.kind == TEXT else "time" if column.unit == "time" else "number"


def _cell(column: Column, cell: TableCell) -> str | float | None:
    return cell / column.scale if isinstance(cell, int) and column.scale != 1 else cell
