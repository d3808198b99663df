"""The command `stardust-spider`, for root on the node itself.

`uninstall` removes Stardust from this server and then informs the hub.

It runs the script `lifecycle.sh` of the bundle; the hub uses the same script over SSH. The hub is informed last, when nothing is left on
disk. This takes a session with the node's own key, so the key and all other data for it are read into memory first.

`uninstall --ordered JOB` does the same for an order of the hub, in `stardust-uninstall.service`. It first waits for the end of
the job that started it. It prints to the journal only, and retries for up to ORDERED_FAREWELL_S to inform the hub.
"""

import asyncio
import contextlib
import os
import pkgutil
import pwd
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from typing import Callable, List, NamedTuple, Optional

from spider.clock import SystemClock
from spider.config import Config, ConfigError, Url
from spider.hub.websocket import SocketClosed, WebSocketError, connect
from spider.jobs.files import JOBS_DIR
from spider.root.job_lock import JobNotStarted, take_lock
from spider.root.policy import POLICY_PATH, PolicyRefused, read_policy
from spider.root.trusted_files import Untrusted, read_trusted
from spider.selfcare.node_keys import key_file, node_of
from spider.selfcare.uninstall_job import is_command_new
from spider.timeouts import wait_for
from spider.version import VERSION
from spider.wire.errors import NotProven, ProtocolError
from spider.wire.frames import CLOSE_UNKNOWN, OPENING_TIMEOUT_S, SUBPROTOCOL, Farewell, Welcome
from spider.wire.ids import is_id
from spider.wire.session import NodeOpening

CONF = "/etc/stardust/spider.conf"
SESSION_KEY = "/etc/stardust/session.key"
SCRIPT_LIMIT_S = 180.0
FAREWELL_LIMIT_S = 20.0
ORDERED_WAIT_S = 120.0
"""How long an ordered uninstall waits for the end of its job, and for the lock of this node's jobs."""
ORDERED_FAREWELL_S = 600.0
"""How long an ordered uninstall tries to reach a hub that does not answer."""
LOOK_EVERY_S = 0.25
FAREWELL_PAUSE_S = 5.0
MAX_LEFT_CHARS = 500
EXIT_LEFT = 1
EXIT_BUSY = 75
EXIT_NOT_ROOT = 77
BY_ORDER = "uninstalled by an order of its hub"
NO_SCRIPT = "this copy of Spider has no script to remove itself: it was not built as a bundle\n"
_SENTENCES = {"job_running": "A job is running on this server: wait for its end, or cancel it, and try again."}


class ScriptResult(NamedTuple):
    """The result of one action of the script."""

    ok: bool
    error: str
    """A code, and often a text; empty = no error."""
    notes: List[str]
    """Lines for the person who called the command."""
    left: List[str]
    """What could not be removed."""


def run_script(script: bytes, action: str, *, holds_lock: bool = False, limit_s: float = SCRIPT_LIMIT_S) -> ScriptResult:
    """Run one action of `lifecycle.sh`, the script that installs and removes Spider.

    Args: holds_lock: whether this process itself holds the lock of this node's jobs.
    """
    try:
        done = subprocess.run(
            ["/bin/sh", "-s", "--", action],
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limit_s,
            check=False,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "STARDUST_HOLDS_LOCK": "yes" if holds_lock else ""},
        )
    except subprocess.TimeoutExpired:
        return ScriptResult(False, f"{action} took too long", [], [])
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    sections = {word: [line[len(word) + 1 :] for line in lines if line.startswith(word + " ")] for word in ("error", "note", "left")}
    return ScriptResult("ok" in lines and not sections["error"], (sections["error"] or [""])[0], sections["note"], sections["left"])


def bundled_script() -> Optional[bytes]:
    """The text of `lifecycle.sh` in the bundle. None: this program does not run from a bundle."""
    try:
        return pkgutil.get_data("spider", "lifecycle.sh")
    except OSError:
        return None


