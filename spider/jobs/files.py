"""The files in the folder of one job.

At the start: `plan` (the accepted order) and `run`. While the job runs: `planned` (the package plan), `log`, `marks` and `progress`. At the end:
`report`, and `result` or `stopped`. `stop` exists when a user has requested a stop. `reboot` holds the state of the host before a reboot.

Root writes these files. Spider's user reads them through its group and cannot change them. All are JSON, except `log` (raw bytes of the
terminal), `marks` (when they were printed) and `stopped` (plain words, written by systemd's hook).
"""

import json
import os
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, TypeVar

from spider.files import sync_folder, write_all
from spider.wire.arg_kinds import MAIN_LANE
from spider.wire.verbs import lane_of

JOBS_DIR = "/var/lib/stardust/jobs"
LOCK, SIDE_LOCK = ".lock", ".units-lock"
REFRESHED = ".refreshed"
"""File in the jobs folder, touched when a refresh has reached every repository."""
REFUSED = ".refused"
"""File in the jobs folder that says why the last refresh failed for some repository. Removed when a refresh reaches all repositories."""
PLAN, RUN, LOG, PROGRESS, RESULT, STOPPED = "plan", "run", "log", "progress", "result", "stopped"
PLANNED, REPORT, REBOOT, MARKS = "planned", "report", "reboot", "marks"
STOP, FORCE = "stop", "force"
"""Files that the launcher makes when the hub requests that a job stops. FORCE: a hanging maintainer script may be killed."""
MAX_JSON_BYTES = 4 * 1024 * 1024
RESULT_RESERVE_BYTES = 256 * 1024
STOPPED_RESERVE_BYTES = 512
PROGRESS_TAIL_BYTES = 8 * 1024

T = TypeVar("T")
Change = Tuple[str, str, str]
"""Package, version before, version after; empty = not installed."""


class AcceptedOrder(NamedTuple):
    """The order that the launcher accepted for a job."""

    job: str
    verb: str
    args: Dict[str, Any]


class Run(NamedTuple):
    """The record of a job's start, written once before any program runs."""

    pid: int
    boot: str
    started_at: float
    """Unix seconds."""


class JobResult(NamedTuple):
    """How a job ended, as its runner recorded it."""

    state: str
    """succeeded, failed or unknown."""
    rc: Optional[int]
    """Exit status of the package manager. None = it did not run, or a signal ended it."""
    signal: int
    bytes: int
    """Bytes in the log."""
    lost: int
    """Bytes that were printed but are not in the log, because the disk was full or the log had reached its limit."""
    sha256: str
    """SHA-256 of the log."""
    started_at: float
    """Unix seconds, as is `ended_at`."""
    ended_at: float
    changes: List[Change]
    error_code: str
    error_text: str


class StopRecord(NamedTuple):
    """How the unit's main process ended, by systemd: $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS."""

    result: str
    code: str
    status: str


class Progress(NamedTuple):
    """The current phase of a job."""

    at: float
    """Unix seconds."""
    phase: str
    percent: int
    package: str
    text: str
    stop: str = ""
    """Effect of the request to stop: now, after_package or too_late. Empty = no request was seen."""


def lock_of(verb: str) -> str:
    """The lock file that a job of this verb holds while it runs: one for each lane."""
    return LOCK if lane_of(verb) == MAIN_LANE else SIDE_LOCK


