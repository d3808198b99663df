"""A hub that terminates TLS itself (`--lan`), between two networks: the joiner, its proof and Spider are the real ones. Only where an
installation would put the files of a server, a script of the test does."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from groundcontrol.cli.main import main
from groundcontrol.lan import store_addresses
from groundcontrol.own_certificate import FILE, read_certificate
from spider.config import ADDRESS_FILE
from spider.wire.joining import read_invite, write_invite
from tests.support.eventually import wait_until
from tests.support.hub import ROOT, HubProcess
from tests.support.join_client import PROBE, made
from tests.support.two_networks import HUB_ADDRESS, LIMIT_S, OTHER_HUB_ADDRESS, Network, two_networks

LIFECYCLE = """
folder={folder}
case $1 in
install)
    umask 077
    mkdir -p "$folder/state" "$folder/jobs"
    mv "$2"/* "$folder/" && rmdir "$2"
    ;;
start)
    cd "$folder" || exit 1
    {python} -B -m tests.support.spider_program --config spider.conf --key session.key --policy policy.conf --state "$folder/state" \
        --jobs "$folder/jobs" --launcher "$folder/launcher.sock" </dev/null >"$folder/log" 2>&1 &
    echo $! >"$folder/pid"
    ;;
esac
echo ok
"""
JOIN = "from spider.selfcare.join import main; main()"
LOG_IN = """
import json, ssl, sys, urllib.request, urllib.error
url, certificate, body = sys.argv[1:]
request = urllib.request.Request(url + "/api/v1/auth/login", body.encode(), {"Content-Type": "application/json"})
try:
    answer = urllib.request.urlopen(request, timeout=30, context=ssl.create_default_context(cafile=certificate))
    print(answer.status, answer.headers["Strict-Transport-Security"])
except urllib.error.HTTPError as refused:
    print(refused.status, json.loads(refused.read())["code"])
"""

TERMINAL = """
import os, pty, sys
command, answer = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv("/bin/sh", ["sh", "-c", command])
said = b""
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:
        break
    if not part:
        break
    said += part
    if said.endswith(b"Paste the invite: "):
        os.write(terminal, answer.encode() + b"\\r")
print(said.decode(errors="replace"))
"""


class Server(NamedTuple):
    """A server in the other network."""

    network: Network
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def at_terminal(self, command: str, answer: str) -> str:
        """The output for a user who pastes the command and answers the prompt for the invite. The user is root already."""
        words = command.replace("| sudo sh", "| sh"), answer
        return self.network.run(sys.executable, "-c", TERMINAL, *words, env=self.env).stdout

    def join(self, invite: str) -> str:
        """The output of joining it."""
        for name, text in (
            ("probe.sh", "cat <<'END'\n" + "\n".join((*PROBE, "ok", "END", ""))),
            ("lifecycle.sh", LIFECYCLE.format(folder=self.folder / "there", python=sys.executable)),
        ):
            (self.folder / name).write_text(text)
        scripts = [str(self.folder / name) for name in ("probe.sh", "lifecycle.sh")]
        done = self.network.run(sys.executable, "-B", "-c", JOIN, *scripts, stdin=invite + "\n", env=self.env)
        return done.stdout + done.stderr


@pytest.fixture
def cable() -> Iterator[tuple[Network, Network]]:
    with two_networks() as both:
        yield both


@pytest.fixture
def server(cable: tuple[Network, Network], tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir(mode=0o700)
    yield Server(cable[1], tmp_path / "server")
    pid = tmp_path / "server/there/pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGKILL)


@pytest.mark.holds("SAFETY-44", "S-47")
def test_a_server_of_another_network_joins_by_the_pin_in_its_invite(cable: tuple[Network, Network], server: Server, tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub", args=["--lan"], faults=[f"network={cable[0].pid}"], default_admin=True)
    with hub:
        url = f"https://{HUB_ADDRESS}:{hub.port}"
        assert hub.wait_event("hub_ready")["page"] == url  # the address that it found
        certificate = read_certificate(hub.folder)
        assert certificate is not None

        invite = made(hub, name="over-there")["invite"]
        read = read_invite(invite)
        assert (read.urls, read.tls_pin) == ([f"wss://{HUB_ADDRESS}:{hub.port}/ws"], bytes.fromhex(certificate.pin))
        refused = server.join(write_invite(read._replace(tls_pin=bytes(32))))
        assert "not among those that are pinned" in refused
        assert hub.local("GET", "/api/v1/nodes").json["nodes"] == []

        short = made(hub)["short"]
        assert "Paste the invite: \nstardust: this is not an invite" in server.at_terminal(short, "nonsense")
        other = re.sub('sha256//[^"]+', "sha256//" + "A" * 43 + "=", short)
        told = server.at_terminal(other, "nonsense")
        assert ("pinned public key" in told, "Paste the invite" in told) == (True, False)

        assert "connected" in server.join(invite)
        [node] = hub.local("GET", "/api/v1/nodes").json["nodes"]
        wait_until(lambda: hub.node(node["id"])["state"] == "online", LIMIT_S, lambda: hub.output[-3000:])
        conf = (server.folder / "there/spider.conf").read_text()
        assert f"url = wss://{HUB_ADDRESS}:{hub.port}/ws\n" in conf
        assert f"tls_pin = {certificate.pin}\n" in conf

        code = next(found[1] for line in hub.lines if (found := re.search(r"setup code.*: ([A-Z2-7]{20})$", line)))
        first = {"username": "admin", "password": "admin"}
        for network in cable:  # from the hub's own machine, too
            assert log_in(network, url, hub, first) == "403 auth.setup_code_required"
        assert log_in(server.network, url, hub, {**first, "setup_code": code}) == "200 None"


def test_a_hub_that_changes_its_address_takes_its_nodes_along(
    cable: tuple[Network, Network], server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = HubProcess(tmp_path / "hub", args=["--lan"], faults=[f"network={cable[0].pid}"])

    def stardust(*words: str) -> str:
        assert main(["addresses", *words, "--data-dir", str(hub.folder)]) == 0
        return capsys.readouterr().out

    hub.folder.mkdir(mode=0o700)
    store_addresses(hub.folder, (OTHER_HUB_ADDRESS, HUB_ADDRESS))  # the first is one that the hub's machine will have
    server.network.ip("route", "add", "unreachable", OTHER_HUB_ADDRESS)
    with hub:
        assert "connected" in server.join(made(hub, name="over-there")["invite"])
        [node] = hub.local("GET", "/api/v1/nodes").json["nodes"]
        wait_until((server.folder / "there/state" / ADDRESS_FILE).exists, LIMIT_S, (server.folder / "there/log").read_text)
        assert f"1 at {HUB_ADDRESS}:{hub.port}, told to move: over-there\n" in stardust()

        hub.slay()
        cable[0].ip("address", "del", f"{HUB_ADDRESS}/24", "dev", "cable")
        cable[0].ip("address", "add", f"{OTHER_HUB_ADDRESS}/24", "dev", "cable")
        server.network.ip("route", "del", "unreachable", OTHER_HUB_ADDRESS)
        server.network.ip("route", "add", "unreachable", HUB_ADDRESS)
        assert f"Nodes that still dial {HUB_ADDRESS} lose the hub" in stardust("set", OTHER_HUB_ADDRESS)
        hub.launch()
        wait_until(lambda: hub.node(node["id"])["state"] == "online", LIMIT_S, (server.folder / "there/log").read_text)
        assert json.loads(stardust("--json"))["nodes"] == [
            {"node_id": node["id"], "name": "over-there", "address": f"{OTHER_HUB_ADDRESS}:{hub.port}", "is_other": False, "follows": True}
        ]
        assert f"1 at {OTHER_HUB_ADDRESS}:{hub.port}\n" in stardust()
        assert f"url = wss://{HUB_ADDRESS}:{hub.port}/ws\n" in (server.folder / "there/spider.conf").read_text()


def log_in(network: Network, url: str, hub: HubProcess, body: dict[str, str]) -> str:
    """The status, and the code of a refusal; with a certificate that is trusted for this address."""
    return network.run(sys.executable, "-c", LOG_IN, url, str(hub.folder / FILE), json.dumps(body)).stdout.strip()
