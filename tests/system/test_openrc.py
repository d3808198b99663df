"""Servers with OpenRC: Spider as a service, rollback, removal, and features reported as unsupported in advance."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import fsdiff
from tests.support import lab as labs
from tests.support.agent_host import AgentHost
from tests.support.debian_packages import DOAS, unpack
from tests.support.deploy_client import SUDO, Desk, Look, step_of, told
from tests.support.eventually import wait_until
from tests.support.openrc import FLAVOUR as OPENRC
from tests.support.openrc import beside_the_lists, ended, managed, openrc_desk, order, watched

pytestmark = pytest.mark.system

FLAVOUR = OPENRC

UNINSTALL = "stardust-spider uninstall"


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with openrc_desk(tmp_path_factory.mktemp("openrc") / "hub") as desk:
        yield desk


def spider_pid(desk: Desk) -> str:
    """Spider's process id and start time; empty while it does not run."""
    return desk.host.sh(
        "for pid in $(pgrep -o -x -u stardust python3); do echo $pid@$(cut -d' ' -f22 /proc/$pid/stat); done", check=False
    ).strip()


@pytest.mark.slow  # below, it is installed, connected and removed, with the launcher
@pytest.mark.holds("SAFETY-60")
def test_spider_runs_as_an_openrc_service_and_is_removed_completely(desk: Desk) -> None:
    assert desk.host.sh("ps -p 1 -o comm=").strip() == "init"
    look = Look(desk)
    row = watched(desk, "admin", sudo_password=SUDO)
    assert "OpenRC 0." in step_of(row, "probe")["detail"]
    wait_until(lambda: desk.nodes()[0]["policy"] is not None, what="the node has told its policy")
    (node,) = desk.nodes()
    assert (node["id"], node["state"], node["policy"]["mode"]) == (row["node_id"], "online", "monitor")

    listing = desk.host.sh(
        "cd /; stat -c '%a %U:%G %F %n' opt/stardust/current/spider.pyz opt/stardust/stardust-spider etc/stardust etc/stardust/* var/lib/stardust/* run/stardust-spider"
        " etc/init.d/stardust-* etc/runlevels/*/stardust-* var/log/stardust-spider.log"
    )
    assert {path: facts for facts, _, path in (line.rpartition(" ") for line in listing.splitlines())} == {
        "opt/stardust/current/spider.pyz": "644 root:root regular file",
        "opt/stardust/stardust-spider": "755 root:root regular file",
        "etc/stardust": "755 root:root directory",
        "etc/stardust/spider.conf": "644 root:root regular file",
        "etc/stardust/policy.conf": "644 root:root regular file",
        "etc/stardust/session.key": "600 stardust:stardust regular file",
        "var/lib/stardust/spider": "700 stardust:stardust directory",
        "var/lib/stardust/started": "700 root:root directory",
        "var/lib/stardust/jobs": "2750 root:stardust directory",
        "var/lib/stardust/installed": "600 root:root regular file",
        "run/stardust-spider": "755 stardust:stardust directory",
        "etc/init.d/stardust-spider": "755 root:root regular file",
        "etc/runlevels/default/stardust-spider": "777 root:root symbolic link",
        "var/log/stardust-spider.log": "640 stardust:root regular file",
    }
    wait_until(lambda: "session_open" in desk.host.sh("cat /var/log/stardust-spider.log"), what="its log tells of the session")

    def tables() -> set[str]:
        return {table["subject"] for table in desk.hub.local("GET", f"/api/v1/nodes/{row['node_id']}/tables").json["tables"]}

    wait_until(lambda: {"listening", "disks"} <= tables(), what="tables as rare as those of systemd come")
    assert not {"services", "timers"} & tables(), "what only systemd could tell is not told"

    removed = desk.remove(row["node_id"])
    assert removed["state"] == "succeeded", told(removed)
    assert desk.nodes() == []
    look.check_unchanged()
    assert desk.host.sh("ps -e -o args= | grep '[s]tardust'", check=False) == ""
    # The log of debootstrap names the folder in which the tree was built.
    assert desk.host.sh("grep -rl --exclude=bootstrap.log stardust /run /var/log 2>/dev/null", check=False) == ""


HELD_SLEEP = """#!/bin/sh
case $(tr '\\0' ' ' </proc/$PPID/cmdline) in *lab-slow*) while test -e /run/lab-hold; do sleep.real 0.2; done ;; esac
exec sleep.real "$@"
"""


