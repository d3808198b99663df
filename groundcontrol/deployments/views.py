"""Request and response bodies of deployments and host lists."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from groundcontrol.deployments.hostlists.model import ParsedList, ProblemCode
from groundcontrol.deployments.model import Deployment, HostKey, Jump
from groundcontrol.web.answer import Answer, Body, view_of

ShortText = Annotated[str, msgspec.Meta(max_length=1024)]
"""A name, an address, a fingerprint: what may stand in it, and how much less, is told with the field's name."""
SecretText = Annotated[str, msgspec.Meta(max_length=32 << 10)]
"""A password, a certificate. A private key has a bound of its own."""


class JumpBody(Body):
    """Another server through which this one is reached (`ssh -J`). What is left out to log in there is that of the server itself."""

    host: ShortText
    port: int = 22
    username: ShortText | None = None
    private_key: str | None = None
    passphrase: SecretText | None = None
    password: SecretText | None = None
    certificate: SecretText | None = None
    host_key: ShortText | None = None
    """A fingerprint (`SHA256:…`) known beforehand."""


class DeploymentBody(Body):
    host: ShortText
    username: ShortText
    port: int = 22
    private_key: str | None = None
    passphrase: SecretText | None = None
    password: SecretText | None = None
    sudo_password: SecretText | None = None
    name: ShortText | None = None
    tags: list[ShortText] | None = None
    host_key: ShortText | None = None
    """A fingerprint (`SHA256:…`) known beforehand: confirms the host key without asking."""
    keep_credentials: bool = True
    install_python: bool = False
    policy: Literal["monitor", "readonly", "managed"] = "managed"
    certificate: SecretText | None = None
    """The line of an OpenSSH user certificate for the private key (`ssh-ed25519-cert-v01@openssh.com …`)."""
    jump: JumpBody | None = None
    proxy: ShortText | None = None
    """`http://host:port`, through which the server dials this hub (HTTP CONNECT)."""


class RetryBody(Body):
    """Any field given replaces the one of the first call; also the body of `DELETE nodes/{id}` and of `POST nodes/{id}/redeploy`."""

    host: ShortText | None = None
    port: int | None = None
    username: ShortText | None = None
    private_key: str | None = None
    passphrase: SecretText | None = None
    password: SecretText | None = None
    sudo_password: SecretText | None = None
    name: ShortText | None = None
    tags: list[ShortText] | None = None
    host_key: ShortText | None = None
    keep_credentials: bool | None = None
    install_python: bool | None = None
    policy: Literal["monitor", "readonly", "managed"] | None = None
    certificate: SecretText | None = None
    proxy: ShortText | None = None
    """Empty: none any more."""
    jump: JumpBody | msgspec.UnsetType | None = msgspec.UNSET
    """Left out: as before. null: without a jump host, which is another server, since an address may mean another one there."""


class PlaceBody(Body):
    """A jump host as a list names it. What opens it is that of `jump` where that is the same one, else that of the server itself."""

    host: ShortText
    port: int = 22
    username: ShortText | None = None
    host_key: ShortText | None = None


class ServerBody(Body):
    """One of many servers: what it has of its own."""

    host: ShortText
    port: int = 22
    username: ShortText | None = None
    """Left out: that of all."""
    name: ShortText | None = None
    tags: list[ShortText] | None = None
    """Beside those of all."""
    host_key: ShortText | None = None
    """A fingerprint (`SHA256:…`) known beforehand: confirms the host key without asking."""
    jump: PlaceBody | msgspec.UnsetType | None = msgspec.UNSET
    """Left out: that of all. null: none."""


class ManyDeploymentsBody(Body):
    """What is wanted of many servers, beside what each of `servers` has of its own."""

    servers: list[ServerBody]
    """1 to 200."""
    username: ShortText | None = None
    private_key: str | None = None
    passphrase: SecretText | None = None
    password: SecretText | None = None
    sudo_password: SecretText | None = None
    certificate: SecretText | None = None
    tags: list[ShortText] | None = None
    keep_credentials: bool = True
    install_python: bool = False
    policy: Literal["monitor", "readonly", "managed"] = "managed"
    jump: JumpBody | None = None
    proxy: ShortText | None = None


class ServerListBody(Body):
    """A list of servers as somebody pasted it: lines of `user@host:port`, CSV with a header, or an OpenSSH client's configuration."""

    text: str
    """At most 256 Ki characters; keys and passwords have no place in it."""
    format: Literal["auto", "lines", "csv", "ssh_config"] = "auto"


class PlaceView(Answer):
    host: str
    port: int
    username: str | None


class ListProblemView(Answer):
    code: ProblemCode
    field: str
    """host, port, username, name, tags, host_key, jump; empty: the row as a whole."""
    message: str


