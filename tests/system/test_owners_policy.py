"""The owner's policy file on a real host: whatever the hub, its users or a backup do, it is byte-equal afterwards.

Only who proves root in a call, and has seen the difference, writes another one. Each attack is a test; they share one installed node.
"""

from __future__ import annotations

import contextlib
import http.client
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import bundle_of, shipped_version
from tests.support.command import WITH_SECRET, stardust
from tests.support.deploy_client import END_LIMIT_S, Desk, Look, told
from tests.support.eventually import wait_until
from tests.support.hub_faults import set_fault
from tests.support.join_host import invited, until_online
from tests.support.spider_updates import end, installed, relaunch, ship

pytestmark = pytest.mark.system

POLICY = "/etc/stardust/policy.conf"
OWNERS = "# mine, not the hub's\n[policy]\nversion = 1\nmode = readonly\nverbs = refresh, uninstall\n"
UPDATABLE = "# mine, not the hub's\n[policy]\nversion = 1\nmode = managed\nverbs = refresh, update, uninstall\n"
KILLABLE = ("killable",)
WIDER = {"policy": "managed", "units": ["cron.service"], "journal": "all", "events": ["backup"]}
PREPARE = """
cp -p /root/.ssh/authorized_keys /root/keys-before
cat >> /root/.ssh/authorized_keys
mkdir -p /etc/stardust/actions.d
echo '#!/bin/sh' > /etc/stardust/actions.d/drain
chmod 0755 /etc/stardust/actions.d/drain
"""


class Owned:
    """A host with one node, on which the owner has written the policy file."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.is_ready = False
        self._written = ""
        self._ships_another = False
        self.backup = desk.hub.folder.parent / "while-managed.stardust-backup"

    def begin(self) -> None:
        """Install the node as managed, keep backups of that time, and let the owner write the file. Does nothing if a test left it so."""
        if self.is_ready:
            return
        desk = self.desk
        if self._ships_another:
            relaunch(desk, None, faults=KILLABLE)
        desk.freshen()
        self.look = Look(desk)
        row = desk.install("root", tags=["web"], policy="managed")
        assert row["state"] == "succeeded", told(row)
        if desk.hub.local("GET", "/api/v1/hub-key").json["key"] is None:
            assert desk.hub.local("POST", "/api/v1/hub-key").status == 201
        key = desk.hub.local("GET", "/api/v1/hub-key").json["key"]["authorized_keys"]
        self.backup.unlink(missing_ok=True)
        stardust(desk.hub.folder, "backup", str(self.backup))
        desk.host.sh("tar -C / -cf /root/agent.tar opt/stardust var/lib/stardust")
        desk.host.run("/bin/sh", "-euc", PREPARE, stdin=key + "\n")
        self.write(OWNERS)
        self.is_ready = True

    def write(self, text: str) -> None:
        """Write the file as its owner does."""
        self.desk.host.run("/bin/sh", "-euc", f"cat > {POLICY}; chmod 0644 {POLICY}", stdin=text)
        self._written = self._read()

    def ship(self, bundle: Path | None) -> None:
        """Restart the hub with another version of Spider to ship (None: its own), and wait until it knows what the owner allows."""
        self._ships_another = bundle is not None
        ship(self.desk, bundle, faults=KILLABLE)
        wait_until(lambda: "update" in ((self.desk.hub.node(self.node)["policy"] or {}).get("verbs") or ()), what="it may be updated")

    @property
    def node(self) -> str:
        (found,) = self.desk.nodes()
        node: str = found["id"]
        return node

    def _read(self) -> str:
        """The bytes of the file and of the owner's programs, and what changes when somebody replaces the file."""
        return self.desk.host.sh(f"stat -c '%i %Y %a %u' {POLICY}; cat {POLICY} /etc/stardust/actions.d/drain")

    def check_untouched(self) -> None:
        assert self._read() == self._written

    @contextlib.contextmanager
    def untouched(self, mode: str = "readonly") -> Iterator[None]:
        """Check that a block leaves file and programs as they were, and the node connected. Args: mode: of the file."""
        self.is_ready = False
        self.check_untouched()
        yield
        until_online(self.desk.hub, self.node)
        self.check_untouched()
        wait_until(lambda: self.told_mode() == mode, what="the hub knows what the owner allows")
        self.is_ready = True

    def told_mode(self) -> Any:
        return (self.desk.hub.node(self.node)["policy"] or {}).get("mode")

    def again(self, body: dict[str, Any] | None = None, token: str | None = None) -> Any:
        path, hub = f"/api/v1/nodes/{self.node}/redeploy", self.desk.hub
        return hub.local("POST", path, body) if token is None else hub.request("POST", path, body, token=token)

    def redeploy(self, body: dict[str, Any] | None = None) -> Any:
        """Redeploy, and wait for the end."""
        reply = self.again(body)
        assert reply.status == 202, reply.body
        return self.desk.end(reply.json["id"])

    def typed(self, **given: Any) -> dict[str, Any]:
        """A wish for more, with everything that proves root."""
        host = self.desk.host
        login = {"host": host.address, "port": host.port, "host_key": self.desk.fingerprint()}
        return {**WIDER, **login, "username": "root", "private_key": host.private_key(), **given}

    def operator(self) -> str:
        """A logged-in operator who is limited to the nodes with a tag."""
        hub, new = self.desk.hub, "operators own long password"
        made = hub.local("POST", "/api/v1/users", {"username": "ops", "role": "operator", "grants": {"tags": ["web"]}})
        assert made.status == 201, made.body
        token = hub.login("ops", made.json["password"]).token
        changed = hub.request("POST", "/api/v1/auth/password", {"current": made.json["password"], "new": new}, token=token)
        assert changed.status in (200, 204), changed.body
        return hub.login("ops", new).token


