"""A terminal for a job's programs. Their output goes into the job's log byte for byte, and they get no input."""

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
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

from spider.jobs.files import Progress, write_progress
from spider.jobs.marks import MarkWriter
from spider.root.maintainer_scripts import ScriptKiller
from spider.wire.sentences import sentence

COLUMNS, LINES = 120, 40
MAX_LOG_BYTES = 256 * 1024 * 1024
READ_BYTES = 64 * 1024
TICK_S = 0.1
QUIET_S = 0.1
"""After a program has ended, its output is complete once nothing arrives for this long."""
LINGER_S = 0.5
"""The same before the terminal is closed: background processes may still print."""
DRAIN_LIMIT_S = 1.5
"""Output is read for at most this long, even if it does not stop."""
MAX_LINE_BYTES = 4096
PROGRESS_INTERVAL_S = 0.2
INTERRUPT_INTERVAL_S = 15.0
FORCE_INTERVAL_S = 1.0
SCRIPT_PHASES = ("commit", "triggers", "check")
"""Phases in which a maintainer script may run."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()*+][A-Za-z0-9]|[@-Z\\-_78=>])")
_CAP_NOTE = b"\r\n[stardust: the log of this job is full; what follows is counted, not kept]\r\n"
_TOTAL_NOTE = "[stardust: %d bytes were printed in all, %d of them are not kept]\r\n"
NOTES_BYTES = 256
"""Space that is reserved at the end of a log for these two notes. Output that exceeds the limit but fits there needs no note."""


class TerminalEnded(NamedTuple):
    """How a program ended."""

    rc: Optional[int]
    """Exit status; None = a signal ended the program."""
    signal: int
    overran: str
    """The phase that exceeded its time limit, after which the program was interrupted; empty = no phase."""
    stopped: str = ""
    """Effect of a stop request while the program ran: now, after_package or too_late; empty = no request."""
    script_killed: bool = False
    """Whether a script of a package was killed for a forced stop."""


class StopRule(NamedTuple):
    """The effect of a stop request in one phase."""

    answer: str
    """now: the program is interrupted and has changed nothing · after_package: it is interrupted and ends after the current package ·
    too_late: the request interrupts nothing."""
    why: str
    """A sentence for people."""
    signals: Tuple[int, ...] = ()
    """Signals that may interrupt the program in this phase, also after a time limit. They are sent in turn until the program ends.
    Never SIGKILL; once a package manager commits, only SIGINT."""


class Stopper(Protocol):
    """The source of a stop request."""

    def wanted(self) -> bool:
        """Whether a stop is requested. Called ten times a second."""
        ...

    def forced(self) -> bool:
        """Whether the request also allows to kill a hanging maintainer script."""
        ...

    def report(self, answer: str, why: str) -> None:
        """Report the effect of the request."""
        ...


class Log:
    """The log file of a job. It stores all output, or counts the bytes that it could not store."""

    def __init__(self, path: str, limit: int = MAX_LOG_BYTES - NOTES_BYTES, marks: Optional[MarkWriter] = None) -> None:
        """Args: marks: get the time of each piece of output."""
        self._marks = marks
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        self._limit = limit
        self._full = False
        self._capped = False
        self._beyond = b""
        """Output beyond the limit, while the reserved space still has room for it."""
        self._digest = hashlib.sha256()
        self._printed = self._stored = 0
        self.bytes = 0
        """Bytes in the file, including the notes."""

    @property
    def lost(self) -> int:
        """Bytes of output that are missing in the file, less those of the notes: the printed bytes minus `bytes`."""
        return max(0, self._printed - self.bytes)

    def write(self, data: bytes) -> None:
        """Append output. Once a byte could not be written, no further output is written, so that the log has no gaps."""
        self._printed += len(data)
        if self._full:
            return
        if self._marks is not None:
            self._marks.mark(self.bytes)
        room = self._limit - self.bytes
        self._stored += self._append(data[:room])
        if len(data) > room and not self._full:
            self._beyond += data[room:]
            if len(self._beyond) > NOTES_BYTES:
                self._beyond = b""
                self._capped = self._full = True
                self._append(_CAP_NOTE)

    def _append(self, data: bytes) -> int:
        """Returns: number of bytes written."""
        view = memoryview(data)
        while view:
            try:
                written = os.write(self._fd, view)
            except OSError:  # the disk is full or broken; the result reports the bytes in `lost`
                self._full = True
                break
            self._digest.update(view[:written])
            self.bytes += written
            view = view[written:]
        return len(data) - len(view)

    def sha256(self) -> str:
        """Hex SHA-256 of the file's content."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Make the file durable. If output beyond the limit is missing, a note with the true total is appended."""
        if self._capped:
            self._append((_TOTAL_NOTE % (self._printed, self._printed - self._stored)).encode())
        elif not self._full:
            self._append(self._beyond)
        try:
            os.fsync(self._fd)
        except OSError:
            self._full = True
        os.close(self._fd)
        if self._marks is not None:
            self._marks.close()


