"""Bodies and answers of patch policies, windows and the patch status."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.policies.calendar import Nth
from groundcontrol.policies.model import Approval, GateMode, HubMissed, NodeMissed, OccurrenceState, ProbeKind, Reboots, What
from groundcontrol.schedules.wall_clock import Day
from groundcontrol.web.answer import Answer, Body, patch_of


class NotSelect(Body):
    """Nodes that a selection leaves out."""

    tags: list[str] = msgspec.field(default_factory=list)
    nodes: list[str] = msgspec.field(default_factory=list)


class PatchSelect(Body):
    """All nodes, or nodes by tags (one of them) and ids, without those of `not`. An empty selection is refused."""

    all: bool = False
    tags: list[str] = msgspec.field(default_factory=list)
    nodes: list[str] = msgspec.field(default_factory=list)
    without: NotSelect = msgspec.field(name="not", default_factory=NotSelect)


class MonthlyBody(Body):
    """A weekday of each month, such as the second Tuesday."""

    nth: Nth
    day: Day


class EveryWeeksBody(Body):
    """These days of every N-th week. Weeks begin on Monday and count from the week of `since`."""

    weeks: int
    days: list[Day]
    since: str
    """A date such as 2026-12-01."""


class WhenBody(Body):
    """One of the four is set."""

    weekly: list[Day] | None = None
    monthly: MonthlyBody | None = None
    every_weeks: EveryWeeksBody | None = None
    once: str | None = None
    """A date such as 2026-12-24."""


class AgeBody(Body):
    security: int = 0
    other: int = 0


class OrderBody(Body):
    """Waves: canaries, then `percent` of the targets, then the rest in waves of 25; or groups of tags, one after the other."""

    canary: int | None = None
    """null: 1 for up to 4 targets, 2 from 5 on."""
    percent: int = 10
    at_once: int = 10
    groups: list[str] = msgspec.field(default_factory=list)


class ActionBody(Body):
    """A named action of the nodes (`actions.d`)."""

    name: str
    timeout_s: int = 600
    must_succeed: bool = True


class NeedsEventBody(Body):
    type: str
    """A type of event, such as `backup_completed`, or the name of a custom event."""
    within_s: int


class ProbeBody(Body):
    kind: ProbeKind
    target: str
    """http: a URL on the node itself, such as http://localhost:8080/health; tcp: a port; unit: a unit of systemd."""


class PolicyFields(msgspec.Struct):
    """What a person sets of a patch policy."""

    name: str
    select: PatchSelect
    when: WhenBody
    start: str
    """A local time of day, such as 02:30."""
    length_s: int
    """How long it may take, 15 minutes to 24 hours."""
    zone: str
    """A time zone such as Europe/Budapest, or `node`: each node's own."""
    enabled: bool = True
    what: What = "security"
    leave_out: list[str] = msgspec.field(default_factory=list)
    """Patterns of package names, such as postgresql-*."""
    only: list[str] = msgspec.field(default_factory=list)
    kernel: bool = True
    min_age_days: AgeBody = msgspec.field(default_factory=AgeBody)
    """Updates that the fleet first saw later than this wait."""
    order: OrderBody = msgspec.field(default_factory=OrderBody)
    max_failed: int = 0
    role_tags: list[str] = msgspec.field(default_factory=list)
    """Tags that name the role of a node; empty: those that begin with `role:`."""
    before: list[ActionBody] = msgspec.field(default_factory=list)
    after: list[ActionBody] = msgspec.field(default_factory=list)
    needs_event: NeedsEventBody | None = None
    probes: list[ProbeBody] = msgspec.field(default_factory=list)
    gates: GateMode = "stop"
    """observe: gates are shown and stop nothing; failed jobs still stop it."""
    watch_s: int = 900
    reboot: Reboots = "if_required"
    max_per_role: int = 1
    """At most so many reboots at the same time in a role."""
    approval: Approval = "none"
    notice_h: int = 24
    report: list[str] = msgspec.field(default_factory=list)
    """Ids of channels that get the report."""
    hub_missed: HubMissed = "skip"
    """once: an occurrence that the hub missed still starts while its window is open."""
    node_missed: NodeMissed = "skip"