def install_command() -> str:
    """Install root's command `stardust-spider` if it is missing or older than this version. Returns: the error; empty = none."""
    script = None if is_command_new() else bundled_script()
    try:
        return "" if script is None else run_script(script, "command").error
    except OSError as exc:
        return str(exc)


def status(argv: Optional[List[str]] = None) -> int:
    """`spider.pyz status`: prints the state of this node for its owner. Returns the exit status."""
    script = bundled_script()
    if argv or script is None:
        sys.stderr.write("status takes no arguments\n" if argv else NO_SCRIPT)
        return 64 if argv else EXIT_LEFT
    _print(f"version    {VERSION}")
    result, config = run_script(script, "status"), _config()
    moved = [f"hub        {config.urls[0].text} (before: {config.url.text})"] if config is not None and config.kept else []
    for note in (*(moved or result.notes[:1]), f"policy     {_policy()}", *result.notes[1:]):
        _print(note)
    return 0 if result.ok else EXIT_LEFT


def _policy(path: str = POLICY_PATH, owner: int = 0) -> str:
    """The mode of the policy, or a sentence if the policy is invalid."""
    try:
        return read_policy(path, owner).mode
    except PolicyRefused as exc:
        return f"not valid, so no job runs here: {exc}"


async def farewell(config: Config, why: str, left: str, sent: List[str]) -> None:
    """Inform the hub that this node is uninstalled, or that something could not be removed. Returns when the hub has answered.

    Args:   why: the reason, for the hub. left: what could not be removed; empty = nothing. sent: `why` is appended to it once the message
            was sent in a proven session.
    Raises: OSError, WebSocketError, ProtocolError, asyncio.TimeoutError: the hub could not be informed.
    """
    socket = await connect(config.url, SUBPROTOCOL, f"stardust-spider/{config.version}", config.tls_pin, config.proxy)
    clock = SystemClock()
    try:
        opening = NodeOpening(
            config.node, config.generation, config.key, config.boot, config.url.authority, config.version, (), [], os.urandom(32)
        )
        await socket.send(opening.hello())
        answer, link = opening.challenge(await wait_for(OPENING_TIMEOUT_S, socket.receive()))
        if opening.fleet != config.fleet:
            raise NotProven("the hub serves another fleet", CLOSE_UNKNOWN)
        await socket.send(answer)
        if not isinstance(link.receive(await wait_for(OPENING_TIMEOUT_S, socket.receive()), clock.monotonic()), Welcome):
            raise ProtocolError("no welcome")
        await socket.send(link.send(Farewell(why, left)))
        sent.append(why)
        while True:
            link.receive(await socket.receive(), clock.monotonic())
    except SocketClosed as closed:
        if closed.code != CLOSE_UNKNOWN:
            raise
    finally:
        with contextlib.suppress(OSError, WebSocketError):
            await socket.close(CLOSE_UNKNOWN, "uninstalled")


def _config(conf: str = CONF, session_key: str = SESSION_KEY) -> Optional[Config]:
    """The configuration as Spider reads it at its start. None: it cannot be read.

    The key belongs to Spider's user, so root passes a copy of it in memory.
    """
    try:
        generation = node_of(read_trusted(conf, os.geteuid()).decode("utf-8"))[1]
        key = read_trusted(key_file(session_key, generation), pwd.getpwnam("stardust").pw_uid, private=True)
        fd = os.memfd_create("key")
        os.fchmod(fd, 0o600)
        os.write(fd, key)
        return Config.from_env(os.environ, ["--config", conf, "--key", f"fd:{fd}"])  # closes `fd`
    except (ConfigError, Untrusted, KeyError, OSError, ValueError):
        return None


def _say_farewell(config: Optional[Config], sent: List[str], why: str = "uninstalled by root on the server", left: str = "") -> str:
    """Inform the hub at the first address that works. Returns: why no address works; empty: the hub is informed.

    Args: sent: see `farewell`; the same list for all attempts. An earlier attempt may have reached the hub, and only the answer was lost.
          The hub then no longer knows this node, which counts as informed.
    """
    if config is None:
        return "spider.conf or the session key cannot be read"
    failed = ""
    for url in config.urls:
        failed = _farewell_at(url, config, sent, why, left)
        if not failed:
            break
    return failed


