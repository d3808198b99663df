"""What happens to a roll-out over real hosts: Stop, power loss, reboots, a lost network, freezes, changed plans, hanging scripts and actions.

The cases share one hub and its pairs of hosts: each takes a free pair, in factory state. The hub watches for a share of the usual time.
"""

from __future__ import annotations

import base64
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support import lab as labs
from tests.support.eventually import wait_until
from tests.support.gate_trials import ENDED, GO, PACKAGE, PATIENCE_S, POLL_S, WAITS, Run, Trial, asked, in_commit
from tests.support.hub import HubProcess
from tests.support.running_rollout import DAYS
from tests.support.slow_repository import SlowRepository

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(2400)]

SCALE = 0.1
LEAST_WINDOW_S = 900
PAIRS = 3
"""So many cases run at the same time."""
SLOW_STOP = (
    b"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/sleep 30\n[Install]\nWantedBy=multi-user.target\n"
)
BOOT = "/proc/sys/kernel/random/boot_id"
MOUNTED_BY_HAND = (
    "truncate -s 16M /srv/data.img; mkfs.ext4 -q /srv/data.img; mkdir /srv/data; mknod /dev/loop-control c 10 237\n"
    "free=$(losetup -f); mknod $free b 7 ${free#/dev/loop}; mount -o loop=$free /srv/data.img /srv/data"
)
"""A file system as of a disk, which fstab does not name. The host has no loop devices, so it makes one."""


def started(trials: list[Trial], name: str, harm: str = "", **fields: Any) -> tuple[Run, Trial]:
    """A roll-out that was just started, and its canary."""
    for one in trials:
        one.prepare(harm)
    run = Run(trials, name, **fields)
    run.start()
    return run, run.begun()


def stop_while_it_installs(trials: list[Trial]) -> None:
    run, canary = started(trials, "stop in commit", WAITS)
    in_commit(run, canary)
    row = run.first.call("POST", f"rollouts/{run.id}/stop")
    assert row["state"] == "stopping", row["words"]
    assert run.target(canary)["state"] == "running", "what a node changes runs to its end"
    canary.host.sh(f"touch {GO}")
    row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "person"), row["words"]
    assert run.target(canary)["state"] == "passed", run.target(canary)
    assert canary.version(PACKAGE) == "ii 2.0"
    assert canary.host.sh("dpkg --audit") == ""
    run.untouched(canary)


def stop_while_it_downloads(trials: list[Trial]) -> None:
    for one in trials:
        one.prepare()
    archive = base64.b64decode(trials[0].host.sh("tar c -C /srv/lab-repo/apt/main . | base64"))
    with SlowRepository(archive) as repository:
        for one in trials:
            one.put("/etc/apt/apt.conf.d/99direct", b'Acquire::http::Proxy "DIRECT";\n')
            one.put("/etc/apt/sources.list.d/lab.sources", f"Types: deb\nURIs: {repository.url}\nSuites: ./\nTrusted: yes\n".encode())
            one.host.sh("apt-get -q update")
        run = Run(trials, "stop in download")
        run.start()
        canary = run.begun()
        assert repository.asked.wait(PATIENCE_S), (run.row(), run.targets())
        row = run.first.call("POST", f"rollouts/{run.id}/stop")
        assert row["state"] in ("stopping", "stopped"), row["words"]
        row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "person"), row["words"]
    job = canary.job_row(run.target(canary)["job_id"])
    assert (job["state"], job["error"]["code"]) == ("cancelled", "job.stopped"), job
    assert canary.host.sh("dpkg --audit") == ""
    run.untouched()


def stop_while_it_is_watched(trials: list[Trial]) -> None:
    run, canary = started(trials, "stop in watch")
    run.until_target(canary, "the canary is watched", step="watch")
    run.first.call("POST", f"rollouts/{run.id}/stop")
    row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "person"), row["words"]
    assert run.target(canary)["state"] == "passed", "the watch is the evidence, so it goes to its end"
    run.untouched(canary)


def power_loss_while_it_installs(trials: list[Trial]) -> None:
    run, canary = started(trials, "power loss", WAITS)
    in_commit(run, canary)
    labs.lab("kill", canary.host.name)
    labs.lab("start", canary.host.name)
    row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "gate"), row["words"]
    target = run.target(canary)
    assert target["state"] == "failed", target
    assert run.first.job_row(target["job_id"])["state"] == "interrupted"
    run.untouched(canary)


