"""Tables and services on the oldest and newest systemd, read in the sandbox of Spider's own unit by an unprivileged user."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spider.wire.tables import BY_NAME
from tests.support import lab as labs
from tests.support.bundles import shipped_bundle

pytestmark = pytest.mark.system

UNIT = labs.ROOT / "majortom/remote/units/stardust-spider.service"
LEFT_OUT = ("Type=", "ExecStart=", "User=", "Group=", "SupplementaryGroups=", "Restart", "StateDirectory", "Environment=", "WantedBy=")
LOOK = """
import json, sys, time
sys.path.insert(0, "/srv/spider.pyz")
from spider.sampling.collectors.linux import linux_tables
from spider.sampling.collectors.services import ServicesAndContainers
from spider.sampling.collectors.systemd_units import FailedCount
from spider.sampling.collectors.logins import LoggedInCount
services = ServicesAndContainers()
first_at = time.monotonic()
services.read(first_at)
found = {}
for reader in linux_tables():
    try:
        reading = reader.read(time.monotonic())
        found[reader.subject] = reading and reading.rows
    except PermissionError as error:
        found[reader.subject] = str(error)
time.sleep(max(0.0, first_at + 2 - time.monotonic()))
second_at = time.monotonic()
values = services.read(second_at)
numbers = dict(zip(services.series(), values))
for counter in (FailedCount(), LoggedInCount()):
    numbers.update(zip(counter.series(), counter.read(0.0)) if counter.read(0.0) else [])