def begin_slow(desk: Desk, node: str) -> str:
    """Order the upgrade of lab-slow; returns the job once its script is in the middle, where it stays until `let_go`."""
    desk.host.sh("touch /run/lab-hold; mv /usr/bin/sleep /usr/bin/sleep.real")
    desk.host.run("/bin/sh", "-c", "cat >/usr/bin/sleep; chmod 755 /usr/bin/sleep", stdin=HELD_SLEEP)
    job = order(desk, node, action="upgrade", packages=["lab-slow"])

    def prints() -> bool:
        row = desk.hub.job(job)
        assert not row["ended_at"], told(row)
        return "step 1/100" in desk.host.sh(f"cat /var/lib/stardust/jobs/{job}/log 2>/dev/null || true")

    wait_until(prints, what="the script prints")
    return job


def let_go(desk: Desk) -> None:
    desk.host.sh("rm /run/lab-hold; ln -f /usr/bin/sleep.real /usr/bin/sleep")


def check_orders(desk: Desk, node: str, job: str) -> None:
    """Hand orders to the launcher while this job runs: what is not sealed, not Spider's or not allowed is refused."""
    agent = AgentHost(desk.host)
    agent.node = node
    key = desk.host.read("/etc/stardust/launch.key")
    for _ in range(3):  # each is a line of its log, which is full
        assert agent.hand_in(agent.seal("refresh", key=bytes(32))[1])["why"] == "bad-mac"
    _, frame = agent.seal("refresh", key=key)
    with pytest.raises(RuntimeError, match="PermissionError"):
        agent.hand_in(frame, "ops")
    desk.host.sh("chmod 666 /run/stardust/launcher.sock")
    assert "answer" not in agent.hand_in(frame, "ops"), "the kernel says whose process it is"
    assert agent.hand_in(frame)["why"] == "busy"
    assert agent.hand_in(agent.seal("refresh", key=key, job=job)[1])["why"] == "replay"
    owners = desk.host.read("/etc/stardust/policy.conf")
    agent.policy("[policy]\nversion = 1\nmode = readonly\n")
    assert agent.hand_in(agent.seal("upgrade", key=key)[1])["why"] == "policy-readonly"
    agent.policy(owners.decode())


LOG, LOG_BYTES, OWN_LINES_BYTES = "/var/log/stardust-launcher.log", 16 << 20, 1 << 16
"""The launcher's log, its limit, and more than what a runner itself writes to its output."""


@pytest.mark.holds("SAFETY-60", "S-41", "S-50")
def test_only_allowed_orders_run_a_job_outlives_spider_and_its_launcher_and_the_hub_removes_both(desk: Desk) -> None:
    look = Look(desk, packages=True)
    node = managed(desk, "admin", sudo_password=SUDO, keep_credentials=False)
    wait_until(lambda: desk.hub.node(node)["units"] == "current", what="the node has told its units")
    assert desk.host.sh("cd /; stat -c '%a %U:%G %F' run/stardust run/stardust/launcher.sock etc/stardust/launch.key").splitlines() == [
        "755 root:root directory", "600 stardust:root socket", "600 root:root regular file",
    ]  # fmt: skip
    assert desk.host.sh("ls /etc/runlevels/default | grep stardust").split() == ["stardust-launcher", "stardust-spider"]
    status = desk.host.sh("cat /proc/$(pgrep -o -x -u stardust python3)/status; cat /proc/$(pgrep -o -x -u stardust python3)/limits")
    assert "NoNewPrivs:\t1\n" in status
    assert "Umask:\t0077\n" in status
    assert "CapEff:\t0000000000000000\n" in status
    assert " 268435456 " in next(line for line in status.splitlines() if line.startswith("Max file size"))

    desk.host.sh("rm /usr/local/sbin/stardust-spider /opt/stardust/stardust-spider")  # as an older version has left it, which was updated
    desk.host.sh("apt-get -q -y install lab-slow=1.0 >/dev/null 2>&1 || true")
    desk.host.sh(f"head -c {LOG_BYTES - 20} /dev/zero | tr '\\0' '\\n' >>{LOG}")
    job = begin_slow(desk, node)
    limits = {
        words: desk.host.sh(f"cat /proc/$(pgrep -o -f 'spider.pyz {words}')/limits | grep 'Max file size'").split()[3:5]
        for words in ("[l]isten", f"[r]un {job}")
    }
    assert list(limits.values()) == [[str(LOG_BYTES), "unlimited"], ["unlimited", "unlimited"]]
    check_orders(desk, node, job)
    assert int(desk.host.sh(f"stat -c %s {LOG}")) < LOG_BYTES + OWN_LINES_BYTES
    desk.host.sh("rc-service stardust-launcher healthcheck")
    rest, kept = map(int, desk.host.sh(f"stat -c %s {LOG} {LOG}.1").split())
    assert (rest < OWN_LINES_BYTES, kept) == (True, 1 << 20)  # the supervisor may have cut it by itself before the last lines

    desk.host.sh("rc-service stardust-launcher restart; rc-service stardust-spider restart")
    let_go(desk)
    row = ended(desk, job)
    desk.host.sh("rm /usr/bin/sleep.real")
    assert (row["state"], [change["to"] for change in row["changes"]]) == ("succeeded", ["2.0"]), told(row)
    assert row["output_sha256"] == desk.host.sh(f"sha256sum /var/lib/stardust/jobs/{job}/log").split()[0]
    assert desk.host.sh("stat -c '%a %U:%G' /usr/share/lab/lab-slow.txt").split() == ["644", "root:root"]
    assert desk.host.sh("ls /var/lib/stardust/started").split() == [job]
    wait_until(
        lambda: "policy     managed\nstate      connected\n" in desk.host.sh("stardust-spider status"),
        what="the job has brought the command",
    )

    row = desk.remove(node)
    assert row["state"] == "succeeded", (row["error"], row)
    assert desk.nodes() == []
    wait_until(lambda: not desk.host.sh("ps -e -o args= | grep '[s]tardust'", check=False), what="the one that took it off has ended")
    assert [line for line in fsdiff.difference(look.before, look.now()) if "lab-slow" not in line] == []
    desk.clean = False


