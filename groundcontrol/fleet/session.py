"""One agent that has proven itself: what it says is checked, counted and handed on; what it is told goes out in order.

Nothing here waits for a slow agent: what does not fit its socket stays in a short outbox, and acknowledgements replace each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from groundcontrol.bus.base import Bus, Changed
from groundcontrol.domain.history import StoredPack
from groundcontrol.domain.nodes import Node, Session
from groundcontrol.errors import Conflict
from groundcontrol.fleet.intake import KnownLayout, check_layout, check_pack, read_identity, read_updates
from groundcontrol.fleet.quota import COSTLY, Quota
from groundcontrol.store.base import Marks, Store
from spider.clock import Clock
from spider.logs import event
from spider.wire.errors import ProtocolError, SessionOver
from spider.wire.frames import (
    CLOSE_GOING_AWAY,
    CLOSE_SLOW,
    HEARTBEAT_S,
    SILENCE_LIMIT_S,
    STREAM_BACKFILL,
    STREAM_LIVE,
    Ack,
    Heartbeat,
    Identity,
    JobAnswer,
    JobEnded,
    JobOutput,
    JobProgress,
    Layout,
    Message,
    Pack,
    Row,
    Updates,
)
from spider.wire.session import Hello, Link

log = logging.getLogger(__name__)

MAX_LAYOUTS: Final = 32
"""Layouts that one session may have in use; a new one beyond them replaces the oldest."""
MAX_OUTBOX: Final = 1024
CONGESTED_BYTES: Final = 48 * 1024
"""Unsent bytes of a socket from which on nothing more is given to it."""
STUCK_LIMIT_S: Final = 10.0
"""A socket that takes nothing for this long is closed."""

JobMessage = JobAnswer | JobOutput | JobProgress | JobEnded


class SocketClosed(Exception):
    """The connection is over; `code` is what the peer closed it with."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code


class AgentSocket(Protocol):
    """A message socket, as `web/ws_agent.py` makes it."""

    async def receive(self) -> bytes:
        """The next binary message. Raises SocketClosed; ProtocolError for what is none."""
        ...

    async def send(self, data: bytes) -> None:
        """Hand bytes to the network; does not wait while `backlog` is small. Raises SocketClosed."""
        ...

    async def probe(self, timeout_s: float) -> bool:
        """Whether the peer answers a ping in time."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close it; never raises, and never takes more than a few seconds."""
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
    """Where job messages go; `jobs/runner.py`."""

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs: ...
    async def joined(self, agent: AgentSession) -> None: ...
    async def heard(self, agent: AgentSession, message: JobMessage) -> None:
        """Take a message; waits while this agent has too many in work."""
        ...

    def left(self, agent: AgentSession) -> None: ...


class Readings(Protocol):
    """Where samples go: `fleet/ingest.py` makes them durable, `fleet/registry.py` shows them."""

    async def offer(self, agent: AgentSession, pack: StoredPack) -> None: ...


class Collaborators(NamedTuple):
    """What a session works with."""

    store: Store
    bus: Bus
    clock: Clock
    readings: Readings
    jobs: JobSink
    show: Callable[[AgentSession, KnownLayout, list[Row]], None]
    """Told of every row of the live stream as it arrives."""
    end: Callable[[AgentSession, int, str], Awaitable[None]]
    """Takes a session out of the registry and closes its socket."""