def reserve(path: str, size: int) -> None:
    """Make a file of `size` zero bytes and allocate its blocks. The file can be overwritten later even if the disk is full.

    Raises: OSError: there is no room.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        os.posix_fallocate(fd, 0, size)
        os.fsync(fd)
    finally:
        os.close(fd)


def write_result(folder: str, result: JobResult) -> None:
    """Write the result durably. It overwrites the reserved file, so that a full disk does not lose it.

    If there is no room for all of it, the list of changes is left out. A result without an error then gets one that says so.

    Raises: OSError.
    """
    temporary = os.path.join(folder, RESULT + ".tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        body = _encode(result)
        try:
            _overwrite(fd, body)
        except OSError:
            text = result.error_text or "the disk of the node is full, so the list of changed packages was lost"
            _overwrite(fd, _encode(result._replace(changes=[], error_code=result.error_code or "job.no_space", error_text=text[:2000])))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, os.path.join(folder, RESULT))
    sync_folder(folder)


def _encode(result: JobResult) -> bytes:
    return json.dumps(result._asdict(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _overwrite(fd: int, body: bytes) -> None:
    os.lseek(fd, 0, os.SEEK_SET)
    write_all(fd, body)
    os.ftruncate(fd, len(body))


def write_document(folder: str, name: str, document: Mapping[str, Any], *, durable: bool = False) -> None:
    """Write one JSON file atomically: readers see all of it or nothing.

    Raises: OSError.
    """
    temporary = os.path.join(folder, name + ".tmp")
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        write_all(fd, body)
        if durable:
            os.fsync(fd)
    except OSError:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
    os.rename(temporary, os.path.join(folder, name))
    if durable:
        sync_folder(folder)


def read_document(folder: str, name: str) -> Optional[Dict[str, Any]]:
    """Read a file that `write_document` wrote. None: it does not exist, or has another form.

    Raises: OSError: it exists but cannot be read.
    """
    return _read_json(os.path.join(folder, name))


def _read_json(path: str) -> Optional[Dict[str, Any]]:
    """None: the file does not exist, or is not complete yet.

    Raises: OSError: it exists but cannot be read.
    """
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(MAX_JSON_BYTES))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _read(folder: str, name: str, make: Callable[[Dict[str, Any]], T]) -> Optional[T]:
    """Read a file and convert it with `make`. None: it does not exist, or its form is unknown."""
    found = _read_json(os.path.join(folder, name))
    try:
        return None if found is None else make(found)
    except (KeyError, TypeError, ValueError):
        return None


def read_plan(folder: str) -> Optional[AcceptedOrder]:
    """The accepted order of a job. None: there is none, or it has another form. Raises: OSError, as all of these functions."""
    return _read(folder, PLAN, lambda found: AcceptedOrder(str(found["job"]), str(found["verb"]), dict(found["args"])))


def read_run(folder: str) -> Optional[Run]:
    """The start record of a job. None: the job has not begun, or its runner died while it wrote this record."""
    return _read(folder, RUN, lambda found: Run(int(found["pid"]), str(found["boot"]), float(found["started_at"])))


def read_result(folder: str) -> Optional[JobResult]:
    """The result of a job. None: there is none, or it has another form."""
    return _read(folder, RESULT, _result)


def _result(found: Dict[str, Any]) -> JobResult:
    fields = {name: found[name] for name in JobResult._fields}
    fields["changes"] = [(str(name), str(before), str(after)) for name, before, after in fields["changes"]]
    return JobResult(**fields)


def read_stopped(folder: str) -> Optional[StopRecord]:
    """The record that systemd wrote when the unit's main process ended. None: there is none."""
    try:
        with open(os.path.join(folder, STOPPED), "rb") as file:
            # the file was reserved, so zero bytes follow its one line
            words = file.read(STOPPED_RESERVE_BYTES).split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\0").split(" ")
    except (FileNotFoundError, NotADirectoryError):
        return None
    words += [""] * 3
    return StopRecord(words[0], words[1], words[2])


def write_progress(fd: int, progress: Progress) -> None:
    """Append one line. If the disk is full, only this line is lost."""
    line = json.dumps(progress._asdict(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
    try:
        os.write(fd, line)
    except OSError:  # the next line carries the progress again
        return


def read_progress(folder: str) -> Optional[Progress]:
    """The newest complete line. None: there is none yet."""
    try:
        with open(os.path.join(folder, PROGRESS), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - PROGRESS_TAIL_BYTES))
            lines = file.read(PROGRESS_TAIL_BYTES).split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    for line in reversed(lines[:-1]):
        try:
            found = json.loads(line)
            return Progress(
                float(found["at"]),
                str(found["phase"]),
                int(found["percent"]),
                str(found["package"])[:200],
                str(found["text"])[:500],
                str(found.get("stop", ""))[:20],
            )
        except (ValueError, KeyError, TypeError):  # noqa: PERF203  # cut short by a full disk
            continue
    return None
