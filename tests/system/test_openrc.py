"""Servers that OpenRC runs: Spider as its service, everything taken back or taken off, and what is not possible there said first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from majortom.ssh.shell import script
from tests.support import fsdiff
from tests.support import lab as labs
from tests.support.agent_host import AgentHost
from tests.support.bundles import bundle_of
from tests.support.cut_deployment import Cutting
from tests.support.debian_packages import DOAS, unpack
from tests.support.deploy_client import SUDO, Desk, Look, step_of, told
from tests.support.deployer_trial import Notes, listening
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.spider_updates import end as update_to_end

pytestmark = pytest.mark.system

FLAVOUR = "debian-openrc"
UNINSTALL = "stardust-spider uninstall"


@pytest.fixture(scope="module")
def openrc_host() -> Iterator[labs.Host]:
    """A Debian host with sysvinit and OpenRC, and without systemd."""
    with labs.one(FLAVOUR) as host:
        yield host


@pytest.fixture(scope="module")
def shared_desk(openrc_host: labs.Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Desk(HubProcess(tmp_path_factory.mktemp("openrc") / "hub"), openrc_host) as desk:
        yield desk


def watched(desk: Desk, user: str = "root", **given: Any) -> Any:
    """Install for watching only."""
    row = desk.install(user, policy="monitor", **given)
    assert row["state"] == "succeeded", (row["error"], row)
    return row


def spider_pid(desk: Desk) -> str:
    """Spider's process id and start time; empty while it does not run."""
    return desk.host.sh(
        "for pid in $(pgrep -o -x -u stardust python3); do echo $pid@$(cut -d' ' -f22 /proc/$pid/stat); done", check=False
    ).strip()


@pytest.mark.holds("SAFETY-60")
def test_spider_is_a_service_of_openrc_and_comes_off_without_a_trace(desk: Desk) -> None:
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
    status = desk.host.sh("cat /proc/$(pgrep -o -x -u stardust python3)/status; cat /proc/$(pgrep -o -x -u stardust python3)/limits")
    assert "NoNewPrivs:\t1\n" in status
    assert "Umask:\t0077\n" in status
    assert "CapEff:\t0000000000000000\n" in status
    assert " 268435456 " in next(line for line in status.splitlines() if line.startswith("Max file size"))
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


def managed(desk: Desk, user: str = "root", **given: Any) -> str:
    """Install for jobs; returns the node's id."""
    row = desk.install(user, **given)
    assert row["state"] == "succeeded", (row["error"], row)
    node: str = row["node_id"]
    assert desk.hub.node(node)["state"] == "online"
    return node


def order(desk: Desk, node: str, **wish: Any) -> str:
    reply = desk.hub.local("POST", f"/api/v1/nodes/{node}/jobs", wish)
    assert reply.status == 202, reply.body
    job: str = reply.json["id"]
    return job


def ended(desk: Desk, job: str, limit_s: float = 240.0) -> Any:
    def look() -> Any:
        row = desk.hub.job(job)
        return row if row["ended_at"] else None

    return wait_until(look, what=f"job {job} has ended", limit_s=limit_s)


