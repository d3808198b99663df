"""Reboots, a killed launcher and a killed Spider at any moment; and the order in which files become durable."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import lab as labs
from tests.support.agent_host import JOBS, OUT
from tests.support.eventually import wait_until
from tests.support.packages import PackageHost

pytestmark = pytest.mark.system

PORT = 8087
"""Below those of tests, which a host takes for ephemeral ones (scripts/lab)."""
GONE_UNIT = """[Unit]
Description=Runs in one boot only
[Service]
ExecStart=/bin/sh -c 'test -e /run/this-boot && exec sleep 3600; exit 1'
[Install]
WantedBy=multi-user.target
"""
LONG = """set -e
d=/srv/long; mkdir -p $d/old/DEBIAN $d/new/DEBIAN; r=/srv/lab-repo/apt/main
for v in old new; do
  n=1.0; [ $v = new ] && n=2.0
  printf 'Package: lab-long\\nVersion: %s\\nArchitecture: all\\nMaintainer: lab <lab@localhost>\\nDescription: takes its time\\n' $n >$d/$v/DEBIAN/control
done
printf '#!/bin/sh\\ni=1; while [ $i -le 300 ]; do echo "lab-long: step $i"; sleep 0.1; i=$((i+1)); done\\n' >$d/new/DEBIAN/postinst
chmod 755 $d/new/DEBIAN/postinst
dpkg-deb --root-owner-group -b $d/old $d/lab-long_1.0_all.deb >/dev/null
dpkg -i $d/lab-long_1.0_all.deb >/dev/null
dpkg-deb --root-owner-group -b $d/new $r/lab-long_2.0_all.deb >/dev/null
cd $r
{ printf '\\n'; cat $d/new/DEBIAN/control; printf 'Filename: ./lab-long_2.0_all.deb\\nSize: %s\\nSHA256: %s\\n' \
  $(stat -c %s lab-long_2.0_all.deb) $(sha256sum lab-long_2.0_all.deb | cut -d' ' -f1); } >>Packages
sed -i '/^SHA256:/,$d' Release
printf 'SHA256:\\n %s %s Packages\\n' $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) >>Release
apt-get -q update >/dev/null
"""


@pytest.fixture
def agent(bare_host: labs.Host) -> PackageHost:
    """A Debian host on which Stardust's units run, without a hub."""
    agent = PackageHost(bare_host, "debian")
    agent.install()
    return agent


def test_a_reboot_is_proved_by_the_next_boot_and_missing_services_are_reported(agent: PackageHost) -> None:
    agent.put("/etc/systemd/system/lab-gone.service", GONE_UNIT.encode())
    agent.put("/etc/systemd/system/lab-by-hand.service", b"[Service]\nExecStart=/bin/sleep 3600\n[Install]\nWantedBy=multi-user.target\n")
    agent.host.sh(
        "touch /run/this-boot; systemctl daemon-reload; systemctl -q enable --now lab-gone.service; systemctl start lab-by-hand.service"
    )
    agent.put(
        "/root/listen.py",
        f"import socket, time\nheld = socket.create_server(('{agent.host.address}', {PORT}))\ntime.sleep(3600)\n".encode(),
    )
    agent.host.sh("systemd-run -q --unit=lab-listener python3 /root/listen.py")
    agent.wait(f"grep -qi ':{PORT:04X} .* 0A ' /proc/net/tcp")
    boot = agent.host.read("/proc/sys/kernel/random/boot_id")
    job = agent.order("reboot")
    agent.wait_for_boot_after(boot)
    agent.host.sh("systemctl kill -s KILL stardust-spider.service")  # none of it is only in memory
    done = agent.finish(job)
    assert (done.state, done.exit_code, done.error_code, done.changes) == ("succeeded", 0, "", {}), done
    assert b"Rebooting. " in done.output
    assert done.report is not None
    assert done.report["reboot"] == "no"
    assert done.report["failed_units"] == ["lab-gone.service"]
    assert "Services that ran before the reboot and do not now: lab-by-hand.service, lab-gone.service." in done.report["notes"]
    [ports] = [note for note in done.report["notes"] if note.startswith("Ports that were open")]  # of other hosts, too: they share them
    assert re.search(rf" tcp {PORT}[,.]", ports), ports
    assert not re.search(r" \d{5}[,.]", ports), "a hub of a test that has ended meanwhile is none of the host's"
    assert agent.host.read("/proc/sys/kernel/random/boot_id") != boot


@pytest.mark.slow  # tests/unit/spider/test_reboot.py asks for inhibitors
def test_a_shutdown_inhibitor_refuses_a_reboot(agent: PackageHost) -> None:
    agent.host.sh("systemd-run -q --collect --unit=objector systemd-inhibit --what=shutdown --who=backup --why=runs --mode=block sleep 300")
    agent.wait("systemd-inhibit --list | grep -q backup")
    boot = agent.host.read("/proc/sys/kernel/random/boot_id")
    done = agent.perform("reboot")
    assert (done.state, done.error_code) == ("failed", "job.reboot_inhibited"), done
    assert "backup" in done.error_text
    assert agent.host.read("/proc/sys/kernel/random/boot_id") == boot


