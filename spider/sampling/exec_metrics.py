"""Metrics from the owner's programs: executables in a folder, each run once a minute in a thread.

They run as Spider itself does, without privileges, without input, and with a time limit. A user who can write to the folder or to a program
decides what runs. So root must own folder and programs, neither may be a link, and no other user may write to them. Spider opens each program,
checks the open file, and runs that file.
"""

import contextlib
import errno
import logging
import math
import os
import re
import selectors
import signal
import stat
import subprocess
import time
from collections import deque
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from spider.logs import event
from spider.root.process_cleanup import become_subreaper, end_adopted, end_marked, foreign_children
from spider.sampling.collectors.base import Collector
from spider.wire.metrics import series_name

MAX_PROGRAMS = 16
MAX_NAMES = 256
MAX_OUTPUT_BYTES = 64 * 1024
LIMIT_S = 8.0
"""Time limit for all programs together, which run concurrently. It is shorter than the sampler's wait (`BLOCKING_LIMIT_S`)."""
FORGET_RUNS = 10
"""A name that was missing in this many runs is removed."""
NOBODY = 65534
MARK = "STARDUST_METRICS"
"""Variable in the environment of all programs. It identifies processes that a program leaves behind."""
SCALE = 1000
"""Values are sent as whole numbers of thousandths."""
LARGEST = (1 << 62) // SCALE
"""Largest value that is accepted, without regard to its sign."""
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_.:-]{0,99})[ \t]+([-+0-9.eE]{1,40}|nan|NaN|-)(?:[ \t]+([A-Za-z0-9/%°_.-]{1,20}))?[ \t]*\Z")

log = logging.getLogger(__name__)


class Printed(NamedTuple):
    """The parsed output of a program."""

    values: Dict[str, Optional[int]]
    """Thousandths, by series; None = the program itself reports a failed measurement."""
    wrong_lines: int


def parse_output(output: bytes) -> Printed:
    """Parse lines of `name value [unit]`; empty lines and those that begin with # are ignored.

    A value is a decimal number, or `-` or `nan` for a failed measurement. The unit becomes part of the name. Of two lines with one name, the
    last counts.
    """
    values: Dict[str, Optional[int]] = {}
    wrong = 0
    for line in output.decode("utf-8", "replace").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line.strip())
        value = _number(match.group(2)) if match else None
        if match is None or (value is None and match.group(2) not in ("nan", "NaN", "-")):
            wrong += 1
            continue
        name, unit = match.group(1), match.group(3)
        values[series_name("custom", "name", f"{name} [{unit}]" if unit else name)] = value
    return Printed(values, wrong)


def _number(text: str) -> Optional[int]:
    try:
        value = float(text)
    except ValueError:
        return None
    return round(value * SCALE) if math.isfinite(value) and abs(value) <= LARGEST else None


def open_trusted(path: str, owner: int, *, folder: bool = False, at: Optional[int] = None) -> int:
    """Open the folder of the programs, or a program, if only its owner can change it.

    Args:    owner: uid that must own it. at: descriptor of the folder in which `path` is.
    Returns: its descriptor, which the caller closes.
    Raises:  OSError: missing, a link, of another kind or owner, writable by others, or not executable.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_DIRECTORY if folder else 0)
    handle = os.open(path, flags, dir_fd=at)
    info = os.fstat(handle)
    why = ""
    if not (stat.S_ISDIR(info.st_mode) if folder else stat.S_ISREG(info.st_mode)):
        why = "not a folder" if folder else "not a plain file"
    elif info.st_uid != owner:
        why = f"owned by uid {info.st_uid}, not {owner}"
    elif info.st_mode & 0o022:
        why = f"mode {stat.S_IMODE(info.st_mode):04o} lets others write"
    elif not folder and not info.st_mode & 0o111:
        why = "not executable"
    if why:
        os.close(handle)
        raise PermissionError(f"{path}: {why}")
    return handle


class _Run:
    """One running program and its output so far."""

    def __init__(self, name: str, handle: int, mark: str) -> None:
        self.name = name
        self.output = b""
        self.process = subprocess.Popen(
            [f"/proc/self/fd/{handle}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", MARK: mark}, pass_fds=(handle,), start_new_session=True,
            preexec_fn=_become_nobody if os.geteuid() == 0 else None,  # noqa: PLW1509 - makes system calls only
        )  # fmt: skip

    def read(self) -> bool:
        """Read the available output. False: the program has closed its output, or printed more than `MAX_OUTPUT_BYTES`."""
        assert self.process.stdout is not None
        chunk = os.read(self.process.stdout.fileno(), 16 * 1024)
        self.output += chunk
        return bool(chunk) and len(self.output) <= MAX_OUTPUT_BYTES

    def end(self, deadline: float, limit_s: float) -> str:
        """Wait until `deadline` for the program's end. Then kill what is left of its process group.

        Args:    deadline: monotonic seconds. limit_s: the time limit that an error text names.
        Returns: the error text; empty: it ended in time with status 0.
        """
        assert self.process.stdout is not None
        self.process.stdout.close()
        while not (ended := self._has_ended()) and time.monotonic() < deadline and len(self.output) <= MAX_OUTPUT_BYTES:
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all processes of the group have ended
            os.killpg(self.process.pid, signal.SIGKILL)  # the pid is still reserved, because the process was not reaped yet
        status = self.process.wait()
        if not ended and len(self.output) <= MAX_OUTPUT_BYTES:
            return f"not done within {limit_s:.0f} s"
        if len(self.output) > MAX_OUTPUT_BYTES:
            return f"more than {MAX_OUTPUT_BYTES} bytes"
        return f"ended with status {status}" if status else ""

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _become_nobody() -> None:
    """Give up root in the child, for a Spider that runs as root although it should not."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


