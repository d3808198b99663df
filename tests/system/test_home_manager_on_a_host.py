"""Home Manager's module on a real host with a user's own systemd: the join, the launcher, a switch, and its way back.

Nix builds nothing here: its files are copied, and the programs of its packages are Debian's. `home-manager` is a program of this test with its contract.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from majortom.build.bundle import read_bundle, read_joiner
from tests.support.deploy_client import Desk
from tests.support.eventually import wait_until
from tests.support.hub import ROOT
from tests.support.join_host import invited, until_online
from tests.support.lab import Host
from tests.support.nix import evaluated

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]  # test_nix_watched joins so, tests/unit/majortom/test_nixos.py switches
SETTINGS = """enable = true; inviteFile = "/home/me/invite"; policy = "managed"; actions = [ "switch" "test" ];
configuration.path = "/home/me/nixcfg"; package = "/nix/store/stardust-spider";"""
PACKAGES = ("nix", "git", "openssh", "util-linux", "coreutils", "gnugrep", "gnused", "bash", "systemd")
PROFILE = "/home/me/.local/state/nix/profiles/home-manager"
HOME_MANAGER = f"""#!/bin/sh
echo "$*" >>/home/me/ordered
echo '@nix {{"action": "start", "id": 1, "level": 0, "parent": 0, "text": "", "type": 104}}'
echo '@nix {{"action": "result", "fields": [1, 4, 0, 0], "id": 1, "type": 105}}'
while [ -e /home/me/slow ]; do sleep 0.1; done
ln -sfn home-manager-8-link {PROFILE}
systemctl --user daemon-reload
[ ! -e /home/me/breaks ] || systemctl --user stop stardust-spider.service
"""
NIX_ENV = f"""#!/bin/sh
ln -sfn "home-manager-$4-link" {PROFILE}
"""
ACTIVATE = """#!/bin/sh
systemctl --user start stardust-spider.service
echo "activated $*"
"""


def written(section: str, values: dict[str, Any]) -> str:
    """A section of a unit file, as Home Manager writes it."""
    lines = [f"[{section}]"]
    for key, value in values.items():
        values_of = value if isinstance(value, list) else [value]
        lines += [f"{key}={str(one).lower() if isinstance(one, bool) else one}" for one in values_of]
    return "\n".join(lines) + "\n"


def files_of(made: Any, store: Path) -> dict[str, tuple[bytes, int]]:
    """What Nix and Home Manager put on the machine."""
    found: dict[str, tuple[bytes, int]] = {}
    for kind in ("services", "sockets"):
        for name, unit in made["systemd"]["user"][kind].items():
            text = "\n".join(written(section, values) for section, values in unit.items())
            found[f"home/me/.config/systemd/user/{name}.{kind[:-1]}"] = (text.encode(), 0o644)
    for path in store.rglob("*"):
        if path.is_file():
            data = path.read_bytes().replace(b"SESSION_LIMIT_S:-120", b"SESSION_LIMIT_S:-3")
            head = b"#!/bin/sh\n" if path.name.endswith("-stardust-join") else b""  # pkgs.writeShellScript writes it
            found[str(path.relative_to(store.parents[1]))] = (head + data, 0o555)
    package = "nix/store/stardust-spider/lib/stardust"
    found |= {f"{package}/spider.pyz": (read_bundle(), 0o444), f"{package}/joiner.pyz": (read_joiner(), 0o444)}
    for name in ("probe.sh", "join.sh"):
        found[f"{package}/{name}"] = ((ROOT / "majortom/nix" / name).read_bytes(), 0o444)
    profiles = "home/me/.local/state/nix/profiles"
    found |= {f"{profiles}/home-manager-{number}-link/activate": (ACTIVATE.encode(), 0o755) for number in (7, 8)}
    for name, script in (("home-manager", HOME_MANAGER), ("nix-env", NIX_ENV)):
        found[f"home/me/.nix-profile/bin/{name}"] = (script.encode(), 0o755)
    return found


def packed(files: dict[str, tuple[bytes, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, (data, mode) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def prepare(host: Host, made: Any, store: Path) -> None:
    host.sh("useradd --create-home --shell /bin/bash me; mkdir -p /var/log/journal; systemctl restart systemd-journald")
    host.run("tar", "-x", "-C", "/", stdin=packed(files_of(made, store)))
    links = "\n".join(f"mkdir -p /nix/store/{name} && ln -s /usr/bin /nix/store/{name}/bin" for name in ("python3", *PACKAGES))
    builders = 'for path in /nix/store/*-stardust-actions; do mv "$path" /root/builder; out=$path sh -eu /root/builder; done'
    host.sh(
        f"{links}\n{builders}\nln -s home-manager-7-link {PROFILE}\nchown -R me: /home/me\nloginctl enable-linger me || systemctl start user@$(id -u me)"
    )


def as_user(host: Host, script: str) -> str:
    """What a script of the user says, its errors too."""
    head = 'XDG_RUNTIME_DIR="/run/user/$(id -u)"; export XDG_RUNTIME_DIR; exec 2>&1; '
    return host.run("runuser", "-u", "me", "--", "env", "HOME=/home/me", "sh", "-c", head + script, check=False, timeout_s=120).stdout


def test_a_user_is_ordered_a_switch_which_shows_its_progress_and_is_taken_back(desk: Desk, tmp_path: Path) -> None:
    status, made, error = evaluated(SETTINGS, tmp_path, "home-manager")
    assert status == 0, error
    hub, host = desk.hub, desk.host
    prepare(host, made, tmp_path / "nix/store")
    secret = invited(hub, name="laptop", policy="managed")["invite"]
    host.run("sh", "-c", "umask 077; cat >/home/me/invite; chown me: /home/me/invite", stdin=secret + "\n")
    wait_until(lambda: host.run("sh", "-c", "test -S /run/user/$(id -u me)/systemd/private", check=False).returncode == 0, 60)
    as_user(host, "systemctl --user start stardust-launcher.socket")
    said = as_user(host, "systemctl --user start stardust-join.service || journalctl -n 40 --no-pager")
    nodes = hub.local("GET", "/api/v1/nodes").json["nodes"]
    assert len(nodes) == 1, said
    [node] = nodes
    until_online(hub, node["id"])
    wait_until(lambda: hub.node(node["id"])["policy"], 60)
    assert hub.node(node["id"])["policy"]["mode"] == "managed"

    def ordered(action: str) -> str:
        reply = hub.local("POST", f"/api/v1/nodes/{node['id']}/jobs", {"action": "action-run", "named_action": action})
        assert reply.status == 202, reply.body
        return str(reply.json["id"])

    def job(ident: str) -> Any:
        return hub.local("GET", f"/api/v1/jobs/{ident}").json

    def ended(ident: str, state: str) -> str:
        wait_until(lambda: job(ident)["state"] not in ("queued", "dispatched", "accepted", "running"), 120, lambda: str(job(ident)))
        text = str(hub.local("GET", f"/api/v1/jobs/{ident}/output").body)
        assert job(ident)["state"] == state, f"{job(ident)} {text}"
        return text

    host.sh("touch /home/me/slow")
    switch = ordered("switch")
    wait_until(lambda: job(switch)["progress_percent"] == 25, 60, lambda: f"{job(switch)} {as_user(host, 'journalctl -n 40 --no-pager')}")
    host.sh("rm /home/me/slow")
    text = ended(switch, "succeeded")
    assert "generation 7 -> 8" in text, text
    host.sh(f"touch /home/me/breaks; ln -sfn home-manager-7-link {PROFILE}")
    text = ended(ordered("switch"), "failed")
    assert "going back to generation 7" in text, text
    assert "rolled back to generation 7" in text, text
    assert host.sh("sort -u /home/me/ordered").strip() == "switch --log-format internal-json -v --flake /home/me/nixcfg"

    reply = hub.local("POST", f"/api/v1/nodes/{node['id']}/jobs", {"action": "upgrade"})
    assert reply.status == 409, "the hub can order nothing else"
