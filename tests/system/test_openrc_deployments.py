"""Deployments to servers with OpenRC: lost connections, restarts, redeployments and updates of Spider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from majortom.ssh.shell import script
from tests.support import fsdiff
from tests.support import lab as labs
from tests.support.bundles import bundle_of
from tests.support.cut_deployment import Cutting
from tests.support.deploy_client import Desk, Look, told
from tests.support.deployer_trial import Notes, listening
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.openrc import FLAVOUR as OPENRC
from tests.support.openrc import beside_the_lists, ended, managed, openrc_desk, order
from tests.support.spider_updates import end as update_to_end

pytestmark = [pytest.mark.system, pytest.mark.slow]  # test_rollback and test_redeploy have the same script under systemd

FLAVOUR = OPENRC


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with openrc_desk(tmp_path_factory.mktemp("openrc") / "hub") as desk:
        yield desk


def serve(desk: Desk, *args: str) -> None:
    """Restart the hub."""
    desk.hub.end()
    desk.hub = HubProcess(desk.hub.folder, port=desk.hub.port, args=args)
    desk.hub.launch()


def ship(desk: Desk, bundle: Path) -> None:
    """Restart the hub with another version of Spider to ship."""
    serve(desk, "--agent-bundle", str(bundle))
    desk.host.sh("rc-service stardust-spider restart")  # it would come back by itself, within a minute
    (node,) = desk.nodes()
    desk.hub.wait_event("agent_online", 60, node=node["id"])


def under_way(desk: Desk) -> str:
    """The remains of a running update."""
    return desk.host.sh("ps -e -o args= | grep '[p]yz rollback' || true; ls -d /etc/init.d/stardust-rollback /etc/runlevels/*/stardust-rollback /run/stardust-rollback.pid /var/lib/stardust/update 2>/dev/null || true")  # fmt: skip


def test_a_new_version_is_verified_and_a_failing_one_is_rolled_back(desk: Desk, tmp_path: Path) -> None:
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


def test_a_redeployed_node_keeps_its_launcher_and_job_records(desk: Desk) -> None:
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
@pytest.mark.parametrize(("step", "offset"), [("install", 700), ("upload", 9000), ("start", 0), ("verify", 0)])
async def test_a_permanently_cut_connection_leaves_nothing(cutting: OpenRcCutting, step: str, offset: int) -> None:
    before = await cutting.look()
    await cutting.cut(step, offset, user="admin")
    await cutting.settle()
    assert fsdiff.difference(before, await cutting.look()) == []


@pytest.mark.parametrize("step", ["upload", "install", "start", "verify"])
async def test_a_deployment_cut_once_is_rolled_back_immediately(cutting: OpenRcCutting, step: str) -> None:
    before = await cutting.look()
    await cutting.cut(step, 0, reachable=True)
    assert fsdiff.difference(before, await cutting.look()) == []


async def test_a_server_that_reboots_during_a_deployment_rolls_it_back(cutting: OpenRcCutting) -> None:
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


async def test_a_step_restarts_a_killed_rollback_timer(cutting: OpenRcCutting) -> None:
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


def test_the_rollback_timer_restarts_while_its_process_ends_slowly(desk: Desk) -> None:
    """On a busy server: no second process starts before the first has ended."""
    functions, main, _ = script("lifecycle.sh").partition("main() {")
    assert main
    look = Look(desk)
    told = desk.host.run("/bin/sh", "-s", stdin=f"{functions}\nexec 9</var/lib\n{RESTARTS_OF_THE_TIMER}")
    assert told.stdout.split() == ["over"], told.stdout + told.stderr
    look.check_unchanged()
