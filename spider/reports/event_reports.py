"""Takes events from programs of this host over a socket, and reports them to the hub until the hub has stored them.

The kernel identifies the caller (SO_PEERCRED). Root and the users that the policy names may report. A connection carries one line of JSON
and one line of answer.
"""

import asyncio
import json
import logging
import os
import pwd
import socket
import struct
import time
from collections import deque
from typing import Awaitable, Callable, Deque, Dict, FrozenSet, List, NamedTuple, Tuple, TypeVar

from spider.clock import Clock
from spider.files import remove
from spider.logs import event
from spider.reports.event_queue import MAX_WAITING, EventQueue, EventRefused, ReportedEvent, id_of_reporter, make_event
from spider.reports.event_socket import root_socket
from spider.root.policy import PolicyRefused, read_policy
from spider.sampling.collectors.boots import NO, BootRecord
from spider.threads import run_in_thread
from spider.timeouts import run_until_first_error, wait_for
from spider.wire.errors import LocalProtocolError
from spider.wire.frames import Message
from spider.wire.report_messages import Events, EventsStored
from spider.wire.table_rows import LATEST_MS

MAX_REQUEST_BYTES = 32 * 1024
MAX_CALLERS = 32
MAX_CALLERS_OF_A_USER = 4
"""Most connections at the same time: of all users, and of one. Further callers get the answer busy."""
BUSY = json.dumps(["busy", "too many programs report events at this moment"]).encode() + b"\n"
CALL_LIMIT_S = 5.0
PER_MINUTE = 60
"""Most events of one user in a minute."""
RETRY_S = 60.0
"""The wait after a failure of the disk or of the socket."""
ANSWER_LIMIT_S = 60.0
"""The first wait for the hub's answer. The wait doubles each time, because an old hub never answers this message."""
MOST_WAIT_S = 3600.0
"""The longest wait for the hub's answer."""
VALID_S = 60.0
"""How long the looked-up users of an unchanged policy are valid."""