def a_freeze_between_waves(trials: list[Trial]) -> None:
    run, canary = started(trials, "freeze")
    run.until_target(canary, "the canary is watched", step="watch")
    [other] = [one for one in trials if one is not canary]
    freeze = canary.call("POST", "windows/now", {"kind": "freeze", "select": {"nodes": [other.node]}, "reason": "end of the month"})
    held = run.until_target(other, "the next one is held", state="held", why="frozen")
    assert held["remedy"], held
    assert other.version(PACKAGE) == "ii 1.0"
    assert canary.hub.request("DELETE", f"/api/v1/windows/{freeze['id']}", token=canary.token).status == 204
    row = run.end()
    assert row["state"] == "succeeded", (row["words"], run.targets())
    assert {one.version(PACKAGE) for one in trials} == {"ii 2.0"}


def too_little_time_is_left(trials: list[Trial]) -> None:
    for one in trials:
        one.prepare()
    run = Run(trials, "late")
    run.until("ready")
    began = datetime.now(UTC) - timedelta(seconds=LEAST_WINDOW_S - 180)
    body = {
        "name": "short", "kind": "allow", "select": {"nodes": [one.node for one in trials]}, "zone": "UTC",
        "start": f"{began:%H:%M}", "length_s": LEAST_WINDOW_S, "weekly": DAYS,
    }  # fmt: skip
    window = trials[0].call("POST", "windows", body)
    run.start()
    held = run.until_target(run.canary(), "the canary is held", state="held", why="too_late")
    assert "minutes are left" in held["words"], held
    held = run.until_target(run.canary(), "its window has closed", state="held", why="window")
    assert held["remedy"], held
    assert {one.version(PACKAGE) for one in trials} == {"ii 1.0"}
    assert trials[0].hub.request("DELETE", f"/api/v1/windows/{window['id']}", token=trials[0].token).status == 204
    row = run.end()
    assert row["state"] == "succeeded", (row["words"], run.targets())


def the_owner_is_demoted(trials: list[Trial]) -> None:
    for one in trials:
        one.prepare()
    first = trials[0]
    made = first.call("POST", "users", {"username": "olga", "role": "operator"})
    changed = first.hub.login("olga", made["password"]).token
    first.token = changed
    first.call("POST", "auth/password", {"current": made["password"], "new": "a password of her own"})
    first.user = ("olga", "a password of her own")
    first.token = first.hub.login(*first.user).token
    run = Run(trials, "demoted")
    run.start()
    canary = run.begun()
    run.until_target(canary, "the canary is watched", step="watch")
    first.user = ()
    first.token = first.hub.login().token
    first.call("PATCH", "users/olga", {"role": "viewer"})
    row = run.until("paused")
    assert row["why"] == "owner", row
    assert "olga" in row["words"]
    run.first.call("POST", f"rollouts/{run.id}/stop")
    assert run.end()["state"] == "stopped"
    run.untouched(canary)


def a_removal_appears_after_the_confirmation(trials: list[Trial]) -> None:
    for one in trials:
        one.prepare()
    run = Run(trials, "plan changed")
    run.until("ready")
    for one in trials:
        one.offer(PACKAGE, "#!/bin/sh\n", new="2.1", fields="Conflicts: lab-hello\n")
    run.start()
    canary = run.canary()
    held = run.until_target(canary, "the canary is held", state="held", why="plan_changed")
    assert held["remedy"], held
    run.first.call("POST", f"rollouts/{run.id}/stop")
    run.end()
    run.untouched()
    assert canary.host.sh("dpkg-query -W -f='${db:Status-Abbrev}' lab-hello").strip() == "ii"


def a_package_is_put_on_hold_after_the_confirmation(trials: list[Trial]) -> None:
    for one in trials:
        one.prepare()
    run = Run(trials, "held package")
    run.until("ready")
    for one in trials:
        one.host.sh(f"apt-mark hold {PACKAGE}")
    run.start()
    canary = run.canary()
    held = run.until_target(canary, "the canary is held", state="held", why="package_held")
    assert PACKAGE in held["words"], held
    assert held["remedy"], held
    run.first.call("POST", f"rollouts/{run.id}/stop")
    run.end()
    assert {run.target(one)["state"] for one in trials} == {"not_started"}
    assert {one.version(PACKAGE) for one in trials} == {"hi 1.0"}


def a_configuration_file_was_edited(trials: list[Trial]) -> None:
    """Where apt would ask a person, the file of the administrator stays, and the job says where the new one is."""
    run, canary = started(trials, "conffile", packages=["lab-conf"])
    row = run.end()
    assert row["state"] == "succeeded", (row["words"], run.targets())
    for one in trials:
        assert one.version("lab-conf") == "ii 2.0"
        assert "# edited by the administrator" in one.host.sh("cat /etc/lab-conf.conf")
        assert "level = 2" in one.host.sh("cat /etc/lab-conf.conf.dpkg-dist")
    report = canary.call("GET", f"jobs/{run.target(canary)['job_id']}/report")
    assert [one["path"] for one in report["config_files"]] == ["/etc/lab-conf.conf.dpkg-dist"], report


