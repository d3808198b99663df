"""Ends processes that a program left behind. Without it, processes that left the program's process group would add up with each run.

The processes are found by a marker in their environment, which children inherit, and by their parents. No privilege and no cgroup is
needed. A process may also clear its environment, leave its session and lose its parent. This process is a subreaper: it becomes the new
parent, and finds such a process among its children.
"""

import contextlib
import os
import signal
import time
from typing import Dict, List, Set, Tuple

PR_SET_CHILD_SUBREAPER = 36
MAX_ENVIRONMENT = 128 * 1024
LIMIT_S = 1.0
"""Time limit of a cleanup. Processes that fork faster than they are found are reported as still running."""
PAUSE_S = 0.01


def end_marked(word: bytes, uid: int, proc: str = "/proc") -> Tuple[int, int]:
    """Kill every process of this user whose environment contains the marker `word`, and its descendants, except this process.

    Returns: how many processes were killed, and how many still run.
    """
    until = time.monotonic() + LIMIT_S
    killed: Set[int] = set()
    while True:
        alive = _marked(word, uid, proc)
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # the process has ended, or belongs to another user now
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        if not alive or time.monotonic() > until:
            return len(killed - alive), len(alive)
        time.sleep(PAUSE_S)


def become_subreaper() -> bool:
    """Make this process a subreaper: descendants that lose their parent become its children. False: this system cannot.

    Source: PR_SET_CHILD_SUBREAPER(2const).
    """
    try:
        import ctypes  # noqa: PLC0415 - needs memory, and may fail where memory must not be made executable

        return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError, MemoryError):
        return False


def end_adopted(known: Set[int]) -> Tuple[int, int]:
    """Kill and reap the children in other sessions. Children in `known`, which this program started itself, are left alone.

    The children of a killed process become children of this process, so the search repeats until it finds none.

    Returns: how many processes were killed, and how many still run.
    """
    until = time.monotonic() + LIMIT_S
    ended = 0
    while True:
        adopted = foreign_children() - known
        for pid in adopted:
            with contextlib.suppress(PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                ended += os.waitpid(pid, os.WNOHANG)[0] == pid
        if not adopted or time.monotonic() > until:
            return ended, len(adopted)
        time.sleep(PAUSE_S)


def foreign_children(proc: str = "/proc") -> Set[int]:
    """The children of this process that are in another session, including zombies."""
    own, session = os.getpid(), os.getsid(0)
    found: Set[int] = set()
    for entry in os.listdir(proc):
        if entry.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile, or its files are not readable
                fields = _fields(f"{proc}/{entry}/stat")
                if int(fields[1]) == own and int(fields[3]) != session:
                    found.add(int(entry))
    return found


def _marked(word: bytes, uid: int, proc: str) -> Set[int]:
    parents: Dict[int, int] = {}
    marked: Set[int] = set()
    for entry in os.listdir(proc):
        if not entry.isdecimal():
            continue
        with contextlib.suppress(OSError, ValueError):  # it ended meanwhile, or its files are not readable
            if os.stat(f"{proc}/{entry}").st_uid != uid:
                continue
            state, parent = _state(f"{proc}/{entry}/stat")
            if state in (b"Z", b"X"):
                continue
            parents[int(entry)] = parent
            if word in b"\0" + _read(f"{proc}/{entry}/environ"):
                marked.add(int(entry))
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in marked and pid not in marked}
        marked |= more
        grown = bool(more)
    return marked - {os.getpid()}


def _state(path: str) -> Tuple[bytes, int]:
    """State and parent of a process, from its /proc/PID/stat."""
    fields = _fields(path)
    return fields[0], int(fields[1])


def _fields(path: str) -> List[bytes]:
    """The fields of /proc/PID/stat from the third: state, parent, process group, session … The name before them may contain any byte.

    Source: proc_pid_stat(5).
    """
    return _read(path).rpartition(b")")[2].split()


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(MAX_ENVIRONMENT) or b""
