"""rollouts.look: the CPU of one look of the agent at a lab host, as it takes one every five seconds while a roll-out watches the host."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Final

import spider
from scripts.benches.measure import Results, line
from tests.support import lab as labs

LOOKS: Final = 200
EVERY_S: Final = 5
FOLDER: Final = "/run/look"
PROGRAM: Final = f"""
import time
from spider.sampling.collectors.host_look import HostLooks
looks = HostLooks()
first = looks.look(0.0)
began = time.process_time()
for turn in range(1, {LOOKS} + 1):
    looks.look({EVERY_S}.0 * turn)
assert first.units is not None and first.ports is not None, first
print((time.process_time() - began) / {LOOKS} * 1000, len(first.units.active))
"""


def _agent() -> bytes:
    """The agent's package as a tar file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(Path(spider.__file__).parent, "spider", filter=lambda member: None if "__pycache__" in member.name else member)
    return packed.getvalue()


def look() -> Results:
    """The CPU of one look of the agent at a lab host: the mean of LOOKS."""
    with labs.one("debian") as host:
        host.sh(f"mkdir -p {FOLDER}")
        host.run("tar", "-x", "-C", FOLDER, stdin=_agent())
        ms, units = host.run("env", f"PYTHONPATH={FOLDER}", "python3", "-c", PROGRAM).stdout.split()
    return [line("rollouts.look", float(ms), "ms", percent_of_a_core=round(float(ms) / (EVERY_S * 10), 3), units=int(units))]
