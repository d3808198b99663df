"""Reads the journal: starts `journalctl` and parses its records."""

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections import deque
from typing import Any, Deque, List, NamedTuple, Optional

from spider.logs import event
from spider.threads import ThreadUnavailable
from spider.wire.table_rows import LATEST_MS

MAX_TEXT = 2000
MAX_SOURCE = 100
"""Most characters of a line and of its source."""
MAX_RECORD_BYTES = 128 * 1024
"""Longest record that is read; a longer one is skipped. journalctl leaves out fields above 4 KiB, and one byte takes up to five characters."""
MAX_CURSOR = 512
STOP_LIMIT_S = 10.0
"""How long `JournalChild.stop` waits for the end of a killed journalctl."""
END_S = 2.0
"""How long the program's end waits for a killed journalctl."""
_CUT = "…"

log = logging.getLogger(__name__)


class JournalLine(NamedTuple):
    """One line of the journal."""

    cursor: str
    """journalctl's name for the line's place in the journal."""
    at_ms: int
    """Unix milliseconds, at most `LATEST_MS`: the hub refuses a later time and ends the session."""
    priority: int
    """0 (emergency) to 7 (debug), as in syslog(3)."""
    source: str
    """The unit, else the program; empty = unknown."""
    text: str


def parse_record(record: bytes) -> JournalLine:
    """Parse one record of `journalctl -o json`.

    Raises: ValueError: not a record with a cursor and a time.
    Source: journalctl(1) and the journal's JSON format. A field that is not UTF-8 is a list of numbers. A field that is too long is null. A
    repeated field is a list.
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
    return JournalLine(cursor, min(at_us // 1000, LATEST_MS), level, _short(source, MAX_SOURCE), _short(text, MAX_TEXT))


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


class JournalChild:
    """A running `journalctl`. Its output is read only on demand."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._rest = b""
        self._records: Deque[bytes] = deque()
        self._skipping = False
        self._stderr = b""
        self._listener = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(cls, program: str, words: List[str]) -> "JournalChild":
        """Start the process.

        Args:   program: its name in /usr/bin or /bin. words: further arguments.
        Raises: OSError: there is no such program, or it cannot be started.
        """
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

    async def errors_end(self) -> None:
        """Wait for the end of the error output, which is then complete in `complaint`. Call it after `record` has returned None."""
        await asyncio.wait({self._listener})

    @property
    def complaint(self) -> str:
        """The last 400 bytes of journalctl's error output so far."""
        return self._stderr.decode("utf-8", "replace").strip()

    async def stop(self) -> None:
        """Kill the process and close its pipes. Takes at most `STOP_LIMIT_S`.

        Only the event loop reads its exit status: Popen's kill() would read it first, and the loop would then warn of an unknown child.
        """
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        over = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({over}, timeout=STOP_LIMIT_S)
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
