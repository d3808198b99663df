"""What scripts/run does once the environment stands: a hub, a Spider for this machine, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import sys
import time
from http import HTTPStatus
from pathlib import Path

import aiohttp

from majortom.bundle import read_bundle

HUB_START_LIMIT_S = 30.0
STOP_LIMIT_S = 12.0
SPIDER_POLICY = "[policy]\nversion = 1\nmode = monitor\n"
AGENT_FILES = ("spider.pyz", "spider.conf", "spider.key", "policy.conf", "node.json", "spider")
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""As in Spider's unit: what is free goes back to the system."""


class RunError(Exception):
    """It cannot be started; the text says why and what to do."""


def write(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    """Write a whole file at once, with its mode from the first moment."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
    fresh.chmod(mode)
    fresh.rename(path)


def check_port(port: int) -> None:
    """Raise RunError when something listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise RunError(
                f"port {port} is taken by another program; set STARDUST_PORT to a free one, or scripts/stop an older start"
            ) from None


class Runner:
    """The processes of one start, ended in order."""

    def __init__(self, state: Path, port: int) -> None:
        self.state, self.port = state, port
        self.agent = state / "agent"
        """What is Spider's, which runs as another user: a folder of its own in the hub's, which others cannot enter."""
        self.hub: asyncio.subprocess.Process | None = None
        self.spider: asyncio.subprocess.Process | None = None
        self.stopping = asyncio.Event()
        self._lock = -1

    def prepare(self) -> bool:
        """Make the state folder and take it; returns whether this is the first start."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.state.chmod(0o700)
        self._lock = os.open(self.state / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError("scripts/run is running already in this checkout; scripts/stop ends it") from None
        first = not (self.state / "secret").exists()
        if first:
            write(self.state / "secret", secrets.token_urlsafe(32) + "\n")
        write(self.state / "run.pid", f"{os.getpid()}\n")
        self.agent.mkdir(mode=0o700, exist_ok=True)
        for name in AGENT_FILES:  # of an earlier version, which kept them beside the hub's own
            if (self.state / name).exists() and not (self.agent / name).exists():
                (self.state / name).rename(self.agent / name)
        return first

    async def start_hub(self) -> None:
        """Start Ground Control and wait until it answers."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("STARDUST_")}
        for name in ("STARDUST_ADMIN_USER", "STARDUST_ADMIN_PASS"):
            if name in os.environ:
                env[name] = os.environ[name]
        env["STARDUST_ALLOW_VOLATILE"] = "yes"  # to try it out, a checkout may lie anywhere
        env["STARDUST_SECRET_FILE"] = str(self.state / "secret")
        with self.log_file("hub.log") as log:
            self.hub = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "groundcontrol", "serve", "--port", str(self.port), "--data-dir", str(self.state), "--log-format", "json",
                env=env, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + HUB_START_LIMIT_S
        async with aiohttp.ClientSession() as http:
            while time.monotonic() < deadline:
                if self.hub.returncode is not None:
                    raise RunError(f"Ground Control did not start: {self.last_line('hub.log')}")
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with http.get(f"http://127.0.0.1:{self.port}/healthz", timeout=aiohttp.ClientTimeout(total=2)) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)
        raise RunError(f"Ground Control did not answer within {HUB_START_LIMIT_S:.0f} s; see .stardust/hub.log")

    def log_file(self, name: str) -> io.FileIO:
        """A log to append to, for its owner alone: the hub's holds the setup code."""
        file = io.FileIO(os.open(self.state / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "a")
        os.fchmod(file.fileno(), 0o600)  # one of an earlier version
        return file

    def last_line(self, name: str) -> str:
        """The last line of a log: what the program said when it ended."""
        lines = (self.state / name).read_text(errors="replace").strip().splitlines()
        try:
            facts = json.loads(lines[-1]) if lines else {"event": "it said nothing"}
        except ValueError:
            return lines[-1]
        return f"{facts.pop('event')} " + " ".join(f"{key}={value}" for key, value in facts.items() if key not in {"at", "level", "logger"})

    async def enrol(self) -> None:
        """Make a node for this machine by the hub's local socket: once, and anew where it was removed since."""
        key = self.agent / "spider.key"
        connector = aiohttp.UnixConnector(str(self.state / "control.sock"))
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as http:
            if key.exists():
                node = json.loads((self.agent / "node.json").read_text())
                async with http.get(f"http://hub/api/v1/nodes/{node['node_id']}") as answer:
                    if answer.status != HTTPStatus.NOT_FOUND:
                        return
                print(f"{node['name']} was removed from the fleet; this machine is watched anew.", file=sys.stderr)
                key.unlink()
                shutil.rmtree(self.agent / "spider", ignore_errors=True)  # what it had measured as the node that is gone
            body = {"names": [socket.gethostname() or "this-machine"], "address": "127.0.0.1"}
            async with http.post("http://hub/api/v1/local/enrol", json=body) as answer:
                text = await answer.text()
                if answer.status >= 300:
                    raise RunError(f"this machine could not be enrolled: {text[:300]}")
        enrolled = json.loads(text)
        node = enrolled["nodes"][0]
        if not (self.agent / "policy.conf").exists():
            write(self.agent / "policy.conf", SPIDER_POLICY, 0o644)
        write(self.agent / "node.json", json.dumps({key: node[key] for key in ("node_id", "name", "generation", "fleet_id")}))
        write(key, bytes.fromhex(node["session_key"]))

    def spider_conf(self) -> str:
        """Spider's settings; the port may be another at each start."""
        node = json.loads((self.agent / "node.json").read_text())
        return (
            f"[hub]\nurl = ws://127.0.0.1:{self.port}/ws\nfleet = {node['fleet_id']}\n\n"
            f"[node]\nid = {node['node_id']}\ngeneration = {node['generation']}\nname = {node['name']}\n"
        )

    async def start_spider(self) -> None:
        """Start Spider, without rights when this is root: its files are handed over as open descriptors."""
        write(self.agent / "spider.pyz", read_bundle(), 0o644)
        write(self.agent / "spider.conf", self.spider_conf(), 0o644)
        own = self.agent / "spider"  # its own folder, where samples wait while the hub is away
        own.mkdir(mode=0o700, exist_ok=True)
        who: dict[str, object] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(own, nobody.pw_uid, nobody.pw_gid)
        names = ("spider.pyz", "spider.conf", "spider.key", "policy.conf", "spider")
        fds = [os.open(self.agent / name, os.O_RDONLY) for name in names]
        bundle, conf = (f"/proc/self/fd/{fd}" for fd in fds[:2])
        python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
        try:
            with self.log_file("spider.log") as log:
                self.spider = await asyncio.create_subprocess_exec(
                    python, "-I", "-B", bundle, "--config", conf, "--key", f"fd:{fds[2]}", "--policy", f"fd:{fds[3]}",
                    "--state", f"/proc/self/fd/{fds[4]}",
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **MALLOC}, pass_fds=fds, **who,  # type: ignore[arg-type]  # keywords of Popen
                )  # fmt: skip
        finally:
            for fd in fds:
                os.close(fd)
        write(self.state / "spider.pid", f"{self.spider.pid}\n")

    async def supervise(self) -> None:
        """Keep Spider running until the hub ends or somebody asks to stop."""
        assert self.hub is not None
        ended = asyncio.create_task(self.hub.wait(), name="hub")
        stop = asyncio.create_task(self.stopping.wait(), name="stop")
        try:
            while not stop.done():
                assert self.spider is not None
                spider = asyncio.create_task(self.spider.wait(), name="spider")
                await asyncio.wait({ended, stop, spider}, return_when=asyncio.FIRST_COMPLETED)
                if ended.done() and not stop.done():
                    raise RunError(
                        f"Ground Control ended by itself ({how_it_ended(self.hub.returncode)}); the last it said: {self.last_line('hub.log')}"
                    )
                if spider.done() and not stop.done():
                    print(
                        f"Spider ended (exit status {self.spider.returncode}) and is started again; see .stardust/spider.log",
                        file=sys.stderr,
                    )
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(2):
                            await self.stopping.wait()
                    if not self.stopping.is_set():
                        await self.start_spider()
                else:
                    spider.cancel()
        finally:
            ended.cancel()
            stop.cancel()

    async def stop(self) -> None:
        """End Spider, then the hub; nothing is left."""
        for name, process in (("spider", self.spider), ("hub", self.hub)):
            if process is not None and process.returncode is None:
                process.send_signal(signal.SIGTERM)
                try:
                    async with asyncio.timeout(STOP_LIMIT_S):
                        await process.wait()
                except TimeoutError:
                    print(f"{name} did not stop within {STOP_LIMIT_S:.0f} s and was killed", file=sys.stderr)
                    process.kill()
                    await process.wait()
            if process is not None:
                (self.state / f"{name}.pid").unlink(missing_ok=True)
        (self.state / "run.pid").unlink(missing_ok=True)
        os.close(self._lock)


