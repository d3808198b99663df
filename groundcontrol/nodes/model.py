"""Domain types of nodes (the servers of the fleet), their reports, and the lines of their logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.core.scope import Scope
from spider.wire.arg_kinds import ArgKind

UNITS: Final = 1
"""The version of the unit files that this release installs (`STARDUST_UNITS` in `majortom/remote/units/stardust-spider.service`)."""


ROLE: Final = "role:"
"""Tags that begin so say what a node is for. Nodes of one role reboot one after the other."""


class NodeIdentity(NamedTuple):
    """A node's report about itself. On arrival, every text loses its control characters and is cut to a limit."""

    hostname: str = ""
    machine_id: str = ""
    os_id: str = ""
    os_name: str = ""
    os_version: str = ""
    kernel: str = ""
    architecture: str = ""
    virtualization: str = ""
    cpu_model: str = ""
    cpu_cores: int = 0
    memory_bytes: int = 0
    package_manager: str = ""
    timezone: str = ""
    booted_at: float = 0.0
    addresses: tuple[str, ...] = ()
    units: int = 0
    """The version of the node's unit files; 0 = the node does not report it."""
    revision: str = ""
    """The revision of git of the configuration that runs there; empty: unknown, or the node has no such configuration."""
    generation: int = 0
    """The generation of that configuration; 0 = unknown."""
    location: str = ""
    """Where the node is, by its owner's file."""
    other_patchers: str = ""
    """What else patches the node, with commas between; `none`; empty: an older agent does not report it."""
    support_end: str = ""
    """The last day of support by the node's os-release, such as 2027-05-12; empty: it names none."""

    @property
    def other_patcher(self) -> str | None:
        """What else patches it; empty: nothing; None: not known."""
        return {"": None, "none": ""}.get(self.other_patchers, self.other_patchers)


def units_state(units: int, current: int = UNITS) -> Literal["current", "older", "unknown"]:
    """How a node's unit files compare with those of this release. A deployment changes them, an update of Spider does not."""
    if units == 0:
        return "unknown"
    return "older" if units < current else "current"


def agent_state(version: str, shipped: str) -> Literal["current", "outdated", "unknown"]:
    """How a node's Spider compares with the version that the hub ships. An update installs the shipped version, even if it is older."""
    if not version:
        return "unknown"
    return "current" if version == shipped else "outdated"


class NodeUpdates(NamedTuple):
    """The numbers of packages that could be upgraded, and when the package manager last got its lists (Unix seconds). None: not known."""

    total: int | None = None
    security: int | None = None
    checked_at: float | None = None


class NodePolicy(NamedTuple):
    """The actions that the node's owner allows, as the node reports them."""

    mode: str
    verbs: tuple[str, ...] = ()
    journal: str = "off"
    """Lines of the journal that the hub may request: off, warning or all."""
    lines: Mapping[str, tuple[str, ...]] = {}
    """The names and patterns (`*`) that actions may name, by the line of the policy file that has them."""

    def named(self, kind: ArgKind) -> tuple[str, ...]:
        """The names and patterns that actions of this kind may name."""
        return self.lines.get(kind.line, ())


class Node(NamedTuple):
    """One row of the fleet. `no` is the store's short number of the node; the API never shows it."""

    id: NodeId
    no: int
    org: int
    name: str
    address: str
    tags: tuple[str, ...]
    generation: int
    """The generation of the node's keys; the first is 1."""
    pending: bool
    """Whether the node has never completed a session."""
    identity: NodeIdentity
    agent_version: str
    policy: NodePolicy | None
    updates: NodeUpdates
    reboot_required: str
    created_at: float
    last_seen_at: float | None
    version: int
    simulated: bool = False
    waiting: bool = False
    """The node enrolled with an organisation secret, and may do nothing until a user approves it."""
    damaged: tuple[str, ...] = ()
    """The names of the fields above that the store cannot read. They are empty or have their default."""
    security_since_at: float | None = None
    """Since when the node has had security updates; None: it has none, or has not reported any."""
    reboot_since_at: float | None = None
    """Since when the node has needed a reboot; None: it needs none, or it is not known."""
    note: str = ""
    """Free text of users."""
    never_why: str = ""
    """Why no schedule may touch the node; empty: schedules may."""
    never_by: str = ""
    """The name of the user who said so."""
    location: str = ""
    """Where the node is, as users set it."""
    patch_missed: int = 0
    """How many roll-outs of patch policies in a row ended without having reached the node."""

    def admitted(self, scope: Scope) -> bool:
        """Whether the caller's grants include this node."""
        return scope.admits(self.id, self.tags)


class NewNode(NamedTuple):
    """The values of a new node. The caller makes the id, which no other node ever gets."""

    id: NodeId
    name: str
    address: str
    tags: tuple[str, ...] = ()
    simulated: bool = False


class Session(NamedTuple):
    """Proof that this hub owns the node now; every write on behalf of a node takes it."""

    node: NodeId
    no: int
    epoch: int
    hub: HubId
    boot: BootId
    org: int
    """The organisation of the node."""


def adopted_name(node: NodeId) -> str:
    """The name of a node that was enrolled with the recovery key, until it reports its host's name."""
    return f"recovered {node[:8]}"


Tri = Literal["yes", "no", "unknown"]


class LogLine(NamedTuple):
    """One line of limited length; control characters that would act on a terminal or a page are escaped."""

    at_ms: int
    """The time by the node's clock."""
    priority: int
    """0 to 7, as in syslog(3)."""
    source: str
    text: str
    left_out: int = 0
    """The number of lines shortly before this line that the node did not send, because there were too many."""


class UnitLines(NamedTuple):
    """A node's answer to a request for the last lines of a unit's journal."""

    refused: str
    """Why there are no lines: policy, bad-unit, busy, unreadable or slow; empty: the node sent them."""
    why: str
    left_out: int
    """How many of the requested lines did not fit. The oldest are left out."""
    lines: tuple[LogLine, ...]
    """Oldest first."""


class LogBatch(NamedTuple):
    """Consecutive lines of a node's journal."""

    after: str
    """The journal cursor just before the first line; empty = the beginning."""
    cursor: str
    """The journal cursor of the last line."""
    lines: Sequence[LogLine]


HealthLevel = Literal["ok", "notice", "warning", "critical", "unknown"]


class Finding(NamedTuple):
    """One thing that is wrong with a node, or due."""

    kind: str
    """`offline`, `filesystem`, `unit_failed`, `reboot_due` …"""
    object: str
    """The mount, unit, interface … with the fault; empty: the node as a whole."""
    level: Literal["notice", "warning", "critical"]
    since_at: float
    cause: str
    """A sentence for people."""
    action: str | None
    """The verb that helps; None: there is none."""
    alert_id: str = ""
    """The alert or notice behind the finding."""


class Health(NamedTuple):
    """The state of a node in one word, and why."""

    level: HealthLevel
    findings: tuple[Finding, ...] = ()
    """The worst first; at most 20."""
    more: int = 0
    """How many other findings there are."""
