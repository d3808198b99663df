"""Real apt on a real host: output arrives complete and once, and a started job always finishes."""

from __future__ import annotations

import json
import re
import statistics

import pytest

from tests.support.agent_host import JOBS, OUT, AgentHost
from tests.support.lab import Host, lab

pytestmark = pytest.mark.system

RESTARTER = """set -e
d=/srv/restarter; mkdir -p $d/old/DEBIAN $d/new/DEBIAN
for v in old new; do
  n=1.0; [ $v = new ] && n=2.0
  printf 'Package: lab-restarter\\nVersion: %s\\nArchitecture: all\\nMaintainer: lab <lab@localhost>\\nDescription: restarts the agent\\n' $n > $d/$v/DEBIAN/control
done
cat > $d/new/DEBIAN/postinst <<'P'
#!/bin/sh
set -e
echo "lab-restarter: before the restart"
systemctl restart stardust-spider.service
systemctl daemon-reexec
systemctl restart stardust-launcher.socket
sleep 300 &
for i in 1 2 3 4 5 6 7 8 9 10; do echo "lab-restarter: step $i"; sleep 0.1; done
echo "lab-restarter: after the restart"
P
chmod 755 $d/new/DEBIAN/postinst
dpkg-deb --root-owner-group -b $d/old /srv/restarter/lab-restarter_1.0_all.deb >/dev/null
dpkg -i /srv/restarter/lab-restarter_1.0_all.deb >/dev/null
r=/srv/lab-repo/apt/main
dpkg-deb --root-owner-group -b $d/new $r/lab-restarter_2.0_all.deb >/dev/null
cd $r
{ printf '\\n'; cat $d/new/DEBIAN/control; printf 'Filename: ./lab-restarter_2.0_all.deb\\nSize: %s\\nSHA256: %s\\n' \
  $(stat -c %s lab-restarter_2.0_all.deb) $(sha256sum lab-restarter_2.0_all.deb | cut -d' ' -f1); } >> Packages
sed -i '/^SHA256:/,$d' Release
printf 'SHA256:\\n %s %s Packages\\n' $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) >> Release
apt-get -q update >/dev/null
"""


@pytest.mark.slow  # test_packages_apt compares all changes and the whole output, and test_survival follows it while it is printed
def test_a_full_upgrade_streams_its_output_and_reports_all_changes(agent: AgentHost) -> None:
    agent.hold_scripts()
    job = agent.order("upgrade")
    agent.wait(f"grep -q 'lab-slow: step 1/' {OUT}/{job}")  # it comes while it is printed, not at the end
    agent.release_scripts()
    ended = agent.wait_ended(job)
    assert (ended["state"], ended["exit_code"], ended["error_code"]) == ("succeeded", 0, ""), ended
    output = agent.check_output(job)
    steps = [int(step) for step in re.findall(rb"lab-slow: step (\d+)/100", output)]
    assert steps == list(range(1, 101))
    changes = dict(zip(ended["change_packages"], zip(ended["change_from"], ended["change_to"], strict=True), strict=True))
    assert changes["lab-hello"] == ("1.0", "2.0")
    assert changes["lab-extra"] == ("", "2.0")
    assert len(changes) >= 7
    progress = [json.loads(line) for line in agent.host.read(f"{OUT}/{job}.progress").splitlines()]
    phases = list(dict.fromkeys(line["phase"] for line in progress))
    assert phases[0] == "plan"
    assert phases[-1] == "check"
    assert "commit" in phases
    percents = [line["percent"] for line in progress if line["phase"] == "commit"]
    assert percents == sorted(percents)
    assert max(percents) > 50
    assert agent.host.sh("find / -xdev -group stardust -not -path '/var/lib/stardust/*' -not -path '/run/*' 2>/dev/null || true") == ""
    again = agent.order("upgrade")
    ended = agent.wait_ended(again)
    assert (ended["state"], ended["change_packages"]) == ("succeeded", [])


