"""A hub that is killed, or whose clock is set, in each state of a roll-out over real hosts: no job is ordered twice, and no verdict changes.

The hub watches for a share of the usual time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import lab as labs
from tests.support.eventually import wait_until
from tests.support.faketime import MovedClock
from tests.support.gate_trials import GO, PACKAGE, PATIENCE_S, WAITS, Run, Trial, in_commit
from tests.support.hub import HubProcess

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(2400)]

SCALE = 0.1
OFF_S = 600
"""How long the hub is off: longer than the watch would have lasted. The agent looks on meanwhile."""
HOUR_S = 3600
JUMP_S = 6.0
"""A moved clock is seen within two seconds, and a sweep is made every second."""
FINAL = ("passed", "worse", "failed", "unknown", "not_started")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path / "hub", faults=(f"quick-watch={SCALE}",)) as process:
        yield process


@contextlib.contextmanager
def two_hosts(hub: HubProcess) -> Iterator[list[Trial]]:
    """Two hosts in factory state."""
    assert (reason := labs.unavailable()) is None, f"this test needs lab hosts, and {reason}"
    hosts = labs.up(debian=2)
    try:
        for host in hosts:
            host.reset()
        yield [Trial(host, hub) for host in hosts]
    finally:
        labs.down()


@pytest.fixture
def trials(hub: HubProcess) -> Iterator[list[Trial]]:
    with two_hosts(hub) as hosts:
        yield hosts


def start_again(hub: HubProcess, trials: list[Trial]) -> None:
    hub.launch()
    for one in trials:
        one.token = hub.login().token


def kill_and_start(hub: HubProcess, trials: list[Trial], *away: Trial) -> None:
    """Kill the hub and start it. It waits for all hosts but those that are `away`."""
    hub.slay()
    start_again(hub, trials)
    for one in trials:
        if one not in away:
            one.wait_online()


def orders(of: Trial, action: str) -> int:
    return [job["action"] for job in of.call("GET", f"jobs?node={of.node}&limit=200")["jobs"]].count(action)


def test_killed_until_the_canary_is_watched_and_away_while_a_service_is_stopped(hub: HubProcess, trials: list[Trial]) -> None:
    for one in trials:
        one.prepare(WAITS)
    run = Run(trials, "hub off", watch_s=900)
    kill_and_start(hub, trials)  # it plans
    run.until("ready")
    kill_and_start(hub, trials)
    run.start()
    kill_and_start(hub, trials)  # it waits or runs
    canary = run.begun()
    kill_and_start(hub, trials)
    in_commit(run, canary)
    kill_and_start(hub, trials)  # a package is being installed
    canary.host.sh(f"touch {GO}")
    run.until_target(canary, "the canary is watched", step="watch")
    hub.slay()
    canary.host.sh("systemctl stop worker.service")
    time.sleep(OFF_S)
    start_again(hub, trials)
    kill_and_start(hub, trials)
    run.stopped_by("unit_gone", "worker.service")
    [other] = [one for one in trials if one is not canary]
    assert (orders(canary, "upgrade"), orders(other, "upgrade")) == (1, 0)


def test_killed_over_reboots_holds_pauses_and_waves_it_ends_well_with_one_job_each(hub: HubProcess, trials: list[Trial]) -> None:
    for one in trials:
        one.prepare()
    run = Run(trials, "reboots", reboot="always")
    run.start()
    canary = run.begun()
    [other] = [one for one in trials if one is not canary]
    run.until_target(canary, "the canary is rebooted", step="reboot")
    kill_and_start(hub, trials, canary)  # the reboot is ordered
    wait_until(
        lambda: (row := canary.job_row(run.target(canary)["job_id"]))["note"].startswith("the server") or row["state"] == "succeeded",
        PATIENCE_S, what="the canary shuts down", poll_s=0.2,
    )  # fmt: skip
    kill_and_start(hub, trials)  # the canary is away, and comes back to a hub that has just started
    run.until_target(canary, "the canary is watched", step="watch")
    kill_and_start(hub, trials)
    freeze = other.call("POST", "windows/now", {"kind": "freeze", "select": {"nodes": [other.node]}, "reason": "end of the month"})
    run.until_target(canary, "the canary has passed", state="passed")
    kill_and_start(hub, trials)  # between two waves
    run.until_target(other, "the other one is held", state="held", why="frozen")
    kill_and_start(hub, trials)  # one is held
    run.first.call("POST", f"rollouts/{run.id}/pause", {"when": "now"})
    kill_and_start(hub, trials)  # it is paused
    assert run.row()["state"] == "paused", run.row()
    assert other.hub.request("DELETE", f"/api/v1/windows/{freeze['id']}", token=other.token).status == 204
    run.first.call("POST", f"rollouts/{run.id}/resume")
    run.until_target(other, "the other one runs", state="running")
    kill_and_start(hub, trials, other)  # the second wave
    run.until_target(other, "the other one is watched", step="watch")
    kill_and_start(hub, trials)
    row = run.end()
    assert row["state"] == "succeeded", (row["words"], run.targets())
    kill_and_start(hub, trials)  # it has ended
    assert run.row()["state"] == "succeeded"
    assert [(orders(one, "upgrade"), orders(one, "reboot")) for one in trials] == [(1, 1), (1, 1)]
    assert {one.version(PACKAGE) for one in trials} == {"ii 2.0"}


def test_killed_while_it_stops_it_orders_nothing_more_and_a_cancelled_one_stays_cancelled(hub: HubProcess, trials: list[Trial]) -> None:
    for one in trials:
        one.prepare(WAITS)
    given_up = Run(trials, "given up")
    given_up.until("ready")
    given_up.first.call("POST", f"rollouts/{given_up.id}/stop")
    kill_and_start(hub, trials)
    assert given_up.row()["state"] == "cancelled", given_up.row()
    run = Run(trials, "stops")
    run.start()
    canary = run.begun()
    in_commit(run, canary)
    assert run.first.call("POST", f"rollouts/{run.id}/stop")["state"] == "stopping"
    kill_and_start(hub, trials)
    assert run.row()["state"] == "stopping", run.row()
    canary.host.sh(f"touch {GO}")
    row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "person"), row["words"]
    run.untouched(canary)
    assert [orders(one, "upgrade") for one in trials].count(1) == 1
    assert canary.host.sh("dpkg --audit") == ""


def test_an_hour_on_the_clock_of_the_hub_in_each_state_changes_no_verdict_and_orders_no_second_job(tmp_path: Path) -> None:
    clock = MovedClock(tmp_path)

    def jump(run: Run, *states: str) -> None:
        """An hour ahead for some sweeps, and back. Nothing ends by it."""
        before = {one.node: run.target(one)["state"] for one in run.trials}
        for shift_s in (HOUR_S, 0):
            clock.move(shift_s)
            time.sleep(JUMP_S)
            row = run.row()
            told = [(one["state"], one["words"]) for one in run.targets().values()]
            assert row["state"] in states, (row["state"], row["words"], told)
        assert not [one.node for one in run.trials if run.target(one)["state"] in FINAL and before[one.node] not in FINAL], run.targets()

    with HubProcess(tmp_path / "hub", forked=False, env=clock.env, faults=(f"quick-watch={SCALE}",)) as hub, two_hosts(hub) as trials:
        for one in trials:
            one.prepare(WAITS)
        run = Run(trials, "clock", watch_s=3600)
        jump(run, "planning", "ready")
        run.until("ready")
        jump(run, "ready")
        run.start()
        jump(run, "waiting", "running")
        canary = run.begun()
        in_commit(run, canary)
        jump(run, "running")
        run.first.call("POST", f"rollouts/{run.id}/pause")
        jump(run, "paused")
        run.first.call("POST", f"rollouts/{run.id}/resume")
        canary.host.sh(f"touch {GO}")
        run.until_target(canary, "the canary is watched", step="watch")
        jump(run, "running", "holding")
        canary.host.net("drop")
        run.until("holding")
        jump(run, "holding")
        canary.host.net("restore")
        canary.wait_online()
        run.first.call("POST", f"rollouts/{run.id}/stop")
        jump(run, "stopping")
        canary.host.sh("systemctl stop worker.service")
        row = run.end()
        assert (row["state"], row["stopped_by"], run.target(canary)["why"]) == ("stopped", "person", "unit_gone"), (row, run.target(canary))
        run.untouched(canary)
        assert sorted(orders(one, "upgrade") for one in trials) == [0, 1]
