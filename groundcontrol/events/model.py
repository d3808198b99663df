"""What happened: events for people, audit rows for proof, refusals beside them."""

from __future__ import annotations

from typing import Literal, NamedTuple

from groundcontrol.core.ids import EventId, NodeId, RefusalId
from groundcontrol.core.scope import Actor

Severity = Literal["info", "warning", "error"]
EventSource = Literal["agent", "hub", "api"]


class Event(NamedTuple):
    id: EventId
    org: int
    type: str
    """`node.online`, `job.succeeded`, `deployment.failed` …"""
    severity: Severity
    source: EventSource
    at: float
    node_id: NodeId | None
    message: str
    details: dict[str, object]


class EventFilter(NamedTuple):
    """Which events of a list; what is empty asks for nothing."""

    severities: tuple[Severity, ...] = ()
    type: str = ""
    """The whole type, or its first part (`job` stands for `job.failed` too)."""
    search: str = ""
    """Stands in the message, in capitals or not."""


class Refusal(NamedTuple):
    """Something that a node or a stranger was refused within a minute, and how often."""

    id: RefusalId
    actor: Actor
    """A node or an account, if the hub knows which; else its id is empty. The address is the first one."""
    action: str
    """What was tried: `auth.login`, `agent.open` …"""
    why: str
    target: str
    """Of the first one."""
    at: float
    last_at: float
    times: int