@pytest.mark.slow
def test_a_shutdown_waits_for_its_job_and_an_ordered_reboot_is_proved(desk: Desk) -> None:
    node = managed(desk)
    boot = desk.host.sh("cat /proc/sys/kernel/random/boot_id")
    job = begin_slow(desk, node)
    stopping = threading.Thread(target=labs.lab, args=("stop", desk.host.name), name="the server goes down")
    stopping.start()
    wait_until(lambda: desk.host.run("test", "-e", "/run/openrc/rc.stopping", check=False).returncode == 0, what="it goes down")
    let_go(desk)
    stopping.join()
    labs.lab("start", desk.host.name)
    row = ended(desk, job)
    assert (row["state"], row["exit_code"]) == ("succeeded", 0), told(row)
    assert b"step 100/100" in desk.host.read(f"/var/lib/stardust/jobs/{job}/log")

    job = order(desk, node, action="reboot")
    row = ended(desk, job)
    assert row["state"] == "succeeded", told(row)
    assert desk.host.sh("cat /proc/sys/kernel/random/boot_id") != boot


@pytest.mark.slow
def test_a_killed_spider_is_restarted(desk: Desk) -> None:
    row = watched(desk)
    pid = spider_pid(desk)
    desk.host.sh(f"kill -KILL {pid.partition('@')[0]}")
    wait_until(lambda: spider_pid(desk) not in ("", pid), what="another Spider runs")
    wait_until(lambda: desk.hub.node(row["node_id"])["state"] == "online", what="it is in a session")


def programs(desk: Desk) -> list[str]:
    """All running processes of Stardust, by their arguments after the interpreter's."""
    lines = desk.host.sh("ps -e -o args=").splitlines()
    return sorted(line.partition(" ")[2] for line in lines if "/opt/stardust/current/spider.pyz" in line and "supervise-daemon" not in line)


RUNNING = ["-I -B /opt/stardust/current/spider.pyz", "-I -S -B /opt/stardust/current/spider.pyz listen"]


def kill_supervisor(desk: Desk, service: str) -> str:
    """Returns the process id that it had."""
    pid = desk.host.sh(f"cat /run/{service}.pid").strip()
    assert "supervise-daemo" in desk.host.sh(f"cat /proc/{pid}/comm")
    desk.host.sh(f"kill -KILL {pid}")
    wait_until(lambda: programs(desk) == RUNNING, what="what it watched over goes on alone, and no count of updates runs beside it")
    return pid


@pytest.mark.slow
@pytest.mark.parametrize("service", ["stardust-spider", "stardust-launcher"])
def test_a_killed_supervisor_is_restarted_by_the_other_service(desk: Desk, service: str) -> None:
    look = Look(desk)
    node = managed(desk)
    before = kill_supervisor(desk, service)
    wait_until(lambda: desk.host.sh(f"cat /run/{service}.pid", check=False).strip() not in ("", before), what="another supervisor")
    wait_until(lambda: programs(desk) == RUNNING, what="one of each, none twice")
    assert "started" in desk.host.sh(f"rc-service {service} status")
    wait_until(lambda: desk.hub.node(node)["state"] == "online", what="it is in a session")
    row = ended(desk, order(desk, node, action="refresh"))
    assert row["state"] == "succeeded", told(row)
    desk.host.sh("rc-service stardust-launcher stop")
    desk.host.sh("rc-service stardust-spider healthcheck")
    assert "stopped" in desk.host.sh("rc-service stardust-launcher status 2>&1", check=False), "what root has stopped stays so"
    assert desk.remove(node)["state"] == "succeeded"
    assert programs(desk) == []
    assert beside_the_lists(look) == []
    desk.clean = False


