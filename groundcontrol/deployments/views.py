"""Request and response bodies of deployments and host lists."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from groundcontrol.deployments.hostlists.model import ParsedList, ProblemCode
from groundcontrol.deployments.model import Deployment, HostKey, Jump
from groundcontrol.web.answer import Answer, Body, view_of

ShortText = Annotated[str, msgspec.Meta(max_length=1024)]
"""Length limit of names, addresses and fingerprints. Stricter checks name the field in their error."""
SecretText = Annotated[str, msgspec.Meta(max_length=32 << 10)]
"""Length limit of passwords and certificates. A private key has its own limit."""


class _Credentials(Body):
    private_key: str | None = None
    passphrase: SecretText | None = None
    password: SecretText | None = None
    certificate: SecretText | None = None
    """An OpenSSH user certificate for the private key, as one line (`ssh-ed25519-cert-v01@openssh.com …`)."""


class JumpLoginBody(_Credentials, kw_only=True):
    """The log-in of a jump host (`ssh -J`)."""

    host: ShortText
    port: int = 22
    username: ShortText | None = None


class JumpBody(JumpLoginBody, kw_only=True):
    """The jump host of a server (`ssh -J`). Without a key or password it gets the credentials of the server."""

    host_key: ShortText | None = None
    """The expected fingerprint (`SHA256:…`)."""


class _Access(_Credentials):
    """Credentials of a server, and what people may do there by its policy file."""

    sudo_password: SecretText | None = None
    units: list[ShortText] | None = None
    """Names and patterns (`*`) of the units that people may start, stop, restart and reload."""
    containers: list[ShortText] | None = None
    journal: Literal["off", "warning", "all"] | None = None
    events: list[ShortText] | None = None
    """Accounts of the server that may report events, beside root."""


class _New(_Access):
    """What deployments of new servers are told."""

    use_hub_key: bool = False
    """Log in with the hub's own SSH key (`GET hub-key`), in place of a key or password."""
    tags: list[ShortText] | None = None
    keep_credentials: bool = True
    install_python: bool = False
    policy: Literal["monitor", "readonly", "managed"] = "managed"
    """The mode of a new policy file. A file that is on the server stays."""
    jump: JumpBody | None = None
    proxy: ShortText | None = None
    """The HTTP proxy (`http://host:port`) through which the server connects to this hub."""


class _Again(_Access):
    """What may be told anew of servers that are known."""

    username: ShortText | None = None
    use_hub_key: bool | None = None
    keep_credentials: bool | None = None
    install_python: bool | None = None
    policy: Literal["monitor", "readonly", "managed"] | None = None
    """Changes the mode in the server's policy file: with credentials in this call, after its difference was seen."""


class DeploymentBody(_New, kw_only=True):
    host: ShortText
    username: ShortText
    port: int = 22
    name: ShortText | None = None
    host_key: ShortText | None = None
    """The expected fingerprint (`SHA256:…`). If it matches, the host key needs no confirmation."""


class RetryBody(_Again):
    """Each given field replaces the earlier one. `DELETE nodes/{id}` and `POST nodes/{id}/redeploy` take this body, too."""

    host: ShortText | None = None
    port: int | None = None
    name: ShortText | None = None
    tags: list[ShortText] | None = None
    host_key: ShortText | None = None
    policy_seen: ShortText | None = None
    """The digest of the difference between the server's policy file and this request (409 `policy_differs`), which may be written."""
    proxy: ShortText | None = None
    """Empty: no proxy."""
    jump: JumpBody | msgspec.UnsetType | None = msgspec.UNSET
    """Omitted: unchanged. null: without a jump host. The address then counts as another server."""


class RedeployManyBody(_Again, kw_only=True):
    """The nodes to deploy again, and fields for all of them."""

    nodes: list[ShortText]
    """1 to 200 ids."""
    username: ShortText | None = None
    """Omitted, like the credentials: those that are kept for each node."""
    policy_seen: dict[str, ShortText] | None = None
    """By node: the digest of the difference that may be written (`policy_found` of an earlier deployment)."""


