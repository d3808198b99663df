"""Patch policies and their occurrences. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection
from typing import Final, Literal, NamedTuple, NewType

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.core.records import Record
from groundcontrol.events.catalogue import event_type
from groundcontrol.nodes.model import ROLE
from groundcontrol.policies.calendar import Times, check_times
from groundcontrol.schedules.model import Selector
from spider.wire.arg_kinds import MAX_ACTION_S
from spider.wire.probes import is_probe
from spider.wire.report_messages import MAX_PROBES

PolicyId = NewType("PolicyId", str)
What = Literal["security", "all", "full", "nothing"]
Reboots = Literal["never", "if_required", "always"]
Approval = Literal["none", "person", "two_persons"]
HubMissed = Literal["skip", "once"]
NodeMissed = Literal["skip", "when_back"]
OccurrenceState = Literal["planned", "waiting_approval", "started", "missed", "skipped"]
Paused = Literal["", "owner", "restored", "stopped", "suspended"]
GateMode = Literal["stop", "observe"]
ProbeKind = Literal["http", "tcp", "unit"]

SHORTEST_S: Final = 900
LONGEST_S: Final = 86_400
"""How long a policy may take: nodes that are not reached go first the next time."""
LATE_S: Final = 300.0
"""An occurrence that a hub begins later than this was missed by the hub."""
MOST_GLOBS: Final = 100
MOST_GROUPS: Final = 20
MOST_ACTIONS: Final = 10
MAX_NAME_CHARS: Final = 80
MOST_AGE_DAYS: Final = 365
_GLOB: Final = re.compile(r"[A-Za-z0-9@._+:*?-]{1,128}\Z")
_ACTION: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_KERNEL: Final = re.compile(
    r"(linux-(image|headers|modules|generic|virtual|kbuild|libc-dev|tools).*|kernel(-.*)?|linux(-lts|-zen|-hardened|-virt|-rt|-rt-lts)?"
    r"|(proxmox|pve)-kernel.*|raspberrypi-kernel)\Z"
)


class PolicySelect(NamedTuple):
    """Which nodes: those of `select`, without those with one of these tags or ids."""

    select: Selector
    not_tags: tuple[str, ...] = ()
    not_nodes: tuple[NodeId, ...] = ()

    def selects(self, node: NodeId, tags: tuple[str, ...]) -> bool:
        return self.select.selects(node, tags) and node not in self.not_nodes and not any(tag in tags for tag in self.not_tags)


class ActionStep(NamedTuple):
    """A named action of the nodes that runs before or after the work."""

    name: str
    timeout_s: int = 600
    must_succeed: bool = True


class NeedsEvent(NamedTuple):
    """The node must have reported this event within so many seconds."""

    type: str
    within_s: int


class Probe(NamedTuple):
    """Something that must answer while a target is watched, if it answered before."""

    kind: ProbeKind
    target: str
    """http: a URL on the node itself; tcp: a port; unit: a unit of systemd."""


class MinAge(NamedTuple):
    """How old an update must be, in days since the fleet first saw it."""

    security: int = 0
    other: int = 0


class Order(NamedTuple):
    """Waves (canaries, then shares of the rest), or groups of tags, one after the other."""

    canary: int | None = None
    """None: 1 for up to 4 targets, 2 from 5 on."""
    percent: int = 10
    at_once: int = 10
    groups: tuple[str, ...] = ()


class PatchPolicy(NamedTuple):
    id: PolicyId
    org: int
    name: str
    select: PolicySelect
    times: Times
    enabled: bool = True
    what: What = "security"
    leave_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    kernel: bool = True
    min_age: MinAge = MinAge()
    order: Order = Order()
    max_failed: int = 0
    role_tags: tuple[str, ...] = ()
    """Empty: the tags that begin with `role:`."""
    before: tuple[ActionStep, ...] = ()
    after: tuple[ActionStep, ...] = ()
    needs_event: NeedsEvent | None = None
    probes: tuple[Probe, ...] = ()
    gates: GateMode = "stop"
    """`observe`: gates are shown and stop nothing; failed jobs still stop it."""
    watch_s: int = 900
    reboot: Reboots = "if_required"
    max_per_role: int = 1
    approval: Approval = "none"
    notice_h: int = 24
    report: tuple[str, ...] = ()
    """Ids of channels that get the report."""
    hub_missed: HubMissed = "skip"
    node_missed: NodeMissed = "skip"
    owner_id: str = ""
    owner: str = ""
    edited_by: str = ""
    """Id of the last editor, who may not approve."""
    paused: Paused = ""
    """Why it makes no roll-outs although it is enabled: `owner`, `restored`, `stopped`; empty: it does."""
    considered_at: float = 0.0
    """Occurrences up to here were judged: each runs once, whatever restarts."""
    changed_at: float = 0.0
    version: int = 1

    @property
    def fires(self) -> bool:
        return self.enabled and not self.paused

    @property
    def filters(self) -> bool:
        """Whether nodes get a list of packages and not a whole verb."""
        return bool(
            self.leave_out or self.only or not self.kernel or self.min_age.security or self.min_age.other or self.approval != "none"
        )


_FIXED: Final = ("id", "org", "version")
_TIMES: Final = ("considered_at", "changed_at")
PATCH_POLICIES: Final = Record(
    model=PatchPolicy,
    table="patch_policy",
    noun="patch_policy",
    plural="patch policies",
    edited=[name for name in PatchPolicy._fields if name not in _FIXED],
    audited={name: name for name in PatchPolicy._fields if name not in _FIXED + _TIMES},
    body="spec",
    columns={"name": "name", "paused": "paused", "considered_at": "considered_at"},
    unique="name",
    order="name",
    most=200,
)


class Pair(NamedTuple):
    """One update by name and version."""

    package: str
    version: str


class ApprovalMark(NamedTuple):
    by_id: str
    by: str
    at: float


class Occurrence(NamedTuple):
    """One slot of a policy. `due_at` is its identity."""

    policy_id: PolicyId
    org: int
    due_at: float
    until_at: float
    state: OccurrenceState
    why: str = ""
    rollout_id: str | None = None
    approvals: tuple[ApprovalMark, ...] = ()
    pairs: tuple[Pair, ...] | None = None
    """What the notice named; None: no approval is asked for, or no notice was given yet."""
    noticed_at: float | None = None
    version: int = 1


def needed_approvals(policy: PatchPolicy) -> int:
    return {"none": 0, "person": 1, "two_persons": 2}[policy.approval]


def wants_reboot(policy: PatchPolicy, *, changes: bool, required: bool) -> bool:
    """Whether a policy reboots a node.

    Args: changes: it also installs something: `always` reboots no up-to-date node, unless the policy does nothing else.
          required: the node says that it needs a reboot.
    """
    always = policy.reboot == "always" and (changes or policy.what == "nothing")
    return always or (policy.reboot != "never" and required)


def check_policy(policy: PatchPolicy) -> None:
    """Check the fields of a policy but its name. Raises: BadRequest: the text names the field and says what to do."""
    check_times(policy.times, shortest_s=SHORTEST_S, longest_s=LONGEST_S)
    _check_globs(policy)
    if policy.what == "full" and policy.filters:
        raise BadRequest(
            "what: full takes whole upgrades, so it allows no leave_out, only, kernel: no, min_age_days or approval: choose all or security",
            field="what",
        )
    if policy.what == "nothing" and (policy.leave_out or policy.only):
        raise BadRequest("what: nothing takes no package, so it allows no leave_out and only: remove them", field="what")
    if policy.what == "nothing" and policy.reboot == "never":
        raise BadRequest("what: nothing with reboot: never does nothing: choose another", field="what")
    if not (0 <= policy.min_age.security <= MOST_AGE_DAYS and 0 <= policy.min_age.other <= MOST_AGE_DAYS):
        raise BadRequest(f"min_age_days: 0 to {MOST_AGE_DAYS} days", field="min_age_days")
    _check_order(policy)
    _check_steps(policy)
    if not 0 <= policy.notice_h <= 14 * 24:
        raise BadRequest("notice_h: 0 to 336 hours", field="notice_h")
    if policy.approval != "none" and policy.notice_h == 0:
        raise BadRequest("notice_h: an approval needs a notice before: give at least 1 hour", field="notice_h")
    if not 300 <= policy.watch_s <= 3600:
        raise BadRequest("watch_s: 300 to 3600 seconds (5 to 60 minutes)", field="watch_s")
    if policy.times.length_s <= policy.watch_s:
        raise BadRequest("length_s: shorter than the watch of one node, so nothing could ever start: make it longer", field="length_s")


def _check_globs(policy: PatchPolicy) -> None:
    for field, globs in (("leave_out", policy.leave_out), ("only", policy.only)):
        if len(globs) > MOST_GLOBS:
            raise BadRequest(f"{field}: at most {MOST_GLOBS} patterns", field=field)
        for glob in globs:
            if not _GLOB.match(glob):
                raise BadRequest(f"{field}: {glob[:80]!r} is not a name or pattern of packages, such as postgresql-*", field=field)
    both = sorted(set(policy.leave_out) & set(policy.only))
    if both:
        raise BadRequest(f"leave_out and only both name {both[0]}: leave it out of one of them", field="leave_out")
    everything = next((glob for glob in policy.leave_out if "*" in glob and not glob.strip("*?")), None)
    if everything is not None:
        raise BadRequest(f"leave_out: {everything} matches every package and leaves no package: remove it", field="leave_out")
    if policy.only and all(matches(policy.leave_out, one) for one in policy.only):
        raise BadRequest("leave_out leaves no package of only: remove a pattern", field="leave_out")
    if policy.only and not policy.kernel and all(is_kernel(one) for one in policy.only):
        raise BadRequest("only names kernels alone, and kernel: no leaves them out: change one of them", field="kernel")


def _check_order(policy: PatchPolicy) -> None:
    order = policy.order
    if order.canary is not None and not 0 <= order.canary <= 10:
        raise BadRequest("order.canary: 0 to 10", field="order")
    if not 1 <= order.percent <= 100:
        raise BadRequest("order.percent: 1 to 100", field="order")
    if not 1 <= order.at_once <= 100:
        raise BadRequest("order.at_once: 1 to 100", field="order")
    if len(order.groups) > MOST_GROUPS or len(set(order.groups)) != len(order.groups):
        raise BadRequest(f"order.groups: at most {MOST_GROUPS} tags, each once", field="order")
    if not 0 <= policy.max_failed <= 1000:
        raise BadRequest("max_failed: 0 to 1000", field="max_failed")
    if not 1 <= policy.max_per_role <= 10:
        raise BadRequest("max_per_role: 1 to 10", field="max_per_role")


def _check_steps(policy: PatchPolicy) -> None:
    for field, steps in (("before", policy.before), ("after", policy.after)):
        if len(steps) > MOST_ACTIONS:
            raise BadRequest(f"{field}: at most {MOST_ACTIONS} actions", field=field)
        for one in steps:
            if not _ACTION.match(one.name):
                raise BadRequest(f"{field}: {one.name[:64]!r} is not the name of an action", field=field)
            if not 1 <= one.timeout_s <= MAX_ACTION_S:
                raise BadRequest(f"{field}: timeout_s of {one.name}: 1 to {MAX_ACTION_S} seconds", field=field)
    if policy.needs_event is not None:
        if event_type(policy.needs_event.type) is None and not re.fullmatch(r"[a-z0-9_.-]{1,64}", policy.needs_event.type):
            raise BadRequest("needs_event.type: a type of event, or the name of a custom one", field="needs_event")
        if not 60 <= policy.needs_event.within_s <= 90 * 86_400:
            raise BadRequest("needs_event.within_s: 60 seconds to 90 days", field="needs_event")
    if len(policy.probes) > MAX_PROBES:
        raise BadRequest(f"probes: at most {MAX_PROBES}", field="probes")
    for probe in policy.probes:
        if not is_probe(probe.kind, probe.target):
            raise BadRequest(f"probes: {probe.target[:80]!r} is no {probe.kind} target on the node itself", field="probes")


def matches(globs: Collection[str], name: str) -> bool:
    """Whether one of the patterns matches the name of a package; its architecture (`libc6:i386`) does not count."""
    bare = name.partition(":")[0]
    return any(fnmatch.fnmatchcase(bare, glob) or fnmatch.fnmatchcase(name, glob) for glob in globs)


def is_kernel(package: str) -> bool:
    """Whether a package holds a kernel, by its name."""
    return _KERNEL.match(package.partition(":")[0]) is not None


def role_of(policy_role_tags: tuple[str, ...], tags: tuple[str, ...]) -> str:
    """The role of a node, whose nodes are peers; empty: it has none. Several role tags count as one role together."""
    wanted = [tag for tag in tags if (tag in policy_role_tags if policy_role_tags else tag.startswith(ROLE))]
    return "+".join(sorted(wanted))
