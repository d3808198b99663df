"""Runs our fixed scripts on the server, as root or as the log-in user. The server gets a script on standard input. Everything is limited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import resources
from typing import Final, Literal, NamedTuple

import asyncssh

from majortom.errors import REPORTED, failure, one_line
from majortom.interfaces import DeployError, Secret, StepName
from majortom.plan import LAUNCHER_UNITS, OPENRC_SERVICES, SPIDER_UNIT
from majortom.ssh.sudo import Dialogue, RootMethod, SudoAction, Words, command, receiving

MAX_OUTPUT_BYTES: Final = 1024 * 1024
MAX_NOTES: Final = 50
"""Most notes of a call that are passed on, since each is stored. The server controls how many it sends."""
SESSION_LIMIT_S: Final = 5.0
SESSION_PAUSE_S: Final = 0.2
CLOSE_LIMIT_S: Final = 2.0
_CHUNK: Final = 16 * 1024
_TEXT_ENDS: Final = "STARDUST_ROLLBACK_TEXT_ENDS"

ReceiveNote = Callable[[str], Awaitable[None]]
"""Receives each `note` of a script as it arrives."""


class ScriptOutput(NamedTuple):
    """The output of a script."""

    lines: list[str]
    """The whole lines of its standard output, without notes, errors and `ok`."""
    notes: list[str]

    def of(self, word: str) -> list[str]:
        """The rest of each line that begins with `word`."""
        return [line[len(word) + 1 :] for line in self.lines if line.startswith(f"{word} ")]


class ShellLogin(NamedTuple):
    """A connection, and how its user becomes root."""

    connection: asyncssh.SSHClientConnection
    user: str
    by: RootMethod | Literal[""]
    """How the user becomes root; empty: the user is root, or root is not needed."""
    sudo_password: Secret | None


def units() -> Mapping[str, str]:
    """The files that tell a server's init which programs to start, by name: unit files of systemd and services of OpenRC."""
    folder = resources.files("majortom") / "remote/units"
    files = [*((folder / name) for name in (SPIDER_UNIT, *LAUNCHER_UNITS)), *((folder / "openrc" / name) for name in OPENRC_SERVICES)]
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def script(name: str) -> str:
    """Read one of our scripts."""
    return (resources.files("majortom") / "remote" / name).read_text(encoding="utf-8")


def with_own_text(source: str) -> str:
    """Add a script's own text to it as data. So the script can store itself on the server, for the rollback timer."""
    return f"rollback_text() {{ cat <<'{_TEXT_ENDS}'\n{source}\n{_TEXT_ENDS}\n}}\n{source}"


async def run(
    login: ShellLogin,
    source: str,
    arguments: Sequence[str],
    step: StepName,
    limit_s: float,
    *,
    root: bool = True,
    receive_note: ReceiveNote | None = None,
) -> ScriptOutput:
    """Run a script with these arguments.

    Args:   root: run it as root, by `login.by` (sudo or doas) if the user is not root; else as the log-in user.
    Raises: DeployError: the script's error, or the reason why it did not print its final `ok`.
    """
    words, by = Words.fresh(), login.by if root else ""
    line = command(words, arguments, by, len(source.encode()))
    return await _in_time(_Call(login, words, line, source.encode(), step, by, receive_note), step, limit_s)


async def send(login: ShellLogin, folder: str, files: Mapping[str, bytes], step: StepName, limit_s: float) -> None:
    """Copy files into a folder of the log-in user, each with mode 0600.

    Raises: DeployError.
    """
    words = Words.fresh()
    line = receiving(words, folder, [(name, len(data)) for name, data in files.items()])
    await _in_time(_Call(login, words, line, b"".join(files.values()), step, "", None), step, limit_s)


async def _in_time(call: _Call, step: StepName, limit_s: float) -> ScriptOutput:
    try:
        async with asyncio.timeout(limit_s):
            return await call.run()
    except TimeoutError:
        raise failure("step_timeout", step, seconds=f"{limit_s:g}") from None
    except (asyncssh.DisconnectError, asyncssh.ChannelOpenError, ConnectionError):
        raise failure("connection_lost", step) from None


async def _close(process: asyncssh.SSHClientProcess[bytes]) -> None:
    """Close a session, and wait until the server has closed it: until then it counts against the server's MaxSessions."""
    process.close()
    # In Python 3.11.2, asyncio.timeout raises CancelledError in a task whose TaskGroup has failed. So another task waits.
    await asyncio.create_task(_wait_closed(process))


async def _wait_closed(process: asyncssh.SSHClientProcess[bytes]) -> None:
    with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await process.wait_closed()


