"""What a session works with: its socket, and where what a node says goes. They are defined here, so that neither side needs the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from groundcontrol.agents.quota import Quotas
from groundcontrol.agents.validation import KnownLayout
from groundcontrol.core.bus import Bus
from groundcontrol.core.forward_clock import ForwardClock
from groundcontrol.nodes.model import Session
from groundcontrol.samples.backfill import LatePack, LostRows
from groundcontrol.samples.model import StoredPack
from groundcontrol.stores import Store
from spider.clock import Clock
from spider.wire.frames import InstalledPackages, JobAnswer, JobEnded, JobOutput, JobPlan, JobProgress, JobReport, Row, Table

if TYPE_CHECKING:
    from groundcontrol.agents.session import AgentSession

JobMessage = JobAnswer | JobOutput | JobProgress | JobPlan | JobReport | JobEnded


class SocketClosed(Exception):
    """The connection is over; `code` is what the peer closed it with."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code


class AgentSocket(Protocol):
    """A message socket, as `agents/socket.py` makes it."""

    async def receive(self) -> bytes:
        """The next binary message. Raises SocketClosed; ProtocolError for what is none."""
        ...

    async def send(self, data: bytes) -> None:
        """Hand bytes to the network; does not wait while `backlog` is small. Raises SocketClosed."""
        ...

    async def probe(self, timeout_s: float) -> bool:
        """Whether the peer answers a ping in time."""
        ...

    async def close(self, code: int, reason: str, *, linger: bool = True) -> None:
        """Close it; never raises, and never takes more than a few seconds.

        Args: linger: wait until the peer has answered, so that what it still sends does not make the end a reset.
        """
        ...

    @property
    def backlog(self) -> int:
        """Bytes that the network has not taken yet."""
        ...


class WantedJobs(NamedTuple):
    """What a welcome says about jobs."""

    ids: Sequence[str]
    offsets: Sequence[int]
    forget: Sequence[str]


class JobSink(Protocol):
    """Where job messages go; `jobs/receive.py`."""

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs: ...
    async def joined(self, agent: AgentSession) -> None: ...
    async def heard(self, agent: AgentSession, message: JobMessage) -> None:
        """Take a message; waits while this agent has too many in work."""
        ...

    def left(self, agent: AgentSession) -> None: ...


class SampleSink(Protocol):
    """Where samples go: `fleet/ingest.py` makes them durable, `fleet/registry.py` shows them."""

    async def offer(self, agent: AgentSession, pack: StoredPack | LatePack | LostRows) -> None:
        """Take a pack; waits while this agent, or all agents together, have too much waiting."""
        ...


class TableSink(Protocol):
    """Where tables and packages go; `agents/node_tables.py`."""

    async def joined(self, agent: AgentSession) -> None: ...
    def left(self, agent: AgentSession) -> None: ...
    async def table(self, agent: AgentSession, message: Table) -> None: ...
    async def packages(self, agent: AgentSession, message: InstalledPackages) -> None: ...


class SessionDeps(NamedTuple):
    """What a session works with."""

    store: Store
    bus: Bus
    clock: Clock
    onward: ForwardClock
    """By which a row is of the future."""
    quotas: Quotas
    readings: SampleSink
    jobs: JobSink
    facts: TableSink
    show: Callable[[AgentSession, KnownLayout, list[Row]], None]
    """Told of every row of the live stream as it arrives."""
    end: Callable[[AgentSession, int, str], Awaitable[None]]
    """Takes a session out of the registry and closes its socket."""
    farewell: Callable[[AgentSession, str, str], Awaitable[None]]
    """Told that nothing is left on a server: forgets the node, which ends its session."""
