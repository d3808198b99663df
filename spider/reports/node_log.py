"""Sends lines of the system log to the hub, if the owner enables it. Spider reads the lines in order and stores none.

The hub stores the journal's cursor up to which it holds the lines. It sends that cursor on request and after each batch, and accepts only
lines that follow it. So no line is lost or stored twice, even after a restart of either side. While the hub is away, Spider reads nothing,
because the journal is the buffer.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
from collections import deque
from typing import Any, Awaitable, Callable, Deque, Dict, List, NamedTuple, Optional, Set

from spider.clock import Clock
from spider.logs import event
from spider.threads import ThreadUnavailable
from spider.timeouts import wait_for
from spider.wire.frames import Message
from spider.wire.report_messages import LogAck, LogLines

MAX_LINES = 100
MAX_TEXT = 2000
MAX_SOURCE = 100
MAX_BATCH_BYTES = 48 * 1024
MAX_RECORD_BYTES = 128 * 1024
"""Longest record that journalctl prints: it cuts fields at 4 KiB, and one byte takes up to five characters."""
MAX_CURSOR = 512
LINES_PER_S = 20.0
BURST_LINES = 1000.0
"""Rate limit by the times of the lines themselves, so that a backlog passes. Further lines are dropped and counted."""
GATHER_S = 1.0
ANSWER_LIMIT_S = 60.0
RETRY_S = 10.0
END_S = 2.0
"""How long the program's end waits for a killed journalctl."""
_CUT = "…"
_MACHINE = re.compile(r"[0-9a-f]{32}\Z")
_FIELDS = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER,_COMM"

log = logging.getLogger(__name__)


class JournalLine(NamedTuple):
    """One line and its cursor."""

    cursor: str
    at_ms: int
    priority: int
    source: str
    text: str


