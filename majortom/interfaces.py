"""What Major Tom is given and what it reports. The hub's stores, bus and vault reach it only through these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol


class Secret:
    """A secret text that does not show itself: `repr` and `str` are `***`."""

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
    """The jump host whose key this is; empty: the server's own."""


class Target(NamedTuple):
    """Where and as whom to log in."""

    host: str
    port: int
    username: str
    private_key: Secret | None
    passphrase: Secret | None
    password: Secret | None
    sudo_password: Secret | None
    pinned: HostKey | None
    """Known from before: a server that shows another key is not talked to."""
    expected_fingerprint: str | None
    """Given by the user beforehand: confirms a host key without asking."""
    certificate: str | None = None
    """The OpenSSH line of a user certificate for the private key."""
    jump: Target | None = None
    """Another server, through which this one is reached."""
    still_wanted: Callable[[], Awaitable[None]] | None = None
    """Asked right before the server is dialled and before it is logged in to; raises DeployError where it shall not be any more."""


class Payload(NamedTuple):
    """What is put on the server."""

    version: str
    bundle: bytes
    """The Spider zipapp."""
    spider_conf: str
    policy_conf: str
    session_key: Secret
    """Hex of the 32 bytes."""
    launch_key: Secret
    install_python: bool
    own_policy: bool = False
    """The server's policy.conf stays as its owner has it; `policy_conf` is of the same mode."""


StepName = Literal[
    "connect", "host_key", "authenticate", "become_root",
    "probe", "upload", "install", "start", "verify",
    "stop", "uninstall", "wipe",
]  # fmt: skip


class Reporter(Protocol):
    """Told of every step as it happens; a detail is one line for people, without secrets."""

    async def started(self, step: StepName) -> None: ...
    async def detail(self, step: StepName, text: str) -> None: ...
    async def done(self, step: StepName, detail: str = "") -> None: ...
    async def confirm_host_key(self, key: HostKey) -> bool:
        """Wait until a person confirmed this key; False: refused, cancelled or 10 minutes have passed."""
        ...


class DeployError(Exception):
    """A deployment could not be done; `message` says what went wrong and what to do, in one sentence."""

    def __init__(self, code: str, message: str, step: StepName) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.step = step


VerifySession = Callable[[float], Awaitable[None]]
"""Waits until the node has completed a session, at most the given seconds; TimeoutError when it has not."""
