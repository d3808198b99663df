"""Deployments to a real host by a real hub: the installed state, and a host without changes after a failure."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.deployments.model import REMOVE_STEPS
from spider.agent import FIRST_S
from tests.support.deploy_client import SUDO, Desk, Look, failed, seconds, step_of, succeeded
from tests.support.eventually import wait_until
from tests.support.http_proxy import HttpProxy, http_proxy
from tests.support.hub import HubProcess
from tests.support.lab import ROOT
from tests.support.ports import free_port
from tests.support.sshd import sshd

pytestmark = pytest.mark.system


COMMAND = "/usr/local/sbin/stardust-spider"
LINK = f"ln -s /opt/other {COMMAND}"
KEPT = f"{COMMAND} is somebody else's and stays: the command here is /opt/stardust/stardust-spider"


@pytest.mark.holds("SAFETY-60", "S-57")
@pytest.mark.parametrize(
    ("user", "given"),
    [
        pytest.param("root", {}, id="root"),
        pytest.param("admin", {"private_key": None, "password": SUDO}, id="password"),
        pytest.param("ops", {"sudo_password": "never-asked-for"}, id="nopasswd"),
    ],
)
@pytest.mark.slow  # below, the installed files are compared, and an encrypted key and a password of sudo are left nowhere
def test_an_installation_and_removal_leave_nothing_but_the_file_at_the_path_of_the_command(
    desk: Desk, user: str, given: dict[str, Any], record_property: Any
) -> None:
    desk.spoil(LINK, f"rm {COMMAND}")
    look = Look(desk)
    row = succeeded(desk.install(user, **given))
    assert KEPT in step_of(row, "install")["detail"]
    assert [line for line in look.changes() if "/usr/local" in line] == []
    assert desk.host.run("/opt/stardust/stardust-spider", "status").returncode == 0
    record_property("seconds", seconds(row))
    (node,) = desk.nodes()
    assert (node["id"], node["state"], node["credentials_kept"]) == (row["node_id"], "online", True)

    check_no_secret_is_left(desk, SUDO, "never-asked-for")
    succeeded(desk.remove(row["node_id"]))
    assert desk.nodes() == []
    look.check_unchanged()


def check_no_secret_is_left(desk: Desk, *secrets: str) -> None:
    for secret in secrets:
        assert desk.host.sh(f"journalctl -o cat --no-pager | grep -c -F '{secret}' || true").strip() == "0"
        assert (
            desk.host.sh(f"grep -r -l -F '{secret}' /var/log /etc/stardust /opt/stardust /var/lib/stardust /tmp 2>/dev/null || true") == ""
        )
        assert secret not in desk.hub.output
    assert "PRIVATE KEY" not in desk.hub.output
    assert desk.host.sh("find /tmp /var/tmp -name 'stardust*'") == ""


EXCHANGER = """
import ctypes, os
RENAME_EXCHANGE = 2
libc = ctypes.CDLL(None, use_errno=True)
pairs = []
for number in range(40):
    folder = f"/tmp/stardust-upload.somebody{number:02d}"
    os.mkdir(folder)
    with open(f"{folder}/session.key", "w") as file:
        file.write("x" * 64)
    os.symlink("/etc/precious", f"{folder}/other")
    pairs.append((f"{folder}/session.key".encode(), f"{folder}/other".encode()))
open("/tmp/exchanging", "w").close()
while True:
    for one, other in pairs:
        libc.renameat2(-100, one, -100, other, RENAME_EXCHANGE)
