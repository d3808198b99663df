"""The program of scripts/run: starts a hub and a Spider for this machine, supervises both, and stops them in order."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import fcntl
import io
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp

from groundcontrol.config import Config
from groundcontrol.config_reader import read_config
from groundcontrol.core.errors import ConfigError
from groundcontrol.lan import FIND, stored_addresses
from groundcontrol.own_certificate import read_certificate
from groundcontrol.settings import add_lan_flag
from majortom.build.bundle import BundleError, read_bundle
from scripts.dev.organisation import name_first_organisation
from scripts.dev.restarts import EXIT_CONFIG, Restarts, how_it_ended, start_again
from scripts.dev.state_files import MOST_LOG_BYTES, shorten_log, write
from scripts.dev.terminal import login_of, reason_of, say, welcome

HUB_START_LIMIT_S = 60.0
STOP_LIMIT_S = 12.0
SPIDER_POLICY = "[policy]\nversion = 1\nmode = monitor\n"
AGENT_FILES = ("spider.pyz", "spider.conf", "spider.key", "policy.conf", "node.json", "spider")
PASSED_FLAGS = ("bind", "port", "server_url")
USAGE: Final = "scripts/run [--lan [ADDRESS ...]] [--bind ADDRESS] [--port PORT] [--server-url URL]"
OWN_VARIABLES = ("STARDUST_SECRET", "STARDUST_SECRET_FILE", "STARDUST_DATA_DIR", "STARDUST_PORT", "STARDUST_CONFIG")
"""Not passed on to the hub: this script sets them, or reads them itself."""
MOST_NAMES: Final = 100
"""Names to try for this machine's node, if other nodes have the earlier ones."""
LOG_LOOK_S: Final = 10.0
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""As in Spider's unit: malloc returns free memory to the system."""