@pytest.mark.holds("F-03")
@pytest.mark.parametrize("pauses", [("0.08",), pytest.param(("0.02", "0.06", "0.1", "0.14", "0.2", "0.3"), marks=pytest.mark.slow)])
def test_a_killed_launcher_repeats_and_blocks_nothing(agent: PackageHost, pauses: tuple[str, ...]) -> None:
    kill = "sleep {}; systemctl kill -s KILL 'stardust-launcher@*' || true"
    jobs = []
    for pause in pauses:
        job, frame = agent.seal("check")
        jobs.append(job)
        agent.host.sh(f'systemd-run -q --collect /bin/sh -c "{kill.format(pause)}"')
        for _ in range(3):  # as often as it comes
            agent.hand_in(frame)
        agent.wait(f"! systemctl -q is-active 'stardust-job@{job}.service'")
    started = agent.host.sh("ls /var/lib/stardust/started").split()
    begun = [job for job in jobs if agent.host.run("test", "-e", f"{JOBS}/{job}/run", check=False).returncode == 0]
    assert set(begun) <= set(started) <= set(jobs)
    counted = agent.host.sh("journalctl -q -o cat -t systemd | grep -o '^Started stardust-job@[0-9a-z]*' | sort | uniq -c || true")
    assert all(line.split()[0] == "1" for line in counted.splitlines()), counted
    assert agent.perform("check").state == "succeeded"


def trace_of(agent: PackageHost, path: Path) -> subprocess.Popen[bytes]:
    """Follow the host's systemd and all that it starts, from outside."""
    strace = shutil.which("strace")
    if strace is None:
        subprocess.run(["apt-get", "install", "-y", "-q", "strace"], check=True, capture_output=True)
        strace = "strace"
    facts = next(facts for facts in json.loads(labs.lab("list")) if facts["name"] == agent.host.name)
    calls = "trace=openat,open,write,fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat,execve,close"
    process = subprocess.Popen([strace, "-f", "-qq", "-s", "200", "-y", "-e", calls, "-o", str(path), "-p", str(facts["pid"])])
    wait_until(lambda: re.search(r"TracerPid:\t[1-9]", Path(f"/proc/{facts['pid']}/status").read_text()))
    return process


@pytest.mark.holds("SAFETY-77", "F-04")
def test_the_record_and_the_start_of_a_job_are_durable_before_anything_runs(agent: PackageHost, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with trace_of(agent, trace) as process:
        done = agent.perform("upgrade", "lab-hello")
        process.terminate()
        process.wait(60)
    assert done.state == "succeeded", done
    lines = trace.read_text(errors="replace").splitlines()
    job = done.job

    def place(pattern: str, after: int = 0) -> int:
        found = next((number for number, line in enumerate(lines) if number >= after and re.search(pattern, line)), None)
        assert found is not None, f"no {pattern} from line {after} on"
        return found

    plan = place(rf"fsync\(\d+</var/lib/stardust/jobs/{job}/plan>")
    started = place(rf'"/var/lib/stardust/started/{job}", O_WRONLY\|O_CREAT\|O_EXCL', plan)
    record = place(rf"fsync\(\d+</var/lib/stardust/started/{job}>", started)
    named = place(r"fsync\(\d+</var/lib/stardust/started>", record)
    asked = place(r'execve\("/usr/bin/systemctl", \[.*"start", "stardust-job@' + job, named)
    runner = place(rf'execve\("/usr/bin/python3", .*"run", "{job}"', asked)
    begun = place(rf"fsync\(\d+</var/lib/stardust/jobs/{job}/run>", runner)
    begun_named = place(rf"fsync\(\d+</var/lib/stardust/jobs/{job}>", begun)
    changed = place(r'execve\("[^"]*/dpkg", \[.*"--(?:unpack|configure)"', begun_named)
    result = place(rf"fsync\(\d+</var/lib/stardust/jobs/{job}/result\.tmp>", changed)
    place(rf'rename\w*\(.*"/var/lib/stardust/jobs/{job}/result\.tmp", .*"/var/lib/stardust/jobs/{job}/result"', result)
    log = place(rf"fsync\(\d+</var/lib/stardust/jobs/{job}/log>", changed)
    assert log < result


@pytest.mark.holds("SAFETY-58", "F-02")
@pytest.mark.slow  # test_survival kills Spider twice in an upgrade
@pytest.mark.parametrize("kills", [20])
def test_a_long_upgrade_survives_kills_of_spider(agent: PackageHost, kills: int) -> None:
    agent.host.sh(LONG.replace("-le 300", f"-le {kills * 20}"))
    pauses = [0.1 + (index * 7 % 13) / 10 for index in range(kills)]
    job = agent.order("upgrade", {"packages": ["lab-long"]})
    agent.wait(f"test -e {JOBS}/{job}/run")
    runner = agent.host.sh(f"cat {JOBS}/{job}/run")
    # The next one: systemd may report a just killed one as active for a while, and would kill nothing.
    another = 'until pid=$(systemctl show -p MainPID --value stardust-spider.service); test "$pid" != 0 -a "$pid" != "$last"; do sleep 0.05; done; last=$pid'
    script = "".join(f"{another}; sleep {pause}; kill -KILL $pid\n" for pause in pauses)
    agent.host.sh(f"set -e; last=0\n{script}")
    done = agent.finish(job)
    assert (done.state, done.error_code, done.changes) == ("succeeded", "", {"lab-long": ("1.0", "2.0")}), done
    assert [int(step) for step in re.findall(rb"lab-long: step (\d+)\r", done.output)] == list(range(1, kills * 20 + 1))
    assert agent.host.sh(f"cat {JOBS}/{job}/run") == runner
    assert agent.host.sh("journalctl -q -o cat -t systemd | grep -c '^Started stardust-job@'").strip() == "1"
    assert int(agent.host.sh("journalctl -q -o cat -t systemd | grep -c '^stardust-spider.service: Main process exited'")) >= kills
    assert agent.host.sh(f"cat {OUT}/faults 2>/dev/null || true") == ""
