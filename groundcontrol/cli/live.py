"""The output of jobs on many nodes: lines with the node's name scroll above a live block with a line for each node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import time
import tty
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from groundcontrol.cli.client import shown
from groundcontrol.cli.terminal import AnsiFilter
from groundcontrol.jobs.model import TERMINAL

MOST_LINES: Final = 8
"""Nodes with a line of their own in the block."""
AGAIN_S: Final = 5.0
"""Within this time, a second Ctrl-C leaves."""
QUIET_S: Final = 1.0
"""After this time, a line that has not ended is printed."""
BAR_CELLS: Final = 20
_ENDS: Final = (signal.SIGTERM, signal.SIGHUP)
"""They leave at once. Without a handler the terminal would stay without echo."""
_FOOT: Final = "Ctrl-C leave · c cancel"


class Prefixed:
    """Turns the output of one job into whole lines with the node's name. `\\r` overwrites: only the text after the last one counts."""

    def __init__(self, name: str, width: int) -> None:
        self._prefix = f"{shown(name):{width}}  │ "
        self._filter = AnsiFilter()
        self._pending = ""
        self._fed_at = 0.0

    def feed(self, piece: bytes) -> list[str]:
        """The lines that this piece completes."""
        self._fed_at = time.monotonic()
        *lines, self._pending = (self._pending + self._filter.feed(piece)).split("\n")
        return [self._line(line) for line in lines]

    def rest(self, *, ended: bool) -> list[str]:
        """The line that has not ended, if the job has, or if nothing came for a while."""
        if not self._pending or not (ended or time.monotonic() - self._fed_at >= QUIET_S):
            return []
        line, self._pending = self._line(self._pending), ""
        return [line]

    def _line(self, text: str) -> str:
        return f"{self._prefix}{text.rstrip(chr(13)).rpartition(chr(13))[2].replace(chr(8), '')}\x1b[0m"


class Screen:
    """Standard output: lines scroll, and on a terminal the block is drawn again below them, with one write."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._drawn = 0

    def show(self, lines: list[str], block: list[str]) -> None:
        """Print lines above the block. Without a terminal there is no block, and lines have no colours."""
        if not self._is_terminal:
            text = "".join(f"{line.removesuffix(chr(27) + '[0m')}\n" for line in lines)
        else:
            width = os.get_terminal_size(sys.stdout.fileno()).columns
            back = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""
            cut = [line[: width - 1] for line in block]  # a line that wraps would break the count of lines
            text = back + "".join(f"{line}\n" for line in (*lines, *cut))
            self._drawn = len(cut)
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()


class Keys:
    """Ctrl-C and the keys of a person at the terminal. Jobs go on whatever happens here, unless `c` and `y` cancel them."""

    def __init__(self) -> None:
        self.notice = ""
        self.leaves = False
        self.cancels = False
        self._interrupted_at = 0.0
        self._asks = False

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Read keys and Ctrl-C until the end of the context."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        for number in _ENDS:
            loop.add_signal_handler(number, self._leave)
        before = termios.tcgetattr(0) if sys.stdin.isatty() and sys.stdout.isatty() else None
        try:
            if before is not None:
                tty.setcbreak(0, termios.TCSADRAIN)
                quiet = termios.tcgetattr(0)
                quiet[3] &= ~termios.ECHOCTL
                termios.tcsetattr(0, termios.TCSADRAIN, quiet)
                loop.add_reader(0, self._key)
            yield
        finally:
            for number in (signal.SIGINT, *_ENDS):
                loop.remove_signal_handler(number)
            if before is not None:
                loop.remove_reader(0)
                termios.tcsetattr(0, termios.TCSADRAIN, before)

    def _leave(self) -> None:
        self.leaves = True

    def _interrupt(self) -> None:
        now = time.monotonic()
        self.leaves = self.leaves or (bool(self._interrupted_at) and now - self._interrupted_at <= AGAIN_S)
        self._interrupted_at = now
        self.notice = "the jobs go on without this terminal; Ctrl-C again: leave; c: cancel them"

    def _key(self) -> None:
        key = os.read(0, 1)
        if key == b"c":
            self._asks, self.notice = True, "cancel all jobs of this command, as far as their phases allow? y: yes"
        elif key:
            self.cancels = self.cancels or (self._asks and key == b"y")
            self._asks, self.notice = False, ""


def block_of(jobs: list[Any], names: Mapping[str, str], notice: str) -> list[str]:
    """The live block: running jobs first, then queued and ended ones as counts."""
    if all(job["state"] in TERMINAL for job in jobs):
        return []
    width = max((len(names.get(job["node_id"], "")) for job in jobs), default=0)
    running = [job for job in jobs if job["state"] not in (*TERMINAL, "queued")]
    lines = [f"{shown(names.get(job['node_id'], job['node_id'])):{width}}  {_bar(job)}" for job in running[:MOST_LINES]]
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job["state"]] = counts.get(job["state"], 0) + 1
    lines.append(", ".join(f"{count} {state}" for state, count in counts.items()))
    return ["─" * 72, *lines, notice or _FOOT]


def _bar(job: Any) -> str:
    percent = job["progress_percent"]
    seconds = f"{max(0.0, time.time() - job['started_at']):.0f} s" if job["started_at"] else ""
    if percent is None:
        return f"{'':{BAR_CELLS}}        {shown(job['phase'] or job['state'])}  {seconds}"
    full = round(BAR_CELLS * percent / 100)
    return f"{'█' * full}{'░' * (BAR_CELLS - full)}  {percent:3.0f} %  {shown(job['phase'] or job['state'])}  {seconds}"


class Outputs:
    """The offsets up to which the output of each job was printed."""

    def __init__(self, names: Mapping[str, str], pieces: Callable[[str, int, Callable[[bytes], None]], Awaitable[int]]) -> None:
        self._names = names
        self._pieces = pieces
        self._width = max(map(len, names.values()), default=0)
        self._offsets: dict[str, int] = {}
        self._prefixed: dict[str, Prefixed] = {}

    async def new_lines(self, jobs: list[Any]) -> list[str]:
        """The whole lines that came since the last call, each byte once, whatever happened to the connection."""
        lines: list[str] = []
        for job in jobs:
            ident, name = job["id"], self._names.get(job["node_id"], job["node_id"])
            prefixed = self._prefixed.setdefault(ident, Prefixed(name, self._width))
            offset = self._offsets.get(ident, 0)
            if job["output_bytes"] > offset:
                pieces: list[bytes] = []
                self._offsets[ident] = await self._pieces(f"/jobs/{ident}/output", offset, pieces.append)
                lines += [line for piece in pieces for line in prefixed.feed(piece)]
            lines += prefixed.rest(ended=job["state"] in TERMINAL)
        return lines