class PatchPolicyBody(PolicyFields, Body):
    """A patch policy. Fields that are left out have their defaults."""


@patch_of(PatchPolicyBody)
class PatchPolicyPatch(Body, kw_only=True):
    """Fields that are left out stay as they are."""

    version: int
    """The version that the change is made to."""
    take_over: bool = False
    """An admin: become the owner, with whose rights it runs."""


class PatchPolicyView(PolicyFields, Answer, kw_only=True):
    id: str
    owner: str
    """The user with whose rights it runs."""
    paused: Literal["", "owner", "restored", "stopped", "suspended"]
    """Why it makes no roll-outs although it is enabled: its owner may no longer act, the hub was restored from a backup, or its last
    roll-out was stopped."""
    next_at: float | None
    """When its next occurrence is due, in Unix seconds; null: never."""
    whole: bool
    """Whether your rights cover its whole selection. Otherwise `select` is only a part of it, and only somebody else may change it."""
    version: int


class PatchPoliciesView(Answer):
    patch_policies: list[PatchPolicyView]


class NextPatchView(Answer):
    node_id: str
    policies: list[str]
    """Names of the enabled patch policies that select it."""
    next_at: float | None
    """When the first of them is due, in Unix seconds; null: never, or they are paused."""


class NextPatchesView(Answer):
    nodes: list[NextPatchView]
    """A node that is not in it is under no patch policy."""


class PatchPolicyPreviewBody(Body):
    policy: PatchPolicyBody
    id: str | None = None
    """The policy that is edited; null: a new one."""


class HeldNodeView(Answer):
    node_id: str
    reason: str
    """A code, such as `never_by_schedule`, `agent_policy`, `frozen`, `offline`."""
    words: str
    remedy: str
    """What helps; empty: waiting does, or its words say it."""


class NodePackagesView(Answer):
    """What the policy would do on one node, by the newest list of the node."""

    node_id: str
    wave: int
    take: int
    waiting: int
    left_out: int
    kept_back: str
    """Which of those the node itself does not take, and why; empty: none."""
    checked_at: float | None
    """When the package manager last got its lists; null: not known, or a list is missing."""


class PackageCountView(Answer):
    package: str
    version: str
    nodes: int
    security: bool


class WaitingPackageView(Answer):
    package: str
    version: str
    nodes: int
    ripe_at: float
    """When the youngest node's update is old enough."""
    superseded: bool
    """Each of its versions was replaced before it was old enough, for twice the age: it is never old enough."""


class NextView(Answer):
    due_at: float
    local: str
    """As local time of `zone`."""
    zone: str
    shifted: Literal["", "skipped", "repeated"]
    """A change of the clocks skips or repeats this local time: it runs once."""


class WarningView(Answer):
    code: str
    words: str


class PatchPreviewView(Answer):
    nodes: list[NodePackagesView]
    packages: list[PackageCountView]
    waiting_for_age: list[WaitingPackageView]
    held: list[HeldNodeView]
    next: list[NextView]
    """The next five dates."""
    expected_s: float
    waves: list[int]
    """Targets of each wave."""
    warnings: list[WarningView]


class PoliciesFileBody(Body):
    policies: list[dict[str, object]]
    """As `GET patch-policies` gives them. A policy is found by its id, or else by its name; fields that are left out stay."""
    dry_run: bool = False


class AppliedPolicyView(Answer):
    id: str
    name: str
    act: Literal["add", "change", "keep"]
    fields: list[str]
    """The fields that change."""


class AppliedPoliciesView(Answer):
    policies: list[AppliedPolicyView]
    left: list[str]
    """Ids of policies of the hub that the file does not have: they stay."""


class ApprovalView(Answer):
    by: str
    at: float


class PairView(Answer):
    package: str
    version: str


