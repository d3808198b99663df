"""Hosts of scripts/lab: real Linux with systemd, sshd and a package manager, at 127.0.x.N."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.support.some import some

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "scripts/lab"
PROGRAM = (sys.executable, "-I", "-S", str(LAB))
"""Runs the lab with this interpreter, because the search for one may take longer than the call."""
NETS = "/run/lock"
BUILD_LIMIT_S = 1800
COMMAND_LIMIT_S = 300


def claim(first: str, folder: str = NETS) -> tuple[str, int]:
    """Claim a network of addresses that no other lab of this machine has: `first`, or one after it.

    Returns: the network (`127.0.3`), and the descriptor of the locked file that holds the claim. Raises: RuntimeError: none is free.
    """
    *start, third = first.split(".")
    os.makedirs(folder, exist_ok=True)
    for number in range(int(third), 256):
        net = ".".join((*start, str(number)))
        file = os.open(f"{folder}/stardust-lab-{net}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _listens(net):
                return net, file
        os.close(file)
    raise RuntimeError(f"no addresses are free from {first} on")


def _listens(net: str) -> bool:
    """Whether something listens in this network, such as a lab that was started by hand and has no claim."""
    there = bytes(reversed([int(part) for part in net.split(".")])).hex().upper()
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(words[3] == "0A" and words[1][2:8] == there for words in sockets)


@functools.cache
def claimed() -> tuple[str, int]:
    return claim(os.environ.get("LAB_NET", "127.0.3"))


def environment() -> dict[str, str]:
    """The environment for the lab of this process. Its hosts and addresses are its own; all labs of the machine share the cache of trees."""
    env = dict(os.environ)
    number = int(env.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    env["LAB_NET"], _ = claimed()
    if "LAB_DIR" in env:
        env["LAB_DIR"] += f"-{number}" if number else ""
    else:
        env["LAB_DIR"] = str(Path(env.get("PYTEST_DEBUG_TEMPROOT") or ROOT / ".cache") / "stardust-lab" / env["LAB_NET"])
    env.setdefault("LAB_CACHE", str(Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stardust/lab"))
    return env


@functools.cache
def _guard() -> subprocess.Popen[bytes]:
    """Start a process that ends the hosts when this process ends in any way. It holds the claim of the addresses until then."""
    _, held = claimed()
    return subprocess.Popen(
        [*PROGRAM, "guard", str(os.getpid())], env=environment(), cwd="/", pass_fds=[held], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def unavailable() -> str | None:
    """Why no hosts can be booted on this machine; None if they can."""
    if os.geteuid() != 0:
        return "booting lab hosts needs root"
    inside = subprocess.run(["systemd-detect-virt", "--container"], capture_output=True, text=True, check=False).stdout.strip()
    if inside == "systemd-nspawn":
        return "lab hosts cannot be booted inside a lab host"
    return None


def lab(*words: str, timeout_s: float = COMMAND_LIMIT_S) -> str:
    """Run scripts/lab. Returns: its output. Raises: RuntimeError: it failed. subprocess.TimeoutExpired."""
    done = subprocess.run([*PROGRAM, *words], env=environment(), capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode:
        raise RuntimeError(f"scripts/lab {' '.join(words)}: exit status {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


@functools.cache
def program() -> Any:
    """scripts/lab as a module of this process. Tests run thousands of commands on hosts, and its start takes longer than most commands."""
    loader = importlib.machinery.SourceFileLoader("lab_program", str(LAB))
    spec = some(importlib.util.spec_from_loader(loader.name, loader))
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(os.environ, environment()):  # it reads once where the lab lives
        loader.exec_module(module)
    return module


class Host:
    """One booted host."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.name: str = facts["name"]
        self.address: str = facts["address"]
        self.port: int = int(facts["port"])
        self.host_keys: Any = facts["host_keys"]
        self.keys = Path(environment()["LAB_DIR"]) / "keys"

    def _run(self, *argv: str, data: bytes | None, timeout_s: float) -> subprocess.CompletedProcess[bytes]:
        try:
            inside, env = program().way_in(program().require(self.name))
        except program().LabError as problem:  # as `lab exec` says it
            return subprocess.CompletedProcess(argv, 1, b"", f"lab: {problem}".encode())
        return subprocess.run([*inside, *argv], env=env, input=data, capture_output=True, timeout=timeout_s, check=False)

    def run(
        self, *argv: str, stdin: str | bytes | None = None, timeout_s: float = COMMAND_LIMIT_S, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root, without ssh."""
        done = self._run(*argv, data=stdin.encode() if isinstance(stdin, str) else stdin, timeout_s=timeout_s)
        text = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {argv}: exit status {done.returncode}: {text.stdout[-1000:]}{text.stderr[-1000:]}")
        return text

    def sh(self, script: str, *, check: bool = True, timeout_s: float = COMMAND_LIMIT_S) -> str:
        """Run a shell script as root; returns its standard output."""
        return self.run("/bin/sh", "-euc", script, check=check, timeout_s=timeout_s).stdout

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        done = self._run("cat", path, data=None, timeout_s=COMMAND_LIMIT_S)
        done.check_returncode()
        return done.stdout

    def reset(self, *, rekey: bool = False) -> None:
        """Return the host to its factory state. It keeps its host keys, unless `rekey`."""
        [facts] = json.loads(lab("reset", self.name, *(["--rekey"] if rekey else [])))
        self.host_keys = facts["host_keys"]

    def net(self, *words: str) -> None:
        """Change the host's network: `drop`, `delay MS`, `loss PERCENT` or `restore`."""
        lab("net", self.name, *words)

    def private_key(self, name: str = "id_ed25519") -> str:
        """The text of a private key of the lab that may log in on this host."""
        return (self.keys / name).read_text()


def up(**flavours: int) -> list[Host]:
    """Boot missing hosts, e.g. `up(debian=2)`, and let those go on that `rest` has stopped; the lab's tree is built on first use."""
    _guard()
    for name in program().all_nodes():
        program().freeze(name, False)
    words = [f"{name.replace('_', '-')}={count}" for name, count in flavours.items()]
    answer = json.loads(lab("up", *words, timeout_s=BUILD_LIMIT_S))
    return [Host(facts) for facts in (answer if isinstance(answer, list) else answer["nodes"])]


def rest(hosts: list[Host]) -> None:
    """Stop all processes of hosts that nobody uses until the next `up`: what a test has left there would take processor time from others."""
    for host in hosts:
        program().freeze(host.name, True)


@contextlib.contextmanager
def one(flavour: str) -> Iterator[Host]:
    """A fresh host of this flavour, stopped at the end. Fails the test on a machine that cannot boot hosts."""
    reason = unavailable()
    if reason:
        pytest.fail(f"this test needs lab hosts, and {reason}")
    [host] = up(**{flavour: 1})
    try:
        yield host
    finally:
        lab("down", host.name)


def build(*flavours: str) -> subprocess.Popen[bytes]:
    """Start building the trees of these flavours, one after the other. A test that needs one meanwhile waits for it, or builds it."""
    argv = [*PROGRAM, "build", *flavours]
    return subprocess.Popen(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def down() -> None:
    """Stop every host of this process's lab. The cache keeps the built trees."""
    lab("down")


def named_host() -> Host | None:
    """The host that STARDUST_LAB_HOST names in the lab of LAB_DIR; None if the variable is not set."""
    name = os.environ.get("STARDUST_LAB_HOST")
    return None if name is None else Host(next(facts for facts in json.loads(lab("list")) if facts["name"] == name))