@pytest.fixture(scope="module")
def shared_owned(shared_desk: Desk) -> Owned:
    return Owned(shared_desk)


@pytest.fixture
def owned(shared_owned: Owned) -> Owned:
    """With a connected node, and the file as its owner wrote it."""
    shared_owned.begin()
    return shared_owned


def refuses_each_wish(owned: Owned, token: str | None) -> None:
    for body in (WIDER, {"policy": "managed"}, {"units": ["*"]}, {**WIDER, "use_hub_key": True}, {**WIDER, "sudo_password": "x"}):
        refused = owned.again(body, token)
        expected = "auth.forbidden" if token and "use_hub_key" in body else "credentials_required"
        assert refused.json["code"] == expected, refused.body


@pytest.mark.holds("SAFETY-56", "SAFETY-101", "S-50")
def test_operators_and_admins_with_kept_credentials_or_the_hubs_own_key_change_no_byte_of_the_owners_policy(owned: Owned) -> None:
    with owned.untouched():
        refuses_each_wish(owned, owned.operator())
        refuses_each_wish(owned, None)
        assert owned.redeploy({"use_hub_key": True})["state"] == "succeeded"


@pytest.mark.holds("SAFETY-56", "SAFETY-101", "S-50")
def test_an_admin_who_types_credentials_changes_no_byte_before_the_difference_was_seen(owned: Owned) -> None:
    desk, typed = owned.desk, owned.typed()
    with owned.untouched():
        shown = owned.again(typed)
        assert (shown.status, shown.json["code"]) == (409, "policy_differs"), shown.body
        facts = shown.json["facts"]
        assert facts["current"] == OWNERS
        assert "mode = managed" in facts["wanted"]
        assert "verbs = refresh, uninstall" in facts["wanted"], "lines that nobody wished stay"
        assert owned.again({**typed, "policy_seen": "0" * 64}).json["facts"]["digest"] == facts["digest"]
        # A retry that remembers what was typed is no proof of this call; a key that opens nothing falls back on nothing kept.
        later = desk.hub.local("POST", f"/api/v1/deployments/{facts['deployment']}/retry", {"policy_seen": facts["digest"]})
        assert (later.status, later.json["code"]) == (409, "credentials_required"), later.body
        assert desk.retry(facts["deployment"])["error"]["code"] == "policy_differs"
        stranger = desk.host.sh("ssh-keygen -q -t ed25519 -N '' -f /root/stranger && cat /root/stranger; rm -f /root/stranger*")
        assert owned.redeploy({**typed, "private_key": stranger, "policy_seen": facts["digest"]})["error"]["code"] == "key_rejected"
        # Many at once: each with its own difference.
        wish = {**WIDER, "username": "root", "private_key": desk.host.private_key()}
        many = desk.hub.local("POST", "/api/v1/deployments/again", {**wish, "nodes": [owned.node, "0" * 26]})
        assert many.status == 202, many.body
        assert [one["code"] for one in many.json["refused"]] == ["not_found"]
        row = desk.end(many.json["deployments"][0]["id"])
        assert (row["error"]["code"], row["policy_found"]["outcome"], row["policy_found"]["digest"]) == (
            "policy_differs", "differs", facts["digest"],
        )  # fmt: skip


