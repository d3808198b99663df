"""Soft gates over real hosts, with the product's own times: what one canary shows holds, what two show stops, what all show stops nothing.

The hosts are small machines of their own (`small_hosts`), so that their load is theirs alone. All cases run at the same time with one hub.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support import lab as labs
from tests.support.gate_trials import PACKAGE, Run, Trial, asked
from tests.support.hub import HubProcess
from tests.support.small_hosts import REST_S, RESTING_S, SmallHosts, give_past

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(3600)]

CANARIES, HOSTS = 2, 4
"""Of each roll-out. The other two are the peers of the canaries."""
RUN_S = 2400.0
FOUND_S = 480.0
"""Two witnesses stop a roll-out within eight minutes of the work."""
SPIN = "systemd-run -q --unit=spin sh -c 'while :; do :; done'"
LEAK = "systemd-run -q --unit=leak python3 -c 'import time; kept = []\nwhile True:\n    kept.append(b\"x\" * 1048576); time.sleep(5)'"
"""12 MB a minute: more than 2 % of the memory."""
SURGE = (
    "systemd-run -q --unit=surge python3 -c 'import time\nwhile True:\n    end = time.process_time() + 0.01\n"
    "    while time.process_time() < end: pass\n    time.sleep(0.1)'"
)
"""A third of what a host has."""
CACHE = """[Service]
ExecStart=/usr/bin/python3 -c 'import os, time; kept = []\\n\
for step in range(100):\\n    kept.append(b"x" * 1048576); time.sleep(step / 16 if os.path.exists("/srv/cold") else 0)\\n\
time.sleep(1e6)'
"""
"""A service that has 100 MB in memory; after its upgrade it fetches them again, in five minutes, slower and slower."""
COLD = "touch /srv/cold\nsystemctl restart cache.service\n"


def started(trials: list[Trial], name: str, **fields: Any) -> tuple[Run, list[Trial]]:
    """A roll-out whose canaries are watched, and they."""
    run = Run(trials, name, order={"canary": CANARIES}, **fields)
    run.start()
    run.begun()
    seen = run.targets()
    canaries = [one for one in trials if seen[one.node]["wave"] == 0]
    assert (len(canaries), run.accepted) == (CANARIES, set()), seen
    for one in canaries:
        run.until_target(one, "the canary is watched", step="watch")
    return run, canaries


def worse(run: Run, one: Trial, metric: str) -> Callable[[], bool]:
    def look() -> bool:
        return any((gate["gate"], gate["verdict"]) == (metric, "worse") for gate in run.target(one)["gates"])

    return look


def one_of_two_spins(trials: list[Trial]) -> None:
    run, [canary, other] = started(trials, "one spins")
    canary.host.sh(SPIN)
    run.wait(worse(run, canary, "cpu"), RUN_S, "the CPU of the canary is worse")
    row = run.row()
    assert row["hold_since"] is not None, row
    assert "nothing starts until this is clear" in row["words"] or row["state"] == "holding", row
    run.until_target(other, "the other canary passes", RUN_S, state="passed")
    for one in trials:
        if one not in (canary, other):
            assert run.target(one)["state"] == "pending", "one witness holds the next wave, also once the watch of the other is over"
            assert one.version(PACKAGE) == "ii 1.0"
    canary.host.sh("systemctl stop spin.service")
    goes_on(run, canary, other)
    assert run.target(canary)["state"] == "worse", "it stays marked"


def goes_on(run: Run, *canaries: Trial) -> None:
    """Wait until the next wave begins, and end the roll-out."""

    def look() -> bool:
        row, seen = run.row(), run.targets()
        assert row["state"] in ("running", "holding"), (row["words"], seen)
        return any(seen[one.node]["state"] not in ("pending", "held") for one in run.trials if one not in canaries)

    run.wait(look, RUN_S, "the next wave begins")
    run.first.call("POST", f"rollouts/{run.id}/stop")


def both_spin(trials: list[Trial]) -> None:
    run, canaries = started(trials, "both spin", watch_s=900)
    for one in canaries:
        one.host.sh(SPIN)
    stopped(run, canaries, "CPU")


def both_leak(trials: list[Trial]) -> None:
    run, canaries = started(trials, "both leak", watch_s=900)
    for one in canaries:
        one.host.sh(LEAK)
    stopped(run, canaries, "memory", 900.0)


def stopped(run: Run, canaries: Sequence[Trial], what: str, found_s: float = FOUND_S) -> None:
    """Check that two witnesses stop it, in their watch, and that nothing else was touched."""
    row = run.until("stopping", "stopped", "succeeded", "paused", limit_s=RUN_S)
    assert (row["state"], row["stopped_by"]) in (("stopping", "gate"), ("stopped", "gate")), (row["words"], run.targets())
    assert row["words"].startswith("2 nodes at once"), row["words"]
    assert what in row["words"], row["words"]
    watched = [run.target(one)["watched_s"] for one in canaries]
    print(f"{what}: stopped {watched} s after the work, {found_s:.0f} allowed")
    assert min(watched) <= found_s, watched
    run.untouched(*canaries)


def all_are_loaded_and_the_caches_of_the_canaries_fill_again(trials: list[Trial]) -> None:
    """The rise of the canaries is that of their peers, and memory that comes back to its old level is no leak."""
    run, canaries = started(trials, "surge", watch_s=360)
    for one in trials:
        one.host.sh(SURGE)
    held = set[str]()

    def look() -> bool:
        seen = [run.target(one) for one in canaries]
        held.update(gate["gate"] for one in seen for gate in one["gates"] if gate["verdict"] == "worse")
        return all(one["state"] not in ("pending", "held", "running") for one in seen)

    run.wait(look, RUN_S, "the canaries are watched")
    assert ([run.target(one)["state"] for one in canaries], held) == (["passed"] * CANARIES, set()), (run.row(), run.targets())
    goes_on(run, *canaries)


CASES: dict[str, Callable[[list[Trial]], None]] = {
    one.__name__: one for one in (one_of_two_spins, both_spin, both_leak, all_are_loaded_and_the_caches_of_the_canaries_fill_again)
}


def prepare(one: Trial, name: str) -> None:
    one.name = f"{name} {one.host.name}"
    if CASES[name] is all_are_loaded_and_the_caches_of_the_canaries_fill_again:
        one.put("/etc/systemd/system/cache.service", CACHE.encode())
        one.host.sh("systemctl daemon-reload; systemctl start cache.service")
        one.prepare(COLD)
    else:
        one.prepare()
    one.call("PATCH", f"nodes/{one.node}", {"tags": [f"role:{list(CASES).index(name)}"]})


@pytest.fixture(scope="module")
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """The roll-outs of the cases that are asked for, all under way, over hosts that have a past of two hours."""
    assert (reason := labs.unavailable()) is None, f"this test needs lab hosts, and {reason}"
    names = asked(request)
    with ExitStack() as ends:
        hub = ends.enter_context(HubProcess(tmp_path_factory.mktemp("load") / "hub"))
        hosts = labs.up(debian=HOSTS * len(names))
        ends.callback(labs.down)
        labs.program()  # once, before threads need it
        pool = ends.enter_context(ThreadPoolExecutor(len(names)))
        list(pool.map(lambda host: host.reset(), hosts))  # another test may have had them
        small = ends.enter_context(SmallHosts(hosts))
        trials = {name: [Trial(host, hub) for host in hosts[HOSTS * at : HOSTS * at + HOSTS]] for at, name in enumerate(names)}
        for done in [pool.submit(prepare, one, name) for name, ones in trials.items() for one in ones]:
            done.result()
        small.settle()
        time.sleep(REST_S + RESTING_S)
        assert hub.end() == 0
        print(give_past(hub.folder, [one.node for ones in trials.values() for one in ones]))
        hub.launch()
        for ones in trials.values():
            for one in ones:
                one.wait_online()
        yield {name: pool.submit(CASES[name], trials[name]) for name in names}


@pytest.mark.parametrize("name", CASES)
def test_load_of_one_holds_of_two_stops_and_of_all_stops_nothing(begun: dict[str, Future[None]], name: str) -> None:
    begun[name].result()
