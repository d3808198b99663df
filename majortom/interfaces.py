"""The inputs of Major Tom and its reports. The hub's stores, bus and vault reach it only through these types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol


class Secret:
    """A secret text that does not print itself: `repr` and `str` are `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


class HostKey(NamedTuple):
    type: str
    fingerprint: str
    """`SHA256:…`"""
    public: str
    """The OpenSSH line, without comment."""
    host: str = ""
    """The jump host that has this key; empty: the server has it."""


class Target(NamedTuple):
    """The address of a server and the credentials for it."""

    host: str
    port: int
    username: str
    private_key: Secret | None
    passphrase: Secret | None
    password: Secret | None
    sudo_password: Secret | None
    pinned: HostKey | None
    """The host key of an earlier log-in. Major Tom does not log in to a server with another key."""
    expected_fingerprint: str | None
    """A fingerprint that the user gave with the request. A host key with this fingerprint needs no confirmation."""
    certificate: str | None = None
    """The OpenSSH line of a user certificate for the private key."""
    jump: Target | None = None
    """The server that serves as jump host."""
    ensure_wanted: Callable[[], Awaitable[None]] | None = None
    """Called right before the connection and before the log-in; raises DeployError if the deployment is no longer wanted."""


class Payload(NamedTuple):
    """The files and keys that an installation puts on the server."""

    version: str
    bundle: bytes
    """The agent's zipapp."""
    spider_conf: str
    policy_conf: str
    session_key: Secret
    """Hex of 32 bytes, as `launch_key`."""
    launch_key: Secret
    install_python: bool
    replaced_policy: str = ""
    """SHA-256 of the server's policy.conf that is replaced. Empty: a policy.conf that is there stays, and `policy_conf` must have its mode."""


StepName = Literal[
    "connect", "host_key", "authenticate", "become_root",
    "probe", "upload", "install", "start", "verify",
    "stop", "uninstall", "wipe",
]  # fmt: skip


class Reporter(Protocol):
    """Receives each step when it happens. A detail is one line for people, without secrets."""

    async def started(self, step: StepName) -> None: ...
    async def detail(self, step: StepName, text: str) -> None: ...
    async def done(self, step: StepName, detail: str = "") -> None: ...
    async def confirm_host_key(self, key: HostKey) -> bool:
        """Wait until a person has confirmed this key. Returns: False: nobody has within the limit of the reporter."""
        ...


class DeployError(Exception):
    """A deployment failed; `message` gives the error and the remedy in one sentence.

    Args: at_jump_host: it failed at the jump host, not at the server.
    """

    def __init__(self, code: str, message: str, step: StepName, *, at_jump_host: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.step = step
        self.at_jump_host = at_jump_host


VerifySession = Callable[[float], Awaitable[None]]
"""Waits until the node has completed a session, at most the given seconds; raises TimeoutError if it has not."""
