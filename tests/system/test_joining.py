"""Servers that join by themselves, on a real host: the page's command, organisation secrets, a hub with its own certificate."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.deployments.joining import LOST_S
from spider.wire.joining import read_invite
from tests.support.debian_packages import DOAS, unpack
from tests.support.deploy_client import END_LIMIT_S, Desk, Look
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.join_host import filled, invited, until_online
from tests.support.lab import Host
from tests.support.tls_proxy import TlsProxy

pytestmark = pytest.mark.system


def off_again(desk: Desk, node: str) -> None:
    row = desk.remove(
        node,
        {
            "username": "root",
            "private_key": desk.host.private_key(),
            "host_key": desk.fingerprint(),
            "port": desk.host.port,
            "host": desk.host.address,
        },
    )
    assert row["state"] == "succeeded", row


@contextlib.contextmanager
def watched(secrets: list[str]) -> Iterator[list[str]]:
    """Look at the arguments and environments of every process, those of the host among them, over and over."""
    seen: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        held = (path / name).read_bytes().decode(errors="replace")
                        seen.extend(f"{path.name} {name}" for secret in secrets if secret in held)

    watcher = threading.Thread(target=look, name="watcher")
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


TYPIST = r"""
import json, os, pty, select, sys, time

command, invite = json.load(sys.stdin)
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
said, seen = b"", 0


def until(*marks):
    global said, seen
    ends_at = time.monotonic() + 60
    while True:
        found = [said.index(mark, seen) + len(mark) for mark in marks if mark in said[seen:]]
        if found:
            seen = max(found)
            return
        assert time.monotonic() < ends_at, said
        if select.select([terminal], [], [], 1)[0]:
            said += os.read(terminal, 65536)


os.write(terminal, b"echo be''fore\r")
until(b"before")
os.write(terminal, b"\x1b[200~" + command.encode() + b"\x1b[201~\r")
until(b"Paste the invite: ")
os.write(terminal, invite.encode() + b"\r")
until(b"stardust: connected", b"make a new one")
until(b"\x1b[?2004h")  # the shell reads again
os.write(terminal, b"echo af''ter $?\r")
until(b"after 0", b"after 1")
os.write(terminal, b"exit\r")
print(said.decode(errors="replace"))
"""


def pasted(host: Host, made: Any, *shell: str) -> str:
    """The output for a user who pastes the line into a shell on a terminal, and then the invite at the prompt."""
    shown = host.run(
        "env", "TERM=xterm", "HISTFILE=/root/history", "python3", "-c", TYPIST, *shell, stdin=json.dumps([made["line"], made["invite"]])
    )
    return shown.stdout


def joined(host: Host, made: Any, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    """The output without a terminal: the whole command is given to sh; other shells get the line, with the invite by standard input."""
    if shell == "sh":
        return host.run("sh", stdin=made["command"], check=False)
    keeping = [f"XDG_{kind}_HOME=/root/.cache" for kind in ("CONFIG", "DATA")]  # of fish, which keeps files of its own
    return host.run("env", *keeping, shell, "-c", made["line"], stdin=made["invite"] + "\n", check=False)


@pytest.mark.holds("SAFETY-46", "S-46")
@pytest.mark.parametrize(
    ("form", "shell"),
    [("command", "bash"), pytest.param("line", "bash", marks=pytest.mark.slow), pytest.param("line", "zsh", marks=pytest.mark.slow)],
)
def test_the_join_command_works_and_removal_leaves_nothing(desk: Desk, tmp_path: Path, form: str, shell: str) -> None:
    """And the invite is found in no argument, environment, history or log; a zsh that leaves nothing out of its history is no other."""
    words = ["bash", "--norc", "-i"]
    if shell == "zsh":
        unpack(desk.host, tmp_path, "zsh", "zsh-common", "tcsh", "fish", "fish-common", "libpcre2-32-0")
        desk.spoil("mkdir /root/zsh; printf 'HISTSIZE=99 SAVEHIST=99\\nsetopt INC_APPEND_HISTORY\\n' >/root/zsh/.zshrc")
        words = ["env", "ZDOTDIR=/root/zsh", "zsh", "-i"]
    look = Look(desk)
    token = desk.hub.login().token
    made = desk.hub.request("POST", "/api/v1/invites", {"tags": ["joined"]}, token=token).json
    text = made["invite"]
    with watched([text, text[40:80]]) as seen:
        if form == "line":
            said = pasted(desk.host, made, *words)
            assert text not in said
        else:
            typed = f"echo be''fore\n{made['command']}echo after $?\n"
            said = desk.host.run("env", "HISTFILE=/root/history", *words, stdin=typed, check=False).stdout
    assert "after 0" in said, said
    assert "connected" in said
    assert seen == []
    (node,) = desk.nodes()
    assert (node["state"], node["tags"], node["name"]) == ("online", ["joined"], desk.host.sh("uname -n").strip())
    assert desk.hub.local("GET", f"/api/v1/invites/{made['info']['id']}").json["state"] == "used"
    history = desk.host.sh("cat /root/history; rm /root/history")
    assert "echo be''fore" in history
    assert ("sh install.sh" in history) == (form == "line")
    for secret in (text, read_invite(text).secret.hex()):
        assert secret not in history
        assert desk.host.sh(f"journalctl -o verbose --no-pager | grep -c -F '{secret}' || true").strip() == "0"
        assert desk.host.sh(f"grep -r -l -F '{secret}' /var/log /etc /opt /var/lib/stardust /tmp /root 2>/dev/null || true") == ""
        assert secret not in desk.hub.output
    assert desk.host.sh("find /tmp /var/tmp -name 'stardust*' -o -name 'tmp.*'") == ""
    assert desk.host.sh("stat -c '%a %U' /etc/stardust/session.key /etc/stardust/launch.key").split() == ["600", "stardust", "600", "root"]

    for other in ("sh",) if shell == "bash" else ("fish", "tcsh"):
        again = joined(desk.host, made, other)
        assert again.returncode != 0
        assert "make a new one" in again.stderr, (other, again.stderr)
    off_again(desk, node["id"])
    assert desk.nodes() == []
    look.check_unchanged()


def test_a_failed_join_leaves_the_server_unchanged(desk: Desk) -> None:
    """A refusal spends no invite; a failure half way takes everything back, here and at the hub."""
    desk.spoil("mkdir -p /etc/systemd/system/stardust-spider.service.d /etc/stardust; touch /etc/stardust/spider.conf")
    made = invited(desk.hub, name="late")
    refused = joined(desk.host, made)
    assert refused.returncode != 0
    assert "already on this server" in refused.stderr
    assert desk.hub.local("GET", f"/api/v1/invites/{made['info']['id']}").json["state"] == "open"
    desk.host.sh(
        "rm -r /etc/stardust; printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >/etc/systemd/system/stardust-spider.service.d/x.conf"
    )
    look = Look(desk)
    failed = joined(desk.host, made)
    assert failed.returncode != 0
    assert "everything was taken back" in failed.stdout, failed.stdout + failed.stderr
    look.check_unchanged()
    assert desk.nodes() == []
    assert desk.hub.local("GET", f"/api/v1/invites/{made['info']['id']}").json["state"] == "used"


@pytest.mark.holds("SAFETY-45", "S-45", "F-23")
def test_user_data_joins_where_tmp_runs_nothing_and_waits_for_approval(desk: Desk) -> None:
    """The example's file and commands as they stand, by the hand of the test where cloud-init would do it."""
    desk.host.sh("mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 tmpfs /tmp")
    made = invited(desk.hub, kind="organisation", name="cloud", uses=2, tags=["cloud"])
    text = filled("cloud-init.yaml", made)
    secret = re.search(r"content: \|\n\s+(\S+)\n", text)
    script = re.search(r"runcmd:\n  - \|\n((?:    .*\n)+)", text)
    assert secret is not None
    assert script is not None
    desk.host.run("sh", "-c", "umask 077; cat >/run/stardust-invite", stdin=secret[1] + "\n")
    commands = "".join(line[4:] for line in script[1].splitlines(keepends=True))
    done = desk.host.run("sh", "-c", commands, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "waits for approval" in done.stdout
    assert desk.host.sh("ls -d /run/stardust-invite /tmp/tmp.* 2>/dev/null || true") == ""

    (node,) = desk.nodes()
    assert (node["state"], node["waiting"], node["tags"]) == ("pending", True, ["cloud"])
    assert desk.hub.local("POST", f"/api/v1/nodes/{node['id']}/jobs", {"action": "check"}).status in (202, 409)
    approved = desk.hub.local("POST", f"/api/v1/nodes/{node['id']}/approve")
    assert (approved.status, approved.json["waiting"]) == (200, False)
    until_online(desk.hub, node["id"])
    actions = [row["action"] for row in desk.hub.local("GET", "/api/v1/audit").json["audit"]]
    assert {"invite.create", "invite.use", "node.approve"} <= set(actions)
    retry_unreadable = desk.hub.local("GET", f"/api/v1/invites/{made['info']['id']}").json
    assert (retry_unreadable["state"], retry_unreadable["uses"]) == ("open", 1)
    assert desk.hub.local("DELETE", f"/api/v1/nodes/{node['id']}?force=true").status == 202
    desk.host.sh("test -e /etc/stardust")
    desk.clean = False


@pytest.mark.slow  # tests/e2e/test_lan.py joins by a pin, and tests/e2e/test_attacks_link.py refuses another certificate
@pytest.mark.holds("SAFETY-44", "S-47")
def test_a_hub_with_its_own_certificate_is_trusted_by_pin_only(desk: Desk, tmp_path: Path) -> None:
    """Through a TLS end with a self-signed certificate; another one at the same address is refused."""
    look = Look(desk)
    with TlsProxy(tmp_path / "tls") as front:
        url = f"wss://127.0.0.1:{front.port}/ws"
        pins = f"{'00' * 32}, {front.pin}"  # a key that is not used yet, and the one in use
        hub = HubProcess(tmp_path / "hub", args=["--server-url", url, "--tls-pin", pins], env={"STARDUST_TRUSTED_PROXIES": "127.0.0.1"})
        with hub:
            front.hub_port = hub.port
            made = invited(hub, name="pinned")
            assert read_invite(made["invite"]).tls_pin == bytes(32) + bytes.fromhex(front.pin)
            done = joined(desk.host, made)
            assert "connected" in done.stdout, done.stdout + done.stderr
            assert f"tls_pin = {pins}" in desk.host.sh("cat /etc/stardust/spider.conf")
            (node,) = hub.local("GET", "/api/v1/nodes").json["nodes"]
            assert node["state"] == "online"
            front.__exit__()
            with TlsProxy(tmp_path / "stranger", front.port) as stranger:
                stranger.hub_port = hub.port
                second = invited(hub)
                refused = joined(desk.host, second)
                assert "not among those that are pinned" in refused.stderr, refused.stdout + refused.stderr
            desk.host.sh("systemctl stop stardust-spider.service")
            sides = {"username": "root", "private_key": desk.host.private_key(), "host": desk.host.address, "host_key": desk.fingerprint()}
            row = hub.local("DELETE", f"/api/v1/nodes/{node['id']}", sides)
            assert row.status == 202, row.body
            path = f"/api/v1/deployments/{row.json['id']}"
            wait_until(lambda: hub.local("GET", path).json["ended_at"] is not None, END_LIMIT_S)
            look.check_unchanged()


@pytest.mark.holds("F-23")
@pytest.mark.parametrize(
    ("files", "ends"),
    [
        pytest.param("", "connected", id="no execution", marks=pytest.mark.slow),  # of a user's data it is above
        pytest.param(",nr_inodes=10", "everything was taken back", id="no room for files", marks=pytest.mark.slow),
    ],
)
def test_a_join_with_a_limited_tmp_connects_or_changes_nothing(desk: Desk, files: str, ends: str) -> None:
    desk.host.sh(f"mount -t tmpfs -o noexec,nosuid,nodev,mode=1777{files} tmpfs /tmp")
    try:
        look = Look(desk)
        done = joined(desk.host, invited(desk.hub))
        assert ends in done.stdout, done.stdout + done.stderr
        assert (done.returncode == 0, "Traceback" in done.stderr) == (ends == "connected", False), done.stderr
        if ends == "connected":
            [node] = desk.nodes()
            off_again(desk, node["id"])
        look.check_unchanged()
        wait_until(lambda: desk.nodes() == [], LOST_S + 60, "the hub has forgotten it")
    finally:
        desk.host.sh("umount /tmp")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hub_killed_during_a_join_leaves_the_server_unchanged(desk: Desk) -> None:
    """Also where the journal still has messages of an earlier Spider that had a session."""
    off_again(desk, desk.install("root")["node_id"])
    assert "session_open" in desk.host.sh("journalctl -u stardust-spider.service -o cat")
    folder = "/etc/systemd/system/stardust-spider.service.d"
    held = "/var/log/lab-hold"
    wait = f'ExecStartPre=+/bin/sh -c "while [ -e {held} ]; do sleep 0.1; done"'
    desk.spoil(f"mkdir -p {folder} && printf '%s\\n' '[Service]' '{wait}' >{folder}/late.conf; touch {held}")
    look = Look(desk)
    made = invited(desk.hub)
    with ThreadPoolExecutor() as pool:
        joining = pool.submit(joined, desk.host, made)
        wait_until(
            lambda: "activating" in desk.host.sh("systemctl is-active stardust-spider.service", check=False),
            what="Spider is about to start",
            limit_s=90,
        )
        desk.hub.slay()
        desk.host.sh(f"rm {held}")
        done = joining.result(200)
    assert done.returncode != 0, done.stdout
    assert "everything was taken back" in done.stdout, done.stdout + done.stderr
    look.check_unchanged()
    desk.hub.launch()
    wait_until(lambda: desk.nodes() == [], what="the hub has forgotten it", limit_s=LOST_S + 60)


@pytest.mark.slow
def test_root_needs_neither_sudo_nor_doas(desk: Desk, tmp_path: Path) -> None:
    """doas, which asks its rules about root too, would not let it."""
    unpack(desk.host, tmp_path, "opendoas")
    desk.spoil(DOAS.format(rule="permit ops"))
    look = Look(desk)
    done = joined(desk.host, invited(desk.hub))
    assert "connected" in done.stdout, done.stdout + done.stderr
    off_again(desk, desk.nodes()[0]["id"])
    assert look.changes() == []