@pytest.mark.slow
def test_a_removal_cleans_up_after_killed_supervisors(desk: Desk) -> None:
    look = Look(desk)
    node = managed(desk)
    for service in ("stardust-spider", "stardust-launcher"):
        kill_supervisor(desk, service)
    assert desk.remove(node)["state"] == "succeeded"
    assert programs(desk) == []
    look.check_unchanged()


@pytest.mark.slow
def test_doas_gives_root_under_openrc(desk: Desk, tmp_path: Path) -> None:
    unpack(desk.host, tmp_path, "opendoas")
    desk.spoil(DOAS.format(rule="permit admin"))
    look = Look(desk)
    row = desk.install("admin", sudo_password=None)
    assert (row["state"], row["error"]["code"]) == ("failed", "doas_password_required"), told(row)
    assert look.changes() == []
    row = desk.install("admin", sudo_password=SUDO)
    assert row["state"] == "succeeded", told(row)
    assert "by doas" in step_of(row, "become_root")["detail"]
    assert ended(desk, order(desk, row["node_id"], action="check"))["state"] == "succeeded"
    assert desk.end(desk.hub.local("POST", f"/api/v1/nodes/{row['node_id']}/redeploy").json["id"])["state"] == "succeeded"
    assert desk.remove(row["node_id"])["state"] == "succeeded"
    assert look.changes() == []


@pytest.mark.slow
def test_spider_starts_at_boot_and_its_log_is_bounded(desk: Desk) -> None:
    row = watched(desk)
    desk.host.sh("yes '{}' | head -c 1500000 >>/var/log/stardust-spider.log; rc-service stardust-spider healthcheck")
    sizes = desk.host.sh("stat -c %s /var/log/stardust-spider.log /var/log/stardust-spider.log.1").split()
    assert sizes == ["0", str(1 << 20)]
    desk.host.sh(f"kill -KILL {spider_pid(desk).partition('@')[0]}")
    wait_until(lambda: "session_open" in desk.host.sh("cat /var/log/stardust-spider.log"), what="the log goes on")
    assert desk.host.sh("head -c 1 /var/log/stardust-spider.log") == "{"

    labs.lab("stop", desk.host.name)
    wait_until(lambda: desk.hub.node(row["node_id"])["state"] == "offline", what="the hub sees it go")
    labs.lab("start", desk.host.name)
    wait_until(lambda: desk.hub.node(row["node_id"])["state"] == "online", what="it is in a session")


@pytest.mark.slow
def test_an_uninstall_by_root_removes_everything_and_notifies_the_hub(desk: Desk) -> None:
    look = Look(desk)
    watched(desk)
    done = desk.host.sh(UNINSTALL)
    assert done.splitlines()[-1] == "Nothing of Stardust is left on this server, and its hub has forgotten it."
    assert desk.nodes() == []
    look.check_unchanged()


@pytest.mark.slow  # test_deploy shows it: the script is the same
def test_keys_of_an_unfinished_upload_are_overwritten(desk: Desk) -> None:
    row = watched(desk)
    desk.spoil("true")
    desk.host.sh(
        "d=/tmp/stardust-upload.ofakilled1; mkdir -m 0700 $d; for key in session launch; do printf %064d 7 >$d/$key.key; ln $d/$key.key /tmp/$key; done;"
        " chown -R ops:ops $d"
    )
    assert desk.remove(row["node_id"])["state"] == "succeeded"
    assert desk.host.sh("find /tmp -name 'stardust-upload.*'") == ""
    assert "0007" not in desk.host.sh("cat /tmp/session /tmp/launch")


@pytest.mark.slow
def test_a_server_joins_by_an_invite(desk: Desk) -> None:
    look = Look(desk)
    reply = desk.hub.local("POST", "/api/v1/invites", {})
    assert reply.status == 201, reply.body
    done = desk.host.run("sh", stdin=reply.json["command"], check=False)
    assert "connected" in done.stdout, done.stdout + done.stderr
    (node,) = desk.nodes()
    assert (node["state"], node["policy"]["mode"]) == ("online", "managed")
    row = ended(desk, order(desk, node["id"], action="refresh"))
    assert row["state"] == "succeeded", told(row)
    assert desk.host.sh(UNINSTALL).splitlines()[-1].startswith("Nothing of Stardust is left")
    assert beside_the_lists(look) == []
    desk.clean = False
