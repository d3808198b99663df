"""How a test uses a fault of a running hub, see `hub_program`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.hub import HubProcess

LIMIT_S = 60.0
POLL_S = 0.01


def fault_file(data_dir: Path, fault: str) -> Path:
    """The file through which a test and this fault communicate."""
    return data_dir.with_name(f"{data_dir.name}.{fault}")


def set_fault(hub: HubProcess, fault: str, value: str) -> None:
    """Give the running hub a value for a fault that reads one at SIGUSR1, and wait until it has read it."""
    file = fault_file(hub.folder, fault)
    file.write_text(value)
    os.kill(hub.pid, signal.SIGUSR1)
    deadline = time.monotonic() + LIMIT_S
    while file.exists():
        assert time.monotonic() < deadline, f"the hub does not read {file}"
        time.sleep(POLL_S)