HELD_SLEEP = """#!/bin/sh
case $(tr '\\0' ' ' </proc/$PPID/cmdline) in *lab-slow*) while test -e /run/lab-hold; do sleep.real 0.05; done ;; esac
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


def beside_the_lists(look: Look) -> list[str]:
    """What has changed, but for what apt itself writes down when its lists are fetched anew."""
    return [line for line in look.changes() if "/var/lib/apt/lists" not in line and "/var/cache/apt/" not in line]


def test_a_job_outlives_spider_and_its_launcher_and_the_hub_takes_all_of_it_off_by_order(desk: Desk) -> None:
    look = Look(desk, packages=True)
    node = managed(desk, "admin", sudo_password=SUDO, keep_credentials=False)
    wait_until(lambda: desk.hub.node(node)["units"] == "current", what="the node has told its units")
    assert desk.host.sh("cd /; stat -c '%a %U:%G %F' run/stardust run/stardust/launcher.sock etc/stardust/launch.key").splitlines() == [
        "755 root:root directory", "600 stardust:root socket", "600 root:root regular file",
    ]  # fmt: skip
    assert desk.host.sh("ls /etc/runlevels/default | grep stardust").split() == ["stardust-launcher", "stardust-spider"]

    desk.host.sh("rm /usr/local/sbin/stardust-spider /opt/stardust/stardust-spider")  # as an older version has left it, which was updated
    desk.host.sh("apt-get -q -y install lab-slow=1.0 >/dev/null 2>&1 || true")
    job = begin_slow(desk, node)
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


@pytest.mark.holds("S-41", "S-50")
def test_only_orders_that_the_owner_allows_and_the_hub_has_sealed_are_carried_out(desk: Desk) -> None:
    agent = AgentHost(desk.host)
    agent.node = managed(desk)
    key = desk.host.read("/etc/stardust/launch.key")
    _, frame = agent.seal("refresh", key=bytes(32))
    assert agent.hand_in(frame)["why"] == "bad-mac"
    job, frame = agent.seal("refresh", key=key)
    with pytest.raises(RuntimeError, match="PermissionError"):
        agent.hand_in(frame, "ops")
    desk.host.sh("chmod 666 /run/stardust/launcher.sock")
    assert "answer" not in agent.hand_in(frame, "ops"), "the kernel says whose process it is"
    assert agent.hand_in(frame)["answer"] == "accepted"
    assert agent.hand_in(frame)["why"] == "replay"
    wait_until(lambda: desk.host.sh(f"ls /var/lib/stardust/jobs/{job}/result 2>/dev/null || true"), what="it has ended")
    agent.policy("[policy]\nversion = 1\nmode = readonly\n")
    assert agent.hand_in(agent.seal("upgrade", key=key)[1])["why"] == "policy-readonly"
    assert desk.host.sh("ls /var/lib/stardust/started").split() == [job]


def serve(desk: Desk, *args: str) -> None:
    """Start the hub anew."""
    desk.hub.end()
    desk.hub = HubProcess(desk.hub.folder, port=desk.hub.port, args=args)
    desk.hub.launch()


def ship(desk: Desk, bundle: Path) -> None:
    """Start the hub anew with another version of Spider to give."""
    serve(desk, "--agent-bundle", str(bundle))
    desk.host.sh("rc-service stardust-spider restart")  # it would come back by itself, within a minute
    (node,) = desk.nodes()
    desk.hub.wait_event("agent_online", 60, node=node["id"])


def under_way(desk: Desk) -> str:
    """What is left of an update under way."""
    return desk.host.sh("ps -e -o args= | grep '[p]yz rollback' || true; ls -d /etc/init.d/stardust-rollback /etc/runlevels/*/stardust-rollback /run/stardust-rollback.pid /var/lib/stardust/update 2>/dev/null || true")  # fmt: skip


@pytest.mark.slow
def test_a_new_version_is_proven_and_one_that_does_not_start_is_taken_back(desk: Desk, tmp_path: Path) -> None:
    look = Look(desk)
    node = managed(desk)
    ship(desk, bundle_of(tmp_path, "0.1.1"))
    row = update_to_end(desk)
    assert row["state"] == "succeeded", told(row)
    assert (desk.hub.node(node)["agent_version"], desk.host.sh("readlink /opt/stardust/current").strip()) == ("0.1.1", "0.1.1")
    assert under_way(desk) == ""

    ship(desk, bundle_of(tmp_path, "0.1.2", fault="raise SystemExit(9)"))
    row = update_to_end(desk)
    assert (row["state"], row["error"]["code"]) == ("failed", "job.update_taken_back"), told(row)
    assert "does not stay up" in row["error"]["message"]
    assert (desk.hub.node(node)["agent_version"], desk.host.sh("readlink /opt/stardust/current").strip()) == ("0.1.1", "0.1.1")
    assert desk.hub.node(node)["state"] == "online"
    assert under_way(desk) == ""

    ship(desk, bundle_of(tmp_path, "0.1.3", fault="raise SystemExit(9)"))
    reply = desk.hub.local("POST", "/api/v1/agent-updates", {"nodes": [node]})
    assert reply.status == 202, reply.body
    wait_until(lambda: desk.host.sh("readlink /opt/stardust/current").strip() == "0.1.3", what="it is switched")
    desk.host.sh("sed -i 's/rollback 120/rollback 1/' /etc/init.d/stardust-rollback; kill -KILL $(pgrep -f '[s]pider.pyz run ')")
    labs.lab("stop", desk.host.name)
    labs.lab("start", desk.host.name)
    wait_until(
        lambda: desk.host.sh("readlink /opt/stardust/current").strip() == "0.1.1" and not under_way(desk),
        what="the old version comes back over a restart",
        limit_s=90,
    )
    wait_until(lambda: desk.hub.node(node)["state"] == "online", what="it is in a session")
    desk.end(reply.json["deployments"][0]["id"])

    assert desk.remove(node)["state"] == "succeeded"
    assert [line for line in fsdiff.difference(look.before, look.now()) if "/run/sshd.pid" not in line] == []
    serve(desk)


@pytest.mark.slow
def test_a_server_that_goes_down_waits_for_its_job_and_a_reboot_by_order_is_proved(desk: Desk) -> None:
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
def test_a_spider_that_is_killed_comes_back(desk: Desk) -> None:
    row = watched(desk)
    pid = spider_pid(desk)
    desk.host.sh(f"kill -KILL {pid.partition('@')[0]}")
    wait_until(lambda: spider_pid(desk) not in ("", pid), what="another Spider runs")
    wait_until(lambda: desk.hub.node(row["node_id"])["state"] == "online", what="it is in a session")


def programs(desk: Desk) -> list[str]:
    """Everything of ours that runs, by its words behind the interpreter's."""
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
def test_a_supervisor_that_was_killed_is_started_again_by_the_other_service(desk: Desk, service: str) -> None:
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