def parse_record(record: bytes) -> JournalLine:
    """Parse one record of `journalctl -o json`.

    Raises: ValueError: not a record with a cursor and a time.
    Source: journalctl(1) and the journal's JSON format: a field that is not UTF-8 is a list of numbers, a field that is too long is null,
    and a repeated field is a list.
    """
    try:
        fields = json.loads(record)
        cursor, at_us = fields["__CURSOR"], int(fields["__REALTIME_TIMESTAMP"])
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError("no record of the journal") from error
    if not isinstance(cursor, str) or not 0 < len(cursor) <= MAX_CURSOR or not 0 <= at_us < 1 << 62:
        raise ValueError("a record without a valid cursor or time")
    priority = _text(fields.get("PRIORITY"))
    source = next((_text(fields[name]) for name in ("_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "_COMM") if fields.get(name)), "")
    text = _text(fields.get("MESSAGE")) if fields.get("MESSAGE") is not None else "(longer than 4 KiB, or empty)"
    level = int(priority) if priority in ("0", "1", "2", "3", "4", "5", "6", "7") else 6
    return JournalLine(cursor, at_us // 1000, level, _short(source, MAX_SOURCE), _short(text, MAX_TEXT))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair is not valid text
    if isinstance(value, list):
        if all(type(item) is int and 0 <= item < 256 for item in value):
            return bytes(value).decode("utf-8", "replace")
        return _text(value[0])
    return ""


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + _CUT


def _this_machine() -> List[str]:
    """A journalctl match for lines of this host. Empty on a host without machine id, which has no journals of other hosts either."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            name = file.read(64).strip()
    except (OSError, ValueError):
        return []
    return ["_MACHINE_ID=" + name] if _MACHINE.match(name) else []


class Sieve:
    """A rate limit in lines per second, by the times of the lines."""

    def __init__(self) -> None:
        self._tokens = BURST_LINES
        self._at_ms: Optional[int] = None

    def passes(self, at_ms: int) -> bool:
        """Whether a line with this time passes. A clock that was set back neither adds nor removes allowance."""
        if self._at_ms is not None and at_ms > self._at_ms:
            self._tokens = min(BURST_LINES, self._tokens + (at_ms - self._at_ms) / 1000 * LINES_PER_S)
        self._at_ms = at_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class LogBatch:
    """A batch of lines that was sent or will be sent next."""

    def __init__(self, after: str) -> None:
        self.after = after
        self.cursor = after
        self.lines: List[JournalLine] = []
        self.left_out = 0
        self._size = 0

    def add(self, line: JournalLine, *, passes: bool) -> None:
        """Add a line, or count it as dropped."""
        self.cursor = line.cursor
        if passes:
            self.lines.append(line)
            self._size += len(line.text) * 2 + len(line.source) + 16
        else:
            self.left_out += 1

    @property
    def full(self) -> bool:
        return len(self.lines) >= MAX_LINES or self._size >= MAX_BATCH_BYTES or self.left_out >= 100 * MAX_LINES

    def message(self) -> LogLines:
        return LogLines(
            self.after,
            self.cursor,
            self.left_out,
            [line.at_ms for line in self.lines],
            [line.priority for line in self.lines],
            [line.source for line in self.lines],
            [line.text for line in self.lines],
        )


class JournalChild:
    """`journalctl` following the journal from a cursor. Its output is read only on demand."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._rest = b""
        self._records: Deque[bytes] = deque()
        self._skipping = False
        self._stderr = b""
        self._listener = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(cls, program: str, words: List[str]) -> "JournalChild":
        """Start the process. Raises: OSError: there is no such program."""
        path = next(
            (found for found in (os.path.join("/usr/bin", program), os.path.join("/bin", program)) if os.access(found, os.X_OK)), None
        )
        if path is None:
            raise FileNotFoundError(f"there is no {program}")
        begun = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                path, "--output=json", "--no-pager", "--quiet", *words,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, limit=64 * 1024, cwd="/",
            )
        )  # fmt: skip
        try:
            return cls(await asyncio.shield(begun))
        except asyncio.CancelledError:
            with contextlib.suppress(OSError, RuntimeError):  # the read was never started
                await cls(await begun).stop()
            raise
        except RuntimeError as error:  # before Python 3.12 a thread waits for each child
            raise ThreadUnavailable from error

    async def record(self) -> Optional[bytes]:
        """The next record; None: the process has ended."""
        assert self._process.stdout is not None
        while not self._records:
            chunk = await self._process.stdout.read(32 * 1024)
            if not chunk:
                return None
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            if self._skipping and whole:
                self._skipping = False
                del whole[0]
            self._records.extend(line for line in whole if line)
            if len(self._rest) > MAX_RECORD_BYTES:
                self._rest, self._skipping = b"", True
        return self._records.popleft()

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while True:
            chunk = await self._process.stderr.read(1024)
            if not chunk:
                return
            self._stderr = (self._stderr + chunk)[-400:]

    async def listened(self) -> None:
        """Wait for the end of the error output. Call it after the output has ended."""
        await asyncio.wait({self._listener})

    @property
    def complaint(self) -> str:
        """The end of its error output."""
        return self._stderr.decode("utf-8", "replace").strip()

    async def stop(self) -> None:
        """End the process and close its pipes.

        Only the event loop reads its exit status: Popen's kill() would read it first, and the loop would then warn of an unknown child.
        """
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        over = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({over}, timeout=RETRY_S)
        except asyncio.CancelledError:
            await asyncio.wait({over}, timeout=END_S)
            raise
        finally:
            if not over.done():
                over.cancel()
                event(log, "journalctl_hangs", logging.WARNING, pid=self._process.pid)
        self._listener.cancel()
        await asyncio.gather(self._listener, return_exceptions=True)
        transport = getattr(self._process, "_transport", None)
        if transport is not None:
            transport.close()


class Journal:
    """Sends the log of this host while there is a session. `run` it as one task."""

    def __init__(self, level: str, clock: Clock, send: Callable[[Message], Awaitable[None]], program: str = "journalctl") -> None:
        """Args: level: name of the least urgent priority that is sent; empty = no line is sent. program: reads the journal."""
        self._level = level
        self._clock = clock
        self._send = send
        self._program = program
        self._joined = asyncio.Event()
        self._answers: asyncio.Queue[str] = asyncio.Queue(16)
        self._child: Optional[JournalChild] = None
        self._at = ""
        """The cursor after which the child's next record follows."""
        self._pending: Optional[LogBatch] = None
        self._next: Optional[asyncio.Future[Optional[bytes]]] = None
        self._sieve = Sieve()
        self._logged: Dict[str, bool] = {}
        self.left_out = 0

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
                except (ConnectionError, asyncio.TimeoutError):
                    continue  # the session has ended; the next one begins by asking the hub for its cursor
                except OSError as error:
                    self._log_once("journal_unreadable", str(error))
                    await self._clock.sleep(RETRY_S)
                    self._joined.set()
        finally:
            await self._stop()

    async def _serve(self) -> None:
        """One session: ask for the cursor, then send batch after batch, each after the answer to the one before."""
        acknowledge = await self._send_batch(LogBatch(""))
        if acknowledge == "" and self._pending is None:
            acknowledge = await self._begin()
        while not self._joined.is_set():
            batch = self._pending
            if batch is not None and acknowledge == batch.cursor:
                self.left_out += batch.left_out
                batch = self._pending = None
            if batch is None or batch.after != acknowledge:
                self._pending = None
                if self._child is None or self._at != acknowledge:
                    await self._follow(acknowledge)
                batch = self._pending = await self._gather(acknowledge)
            if batch.cursor != acknowledge:
                acknowledge = await self._send_batch(batch)

    async def _begin(self) -> str:
        """The hub holds no line: begin with new lines. The hub stores the cursor before the first line."""
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
        return await wait_for(ANSWER_LIMIT_S, self._answers.get())

    async def _follow(self, cursor: str) -> None:
        await self._stop()
        # --follow alone shows only the boot that it takes for the current one. --merge does not, but would also read journals of other
        # hosts.
        words = ["--follow", "--merge", "--priority=" + self._level, "--output-fields=" + _FIELDS, *_this_machine()]
        # Not --after-cursor: if the line of the cursor does not pass --priority, it skips the first line that does (before
        # systemd 255). Without --no-tail it would print ten lines and wait for a new one.
        words += ["--no-tail", "--cursor=" + cursor] if cursor else ["--lines=0"]
        self._child = await JournalChild.start(self._program, words)
        self._at = cursor

    async def _gather(self, after: str) -> LogBatch:
        """Collect lines that follow `after`, until the batch is full or `GATHER_S` after the first line."""
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
            batch.add(line, passes=self._sieve.passes(line.at_ms))
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
        """Log a failure once, until the next success."""
        if not self._logged.get(what):
            self._logged[what] = True
            event(log, what, logging.WARNING, why=why[:200], user=os.geteuid())