class _Call:
    """One run of one script."""

    def __init__(
        self,
        login: ShellLogin,
        words: Words,
        line: str,
        data: bytes,
        step: StepName,
        by: RootMethod | Literal[""],
        receive_note: ReceiveNote | None,
    ) -> None:
        self._login = login
        self._data = data
        self._step = step
        self._receive_note = receive_note
        self._terminal = by == "doas with its password"
        self._command = line
        self._dialogue = Dialogue(words, login.user, by, has_password=login.sudo_password is not None)
        self._answer = ScriptOutput([], [])
        self._error: DeployError | None = None
        self._complete = False
        self._taken = 0

    async def run(self) -> ScriptOutput:
        process = await self._open()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(process, process.stdout, self._dialogue.feed_out), name="script-out")
                group.create_task(self._pump(process, process.stderr, self._dialogue.feed_err), name="script-err")
            await process.wait_closed()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            await _close(process)
        if not self._dialogue.ready:
            if process.returncode is None:
                raise failure("connection_lost", self._step)
            raise self._dialogue.never_ready(process.returncode)
        return self._result(process.returncode)

    async def _open(self) -> asyncssh.SSHClientProcess[bytes]:
        """Open a session. A server that allows one session at a time needs a moment to notice the end of the previous one."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + SESSION_LIMIT_S
        while True:
            try:
                return await self._login.connection.create_process(
                    self._command, encoding=None, term_type="dumb" if self._terminal else None
                )
            except asyncssh.ChannelOpenError as exc:
                if self._login.connection.is_closed():
                    raise
                why = one_line(exc.reason) or "without a reason"
                if exc.code in (asyncssh.OPEN_REQUEST_SESSION_FAILED, asyncssh.OPEN_REQUEST_PTY_FAILED):
                    raise failure("no_shell", self._step, user=self._login.user, why=why) from None
                if loop.time() > give_up_at:
                    raise failure("max_sessions", self._step, why=why) from None
            await asyncio.sleep(SESSION_PAUSE_S)

    async def _pump(
        self, process: asyncssh.SSHClientProcess[bytes], stream: asyncssh.SSHReader[bytes], feed: Callable[[bytes], list[SudoAction]]
    ) -> None:
        while data := await stream.read(_CHUNK):
            self._taken += len(data)
            if self._taken > MAX_OUTPUT_BYTES:
                raise failure(_code_of(self._step), self._step, why="it prints too much")
            for act in feed(data):
                await self._act(process, act)
            await self._read_lines()

    async def _act(self, process: asyncssh.SSHClientProcess[bytes], act: SudoAction) -> None:
        try:
            if act == "script":
                process.stdin.write(self._data)
                if not self._terminal:
                    process.stdin.write_eof()
            elif self._login.sudo_password is not None:
                process.stdin.write(self._login.sudo_password.reveal().encode() + b"\n")
            await process.stdin.drain()
        except BrokenPipeError:
            return  # the script ended meanwhile: its exit status has the reason

    async def _read_lines(self) -> None:
        whole, newline, _ = self._dialogue.output.rpartition(b"\n")
        if not newline:
            return
        self._dialogue.drop_output(len(whole) + 1)
        for line in whole.decode(errors="replace").split("\n"):
            await self._line(line)

    async def _line(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if line == "ok":
            self._complete = True
        elif word == "error":
            self._error = _reported(rest, self._step)
        elif word == "note":
            self._answer.notes.append(one_line(rest))
            if self._receive_note is not None and len(self._answer.notes) <= MAX_NOTES:
                await self._receive_note(one_line(rest))
        else:
            self._answer.lines.append(line)

    def _result(self, status: int | None) -> ScriptOutput:
        if self._error is not None:
            raise self._error
        if self._complete:
            return self._answer
        if status is None:
            raise failure("connection_lost", self._step)
        error_lines = [line for line in self._dialogue.errors.splitlines() if line.strip()]
        why = one_line(error_lines[-1]) if error_lines else f"exit status {status}"
        raise failure(_code_of(self._step), self._step, why=why)


def _code_of(step: StepName) -> str:
    """The error code of a script that failed at this step and reported no code."""
    return {"probe": "probe_failed", "upload": "upload_failed", "start": "start_failed"}.get(step, "install_failed")


def _reported(text: str, step: StepName) -> DeployError:
    """Make the error that a script reported with a line `error CODE TEXT`."""
    code, _, rest = text.partition(" ")
    if code not in REPORTED:
        return failure("install_failed", step, why=text)
    return failure(code, step, why=rest or "no reason given", what=rest or "it does not say what")
