"""The session of an authenticated agent: received messages are validated, charged and passed on; sent messages keep their order.

Nothing here waits for a slow agent. Messages that its socket does not take stay in a short outbox. A newer acknowledgement replaces an
older one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from groundcontrol.agents.interfaces import AgentSocket, JobMessage, RowSink, SocketClosed, WantedJobs
from groundcontrol.agents.journal_requests import JournalRequests
from groundcontrol.agents.quota import COSTLY, VALUES_OF_A_FRAME, Quotas
from groundcontrol.agents.reported_events import read_events
from groundcontrol.agents.retry_writer import RETRY_S, TRANSIENT_ERRORS, LatestWriter, Save
from groundcontrol.agents.validation import (
    KnownSchema,
    SchemaCache,
    check_gap,
    check_late,
    check_pack,
    is_ahead,
    read_identity,
    read_log_lines,
    read_updates,
    validate_schema,
)
from groundcontrol.core.bus import Bus, Changed, Topic
from groundcontrol.core.errors import Conflict
from groundcontrol.core.forward_clock import ForwardClock
from groundcontrol.core.ids import NodeId
from groundcontrol.core.stores import Stores
from groundcontrol.core.text import clean
from groundcontrol.nodes.model import Node, Session
from groundcontrol.nodes.store import NodeLogStore, NodeStore, NodeTableStore
from groundcontrol.samples.backfill import LatePack, LostRows
from groundcontrol.samples.model import SeriesSchema, StoredPack
from groundcontrol.samples.store import Marks, MetricStore
from spider.clock import Clock
from spider.logs import event
from spider.wire.errors import ProtocolError, SessionOver
from spider.wire.frames import CLOSE_GOING_AWAY, CLOSE_SLOW, HEARTBEAT_S, SILENCE_LIMIT_S, Farewell, Heartbeat, Message
from spider.wire.job_messages import JobAnswer, JobEnded, JobOutput, JobPlan, JobProgress, JobReport
from spider.wire.report_messages import (
    Events,
    EventsStored,
    Identity,
    InstalledPackages,
    JournalAnswer,
    LogAck,
    LogLines,
    Looked,
    LookedOn,
    Table,
    Updates,
)
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LIVE, Ack, Gap, Late, Layout, Pack, Row, Watch
from spider.wire.session import Hello, SecureChannel

log = logging.getLogger(__name__)

TIME_EVERY_S: Final = 300.0
"""The longest time between two heartbeats. A node compares its clock with the time in them."""
ANSWER_EVERY_S: Final = 5.0
"""How often the live packs of a node that sends one a second are acknowledged. An acknowledgement costs as much as a pack."""
ANSWER_PACKS: Final = 8
"""Unacknowledged live packs that trigger an immediate acknowledgement: an eighth of a node's send window."""
MAX_JOURNALS: Final = 256
"""Most journals (records of unsent samples on the node's disk) in one session. Each start of the agent makes one."""
MAX_OUTBOX: Final = 1024
MAX_FAREWELL_CHARS: Final = 200
MAX_LEFT_CHARS: Final = 500
CONGESTED_BYTES: Final = 48 * 1024
"""Bytes in the send buffer above which nothing more is sent."""
LOG_REPEAT_S: Final = 20.0
"""If the store fails for this long, the hub asks the node to send its log lines again. After 60 s without an answer a node sends no more."""
LOOK_UP_S: Final = 1.0
"""How often a session delayed by its quota checks whether it is over."""
STUCK_LIMIT_S: Final = 10.0
"""A socket that accepts no data for this long is closed."""
DRAIN_POLL_S: Final = 0.02
"""How often a congested session looks whether its socket takes data again."""

StoredItem = StoredPack | LatePack | LostRows

_CHEAP: Final = frozenset({Pack, Late, JobOutput, LookedOn})
"""Frequent messages, charged as one frame."""


