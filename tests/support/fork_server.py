"""Starts hubs and commands by fork from a process that has already imported their modules.

A hub takes 1.2 s of processor time to start; two thirds of it are imports. A run of the tests starts some hundred hubs.
The fork server imports once for each test process. Each hub is still a process of its own, with its own arguments,
environment, folder and session.

The server is `python -m tests.support.fork_server FD`. FD is its end of a socket pair; each request is one JSON object with
four descriptors: the child's input, output and error output, and a pipe that gets its wait status as one line when it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

ROOT = Path(__file__).resolve().parents[2]
REQUEST_BYTES = 1 << 17
CLOSE_LIMIT_S = 30.0


class Request(TypedDict):
    """The arguments and the surroundings of a child."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    mounts_of: int
    """The id of the process whose mounts the child sees; 0: those of this process."""


class ForkedProcess:
    """A child of the fork server, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, argv: Sequence[str], stdout: BinaryIO | None, status: int) -> None:
        self.pid = pid
        self.args = list(argv)
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit status as `Popen` has it, None while it runs."""
        return self._read(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises: subprocess.TimeoutExpired."""
        status = self._read(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout_s: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._status], [], [], timeout_s)[0]:
                line = os.read(self._status, 32)
                os.close(self._status)
                self.returncode = os.waitstatus_to_exitcode(int(line)) if line else -signal.SIGKILL  # the server itself has ended
            return self.returncode


def concerns_python(env: Mapping[str, str]) -> bool:
    """Whether the interpreter reads a variable of this environment when it starts: a forked child would never see it."""
    return any(name.startswith("PYTHON") for name in env)


class ForkServer:
    """The client's side: one server for each test process, started on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, mounts_of: int = 0) -> ForkedProcess:
        """Run `tests.support.hub_program` with these arguments in a child, without input and with one output."""
        output_read, output_write = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            pid, status = self._fork(
                Request(argv=list(argv), env=dict(env), cwd=str(cwd), mounts_of=mounts_of), (nothing, output_write, output_write)
            )
        finally:
            os.close(nothing)
            os.close(output_write)
        return ForkedProcess(pid, argv, os.fdopen(output_read, "rb"), status)

    def attach(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, standard: tuple[int, int, int]) -> ForkedProcess:
        """Run `tests.support.hub_program` in a child with these descriptors as its input, output and error output: a terminal, or pipes."""
        pid, status = self._fork(Request(argv=list(argv), env=dict(env), cwd=str(cwd), mounts_of=0), standard)
        return ForkedProcess(pid, argv, None, status)

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, given: str, limit_s: float, mounts_of: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run `tests.support.hub_program` with the input `given` to its end, as `subprocess.run` does. Raises: subprocess.TimeoutExpired."""
        with contextlib.ExitStack() as files:
            stdin, stdout, stderr = (files.enter_context(os.fdopen(os.memfd_create(name), "r+b")) for name in ("in", "out", "err"))
            stdin.write(given.encode())
            stdin.seek(0)
            asked = Request(argv=list(argv), env=dict(env), cwd=str(cwd), mounts_of=mounts_of)
            pid, status = self._fork(asked, (stdin.fileno(), stdout.fileno(), stderr.fileno()))
            child = ForkedProcess(pid, argv, stdout, status)
            try:
                code = child.wait(limit_s)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(list(argv), code, stdout.read().decode(), stderr.read().decode())

    def _fork(self, asked: Request, standard: tuple[int, int, int]) -> tuple[int, int]:
        """Returns: the child's process id, and the pipe for its wait status."""
        status_read, status_write = os.pipe()
        request = json.dumps(asked).encode()
        try:
            with self._lock:
                if self._socket is None:
                    self._launch()
                assert self._socket is not None
                try:
                    socket.send_fds(self._socket, [request], [*standard, status_write])
                    answer = self._socket.recv(64)
                except BaseException:  # a time limit of the test: the answer that is left would be taken for the next one
                    self.close()
                    raise
        finally:
            os.close(status_write)
        if not answer:
            raise RuntimeError("the fork server has ended")
        return int(answer), status_read

    def close(self) -> None:
        """End the server and its remaining children. Waits for the end, so that their processor time counts for this process."""
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._socket = None
            self._process.wait(CLOSE_LIMIT_S)

    def _launch(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = {key: value for key, value in os.environ.items() if not key.startswith("STARDUST_")} | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
            cwd=ROOT, env=env, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
        )  # fmt: skip  # it ends by itself when this process closes its end of the pair
        theirs.close()


FORK_SERVER = ForkServer()


def _enter_mounts_of(pid: int) -> None:
    """Enter the mount namespace of a process, and its user namespace if that is another one, as nsenter does."""
    own, theirs = (os.stat(f"/proc/{who}/ns/user").st_ino for who in ("self", pid))
    files = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in (("mnt",) if own == theirs else ("user", "mnt"))]
    for file in files:
        if ctypes.CDLL(None, use_errno=True).setns(file, 0):
            raise OSError(ctypes.get_errno(), "the mounts cannot be entered")
        os.close(file)


def _child(request: Request, standard: Sequence[int], main: Callable[[Sequence[str]], int]) -> int:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for number, given in enumerate(standard):
        os.dup2(given, number)
    os.closerange(3, 256)
    if request["mounts_of"]:
        _enter_mounts_of(request["mounts_of"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)))
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), errors="backslashreplace", write_through=True)
    sys.argv = ["hub", *request["argv"]]
    time.tzset()
    try:
        status: object = main(request["argv"])
    except SystemExit as ended:
        status = ended.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:  # as the interpreter does it
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # a program whose threads go on does not end
    atexit._run_exitfuncs()  # what measures coverage writes its file here
    return status if isinstance(status, int) else 0 if status is None else 1


def serve(fd: int) -> None:
    """Fork a child for each request until the other end closes; then kill the children that are left."""
    from tests.support.hub_program import main, warm_up  # noqa: PLC0415  # the client imports this module without the hub

    warm_up()
    link = socket.socket(fileno=fd)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake)
    statuses: dict[int, int] = {}
    gc.collect()
    gc.freeze()
    try:
        _answer(link, woken, statuses, main)
    except ConnectionError:  # the test process was killed
        pass
    finally:
        for pid in statuses:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _answer(link: socket.socket, woken: int, statuses: dict[int, int], main: Callable[[Sequence[str]], int]) -> None:
    """Fork a child for each request; returns when the other end closes. `statuses`: the children and their pipes."""
    while True:
        waiting: list[Any] = [link, woken]
        ready, _, _ = select.select(waiting, [], [])
        if woken in ready:  # a child has ended
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
            _reap(statuses)
        if link not in ready:
            continue
        data, fds, _, _ = socket.recv_fds(link, REQUEST_BYTES, 4)
        if not data:
            break
        *standard, status = fds
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = _child(json.loads(data), standard, main)
            finally:
                os._exit(code)
        statuses[pid] = status
        for one in standard:
            os.close(one)
        link.send(str(pid).encode())


def _reap(statuses: dict[int, int]) -> None:
    while statuses:
        pid, raw = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        status = statuses.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # its exit is not awaited
            os.write(status, f"{raw}\n".encode())
        os.close(status)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
