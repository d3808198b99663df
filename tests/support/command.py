"""The command `stardust` on the hub's machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.fork_server import FORK_SERVER, concerns_python
from tests.support.hub import PROGRAM, ROOT, SECRET, HubProcess

WITH_SECRET: Mapping[str, str] = {"STARDUST_SECRET": SECRET}
"""An environment with the secret of the tests' hubs."""
LIMIT_S = 240.0
"""To derive keys from two secrets takes seconds of a processor, of which a test may have a small part."""


def command(
    folder: Path,
    *words: str,
    given: str = "",
    env: Mapping[str, str] | None = None,
    mounts_of: int = 0,
    python: str = "",
    faults: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the command with a data folder, which may be in memory, and without the environment of the tests.

    It runs as `tests.support.hub_program`, which reads the keyrings of the tests' hubs, and starts by fork.

    Args:
        given: its standard input.
        mounts_of: the process whose mounts the command sees; 0: the usual ones.
        env: with a variable of Python in it, the command is not forked either.
        python: an interpreter that runs it instead of this one.
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


def stardust(
    folder: Path, *words: str, given: str = "", status: int = 0, env: Mapping[str, str] | None = None, python: str = ""
) -> subprocess.CompletedProcess[str]:
    """As `command`; it must end with this status, and without a traceback."""
    done = command(folder, *words, given=given, env=env, python=python)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def said_by(hub: HubProcess, *words: str, status: int = 0) -> str:
    """Both outputs, as a person reads them."""
    done = stardust(hub.folder, *words, status=status)
    return done.stdout + done.stderr


def serve(folder: Path, *argv: str, env: Mapping[str, str] = WITH_SECRET, mounts_of: int = 0) -> subprocess.CompletedProcess[str]:
    """Start a hub that must refuse to start."""
    return command(folder, "serve", "--port", "0", "--data-dir", str(folder), *argv, env=env, mounts_of=mounts_of)
