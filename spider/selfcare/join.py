"""Joins a fleet. `install.sh` runs this on a new server as root, with the invite on standard input.

The hub proves itself first. Then it receives a description of this server and sends the files to install. The fixed scripts beside this
file (`probe.sh`, `lifecycle.sh`) inspect and install; this module holds only the dialogue. A failed installation is undone.
"""

import asyncio
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
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from spider.config import Proxy, Url, parse_proxy, parse_url
from spider.hub.websocket import SocketClosed, WebSocket, WebSocketError, connect
from spider.timeouts import wait_for
from spider.version import VERSION
from spider.wire.errors import NotProven, ProtocolError
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
ROLLBACK_S = 600
"""After this long without a step a timer on the server undoes an unfinished installation."""
TICK_S = 1.0
POLL_S = 1.0
GONE = "this invite was used, is over, was revoked, or is not of this hub: make a new one"
_BOOT_FILE = "/proc/sys/kernel/random/boot_id"
_FILES = ("spider.pyz", "spider.conf", "policy.conf", "manifest")


class Failed(Exception):
    """The join failed; the text is for people."""

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code


class Scripts(NamedTuple):
    """The text of the fixed scripts."""

    probe: bytes
    node: bytes


def print_line(text: str) -> None:
    """Print a line for the person at the terminal."""
    sys.stdout.write(f"stardust: {text}\n")
    sys.stdout.flush()


def main() -> NoReturn:
    """Join and end the process: 0 when the node has joined, 1 when the server is as before, 130 when it was interrupted."""
    try:
        scripts = Scripts(*(_bytes(path) for path in sys.argv[1:3]))
        invite = read_invite(_typed(0))
    except (Failed, ValueError, OSError) as error:
        sys.stderr.write(f"stardust: {error}\n")
        sys.exit(EXIT_FAILED)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    task = loop.create_task(join(invite, scripts))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        sys.stderr.write("stardust: stopped; the server is as it was before\n")
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


def _typed(handle: int) -> str:
    """One line of standard input; on a terminal with a prompt and without echo."""
    hidden = None
    if os.isatty(handle):
        import termios  # noqa: PLC0415 - not needed without a terminal

        hidden = termios.tcgetattr(handle)
        quiet = list(hidden)
        quiet[3] &= ~termios.ECHO & ~termios.ICANON  # a line of a terminal ends at 4096 bytes, or earlier
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
        if hidden is not None:
            termios.tcsetattr(handle, termios.TCSAFLUSH, hidden)
            sys.stdout.write("\n")
    lines = data.decode("utf-8", "replace").split()
    if not lines:
        raise Failed("no invite came on standard input")
    return lines[0]


async def join(invite: Invite, scripts: Scripts) -> None:
    """Run the whole join.

    Raises: Failed: the server is as it was before. CancelledError: likewise.
    """
    if invite.expires_at <= time.time() - 3600:  # clocks differ; the hub's clock decides
        raise Failed("this invite is over: make a new one")
    lines = [*await _probe(scripts), *([f"proxy={invite.proxy}"] if invite.proxy else [])]
    socket, url = await _dial(invite)
    visit = _Visit(socket, scripts)
    try:
        await visit.run(invite, url, lines)
    except asyncio.CancelledError:
        await visit.take_back(Failed("it was stopped on the server", "interrupted"))
        raise
    except Failed as failed:
        await visit.take_back(failed)
        raise
    except NotProven as error:
        raise Failed(f"{url.authority}: {error.reason}: {GONE}") from error
    except (ProtocolError, WebSocketError, asyncio.TimeoutError) as error:
        why = _in_words(error, url)
        if not visit.begun:
            raise why from error
        await visit.alone(why)
    except OSError as error:
        why = Failed(f"this server does not let it be installed: {error.strerror or error}", "install_failed")
        await visit.take_back(why)
        raise why from error
    finally:
        await socket.close(1000, "")


