"""The bus tells; the store decides. Every message may be lost, doubled or late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Literal, NamedTuple, Protocol

from groundcontrol.core.ids import DeploymentId, HubId, JobId, NodeId
from groundcontrol.core.tables import FactTable

QueuePolicy = Literal["latest", "ordered"]
"""latest: only the newest event of each key is kept. ordered: all, and a `BusGap` when over the limit."""


class Topic(NamedTuple):
    kind: Literal["session", "job_poke", "job_output", "node_live", "nodes_fresh", "node_table", "changed", "interest", "revoked"]
    id: str = ""
    """A node, job or deployment; empty = all of this kind."""


class SessionChanged(NamedTuple):
    """topic session. `epoch` owns the node now; `online` False: nobody does."""

    node: NodeId
    epoch: int
    hub: HubId
    online: bool


class JobPoke(NamedTuple):
    """topic job_poke. Somebody should look at these jobs."""

    jobs: tuple[JobId, ...]


class JobOutputArrived(NamedTuple):
    """topic job_output, id = job. At most 32 KiB; holes are read from the store."""

    job: JobId
    offset: int
    data: bytes


class NodeLive(NamedTuple):
    """topic node_live, id = node. One row of one family, values by series name."""

    node: NodeId
    family: str
    taken_at: float
    values: dict[str, float | None]


class NodesUpdated(NamedTuple):
    """topic nodes_fresh. Of these nodes there are newer values than before: for whoever shows many, and asks for what it shows."""

    nodes: tuple[NodeId, ...]


class NodeTable(NamedTuple):
    """topic node_table, id = node. The newest table of one subject."""

    node: NodeId
    table: FactTable


class Changed(NamedTuple):
    """topic changed, id = "<kind>:<id>". The object was committed; read it from the store."""

    kind: Literal["node", "job", "deployment", "event"]
    id: NodeId | JobId | DeploymentId | str
    version: int


class Interest(NamedTuple):
    """topic interest. These nodes are being watched for `ttl_s` seconds, some of them one by one, with all of their tables."""

    nodes: tuple[NodeId, ...]
    ttl_s: float
    closely: tuple[NodeId, ...] = ()


class Revoked(NamedTuple):
    """topic revoked. This log-in session is over, or its user's rights changed: check again or close."""

    session: str
    user: str


class BusGap(NamedTuple):
    """Something was lost: read the store."""

    dropped: int


BusEvent = SessionChanged | JobPoke | JobOutputArrived | NodeLive | NodesUpdated | NodeTable | Changed | Interest | Revoked


class Bus(Protocol):
    def publish(self, event: BusEvent) -> None:
        """Never blocks and never raises for an outage; what does not fit is dropped and counted."""
        ...

    def subscribe(
        self, *topics: Topic, limit: int, policy: QueuePolicy
    ) -> AbstractAsyncContextManager[AsyncIterator[BusEvent | BusGap]]: ...

    def heard(self, topic: Topic) -> bool:
        """Whether what is published under this topic reaches anybody: what costs much to make need not be made. True where that is not known."""
        ...

    @property
    def dropped(self) -> int: ...


def topics_of(event: BusEvent) -> tuple[Topic, ...]:
    """The topics under which an event is delivered: its own, and the one for all of its kind."""
    match event:
        case SessionChanged(node=node):
            kind, key = "session", str(node)
        case JobPoke():
            kind, key = "job_poke", ""
        case JobOutputArrived(job=job):
            kind, key = "job_output", str(job)
        case NodeLive(node=node):
            kind, key = "node_live", str(node)
        case NodesUpdated():
            kind, key = "nodes_fresh", ""
        case NodeTable(node=node):
            kind, key = "node_table", str(node)
        case Changed(kind=what, id=id_):
            kind, key = "changed", f"{what}:{id_}"
        case Interest():
            kind, key = "interest", ""
        case Revoked():
            kind, key = "revoked", ""
    own = Topic(kind, key)  # type: ignore[arg-type]  # kind is one of the literals above
    return (own, Topic(own.kind)) if key else (own,)
