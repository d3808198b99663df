"""The examples for joining many servers, run with their tools: cloud-init and Ansible."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.deploy_client import Desk, Look
from tests.support.join_host import filled, invited, until_online
from tests.support.lab import Host

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]

ONLY_OURS = """datasource_list: [NoCloud]
network: {config: disabled}
cloud_init_modules: [write-files]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user]
"""
"""What of cloud-init the example needs: its other modules would change keys and accounts of a host that is no fresh image."""
STAGES = ("init --local", "init", "modules --mode=config", "modules --mode=final")


def first_start(host: Host, user_data: str) -> str:
    """What cloud-init does with user data when a server starts for the first time; returns what the commands said."""
    host.sh("rm -rf /var/lib/cloud; mkdir -p /var/lib/cloud/seed/nocloud; echo 'instance-id: lab' >/var/lib/cloud/seed/nocloud/meta-data")
    host.run("/bin/sh", "-c", "umask 077; cat >/var/lib/cloud/seed/nocloud/user-data", stdin=user_data)
    for stage in STAGES:
        host.run("/bin/sh", "-c", f"cloud-init {stage} >>/var/log/stage 2>&1", check=False)
    return host.sh("cat /var/log/stage /var/log/cloud-init-output.log 2>/dev/null", check=False)


def test_cloud_init_joins_a_server_and_leaves_no_other_copy_of_the_secret(desk: Desk) -> None:
    desk.spoil("apt-get -q update && apt-get -q -y install --no-install-recommends cloud-init")
    desk.host.run("/bin/sh", "-c", "cat >/etc/cloud/cloud.cfg.d/99-lab.cfg", stdin=ONLY_OURS)
    left = "ls -d /run/stardust-invite /tmp/tmp.* /tmp/stardust-* 2>/dev/null || true"

    made = invited(desk.hub, kind="organisation", name="late", uses=1, tags=["cloud"])
    assert desk.hub.local("DELETE", f"/api/v1/invites/{made['info']['id']}").status == 204
    said = first_start(desk.host, filled("cloud-init.yaml", made))
    assert "make a new one" in said, said
    assert desk.host.sh(left) == ""
    assert desk.nodes() == []
    assert desk.host.sh("ls -d /etc/stardust /opt/stardust /var/lib/stardust 2>/dev/null || true") == ""

    made = invited(desk.hub, kind="organisation", name="cloud", uses=2, tags=["cloud"])
    mine = "  - pwd >/root/mine; false; echo on >>/root/mine\n"
    said = first_start(desk.host, filled("cloud-init.yaml", made) + mine)
    assert "waits for approval" in said, said
    assert desk.host.sh(left) == ""
    assert desk.host.sh("cat /root/mine").split() == ["/", "on"], "the commands after ours run as they would without it"
    (node,) = desk.nodes()
    assert (node["waiting"], node["tags"]) == (True, ["cloud"])
    secret = made["invite"]
    assert secret not in said
    held = desk.host.sh(f"grep -r -l -F '{secret}' /var/log /run /etc /opt /tmp /root /var/lib 2>/dev/null || true").split()
    assert held, "cloud-init keeps user data itself"
    assert all(path.startswith(("/var/lib/cloud/", "/run/cloud-init/")) for path in held), held
    assert desk.hub.local("POST", f"/api/v1/nodes/{node['id']}/approve").status == 200
    until_online(desk.hub, node["id"])


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ansible-playbook, in an environment of its own."""
    folder = tmp_path_factory.mktemp("ansible") / "env"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    done = subprocess.run(
        [str(folder / "bin/pip"), "install", "-q", "ansible-core"], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"the registry does not give ansible-core: {done.stderr[-600:]}"
    return folder / "bin/ansible-playbook"


def play(ansible: Path, folder: Path, hosts: list[Host], playbook: str, secret: str) -> tuple[dict[str, Any], str]:
    """Run a playbook over ssh as a user with sudo; returns the recap by host, and all that was said."""
    inventory = {"all": {"hosts": {host.name: {"ansible_host": host.address, "ansible_port": host.port} for host in hosts}}}
    (folder / "hosts.json").write_text(json.dumps(inventory))
    (folder / "play.yaml").write_text(playbook)
    (folder / "vars.json").write_text(json.dumps({"stardust_invite": secret}))
    env = {
        **os.environ, "HOME": str(folder), "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_SSH_ARGS": f"-o UserKnownHostsFile={hosts[0].keys.parent}/known_hosts -o IdentitiesOnly=yes", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    argv = [
        str(ansible),
        "-vvv",
        "-i",
        str(folder / "hosts.json"),
        "-u",
        "ops",
        "--private-key",
        str(hosts[0].keys / "id_ed25519"),
        "-e",
        f"@{folder}/vars.json",
    ]
    done = subprocess.run([*argv, str(folder / "play.yaml")], env=env, capture_output=True, text=True, timeout=600, check=False)
    recap = {}
    for line in done.stdout.partition("PLAY RECAP")[2].splitlines()[1:]:
        name, _, counts = line.partition(":")
        if counts:
            recap[name.strip()] = {key: int(value) for key, value in (pair.split("=") for pair in counts.split())}
    return recap, done.stdout + done.stderr


def test_ansible_joins_servers_and_leaves_no_secret(desk: Desk, ansible: Path, lab_hosts: list[Host], tmp_path: Path) -> None:
    hosts = lab_hosts[:2]
    hosts[1].reset()
    looks = [Look(Desk(desk.hub, host)) for host in hosts]
    late = invited(desk.hub, kind="organisation", name="late", uses=2)
    assert desk.hub.local("DELETE", f"/api/v1/invites/{late['info']['id']}").status == 204
    recap, said = play(ansible, tmp_path, hosts, filled("ansible.yaml", late), late["invite"])
    assert [row["failed"] for row in recap.values()] == [1, 1], said
    for look in looks:
        assert [line for line in look.changes() if "/.ansible" not in line] == []

    made = invited(desk.hub, kind="organisation", name="ansible", uses=2, tags=["by-ansible"])
    recap, said = play(ansible, tmp_path, hosts, filled("ansible.yaml", made), made["invite"])
    assert [(row["failed"], row["unreachable"]) for row in recap.values()] == [(0, 0), (0, 0)], said
    nodes = desk.nodes()
    assert [(node["waiting"], node["tags"]) for node in nodes] == [(True, ["by-ansible"])] * 2
    assert made["invite"] not in said
    for host in hosts:
        assert host.sh("ls /root/stardust-install.sh 2>/dev/null || true") == ""
        assert "ansible" in host.sh("journalctl -o verbose --no-pager")
        assert made["invite"] not in host.sh("journalctl -o verbose --no-pager; cat /var/log/*.log 2>/dev/null", check=False)
        assert host.sh(f"grep -r -l -F '{made['invite']}' /var/log /run /etc /opt /tmp /root /home /var/lib 2>/dev/null || true") == ""
    for node in nodes:
        assert desk.hub.local("POST", f"/api/v1/nodes/{node['id']}/approve").status == 200
        until_online(desk.hub, node["id"])
    recap, said = play(ansible, tmp_path, hosts, filled("ansible.yaml", made), made["invite"])
    assert [(row["failed"], row["changed"]) for row in recap.values()] == [(0, 0), (0, 0)], said