class OccurrenceView(Answer):
    policy_id: str
    due_at: float
    until_at: float
    local: str
    zone: str
    state: OccurrenceState
    why: str
    rollout_id: str | None
    approvals: list[ApprovalView]
    approvals_needed: int
    packages: list[PairView] | None
    """What an approval confirms; null: no notice was given yet, or no approval is asked for."""


class OccurrencesView(Answer):
    occurrences: list[OccurrenceView]


class SkipBody(Body):
    reason: str = ""


class WindowFields(msgspec.Struct):
    """What a person sets of a window or freeze."""

    name: str
    select: PatchSelect
    start: str
    length_s: int
    zone: str
    weekly: list[Day] | None = None
    monthly: MonthlyBody | None = None
    every_weeks: EveryWeeksBody | None = None
    once: str | None = None


class WindowBody(WindowFields, Body, kw_only=True):
    """A window in which patching is allowed, or a freeze in which nothing is upgraded or rebooted. One of weekly, monthly, every_weeks and once is set."""

    kind: Literal["allow", "freeze"]


@patch_of(WindowBody)
class WindowPatch(Body):
    """Fields that are left out stay as they are. A new time replaces the old one."""

    version: int


class NowBody(Body):
    """A freeze of these nodes, or an opening of their windows, from this moment."""

    kind: Literal["freeze", "open"]
    select: PatchSelect
    reason: str
    length_s: int = 0
    """0: until somebody ends it, which only a freeze may. An opening lasts 24 hours at most."""


class WindowView(WindowFields, Answer, kw_only=True):
    id: str
    kind: Literal["allow", "freeze", "open"]
    """`open`: a person opened it for a limited time, in addition to the windows of the nodes."""
    open: bool
    """Whether it is open now; of times in the zone of each node: somewhere."""
    next_at: float | None
    began_at: float | None
    """When a person began it; null: it has times of its own."""
    until_at: float | None
    """When what a person began ends; null: when somebody ends it, or it has times of its own."""
    by: str
    reason: str
    version: int


class WindowsView(Answer):
    windows: list[WindowView]


class PatchStatusNode(Answer):
    node_id: str
    name: str
    security_waiting: int | None
    """null: not known."""
    first_seen_at: float | None
    """When the fleet first saw the oldest waiting security update."""
    age_days: float | None
    promise_days: int
    """What its tag promises, or else 30."""
    in_time: Literal["in_time", "late", "unknown"]
    last_patched_at: float | None
    by_policy: str | None
    held: str
    """Why schedules do not touch the node; empty: they may."""
    kept_back: str
    """Updates that the node itself does not take now, with the reason: its owner holds them, or they are phased. Empty: there are none."""
    reboot_due_since_at: float | None
    lists_at: float | None
    """When the package manager last got its lists; null: not known, or a list is missing."""
    other_patcher: str | None
    """What else installs updates on this host; null: nothing, or not known."""
    supported_until: str | None
    policies: list[str]
    """Names of the patch policies that select it."""
    missed: int
    """How many of their roll-outs in a row did not reach it."""
    next_at: float | None
    no_date_why: str
    """Why `next_at` is null although patch policies select the node and it bars none; empty: it is not."""


class PatchStatusTotal(Answer):
    in_time: int
    late: int
    unknown: int
    """Nodes without fresh data. They do not count in the share."""


class SupportView(Answer):
    """One release of a distribution in the fleet."""

    os_id: str
    """`ID` of os-release; empty: not known."""
    os_version: str
    nodes: list[str]
    supported_until: str | None
    """The last day; null: not in the table of ends of support."""
    left_days: int | None
    """Negative: support ended so many days ago. null: not known."""


class PatchStatusView(Answer):
    at: float
    nodes: list[PatchStatusNode]
    support: list[SupportView]
    """Releases by their end of support, the first first. Those that are not known come last."""
    support_as_of: str
    """When the table of ends of support was last compared with the published dates."""
    total: PatchStatusTotal
