"""The owner's policy file on a real host: whoever deploys, it is byte-equal afterwards, until somebody proves root and has seen the difference."""

from __future__ import annotations

import contextlib
import http.client
import signal
from typing import Any

import pytest

from tests.support.deploy_client import END_LIMIT_S, Desk, Look, told
from tests.support.eventually import wait_until
from tests.support.hub_faults import set_fault
from tests.support.join_host import invited, until_online

pytestmark = pytest.mark.system

POLICY = "/etc/stardust/policy.conf"
OWNERS = "# mine, not the hub's\n[policy]\nversion = 1\nmode = readonly\nverbs = refresh, uninstall\n"
WIDER = {"policy": "managed", "units": ["cron.service"], "journal": "all", "events": ["backup"]}


def again(desk: Desk, node: str, body: dict[str, Any] | None = None, token: str | None = None) -> Any:
    path = f"/api/v1/nodes/{node}/redeploy"
    return desk.hub.local("POST", path, body) if token is None else desk.hub.request("POST", path, body, token=token)


def operator_of(desk: Desk, tag: str) -> str:
    """A logged-in operator who is limited to the nodes with a tag."""
    made = desk.hub.local("POST", "/api/v1/users", {"username": "ops", "role": "operator", "grants": {"tags": [tag]}})
    assert made.status == 201, made.body
    token = desk.hub.login("ops", made.json["password"]).token
    new = "operators own long password"
    changed = desk.hub.request("POST", "/api/v1/auth/password", {"current": made.json["password"], "new": new}, token=token)
    assert changed.status in (200, 204), changed.body
    return desk.hub.login("ops", new).token


