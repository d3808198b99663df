"""Joins a fleet. `install.sh` runs this program on a new server as root, with the invite on standard input.

First, the hub proves that it made the invite. This program then sends a description of the server, and the hub sends the files to install.
Two fixed scripts (`probe.sh`, `lifecycle.sh`) inspect the server and install Spider; this module only talks to the hub and runs them. A
failed installation is undone.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import select
import signal
import stat
import string
import subprocess
import sys
import time
from typing import Any, Coroutine, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple, TypeVar

from spider.config import Proxy, Url, kernel_boot, parse_proxy, parse_url
from spider.hub.websocket import SocketClosed, WebSocket, WebSocketError, connect
from spider.timeouts import wait_for
from spider.version import VERSION
from spider.wire.errors import NotProven, ProtocolError, SessionOver
from spider.wire.frames import CLOSE_GOING_AWAY, CLOSE_UNKNOWN, OPENING_TIMEOUT_S, SUBPROTOCOL
from spider.wire.joining import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_INVITE_CHARS,
    Invite,
    JoinAccepted,
    JoinDone,
    Joined,
    JoinEnded,
    JoinPart,
    JoinProbe,
    JoinRefused,
    NodeJoin,
    as_any,
    masked,
    read_invite,
    saying,
)

EXIT_FAILED = 1
EXIT_STOPPED = 130
INPUT_LIMIT_S = 300.0
STEP_LIMIT_S = 180.0
ANSWER_LIMIT_S = 60.0
END_LIMIT_S = 5.0
ROLLBACK_S = 600
"""Seconds until a timer on this server undoes an unfinished installation."""
TICK_S = 1.0
POLL_S = 1.0
UNITS_UNDER_OPENRC = (
    "this server runs OpenRC: the units that the invite names mean nothing here, since only those of systemd can be restarted"
)
INVALID_INVITE = "this invite was used, is over, was revoked, or is not of this hub: make a new one"
STOPPED = "stardust: stopped; the server is as it was before\n"
_FILES = ("spider.pyz", "spider.conf", "policy.conf", "manifest")
_T = TypeVar("_T")


class Failed(Exception):
    """The join failed. The text is for the person at the terminal, and the code for the hub."""

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code


class Scripts(NamedTuple):
    """The content of the fixed scripts."""

    probe: bytes
    """`probe.sh`"""
    lifecycle: bytes
    """`lifecycle.sh`"""


def print_line(text: str) -> None:
    """Print a line for the person at the terminal."""
    sys.stdout.write(f"stardust: {text}\n")
    sys.stdout.flush()


def main() -> NoReturn:
    """Join and end this process with a status: 0 = the node has joined, 1 = the join failed, 130 = it was interrupted."""
    try:
        scripts = Scripts(*(_bytes(path) for path in sys.argv[1:3]))
        invite = read_invite(_read_line(0))
    except (Failed, ValueError, OSError) as error:
        sys.stderr.write(f"stardust: {error}\n")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.stderr.write(STOPPED)
        sys.exit(EXIT_STOPPED)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    task = loop.create_task(join(invite, scripts))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        sys.stderr.write(STOPPED)
        status = EXIT_STOPPED
    except Failed as error:
        sys.stderr.write(f"stardust: {error}\n")
        status = EXIT_FAILED
    else:
        status = 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _read_line(handle: int) -> str:
    """Read the invite from a descriptor; on a terminal with a prompt and without echo.

    Raises: Failed: the input is empty, or its line is not complete within INPUT_LIMIT_S.
    """
    terminal_before = None
    if os.isatty(handle):
        import termios  # noqa: PLC0415 - not needed without a terminal

        terminal_before = termios.tcgetattr(handle)
        quiet = list(terminal_before)
        quiet[3] &= ~termios.ECHO & ~termios.ICANON  # with ICANON a terminal cuts a line at 4096 bytes
        termios.tcsetattr(handle, termios.TCSAFLUSH, quiet)
        sys.stdout.write("Paste the invite: ")
        sys.stdout.flush()
    try:
        data = b""
        until = time.monotonic() + INPUT_LIMIT_S
        while b"\n" not in data.lstrip() and len(data) <= 2 * MAX_INVITE_CHARS:
            if not select.select([handle], [], [], max(0.0, until - time.monotonic()))[0]:
                raise Failed("no invite came on standard input")
            part = os.read(handle, 4096)
            if not part:
                break
            data += part.replace(b"\r", b"\n")
    finally:
        if terminal_before is not None:
            termios.tcsetattr(handle, termios.TCSAFLUSH, terminal_before)
            sys.stdout.write("\n")
    lines = data.decode("utf-8", "replace").split()
    if not lines:
        raise Failed("no invite came on standard input")
    return lines[0]


async def join(invite: Invite, scripts: Scripts) -> None:
    """Join the fleet of an invite. A cancellation while the installation is being completed has no effect.

    Raises: CancelledError: nothing was installed, or the installation was undone. Failed: as well, unless a printed line says that not
            everything could be undone.
    """
    if invite.expires_at <= time.time() - 3600:  # the clocks may differ by an hour; in doubt the hub decides
        raise Failed("this invite is over: make a new one")
    lines = [*await _probe(scripts), *([f"proxy={invite.proxy}"] if invite.proxy else [])]
    socket, url = await _dial(invite)
    attempt = _JoinAttempt(socket, scripts)
    try:
        try:
            await attempt.run(invite, url, lines)
        except NotProven as error:
            raise Failed(f"{url.authority}: {error.reason}: {INVALID_INVITE}") from error
        except (ProtocolError, WebSocketError, asyncio.TimeoutError) as error:
            if not attempt.begun:
                raise _explain(error, url) from error
            await attempt.finish_without_hub(_explain(error, url))
        except OSError as error:
            raise Failed(f"Spider could not be installed: {error.strerror or error}", "install_failed") from error
    except asyncio.CancelledError:
        if not await _to_its_end(attempt.undo(Failed("it was stopped on the server", "interrupted"))):
            raise Failed("stopped") from None
        raise
    except Failed as failed:
        await _to_its_end(attempt.undo(failed))
        raise
    finally:
        await _to_its_end(socket.close(1000, ""))


async def _to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Run this work to its end, and ignore every cancellation of the caller meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()


def _explain(error: Exception, url: Url) -> Failed:
    if isinstance(error, SocketClosed) and error.code == CLOSE_UNKNOWN:
        return Failed(f"{url.authority}: {INVALID_INVITE}")
    if isinstance(error, SocketClosed) and error.code == CLOSE_GOING_AWAY:
        return Failed(f"{url.authority} is too busy for this now: try again in a minute")
    if isinstance(error, asyncio.TimeoutError):
        return Failed(f"{url.authority} did not answer in time")
    return Failed(f"{url.authority}: {error}")


async def _probe(scripts: Scripts) -> List[str]:
    status, lines = await _run(scripts.probe, [])
    if status or not lines or lines[-1] != "ok":
        raise Failed("this server could not be inspected: its shell or a basic command fails")
    return lines[:-1]


async def _dial(invite: Invite) -> Tuple[WebSocket, Url]:
    failed = Failed("the invite names no address")
    try:
        proxy: Optional[Proxy] = parse_proxy(invite.proxy) if invite.proxy else None
    except ValueError as error:
        raise Failed(f"the proxy that the invite names: {error}") from error
    for text in invite.urls:
        try:
            url = parse_url(text)
            return await connect(url, SUBPROTOCOL, f"stardust-join/{VERSION}", invite.tls_pin, proxy), url
        except (ValueError, WebSocketError) as error:  # noqa: PERF203 - the next address may work
            failed = Failed(f"the hub at {text} is not reached: {error}")
    raise failed


class _JoinAttempt:
    """One attempt to join, over one connection to the hub."""

    def __init__(self, socket: WebSocket, scripts: Scripts) -> None:
        self._socket = socket
        self._scripts = scripts
        self._joined: Optional[Joined] = None
        self._folder = ""
        self._action: Optional[asyncio.Future[Tuple[int, List[str]]]] = None
        """The last action of `lifecycle.sh`, which may still run."""
        self.begun = False
        """Whether this server was changed, so that the change may have to be undone."""

    async def run(self, invite: Invite, url: Url, lines: List[str]) -> None:
        joined = self._joined = await wait_for(OPENING_TIMEOUT_S, self._open(invite, url))
        print_line(f"{url.authority} has proven that it made this invite")
        await self._send(JoinProbe(lines))
        answer = await wait_for(ANSWER_LIMIT_S, self._receive_message())
        if isinstance(answer, JoinRefused):
            raise Failed(answer.message, answer.code)
        if not isinstance(answer, JoinAccepted):
            raise ProtocolError("a message in the wrong place")
        files = await wait_for(STEP_LIMIT_S, self._receive_files(answer))
        keys = {"session.key": masked(joined_key(answer.session_mask), joined.session_mask)}
        if answer.launcher:
            keys["launch.key"] = masked(joined_key(answer.launch_mask), joined.launch_mask)
        await self._install(answer, {**files, **keys})
        print_line("Spider is started; waiting until it is there")
        done = await self._wait_done(float(answer.verify_s))
        await _to_its_end(self._finish())
        print_line("installed; it waits for approval in the hub" if done.waiting else "connected")
        if any(line.startswith("openrc=") for line in lines) and b"\nunits = " in files["policy.conf"]:
            print_line(UNITS_UNDER_OPENRC)

    async def _finish(self) -> None:
        """Complete the installation, and inform the hub. Raises: Failed."""
        await self._run_action("finish")
        self.begun = False
        await self._send_end("", "")

    async def _open(self, invite: Invite, url: Url) -> Joined:
        opening = NodeJoin(invite, kernel_boot(), url.authority, [VERSION], os.urandom(32))
        await self._socket.send(opening.hello())
        answer, joined = opening.challenge(await self._socket.receive())
        await self._socket.send(answer)
        return joined

    async def _send(self, message: object) -> None:
        assert self._joined is not None
        await self._socket.send(self._joined.link.send(saying(message)))

    async def _receive_message(self) -> Any:
        assert self._joined is not None
        while True:
            message = as_any(self._joined.link.receive(await self._socket.receive(), time.monotonic()))
            if message is not None:
                return message

    async def _receive_files(self, accepted: JoinAccepted) -> Dict[str, bytes]:
        names, sizes = accepted.files, accepted.sizes
        plain = all(name == os.path.basename(name) and name.strip(".") and "\0" not in name for name in names)
        known = set(_FILES) <= set(names) and len(set(names)) == len(names) == len(sizes) <= MAX_FILES
        if not plain or not known or not all(0 <= size <= MAX_FILE_BYTES for size in sizes):
            raise ProtocolError("files that make no sense")
        files: Dict[str, bytes] = {}
        for name, size in zip(names, sizes):
            data = b""
            while len(data) < size:
                part = await self._receive_message()
                if not isinstance(part, JoinPart) or part.file != name or part.offset != len(data) or not part.data:
                    raise ProtocolError("a message in the wrong place")
                data += part.data
            if len(data) != size:
                raise ProtocolError("a file of another size")
            files[name] = data
        if hashlib.sha256(files["manifest"]).hexdigest() != accepted.manifest:
            raise ProtocolError("the list of files is another one")
        return files

    async def _install(self, accepted: JoinAccepted, files: Dict[str, bytes]) -> None:
        if accepted.clear in ("undo", "remove"):
            print_line("removing the rest of an earlier installation")
            await self._run_action("undo" if accepted.clear == "undo" else "clear")
        self.begun = True
        await self._run_action("arm", str(ROLLBACK_S))
        self._folder = _new_folder()
        for name, data in files.items():
            _write(os.path.join(self._folder, name), data)
        launcher = "yes" if accepted.launcher else "no"
        print_line(f"installing Spider {accepted.version}")
        await self._run_action("install", self._folder, accepted.manifest, accepted.version, launcher)
        await self._run_action("start", launcher)

    async def _wait_done(self, limit_s: float) -> JoinDone:
        """Wait until the hub reports a session of the new Spider. Heartbeats keep this connection open meanwhile."""
        assert self._joined is not None
        link, until = self._joined.link, time.monotonic() + limit_s
        receiving = asyncio.ensure_future(self._receive_message())
        try:
            while True:
                await asyncio.wait({receiving}, timeout=TICK_S)
                if receiving.done():
                    message = receiving.result()
                    if not isinstance(message, JoinDone):
                        raise ProtocolError("a message in the wrong place")
                    return message
                if time.monotonic() > until:
                    raise Failed(f"Spider did not come to the hub within {limit_s:.0f} s: {await self._last_error()}", "no_session")
                beat = link.due(time.monotonic(), int(time.time() * 1000))
                if beat is not None:
                    await self._socket.send(beat)
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def _diagnosis(self) -> List[str]:
        return (await _run(self._scripts.lifecycle, ["diagnose"]))[1]

    async def _last_error(self) -> str:
        """The last reason in the log of the new Spider."""
        for line in reversed(await self._diagnosis()):
            try:
                entry = json.loads(line[4:])
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("why"):
                return str(entry["why"])[:200]
        return "its log says nothing"

    async def _run_action(self, *words: str) -> None:
        """Run one action of lifecycle.sh. If the caller is cancelled, the action continues, and `undo` waits for its end.

        Raises: Failed.
        """
        lifecycle = self._scripts.lifecycle
        source = _with_own_text(lifecycle) if words[0] == "arm" else lifecycle
        self._action = asyncio.ensure_future(_run(source, words))
        status, lines = await asyncio.shield(self._action)
        for line in lines:
            if line.startswith("error "):
                code, _, text = line[6:].partition(" ")
                raise Failed(f"{words[0]}: {text or code}", code)
            if line.startswith("note "):
                print_line(line[5:])
        if status or "ok" not in lines[-1:]:
            raise Failed(f"{words[0]}: the installer ended with status {status}", "install_failed")

    async def undo(self, failed: Failed) -> bool:
        """Undo the installation, and send the reason to the hub. False: not everything could be undone; an error line was printed."""
        undone = True
        if self._action is not None and not self._action.done():
            await asyncio.wait({self._action})
        if self.begun:
            try:
                await self._run_action("undo")
                print_line("everything was taken back")
            except (Failed, OSError) as error:
                undone = False
                sys.stderr.write(f"stardust: not everything could be undone: {error}\n")
        self._drop_folder()
        if self._joined is not None:
            await self._send_end(failed.code, str(failed)[:300])
        return undone

    async def _send_end(self, code: str, message: str) -> None:
        """Send a `JoinEnded`, if the connection allows it. Without it, the hub finds out by the session of the new Spider."""
        with contextlib.suppress(WebSocketError, ProtocolError, SessionOver, asyncio.TimeoutError):
            await wait_for(END_LIMIT_S, self._send(JoinEnded(code, message)))

    async def finish_without_hub(self, failed: Failed) -> None:
        """Complete the installation after the connection broke, if the new Spider gets a session within ANSWER_LIMIT_S.

        Raises: Failed: it got no session (the error is `failed`), or the installation could not be completed.
        """
        until = time.monotonic() + ANSWER_LIMIT_S
        while time.monotonic() < until:
            if "in session" in await self._diagnosis():
                await _to_its_end(self._run_action("finish"))
                self._drop_folder()
                print_line("connected")
                return
            await asyncio.sleep(POLL_S)
        raise failed

    def _drop_folder(self) -> None:
        """Remove the folder of the received files, which lifecycle.sh normally removes."""
        if not self._folder or not os.path.isdir(self._folder):
            return
        for name in os.listdir(self._folder):
            os.unlink(os.path.join(self._folder, name))
        os.rmdir(self._folder)


def _with_own_text(source: bytes) -> bytes:
    """lifecycle.sh with its own text embedded. The script stores that text for the timer that undoes an unfinished installation."""
    return b"rollback_text() { cat <<'STARDUST_TEXT_ENDS'\n" + source + b"\nSTARDUST_TEXT_ENDS\n}\n" + source


def joined_key(data: bytes) -> bytes:
    """Check the length of a received masked key, and return it. Raises: ProtocolError."""
    if len(data) != 32:
        raise ProtocolError("a key has 32 bytes")
    return data


def _write(path: str, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)


def _new_folder() -> str:
    """Create a folder for the files. lifecycle.sh recognises such folders by their name, and removes them. Raises: Failed, OSError."""
    letters = random.SystemRandom()
    path = "/tmp/stardust-upload." + "".join(letters.choice(string.ascii_letters + string.digits) for _ in range(10))  # noqa: S108 - created here with mode 0700
    os.mkdir(path, 0o700)
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise Failed("no folder can be made in /tmp")
    return path


async def _run(source: bytes, words: Sequence[str]) -> "Tuple[int, List[str]]":
    """Run a script to its end, even after Ctrl-C. Returns its exit status and its lines of output."""
    return await asyncio.get_event_loop().run_in_executor(None, _run_now, source, list(words))


def _run_now(source: bytes, words: List[str]) -> "Tuple[int, List[str]]":
    try:
        done = subprocess.run(
            ["/bin/sh", "-s", "--", *words],
            input=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=STEP_LIMIT_S,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return 1, [f"error step_timeout it took longer than {STEP_LIMIT_S:.0f} s"]
    return done.returncode, done.stdout.decode("utf-8", "replace").splitlines()
