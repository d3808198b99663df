"""Interfaces of a session: its socket, and the receivers of its messages. Neither side has to import the other."""

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
    """The connection is closed; `code` is the peer's close code."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code


class AgentSocket(Protocol):
    """A message socket, implemented in `agents/socket.py`."""

    async def receive(self) -> bytes:
        """The next binary message. Raises SocketClosed; ProtocolError: the message is not binary."""
        ...

    async def send(self, data: bytes) -> None:
        """Send bytes; does not wait while `backlog` is small. Raises SocketClosed."""
        ...

    async def probe(self, timeout_s: float) -> bool:
        """Whether the peer answers a ping within the timeout."""
        ...

    async def close(self, code: int, reason: str, *, linger: bool = True) -> None:
        """Close it; never raises, and never takes more than a few seconds.

        Args: linger: wait for the peer's close frame. Otherwise data that it still sends turns the end into a TCP reset.
        """
        ...

    @property
    def backlog(self) -> int:
        """Bytes in the send buffer."""
        ...


class WantedJobs(NamedTuple):
    """The jobs part of a welcome."""

    ids: Sequence[str]
    offsets: Sequence[int]
    forget: Sequence[str]


class JobSink(Protocol):
    """Receives job messages; implemented in `jobs/tracker.py`."""

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs: ...
    async def joined(self, agent: AgentSession) -> None: ...
    async def heard(self, agent: AgentSession, message: JobMessage) -> None:
        """Queue a message; waits while the queue of this agent is full."""
        ...

    def left(self, agent: AgentSession) -> None: ...


class SampleSink(Protocol):
    """Receives samples: `agents/ingest.py` stores them, `agents/registry.py` publishes them."""

    async def offer(self, agent: AgentSession, pack: StoredPack | LatePack | LostRows) -> None:
        """Queue a pack; waits while the queue of this agent, or of all agents, is full."""
        ...


class TableSink(Protocol):
    """Receives tables and packages; implemented in `agents/node_tables.py`."""

    async def joined(self, agent: AgentSession) -> None: ...
    def left(self, agent: AgentSession) -> None: ...
    async def table(self, agent: AgentSession, message: Table) -> None: ...
    async def packages(self, agent: AgentSession, message: InstalledPackages) -> None: ...


class SessionDeps(NamedTuple):
    """The dependencies of a session."""

    store: Store
    bus: Bus
    clock: Clock
    onward: ForwardClock
    """The clock by which a row counts as dated in the future."""
    quotas: Quotas
    readings: SampleSink
    jobs: JobSink
    facts: TableSink
    show: Callable[[AgentSession, KnownLayout, list[Row]], None]
    """Called with the rows of each live pack as it arrives."""
    end: Callable[[AgentSession, int, str], Awaitable[None]]
    """Removes a session from the registry and closes its socket."""
    farewell: Callable[[AgentSession, str, str], Awaitable[None]]
    """Called when an agent reports that it was uninstalled. It deletes the node, which ends the session."""