def _in_words(error: Exception, url: Url) -> Failed:
    if isinstance(error, SocketClosed) and error.code == CLOSE_UNKNOWN:
        return Failed(f"{url.authority}: {GONE}")
    if isinstance(error, SocketClosed) and error.code == CLOSE_GOING_AWAY:
        return Failed(f"{url.authority} is too busy for this now: try again in a minute")
    if isinstance(error, asyncio.TimeoutError):
        return Failed(f"{url.authority} did not answer in time")
    return Failed(f"{url.authority}: {error}")


async def _probe(scripts: Scripts) -> List[str]:
    status, lines = await _run(scripts.probe, [])
    if status or not lines or lines[-1] != "ok":
        raise Failed("this server could not be looked at: its shell lacks something")
    return lines[:-1]


async def _dial(invite: Invite) -> Tuple[WebSocket, Url]:
    why = Failed("the invite names no address")
    try:
        proxy: Optional[Proxy] = parse_proxy(invite.proxy) if invite.proxy else None
    except ValueError as error:
        raise Failed(f"the proxy that the invite names: {error}") from error
    for text in invite.urls:
        try:
            url = parse_url(text)
            return await connect(url, SUBPROTOCOL, f"stardust-join/{VERSION}", invite.tls_pin, proxy), url
        except (ValueError, WebSocketError) as error:  # noqa: PERF203 - the next address may work
            why = Failed(f"the hub at {text} is not reached: {error}")
    raise why


class _Visit:
    """One attempt to join."""

    def __init__(self, socket: WebSocket, scripts: Scripts) -> None:
        self._socket = socket
        self._scripts = scripts
        self._joined: Optional[Joined] = None
        self._folder = ""
        self._work: Optional[asyncio.Future[Tuple[int, List[str]]]] = None
        self.begun = False
        """Something was changed on this server."""

    async def run(self, invite: Invite, url: Url, lines: List[str]) -> None:
        joined = self._joined = await wait_for(OPENING_TIMEOUT_S, self._open(invite, url))
        print_line(f"{url.authority} has proven that it made this invite")
        await self._send(JoinProbe(lines))
        answer = await wait_for(ANSWER_LIMIT_S, self._receive_message())
        if isinstance(answer, JoinRefused):
            raise Failed(answer.message, answer.code)
        if not isinstance(answer, JoinAccepted):
            raise ProtocolError("a message in the wrong place")
        files = await wait_for(STEP_LIMIT_S, self._receive(answer))
        keys = {"session.key": masked(joined_key(answer.session_mask), joined.session_mask)}
        if answer.launcher:
            keys["launch.key"] = masked(joined_key(answer.launch_mask), joined.launch_mask)
        await self._install(answer, {**files, **keys})
        print_line("Spider is started; waiting until it is there")
        done = await self._wait_done(float(answer.verify_s))
        await self._node("finish")
        self.begun = False
        await self._send(JoinEnded("", ""))
        print_line("installed; it waits for approval in the hub" if done.waiting else "connected")

    async def _open(self, invite: Invite, url: Url) -> Joined:
        opening = NodeJoin(invite, _boot(), url.authority, [VERSION], os.urandom(32))
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

    async def _receive(self, accepted: JoinAccepted) -> Dict[str, bytes]:
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
            await self._node(accepted.clear)
        self.begun = True
        await self._node("arm", str(ROLLBACK_S))
        self._folder = _new_folder()
        for name, data in files.items():
            _write(os.path.join(self._folder, name), data)
        launcher = "yes" if accepted.launcher else "no"
        print_line(f"installing Spider {accepted.version}")
        await self._node("install", self._folder, accepted.manifest, accepted.version, launcher)
        await self._node("start", launcher)

    async def _wait_done(self, limit_s: float) -> JoinDone:
        """Wait until the hub reports a session of the new Spider. Meanwhile heartbeats keep this connection alive."""
        assert self._joined is not None
        link, until = self._joined.link, time.monotonic() + limit_s
        hearing = asyncio.ensure_future(self._receive_message())
        try:
            while True:
                await asyncio.wait({hearing}, timeout=TICK_S)
                if hearing.done():
                    message = hearing.result()
                    if not isinstance(message, JoinDone):
                        raise ProtocolError("a message in the wrong place")
                    return message
                if time.monotonic() > until:
                    raise Failed(f"Spider did not come to the hub within {limit_s:.0f} s: {await self._last_words()}", "no_session")
                beat = link.due(time.monotonic(), int(time.time() * 1000))
                if beat is not None:
                    await self._socket.send(beat)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _diagnosis(self) -> List[str]:
        return (await _run(self._scripts.node, ["diagnose"]))[1]

    async def _last_words(self) -> str:
        for line in reversed(await self._diagnosis()):
            try:
                entry = json.loads(line[4:])
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("why"):
                return str(entry["why"])[:200]
        return "its log says nothing"

    async def _node(self, *words: str) -> None:
        """Run one action of lifecycle.sh. Once begun it is awaited even if the caller is cancelled."""
        source = _arming(self._scripts.node) if words[0] == "arm" else self._scripts.node
        self._work = asyncio.ensure_future(_run(source, words))
        status, lines = await asyncio.shield(self._work)
        for line in lines:
            if line.startswith("error "):
                code, _, text = line[6:].partition(" ")
                raise Failed(f"{words[0]}: {text or code}", code)
            if line.startswith("note "):
                print_line(line[5:])
        if status or "ok" not in lines[-1:]:
            raise Failed(f"{words[0]}: the installer ended with status {status}", "install_failed")

    async def take_back(self, failed: Failed) -> None:
        """Undo the installation and inform the hub."""
        if self._work is not None and not self._work.done():
            await asyncio.wait({self._work})
        if self.begun:
            try:
                await self._node("undo")
                print_line("everything was taken back")
            except Failed as error:
                sys.stderr.write(f"stardust: not everything could be undone: {error}\n")
        self._drop_folder()
        if self._joined is not None:
            try:
                await wait_for(TICK_S * 5, self._send(JoinEnded(failed.code, str(failed)[:300])))
            except (WebSocketError, ProtocolError, asyncio.TimeoutError):
                return  # the hub detects the end by itself

    async def alone(self, failed: Failed) -> None:
        """The connection broke after a change. The installation stays if Spider has had its session; else it is undone.

        Raises: Failed: it was undone.
        """
        until = time.monotonic() + ANSWER_LIMIT_S
        while time.monotonic() < until:
            if "in session" in await self._diagnosis():
                await self._node("finish")
                self._drop_folder()
                print_line("connected")
                return
            await asyncio.sleep(POLL_S)
        await self.take_back(failed)
        raise failed

    def _drop_folder(self) -> None:
        """Remove the folder if lifecycle.sh, which normally deletes it, did not run."""
        if not self._folder or not os.path.isdir(self._folder):
            return
        for name in os.listdir(self._folder):
            os.unlink(os.path.join(self._folder, name))
        os.rmdir(self._folder)


