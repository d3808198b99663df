"""What hub and browser (and programs) say to each other: one definition for REST, the live socket, OpenAPI and TypeScript.

Times are Unix seconds named `…_at`; sizes are bytes; shares run from 0 to 100.
Not the agents' frames (`spider/wire/frames.py`): agents age, browsers do not.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends."""


class Answer(msgspec.Struct):
    """What the hub sends."""


class Problem(Answer):
    """RFC 9457 `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    """Names this answer in the hub's log."""
    facts: dict[str, object] = {}


# -- auth ------------------------------------------------------------------------------


class LoginBody(Body):
    username: str
    password: str
    totp: str | None = None
    """The six digits of the moment, or a recovery code; without it 401 `auth.totp_required` says that one is needed."""
    setup_code: str | None = None


class PasswordBody(Body):
    current: str
    new: str


class StepUpBody(Body):
    password: str
    totp: str | None = None


class UserView(Answer):
    username: str
    role: Literal["admin", "operator", "viewer"]
    must_change_password: bool
    totp_enabled: bool = False
    must_enrol_totp: bool = False
    """A second factor is required and not there yet: everything but enrolling it answers 403 `auth.totp_enrolment_required`."""


class LoginView(Answer):
    token: str
    expires_at: float
    csrf_token: str
    user: UserView


class MeView(Answer):
    user: UserView
    csrf_token: str
    expires_at: float


class SessionView(Answer):
    """A log-in that is live."""

    id: str
    username: str
    created_at: float
    last_seen_at: float
    """When it last was prolonged: within ten minutes of its last request."""
    expires_at: float
    address: str
    user_agent: str
    second_factor: bool
    current: bool
    """The one that asks."""


class SessionsView(Answer):
    sessions: list[SessionView]
    next: str | None


class TotpView(Answer):
    """A new second factor, shown once; it counts from `auth/totp/confirm` on."""

    secret: str
    """Base32, for typing in."""
    uri: str
    """`otpauth://…`, to be drawn as a QR code."""


class TotpConfirmBody(Body):
    code: str


class RecoveryCodesView(Answer):
    """Ten codes, each good for one log-in; shown once."""

    codes: list[str]


# -- users, tokens, settings -----------------------------------------------------------------


class GrantsBody(Body):
    """The only nodes that somebody may see: those of these ids or of any of these tags. At least one of either."""

    nodes: list[str] = []
    tags: list[str] = []


class GrantsView(Answer):
    nodes: list[str]
    tags: list[str]


class AccountView(Answer):
    username: str
    role: Literal["admin", "operator", "viewer"]
    disabled: bool
    must_change_password: bool
    totp_enabled: bool
    grants: GrantsView | None
    """Null: every node."""
    created_at: float
    last_seen_at: float | None


class AccountsView(Answer):
    users: list[AccountView]
    next: str | None


class NewUserBody(Body):
    username: str
    role: Literal["admin", "operator", "viewer"]
    grants: GrantsBody | None = None
    """Without it every node; an admin always sees every node."""


class UserPatch(Body):
    role: Literal["admin", "operator", "viewer"] | None = None
    disabled: bool | None = None
    grants: GrantsBody | None = None
    all_nodes: bool = False
    """True takes the limit to some nodes away; not together with `grants`."""


class OneTimePasswordView(Answer):
    """A password that opens one session, good only for choosing another; shown once, dead after 24 hours."""

    user: AccountView
    password: str


class ApiTokenView(Answer):
    id: str
    username: str
    """Whose it is; it never may more than they may at that moment."""
    name: str
    role: Literal["admin", "operator", "viewer"]
    grants: GrantsView | None
    """Null: every node that its owner sees."""
    sensitive: bool
    """May also do what asks people for their password again: delete a node, restart one."""
    created_at: float
    expires_at: float
    last_used_at: float | None
    last_address: str


class ApiTokensView(Answer):
    tokens: list[ApiTokenView]
    next: str | None


class NewTokenBody(Body):
    name: str
    role: Literal["admin", "operator", "viewer"] = "viewer"
    days: int = 90
    """1 to 365."""
    grants: GrantsBody | None = None
    sensitive: bool = False


class NewTokenView(Answer):
    """The token itself, shown once: for `Authorization: Bearer`."""

    token: str
    info: ApiTokenView


class SettingsView(Answer):
    require_totp: Literal["none", "admins", "all"]
    """Who must have a second factor, as it holds."""
    require_totp_least: Literal["none", "admins", "all"]
    """What STARDUST_REQUIRE_TOTP demands: settings here may ask for more, never for less."""


