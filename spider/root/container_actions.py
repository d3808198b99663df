"""Jobs that restart a container of Docker or Podman, through the socket of its engine."""

import json
import os
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import quote

from spider.container_socket import SOCKETS, EngineFailed, call_engine, status_of
from spider.packages.interfaces import Console, Outcome
from spider.wire.text import UNSEEN_CHAR

LOOK_LIMIT_S = 15.0
"""Time limit of a query. It includes the start of Podman: systemd starts Podman only when a program opens the socket."""
WORK_LIMIT_S = 600.0
"""Time limit of a restart. The engine waits until the container has ended (10 s, or as its owner set), and then kills it."""
SETTLE_S = 1.0
"""Time between the two checks after a restart. A container may end right after the engine has reported success."""
MAX_ERROR_CHARS = 300
_ID = re.compile(r"[0-9a-f]{12,128}\Z")


class ContainerState(NamedTuple):
    """An engine's description of one container."""

    engine: str
    socket: str
    id: str
    name: str
    status: str
    exit_code: int
    restarts: int
    """How often the engine has restarted the container by itself."""

    def __str__(self) -> str:
        why = f", exit status {self.exit_code}" if self.status in ("exited", "restarting", "dead") else ""
        return self.status + why


def body_of(answer: bytes) -> Any:
    """The JSON of an HTTP answer; None: the answer has no valid JSON."""
    try:
        return json.loads(answer.partition(b"\r\n\r\n")[2])
    except (ValueError, RecursionError):
        return None


def parse_state(engine: str, path: str, answer: bytes) -> Optional[ContainerState]:
    """Parse the answer to GET /containers/NAME/json. None: there is no such container.

    Raises: EngineFailed.
    Source: Docker Engine API 1.24 to 1.52, which Podman supports: `Id`, `Name` (with a slash), `State`, `RestartCount`.
    """
    if status_of(answer) == b"404":
        return None
    body = body_of(answer)
    state = body.get("State") if isinstance(body, dict) else None
    if status_of(answer) != b"200" or not isinstance(state, dict) or not _ID.match(str(body.get("Id"))):
        raise EngineFailed(f"{engine} does not say how the container is: {error_text(answer)}")
    code, restarts = state.get("ExitCode"), body.get("RestartCount")
    name = str(body.get("Name", "")).lstrip("/")
    numbers = [number if type(number) is int else 0 for number in (code, restarts)]
    return ContainerState(engine, path, body["Id"], name, harmless(str(state.get("Status", "unknown"))), *numbers)


def error_text(answer: bytes) -> str:
    """The engine's error message, or the HTTP status if there is no message. Source: ErrorResponse of the Docker Engine API."""
    body = body_of(answer)
    message = body.get("message") if isinstance(body, dict) else None
    return harmless(message if isinstance(message, str) and message else f"HTTP status {status_of(answer).decode('ascii', 'replace')}")


def harmless(text: str) -> str:
    """The text without invisible characters, cut to MAX_ERROR_CHARS."""
    return UNSEEN_CHAR.sub(" ", text)[:MAX_ERROR_CHARS].strip()


def complaint(first: ContainerState, after: ContainerState) -> str:
    """What is wrong with the container although the engine reported success. Empty: nothing.

    Args: first: the state right after the restart. after: the state SETTLE_S later.
    """
    if after.restarts > first.restarts:
        return f"it ended and was started again by its engine: {after}"
    if after.status in ("running", "paused") or (after.status == "exited" and after.exit_code == 0):
        return ""
    return f"it is {after}"


def _failed(code: str, text: str) -> Outcome:
    return Outcome("failed", None, 0, (), code, text)