@pytest.mark.holds("SAFETY-101", "SAFETY-59", "S-36", "F-05")
def test_an_update_that_is_taken_back_changes_no_byte_of_the_owners_policy(owned: Owned, tmp_path: Path) -> None:
    desk = owned.desk
    owned.write(UPDATABLE)
    with owned.untouched("managed"):
        owned.ship(bundle_of(tmp_path, "0.1.2", fault="raise SystemExit(9)"))
        failed = end(desk)
        assert (failed["state"], failed["error"]["code"], failed["error"]["step"]) == ("failed", "job.update_taken_back", "install"), failed
        assert installed(desk) == [shipped_version(), f"/opt/stardust/{shipped_version()}/", "/opt/stardust/current/", "0"]
        assert (desk.nodes()[0]["agent_version"], desk.nodes()[0]["state"]) == (shipped_version(), "online")
        owned.check_untouched()
        owned.ship(None)
    owned.write(OWNERS)


@pytest.mark.holds("SAFETY-101", "SAFETY-68")
def test_a_written_difference_whose_installation_fails_is_taken_back_to_the_owners_bytes(owned: Owned) -> None:
    desk, typed = owned.desk, owned.typed()
    owned.is_ready = False  # the owner's bytes come back, in another file
    facts = owned.again(typed).json["facts"]
    set_fault(desk.hub, "killable", "step.install.done 1")
    with contextlib.suppress(OSError, http.client.HTTPException):  # the hub may be gone before it answers
        owned.again({**typed, "policy_seen": facts["digest"]})
    assert desk.hub.outlive(END_LIMIT_S) == -signal.SIGKILL
    assert "mode = managed" in desk.host.sh(f"cat {POLICY}")
    desk.hub.launch()
    desk.host.sh("systemctl start stardust-rollback.service")
    until_online(desk.hub, owned.node)
    assert desk.host.sh(f"cat {POLICY}") == OWNERS
    assert desk.host.sh("ls -d /opt/stardust.before /etc/stardust.before* /var/lib/stardust/before 2>/dev/null || true") == ""
    owned.write(OWNERS)
    owned.is_ready = True


@pytest.mark.holds("SAFETY-101", "S-37")
def test_a_restore_of_the_hub_and_of_the_agents_folders_changes_no_byte_of_the_owners_policy(owned: Owned) -> None:
    """Both backups are from the time when the node was deployed as managed."""
    desk = owned.desk
    with owned.untouched():
        desk.hub.end()
        stardust(desk.hub.folder, "restore", str(owned.backup), "--replace", env=WITH_SECRET)
        desk.hub.launch()
        until_online(desk.hub, owned.node)
        owned.check_untouched()
        desk.host.sh(
            "systemctl stop stardust-spider.service; rm -rf /opt/stardust /var/lib/stardust;"
            "tar -C / -xpf /root/agent.tar; systemctl start stardust-spider.service"
        )
        owned.check_untouched()


@pytest.mark.holds("SAFETY-101")
def test_a_new_deployment_and_a_join_by_invite_change_no_byte_of_the_owners_policy(owned: Owned) -> None:
    """The hub forgets the node: what the next installation clears away is not the owner's file."""
    desk = owned.desk
    with owned.untouched():
        assert desk.hub.local("DELETE", f"/api/v1/nodes/{owned.node}?force=true").status == 202
        row = desk.install("root", policy="managed")
        assert row["state"] == "succeeded", told(row)
        assert (row["policy_found"]["outcome"], row["policy_found"]["current"]) == ("kept", OWNERS)
        owned.check_untouched()
        assert desk.hub.local("DELETE", f"/api/v1/nodes/{row['node_id']}?force=true").status == 202
        desk.host.run("/bin/sh", "-c", invited(desk.hub, policy="managed")["command"])


@pytest.mark.holds("SAFETY-56", "SAFETY-101", "S-50")
def test_who_proves_root_and_names_the_difference_writes_a_wider_policy_and_only_removal_deletes_it(owned: Owned) -> None:
    desk, typed = owned.desk, owned.typed()
    owned.is_ready = False
    facts = owned.again(typed).json["facts"]
    row = owned.redeploy({**typed, "policy_seen": facts["digest"]})
    assert (row["state"], row["policy_found"]["outcome"]) == ("succeeded", "written"), told(row)
    assert desk.host.sh(f"cat {POLICY}") == facts["wanted"]
    wait_until(lambda: desk.hub.node(owned.node)["policy"]["units"] == ["cron.service"], what="the hub knows what the owner allows now")
    assert "deployment.policy" in {entry["action"] for entry in desk.hub.local("GET", "/api/v1/audit?limit=100").json["audit"]}
    removed = desk.remove(owned.node)
    assert removed["state"] == "succeeded", told(removed)
    desk.until_over()
    desk.host.sh("mv /root/keys-before /root/.ssh/authorized_keys; rm /root/agent.tar")
    owned.look.check_unchanged()