class SettingsPatch(Body):
    require_totp: Literal["none", "admins", "all"]


# -- nodes -----------------------------------------------------------------------------


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


class Sample(Answer):
    """`value` null: could not be measured."""

    value: float | None
    at: float


class NodeView(Answer):
    id: str
    name: str
    address: str
    state: Literal["pending", "online", "offline"]
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


SUMMARY_SERIES = (
    "cpu.total",
    "load.1",
    "memory.total",
    "memory.used",
    "swap.total",
    "swap.used",
)
"""What `latest` holds in lists and in the topic `fleet`, besides SUMMARY_SUMS, SUMMARY_FULLEST and SUMMARY_HIGHEST."""

SUMMARY_SUMS = ("disk.read", "disk.written", "network.received", "network.sent")
"""Labelled metrics that a summary holds once, under their bare name: the sum over all devices, or all interfaces but `lo`."""

SUMMARY_FULLEST = ("filesystem.size", "filesystem.used")
"""A summary holds these two under their full names, of the one mount that is fullest by share: `filesystem.used{mount=/var}`."""

SUMMARY_HIGHEST = ("disk.busy", "temperature")
"""A summary holds one of each under its full name: the busiest device and the hottest sensor."""


class NodesView(Answer):
    nodes: list[NodeView]
    next: str | None


class NodePatch(Body):
    name: str | None = None
    tags: list[str] | None = None


class MetricView(Answer):
    name: str
    unit: str
    rhythm: int
    kind: Literal["gauge", "counter"]
    labels: list[str]


class MetricsView(Answer):
    metrics: list[MetricView]


class SeriesView(Answer):
    avg: list[float | None]
    min: list[float | None]
    max: list[float | None]


class HistoryView(Answer):
    step: int
    tier: Literal["1s", "1m", "1h"]
    times: list[float]
    series: dict[str, SeriesView]


# -- deployments -----------------------------------------------------------------------


class DeploymentBody(Body):
    host: str
    username: str
    port: int = 22
    private_key: str | None = None
    passphrase: str | None = None
    password: str | None = None
    sudo_password: str | None = None
    name: str | None = None
    tags: list[str] | None = None
    host_key: str | None = None
    """A fingerprint (`SHA256:…`) known beforehand: confirms the host key without asking."""
    keep_credentials: bool = True
    install_python: bool = False
    policy: Literal["monitor", "readonly", "managed"] = "managed"


class RetryBody(Body):
    """Any field given replaces the one of the first call; also the body of `DELETE nodes/{id}`."""

    host: str | None = None
    port: int | None = None
    username: str | None = None
    private_key: str | None = None
    passphrase: str | None = None
    password: str | None = None
    sudo_password: str | None = None
    name: str | None = None
    tags: list[str] | None = None
    host_key: str | None = None
    keep_credentials: bool | None = None
    install_python: bool | None = None
    policy: Literal["monitor", "readonly", "managed"] | None = None


class HostKeyBody(Body):
    fingerprint: str


class HostKeyView(Answer):
    type: str
    fingerprint: str


class StepView(Answer):
    name: str
    state: Literal["waiting", "running", "done", "failed", "skipped"]
    detail: str
    started_at: float | None
    ended_at: float | None


class DeploymentErrorView(Answer):
    code: str
    message: str
    step: str


class DeploymentView(Answer):
    id: str
    kind: Literal["install", "update", "remove"]
    state: Literal["running", "awaiting_host_key", "succeeded", "failed", "cancelled"]
    node_id: str | None
    host: str
    port: int
    username: str
    name: str
    host_key: HostKeyView | None
    steps: list[StepView]
    error: DeploymentErrorView | None
    created_at: float
    ended_at: float | None


class DeploymentsView(Answer):
    deployments: list[DeploymentView]
    next: str | None


# -- jobs ------------------------------------------------------------------------------


class JobBody(Body):
    action: Literal["refresh", "check", "upgrade", "full-upgrade"]
    packages: list[str] | msgspec.UnsetType = msgspec.UNSET
    """For `upgrade` only; absent = all. Null and an empty list are refused: neither may come to mean all."""
    reboot: bool = False


class ChangeView(Answer, rename={"before": "from", "after": "to"}):
    package: str
    before: str
    """Empty = newly installed."""
    after: str
    """Empty = removed."""


class JobErrorView(Answer):
    code: str
    message: str


