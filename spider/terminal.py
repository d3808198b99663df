"""One terminal for a job: what is printed on it goes into the log as raw bytes, and nobody reads what could be typed."""

import errno
import fcntl
import hashlib
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Sequence

from spider.jobfiles import Progress, write_progress

COLUMNS, LINES = 120, 40
MAX_LOG_BYTES = 256 * 1024 * 1024
READ_BYTES = 64 * 1024
TICK_S = 0.1
QUIET_S = 0.1
"""After a program ended, its last words have arrived when nothing came for this long."""
LINGER_S = 0.5
DRAIN_LIMIT_S = 1.5
MAX_LINE_BYTES = 4096
PROGRESS_RHYTHM_S = 0.2
INTERRUPT_RHYTHM_S = 15.0

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()*+][A-Za-z0-9]|[@-Z\\-_78=>])")
_CAP_NOTE = b"\r\n[stardust: the log of this job is full; what follows is counted, not kept]\r\n"


class Ended(NamedTuple):
    """How a program ended."""

    rc: Optional[int]
    """Exit status; None = a signal ended it."""
    signal: int
    overran: str
    """The phase whose time was up, so that the program was interrupted; empty = none."""


class Log:
    """The log file of a job. It takes every byte or says how many it could not."""

    def __init__(self, path: str, limit: int = MAX_LOG_BYTES) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        self._limit = limit
        self._full = False
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.lost = 0

    def write(self, data: bytes) -> None:
        """Append. After the first byte that could not be written nothing more is, so that the log has no holes."""
        if self._full:
            self.lost += len(data)
            return
        room = self._limit - self.bytes
        self._append(data[:room])
        if len(data) > room and not self._full:
            self._append(_CAP_NOTE)
            self._full = True
            self.lost += len(data) - room

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                written = os.write(self._fd, view)
            except OSError:  # the disk is full or broken: told by `lost` in the result
                self._full = True
                self.lost += len(view)
                return
            self._digest.update(view[:written])
            self.bytes += written
            view = view[written:]

    def sha256(self) -> str:
        """Hex digest of what is in the file."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Make it durable. What cannot be is found by the digest."""
        try:
            os.fsync(self._fd)
        except OSError:
            self._full = True
        os.close(self._fd)


class Lines:
    """Cuts a stream into lines as a person sees them: what a carriage return overwrote is gone, colours too."""

    def __init__(self, each: Callable[[str], object]) -> None:
        self._each = each
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-MAX_LINE_BYTES:]
        for line in whole:
            self._tell(line)

    def end(self) -> None:
        """The stream is over: the last line may lack its newline."""
        if self._rest:
            self._tell(self._rest)
            self._rest = b""

    def _tell(self, line: bytes) -> None:
        text = line[-MAX_LINE_BYTES:].decode("utf-8", "replace").rstrip("\r").rsplit("\r", 1)[-1]
        self._each(_ESCAPES.sub("", text))


class Reporter:
    """Writes where the job stands: a new phase at once, the rest not faster than anybody can read."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        self._written = Progress(0.0, "", -1, "", "")
        self._written_at = 0.0
        self._waiting: Optional[Progress] = None
        self.phase = ""
        self.since = time.monotonic()

    def tell(self, phase: str, percent: int = -1, package: str = "", text: str = "") -> None:
        """Say where the job stands. Within a phase the percentage never falls."""
        now = time.monotonic()
        if phase != self.phase:
            self.phase, self.since = phase, now
        elif self._newest().percent > percent:
            percent = self._newest().percent
        self._waiting = Progress(time.time(), phase, percent, package, text)
        if phase != self._written.phase or now - self._written_at >= PROGRESS_RHYTHM_S:
            self.flush()

    def _newest(self) -> Progress:
        return self._waiting or self._written

    def flush_if_due(self) -> None:
        """Write what was held back long enough."""
        if self._waiting is not None and time.monotonic() - self._written_at >= PROGRESS_RHYTHM_S:
            self.flush()

    def flush(self) -> None:
        """Write what was held back."""
        newest, self._waiting = self._waiting, None
        if newest is not None and newest[1:] != self._written[1:]:
            write_progress(self._fd, newest)
            self._written, self._written_at = newest, time.monotonic()

    def close(self) -> None:
        self.flush()
        os.close(self._fd)


def _own_terminal(slave: int) -> None:
    """Runs in the child: a session of its own with this terminal, and the kernel's usual mind about memory."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("0")
    except OSError:  # not ours to change here: then the child is only less likely to be killed
        return


