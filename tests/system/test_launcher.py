"""Orders handed to root by the user stardust, on a real host: an order that is not exactly valid runs nothing."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.agent_host import JOBS, LAUNCH_KEY, AgentHost

pytestmark = pytest.mark.system


READ_JOURNAL = """
import asyncio, json, sys
sys.path.insert(0, "/opt/stardust/current/spider.pyz")
from spider.reports.unit_journal import UnitJournal
from spider.wire.report_messages import JournalRequest
async def main():
    told = asyncio.get_running_loop().create_future()
    async def send(answer):
        told.set_result(answer)
    journal = UnitJournal("/etc/stardust/policy.conf", 0, send)
    running = asyncio.ensure_future(journal.run())
    journal.request(JournalRequest(1, "lab-web.service", 200, "all"))
    print(json.dumps((await told)._asdict()))
    running.cancel()
asyncio.run(main())
"""
"""Prints the answer of Spider's own reader, as the user who runs it may read."""
ENGINE = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
os.umask(0o117)
listener.bind("/run/docker.sock")
listener.listen()
while True:
    with listener.accept()[0] as client:
        client.recv(4096)
        client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + sys.argv[1].encode())
"""
LIST_CONTAINERS = """
import json, os, sys
sys.path.insert(0, "/opt/stardust/current/spider.pyz")
from spider.sampling.collectors.container_engines import Names
from spider.sampling.collectors.listed_containers import ListedContainers
listed = ListedContainers("/run/stardust/launcher.sock", "/etc/stardust/policy.conf")
print(json.dumps([os.access("/run/docker.sock", os.W_OK), Names(listed=listed).containers()]))
"""
"""Prints whether the user who runs it may open the engine's socket, and the containers that Spider names."""


@pytest.fixture
def agent(kept_agent: AgentHost) -> AgentHost:
    """One host for all tests of this file: before each, its policy and its key are as installed, and no job runs."""
    kept_agent.policy("[policy]\nversion = 1\nmode = managed\n")
    kept_agent.put("/etc/stardust/launch.key", LAUNCH_KEY, "0600")
    kept_agent.wait("! systemctl list-units --no-legend --state=active,activating,deactivating 'stardust-job@*' | grep -q .")
    return kept_agent


def whatever_ran(agent: AgentHost) -> str:
    """Records and folders of jobs, starts of their units, and the packages as they are."""
    return agent.host.sh(
        f"ls /var/lib/stardust/started {JOBS}; dpkg-query -W; "
        "journalctl -q -o cat -t systemd | grep -E '^(Start|Failed to start).*stardust-job@' || true"
    )


@pytest.mark.holds("SAFETY-55", "S-41", "F-21")
def test_forged_altered_and_expired_orders_run_nothing(agent: AgentHost) -> None:
    before = whatever_ran(agent)
    wanted = {"packages": ["lab-hello"]}
    now = int(time.time())
    _, good = agent.seal("upgrade", wanted)
    frames = {  # test_launcher_arguments has every reason and every form of a name
        "forged": (agent.seal("upgrade", wanted, key=bytes(32))[1], "bad-mac"),
        "altered": (good.replace(b"lab-hello", b"lab-hellp"), "bad-mac"),
        "other node": (agent.seal("upgrade", wanted, node="0" * 26)[1], "wrong-node"),
        "expired": (agent.seal("upgrade", wanted, iat=now - 400, exp=now - 100)[1], "expired"),
        "an option": (agent.seal("upgrade", {"packages": ["-oAPT::Update::Pre-Invoke::=id"]})[1], "bad-args"),
        "not an order": (b"GET / HTTP/1.1\r\n\r\n", "bad-magic"),
    }
    began = time.time()
    answers = agent.hand_in_all([frame for frame, _why in frames.values()])
    for (name, (_frame, why)), said in zip(frames.items(), answers, strict=True):
        assert (said["answer"], said["why"]) == ("refused", why), name
        assert began - 30 < said["clock"] < time.time() + 30, name
    assert whatever_ran(agent) == before