def _arming(source: bytes) -> bytes:
    """lifecycle.sh, with its own text embedded, so that it can store itself for the timer that undoes an unfinished installation."""
    return b"rollback_text() { cat <<'STARDUST_TEXT_ENDS'\n" + source + b"\nSTARDUST_TEXT_ENDS\n}\n" + source


def joined_key(data: bytes) -> bytes:
    """A masked key in its received form.

    Raises: ProtocolError: its length is wrong.
    """
    if len(data) != 32:
        raise ProtocolError("a key has 32 bytes")
    return data


def _write(path: str, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)


def _boot() -> str:
    with open(_BOOT_FILE, encoding="ascii") as file:
        return file.read(64).strip().replace("-", "")


def _new_folder() -> str:
    """A folder for the files, with a name by which lifecycle.sh recognises and removes such folders."""
    letters = random.SystemRandom()
    path = "/tmp/stardust-upload." + "".join(letters.choice(string.ascii_letters + string.digits) for _ in range(10))  # noqa: S108 - created here with mode 0700
    os.mkdir(path, 0o700)
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise Failed("no folder can be made in /tmp")
    return path


async def _run(source: bytes, words: Sequence[str]) -> "Tuple[int, List[str]]":
    """Run a script to its end, also after Ctrl-C. Returns its exit status and output lines."""
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
