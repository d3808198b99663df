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
    """One of the catalogue (`events/catalogue.py`): `node_online`, `job_succeeded`, `backup_failed` …"""
    severity: Severity
    source: EventSource
    at: float
    """When it happened: Unix seconds, corrected by the measured error of the node's clock."""
    node_id: NodeId | None
    message: str
    details: dict[str, object]
    """Texts and numbers; for hub events also short lists. `name` is the name of the node then."""
    object: str = ""
    """What of the node it is about (a unit, a mount …); empty: the node itself."""
    received_at: float = 0.0
    """When the hub learned of it; 0: when it is stored."""
    times: int = 1
    """Equal events that share this row."""
    last_at: float = 0.0
    """When the newest of them happened; 0: `at`."""
    retro: bool = False
    """It was reported late, such as after the hub was away."""
    window_s: float = 0.0
    """An equal event less than this after the last one is counted instead of stored. Not stored itself."""
    reported_as: str = ""
    """The sender and its own id of the event: what has the same one is stored once. Empty: hub events. Not stored with the event."""


class EventFilter(NamedTuple):
    """The filter of a list of events; an empty field matches every event."""

    severities: tuple[Severity, ...] = ()
    types: tuple[str, ...] = ()
    search: str = ""
    """A part of the message; upper and lower case match."""
    from_at: float = 0.0
    """Unix seconds; events that happened then or later."""
    to_at: float = 0.0
    """Unix seconds; events that happened before then; 0: no limit."""


class Summary(NamedTuple):
    """The number of events stored in this hour of the clock and the 23 before it, by severity."""

    since_at: float
    info: int
    warning: int
    error: int


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