class Lines:
    """Splits output into lines without colours, and without text that a carriage return overwrites."""

    def __init__(self, each: Callable[[str], object]) -> None:
        self._each = each
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-MAX_LINE_BYTES:]
        for line in whole:
            self._write_line(line)

    def end(self) -> None:
        """Pass on the last line, which may lack its newline."""
        if self._rest:
            self._write_line(self._rest)
            self._rest = b""

    def _write_line(self, line: bytes) -> None:
        text = line[-MAX_LINE_BYTES:].decode("utf-8", "replace").rstrip("\r").rsplit("\r", 1)[-1]
        self._each(_ESCAPES.sub("", text))


class OutputReporter:
    """Writes the progress of a job. A new phase is written immediately, other changes at most every PROGRESS_INTERVAL_S."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        self._written = Progress(0.0, "", -1, "", "")
        self._written_at = 0.0
        self._waiting: Optional[Progress] = None
        self.stop_answer = ""
        self._stop_why = ""
        self.phase = ""
        self.since = time.monotonic()

    def stopping(self, answer: str, why: str) -> None:
        """Record the effect of the stop request. Each later line of progress has it."""
        self.stop_answer, self._stop_why = answer, why
        newest = self._newest()
        self._waiting = Progress(time.time(), newest.phase, newest.percent, newest.package, why, answer)
        self.flush()

    def report(self, phase: str, percent: int = -1, package: str = "", text: str = "") -> None:
        """Report the progress. Within a phase the percentage never falls."""
        now = time.monotonic()
        if phase != self.phase:
            self.phase, self.since = phase, now
        elif self._newest().percent > percent:
            percent = self._newest().percent
        self._waiting = Progress(time.time(), phase, percent, package, text or self._stop_why, self.stop_answer)
        if phase != self._written.phase or now - self._written_at >= PROGRESS_INTERVAL_S:
            self.flush()

    def _newest(self) -> Progress:
        return self._waiting or self._written

    def flush_if_due(self) -> None:
        """Write the delayed progress once PROGRESS_INTERVAL_S is over."""
        if self._waiting is not None and time.monotonic() - self._written_at >= PROGRESS_INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Write the delayed progress immediately."""
        newest, self._waiting = self._waiting, None
        if newest is not None and newest[1:] != self._written[1:]:
            write_progress(self._fd, newest)
            self._written, self._written_at = newest, time.monotonic()

    def close(self) -> None:
        self.flush()
        os.close(self._fd)


_HANDLED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def _own_terminal(slave: int) -> None:
    """Give the child process a new session with this terminal, default signal handlers and the default OOM score."""
    os.setsid()
    for number in _HANDLED:  # a program inherits ignored signals, and could not be stopped
        signal.signal(number, signal.SIG_DFL)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("0")
    except OSError:  # without the permission, the child is only less likely to be killed
        return


class _Watch:
    """Interrupts a program after a time limit or a stop request, if the phase allows it."""

    def __init__(
        self,
        reporter: OutputReporter,
        stopper: Optional[Stopper],
        child: "subprocess.Popen[bytes]",
        limits_s: Mapping[str, float],
        signals: Sequence[int],
        stop_rule: Optional[Callable[[str], StopRule]],
    ) -> None:
        self._reporter = reporter
        self._stopper = stopper
        self._child = child
        self._limits_s = limits_s
        self._signals = list(signals)
        self._stop_rule = stop_rule
        self._interrupts: List[int] = []
        self._next_at = 0.0
        self._late = ""
        self._ender = ScriptKiller(child.pid)
        self._forced_at = 0.0
        self.overran = ""
        self.stopped = ""
        self.script_killed = False

    def look(self) -> None:
        """Check the limits and the stop request. Called every TICK_S while the program runs."""
        self._check_stop_request()
        limit_s = self._limits_s.get(self._reporter.phase)
        now = time.monotonic()
        if limit_s is not None and now - self._reporter.since > limit_s and not self._late:
            self._late = self._reporter.phase
            self._interrupts = self._interrupts or list(self._signals)
        if self._interrupts and now >= self._next_at:
            if not self._may_interrupt():  # meanwhile the program has reached a phase that must not be interrupted
                self._interrupts = []
                return
            self.overran = self.overran or self._late
            self._child.send_signal(self._interrupts.pop(0))
            self._next_at = now + INTERRUPT_INTERVAL_S

    def _may_interrupt(self) -> bool:
        if self._stop_rule is None:
            return True
        return self._interrupts[0] in self._stop_rule(self._reporter.phase).signals

    def _check_stop_request(self) -> None:
        if self._stopper is None:
            return
        self._apply_stop_rule(self._stopper)
        if self._stopper.forced():  # its answer is the last word on both requests
            self._force(self._stopper)

    def _apply_stop_rule(self, stopper: Stopper) -> None:
        if self.stopped not in ("", "now") or self._stop_rule is None or not stopper.wanted():
            return
        rule = self._stop_rule(self._reporter.phase)
        if rule.answer == self.stopped:
            return
        if not self.stopped and rule.answer != "too_late":
            self._interrupts = list(rule.signals)
        self.stopped = rule.answer  # replaces a "now" that was wrong, because the program reports a new phase late
        self._forced_at = 0.0  # a kill is answered again, beside this answer
        stopper.report(rule.answer, rule.why)

    def _force(self, stopper: Stopper) -> None:
        now = time.monotonic()
        if self._forced_at and now - self._forced_at < FORCE_INTERVAL_S:
            return
        is_first, self._forced_at = not self._forced_at, now
        before, scripts_may_run = self._ender.ended, self._reporter.phase in SCRIPT_PHASES
        if scripts_may_run:
            self._ender.look()
        answer = self.stopped or self._reporter.stop_answer or "after_package"
        if self._ender.ended > before:
            self.script_killed = True
            stopper.report(answer, sentence("stop.script_stopped"))
        elif is_first and scripts_may_run and answer != "now":
            stopper.report(answer, sentence("stop.no_script"))
        elif is_first:
            stopper.report(answer, sentence("stop.nothing_to_kill"))