_UCRED = struct.Struct("iII")
"""struct ucred: pid, uid, gid. Source: unix(7)."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class Answer(NamedTuple):
    """The answer to a caller."""

    code: str
    """accepted; type: what the caller sent has not the form of an event; user: this user may not report; rate: too many events; busy: too many
    callers; disk: the event cannot be written."""
    text: str
    """The id of an accepted event. If the event was refused, or older events were dropped: a sentence for people."""


class Reporters:
    """Who may report: root, the owner of the policy, and the users that the policy names. It blocks on files."""

    def __init__(self, policy_path: str, policy_owner: int, clock: Clock) -> None:
        self._path = policy_path
        self._owner = policy_owner
        self._clock = clock
        self._seen: Tuple[int, ...] = ()
        self._users: FrozenSet[int] = frozenset()
        self._until = float("-inf")

    def may_report(self, uid: int) -> bool:
        """Whether this user may report events."""
        if uid in (0, self._owner):
            return True
        now, seen = self._clock.monotonic(), _stamp(self._path)
        if seen != self._seen or now >= self._until:
            self._seen, self._until, self._users = seen, now + VALID_S, self._read()
        return uid in self._users

    def _read(self) -> FrozenSet[int]:
        found = set()
        try:
            names = read_policy(self._path, self._owner).events
        except PolicyRefused as error:
            event(log, "policy_refused", logging.DEBUG, why=str(error))
            return frozenset()
        for name in names:
            try:
                found.add(pwd.getpwnam(name).pw_uid)
            except KeyError:  # noqa: PERF203 - a user that is not there cannot call
                event(log, "policy_names_nobody", logging.WARNING, user=name)
        return frozenset(found)


def _stamp(path: str) -> Tuple[int, ...]:
    try:
        facts = os.stat(path)
    except OSError:
        return ()
    return (facts.st_ino, facts.st_ctime_ns, facts.st_size)


class EventReports:
    """The socket, the queue and the sender. `run` it as one task."""

    def __init__(
        self,
        path: str,
        queue: EventQueue,
        reporters: Reporters,
        clock: Clock,
        send: Callable[[Message], Awaitable[None]],
        found_at_start: Callable[[], List[ReportedEvent]] = list,
    ) -> None:
        """Args: path: of the socket. send: raises ConnectionError when there is no session. found_at_start: returns the events that Spider
        itself found when it started; it blocks on files."""
        self._path = path
        self._queue = queue
        self._reporters = reporters
        self._clock = clock
        self._send = send
        self._found_at_start = found_at_start
        self._disk = asyncio.Lock()
        self._policy = asyncio.Lock()
        self._ready = asyncio.Event()
        """Set once the events of an earlier run, and those found at the start, are on the disk."""
        self._news = asyncio.Event()
        self._stored: List[str] = []
        self._answered = asyncio.Event()
        self._callers: Dict[int, int] = {}
        self._wait_s = ANSWER_LIMIT_S
        self._recent: Dict[int, Deque[float]] = {}

    def joined(self) -> None:
        """A session has begun: send all waiting events."""
        self._wait_s = ANSWER_LIMIT_S
        self._answered.set()
        self._news.set()

    def acknowledge(self, message: EventsStored) -> None:
        """The hub has stored these events, or has refused them for good."""
        self._stored += message.ids[:MAX_WAITING]
        self._wait_s = ANSWER_LIMIT_S
        self._answered.set()
        self._news.set()

    async def run(self) -> None:
        """Take and report events until cancelled."""
        await run_until_first_error(self._serve(), self._report())

    async def _begin(self) -> None:
        await self._on_disk(self._queue.load)
        for found in await run_in_thread(self._found_at_start, "events at the start"):
            await self._store(found)
        self._ready.set()
        self._news.set()

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await _alone(self._disk, work, "events")

    async def add(self, found: List[ReportedEvent]) -> None:
        """Report events that Spider itself found."""
        await self._ready.wait()
        for one in found:
            await self._store(one)

    # -- to the hub ----------------------------------------------------------------------------

    async def _report(self) -> None:
        while True:
            try:
                if not self._ready.is_set():
                    await self._begin()
                await self._report_once()
            except OSError as error:  # noqa: PERF203 - no thread can be started, or the disk fails: the events stay in the queue
                event(log, "events_wait", logging.WARNING, why=str(error))
                await self._clock.sleep(RETRY_S)
                self._news.set()

    async def _report_once(self) -> None:
        await self._news.wait()
        self._news.clear()
        done, self._stored = self._stored, []
        await self._on_disk(lambda: self._queue.forget(done))
        batch = await self._on_disk(self._queue.batch)
        if batch:
            await self._send_batch(batch)

    async def _send_batch(self, batch: List[ReportedEvent]) -> None:
        """Send events and wait for the answer. Without an answer, the next call sends them again."""
        self._answered.clear()
        ids, types, at_ms, messages, details = (list(column) for column in zip(*batch))
        try:
            await self._send(Events(ids, types, at_ms, messages, details))
            await wait_for(self._wait_s, self._answered.wait())
        except ConnectionError:  # the next session sends all waiting events
            return
        except asyncio.TimeoutError:
            self._wait_s = min(MOST_WAIT_S, 2 * self._wait_s)
            self._news.set()
        except LocalProtocolError as error:
            event(log, "events_not_sent", logging.ERROR, why=str(error), dropped=len(ids))
            self._stored += ids  # no frame can ever hold them, so they are dropped
            self._news.set()

    # -- from programs -------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Listen; if that is not possible, retry."""
        reported = False
        await self._ready.wait()
        while True:
            try:
                servers = [await self._listen(self._path, 0o666), await self._listen(root_socket(self._path), 0o600)]
            except OSError as error:
                if not reported:  # an agent that was started by hand has no such folder
                    level = logging.INFO if isinstance(error, FileNotFoundError) else logging.WARNING
                    event(log, "events_unusable", level, path=self._path, why=str(error))
                reported = True
                await self._clock.sleep(RETRY_S)
                continue
            try:
                await asyncio.Event().wait()
            finally:
                for server in servers:
                    server.close()

    async def _listen(self, path: str, mode: int) -> asyncio.AbstractServer:
        """Args: mode: 0o666: every user may call, and the kernel identifies the caller. 0o600: only root can connect, so that no other user's
        connections fill what the kernel lets wait."""
        remove(path)  # left by an earlier run
        server = await asyncio.start_unix_server(self._call, path, limit=MAX_REQUEST_BYTES)
        os.chmod(path, mode)  # nosec B103
        return server

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = _uid_of(writer)
        if self._is_crowded(uid):
            writer.write(BUSY)
            writer.close()
            return
        self._callers[uid] = self._callers.get(uid, 0) + 1
        try:
            answer = await wait_for(CALL_LIMIT_S, self._answer(reader, uid))
            writer.write(json.dumps(list(answer)).encode() + b"\n")
            await wait_for(CALL_LIMIT_S, writer.drain())
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            event(log, "event_call_failed", logging.DEBUG, why=repr(error))
        finally:
            self._callers[uid] -= 1
            if not self._callers[uid]:
                del self._callers[uid]
            writer.close()

    def _is_crowded(self, uid: int) -> bool:
        """Whether no further connection of this user may wait. All users but root share a number of connections."""
        shared = sum(count for caller, count in self._callers.items() if caller)
        return self._callers.get(uid, 0) >= MAX_CALLERS_OF_A_USER or (uid != 0 and shared >= MAX_CALLERS)

    async def _answer(self, reader: asyncio.StreamReader, uid: int) -> Answer:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            return Answer("type", f"it is longer than {MAX_REQUEST_BYTES} bytes")
        if not await _alone(self._policy, lambda: self._reporters.may_report(uid), "policy"):
            return Answer("user", "the policy of this server does not let this user report events (line 'events' in policy.conf)")
        return await self._take(uid, line)

    async def _take(self, uid: int, line: bytes) -> Answer:
        try:
            new = make_event(json.loads(line), int(self._clock.now() * 1000))
        except EventRefused as error:
            return Answer("type", str(error))
        except (ValueError, RecursionError):
            return Answer("type", "it is not JSON")
        if not self._within_rate(uid):
            return Answer("rate", f"this user has reported {PER_MINUTE} events in the last minute: wait and try again")
        answer = await self._store(new._replace(id=id_of_reporter(new.id, uid)))
        return answer._replace(text=new.id) if answer.text == id_of_reporter(new.id, uid) else answer

    async def _store(self, new: ReportedEvent) -> Answer:
        try:
            dropped = await self._on_disk(lambda: self._queue.add(new))
        except OSError as error:
            event(log, "event_not_kept", logging.WARNING, why=str(error))
            return Answer("disk", f"it cannot be written: {error.strerror}")
        self._news.set()
        return Answer("accepted", f"{dropped} older events were dropped: the hub has not taken any for long" if dropped else new.id)

    def _within_rate(self, uid: int) -> bool:
        now = self._clock.monotonic()
        recent = self._recent.setdefault(uid, deque(maxlen=PER_MINUTE))
        if len(recent) == PER_MINUTE and now - recent[0] < 60.0:
            return False
        recent.append(now)
        return True


