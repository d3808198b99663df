"""Deployments: putting Spider on a server and taking it off again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from groundcontrol.domain.ids import DeploymentId, NodeId

PolicyName = Literal["monitor", "readonly", "managed"]
DeploymentKind = Literal["install", "update", "remove"]
DeploymentState = Literal["running", "awaiting_host_key", "succeeded", "failed", "cancelled"]
StepState = Literal["waiting", "running", "done", "failed", "skipped"]

INSTALL_STEPS: Final = ("connect", "host_key", "authenticate", "become_root", "probe", "upload", "install", "start", "verify")
REMOVE_STEPS: Final = ("connect", "host_key", "authenticate", "become_root", "stop", "uninstall", "verify", "wipe")


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


class DeploymentError(NamedTuple):
    code: str
    message: str
    step: str


class Wishes(NamedTuple):
    """What was asked for beside the way to log in, without any secret: a retry does it as it was asked at first."""

    tags: tuple[str, ...] = ()
    host_key: str | None = None
    """A fingerprint known beforehand."""
    keep_credentials: bool = True
    install_python: bool = False
    policy: PolicyName = "managed"


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
    name: str | None = None
    tags: tuple[str, ...] = ()
    host_key: str | None = None
    """A fingerprint known beforehand."""
    keep_credentials: bool = True
    install_python: bool = False
    policy: PolicyName = "managed"


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
    name: str | None = None
    tags: tuple[str, ...] | None = None
    host_key: str | None = None
    keep_credentials: bool | None = None
    install_python: bool | None = None
    policy: PolicyName | None = None