class Terminal:
    """A PTY on which programs run one after the other."""

    def __init__(self, log: Log, reporter: Reporter) -> None:
        self._log = log
        self._reporter = reporter
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.set_blocking(self._master, False)

    def say(self, text: str) -> None:
        """Put a line of our own into the log."""
        self._log.write(text.replace("\n", "\r\n").encode("utf-8", "replace") + b"\r\n")

    def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        each_line: Callable[[str], object],
        each_status: Optional[Callable[[str], None]] = None,
        limits_s: Optional[Mapping[str, float]] = None,
        signals: Sequence[int] = (signal.SIGINT,),
    ) -> Ended:
        """Run a program to its end, standard input at /dev/null.

        Args:
            each_line: gets every line that is printed. each_status: gets every line written to the file descriptor
                that stands in `argv` for `{fd}`.
            limits_s: how long the job may stay in a phase. A phase that is not named has no limit: what installs
                packages is never interrupted.
            signals: sent one after the other while the phase is overrun. None of them may be SIGKILL.
        """
        lines = Lines(each_line)
        status = Lines(each_status) if each_status else None
        status_read, status_write = os.pipe() if status else (-1, -1)
        words = [word.replace("{fd}", str(status_write)) for word in argv] if status else list(argv)
        try:
            child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=self._slave,
                stderr=self._slave,
                env=dict(env),
                cwd="/",
                pass_fds=[status_write] if status else [],
                preexec_fn=lambda: _own_terminal(self._slave),  # noqa: PLW1509  # this process has one thread
            )
        except OSError as exc:
            if status:
                os.close(status_read)
                os.close(status_write)
            self.say(f"{words[0]}: {exc.strerror}")
            return Ended(127, 0, "")
        if status:
            os.close(status_write)
            os.set_blocking(status_read, False)
        overran = ""
        interrupts = list(signals)
        next_interrupt_at = 0.0
        sources: Dict[int, Lines] = {self._master: lines}
        if status:
            sources[status_read] = status
        try:
            while child.poll() is None:
                self._pump(sources, TICK_S)
                self._reporter.flush_if_due()
                limit_s = (limits_s or {}).get(self._reporter.phase)
                now = time.monotonic()
                if limit_s is not None and now - self._reporter.since > limit_s and interrupts and now >= next_interrupt_at:
                    overran = self._reporter.phase
                    child.send_signal(interrupts.pop(0))
                    next_interrupt_at = now + INTERRUPT_RHYTHM_S
            self._drain(sources, QUIET_S)
        finally:
            while child.poll() is None:  # whoever listened failed; what was begun is still seen to its end
                self._pump({self._master: Lines(lambda _line: None)}, TICK_S)
        if status:
            os.close(status_read)
            status.end()
        lines.end()
        code = child.returncode
        return Ended(None if code < 0 else code, -code if code < 0 else 0, overran)

    def close(self) -> bool:
        """Take in what is left. True: something that goes on running still has the terminal."""
        os.close(self._slave)
        held = self._drain({self._master: Lines(lambda _line: None)}, LINGER_S)
        os.close(self._master)
        return held

    def _pump(self, sources: Dict[int, Lines], wait_s: float) -> bool:
        """Take what there is. False: nothing came."""
        ready, _, _ = select.select(list(sources), [], [], wait_s)
        came = False
        for fd in ready:
            try:
                data = os.read(fd, READ_BYTES)
            except OSError as exc:
                if exc.errno in (errno.EAGAIN, errno.EINTR):
                    continue
                data = b""  # EIO: nobody holds the other end of the terminal
            if not data:
                del sources[fd]
                continue
            came = True
            if fd == self._master:
                self._log.write(data)
            sources[fd].feed(data)
        return came

    def _drain(self, sources: Dict[int, Lines], quiet_s: float) -> bool:
        """Read until nothing comes for `quiet_s` or nobody can write any more. True: somebody still can."""
        ends_at = time.monotonic() + DRAIN_LIMIT_S
        while self._master in sources and time.monotonic() < ends_at:
            if not self._pump(sources, quiet_s):
                return self._master in sources
        return self._master in sources