class AgentSession:
    """The live session of one node."""

    _draining: asyncio.Task[None] | None = None
    """Waits while the socket is congested; None: it is not."""

    def __init__(
        self,
        node: Node,
        session: Session,
        link: SecureChannel,
        socket: AgentSocket,
        hello: Hello,
        address: str,
        marks: Marks,
        deps: SessionDeps,
    ) -> None:
        self.node = node
        self.session = session
        self.hello = hello
        self.address = address
        self.socket = socket
        self.over = False
        """Set once. From then on no message of this session is applied."""
        self.verdict = (CLOSE_GOING_AWAY, "over")
        """Close code and reason, if the hub ended the session."""
        self.inflight_packs = 0
        self.inflight_bytes = 0
        self._room = asyncio.Event()
        """Set after each commit of its packs."""
        self._tasks = asyncio.TaskGroup()
        """Background tasks of the session. They end with it, and an exception in them ends the session."""
        self._data_writer, self._line_writer = LatestWriter(deps.clock), LatestWriter(deps.clock)
        self._link = link
        self._deps, self._row_sink = deps, deps.row_sink(node.org)
        self._monotonic = deps.clock.monotonic
        self.live, self.listed = Topic("node_live", node.id), Topic("nodes_fresh", org=node.org)
        """The bus topics of this node's live values, and of the lists of its organisation."""
        now = deps.clock.monotonic()
        self._received_at = self._sent_at = self.since = now
        self._timed_at = now
        """When the node last got the hub's time: in the welcome, then in heartbeats."""
        self._busy = 0
        """How many calls of `paused` are running."""
        self._stuck_since: float | None = None
        """Since when the socket takes no data, in monotonic seconds; None: it takes data."""
        self._quota = deps.quotas.of(node.id, now)
        self._owed = 0.0
        """Frames for the content of the last pack. They are charged with the next message."""
        self._schemas = SchemaCache()
        self._outbox: deque[Message] = deque()
        self._acks: dict[int, int] = {}
        self._acked = {STREAM_LIVE: marks.live, STREAM_BACKFILL: marks.backfill}
        self._answered, self._answered_at = marks.live, now - ANSWER_EVERY_S
        """Number of the last acknowledged live pack, and when it was acknowledged."""
        self.watched_until = 0.0
        """Monotonic end of the watch lease that was sent to the node."""
        self.tables_until = 0.0
        """Monotonic end of the watch lease for the node's tables."""
        self.frames = 0
        self._late_seq = -1
        self._journals: set[bytes] = set()
        self.ahead_rows = 0
        """Rows of this session that are dated in the far future and therefore not stored."""
        self.journal = JournalRequests(self.send)
        self.lost: list[LostRows] = []
        """Committed loss reports without an event yet."""

    # -- receiving -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Apply the agent's messages until the connection ends.

        Raises: SocketClosed, ProtocolError, StoreError.
        """
        try:
            async with self._tasks:
                while True:
                    await self._receive(await self.socket.receive())
        except ExceptionGroup as ended:
            raise ended.exceptions[0] from None
        finally:
            if self._draining is not None:
                self._draining.cancel()
            self.journal.close()

    async def _receive(self, data: bytes) -> None:
        if self.over:
            return
        now = self._monotonic()
        message = self._link.receive(data, now)
        self._received_at = now
        self.frames += 1
        frames = (1.0 if message is None or type(message) in _CHEAP else COSTLY) + self._owed
        self._owed = 0.0
        wait_s = self._quota.spend(now, frames, len(data))
        if wait_s:  # wait before applying: a node that reconnects after each message would otherwise never wait
            event(log, "agent_throttled", logging.DEBUG, node=self.node.id, wait_s=round(wait_s, 3))
            await self.paused(self._pause_reading(min(wait_s, SILENCE_LIMIT_S)))
        if message is not None and not self.over:
            await self._apply(message)

    async def _pause_reading(self, wait_s: float) -> None:
        until = self._monotonic() + wait_s
        while (left := until - self._monotonic()) > 0 and not self.over:
            await self._deps.clock.sleep(min(left, LOOK_UP_S))

    async def _apply(self, message: Message) -> None:  # noqa: PLR0912  # one branch for each message
        match message:
            case Pack():
                await self._pack(message)
            case Late():
                await self._late(message)
            case Gap():
                await self._gap(message)
            case JobOutput() | JobProgress() | JobAnswer() | JobPlan() | JobReport() | JobEnded():
                await self.paused(self._deps.jobs.receive(self, message))
            case Layout():
                await self._receive_schema(message)
            case LogLines():
                await self._log_lines(message)
            case Identity():
                await self._identity(message)
            case Updates():
                await self._updates(message)
            case Table():
                await self._deps.tables.table(self, message)
            case InstalledPackages():
                await self.paused(self._deps.tables.packages(self, message))
            case Farewell():
                await self.paused(self._deps.farewell(self, clean(message.why, MAX_FAREWELL_CHARS), clean(message.left, MAX_LEFT_CHARS)))
            case Events():
                await self._events(message)
            case JournalAnswer():
                self.journal.answered(message)
            case Looked():
                self._deps.looked(self, message)
            case LookedOn():
                self._deps.looked_on(self, message)
            case _:
                raise ProtocolError("a message that a node does not send")

    async def _events(self, message: Events) -> None:
        events = read_events(message, self.node, self._deps.skew(self.node.id) or 0.0, self._deps.clock.now())

        async def save() -> None:
            await self._deps.store[NodeTableStore].save_events(self.session, events)
            await self.send(EventsStored(message.ids))

        await self.save("events", save)

    async def _log_lines(self, message: LogLines) -> None:
        batch, until = read_log_lines(message, self._deps.clock.now()), self._monotonic() + LOG_REPEAT_S

        async def save() -> None:
            try:
                async with asyncio.timeout(LOG_REPEAT_S):
                    held = await self._deps.store[NodeLogStore].add_lines(self.session, batch)
            except (*TRANSIENT_ERRORS, TimeoutError) as exc:
                if self._monotonic() < until and not isinstance(exc, TimeoutError):
                    raise
                held = batch.after  # the node sends the lines again; the store keeps them once, even if this attempt did store them
            await self.send(LogAck(held))

        await self.paused(self._line_writer.save(self._tasks, "lines", save))

    async def _identity(self, message: Identity) -> None:
        identity, version, policy, reboot = read_identity(message)
        nodes, at = self._deps.store[NodeStore], self._deps.clock.now()

        async def save() -> None:
            self._set_node(await nodes.save_identity(self.session, identity, version, policy, reboot, at))

        await self.save("identity", save)

    async def _updates(self, message: Updates) -> None:
        updates = read_updates(message)

        async def save() -> None:
            self._set_node(await self._deps.store[NodeStore].save_updates(self.session, updates))

        await self.save("updates", save)

    async def save(self, kind: str, work: Save) -> None:
        """Write data of the node, now or when the store works again. Only the newest pending write of each kind is kept.

        An error of `work` that is not transient ends the session.
        """
        await self.paused(self._data_writer.save(self._tasks, kind, work))

    async def _receive_schema(self, message: Layout) -> None:
        known = validate_schema(message)
        if self._schemas.touch(message.layout, known):
            return
        self._quota.store(sum(map(len, known.row.series)))
        try:
            await self.paused(self._store_schema(known.row))
        except Conflict as exc:
            raise ProtocolError("two layouts with the same name") from exc
        self._schemas.put(message.layout, known)

    async def _store_schema(self, schema: SeriesSchema) -> None:
        """Save a layout. Retry until it is stored or the session is over, since packs cannot be stored without their layout."""
        while not self.over:
            try:
                await self._deps.store[MetricStore].save_schema(self.session, schema)
                return
            except TRANSIENT_ERRORS:
                await self._pause_reading(RETRY_S)

    async def _pack(self, message: Pack) -> None:
        schema = self._schemas.get(message.layout)
        rows = check_pack(message, schema)
        assert schema is not None  # check_pack refuses a pack without a layout
        self._owed = len(rows) * len(schema.scales) / VALUES_OF_A_FRAME
        first = last = rows[0].taken_at_ms
        if len(rows) > 1:
            times = [row.taken_at_ms for row in rows]  # not sorted: a node may set its clock back within a pack
            first, last = min(times), max(times)
        body = self._body_to_store(last, len(rows), message.body)
        self._quota.store(len(body), len(rows), last - first)
        stored = StoredPack(self.session, message.stream, message.seq, message.layout, first, last, message.coding, body)
        if message.stream == STREAM_LIVE:
            self._deps.update_latest(self, schema, rows)
            self._row_sink.add_rows(self.node.id, schema.row, rows)
        else:
            self._row_sink.note_late(self.node.id, first, last)
        await self._deps.submit(self, stored)

    async def _late(self, message: Late) -> None:
        schema = self._schemas.get(message.layout)
        rows, sent = check_late(message, schema)
        assert schema is not None  # check_late refuses a pack without a layout
        self._owed = len(rows) * len(schema.scales) / VALUES_OF_A_FRAME
        self._follow(message)
        times = (min(row.taken_at_ms for row in rows), max(row.taken_at_ms for row in rows))
        body = self._body_to_store(times[1], len(rows), message.body)
        self._quota.store(len(body), len(rows), times[1] - times[0])
        self._row_sink.note_late(self.node.id, *times)
        late = LatePack(self.session, message.seq, message.journal, message.number, sent, message.layout, *times, message.coding, body)
        await self._deps.submit(self, late)

    async def _gap(self, message: Gap) -> None:
        sent = check_gap(message)
        self._follow(message)
        span = (message.family, message.first_ms, message.last_ms, message.rows)
        await self._deps.submit(self, LostRows(self.session, message.seq, message.journal, message.number, sent, *span))

    def _follow(self, message: Late | Gap) -> None:
        """Check the sequence number of a late message. It counts from 0 in each session."""
        if message.seq != self._late_seq + 1:
            raise ProtocolError("a late message out of order")
        self._late_seq = message.seq
        self._journals.add(message.journal)
        if len(self._journals) > MAX_JOURNALS:
            raise ProtocolError("late packs of too many journals")

    def _body_to_store(self, newest_ms: int, rows: int, body: bytes) -> bytes:
        """The body to store. It is empty if the node's clock is far ahead, since such rows would outlive every retention."""
        if not is_ahead(newest_ms, self._deps.forward_clock.now()):
            return body
        if not self.ahead_rows:
            event(log, "agent_clock_ahead", logging.WARNING, node=self.node.id, taken_at=newest_ms / 1000)
        self.ahead_rows += rows
        return b""

    def _set_node(self, node: Node) -> None:
        self.node = node
        self._deps.bus.publish(Changed("node", node.id, node.version, node.org))

    async def paused(self, work: Awaitable[object]) -> None:
        """Await work of the hub. The hub does not read from the node meanwhile, so this time does not count as silence."""
        self._busy += 1
        try:
            await work
        finally:
            self._busy -= 1
            self._received_at = self._deps.clock.monotonic()

    async def wait_for_room(self) -> None:
        """Wait for the next commit of this agent's packs. Its socket is not read meanwhile."""
        self._room.clear()
        await self.paused(self._room.wait())

    def pack_taken(self, size_bytes: int) -> None:
        """A pack of this session waits for its commit."""
        self.inflight_packs += 1
        self.inflight_bytes += size_bytes

    def pack_settled(self, size_bytes: int) -> None:
        """A pack of this session is committed or given up."""
        self.inflight_packs -= 1
        self.inflight_bytes -= size_bytes
        self._room.set()

    def note_lost(self, reports: Iterable[LostRows]) -> None:
        """Add committed loss reports, which need an event."""
        self.lost.extend(reports)

    def take_lost(self) -> list[LostRows]:
        """The committed loss reports without an event, which the caller sees to now."""
        lost, self.lost = self.lost, []
        return lost

    # -- sending ---------------------------------------------------------------------------------

    def post(self, message: Message) -> None:
        """Put a message into the outbox; `flush` sends it."""
        self._outbox.append(message)

    def acknowledge(self, stream: int, seq: int) -> None:
        """Queue an acknowledgement of stored packs. It replaces an older one that is not sent yet."""
        if seq > self._acked.get(stream, -1):
            self._acked[stream] = seq
            self._acks[stream] = seq

    @property
    def owes_answer(self) -> bool:
        """Whether to send an acknowledgement now. A node with a backlog waits for it; a node that sends one pack a second does not."""
        if not self._acks:
            return False
        waits = self._acks.get(STREAM_LIVE)
        if waits is None or len(self._acks) > 1:
            return True
        return waits - self._answered >= ANSWER_PACKS or self._monotonic() - self._answered_at >= ANSWER_EVERY_S

    async def send(self, message: Message) -> None:
        """Queue a message and flush."""
        self._outbox.append(message)
        await self.flush()

    async def flush(self) -> None:
        """Send messages until the socket is congested. The rest is sent once it is not.

        This never waits for the node: one that reads slowly must not hold the work of others, such as jobs and heartbeats.
        """
        while (self._acks or self._outbox) and not self.over:
            if self.socket.backlog > CONGESTED_BYTES:
                if self._draining is None and not self.over:
                    self._draining = asyncio.create_task(self._flush_when_drained(), name="agent-drain")
                break
            if self._acks:
                stream, seq = self._acks.popitem()
                message: Message = Ack(stream, seq)
                if stream == STREAM_LIVE:
                    self._answered, self._answered_at = seq, self._deps.clock.monotonic()
            else:
                message = self._outbox.popleft()
            try:
                self._sent_at = self._deps.clock.monotonic()
                self.socket.write(self._link.send(message))
            except (SocketClosed, SessionOver):
                return  # the reading task sees the same error, and ends the session
        if not (self._acks or self._outbox):
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = self._deps.clock.monotonic()

    async def _flush_when_drained(self) -> None:
        while self.socket.backlog > CONGESTED_BYTES and not self.over:  # noqa: ASYNC110  # `tick` ends a session that stays congested
            await asyncio.sleep(DRAIN_POLL_S)
        self._draining = None
        await self.flush()

    def is_idle(self, now: float) -> bool:
        """Whether `tick` has nothing to do at this monotonic time: nearly always."""
        return (
            now - self._received_at < SILENCE_LIMIT_S
            and now - self._sent_at < HEARTBEAT_S
            and now - self._timed_at < TIME_EVERY_S
            and not self._outbox
            and self._stuck_since is None
            and not self.owes_answer
        )

    async def watch(self, until: float, *watches: Watch, tables: bool = False) -> None:
        """Send a lease for samples or tables, which ends at a monotonic time."""
        if tables:
            self.tables_until = until
        else:
            self.watched_until = until
        for watch in watches:
            self.post(watch)
        await self.flush()

    async def tick(self) -> None:
        """Send a heartbeat, and end a silent or congested session. The registry calls this once a second, unless `is_idle`."""
        now = self._deps.clock.monotonic()
        if now - self._received_at >= SILENCE_LIMIT_S and not self._busy:
            self.end(CLOSE_SLOW, f"nothing came for {SILENCE_LIMIT_S:.0f} s")
            return
        if (now - self._sent_at >= HEARTBEAT_S or now - self._timed_at >= TIME_EVERY_S) and not self._outbox:
            self._timed_at = now
            self.post(Heartbeat(int(self._deps.clock.now() * 1000)))
        if self._outbox or self.owes_answer or self._stuck_since is not None:
            await self.flush()
        if len(self._outbox) > MAX_OUTBOX or (self._stuck_since is not None and now - self._stuck_since > STUCK_LIMIT_S):
            self.end(CLOSE_SLOW, "too slow: nothing was taken for 10 s")

    def stop(self, verdict: tuple[int, str] | None = None) -> None:
        """Apply no message from now on. `verdict`: close code and reason, if the hub ends the session; only the first one counts."""
        if verdict is not None and not self.over:
            self.verdict = verdict
        self.over = True
        self._room.set()

    def end(self, code: int, reason: str) -> Awaitable[None]:
        """Remove this session from the registry immediately and close its socket. Await the result to wait for the close."""
        return self._deps.end(self, code, reason)

    async def probe(self, timeout_s: float) -> bool:
        """Whether the agent answers a ping."""
        return not self.over and await self.socket.probe(timeout_s)

    @property
    def throttled_s(self) -> float:
        """Total seconds by which the quota has delayed this node."""
        return self._quota.throttled_s

    @property
    def silent_s(self) -> float:
        """Seconds since the last verified frame; 0.0 while the hub itself does not read."""
        return 0.0 if self._busy else self._deps.clock.monotonic() - self._received_at


class JobSink(Protocol):
    """Receives job messages; implemented in `jobs/tracker.py`."""

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs: ...
    async def joined(self, agent: AgentSession) -> None: ...
    async def receive(self, agent: AgentSession, message: JobMessage) -> None:
        """Queue a message; waits while the queue of this agent is full."""
        ...

    def left(self, agent: AgentSession) -> None: ...


class TableSink(Protocol):
    """Receives tables and lists of packages; implemented in `agents/node_tables.py`."""

    async def joined(self, agent: AgentSession) -> None: ...
    async def table(self, agent: AgentSession, message: Table) -> None: ...
    async def packages(self, agent: AgentSession, message: InstalledPackages) -> None: ...
    def left(self, agent: AgentSession) -> None: ...


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
    submit: Callable[[AgentSession, StoredItem], Awaitable[None]]
    """Stores a pack; waits while too many of this session are not stored yet."""
    jobs: JobSink
    tables: TableSink
    looked: Callable[[AgentSession, Looked], None]
    looked_on: Callable[[AgentSession, LookedOn], None]
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