def a_script_hangs_and_is_killed(trials: list[Trial]) -> None:
    """The installation of packages has no time limit: nothing but a person ends it, by name and after a stop. What is left is said."""
    for one in trials:
        one.host.sh("apt-mark unhold lab-hang")
    run, canary = started(trials, "hang", packages=["lab-hang"])
    canary.wait("pgrep -f '[l]ab-hang.postinst'", PATIENCE_S)
    row = run.first.call("POST", f"rollouts/{run.id}/stop")
    assert (row["state"], run.target(canary)["state"]) == ("stopping", "running"), row["words"]
    run.first.call("POST", f"rollouts/{run.id}/kill", {"node_id": canary.node, "confirm": canary.name})
    row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "person"), row["words"]
    target = run.target(canary)
    assert (target["state"], bool(target["remedy"])) == ("failed", True), target
    assert "lab-hang" in canary.host.sh("dpkg --audit"), "it is half installed, and known to be"
    for one in trials:
        if one is not canary:
            assert run.target(one)["state"] == "not_started"
            assert one.version("lab-hang") == "ii 1.0"


def an_action_hangs_until_its_time_limit(trials: list[Trial]) -> None:
    for one in trials:
        one.host.sh("install -d -m 755 /etc/stardust/actions.d")
        one.put("/etc/stardust/actions.d/drain", b"#!/bin/sh\nexec sleep 900\n", "0755")
        one.prepare()
        one.host.sh("sed -i 's/^version.*/version = 3\\nactions = drain/' /etc/stardust/policy.conf; systemctl restart stardust-spider")
        wait_until(
            lambda one=one: one.call("GET", f"nodes/{one.node}")["policy"]["actions"] == ["drain"],  # type: ignore[misc]  # bound now
            PATIENCE_S, what="the node names its action", poll_s=POLL_S,
        )  # fmt: skip
        one.wait_row(one.submit("check"))
    first = trials[0]
    policy = first.call(
        "POST", "patch-policies",
        {
            "name": "hanging action", "select": {"nodes": [one.node for one in trials]}, "when": {"weekly": DAYS}, "start": "02:30",
            "length_s": 14_400, "zone": "UTC", "what": "all", "only": [PACKAGE], "order": {"canary": 1}, "watch_s": 300, "reboot": "never",
            "before": [{"name": "drain", "timeout_s": 5}],
        },
    )  # fmt: skip
    run = Run(trials, "", policy_id=policy["id"])
    row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "gate"), row["words"]
    assert "the action drain failed" in row["words"], row["words"]
    for one in trials:
        assert one.version(PACKAGE) == "ii 1.0", "it failed before anything was installed"
    run.untouched(run.canary())


def a_reboot_loses_a_unit_that_was_not_enabled_and_a_mount_that_fstab_does_not_name(trials: list[Trial]) -> None:
    for one in trials:
        one.put("/etc/systemd/system/by-hand.service", b"[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
        one.host.sh("systemctl daemon-reload; systemctl start by-hand.service")
        one.host.sh(MOUNTED_BY_HAND)
    boots = [one.host.read(BOOT) for one in trials]
    run, canary = started(trials, "reboot", reboot="always")
    row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "gate"), row["words"]
    assert "Services that ran before the reboot and do not now: by-hand.service" in row["words"], row["words"]
    assert "File systems that were mounted before the reboot and are not now: /srv/data." in row["words"], row["words"]
    warned = canary.held(run.target(canary)["job_id"]).decode()
    assert "These services run now and do not start at boot: by-hand.service." in warned, warned
    assert "These file systems are mounted now and are not in /etc/fstab: /srv/data." in warned, warned
    assert canary.host.read(BOOT) not in boots
    [reboot] = run.first.call("GET", f"nodes/{canary.node}/reboots")["reboots"]
    assert reboot["verdict"] == "broken", reboot
    assert reboot["boot_to"] == canary.host.read(BOOT).decode().strip().replace("-", ""), reboot
    assert reboot["boot_from"] != reboot["boot_to"]
    assert reboot["kernel_from"] == reboot["kernel_to"], reboot
    assert reboot["away_s"] > 0, reboot
    assert reboot["need"], "why it was due, or that it was not"
    run.untouched(canary)


