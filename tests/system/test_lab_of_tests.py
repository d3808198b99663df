"""What a killed test process leaves of its lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import lab as labs
from tests.support.eventually import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]  # of the tests' own tools, which no change of the product reaches

BOOTS = "import time\nfrom tests.support import lab\n[host] = lab.up(debian=1)\nprint(lab.claimed()[0], host.run('cat', '/etc/hostname').stdout.strip(), flush=True)\ntime.sleep(600)\n"


def test_hosts_end_with_the_process_that_booted_them_and_leave_its_addresses_free(tmp_path: Path) -> None:
    reason = labs.unavailable()
    if reason:
        pytest.fail(f"this test needs lab hosts, and {reason}")
    env = {**labs.environment(), "LAB_DIR": str(tmp_path / "lab"), "PYTEST_XDIST_WORKER": "gw0"}
    with subprocess.Popen([sys.executable, "-c", BOOTS], cwd=labs.ROOT, env=env, stdout=subprocess.PIPE, text=True) as booting:
        assert booting.stdout is not None
        net, name = booting.stdout.readline().split()
        assert name == "node1"
        assert net != labs.claimed()[0]
        booting.send_signal(signal.SIGKILL)

    def free() -> bool:
        now, held = labs.claim(net)
        os.close(held)
        return now == net

    wait_until(free, what=f"{net} is still held")
    assert list((tmp_path / "lab/nodes").glob("*")) == []
    at = str(tmp_path / "lab").encode()
    assert [path for path in Path("/proc").glob("[0-9]*/cmdline") if at in _read(path)] == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # ended meanwhile
        return b""
