"""The one-line command on a host that says it is a Mac: macOS's programs are stand-ins here, with the contract of their manual pages."""

from __future__ import annotations

import pytest

from tests.support.deploy_client import END_LIMIT_S, Desk, Look
from tests.support.eventually import wait_until
from tests.support.join_host import invited, until_online

pytestmark = pytest.mark.system
STANDS_IN = {
    "uname": 'case $1 in -s) echo Darwin ;; *) exec /usr/bin/uname "$@" ;; esac',
    "sw_vers": "echo 15.1",
    "xcode-select": "echo /Library/Developer/CommandLineTools",
    # BSD's -f is GNU's -c, with other letters
    "stat": """case "$*" in "-L -f %u %Lp "*) exec /usr/bin/stat -L -c '%u %a' "$4" ;; *) exec /usr/bin/stat "$@" ;; esac""",
    "shasum": """shift 2; exec sha256sum "$@" """,
    "dscl": r"""shift
case "$1 $2" in
    "-list /Users") getent passwd | awk -F: '{ print $1, $3 }' ;;
    "-list /Groups") getent group | awk -F: '{ print $1, $3 }' ;;
    "-read /Users/"*) id -u "${2#/Users/}" ;;
    "-create /Groups/"*) groupadd -g "$4" "${2#/Groups/}" ;;
    "-create /Users/"*)
        name=${2#/Users/}
        case $3 in
            UniqueID) useradd -M -u "$4" -N -g nogroup "$name" ;;
            PrimaryGroupID) usermod -g "$4" "$name" ;;
            NFSHomeDirectory) usermod -d "$4" "$name" ;;
        esac ;;
    "-delete /Users/"*) userdel "${2#/Users/}" 2>/dev/null ;;
    "-delete /Groups/"*) groupdel "${2#/Groups/}" 2>/dev/null || true ;;
esac""",
    "chown": r"""who=$(printf %s "$1" | sed 's/:wheel$/:root/'); shift; exec /usr/bin/chown "$who" "$@" """,
    "launchctl": r"""exec python3 - "$@" <<'EOF2'
import os, plistlib, subprocess, sys
verb, where = sys.argv[1], sys.argv[2]
if verb == "bootstrap":
    with open(sys.argv[3], "rb") as file:
        job = plistlib.load(file)
    out = open(job["StandardErrorPath"], "ab")
    argv = ["systemd-run", "-q", "--unit", "launchd-" + job["Label"], "-p", "User=" + job["UserName"], "-p", "Restart=always"]
    argv += ["-p", "StandardOutput=append:" + job["StandardOutPath"], "-p", "StandardError=append:" + job["StandardErrorPath"]]
    sys.exit(subprocess.call([*argv, *job["ProgramArguments"]]))
unit = "launchd-" + where.rpartition("/")[2]
sys.exit(subprocess.call(["systemctl", {"print": "is-active", "bootout": "stop", "enable": "--version"}[verb], unit], stdout=subprocess.DEVNULL))
EOF2""",
}


def dress(desk: Desk) -> None:
    """Put the programs of a Mac before those of Linux. (`PATH` of the scripts begins with /usr/sbin.)"""
    for name, text in STANDS_IN.items():
        desk.host.run(
            "sh", "-c", f"cat >/usr/sbin/{name} && chmod 0755 /usr/sbin/{name}", stdin=f"#!/bin/sh\n{text}\n".replace("EOF2", "STAND_IN")
        )
    desk.spoil("mkdir -p /Library/LaunchDaemons")


def test_the_one_line_command_joins_a_mac_and_uninstall_leaves_nothing(desk: Desk) -> None:
    dress(desk)
    look = Look(desk)
    made = invited(desk.hub, tags=["laptops"], policy="managed")
    done = desk.host.run("sh", stdin=made["command"], check=False)
    assert done.returncode == 0, done.stdout + done.stderr + desk.hub.output[-2000:]
    assert "the hub can order nothing here" in done.stdout
    assert "only load and clock are measured: sudo /usr/bin/python3 -m pip install psutil" in done.stdout
    (node,) = desk.nodes()
    until_online(desk.hub, node["id"])
    wait_until(lambda: desk.hub.node(node["id"])["policy"], END_LIMIT_S)
    assert desk.hub.node(node["id"])["policy"]["mode"] == "monitor", "whatever the invite says"
    assert desk.host.sh("stat -c '%a %U' /etc/stardust/session.key").split() == ["600", "_stardust"]
    again = desk.host.run("sh", stdin=invited(desk.hub)["command"], check=False)
    assert (again.returncode, "already on this server" in again.stderr) == (1, True), again.stderr
    assert desk.host.sh("sh /var/lib/stardust/uninstall remove").split("\n")[-2] == "ok"
    assert look.changes() == []
    failing = invited(desk.hub)
    desk.host.sh("printf '#!/bin/sh\\nexit 1\\n' >/usr/sbin/launchctl")
    look = Look(desk)
    failed = desk.host.run("sh", stdin=failing["command"], check=False)
    assert (failed.returncode, "everything was taken back" in failed.stdout) == (1, True), failed.stdout + failed.stderr
    assert look.changes() == []
