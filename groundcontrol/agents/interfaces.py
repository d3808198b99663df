"""The interfaces that a session uses: its socket, and the receivers of its messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from groundcontrol.agents.quota import Quotas
from groundcontrol.agents.validation import KnownSchema
from groundcontrol.core.bus import Bus
from groundcontrol.core.forward_clock import ForwardClock
from groundcontrol.core.ids import NodeId
from groundcontrol.core.stores import Stores
from groundcontrol.nodes.model import Session
from groundcontrol.samples.model import SeriesSchema
from spider.clock import Clock
from spider.wire.job_messages import JobAnswer, JobEnded, JobOutput, JobPlan, JobProgress, JobReport
from spider.wire.sample_messages import Row

if TYPE_CHECKING:
    from groundcontrol.agents.ingest import Ingest
    from groundcontrol.agents.node_looks import NodeLooks
    from groundcontrol.agents.node_tables import NodeTables
    from groundcontrol.agents.session import AgentSession

JobMessage = JobAnswer | JobOutput | JobProgress | JobPlan | JobReport | JobEnded


class SocketClosed(Exception):
    """The connection is closed; `code` is the peer's close code."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code


class AgentSocket(Protocol):
    """A message socket, implemented in `agents/socket.py`."""

    async def receive(self) -> bytes:
        """The next binary message. Raises SocketClosed; ProtocolError: the message is not binary."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes without waiting. The caller looks at `backlog`. Raises SocketClosed."""
        ...

    async def send(self, data: bytes) -> None:
        """Send bytes; waits for the peer while `backlog` is large, so only the peer's own task calls it. Raises SocketClosed."""
        ...

    async def probe(self, timeout_s: float) -> bool:
        """Whether the peer answers a ping within the timeout."""
        ...

    async def close(self, code: int, reason: str, *, linger: bool = True) -> None:
        """Close the socket. Never raises, and never takes more than a few seconds.

        Args: linger: wait for the peer's close frame. Without the wait, data that the peer still sends turns the end into a TCP reset.
        """
        ...

    @property
    def backlog(self) -> int:
        """Bytes in the send buffer."""
        ...


class WantedJobs(NamedTuple):
    """The jobs listed in the hub's `Welcome` message to a node."""

    ids: Sequence[str]
    """Jobs whose output or end the hub does not hold completely."""
    offsets: Sequence[int]
    """For each of `ids`: the bytes of output that the hub holds."""
    forget: Sequence[str]
    """Jobs whose files the node may delete."""


class JobSink(Protocol):
    """Receives job messages; implemented in `jobs/tracker.py`."""

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs: ...
    async def joined(self, agent: AgentSession) -> None: ...
    async def receive(self, agent: AgentSession, message: JobMessage) -> None:
        """Queue a message; waits while the queue of this agent is full."""
        ...

    def left(self, agent: AgentSession) -> None: ...


class RowSink(Protocol):
    """Receives the rows of live packs as they arrive; implemented in `alerts/service.py`."""

    def add_rows(self, node: NodeId, schema: SeriesSchema, rows: Sequence[Row]) -> None: ...
    def note_late(self, node: NodeId, first_ms: int, last_ms: int) -> None:
        """Samples from `first_ms` to `last_ms` (Unix milliseconds of the node's clock) came late, and are stored soon."""
        ...


class FarewellHandler(Protocol):
    """Implemented in `deployments/service.py`."""

    async def receive_farewell(self, agent: AgentSession, why: str, not_removed: str) -> None:
        """An agent reports that it was uninstalled. Delete the node and end the session.

        Args:   not_removed: what could not be removed; not empty: the node stays, and only the session ends.
        Raises: StoreError.
        """
        ...


class SessionDeps(NamedTuple):
    """The dependencies of a session."""

    store: Stores
    bus: Bus
    clock: Clock
    forward_clock: ForwardClock
    """A row later than this clock is treated as dated in the future."""
    quotas: Quotas
    ingest: Ingest
    jobs: JobSink
    tables: NodeTables
    looks: NodeLooks
    update_latest: Callable[[AgentSession, KnownSchema, list[Row]], None]
    """Called with the rows of each live pack as it arrives."""
    row_sink: Callable[[int], RowSink]
    """Gives the receiver of rows of an organisation."""
    end: Callable[[AgentSession, int, str], Awaitable[None]]
    """Removes a session from the registry and closes its socket."""
    skew: Callable[[NodeId], float | None]
    """Seconds by which a node's clock is ahead; None: unknown."""
    farewell: Callable[[AgentSession, str, str], Awaitable[None]]
    """`FarewellHandler.receive_farewell`."""