class RetryManyBody(_Credentials, kw_only=True):
    """The deployments to retry, and the log-in for all of them. Everything else stays as it was."""

    deployments: list[ShortText]
    """1 to 200 ids."""
    username: ShortText | None = None
    sudo_password: SecretText | None = None
    use_hub_key: bool | None = None
    jumps: Annotated[list[JumpLoginBody], msgspec.Meta(max_length=200)] | None = None
    """Log-ins of jump hosts, each for those of the deployments that go through this host and port. None changes the way to a server."""


class NotRetriedView(Answer):
    deployment: str
    code: str
    """`credentials_required`: the hub has no log-in for it any more. `deployment.jump_credentials_required`: none for its jump host (`jumps`)."""
    message: str


class NotBegunView(Answer):
    node_id: str
    code: str
    message: str


class HubKeyBody(Body):
    replace: bool = False
    """Whether to replace the present key, which is destroyed."""


class HubKeyView(Answer):
    """The public half of the hub's own SSH key."""

    public: str
    """`ssh-ed25519 AAAA…`"""
    fingerprint: str
    authorized_keys: str
    """The line for `~/.ssh/authorized_keys` on a server."""
    created_at: float
    created_by: str


class HubKeyStateView(Answer):
    key: HubKeyView | None
    """null: there is no key."""


class ListedJumpBody(Body):
    """A jump host of a host list. It has the credentials of the common `jump` if host and port are the same, else those of the server."""

    host: ShortText
    port: int = 22
    username: ShortText | None = None
    host_key: ShortText | None = None


class ServerBody(Body):
    """The settings of one of many servers."""

    host: ShortText
    port: int = 22
    username: ShortText | None = None
    """Omitted: the value for all servers."""
    name: ShortText | None = None
    tags: list[ShortText] | None = None
    """Added to the tags for all servers."""
    host_key: ShortText | None = None
    """The expected fingerprint (`SHA256:…`). If it matches, the host key needs no confirmation."""
    jump: ListedJumpBody | msgspec.UnsetType | None = msgspec.UNSET
    """Omitted: the value for all servers. null: none."""


class ManyDeploymentsBody(_New, kw_only=True):
    """The settings for many servers. An entry of `servers` overrides them."""

    servers: list[ServerBody]
    """1 to 200 servers."""
    username: ShortText | None = None


class ServerListBody(Body):
    """A pasted host list: lines of `user@host:port`, CSV with a header, or an OpenSSH client configuration."""

    text: str
    """At most 256 Ki characters, without keys and passwords."""
    format: Literal["auto", "lines", "csv", "ssh_config"] = "auto"


class ListedJumpView(Answer):
    host: str
    port: int
    username: str | None


class ListProblemView(Answer):
    code: ProblemCode
    field: str
    """host, port, username, name, tags, host_key or jump; empty: the row as a whole."""
    message: str


class ListedServerView(Answer):
    line: int
    host: str
    port: int
    username: str | None
    """null: the list has no value."""
    name: str | None
    tags: list[str]
    host_key: str | None
    jump: ListedJumpView | None
    notes: list[str]
    problems: list[ListProblemView]
    """Empty: the row is valid."""


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
    """Parts of the list that the hub ignored."""
    problems: list[LineProblemView]
    """Problems of the whole list, or of lines without a server."""


class ConfirmationBody(Body):
    deployment: ShortText
    fingerprint: ShortText


class HostKeysBody(Body):
    host_keys: list[ConfirmationBody]
    """1 to 256 confirmations."""


class UnconfirmedView(Answer):
    deployment: str
    code: str
    message: str


class AgentUpdatesBody(Body):
    nodes: list[ShortText]
    """Ids of nodes, 1 to 1000, in the order of the update."""
    canaries: int = 1
    """The number of nodes to update first. The others follow once these are connected with the new version."""
    at_once: int = 5
    """How many nodes are updated at the same time, 1 to 50."""