class AgentSession:
    """The live session of one node."""

    def __init__(
        self, node: Node, session: Session, link: Link, socket: AgentSocket, hello: Hello, address: str, marks: Marks, with_: Collaborators
    ) -> None:
        self.node = node
        self.session = session
        self.hello = hello
        self.address = address
        self.socket = socket
        self.over = False
        """Set once; from then on nothing of this session is applied."""
        self.verdict = (CLOSE_GOING_AWAY, "over")
        """Close code and reason, where it was ended by us."""
        self.inflight_packs = 0
        self.inflight_bytes = 0
        self.room = asyncio.Event()
        """Set whenever a batch of its packs was committed."""
        self._link = link
        self._with = with_
        now = with_.clock.monotonic()
        self._heard_at = self._sent_at = self.since = now
        self._busy = 0
        self._stuck_since: float | None = None
        self._quota = Quota(now)
        self._layouts: dict[bytes, KnownLayout] = {}
        self._outbox: deque[Message] = deque()
        self._acks: dict[int, int] = {}
        self._acked = {STREAM_LIVE: marks.live, STREAM_BACKFILL: marks.backfill}
        self.watched_until = 0.0
        """Monotonic end of the lease that the node was told of."""
        self.frames = 0

    # -- hearing ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Apply what the agent says until the connection ends.

        Raises: SocketClosed, ProtocolError, StoreError.
        """
        monotonic, receive = self._with.clock.monotonic, self.socket.receive
        while True:
            data = await receive()
            if self.over:
                return
            now = monotonic()
            message = self._link.receive(data, now)
            self._heard_at = now
            self.frames += 1
            wait_s = self._quota.spend(now, 1.0 if message is None or type(message) in (Pack, JobOutput) else COSTLY, len(data))
            if message is not None:
                await self._apply(message)
            if wait_s:
                event(log, "agent_throttled", logging.DEBUG, node=self.node.id, wait_s=round(wait_s, 3))
                await self.paused(self._with.clock.sleep(min(wait_s, SILENCE_LIMIT_S)))

    async def _apply(self, message: Message) -> None:
        match message:
            case Pack():
                await self._pack(message)
            case JobOutput() | JobProgress() | JobAnswer() | JobEnded():
                await self.paused(self._with.jobs.heard(self, message))
            case Layout():
                await self._layout(message)
            case Identity():
                identity, version, policy, reboot = read_identity(message)
                nodes = self._with.store.nodes
                self._adopt(await nodes.save_identity(self.session, identity, version, policy, reboot, self._with.clock.now()))
            case Updates():
                self._adopt(await self._with.store.nodes.save_updates(self.session, read_updates(message)))
            case _:
                raise ProtocolError("a message that a node does not send")

    async def _layout(self, message: Layout) -> None:
        known = check_layout(message)
        if self._layouts.get(message.layout) == known:
            return
        try:
            await self._with.store.metrics.save_layout(self.session, known.row)
        except Conflict as exc:
            raise ProtocolError("one name for two layouts") from exc
        self._layouts.pop(message.layout, None)
        if len(self._layouts) >= MAX_LAYOUTS:
            del self._layouts[next(iter(self._layouts))]
        self._layouts[message.layout] = known

    async def _pack(self, message: Pack) -> None:
        layout = self._layouts.get(message.layout)
        rows = check_pack(message, layout)
        assert layout is not None  # check_pack has refused it
        stored = StoredPack(
            self.session,
            message.stream,
            message.seq,
            message.layout,
            rows[0].taken_at_ms,
            rows[-1].taken_at_ms,
            message.coding,
            message.body,
        )
        if message.stream == STREAM_LIVE:
            self._with.show(self, layout, rows)
        await self._with.readings.offer(self, stored)

    def _adopt(self, node: Node) -> None:
        self.node = node
        self._with.bus.publish(Changed("node", node.id, node.version))

    async def paused(self, work: Awaitable[object]) -> None:
        """Wait for something of ours: a node that is not read meanwhile cannot be called silent."""
        self._busy += 1
        try:
            await work
        finally:
            self._busy -= 1
            self._heard_at = self._with.clock.monotonic()

    async def wait_for_room(self) -> None:
        """Wait until a batch of this agent's packs was committed, reading nothing of it meanwhile."""
        self.room.clear()
        await self.paused(self.room.wait())

    # -- telling ---------------------------------------------------------------------------------

    def post(self, message: Message) -> None:
        """Put a message into the outbox; `flush` sends it."""
        self._outbox.append(message)

    def acknowledge(self, stream: int, seq: int) -> None:
        """Say that packs are durably held; a newer mark replaces one that was not sent yet."""
        if seq > self._acked.get(stream, -1):
            self._acked[stream] = seq
            self._acks[stream] = seq

    async def tell(self, message: Message) -> None:
        """Send a message in its turn."""
        self._outbox.append(message)
        await self.flush()

    async def flush(self) -> None:
        """Give the socket what it takes now; the rest goes with the next flush."""
        while (self._acks or self._outbox) and not self.over:
            if self.socket.backlog > CONGESTED_BYTES:
                break
            if self._acks:
                message: Message = Ack(*self._acks.popitem())
            else:
                message = self._outbox.popleft()
            try:
                self._sent_at = self._with.clock.monotonic()
                await self.socket.send(self._link.send(message))
            except (SocketClosed, SessionOver):
                return  # the reader of this socket sees it too, and ends the session
        if not (self._acks or self._outbox):
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = self._with.clock.monotonic()

    async def tick(self) -> None:
        """Once a second: heartbeat, silence, congestion."""
        now = self._with.clock.monotonic()
        if now - self._heard_at >= SILENCE_LIMIT_S and not self._busy:
            self.end(CLOSE_SLOW, f"nothing came for {SILENCE_LIMIT_S:.0f} s")
            return
        if now - self._sent_at >= HEARTBEAT_S and not self._outbox:
            self.post(Heartbeat(int(self._with.clock.now() * 1000)))
        if self._outbox or self._acks:
            await self.flush()
        if len(self._outbox) > MAX_OUTBOX or (self._stuck_since is not None and now - self._stuck_since > STUCK_LIMIT_S):
            self.end(CLOSE_SLOW, "too slow: nothing was taken for 10 s")

    def end(self, code: int, reason: str) -> Awaitable[None]:
        """Take this session out of the registry at once and close its socket; waiting for the closing is optional."""
        return self._with.end(self, code, reason)

    async def probe(self, timeout_s: float) -> bool:
        """Whether the agent is really there."""
        return not self.over and await self.socket.probe(timeout_s)

    @property
    def throttled_s(self) -> float:
        """How long its quota has made it wait."""
        return self._quota.throttled_s

    @property
    def silent_s(self) -> float:
        """Seconds since the last verified frame; 0.0 while we are the ones that do not read."""
        return 0.0 if self._busy else self._with.clock.monotonic() - self._heard_at