class Terminal:
    """A pseudo-terminal on which programs run one after the other."""

    def __init__(self, log: Log, reporter: OutputReporter, stopper: Optional[Stopper] = None) -> None:
        self._log = log
        self._reporter = reporter
        self._stopper = stopper
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.set_blocking(self._master, False)

    def print_line(self, text: str) -> None:
        """Write a line of Stardust's own into the log."""
        self._log.write(text.replace("\n", "\r\n").encode("utf-8", "replace") + b"\r\n")

    def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        each_line: Callable[[str], object],
        each_status: Optional[Callable[[str], None]] = None,
        limits_s: Optional[Mapping[str, float]] = None,
        signals: Sequence[int] = (signal.SIGINT,),
        stop_rule: Optional[Callable[[str], StopRule]] = None,
    ) -> TerminalEnded:
        """Run a program to its end, with /dev/null as standard input.

        Args:
            each_line: called with every line that the program prints.
            each_status: called with every line that the program writes to the descriptor which replaces `{fd}` in `argv`.
            limits_s: time limits of phases. A phase without an entry has no limit, such as the installation of packages.
            signals: sent in turn after a time limit. SIGKILL is not allowed.
            stop_rule: the stop rule of a phase. Without it, a stop request takes effect after the program has ended.
        Returns: how the program ended; status 127 if it could not be started.
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
            self.print_line(f"{words[0]}: {exc.strerror}")
            return TerminalEnded(127, 0, "")
        if status:
            os.close(status_write)
            os.set_blocking(status_read, False)
        watch = _Watch(self._reporter, self._stopper, child, limits_s or {}, signals, stop_rule)
        sources: Dict[int, Lines] = {self._master: lines}
        if status:
            sources[status_read] = status
        try:
            while child.poll() is None:
                self._pump(sources, TICK_S)
                self._reporter.flush_if_due()
                watch.look()
            self._drain(sources, QUIET_S)
        finally:
            unparsed = {source: Lines(lambda _line: None) for source in sources}
            while child.poll() is None:  # a callback failed, and the program must be able to write until it ends
                self._pump(unparsed, TICK_S)
            if status:
                os.close(status_read)
        if status:
            status.end()
        lines.end()
        code = child.returncode
        return TerminalEnded(None if code < 0 else code, -code if code < 0 else 0, watch.overran, watch.stopped, watch.script_killed)

    def close(self) -> None:
        """Read the remaining output, and close the terminal. The job does not wait for background processes that still use it."""
        os.close(self._slave)
        self._drain({self._master: Lines(lambda _line: None)}, LINGER_S)
        os.close(self._master)

    def _pump(self, sources: Dict[int, Lines], wait_s: float) -> bool:
        """Read the available output, and wait for it at most `wait_s`. Returns: whether there was output."""
        ready, _, _ = select.select(list(sources), [], [], wait_s)
        has_output = False
        for fd in ready:
            try:
                data = os.read(fd, READ_BYTES)
            except OSError as exc:
                if exc.errno in (errno.EAGAIN, errno.EINTR):
                    continue
                data = b""  # EIO: no process has the other end of the terminal open
            if not data:
                del sources[fd]
                continue
            has_output = True
            if fd == self._master:
                self._log.write(data)
            sources[fd].feed(data)
        return has_output

    def _drain(self, sources: Dict[int, Lines], quiet_s: float) -> None:
        """Read until nothing arrives for `quiet_s`, DRAIN_LIMIT_S is over, or no process can write to the terminal."""
        ends_at = time.monotonic() + DRAIN_LIMIT_S
        while self._master in sources and time.monotonic() < ends_at and self._pump(sources, quiet_s):
            pass
