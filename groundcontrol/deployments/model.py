"""Deployments: putting Spider on a server and taking it off again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import DeploymentId, NodeId

PolicyName = Literal["monitor", "readonly", "managed"]
DeploymentKind = Literal["install", "update", "remove"]
DeploymentState = Literal["running", "awaiting_host_key", "succeeded", "failed", "cancelled"]
StepState = Literal["waiting", "running", "done", "failed", "skipped"]

INSTALL_STEPS: Final = ("connect", "host_key", "authenticate", "become_root", "probe", "upload", "install", "start", "verify")
REMOVE_STEPS: Final = ("connect", "host_key", "authenticate", "become_root", "stop", "uninstall", "verify", "wipe")

LIVE_REMOVE_STEPS: Final = ("connect", "uninstall", "verify", "wipe")
"""Through the live session, without SSH: the order taken by the node's launcher, the work of root there, root's word that nothing is left."""

UPDATE_STEPS: Final = ("wait", "install", "verify")
"""Through the live session, without SSH: its turn, the node's job, the session of the new version."""


class Step(NamedTuple):
    name: str
    state: StepState
    detail: str
    started_at: float | None
    ended_at: float | None


class HostKey(NamedTuple):
    """What a server showed. `public` is the OpenSSH line (`ssh-ed25519 AAAA…`)."""

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


class Jump(NamedTuple):
    """Another server through which one is reached, without any secret."""

    host: str
    port: int
    username: str
    host_key: HostKey | None = None
    """The one that is known to be its own."""
    expected: str | None = None
    """A fingerprint known beforehand."""


class Earlier(NamedTuple):
    """The try before this one, of a deployment that was tried again."""

    tries: int
    """So many there were before."""
    step: str
    """Where the last of them ended."""
    left: Literal["nothing", "taken_back", "unknown", "goes_on"]
    """What it left on the server: it never changed anything; what it began was taken back; nobody knows, and it is taken back first;
    a removal, which goes on with whatever is still there."""
    kept: tuple[str, ...] = ()
    """Steps whose outcome still counts: the host key that was confirmed is not asked about again."""


class Wishes(NamedTuple):
    """What was asked for beside the way to log in, without any secret: a retry does it as it was asked at first."""

    tags: tuple[str, ...] = ()
    host_key: str | None = None
    """A fingerprint known beforehand."""
    keep_credentials: bool = True
    install_python: bool = False
    policy: PolicyName = "managed"
    jump: Jump | None = None
    again: bool = False
    """A node that is there is deployed anew, in the place of whatever Spider its server has."""
    own_policy: bool = False
    """What the server's owner allows stays; `policy` is for where nothing is known of that."""
    forced: bool = False
    """A removal that asks nothing of the server, which is gone."""
    proxy: str | None = None
    """Through which the node dials the hub: `http://host:port`."""
    earlier: Earlier | None = None
    """No wish: it comes with trying again."""


class Confirmation(NamedTuple):
    """A person's word that this is the server's host key."""

    deployment: DeploymentId
    fingerprint: str


class Unconfirmed(NamedTuple):
    """A host key that was not confirmed, and why."""

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
    wishes: Wishes = Wishes()
    host_key_confirmed: bool = False
    """`host_key` is the server's own: a person said so, or it was known. Otherwise it was only shown."""
    batch: str | None = None
    """Shared by those that one request asked for."""


@dataclass(frozen=True, kw_only=True)
class JumpRequest:
    """Another server through which one is reached. What is not given to log in there is what is given for the server itself."""

    host: str
    port: int = 22
    username: str | None = None
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    host_key: str | None = None
    """A fingerprint known beforehand."""
    pinned: HostKey | None = None
    """The host key that was confirmed before."""


@dataclass(frozen=True, kw_only=True)
class DeploymentRequest:
    """What a person asks for. The secrets do not show themselves in `repr`."""

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
    """A fingerprint known beforehand."""
    keep_credentials: bool = True
    install_python: bool = False
    policy: PolicyName = "managed"
    jump: JumpRequest | None = None
    again: bool = False
    own_policy: bool = False
    forced: bool = False
    proxy: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentOverrides:
    """Fields given anew, for a retry or a removal; None = as before."""

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
    jump: JumpRequest | None = None
    direct: bool = False
    """Without a jump host, whatever there was before."""
