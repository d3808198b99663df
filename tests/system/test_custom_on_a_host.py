"""Custom metric programs in the sandbox of Spider's unit: their leftover processes are ended, even if they tried to escape."""

from __future__ import annotations

import os

import pytest

from tests.support.agent_host import VERSION_DIR, AgentHost
from tests.support.bundles import shipped_bundle

pytestmark = [pytest.mark.system, pytest.mark.slow]

SLEEPS = "sleep 1003.5"
# No environment, a session of its own, no parent; a second one below it, whose parent is ended before it; and one that stays in the group.
PROGRAM = f"""#!/bin/sh
(setsid env -i {SLEEPS} >/dev/null 2>&1 &)
(setsid env -i sh -c 'setsid {SLEEPS} & exec {SLEEPS}' >/dev/null 2>&1 &)
setsid {SLEEPS} >/dev/null 2>&1 &
sleep 0.5
pgrep -c -u stardust -f '^{SLEEPS}$' >>/var/lib/stardust/spider/ran
echo 'queue.length 12 messages'
"""


def test_detached_processes_of_a_custom_program_end_with_its_run_in_the_unit(kept_agent: AgentHost) -> None:
    agent = kept_agent
    agent.put(f"{VERSION_DIR}/spider.pyz", shipped_bundle())
    agent.put("/etc/stardust/session.key", os.urandom(32), "0600", "stardust:stardust")
    agent.host.sh("install -d -m 0755 /etc/stardust/metrics.d")
    agent.put("/etc/stardust/metrics.d/flees", PROGRAM.encode(), "0755")
    agent.host.sh(f"setsid -f runuser -u stardust -- {SLEEPS}1 </dev/null >/dev/null 2>&1")  # of the same user, and not below Spider
    agent.host.sh("systemctl restart stardust-spider")
    said = "journalctl -u stardust-spider -o cat --no-pager | grep 'left processes behind, which were ended'"
    agent.wait(said, 150)
    unit = agent.host.sh("systemctl show -p NRestarts,NoNewPrivileges,MemoryDenyWriteExecute,SystemCallErrorNumber stardust-spider")
    assert set(unit.split()) == {"NRestarts=0", "NoNewPrivileges=yes", "MemoryDenyWriteExecute=yes", "SystemCallErrorNumber=1"}
    started = [int(line) for line in agent.host.read("/var/lib/stardust/spider/ran").split()]
    assert set(started) == {4}
    group = "/sys/fs/cgroup$(systemctl show -p ControlGroup --value stardust-spider)/cgroup.procs"
    assert "sleep" not in agent.host.sh(f"for pid in $(cat {group}); do cat /proc/$pid/comm || true; done")
    assert agent.host.sh(f"pgrep -u stardust -f '^{SLEEPS}1'").strip()