def test_what_supervisors_that_were_killed_have_left_goes_with_a_removal(desk: Desk) -> None:
    look = Look(desk)
    node = managed(desk)
    for service in ("stardust-spider", "stardust-launcher"):
        kill_supervisor(desk, service)
    assert desk.remove(node)["state"] == "succeeded"
    assert programs(desk) == []
    look.check_unchanged()


def test_the_launcher_s_log_has_an_end_that_jobs_do_not_have(desk: Desk) -> None:
    log, most = "/var/log/stardust-launcher.log", 16 << 20
    node = managed(desk)
    desk.host.sh(f"head -c {most - 20} /dev/zero | tr '\\0' '\\n' >>{log}")
    desk.host.sh("apt-get -q -y install lab-slow=1.0 >/dev/null 2>&1 || true")
    job = begin_slow(desk, node)
    limits = {
        words: desk.host.sh(f"cat /proc/$(pgrep -o -f 'spider.pyz {words}')/limits | grep 'Max file size'").split()[3:5]
        for words in ("[l]isten", f"[r]un {job}")
    }
    assert list(limits.values()) == [[str(most), "unlimited"], ["unlimited", "unlimited"]]
    agent = AgentHost(desk.host)
    agent.node = node
    for _ in range(3):
        assert agent.hand_in(agent.seal("refresh", key=bytes(32))[1])["why"] == "bad-mac"
    let_go(desk)
    assert ended(desk, job)["state"] == "succeeded"
    runner_s_own = 1 << 16
    assert int(desk.host.sh(f"stat -c %s {log}")) < most + runner_s_own
    desk.host.sh("rc-service stardust-launcher healthcheck")
    rest, kept = map(int, desk.host.sh(f"stat -c %s {log} {log}.1").split())
    assert (rest < runner_s_own, kept) == (True, 1 << 20)  # the supervisor may have cut it by itself before the last lines
    desk.clean = False


@pytest.mark.slow
def test_doas_gives_root_there_too(desk: Desk, tmp_path: Path) -> None:
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
def test_it_comes_back_with_the_server_and_its_log_stays_small(desk: Desk) -> None:
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
def test_root_on_the_server_takes_everything_off_and_the_hub_is_told(desk: Desk) -> None:
    look = Look(desk)
    watched(desk)
    done = desk.host.sh(UNINSTALL)
    assert done.splitlines()[-1] == "Nothing of Stardust is left on this server, and its hub has forgotten it."
    assert desk.nodes() == []
    look.check_unchanged()


