"""The hub's machine is lost: a new hub made from the printed key alone has its servers again, and they run its orders."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import WITH_SECRET, stardust
from tests.support.deploy_client import Desk, Look, succeeded, told
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.lab import Host

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(1200)]

ELEVEN_MINUTES_S = 660.0


def job(hub: HubProcess, path: str, body: dict[str, Any] | None = None) -> Any:
    """Order a job and wait for its end."""
    reply = hub.local("POST", f"/api/v1/nodes/{path}", body)
    assert reply.status == 202, reply.body
    wait_until(lambda: hub.job(reply.json["id"])["ended_at"], what="the job has ended", limit_s=120)
    return hub.job(reply.json["id"])


def told_its_policy(hub: HubProcess, node: str) -> None:
    wait_until(lambda: hub.node(node)["policy"], what="the node has told its policy")


def rekey(hub: HubProcess, node: str) -> None:
    """Give a node new keys. Orders right afterwards are carried out under them, although Spider takes some seconds to come back."""
    generation = hub.node(node)["keys_generation"]
    assert job(hub, f"{node}/rekey")["state"] == "succeeded"
    for _ in range(2):
        done = job(hub, f"{node}/jobs", {"action": "check"})
        assert done["state"] == "succeeded", done
    assert (hub.node(node)["keys_generation"], hub.node(node)["state"]) == (generation + 1, "online")


@pytest.mark.holds("SAFETY-51")
def test_a_hub_rebuilt_from_its_recovery_key_gets_its_nodes_back(lab_hosts: list[Host], tmp_path: Path) -> None:
    hosts = lab_hosts[:2]
    for host in hosts:
        host.reset()
    with HubProcess(tmp_path / "hub") as hub:
        desks = [Desk(hub, host) for host in hosts]
        looks = [Look(desk) for desk in desks]
        nodes = [succeeded(desk.install("root"))["node_id"] for desk in desks]
        for node in nodes:
            told_its_policy(hub, node)
        rekey(hub, nodes[0])  # one of them has keys of a later generation
        owners = "stat -c '%i %Y %a %u' /etc/stardust/policy.conf; cat /etc/stardust/policy.conf"
        policies = [host.sh(owners) for host in hosts]
        key = stardust(hub.folder, "recovery", "print", env=WITH_SECRET).stdout.strip()

        hub.slay()
        shutil.rmtree(hub.folder)
        stardust(hub.folder, "recovery", "restore", given=key + "\n", env=WITH_SECRET)
        hub.launch()
        wait_until(
            lambda: (
                sorted(row["id"] for row in desks[0].nodes() if row["state"] == "online" and hub.node(row["id"])["policy"]) == sorted(nodes)
            ),
            what="all servers are back",
            limit_s=ELEVEN_MINUTES_S,
        )
        for node in nodes:
            assert job(hub, f"{node}/jobs", {"action": "check"})["state"] == "succeeded"
        assert [host.sh(owners) for host in hosts] == policies
        rekey(hub, nodes[1])
        kept = [line.partition(" until ")[0] for line in hosts[1].sh("stardust-spider keys").splitlines()]
        assert kept == ["generation 2 is in use", "generation 1 is kept"]
        assert hosts[1].sh("stat -c '%a %U' /etc/stardust/former.keys /var/lib/stardust/started").split("\n")[:2] == [
            "600 root",
            "700 root",
        ]
        assert "forgotten" in hosts[0].sh("stardust-spider orders reset")
        assert "generation 1 are in use" in hosts[0].sh("stardust-spider keys restore")
        wait_until(
            lambda: hub.node(nodes[0])["state"] == "offline", what="the hub has seen later keys, and takes no former ones", limit_s=90
        )
        hosts[0].sh("stardust-spider keys restore 2")
        wait_until(lambda: hub.node(nodes[0])["state"] == "online", what="it is back with the later ones", limit_s=90)
        for desk, look, node in zip(desks, looks, nodes, strict=True):
            removed = desk.remove(node)  # nothing is known of any log-in: by its own connection
            assert removed["state"] == "succeeded", told(removed)
            desk.until_over()
            assert [line for line in look.changes() if "/var/lib/apt" not in line and "/var/cache/apt" not in line] == []
        assert desks[0].nodes() == []