def how_it_ended(status: int | None) -> str:
    """An exit status as people read it; the log's last line is no reason where a signal was it."""
    return f"killed by {signal.Signals(-status).name}" if status is not None and status < 0 else f"exit status {status}"


def welcome(state: Path, port: int, first: bool) -> str:
    """What a person needs to know now."""
    user, password = os.environ.get("STARDUST_ADMIN_USER", "admin"), os.environ.get("STARDUST_ADMIN_PASS")
    login = f"{user} / {'the password of STARDUST_ADMIN_PASS' if password else 'admin'} (you choose a new password at the first log-in)"
    try:
        machine = os.environ.get("SSH_CONNECTION", "").split()[2]
    except IndexError:
        machine = socket.gethostname()
    lines = [
        "",
        f"  Stardust      http://localhost:{port}",
        f"  from afar     ssh -L {port}:localhost:{port} {pwd.getpwuid(os.geteuid()).pw_name}@{machine}",
        f"  log in        {login}" if first else "  log in        as before",
        f"  data          {state}",
        "  stop          Ctrl-C (or scripts/stop); scripts/reset starts from nothing",
        "",
    ]
    return "\n".join(lines)


async def run(state: Path, port: int) -> None:
    """Start, say so, wait, stop."""
    runner = Runner(state, port)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, runner.stopping.set)
    check_port(port)
    first = runner.prepare()
    try:
        await runner.start_hub()
        await runner.enrol()
        await runner.start_spider()
        print(welcome(state, port, first), flush=True)
        await runner.supervise()
        print("Stopping …", file=sys.stderr)
    finally:
        await runner.stop()


def main() -> int:
    """Entry point of scripts/run."""
    state = Path(sys.argv[1])
    text = os.environ.get("STARDUST_PORT", "8933")
    if not text.isdigit() or not 0 < int(text) < 65536:
        print(f"scripts/run: STARDUST_PORT is {text!r}, but a port is a number from 1 to 65535", file=sys.stderr)
        return 78
    try:
        asyncio.run(run(state, int(text)))
    except RunError as exc:
        print(f"scripts/run: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
