"""One agent that has proven itself: what it says is checked, counted and handed on; what it is told goes out in order.

Nothing here waits for a slow agent: what does not fit its socket stays in a short outbox, and acknowledgements replace each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from typing import Final

from groundcontrol.agents.interfaces import AgentSocket, SessionDeps, SocketClosed
from groundcontrol.agents.quota import COSTLY, VALUES_OF_A_FRAME
from groundcontrol.agents.retry_writer import RETRY_S, TRANSIENT_ERRORS, LatestWriter, Save
from groundcontrol.agents.schema_cache import SchemaCache
from groundcontrol.agents.validation import (
    check_gap,
    check_late,
    check_layout,
    check_pack,
    is_ahead,
    read_identity,
    read_log_lines,
    read_updates,
)
from groundcontrol.core.bus import Changed, Topic
from groundcontrol.core.errors import Conflict
from groundcontrol.core.text import clean
from groundcontrol.nodes.model import Node, Session
from groundcontrol.samples.backfill import LatePack, LostRows
from groundcontrol.samples.model import LayoutRow, StoredPack
from groundcontrol.samples.store import Marks
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
    Farewell,
    Gap,
    Heartbeat,
    Identity,
    InstalledPackages,
    JobAnswer,
    JobEnded,
    JobOutput,
    JobPlan,
    JobProgress,
    JobReport,
    Late,
    Layout,
    LogAck,
    LogLines,
    Message,
    Pack,
    Table,
    Updates,
)
from spider.wire.session import Hello, SecureChannel

log = logging.getLogger(__name__)

ANSWER_EVERY_S: Final = 5.0
"""How often live packs are acknowledged while one comes each second: answered one by one, each answer would cost as much as the pack."""
ANSWER_PACKS: Final = 8
"""Live packs that are not acknowledged yet when they are at once: an eighth of what a node sends ahead."""
MAX_JOURNALS: Final = 256
"""Starts of Spider whose leavings one session may bring: each second that it runs without a hub leaves at most one."""
MAX_OUTBOX: Final = 1024
MAX_FAREWELL_CHARS: Final = 200
MAX_LEFT_CHARS: Final = 500
CONGESTED_BYTES: Final = 48 * 1024
"""Unsent bytes of a socket from which on nothing more is given to it."""
SAID_AGAIN_S: Final = 20.0
"""Lines of a log that the store has not taken for this long are to be said again. Who has no answer after 60 s says no more in its session."""
LOOK_UP_S: Final = 1.0
"""How often one that waits for its quota looks whether its session is over."""
STUCK_LIMIT_S: Final = 10.0
"""A socket that takes nothing for this long is closed."""

_CHEAP: Final = frozenset({Pack, Late, JobOutput})
"""Messages that come in numbers, and count for one."""


class AgentSession:
    """The live session of one node."""

    def __init__(
        self,
        node: Node,
        session: Session,
        link: SecureChannel,
        socket: AgentSocket,
        hello: Hello,
        address: str,
        marks: Marks,
        with_: SessionDeps,
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
        self._beside = asyncio.TaskGroup()
        """What goes on while the node is heard; it ends with this session, and this session with what it raises."""
        self._facts, self._lines = LatestWriter(with_.clock), LatestWriter(with_.clock)
        self._link = link
        self._with = with_
        self._monotonic = with_.clock.monotonic
        self.live = Topic("node_live", node.id)
        """Who listens to this looks at the node itself."""
        now = with_.clock.monotonic()
        self._heard_at = self._sent_at = self.since = now
        self._busy = 0
        self._stuck_since: float | None = None
        self._quota = with_.quotas.of(node.id, now)
        self._owed = 0.0
        """What the last pack counts for by what was in it, in frames."""
        self._layouts = SchemaCache()
        self._outbox: deque[Message] = deque()
        self._acks: dict[int, int] = {}
        self._acked = {STREAM_LIVE: marks.live, STREAM_BACKFILL: marks.backfill}
        self._answered, self._answered_at = marks.live, now - ANSWER_EVERY_S
        """The live pack that was last acknowledged to the node, and when."""
        self.watched_until = 0.0
        """Monotonic end of the lease that the node was told of."""
        self.tables_until = 0.0
        """The same for its tables."""
        self.frames = 0
        self._late_seq = -1
        self._journals: set[bytes] = set()
        self.ahead_rows = 0
        """Rows of this session that are dated in the far future, and not stored."""
        self.lost: list[LostRows] = []
        """Committed tales of losses that nobody was told of yet."""

    # -- hearing ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Apply what the agent says until the connection ends.

        Raises: SocketClosed, ProtocolError, StoreError.
        """
        try:
            async with self._beside:
                while True:
                    await self._hear(await self.socket.receive())
        except ExceptionGroup as ended:
            raise ended.exceptions[0] from None

    async def _hear(self, data: bytes) -> None:
        """Apply a message."""
        if self.over:
            return
        now = self._monotonic()
        message = self._link.receive(data, now)
        self._heard_at = now
        self.frames += 1
        frames = (1.0 if message is None or type(message) in _CHEAP else COSTLY) + self._owed
        self._owed = 0.0
        wait_s = self._quota.spend(now, frames, len(data))
        if wait_s:  # before it is applied: a node that dials again after each message would never have waited
            event(log, "agent_throttled", logging.DEBUG, node=self.node.id, wait_s=round(wait_s, 3))
            await self.paused(self._held_up(min(wait_s, SILENCE_LIMIT_S)))
        if message is not None and not self.over:
            await self._apply(message)

    async def _held_up(self, wait_s: float) -> None:
        until = self._monotonic() + wait_s
        while (left := until - self._monotonic()) > 0 and not self.over:
            await self._with.clock.sleep(min(left, LOOK_UP_S))

    async def _apply(self, message: Message) -> None:
        match message:
            case Pack():
                await self._pack(message)
            case Late():
                await self._late(message)
            case Gap():
                await self._gap(message)
            case JobOutput() | JobProgress() | JobAnswer() | JobPlan() | JobReport() | JobEnded():
                await self.paused(self._with.jobs.heard(self, message))
            case Layout():
                await self._layout(message)
            case LogLines():
                await self._log_lines(message)
            case Identity():
                await self._identity(message)
            case Updates():
                await self._updates(message)
            case Table():
                await self._with.facts.table(self, message)
            case InstalledPackages():
                await self.paused(self._with.facts.packages(self, message))
            case Farewell():
                await self.paused(self._with.farewell(self, clean(message.why, MAX_FAREWELL_CHARS), clean(message.left, MAX_LEFT_CHARS)))
            case _:
                raise ProtocolError("a message that a node does not send")

    async def _log_lines(self, message: LogLines) -> None:
        batch, until = read_log_lines(message, self._with.clock.now()), self._monotonic() + SAID_AGAIN_S

        async def save() -> None:
            try:
                async with asyncio.timeout(SAID_AGAIN_S):
                    held = await self._with.store.journal.add_lines(self.session, batch)
            except (*TRANSIENT_ERRORS, TimeoutError) as exc:
                if self._monotonic() < until and not isinstance(exc, TimeoutError):
                    raise
                held = batch.after  # the node says the same again then; the store takes it once, whatever became of this try
            await self.tell(LogAck(held))

        await self.paused(self._lines.save(self._beside, "lines", save))

    async def _identity(self, message: Identity) -> None:
        identity, version, policy, reboot = read_identity(message)
        nodes, at = self._with.store.nodes, self._with.clock.now()

        async def save() -> None:
            self._adopt(await nodes.save_identity(self.session, identity, version, policy, reboot, at))

        await self.save("identity", save)

    async def _updates(self, message: Updates) -> None:
        updates = read_updates(message)

        async def save() -> None:
            self._adopt(await self._with.store.nodes.save_updates(self.session, updates))

        await self.save("updates", save)

    async def save(self, kind: str, work: Save) -> None:
        """Have something that the node told be saved, now or when the store takes it: then only the newest of its kind is.

        What `work` raises for another reason ends the session.
        """
        await self.paused(self._facts.save(self._beside, kind, work))

    async def _layout(self, message: Layout) -> None:
        known = check_layout(message)
        if self._layouts.renew(message.layout, known):
            return
        self._quota.store(sum(map(len, known.row.series)))
        try:
            await self.paused(self._store_layout(known.row))
        except Conflict as exc:
            raise ProtocolError("one name for two layouts") from exc
        self._layouts.keep(message.layout, known)

    async def _store_layout(self, layout: LayoutRow) -> None:
        """However long that takes: packs cannot be stored without theirs."""
        while not self.over:
            try:
                await self._with.store.metrics.save_layout(self.session, layout)
                return
            except TRANSIENT_ERRORS:
                await self._held_up(RETRY_S)

    async def _pack(self, message: Pack) -> None:
        layout = self._layouts.get(message.layout)
        rows = check_pack(message, layout)
        assert layout is not None  # check_pack has refused it
        self._owed = len(rows) * len(layout.scales) / VALUES_OF_A_FRAME
        first = last = rows[0].taken_at_ms
        if len(rows) > 1:
            times = [row.taken_at_ms for row in rows]  # nothing keeps a node from setting its clock back in the middle
            first, last = min(times), max(times)
        body = self._kept(last, len(rows), message.body)
        self._quota.store(len(body), len(rows), last - first)
        stored = StoredPack(self.session, message.stream, message.seq, message.layout, first, last, message.coding, body)
        if message.stream == STREAM_LIVE:
            self._with.show(self, layout, rows)
        await self._with.readings.offer(self, stored)

    async def _late(self, message: Late) -> None:
        layout = self._layouts.get(message.layout)
        rows, sent = check_late(message, layout)
        assert layout is not None  # check_late has refused it
        self._owed = len(rows) * len(layout.scales) / VALUES_OF_A_FRAME
        self._follow(message)
        times = (min(row.taken_at_ms for row in rows), max(row.taken_at_ms for row in rows))
        body = self._kept(times[1], len(rows), message.body)
        self._quota.store(len(body), len(rows), times[1] - times[0])
        late = LatePack(self.session, message.seq, message.journal, message.number, sent, message.layout, *times, message.coding, body)
        await self._with.readings.offer(self, late)

    async def _gap(self, message: Gap) -> None:
        sent = check_gap(message)
        self._follow(message)
        span = (message.family, message.first_ms, message.last_ms, message.rows)
        await self._with.readings.offer(self, LostRows(self.session, message.seq, message.journal, message.number, sent, *span))

    def _follow(self, message: Late | Gap) -> None:
        """What comes late is counted from 0 in each session."""
        if message.seq != self._late_seq + 1:
            raise ProtocolError("what comes late is out of order")
        self._late_seq = message.seq
        self._journals.add(message.journal)
        if len(self._journals) > MAX_JOURNALS:
            raise ProtocolError("late packs of too many journals")

    def _kept(self, newest_ms: int, rows: int, body: bytes) -> bytes:
        """The body to store: none where the node's clock is far ahead, since such rows would outlive every retention."""
        if not is_ahead(newest_ms, self._with.onward.now()):
            return body
        if not self.ahead_rows:
            event(log, "agent_clock_ahead", logging.WARNING, node=self.node.id, taken_at=newest_ms / 1000)
        self.ahead_rows += rows
        return b""

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

    @property
    def owes_answer(self) -> bool:
        """Whether an acknowledgement should go out now: what is sent anew or in numbers waits for it, a pack a second does not."""
        if not self._acks:
            return False
        waits = self._acks.get(STREAM_LIVE)
        if waits is None or len(self._acks) > 1:
            return True
        return waits - self._answered >= ANSWER_PACKS or self._monotonic() - self._answered_at >= ANSWER_EVERY_S

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
                stream, seq = self._acks.popitem()
                message: Message = Ack(stream, seq)
                if stream == STREAM_LIVE:
                    self._answered, self._answered_at = seq, self._with.clock.monotonic()
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

    def calm(self, now: float) -> bool:
        """Whether `tick` has nothing to do at this monotonic time: nearly always."""
        return (
            now - self._heard_at < SILENCE_LIMIT_S
            and now - self._sent_at < HEARTBEAT_S
            and not self._outbox
            and self._stuck_since is None
            and not self.owes_answer
        )

    async def tick(self) -> None:
        """Once a second: heartbeat, silence, congestion."""
        now = self._with.clock.monotonic()
        if now - self._heard_at >= SILENCE_LIMIT_S and not self._busy:
            self.end(CLOSE_SLOW, f"nothing came for {SILENCE_LIMIT_S:.0f} s")
            return
        if now - self._sent_at >= HEARTBEAT_S and not self._outbox:
            self.post(Heartbeat(int(self._with.clock.now() * 1000)))
        if self._outbox or self.owes_answer or self._stuck_since is not None:
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
        """How long its quota has made this node wait."""
        return self._quota.throttled_s

    @property
    def silent_s(self) -> float:
        """Seconds since the last verified frame; 0.0 while we are the ones that do not read."""
        return 0.0 if self._busy else self._with.clock.monotonic() - self._heard_at