def test_a_job_stopped_before_its_start_never_starts(agent: AgentHost) -> None:
    before = agent.version("lab-hello")
    job, stop = agent.seal("stop", {})
    assert agent.hand_in(stop)["why"] == "no-such-job"
    assert agent.hand_in(agent.seal("upgrade", {"packages": ["lab-hello"]}, job=job)[1])["why"] == "replay"
    assert agent.host.run("test", "-e", f"{JOBS}/{job}", check=False).returncode
    assert agent.version("lab-hello") == before


@pytest.mark.holds("SAFETY-55", "S-42")
def test_a_repeated_order_runs_once(agent: AgentHost) -> None:
    job, frame = agent.seal("upgrade", {"packages": ["lab-hello"]})
    assert agent.hand_in(frame)["answer"] == "accepted"
    assert agent.hand_in(frame)["why"] == "replay"
    agent.wait(f"test -s {JOBS}/{job}/result")
    assert agent.hand_in(frame)["why"] == "replay"
    assert agent.version("lab-hello") == "ii 2.0"
    configured = agent.host.sh("grep -c ' configure lab-hello:all 2.0 ' /var/log/dpkg.log || true").strip()
    assert configured == "1"
    # Even with every trace of the job gone, the record stays.
    agent.host.sh(f"rm -r {JOBS}/{job}")
    assert agent.hand_in(frame)["why"] == "replay"
    assert json.loads(agent.host.read(f"/var/lib/stardust/started/{job}"))["verb"] == "upgrade"


@pytest.mark.holds("SAFETY-77")
def test_concurrent_copies_of_an_order_start_one_job(agent: AgentHost) -> None:
    job, frame = agent.seal("check")
    agent.put("/root/order", frame, "0644")
    agent.host.sh("chmod 0711 /root")
    script = (
        "import socket, threading\n"
        "frame = open('/root/order', 'rb').read(); said = []\n"
        "def go():\n"
        "    client = socket.socket(socket.AF_UNIX); client.settimeout(40)\n"
        "    try:\n"
        "        client.connect('/run/stardust/launcher.sock'); client.sendall(frame); said.append(client.recv(4096).decode())\n"
        "    except OSError as exc: said.append(type(exc).__name__)\n"
        "threads = [threading.Thread(target=go) for _ in range(12)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(sum('accepted' in s for s in said))\n"
    )
    done = agent.host.run("runuser", "-u", "stardust", "--", "python3", "-c", script)
    assert done.stdout.strip() == "1"
    agent.wait(f"test -s {JOBS}/{job}/result")
    assert agent.host.sh(f"journalctl -q -o cat -u stardust-job@{job} | grep -c ^Started").strip() == "1"
    assert agent.hand_in(agent.seal("check")[1])["answer"] in ("accepted", "refused")  # the socket is alive


@pytest.mark.holds("SAFETY-56", "S-50")
@pytest.mark.parametrize(
    ("policy", "verb", "why"),
    [
        ("[policy]\nversion = 1\nmode = monitor\n", "check", "policy-monitor"),
        ("[policy]\nversion = 1\nmode = readonly\n", "upgrade", "policy-readonly"),
        ("[policy]\nversion = 1\nmode = managed\nallow = everything\n", "check", "policy-invalid"),
    ],
)
def test_the_policy_of_the_node_overrides_every_order(agent: AgentHost, policy: str, verb: str, why: str) -> None:
    before = whatever_ran(agent)
    agent.policy(policy)
    said = agent.hand_in(agent.seal(verb)[1])
    assert (said["answer"], said["why"]) == ("refused", why)
    assert whatever_ran(agent) == before


