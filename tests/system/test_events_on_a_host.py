"""Events reported by programs of a real host, and what Spider finds there for the alert rules."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.agent_host import VERSION_DIR, AgentHost
from tests.support.bundles import shipped_bundle
from tests.support.eventually import eventually
from tests.support.hub import HubProcess

pytestmark = pytest.mark.system
COMMAND = "/usr/bin/python3 -I -B /opt/stardust/current/spider.pyz event"
LISTENS = f"runuser -u nobody -- {COMMAND} health_ok 2>/dev/null; test $? -eq 77"
POLICY = "[policy]\nversion = 2\nmode = monitor\nevents = plain\n"
FAILED_LIMIT_S = 30.0 + 15.0
"""The interval of the table, and the time of a busy machine."""


def install(agent: AgentHost, hub: HubProcess) -> str:
    """The agent as it is shipped, of this hub. Returns: the node's id."""
    [node] = hub.enrol("reporter")
    conf = f"[hub]\nurl = {hub.ws_url}\nfleet = {node.fleet_id}\n[node]\nid = {node.node_id}\ngeneration = {node.generation}\n"
    agent.policy(POLICY)
    agent.put(f"{VERSION_DIR}/spider.pyz", shipped_bundle())
    agent.put("/etc/stardust/spider.conf", conf.encode())
    agent.put("/etc/stardust/session.key", node.session_key, "0600", "stardust:stardust")
    agent.host.sh("systemctl restart stardust-spider")
    return node.node_id


def report(agent: AgentHost, user: str, words: str) -> int:
    """The exit status of the command, run by that user."""
    return agent.host.run("runuser", "-u", user, "--", "/bin/sh", "-c", f"cd /; {COMMAND} {words}", check=False).returncode


@pytest.mark.holds("S-50")
@pytest.mark.slow  # tests/unit/spider/test_event_reports.py has the callers by their users, and a restart
def test_permitted_users_report_events_that_survive_a_kill_while_the_hub_is_away(agent: AgentHost) -> None:
    agent.policy(POLICY)
    agent.put(f"{VERSION_DIR}/spider.pyz", shipped_bundle())
    agent.put("/etc/stardust/session.key", bytes(range(32)), "0600", "stardust:stardust")
    agent.host.sh("systemctl restart stardust-spider")
    agent.wait(LISTENS)
    assert report(agent, "ops", "backup_completed") == 77
    assert report(agent, "plain", "nonsense") == 64
    assert report(agent, "plain", "backup_completed 'dump of shop' --id first") == 0
    assert report(agent, "root", "custom moved --detail name=tape.moved") == 0
    agent.host.sh("systemctl kill -s KILL stardust-spider; until systemctl is-active -q stardust-spider; do sleep 0.1; done")
    agent.wait(LISTENS)
    assert report(agent, "plain", "backup_completed 'dump of shop' --id first") == 0  # a script that tries again
    assert agent.host.sh("cat /var/lib/stardust/spider/events/* | grep -o 'dump of shop\\|tape.moved'").split("\n") == [
        "dump of shop",
        "tape.moved",
        "",
    ]
    agent.host.sh("systemctl stop stardust-spider")
    assert report(agent, "plain", "health_ok") == 69


@pytest.mark.slow
async def test_a_failed_unit_is_known_within_its_interval(agent: AgentHost, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        node = await asyncio.to_thread(install, agent, hub)

        def failed() -> list[str]:
            [table] = hub.local("GET", f"/api/v1/nodes/{node}/tables?subject=services").json["tables"] or [{"rows": []}]
            return [row[0] for row in table["rows"] if row[2] == "failed"]

        await eventually(lambda: bool(hub.local("GET", f"/api/v1/nodes/{node}/tables?subject=services").json["tables"]))
        agent.host.sh("systemd-run -q --unit=breaks /bin/false; until systemctl is-failed -q breaks; do sleep 0.1; done")
        began = time.monotonic()
        await eventually(lambda: "breaks.service" in failed())
        assert time.monotonic() - began < FAILED_LIMIT_S