"""


@pytest.mark.holds("S-36")
def test_swapped_files_in_the_upload_folder_do_not_make_root_write_through_them(desk: Desk) -> None:
    """The script of a removal, as a deployment runs it."""
    desk.spoil("echo precious >/etc/precious; chmod 0600 /etc/precious")
    desk.host.sh(f"cat >/usr/local/bin/exchanger <<'EOF'\n{EXCHANGER}\nEOF")
    desk.host.sh("systemd-run -q --collect --unit=exchanger --uid=plain python3 /usr/local/bin/exchanger")
    wait_until(lambda: desk.host.sh("ls /tmp/exchanging 2>/dev/null || true"), what="the exchanger is at work")
    desk.host.sh(
        "d=/tmp/stardust-upload.ofakilled1; mkdir -m 0700 $d; printf %064d 7 >$d/session.key; ln $d/session.key /tmp/witness; chown -R ops:ops $d"
    )
    done = desk.host.run("/bin/sh", "-s", "remove", stdin=(ROOT / "majortom/remote/lifecycle.sh").read_text())
    assert done.stdout.splitlines()[-1] == "ok"
    assert desk.host.sh("cat /etc/precious") == "precious\n"
    assert desk.host.sh("find /tmp -name 'stardust-upload.*'") == ""
    assert "0007" not in desk.host.sh("cat /tmp/witness"), "the key of an upload that nobody finished was not overwritten"
    desk.host.sh("systemctl stop exchanger")


LABELLER = """#!/bin/sh
systemctl is-active --quiet stardust-spider.service && echo too-late >>/run/labelled
for path; do [ ! -e "$path" ] || find "$path" -name '*stardust*' -o -path '*/stardust/*' >>/run/labelled; done
"""


@pytest.mark.holds("SAFETY-60", "S-57")
def test_installed_files_match_the_contract_are_labelled_before_the_start_and_are_all_removed(desk: Desk) -> None:
    """Labels where SELinux is: a copy may have the label of where it came from."""
    desk.spoil("true", "rm /usr/sbin/restorecon")
    desk.host.run("/bin/sh", "-c", "cat >/usr/sbin/restorecon; chmod 0755 /usr/sbin/restorecon", stdin=LABELLER)
    look = Look(desk)
    row = succeeded(desk.install("root"))
    listing = desk.host.sh(
        "cd /; stat -c '%a %U:%G %F %n' opt/stardust opt/stardust/* opt/stardust/current/spider.pyz usr/local/sbin/* etc/stardust etc/stardust/*"
        " var/lib/stardust var/lib/stardust/* run/stardust run/stardust/* etc/systemd/system/stardust-*"
    )
    (version,) = (path for line in listing.splitlines() if (path := line.rpartition(" ")[2]).startswith("opt/stardust/0"))
    found = (line.rpartition(" ") for line in listing.splitlines())
    assert {path: facts for facts, _, path in found} == {
        "opt/stardust": "755 root:root directory",
        version: "755 root:root directory",
        "opt/stardust/current": "777 root:root symbolic link",
        "opt/stardust/current/spider.pyz": "644 root:root regular file",
        "opt/stardust/stardust-spider": "755 root:root regular file",
        "usr/local/sbin/stardust-spider": "777 root:root symbolic link",
        "etc/stardust": "755 root:root directory",
        "etc/stardust/spider.conf": "644 root:root regular file",
        "etc/stardust/policy.conf": "644 root:root regular file",
        "etc/stardust/session.key": "600 stardust:stardust regular file",
        "etc/stardust/launch.key": "600 root:root regular file",
        "var/lib/stardust": "755 root:root directory",
        "var/lib/stardust/spider": "700 stardust:stardust directory",
        "var/lib/stardust/started": "700 root:root directory",
        "var/lib/stardust/jobs": "2750 root:stardust directory",
        "var/lib/stardust/installed": "600 root:root regular file",
        "run/stardust": "755 root:root directory",
        "run/stardust/launcher.sock": "600 stardust:root socket",
        "etc/systemd/system/stardust-spider.service": "644 root:root regular file",
        "etc/systemd/system/stardust-launcher.socket": "644 root:root regular file",
        "etc/systemd/system/stardust-launcher@.service": "644 root:root regular file",
        "etc/systemd/system/stardust-job@.service": "644 root:root regular file",
    }
    assert desk.host.sh("stat -c %s /etc/stardust/session.key /etc/stardust/launch.key").split() == ["32", "32"]
    assert f"id = {row['node_id']}" in desk.host.sh("cat /etc/stardust/spider.conf")
    assert desk.host.sh("systemctl is-enabled stardust-spider.service stardust-launcher.socket").split() == ["enabled", "enabled"]
    assert desk.host.sh("getent passwd stardust").strip().endswith(":/var/lib/stardust:/usr/sbin/nologin")
    labelled = set(desk.host.sh("cat /run/labelled").split())
    placed = desk.host.sh(
        "find /opt/stardust /etc/stardust /etc/systemd/system/stardust-* /var/lib/stardust/started /var/lib/stardust/jobs -maxdepth 2"
    )
    assert [path for path in placed.split() if path not in labelled] == []
    assert "too-late" not in labelled
    succeeded(desk.remove(row["node_id"]))
    desk.host.sh("rm /run/labelled")
    look.check_unchanged()


def test_an_unknown_host_key_waits_and_a_rejection_changes_nothing(desk: Desk) -> None:
    look = Look(desk)
    row = desk.begin("root", host_key=None)
    row = desk.until(row["id"], lambda row: row["state"] == "awaiting_host_key")
    assert row["host_key"] == {"type": "ssh-ed25519", "fingerprint": desk.fingerprint(), "host": desk.host.address, "port": desk.host.port}
    wrong = desk.hub.local("POST", f"/api/v1/deployments/{row['id']}/host-key", {"fingerprint": "SHA256:" + "A" * 43})
    assert wrong.status == 409
    assert wrong.json["code"] == "deployment.host_key_mismatch"
    assert desk.hub.local("POST", f"/api/v1/deployments/{row['id']}/cancel").json["state"] == "cancelled"
    assert desk.nodes() == []
    look.check_unchanged()


FAILURES: list[tuple[str, str, str, dict[str, Any], str, str]] = [
    ("host_unknown", "connect", "root", {"host": "no-such-host.invalid"}, "", ""),
    ("port_closed", "connect", "root", {"port": 1}, "", ""),
    ("host_key_unexpected", "host_key", "root", {"host_key": "SHA256:" + "A" * 43}, "", ""),
    ("key_rejected", "authenticate", "root", {"key": "id_stranger"}, "", ""),
    ("key_rejected", "authenticate", "nobody-here", {}, "", ""),
    ("password_rejected", "authenticate", "admin", {"private_key": None, "password": "wrong"}, "", ""),
    ("key_encrypted", "authenticate", "root", {"key": "id_encrypted"}, "", ""),
    ("key_passphrase_wrong", "authenticate", "root", {"key": "id_encrypted", "passphrase": "wrong"}, "", ""),
    ("no_credentials", "authenticate", "root", {"private_key": None}, "", ""),
    ("sudo_password_wrong", "become_root", "admin", {"sudo_password": "wrong"}, "", ""),
    ("sudo_password_required", "become_root", "admin", {}, "", ""),
    ("not_in_sudoers", "become_root", "plain", {"sudo_password": "lab-plain-pw"}, "", ""),
    ("no_sudo", "become_root", "admin", {"sudo_password": SUDO}, "mv /usr/bin/sudo /usr/bin/sudo.away", "mv /usr/bin/sudo.away /usr/bin/sudo"),
    ("sudo_requires_tty", "become_root", "ops", {}, "echo 'Defaults requiretty' > /etc/sudoers.d/tty", "rm /etc/sudoers.d/tty"),
    ("sudo_other_password", "become_root", "admin", {"sudo_password": SUDO}, "echo 'Defaults targetpw' > /etc/sudoers.d/target", "rm /etc/sudoers.d/target"),
    ("no_shell", "authenticate", "ops", {}, "usermod -s /usr/sbin/nologin ops", "usermod -s /bin/bash ops"),
    ("no_python3", "probe", "root", {}, "mkdir /usr/bin/away && mv /usr/bin/python3* /usr/bin/away/", "mv /usr/bin/away/* /usr/bin/; rmdir /usr/bin/away"),
    ("python3_incomplete", "probe", "root", {}, "mv /usr/lib/python3.11/asyncio /usr/lib/python3.11/asyncio.away", "mv /usr/lib/python3.11/asyncio.away /usr/lib/python3.11/asyncio"),
    ("already_installed", "probe", "root", {}, "mkdir /opt/stardust && touch /opt/stardust/of-somebody-else", "rm -r /opt/stardust"),
    ("name_in_use", "probe", "root", {}, "useradd stardust", "userdel stardust"),
    ("upload_failed", "upload", "ops", {}, "chmod 755 /tmp", "chmod 1777 /tmp"),
]  # fmt: skip


QUICK = {
    "sudo_requires_tty",
    "python3_incomplete",
    "upload_failed",
}
"""What only a real server does. tests/unit/majortom has the others, with an SSH server and what real programs print; a wrong password of sudo
is retried below, and test_removal installs twice."""


@pytest.mark.holds("S-57", "F-23")
@pytest.mark.parametrize(
    ("code", "step", "user", "given", "spoil", "mend"),
    [pytest.param(*entry, id=f"{entry[0]}-{entry[2]}", marks=() if entry[0] in QUICK else pytest.mark.slow) for entry in FAILURES],
)
def test_a_failed_deployment_gives_one_sentence_and_changes_nothing(
    desk: Desk, code: str, step: str, user: str, given: dict[str, Any], spoil: str, mend: str
) -> None:
    if spoil:
        desk.spoil(spoil, mend)
    look = Look(desk)
    row = desk.install(user, **given)
    message = failed(row, code, step)
    for secret in (SUDO, "lab-plain-pw"):
        assert secret not in message
    assert desk.nodes() == []
    look.check_unchanged()


@pytest.mark.holds("SAFETY-60", "S-57")
def test_a_retry_continues_with_the_corrected_field_and_reports_the_remains_of_the_previous_try(desk: Desk) -> None:
    """Over one session at a time, with an encrypted key and a password of sudo; somebody's link at the path of the command stays."""
    folder = "/etc/systemd/system/stardust-spider.service.d"
    desk.spoil(LINK, f"rm {COMMAND}")
    bare = Look(desk)
    closed = 'ExecStartPre=/bin/sh -c "echo this house is closed >&2; exit 3"'
    desk.host.sh(f"mkdir -p {folder}; printf '[Service]\\n{closed}\\n' > {folder}/x.conf")
    with sshd(desk.host, "MaxSessions 1", "UsePAM yes") as port:
        look = Look(desk)
        row = desk.install("admin", "id_encrypted", passphrase="lab-passphrase", sudo_password="wrong", port=port)
        failed(row, "sudo_password_wrong", "become_root")
        assert row["earlier"] is None
        row = desk.retry(row["id"], sudo_password=SUDO)
        assert failed(row, "start_failed", "start") == "The agent did not start on the server (this house is closed)."
        assert [line for line in look.changes() if f"/run/sshd-{port}.log" not in line] == []
        desk.host.sh(f"rm -r {folder}")
        row = succeeded(desk.retry(row["id"]))
        assert row["earlier"] == {"tries": 2, "step": "start", "left": "taken_back", "kept": ["host_key"]}
        (node,) = desk.nodes()
        assert (node["id"], node["state"], node["credentials_kept"]) == (row["node_id"], "online", True)
        assert KEPT in step_of(row, "install")["detail"]
        assert desk.host.run("/opt/stardust/stardust-spider", "status").returncode == 0
        check_no_secret_is_left(desk, SUDO, "lab-passphrase")
        succeeded(desk.remove(row["node_id"]))
    bare.check_unchanged()


@pytest.mark.holds("SAFETY-69")
def test_spider_is_not_installed_where_it_cannot_reach_the_hub(shared_desk: Desk, tmp_path: Path) -> None:
    shared_desk.freshen()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}/ws"
        with Desk(HubProcess(tmp_path / "hub", args=["--server-url", url]), shared_desk.host) as desk:
            look = Look(desk)
            message = failed(desk.install("root"), "hub_unreachable", "probe")
            assert url in message
            assert "connection refused" in message
            assert "--server-url" in message
            assert desk.nodes() == []
            look.check_unchanged()
        shared_desk.clean = desk.clean
    failed(shared_desk.install("root", proxy=f"http://127.0.0.1:{free_port()}"), "hub_unreachable", "probe")
    look.check_unchanged()


@pytest.mark.parametrize(
    "wrong", ["http://me:secret@proxy.example:3128", "socks5://proxy.example:1080", "proxy.example:3128", "http://proxy.example"]
)
def test_an_invalid_proxy_address_is_refused(shared_desk: Desk, wrong: str) -> None:
    for path, body in (("deployments", shared_desk.body("root", proxy=wrong)), ("invites", {"proxy": wrong})):
        reply = shared_desk.hub.local("POST", f"/api/v1/{path}", body)
        assert (reply.status, reply.json["facts"]["field"]) == (400, "proxy"), reply.body
        assert b"secret" not in reply.body


@pytest.mark.slow  # tests/unit/majortom/test_connect.py has a server whose key has changed
@pytest.mark.holds("SAFETY-61", "S-53")
def test_a_server_with_a_changed_host_key_is_refused(desk: Desk) -> None:
    node = succeeded(desk.install("root"))["node_id"]
    desk.host.reset(rekey=True)
    desk.clean = True  # but for its key, which later tests ask the host for
    message = failed(desk.remove(node), "host_key_changed", "host_key")
    assert desk.fingerprint() in message
    assert desk.hub.local("DELETE", f"/api/v1/nodes/{node}?force=true").json["state"] == "succeeded"
    assert desk.nodes() == []


@pytest.mark.parametrize(
    "step",
    [pytest.param(step, marks=() if step == "verify" else pytest.mark.slow) for step in ("upload", "install", "start", "verify")],
)
def test_a_retry_clears_the_remains_of_a_killed_hub(desk: Desk, step: str) -> None:
    look = Look(desk)
    wishes: dict[str, Any] = {"policy": "monitor", "keep_credentials": False, "tags": ["edge"]}
    deployment = desk.begin("admin", sudo_password=SUDO, **wishes)["id"]
    desk.until(deployment, lambda row: step_of(row, step)["state"] != "waiting")
    desk.hub.slay()
    desk.hub.launch()
    row = desk.end(deployment)
    if row["state"] == "failed":
        failed(row, "hub_stopped", row["error"]["step"])
        assert desk.nodes() == []
        refused = desk.hub.local("POST", f"/api/v1/deployments/{deployment}/retry", {})
        assert refused.json["code"] == "credentials_required"
        row = desk.retry(deployment, private_key=desk.host.private_key(), sudo_password=SUDO)  # not its host key: that was sent
        assert (row["earlier"]["tries"], row["earlier"]["left"]) == (1, "unknown")
    succeeded_anyway = row["state"] == "succeeded"
    assert succeeded_anyway, row
    (node,) = desk.nodes()
    assert (node["credentials_kept"], node["tags"]) == (False, ["edge"])
    assert desk.host.sh("ls /etc/stardust").split() == ["policy.conf", "session.key", "spider.conf"]
    assert desk.host.sh("ls -d /etc/systemd/system/stardust-*").split() == ["/etc/systemd/system/stardust-spider.service"], "no launcher"
    given = {"private_key": desk.host.private_key(), "sudo_password": SUDO}
    succeeded(desk.remove(row["node_id"], given))
    look.check_unchanged()


@pytest.mark.holds("F-32")
def test_stopping_the_hub_rolls_back_a_running_deployment(desk: Desk) -> None:
    folder = "/etc/systemd/system/stardust-spider.service.d"  # the start takes its time, and the stop comes in the middle of it
    desk.spoil(f"mkdir -p {folder} && printf '[Service]\\nExecStartPre=/bin/sleep 60\\n' >{folder}/slow.conf", f"rm -r {folder}")
    look = Look(desk)
    deployment = desk.begin("root")["id"]
    wait_until(lambda: "activating" in desk.host.sh("systemctl is-active stardust-spider.service", check=False), what="the start has begun")
    assert desk.hub.end() == 0
    desk.hub.launch()
    row = desk.end(deployment)
    failed(row, "hub_stopped", "start")
    assert desk.nodes() == []
    wait_until(lambda: look.changes() == [], what="what was begun is taken back, by a script that needs the hub no more")
    look.check_unchanged()


UPDATES = "runuser -u nobody -- apt-get -s -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= dist-upgrade | grep -c '^Inst [^ ]* \\['"
"""How many updates apt itself counts, without new packages. As nobody it writes no cache."""


def test_the_command_shows_the_status_the_hub_the_updates_and_an_unacknowledged_installation_stays_while_connected(
    desk: Desk, tmp_path: Path
) -> None:
    """Through a proxy, a real tinyproxy. The installation stays also after the seconds in which Spider waits for its hub before it measures."""
    with http_proxy(tmp_path) as proxy:
        check_status_and_an_unacknowledged_installation(desk, proxy)


def check_status_and_an_unacknowledged_installation(desk: Desk, proxy: HttpProxy) -> None:
    look = Look(desk)
    row = succeeded(desk.install("root", policy="readonly", proxy=proxy.url))
    assert f"proxy = {proxy.url}\n" in desk.host.sh("cat /etc/stardust/spider.conf")
    assert proxy.connects() >= 2  # of the probe and of the session
    url = desk.host.sh("sed -n 's/^url = //p' /etc/stardust/spider.conf").strip()
    version = wait_until(lambda: desk.hub.node(row["node_id"])["agent_version"], what="the node has said what it is")
    assert desk.host.run("stardust-spider", "--version").stdout == f"spider {version}\n"
    wait_until(lambda: "state      connected\n" in desk.host.sh("stardust-spider status"), what="its log tells what the hub knows already")
    told = desk.host.run("stardust-spider", "status").stdout.splitlines()
    assert told == [f"version    {version}", f"hub        {url}", "policy     readonly", "state      connected"]
    for words, status in (("--help", 0), ("", 64), ("launch", 64), ("run", 64)):
        said = desk.host.run("stardust-spider", *words.split(), check=False)
        assert (said.returncode, "take Stardust off this server" in (said.stderr if status else said.stdout)) == (status, True)
    updates = wait_until(lambda: desk.hub.node(row["node_id"])["updates"]["total"], what="the node has told of its updates")
    assert updates == int(desk.host.sh(UPDATES))
    wait_until(lambda: int(desk.host.sh("ps -o etimes= -u stardust").split()[0]) > FIRST_S, what="Spider has been there for some seconds")
    assert unfinished(desk) == "complete\n"
    assert desk.hub.node(row["node_id"])["state"] == "online"
    desk.hub.slay()
    wait_until(lambda: "not connected" in desk.host.sh("stardust-spider status"), what="Spider has seen the hub go")
    desk.host.sh("systemctl stop stardust-spider.service")
    assert desk.host.run("stardust-spider", "status").stdout.splitlines()[-1] == "state      Spider does not run"
    assert unfinished(desk) == ""
    look.check_unchanged()


