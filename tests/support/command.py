"""The command `stardust` on the hub's machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.support.fork_server import FORK_SERVER, ForkedProcess, concerns_python
from tests.support.hub import PROGRAM, ROOT, SECRET, HubProcess

WITH_SECRET: Mapping[str, str] = {"STARDUST_SECRET": SECRET}
"""An environment with the secret of the tests' hubs."""
LIMIT_S = 240.0
"""Some commands need seconds of processor time, which take far longer on a busy machine."""


def command(
    folder: Path,
    *words: str,
    given: str = "",
    env: Mapping[str, str] | None = None,
    mounts_of: int = 0,
    python: str = "",
    faults: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the command with a data folder, and without the environment of the tests.

    It runs as `tests.support.hub_program`, which can read the keyrings of the tests' hubs, and is forked from the fork server. With `python`
    or a variable of Python (`PYTHONPATH`) in `env` it is a new process instead.

    Args:
        given: its standard input.
        mounts_of: the id of the process whose mounts the command sees; 0: those of this process. Requires a fork.
        env: added to the environment.
        python: the interpreter that runs it, if not this one.
        faults: names of `hub_program.FAULTS`.
    """
    usual = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(ROOT),
        "STARDUST_DATA_DIR": str(folder),
        "STARDUST_ALLOW_VOLATILE": "yes",
    }
    argv = [word for fault in faults for word in ("--fault", fault)]
    argv += [*words, "--data-dir", str(folder)] if faults else words
    if not python and not concerns_python(env or {}):
        return FORK_SERVER.run(argv, env=usual | dict(env or {}), cwd=Path("/"), given=given, limit_s=LIMIT_S, mounts_of=mounts_of)
    assert not mounts_of
    return subprocess.run(
        [python or sys.executable, "-m", PROGRAM, *argv],
        cwd="/", env=usual | dict(env or {}), input=given, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip


def piped(folder: Path, *words: str) -> tuple[ForkedProcess, IO[bytes], IO[bytes]]:
    """Start the command with a data folder. Returns: its process, and what it prints and its errors as they come. The caller closes both."""
    output, errors = os.pipe(), os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    env = {"PATH": "/usr/bin:/bin", "STARDUST_DATA_DIR": str(folder), "STARDUST_ALLOW_VOLATILE": "yes"}
    running = FORK_SERVER.attach(words, env=env, cwd=Path("/"), standard=(nothing, output[1], errors[1]))
    for given in (nothing, output[1], errors[1]):
        os.close(given)
    return running, os.fdopen(output[0], "rb"), os.fdopen(errors[0], "rb")


def stardust(
    folder: Path, *words: str, given: str = "", status: int = 0, env: Mapping[str, str] | None = None, python: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command as `command` does, and check its exit status and that it prints no traceback."""
    done = command(folder, *words, given=given, env=env, python=python)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def said_by(hub: HubProcess, *words: str, status: int = 0) -> str:
    """Run the command for a hub, and check its exit status. Returns: its output, then its errors."""
    done = stardust(hub.folder, *words, status=status)
    return done.stdout + done.stderr


def serve(folder: Path, *argv: str, env: Mapping[str, str] = WITH_SECRET, mounts_of: int = 0) -> subprocess.CompletedProcess[str]:
    """Start a hub that refuses to start, and wait for its end. Raises: subprocess.TimeoutExpired: it did not end."""
    return command(folder, "serve", "--port", "0", "--data-dir", str(folder), *argv, env=env, mounts_of=mounts_of)