@pytest.mark.holds("SAFETY-58", "F-05")
def test_a_package_that_restarts_spider_does_not_break_its_own_upgrade(agent: AgentHost) -> None:
    agent.host.sh(RESTARTER)
    before = agent.host.sh("systemctl show -p MainPID --value stardust-spider.service")
    job = agent.order("upgrade", {"packages": ["lab-restarter"]})
    ended = agent.wait_ended(job)
    assert (ended["state"], ended["exit_code"]) == ("succeeded", 0), ended
    assert agent.host.sh("systemctl show -p MainPID --value stardust-spider.service") != before
    output = agent.check_output(job)
    assert output.count(b"lab-restarter: after the restart") == 1
    assert agent.version("lab-restarter") == "ii 2.0"
    # The `sleep` that it left in the job's cgroup is reported, and does not count as a job.
    [left] = [note for note in agent.told(job, "report")[-1]["notes"] if "still running" in note]
    assert re.search(rf"stardust-job@{job}\.service: sleep \(\d+\)\.$", left), left
    assert agent.host.sh(f"pgrep -x sleep && systemctl is-active stardust-job@{job} || true").split()[-1:] != ["active"]
    assert agent.hand_in(agent.seal("check", key=bytes(32))[1])["why"] == "bad-mac"  # the socket is there again


@pytest.mark.slow  # test_packages_apt waits for a lock, and is stopped meanwhile
@pytest.mark.holds("SAFETY-96", "F-19")
def test_locks_of_other_programs_are_awaited_and_shown(agent: AgentHost) -> None:
    hold = (
        "import fcntl, os, sys, time; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); open(sys.argv[2] + '-held', 'w')\n"
        "while not os.path.exists(sys.argv[2]): time.sleep(0.05)"
    )
    dpkg, hello = "/var/lib/dpkg/lock-frontend", {"packages": ["lab-hello"]}
    for verb, args, path in (
        ("plan", {"for": "upgrade", **hello}, dpkg),
        ("refresh", {}, "/var/lib/apt/lists/lock"),
    ):
        let_go = f"/run/let-go-{verb}"
        agent.host.sh(f'systemd-run -q --collect --unit=holder-{verb} python3 -c "{hold}" {path} {let_go}')
        agent.wait(f"test -e {let_go}-held")
        job = agent.order(verb, args)
        agent.wait(f"grep -q waiting_lock {OUT}/{job}.progress")
        agent.host.sh(f"touch {let_go}")
        ended = agent.wait_ended(job)
        assert ended["state"] == "succeeded", ended
        progress = [json.loads(line) for line in agent.host.read(f"{OUT}/{job}.progress").splitlines()]
        waiting = [line["text"] for line in progress if line["phase"] == "waiting_lock"]
        assert waiting, progress
        assert "python3" in waiting[0]


@pytest.mark.holds("SAFETY-78", "F-03")
def test_a_killed_runner_is_an_interruption_and_its_apt_completes(agent: AgentHost) -> None:
    agent.hold_scripts()
    job = agent.order("upgrade", {"packages": ["lab-slow"]})
    agent.wait(f"grep -q 'step 1/' {JOBS}/{job}/log")
    runner = json.loads(agent.host.read(f"{JOBS}/{job}/run"))["pid"]
    agent.host.sh(f"kill -KILL {runner}")
    agent.wait(f"grep -q 'runner was killed' {OUT}/{job}.progress")
    assert agent.hand_in(agent.seal("check")[1])["why"] == "busy"
    agent.release_scripts()
    ended = agent.wait_ended(job)
    assert (ended["state"], ended["error_code"]) == ("interrupted", "job.killed"), ended
    assert agent.version("lab-slow") == "ii 2.0"
    assert agent.host.read(f"{OUT}/{job}") == agent.log(job)
    assert ended["output_bytes"] == len(agent.log(job))


@pytest.mark.holds("SAFETY-78", "F-04")
def test_a_power_cut_is_an_interruption(agent: AgentHost) -> None:
    agent.hold_scripts()
    job, frame = agent.seal("upgrade", {"packages": ["lab-slow"]})
    agent.deliver(job, frame)
    agent.wait(f"grep -q 'step 1/' {JOBS}/{job}/log")
    boot = agent.host.read("/proc/sys/kernel/random/boot_id")
    lab("kill", agent.host.name)
    lab("start", agent.host.name)
    agent.wait_for_boot_after(boot)
    ended = agent.wait_ended(job)
    assert (ended["state"], ended["error_code"]) == ("interrupted", "job.power_lost"), ended
    assert agent.hand_in(frame)["why"] == "replay"
    job = agent.order("upgrade", {"packages": ["lab-hello"]})
    assert agent.wait_ended(job)["error_code"] == "job.packages_broken"


