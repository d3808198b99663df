"""Programs in their own mount namespace: their mounts are invisible elsewhere and end with them."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PATHS = "import json, sys\nsys.path[:0] = json.loads(sys.argv.pop(1))\n"


def apart(script: str, program: str, *argv: str) -> Any:
    """Prepare a mount namespace by a shell script, then run a program of Python there.

    Returns: what it has printed, read as JSON. The test is left out where mounts may not be made.
    """
    path = json.dumps([entry for entry in sys.path if entry and os.path.exists(entry)] + [str(ROOT)])
    command = ["unshare", "-m", "sh", "-ec", script + '\nexec "$@"', "sh", sys.executable, "-c", _PATHS + program, path, *argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in done.stderr or "mount: " in done.stderr:
        pytest.skip(f"mounts may not be made here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mount(kind: str, point: str, options: str = "", source: str = "none") -> None:
    """mount(2), which is faster than its program by far.

    Raises: OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), point.encode(), kind.encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"cannot mount {kind}", point)


def dead_share(point: str) -> int:
    """Mount a share without a server: every request waits until the file is closed.

    Returns: the open file of the daemon that never reads it.
    """
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    mount("fuse.sshfs", point, f"fd={fuse},rootmode=40000,user_id=0,group_id=0", "gone.example:/srv")
    return fuse