class RunError(Exception):
    """Hub or Spider cannot start, or will not be restarted; the text says why and what to do."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


def detail_of(text: str) -> str:
    """The sentence in an error answer of the hub."""
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:300] or "it said nothing"


def check_port(config: Config) -> None:
    """Check that the hub can listen on its address and port. Raises: RunError."""
    with socket.socket(socket.AF_INET6 if ":" in config.bind else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.bind, config.port))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise RunError(f"the hub cannot listen on {config.bind}, port {config.port}: {exc.strerror}") from None
            raise RunError(
                f"port {config.port} is taken by another program; set STARDUST_PORT to a free port, or end an older start with scripts/stop"
            ) from None


class Runner:
    """Starts, supervises and stops the processes of one start."""

    def __init__(self, state: Path, hub_module: str = "groundcontrol") -> None:
        self.state = state
        self._hub_module = hub_module
        self.agent = state / "agent"
        """Spider's files. Spider runs as another user, who cannot open this folder: it gets the files as open descriptors."""
        self.hub: asyncio.subprocess.Process | None = None
        self.spider: asyncio.subprocess.Process | None = None
        self.stopping = asyncio.Event()
        self._lock = -1
        self._env: dict[str, str] = {}
        self._words: list[str] = []
        self._log_faults: dict[str, str] = {}
        """Name of a log → the last printed error about shortening it."""

    def prepare(self) -> None:
        """Create the state folder and lock it. Raises: RunError: another scripts/run holds the lock."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.state.chmod(0o700)
        self._lock = os.open(self.state / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError("scripts/run is running already in this checkout; scripts/stop ends it") from None
        if not (self.state / "secret").exists():
            write(self.state / "secret", secrets.token_urlsafe(32) + "\n")
        write(self.state / "run.pid", f"{os.getpid()}\n")
        self.agent.mkdir(mode=0o700, exist_ok=True)
        for name in AGENT_FILES:  # an earlier version kept them in the hub's folder
            if (self.state / name).exists() and not (self.agent / name).exists():
                (self.state / name).rename(self.agent / name)

    def settle(self, flags: Sequence[str], environ: Mapping[str, str]) -> Config:
        """The hub's settings, read as the hub reads them. Also decides the hub's environment and arguments for each start.

        Raises: RunError: the hub would refuse these settings, or the port is 0.
        """
        self._env = {name: value for name, value in environ.items() if name not in OWN_VARIABLES}
        self._env["STARDUST_ALLOW_VOLATILE"] = "yes"  # a test checkout may be on any file system
        self._env["STARDUST_SECRET_FILE"] = str(self.state / "secret")
        port = environ.get("STARDUST_PORT") or "8933"
        self._words = ["--data-dir", str(self.state), "--log-format", "json", "--port", port, *flags]
        try:
            config = read_config(dict(self._env), self._words)
        except ConfigError as exc:
            raise RunError(str(exc).replace("--port is", "STARDUST_PORT is") if "--port" not in flags else str(exc), EXIT_CONFIG) from None
        if config.port == 0:
            raise RunError("give a port from 1 to 65535: the Spider of this machine dials it", EXIT_CONFIG)
        return config

    async def start_hub(self) -> None:
        """Start Ground Control and wait until it answers. Raises: RunError: it ended, or did not answer in time."""
        hub = await self.launch_hub()
        deadline = time.monotonic() + HUB_START_LIMIT_S
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.state / "control.sock"))) as http:
            while time.monotonic() < deadline:
                if hub.returncode is not None:
                    raise RunError(
                        f"Ground Control did not start: {self.last_line('hub.log')}", hub.returncode if hub.returncode > 0 else 1
                    )
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with http.get("http://hub/healthz", timeout=aiohttp.ClientTimeout(total=2)) as answer:
                        if answer.status == HTTPStatus.OK:
                            return
                await asyncio.sleep(0.05)
        raise RunError(f"Ground Control did not answer within {HUB_START_LIMIT_S:.0f} s; see .stardust/hub.log")

    async def launch_hub(self) -> asyncio.subprocess.Process:
        """Start Ground Control, and do not wait until it answers."""
        with self.log_file("hub.log") as log:
            self.hub = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._hub_module, "serve", *self._words,
                env=self._env, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self.hub

    def log_file(self, name: str) -> io.FileIO:
        """Open a log for appending, readable by its owner only: the hub's log contains the setup code."""
        self.shorten(name)
        file = io.FileIO(os.open(self.state / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "a")
        os.fchmod(file.fileno(), 0o600)  # an earlier version created it with another mode
        return file

    def shorten(self, name: str, most_bytes: int = MOST_LOG_BYTES) -> None:
        """Keep a log within its size, and print each reason for a failure once."""
        fault = shorten_log(self.state / name, most_bytes)
        if fault and fault != self._log_faults.get(name):
            say(fault)
        self._log_faults[name] = fault

    def last_line(self, name: str) -> str:
        """The program's last message, from the last line of its log."""
        try:
            lines = (self.state / name).read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        except OSError as exc:
            return f"{name} cannot be read: {reason_of(exc)}"
        try:
            facts = json.loads(lines[-1])
        except ValueError:
            return lines[-1]
        if not isinstance(facts, dict):
            return lines[-1]
        return f"{facts.pop('event', '')} " + " ".join(
            f"{key}={value}" for key, value in facts.items() if key not in {"at", "level", "logger"}
        )

    @contextlib.asynccontextmanager
    async def local_session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """An HTTP session over the hub's local socket, as its owner, in the first organisation."""
        connector = aiohttp.UnixConnector(str(self.state / "control.sock"))
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as http:
            await name_first_organisation(http)
            yield http

    def setup_code(self) -> str:
        """The code that the hub printed at its first start; empty: the log no longer has it."""
        try:
            found = re.findall(
                r"^stardust: setup code,.*: ([A-Z2-7]{20})$", (self.state / "hub.log").read_text(errors="replace"), re.MULTILINE
            )
        except OSError:
            return ""
        return found[-1] if found else ""

    async def first_admin(self) -> dict[str, Any]:
        """The account that the hub created at its first start, or else the oldest account. Raises: RunError: the hub refuses."""
        async with self.local_session() as http, http.get("http://hub/api/v1/users", params={"limit": "1"}) as answer:
            text = await answer.text()
            if answer.status != HTTPStatus.OK:
                raise RunError(f"the hub does not list its users: {detail_of(text)}")
        found: dict[str, Any] = json.loads(text)["users"][0]
        return found

    async def enrol(self) -> None:
        """Enrol this machine over the hub's local socket, unless it is a node already.

        Raises: RunError: the hub refuses.
        """
        key = self.agent / "spider.key"
        async with self.local_session() as http:
            if key.exists():
                node = json.loads((self.agent / "node.json").read_text())
                async with http.get(f"http://hub/api/v1/nodes/{node['node_id']}") as answer:
                    if answer.status != HTTPStatus.NOT_FOUND:
                        return
                say(f"{node['name']} was removed from the fleet; this machine is enrolled again.")
            node = await self.make_node(http)
        key.unlink(missing_ok=True)
        shutil.rmtree(self.agent / "spider", ignore_errors=True)  # samples of the removed node
        if not (self.agent / "policy.conf").exists():
            write(self.agent / "policy.conf", SPIDER_POLICY, 0o644)
        write(self.agent / "node.json", json.dumps({name: node[name] for name in ("node_id", "name", "generation", "fleet_id")}))
        write(key, bytes.fromhex(node["session_key"]))

    async def make_node(self, http: aiohttp.ClientSession) -> dict[str, Any]:
        """Create a node with this machine's name. If another node has it, append a number, up to MOST_NAMES.

        Raises: RunError: the hub refuses.
        """
        wanted = socket.gethostname() or "this-machine"
        for name in (wanted, *(f"{wanted}-{number}" for number in range(2, MOST_NAMES + 1))):
            async with http.post("http://hub/api/v1/local/enrol", json={"names": [name], "address": "127.0.0.1"}) as answer:
                text, status = await answer.text(), answer.status
            if status == HTTPStatus.CREATED:
                if name != wanted:
                    say(f"Another node is named {wanted}, so this machine is named {name}.")
                made: dict[str, Any] = json.loads(text)["nodes"][0]
                return made
            if status != HTTPStatus.CONFLICT:
                break
        raise RunError(f"the hub made no node for this machine: {detail_of(text)}")

    def spider_conf(self, config: Config) -> str:
        """The text of Spider's settings file. It is written at each start, since the hub's address may change.

        Spider connects without the proxy in front of the hub if it can: the proxy or its certificate may be misconfigured.
        """
        node = json.loads((self.agent / "node.json").read_text())
        url = config.local_node_url or config.node_url
        pin = f"tls_pin = {config.tls_pin}\n" if config.tls_pin and (url == config.node_url or config.lan) else ""
        return (
            f"[hub]\nurl = {url}\nfleet = {node['fleet_id']}\n{pin}\n"
            f"[node]\nid = {node['node_id']}\ngeneration = {node['generation']}\nname = {node['name']}\n"
        )

    async def start_spider(self, config: Config) -> asyncio.subprocess.Process:
        """Start Spider, as user nobody if this process is root. Spider gets its files as open descriptors."""
        write(self.agent / "spider.pyz", read_bundle(), 0o644)
        write(self.agent / "spider.conf", self.spider_conf(config), 0o644)
        own = self.agent / "spider"  # the spool of samples while the hub is away
        own.mkdir(mode=0o700, exist_ok=True)
        who: dict[str, object] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(own, nobody.pw_uid, nobody.pw_gid)
        python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
        fds: list[int] = []
        with contextlib.ExitStack() as opened:
            for name in ("spider.pyz", "spider.conf", "spider.key", "policy.conf", "spider"):
                fds.append(os.open(self.agent / name, os.O_RDONLY))
                opened.callback(os.close, fds[-1])
            bundle, conf = (f"/proc/self/fd/{fd}" for fd in fds[:2])
            with self.log_file("spider.log") as log:
                self.spider = await asyncio.create_subprocess_exec(
                    python, "-I", "-B", bundle, "--config", conf, "--key", f"fd:{fds[2]}", "--policy", f"fd:{fds[3]}",
                    "--state", f"/proc/self/fd/{fds[4]}",
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **MALLOC}, pass_fds=fds, **who,  # type: ignore[arg-type]  # keywords of Popen
                )  # fmt: skip
        try:
            write(self.state / "spider.pid", f"{self.spider.pid}\n")
        except OSError as exc:  # scripts/run itself does not need the file
            say(f"Spider runs, but scripts/stop cannot find it by itself: {reason_of(exc)}.")
        return self.spider

    async def supervise(self, config: Config) -> None:
        """Supervise hub, Spider and logs until a stop is requested. Raises: RunError: the hub failed for good."""
        tasks = [
            asyncio.create_task(part, name=name)
            for name, part in (
                ("hub", self.keep_hub()), ("logs", self.keep_logs()), ("stop", self.stopping.wait()),
                *([("spider", self.keep_spider(config, self.spider))] if self.spider is not None else []),
            )
        ]  # fmt: skip
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def keep_hub(self) -> None:
        """Restart the hub whenever it fails, until it stops with status 0. Raises: RunError: no further restart."""
        assert self.hub is not None
        hub, restarts, started_at = self.hub, Restarts(), time.monotonic()
        while await hub.wait() != 0:
            how = f"Ground Control ended by itself ({how_it_ended(hub.returncode)}); its last message: {self.last_line('hub.log')}"
            pause_s = restarts.pause_s(hub.returncode, time.monotonic() - started_at)
            if pause_s is None:
                raise RunError(how, EXIT_CONFIG if hub.returncode == EXIT_CONFIG else 1)
            say(f"{how}\nGround Control is started again in {pause_s:.0f} s.")
            hub, started_at = await start_again("Ground Control", self.launch_hub, pause_s), time.monotonic()
        say("Ground Control was stopped.")

    async def keep_spider(self, config: Config, spider: asyncio.subprocess.Process) -> None:
        """Restart Spider whenever it ends; after too many restarts the hub continues without it."""
        restarts, started_at = Restarts(), time.monotonic()
        while True:
            await spider.wait()
            how = f"Spider ended ({how_it_ended(spider.returncode)}); see .stardust/spider.log."
            pause_s = restarts.pause_s(spider.returncode, time.monotonic() - started_at)
            if pause_s is None:
                say(f"{how} It is not started again before the next scripts/run.")
                await self.stopping.wait()
                return
            say(f"{how} It is started again in {pause_s:.0f} s.")
            spider, started_at = await start_again("Spider", lambda: self.start_spider(config), pause_s), time.monotonic()

    async def keep_logs(self) -> None:
        """Keep the logs within their size until cancelled."""
        while True:
            await asyncio.sleep(LOG_LOOK_S)
            for name in ("hub.log", "spider.log"):
                self.shorten(name)

    async def stop(self) -> None:
        """Stop Spider, then the hub, and release the lock. A process that does not stop within STOP_LIMIT_S is killed."""
        for name, process in (("spider", self.spider), ("hub", self.hub)):
            if process is not None and process.returncode is None:
                process.send_signal(signal.SIGTERM)
                try:
                    async with asyncio.timeout(STOP_LIMIT_S):
                        await process.wait()
                except TimeoutError:
                    say(f"{name} did not stop within {STOP_LIMIT_S:.0f} s and was killed")
                    process.kill()
                    await process.wait()
            if process is not None:
                (self.state / f"{name}.pid").unlink(missing_ok=True)
        (self.state / "run.pid").unlink(missing_ok=True)
        os.close(self._lock)


def with_certificate(state: Path, config: Config) -> Config:
    """The settings with the addresses and the certificate's pin that the hub chose at its first start."""
    certificate = None if config.lan is None else read_certificate(state)
    return config if certificate is None else config.with_lan(stored_addresses(state), certificate.pin)


async def run(state: Path, flags: Sequence[str]) -> None:
    """Start hub and Spider, print the welcome text, supervise both, and stop them. Raises: RunError."""
    runner = Runner(state)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, runner.stopping.set)
    runner.prepare()
    try:
        config = runner.settle(flags, os.environ)
        check_port(config)
        await runner.start_hub()
        try:
            config = with_certificate(state, config)
            await runner.enrol()
            await runner.start_spider(config)
        except (RunError, OSError, aiohttp.ClientError, BundleError) as exc:
            say(f"No Spider watches this machine: {reason_of(exc)}. The next scripts/run tries again.")
        say(welcome(state, config, login_of(config, await runner.first_admin(), runner.setup_code())), sys.stdout)
        await runner.supervise(config)
        say("Stopping …")
    finally:
        await runner.stop()


def flags_of(argv: Sequence[str]) -> list[str]:
    """The hub's flags from the command line of scripts/run; exits with 2 and a message when it is wrong."""
    parser = argparse.ArgumentParser(prog="scripts/run", allow_abbrev=False, usage=USAGE)
    add_lan_flag(parser, "listen on the network, with a certificate of the hub's own")
    for name in PASSED_FLAGS:
        parser.add_argument("--" + name.replace("_", "-"), default=None)
    given = vars(parser.parse_args(argv))
    lan = [] if given["lan"] is None else ["--lan", *(word for word in given["lan"].split(",") if word != FIND)]
    return lan + [word for name in PASSED_FLAGS if given[name] is not None for word in ("--" + name.replace("_", "-"), given[name])]


def main() -> int:
    """Entry point of scripts/run."""
    try:
        asyncio.run(run(Path(sys.argv[1]), flags_of(sys.argv[2:])))
    except RunError as exc:
        say("\n".join(f"scripts/run: {line}" for line in str(exc).splitlines()))
        return exc.status
    except (OSError, aiohttp.ClientError, BundleError) as exc:
        say(f"scripts/run: {reason_of(exc)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