@pytest.mark.holds("SAFETY-56", "S-50")
def test_a_failed_unit_is_restarted_where_the_policy_names_it(agent: AgentHost) -> None:
    policy = "[policy]\nversion = 2\nmode = managed\nunits = {}\njournal = all\n"
    unit = "[Service]\nExecStart=/bin/sh -c 'echo it begins; test -e /run/lab-mended && exec sleep 1000'\n"
    agent.put("/etc/systemd/system/lab-web.service", unit.encode())
    agent.host.sh("systemctl daemon-reload; systemctl start lab-web.service; until systemctl -q is-failed lab-web; do sleep 0.05; done")
    agent.policy(policy.format("lab-other.service"))
    assert agent.hand_in(agent.seal("unit-restart", {"units": ["lab-web.service"]})[1])["why"] == "policy-unit"
    agent.policy(policy.format("lab-*"))
    broken = agent.gather(agent.order("unit-restart", {"units": ["lab-web.service"]}))
    told = json.loads(broken["result"])
    assert (told["state"], told["error_code"]) == ("failed", "job.unit_failed")
    assert b"it begins" not in broken["log"]  # which is stored, as lines of the journal must not be
    agent.host.sh("touch /run/lab-mended")
    mended = agent.gather(agent.order("unit-restart", {"units": ["lab-web.service"]}))
    assert json.loads(mended["result"])["state"] == "succeeded", mended["log"]
    assert mended["log"].splitlines() == [
        b"lab-web.service: failed (failed), result exit-code",
        b"$ systemctl restart lab-web.service",
        b"lab-web.service: active (running)",
    ]
    read = json.loads(agent.host.run("runuser", "-u", "stardust", "--", "python3", "-c", READ_JOURNAL).stdout)
    assert (read["refused"], read["texts"].count("it begins")) == ("", 3)
    hidden = json.loads(agent.host.run("runuser", "-u", "nobody", "--", "python3", "-c", READ_JOURNAL).stdout)
    assert (hidden["refused"], hidden["texts"]) == ("unreadable", [])


@pytest.mark.holds("SAFETY-56", "S-50")
def test_spider_learns_the_names_of_those_containers_that_the_policy_names(agent: AgentHost) -> None:
    rows = [
        {"Id": digit * 64, "Names": [f"/{name}"], "State": "running", "Image": "lab:1"} for digit, name in (("a", "shop"), ("b", "secret"))
    ]
    agent.host.run("systemd-run", "-q", "--unit=lab-engine", "python3", "-c", ENGINE, json.dumps(rows))
    agent.wait("test -S /run/docker.sock")
    try:
        answers = []
        for line in ("", "containers = sh*\n"):
            agent.policy(f"[policy]\nversion = 2\nmode = managed\n{line}")
            answers.append(json.loads(agent.host.run("runuser", "-u", "stardust", "--", "python3", "-c", LIST_CONTAINERS).stdout))
    finally:
        agent.host.sh("systemctl stop lab-engine; rm -f /run/docker.sock")
    assert answers == [[False, []], [False, [["docker", "a" * 64, "shop", "running", "lab:1"]]]]


@pytest.mark.holds("SAFETY-56", "S-50")
def test_a_policy_writable_by_others_allows_nothing(agent: AgentHost) -> None:
    before = whatever_ran(agent)
    managed = b"[policy]\nversion = 1\nmode = managed\n"
    for mode, owner in (("0666", "root:root"), ("0644", "stardust:stardust")):
        agent.put("/etc/stardust/policy.conf", managed, mode, owner)
        assert agent.hand_in(agent.seal("check")[1])["why"] == "policy-invalid"
    agent.host.sh("mv /etc/stardust/policy.conf /etc/stardust/p; ln -s p /etc/stardust/policy.conf; chown root:root /etc/stardust/p")
    assert agent.hand_in(agent.seal("check")[1])["why"] == "policy-invalid"
    assert whatever_ran(agent) == before


@pytest.mark.holds("SAFETY-95", "F-12")
def test_a_second_job_waits_its_turn_and_a_full_disk_refuses_it(agent: AgentHost) -> None:
    agent.host.sh("mount -t tmpfs -o size=4m,mode=2750,gid=stardust small /var/lib/stardust/jobs")
    try:
        said = agent.hand_in(agent.seal("check")[1])
    finally:
        agent.host.sh("umount /var/lib/stardust/jobs")
    assert (said["answer"], said["why"]) == ("refused", "no-space")
    agent.hold_scripts()
    job, frame = agent.seal("upgrade", {"packages": ["lab-slow"]})
    assert agent.hand_in(frame)["answer"] == "accepted"
    agent.wait(f"test -s {JOBS}/{job}/log")
    other, second = agent.seal("check")
    assert agent.hand_in(second)["why"] == "busy"
    agent.release_scripts()
    agent.wait(f"test -s {JOBS}/{job}/result && ! systemctl -q is-active stardust-job@{job}")
    assert agent.hand_in(second)["answer"] == "accepted"  # `busy` does not use up the id
    agent.wait(f"test -s {JOBS}/{other}/result")


@pytest.mark.holds("F-21")
def test_slow_and_idle_clients_do_not_block_the_launcher(agent: AgentHost) -> None:
    script = (
        "import socket\n"
        "idle = [socket.socket(socket.AF_UNIX) for _ in range(12)]\n"
        "for client in idle:\n"
        "    client.settimeout(1)\n"
        "    try: client.connect('/run/stardust/launcher.sock'); client.send(b'SDL1')\n"
        "    except OSError: pass\n"
        "left = 0\n"
        "for client in idle:\n"
        "    client.settimeout(20)\n"
        "    try: left += 'slow-frame' in client.recv(4096).decode()\n"
        "    except OSError: pass\n"
        "print(left)\n"
    )
    done = agent.host.run("runuser", "-u", "stardust", "--", "python3", "-c", script)
    assert int(done.stdout) >= 1
    assert agent.hand_in(agent.seal("check")[1])["answer"] == "accepted"


@pytest.mark.holds("SAFETY-41", "SAFETY-54", "S-49")
def test_spiders_user_cannot_change_files_of_root(agent: AgentHost) -> None:
    agent.host.sh("rm -f /opt/stardust/current/spider.pyz.*")  # the job writes its own
    job, frame = agent.seal("check")
    assert agent.hand_in(frame)["answer"] == "accepted"
    agent.wait(f"test -s {JOBS}/{job}/result")
    tries = [
        f"echo x >> {JOBS}/{job}/log",
        f"rm -f {JOBS}/{job}/result",
        f"mv {JOBS}/{job}/plan {JOBS}/{job}/p",
        f"ln -s /etc/shadow {JOBS}/x",
        f"mkdir {JOBS}/{job.replace(job[-1], '0')}x",
        f"cat {JOBS}/.lock",
        f"chmod 777 {JOBS}/{job}",
        "ls /var/lib/stardust/started",
        "mv /var/lib/stardust/started /var/lib/stardust/s",
        "cat /etc/stardust/launch.key",
        "echo >> /etc/stardust/policy.conf",
        "echo >> /opt/stardust/current/spider.pyz",
        "echo | tee -a /opt/stardust/current/spider.pyz.*",
        "touch /opt/stardust/current/spider.pyz.cpython-399",
        f"systemctl --no-ask-password start stardust-job@{job}.service",
    ]
    for attempt in tries:
        done = agent.host.run("runuser", "-u", "stardust", "--", "/bin/sh", "-c", attempt, check=False)
        assert done.returncode != 0, attempt
    mode = agent.host.sh(f"stat -c '%a %U:%G' {JOBS} {JOBS}/{job} {JOBS}/{job}/plan {JOBS}/{job}/log {JOBS}/{job}/result {JOBS}/.lock")
    bytecode = agent.host.sh("stat -c '%a %U:%G' /opt/stardust/current/ /opt/stardust/current/spider.pyz.*")
    assert bytecode.split("\n")[:-1] == ["755 root:root", "644 root:root"]
    assert mode.split("\n")[:-1] == ["2750 root:stardust", "2750 root:stardust"] + ["640 root:stardust"] * 3 + ["600 root:stardust"]


@pytest.mark.holds("SAFETY-55", "S-49")
def test_nothing_starts_without_the_launch_key(agent: AgentHost) -> None:
    before = whatever_ran(agent)
    agent.put("/etc/stardust/launch.key", LAUNCH_KEY, "0640")
    assert agent.hand_in(agent.seal("check")[1])["why"] == "no-key"
    agent.host.sh("rm /etc/stardust/launch.key")
    assert agent.hand_in(agent.seal("check")[1])["why"] == "no-key"
    assert whatever_ran(agent) == before
