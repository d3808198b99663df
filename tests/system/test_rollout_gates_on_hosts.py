"""Hard gates over real hosts: an upgrade does one kind of harm to its canary; the roll-out stops, names the culprit, and touches nothing else.

All cases run at the same time, each on hosts of its own, with one hub. The hub watches for a share of the usual time (fault `quick-watch`);
looks come every five seconds as always.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.support import lab as labs
from tests.support.gate_trials import Run, Trial, asked, runs
from tests.support.hub import HubProcess

pytestmark = pytest.mark.system

SCALE = 0.1
"""Settling takes six seconds, the watch of a canary 36 or 96."""
SETTLE_S = 60.0 * SCALE
FOUND_S = 90.0
SMALL_TMP = "umount /tmp 2>/dev/null || :; mount -t tmpfs -o size=64m lab-data /tmp"


class Case(NamedTuple):
    harm: str
    gate: str
    blamed: str
    watch_s: int = 300
    setup: str = ""
    """A shell script for the host, before the agent is deployed."""


CASES = {
    "a unit fails some seconds after its restart": Case(runs("worker", "sleep 3; exit 1"), "unit_failed", "worker.service failed"),
    "a unit crashes again and again, and never counts as failed": Case(
        runs("worker", "sleep 0.2; exit 1", "Restart=always\\nRestartSec=3\\n"), "unit_restarts", "worker.service"
    ),
    "a service runs and does not listen": Case(runs("shop", "exec sleep infinity"), "port_gone", "tcp 8088"),
    "a unit is stopped and not failed": Case("systemctl stop worker.service\n", "unit_gone", "worker.service ran before"),
    "a file system fills": Case(
        "systemd-run -q --unit=filler sh -c 'for i in $(seq 64); do head -c 1048576 /dev/zero >> /tmp/log || exit 0; sleep 1; done'\n",
        "filesystem", "/tmp", watch_s=900, setup=SMALL_TMP,
    ),
    "a mount is gone": Case("umount /tmp\n", "mount_gone", "/tmp", setup=SMALL_TMP),
    "a unit with a hostile name fails": Case(
        "systemd-run -q --unit='<img src=x onerror=alert(1)>' sh -c 'sleep 2; exit 1'\n", "unit_failed", "failed"
    ),
}  # fmt: skip
IN_CI = ("a unit fails some seconds after its restart", "a service runs and does not listen")


def hosts_of(name: str) -> int:
    """Those that run in CI have a canary only: a host costs eight seconds."""
    return 1 if name in IN_CI else 2


def run_case(case: Case, trials: list[Trial], name: str) -> Run:
    for one in trials:
        one.host.reset()  # another test may have had it
        one.host.sh(case.setup)
        one.prepare(case.harm)
    run = Run(trials, name, watch_s=case.watch_s)
    run.start()
    run.stopped_by(case.gate, case.blamed)
    return run


@pytest.fixture(scope="module")
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Run]]]:
    """The roll-outs of the cases that are asked for, all under way."""
    assert (reason := labs.unavailable()) is None, f"this test needs lab hosts, and {reason}"
    names = asked(request)
    with ExitStack() as ends:
        hub = ends.enter_context(HubProcess(tmp_path_factory.mktemp("gates") / "hub", faults=(f"quick-watch={SCALE}",)))
        hosts = labs.up(debian=sum(map(hosts_of, names)))
        ends.callback(labs.down)
        labs.program()  # once, before threads need it
        trials = (Trial(host, hub) for host in hosts)
        pool = ends.enter_context(ThreadPoolExecutor(len(names)))
        yield {name: pool.submit(run_case, CASES[name], [next(trials) for _ in range(hosts_of(name))], name) for name in names}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in IN_CI else pytest.mark.slow) for name in CASES])
def test_harm_stops_the_roll_out_at_its_canary(begun: dict[str, Future[Run]], name: str) -> None:
    run = begun[name].result()
    target = run.target(run.canary())
    assert target["state"] == "failed", target
    assert target["watched_s"] <= SETTLE_S + FOUND_S, f"found {target['watched_s'] - SETTLE_S:.0f} s after settling"
