"""Request bodies and views of nodes and their newest values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal, cast

import msgspec

from groundcontrol.core.tables import SubjectTable, TableCell
from groundcontrol.nodes.locations import Located
from groundcontrol.nodes.model import Health, Node, NodeIdentity, NodePolicy, agent_state, units_state
from groundcontrol.nodes.processes import SUBJECT, ProcessUse
from groundcontrol.nodes.summary import SummaryFragment, pack_summary, write_summary
from groundcontrol.nodes.support_ends import supported_until
from groundcontrol.web.answer import Answer, Body
from spider.wire.arg_kinds import ACTION
from spider.wire.report_messages import MAX_JOURNAL_LINES
from spider.wire.tables import BY_NAME, FAILED, TEXT, Column
from spider.wire.verbs import POLICY_LINES


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
    revision: str
    """The revision of git of the configuration that runs there (NixOS, nix-darwin, Home Manager); empty: unknown."""
    generation: int | None
    """The generation of that configuration; null: unknown."""


class LocationView(Answer):
    """Where a node is, and who says so: a user, the node (its owner's file), or its name (patterns of the hub's settings)."""

    location: str
    by: Literal["user", "node", "name"]


class PolicyView(Answer):
    mode: str
    verbs: list[str]
    units: list[str]
    """Names and patterns (`*`) of the units that the actions `unit-…` may name."""
    journal: Literal["off", "warning", "all"]
    """Lines of the journal that may be requested."""
    containers: list[str]
    """Names and patterns (`*`) of the containers that the action `container-restart` may name."""
    actions: list[str]
    """Names of the owner's own actions that the action `action-run` may run."""


class UpdatesView(Answer):
    total: int | None
    security: int | None
    checked_at: float | None


class Sample(Answer, gc=False):
    """One value; null: it could not be measured."""

    value: float | None
    at: float


class FindingView(Answer):
    kind: str
    object: str
    """The mount, unit, interface … with the fault; empty: the server as a whole."""
    level: Literal["notice", "warning", "critical"]
    since_at: float
    cause: str
    """A sentence for people."""
    action: str | None
    """The verb that helps; null: there is none."""
    alert_id: str
    """The alert behind the finding; empty: there is none."""


class NodeHealthView(Answer):
    level: Literal["ok", "notice", "warning", "critical", "unknown"]
    """The level of the worst finding. unknown: the server does not report, and no alert is raised yet."""
    findings: list[FindingView]
    """The worst first."""
    more: int
    """How many findings are left out: the worst 20 are listed."""


class NeverView(Answer):
    """Why no schedule may touch a node, and who said so."""

    reason: str
    by: str


class NodeView(Answer):
    id: str
    name: str
    address: str
    state: Literal["pending", "online", "offline"]
    reconnecting: bool
    """Whether the node may still reconnect: it was connected before the hub restarted less than two minutes ago."""
    tags: list[str]
    identity: IdentityView
    latest: dict[str, Sample]
    """Samples by series name. A list contains only a summary."""
    agent_version: str
    last_seen_at: float | None
    policy: PolicyView | None
    updates: UpdatesView
    reboot_required: Literal["yes", "no", "unknown"]
    created_at: float
    credentials_kept: bool
    simulated: bool
    waiting: bool
    """Whether the node waits for approval, since it joined with an organisation secret."""
    units: Literal["current", "older", "unknown"]
    """Whether the node's unit files are older than this release's. An update of Spider keeps them; a new deployment replaces them."""
    agent: Literal["current", "outdated", "unknown"]
    """The node's Spider compared with the hub's bundle. outdated = another version, which `stardust update` replaces."""
    clock_skew_seconds: float | None
    """Whole seconds by which the node's clock is ahead, measured within the last minute. null: unknown or not connected."""
    keys_generation: int
    """The key generation that the node last proved. `rekey` issues the next one."""
    note: str
    """Free text of users."""
    never_by_schedule: NeverView | None
    """Set: no patch policy touches the node."""
    location: LocationView | None
    """null: not known."""
    supported_until: str | None
    """The last day of security updates for its release, such as 2028-06-30; null: not known."""
    actions: list[str]
    """The named actions that its owner's policy file allows."""
    other_patcher: str | None
    """What else patches it, such as unattended-upgrades, with commas between; empty: nothing; null: not known."""
    health: NodeHealthView


