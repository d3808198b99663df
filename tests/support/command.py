"""The command `stardust` beside a hub, as a person runs it on the hub's machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.hub import ROOT, HubProcess

LIMIT_S = 60


def command(folder: Path, *words: str, given: str = "", env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command with a data folder, nothing else of the environment but `env`, and `given` on its input.

    Like the hub of a test, it may find its folder in memory.
    """
    usual = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "STARDUST_DATA_DIR": str(folder), "STARDUST_ALLOW_VOLATILE": "yes"}
    return subprocess.run(
        [sys.executable, "-m", "groundcontrol", *words],
        env=usual | dict(env or {}),
        input=given,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def said_by(hub: HubProcess, *words: str, status: int = 0) -> str:
    """What a person reads, both outputs."""
    done = command(hub.folder, *words)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr
