"""Deployments to restricted servers by a real hub: one SSH session at a time, and folders that accounts cannot traverse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.deploy_client import Desk, Look, any_host, told
from tests.support.hub import HubProcess
from tests.support.sshd import sshd

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def module_desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    host = any_host(lambda: request.getfixturevalue("lab_hosts")[0])
    host.reset()
    with Desk(HubProcess(tmp_path_factory.mktemp("narrow") / "hub"), host) as desk:
        desk.clean = True
        yield desk


@pytest.fixture
def desk(module_desk: Desk) -> Desk:
    module_desk.freshen()
    return module_desk


@pytest.mark.slow  # a retry of test_deploy has one session at a time
@pytest.mark.parametrize("user", ["root", "admin"])
def test_one_ssh_session_at_a_time_is_enough(desk: Desk, user: str) -> None:
    look = Look(desk)
    with sshd(desk.host, "MaxSessions 1", "UsePAM yes") as port:
        row = desk.install(user, port=port, sudo_password="lab-admin-pw" if user == "admin" else None)
        assert row["state"] == "succeeded", told(row)
        removed = desk.remove(row["node_id"])
        assert removed["state"] == "succeeded", told(removed)
    look.check_unchanged()


def test_a_server_that_allows_no_session_is_reported(desk: Desk) -> None:
    look = Look(desk)
    with sshd(desk.host, "MaxSessions 0") as port:
        row = desk.install("root", port=port)
    assert (row["error"]["code"], row["error"]["step"]) == ("max_sessions", "authenticate"), told(row)
    assert "set MaxSessions in its sshd_config to 1 or more" in row["error"]["message"]
    look.check_unchanged()


@pytest.mark.parametrize(
    ("spoil", "needed"),
    [
        ("chmod 0711 /opt; chmod 0700 /var/lib", "x"),
        *(
            pytest.param(*more, marks=pytest.mark.slow)
            for more in (("chmod 0750 /", "x"), ("chmod 0750 /usr", "x"), ("chmod 0711 /usr/lib/python3.11", "rx"))
        ),
    ],
)
def test_an_inaccessible_folder_is_reported(desk: Desk, spoil: str, needed: str) -> None:
    desk.spoil(spoil)
    look = Look(desk)
    row = desk.install("root")
    assert (row["error"]["code"], row["error"]["step"]) == ("closed_to_spider", "probe"), told(row)
    assert f"chmod o+{needed} {spoil.rsplit(maxsplit=1)[-1]}." in row["error"]["message"]
    look.check_unchanged()


@pytest.mark.slow  # a retry of test_deploy quotes a failed start, in one session
def test_a_failed_start_is_quoted_from_the_journal_and_rolled_back_in_one_session(desk: Desk) -> None:
    desk.spoil(
        "mkdir -p /etc/systemd/system/stardust-spider.service.d;"
        " printf '[Service]\\nExecStartPre=/bin/sh -c \"echo this house is closed >&2; exit 3\"\\n' > /etc/systemd/system/stardust-spider.service.d/no.conf"
    )
    look = Look(desk)
    with sshd(desk.host, "MaxSessions 1") as port:
        row = desk.install("root", port=port)
    assert (row["error"]["code"], row["error"]["step"]) == ("start_failed", "start"), told(row)
    assert row["error"]["message"] == "The agent did not start on the server (this house is closed)."
    look.check_unchanged()
