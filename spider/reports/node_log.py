"""Sends lines of the system log to the hub, if the owner enables it. Spider reads the lines in order and stores none.

A cursor is journalctl's name for a place in the journal. The hub stores the cursor up to which it holds the lines. It sends this cursor after
each batch, and accepts only lines that follow it. So a restart of either side neither loses nor repeats a line. While the hub is away, Spider
reads nothing, because the journal is the buffer. Only lines above a rate limit are dropped; the hub receives their number.
"""

import asyncio
import logging
import os
import re
from typing import Any, Awaitable, Callable, Dict, List, Optional, Set

from spider.clock import Clock
from spider.logs import event
from spider.reports.journal_reader import JournalChild, JournalLine, parse_record
from spider.timeouts import wait_for
from spider.wire.frames import Message
from spider.wire.report_messages import LogAck, LogLines

MAX_LINES = 100
MAX_BATCH_BYTES = 48 * 1024
LINES_PER_S = 20.0
BURST_LINES = 1000.0
"""Rate limit by the times of the lines themselves, so that a backlog passes. Further lines are dropped and counted."""
GATHER_S = 1.0
"""How long a batch waits for more lines after its first."""
ANSWER_LIMIT_S = 60.0
"""How long to wait for the hub's answer before it is asked again."""
RETRY_S = 10.0
"""Delay after journalctl has failed, and how long to wait for its first record."""
_MACHINE = re.compile(r"[0-9a-f]{32}\Z")
_FIELDS = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER,_COMM"

log = logging.getLogger(__name__)


