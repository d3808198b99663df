"""Roll-outs over real hosts with real apt: all good over a killed hub; a canary that breaks stops it; repaired, the rest follows.

The hub watches for a share of the usual time (fault `quick-watch`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployed_host import DeployedHost
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.lab import Host

pytestmark = [pytest.mark.system, pytest.mark.slow]

PATIENCE_S = 500.0
HISTORY_S = 300.0
"""The gates of CPU and memory compare with samples from before the work: a younger host holds."""
POLL_S = 0.5
"""A user may make 20 such calls a second."""
ENDED = ("succeeded", "stopped", "cancelled", "expired", "failed")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path / "hub", faults=("quick-watch=0.02",)) as process:
        yield process


@pytest.fixture
def pair(host: Host, second_host: Host, hub: HubProcess) -> list[DeployedHost]:
    """Two hosts in factory state, each with a package whose upgrade fails while /srv/broken exists."""
    hosts = [DeployedHost(host, hub), DeployedHost(second_host, hub)]
    for one in hosts:
        one.offer("lab-app", "#!/bin/sh\nset -e\nif test -e /srv/broken; then echo 'lab-app: cannot migrate' >&2; exit 1; fi\n")
        one.deploy()
    return hosts


def ended(on: DeployedHost, rollout: str) -> Any:
    def look() -> Any:
        row = on.call("GET", f"rollouts/{rollout}")
        return row if row["state"] in ENDED else None

    return wait_until(look, PATIENCE_S, what=f"the roll-out {rollout} ends", poll_s=POLL_S)


def targets(on: DeployedHost, rollout: str) -> dict[str, Any]:
    return {row["node_id"]: row for row in on.call("GET", f"rollouts/{rollout}/targets")["targets"]}


def start(on: DeployedHost, rollout: str, count: int) -> None:
    row = wait_until(
        lambda: (row := on.call("GET", f"rollouts/{rollout}"))["state"] != "planning" and row,
        PATIENCE_S,
        what="the roll-out is planned",
        poll_s=POLL_S,
    )
    assert (row["state"], row["confirm"]) == ("ready", count), (row, targets(on, rollout))
    on.call("POST", f"rollouts/{rollout}/start", {"confirm": count, "version": row["version"]})


def known_updates(pair: list[DeployedHost]) -> None:
    for one in pair:
        one.wait_row(one.submit("check"))
    wait_until(
        lambda: any(item["package"] == "lab-app" and item["nodes"] == 2 for item in pair[0].call("GET", "updates")["packages"]),
        PATIENCE_S, what="both nodes have told of the update", poll_s=1.0,
    )  # fmt: skip


@pytest.mark.timeout(1800)
@pytest.mark.holds("SAFETY-105", "SAFETY-106")
def test_a_broken_canary_stops_and_after_the_repair_the_rest_follows_over_a_killed_hub(pair: list[DeployedHost], hub: HubProcess) -> None:
    first = pair[0]
    known_updates(pair)
    time.sleep(HISTORY_S)
    for one in pair:
        one.host.sh("touch /srv/broken")
    body = {"name": "shop", "action": "upgrade", "packages": ["lab-app"], "select": {"all": True}, "watch_s": 300}
    made = first.call("POST", "rollouts", body)
    start(first, made["id"], 2)
    row = ended(first, made["id"])
    assert (row["state"], row["stopped_by"], row["targets"]["failed"], row["targets"]["not_started"]) == ("stopped", "gate", 1, 1), row
    [failed] = [one for one in pair if targets(first, made["id"])[one.node]["state"] == "failed"]
    [untouched] = [one for one in pair if one is not failed]
    assert untouched.version("lab-app") == "ii 1.0"
    assert "lab-app" in row["words"] or "failed" in row["words"], row["words"]
    events = [event["type"] for event in first.call("GET", "events?limit=200")["events"]]
    assert {"rollout_started", "rollout_stopped", "patch_report"} <= set(events)

    # repaired: the rest is planned anew, confirmed, and goes on over a hub that is killed
    for one in pair:
        one.host.sh("rm /srv/broken; dpkg --configure -a >/dev/null 2>&1 || true")
        one.wait_row(one.submit("check"))
    rest = first.call("POST", f"rollouts/{made['id']}/retry-rest")
    assert rest["parent_id"] == made["id"]
    wait_until(
        lambda: first.call("GET", f"rollouts/{rest['id']}")["state"] == "ready", PATIENCE_S, what="the rest is planned", poll_s=POLL_S
    )
    ready = first.call("GET", f"rollouts/{rest['id']}")
    first.call("POST", f"rollouts/{rest['id']}/start", {"confirm": ready["confirm"], "version": ready["version"]})
    wait_until(lambda: first.call("GET", f"rollouts/{rest['id']}")["targets"]["running"], PATIENCE_S, what="a target runs", poll_s=POLL_S)
    hub.slay()
    hub.launch()
    for one in pair:
        one.token = first.hub.login().token
    row = ended(first, rest["id"])
    told = [(one["name"], one["state"], one["words"], one["gates"]) for one in targets(first, rest["id"]).values()]
    assert row["state"] == "succeeded", (row["words"], told)
    assert {one.version("lab-app") for one in pair} == {"ii 2.0"}
    jobs = [job for job in first.call("GET", "jobs?limit=200")["jobs"] if job["action"] == "upgrade"]
    for one in pair:
        assert len([job for job in jobs if job["node_id"] == one.node]) <= 2, "R1: one patch job for each roll-out"