print(json.dumps({"tables": found, "numbers": numbers, "between_s": second_at - first_at}))
"""
FOLLOW = """
import json, os, subprocess, sys, time
sys.path.insert(0, "/srv/spider.pyz")
from spider.sampling.collectors.systemd_units import FailedCount, FailedUnits
def run(*words):
    subprocess.run(words, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
def until(state):
    for _ in range(600):
        if subprocess.check_output(["systemctl", "show", "-p", "ActiveState", "--value", "night"]).decode().strip() == state:
            return
        time.sleep(0.05)
    raise SystemExit("night is never " + state)
def fail():
    open("/run/night.rc", "w").write("1")
    run("systemctl", "start", "night")
    until("failed")
    return look()
def again(rc):
    open("/run/night.rc", "w").write(rc)
    run("systemctl", "start", "--no-block", "night")
    until("activating")
    return look()
def look():
    return [row[2:4] for row in reader.read(time.monotonic()).rows if row[0] == "night.service"]
def go_on(state):
    open("/run/night.go", "w").close()
    until(state)
    os.unlink("/run/night.go")
    return look()
reader, count = FailedUnits(), FailedCount()
os.path.exists("/run/night.go") or open("/run/night.go", "w").close()
seen = {"failed": fail()}
os.unlink("/run/night.go")
seen["runs again"] = again("1")
seen["failed again"] = go_on("failed")
seen["runs a third time"] = again("0")
seen["ended with success"] = go_on("inactive")
open("/run/night.go", "w").close(); fail(); os.unlink("/run/night.go")
again("1"); run("systemctl", "stop", "night"); until("inactive")
seen["stopped"] = look()
open("/run/night.go", "w").close(); fail()
run("systemctl", "reset-failed", "night")
seen["reset"] = look()
for start in range(0, 120, 40):
    run("systemctl", "start", *["many@%d" % number for number in range(start, start + 40)])
run("systemctl", "start", "zz-enabled")
reading = reader.read(time.monotonic())
seen["many"] = [row[:2] for row in reading.rows if row[0].startswith(("many@", "zz-"))]
seen["total"] = reading.total
run("systemctl", "reset-failed", "many@*", "zz-enabled")
print(json.dumps(seen))
"""
QUOTA = 0.5
"""What busy.service may use, as a share of one processor."""
UNITS = """
cd /run/systemd/system
printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c "until test -e /run/night.go; do sleep 0.1; done; exit $$(cat /run/night.rc)"\\nSuccessExitStatus=SIGTERM\\n' > night.service
printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' | tee many@.service > /etc/systemd/system/zz-enabled.service
printf '[Install]\\nWantedBy=multi-user.target\\n' >> /etc/systemd/system/zz-enabled.service
systemctl enable -q zz-enabled
printf '[Service]\\nExecStart=/bin/false\\n' > bad.service
printf '[Service]\\nExecStart=/bin/sh -c "kill -9 $$$$"\\nRestart=always\\nRestartSec=600\\n' > again.service
printf '[Service]\\nExecStart=/bin/sh -c "while :; do :; done"\\nCPUQuota=50%%\\n' > busy.service
printf '[Timer]\\nOnCalendar=2037-01-02 03:04:05\\nUnit=bad.service\\n' > far.timer
systemctl daemon-reload
systemctl start bad || true
systemctl start again busy far.timer
"""


@pytest.fixture(scope="module", params=["debian-old", pytest.param("debian-new", marks=pytest.mark.slow)])
def host(request: pytest.FixtureRequest) -> Iterator[labs.Host]:
    """A host with a failed unit, a restarting one, a busy one, a timer, and a logged-in user."""
    with labs.one(request.param) as host:
        host.run("/bin/sh", "-euc", "base64 -d > /srv/spider.pyz", stdin=base64.b64encode(shipped_bundle()).decode())
        host.run("/bin/sh", "-euc", "cat > /srv/look.py", stdin=LOOK)
        host.sh(UNITS)
        with logged_in(host):
            yield host


@contextlib.contextmanager
def logged_in(host: labs.Host) -> Iterator[None]:
    """`ops` has a shell over ssh."""
    folder = Path(labs.environment()["LAB_DIR"])
    options = ["-o", f"UserKnownHostsFile={folder / 'known_hosts'}", "-o", "StrictHostKeyChecking=no", "-p", str(host.port)]
    argv = ["ssh", "-tt", "-i", str(host.keys / "id_ed25519"), *options, f"ops@{host.address}", "echo in; exec sleep 1000"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline().strip() == b"in"
            yield
        finally:
            client.kill()


def look(host: labs.Host, more: str = "") -> dict[str, Any]:
    """What Spider's readers find, in the sandbox of its unit."""
    kept = [line for line in UNIT.read_text().split("\n") if not line.startswith(LEFT_OUT)]
    kept.insert(kept.index("[Service]") + 1, "Type=oneshot\nUser=plain\nGroup=plain\nExecStart=/usr/bin/python3 -I -B /srv/look.py\n"
                "StandardOutput=file:/run/look.json\nStandardError=journal\n" + more)  # fmt: skip
    host.run("/bin/sh", "-euc", "cat > /run/systemd/system/look.service; systemctl daemon-reload", stdin="\n".join(kept))
    host.sh("rm -f /run/look.json; systemctl start look || { journalctl -u look -n 40 --no-pager -o cat; exit 1; }")
    found: dict[str, Any] = json.loads(host.read("/run/look.json"))
    return found


def named(found: dict[str, Any], subject: str) -> list[dict[str, Any]]:
    columns = [column.name for column in BY_NAME[subject].columns]
    return [dict(zip(columns, row, strict=True)) for row in found["tables"][subject]]


def shown(host: labs.Host, unit: str, name: str) -> str:
    return host.sh(f"systemctl show -p {name} --value {unit}").strip()


LOADED = "systemctl list-units --all --type=service,socket,timer --plain --no-legend --full | awk '$2 == \"loaded\"'"


def cpu_time(host: labs.Host) -> tuple[float, float] | None:
    """Seconds that busy.service has used, by systemd's account, and when; None: it keeps none here."""
    used = shown(host, "busy", "CPUUsageNSec")
    return (int(used) / 1e9, float(host.sh("cat /proc/uptime").split()[0])) if used.isdecimal() else None


def test_tables_agree_with_the_hosts_own_tools(host: labs.Host) -> None:
    before = cpu_time(host)
    found = look(host)
    after = cpu_time(host)
    numbers = found["numbers"]

    units = {line.split()[0] for line in host.sh("systemctl list-units --state=failed,auto-restart --plain --no-legend").splitlines()}
    services = {row["unit"]: row for row in named(found, "services")}
    assert set(services) == units >= {"bad.service", "again.service"}
    assert numbers["units.failed"] == len(units)
    for unit, state, result in (("bad.service", "failed", "exit-code"), ("again.service", "auto-restart", "signal")):
        assert (services[unit]["state"], services[unit]["result"]) == (state, result)
        assert (
            services[unit]["since"] // 1_000_000
            == int(host.sh(f'date -d "$(systemctl show -p StateChangeTimestamp --value {unit})" +%s')) // 1000
        )

    # Units come and go between the two readings (look.service is the reading itself): those of the test stay.
    known = {line.split()[0]: line.split()[3] for line in host.sh(LOADED).splitlines()}
    listed = {row["unit"]: row["state"] for row in named(found, "units")}
    for unit, state in (("bad.service", "failed"), ("dbus.socket", "running"), ("far.timer", "waiting")):
        assert listed[unit] == known[unit] == state

    told = {row["unit"]: row for row in json.loads(host.sh("systemctl list-timers -o json"))}
    timers = {row["unit"]: row for row in named(found, "timers")}
    assert set(timers) == set(told) >= {"far.timer"}
    for unit, row in timers.items():
        assert row["activates"] == told[unit]["activates"]
        assert abs((row["next_at"] or 0) - (told[unit]["next"] or 0) // 1000) <= 2000

    people = [row["user"] for row in named(found, "users")]
    assert people == [line.split()[0] for line in host.sh("who").splitlines()] == ["ops"]
    assert numbers["users.logged_in"] == 1

    [ssh] = [row for row in named(found, "listening") if (row["address"], row["port"]) == (host.address, host.port)]
    assert (ssh["protocol"], ssh["user"]) == ("tcp", "root")
    assert ssh["service"] in ("ssh.service", "")  # where another machine's groups are hidden, so is its name

    links = json.loads(host.sh("command -v ip >/dev/null && ip -j link || echo null"))
    assert links is None or {row["name"] for row in named(found, "interfaces")} <= {link["ifname"] for link in links}
    mine = next(row for row in named(found, "processes") if row["name"] == "python3")
    assert (mine["user"], mine["command"]) == ("plain", "/usr/bin/python3 -I -B /srv/look.py")

    busy = {series.partition("{")[0]: value for series, value in numbers.items() if "=busy.service}" in series}
    if before is not None and after is not None:
        # The agent reads between the two looks of systemd: it cannot see more, and what it misses is limited by the quota.
        seen_s = busy["service.cpu"] / 10_000 * found["between_s"]
        missed_s = QUOTA * (after[1] - before[1] - found["between_s"])
        assert after[0] - before[0] - missed_s - 0.2 <= seen_s <= after[0] - before[0] + 0.2
    else:  # version 1, whose controllers were not given to this host: what systemd does not know is left out
        assert "service.memory" not in busy


def test_a_host_that_hides_processes_says_so_and_shows_all_else(host: labs.Host) -> None:
    found = look(host, "ProtectProc=invisible\n")
    assert "hidepid" in found["tables"]["processes"]  # Spider's own alone would pass for all
    assert {row["unit"] for row in named(found, "services")} >= {"bad.service"}
    assert [row["user"] for row in named(found, "users")] == ["ops"]
    assert named(found, "listening")


def test_a_failed_oneshot_stays_failed_while_it_runs_again_and_many_instances_do_not_hide_others(host: labs.Host) -> None:
    host.run("/bin/sh", "-euc", "cat > /srv/follow.py", stdin=FOLLOW)
    seen = json.loads(host.sh("python3 -I -B /srv/follow.py"))
    failed = [["failed", "exit-code"]]
    assert {name: seen[name] for name in ("failed", "runs again", "failed again", "runs a third time")} == dict.fromkeys(
        ("failed", "runs again", "failed again", "runs a third time"), failed
    )
    assert [seen[name] for name in ("ended with success", "stopped", "reset")] == [[], [], []]
    assert 12 <= seen["total"] <= 99  # what is counted is not missing
    names = [name for name, _ in seen["many"]]
    assert "zz-enabled.service" in names
    assert len(names) == 12
    assert ["many@.service", "110 more instances failed"] in seen["many"]