def test_the_keys_of_an_upload_that_nobody_finished_are_overwritten(desk: Desk) -> None:
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


@pytest.mark.slow
def test_a_node_that_is_deployed_again_keeps_its_launcher_and_what_was_run(desk: Desk) -> None:
    look = Look(desk)
    node = managed(desk)
    first = ended(desk, order(desk, node, action="refresh"))
    desk.host.sh(
        "rm /etc/init.d/stardust-launcher; truncate -s 1000 /opt/stardust/current/spider.pyz; rc-service stardust-spider restart",
        check=False,
    )
    wait_until(lambda: desk.hub.node(node)["state"] == "offline", what="the node is offline")
    row = desk.end(desk.hub.local("POST", f"/api/v1/nodes/{node}/redeploy").json["id"])
    assert (row["state"], row["error"], row["node_id"]) == ("succeeded", None, node), [row["error"], row]
    second = ended(desk, order(desk, node, action="refresh"))
    assert (first["state"], second["state"]) == ("succeeded", "succeeded"), (first, second)
    assert desk.host.sh("ls /var/lib/stardust/started").split() == sorted([first["id"], second["id"]])
    assert desk.host.sh("ps -e -o args= | grep -c '[s]pider.pyz listen'").strip() == "2", "the supervisor and the listener, once"
    desk.host.sh("rm /etc/init.d/stardust-*")
    assert desk.remove(node)["state"] == "succeeded"
    assert desk.host.sh("ps -e -o args= | grep '[s]tardust'", check=False) == ""
    assert beside_the_lists(look) == []
    desk.clean = False


SETTLED = """
set +e
tries=0
ours() { [ -e /var/lib/stardust ] || ls /etc/init.d/stardust-* /run/openrc/*/stardust-* >/dev/null 2>&1 || pgrep -f '[s]tardust/roll' >/dev/null; }
while [ $tries -lt 600 ] && ours; do
    tries=$((tries + 1))
    sleep 0.1
done
ps -e -o args= | grep -E '[s]h -s|[s]ftp-server|[s]tardust'
echo "tries $tries"
"""


class OpenRcCutting(Cutting):
    """Installs for watching only, through a wire that is cut."""

    async def settle(self) -> None:
        told = await self.sh(SETTLED)
        assert "tries 600" not in told
        assert "rollback" not in told, "the one that waited is over, too"


@pytest.fixture
async def cutting(desk: Desk) -> AsyncIterator[OpenRcCutting]:
    async with listening() as url:
        trial = OpenRcCutting(desk.host, url)
        trial.policy = "monitor"
        yield trial


@pytest.mark.holds("S-57")
@pytest.mark.parametrize(("step", "offset"), [("install", 700), *(pytest.param(*at, marks=pytest.mark.slow) for at in (("upload", 9000), ("start", 0), ("verify", 0)))])  # fmt: skip
async def test_a_connection_that_is_cut_for_good_leaves_nothing(cutting: OpenRcCutting, step: str, offset: int) -> None:
    before = await cutting.look()
    await cutting.cut(step, offset, user="admin")
    await cutting.settle()
    assert fsdiff.difference(before, await cutting.look()) == []


@pytest.mark.slow
@pytest.mark.parametrize("step", ["upload", "install", "start", "verify"])
async def test_a_connection_that_is_cut_once_is_taken_back_at_once(cutting: OpenRcCutting, step: str) -> None:
    before = await cutting.look()
    await cutting.cut(step, 0, reachable=True)
    assert fsdiff.difference(before, await cutting.look()) == []