class JobView(Answer):
    id: str
    node_id: str
    action: str
    packages: list[str]
    reboot: bool
    state: Literal[
        "queued", "dispatched", "accepted", "running",
        "succeeded", "failed", "cancelled", "interrupted", "expired", "unknown",
    ]  # fmt: skip
    phase: Literal["refresh", "plan", "waiting_lock", "download", "commit", "triggers", "check"] | None
    progress_percent: int | None
    exit_code: int | None
    output_bytes: int
    output_sha256: str | None
    created_by: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    changes: list[ChangeView]
    error: JobErrorView | None


class JobsView(Answer):
    jobs: list[JobView]
    next: str | None


# -- events, audit, health ---------------------------------------------------------------


class EventView(Answer):
    id: str
    type: str
    severity: Literal["info", "warning", "error"]
    source: Literal["agent", "hub", "api"]
    at: float
    node_id: str | None
    message: str
    details: dict[str, object]


class EventsView(Answer):
    events: list[EventView]
    next: str | None


class AuditView(Answer):
    n: int
    at: float
    actor: str
    address: str
    action: str
    target: str
    result: str
    detail: dict[str, object]


class AuditPageView(Answer):
    audit: list[AuditView]
    next: str | None


class HealthView(Answer):
    status: Literal["ok", "draining", "failing"]
    version: str
    database: bool


# -- local socket only -------------------------------------------------------------------


class LocalEnrolBody(Body):
    """One step on the hub's own machine: makes nodes and hands out their keys."""

    names: list[str]
    simulated: bool = False
    address: str = "127.0.0.1"


class EnrolledView(Answer):
    node_id: str
    name: str
    generation: int
    fleet_id: str
    session_key: str
    """Hex."""
    launch_key: str


class EnrolledListView(Answer):
    nodes: list[EnrolledView]
    server_url: str


class ResetUserBody(Body):
    username: str


class ResetUserView(Answer):
    """The new password, shown once."""

    username: str
    password: str


class LocalTokenBody(NewTokenBody):
    username: str = "admin"


# -- live ------------------------------------------------------------------------------
# MessagePack, `[kind, body]`. Client: ["subscribe", {topic, after?}], ["unsubscribe", {topic}], ["ping", {}].
# Hub: ["hello", LiveHello], ["snapshot", {topic, seq, data}], ["change", {topic, seq, data}], ["gap", {topic}],
# ["error", {code, message}], ["pong", {}].
# Data by topic:
#   fleet            snapshot FleetData; change FleetChange (at most one a second)
#   node:<id>        snapshot NodeView with all of `latest`; change NodeChange (each row as it arrives)
#   job:<id>         snapshot JobView, then output as JobChunk changes from `after` on (`seq` = offset behind the chunk);
#                    a change whose data has no `output` is a JobChange (state, phase, progress)
#   deployment:<id>  snapshot and change DeploymentView
#   events           snapshot {events: last 50}; change EventView


class SubscribeBody(Body):
    topic: str
    after: int | None = None


class UnsubscribeBody(Body):
    topic: str


class LiveHello(Answer):
    hub_id: str
    """New for each start: another one means that sequence numbers begin anew."""
    build: str
    """Of the page; another one means that a newer page is there."""
    now: float
    session_expires_at: float


class TopicMessage(Answer):
    """Body of `snapshot` and `change`. `seq` grows by one a change; for `job:<id>` it is an offset in the output."""

    topic: str
    seq: int
    data: object


class GapMessage(Answer):
    """What is shown of this topic is no longer whole: a new snapshot follows, or subscribe again."""

    topic: str


class ErrorMessage(Answer):
    """`topic` is empty when the message as such was wrong."""

    code: str
    message: str
    topic: str = ""


class Nothing(Answer):
    """An empty body."""


class EventsData(Answer):
    events: list[EventView]


class FleetData(Answer):
    nodes: list[NodeView]
    """With the summary in `latest`; a series asked for by name is in `node:<id>`."""


class FleetChange(Answer):
    """What changed since the last: whole rows of nodes whose facts changed, else only new values."""

    nodes: list[NodeView]
    latest: dict[str, dict[str, Sample]]
    """node id -> series -> sample."""
    removed: list[str]


class NodeChange(Answer):
    """Either new values (`latest`) or a node whose facts changed (`node`)."""

    latest: dict[str, Sample]
    node: NodeView | None = None


class JobChunk(Answer):
    output: bytes
    offset: int


class JobChange(Answer):
    job: JobView