class ContainerActions:
    """Restarts a container for one job."""

    def __init__(
        self,
        console: Console,
        sockets: Sequence[Tuple[str, str]] = SOCKETS,
        work_limit_s: float = WORK_LIMIT_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._console = console
        self._sockets = [(engine, path) for engine, path in sockets if os.path.exists(path)]
        self._work_limit_s = work_limit_s
        self._settle_s = settle_s

    def restart(self, name: str) -> Outcome:
        """Restart the container with exactly this name."""
        outcome = self._restart(name)
        if outcome.error_text:
            self._console.print_line(outcome.error_text)
        return outcome

    def _restart(self, name: str) -> Outcome:
        if not self._sockets:
            return _failed(
                "job.no_container_engine", "neither Docker nor Podman runs on this server, or its socket is not where it usually is"
            )
        self._console.progress("plan")
        try:
            found = self._find(name)
        except EngineFailed as exc:
            return _failed("job.container_unknown", str(exc))
        engines = " and ".join(engine for engine, _ in self._sockets)
        if not found:
            return _failed("job.no_such_container", f"{engines} has no container that is called {name}")
        if len(found) > 1:
            return _failed("job.container_unknown", f"{engines} each have a container that is called {name}, so the job cannot choose one")
        self._console.print_line(f"{name} ({found[0].engine} {found[0].id[:12]}): {found[0]}")
        if self._console.stop_wanted():
            return Outcome("cancelled", None, 0, (), "job.stopped", "it was stopped before anything was changed")
        return self._commit(found[0])

    def _find(self, name: str) -> List[ContainerState]:
        """The containers with exactly this name. An engine also takes an id in place of a name, but the policy names no ids."""
        found: Dict[str, ContainerState] = {}
        for engine, path in self._sockets:
            state = self._look(engine, path, name)
            if state is not None and state.name == name:
                found.setdefault(state.id, state)  # podman-docker makes Docker's socket a link to Podman's
        return list(found.values())

    def _look(self, engine: str, path: str, name: str) -> Optional[ContainerState]:
        try:
            answer = call_engine(path, "GET", f"/containers/{quote(name, safe='')}/json", LOOK_LIMIT_S)
        except OSError as exc:
            raise EngineFailed(f"{engine} does not answer: {exc}") from exc
        return parse_state(engine, path, answer)

    def _commit(self, before: ContainerState) -> Outcome:
        """Restart the container by its id: its name may belong to another container by now."""
        engine, name = before.engine, before.name
        self._console.progress("commit", 0, name)
        self._console.print_line(f"{engine}: restart {name}")
        try:
            answer = call_engine(before.socket, "POST", f"/containers/{quote(before.id, safe='')}/restart", self._work_limit_s)
            if status_of(answer) == b"404":
                return _failed("job.no_such_container", f"{engine}: {error_text(answer)}")
            if status_of(answer) not in (b"204", b"200"):
                return _failed("job.container_failed", f"{engine} did not restart {name}: {error_text(answer)}")
        except TimeoutError:
            limit = f"{self._work_limit_s / 60:.0f} minutes"
            return _failed("job.timed_out", f"{name}: {engine} had not finished within {limit}, and may go on")
        except OSError as exc:
            return _failed("job.container_unknown", f"{name}: it is not known whether {engine} restarted it: {exc}")
        self._console.progress("check", 100)
        try:
            return self._check(before)
        except EngineFailed as exc:
            return _failed("job.container_unknown", f"{name}: {engine} restarted it, but its state afterwards is not known: {exc}")

    def _check(self, before: ContainerState) -> Outcome:
        """Check the container's state now and SETTLE_S later. Raises: EngineFailed."""
        states = []
        for wait_s in (0.0, self._settle_s):
            time.sleep(wait_s)  # even if a stop is requested
            state = self._look(before.engine, before.socket, before.id)
            if state is None:
                return _failed("job.container_failed", f"{before.name}: it was removed when it ended")
            states.append(state)
        self._console.print_line(f"{before.name}: {states[-1]}")
        why = complaint(*states)
        return _failed("job.container_failed", f"{before.name}: {why}") if why else Outcome("succeeded", 0, 0, ())
