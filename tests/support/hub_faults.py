"""Controls the faults of a running hub, see `hub_program`."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.eventually import wait_until

if TYPE_CHECKING:
    from tests.support.hub import HubProcess


def fault_file(data_dir: Path, fault: str) -> Path:
    """The file through which a test and this fault communicate."""
    return data_dir.with_name(f"{data_dir.name}.{fault}")


def set_fault(hub: HubProcess, fault: str, value: str) -> None:
    """Give the running hub a value for a fault that reads one at SIGUSR1, and wait until it has read it."""
    file = fault_file(hub.folder, fault)
    file.write_text(value)
    os.kill(hub.pid, signal.SIGUSR1)
    wait_until(lambda: not file.exists(), what=f"the hub reads {file}")