def _farewell_at(url: Url, config: Config, sent: List[str], why: str, left: str) -> str:
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(wait_for(FAREWELL_LIMIT_S, farewell(replace(config, url=url), why, left, sent)))
    except NotProven as error:
        return "" if sent and not left else str(error)
    except (OSError, WebSocketError, ProtocolError, asyncio.TimeoutError) as error:
        return str(error) or "it did not answer"
    finally:
        loop.close()
    return ""


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def retry_farewell(send: Callable[[], str], limit_s: float = ORDERED_FAREWELL_S, pause_s: float = FAREWELL_PAUSE_S) -> str:
    """Call `send` until the hub is informed or `limit_s` is over: the hub may be restarting. Returns the last result of `send`."""
    ends_at = time.monotonic() + limit_s
    while True:
        why = send()
        if not why or time.monotonic() >= ends_at:
            return why
        time.sleep(pause_s)


def uninstall_now(run: Callable[[str], ScriptResult], wait_s: float) -> ScriptResult:
    """Remove Stardust. Returns the result of the last action that ran, with the notes of all actions.

    Args: run: runs one action of the script. wait_s: how long to wait for the end of a running job.
    """
    ends_at = time.monotonic() + wait_s
    notes: List[str] = []
    for action in ("stop", "remove", "search"):
        result = run(action)
        while action == "stop" and result.error == "job_running" and time.monotonic() < ends_at:
            time.sleep(LOOK_EVERY_S)
            result = run(action)
        notes += result.notes
        if not result.ok:
            break
    return result._replace(notes=notes)


def main(argv: Optional[List[str]] = None) -> int:
    """Remove Stardust from this server. Returns the exit status."""
    words = argv or []
    ordered = words[:1] == ["--ordered"] and len(words) == 2 and is_id(words[1])
    if words and not ordered:
        sys.stderr.write("uninstall takes no arguments\n")
        return 64
    if os.geteuid() != 0:
        sys.stderr.write("uninstall is root's: run it with sudo\n")
        return EXIT_NOT_ROOT
    script = bundled_script()
    if script is None:
        sys.stderr.write(NO_SCRIPT)
        return EXIT_LEFT
    config = _config()
    if ordered:
        try:
            take_lock(JOBS_DIR, ORDERED_WAIT_S)  # waits for the end of the job itself; no other job begins meanwhile
        except (JobNotStarted, OSError) as error:
            sys.stderr.write(f"{error}: nothing was removed\n")
            return EXIT_BUSY
    return _leave(script, config, ordered=ordered)


def _leave(script: bytes, config: Optional[Config], *, ordered: bool, wait_s: float = ORDERED_WAIT_S) -> int:
    result = uninstall_now(partial(run_script, script, holds_lock=ordered), wait_s if ordered else 0.0)
    for note in result.notes:
        _print(note)
    if not result.ok:
        code, why = result.error.partition(" ")[0], result.error or "the script did not end"
        sys.stderr.write(_SENTENCES.get(code, f"it could not be removed ({why})") + "\n")
        if ordered and code != "job_running":
            retry_farewell(partial(_say_farewell, config, [], BY_ORDER, (", ".join(result.left) or why)[:MAX_LEFT_CHARS]))
        return EXIT_BUSY if code == "job_running" else EXIT_LEFT
    left = ", ".join(result.left)
    if left:
        sys.stderr.write(f"not everything could be removed: {left}\n")
        if ordered:
            retry_farewell(partial(_say_farewell, config, [], BY_ORDER, left[:MAX_LEFT_CHARS]))
        return EXIT_LEFT
    why = retry_farewell(partial(_say_farewell, config, [], BY_ORDER)) if ordered else _say_farewell(config, [])
    if why:
        _print(f"Nothing of Stardust is left on this server. Its hub could not be told ({why}): remove the node there with “forget”.")
    else:
        _print("Nothing of Stardust is left on this server, and its hub has forgotten it.")
    return 0
