"""Every distribution of the lab: deployed through sudo, used, updated, and removed without a trace; or unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import lab as labs
from tests.support.bundles import bundle_of
from tests.support.deploy_client import SUDO, Desk, Look, failed, step_of, succeeded
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.spider_updates import end as update_to_end
from tests.support.spider_updates import ship

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
]  # test_deploy, test_removal and test_updates have it on Debian, test_packages_rpm dnf and zypper

FLAVOURS = ("debian-old", "debian-new", "rocky-like", "fedora-like", "dnf5-like", "suse-like", "arch-like")
FOLDER = "/etc/systemd/system/stardust-spider.service.d"


@pytest.fixture(scope="module", params=FLAVOURS)
def shared_desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with labs.one(request.param) as host, Desk(HubProcess(tmp_path_factory.mktemp(request.param) / "hub"), host) as desk:
        yield desk


def test_each_kind_of_server_is_unchanged_after_installation_and_removal(desk: Desk) -> None:
    look = Look(desk)
    row = succeeded(desk.install("admin", sudo_password=SUDO))
    told = step_of(row, "probe")["detail"]
    assert desk.host.sh(". /etc/os-release; echo $PRETTY_NAME").strip() in told, told
    succeeded(desk.remove(row["node_id"]))
    look.check_unchanged()


@pytest.mark.holds("SAFETY-69")
def test_a_failed_start_leaves_each_kind_of_server_unchanged(desk: Desk) -> None:
    desk.spoil(f"mkdir -p {FOLDER} && printf '[Service]\\nExecStart=\\nExecStart=/no/such\\n' >{FOLDER}/x.conf")
    look = Look(desk)
    failed(desk.install("ops"), "start_failed", "start")
    look.check_unchanged()


def test_jobs_run_on_a_server_of_each_kind_and_it_is_removed_by_its_own_connection(desk: Desk) -> None:
    before = desk.host.sh("systemctl list-units --all --no-legend --plain 'stardust*'; getent passwd")
    node = succeeded(desk.install("ops", keep_credentials=False))["node_id"]
    wait_until(lambda: desk.hub.node(node)["policy"] is not None, what="the node has told its policy")
    reply = desk.hub.local("POST", f"/api/v1/nodes/{node}/jobs", {"action": "check"})
    assert reply.status == 202, reply.body
    wait_until(lambda: desk.hub.job(reply.json["id"])["ended_at"], what="the job has ended")
    assert desk.hub.job(reply.json["id"])["state"] == "succeeded", desk.hub.job(reply.json["id"])

    row = desk.remove(node)
    assert row["state"] == "succeeded", row
    assert desk.nodes() == []
    desk.until_over()
    assert desk.host.sh("find / -xdev -iname '*stardust*' -not -path '/var/log/*' -not -path '/proc/*' 2>/dev/null || true") == ""
    assert desk.host.sh("systemctl list-units --all --no-legend --plain 'stardust*'; getent passwd") == before


def test_an_update_stays_and_a_broken_one_is_taken_back_on_a_server_of_each_kind(desk: Desk, tmp_path: Path) -> None:
    node = succeeded(desk.install("ops"))["node_id"]
    version = "0.1.1"
    ship(desk, bundle_of(tmp_path, version))
    row = update_to_end(desk)
    assert (row["state"], desk.hub.node(node)["agent_version"]) == ("succeeded", version), row
    ship(desk, bundle_of(tmp_path, "0.1.2", fault="raise SystemExit(9)"))
    row = update_to_end(desk)
    assert (row["state"], row["error"]["code"]) == ("failed", "job.update_taken_back"), row
    assert (desk.hub.node(node)["agent_version"], desk.hub.node(node)["state"]) == (version, "online")