class ListedServerView(Answer):
    line: int
    host: str
    port: int
    username: str | None
    """null: the list does not say."""
    name: str | None
    tags: list[str]
    host_key: str | None
    jump: PlaceView | None
    notes: list[str]
    problems: list[ListProblemView]
    """Empty: it can be taken."""


class LineNoteView(Answer):
    line: int
    message: str


class LineProblemView(Answer):
    line: int
    code: ProblemCode
    message: str


class ServerListView(Answer):
    format: Literal["lines", "csv", "ssh_config"]
    servers: list[ListedServerView]
    """At most 200."""
    notes: list[LineNoteView]
    """What was left out."""
    problems: list[LineProblemView]
    """What belongs to no server."""


class ConfirmationBody(Body):
    deployment: ShortText
    fingerprint: ShortText


class HostKeysBody(Body):
    host_keys: list[ConfirmationBody]
    """1 to 256: what was shown, and a person says is right."""


class UnconfirmedView(Answer):
    deployment: str
    code: str
    message: str


class AgentUpdatesBody(Body):
    nodes: list[ShortText]
    """Ids, 1 to 1000, in the order in which they are updated."""
    canaries: int = 1
    """So many are updated first; the others follow once these are connected with the new version."""
    at_once: int = 5


class HostKeyBody(Body):
    fingerprint: ShortText


class HostKeyView(Answer):
    type: str
    fingerprint: str
    host: str
    """Whose key it is: the server's, or first the jump host's."""
    port: int
    """Where it was shown: a jump host may have the server's name."""


class StepView(Answer):
    name: str
    state: Literal["waiting", "running", "done", "failed", "skipped"]
    detail: str
    started_at: float | None
    ended_at: float | None


class JumpView(Answer):
    """The jump host of a deployment."""

    host: str
    port: int
    username: str
    fingerprint: str | None
    """Of its host key, once it is known to be its own."""


class DeploymentErrorView(Answer):
    code: str
    message: str
    step: str


class EarlierView(Answer):
    """The try before this one. Each try begins at the first step: what one that failed has changed is undone, and a log-in ends with it."""

    tries: int
    """So many there were before."""
    step: str
    """Where the last of them ended."""
    left: Literal["nothing", "taken_back", "unknown", "goes_on"]
    """On the server: it never changed anything; what it began was taken back; nobody knows, so that it is taken back first;
    a removal, which goes on with whatever is still there."""
    kept: list[str]
    """Steps whose outcome still counts: `host_key`, which is not asked about again."""


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
    created_by: str
    created_at: float
    ended_at: float | None
    jump: JumpView | None
    """null: it is reached directly."""
    batch_id: str | None
    """Shared by those that one request asked for (`GET deployments?batch=`)."""
    again: bool
    """An installation in the place of the Spider that a node's server has; the node stays, however it ends."""
    forced: bool
    """A removal that only forgets the node (`?force=true`); so does a retry of it, whatever it is given."""
    earlier: EarlierView | None
    """null: it is the first try."""
    version: int
    """Grows with each change: of two views the one with the higher number is the newer, whichever came first."""


class DeploymentsView(Answer):
    deployments: list[DeploymentView]
    next: str | None


class ConfirmedView(Answer):
    deployments: list[DeploymentView]
    """Those that go on."""
    refused: list[UnconfirmedView]


def _jump_view(jump: Jump) -> JumpView:
    return JumpView(jump.host, jump.port, jump.username, None if jump.host_key is None else jump.host_key.fingerprint)


def _host_key_view(key: HostKey, deployment: Deployment) -> HostKeyView:
    jump = deployment.options.jump if key.host else None
    host, port = (deployment.host, deployment.port) if jump is None else (key.host, jump.port)
    return HostKeyView(type=key.type, fingerprint=key.fingerprint, host=host, port=port)


def deployment_view(deployment: Deployment) -> DeploymentView:
    key, error, jump, earlier = deployment.host_key, deployment.error, deployment.options.jump, deployment.options.earlier
    return view_of(
        DeploymentView,
        deployment,
        host_key=None if key is None else _host_key_view(key, deployment),
        steps=[StepView(*step) for step in deployment.steps],
        error=None if error is None else DeploymentErrorView(*error),
        jump=None if jump is None else _jump_view(jump),
        batch_id=deployment.batch,
        again=deployment.options.again,
        forced=deployment.options.forced,
        earlier=None if earlier is None else view_of(EarlierView, earlier),
    )


def server_list_view(reading: ParsedList) -> ServerListView:
    return ServerListView(
        format=reading.format,
        servers=[
            view_of(
                ListedServerView,
                one,
                jump=None if one.jump is None else PlaceView(*one.jump),
                problems=[ListProblemView(*problem) for problem in one.problems],
            )
            for one in reading.servers
        ],
        notes=[LineNoteView(*note) for note in reading.notes],
        problems=[LineProblemView(line, problem.code, problem.message) for line, problem in reading.problems],
    )