@pytest.mark.holds("SAFETY-56", "SAFETY-101", "S-50")
def test_nobody_widens_the_owners_policy_who_has_not_proven_root_and_seen_the_difference(desk: Desk) -> None:
    look = Look(desk)
    row = desk.install("root", tags=["web"])
    assert row["state"] == "succeeded", told(row)
    node = row["node_id"]
    assert desk.hub.local("POST", "/api/v1/hub-key").status == 201
    key = desk.hub.local("GET", "/api/v1/hub-key").json["key"]["authorized_keys"]
    desk.host.sh(f"cp -p /root/.ssh/authorized_keys /root/keys-before; printf '%s\\n' '{key}' >> /root/.ssh/authorized_keys")
    desk.host.sh(f"cat > {POLICY} <<'END'\n{OWNERS}END\nchmod 0640 {POLICY}; chmod 0644 {POLICY}")
    desk.host.sh(
        "mkdir -p /etc/stardust/actions.d; echo '#!/bin/sh' > /etc/stardust/actions.d/drain; chmod 0755 /etc/stardust/actions.d/drain"
    )
    written = desk.host.sh(f"stat -c '%i %Y %a %u' {POLICY}")

    def check_untouched() -> None:
        assert desk.host.sh("cat /etc/stardust/actions.d/drain") == "#!/bin/sh\n"
        assert desk.host.sh(f"cat {POLICY}") == OWNERS
        assert desk.host.sh(f"stat -c '%i %Y %a %u' {POLICY}") == written

    # Kept credentials, whoever uses them, and the hub's own key: without a wish the file stays, with one they are refused.
    assert desk.end(again(desk, node).json["id"])["state"] == "succeeded"
    check_untouched()
    operator = operator_of(desk, "web")
    for body in (WIDER, {"policy": "managed"}, {"units": ["*"]}, {**WIDER, "use_hub_key": True}, {**WIDER, "sudo_password": "x"}):
        for token in (None, operator):
            refused = again(desk, node, body, token)
            expected = "auth.forbidden" if token and "use_hub_key" in body else "credentials_required"
            assert refused.json["code"] == expected, refused.body
    check_untouched()
    assert desk.end(again(desk, node, {"use_hub_key": True}).json["id"])["state"] == "succeeded"
    check_untouched()

    # A key typed in the call shows both texts, and changes nothing before its digest comes back.
    typed = {**WIDER, "username": "root", "private_key": desk.host.private_key()}
    shown = again(desk, node, typed)
    assert (shown.status, shown.json["code"]) == (409, "policy_differs"), shown.body
    facts = shown.json["facts"]
    assert facts["current"] == OWNERS
    assert "mode = managed" in facts["wanted"]
    assert "verbs = refresh, uninstall" in facts["wanted"], "lines that nobody wished stay"
    check_untouched()
    assert again(desk, node, {**typed, "policy_seen": "0" * 64}).json["facts"]["digest"] == facts["digest"]
    # A retry that remembers what was typed is no proof of this call; a key that opens nothing falls back on nothing kept.
    later = desk.hub.local("POST", f"/api/v1/deployments/{facts['deployment']}/retry", {"policy_seen": facts["digest"]})
    assert (later.status, later.json["code"]) == (409, "credentials_required"), later.body
    assert desk.retry(facts["deployment"])["error"]["code"] == "policy_differs"
    stranger = desk.host.sh("ssh-keygen -q -t ed25519 -N '' -f /root/stranger && cat /root/stranger; rm -f /root/stranger*")
    row = again(desk, node, {**typed, "private_key": stranger, "policy_seen": facts["digest"]}).json
    assert desk.end(row["id"])["error"]["code"] == "key_rejected"
    check_untouched()

    # Many at once: each with its own difference.
    many = desk.hub.local("POST", "/api/v1/deployments/again", {**typed, "nodes": [node, "0" * 26]})
    assert many.status == 202, many.body
    assert [one["code"] for one in many.json["refused"]] == ["not_found"]
    row = desk.end(many.json["deployments"][0]["id"])
    assert (row["error"]["code"], row["policy_found"]["outcome"], row["policy_found"]["digest"]) == (
        "policy_differs", "differs", facts["digest"],
    )  # fmt: skip
    check_untouched()

    # The seen difference is written, the installation fails after that, and the server takes it back: the owner's bytes are there again.
    set_fault(desk.hub, "killable", "step.install.done 1")
    with contextlib.suppress(OSError, http.client.HTTPException):  # the hub may be gone before it answers
        again(desk, node, {**typed, "policy_seen": facts["digest"]})
    assert desk.hub.outlive(END_LIMIT_S) == -signal.SIGKILL
    assert "mode = managed" in desk.host.sh(f"cat {POLICY}")
    desk.hub.launch()
    desk.host.sh("systemctl start stardust-rollback.service")
    wait_until(lambda: desk.hub.node(node)["state"] == "online", END_LIMIT_S, "the former agent is back")
    assert desk.host.sh(f"cat {POLICY}") == OWNERS
    written = desk.host.sh(f"stat -c '%i %Y %a %u' {POLICY}")
    assert desk.end(again(desk, node).json["id"])["state"] == "succeeded", "a redeploy after one that failed"
    check_untouched()

    # The hub forgets the node and installs a new one: what it clears away is not the owner's file.
    assert desk.hub.local("DELETE", f"/api/v1/nodes/{node}?force=true").status == 202
    row = desk.install("root", policy="managed")
    assert row["state"] == "succeeded", told(row)
    assert (row["policy_found"]["outcome"], row["policy_found"]["current"]) == ("kept", OWNERS)
    check_untouched()
    # And once more by an invite that says managed.
    assert desk.hub.local("DELETE", f"/api/v1/nodes/{row['node_id']}?force=true").status == 202
    made = invited(desk.hub, policy="managed")
    desk.host.run("/bin/sh", "-c", made["command"])
    (found,) = desk.nodes()
    until_online(desk.hub, found["id"])
    check_untouched()
    wait_until(lambda: (desk.hub.node(found["id"])["policy"] or {}).get("mode") == "readonly", what="the hub knows what the owner allows")

    # Who proves root and names what was seen writes a wider one.
    login = {"host": desk.host.address, "port": desk.host.port, "host_key": desk.fingerprint()}
    facts = again(desk, found["id"], {**login, **typed}).json["facts"]
    row = desk.end(again(desk, found["id"], {**login, **typed, "policy_seen": facts["digest"]}).json["id"])
    assert (row["state"], row["policy_found"]["outcome"]) == ("succeeded", "written"), told(row)
    assert desk.host.sh(f"cat {POLICY}") == facts["wanted"]
    wait_until(lambda: desk.hub.node(found["id"])["policy"]["units"] == ["cron.service"], what="the hub knows what the owner allows now")
    assert "deployment.policy" in {entry["action"] for entry in desk.hub.local("GET", "/api/v1/audit?limit=100").json["audit"]}
    # Only removal deletes it.
    removed = desk.remove(found["id"], {**login, "username": "root", "private_key": desk.host.private_key()})
    assert removed["state"] == "succeeded", told(removed)
    desk.host.sh("mv /root/keys-before /root/.ssh/authorized_keys")
    assert desk.hub.local("DELETE", "/api/v1/hub-key").status == 204
    look.check_unchanged()