class NodesView(Answer):
    nodes: list[NodeView]
    next: str | None


class NodePatch(Body):
    name: str | None = None
    tags: list[str] | None = None
    note: str | None = None
    never_by_schedule: str | None = None
    """Why no schedule may touch the node; empty: schedules may."""
    location: str | None = None
    """Where the node is, such as cloud, home or work; empty: as the node or its name says."""


class NodeEventBody(Body):
    type: str
    """A type that programs may report (docs/events.md)."""
    message: str
    severity: Literal["info", "warning", "error"] | None = None
    """null: the severity of the type."""
    details: dict[str, str | int | float] | None = None
    """At most 16 short texts and numbers."""
    at: float | None = None
    """When the event happened, in Unix seconds; null: now."""
    event_id: str | None = None
    """The caller's own id of the event. An event that is sent again with the same id is stored once."""


class EventBody(NodeEventBody):
    node_id: str | None = None


class StoredEventView(Answer):
    id: str
    """The id of the stored event. An equal event that follows within some minutes is only counted, and gets the id of the first."""


class FleetData(Answer):
    nodes: list[NodeView]
    """All nodes with the summary in `latest`. Other series are in `node:<id>`."""


class FleetChange(Answer):
    """Changes since the last message: whole rows of nodes whose record changed, else only new values."""

    nodes: list[NodeView]
    latest: dict[str, dict[str, Sample]]
    """node id -> series -> sample. A series with an unchanged value is omitted, except `cpu.total` and `load.1`."""
    removed: list[str]


class NodeChange(Answer):
    """New values (`latest`), a changed record (`node`), or a new table."""

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


def chosen_series(latest: Latest, wanted: Collection[str]) -> dict[str, Sample]:
    """The requested series. A metric's bare name selects the series of all its labels."""
    return sample_views({name: value for name, value in latest.items() if name in wanted or name.partition("{")[0] in wanted})


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
    health: Health,
    located: Located | None,
) -> NodeView:
    identity = node.identity
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
        policy=_policy(node.policy),
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
        note=node.note,
        never_by_schedule=NeverView(node.never_why, node.never_by) if node.never_why else None,
        location=None if located is None else LocationView(located.location, located.by),
        supported_until=supported_until(identity),
        actions=[] if node.policy is None else list(node.policy.named(ACTION)),
        other_patcher=identity.other_patcher,
        health=NodeHealthView(
            level=health.level, findings=[FindingView(**finding._asdict()) for finding in health.findings], more=health.more
        ),
    )


def _identity(identity: NodeIdentity) -> IdentityView:
    fields = {**identity._asdict(), "addresses": list(identity.addresses), "generation": identity.generation or None}
    del fields["units"], fields["location"], fields["other_patchers"], fields["support_end"]
    return IdentityView(**fields)


def _policy(policy: NodePolicy | None) -> PolicyView | None:
    if policy is None:
        return None
    journal = cast("Literal['warning', 'all']", policy.journal) if policy.journal in ("warning", "all") else "off"
    lines = {line: list(policy.named(kind)) for line, (kind, _) in POLICY_LINES.items()}
    return PolicyView(mode=policy.mode, verbs=list(policy.verbs), journal=journal, **lines)


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
    """Lines before this line that the node dropped, since there were too many."""


class LogsView(Answer):
    lines: list[LogLineView]
    """Empty if the node's owner does not enable log lines."""
    next: str | None


class JournalBody(Body):
    unit: str
    """Full name of a service, socket or timer of systemd, such as `nginx.service`."""
    lines: int = MAX_JOURNAL_LINES
    """How many lines, 1 to 200."""
    level: Literal["warning", "all"] = "all"
    """Warnings and worse, or all lines that the node's owner shows."""


