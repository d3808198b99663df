"""The model of events (for users) and of refusals. The list of the audit log shows refusals too."""

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
    """A type of the catalogue, such as `node_online` or `backup_failed`."""
    severity: Severity
    source: EventSource
    at: float
    """When it happened, in Unix seconds, corrected by the measured error of the node's clock."""
    node_id: NodeId | None
    message: str
    details: dict[str, object]
    """Texts and numbers. Events of the hub may have short lists too, and store the name of the node as `name`."""
    object: str = ""
    """The part of the node that the event is about, such as a unit or a mount; empty: the node itself."""
    received_at: float = 0.0
    """When the hub received the event; 0: when it is stored."""
    times: int = 1
    """How many equal events share this row."""
    last_at: float = 0.0
    """When the newest of these equal events happened; 0: `at`."""
    retro: bool = False
    """Whether it was reported late, such as after the hub was away."""
    window_s: float = 0.0
    """An equal event less than this after the last one is counted instead of stored. This field is not stored."""
    reported_as: str = ""
    """The sender and its id of the event, so that a repeated report is stored once. Empty for events of the hub."""


class EventFilter(NamedTuple):
    """The filter of a list of events; an empty field matches every event."""

    severities: tuple[Severity, ...] = ()
    types: tuple[str, ...] = ()
    search: str = ""
    """A part of the message, in any case of letters."""
    from_at: float = 0.0
    """Unix seconds. Rows whose newest event happened at this time or later match."""
    to_at: float = 0.0
    """Unix seconds. Rows whose first event happened before this time match; 0: no limit."""


class Summary(NamedTuple):
    """Numbers of events by severity, in this hour of the clock and the 23 before it."""

    since_at: float
    info: int
    warning: int
    error: int


class Order(NamedTuple):
    """One order for many nodes, as far as the caller may see it."""

    id: str
    kind: Literal["jobs", "deployments"]
    action: str
    """The verb of its jobs, or the kind of its deployments."""
    for_action: str | None
    """The verb that its jobs plan; None: they are no plans."""
    by: str
    """Who ordered it."""
    states: dict[str, int]
    """State -> number of its jobs or deployments. `incomplete`: succeeded, but not everything came back."""


class Subject(NamedTuple):
    """What an id stands for."""

    name: str
    """Its name; of a job that of its node. Empty: it has none."""
    action: str = ""
    """The verb of a job."""
    by: str = ""
    """Who ordered the job or deployment."""
    order: str | None = None
    """The order for many nodes that it belongs to, or is."""


class Refusal(NamedTuple):
    """Attempts at one action that the hub refused to a node or stranger within one minute."""

    id: RefusalId
    actor: Actor
    """The node or account, with the address of the first attempt. Its id is empty if the hub does not know who it is."""
    action: str
    """The refused action, such as `auth.login` or `agent.open`."""
    why: str
    target: str
    """The target of the first attempt."""
    at: float
    last_at: float
    times: int
