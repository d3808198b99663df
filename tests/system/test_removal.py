"""Removals from a real host by a real hub and by root: through SSH or the session, with a running job, and after interruptions."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.deployments.model import LIVE_REMOVE_STEPS
from tests.support.deploy_client import END_LIMIT_S, Desk, Look, failed, step_of, succeeded
from tests.support.eventually import wait_until
from tests.support.lab import ROOT

pytestmark = pytest.mark.system


@pytest.mark.slow  # below, root uninstalls and the hub is told; tests/unit/spider/test_uninstall.py has how often it is tried
def test_root_can_uninstall_while_the_hub_is_away(desk: Desk) -> None:
    look = Look(desk)
    node = succeeded(desk.install("root"))["node_id"]
    desk.hub.slay()
    done = desk.host.run("/opt/stardust/stardust-spider", "uninstall")
    assert "could not be told" in done.stdout
    look.check_unchanged()
    desk.hub.launch()
    assert [one["id"] for one in desk.nodes()] == [node]


LONG = "/run/systemd/system/stardust-job@.service.d"
"""Lets each job run for ten minutes."""


def check_running_job(desk: Desk, node: str) -> None:
    """A server with a running job is not removed."""
    unit, given = "stardust-job@01j9zzzzzzzzzzzzzzzzzzzzzz.service", {"private_key": desk.host.private_key()}
    desk.host.sh(f"mkdir -p {LONG} && printf '[Service]\\nExecStart=\\nExecStart=/bin/sleep 600\\n' > {LONG}/long.conf")
    desk.host.sh(f"systemctl daemon-reload && systemctl start {unit}")
    failed(desk.remove(node, given), "job_running", "stop")
    assert desk.nodes()[0]["state"] == "online"
    desk.host.sh(f"systemctl kill -s KILL {unit}; rm -r {LONG}; systemctl daemon-reload")


@pytest.mark.holds("S-43")
def test_a_node_without_stored_credentials_is_removed_through_its_session_once_no_job_runs(desk: Desk) -> None:
    look = Look(desk)
    node = succeeded(desk.install("root", keep_credentials=False))["node_id"]
    assert desk.nodes()[0]["credentials_kept"] is False
    check_running_job(desk, node)
    set_policy(desk, node, "mode = managed\\nverbs = refresh, upgrade, update")
    refused = desk.hub.local("DELETE", f"/api/v1/nodes/{node}")
    assert (refused.status, refused.json["code"]) == (409, "credentials_required")
    assert "policy.conf" in refused.json["detail"]
    set_policy(desk, node, "mode = managed\\nverbs = refresh, uninstall")
    assert desk.hub.node(node)["units"] == "current"
    row = succeeded(desk.remove(node))
    assert [(step["name"], step["state"]) for step in row["steps"]] == [(name, "done") for name in LIVE_REMOVE_STEPS]
    assert step_of(row, "verify")["detail"] == "nothing of Stardust is left on the server, says root there"
    assert desk.nodes() == []
    audit = {entry["action"] for entry in desk.hub.local("GET", "/api/v1/audit?limit=20").json["audit"]}
    assert {"job.create", "node.delete", "deployment.succeeded"} <= audit
    desk.until_over()
    look.check_unchanged()


def set_policy(desk: Desk, node: str, lines: str) -> None:
    """The node's owner writes another policy; returns once the hub has heard of it."""

    def verbs() -> Any:
        policy = desk.hub.node(node)["policy"]
        return policy and policy["verbs"]

    desk.host.sh(f"printf '[policy]\\nversion = 1\\n{lines}\\n' > /etc/stardust/policy.conf")
    wanted = sorted(lines.rpartition("= ")[2].split(", "))
    wait_until(lambda: sorted(verbs() or ()) == wanted, END_LIMIT_S)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["ordered", "taken"])
def test_a_hub_killed_during_a_removal_finds_its_result(desk: Desk, moment: str) -> None:
    look = Look(desk)
    node = desk.install("root", keep_credentials=False)["node_id"]
    reply = desk.hub.local("DELETE", f"/api/v1/nodes/{node}")
    assert reply.status == 202, reply.body
    if moment == "taken":
        desk.until(reply.json["id"], lambda row: step_of(row, "connect")["state"] == "done")
    desk.hub.slay()
    if moment == "taken":
        wait_until(lambda: not desk.host.sh("ls -d /opt/stardust /etc/stardust 2>/dev/null || true"), END_LIMIT_S)
    desk.hub.launch()
    row = desk.end(reply.json["id"])
    assert row["state"] == "succeeded", row
    assert desk.nodes() == []
    desk.until_over()
    look.check_unchanged()


def test_an_uninstall_by_root_removes_everything_and_notifies_the_hub(desk: Desk) -> None:
    look = Look(desk)
    node = succeeded(desk.install("root"))["node_id"]
    assert f"node lab {desk.host.name}" in failed(desk.install("root", name="twice"), "already_installed", "probe")
    refused = desk.host.run("setpriv", "--reuid=65534", "--clear-groups", "stardust-spider", "uninstall", check=False)
    assert (refused.returncode, "sudo" in refused.stderr) == (77, True)
    done = desk.host.run("stardust-spider", "uninstall")
    assert done.stdout.splitlines()[-1] == "Nothing of Stardust is left on this server, and its hub has forgotten it."
    assert desk.nodes() == []
    events = desk.hub.local("GET", "/api/v1/events?limit=10").json["events"]
    assert any(event["type"] == "node_uninstalled" for event in events)
    audit = desk.hub.local("GET", "/api/v1/audit?limit=20").json["audit"]
    assert next(row["actor"] for row in audit if row["action"] == "node.delete") == f"node:{node}"
    look.check_unchanged()


@pytest.mark.slow
def test_an_interrupted_removal_is_cleaned_up_by_adding_the_server_again(desk: Desk) -> None:
    look = Look(desk)
    succeeded(desk.install("root"))
    script = (ROOT / "majortom/remote/lifecycle.sh").read_text()
    cut = script.replace('    rm -rf -- /run/stardust /run/stardust-spider "$OPT"\n    drop_links\n', "    kill -9 $$\n", 1)
    assert cut != script
    assert desk.host.run("/bin/sh", "-s", "remove", stdin=cut, check=False).returncode != 0
    assert desk.host.sh("ls -d /opt/stardust /etc/stardust/spider.conf 2>/dev/null || true").split() == ["/opt/stardust"]
    (node,) = desk.nodes()
    assert desk.hub.local("DELETE", f"/api/v1/nodes/{node['id']}?force=true").status == 202

    row = succeeded(desk.install("root"))
    succeeded(desk.remove(row["node_id"]))
    look.check_unchanged()