def a_reboot_does_not_happen(trials: list[Trial]) -> None:
    for one in trials:
        one.host.sh("systemctl mask reboot.target")
    run, canary = started(trials, "no reboot", reboot="always")
    row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "gate"), row["words"]
    assert "not_rebooted" in row["words"], row["words"]
    assert run.first.call("GET", f"nodes/{canary.node}/reboots")["reboots"][0]["verdict"] == "not_rebooted"
    run.untouched(canary)


def the_network_is_lost_in_the_watch(trials: list[Trial]) -> None:
    """It holds after a minute; what the agent saw meanwhile is judged once it is back."""
    run, canary = started(trials, "network", watch_s=900)
    run.until_target(canary, "the canary is watched", step="watch")
    canary.host.net("drop")
    row = run.until("holding")
    assert row["why"] == "evidence", row
    canary.host.sh("systemctl stop worker.service")
    canary.host.net("restore")
    run.stopped_by("unit_gone", "worker.service")


def a_host_stays_off_after_its_reboot(trials: list[Trial]) -> None:
    """It is overdue by its own past, and no other is rebooted. Its late return changes no verdict."""
    for one in trials:
        one.prepare()
        one.put("/etc/systemd/system/slow-stop.service", SLOW_STOP)
        one.host.sh("systemctl daemon-reload; systemctl -q enable --now slow-stop.service")
        one.wait_row(one.submit("reboot"), PATIENCE_S)
    run = Run(trials, "stays off", reboot="always")
    run.start()
    canary = run.begun()
    target = run.until_target(canary, "the canary is rebooted", step="reboot")
    wait_until(
        lambda: canary.job_row(run.target(canary)["job_id"])["note"].startswith("the server"),
        PATIENCE_S,
        what="it shuts down",
        poll_s=POLL_S,
    )
    canary.host.net("drop")
    row = run.until("stopping", *ENDED)
    assert row["state"] == "stopping", (row, target)
    assert "for its reboot it has been away for" in row["words"], row["words"]
    assert canary.call("GET", f"nodes/{canary.node}/reboots")["reboots"][0]["verdict"] == "overdue"
    canary.host.net("restore")
    row = run.end()
    assert (row["state"], row["stopped_by"]) == ("stopped", "gate"), row["words"]
    assert run.target(canary)["rebooted"], run.target(canary)
    run.untouched(canary)


def the_network_stays_away(trials: list[Trial]) -> None:
    run, canary = started(trials, "away", watch_s=900)
    run.until_target(canary, "the canary is watched", step="watch")
    canary.host.net("drop")
    run.stopped_by("node_away", "away for 5 minutes")


CASES: dict[str, Callable[[list[Trial]], None]] = {
    one.__name__: one
    for one in (
        stop_while_it_downloads, stop_while_it_installs, stop_while_it_is_watched, power_loss_while_it_installs, a_freeze_between_waves, too_little_time_is_left,
        the_owner_is_demoted, a_removal_appears_after_the_confirmation, a_package_is_put_on_hold_after_the_confirmation,
        a_configuration_file_was_edited, a_script_hangs_and_is_killed, an_action_hangs_until_its_time_limit,
        a_reboot_loses_a_unit_that_was_not_enabled_and_a_mount_that_fstab_does_not_name, a_reboot_does_not_happen,
        the_network_is_lost_in_the_watch, the_network_stays_away, a_host_stays_off_after_its_reboot,
    )
}  # fmt: skip


@pytest.fixture(scope="module")
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """The cases that are asked for, all under way."""
    assert (reason := labs.unavailable()) is None, f"this test needs lab hosts, and {reason}"
    names = asked(request)
    with ExitStack() as ends:
        hub = ends.enter_context(HubProcess(tmp_path_factory.mktemp("turns") / "hub", faults=(f"quick-watch={SCALE}",)))
        count = min(PAIRS, len(names))
        hosts = labs.up(debian=2 * count)
        ends.callback(labs.down)
        labs.program()  # once, before threads need it
        free = queue.SimpleQueue[list[labs.Host]]()
        for at in range(count):
            free.put(hosts[2 * at : 2 * at + 2])
        pool = ends.enter_context(ThreadPoolExecutor(count))
        yield {name: pool.submit(on_a_pair, name, hub, free) for name in names}


def on_a_pair(name: str, hub: HubProcess, free: queue.SimpleQueue[list[labs.Host]]) -> None:
    pair = free.get_nowait()
    try:
        for host in pair:
            host.reset()
        trials = [Trial(host, hub) for host in pair]
        for at, one in enumerate(trials):
            one.name = f"{name} {at}"  # the nodes of the cases before keep theirs
        CASES[name](trials)
    finally:
        free.put(pair)


@pytest.mark.parametrize("name", CASES)
def test_a_turn_of_a_roll_out(begun: dict[str, Future[None]], name: str) -> None:
    begun[name].result()
