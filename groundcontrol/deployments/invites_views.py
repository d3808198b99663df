"""Invites and organisation secrets."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.web.answer import Answer, Body


class InviteBody(Body):
    """Defaults of an invite for one node: the server's own host name, and a policy that allows everything."""

    kind: Literal["node", "organisation"] = "node"
    name: str = ""
    """The name of the node, or the purpose of an organisation secret."""
    tags: list[str] = msgspec.field(default_factory=list)
    policy: Literal["monitor", "readonly", "managed"] = "managed"
    proxy: str = ""
    """The HTTP proxy (`http://host:port`) through which the server connects to this hub. Only the invite contains it."""
    uses: int | None = None
    """Maximum number of nodes of an organisation secret, 1 to 1000 (100)."""
    days: int | None = None
    """Days until an organisation secret expires, 1 to 90 (7). An invite for one node is valid for five minutes."""
    approval: bool | None = None
    """Whether nodes of an organisation secret wait for approval (true)."""


class InstallerView(Answer):
    """The command for the server. It reads the invite from standard input."""

    url: str
    sha256: str


class InviteView(Answer):
    """An invite of a list, without its secret."""

    id: str
    kind: Literal["node", "organisation"]
    state: Literal["open", "used", "expired", "revoked"]
    name: str
    tags: list[str]
    policy: str
    approval: bool
    most_uses: int
    uses: int
    node_id: str | None
    """The newest nodes that joined with it."""
    created_by: str
    created_at: float
    expires_at: float
    revoked_at: float | None


class InvitesView(Answer):
    invites: list[InviteView]
    next: str | None
    installer: InstallerView


class NewInviteView(Answer):
    """The invite itself, shown once."""

    invite: str
    short: str
    """The shortest command: it runs `install.sh` as it is fetched, which asks for the invite on the terminal."""
    command: str
    """The command with the invite, for a shell of root or with sudo."""
    line: str
    """The command without the invite, which it reads from a prompt or standard input: for shells that save pasted text (zsh, fish)."""
    expires_at: float
    installer: InstallerView
    this_machine_only: bool
    """Whether the hub does not know its address for other machines (`--server-url`)."""
    info: InviteView
