"""Domain types of deployments: installing the agent on a server, updating and removing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import DeploymentId, InviteId, JobId, NodeId
from groundcontrol.core.permissions import Action
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event

PolicyName = Literal["monitor", "readonly", "managed"]
JournalLines = Literal["off", "warning", "all"]
DeploymentKind = Literal["install", "update", "remove"]
DeploymentState = Literal["running", "awaiting_host_key", "succeeded", "failed", "cancelled"]
StepState = Literal["waiting", "running", "done", "failed", "skipped"]

INSTALL_STEPS: Final = ("connect", "host_key", "authenticate", "become_root", "probe", "upload", "install", "start", "verify")
REMOVE_STEPS: Final = ("connect", "host_key", "authenticate", "become_root", "stop", "uninstall", "verify", "wipe")

LIVE_REMOVE_STEPS: Final = ("connect", "uninstall", "verify", "wipe")
"""Steps of a removal through the live session: the launcher accepts the order, root uninstalls, root reports, the hub deletes the node."""

UPDATE_STEPS: Final = ("wait", "install", "verify")
"""Steps of an agent update through the live session: wait for a turn, run the node's job, get a session of the new version."""

NO_LONGER_ALLOWED: Final = "the user who ordered this is no longer allowed to (disabled, another role, other nodes, an expired token), or has another password since"


class Step(NamedTuple):
    name: str
    state: StepState
    detail: str
    started_at: float | None
    ended_at: float | None
    waited_s: float = 0.0
    """How long it waited for a person, within its time."""


class HostKey(NamedTuple):
    """The host key that a server presented. `public` is the OpenSSH line (`ssh-ed25519 AAAA…`)."""

    type: str
    fingerprint: str
    """`SHA256:…`"""
    public: str
    host: str = ""
    """The jump host whose key this is; empty: the server's own."""


class DeploymentError(NamedTuple):
    code: str
    message: str
    step: str
    at_jump_host: bool = False
    """It failed at the jump host, not at the server."""


class Jump(NamedTuple):
    """The jump host of a server, without secrets."""

    host: str
    port: int
    username: str
    host_key: HostKey | None = None
    """The confirmed host key."""
    expected: str | None = None
    """The fingerprint that the user expects."""
    own_login: bool | None = None
    """Whether it has a log-in of its own. Then it never gets that of the server. None: an earlier version stored it, and did not say."""


class Earlier(NamedTuple):
    """The previous attempt of a retried deployment."""

    tries: int
    """Number of earlier attempts."""
    step: str
    """The step at which the previous attempt ended."""
    left: Literal["nothing", "taken_back", "unknown", "goes_on"]
    """The changes of the previous attempt on the server. `nothing`: there are none; `taken_back`: they were rolled back;
    `unknown`: the retry rolls back first; `goes_on`: a removal, which the retry continues."""
    kept: tuple[str, ...] = ()
    """Steps whose result is kept: a confirmed host key need not be confirmed again."""


class PolicyLines(NamedTuple):
    """Lines that a request wants in the policy file of a server. None: as the file has it; empty names: no such line."""

    mode: PolicyName | None = None
    units: tuple[str, ...] | None = None
    containers: tuple[str, ...] | None = None
    journal: JournalLines | None = None
    events: tuple[str, ...] | None = None


NO_LINES: Final = PolicyLines()


def named_lines(lines: PolicyLines) -> dict[str, object]:
    """The lines that a request names, by their key in the policy file."""
    return {key: value for key, value in lines._asdict().items() if value is not None}


class FoundPolicy(NamedTuple):
    """The difference between the policy file on a server and the request."""

    outcome: Literal["kept", "differs", "written"]
    """kept: the file stays as its owner wrote it. differs: the deployment ended, so that a person sees the difference first. written: the
    request named this difference, and its lines are written."""
    current: str
    """The text on the server; empty: the hub cannot read it."""
    wanted: str
    digest: str
    """The name of this difference; empty: the hub cannot change the file."""


class DeploymentOptions(NamedTuple):
    """Options of a deployment beside its login, without secrets. A retry uses them again."""

    tags: tuple[str, ...] = ()
    host_key: str | None = None
    """The fingerprint that the user expects."""
    keep_credentials: bool = True
    install_python: bool = False
    policy: PolicyName = "managed"
    """The mode of a new policy file."""
    jump: Jump | None = None
    again: bool = False
    """Redeploy an existing node, replacing any agent on its server."""
    own_policy: bool = False
    """The request names no mode of the policy: that on the server stays."""
    lines: PolicyLines = NO_LINES
    """The other lines of the policy file that the request names."""
    found: FoundPolicy | None = None
    """The difference that the deployment has found; None: none."""
    forced: bool = False
    """A removal without contact to the server, which no longer exists."""
    proxy: str | None = None
    """The proxy through which the node connects to the hub: `http://host:port`."""
    use_hub_key: bool = False
    """Log in with the hub's own SSH key."""
    earlier: Earlier | None = None
    """The previous attempt, set by a retry."""


class Confirmation(NamedTuple):
    """A user's confirmation of a server's host key."""

    deployment: DeploymentId
    fingerprint: str


class Unconfirmed(NamedTuple):
    """A host key that was not confirmed, with the reason."""

    deployment: str
    code: str
    message: str