def _this_machine() -> List[str]:
    """The arguments of journalctl that select the lines of this host. Empty: this host has no valid machine id, so no line is left out."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            name = file.read(64).strip()
    except (OSError, ValueError):
        return []
    return ["_MACHINE_ID=" + name] if _MACHINE.match(name) else []


class LineRateLimit:
    """A rate limit in lines per second, by the times of the lines."""

    def __init__(self) -> None:
        self._tokens = BURST_LINES
        self._at_ms: Optional[int] = None

    def allows(self, at_ms: int) -> bool:
        """Whether a line with this time (Unix milliseconds) passes. A clock that was set back adds no allowance."""
        if self._at_ms is not None and at_ms > self._at_ms:
            self._tokens = min(BURST_LINES, self._tokens + (at_ms - self._at_ms) / 1000 * LINES_PER_S)
        self._at_ms = at_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class LogBatch:
    """Lines that were sent or will be sent next. With `cursor` equal to `after`, it asks for the cursor up to which the hub holds the lines."""

    def __init__(self, after: str) -> None:
        self.after = after
        """The cursor that the batch follows; empty: the hub holds no line."""
        self.cursor = after
        """The cursor of its last line."""
        self.lines: List[JournalLine] = []
        self.left_out = 0
        """Number of lines that the rate limit dropped."""
        self._size = 0

    def add(self, line: JournalLine, *, passes: bool) -> None:
        """Add a line; if it does not pass the rate limit, only count it."""
        self.cursor = line.cursor
        if passes:
            self.lines.append(line)
            self._size += len(line.text) * 2 + len(line.source) + 16
        else:
            self.left_out += 1

    @property
    def full(self) -> bool:
        """Whether the batch must be sent before the next line."""
        return len(self.lines) >= MAX_LINES or self._size >= MAX_BATCH_BYTES or self.left_out >= 100 * MAX_LINES

    def message(self) -> LogLines:
        """The batch as it is sent."""
        return LogLines(
            self.after,
            self.cursor,
            self.left_out,
            [line.at_ms for line in self.lines],
            [line.priority for line in self.lines],
            [line.source for line in self.lines],
            [line.text for line in self.lines],
        )


class LogSender:
    """Sends the log of this host while there is a session. `run` it as one task."""

    def __init__(
        self,
        level: str,
        clock: Clock,
        send: Callable[[Message], Awaitable[None]],
        program: str = "journalctl",
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        """Args: level: name of the least urgent priority that is sent; empty = no line is sent. program: journalctl."""
        self._answer_limit_s = answer_limit_s
        self._level = level
        self._clock = clock
        self._send = send
        self._program = program
        self._joined = asyncio.Event()
        self._answers: asyncio.Queue[str] = asyncio.Queue(16)
        self._child: Optional[JournalChild] = None
        self._at = ""
        """The cursor of the last record that was read from the child; before the first record, the cursor at which the child began."""
        self._pending: Optional[LogBatch] = None
        """The last batch, until the hub has acknowledged it."""
        self._next: Optional[asyncio.Future[Optional[bytes]]] = None
        """The present read of a record from the child."""
        self._rate_limit = LineRateLimit()
        self._logged: Dict[str, bool] = {}
        self.left_out = 0
        """Dropped lines of all acknowledged batches."""

    def joined(self) -> None:
        """A session has begun: the hub's cursor decides where sending continues."""
        while not self._answers.empty():
            self._answers.get_nowait()
        self._joined.set()

    def acknowledge(self, message: LogAck) -> None:
        """The cursor up to which the hub holds the lines."""
        if self._answers.full():
            self._answers.get_nowait()
        self._answers.put_nowait(message.cursor)

    async def run(self) -> None:
        """Read and send until cancelled."""
        if not self._level:
            await asyncio.Event().wait()
        try:
            while True:
                await self._joined.wait()
                self._joined.clear()
                try:
                    await self._serve()
                except ConnectionError:
                    continue  # the session has ended; the next one begins by asking the hub for its cursor
                except asyncio.TimeoutError:  # the hub has not answered in this session
                    self._joined.set()
                except OSError as error:
                    self._log_once("journal_unreadable", str(error))
                    await self._clock.sleep(RETRY_S)
                    self._joined.set()
        finally:
            await self._stop()

    async def _serve(self) -> None:
        """Serve one session: ask the hub for its cursor, then send batch after batch, each after the hub's answer to the last one."""
        held = await self._send_batch(LogBatch(""))
        if held == "" and self._pending is None:
            held = await self._begin()
        while not self._joined.is_set():
            batch = self._pending
            if batch is not None and held == batch.cursor:
                self.left_out += batch.left_out
                batch = self._pending = None
            if batch is None or batch.after != held:
                self._pending = None
                if self._child is None or self._at != held:
                    await self._follow(held)
                batch = self._pending = await self._gather(held)
            if batch.cursor != held:
                held = await self._send_batch(batch)

    async def _begin(self) -> str:
        """Begin a log of which the hub holds nothing: only lines after the present last line of the journal are sent.

        Returns: the cursor in the hub's answer.
        Raises:  OSError: the journal cannot be read, or is empty.
        """
        child = await JournalChild.start(self._program, ["--lines=1"])
        try:
            record = await wait_for(RETRY_S, child.record())
        except asyncio.TimeoutError:
            raise OSError("journalctl does not answer") from None
        finally:
            await child.stop()
        if record is None:
            raise OSError(child.complaint or "the journal is empty, or may not be read (group systemd-journal)")
        start = LogBatch("")
        start.cursor = parse_record(record).cursor
        return await self._send_batch(start)

    async def _send_batch(self, batch: LogBatch) -> str:
        while not self._answers.empty():
            self._answers.get_nowait()
        await self._send(batch.message())
        return await wait_for(self._answer_limit_s, self._answers.get())

    async def _follow(self, cursor: str) -> None:
        await self._stop()
        # --follow alone shows only lines of the current boot, which it may guess wrong. --merge shows all boots, but also the journals of
        # other hosts, so the machine id is selected.
        words = ["--follow", "--merge", "--priority=" + self._level, "--output-fields=" + _FIELDS, *_this_machine()]
        # Not --after-cursor: if the line of the cursor does not pass --priority, it skips the first line that does (before
        # systemd 255). Without --no-tail it would print ten lines and wait for a new one.
        words += ["--no-tail", "--cursor=" + cursor] if cursor else ["--lines=0"]
        self._child = await JournalChild.start(self._program, words)
        self._at = cursor

    async def _gather(self, after: str) -> LogBatch:
        """Collect lines that follow `after`. Ends when the batch is full, `GATHER_S` have passed since the first
        line, another session has begun, or the child has ended."""
        batch = LogBatch(after)
        until: Optional[float] = None
        while not batch.full and not self._joined.is_set():
            left = None if until is None else until - self._clock.monotonic()
            if left is not None and left <= 0:
                break
            record = await self._record(left)
            if record is None:
                break
            try:
                line = parse_record(record)
            except ValueError as error:
                self._log_once("journal_line_unreadable", str(error))
                continue
            if line.cursor == self._at:
                continue  # the line that the hub holds already: journalctl begins with it
            self._at = line.cursor
            batch.add(line, passes=self._rate_limit.allows(line.at_ms))
            until = until or self._clock.monotonic() + GATHER_S
        return batch

    async def _record(self, limit_s: Optional[float]) -> Optional[bytes]:
        """The next record; None: no record came in time, another session has begun, or the child has ended (and was removed)."""
        child = self._child
        if child is None:
            return None
        if self._next is None:
            self._next = asyncio.ensure_future(child.record())
        joined = asyncio.ensure_future(self._joined.wait())
        wakers: Set[asyncio.Future[Any]] = {self._next, joined}
        try:
            await asyncio.wait(wakers, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            joined.cancel()
            await asyncio.gather(joined, return_exceptions=True)
        if not self._next.done():
            return None
        record, self._next = self._next.result(), None
        if record is None:
            self._log_once("journalctl_ended", child.complaint)
            await self._stop()
            await self._clock.sleep(RETRY_S)
        else:
            self._logged.clear()
        return record

    async def _stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
            self._next = None
        if self._child is not None:
            child, self._child = self._child, None
            await child.stop()

    def _log_once(self, what: str, why: str) -> None:
        """Log a failure, unless it was logged since the last record was read."""
        if not self._logged.get(what):
            self._logged[what] = True
            event(log, what, logging.WARNING, why=why[:200], user=os.geteuid())
