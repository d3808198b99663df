"""The interfaces of a session that do not know it: its socket, and the receiver of its rows. Those that do stand beside it (`session.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import SeriesSchema
from spider.wire.job_messages import JobAnswer, JobEnded, JobOutput, JobPlan, JobProgress, JobReport
from spider.wire.sample_messages import Row

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


class RowSink(Protocol):
    """Receives the rows of live packs as they arrive; implemented in `alerts/service.py`."""

    def add_rows(self, node: NodeId, schema: SeriesSchema, rows: Sequence[Row]) -> None: ...
    def note_late(self, node: NodeId, first_ms: int, last_ms: int) -> None:
        """Samples from `first_ms` to `last_ms` (Unix milliseconds of the node's clock) came late, and are stored soon."""
        ...
