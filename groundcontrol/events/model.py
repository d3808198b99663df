"""The model of events (for users) and of refusals, which are listed beside the audit log."""

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
    """The filter of a list of events; an empty field matches every event."""

    severities: tuple[Severity, ...] = ()
    type: str = ""
    """The whole type, or its first part (`job` also matches `job.failed`)."""
    search: str = ""
    """A part of the message; upper and lower case match."""


class Refusal(NamedTuple):
    """An action that the hub refused to a node or a stranger within one minute, with the number of attempts."""

    id: RefusalId
    actor: Actor
    """A node or an account, if the hub knows which; otherwise its id is empty. The address is that of the first attempt."""
    action: str
    """The action that was tried: `auth.login`, `agent.open` …"""
    why: str
    target: str
    """The target of the first attempt."""
    at: float
    last_at: float
    times: int
