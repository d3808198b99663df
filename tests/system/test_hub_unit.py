"""The hub's example unit on a host of systemd: what does not pass by itself is not tried again for ever."""

from __future__ import annotations

import pytest

from tests.support.eventually import wait_until
from tests.support.hub import ROOT
from tests.support.lab import Host

pytestmark = pytest.mark.system

INSTALL = """
useradd --system --no-create-home stardust-hub
mkdir -p /etc/stardust-hub /opt/stardust-hub/bin
printf '#!/bin/sh\\nexit $(cat /etc/stardust-hub/status)\\n' >/opt/stardust-hub/bin/stardust
chmod 0755 /opt/stardust-hub/bin/stardust
cat >/etc/systemd/system/stardust-hub.service
systemctl daemon-reload
"""
STATE = "systemctl show stardust-hub -p ActiveState -p ExecMainStatus -p NRestarts --value"


def test_a_hub_without_its_secret_or_with_refused_settings_fails_once_and_a_full_disk_is_tried_again(bare_host: Host) -> None:
    host = bare_host
    host.run("/bin/sh", "-euc", INSTALL, stdin=(ROOT / "groundcontrol/examples/stardust-hub.service").read_text())

    def started() -> list[str]:
        """Start the unit. Returns: its state, the last exit status and the number of restarts, in any order."""
        host.sh("systemctl reset-failed stardust-hub 2>/dev/null || :; systemctl start --no-block stardust-hub")
        wait_until(lambda: {"failed", "1"} & set(host.sh(STATE).split()), what="it has failed, or is tried again", poll_s=0.3)
        return sorted(host.sh(STATE).split())

    host.sh("echo 78 >/etc/stardust-hub/status; chmod 0644 /etc/stardust-hub/status")
    assert started() == ["0", "243", "failed"], "systemd finds no secret"
    host.sh("echo secret >/etc/stardust-hub/secret")
    assert started() == ["0", "78", "failed"], "the hub refuses its settings"
    host.sh("echo 75 >/etc/stardust-hub/status")
    assert "1" in started(), "no room: it is tried again"
    assert "failed" not in host.sh(STATE)
    host.sh("systemctl stop stardust-hub")