@pytest.mark.slow  # of the lab's own packages, test_deploy and test_packages_apt compare the count, and test_packages_lists a failed refresh
def test_updates_are_counted_inside_the_sandbox_without_privileges(bare_host: Host) -> None:
    lab("archive", bare_host.name)
    agent = AgentHost(bare_host)
    agent.install()
    told = agent.count_updates()
    plan = agent.host.sh("apt-get -s dist-upgrade").splitlines()
    upgrades = [line for line in plan if re.match(r"Inst \S+ \[", line)]
    assert told["total"] == len(upgrades) > 0
    assert told["security"] == sum("-security" in line for line in upgrades) > 0
    lists = float(agent.host.sh("stat -c %Y /var/lib/apt/lists"))
    assert abs(told["checked_at_ms"] / 1000 - lists) < 2
    # A refresh that reaches no server is a failure: the lists are incomplete until one succeeds.
    agent.host.sh("sed -i -E s,https?://[^/]+,http://127.0.0.9:9, /etc/apt/sources.list.d/debian.sources")
    assert agent.wait_ended(agent.order("refresh"), 120)["error_code"] == "job.repository_stale"
    assert agent.host.run("test", "-e", f"{JOBS}/.refreshed", check=False).returncode == 1
    assert agent.count_updates()["checked_at_ms"] == 0


@pytest.mark.holds("F-12")
def test_a_full_disk_under_the_log_loses_output_but_not_the_result(agent: AgentHost) -> None:
    agent.host.sh("mount -t tmpfs -o size=12m,mode=2750,gid=stardust small /var/lib/stardust/jobs")
    agent.hold_scripts()
    job = agent.order("upgrade", {"packages": ["lab-slow"]})
    agent.wait(f"grep -q 'step 1/' {JOBS}/{job}/log")
    agent.host.sh("head -c 20m /dev/zero > /var/lib/stardust/jobs/filler 2>/dev/null || true")
    agent.release_scripts()
    ended = agent.wait_ended(job)
    assert (ended["state"], ended["exit_code"]) == ("succeeded", 0), ended
    assert ended["lost_bytes"] > 0
    agent.check_output(job)
    assert agent.version("lab-slow") == "ii 2.0"


@pytest.mark.holds("SAFETY-58")
def test_a_reboot_waits_for_the_running_job_and_blocks_new_ones(agent: AgentHost) -> None:
    agent.hold_scripts()
    job = agent.order("upgrade", {"packages": ["lab-slow"]})
    agent.wait(f"grep -q 'step 1/' {JOBS}/{job}/log")
    boot = agent.host.read("/proc/sys/kernel/random/boot_id")
    agent.host.sh("systemctl --no-block reboot")
    agent.wait('test "$(systemctl is-system-running)" = stopping')
    _, frame = agent.seal("check")
    assert agent.hand_in(frame).get("why") in ("host-stopping", None)  # systemd may have closed the socket already
    agent.release_scripts()
    agent.wait_for_boot_after(boot)
    ended = agent.wait_ended(job)
    assert (ended["state"], ended["exit_code"]) == ("succeeded", 0), ended
    agent.check_output(job)
    assert agent.version("lab-slow") == "ii 2.0"


@pytest.mark.slow  # a measurement: it prints figures, and each thing that it asserts is asserted by the tests above
def test_the_time_to_accept_an_order_is_measured(agent: AgentHost) -> None:
    took = []
    for _ in range(5):
        job = agent.order("check")
        agent.wait_ended(job)
        answer = json.loads(agent.host.read(f"{OUT}/{job}.answer"))
        assert answer["answer"] == "accepted"
        took.append(answer["took_ms"])
    print(f"order to accepted: median {statistics.median(took):.0f} ms, most {max(took):.0f} ms")