class UnitLineView(Answer):
    at: float
    """By the node's clock."""
    priority: int
    """0 (emergency) to 7 (debug), as syslog(3) counts."""
    text: str


class UnitJournalView(Answer):
    unit: str
    level: Literal["warning", "all"]
    """The level of these lines. warning: it was requested, or the node's owner shows no others."""
    left_out: int
    """How many of the requested lines did not fit into the node's answer; the oldest are left out."""
    lines: list[UnitLineView]
    """Oldest first. The hub does not store them."""


class ColumnView(Answer):
    name: str
    kind: Literal["text", "number", "time"]
    """time: Unix seconds."""
    unit: str


class TableView(Answer):
    """The table of one subject of a node at one moment: processes, failed services, interfaces …"""

    subject: str
    taken_at: float
    total: int | None
    """Number of rows on the node. The table may contain only the first rows. null: reading failed."""
    columns: list[ColumnView]
    rows: list[list[str | float | None]]
    """A null cell is unknown, or Spider may not read it."""


class TablesView(Answer):
    tables: list[TableView]
    """Tables by subject. A subject that the server lacks, or that Spider has not sent yet, is absent."""


class ProcessView(Answer):
    name: str
    user: str
    cpu: float | None
    """Percent of one core; null: unknown."""
    memory: int | None
    """Resident set in bytes; null: unknown."""


class ProcessReadingView(Answer):
    taken_at: float
    """By the node's clock."""
    by_cpu: list[ProcessView]
    """At most 10, the busiest first."""
    by_memory: list[ProcessView]
    """At most 10, the largest first."""


class PastProcessesView(Answer):
    at: float
    """The requested time."""
    reading: ProcessReadingView | None
    """The last reading at or before that time. null: the hub has none."""


class InstalledPackageView(Answer):
    name: str
    version: str


class PackagesView(Answer):
    packages: list[InstalledPackageView]
    total: int
    """Number of packages that match."""
    taken_at: float | None
    """When the hub received the last change. null: the node has not sent its packages yet."""
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
    """yes: a security update on at least one node."""
    nodes: int
    security_nodes: int
    candidates: list[CandidateView]
    """Available versions, those of most nodes first; at most 8."""


class PackageUpdatesView(Answer):
    packages: list[PackageUpdateView]
    """Security updates first, then by the number of nodes."""
    total: int
    """Number of packages that match."""
    security: int
    """Number of these that are security updates."""
    told: int
    """Nodes whose update list the hub has."""
    silent: int
    """Nodes without an update list: not sent yet, or not readable."""
    cut: int
    """Nodes with more updates than their list holds."""
    oldest_at: float | None
    """When the oldest list was read."""
    next: str | None


class NodeUpdateView(Answer, rename={"before": "from", "after": "to"}):
    node_id: str
    before: str
    after: str
    security: Literal["yes", "no", "unknown"]
    repository: str
    held: bool
    """Whether the package is on hold."""


class NodeUpdatesView(Answer):
    nodes: list[NodeUpdateView]
    total: int
    next: str | None


def is_in_catalogue(table: SubjectTable) -> bool:
    """Whether the catalogue contains the table's subject and all its columns."""
    subject = BY_NAME.get(table.subject)
    return subject is not None and {*table.columns} <= {column.name for column in subject.columns}


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


def process_views(uses: Iterable[ProcessUse]) -> list[ProcessView]:
    """Processes with their CPU in percent of one core."""
    return [ProcessView(use.name, use.user, None if use.cpu is None else use.cpu / _CPU_SCALE, use.memory) for use in uses]


_CPU_SCALE: Final = next(column.scale for column in BY_NAME[SUBJECT].columns if column.name == "cpu")


def _kind(column: Column) -> Literal["text", "number", "time"]:
    return "text" if column.kind == TEXT else "time" if column.unit == "time" else "number"


def _cell(column: Column, cell: TableCell) -> str | float | None:
    return cell / column.scale if isinstance(cell, int) and column.scale != 1 else cell