@pytest.mark.slow
async def test_a_server_that_reboots_in_the_middle_takes_everything_back_after_it(cutting: OpenRcCutting) -> None:
    def reboot() -> None:
        labs.lab("stop", cutting.host.name)
        labs.lab("start", cutting.host.name)

    await asyncio.to_thread(reboot)  # what a boot itself leaves
    before = await cutting.look()
    await cutting.cut("verify", 0, rollback_s=15.0)
    assert await cutting.sh("test -e /var/lib/stardust/installed && ls /etc/runlevels/default/stardust-rollback")
    await asyncio.to_thread(reboot)
    await cutting.settle()
    assert [line for line in fsdiff.difference(before, await cutting.look()) if "/run/sshd.pid" not in line] == []


@pytest.mark.slow
async def test_a_step_restarts_the_rollback_timer_that_was_killed(cutting: OpenRcCutting) -> None:
    """OpenRC does not stop a service whose process is gone, and so does not start it again."""
    before = await cutting.look()
    waiting: list[str] = []

    class Killing(Notes):
        async def done(self, step: str, detail: str = "") -> None:
            await super().done(step, detail)
            if step == "upload":
                await asyncio.to_thread(cutting.host.sh, "kill -KILL $(cat /run/stardust-rollback.pid)")

    async def look(_seconds: float) -> None:
        waiting.append(await cutting.sh("pgrep -f '^/bin/sh /var/lib/stardust/rollback rollback'; cat /run/stardust-rollback.pid"))

    cutting.notes = Killing()
    await cutting.install(look)
    first, *rest = waiting[0].split()
    assert rest == [first]
    await cutting.major.remove(cutting.target(), Notes())
    assert fsdiff.difference(before, await cutting.look()) == []


RESTARTS_OF_THE_TIMER = """
rollback_text() { printf '%s\\n' "trap 'sleep 1; kill \\$!; exit 0' TERM; sleep 600 & wait \\$!"; }
action=arm at=0
arm 600
while [ $at -lt 3 ]; do at=$((at + 1)); restart_timer || echo "failed at $at"; done
disarm
rm -rf "$VAR"
pgrep -af '^/bin/sh .*[s]tardust/rollback' || echo over
"""


@pytest.mark.slow
def test_the_rollback_timer_restarts_while_its_process_ends_slowly(desk: Desk) -> None:
    """On a busy server: no second process starts before the first has ended."""
    functions, main, _ = script("lifecycle.sh").partition("main() {")
    assert main
    look = Look(desk)
    told = desk.host.run("/bin/sh", "-s", stdin=f"{functions}\nexec 9</var/lib\n{RESTARTS_OF_THE_TIMER}")
    assert told.stdout.split() == ["over"], told.stdout + told.stderr
    look.check_unchanged()


def test_a_node_is_deployed_again_or_left_with_the_spider_that_it_has(desk: Desk) -> None:
    node = watched(desk)["node_id"]

    def state() -> str:
        found: str = desk.hub.node(node)["state"]
        return found

    desk.host.sh("truncate -s 1000 /opt/stardust/current/spider.pyz; rc-service stardust-spider restart", check=False)
    wait_until(lambda: state() == "offline", what="the node is offline")
    row = desk.hub.local("POST", f"/api/v1/nodes/{node}/redeploy").json
    row = desk.end(row["id"])
    assert (row["state"], row["node_id"], state()) == ("succeeded", node, "online"), told(row)
    wait_until(lambda: desk.hub.node(node)["policy"] is not None, what="the node has told its policy")
    assert desk.hub.node(node)["policy"]["mode"] == "monitor"

    look = Look(desk)
    row = desk.hub.local("POST", f"/api/v1/nodes/{node}/redeploy").json
    desk.until(row["id"], lambda row: step_of(row, "install")["state"] != "waiting")
    desk.hub.slay()
    desk.host.sh("sh /var/lib/stardust/rollback rollback")
    desk.hub.launch()
    assert desk.end(row["id"])["state"] == "failed"
    wait_until(lambda: state() == "online", what="the Spider from before is back")
    # OpenRC records its processes in /run. The agent spools samples while the hub is away for long, and records how this boot goes.
    own = (" /run/", "/spider/spool/", "/spider/boot:")
    assert [line for line in look.changes() if not any(name in line for name in own)] == []
    desk.clean = False
    assert desk.remove(node)["state"] == "succeeded"
