"""A node is redeployed on a real host: it is the same node afterwards, or the server is unchanged."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from groundcontrol.deployments.model import INSTALL_STEPS
from spider.wire.ids import new_random_id
from tests.support.deploy_client import END_LIMIT_S, Desk, Look, step_of, told
from tests.support.eventually import wait_until
from tests.support.hub_faults import set_fault

pytestmark = pytest.mark.system


def installed(desk: Desk, **given: Any) -> str:
    row = desk.install("root", **given)
    assert row["state"] == "succeeded", told(row)
    node: str = row["node_id"]
    # A look at the server is compared with a later one: what Spider writes after its first session is there by then.
    own = "test -e /var/lib/stardust/spider/joined && test -e /var/lib/stardust/spider/spool/lock && echo there"
    wait_until(lambda: desk.host.sh(own, check=False) != "", what="Spider has written its own files")
    return node


def again(desk: Desk, node: str, body: dict[str, Any] | None = None) -> Any:
    """Order it, and wait for the end."""
    reply = desk.hub.local("POST", f"/api/v1/nodes/{node}/redeploy", body)
    assert reply.status == 202, reply.body
    assert (reply.json["kind"], reply.json["again"], reply.json["node_id"]) == ("install", True, node)
    return desk.end(reply.json["id"])


def samples(desk: Desk, node: str, start: float, end: float) -> list[float]:
    """When there are values."""
    reply = desk.hub.local("GET", f"/api/v1/nodes/{node}/history?metric=load.1&from={start}&to={end}&points=4000")
    assert reply.status == 200, reply.body
    series = reply.json["series"]["load.1"]["avg"]
    return [at for at, value in zip(reply.json["times"], series, strict=True) if value is not None]


def wait_samples(desk: Desk, node: str, start: float) -> list[float]:
    return wait_until(lambda: samples(desk, node, start, start + END_LIMIT_S), END_LIMIT_S)


def wait_state(desk: Desk, node: str, state: str) -> None:
    wait_until(lambda: desk.hub.node(node)["state"] == state, END_LIMIT_S)


PLACES = [f"step.{step}.{place}" for step in INSTALL_STEPS for place in ("begun", "done", "told")]
LEFT = (
    "ls -d /opt/stardust.before /etc/stardust.before* /var/lib/stardust/before /etc/systemd/system/stardust-rollback.*"
    " /tmp/stardust-upload.* 2>/dev/null || true"
)
"""What of an unfinished deployment is still there."""

BROKEN = {
    "bundle": "truncate -s 1000 /opt/stardust/current/spider.pyz; systemctl restart stardust-spider.service || true",
    "files": "systemctl stop stardust-spider.service; rm -rf /opt/stardust /etc/stardust/session.key /etc/stardust/spider.conf",
    "all": "systemctl disable -q --now stardust-spider.service stardust-launcher.socket; userdel stardust;"
    " rm -rf /opt/stardust /etc/stardust /var/lib/stardust /etc/systemd/system/stardust-*; systemctl daemon-reload",
}


@pytest.mark.holds("SAFETY-67")
@pytest.mark.parametrize("broken", [pytest.param(name, marks=() if name == "bundle" else pytest.mark.slow) for name in BROKEN])
def test_a_node_with_a_broken_spider_is_redeployed_as_the_same_node_without_its_kept_credentials_and_never_as_another(
    desk: Desk, broken: str
) -> None:
    look = Look(desk)
    began = time.time()
    node = installed(desk, tags=["web"])
    owner = "printf '[policy]\\nversion = 1\\nmode = managed\\nverbs = refresh, uninstall\\n' > /etc/stardust/policy.conf"
    desk.host.sh(f"{owner}; echo kept > /var/lib/stardust/started/kept")
    before = wait_samples(desk, node, began)
    wait_until(
        lambda: sorted(desk.hub.node(node)["policy"]["verbs"]) == ["refresh", "uninstall"], what="the hub knows what the owner allows"
    )
    desk.host.sh(BROKEN[broken])
    wait_state(desk, node, "offline")
    broke = time.time()

    assert desk.hub.node(node)["credentials_kept"]
    row = again(desk, node, {"keep_credentials": False})
    assert row["state"] == "succeeded", told(row)
    assert [step["state"] for step in row["steps"]] == ["done"] * 9
    assert "destroyed" in step_of(row, "verify")["detail"]
    assert not desk.hub.node(node)["credentials_kept"]
    entries = desk.hub.local("GET", "/api/v1/audit?limit=100").json["audit"]
    assert [entry["action"] for entry in entries if entry["target"] == node].count("credential.shred") == 1
    (found,) = desk.nodes()
    assert (found["id"], found["name"], found["tags"], found["state"]) == (node, f"lab {desk.host.name}", ["web"], "online")
    after = wait_samples(desk, node, broke)
    assert max(before) < min(after)
    assert set(before) <= set(samples(desk, node, began, broke))
    # What the owner allows and what was run stay, wherever they were still to be found.
    assert sorted(desk.hub.node(node)["policy"]["verbs"]) == ["refresh", "uninstall"]
    assert desk.host.sh("cat /var/lib/stardust/started/kept 2>/dev/null || true").strip() == ("" if broken == "all" else "kept")
    assert desk.host.sh("ls -d /opt/stardust.before /etc/stardust.before* /var/lib/stardust/before 2>/dev/null || true") == ""
    assert "again" not in desk.host.sh("cat /var/lib/stardust/installed")

    given = desk.body("root", host_key=None, name=None)
    (other,) = desk.hub.enrol("another")
    desk.host.sh(f"sed -i 's/^id = .*/id = {other.node_id}/' /etc/stardust/spider.conf")
    row = again(desk, node, given)
    assert (row["state"], row["error"]["code"], row["node_id"]) == ("failed", "already_installed", node), told(row)
    desk.host.sh(f"sed -i 's/^id = .*/id = {node}/' /etc/stardust/spider.conf")
    assert desk.remove(node, given)["state"] == "succeeded"
    look.check_unchanged()


@pytest.mark.slow  # above, that of another node of the hub is left alone
def test_an_installation_of_another_hub_is_replaced(desk: Desk) -> None:
    look = Look(desk)
    node = installed(desk)
    desk.host.sh(f"sed -i 's/^fleet = .*/fleet = {new_random_id()}/; s/^id = .*/id = {new_random_id()}/' /etc/stardust/spider.conf")
    desk.host.sh(
        "systemctl restart stardust-spider.service; echo foreign | tee /var/lib/stardust/started/foreign /etc/stardust/former.keys"
    )
    row = again(desk, node)
    assert row["state"] == "succeeded", told(row)
    assert step_of(row, "probe")["detail"].endswith("in the place of an agent of another hub")
    assert desk.host.sh("ls /var/lib/stardust/started") == ""
    assert "former.keys" not in desk.host.sh("ls /etc/stardust")
    assert desk.hub.node(node)["state"] == "online"
    assert desk.remove(node)["state"] == "succeeded"
    look.check_unchanged()


FULL = """
cp -a /var/lib/stardust /root/kept
mount -t tmpfs -o nr_inodes=300,mode=0755 tmpfs /var/lib/stardust
cp -a /root/kept/. /var/lib/stardust/
at=0; mkdir /var/lib/stardust/started/fill
while touch /var/lib/stardust/started/fill/$at 2>/dev/null; do at=$((at + 1)); done
"""
"""No file more goes into a folder that a look at the server does not ask about: it is as if it had filled just after that look."""


@pytest.mark.slow  # test_owners_policy has a redeployment that fails later and is taken back, test_deploy an upload that fails
@pytest.mark.holds("F-23")
@pytest.mark.parametrize("free", [0, 1])
def test_a_redeploy_on_a_full_disk_leaves_everything_as_before(desk: Desk, free: int) -> None:
    node = installed(desk)
    desk.spoil(FULL + f"[ {free} = 0 ] || rm /var/lib/stardust/started/fill/0")
    look = Look(desk)
    row = again(desk, node)
    assert (row["state"], row["error"]["code"], row["error"]["step"]) == ("failed", "install_failed", "upload"), told(row)
    assert "taken back" not in row["error"]["message"]
    assert "everything was taken back" in step_of(row, "upload")["detail"]
    look.check_unchanged()
    assert desk.hub.node(node)["state"] == "online"


@pytest.mark.slow  # test_owners_policy kills the hub when its files are installed
@pytest.mark.parametrize("place", PLACES)
def test_a_node_can_be_redeployed_after_a_kill_of_the_hub_at_any_step(desk: Desk, place: str) -> None:
    bare = Look(desk)
    node = installed(desk)
    look = Look(desk)
    set_fault(desk.hub, "killable", f"{place} 1")
    reply = desk.hub.local("POST", f"/api/v1/nodes/{node}/redeploy")
    assert reply.status == 202, reply.body
    assert desk.hub.outlive(END_LIMIT_S) == -signal.SIGKILL
    desk.hub.launch()
    row = desk.end(reply.json["id"])
    stands = place == "step.verify.told"
    assert (row["state"], row["node_id"]) == ("succeeded" if stands else "failed", node), row
    # The server does it by itself once its time is over; here that is now.
    desk.host.sh("[ ! -e /etc/systemd/system/stardust-rollback.service ] || systemctl start stardust-rollback.service")
    wait_state(desk, node, "online")
    assert desk.host.sh(LEFT) == ""
    if place.split(".")[1] not in ("start", "verify"):  # from then on the new one may stay
        # The hub may still list the session from before the restart that takes the server back.
        wait_until(lambda: not look.changes(), END_LIMIT_S, lambda: told(look.changes()))
        look.check_unchanged()
    row = again(desk, node) if stands else desk.retry(row["id"])
    assert row["state"] == "succeeded", told(row)
    assert [one["id"] for one in desk.nodes()] == [node]
    assert desk.host.sh(LEFT) == ""
    assert desk.remove(node)["state"] == "succeeded"
    bare.check_unchanged()
