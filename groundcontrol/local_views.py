"""Bodies and views of the local socket."""

from __future__ import annotations

from groundcontrol.access.views import NewTokenBody
from groundcontrol.web.answer import Answer, Body


class LocalEnrolBody(Body):
    """Request on the hub's machine to create nodes and return their keys."""

    names: list[str]
    simulated: bool = False
    address: str = "127.0.0.1"


class EnrolledView(Answer):
    node_id: str
    name: str
    generation: int
    fleet_id: str
    session_key: str
    """Hex."""
    launch_key: str


class EnrolledListView(Answer):
    nodes: list[EnrolledView]
    server_url: str


class DialledView(Answer):
    """The address at which a connected node has reached the hub."""

    node_id: str
    address: str
    is_other: bool
    """Whether the hub tells this node to dial another address."""
    follows: bool
    """Whether the node moves to this other address: the node has pinned the hub's key, and its agent is new enough."""


class DialledListView(Answer):
    nodes: list[DialledView]


class ResetUserBody(Body):
    username: str


class ResetUserView(Answer):
    """The new password, shown once."""

    username: str
    password: str


class LocalTokenBody(NewTokenBody):
    username: str = "admin"


class ClockView(Answer):
    behind_seconds: float
    """Seconds by which the clock was behind the audit log; 0: there was nothing to accept."""


class RecoveryBody(Body):
    again: bool = False
    """Whether to print the key although it was printed before."""


class RecoveryView(Answer):
    """The recovery key, shown once."""

    recovery: str


class PageView(Answer):
    """How to open the page."""

    address: str
    port: int
    only_here: bool
    """Whether the page is open to this machine alone."""