async def _alone(lock: asyncio.Lock, work: Callable[[], T], name: str) -> T:
    """Run `work` in a thread. The lock is held until the thread has ended, even if the caller is cancelled before."""
    await lock.acquire()
    done = asyncio.ensure_future(run_in_thread(work, name))
    done.add_done_callback(lambda _: lock.release())
    return await asyncio.shield(done)


def boot_events(record: BootRecord) -> List[ReportedEvent]:
    """The event that the host has rebooted. Empty: Spider has already started in this boot, or never before. Reads and writes files."""
    before = record.before or record.begin()
    if not record.first:
        return []
    kind = "node_rebooted_unexpectedly" if before.clean == NO else "node_rebooted"
    at_ms = min(round(record.booted_at * 1000) or int(time.time() * 1000), LATEST_MS)
    details: Dict[str, object] = {"boot_id": record.boot}
    if before.at_ms is not None:
        details["down_seconds"] = max(0, (at_ms - before.at_ms) // 1000)
    return [ReportedEvent(f"boot-{record.boot}", kind, at_ms, "", json.dumps(details))]


def _uid_of(writer: asyncio.StreamWriter) -> int:
    """The uid of the program that has connected, according to the kernel."""
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _pid, uid, _gid = _UCRED.unpack(raw)
    return int(uid)
