"""A server behind a jump host: deployed, reached and removed by a real hub, over a real sshd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.deploy_client import SUDO, Desk, Look, failed, step_of, succeeded
from tests.support.hub import HubProcess
from tests.support.lab import Host

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Host]]:
    behind, bastion = request.getfixturevalue("lab_hosts")[:2]
    for host in (behind, bastion):
        host.reset()
    with Desk(HubProcess(tmp_path_factory.mktemp("jump") / "hub"), behind) as desk:
        yield desk, bastion


def through(bastion: Host, **given: Any) -> dict[str, Any]:
    fields = {"host": bastion.address, "port": bastion.port, "username": "plain", "private_key": bastion.private_key(), **given}
    return {name: value for name, value in fields.items() if value is not None}


@pytest.mark.slow  # test_penalties logs in through a real one, tests/unit/majortom/test_jump.py asks for both keys, test_retries.py keeps the log-ins
def test_both_host_keys_are_confirmed_and_stored_credentials_remove_the_node(pair: tuple[Desk, Host]) -> None:
    desk, bastion = pair
    look = Look(desk)
    row = desk.begin("admin", sudo_password=SUDO, host_key=None, jump=through(bastion))
    for host in (bastion, desk.host):
        row = desk.until(row["id"], lambda row, host=host: row["state"] == "awaiting_host_key" and row["host_key"]["host"] == host.address)
        assert row["host_key"]["fingerprint"] in {key["fingerprint"] for key in host.host_keys}
        confirmed = desk.hub.local("POST", f"/api/v1/deployments/{row['id']}/host-key", {"fingerprint": row["host_key"]["fingerprint"]})
        assert confirmed.status == 200, confirmed.body
    row = succeeded(desk.end(row["id"]))
    assert bastion.address in step_of(row, "connect")["detail"]
    assert desk.host.sh("journalctl -q -u ssh -o cat | grep -c 'Accepted publickey for admin'").strip() != "0"
    removed = succeeded(desk.remove(row["node_id"]))
    assert bastion.address in step_of(removed, "connect")["detail"]
    look.check_unchanged()


def test_a_jump_host_without_forwarding_or_access_is_reported(pair: tuple[Desk, Host]) -> None:
    desk, bastion = pair
    look = Look(desk)
    known = next(key["fingerprint"] for key in bastion.host_keys if key["type"] == "ssh-ed25519")
    stranger = through(bastion, private_key=bastion.private_key("id_stranger"), host_key=known)
    message = failed(desk.install("root", jump=stranger), "key_rejected", "authenticate")
    assert message.startswith(f"At the jump host {bastion.address}: ")
    message = failed(desk.install("root", jump=through(bastion, host_key="SHA256:" + "A" * 43)), "host_key_unexpected", "host_key")
    assert bastion.address in message
    bastion.sh("echo 'AllowTcpForwarding no' > /etc/ssh/sshd_config.d/no.conf; systemctl restart ssh")
    try:
        message = failed(desk.install("root", jump=through(bastion, host_key=known)), "jump_failed", "connect")
    finally:
        bastion.sh("rm /etc/ssh/sshd_config.d/no.conf; systemctl restart ssh")
    assert "TCP forwarding" in message
    look.check_unchanged()