@pytest.mark.slow  # a retry above finds a link there
def test_a_folder_of_the_command_that_is_read_only_is_left_alone(desk: Desk) -> None:
    desk.spoil("mount --bind /usr /usr; mount -o remount,bind,ro /usr", "umount -l /usr")
    look = Look(desk)
    row = succeeded(desk.install("root"))
    assert f"{COMMAND} cannot be made: the command here is /opt/stardust/stardust-spider" in step_of(row, "install")["detail"]
    assert [line for line in look.changes() if "/usr/local" in line] == []
    assert desk.host.run("/opt/stardust/stardust-spider", "status").returncode == 0
    succeeded(desk.remove(row["node_id"]))
    look.check_unchanged()


@pytest.mark.slow
def test_an_older_node_gets_the_command_with_a_job_but_not_a_failed_redeploy(desk: Desk) -> None:
    look = Look(desk)
    node = succeeded(desk.install("root"))["node_id"]
    older = "rm /usr/local/sbin/stardust-spider /opt/stardust/stardust-spider"
    desk.host.sh(older)
    folder = "/etc/systemd/system/stardust-spider.service.d"
    desk.host.sh(f"mkdir -p {folder} && printf '[Service]\\nExecStart=\\nExecStart=/no/such\\n' > {folder}/x.conf")
    before = Look(desk)
    row = desk.end(desk.hub.local("POST", f"/api/v1/nodes/{node}/redeploy").json["id"])
    assert row["state"] == "failed", row
    assert [line for line in before.changes() if "/usr/local" in line or "/opt" in line] == []
    desk.host.sh(f"rm -r {folder}; systemctl daemon-reload; systemctl restart stardust-spider.service")
    wait_until(lambda: desk.hub.node(node)["state"] == "online", what="the node is online")
    order = desk.hub.local("POST", f"/api/v1/nodes/{node}/jobs", {"action": "check"})
    assert order.status == 202, order.body
    wait_until(lambda: desk.hub.job(order.json["id"])["ended_at"], what="the job has ended")
    assert desk.host.sh("readlink /usr/local/sbin/stardust-spider").strip() == "/opt/stardust/stardust-spider"
    assert desk.host.run("stardust-spider", "uninstall").returncode == 0
    assert [line for line in look.changes() if "/var/lib/apt" not in line and "/var/cache/apt" not in line] == []
    desk.clean = False


def unfinished(desk: Desk) -> str:
    """Let the timer fire on an installation that was not confirmed; returns the end of its journal."""
    desk.host.sh("sed -i '/^complete$/d' /var/lib/stardust/installed")
    desk.host.run("/bin/sh", "-s", "rollback", stdin=(ROOT / "majortom/remote/lifecycle.sh").read_text())
    return desk.host.sh("grep -x complete /var/lib/stardust/installed || true", check=False)


@pytest.mark.slow  # test_owners_policy redeploys with the hub's key
def test_a_server_with_the_hubs_key_is_added_and_removed_without_another_secret(desk: Desk) -> None:
    line = desk.hub.local("POST", "/api/v1/hub-key", {"replace": True}).json["key"]["authorized_keys"]
    desk.spoil(f"echo '{line}' > ~root/.ssh/authorized_keys")
    row = succeeded(desk.install("root", private_key=None, use_hub_key=True))
    removed = succeeded(desk.remove(row["node_id"]))
    assert [step["name"] for step in removed["steps"]] == list(REMOVE_STEPS)
