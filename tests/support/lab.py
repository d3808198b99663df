"""Hosts of scripts/lab: real Linux with systemd, sshd and a package manager, at 127.0.x.N."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "scripts/lab"
PROGRAM = (sys.executable, "-I", "-S", str(LAB))
"""The lab by the interpreter that is here anyway: to look for one may take longer than the call."""
BUILD_LIMIT_S = 900
COMMAND_LIMIT_S = 300


def environment() -> dict[str, str]:
    """Where the tests' own lab lives, unless the caller names one. Processes that test side by side have a lab each, over the same trees."""
    env = dict(os.environ)
    number = int(env.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    folder = env.get("LAB_DIR", str(ROOT / ".cache/lab"))
    env["LAB_DIR"] = folder + (f"-{number}" if number else "")
    env.setdefault("LAB_CACHE", folder)
    if "LAB_NET" in env:
        first, second, third = env["LAB_NET"].split(".")
        env["LAB_NET"] = f"{first}.{int(second) + number}.{third}"
    else:
        env["LAB_NET"] = f"127.0.{3 + number}"
    return env


def unavailable() -> str | None:
    """Why no hosts can be booted here; None: they can."""
    if os.geteuid() != 0:
        return "booting lab hosts needs root"
    inside = subprocess.run(["systemd-detect-virt", "--container"], capture_output=True, text=True, check=False).stdout.strip()
    if inside == "systemd-nspawn":
        return "lab hosts cannot be booted inside a lab host"
    return None


def lab(*words: str, timeout_s: float = COMMAND_LIMIT_S) -> str:
    """Run scripts/lab; returns what it printed."""
    done = subprocess.run([*PROGRAM, *words], env=environment(), capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode:
        raise RuntimeError(f"scripts/lab {' '.join(words)}: exit status {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


@functools.cache
def program() -> Any:
    """scripts/lab inside this process, for the thousands of commands on hosts: to start it takes ten times as long as most of them."""
    loader = importlib.machinery.SourceFileLoader("lab_program", str(LAB))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
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

    def run(
        self, *argv: str, stdin: str | bytes | None = None, timeout_s: float = COMMAND_LIMIT_S, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root, without ssh."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        try:
            inside, env = program().way_in(program().require(self.name))
        except program().LabError as problem:  # as `lab exec` says it
            done = subprocess.CompletedProcess(argv, 1, b"", f"lab: {problem}".encode())
        else:
            done = subprocess.run([*inside, *argv], env=env, input=data, capture_output=True, timeout=timeout_s, check=False)
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
        done = subprocess.run(
            [*PROGRAM, "exec", self.name, "--", "cat", path], env=environment(), capture_output=True, timeout=COMMAND_LIMIT_S, check=True
        )
        return done.stdout

    def reset(self, *, rekey: bool = False) -> None:
        """Factory state again; the host keys stay what they are, unless `rekey`."""
        [facts] = json.loads(lab("reset", self.name, *(["--rekey"] if rekey else [])))
        self.host_keys = facts["host_keys"]

    def net(self, *words: str) -> None:
        """drop, delay MS, loss PERCENT, restore."""
        lab("net", self.name, *words)

    def private_key(self, name: str = "id_ed25519") -> str:
        """A key of the lab that may log in here."""
        return (self.keys / name).read_text()


def up(**flavours: int) -> list[Host]:
    """Boot what is missing, e.g. `up(debian=2)`; the lab's tree is built on first use."""
    words = [f"{name.replace('_', '-')}={count}" for name, count in flavours.items()]
    answer = json.loads(lab("up", *words, timeout_s=BUILD_LIMIT_S))
    return [Host(facts) for facts in (answer if isinstance(answer, list) else answer["nodes"])]


def down() -> None:
    """Stop every host of the tests' lab; what was built stays in the cache."""
    lab("down")