class Programs(Collector):
    """The collector that runs the first `MAX_PROGRAMS` programs in the folder, by name. A failure is logged once until it changes."""

    family = "custom"
    blocking = True

    def __init__(self, folder: str, owner: int = 0, limit_s: float = LIMIT_S) -> None:
        super().__init__()
        self._folder = folder
        self._owner = owner
        self._limit_s = limit_s
        self._missing_runs: Dict[str, int] = {}
        """The names that are reported, and for how many runs each was missing."""
        self._faults: Set[Tuple[str, str]] = set()
        self._mark = f"{os.getpid()}.{os.urandom(8).hex()}"
        self._adopts: Optional[bool] = None
        """Whether orphaned processes of programs become children of this process (subreaper); None = no program has run yet."""
        self._children: Set[int] = set()
        """Ids of this process's children in other sessions, from before the programs of the present reading were started."""

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - the interface passes it to every collector
        """Run all programs concurrently."""
        values: Dict[str, Optional[int]] = {}
        fresh: List[Tuple[str, List[str]]] = []
        faults: Set[Tuple[str, str]] = set()
        for name, output, fault in self._run_all(faults):
            if fault:
                faults.add((name, fault))
                continue
            printed = parse_output(output)
            if printed.wrong_lines:
                faults.add((name, f"{printed.wrong_lines} lines are not `name value [unit]`"))
            fresh.append((name, [series for series in printed.values if series not in self._missing_runs and series not in values]))
            values.update(printed.values)
        self._admit(values, fresh, faults)
        for name, fault in sorted(faults - self._faults):
            event(log, "custom_metric_failed", logging.WARNING, program=name, why=fault)
        self._faults = faults
        self._series = sorted(self._missing_runs)
        return [values.get(name) for name in self._series]

    def _admit(self, values: Dict[str, Optional[int]], fresh: List[Tuple[str, List[str]]], faults: Set[Tuple[str, str]]) -> None:
        """Update the names in `_missing_runs`. New names are added while there is room, from each program in turn, so that no program takes
        all. A program with names left over is added to `faults`."""
        seen = {name: 0 if name in values else runs + 1 for name, runs in self._missing_runs.items()}
        self._missing_runs = {name: runs for name, runs in seen.items() if runs < FORGET_RUNS}
        turns = [(program, deque(names)) for program, names in fresh]
        while len(self._missing_runs) < MAX_NAMES and any(names for _, names in turns):
            for _, names in turns:
                if names and len(self._missing_runs) < MAX_NAMES:
                    self._missing_runs[names.popleft()] = 0
        for program, names in turns:
            if names:
                faults.add((program, f"{len(names)} names left out: {MAX_NAMES} of all programs are kept"))

    def _run_all(self, faults: Set[Tuple[str, str]]) -> List[Tuple[str, bytes, str]]:
        runs: List[_Run] = []
        deadline = time.monotonic() + self._limit_s
        with selectors.DefaultSelector() as selector:
            try:
                for run in self._start_all(faults):
                    runs.append(run)
                    assert run.process.stdout is not None
                    selector.register(run.process.stdout, selectors.EVENT_READ, run)
                left_s = deadline - time.monotonic()
                while selector.get_map() and left_s > 0:
                    for key, _ in selector.select(left_s):
                        if not key.data.read():
                            selector.unregister(key.fileobj)
                    left_s = deadline - time.monotonic()
            finally:
                ended = [(run.name, run.output, run.end(deadline, self._limit_s)) for run in runs]
                if runs:
                    self._clear(faults)
        return ended

    def _clear(self, faults: Set[Tuple[str, str]]) -> None:
        """Kill all processes that the programs left behind, because each minute would add more."""
        uid = NOBODY if os.geteuid() == 0 else os.geteuid()
        ended, left = end_marked(f"\0{MARK}={self._mark}\0".encode(), uid)
        if self._adopts:
            more, still = end_adopted(self._children)
            ended, left = ended + more, left + still
        if left:
            faults.add((self._folder, "left processes behind that cannot be ended"))
        elif ended:
            faults.add((self._folder, "left processes behind, which were ended"))

    def _start_all(self, faults: Set[Tuple[str, str]]) -> List[_Run]:
        try:
            folder = open_trusted(self._folder, self._owner, folder=True)
        except FileNotFoundError:
            return []  # the folder is not configured
        except OSError as error:
            faults.add((self._folder, str(error)))
            return []
        runs: List[_Run] = []
        try:
            names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
            if len(names) > MAX_PROGRAMS:
                faults.add((self._folder, f"{len(names)} programs; the first {MAX_PROGRAMS} are run"))
            if names and self._adopts is None:
                self._adopts = become_subreaper()
            self._children = foreign_children() if names else set()
            for name in names[:MAX_PROGRAMS]:
                try:
                    handle = open_trusted(name, self._owner, at=folder)
                except OSError as error:
                    faults.add((name, str(error)))
                    continue
                try:
                    runs.append(_Run(name, handle, self._mark))
                except OSError as error:  # its text names the descriptor, whose number differs each time
                    missing = "there is no such interpreter as its first line names" if error.errno == errno.ENOENT else error.strerror
                    faults.add((name, f"cannot be run: {missing}"))
                finally:
                    os.close(handle)
        finally:
            os.close(folder)
        return runs
