"""Ground Control as a real process.

Everything works without an event loop. `start`, `kill`, `stop`, `call` and `event` are for tests that have one.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.support.fork_server import FORK_SERVER, ForkedProcess, concerns_python
from tests.support.ports import free_port
from tests.support.some import some

ROOT = Path(__file__).resolve().parents[2]
SECRET = "Zq7hV2-mB9tKx4-Lw8pRf"
PASSWORD = "lift off to the far stars"
"""The admin's password in every hub that is started with `default_admin=False`. The hub does not require another one."""
PROGRAM = "tests.support.hub_program" if "PYTEST_VERSION" in os.environ else "groundcontrol"
"""The module to run. Benches, which run outside pytest, start the hub as users do."""
START_LIMIT_S = 90.0
STOP_LIMIT_S = 60.0
CALL_LIMIT_S = 60.0


class HubFailed(Exception):
    """The hub did not start; `status` and `output` say how."""

    def __init__(self, status: int | None, output: str) -> None:
        super().__init__(f"the hub ended with {status}:\n{output}")
        self.status = status
        self.output = output


class Reply(NamedTuple):
    """An answer over HTTP."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Login(NamedTuple):
    """An open session of a user."""

    token: str
    csrf_token: str
    cookie: str
    """For a `Cookie` header."""


class Enrolled(NamedTuple):
    """A node that was made through the local socket, with its keys."""

    node_id: str
    name: str
    generation: int
    fleet_id: str
    session_key: bytes
    launch_key: bytes


class HubProcess:
    """One data folder and the hub's process. The process may be killed and started again any number of times."""

    def __init__(
        self,
        folder: Path,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        secret: str = SECRET,
        port: int = 0,
        default_admin: bool = False,
        prefix: Sequence[str] = (),
        mounts_of: int = 0,
        faults: Sequence[str] = (),
        forked: bool = True,
        program: str = PROGRAM,
    ) -> None:
        """Args:
        folder: becomes the data folder.
        program: the module to run, if it is not forked.
        prefix: put before the command, as `nice` is.
        mounts_of: the id of the process whose mounts the hub sees; 0: those of this process. Requires a forked hub.
        faults: names of `hub_program.FAULTS`, each with `=VALUE` where it takes one.
        forked: start it by the fork server, which saves its imports. False: for tests of the program's own memory, command line or
            environment. With a prefix or a variable of Python (`PYTHONPATH`), and outside pytest, it is never forked.
        args, env: added to the command line and the environment.
        port: 0 = any free one, kept over restarts.
        default_admin: admin/admin, as on a real first start.
        """
        self.folder = folder
        self.port = port or free_port()
        self._args = list(args)
        self._prefix = list(prefix)
        self.mounts_of = mounts_of
        self._program = program
        self._faults = [word for fault in faults for word in ("--fault", fault)]
        self._forked = forked and not prefix and not concerns_python(env or {}) and "PYTEST_VERSION" in os.environ
        self.view = folder
        """The data folder as this process sees it."""
        self._env = {key: value for key, value in os.environ.items() if not key.startswith("STARDUST_")}
        self._env |= {"STARDUST_SECRET": secret, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        self._env["STARDUST_ALLOW_VOLATILE"] = "yes"  # tests lie where the system has its temporary files
        self._env["STARDUST_PACK_SECONDS"] = "10"  # tests that wait for samples of an unwatched node need not wait a minute
        if not default_admin:
            self._env["STARDUST_ADMIN_PASS"] = PASSWORD
        self._env |= dict(env or {})
        self.process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._has_served = False
        self.lines: list[str] = []
        """The lines of the log and the console since the last start."""
        self._news = threading.Condition()
        self._reader: threading.Thread | None = None

    # -- the process -----------------------------------------------------------------------------

    def launch(self) -> Self:
        """Start the hub and wait until it serves.

        At a restart, another program may hold the port for a moment: the kernel chose it for an outgoing connection. Then the start is tried
        again, for at most START_LIMIT_S.

        Raises: HubFailed.
        """
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self._launch()
                break
            except HubFailed as failed:
                if not self._has_served or "is taken by another program" not in failed.output or time.monotonic() > deadline:
                    raise
                self._ended()
                time.sleep(0.5)
        self._has_served = True
        return self

    def _launch(self) -> None:
        assert self.process is None or self.process.poll() is not None
        assert self._forked or not self.mounts_of
        self.lines = []
        words = [*self._faults, "serve", "--port", str(self.port), "--data-dir", str(self.folder), "--log-format", "json", *self._args]
        if self._forked:
            self.process = FORK_SERVER.start(words, env=self._env, cwd=self.folder.parent, mounts_of=self.mounts_of)
        else:
            self.process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", self._program, *words],
                cwd=self.folder.parent, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self.process,), name="hub output", daemon=True)
        self._reader.start()
        try:
            self.port = int(self.wait_event("hub_ready", START_LIMIT_S)["port"])
        except TimeoutError:
            self.slay()
            raise HubFailed(None, self.output) from None

    def slay(self) -> None:
        """Kill the process (SIGKILL), if it was started, and wait for its end."""
        if self.process is not None:
            self.process.kill()
            self._ended()

    def end(self, limit_s: float = STOP_LIMIT_S) -> int:
        """Send SIGTERM and wait. Returns: the exit status. Raises: AssertionError: the hub did not stop in time, and was killed."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.slay()
            raise AssertionError(f"the hub did not stop within {limit_s:.0f} s:\n{self.output[-4000:]}") from None
        return self._ended()

    def outlive(self, limit_s: float = STOP_LIMIT_S) -> int:
        """Wait until it ends by itself. Returns: the exit status. Raises: subprocess.TimeoutExpired."""
        assert self.process is not None
        self.process.wait(limit_s)
        return self._ended()

    def close(self) -> None:
        """Stop the process if it runs, or kill it after STOP_LIMIT_S. For the end of a test, whatever its result."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.process is not None:
            self._ended()

    def __enter__(self) -> Self:
        return self.launch()

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _ended(self) -> int:
        assert self.process is not None
        status = self.process.wait()
        if self._reader is not None:
            self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    # -- what it says ----------------------------------------------------------------------------

    @property
    def output(self) -> str:
        """Everything it has written since it was started, log and console."""
        return "\n".join(self.lines)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of the log that are JSON objects, decoded."""
        found = []
        for line in list(self.lines):
            if line.startswith("{"):
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
        return found

    def wait_event(self, name: str, limit_s: float = 30.0, **facts: object) -> dict[str, Any]:
        """Wait for a line of the log with this event and these facts.

        Raises: TimeoutError; HubFailed: it ended instead.
        """
        deadline = time.monotonic() + limit_s
        seen = 0
        with self._news:
            while True:
                while seen < len(self.lines):
                    line = self.lines[seen]
                    seen += 1
                    if line.startswith("{") and f'"{name}"' in line:
                        entry: dict[str, Any] = json.loads(line)
                        if entry["event"] == name and all(entry.get(key) == value for key, value in facts.items()):
                            return entry
                if self._reader is None or not self._reader.is_alive():
                    raise HubFailed(self.process.wait() if self.process else None, self.output)
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError(f"no {name} {facts or ''} within {limit_s:.0f} s:\n{self.output[-3000:]}")
                self._news.wait(min(left_s, 0.5))

    def _read(self, process: subprocess.Popen[bytes] | ForkedProcess) -> None:
        for raw in some(process.stdout):
            with self._news:
                self.lines.append(raw.decode(errors="replace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    # -- talking to it ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def request(
        self, method: str, path: str, body: object = None, *, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One call by network; a body that is not bytes is sent as JSON."""
        return self._send(http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_LIMIT_S), method, path, body, token, headers)

    def local(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Reply:
        """One call through the local socket, as the owner of the data folder."""
        return self._send(_LocalConnection(self.view / "control.sock"), method, path, body, None, headers)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: object,
        token: str | None,
        headers: Mapping[str, str] | None,
    ) -> Reply:
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def login(self, username: str = "admin", password: str = PASSWORD) -> Login:
        """Log in; the token goes into `request(token=…)`."""
        reply = self.request("POST", "/api/v1/auth/login", {"username": username, "password": password})
        assert reply.status == 200, reply.body
        return _login_of(reply)

    def first_login(self, new: str = PASSWORD) -> Login:
        """Log in as admin/admin and choose a new password, as on a real first start."""
        token = self.login("admin", "admin").token
        reply = self.request("POST", "/api/v1/auth/password", {"current": "admin", "new": new}, token=token)
        assert reply.status == 200, reply.body
        return _login_of(reply)

    def enrol(self, *names: str, simulated: bool = False) -> list[Enrolled]:
        """Make nodes through the local socket."""
        reply = self.local("POST", "/api/v1/local/enrol", {"names": list(names), "simulated": simulated})
        assert reply.status == 201, reply.body
        return [
            Enrolled(
                node["node_id"], node["name"], node["generation"], node["fleet_id"],
                bytes.fromhex(node["session_key"]), bytes.fromhex(node["launch_key"]),
            )
            for node in reply.json["nodes"]
        ]  # fmt: skip

    def node(self, node_id: str) -> Any:
        """The answer to `GET nodes/ID`, through the local socket."""
        reply = self.local("GET", f"/api/v1/nodes/{node_id}")
        assert reply.status == 200, reply.body
        return reply.json

    def job(self, job_id: str) -> Any:
        """The answer to `GET jobs/ID`, through the local socket."""
        reply = self.local("GET", f"/api/v1/jobs/{job_id}")
        assert reply.status == 200, reply.body
        return reply.json

    def job_output(self, job_id: str, offset: int = 0) -> bytes:
        """The stored output of a job from `offset` on."""
        reply = self.local("GET", f"/api/v1/jobs/{job_id}/output?offset={offset}")
        assert reply.status == 200, reply.body
        return reply.body

    # -- for tests with an event loop --------------------------------------------------------------

    async def start(self) -> Self:
        return await asyncio.to_thread(self.launch)

    async def kill(self) -> None:
        await asyncio.to_thread(self.slay)

    async def stop(self, limit_s: float = STOP_LIMIT_S) -> int:
        return await asyncio.to_thread(self.end, limit_s)

    async def call(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Reply:
        """One call: by network with a token, through the local socket without one."""
        if token is None:
            return await asyncio.to_thread(self.local, method, path, body)
        return await asyncio.to_thread(lambda: self.request(method, path, body, token=token))

    async def event(self, name: str, limit_s: float = 30.0, **facts: object) -> dict[str, Any]:
        return await asyncio.to_thread(lambda: self.wait_event(name, limit_s, **facts))


class _LocalConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CALL_LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)  # a path of any depth fits the kernel's limit like this
        try:
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


def _login_of(reply: Reply) -> Login:
    cookies = [header.partition(";")[0] for header in reply.headers.get_all("Set-Cookie", [])]
    return Login(reply.json["token"], reply.json["csrf_token"], "; ".join(cookies))