class Deployment(NamedTuple):
    id: DeploymentId
    org: int
    kind: DeploymentKind
    state: DeploymentState
    node_id: NodeId | None
    host: str
    port: int
    username: str
    name: str
    host_key: HostKey | None
    steps: tuple[Step, ...]
    error: DeploymentError | None
    created_by: str
    created_at: float
    ended_at: float | None
    version: int
    options: DeploymentOptions = DeploymentOptions()
    host_key_confirmed: bool = False
    """Whether a user has confirmed `host_key`, or it was known before. If not, it is the key that the server presented."""
    batch: str | None = None
    """Shared by the deployments of one bulk request."""
    job: JobId | None = None
    """The node's job of a deployment through the live session; None: it has none."""


def is_live(deployment: Deployment) -> bool:
    """Whether a removal uses the live session instead of SSH."""
    return deployment.kind == "remove" and tuple(step.name for step in deployment.steps) == LIVE_REMOVE_STEPS


def makes_node(deployment: Deployment) -> bool:
    """Whether the deployment creates its node."""
    return deployment.kind == "install" and not deployment.options.again


def right_to_order(deployment: Deployment) -> Action:
    """The right to order this deployment. An installation over an existing node changes that node."""
    if makes_node(deployment):
        return "deployment.create"
    return "node.delete" if deployment.kind == "remove" else "node.update"


@dataclass(frozen=True, kw_only=True)
class JumpRequest:
    """The requested jump host. Without a user name it gets that of the server; without a key or password it gets all credentials of the server."""

    host: str
    port: int = 22
    username: str | None = None
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    host_key: str | None = None
    """The fingerprint that the user expects."""
    pinned: HostKey | None = None
    """The host key that was confirmed earlier."""
    own_login: bool | None = False
    """Whether it had a key or password of its own that is not known any more. Then it never gets that of the server. None: not known either."""


@dataclass(frozen=True, kw_only=True)
class DeploymentRequest:
    """A user's deployment request. `repr` hides its secrets."""

    host: str
    username: str
    port: int = 22
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sudo_password: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    """The OpenSSH line of a user certificate."""
    name: str | None = None
    tags: tuple[str, ...] = ()
    host_key: str | None = None
    """The fingerprint that the user expects."""
    keep_credentials: bool = True
    install_python: bool = False
    policy: PolicyName = "managed"
    jump: JumpRequest | None = None
    again: bool = False
    own_policy: bool = False
    lines: PolicyLines = NO_LINES
    policy_seen: str | None = None
    """The digest of the difference that the user has seen. It counts only in the request that names it, beside credentials of that request."""
    forced: bool = False
    proxy: str | None = None
    use_hub_key: bool = False
    """Log in with the hub's own SSH key, which is read right before the log-in."""


@dataclass(frozen=True, kw_only=True)
class DeploymentOverrides:
    """Changed fields of a retry or a removal; None: unchanged."""

    host: str | None = None
    username: str | None = None
    port: int | None = None
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sudo_password: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    name: str | None = None
    tags: tuple[str, ...] | None = None
    host_key: str | None = None
    keep_credentials: bool | None = None
    install_python: bool | None = None
    proxy: str | None = None
    policy: PolicyName | None = None
    lines: PolicyLines | None = None
    policy_seen: str | None = None
    jump: JumpRequest | None = None
    jumps: tuple[JumpRequest, ...] = ()
    """Log-ins of jump hosts. One counts if it is for the jump host that the server has already; else `jump` names it."""
    use_hub_key: bool | None = None
    direct: bool = False
    """Use no jump host, even if there was one before."""


InviteKind = Literal["node", "organisation"]
InviteState = Literal["open", "used", "expired", "revoked"]

INVITE_S: Final = 300.0
"""How long an invite for one node is valid."""
MOST_USES: Final = 1000
LONGEST_DAYS: Final = 90
"""Longest validity of an organisation secret."""
MOST_OPEN: Final = 100
"""Most open invites of one organisation."""


def right_to_make(kind: InviteKind) -> Action:
    """The right to make an invite of this kind."""
    return "invite.organisation" if kind == "organisation" else "invite.create"


class Invite(NamedTuple):
    """An invite as the hub stores it, without its secret."""

    id: InviteId
    org: int
    kind: InviteKind
    name: str
    """Name of the new node (empty: the server's host name), or the purpose of an organisation secret."""
    tags: tuple[str, ...]
    policy: str
    """The initial policy of the node."""
    approval: bool
    """Whether the new nodes wait for an approval by a user."""
    most_uses: int
    uses: int
    node_id: NodeId | None
    """The latest node that joined with this invite."""
    created_by: str
    created_at: float
    expires_at: float
    revoked_at: float | None
    lines: PolicyLines = NO_LINES
    """Further lines of the initial policy, but its mode."""

    def state(self, now: float) -> InviteState:
        """Whether the invite is open, used, expired or revoked."""
        if self.uses >= self.most_uses:
            return "used"
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "open"


def deployment_event(row: Deployment, at: float) -> Event:
    """The event of an ended deployment."""
    details: dict[str, object] = {"deployment": row.id, "kind": row.kind, "host": row.host, "code": row.error.code if row.error else None}
    if row.batch is not None:
        details["batch"] = row.batch
    if row.error is not None:
        details["why"] = row.error.message
    kind = f"deployment_{row.state}"
    if row.kind == "update" and row.state != "cancelled":
        kind = "agent_updated" if row.state == "succeeded" else "agent_update_failed"
    return new_event(kind, at, details, node=None if row.kind == "remove" else row.node_id, name=row.name, org=row.org)
