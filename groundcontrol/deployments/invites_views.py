"""Invites and organisation secrets."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.web.answer import Answer, Body


class InviteBody(Body):
    """By default, an invite for one node gives it the server's own host name, and a policy that allows everything."""

    kind: Literal["node", "organisation"] = "node"
    name: str = ""
    """The name of the node, or the purpose of an organisation secret."""
    tags: list[str] = msgspec.field(default_factory=list)
    policy: Literal["monitor", "readonly", "managed"] = "managed"
    units: list[str] | None = None
    """Names and patterns (`*`) of the units that people may start, stop, restart and reload. This and the next three are for a server without
    a policy file: one that is there stays."""
    containers: list[str] | None = None
    journal: Literal["off", "warning", "all"] | None = None
    events: list[str] | None = None
    """Accounts of the server that may report events, beside root."""
    proxy: str = ""
    """The HTTP proxy (`http://host:port`) through which the server connects to this hub. Only the invite contains it."""
    uses: int | None = None
    """Maximum number of nodes of an organisation secret, 1 to 1000 (100)."""
    days: int | None = None
    """Days until an organisation secret expires, 1 to 90 (7). An invite for one node is valid for five minutes."""
    approval: bool | None = None
    """Whether nodes of an organisation secret wait for approval (true)."""


class InstallerView(Answer):
    """The address and the checksum of `install.sh`."""

    url: str
    sha256: str


class InviteView(Answer):
    """An invite without its secret."""

    id: str
    kind: Literal["node", "organisation"]
    state: Literal["open", "used", "expired", "revoked"]
    name: str
    tags: list[str]
    policy: str
    units: list[str]
    containers: list[str]
    journal: str | None
    events: list[str]
    approval: bool
    most_uses: int
    uses: int
    node_id: str | None
    """The newest node that joined with this invite; null: none yet."""
    created_by: str
    created_at: float
    expires_at: float
    revoked_at: float | None


class InvitesView(Answer):
    invites: list[InviteView]
    next: str | None
    installer: InstallerView


class NewInviteView(Answer):
    """A new invite with its secret, which is shown once."""

    invite: str
    short: str
    """The shortest command: it pipes `install.sh` into a shell. The script asks for the invite on the terminal."""
    without_curl: list[str]
    """The same for a server without curl: with wget, and with Python. Empty: a key is pinned, so only `command` and `line` do."""
    command: str
    """The command with the invite, for a shell of root or with sudo."""
    line: str
    """The command for shells that save pasted text (zsh, fish). It reads the invite from a prompt or from standard input."""
    expires_at: float
    installer: InstallerView
    this_machine_only: bool
    """Whether the hub does not know its address for other machines (`--server-url`)."""
    info: InviteView
