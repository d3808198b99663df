"""New versions of Spider on a real host, through its live session: a working one, beside a job. test_owners_policy has a broken one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agent_host import AgentHost
from tests.support.bundles import bundle_of, shipped_version
from tests.support.deploy_client import Desk, any_host, step_of
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.spider_updates import END_LIMIT_S, end, ended, installed, ship, update

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A hub with one node, which every test leaves connected."""
    host = any_host(lambda: request.getfixturevalue("lab_hosts")[0])
    with Desk(HubProcess(tmp_path_factory.mktemp("updates") / "hub"), host) as desk:
        desk.freshen()
        assert desk.install("root")["state"] == "succeeded"
        yield desk


def policy(desk: Desk) -> str:
    """The owner's file, and whether it is still the same one."""
    return desk.host.sh("stat -c '%i %Y %a %u' /etc/stardust/policy.conf; cat /etc/stardust/policy.conf")


@pytest.mark.holds("F-05", "SAFETY-59", "SAFETY-101")
def test_an_update_waits_for_the_running_job_and_is_verified(desk: Desk, tmp_path: Path) -> None:
    ship(desk, bundle_of(tmp_path, "0.1.1"))
    (node,) = desk.nodes()
    agent = AgentHost(desk.host)
    agent.hold_scripts()
    job = desk.hub.local("POST", f"/api/v1/nodes/{node['id']}/jobs", {"action": "upgrade", "packages": ["lab-slow"]})
    assert job.status == 202, job.body
    wait_until(lambda: b"step 1/" in desk.hub.job_output(job.json["id"]), what="the job is in its middle", limit_s=END_LIMIT_S)
    owners = policy(desk)
    row = update(desk)
    wait_until(lambda: step_of(desk.get(row["id"]), "wait")["state"] == "running", what="the update waits", limit_s=END_LIMIT_S)
    agent.release_scripts()
    row = ended(desk, row)
    done = desk.hub.job(job.json["id"])
    assert (done["state"], [change["to"] for change in done["changes"]]) == ("succeeded", ["2.0"]), done
    assert row["state"] == "succeeded", row
    assert step_of(row, "install")["started_at"] >= done["ended_at"] - 1
    (node,) = desk.nodes()
    assert (node["agent_version"], node["state"]) == ("0.1.1", "online")
    assert installed(desk) == ["0.1.1", f"/opt/stardust/{shipped_version()}/", "/opt/stardust/0.1.1/", "/opt/stardust/current/", "0"]
    assert policy(desk) == owners


@pytest.mark.slow  # other removals are compared with the server before, with one version
@pytest.mark.holds("SAFETY-60")
def test_a_removal_deletes_every_version(desk: Desk) -> None:
    assert end(desk)["state"] == "succeeded"  # it runs this very version: nothing is restarted
    (node,) = desk.nodes()
    assert desk.remove(node["id"])["state"] == "succeeded"
    assert desk.host.sh("ls -d /opt/stardust /var/lib/stardust /etc/systemd/system/stardust* 2>/dev/null || true") == ""