class HostKeyBody(Body):
    fingerprint: ShortText


class HostKeyView(Answer):
    type: str
    fingerprint: str
    host: str
    """The owner of the key: the server or its jump host."""
    port: int
    """The port at which the key was presented. The port distinguishes the server from a jump host of the same name."""


class StepView(Answer):
    name: str
    state: Literal["waiting", "running", "done", "failed", "skipped"]
    detail: str
    started_at: float | None
    ended_at: float | None
    waited_s: float
    """How long it waited for a person, within its time."""


class JumpView(Answer):
    """The jump host of a deployment."""

    host: str
    port: int
    username: str
    fingerprint: str | None
    """The fingerprint of the confirmed host key; null: not confirmed."""


class DeploymentErrorView(Answer):
    code: str
    message: str
    step: str
    at_jump_host: bool
    """It failed at the jump host, not at the server."""


class EarlierView(Answer):
    """The previous attempt. Each attempt starts at the first step, since a failed attempt is undone."""

    tries: int
    """The number of previous attempts."""
    step: str
    """The step at which the last attempt ended."""
    left: Literal["nothing", "taken_back", "unknown", "goes_on"]
    """The changes on the server. `nothing`: there are none; `taken_back`: they were undone; `unknown`: the next attempt undoes them first;
    `goes_on`: a removal, which the next attempt continues."""
    kept: list[str]
    """Steps whose result is reused: a confirmed `host_key` needs no second confirmation."""


class PolicyFoundView(Answer):
    """The difference between the policy file on a server and the request."""

    outcome: Literal["kept", "differs", "written"]
    """kept: the file stays as its owner wrote it. differs: nothing was changed, so that a person sees the difference first."""
    current: str
    """The text on the server; empty: the hub cannot read it."""
    wanted: str
    digest: str
    """Names this difference in `policy_seen`; empty: the hub cannot change the file."""


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
    """null: there is no jump host."""
    batch_id: str | None
    """Common to the deployments of one request (`GET deployments?batch=`)."""
    again: bool
    """Whether the deployment replaces the Spider of an existing node. The node remains even if the deployment fails."""
    forced: bool
    """Whether the removal deletes only the node's records (`?force=true`). A retry does the same."""
    earlier: EarlierView | None
    """null: this is the first attempt."""
    tags: list[str]
    """The tags of the new node."""
    policy: Literal["monitor", "readonly", "managed"]
    policy_found: PolicyFoundView | None
    """The difference between the server's policy file and the request. null: none, or not known yet."""
    use_hub_key: bool
    """Whether the deployment logs in with the hub's own SSH key."""
    version: int
    """Grows with each change: the view with the higher number is newer."""


class DeploymentsView(Answer):
    deployments: list[DeploymentView]
    next: str | None


class RedeployedView(Answer):
    deployments: list[DeploymentView]
    """With a common `batch_id`."""
    refused: list[NotBegunView]
    """Nodes whose deployment did not begin."""


class RetriedView(Answer):
    deployments: list[DeploymentView]
    refused: list[NotRetriedView]
    """Deployments that were not retried."""


class ConfirmedView(Answer):
    deployments: list[DeploymentView]
    """The deployments whose host key is confirmed now."""
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
        tags=list(deployment.options.tags),
        policy=deployment.options.policy,
        policy_found=None if deployment.options.found is None else PolicyFoundView(*deployment.options.found),
        use_hub_key=deployment.options.use_hub_key,
        earlier=None if earlier is None else view_of(EarlierView, earlier),
    )


def server_list_view(reading: ParsedList) -> ServerListView:
    return ServerListView(
        format=reading.format,
        servers=[
            view_of(
                ListedServerView,
                one,
                jump=None if one.jump is None else ListedJumpView(*one.jump),
                problems=[ListProblemView(*problem) for problem in one.problems],
            )
            for one in reading.servers
        ],
        notes=[LineNoteView(*note) for note in reading.notes],
        problems=[LineProblemView(line, problem.code, problem.message) for line, problem in reading.problems],
    )
