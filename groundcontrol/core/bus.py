"""The message bus between the parts of a hub. Every message may be lost, doubled or late: the store decides what is true."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Literal, NamedTuple, Protocol

from groundcontrol.core.ids import DeploymentId, EventId, HubId, JobId, NodeId
from groundcontrol.core.tables import SubjectTable

QueuePolicy = Literal["latest", "ordered"]
"""latest: the queue stores only the newest event of each key. ordered: the queue stores every event. A full queue drops its oldest event
and delivers a `BusGap`."""


class Topic(NamedTuple):
    kind: Literal["session", "job_poke", "job_output", "node_live", "nodes_fresh", "node_table", "changed", "event", "interest", "revoked"]
    id: str = ""
    """The id of a node or job, or `<kind>:<id>` for `changed`; empty: all of this kind."""
    org: int = 0
    """Without an id: those of this organisation, as far as such events name one; 0: those of all organisations."""


class SessionChanged(NamedTuple):
    """topic session. The session `epoch` owns the node now; `online` False: no session owns it."""

    node: NodeId
    epoch: int
    hub: HubId
    online: bool
    org: int


class JobPoke(NamedTuple):
    """topic job_poke. These jobs changed in the store, so the job tracker reads them again."""

    jobs: tuple[JobId, ...]


class JobOutputArrived(NamedTuple):
    """topic job_output, id = job. At most 32 KiB of a job's output. A receiver reads missing bytes before `offset` from the store."""

    job: JobId
    offset: int
    data: bytes


class NodeLive(NamedTuple):
    """topic node_live, id = node. One row of one metric family, values by series name."""

    node: NodeId
    family: str
    taken_at: float
    """Unix seconds."""
    values: dict[str, float | None]


class NodesUpdated(NamedTuple):
    """topic nodes_fresh. These nodes of one organisation have newer values. Live topics then read the values of the nodes that they show."""

    nodes: tuple[NodeId, ...]
    org: int


class NodeTable(NamedTuple):
    """topic node_table, id = node. The newest table of one subject."""

    node: NodeId
    table: SubjectTable


class Changed(NamedTuple):
    """topic changed, id = "<kind>:<id>". A change of this object is committed; read it from the store."""

    kind: str
    """Such as `node`: the `changes` of a live topic (`web.declare.LiveTopic`)."""
    id: NodeId | JobId | DeploymentId | str
    version: int
    org: int


class EventStored(NamedTuple):
    """topic event. An event is committed: in a new row, or counted in the row of an equal event. Read the rest of the row from the store."""

    id: EventId
    org: int
    type: str
    node: NodeId | None
    object: str
    at: float
    """Time of this event, Unix seconds. The row has the time of its first event."""
    times: int
    """The number of equal events that this row counts; 1: the event is new."""
    severity: Literal["info", "warning", "error"]


class Interest(NamedTuple):
    """topic interest. Browsers watch these nodes, so the nodes send their values each second for the next `ttl_s` seconds."""

    nodes: tuple[NodeId, ...]
    ttl_s: float
    closely: tuple[NodeId, ...] = ()
    """Those of the nodes that also send their tables."""


class Revoked(NamedTuple):
    """topic revoked. This log-in session is over, or the rights of its user changed: check the rights again or close the connection."""

    session: str
    user: str
    org: int = 0
    """With `ALL_USERS`: the organisation whose users it is about."""


class BusGap(NamedTuple):
    """The queue dropped events: read the store."""

    dropped: int


BusEvent = SessionChanged | JobPoke | JobOutputArrived | NodeLive | NodesUpdated | NodeTable | Changed | EventStored | Interest | Revoked


class Bus(Protocol):
    def publish(self, event: BusEvent) -> None:
        """Never blocks, and never raises for an outage; the bus drops and counts events that do not fit."""
        ...

    def subscribe(self, *topics: Topic, limit: int, policy: QueuePolicy) -> AbstractAsyncContextManager[AsyncIterator[BusEvent | BusGap]]:
        """The events of these topics from now on, in a queue of at most `limit` events."""
        ...

    def has_subscribers(self, topic: Topic) -> bool:
        """Whether this topic has subscribers; True if the bus cannot tell. If False, the caller need not make an expensive event."""
        ...

    @property
    def dropped(self) -> int:
        """The number of events that full queues have dropped."""
        ...


def topics_of(event: BusEvent) -> tuple[Topic, ...]:
    """The topics that deliver an event: of its object, of all events of its kind, and of those of its organisation."""
    org = 0
    match event:
        case SessionChanged(node=node, org=org):
            kind, key = "session", str(node)
        case JobPoke():
            kind, key = "job_poke", ""
        case JobOutputArrived(job=job):
            kind, key = "job_output", str(job)
        case NodeLive(node=node):
            kind, key = "node_live", str(node)
        case NodesUpdated(org=org):
            kind, key = "nodes_fresh", ""
        case NodeTable(node=node):
            kind, key = "node_table", str(node)
        case Changed(kind=what, id=id_, org=org):
            kind, key = "changed", f"{what}:{id_}"
        case EventStored(org=org):
            kind, key = "event", ""
        case Interest():
            kind, key = "interest", ""
        case Revoked():
            kind, key = "revoked", ""
    own = Topic(kind, key)  # type: ignore[arg-type]  # kind is one of the literals above
    return (*((own, Topic(own.kind)) if key else (own,)), *((Topic(own.kind, org=org),) if org else ()))
