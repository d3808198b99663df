"""Invites and organisation secrets."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.web.answer import Answer, Body


class InviteBody(Body):
    """What is left out of an invite for one node: it is named as the server calls itself, and may do everything."""

    kind: Literal["node", "organisation"] = "node"
    name: str = ""
    """Of the node; of an organisation secret what it is for."""
    tags: list[str] = msgspec.field(default_factory=list)
    policy: Literal["monitor", "readonly", "managed"] = "managed"
    proxy: str = ""
    """`http://host:port`, through which the server dials this hub (HTTP CONNECT). It stands in the invite alone."""
    uses: int | None = None
    """Of an organisation secret: how many nodes may come with it, 1 to 1000 (100)."""
    days: int | None = None
    """Of an organisation secret: 1 to 90 (7). An invite for one node is good for five minutes."""
    approval: bool | None = None
    """Of an organisation secret: its nodes wait until somebody approves them (true)."""


class InstallerView(Answer):
    """What is run on the server; it reads the invite from its standard input."""

    url: str
    sha256: str


class InviteView(Answer):
    """An invite as lists show it: never with its secret."""

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
    """The latest that came with it."""
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
    command: str
    """For a root shell on the server, or one with sudo; the invite is in it."""
    line: str
    """The same without the invite, which it asks for, or reads from standard input: for shells that keep what is pasted (zsh, fish)."""
    expires_at: float
    installer: InstallerView
    this_machine_only: bool
    """The hub does not know how other machines reach it (`--server-url`)."""
    info: InviteView
